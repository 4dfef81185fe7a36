"""States of partitions: a cursor for each, one for all, and states of other kinds."""

from __future__ import annotations

from typing import Any

import pytest
from loopback import Api, Open, cursor, stream, sync
from partitions import PLACE, SINCE, colors, day, owners, parent, routed, substream

from kitestring.declarative import stream_state
from kitestring.errors import ConfigError
from kitestring.types import Write


def test_each_partition_has_a_cursor_of_its_own(api: Api, open_source: Open) -> None:
    result = sync(open_source(routed(api)))
    length = result.state.pop("lookback_window")
    assert length >= 1
    assert result.state == {
        "use_global_cursor": False,
        "states": [
            {"partition": {"color": "red"}, "cursor": {"updated_at": "2024-01-10T00:00:00Z"}},
            {"partition": {"color": "blue"}, "cursor": {"updated_at": "2024-02-10T00:00:00Z"}},
        ],
        "state": {"updated_at": "2024-02-10T00:00:00Z"},
    }


def test_saved_partitions_go_on_and_new_ones_begin_at_the_start(api: Api, open_source: Open) -> None:
    saved = {
        "use_global_cursor": False,
        "states": [{"partition": {"color": "red"}, "cursor": {"updated_at": "2024-01-05T00:00:00Z"}}],
        "state": {"updated_at": "2024-02-01T00:00:00Z"},
        "lookback_window": 3600,
    }
    result = sync(open_source(routed(api)), state=saved)
    assert [call.query["since"] for call in api.calls] == ["2024-01-05T00:00:00Z", "2024-01-01T00:00:00Z"]
    assert [state["cursor"]["updated_at"][:10] for state in result.state["states"]] == ["2024-01-10", "2024-02-10"]


def test_a_state_without_partitions_is_the_common_cursor(api: Api, open_source: Open) -> None:
    result = sync(open_source(routed(api)), state={"updated_at": "2024-01-20T00:00:00Z"})
    assert {call.query["since"] for call in api.calls} == {"2024-01-20T00:00:00Z"}
    assert result.state["state"] == {"updated_at": "2024-02-10T00:00:00Z"}
    assert result.state["states"][0]["cursor"] == {"updated_at": "2024-01-20T00:00:00Z"}


def test_while_the_sync_runs_a_state_goes_on_where_it_stopped(api: Api, open_source: Open) -> None:
    half = sync(open_source(routed(api))).states[0]
    api.calls.clear()
    api.answers["/things"] = {"data": []}
    result = sync(open_source(routed(api)), state=half)
    assert api.calls[0].query["since"] == "2024-03-01T00:00:00Z" or api.calls[0].query["color"] == "blue"
    assert result.state["states"][0]["cursor"] == {"updated_at": "2024-01-10T00:00:00Z"}


def test_a_cursor_for_the_whole_stream_keeps_no_partitions(api: Api, open_source: Open) -> None:
    result = sync(open_source(routed(api, global_substream_cursor=True)))
    assert "states" not in result.state
    assert (result.state["use_global_cursor"], result.state["state"]) == (True, {"updated_at": "2024-02-10T00:00:00Z"})
    api.calls.clear()
    sync(open_source(routed(api, global_substream_cursor=True)), state={**result.state, "lookback_window": 60})
    assert {call.query["since"] for call in api.calls} == {"2024-02-09T23:59:00Z"}


def test_too_many_partitions_fall_back_to_one_cursor(
    api: Api, open_source: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_state, "MOST_PARTITIONS", 0)
    result = sync(open_source(routed(api)))
    assert result.state["use_global_cursor"] is True
    assert result.state["state"] == {"updated_at": "2024-02-10T00:00:00Z"}
    assert "states" not in result.state


def test_without_records_the_common_cursor_stays(api: Api, open_source: Open) -> None:
    api.answers["/things"] = {"data": []}
    saved = {
        "use_global_cursor": False,
        "states": [],
        "state": {"updated_at": "2024-02-01T00:00:00Z"},
        "lookback_window": 5,
    }
    result = sync(open_source(routed(api)), state=saved)
    assert result.state["state"] == saved["state"]
    assert result.state["lookback_window"] == 5


def test_a_repeated_partition_is_read_once(api: Api, open_source: Open) -> None:
    api.answers["/things"] = {"data": []}
    sync(
        open_source(
            stream(
                url=api.url,
                incremental_sync=cursor(),
                retriever={"partition_router": colors(["a", "a"], request_option=PLACE)},
            )
        )
    )
    assert len(api.calls) == 1


def dependent(api: Api) -> dict[str, Any]:
    owner = {"incremental_sync": cursor(start_time_option=SINCE)}
    return substream(api.url, parent(api.url, incremental_dependency=True, owner=owner), incremental_sync=cursor())


def test_only_parents_that_changed_are_read(api: Api, open_source: Open) -> None:
    api.answers["/owners"] = {"data": [day("01-10"), day("02-01")]}
    api.answers["/owners/01-10/things"] = {"data": [day("01-11")]}
    api.answers["/owners/02-01/things"] = {"data": [day("02-02")]}
    result = sync(open_source(dependent(api)))
    assert result.state["parent_state"] == {"owners": {"updated_at": "2024-02-01T00:00:00Z"}}
    assert result.state["states"][0]["partition"] == {"owner": "01-10", "parent_slice": {}}
    api.calls.clear()
    api.answers["/owners"] = {"data": [day("02-05")]}
    api.answers["/owners/02-05/things"] = {"data": [day("02-06")]}
    result = sync(open_source(dependent(api)), state=result.state)
    assert api.calls[0].query == {"since": "2024-02-01T00:00:00Z"}
    assert result.state["parent_state"] == {"owners": {"updated_at": "2024-02-05T00:00:00Z"}}
    assert len(result.state["states"]) == 3


@pytest.mark.parametrize(
    ("saved", "since"),
    [
        ({"updated_at": "2024-02-03T00:00:00Z"}, "2024-02-03T00:00:00Z"),
        ({"state": {"updated_at": "2024-02-04T00:00:00Z"}, "states": []}, "2024-02-04T00:00:00Z"),
    ],
)
def test_an_older_state_begins_the_parent_too(api: Api, open_source: Open, saved: Any, since: str) -> None:
    api.answers["/owners"] = {"data": []}
    result = sync(open_source(dependent(api)), state=saved)
    assert api.calls[0].query == {"since": since}
    assert result.state["parent_state"] == {"owners": {"updated_at": since}}


def test_a_state_without_partitions_becomes_that_of_one(api: Api, open_source: Open) -> None:
    api.answers.update(
        {"/owners": owners("a", "b"), "/owners/a/things": {"data": []}, "/owners/b/things": {"data": []}}
    )
    migration = {"type": "PartitionFromWholeStateMigration", "partition": {"owner": "{{ config.own }}"}}
    child = substream(api.url, incremental_sync=cursor(), state_migrations=[migration])
    result = sync(open_source(child, config={"own": "a"}), state={"updated_at": "2024-02-01T00:00:00Z"})
    states = {entry["partition"]["owner"]: entry["cursor"]["updated_at"] for entry in result.state["states"]}
    assert states["a"] == "2024-02-01T00:00:00Z" > states["b"]
    for wrong in ({"type": "PartitionFromWholeStateMigration"}, {**migration, "partition": {}}):
        with pytest.raises(ConfigError):
            open_source(substream(api.url, incremental_sync=cursor(), state_migrations=[wrong])).discover()
    with pytest.raises(ConfigError, match="partition router and a cursor"):
        open_source(stream(url="http://x", state_migrations=[migration])).discover()


def test_what_a_stream_without_partitions_has_appended_is_not_appended_again(api: Api, open_source: Open) -> None:
    row = {"id": 1, "updated_at": "2024-02-01T00:00:00Z"}
    api.answers.update({"/things": {"data": [row]}, "/b": {"data": [{**row, "id": 2}]}})
    append = Write(keep="all")
    whole = sync(open_source(stream(url=api.url, incremental_sync=cursor())), state={}, write=append)
    assert [record["id"] for record in whole.records] == [1]
    values = {"type": "ListPartitionRouter", "cursor_field": "place", "values": ["things", "b"]}
    migration = {"type": "PartitionFromWholeStateMigration", "partition": {"place": "things"}}
    split = stream(
        url=api.url,
        path="/{{ stream_partition.place }}",
        retriever={"partition_router": values},
        incremental_sync=cursor(),
        state_migrations=[migration],
    )
    result = sync(open_source(split), state=whole.state, write=append)
    assert [record["id"] for record in result.records] == [2]
    assert sync(open_source(split), state=result.state, write=append).records == []


def test_an_old_state_by_parent_is_migrated(api: Api, open_source: Open) -> None:
    api.answers.update({"/owners": owners("a"), "/owners/a/things": {"data": []}})
    child = substream(
        api.url, incremental_sync=cursor(), state_migrations=[{"type": "LegacyToPerPartitionStateMigration"}]
    )
    result = sync(open_source(child), state={"a": {"updated_at": "2024-02-01T00:00:00Z"}})
    assert result.state["states"] == [
        {"partition": {"owner": "a"}, "cursor": {"updated_at": "2024-02-01T00:00:00Z"}}
    ] or result.state["states"][0]["cursor"] == {"updated_at": "2024-02-01T00:00:00Z"}
    second = sync(open_source(child), state=result.state)
    assert len(second.state["states"]) == 1
    with pytest.raises(ConfigError, match="partition router and a cursor"):
        open_source(
            stream(url="http://x", state_migrations=[{"type": "LegacyToPerPartitionStateMigration"}])
        ).discover()


def test_a_stream_may_read_everything_first_and_changes_later(api: Api, open_source: Open) -> None:
    def part(path: str) -> dict[str, Any]:
        return stream("things", url=api.url, path=path, incremental_sync=cursor(start_time_option=SINCE))

    delegating = {
        "type": "StateDelegatingStream",
        "name": "things",
        "full_refresh_stream": part("/all"),
        "incremental_stream": part("/changes"),
    }
    api.answers.update({"/all": {"data": [day("01-10")]}, "/changes": {"data": [day("02-10")]}})
    first = sync(open_source(delegating))
    assert (api.paths(), first.state) == (["/all"], {"updated_at": "2024-01-10T00:00:00Z"})
    second = sync(open_source(delegating), state=first.state)
    assert (api.paths(), second.state) == (["/all", "/changes"], {"updated_at": "2024-02-10T00:00:00Z"})
    old = {**delegating, "api_retention_period": "P30D"}
    sync(open_source(old), state=second.state)
    assert api.paths()[-1] == "/all"
    child = substream(api.url, parent(api.url, stream=delegating), path="/things")
    api.answers["/things"] = {"data": []}
    sync(open_source({**child, "name": "child"}), "child")
    assert api.paths()[-2:] == ["/all", "/things"]
    for wrong, fact in (
        ({"name": "other"}, "have the names things and things"),
        ({"api_retention_period": "x"}, "ISO 8601"),
    ):
        with pytest.raises(ConfigError, match=fact):
            open_source({**delegating, **wrong}).discover()
