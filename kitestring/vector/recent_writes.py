"""The keys of the last writes, so that a batch which was compared before one of them is compared again."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable


class RecentWrites:
    """The keys of the last `depth` writes, numbered.

    `prepare` remembers `now()` before it reads the store and compares; `write` compares the keys written `since` then
    again.
    """

    def __init__(self, depth: int = 64) -> None:
        self._lock = threading.Lock()
        self._writes: deque[tuple[int, frozenset[str]]] = deque(maxlen=depth)
        self._number = 0

    def now(self) -> int:
        return self._number

    def add(self, keys: Iterable[str]) -> None:
        """Add a write. Called when the write is durable, or may be in part."""
        written = frozenset(keys)
        if written:
            with self._lock:
                self._number += 1
                self._writes.append((self._number, written))

    def add_all(self) -> None:
        """Any record may have been written: `since` returns None for all earlier numbers."""
        with self._lock:
            self._number += 2
            self._writes.clear()
            self._writes.append((self._number, frozenset()))

    def since(self, number: int) -> frozenset[str] | None:
        """The keys written after `number`; None if that was too long ago (then any may have been)."""
        with self._lock:
            if self._number == number:
                return frozenset()
            if self._writes[0][0] > number + 1:
                return None
            return frozenset().union(*(keys for at, keys in self._writes if at > number))
