"""`BackfillPartitionRouter`: one partition for all parent records, and one for each new parent record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from kitestring import json_codec
from kitestring.declarative.keyword import Node, keyword
from kitestring.declarative.partition_router import ParentStreamConfig, RoutingContext
from kitestring.declarative.partition_state import LISTED, refresh_entries
from kitestring.declarative.request_option import Options
from kitestring.declarative.slice import Slice


@keyword("BackfillPartitionRouter")
class BackfillPartitionRouter:
    """One partition with an empty text for all records of a parent stream, and one for each record that the last sync
    did not list. One request reads the changes of all of them, and the history of a later record is read once.

    The list is kept as the parent's state after a complete sync, so a record that could not be read stays new. Without
    a list (first sync, or the state of a stream that had no partitions) no record is new. A partition in the state
    without a cursor value is to be read from the start.
    """

    saves_parents = True
    grows = False
    remembers = True

    def __init__(self, node: Node, **_: Any) -> None:
        parents: list[ParentStreamConfig] = node.children("parent_stream_configs", "ParentStreamConfig")
        if len(parents) != 1:
            raise node.error(f"holds {len(parents)} parent streams, one is expected", "parent_stream_configs")
        self.parent = parents[0]

    def slices(self, routing: RoutingContext) -> Iterable[Slice]:
        name = self.parent.name
        # The list is read first: a record that appears meanwhile is new in the next sync.
        values = [part[name] for part in self.parent.slices(RoutingContext(doubts=routing.doubts))]
        parent_state = (routing.state.get("parent_state") or {}).get(self.parent.stream.name)
        routing.parent_states[self.parent.stream.name] = {LISTED: values}
        yield Slice({name: ""})
        listed_before = parent_state.get(LISTED) if isinstance(parent_state, Mapping) else None
        listed = {json_codec.dumps_text(value) for value in (values if listed_before is None else listed_before)}
        entries = refresh_entries(routing.state.get("states") or ())
        refreshed = {json_codec.dumps_text(entry["partition"].get(name)) for entry in entries}
        for value in values:
            text = json_codec.dumps_text(value)
            if text not in listed or text in refreshed:
                yield Slice({name: value})

    def fill(self, options: Options, part: Slice) -> None:
        value = part.get(self.parent.name)
        if self.parent.option is not None and value:
            self.parent.option.inject(options, value)
