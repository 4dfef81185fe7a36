"""The base of SQL sources: tables and views as Arrow, whole or from a cursor value on."""

from __future__ import annotations

import datetime as dt
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import closing
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar

from kitestring.batch import Batch
from kitestring.errors import ConfigError
from kitestring.source import Item, Source
from kitestring.sql.sorted_watermark import SortedWatermark
from kitestring.sql.source_table import RowRange, SqlColumn, SqlTable, misfit_rows
from kitestring.types import Catalog, Partition, Reject, State, States, Stream

if TYPE_CHECKING:
    import pyarrow as pa

RANGE_KEYS = 1_000_000
"""How many values of an integer key one partition has."""
MOST_RANGES = 64
BATCH_ROWS = 10_000


class TableReader(ABC):
    """One open connection to a database. Used by one thread; all methods raise only errors of `kitestring.errors`."""

    @abstractmethod
    def tables(self) -> Sequence[SqlTable]:
        """The tables and views that are streams."""

    @abstractmethod
    def table(self, name: str, namespace: str | None) -> SqlTable | None:
        """One table as it is now; None without it."""

    @abstractmethod
    def read(
        self, table: SqlTable, columns: Sequence[SqlColumn], rows: RowRange
    ) -> Iterator[tuple[pa.Table, Sequence[Reject]]]:
        """The rows in tables of about `BATCH_ROWS`; beside each those rows that have a value which does not fit its
        column, unchanged."""

    def bounds(self, table: SqlTable, column: str) -> tuple[int, int] | None:
        """The least and the largest value of an integer column; None without rows."""
        return None

    def now(self, cursor: SqlColumn) -> int:
        """The clock of the database, in microseconds since 1970, as the cursor column has it; by default ours."""
        return int(dt.datetime.now(dt.UTC).timestamp() * 1_000_000)

    def compares_exactly(self, cursor: SqlColumn) -> bool:
        """Whether two values are equal to the database only if they are the same."""
        return True

    @abstractmethod
    def close(self) -> None: ...


class SqlSource(Source):
    """Reads the tables and views of a database. A subclass implements `open_reader`.

    A full refresh reads a table with an integer key in ranges of it, several at a time where `splits`. An incremental
    read is ordered by the cursor column and can continue after any checkpoint. A row with a value that does not fit its
    column's type comes as it is in a full refresh, and is rejected in an incremental read.
    """

    splits: ClassVar[bool] = False
    """Whether several connections read one table at the same time."""

    def open_reader(self) -> TableReader:
        raise NotImplementedError

    def place(self) -> str:
        """The database, for messages. No secrets."""
        raise NotImplementedError

    def check(self) -> None:
        if not len(self.discover()):
            raise ConfigError(f"{self.place()} has no table that can be read", hint="Check the name and the rights.")

    def discover(self) -> Catalog:
        with closing(self.open_reader()) as reader:
            return Catalog(tuple(table.stream for table in reader.tables()))

    def partitions(self, streams: Sequence[Stream], states: States) -> Iterator[Partition]:
        for stream in streams:
            for start, stop in self._ranges(stream):
                yield Partition((stream,), key="" if start is None else str(start), data={"start": start, "stop": stop})

    def read(self, partition: Partition, states: States) -> Iterator[Item]:
        stream = partition.stream
        with closing(self.open_reader()) as reader:
            table = self._table(reader, stream)
            columns = chosen_columns(table, stream)
            if stream.incremental:
                yield from read_changes(reader, table, columns, stream, states.get(stream.key, {}))
                return
            start, stop = partition.data["start"], partition.data["stop"]
            column = table.primary_key[0] if start is not None or stop is not None else ""
            for part, misfits in reader.read(table, columns, RowRange(column, start, stop)):
                if part.num_rows:
                    yield Batch(stream.key, table=part)
                if misfits:
                    yield Batch(stream.key, rows=misfit_rows(misfits))

    def concurrency(self) -> int:
        return 1

    def _ranges(self, stream: Stream) -> list[tuple[int | None, int | None]]:
        """The ranges of the key for a full refresh; the first and the last one are open."""
        whole: list[tuple[int | None, int | None]] = [(None, None)]
        if stream.incremental or not self.splits:
            return whole
        with closing(self.open_reader()) as reader:
            table = self._table(reader, stream)
            key = [column for column in table.columns if column.name in table.primary_key]
            bounds = reader.bounds(table, key[0].name) if len(key) == 1 and key[0].order == "int8" else None
        if bounds is None:
            return whole
        least, largest = bounds
        step = max(RANGE_KEYS, -(-(largest - least + 1) // MOST_RANGES))
        starts: list[int | None] = [None, *range(least + step, largest + 1, step)]
        return list(zip(starts, [*starts[1:], None], strict=True))

    def _table(self, reader: TableReader, stream: Stream) -> SqlTable:
        table = reader.table(stream.name, stream.namespace)
        if table is None:
            raise ConfigError(
                f"{self.place()} no longer has a table {stream.key}",
                hint="Take the stream out of the connection, or check the rights of the user.",
            )
        return table


def chosen_columns(table: SqlTable, stream: Stream) -> list[SqlColumn]:
    """The columns to read: the selected ones, the primary key and the cursor."""
    paths = [*stream.fields, *stream.primary_key, *([stream.cursor] if stream.incremental and stream.cursor else [])]
    names = {path[0] for path in paths}
    return [column for column in table.columns if column.name in names or not stream.fields]


def read_changes(
    reader: TableReader, table: SqlTable, columns: Sequence[SqlColumn], stream: Stream, state: State
) -> Iterator[Item]:
    """The rows from the state's cursor value on, in its order, without those that an earlier sync wrote."""
    cursor = cursor_column(table, stream)
    if stream.write.appends and not reader.compares_exactly(cursor):
        raise ConfigError(
            f"the cursor {cursor.name} of {stream.key} is a text, whose collation may take different texts for equal: "
            "append would write rows twice",
            hint="Write the stream with append_dedup, or choose a number or a time as its cursor.",
            stream=stream.key,
        )
    mark = SortedWatermark(
        cursor.name, cursor.order, state, now=reader.now(cursor), keys=stream.primary_key, digests=stream.write.appends
    )
    ranges = [RowRange(cursor.name, cursor_value(cursor.order, mark.since), ordered=True)]
    if mark.since is None:  # in a later read, they are not at or after the cursor value
        ranges.insert(0, RowRange(cursor.name, nulls=True))
    yield from mark.items(stream.key, (part for rows in ranges for part in reader.read(table, columns, rows)))


def cursor_column(table: SqlTable, stream: Stream) -> SqlColumn:
    column = next((c for c in table.columns if stream.cursor == (c.name,)), None)
    if column is None or not column.order:
        fit = [c.name for c in table.columns if c.order]
        what = f"is of type {column.type or 'any'}, which has no order" if column else "is not a column"
        raise ConfigError(
            f"the cursor {'.'.join(stream.cursor or ())} of {stream.key} {what}",
            hint=f"Choose one of: {', '.join(fit)}." if fit else "Read the stream as full_refresh.",
            stream=stream.key,
        )
    return column


def cursor_value(order: str, value: Any) -> Any:
    """A cursor value of a state, as the database compares it with its column."""
    if value is None:
        return None
    if order == "date":
        return dt.date.fromisoformat(str(value)[:10])
    if order in ("timestamp", "timestamptz"):
        moment = dt.datetime.fromisoformat(str(value))
        if order == "timestamp":
            return moment.replace(tzinfo=None)
        return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
    if order == "numeric":
        return Decimal(str(value))
    return {"int8": int, "float8": float}.get(order, str)(value)
