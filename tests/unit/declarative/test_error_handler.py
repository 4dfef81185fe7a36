"""What responses mean."""

from __future__ import annotations

import logging
import time
from datetime import datetime, timedelta
from typing import Any

import pytest
from loopback import NO_WAIT, Api, Open, cursor, stream, sync

from kitestring.errors import AuthError, ConfigError, ConnectorError, KitestringError, TransientError
from kitestring.http import UnreadableError

PAGE = {"data": [{"id": 1}]}


def read(api: Api, open_source: Open, *answers: Any, handler: dict[str, Any] | None = None, **more: Any) -> Any:
    api.answers["/things"] = list(answers)
    requester = {"error_handler": handler} if handler else {}
    return sync(open_source(stream(url=api.url, requester=requester, **more)))


def default(*filters: dict[str, Any], retries: Any = 2, wait: Any = NO_WAIT) -> dict[str, Any]:
    return {
        "type": "DefaultErrorHandler",
        "max_retries": retries,
        "response_filters": list(filters),
        "backoff_strategies": [wait],
    }


def rule(action: str, **more: Any) -> dict[str, Any]:
    return {"type": "HttpResponseFilter", "action": action, **more}


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504, 408])
def test_a_passing_fault_is_tried_again(api: Api, open_source: Open, status: int) -> None:
    assert read(api, open_source, (status, {}), PAGE).records == PAGE["data"]
    assert len(api.calls) == 2


@pytest.mark.parametrize(
    ("status", "kind"), [(400, ConfigError), (401, AuthError), (403, AuthError), (404, ConfigError), (422, ConfigError)]
)
def test_a_refusal_is_final_and_says_what_the_vendor_said(
    api: Api, open_source: Open, status: int, kind: type[KitestringError]
) -> None:
    with pytest.raises(kind, match=f"answered {status}: no such luck"):
        read(api, open_source, (status, {"message": "no such luck"}))
    assert len(api.calls) == 1


def test_a_fault_that_stays_is_told(api: Api, open_source: Open) -> None:
    with pytest.raises(TransientError, match="answered 503 at attempt 3"):
        read(api, open_source, (503, {"error": "down"}), handler=default())
    assert len(api.calls) == 3


def test_the_number_of_retries_may_be_a_template(api: Api, open_source: Open) -> None:
    with pytest.raises(TransientError):
        read(api, open_source, (503, {}), handler=default(retries="{{ 1 + 0 }}"))
    assert len(api.calls) == 2


def test_an_ignored_response_has_no_records(api: Api, open_source: Open) -> None:
    assert read(api, open_source, (404, PAGE), handler=default(rule("IGNORE", http_codes=[404]))).records == []


def test_an_ignored_page_with_a_good_status_is_read(api: Api, open_source: Open) -> None:
    handler = default(rule("IGNORE", predicate="{{ 'data' in response }}"))
    assert read(api, open_source, PAGE, handler=handler).records == PAGE["data"]


def test_a_predicate_sees_page_headers_and_address(api: Api, open_source: Open) -> None:
    handler = default(
        rule("RETRY", predicate="{{ response.wait and headers['X-Wait'] == 'y' and 'things' in request_url }}")
    )
    assert read(api, open_source, (200, {"wait": True}, {"X-Wait": "y"}), PAGE, handler=handler).records == PAGE["data"]


def test_a_message_in_the_page_can_decide(api: Api, open_source: Open) -> None:
    handler = default(rule("RETRY", error_message_contains="busy"))
    assert (
        read(api, open_source, (400, {"errors": [{"message": "too busy"}]}), PAGE, handler=handler).records
        == PAGE["data"]
    )
    assert read(api, open_source, (400, b"busy now"), PAGE, handler=handler).records == PAGE["data"]


def test_a_failure_says_what_the_manifest_says(api: Api, open_source: Open) -> None:
    handler = default(
        rule("FAIL", http_codes=[200], error_message="Not yours: {{ response.why }}", failure_type="config_error")
    )
    with pytest.raises(ConfigError, match="Not yours: never"):
        read(api, open_source, {"why": "never"}, handler=handler)
    broken = rule(
        "FAIL", predicate="{{ 'meta' not in response }}", error_message="no mark", failure_type="system_error"
    )
    with pytest.raises(ConnectorError, match="answered 200: no mark"):
        read(api, open_source, PAGE, handler=default(broken))
    handler = default(rule("FAIL", http_codes=[500], failure_type="transient_error"))
    with pytest.raises(TransientError, match="answered 500"):
        read(api, open_source, (500, {}), handler=handler)


def test_a_success_that_the_manifest_declares_is_one(api: Api, open_source: Open) -> None:
    handler = default(rule("SUCCESS", http_codes=[404]))
    assert read(api, open_source, (404, PAGE), handler=handler).records == []


def test_a_rate_limit_is_waited_for_and_does_not_count(api: Api, open_source: Open) -> None:
    limited = (429, {}, {"Retry-After": "0.01"})
    wait = {"type": "WaitTimeFromHeader", "header": "X-None"}
    handler = default(retries=1, wait=wait)
    assert read(api, open_source, limited, limited, limited, limited, PAGE, handler=handler).records == PAGE["data"]


def test_a_rate_limit_that_names_no_time_counts(api: Api, open_source: Open) -> None:
    with pytest.raises(TransientError, match="answered 429 at attempt 3"):
        read(api, open_source, (429, {}), handler=default())


@pytest.mark.parametrize(
    ("strategy", "headers", "page"),
    [
        ({"type": "WaitTimeFromHeader", "header": "X-Wait"}, {"X-Wait": "0.1"}, {}),
        ({"type": "WaitTimeFromHeader", "header": "X-Wait", "regex": "[.\\d]+"}, {"X-Wait": "0.1 seconds"}, {}),
        ({"type": "WaitUntilTimeFromHeader", "header": "X-Until"}, {"X-Until": "NOW+3"}, {}),
        ({"type": "WaitUntilTimeFromHeader", "header": "X-Until", "min_wait": 0.1}, {"X-Until": "NOW-9"}, {}),
        ({"type": "WaitUntilTimeFromHeader", "header": "X-Until", "min_wait": "0.1"}, {}, {}),
        ({"type": "WaitTimeFromResponse", "wait_time_in_seconds": "{{ response.wait }}"}, {}, {"wait": 0.1}),
        ({"type": "ConstantBackoffStrategy", "backoff_time_in_seconds": "{{ 0.1 }}"}, {}, {}),
        ({"type": "ConstantBackoffStrategy", "backoff_time_in_seconds": 0.1, "jitter_range_in_seconds": 0.01}, {}, {}),
        ({"type": "ExponentialBackoffStrategy", "factor": 0.05}, {}, {}),
    ],
)
def test_a_wait_is_as_long_as_the_strategy_says(
    api: Api, open_source: Open, strategy: Any, headers: Any, page: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "kitestring")
    headers = {k: str(time.time() + float(v[3:])) if v.startswith("NOW") else v for k, v in headers.items()}
    read(api, open_source, (503, page, headers), PAGE, handler=default(wait=strategy))
    (wait_s,) = [record.seconds for record in caplog.records if record.message.startswith("waiting ")]  # type: ignore[attr-defined]
    assert 0.05 <= wait_s <= (3 if "X-Until" in headers else 0.2)


@pytest.mark.parametrize(
    "strategy",
    [
        {"type": "WaitTimeFromHeader", "header": "X-Wait", "max_waiting_time_in_seconds": 60},
        {
            "type": "WaitTimeFromResponse",
            "wait_time_in_seconds": "{{ response.wait }}",
            "max_waiting_time_in_seconds": "60",
        },
    ],
)
def test_a_wait_that_is_too_long_ends_the_stream(api: Api, open_source: Open, strategy: Any) -> None:
    with pytest.raises(TransientError, match="requests a wait of 99 s") as caught:
        read(api, open_source, (503, {"wait": 99}, {"X-Wait": "99"}), handler=default(wait=strategy))
    assert caught.value.retry_after_s == 99


def test_a_strategy_that_finds_nothing_leaves_the_wait_to_the_session(
    api: Api, open_source: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kitestring.http import session

    monkeypatch.setattr(session, "backoff_s", lambda attempt: 0.01)
    for strategy in (
        {"type": "WaitUntilTimeFromHeader", "header": "X-Until"},
        {"type": "WaitUntilTimeFromHeader", "header": "X-Past"},
        {"type": "WaitTimeFromResponse", "wait_time_in_seconds": "{{ response.nothing }}"},
    ):
        assert (
            read(api, open_source, (503, {}, {"X-Past": "5"}), PAGE, handler=default(wait=strategy)).records
            == PAGE["data"]
        )


def test_a_broken_connection_is_tried_again(open_source: Open) -> None:
    with pytest.raises(TransientError, match="refuses the connection"):
        sync(open_source(stream(url="http://127.0.0.1:1")))


def test_a_page_that_is_no_json_is_asked_for_once_more_then_told(api: Api, open_source: Open) -> None:
    assert read(api, open_source, b"<html>", PAGE).records == PAGE["data"]
    api.calls.clear()
    with pytest.raises(UnreadableError, match="is not JSON") as caught:
        read(api, open_source, b"<html>")
    assert len(api.calls) == 2
    assert "html" not in caught.value.message, "the page stays out of the log"


def test_an_empty_page_has_no_records(api: Api, open_source: Open) -> None:
    assert read(api, open_source, (204, b"")).records == []


def composite(*handlers: dict[str, Any]) -> dict[str, Any]:
    return {"type": "CompositeErrorHandler", "error_handlers": list(handlers)}


def test_handlers_are_asked_in_turn(api: Api, open_source: Open) -> None:
    handler = composite(default(rule("IGNORE", http_codes=[404])), default(rule("RETRY", http_codes=[400])))
    assert read(api, open_source, (404, {}), handler=handler).records == []
    assert read(api, open_source, (400, {}), PAGE, handler=handler).records == PAGE["data"]
    with pytest.raises(AuthError):
        read(api, open_source, (403, {}), handler=handler)


@pytest.mark.parametrize(
    ("handler", "fact"),
    [
        (default(rule("PANIC", http_codes=[1])), "'PANIC' is not one of"),
        (default(rule("IGNORE", http_codes=["x"])), "not a status code"),
        (composite(), "at least one handler"),
        (default(wait={"type": "ConstantBackoffStrategy"}), "needs `backoff_time_in_seconds`"),
        (default(wait={"type": "WaitTimeFromHeader", "header": "x", "regex": "("}), "not a regular expression"),
        (default(retries="many"), "a number is expected"),
        ({"type": "DefaultErrorHandler", "response_filters": {"a": 1}}, "a list is expected"),
        ({"type": "CustomErrorHandler", "class_name": "x.Y"}, "needs the Python class x.Y"),
    ],
)
def test_a_wrong_handler_is_told_with_its_place(api: Api, open_source: Open, handler: Any, fact: str) -> None:
    with pytest.raises(ConfigError, match=fact) as caught:
        read(api, open_source, PAGE, handler=handler)
    assert "retriever.requester.error_handler" in str(caught.value)


def test_a_wait_that_is_no_number_is_told(api: Api, open_source: Open) -> None:
    with pytest.raises(ConfigError, match="a number of seconds is expected"):
        read(
            api,
            open_source,
            (503, {}),
            handler=default(wait={"type": "ConstantBackoffStrategy", "backoff_time_in_seconds": "long"}),
        )


def test_pages_may_ask_to_start_over(api: Api, open_source: Open) -> None:
    """The API limits how far one may page (PaginationReset): reading starts over behind the latest record."""
    from loopback import cursor

    days = [f"2024-01-{day:02d}T00:00:00Z" for day in range(1, 7)]

    def things(call: Any) -> Any:
        page = int(call.query.get("page", 0))
        if page >= 2:
            return 400, {"message": "too far"}
        result = [{"id": day, "updated_at": day} for day in days if day >= call.query["since"]]
        return {"data": result[page * 2 : page * 2 + 2]}

    api.answers["/things"] = things
    paginator = {
        "type": "DefaultPaginator",
        "page_token_option": {"type": "RequestOption", "inject_into": "request_parameter", "field_name": "page"},
        "pagination_strategy": {"type": "PageIncrement", "page_size": 2},
    }
    option = {"type": "RequestOption", "inject_into": "request_parameter", "field_name": "since"}
    result = sync(
        open_source(
            stream(
                url=api.url,
                incremental_sync=cursor(start_time_option=option),
                requester={"error_handler": default(rule("RESET_PAGINATION", http_codes=[400]))},
                retriever={
                    "paginator": paginator,
                    "pagination_reset": {"type": "PaginationReset", "action": "SPLIT_USING_CURSOR"},
                },
            )
        )
    )
    assert {record["id"] for record in result.records} == set(days)
    assert result.state == {"updated_at": days[-1]}


def test_a_first_page_that_asks_to_start_over_is_told(api: Api, open_source: Open) -> None:
    with pytest.raises(ConfigError, match="first page already"):
        read(api, open_source, (400, {}), handler=default(rule("RESET_PAGINATION", http_codes=[400])))


def test_a_window_that_the_api_refuses_is_cut_in_two(api: Api, open_source: Open) -> None:
    from loopback import cursor

    def things(call: Any) -> Any:
        since, until = (datetime.fromisoformat(call.query[name]) for name in ("since", "until"))
        if until - since > timedelta(days=20):
            return 400, {"message": "window too wide"}
        return {"data": [{"id": call.query["since"], "updated_at": call.query["since"]}]}

    api.answers["/things"] = things
    since = {"type": "RequestOption", "inject_into": "request_parameter", "field_name": "since"}
    parts = {
        "incremental_sync": cursor(
            start_time_option=since,
            end_time_option={**since, "field_name": "until"},
            step="P60D",
            cursor_granularity="PT1S",
        ),
        "requester": {"error_handler": default(rule("SPLIT_REQUEST_WINDOW", http_codes=[400]))},
    }
    result = sync(open_source(stream(url=api.url, retriever={"request_window_splitting": {}}, **parts)))
    assert [record["id"] for record in result.records] == [
        "2024-01-01T00:00:00Z",
        "2024-01-16T00:00:00Z",
        "2024-01-31T00:00:00Z",
        "2024-02-15T00:00:00Z",
    ]
    api.answers["/things"] = (400, {})
    parts["incremental_sync"] = {
        **cursor(),
        "end_datetime": "2024-01-01T00:00:03Z",
        "step": "P60D",
        "cursor_granularity": "PT1S",
    }
    parts["requester"] = {"error_handler": default(rule("SPLIT_REQUEST_WINDOW", http_codes=[400]))}
    with pytest.raises(TransientError, match="even the smallest window"):
        sync(open_source(stream(url=api.url, retriever={"request_window_splitting": {}}, **parts)))


@pytest.mark.parametrize(
    ("splitting", "more", "fact"),
    [
        ({"min_split_window": "P1M"}, {}, "a positive duration without months"),
        ({"min_split_window": "soon"}, {}, "ISO 8601"),
        ({}, {"is_client_side_incremental": True}, "cannot be combined with `is_client_side_incremental`"),
        ({}, {"step": None, "cursor_granularity": None}, "needs a DatetimeBasedCursor with a `cursor_granularity`"),
    ],
)
def test_a_splitting_that_cannot_work_is_refused(
    open_source: Open, splitting: dict[str, Any], more: dict[str, Any], fact: str
) -> None:
    sync_by = cursor(**{"step": "P1M", "cursor_granularity": "P1D", **more})
    parts = {"requester": {"error_handler": default(rule("SPLIT_REQUEST_WINDOW", http_codes=[400]))}}
    source = open_source(
        stream(url="http://x", retriever={"request_window_splitting": splitting}, incremental_sync=sync_by, **parts)
    )
    with pytest.raises(ConfigError, match=fact):
        source.discover()


def test_an_order_that_nothing_carries_out_is_refused(open_source: Open) -> None:
    source = open_source(
        stream(url="http://x", requester={"error_handler": default(rule("SPLIT_REQUEST_WINDOW", http_codes=[400]))})
    )
    with pytest.raises(ConfigError, match="`request_window_splitting` is missing"):
        source.discover()


def test_a_filter_without_a_condition_matches_nothing(api: Api, open_source: Open) -> None:
    api.answers["/things"] = {"data": [{"id": 1}]}
    handler = default({"type": "HttpResponseFilter", "action": "FAIL", "error_message": "no"})
    assert sync(open_source(stream(url=api.url, requester={"error_handler": handler}))).records == [{"id": 1}]
