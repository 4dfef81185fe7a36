"""The state that all captured streams share: how far the log is read, and how far those are that are elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from kitestring.sql.changes import Tracked
from kitestring.types import State


class SharedState:
    """The state that all streams share, for each position of the log.

    A stream that is not read, or no longer, keeps the position up to which it has everything: it goes on there once it
    can, or once it is in the connection again. So does a stream that is ahead, while the log is read again for another
    one: a sync that ends then gives it no change a second time.
    """

    def __init__(
        self, reached: Mapping[str, int | None], tracked: Mapping[str, Tracked], place: Callable[[int], State]
    ) -> None:
        """`reached`: the position up to which each stream has everything. `place`: what else names a position."""
        self._reached = dict(reached)
        self._tracked = tracked
        self._place = place

    def __call__(self, position: int) -> State:
        self._reached |= {key: max(position, self._reached.get(key) or position) for key in self._tracked}
        left = {
            key: low
            for key, low in self._reached.items()
            if low is not None and (low > position or key not in self._tracked)
        }
        state = {"position": position, "streams": sorted({*self._tracked} - left.keys()), **self._place(position)}
        return {**state, "left": left} if left else state
