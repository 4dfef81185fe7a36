"""Several tokens with quotas: who signs which call, and what happens when they are exhausted."""

from __future__ import annotations

import time
from typing import Any

import pytest
from loopback import NO_WAIT, Api, Call, Open, stream, sync

from kitestring.declarative import multiple_token_authenticator
from kitestring.errors import AuthError, ConfigError, TransientError

PAGES = {
    "type": "DefaultPaginator",
    "page_token_option": {"type": "RequestOption", "inject_into": "request_parameter", "field_name": "page"},
    "pagination_strategy": {"type": "PageIncrement", "page_size": 1, "start_from_page": 1},
}


def authenticator(url: str, quota: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    source = {"type": "QuotaStatusSource", "url": f"{url}/quota", **more.pop("source", {})}
    component = {
        "type": "TokenQuota",
        "name": "rest",
        "remaining_path": ["rest", "left"],
        "reset_path": ["rest", "reset"],
    }
    return {
        "type": "RateLimitedMultipleTokenAuthenticator",
        "tokens": "{{ config['tokens'] }}",
        "quota_status_source": source,
        "quotas": [{**component, **(quota or {})}],
        "budget_min_reserve": 0,
        "budget_reserve_fraction": 0,
        **more,
    }


def things(url: str, **more: Any) -> dict[str, Any]:
    handler = {"type": "DefaultErrorHandler", "max_retries": 2, "backoff_strategies": [NO_WAIT]}
    wait = more.pop("handler", handler)
    return stream(
        url=url,
        requester={"authenticator": authenticator(url, **more), "error_handler": wait},
        retriever={"paginator": PAGES},
    )


def quota(left: dict[str, int], reset_in: float = 3600) -> Any:
    def answer(call: Call) -> Any:
        return {"rest": {"left": left[call.headers["authorization"][7:]], "reset": time.time() + reset_in}}

    return answer


def pages(count: int) -> Any:
    return lambda call: {
        "data": [{"id": int(call.query.get("page", 1))}] if int(call.query.get("page", 1)) <= count else []
    }


def signed(api: Api) -> list[str]:
    return [call.headers["authorization"] for call in api.calls if call.path == "/things"]


def test_the_next_token_takes_over_where_one_is_spent(api: Api, open_source: Open) -> None:
    api.answers = {"/quota": quota({"one": 2, "two": 9}), "/things": pages(3)}
    result = sync(open_source(things(api.url), config={"tokens": "one, two"}))
    assert len(result.records) == 3
    assert signed(api) == ["Bearer one", "Bearer one", "Bearer two", "Bearer two"]
    assert api.paths().count("/quota") == 2


def test_all_tokens_spent_until_too_late_ends_the_stream(api: Api, open_source: Open) -> None:
    api.answers = {"/quota": quota({"one": 1, "two": 0}), "/things": pages(3)}
    with pytest.raises(TransientError, match=r"all 2 tokens are exhausted \(rest\)"):
        sync(open_source(things(api.url, max_wait_time="PT30M"), config={"tokens": "one,two"}))


def test_a_reset_is_waited_for_and_the_quotas_are_asked_again(
    api: Api, open_source: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(multiple_token_authenticator, "SHORTEST_WAIT_S", 0.05)
    left = {"one": 1}
    ask = quota(left, reset_in=0.05)

    def remaining_quota(call: Call) -> Any:
        page = ask(call)
        left["one"] = 9
        return page

    api.answers = {"/quota": remaining_quota, "/things": pages(2)}
    result = sync(open_source(things(api.url), config={"tokens": "one"}))
    assert len(result.records) == 2
    assert api.paths().count("/quota") == 2


def test_a_refused_call_changes_the_token_without_waiting_where_the_status_says_spent(
    api: Api, open_source: Open
) -> None:
    def answer(call: Call) -> Any:
        if call.headers["authorization"] == "Bearer one":
            return 429, {"message": "slow down"}, {"Retry-After": "500"}
        return pages(1)(call)

    api.answers = {"/quota": quota({"one": 100, "two": 100}), "/things": answer}
    began = time.monotonic()
    result = sync(open_source(things(api.url, quota={"exhaustion_status_codes": [429]}), config={"tokens": "one,two"}))
    assert result.records == [{"id": 1}]
    assert signed(api) == ["Bearer one", "Bearer two", "Bearer two"]
    assert time.monotonic() - began < 300


def test_headers_tell_what_is_left(api: Api, open_source: Open) -> None:
    def answer(call: Call) -> Any:
        left = "0" if call.headers["authorization"] == "Bearer one" else "50"
        return 200, pages(2)(call), {"X-Left": left}

    api.answers = {"/quota": quota({"one": 100, "two": 100}), "/things": answer}
    sync(open_source(things(api.url, quota={"remaining_header": "X-Left"}), config={"tokens": "one,two"}))
    assert signed(api) == ["Bearer one", "Bearer two", "Bearer two"]


def test_tokens_take_turns_where_the_api_counts_nothing(api: Api, open_source: Open) -> None:
    api.answers = {"/quota": (404, {}), "/things": pages(3)}
    stream = things(api.url, source={"unavailable_status_codes": [404]})
    sync(open_source(stream, config={"tokens": "one,two"}))
    assert signed(api) == ["Bearer one", "Bearer two", "Bearer one", "Bearer two"]


def test_a_quota_endpoint_that_refuses_the_token_fails(api: Api, open_source: Open) -> None:
    api.answers = {"/quota": (401, {"message": "bad token"})}
    with pytest.raises(AuthError):
        sync(open_source(things(api.url), config={"tokens": "one"}))


def test_no_token_is_a_defect_of_the_configuration(api: Api, open_source: Open) -> None:
    with pytest.raises(ConfigError, match="no token"):
        sync(open_source(things(api.url), config={"tokens": " , "}))


def refusing(token: str, page: Any) -> Any:
    return lambda call: (401, {"message": "no"}) if call.headers["authorization"].endswith(token) else page(call)


def test_a_token_that_is_refused_is_left_out_while_another_is_good(api: Api, open_source: Open) -> None:
    api.answers = {"/quota": refusing("one", quota({"two": 9})), "/things": pages(3)}
    result = sync(open_source(things(api.url), config={"tokens": "one,two"}))
    assert len(result.records) == 3
    assert set(signed(api)) == {"Bearer two"}


def test_a_token_that_is_withdrawn_meanwhile_is_left_out(api: Api, open_source: Open) -> None:
    api.answers = {"/quota": quota({"one": 9, "two": 9}), "/things": refusing("one", pages(3))}
    result = sync(open_source(things(api.url), config={"tokens": "one,two"}))
    assert len(result.records) == 3
    assert signed(api)[:2] == ["Bearer one", "Bearer two"]


def test_all_tokens_refused_ends_the_stream(api: Api, open_source: Open) -> None:
    api.answers = {"/quota": (401, {"message": "no"})}
    with pytest.raises(AuthError):
        sync(open_source(things(api.url), config={"tokens": "one,two"}))
