"""The states of change data capture: how far each stream is, and which parts of its table are loaded.

The state that all streams share (`GLOBAL`) is {"position": where the log is read from, "streams": those that have
everything before it, "left": by stream the position up to which another one has everything, which failed or is ahead},
and what a source adds. That of a stream is one of

    {"load": {"id": …, "low": …, "count": 3, "plan": …}, "parts": {"part": position of its snapshot, …}}
    {"low": …, "first": …, "last": …, "note": …}

while its table is loaded, and after that (see `Window`). A load that was killed goes on with the parts that are
missing, in a new snapshot; the log then brings what happened between the two.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kitestring.sql.changes import Position, Window
from kitestring.types import GLOBAL, State, States


@dataclass(frozen=True, slots=True)
class FirstLoad:
    """The load of one table. `low`: the position from which its log is read. `count`: how many parts it has. `plan`:
    how the source cuts it into these, kept for a load that goes on later."""

    low: Position
    count: int
    plan: Any = None
    parts: Mapping[str, Position] = field(default_factory=dict)
    """The positions of the snapshots of the parts that are loaded."""
    id: str = ""
    """Unique for a load: the position of its first snapshot, say."""
    note: Any = None
    """What the source wants to know of the table at the next sync; kept in the stream's state."""

    @classmethod
    def of(cls, state: State) -> FirstLoad | None:
        """The unfinished load of a stream's state; None where there is none."""
        load = state.get("load")
        if load is None:
            return None
        return cls(load["low"], load["count"], load["plan"], state.get("parts", {}), load["id"], load.get("note"))

    def begun(self) -> State:
        """The state to yield as a checkpoint before the first row: from now on the source keeps the log from `low`."""
        load = {"id": self.id, "low": self.low, "count": self.count, "plan": self.plan, "note": self.note}
        return {"load": load}

    def loaded(self, part: str, position: Position) -> State:
        """The state to yield as a checkpoint when all rows of a part were yielded, read in a snapshot at `position`."""
        return {**self.begun(), "part": part, "at": position}

    def window(self, position: Position | None = None) -> Window:
        """The window of the stream while its log is read, if the missing parts are read in a snapshot at `position`."""
        positions = [*self.parts.values(), *([] if position is None else [position])]
        return Window(self.low, min(positions, default=self.low), max(positions, default=self.low))


def merged(state: State, checkpoint: State) -> State:
    """For `Source.merge` of a stream (`GLOBAL` is replaced): its state with one more part loaded, or another note."""
    load = checkpoint.get("load")
    if load is None:
        return {**state, **checkpoint}
    same = state.get("load", {}).get("id") == load["id"]
    if not same and state.get("id") == load["id"]:  # a late part of a load that is complete
        return state
    parts = dict(state.get("parts", {})) if same else {}
    if "part" in checkpoint:
        parts[checkpoint["part"]] = checkpoint["at"]
    if len(parts) < load["count"]:
        return {"load": load, "parts": parts}
    window = FirstLoad(load["low"], load["count"], parts=parts).window()
    note = {"note": load["note"]} if "note" in load else {}
    return {"id": load["id"], "low": window.low, "first": window.first, "last": window.last, **note}


def windows_at(shared: State, planned: Mapping[str, tuple[Position, Position, Position]]) -> dict[str, Window]:
    """The windows of streams when their log is read. `shared`: the state that they share now; `planned`: the positions
    of each window when the sync was planned."""
    behind = shared.get("streams", ())
    return {
        key: Window(max(low, shared["position"]) if key in behind else low, first, last)
        for key, (low, first, last) in planned.items()
    }


class Positions:
    """How far each stream is, as its states say. `streams`: the keys of those that are read."""

    def __init__(self, streams: Iterable[str], states: States) -> None:
        self.streams = tuple(streams)
        self.lost: set[str] = set()
        """Those whose log is gone: no position of the log has to be kept for them."""
        self._states = dict(states)

    @property
    def shared(self) -> State:
        return self._states.get(GLOBAL, {})

    def load(self, stream: str) -> FirstLoad | None:
        """The load of a stream that was begun and is not complete."""
        return FirstLoad.of(self._states.get(stream, {}))

    def note(self, stream: str) -> Any:
        """What the source wanted to know of a stream's table; {} where nothing is known."""
        state = self._states.get(stream, {})
        return state.get("note") or state.get("load", {}).get("note") or {}

    def low(self, stream: str) -> Position | None:
        """The position before which the stream has everything; None for a stream that was never begun."""
        state = self._states.get(stream, {})
        if load := state.get("load"):
            return load["low"]
        low = state.get("low")
        if low is not None and stream in self.shared.get("streams", ()):
            return max(low, self.shared["position"])
        if low is not None and stream in self.shared.get("left", {}):
            return max(low, self.shared["left"][stream])
        return low

    @property
    def others(self) -> dict[str, Position]:
        """How far the streams are that were taken out of the connection: one that is added again goes on there."""
        shared = self.shared
        known = {**dict.fromkeys(shared.get("streams", ()), shared.get("position")), **shared.get("left", {})}
        return {key: position for key, position in known.items() if key not in self.streams and position is not None}

    def window(self, stream: str) -> Window:
        """That of a stream whose load is complete."""
        state = self._states[stream]
        return Window(self.low(stream), state["first"], state["last"])

    def least(self) -> Position | None:
        """The position from which the log is needed: everything before it may go. None where no stream was begun."""
        streams = [stream for stream in self.streams if stream not in self.lost]
        return min((low for stream in streams if (low := self.low(stream)) is not None), default=None)

    def saved(self, states: States) -> Position | None:
        """These states are durable: the same with them."""
        self._states.update(states)
        return self.least()
