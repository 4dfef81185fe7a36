"""State migrations: convert a state of another form before a stream continues from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kitestring.declarative.keyword import Node, keyword


@keyword("LegacyToPerPartitionStateMigration")
class LegacyToPerPartitionStateMigration:
    """Converts a state `{parent key: {cursor field: value}}` into one with partitions."""

    def __init__(self, node: Node, stream: Any = None, **_: Any) -> None:
        if stream is None or stream.cursor is None or not stream.routed:
            raise node.error("needs a stream with a partition router and a cursor")
        self._stream = stream
        router = stream.router
        parents = getattr(router, "parents", None)
        self._field = parents[0].name if parents and len(parents) == 1 else getattr(router, "_name", "")

    def migrate(self, state: dict[str, Any]) -> dict[str, Any]:
        cursor = self._stream.cursor.field
        old = state and all(isinstance(v, dict) and list(v) == [cursor] for v in state.values())
        if not old or "states" in state or not isinstance(self._field, str) or not self._field:
            return state
        return {"states": [{"partition": {self._field: key}, "cursor": value} for key, value in state.items()]}


@keyword("PartitionFromWholeStateMigration")
class PartitionFromWholeStateMigration:
    """Converts a state without partitions into the state of one partition, for a stream that got partitions later."""

    def __init__(self, node: Node, stream: Any = None, **_: Any) -> None:
        if stream is None or stream.cursor is None or not stream.routed:
            raise node.error("needs a stream with a partition router and a cursor")
        self._stream = stream
        values = node.need("partition")
        if not isinstance(values, Mapping) or not values:
            raise node.error("is not an object with the name and the value of a partition", "partition")
        self.partition = {str(name): node.template(value)({}) for name, value in values.items()}

    def migrate(self, state: dict[str, Any]) -> dict[str, Any]:
        running = "state_type" in state
        if "states" in state or "state" in state or not (running or state.get(self._stream.cursor.field) is not None):
            return state
        cursor = dict(state) if running else self._stream.states.general(state)
        entry = {"partition": dict(self.partition), "cursor": cursor}
        return {"use_global_cursor": False, "states": [entry]}
