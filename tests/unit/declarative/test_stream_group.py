"""Streams of one group are not read at the same time."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from loopback import Api, Call, Open, stream

from kitestring.destination import Destination
from kitestring.engine import Selection
from kitestring.engine import sync as engine_sync
from kitestring.errors import ConfigError


class Discard(Destination):
    def write(self, stream: Any, batch: Any) -> None:
        return None


def overlapping(api: Api, open_source: Open, **more: Any) -> set[frozenset[str]]:
    """Which streams were asked for at the same time in a sync of two."""
    under_way: list[str] = []
    seen: set[frozenset[str]] = set()
    lock = threading.Lock()

    def slow(call: Call) -> Any:
        with lock:
            under_way.append(call.path)
            seen.add(frozenset(under_way))
        time.sleep(0.05)
        with lock:
            under_way.remove(call.path)
        return {"data": [{"id": call.query["part"]}]}

    parts = {
        "type": "ListPartitionRouter",
        "values": ["1", "2", "3"],
        "cursor_field": "part",
        "request_option": {"type": "RequestOption", "inject_into": "request_parameter", "field_name": "part"},
    }
    api.answers = {"/a": slow, "/b": slow}
    streams = [stream(name, api.url, f"/{name}", retriever={"partition_router": parts}) for name in "ab"]
    level = {"type": "ConcurrencyLevel", "default_concurrency": 4}
    source = open_source(
        *streams, concurrency_level=level, **({"stream_groups": more["groups"](streams)} if more else {})
    )
    result = engine_sync(source, Discard(), [Selection(name, write_mode="append") for name in "ab"])
    assert result.ok, result.as_dict()
    assert result.total("read") == 6
    return seen


def group(streams: list[dict[str, Any]]) -> dict[str, Any]:
    return {"session": {"streams": streams, "action": {"type": "BlockSimultaneousSyncsAction"}}}


def test_streams_of_a_group_take_turns_and_partitions_of_one_do_not(api: Api, open_source: Open) -> None:
    seen = overlapping(api, open_source, groups=group)
    assert frozenset({"/a", "/b"}) not in seen
    assert seen == {frozenset({"/a"}), frozenset({"/b"})}


def test_without_a_group_streams_are_read_together(api: Api, open_source: Open) -> None:
    assert frozenset({"/a", "/b"}) in overlapping(api, open_source)


def test_a_group_needs_references_to_streams(api: Api, open_source: Open) -> None:
    with pytest.raises(ConfigError, match=r"stream_groups\.session\.streams: a list of references"):
        open_source(stream(url=api.url), stream_groups={"session": {**group([])["session"], "streams": ["things"]}})
