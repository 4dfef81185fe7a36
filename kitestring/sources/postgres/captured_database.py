"""The database whose changes are captured: connections to it, its tables and columns as they are now, and the slot."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from kitestring.errors import ConfigError, TransientError
from kitestring.sources.postgres.captured_table import CapturedTable, captured_tables, named
from kitestring.sources.postgres.catalog import columns_of, denied_error
from kitestring.sources.postgres.columns import Column
from kitestring.sources.postgres.idle_connection import IdleConnection
from kitestring.sources.postgres.replication_method import ChangeDataCapture
from kitestring.sources.postgres.slot import ReplicationObjects
from kitestring.types import Stream
from kitestring.vendors.postgres import PostgresConfig, close, run

ALTERED = ("42703", "42P01", "42704")
"""Codes for a column, a table or a type that is no longer there: the catalog was read before it was dropped."""


class CapturedDatabase:
    """Opens connections, and reads the catalog with one."""

    def __init__(self, config: PostgresConfig, method: ChangeDataCapture) -> None:
        self._config = config
        self._method = method
        self._catalog = IdleConnection(config.open_catalog)
        self._reader = IdleConnection(config.connect)

    def tables(self, connection: Any, streams: Iterable[Stream]) -> dict[str, CapturedTable]:
        place = named((stream.namespace or "public", stream.name) for stream in streams)
        return captured_tables(connection, place, self._method.publication)

    def objects(self, connection: Any) -> ReplicationObjects:
        return ReplicationObjects(connection, self._config, self._method.replication_slot, self._method.publication)

    def keep_connections(self, keeps: bool) -> None:
        """Whether a connection stays open while nobody uses it."""
        for idle in (self._catalog, self._reader):
            idle.keeps = keeps
            if not keeps:
                idle.close()

    def connected(self) -> AbstractContextManager[Any]:
        """A connection in autocommit mode, for short results; errors of PostgreSQL become ours."""
        return self._using(self._catalog)

    def reading(self) -> AbstractContextManager[Any]:
        """A connection in autocommit mode that reads tables as Arrow; errors of PostgreSQL become ours."""
        return self._using(self._reader)

    @contextmanager
    def _using(self, idle: IdleConnection) -> Iterator[Any]:
        connection = idle.take()
        try:
            with self.translated():
                yield connection
        except BaseException:
            close(connection)
            raise
        idle.give_back(connection)

    def in_transaction(self) -> AbstractContextManager[Any]:
        """A connection for short results in a transaction that only reads, with one snapshot."""
        return in_snapshot(self.connected())

    def reading_in_transaction(self) -> AbstractContextManager[Any]:
        """A connection that reads tables in a transaction that only reads, with one snapshot."""
        return in_snapshot(self.reading())

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Errors of PostgreSQL become ours; a table that is altered while it is read is read again."""
        try:
            with self._config.translated():
                yield
        except ConfigError as error:
            if error.fields.get("code") in ALTERED and "snapshot" in str(error):
                raise TransientError(
                    f"{self._config.place} lost the snapshot of the load: the connection that held it was cut",
                    hint="Sync again: the load goes on with the parts that are missing.",
                ) from error
            if error.fields.get("code") in ALTERED:
                raise TransientError(
                    f"a table was altered while it was read: {error}", hint="Try again.", code=error.fields["code"]
                ) from error
            raise

    def columns(self, connection: Any, stream: Stream) -> list[Column]:
        tables = columns_of(connection, named([(stream.namespace or "public", stream.name)]))
        columns = chosen(stream, [column for column in tables.get(stream.key, []) if column.readable])
        if not columns:
            raise denied_error(self._config.place, stream.key)
        return columns


@contextmanager
def in_snapshot(connected: AbstractContextManager[Any]) -> Iterator[Any]:
    """A connection in a transaction that only reads, with one snapshot."""
    with connected as connection:
        run(connection, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        yield connection
        run(connection, "COMMIT")


def chosen(stream: Stream, columns: Sequence[Column]) -> list[Column]:
    """The selected columns, and the key."""
    names = {path[0] for path in [*stream.fields, *stream.primary_key]}
    return [column for column in columns if column.column in names or not stream.fields]
