"""Groups of streams that are read one at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from kitestring.declarative.keyword import Node, keyword


@keyword("BlockSimultaneousSyncsAction")
class BlockSimultaneousSyncsAction:
    """Only one stream of the group is read at a time: the action of a `StreamGroup`."""

    def __init__(self, node: Node, **_: Any) -> None: ...


@keyword("StreamGroup")
class StreamGroup:
    """Streams that share a resource with a single user, such as a session or a report queue."""

    def __init__(self, node: Node, **_: Any) -> None:
        node.needed_child("action", "BlockSimultaneousSyncsAction")
        streams = node.items("streams")
        if not all(isinstance(stream, Mapping) and stream.get("name") for stream in streams):
            raise node.error("a list of references to streams is expected", "streams")
        self.names = frozenset(str(stream["name"]) for stream in streams)
        self._reading = ""
        self._readers = 0
        self._changed = threading.Condition()

    @contextmanager
    def exclusive(self, name: str) -> Iterator[None]:
        """Wait until no other stream of the group is being read. Partitions of one stream may run together."""
        with self._changed:
            self._changed.wait_for(lambda: not self._readers or self._reading == name)
            self._reading = name
            self._readers += 1
        try:
            yield
        finally:
            with self._changed:
                self._readers -= 1
                self._changed.notify_all()


def groups(root: Node) -> list[StreamGroup]:
    """The groups of a manifest."""
    groups_ = root.mapping("stream_groups")
    return [root.typed(values, f"stream_groups.{name}", "StreamGroup").build() for name, values in groups_.items()]
