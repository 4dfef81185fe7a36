"""The state that all captured streams share: how far the log is read, and how far those are that failed."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from kitestring.sql.changes import Tracked
from kitestring.types import State


class SharedState:
    """The state that all streams share, for each position of the log.

    A stream of the sync that is not read, or no longer, keeps the position up to which it has everything: it goes on
    there once it can.
    """

    def __init__(
        self, reached: Mapping[str, int | None], tracked: Mapping[str, Tracked], place: Callable[[int], State]
    ) -> None:
        """`reached`: the position up to which each stream has everything. `place`: what else names a position."""
        self._reached = dict(reached)
        self._tracked = tracked
        self._place = place

    def __call__(self, position: int) -> State:
        self._reached.update(dict.fromkeys(self._tracked, position))
        left = {key: low for key, low in self._reached.items() if low is not None and key not in self._tracked}
        state = {"position": position, "streams": sorted(self._tracked), **self._place(position)}
        return {**state, "left": left} if left else state
