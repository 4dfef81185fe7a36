"""Which records the last writes touched, so that a batch that was prepared before one of them can tell."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable


class RecentWrites:
    """The keys of the last `depth` writes, numbered.

    `prepare` notes `now()` before it reads the store and compares; `write` asks which keys were written `since` then,
    because what it was compared with is out of date for those.
    """

    def __init__(self, depth: int = 64) -> None:
        self._lock = threading.Lock()
        self._writes: deque[tuple[int, frozenset[str]]] = deque(maxlen=depth)
        self._number = 0

    def now(self) -> int:
        return self._number

    def add(self, keys: Iterable[str]) -> None:
        """Note a write. Called when the write is durable, or may be in part."""
        written = frozenset(keys)
        if written:
            with self._lock:
                self._number += 1
                self._writes.append((self._number, written))

    def add_all(self) -> None:
        """Note that any record may have been touched: nothing can be said of what was before."""
        with self._lock:
            self._number += 2
            self._writes.clear()
            self._writes.append((self._number, frozenset()))

    def since(self, number: int) -> frozenset[str] | None:
        """The keys written after `number`; None if that is too long ago to say (then any may have been)."""
        with self._lock:
            if self._number == number:
                return frozenset()
            if self._writes[0][0] > number + 1:
                return None
            return frozenset().union(*(keys for at, keys in self._writes if at > number))
