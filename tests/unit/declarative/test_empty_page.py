"""Pages without records: which are empty, and which are of another shape than the manifest expects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from loopback import Api, Open, cursor, stream, sync

import kitestring as ks
from kitestring.airbyte.modes import WRITES
from kitestring.declarative import DeclarativeSource
from kitestring.declarative.empty_page import doubt
from kitestring.engine import Result, Selection
from kitestring.engine import sync as run
from kitestring.engine.state import MemoryStates, StateStore
from kitestring.testing.memory import MemoryDestination
from kitestring.types import SyncMode, Write

ROW = {"id": 1, "updated_at": "2024-01-10T00:00:00Z"}


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"data": []}, ["data"]),
        ({"data": []}, ["data", "items"]),  # PHP
        ({"kind": "calendar#events", "etag": "x", "nextSyncToken": "y"}, ["items"]),  # Google
        ({"dimensionHeaders": [{"name": "date"}], "kind": "report"}, ["rows"]),
        ({"users": [{"id": 1}], "count": 0, "tickets": []}, ["tickets"]),
        ({"data": {"id": 5}, "page": {"total": 0}}, ["data", "items"]),
        ({"message": "no results", "error": None, "errors": []}, ["data"]),
        ({"data": [], "error": {"code": "ok", "message": ""}}, ["data"]),
        ({"error": {"code": "ok", "message": "done"}}, ["data"]),
        ({"success": True, "status": "ok", "ok": True}, ["data"]),
        ({"pages": {}}, ["pages", "*", "rows"]),
        ({"pages": {"a": {"rows": []}}}, ["pages", "*", "rows"]),
        ({"feed": [[]]}, ["feed", 0]),
        ({"feed": [1]}, ["feed", 3]),
    ],
)
def test_an_empty_page_is_no_reason_for_doubt(body: Any, path: list[Any]) -> None:
    assert doubt([body], path, ("id",), False, False) == ""


@pytest.mark.parametrize(
    ("body", "path", "reason"),
    [
        (None, [], "is null, records are expected"),
        ({}, [], "is an empty object, records are expected"),
        ({}, ["data"], "has nothing in it, `data` is expected"),
        ({"data": None}, ["data"], "has null at `data`, records are expected"),
        ({"data": ""}, ["data"], "has an empty text at `data`, records are expected"),
        ({"data": False}, ["data"], "has false at `data`, records are expected"),
        ({"data": {}}, ["data", "items"], "has an empty object at `data`, `data.items` is expected"),
        ({"data": None}, ["data", "items"], "has null at `data`, an object with `data.items` is expected"),
        ({"data": False}, ["data", "items"], "has false at `data`, an object with `data.items` is expected"),
        (False, [], "is false, records are expected"),
        (None, ["data"], "is null, an object with `data` is expected"),
        ("busy", ["data", "items"], "is a text, an object with `data.items` is expected"),
        ("", ["data"], "is an empty text, an object with `data` is expected"),
        (7, ["data"], "is a number, an object with `data` is expected"),
        ({"data": "busy"}, ["data", "items"], "has a text at `data`, an object with `data.items` is expected"),
        ({"data": [{"id": 1}]}, ["data", "items"], "has a list at `data`, an object with `data.items` is expected"),
        ({"data": 0}, ["data"], "has a number at `data`, records are expected"),
        ({"pages": {"a": {"rows": []}, "b": 5}}, ["pages", "*", "rows"], "has a number at `pages.*`"),
        ({"results": [{"id": 1}, {"id": 2}]}, ["data"], "no `data`, and at `results` 2 objects that look like"),
        ({"data": {"rows": [{"id": 1}]}}, ["data", "items"], "no `data.items`, and at `rows` 1 objects"),
        ({"error": "invalid_auth", "ok": False}, ["channels"], "has no `channels` and reports an error: invalid_auth"),
        ({"ok": False}, ["channels"], "has no `channels` and reports an error: ok is false"),
        ({"success": "false", "msg": "quota"}, ["data"], "reports an error: quota"),
        ({"status": "error", "message": "no such view"}, ["data"], "reports an error: no such view"),
        ({"error": {"code": 17, "message": "Too many calls"}}, ["data"], "reports an error: Too many calls"),
        ({"errors": [{"message": "a"}, {"message": "b"}], "data": None}, ["data", "items"], "reports an error: a; b"),
        ({"error": "locked"}, [], "reports an error instead of records: locked"),
        ({"fault": {"faultstring": 1}}, ["data"], "has no `data` and reports an error: an object"),
    ],
)
def test_a_page_of_another_shape_is_told_with_both_facts(body: Any, path: list[Any], reason: str) -> None:
    assert reason in doubt([body], path, ("id",), False, False)


def test_a_list_on_top_is_doubtful_where_its_objects_are_the_records() -> None:
    assert "is a list of objects, an object with `data` is expected" in doubt(
        [ROW, ROW], ["data"], ("id",), True, False
    )
    assert "is a list with null in it" in doubt([None], [], ("id",), True, False)
    assert "is a list with a number in it" in doubt([5], ["data"], ("id",), True, False)
    assert doubt([{"data": []}, {}], ["data"], ("id",), True, False) == ""
    assert doubt([{"page": 1}], ["data"], ("id",), True, False) == ""
    assert doubt([], ["data"], ("id",), True, False) == ""


def test_a_name_that_was_there_before_may_be_left_out_of_the_last_page() -> None:
    body = {"users": [{"id": 1}]}
    assert doubt([body], ["tickets"], ("id",), False, False)
    assert doubt([body], ["tickets"], ("id",), False, True) == ""


def synced(
    source: DeclarativeSource,
    destination: MemoryDestination,
    name: str = "things",
    *,
    write: Write = WRITES["append"],
    incremental: bool = False,
    states: StateStore | None = None,
) -> Result:
    mode = SyncMode.incremental if incremental else SyncMode.full_refresh
    return run(source, destination, [Selection(name, mode, write)], states=states)


def paged(url: str, **more: Any) -> dict[str, Any]:
    """A stream with pages of two."""
    strategy = {"type": "PageIncrement", "page_size": 2, "start_from_page": 1}
    option = {"type": "RequestOption", "inject_into": "request_parameter", "field_name": "page"}
    paginator = {"type": "DefaultPaginator", "page_token_option": option, "pagination_strategy": strategy}
    return stream(url=url, retriever={"paginator": paginator, **more.pop("retriever", {})}, **more)


PAGE = {"data": [{"id": 1}, {"id": 2}]}


@pytest.mark.parametrize(
    ("last", "reason"),
    [
        (None, "is null, an object with `data` is expected"),
        ({"error": "the export is locked"}, "has no `data` and reports an error: the export is locked"),
        (["busy"], "is a list with a text in it"),
        ({}, "has nothing in it, `data` is expected"),
        ({"data": None}, "has null at `data`, records are expected"),
    ],
)
def test_a_sync_whose_pages_end_in_another_shape_is_suspicious_with_the_records_before_it(
    api: Api, open_source: Open, last: Any, reason: str
) -> None:
    api.answers["/things"] = [PAGE, last]
    destination = MemoryDestination()
    result = synced(open_source(paged(api.url)), destination)
    assert result.status == "suspicious"
    (suspicion,) = result.streams["things"].suspicions
    assert suspicion.startswith(f"the response of GET {api.url}/things {reason}")
    assert "let the manifest's error handler IGNORE it" in suspicion
    assert destination.stored["things"] == [{"id": 1}, {"id": 2}]
    assert len(api.calls) == 3, "the page in doubt is asked for once more"


def test_a_page_that_was_right_the_second_time_is_no_reason_for_doubt(api: Api, open_source: Open) -> None:
    api.answers["/things"] = [PAGE, {}, {"data": [{"id": 3}]}]
    destination = MemoryDestination()
    result = synced(open_source(paged(api.url)), destination)
    assert result.ok, result.as_dict()
    assert [row["id"] for row in destination.stored["things"]] == [1, 2, 3]


def test_a_kept_page_of_a_parent_is_asked_for_again_when_it_is_in_doubt(api: Api, open_source: Open) -> None:
    api.answers["/parents"] = [{"data": None}, {"data": [{"id": "a"}]}]
    api.answers["/parents/a/things"] = {"data": [ROW]}
    result = sync(open_source(substream(api.url)), state={})
    assert [row["id"] for row in result.records] == [1]


def test_pages_that_stay_as_they_are_are_not_asked_for_again_without_end(api: Api, open_source: Open) -> None:
    values = [str(n) for n in range(9)]
    router = {"type": "ListPartitionRouter", "values": values, "cursor_field": "n"}
    for n in values:
        api.answers[f"/things/{n}"] = {}
    source = open_source(
        stream(url=api.url, path="/things/{{ stream_slice['n'] }}", retriever={"partition_router": router})
    )
    sync(source)
    assert len(api.calls) == 9 + 3


@pytest.mark.parametrize("last", [{"data": []}, (204, b""), b"", b"  ", []])
def test_a_sync_whose_pages_end_in_an_empty_one_is_green(api: Api, open_source: Open, last: Any) -> None:
    api.answers["/things"] = [PAGE, last]
    result = synced(open_source(paged(api.url)), MemoryDestination())
    assert result.ok, result.as_dict()
    assert result.total("read") == 2


def test_what_the_error_handler_ignores_is_an_empty_page(api: Api, open_source: Open) -> None:
    ignoring = {"type": "HttpResponseFilter", "action": "IGNORE", "predicate": "{{ response is none }}"}
    handler = {"type": "DefaultErrorHandler", "response_filters": [ignoring]}
    api.answers["/things"] = [PAGE, None]
    result = synced(open_source(paged(api.url, requester={"error_handler": handler})), MemoryDestination())
    assert result.ok, result.as_dict()


def test_an_error_in_the_place_of_the_one_object_is_doubted_and_kept(api: Api, open_source: Open) -> None:
    whole = {"extractor": {"type": "DpathExtractor", "field_path": []}}
    api.answers["/things"] = {"error": "unknown account"}
    destination = MemoryDestination()
    result = synced(open_source(stream(url=api.url, selector=whole)), destination)
    assert "reports an error instead of records: unknown account" in result.streams["things"].suspicions[0]
    api.answers["/things"] = {"id": 1, "error": "the last job failed"}
    assert synced(open_source(stream(url=api.url, selector=whole)), MemoryDestination()).ok


def test_several_extractors_are_empty_where_one_of_them_is(api: Api, open_source: Open) -> None:
    extractors = [{"type": "DpathExtractor", "field_path": path} for path in (["data", "a"], ["rest"])]
    selector = {"extractor": {"type": "CombinedExtractor", "extractors": extractors}}

    def result(page: Any) -> Result:
        api.answers["/things"] = page
        return synced(open_source(stream(url=api.url, selector=selector)), MemoryDestination())

    assert result({"data": "busy", "rest": []}).ok
    assert "has a text at `data`" in result({"data": "busy", "rest": 0}).streams["things"].suspicions[0]


def test_the_items_of_a_list_that_is_none_are_doubted(api: Api, open_source: Open) -> None:
    decoder = {"type": "JsonItemsDecoder", "items_path": "report.rows"}
    whole = {"extractor": {"type": "DpathExtractor", "field_path": []}}

    def result(page: Any) -> Result:
        api.answers["/things"] = page
        source = open_source(stream(url=api.url, selector=whole, retriever={"decoder": decoder}))
        return synced(source, MemoryDestination())

    assert result({"report": {"rows": []}}).ok
    assert "has an empty object at `report`" in result({"report": {}}).streams["things"].suspicions[0]
    assert "has no list at `report.rows`" in result({"report": {"rows": {"id": 1}}}).streams["things"].suspicions[0]
    assert "is null, an object with `report.rows`" in result(None).streams["things"].suspicions[0]


def test_lines_that_hold_no_object_are_rejects(api: Api, open_source: Open) -> None:
    api.answers["/things"] = b"null\n"
    whole = {"extractor": {"type": "DpathExtractor", "field_path": []}}
    source = open_source(stream(url=api.url, selector=whole, retriever={"decoder": {"type": "JsonlDecoder"}}))
    result = synced(source, MemoryDestination())
    assert result.status == "suspicious"
    assert result.total("rejected") == 1


def test_a_suspicion_shows_no_secret(api: Api, open_source: Open) -> None:
    spec = {
        "type": "Spec",
        "connection_specification": {
            "type": "object",
            "properties": {"token": {"type": "string", "airbyte_secret": True}},
        },
    }
    api.answers["/things"] = {"error": "the token tok-12345678 has expired"}
    source = open_source(stream(url=api.url), spec=spec, config={"token": "tok-12345678"})
    (suspicion,) = synced(source, MemoryDestination()).streams["things"].suspicions
    assert "the token ********** has expired" in suspicion


def test_a_slice_that_may_be_incomplete_is_read_again_by_the_next_sync(api: Api, open_source: Open) -> None:
    bounds = {"inject_into": "request_parameter", "type": "RequestOption"}
    by_month = cursor(
        step="P1M",
        cursor_granularity="PT1S",
        start_time_option={**bounds, "field_name": "from"},
        end_time_option={**bounds, "field_name": "to"},
    )
    broken = True

    def month(call: Any) -> Any:
        day = call.query["from"]
        if day.startswith("2024-02") and broken:
            return None
        return {"data": [{"id": day, "updated_at": day}]}

    api.answers["/things"] = month
    things = stream(url=api.url, incremental_sync=by_month)
    states, destination = MemoryStates(), MemoryDestination()
    first = synced(open_source(things), destination, incremental=True, states=states)
    assert first.status == "suspicious"
    assert states.load("default")["things"]["updated_at"] == "2024-01-01T00:00:00Z"
    broken = False
    api.calls.clear()
    second = synced(open_source(things), destination, incremental=True, states=states)
    assert second.ok, second.as_dict()
    assert "2024-02-01T00:00:00Z" in [call.query["from"] for call in api.calls]
    assert "2024-02-01T00:00:00Z" in [row["id"] for row in destination.stored["things"]]
    assert states.load("default")["things"]["updated_at"] >= "2024-02-01T00:00:00Z"


def substream(url: str, **more: Any) -> dict[str, Any]:
    parent = {
        "type": "ParentStreamConfig",
        "stream": stream("parents", url=url, path="/parents", **more),
        "parent_key": "id",
        "partition_field": "parent",
    }
    router = {"type": "SubstreamPartitionRouter", "parent_stream_configs": [parent]}
    path = "/parents/{{ stream_slice['parent'] }}/things"
    return stream(url=url, path=path, retriever={"partition_router": router}, incremental_sync=cursor())


def test_a_partition_that_may_be_incomplete_begins_where_it_began(api: Api, open_source: Open) -> None:
    api.answers["/parents"] = {"data": [{"id": "a"}, {"id": "b"}]}
    api.answers["/parents/a/things"] = {"data": [ROW]}
    api.answers["/parents/b/things"] = None
    first = sync(open_source(substream(api.url)), state={})
    cursors = {state["partition"]["parent"]: state["cursor"]["updated_at"] for state in first.state["states"]}
    assert cursors == {"a": "2024-01-10T00:00:00Z", "b": "2024-01-01T00:00:00Z"}
    assert "state" not in first.state, "a partition that is new next time begins at the start"
    api.answers["/parents/b/things"] = {"data": [{**ROW, "id": 2}]}
    second = sync(open_source(substream(api.url)), state=first.state)
    assert 2 in [row["id"] for row in second.records]
    assert second.state["state"] == {"updated_at": "2024-01-10T00:00:00Z"}


def test_a_parents_page_of_another_shape_makes_the_child_suspicious_and_moves_no_state(
    api: Api, open_source: Open
) -> None:
    api.answers["/parents"] = None
    states = MemoryStates()
    child = substream(api.url)
    result = synced(open_source(child), MemoryDestination(), incremental=True, states=states)
    assert result.status == "suspicious"
    assert "of the parents of this stream: the response of GET" in result.streams["things"].suspicions[0]
    assert "state" not in states.load("default")["things"]
    api.answers["/parents"] = {"data": [{"id": "a"}]}
    api.answers["/parents/a/things"] = {"data": [ROW]}
    assert synced(open_source(child), MemoryDestination(), incremental=True, states=states).total("written") == 1


def test_a_doubtful_overwrite_does_not_replace_more_by_less(api: Api, open_source: Open) -> None:
    api.answers["/things"] = [PAGE, {"data": [{"id": 3}]}]
    destination = MemoryDestination()
    assert synced(open_source(paged(api.url)), destination, write=WRITES["overwrite"]).ok
    api.answers["/things"] = [PAGE, None]
    result = synced(open_source(paged(api.url)), destination, write=WRITES["overwrite"])
    assert result.status == "suspicious"
    assert "2 records were read, the destination holds 3" in result.streams["things"].suspicions[1]
    assert len(destination.stored["things"]) == 3
    api.answers["/things"] = [PAGE, {"data": [{"id": 3}, {"id": 4}]}, None]
    result = synced(open_source(paged(api.url)), destination, write=WRITES["overwrite"])
    assert result.status == "suspicious"
    assert len(destination.stored["things"]) == 4


def test_many_doubts_are_told_by_the_first_ones(api: Api, open_source: Open) -> None:
    values = [str(n) for n in range(9)]
    router = {"type": "ListPartitionRouter", "values": values, "cursor_field": "n"}
    for n in values:
        api.answers[f"/things/{n}"] = None
    source = open_source(
        stream(url=api.url, path="/things/{{ stream_slice['n'] }}", retriever={"partition_router": router})
    )
    assert len(synced(source, MemoryDestination()).streams["things"].suspicions) == 5


def test_reading_in_python_logs_the_doubt(api: Api, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    import yaml
    from loopback import manifest

    api.answers["/things"] = None
    path = tmp_path / "things.yaml"
    path.write_text(yaml.safe_dump(manifest(stream(url=api.url))))
    source = ks.source(str(path), {})
    assert list(source.read("things")) == []
    source.close()
    assert any("things may be incomplete" in line.getMessage() for line in caplog.records)


@pytest.mark.parametrize(
    ("last", "rule"),
    [
        ((403, {"message": "no permission"}), {"http_codes": [403]}),
        ({"ok": False, "error": "not_in_channel"}, {"predicate": "{{ response.get('error') }}"}),
    ],
)
def test_records_behind_an_ignored_refusal_are_not_taken_for_deleted(
    api: Api, open_source: Open, last: Any, rule: dict[str, Any]
) -> None:
    ignoring = {"type": "HttpResponseFilter", "action": "IGNORE", **rule}
    handler = {"type": "DefaultErrorHandler", "response_filters": [ignoring]}
    destination, states = MemoryDestination(), MemoryStates()
    detecting = [Selection("things", "full_refresh", "append_dedup", detect_deletes={"most_percent": 100})]

    def synced_with(*pages: Any) -> Result:
        api.answers["/things"] = list(pages)
        source = open_source(paged(api.url, requester={"error_handler": handler}, primary_key="id"))
        return run(source, destination, detecting, states=states)

    second = {"data": [{"id": 3}]}
    assert synced_with(PAGE, second).ok
    result = synced_with(PAGE, last)
    assert result.status == "suspicious"
    assert "was ignored" in result.streams["things"].suspicions[0]
    assert len(destination.stored["things"]) == 3
    assert synced_with({"data": [{"id": 1}]}).ok
    assert destination.stored["things"] == [{"id": 1}]
