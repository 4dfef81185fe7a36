"""Statements on an open connection of ADBC or psycopg."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any


def run(connection: Any, statement: str) -> None:
    """Execute a statement; rows are not fetched."""
    with connection.cursor() as cursor:
        cursor.execute(statement)


def affected(connection: Any, statement: str) -> int:
    """Execute a statement; returns how many rows it inserted, updated or deleted."""
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return max(0, int(cursor.rowcount))


def rows(connection: Any, query: str) -> list[dict[str, Any]]:
    """The rows of a short result."""
    with connection.cursor() as cursor:
        cursor.execute(query)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


@contextmanager
def transaction(connection: Any) -> Iterator[None]:
    """A transaction on a connection in autocommit mode."""
    run(connection, "BEGIN")
    try:
        yield
        run(connection, "COMMIT")
    except BaseException:
        with suppress(Exception):  # a lost connection has rolled back
            run(connection, "ROLLBACK")
        raise
