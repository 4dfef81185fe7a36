"""A partition that somebody wants to be read from the start stays wanted until it was read."""

from __future__ import annotations

from typing import Any

import pytest
from loopback import Api, Open, sync
from test_partition_router import cursor, owners, parent
from test_partition_router import stream as routed
from test_partition_state import Repositories, listed, replies

from kitestring.declarative.partition_state import refresh_partitions


@pytest.fixture
def repositories(api: Api) -> Repositories:
    return Repositories(api, ["a", "b"])


def broken_once(api: Api, path: str) -> None:
    """The next call of a path is refused."""
    answer = api.answers[path]

    def refused(call: Any) -> Any:
        api.answers[path] = answer
        return 400, {}

    api.answers[path] = refused


@pytest.mark.parametrize("whole", [False, True])
def test_it_stays_wanted_when_it_could_not_be_read(
    api: Api, open_source: Open, repositories: Repositories, whole: bool
) -> None:
    source = open_source(listed(api, "a", "b", global_substream_cursor=whole))
    state, _ = refresh_partitions(sync(source, "threads").state, {"repository": "b"})
    broken_once(api, "/b/threads")
    failed = sync(source, "threads", state)
    repositories.since_by_path()
    done = sync(source, "threads", failed.state)
    assert repositories.since_by_path()["/b/threads"] == "2024-01-01"
    sync(source, "threads", done.state)
    assert repositories.since_by_path()["/b/threads"] > "2024-01-01"


def test_a_backfill_that_is_wanted_again_stays_wanted_when_it_could_not_be_read(api: Api, open_source: Open) -> None:
    api.answers["/owners"] = owners("a", "b")
    broken: set[str] = set()
    api.answers["/things"] = lambda call: (
        (400, {})
        if call.query.get("owner") in broken
        else {"data": [{"id": call.query.get("owner", "all"), "updated_at": "2024-01-05T00:00:00Z"}]}
    )
    option = {"type": "RequestOption", "inject_into": "request_parameter", "field_name": "owner"}
    router = {"type": "BackfillPartitionRouter", "parent_stream_configs": [parent(api.url, request_option=option)]}
    source = open_source(routed(url=api.url, retriever={"partition_router": router}, incremental_sync=cursor()))
    first = sync(source, state={})
    state, partitions = refresh_partitions(first.state, {"owner": "b"})
    assert partitions
    broken.add("b")
    failed = sync(source, state=state)
    assert [row["id"] for row in failed.records] == ["all"]
    broken.clear()
    whole = sync(source, state=failed.state)
    assert [row["id"] for row in whole.records] == ["all", "b"]
    assert [row["id"] for row in sync(source, state=whole.state).records] == ["all"]


def test_a_child_is_wanted_by_its_own_value_below_a_parent(
    api: Api, open_source: Open, repositories: Repositories
) -> None:
    source = open_source(replies(api))
    state, _ = refresh_partitions(sync(source, "replies").state, {"thread": "a-1"})
    repositories.since_by_path()
    sync(source, "replies", state)
    requests = repositories.since_by_path()
    assert requests["/a/a-1/replies"] == "2024-01-01"
    assert requests["/a/a-2/replies"] == "2024-02-09"


def test_a_partition_that_the_stream_does_not_have_is_told(
    api: Api, open_source: Open, repositories: Repositories
) -> None:
    source = open_source(listed(api, "a", "b", global_substream_cursor=True))
    state, _ = refresh_partitions(sync(source, "threads").state, {"repositry": "b"})
    assert ["repositry" in reason for reason in sync(source, "threads", state).suspicions] == [True]
