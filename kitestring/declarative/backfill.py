"""`BackfillPartitionRouter`: one partition for everything, and one for each parent record that was not there before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from kitestring import json_codec
from kitestring.declarative.keyword import Node, keyword
from kitestring.declarative.partition_router import Memory, ParentStreamConfig
from kitestring.declarative.partition_state import LISTED, asked_for
from kitestring.declarative.request_option import Options
from kitestring.declarative.slice import Slice


@keyword("BackfillPartitionRouter")
class BackfillPartitionRouter:
    """One partition for all records of a parent stream together, whose value is an empty text, and one of its own for
    each record that the last sync did not list. So one request asks for what changed everywhere, and the history of
    what was added later is read once.

    What is listed is kept as the parent's state when the sync was whole: what could not be read is new in the next one
    too. Without such a list (a first sync, the state of a stream that had no partitions) nothing is new. A partition
    of the state without a cursor value is one that somebody wants to be read from the start.
    """

    keeps = True
    grows = False
    remembers = True

    def __init__(self, node: Node, **_: Any) -> None:
        parents: list[ParentStreamConfig] = node.children("parent_stream_configs", "ParentStreamConfig")
        if len(parents) != 1:
            raise node.wrong(f"holds {len(parents)} parent streams, one is expected", "parent_stream_configs")
        self.parent = parents[0]

    def slices(self, memory: Memory) -> Iterable[Slice]:
        name = self.parent.name
        # The list comes before any record: what appears while records are read is new in the next sync.
        values = [part[name] for part in self.parent.slices(Memory(doubts=memory.doubts))]
        parent_state = (memory.state.get("parent_state") or {}).get(self.parent.stream.name)
        memory.found[self.parent.stream.name] = {LISTED: values}
        yield Slice({name: ""})
        known = parent_state.get(LISTED) if isinstance(parent_state, Mapping) else None
        listed = {json_codec.dumps_text(value) for value in (values if known is None else known)}
        asked = asked_for(memory.state.get("states") or ())
        wanted = {json_codec.dumps_text(entry["partition"].get(name)) for entry in asked}
        for value in values:
            text = json_codec.dumps_text(value)
            if text not in listed or text in wanted:
                yield Slice({name: value})

    def fill(self, options: Options, part: Slice) -> None:
        value = part.get(self.parent.name)
        if self.parent.option is not None and value:
            self.parent.option.put(options, value)
