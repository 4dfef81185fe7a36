"""A partition that is gone does not keep the others from being written."""

from __future__ import annotations

from typing import Any

import pytest
from loopback import Api, Open, cursor, stream

from kitestring.declarative import DeclarativeSource
from kitestring.engine import Result, Selection
from kitestring.engine import sync as run
from kitestring.engine.state import MemoryStates
from kitestring.testing.memory import MemoryDestination
from kitestring.types import SyncMode, Write


def synced(
    source: DeclarativeSource,
    states: MemoryStates | None = None,
    incremental: bool = True,
    destination: MemoryDestination | None = None,
) -> tuple[Result, list[Any]]:
    destination = destination or MemoryDestination()
    mode = SyncMode.incremental if incremental else SyncMode.full_refresh
    result = run(source, destination, [Selection("things", mode, Write())], states=states)
    return result, [row["id"] for row in destination.stored.get("things", ())]


def listed(url: str, *values: str, **more: Any) -> dict[str, Any]:
    router = {"type": "ListPartitionRouter", "values": list(values), "cursor_field": "n"}
    return stream(url=url, path="/things/{{ stream_slice['n'] }}", retriever={"partition_router": router}, **more)


def page(number: int) -> dict[str, Any]:
    return {"data": [{"id": number, "updated_at": f"2024-01-{number:02}T00:00:00Z"}]}


@pytest.mark.parametrize("answer", [(404, {}), (403, {"message": "private"}), (410, {}), b"<html>"])
def test_the_partitions_behind_one_that_is_gone_are_written_and_the_sync_is_not_green(
    api: Api, open_source: Open, answer: Any
) -> None:
    api.answers.update({"/things/a": page(1), "/things/b": answer, "/things/c": page(3)})
    states = MemoryStates()
    things = listed(api.url, "a", "b", "c", incremental_sync=cursor())
    result, ids = synced(open_source(things), states)
    assert sorted(ids) == [1, 3]
    assert result.status == "suspicious"
    (suspicion,) = result.streams["things"].suspicions
    assert suspicion.startswith('the partition {"n":"b"} of things could not be read: GET')
    saved = states.load("default")["things"]
    cursors = {state["partition"]["n"]: state["cursor"]["updated_at"] for state in saved["states"]}
    assert cursors == {"a": "2024-01-01T00:00:00Z", "b": "2024-01-01T00:00:00Z", "c": "2024-01-03T00:00:00Z"}
    assert "state" not in saved, "a partition that is new next time begins at the start"


def test_a_stream_whose_partitions_are_all_gone_fails(api: Api, open_source: Open) -> None:
    result, _ = synced(open_source(listed(api.url, "a", "b")), incremental=False)
    assert result.status == "failed"


def test_credentials_that_are_refused_are_not_a_matter_of_one_partition(api: Api, open_source: Open) -> None:
    api.answers.update({"/things/a": page(1), "/things/b": (401, {}), "/things/c": page(3)})
    result, _ = synced(open_source(listed(api.url, "a", "b", "c")), incremental=False)
    assert result.status == "failed"


def test_an_api_that_is_down_is_not_asked_for_every_partition(api: Api, open_source: Open) -> None:
    values = [f"{number:02}" for number in range(20)]
    api.answers.update({f"/things/{value}": (500, {}) for value in values})
    api.answers["/things/00"] = page(1)
    result, _ = synced(open_source(listed(api.url, *values)), incremental=False)
    assert result.status == "failed"
    assert len({call.path for call in api.calls}) < 12
    api.answers.update({f"/things/{value}": page(2) for value in values[2:]})
    result, ids = synced(open_source(listed(api.url, *values)), incremental=False)
    assert result.status == "suspicious"
    assert len(ids) == 19


def test_a_partition_that_the_error_handler_ignores_is_an_empty_one(api: Api, open_source: Open) -> None:
    api.answers.update({"/things/a": page(1), "/things/b": (404, {})})
    ignoring = {"type": "HttpResponseFilter", "action": "IGNORE", "http_codes": [404]}
    handler = {"type": "DefaultErrorHandler", "response_filters": [ignoring]}
    result, ids = synced(
        open_source(listed(api.url, "a", "b", requester={"error_handler": handler})), incremental=False
    )
    assert result.ok
    assert ids == [1]


def test_a_parents_partition_that_is_gone_keeps_the_children_of_the_others(api: Api, open_source: Open) -> None:
    parents = listed(api.url, "a", "b", "c", incremental_sync=cursor())
    parents["name"] = "parents"
    router = {
        "type": "SubstreamPartitionRouter",
        "parent_stream_configs": [
            {
                "type": "ParentStreamConfig",
                "stream": parents,
                "parent_key": "id",
                "partition_field": "parent",
                "incremental_dependency": True,
            }
        ],
    }
    child = stream(
        url=api.url,
        path="/parents/{{ stream_slice['parent'] }}",
        retriever={"partition_router": router},
        incremental_sync=cursor(),
    )
    api.answers.update({"/things/a": page(1), "/things/b": (404, {}), "/things/c": page(3)})
    api.answers.update({"/parents/1": page(11), "/parents/3": page(13)})
    states, destination = MemoryStates(), MemoryDestination()
    result, ids = synced(open_source(child), states, destination=destination)
    assert sorted(ids) == [11, 13]
    assert result.status == "suspicious"
    assert 'of the parents of this stream: the partition {"n":"b"}' in result.streams["things"].suspicions[0]
    parent = states.load("default")["things"]["parent_state"]["parents"]
    cursors = {state["partition"]["n"]: state["cursor"]["updated_at"] for state in parent["states"]}
    assert cursors == {"a": "2024-01-01T00:00:00Z", "b": "2024-01-01T00:00:00Z", "c": "2024-01-03T00:00:00Z"}
    api.answers["/things/b"] = page(2)
    api.answers["/parents/2"] = page(12)
    result, ids = synced(open_source(child), states, destination=destination)
    assert result.ok, result.as_dict()
    assert 12 in ids


def test_a_child_that_could_not_be_read_comes_again_although_its_parent_is_as_it_was(
    api: Api, open_source: Open
) -> None:
    changes = {**cursor(), "is_client_side_incremental": True}
    parents = {**stream(url=api.url, path="/parents", incremental_sync=changes), "name": "parents"}
    parent = {"type": "ParentStreamConfig", "stream": parents, "parent_key": "id", "partition_field": "parent"}
    router = {"type": "SubstreamPartitionRouter", "parent_stream_configs": [{**parent, "incremental_dependency": True}]}
    child = stream(
        url=api.url,
        path="/parents/{{ stream_slice['parent'] }}",
        retriever={"partition_router": router},
        incremental_sync={**cursor(), "global_substream_cursor": True},
    )
    api.answers["/parents"] = {"data": [row for number in (1, 2, 3) for row in page(number)["data"]]}
    api.answers.update({"/parents/1": page(1), "/parents/2": (404, {}), "/parents/3": page(3)})
    states, destination = MemoryStates(), MemoryDestination()
    result, ids = synced(open_source(child), states, destination=destination)
    assert (result.status, sorted(ids)) == ("suspicious", [1, 3])
    api.answers["/parents/2"] = page(2)
    result, ids = synced(open_source(child), states, destination=destination)
    assert result.ok, result.as_dict()
    assert 2 in ids
