"""A connection that reads tables of MySQL as Arrow."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from kitestring.sources.mysql.columns import as_table, column_of, selected
from kitestring.sources.mysql.settled_catalog import is_whole, pause, settled
from kitestring.sql.source import TableReader
from kitestring.sql.source_table import RowRange, SqlColumn, SqlTable
from kitestring.types import Reject
from kitestring.vendors.mysql import MysqlConfig, collation_of
from kitestring.vendors.sql_quoting import literal, quoted

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_BYTES = 8 * 1024 * 1024
BATCH_ROWS = 50_000

TABLES = """
SELECT table_name, table_type FROM information_schema.tables
WHERE table_schema = {schema} AND table_type <> 'SEQUENCE' AND table_name NOT LIKE '\\_kitestring\\_%' ESCAPE '\\'
  {condition} ORDER BY table_name
"""
COLUMNS = """
SELECT table_name, column_key, column_name, data_type, column_type, column_comment FROM information_schema.columns
WHERE table_schema = {schema} AND extra NOT LIKE '%INVISIBLE%' {condition} ORDER BY table_name, ordinal_position
"""
KEYS = """
SELECT table_name, column_name FROM information_schema.statistics
WHERE table_schema = {schema} AND index_name = 'PRIMARY' {condition} ORDER BY table_name, seq_in_index
"""


class MysqlReader(TableReader):
    """One session that only reads. Each read of a table is one statement, and so one snapshot."""

    def __init__(self, config: MysqlConfig) -> None:
        self.config = config
        self.session = config.open()
        try:
            self.collation = collation_of(self.session)
            self._rows("SET SESSION TRANSACTION READ ONLY")
        except BaseException:
            self.close()
            raise

    def tables(self) -> list[SqlTable]:
        return self._tables("")

    def table(self, name: str, namespace: str | None) -> SqlTable | None:
        if namespace not in (None, self.config.database):
            return None
        tables = self._tables(f"AND table_name = {literal(name)}")
        return next((table for table in tables if table.name == name), None)

    def read(
        self, table: SqlTable, columns: Sequence[SqlColumn], rows: RowRange
    ) -> Iterator[tuple[pa.Table, Sequence[Reject]]]:
        from kitestring.vendors.mysql.result_rows import columns_of

        names = ", ".join(map(selected, columns))
        query = f"SELECT {names} FROM {self._reference(table)}{self._condition(table, rows)}"  # noqa: S608 - quoted
        needed = {*table.primary_key, rows.column} if self.config.nulls_unfit else None
        with self.config.translated():
            for arrays in columns_of(self.session, query, BATCH_BYTES, BATCH_ROWS):
                yield as_table(columns, arrays, needed)

    def bounds(self, table: SqlTable, column: str) -> tuple[int, int] | None:
        name = quoted(column)
        ((least, largest),) = self._rows(f"SELECT min({name}), max({name}) FROM {self._reference(table)}")  # noqa: S608 - quoted
        return None if least is None or largest is None else (int(least), int(largest))

    def now(self, cursor: SqlColumn) -> int:
        ((moment,),) = self._rows("SELECT utc_timestamp(6)")
        return int((moment - dt.datetime(1970, 1, 1)) / dt.timedelta(microseconds=1))

    def close(self) -> None:
        if self.session.open:
            self.session.close()

    def _condition(self, table: SqlTable, rows: RowRange) -> str:
        """The WHERE and ORDER BY for some rows."""
        if not rows.column:
            return ""
        order = next(column.order for column in table.columns if column.name == rows.column)
        name = quoted(rows.column)
        conditions = [f"{name} IS NULL"] if rows.nulls else []
        if rows.ordered:
            conditions.append(f"{name} IS NOT NULL")
        # A state compares texts by code points, whatever the collation of the column.
        value = f"CONVERT({name} USING utf8mb4) COLLATE {self.collation}" if order == "text" else name
        for operator, bound in ((">=", rows.start), ("<", rows.stop)):
            if bound is not None:
                conditions.append(f"{value} {operator} {spelled(bound)}")
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        return f"{where} ORDER BY {value}" if rows.ordered else where

    def _tables(self, condition: str) -> list[SqlTable]:
        return settled(lambda: self._tables_now(condition))

    def _tables_now(self, condition: str) -> tuple[list[SqlTable], bool]:
        """The tables, and whether the parts of the catalog agree."""
        schema = literal(self.config.database)
        listed = self._rows(TABLES.format(schema=schema, condition=condition))
        columns: dict[str, list[SqlColumn]] = {}
        keyed = set()
        for table, key, *facts in self._rows(COLUMNS.format(schema=schema, condition=condition)):
            columns.setdefault(table, []).append(column_of(*map(str, facts)))
            keyed |= {table} if key == "PRI" else set()
        keys: dict[str, list[str]] = {}
        for table, column in self._rows(KEYS.format(schema=schema, condition=condition)):
            keys.setdefault(table, []).append(column)
        names = [name for name, _ in listed]
        if not condition:
            pause()
        base, after = (
            [name for name, type_ in part if type_ != "VIEW"]
            for part in (listed, self._rows(TABLES.format(schema=schema, condition=condition)))
        )
        tables = []
        for name in names:
            known = {column.name for column in columns.get(name, ())}
            key = tuple(keys.get(name, ())) if known.issuperset(keys.get(name, ())) else ()
            if known:
                tables.append(SqlTable(name, self.config.database, tuple(columns[name]), key))
        return tables, is_whole(base, after, columns, keyed, keys)

    def _reference(self, table: SqlTable) -> str:
        return f"{quoted(self.config.database)}.{quoted(table.name)}"

    def _rows(self, query: str) -> list[tuple[Any, ...]]:
        with self.config.translated(), self.session.cursor() as cursor:
            cursor.execute(query)
            return list(cursor.fetchall())


def spelled(value: Any) -> str:
    """A cursor value as a literal of its type. The session's time zone is UTC."""
    if isinstance(value, dt.datetime):
        moment = value.astimezone(dt.UTC).replace(tzinfo=None) if value.tzinfo else value
        return literal(moment.isoformat(" ", "microseconds"))
    if isinstance(value, float):
        text = repr(value)
        return text if "e" in text else f"{text}e0"
    return f"{value:f}" if isinstance(value, Decimal) else str(value) if isinstance(value, int) else literal(str(value))
