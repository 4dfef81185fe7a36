"""Reading the tables of a SQL destination: its streams, and their rows by page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar

from kitestring.errors import ConfigError
from kitestring.json_codec import JsonError, loads
from kitestring.sql.note import Note
from kitestring.sql.row_filter import condition, is_document
from kitestring.sql.table import Table
from kitestring.sql.types import FLOATS, INTEGERS, TEXT, digits
from kitestring.stored_rows import MOST_COUNTED, RowPage, RowRequest, StoredRows, StoredStream, capped
from kitestring.types import DELETED_AT, Record, Stream

if TYPE_CHECKING:
    from kitestring.sql.connection import Connection
    from kitestring.sql.dialect import Dialect


class ReadsTables(StoredRows):
    """What every SQL destination can read back: tables with a note of ours, which names their stream. No other table
    is read, whatever a filter says."""

    dialect: ClassVar[Dialect]

    if TYPE_CHECKING:

        def _is_there(self) -> bool: ...

        def _connect(self) -> Connection: ...

    def _connect_to_read(self) -> Connection:
        """A connection for reading alone. A vendor overrides it where that locks less."""
        return self._connect()

    def stored_streams(self) -> list[StoredStream] | None:
        with self._reading() as connection:
            tables = [] if connection is None else self._noted(connection)
            if connection is None or tables is None:
                return [] if connection is None else None
            streams = []
            for table in tables:
                total = capped(counted(connection, table, live(table)))
                assert table.note is not None
                streams.append(
                    StoredStream(
                        table.note.stream,
                        table.note.namespace or None,
                        total["total"],
                        counted_to=total["counted_to"],
                    )
                )
            return sorted(streams, key=lambda stream: (stream.name, stream.namespace or ""))

    def stored_page(self, request: RowRequest) -> RowPage:
        tree = request.where
        assert not isinstance(tree, str)
        with self._reading() as connection:
            table = None if connection is None else self._noted_table(connection, request)
            if connection is None or table is None:
                raise ConfigError(
                    f"{self.dialect.title} has no table of the stream {request.stream}",
                    hint="Sync it first, or load the page again.",
                )
            conditions = [] if request.include_deleted else live(table)
            conditions += [condition(tree, table)] if tree else []
            filters = f" WHERE {' AND '.join(conditions)}" if conditions else ""
            columns = [
                *table.fields.items(),
                *((column, column) for column in table.extra_columns if column in table.columns),
            ]
            selected = ", ".join(expression(table, column) for _, column in columns) or "1"
            row_order = self.dialect.page_order(max(1, len(columns)))
            order = f" ORDER BY {row_order}" if row_order else ""
            window = f" LIMIT {int(request.limit)} OFFSET {int(request.offset)}"
            rows = connection.rows(f"SELECT {selected} FROM {table.reference}{filters}{order}{window}")  # noqa: S608 - quoted
            total = counted(connection, table, conditions)
        return RowPage(
            [record(table, columns, row) for row in rows], fields=[field for field, _ in columns], **capped(total)
        )

    # -- tables --------------------------------------------------------------------------------------------------------

    @contextmanager
    def _reading(self) -> Iterator[Connection | None]:
        """A connection for one call; None where there is no database."""
        if not self._is_there():
            yield None
            return
        connection = self._connect_to_read()
        try:
            yield connection
        finally:
            connection.close()

    def _noted(self, connection: Connection) -> list[Table] | None:
        """The tables of streams; None if the vendor cannot list them."""
        notes = connection.notes()
        if notes is None:
            return None
        read = [(schema, table, Note.read(text)) for schema, table, text in notes if not self.dialect.is_own(table)]
        tables = [
            Table(connection, schema, table, Stream(note.stream, namespace=note.namespace))
            for schema, table, note in read
            if note is not None
        ]
        return [table for table in tables if table.exists and table.note is not None]

    def _noted_table(self, connection: Connection, request: RowRequest) -> Table | None:
        target = Stream(request.name, namespace=request.namespace)
        for table in self._noted(connection) or ():
            if table.note is not None and table.note.is_of(target):
                return table
        return None


def live(table: Table) -> list[str]:
    """The condition for rows without a mark of deletion."""
    column = table.fields.get(DELETED_AT)
    return [f"{table.dialect.quoted(column)} IS NULL"] if column else []


def counted(connection: Connection, table: Table, conditions: list[str]) -> int:
    """How many rows pass, at most one more than are counted."""
    filters = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    inner = f"SELECT 1 AS counted FROM {table.reference}{filters} LIMIT {MOST_COUNTED + 1}"  # noqa: S608 - quoted
    return int(connection.rows(f"SELECT count(*) FROM ({inner}) AS counted_rows")[0][0])  # noqa: S608 - quoted


def expression(table: Table, column: str) -> str:
    """A column as it is read: numbers and texts as they are, all else as the text of its value."""
    kind, name = table.columns[column], table.dialect.quoted(column)
    plain = kind in INTEGERS or kind in FLOATS or kind in ("BOOLEAN", TEXT)
    return name if plain else table.dialect.converted(name, kind, TEXT)


def record(table: Table, columns: list[tuple[str, str]], row: tuple[Any, ...]) -> Record:
    return {field: value_of(table.columns[column], value) for (field, column), value in zip(columns, row, strict=False)}


def value_of(kind: str, value: Any) -> Any:
    """A value as it is in records: documents are read, dates and the like are texts."""
    if value is None or kind == TEXT:
        return value
    if kind == "BOOLEAN":
        return bool(value) if isinstance(value, int) else value
    if is_document(kind):
        try:
            return loads(value) if isinstance(value, str) else value
        except JsonError:
            return value
    if (kind == "numeric" or digits(kind)) and isinstance(value, str):
        return int(value) if value.lstrip("-").isdecimal() else Decimal(value)
    return value
