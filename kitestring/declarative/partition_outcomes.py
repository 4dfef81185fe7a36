"""Counts which partitions of a stream could be read: one that fails does not stop the others."""

from __future__ import annotations

import threading

from kitestring.errors import KitestringError
from kitestring.http import UnreadableError

WHOLE_API_STATUSES = frozenset({401, 407, 408, 425, 429})
"""Statuses that concern the credentials or the moment, not one partition."""
MOST_SERVER_ERRORS = 3
"""So many partitions may fail with 5xx at the last attempt. With more the API itself is down."""


class PartitionOutcomes:
    """The outcomes of the partitions of one read of a stream. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._planned = self._read = self._failed = self._down = 0
        self._all_planned = False
        self._error: KitestringError | None = None

    def add_planned(self) -> None:
        with self._lock:
            self._planned += 1

    def read(self) -> None:
        with self._lock:
            self._read += 1

    def add_failed(self, error: KitestringError) -> None:
        """Record that a partition failed. Raises `error` if the failure concerns more than one partition."""
        status = error.fields.get("status")
        alone = isinstance(error, UnreadableError) or (
            isinstance(status, int) and 400 <= status not in WHOLE_API_STATUSES
        )
        if not alone:
            raise error
        with self._lock:
            self._failed += 1
            self._down += isinstance(status, int) and status >= 500
            self._error = error
            if self._down > MOST_SERVER_ERRORS:
                raise error
        self._judge()

    def finish_planning(self) -> None:
        """Record that all partitions are planned. Raises the last error if none of them could be read."""
        with self._lock:
            self._all_planned = True
        self._judge()

    def _judge(self) -> None:
        with self._lock:
            if self._error is not None and self._all_planned and not self._read and self._failed == self._planned:
                raise self._error
