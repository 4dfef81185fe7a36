"""Partitions: by list, by parent, in groups; their states."""

from __future__ import annotations

from typing import Any

import pytest
from loopback import Api, Open, cursor, stream, sync
from partitions import PLACE, colors, owners, parent, substream

from kitestring.declarative import partition_state, stream_state
from kitestring.declarative import stream as streams
from kitestring.errors import ConfigError
from kitestring.types import Checkpoint, SyncMode


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
    single_substream = substream(api.url)
    two = {**substream(api.url, path="/owners/{{ stream_partition.owner }}/parts"), "name": "parts"}
    source = open_source(single_substream, two)
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
    requests: list[Any] = []
    original = partition_state.partition_key
    for module in (streams, stream_state, partition_state):
        monkeypatch.setattr(module, "partition_key", lambda partition: requests.append(1) or original(partition))
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
    assert len(requests) < 200 * 5


def test_a_list_that_renders_to_nothing_fails_its_stream_alone(api: Api, open_source: Open) -> None:
    api.answers["/things"] = {"data": [{"id": 1}]}
    router = {"type": "ListPartitionRouter", "cursor_field": "v", "values": "{{ config.get('absent') }}"}
    source = open_source(stream(url=api.url), stream("listed", url=api.url, retriever={"partition_router": router}))
    assert [single_stream.name for single_stream in source.discover()] == ["things", "listed"]
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
