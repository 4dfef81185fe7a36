"""Partitions: by list, by parent, in groups; their states."""

from __future__ import annotations

from typing import Any

import pytest
from loopback import Api, Open, cursor, stream, sync

from kitestring.declarative import partition_state
from kitestring.declarative import stream as streams
from kitestring.errors import ConfigError
from kitestring.types import Checkpoint, SyncMode, Write

PLACE = {"type": "RequestOption", "inject_into": "request_parameter", "field_name": "color"}


def colors(values: Any, **more: Any) -> dict[str, Any]:
    return {"type": "ListPartitionRouter", "values": values, "cursor_field": "color", **more}


def parent(url: str, **more: Any) -> dict[str, Any]:
    owners = more.pop("stream", None) or stream("owners", url=url, path="/owners", **more.pop("owner", {}))
    return {"type": "ParentStreamConfig", "stream": owners, "parent_key": "id", "partition_field": "owner", **more}


def substream(url: str, *parents: Any, **more: Any) -> dict[str, Any]:
    router = {"type": "SubstreamPartitionRouter", "parent_stream_configs": list(parents) or [parent(url)]}
    path = more.pop("path", "/owners/{{ stream_partition.owner }}/things")
    return stream(url=url, path=path, retriever={"partition_router": router, **more.pop("retriever", {})}, **more)


def owners(*ids: Any) -> dict[str, Any]:
    return {"data": [{"id": one} for one in ids]}


def test_each_value_of_a_list_has_a_request(api: Api, open_source: Open) -> None:
    api.answers["/things"] = lambda call: {"data": [{"id": call.query.get("color")}]}
    more = {
        "transformations": [
            {"type": "AddFields", "fields": [{"path": ["c"], "value": "{{ stream_partition['color'] }}"}]}
        ]
    }
    source = open_source(
        stream(url=api.url, retriever={"partition_router": colors(["red", "blue"], request_option=PLACE)}, **more)
    )
    assert sync(source).records == [{"id": "red", "c": "red"}, {"id": "blue", "c": "blue"}]


@pytest.mark.parametrize(
    ("values", "expected"), [("{{ config.list }}", ["a", "b"]), ("{{ config.one }}", ["5"]), ("{{ config.none }}", [])]
)
def test_a_list_may_come_from_the_configuration(api: Api, open_source: Open, values: str, expected: Any) -> None:
    api.answers["/things"] = {"data": []}
    source = open_source(
        stream(url=api.url, retriever={"partition_router": colors(values, request_option=PLACE)}),
        config={"list": ["a", "b"], "one": 5},
    )
    sync(source)
    assert [call.query["color"] for call in api.calls] == expected


def test_lists_multiply(api: Api, open_source: Open) -> None:
    api.answers["/things"] = {"data": []}
    sizes = {**colors([1, 2], request_option={**PLACE, "field_name": "size"}), "cursor_field": "size"}
    sync(
        open_source(
            stream(url=api.url, retriever={"partition_router": [colors(["r", "b"], request_option=PLACE), sizes]})
        )
    )
    assert [(call.query["color"], call.query["size"]) for call in api.calls] == [
        ("r", "1"),
        ("r", "2"),
        ("b", "1"),
        ("b", "2"),
    ]


def test_each_record_of_a_parent_has_a_request(api: Api, open_source: Open) -> None:
    api.answers["/owners"] = {"data": [{"id": 1, "name": "a"}, {"name": "without"}, {"id": 2, "name": "b"}]}
    api.answers["/owners/1/things"] = {"data": [{"id": "t1"}]}
    api.answers["/owners/2/things"] = {"data": [{"id": "t2"}]}
    fields = [{"path": ["name"], "value": "{{ stream_slice.extra_fields['name'] }}"}]
    child = substream(
        api.url,
        parent(api.url, extra_fields=[["name"], ["not", "there"]]),
        transformations=[{"type": "AddFields", "fields": fields}],
    )
    assert sync(open_source(child)).records == [{"id": "t1", "name": "a"}, {"id": "t2", "name": "b"}]


def test_parents_may_have_parents(api: Api, open_source: Open) -> None:
    api.answers["/orgs"] = owners("o")
    api.answers["/orgs/o/teams"] = owners("t")
    api.answers["/teams/t/things"] = lambda call: {"data": [{"id": call.query["org"]}]}
    orgs = stream("orgs", url=api.url, path="/orgs")
    teams = stream(
        "teams",
        url=api.url,
        path="/orgs/{{ stream_partition.org }}/teams",
        retriever={
            "partition_router": {
                "type": "SubstreamPartitionRouter",
                "parent_stream_configs": [parent(api.url, stream=orgs, partition_field="org")],
            }
        },
    )
    child = substream(
        api.url,
        parent(api.url, stream=teams, partition_field="team"),
        path="/teams/{{ stream_partition.team }}/things",
        requester={"request_parameters": {"org": "{{ stream_partition.parent_slice.org }}"}},
    )
    assert sync(open_source(child)).records == [{"id": "o"}]


def test_a_parent_key_may_lead_into_the_record_and_go_into_a_parameter(api: Api, open_source: Open) -> None:
    api.answers.update({"/owners": {"data": [{"a": {"id": 7}}]}, "/things": {"data": []}})
    option = {**PLACE, "field_name": "owner"}
    sync(open_source(substream(api.url, parent(api.url, parent_key="a/id", request_option=option), path="/things")))
    assert api.calls[-1].query == {"owner": "7"}


def test_the_answers_of_a_parent_are_kept_while_they_are_needed_and_no_longer(api: Api, open_source: Open) -> None:
    api.answers.update({"/owners": owners(1), "/owners/1/things": {"data": []}, "/owners/1/parts": {"data": []}})
    one = substream(api.url)
    two = {**substream(api.url, path="/owners/{{ stream_partition.owner }}/parts"), "name": "parts"}
    source = open_source(one, two)
    catalog = source.discover()
    planned = source.partitions(list(catalog), {})
    for partition in planned:
        list(source.read(partition, {}))
    assert api.paths().count("/owners") == 2
    api.calls.clear()
    first, second = (iter(source.partitions([result], {})) for result in catalog)
    next(first), next(second)
    assert api.paths() == ["/owners"]
    list(first), list(second)
    sync(source)
    assert api.paths().count("/owners") == 2


def test_a_first_page_inside_the_parent_is_not_asked_for(api: Api, open_source: Open) -> None:
    api.answers["/owners"] = {"data": [{"id": 1, "things": {"data": [{"id": "t1"}, {"id": "t2"}]}}]}
    api.answers["/owners/1/things"] = {"data": [{"id": "t3"}]}
    paginator = {
        "type": "DefaultPaginator",
        "page_token_option": {**PLACE, "field_name": "after"},
        "pagination_strategy": {
            "type": "CursorPagination",
            "cursor_value": "{{ last_record.id }}",
            "stop_condition": "{{ last_page_size < 2 }}",
        },
    }
    child = substream(api.url, parent(api.url, lazy_read_pointer=["things"]), retriever={"paginator": paginator})
    assert [record["id"] for record in sync(open_source(child)).records] == ["t1", "t2", "t3"]
    assert api.calls[-1].query == {"after": "t2"}


def test_partitions_come_in_groups(api: Api, open_source: Open) -> None:
    api.answers.update({"/owners": owners(1, 2, 2, 3), "/things": {"data": []}})
    router = {
        "type": "GroupingPartitionRouter",
        "group_size": 2,
        "underlying_partition_router": {
            "type": "SubstreamPartitionRouter",
            "parent_stream_configs": [parent(api.url, extra_fields=[["id"]])],
        },
    }
    requester = {
        "request_parameters": {
            "ids": "{{ stream_partition.owner | join(',') }}",
            "x": "{{ stream_slice.extra_fields['id'] }}",
        }
    }
    sync(open_source(stream(url=api.url, requester=requester, retriever={"partition_router": router})))
    assert [call.query["ids"] for call in api.calls[1:]] == ["1,2", "3"]


def test_routers_unite_and_each_value_comes_once(api: Api, open_source: Open) -> None:
    api.answers["/things"] = {"data": []}
    router = {
        "type": "UnionPartitionRouter",
        "partition_field": "color",
        "partition_routers": [colors(["a", "b"]), colors(["b", "c"])],
    }
    requester = {"request_parameters": {"color": "{{ stream_partition.color }}"}}
    sync(open_source(stream(url=api.url, requester=requester, retriever={"partition_router": router})))
    assert [call.query["color"] for call in api.calls] == ["a", "b", "c"]
    with pytest.raises(ConfigError, match="returns no size"):
        sync(open_source(stream(url=api.url, retriever={"partition_router": {**router, "partition_field": "size"}})))


def day(text: str, **more: Any) -> dict[str, Any]:
    return {"id": text, "updated_at": f"2024-{text}T00:00:00Z", **more}


SINCE = {"type": "RequestOption", "inject_into": "request_parameter", "field_name": "since"}


def routed(api: Api, **more: Any) -> dict[str, Any]:
    api.answers.setdefault(
        "/things", lambda call: {"data": [day("01-10" if call.query["color"] == "red" else "02-10")]}
    )
    return stream(
        url=api.url,
        incremental_sync=cursor(start_time_option=SINCE, **more),
        retriever={"partition_router": colors(["red", "blue"], request_option=PLACE)},
    )


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
    assert [one["cursor"]["updated_at"][:10] for one in result.state["states"]] == ["2024-01-10", "2024-02-10"]


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
    monkeypatch.setattr(streams, "MOST_PARTITIONS", 0)
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
    again = sync(open_source(child), state=result.state)
    assert len(again.state["states"]) == 1
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


@pytest.mark.parametrize(
    ("router", "fact"),
    [
        (colors(5.5 if False else {"a": 1}), "a list is expected"),
        (colors(None), "needs `values`"),
        ({"type": "SubstreamPartitionRouter", "parent_stream_configs": []}, "at least one parent"),
        ({"type": "GroupingPartitionRouter", "group_size": 0}, "not a positive number"),
        ({"type": "CustomPartitionRouter", "class_name": "x.Y"}, "Python class x.Y"),
    ],
)
def test_a_wrong_router_is_told_with_its_place(open_source: Open, router: Any, fact: str) -> None:
    with pytest.raises(ConfigError, match=fact) as caught:
        open_source(stream(url="http://x", retriever={"partition_router": router})).discover()
    assert "streams[0].retriever.partition_router" in str(caught.value)


def test_a_count_cannot_have_partitions(open_source: Open) -> None:
    counting = {"type": "IncrementingCountCursor", "cursor_field": "id"}
    with pytest.raises(ConfigError, match="exclude each other"):
        open_source(
            stream(url="http://x", incremental_sync=counting, retriever={"partition_router": colors(["a"])})
        ).discover()


def test_partitions_are_planned_as_they_are_taken(api: Api, open_source: Open) -> None:
    api.answers["/owners"] = lambda call: owners(int(call.query.get("page", 0)))
    strategy = {"type": "PageIncrement", "page_size": 1}
    paginator = {
        "type": "DefaultPaginator",
        "page_token_option": {**PLACE, "field_name": "page"},
        "pagination_strategy": strategy,
    }
    source = open_source(substream(api.url, parent(api.url, owner={"retriever": {"paginator": paginator}})))
    (result,) = source.discover()
    assert result.sync_modes == (SyncMode.full_refresh,)
    planned = iter(source.partitions([result], {}))
    keys = {next(planned).key for _ in range(3)}
    assert len(keys) == 3
    assert len(api.calls) <= 4


def test_a_partition_finds_its_state_without_a_look_at_all_others(
    api: Api, open_source: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    original = partition_state.partition_key
    for module in (streams, partition_state):
        monkeypatch.setattr(module, "partition_key", lambda partition: asked.append(1) or original(partition))
    api.answers["/things"] = {"data": [{"id": 1, "updated_at": "2024-01-15T00:00:00Z"}]}
    router = {"type": "ListPartitionRouter", "cursor_field": "kind", "values": [f"k{i}" for i in range(200)]}
    source = open_source(stream(url=api.url, incremental_sync=cursor(), retriever={"partition_router": router}))
    things = source.discover().get("things")
    assert things is not None
    state: dict[str, Any] = {}
    for partition in source.partitions([things], {}):
        for item in source.read(partition, {}):
            if isinstance(item, Checkpoint):
                state = source.merge("things", state, item.state)
    assert len(state["states"]) == 200
    assert len(asked) < 200 * 5


def test_a_list_that_renders_to_nothing_fails_its_stream_alone(api: Api, open_source: Open) -> None:
    api.answers["/things"] = {"data": [{"id": 1}]}
    router = {"type": "ListPartitionRouter", "cursor_field": "v", "values": "{{ config.get('absent') }}"}
    source = open_source(stream(url=api.url), stream("listed", url=api.url, retriever={"partition_router": router}))
    assert [one.name for one in source.discover()] == ["things", "listed"]
    assert sync(source).records == [{"id": 1}]
    with pytest.raises(ConfigError, match="values: is None, a list is expected"):
        sync(source, "listed")


def test_a_backfill_has_one_parent(api: Api, open_source: Open) -> None:
    two = {"type": "BackfillPartitionRouter", "parent_stream_configs": [parent(api.url), parent(api.url)]}
    source = open_source(stream(url=api.url, retriever={"partition_router": two}))
    with pytest.raises(ConfigError, match="holds 2 parent streams, one is expected"):
        sync(source)


def test_what_a_backfill_could_not_read_is_new_in_the_next_sync_too(api: Api, open_source: Open) -> None:
    api.answers["/owners"] = owners("a")
    api.answers["/things"] = lambda call: (
        refused(call) or {"data": [{"id": call.query.get("owner", "all"), "updated_at": "2024-01-05T00:00:00Z"}]}
    )
    broken = {"b"}

    def refused(call: Any) -> Any:
        return (400, {}) if call.query.get("owner") in broken else None

    option = {"type": "RequestOption", "inject_into": "request_parameter", "field_name": "owner"}
    router = {"type": "BackfillPartitionRouter", "parent_stream_configs": [parent(api.url, request_option=option)]}
    source = open_source(stream(url=api.url, retriever={"partition_router": router}, incremental_sync=cursor()))
    state = sync(source, state={}).state
    api.answers["/owners"] = owners("a", "b")
    failed = sync(source, state=state)
    assert [row["id"] for row in failed.records] == ["all"]
    broken.clear()
    whole = sync(source, state=failed.state)
    assert {row["id"] for row in whole.records} == {"all", "b"}
    assert [row["id"] for row in sync(source, state=whole.state).records] == ["all"]
