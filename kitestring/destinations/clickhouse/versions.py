"""The versions of rows: each write has a higher one than all before it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Versions:
    """The highest version of each table that this process has given; shared by its connections.

    A version is the time in nanoseconds, so that writers of different hosts need not agree, or one above the highest of
    the table where clocks differ.
    """

    def __init__(self) -> None:
        self._highest: dict[tuple[str, str], int] = {}
        self._lock = threading.Lock()

    def next(self, schema: str, table: str, rows: int, highest: Callable[[], int]) -> int:
        """A version, behind which as many numbers are free. `highest` reads the highest number that the table has: it
        is called once for each table."""
        with self._lock:
            known = self._highest.get((schema, table))
        known = highest() if known is None else known
        with self._lock:
            version = max(known, self._highest.get((schema, table), 0), time.time_ns()) + 1
            self._highest[schema, table] = version + rows
        return version
