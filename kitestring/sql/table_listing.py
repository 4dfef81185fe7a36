"""A listing of the source's keys compared with a table, by the database: its rows with these keys are noted in a
temporary table, the others are missing."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from kitestring.errors import ConfigError
from kitestring.json_codec import dumps_text
from kitestring.key_listing import Key, KeyListing
from kitestring.sql.connection import Connection
from kitestring.sql.key import Part, conditions, typed_fields
from kitestring.sql.prepared_batch import KeyRows
from kitestring.types import DELETED_AT, Receipt, Stream

if TYPE_CHECKING:
    import pyarrow as pa

    from kitestring.sql.table import Table

PAGE = 10_000


class TableListing(KeyListing):
    """Uses a connection of its own, which holds the temporary tables.

    `table_of` gives the stream's table as it is now, `mark_times` a column with one time of deletion.
    """

    def __init__(
        self,
        stream: Stream,
        connection: Connection,
        table_of: Callable[[Connection, Stream], Table],
        mark_times: Callable[[str], pa.Table],
    ) -> None:
        self.stream = stream
        self.connection = connection
        self.table_of = table_of
        self.mark_times = mark_times
        suffix = secrets.token_hex(4)
        self.listed, self.missing, self.timed = (
            f"_kitestring_{what}_{suffix}" for what in ("listed", "absent", "mark")
        )
        self.kinds: tuple[str, ...] | None = None
        """The kinds of the key's columns when the first keys were noted."""
        self.missing_count = 0

    def add(self, keys: Sequence[Key]) -> None:
        table = self._table()
        rows = KeyRows(table, self.stream, keys) if table.exists else None
        if rows is None or not rows.places:
            return
        parts = self._parts(table)
        self._require_listed(table, parts)
        values = ", ".join(part.key() for part in parts)
        self.connection.index(table, rows.parts)
        with self.connection.staged(rows.rows) as incoming:
            for condition in conditions(rows.parts):
                self.connection.changed(
                    f"INSERT INTO {self.listed} SELECT {values} "  # noqa: S608 - quoted
                    f"FROM {table.reference} AS kept, {incoming} AS incoming WHERE {condition}"
                )

    def compare(self) -> tuple[int, int]:
        table = self._table()
        if not table.exists:
            return 0, 0
        parts = self._parts(table)
        self._require_listed(table, parts)
        live = self._live(table, parts)
        held = int(self.connection.rows(f"SELECT count(*) FROM {table.reference} AS kept WHERE {live}")[0][0])  # noqa: S608 - quoted
        values = ", ".join(f"{part.key()} AS c{n}" for n, part in enumerate(parts))
        same = " AND ".join(f"listed.c{n} = {part.key()}" for n, part in enumerate(parts))
        self.connection.create_temporary(
            self.missing,
            f"SELECT DISTINCT {values} FROM {table.reference} AS kept "  # noqa: S608 - quoted
            f"LEFT JOIN {self.listed} AS listed ON {same} WHERE listed.c0 IS NULL AND {live}",
        )
        self.missing_count = int(self.connection.rows(f"SELECT count(*) FROM {self.missing}")[0][0])  # noqa: S608 - ours
        return held, self.missing_count

    def texts(self) -> Iterator[Sequence[str]]:
        # By all columns: rows that are equal in the first may have another order in the next page.
        columns = ", ".join(f"c{n}" for n in range(len(self.stream.primary_key)))
        for start in range(0, self.missing_count, PAGE):
            rows = self.connection.rows(
                f"SELECT {columns} FROM {self.missing} ORDER BY {columns} LIMIT {PAGE} OFFSET {start}"  # noqa: S608 - ours
            )
            yield [dumps_text([str(value) for value in row]) for row in rows]

    def delete(self, deleted_at: str) -> Receipt:
        connection, table = self.connection, self._table()
        if not self.missing_count or not table.exists:
            return Receipt()
        quoted, dialect = connection.dialect.quoted, connection.dialect
        same = " AND ".join(
            dialect.same(part.key(), f"incoming.c{n}", nullable=False) for n, part in enumerate(self._parts(table))
        )
        if self.stream.write.deletes != "mark":
            with connection.transaction():
                rows = connection.delete_rows(table, self.missing, [same])
        else:
            marks = self.mark_times(deleted_at)
            (filling,) = table.fit(marks, (), {}).values()
            column = table.fields[DELETED_AT]
            name = quoted(column)
            with connection.staged(marks.rename_columns(["c0"])) as incoming:
                connection.rows(f"DROP TABLE IF EXISTS {self.timed}")
                connection.create_temporary(
                    self.timed,
                    "SELECT missing.*, incoming.c0 AS deleted_at "  # noqa: S608 - ours
                    f"FROM {self.missing} AS missing, {incoming} AS incoming",
                )
            value = filling._replace(source="incoming.deleted_at").value
            with connection.transaction():
                unmarked = f"{same} AND kept.{name} IS NULL"
                rows = connection.update_rows(table, column, value, self.timed, [unmarked])
        deleted = min(rows, self.missing_count)
        return Receipt(deleted=deleted, unchanged=self.missing_count - deleted, replaced=rows - deleted)

    def close(self) -> None:
        self.connection.close()

    def _table(self) -> Table:
        return self.table_of(self.connection, self.stream)

    def _parts(self, table: Table) -> list[Part]:
        """The primary key as expressions over the table."""
        typed = typed_fields(self.stream)
        absent = [path[0] for path in self.stream.primary_key if path[0] not in table.fields]
        if absent:
            raise ConfigError(
                f"the table {table.schema}.{table.name} has no column of the primary key {absent[0]}",
                hint="Sync the stream once with the current primary key, then detect deletes again.",
            )
        return [
            table.part(path, "NULL", True, "NULL" if len(path) == 1 and path[0] in typed else None)
            for path in self.stream.primary_key
        ]

    def _require_listed(self, table: Table, parts: Sequence[Part]) -> None:
        """Create the table of listed keys, with the types of the key's columns."""
        kinds = tuple(f"{part.kind} {bool(part.entries)}" for part in parts)
        if self.kinds is None:
            values = ", ".join(f"{part.key()} AS c{n}" for n, part in enumerate(parts))
            self.connection.create_temporary(
                self.listed,
                f"SELECT {values} FROM {table.reference} AS kept WHERE 1 = 0",  # noqa: S608 - quoted
            )
            self.kinds = kinds
        elif self.kinds != kinds:
            raise ConfigError(
                f"the primary key of {self.stream.key} got another type in {table.schema}.{table.name} during the sync",
                hint="Sync again.",
            )

    def _live(self, table: Table, parts: Sequence[Part]) -> str:
        """The condition for rows that count: without a mark, and with a complete key."""
        complete = [f"{part.key()} IS NOT NULL" for part in parts]
        mark = table.fields.get(DELETED_AT) if self.stream.write.deletes == "mark" else None
        return " AND ".join([*complete, *([f"kept.{table.dialect.quoted(mark)} IS NULL"] if mark else [])])
