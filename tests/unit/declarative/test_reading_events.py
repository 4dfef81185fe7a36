"""The events of a test read: in their order, as soon as they are known, bounded, and without secrets."""

from __future__ import annotations

import json
import shlex
from typing import Any

import pytest
from loopback import Api, Call, cursor, manifest, stream
from test_builder import PAGES, pages_of

from kitestring.declarative.builder import read
from kitestring.declarative.builder.preview import (
    Event,
    Limits,
    Log,
    OtherRequest,
    PageRead,
    ReadingEnd,
    RecordsRead,
    event_values,
    read_events,
)
from kitestring.testing.stand_in import Answer, StandIn, route


def events_of(values: Any, config: Any = None, **options: Any) -> list[Event]:
    events: list[Event] = []
    read_events(values, config or {}, "things", events.append, **options)
    return events


def names(events: list[Event]) -> list[str]:
    return [event_values(event)[0] for event in events]


def test_each_page_is_reported_before_the_next_is_asked_for(api: Api) -> None:
    api.answers["/things"] = pages_of(5)
    calls: list[tuple[str, int]] = []
    values = manifest(stream(url=api.url, retriever={"paginator": PAGES}))
    read_events(values, {}, "things", lambda event: calls.append((event_values(event)[0], len(api.calls))))
    assert calls == [("slice", 0), ("page", 1), ("page", 2), ("page", 3), ("state", 3), ("end", 3)]


def test_a_page_without_records_is_reported_before_the_next_is_recorded(api: Api) -> None:
    api.answers["/things"] = lambda call: {"data": [], "next": str(len(api.calls))}
    strategy = {"type": "CursorPagination", "cursor_value": "{{ response['next'] }}"}
    paged = stream(url=api.url, retriever={"paginator": {**PAGES, "pagination_strategy": strategy}})
    calls: list[tuple[str, int]] = []
    read_events(
        manifest(paged),
        {},
        "things",
        lambda event: calls.append((event_values(event)[0], len(api.calls))),
        limits=Limits(most_pages=2),
    )
    assert [call for call in calls if call[0] == "page"] == [("page", 2), ("page", 3)]


def test_a_large_page_comes_in_several_events(api: Api) -> None:
    api.answers["/things"] = {"data": [{"id": n, "text": "x" * 1000} for n in range(3000)]}
    events = events_of(manifest(stream(url=api.url)), limits=Limits(most_records=2500))
    parts = [event for event in events if isinstance(event, PageRead | RecordsRead)]
    assert [type(event) for event in parts] == [PageRead, RecordsRead, RecordsRead]
    assert [record["id"] for event in parts for record in event.records] == list(range(2500))
    end = events[-1]
    assert isinstance(end, ReadingEnd)
    assert (end.records, end.pages, end.limited) == (2500, 1, ["records"])


def test_the_limit_of_bytes_ends_a_read(api: Api) -> None:
    api.answers["/things"] = lambda call: {"data": [{"id": len(api.calls), "text": "x" * 1000}] * 2}
    values = manifest(stream(url=api.url, retriever={"paginator": PAGES}))
    events = events_of(values, limits=Limits(most_pages=100, most_bytes=5000))
    end = events[-1]
    assert isinstance(end, ReadingEnd)
    assert (end.pages, end.limited, len(api.calls)) == (3, ["bytes"], 3)


def test_a_request_is_a_line_of_curl_without_the_secret(api: Api) -> None:
    api.answers["/things"] = {"data": [{"id": 1}]}
    auth = {"type": "BearerAuthenticator", "api_token": "{{ config['token'] }}"}
    body = {"request_body_json": {"query": "it's {{ config['token'] }}"}, "http_method": "POST"}
    form = {"type": "object", "properties": {"token": {"type": "string", "airbyte_secret": True}}}
    values = manifest(
        stream(url=api.url, requester={"authenticator": auth, **body}),
        spec={"type": "Spec", "connection_specification": form},
    )
    result = read(values, {"token": "geheim-4711"}, "things")
    exchange = result.slices[0].pages[0].exchange
    assert exchange is not None
    words = shlex.split(exchange.curl)
    assert words[:2] == ["curl", f"{api.url}/things"]
    assert "Authorization: **********" in words
    assert json.loads(words[words.index("--data-raw") + 1]) == {"query": "it's **********"}
    assert "geheim" not in exchange.curl


def test_a_form_and_a_delete_are_lines_of_curl() -> None:
    from kitestring.declarative.builder.exchange import Exchange

    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept-Encoding": "gzip"}
    form = Exchange("POST", "https://a.example/x", headers, {"a": "1 2", "b": ["3", "4"]})
    assert shlex.split(form.as_curl()) == [
        *("curl", "https://a.example/x", "-H", "Content-Type: application/x-www-form-urlencoded"),
        *("--data-raw", "a=1+2&b=3&b=4"),
    ]
    assert Exchange("DELETE", "https://a.example/$x", {}, None).as_curl() == "curl -X DELETE 'https://a.example/$x'"


def test_a_secret_at_the_cut_of_a_long_body_is_masked_whole(api: Api) -> None:
    from kitestring.declarative.builder.excerpt import LARGEST_BODY, MOST_CHARACTERS

    key = "geheim-4711-and-long"
    text = "x" * (MOST_CHARACTERS - 5) + key + "y" * 1000
    page = (200, {"data": [{"id": 1, "text": text}], "more": "z" * (LARGEST_BODY - len(text) - 40) + key + "z" * 1000})
    api.answers["/things"] = page
    form = {"type": "object", "properties": {"key": {"type": "string", "airbyte_secret": True}}}
    values = manifest(stream(url=api.url), spec={"type": "Spec", "connection_specification": form})
    displayed = json.dumps(read(values, {"key": key}, "things").values())
    assert "geheim" not in displayed
    assert "characters in total)" in displayed
    assert "bytes in total)" in displayed


def test_deep_and_wide_answers_are_cut_where_they_are_shown(api: Api) -> None:
    deep, wide = "[" * 5000 + "]" * 5000, json.dumps({f"key{n}": n for n in range(60_000)})
    api.answers["/things"] = f'{{"data": [{{"id": 1, "deep": {deep}, "wide": {wide}}}]}}'.encode()
    result = read(manifest(stream(url=api.url)), {}, "things")
    assert result.error == ""
    (record,) = result.records
    assert "more than 64 levels" in json.dumps(record["deep"])
    assert "more fields" in json.dumps(record["wide"])
    assert len(json.dumps(result.schema)) < 2_000_000


@pytest.mark.parametrize("broken", ["not json", "<html><script>alert(1)</script></html>"])
def test_a_page_that_is_no_json_is_shown_as_it_came(api: Api, broken: str) -> None:
    api.answers["/things"] = broken.encode()
    events = events_of(manifest(stream(url=api.url)))
    pages = [event for event in events if isinstance(event, PageRead)]
    assert pages[0].exchange is not None
    assert (pages[0].exchange.status, pages[0].exchange.response) == (200, broken)
    end = events[-1]
    assert isinstance(end, ReadingEnd)
    assert "not JSON" in end.error


class Cut(StandIn):
    @route("GET", "/things")
    def things(self, call: Any) -> Any:
        return Answer(200, {"data": [{"id": n} for n in range(1000)]}, {"X-Server": "cut"})


def test_an_answer_that_breaks_off_has_its_status_headers_and_first_bytes() -> None:
    with Cut() as api:
        api.faults.next("truncated", 9)
        result = read(manifest(stream(url=api.url)), {}, "things")
    page = result.slices[0].pages[-1]
    for exchange in (page.exchange, *page.attempts):
        assert exchange is not None
        assert (exchange.status, exchange.response_headers["X-Server"]) == (200, "cut")
        assert exchange.response.startswith('{"data":[{"id":0}')
        assert "broke off" in exchange.error
    assert page.records == []
    assert "broke off" in result.error


def test_an_answer_that_is_too_large_has_its_first_bytes_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KITESTRING_LARGEST_RESPONSE_MB", "0.005")
    with Cut() as api:
        result = read(manifest(stream(url=api.url)), {}, "things")
    exchange = result.slices[0].pages[-1].exchange
    assert exchange is not None
    assert (exchange.status, len(exchange.response)) == (200, 4096)
    assert "more than" in exchange.error
    assert "KITESTRING_LARGEST_RESPONSE_MB" in result.hint


def test_the_schema_of_the_records_is_compared_with_the_declared_one(api: Api) -> None:
    record = {"id": 1, "name": "x", "size": "large", "owner": {"id": 1, "mail": "a@b"}, "tags": [1], "extra": True}
    api.answers["/things"] = {"data": [record]}
    declared = {
        "type": "object",
        "properties": {
            "id": {"type": "integer"},
            "name": {"type": ["null", "string"]},
            "size": {"type": ["null", "integer"]},
            "owner": {"type": "object", "properties": {"id": {"type": "number"}}},
            "tags": {"type": "array", "items": {"type": "string"}},
            "gone": {"type": "string"},
        },
    }
    loader = {"type": "InlineSchemaLoader", "schema": declared}
    result = read(manifest({**stream(url=api.url), "schema_loader": loader}), {}, "things")
    assert [(item.path, item.kind) for item in result.schema_difference] == [
        ("size", "type"),
        ("owner.mail", "undeclared"),
        ("tags[]", "type"),
        ("gone", "unseen"),
        ("extra", "undeclared"),
    ]
    assert result.schema_difference[0].sentence == ("size is declared as integer, and records have string.")


def test_requests_of_parents_stand_apart_while_slices_follow_each_other(api: Api) -> None:
    def parents(call: Call) -> Any:
        page = int(call.query.get("page", 0))
        return {"data": [{"id": page * 2 + n} for n in range(2)] if page < 2 else []}

    api.answers["/parents"] = parents
    for number in range(4):
        api.answers[f"/parents/{number}/kids"] = {"data": [{"id": number}]}
    router = {
        "type": "SubstreamPartitionRouter",
        "parent_stream_configs": [
            {
                "type": "ParentStreamConfig",
                "stream": stream("parents", api.url, "/parents", retriever={"paginator": PAGES}),
                "parent_key": "id",
                "partition_field": "parent",
            }
        ],
    }
    kids = stream(
        "things", api.url, "/parents/{{ stream_partition['parent'] }}/kids", retriever={"partition_router": router}
    )
    events = events_of(manifest(kids))
    pages = [event for event in events if isinstance(event, PageRead)]
    assert [event.records for event in pages] == [[{"id": 0}], [{"id": 1}], [{"id": 2}], [{"id": 3}]]
    rest = [event.exchange.url.removeprefix(api.url) for event in events if isinstance(event, OtherRequest)]
    assert rest == ["/parents", "/parents?page=1", "/parents?page=2"]
    assert names(events)[-1] == "end"


def test_a_parent_key_that_no_record_has_is_a_warning_and_no_quiet_end(api: Api) -> None:
    api.answers["/parents"] = {"data": [{"number": 1}, {"number": 2}]}
    router = {
        "type": "SubstreamPartitionRouter",
        "parent_stream_configs": [
            {
                "type": "ParentStreamConfig",
                "stream": stream("parents", api.url, "/parents"),
                "parent_key": "id",
                "partition_field": "parent",
            }
        ],
    }
    events = events_of(manifest(stream("things", api.url, "/kids", retriever={"partition_router": router})))
    assert [(event.level, event.message) for event in events if isinstance(event, Log)] == [
        (
            "warning",
            "none of the 2 records of “parents” has the parent key id, so nothing is requested for them. "
            "Set `parent_key` to a field that they have.",
        )
    ]
    parents = router["parent_stream_configs"][0]["stream"]
    added = {"type": "AddedFieldDefinition", "path": ["id"], "value": "{{ record['number'] }}"}
    for optional in (
        {"schema_loader": {"type": "InlineSchemaLoader", "schema": {"properties": {"id": {"type": "string"}}}}},
        {"transformations": [{"type": "AddFields", "condition": "{{ false }}", "fields": [added]}]},
    ):
        router["parent_stream_configs"][0]["stream"] = {**parents, **optional}
        events = events_of(manifest(stream("things", api.url, "/kids", retriever={"partition_router": router})))
        assert "log" not in names(events)
    router["parent_stream_configs"][0]["stream"] = parents
    api.answers["/parents"] = {"data": [{"number": 1}, {"id": 2}]}
    api.answers["/kids"] = {"data": [{"id": 1}]}
    events = events_of(manifest(stream("things", api.url, "/kids", retriever={"partition_router": router})))
    assert "log" not in names(events)


def test_a_primary_key_that_no_record_has_is_a_warning(api: Api) -> None:
    api.answers["/things"] = {"data": [{"number": 1}, {"number": 2}]}
    keyed = {**stream("things", api.url, "/things"), "primary_key": ["id"]}
    assert [event.message for event in events_of(manifest(keyed)) if isinstance(event, Log)] == [
        "the primary key of “things” is id, and none of the 2 records has id. "
        "Set `primary_key` to fields that every record has."
    ]
    keyed["primary_key"] = ["number"]
    assert "log" not in names(events_of(manifest(keyed)))


def test_a_second_read_with_the_state_shows_what_an_incremental_sync_would_read(api: Api) -> None:
    api.answers["/things"] = {"data": [{"id": 1, "updated_at": "2024-02-10T00:00:00Z"}]}
    values = manifest(stream(url=api.url, incremental_sync=cursor()))
    first = events_of(values)[-1]
    assert isinstance(first, ReadingEnd)
    second = events_of(values, state=first.state)
    assert event_values(second[0])[1]["bounds"]["start_time"] == "2024-02-10T00:00:00Z"
