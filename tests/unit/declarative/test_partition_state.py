"""A partition that appears after the first sync is read from the start; where a state cannot tell, the sync says so."""

from __future__ import annotations

from typing import Any

import pytest
from loopback import Api, Open, cursor, stream, sync

from kitestring.declarative import stream_state
from kitestring.declarative.partition_state import refresh_partitions
from kitestring.declarative.stream_state import RUN

START = "2024-01-01T00:00:00Z"
SINCE = {"type": "RequestOption", "inject_into": "request_parameter", "field_name": "since"}
STATE = {"updated_at": "2024-02-10T00:00:00Z"}


class Repositories:
    """An API whose repositories have threads and whose threads have replies; each is listed from `since` on."""

    def __init__(self, api: Api, names: list[str]) -> None:
        self.api, self.names = api, names
        api.answers["/repositories"] = lambda call: {"data": [{"id": name} for name in self.names]}
        self.add(*names)

    def add(self, *names: str) -> None:
        self.names = list(dict.fromkeys([*self.names, *names]))
        for name in names:
            rows = [{"id": f"{name}-{n}", "updated_at": f"2024-0{n}-10T00:00:00Z"} for n in (1, 2)]
            self.api.answers[f"/{name}/threads"] = self._since(rows)
            for row in rows:
                self.api.answers[f"/{name}/{row['id']}/replies"] = self._since([{**row, "id": f"{row['id']}-reply"}])

    def _since(self, rows: list[dict[str, str]]) -> Any:
        return lambda call: {"data": [row for row in rows if row["updated_at"] >= call.query.get("since", "")]}

    def since_by_path(self) -> dict[str, str]:
        """Where each path was asked from, and an empty journal after it."""
        calls = {call.path: call.query["since"][:10] for call in self.api.calls if "since" in call.query}
        self.api.calls.clear()
        return calls


def parents(of: dict[str, Any], field: str, **more: Any) -> dict[str, Any]:
    parent = {"type": "ParentStreamConfig", "stream": of, "parent_key": "id", "partition_field": field, **more}
    return {"partition_router": {"type": "SubstreamPartitionRouter", "parent_stream_configs": [parent]}}


def threads(api: Api, **more: Any) -> dict[str, Any]:
    repositories = stream("repositories", url=api.url, path="/repositories")
    return stream(
        "threads",
        url=api.url,
        path="/{{ stream_partition.repository }}/threads",
        incremental_sync=cursor(start_time_option=SINCE, **more),
        retriever=parents(repositories, "repository"),
    )


def replies(api: Api, depends: bool = False, **more: Any) -> dict[str, Any]:
    return stream(
        "replies",
        url=api.url,
        path="/{{ stream_partition.parent_slice.repository }}/{{ stream_partition.thread }}/replies",
        incremental_sync=cursor(start_time_option=SINCE, global_substream_cursor=True, **more),
        retriever=parents(threads(api), "thread", incremental_dependency=depends),
    )


def listed(api: Api, *names: str, **more: Any) -> dict[str, Any]:
    return stream(
        "threads",
        url=api.url,
        path="/{{ stream_partition.repository }}/threads",
        incremental_sync=cursor(start_time_option=SINCE, **more),
        retriever={
            "partition_router": {"type": "ListPartitionRouter", "values": list(names), "cursor_field": "repository"}
        },
    )


@pytest.fixture
def repositories(api: Api) -> Repositories:
    return Repositories(api, ["a", "b"])


def test_a_partition_that_is_added_later_is_read_from_the_start(
    api: Api, open_source: Open, repositories: Repositories
) -> None:
    first = sync(open_source(threads(api)), "threads")
    repositories.since_by_path()
    repositories.add("c")
    second = sync(open_source(threads(api)), "threads", first.state)
    assert repositories.since_by_path() == {
        "/a/threads": "2024-02-10",
        "/b/threads": "2024-02-10",
        "/c/threads": "2024-01-01",
    }
    assert {row["id"] for row in second.records if row["id"].startswith("c")} == {"c-1", "c-2"}
    sync(open_source(threads(api)), "threads", second.state)
    assert set(repositories.since_by_path().values()) == {"2024-02-10"}


def test_a_sync_that_ends_early_reads_the_new_partition_from_the_start_the_next_time(
    api: Api, open_source: Open, repositories: Repositories
) -> None:
    first = sync(open_source(threads(api)), "threads")
    repositories.add("c")
    half = sync(open_source(threads(api)), "threads", first.state).states[1]  # a and b are read, c is not
    repositories.since_by_path()
    sync(open_source(threads(api)), "threads", half)
    assert repositories.since_by_path()["/c/threads"] == "2024-01-01"


def test_partitions_of_a_state_with_one_cursor_are_not_new_whenever_the_sync_ends(
    api: Api, open_source: Open, repositories: Repositories
) -> None:
    half = sync(open_source(threads(api)), "threads", STATE).states[0]
    assert len(half["states"]) == 1
    repositories.since_by_path()
    third = sync(open_source(threads(api)), "threads", {**half, RUN: {**half[RUN], "began": 1.0}}).states[-1]
    assert repositories.since_by_path()["/b/threads"] == "2024-02-10"
    assert len(third["states"]) == 2


@pytest.mark.parametrize("depends", [False, True])
def test_children_of_a_new_parent_partition_are_read_from_the_start_with_one_cursor(
    api: Api, open_source: Open, repositories: Repositories, depends: bool
) -> None:
    first = sync(open_source(replies(api, depends)), "replies")
    assert first.state["use_global_cursor"] is True
    repositories.since_by_path()
    repositories.add("c")
    second = sync(open_source(replies(api, depends)), "replies", first.state)
    requests = repositories.since_by_path()
    assert {requests["/c/c-1/replies"], requests["/c/c-2/replies"]} == {"2024-01-01"}
    assert requests["/a/a-2/replies"] == "2024-02-09"  # a second of lookback
    assert second.suspicions == []
    sync(open_source(replies(api, depends)), "replies", second.state)
    assert repositories.since_by_path()["/c/c-2/replies"] == "2024-02-09"


def test_the_parents_in_the_state_of_an_earlier_version_are_those_that_the_parents_own_state_lists(
    api: Api, open_source: Open, repositories: Repositories
) -> None:
    entries = [{"partition": {"repository": name}, "cursor": STATE} for name in ("a", "b")]
    older = {
        "use_global_cursor": True,
        "state": STATE,
        "lookback_window": 1,
        "parent_state": {"threads": {"use_global_cursor": False, "states": entries, "state": STATE}},
    }
    repositories.add("c")
    sync(open_source(replies(api, depends=True)), "replies", older)
    requests = {path: since for path, since in repositories.since_by_path().items() if path.endswith("replies")}
    assert requests == {
        "/a/a-2/replies": "2024-02-09",
        "/b/b-2/replies": "2024-02-09",
        "/c/c-1/replies": "2024-01-01",
        "/c/c-2/replies": "2024-01-01",
    }


def test_a_sync_that_ends_early_reads_the_children_of_a_new_parent_from_the_start_the_next_time(
    api: Api, open_source: Open, repositories: Repositories
) -> None:
    first = sync(open_source(replies(api)), "replies")
    repositories.add("c")
    half = sync(open_source(replies(api)), "replies", first.state).states[-1]
    repositories.since_by_path()
    sync(open_source(replies(api)), "replies", half)
    assert repositories.since_by_path()["/c/c-1/replies"] == "2024-01-01"


def test_parents_are_known_after_a_state_has_become_too_long(
    api: Api, open_source: Open, repositories: Repositories, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_partition = replies(api)
    by_partition["incremental_sync"].pop("global_substream_cursor")
    first = sync(open_source(by_partition), "replies")
    assert len(first.state["states"]) == 4
    monkeypatch.setattr(stream_state, "MOST_PARTITIONS", 3)
    second = sync(open_source(by_partition), "replies", first.state)
    assert second.state["use_global_cursor"] is True
    repositories.since_by_path()
    repositories.add("c")
    sync(open_source(by_partition), "replies", second.state)
    requests = repositories.since_by_path()
    assert (requests["/c/c-1/replies"], requests["/a/a-2/replies"]) == ("2024-01-01", "2024-02-09")


def test_a_sync_that_ends_when_a_state_has_just_become_too_long_reads_the_rest_of_a_new_parent_from_the_start(
    api: Api, open_source: Open, repositories: Repositories, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_partition = replies(api)
    by_partition["incremental_sync"].pop("global_substream_cursor")
    first = sync(open_source(by_partition), "replies")
    monkeypatch.setattr(stream_state, "MOST_PARTITIONS", 4)
    repositories.add("c")
    rows = [{"id": f"c-{n}", "updated_at": "2024-01-10T00:00:00Z"} for n in (1, 2, 3)]
    api.answers["/c/threads"] = {"data": rows}
    api.answers["/c/c-3/replies"] = {"data": []}
    states = sync(open_source(by_partition), "replies", first.state).states
    half = next(state for state in states if state["use_global_cursor"])  # c-2 is read, and c-3 is not
    repositories.since_by_path()
    sync(open_source(by_partition), "replies", half)
    assert repositories.since_by_path()["/c/c-3/replies"] == "2024-01-01"


def test_a_sync_that_ends_when_a_state_has_just_become_too_long_says_what_may_be_missing(
    api: Api, open_source: Open, repositories: Repositories, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = sync(open_source(listed(api, "a", "b")), "threads")
    monkeypatch.setattr(stream_state, "MOST_PARTITIONS", 2)
    names = ["a", "b", "c", "d", "e"]
    repositories.add(*names)
    states = sync(open_source(listed(api, *names)), "threads", first.state).states
    half = next(state for state in states if state["use_global_cursor"])  # d is read, and e is not
    (reason,) = sync(open_source(listed(api, *names)), "threads", half).suspicions
    assert "older records are missing" in reason


def test_where_one_cursor_cannot_tell_the_sync_says_that_partitions_changed(
    api: Api, open_source: Open, repositories: Repositories
) -> None:
    first = sync(open_source(listed(api, "a", "b", global_substream_cursor=True)), "threads")
    second = sync(open_source(listed(api, "b", "a", global_substream_cursor=True)), "threads", first.state)
    assert second.suspicions == []
    repositories.add("c")
    later = sync(open_source(listed(api, "a", "b", "c", global_substream_cursor=True)), "threads", second.state)
    (suspicion,) = later.suspicions
    assert "2 then, 3 now" in suspicion
    assert "kitestring state refresh CONNECTION threads --partition NAME=VALUE" in suspicion
    last = sync(open_source(listed(api, "a", "b", "c", global_substream_cursor=True)), "threads", later.state)
    assert last.suspicions == []


@pytest.mark.parametrize("whole", [False, True])
def test_a_partition_that_is_asked_for_is_read_from_the_start_once(
    api: Api, open_source: Open, repositories: Repositories, whole: bool
) -> None:
    def source() -> Any:
        return open_source(listed(api, "a", "b", global_substream_cursor=whole))

    state = sync(source(), "threads").state
    entries = [entry for entry in state.get("states", ()) if entry["partition"] != {"repository": "a"}]
    state["states"] = [*entries, {"partition": {"repository": "a"}, "cursor": {}}]
    repositories.since_by_path()
    half = sync(source(), "threads", state).states[0]
    assert repositories.since_by_path()["/a/threads"] == "2024-01-01"
    if whole:  # the general cursor moves when all is read: so does what was asked for
        sync(source(), "threads", half)
        assert repositories.since_by_path()["/a/threads"] == "2024-01-01"
    state = sync(source(), "threads", state).state
    repositories.since_by_path()
    sync(source(), "threads", state)
    assert repositories.since_by_path()["/a/threads"] in ("2024-02-09", "2024-02-10")


def test_partitions_of_an_older_state_are_known_although_their_numbers_became_texts(
    api: Api, open_source: Open
) -> None:
    for number in (7, 8):
        api.answers[f"/{number}/threads"] = {"data": []}
    api.answers["/repositories"] = {"data": [{"id": 7}, {"id": 8}]}
    source = open_source({**threads(api), "state_migrations": [{"type": "LegacyToPerPartitionStateMigration"}]})
    sync(source, "threads", {"7": STATE})
    since_values = {call.path: call.query["since"][:10] for call in api.calls if "since" in call.query}
    assert since_values == {"/7/threads": "2024-02-10", "/8/threads": "2024-01-01"}


def test_a_refreshed_parent_has_its_children_read_from_the_start(
    api: Api, open_source: Open, repositories: Repositories
) -> None:
    first = sync(open_source(replies(api, depends=True)), "replies")
    state, partitions = refresh_partitions(first.state, {"repository": "a"})
    assert partitions == [{"repository": "a", "parent_slice": {}}]
    repositories.since_by_path()
    sync(open_source(replies(api, depends=True)), "replies", state)
    requests = repositories.since_by_path()
    assert {requests["/a/threads"], requests["/a/a-1/replies"], requests["/a/a-2/replies"]} == {"2024-01-01"}
    assert requests["/b/threads"] == "2024-02-10"


def test_a_refreshed_partition_that_one_cursor_does_not_list_is_read_from_the_start(
    api: Api, open_source: Open, repositories: Repositories
) -> None:
    source = open_source(listed(api, "a", "b", global_substream_cursor=True))
    state, _ = refresh_partitions(sync(source, "threads").state, {"repository": "b"})
    repositories.since_by_path()
    sync(source, "threads", state)
    assert repositories.since_by_path() == {"/a/threads": "2024-02-09", "/b/threads": "2024-01-01"}


def test_more_parents_than_a_state_can_list_are_told_and_a_change_of_partitions_is_noticed(
    api: Api,
    open_source: Open,
    repositories: Repositories,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(stream_state, "MOST_PARTITIONS", 1)
    first = sync(open_source(replies(api)), "replies")
    assert "cannot list more than 1 partitions of its parent" in caplog.text
    assert "kitestring_parents" not in first.state
    assert sync(open_source(replies(api)), "replies", first.state).suspicions == []
    repositories.add("c")
    (suspicion,) = sync(open_source(replies(api)), "replies", first.state).suspicions
    assert "4 then, 6 now" in suspicion
