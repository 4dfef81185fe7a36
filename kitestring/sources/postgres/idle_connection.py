"""A connection that stays open between the windows of a continuous sync, since to open one takes long."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from kitestring.vendors.postgres import close, rows


class IdleConnection:
    """Keeps one connection while nobody uses it, if `keeps`. Several threads may use it."""

    def __init__(self, connect: Callable[[], Any]) -> None:
        self._connect = connect
        self._lock = threading.Lock()
        self._connection: Any = None
        self.keeps = False

    def take(self) -> Any:
        """The connection that is kept, if it still answers; else a new one."""
        import psycopg
        from adbc_driver_manager import dbapi

        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            try:
                rows(connection, "SELECT 1 AS answer")
            except (dbapi.Error, psycopg.Error):
                close(connection)
            else:
                return connection
        return self._connect()

    def give_back(self, connection: Any) -> None:
        """Keep a connection in autocommit mode, outside of a transaction, or close it."""
        with self._lock:
            is_kept = self.keeps and self._connection is None
            if is_kept:
                self._connection = connection
        if not is_kept:
            close(connection)

    def close(self) -> None:
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            close(connection)
