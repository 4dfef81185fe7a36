"""The base of SQL destinations: each stream is a table, written in transactions, replaced by a rename."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from pydantic import PrivateAttr

from kitestring import arrow
from kitestring.batch import Batch
from kitestring.destination import Destination
from kitestring.errors import ConfigError, ConnectorError, RecordError
from kitestring.schema import Schema
from kitestring.sql.airbyte_column import META, RAW_ID, airbyte_values
from kitestring.sql.connection import Connection
from kitestring.sql.dialect import Dialect
from kitestring.sql.key import Part, conditions, typed_fields
from kitestring.sql.merge import Merge, MergeCounts
from kitestring.sql.note import Note
from kitestring.sql.prepared_batch import (
    KeyRows,
    PreparedBatch,
    as_json,
    entry_arrays,
    plain,
    prepare_batch,
    with_json,
)
from kitestring.sql.random_id import random_ids
from kitestring.sql.table import Filling, Table
from kitestring.sql.table_listing import TableListing
from kitestring.sql.table_pages import ReadsTables
from kitestring.sql.types import TEXT
from kitestring.types import DELETED_AT, EVERY_WRITE, NULLED_RECORDS, Receipt, Stream, Write

if TYPE_CHECKING:
    import pyarrow as pa

    from kitestring.key_listing import KeyListing

T = TypeVar("T")


class SqlDestination(ReadsTables, Destination):
    """Writes each stream into a table of its name, in the schema of its namespace.

    Every batch is one transaction. A replacement fills a staged table and renames it in the transaction that drops the
    old one; if the last version is kept, rows with the keys of the batch are replaced. Tables grow with the records: a
    new field is a new column, and a column that cannot hold a value gets the next wider type, finally text. The note
    of a table names its stream.

    A destination has a `dialect`, options, and `_connect`; it may override `_schema` and `_is_there`.
    """

    writes: ClassVar[frozenset[Write]] = EVERY_WRITE
    dialect: ClassVar[Dialect]
    adopts: ClassVar[bool] = False
    """Whether a table without a note belongs to the stream of its name. If not, it is another program's."""

    _free: list[Connection] = PrivateAttr(default_factory=list)
    """Open connections that are idle: at most one per lane."""
    _streams: dict[tuple[str, str], Stream] = PrivateAttr(default_factory=dict)
    _tables: dict[tuple[str | None, str, bool], Table] = PrivateAttr(default_factory=dict)
    _writer: str = PrivateAttr("")
    """The id of this sync: distinguishes its new copies from those of other syncs."""

    # -- what a destination implements ---------------------------------------------------------------------------------

    def _connect(self) -> Connection:
        """A new connection. Called once for each stream that is written concurrently."""
        raise NotImplementedError

    def _schema(self) -> str:
        """The schema of streams without a namespace."""
        raise NotImplementedError

    def _place(self, stream: Stream) -> tuple[str, str]:
        """The schema and the name of a stream's table, before they are made safe."""
        return stream.namespace or self._schema(), stream.name

    def _is_there(self) -> bool:
        """Whether the database exists; if not, `count` returns 0 and creates nothing."""
        return True

    def _airbyte_columns(self) -> bool:
        """Whether tables have Airbyte's columns: `_airbyte_raw_id`, `_airbyte_extracted_at`, `_airbyte_meta` and
        `_airbyte_generation_id`."""
        return False

    def _step(self, step: Callable[[], T]) -> T:
        """Run one call of the engine. A subclass may retry it with other settings."""
        return step()

    # -- a stream from begin to end ------------------------------------------------------------------------------------

    def begin(self, stream: Stream) -> None:
        self._writer = self._writer or secrets.token_hex(8)
        with self._connection() as connection:
            table = self._table(connection, stream)
            self._claim(table, stream)
            connection.create_schema(table.schema)
            self._drop_staged(connection, stream)
            self._table(connection, stream).adopt()

    def _claim(self, table: Table, stream: Stream) -> None:
        """Refuse a table that belongs to another stream."""
        folded = self.dialect.folded
        other = self._streams.setdefault((folded(table.schema), folded(table.name)), stream)
        if (other.name, other.namespace) != (stream.name, stream.namespace):
            raise ConfigError(
                f"the streams {other.key} and {stream.key} would be one table: {table.schema}.{table.name}"
                + (
                    f" ({self.dialect.title}'s names have no upper and lower case)"
                    if folded("A") == folded("a")
                    else ""
                ),
                hint="Give one of them another name or a prefix.",
            )
        note = table.note
        if not table.exists or self._is_of(table, stream):
            return
        if note is None:
            raise self._table_conflict(table, stream)
        form = self.dialect.safe_table(note.stream)
        if (
            stream.name == table.name == form != note.stream
        ):  # the other stream's name was changed for its table, this one's was not
            table.rename(self.dialect.marked(form, note.stream))
            self._tables.clear()
            return
        raise self._table_conflict(table, stream)

    def _table_conflict(self, table: Table, stream: Stream) -> ConfigError:
        owner = f"belongs to the stream {table.note.owner}" if table.note else "was not created by a sync"
        return ConfigError(
            f"the table {table.schema}.{table.name} {owner}, so {stream.key} cannot be written there",
            hint="Give the stream another name, prefix or namespace, or remove the table.",
        )

    def prepare(self, stream: Stream, batch: Batch) -> Batch:
        """The batch as an Arrow table with types of the database."""
        return prepare_batch(self.dialect, stream, batch, sets_null=self._airbyte_columns())

    def write(self, stream: Stream, batch: Batch) -> Receipt:
        import pyarrow as pa

        receipt = self._step(lambda: self._write(stream, batch))
        pa.default_memory_pool().release_unused()
        return receipt

    def _write(self, stream: Stream, batch: Batch) -> Receipt:
        prepared = batch if isinstance(batch, PreparedBatch) else self.prepare(stream, batch)
        assert isinstance(prepared, PreparedBatch)
        merged = MergeCounts()
        if len(prepared):
            with self._connection() as connection:
                merged = self._merge_batch(connection, stream, prepared)
        return Receipt(
            written=len(prepared) + prepared.duplicates - merged.unchanged,
            unchanged=merged.unchanged,
            rejected=prepared.rejects,
            replaced=prepared.duplicates + merged.replaced,
            figures={NULLED_RECORDS: len(prepared.changes)} if prepared.changes else {},
        )

    def _merge_batch(self, connection: Connection, stream: Stream, prepared: PreparedBatch) -> MergeCounts:
        """Write a batch and replace the rows with the same keys."""
        import pyarrow as pa

        table, rows = self._target_table(connection, stream), prepared.table()
        typed = typed_fields(stream)
        filled = table.fit(rows, typed, prepared.keys)
        values = {column: filling.value for column, filling in filled.items()}
        staged, entries = list(rows.columns), dict[str, str]()
        for field, array in entry_arrays(table, prepared, typed).items():
            entries[field] = f"incoming.c{len(staged)}"
            values[self.dialect.key_column(table.fields[field])] = entries[field]
            staged.append(array)
        parts = []
        if stream.write.keep == "latest":
            parts = [part_of(table, path, filled, entries, rows) for path in stream.primary_key]
            connection.index(table, parts)
        generation = table.note.generation if table.note else 0
        fresh = airbyte_values(self.dialect, generation) if table.airbyte else {}
        if fresh and self.dialect.stages_ids:
            fresh[RAW_ID] = f"incoming.c{len(staged)}"
            staged.append(random_ids(len(prepared)))
        if prepared.changes:
            table.note_changes()
            del fresh[META]
            metadata = pa.chunked_array([prepared.changes.metadata(len(prepared))])
            values[META] = self.dialect.converted(
                f"incoming.c{len(staged)}", "JSON" if self.dialect.has_json else TEXT, "JSON"
            )
            staged.append(as_json(metadata) if self.dialect.has_json else metadata)
        mark = self._mark_column(stream, table)
        with connection.staged(columns_of(staged)) as incoming, connection.transaction():
            return connection.merge(Merge(table, incoming, values, fresh, parts, mark, len(prepared)))

    def change(self, stream: Stream) -> None:
        """Add and widen columns before the records that need them arrive."""
        self._step(lambda: self._change(stream))

    def _change(self, stream: Stream) -> None:
        with self._connection() as connection:
            self._fit_declared(self._target_table(connection, stream), stream)

    def _fit_declared(self, table: Table, stream: Stream) -> None:
        empty = stream.arrow_schema.empty_table()
        table.fit(plain(self.dialect, with_json(stream.schema, empty) if self.dialect.has_json else empty), (), {})

    def fill(self, stream: Stream, values: Mapping[str, Any]) -> None:
        self._step(lambda: self._fill(stream, values))

    def _fill(self, stream: Stream, values: Mapping[str, Any]) -> None:
        with self._connection() as connection:
            table = self._target_table(connection, stream)
            if not table.exists:
                return
            prepared = prepare_batch(self.dialect, fields_only(stream, values), Batch(stream.key, rows=[dict(values)]))
            for reject in prepared.rejects:
                raise ConnectorError(
                    f"the value that existing rows of {stream.key} have in a new field does not fit: {reject.reason}",
                    hint="This is a defect of the source: please report it.",
                )
            rows = prepared.table()
            filled = table.fit(rows, (), {})
            with connection.staged(columns_of(rows.columns)) as incoming, connection.transaction():
                for column, filling in filled.items():
                    connection.fill_rows(table, column, filling.value, incoming)

    # -- deletions -----------------------------------------------------------------------------------------------------

    def delete(self, stream: Stream, keys: Sequence[tuple[Any, ...]]) -> Receipt:
        return self._step(lambda: self._delete(stream, keys))

    def _delete(self, stream: Stream, keys: Sequence[tuple[Any, ...]]) -> Receipt:
        with self._connection() as connection:
            table = self._target_table(connection, stream)
            key_rows = KeyRows(table, stream, keys) if table.exists else None
            if key_rows is None or not key_rows.places:
                return Receipt(unchanged=len(keys))
            mark = self._mark_column(stream, table)
            connection.index(table, key_rows.parts)
            with connection.staged(key_rows.rows) as incoming, connection.transaction():
                matched, rows = self._matched(table, incoming, key_rows, mark)
                connection.delete_rows(table, incoming, conditions(key_rows.parts))
        return receipt_of(len(keys), matched, rows)

    def mark(self, stream: Stream, keys: Mapping[tuple[Any, ...], Any]) -> Receipt:
        return self._step(lambda: self._mark(stream, keys))

    def _mark(self, stream: Stream, keys: Mapping[tuple[Any, ...], Any]) -> Receipt:
        with self._connection() as connection:
            table = self._target_table(connection, stream)
            key_rows = KeyRows(table, stream, list(keys)) if table.exists else None
            if key_rows is None or not key_rows.places:
                return Receipt(unchanged=len(keys))
            times = list(keys.values())
            marks = self._marks(stream, [times[place] for place in key_rows.places])
            (filling,) = table.fit(marks, (), {}).values()
            value = filling._replace(source=f"incoming.c{key_rows.rows.num_columns}").value
            column = table.fields[DELETED_AT]
            name = self.dialect.quoted(column)
            staged = columns_of([*key_rows.rows.columns, marks.column(0)])
            connection.index(table, key_rows.parts)
            with connection.staged(staged) as incoming, connection.transaction():
                matched, rows = self._matched(table, incoming, key_rows, column)
                unmarked = [f"{condition} AND kept.{name} IS NULL" for condition in conditions(key_rows.parts)]
                connection.update_rows(table, column, value, incoming, unmarked)
        return receipt_of(len(keys), matched, rows)

    def _marks(self, stream: Stream, times: Sequence[Any]) -> pa.Table:
        """The times of deletions with the type of the stream's schema."""
        rows = [{DELETED_AT: time} for time in times]
        declared = stream.schema.get("properties", {}).get(DELETED_AT)
        table, rejects = arrow.from_rows(rows, {"properties": {DELETED_AT: declared}} if declared else None)
        return plain(self.dialect, arrow.from_rows(rows)[0] if rejects else table)

    def _matched(self, table: Table, incoming: str, keys: KeyRows, mark: str | None) -> tuple[int, int]:
        """How many keys have unmarked rows, and how many rows these are."""
        unmarked = f" AND kept.{self.dialect.quoted(mark)} IS NULL" if mark else ""
        pairs = " UNION ALL ".join(
            f"SELECT {keys.number} AS number, kept.{self.dialect.row_id} AS place "  # noqa: S608 - quoted
            f"FROM {table.reference} AS kept, {incoming} AS incoming WHERE {condition}{unmarked}"
            for condition in conditions(keys.parts)
        )
        counts = f"SELECT count(DISTINCT number), count(DISTINCT place) FROM ({pairs}) AS pairs"  # noqa: S608 - quoted
        ((matched, rows),) = table.connection.rows(counts)
        return matched, rows

    def truncate(self, stream: Stream, deleted_at: str) -> Receipt:
        return self._step(lambda: self._truncate(stream, deleted_at))

    def _truncate(self, stream: Stream, deleted_at: str) -> Receipt:
        with self._connection() as connection:
            table = self._target_table(connection, stream)
            if not table.exists:
                return Receipt()
            if stream.write.deletes != "mark":
                return Receipt(deleted=connection.delete_all(table))
            marks = self._marks(stream, [deleted_at])
            (filling,) = table.fit(marks, (), {}).values()
            column = table.fields[DELETED_AT]
            with connection.staged(columns_of(marks.columns)) as incoming, connection.transaction():
                return Receipt(deleted=connection.fill_rows(table, column, filling.value, incoming))

    def key_listing(self, stream: Stream) -> KeyListing:
        return TableListing(
            stream, self._connect(), self._look_up, lambda deleted_at: self._marks(stream, [deleted_at])
        )

    # -- the end -------------------------------------------------------------------------------------------------------

    def commit(self, stream: Stream) -> Receipt | None:
        if not stream.write.replace:
            return None
        with self._connection() as connection:
            table, new = self._table(connection, stream), self._target_table(connection, stream)
            if not new.exists:
                self._fit_declared(new, stream)
            with connection.transaction():
                connection.drop(table.schema, table.name)
                connection.rename(new.schema, new.name, table.name)
        self._forget(stream)
        return None

    def abort(self, stream: Stream) -> None:
        with self._connection() as connection:
            table = self._table(connection, stream)
            note = Note.read(connection.note(table.schema, self.dialect.staged(table.name)))
            if note is None or note.writer in ("", self._writer):  # else it belongs to another sync
                self._drop_staged(connection, stream)
        self._forget(stream)

    def _drop_staged(self, connection: Connection, stream: Stream) -> None:
        table = self._table(connection, stream)
        connection.drop(table.schema, self.dialect.staged(table.name))
        self._forget(stream)

    def count(self, stream: Stream) -> int | None:
        if not self._free and not self._is_there():
            return 0
        with self._connection() as connection:
            table = self._table(connection, stream)
            if not table.exists or not self._is_of(table, stream):
                return 0
            mark = self._mark_column(stream, table)
            unmarked = f" WHERE {self.dialect.quoted(mark)} IS NULL" if mark else ""
            return int(connection.rows(f"SELECT count(*) FROM {table.reference}{unmarked}")[0][0])  # noqa: S608 - quoted

    def close(self) -> None:
        self._streams.clear()
        self._disconnect()

    def _disconnect(self) -> None:
        """Close the idle connections; the next call opens new ones."""
        connections, self._free = self._free, []
        self._tables.clear()
        for connection in connections:
            connection.close()

    # -- tables --------------------------------------------------------------------------------------------------------

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        """A connection for one call: an idle or a new one."""
        try:
            connection = self._free.pop()
        except IndexError:
            connection = self._connect()
        try:
            yield connection
        finally:
            if not connection.closed:
                self._free.append(connection)

    def _table(self, connection: Connection, stream: Stream, staged: bool = False) -> Table:
        """The table of a stream as it is now, or the staged table of its new copy."""
        key = (stream.namespace, stream.name, staged)
        table = self._tables.get(key)
        was_there = table is not None and table.exists
        if table is not None:
            table.connection, table.stream = connection, stream
            table.refresh()
        elif staged:
            old = self._table(connection, stream)
            staged_name = self.dialect.staged(old.name)
            table = Table(connection, old.schema, staged_name, stream, predecessor=old, writer=self._writer)
        else:
            table = self._look_up(connection, stream)
        if staged and (was_there or table.exists) and (table.note is None or table.note.writer != self._writer):
            raise ConfigError(
                f"another sync has begun a new copy of {stream.key} in {table.schema}, so this sync stops",
                hint="Let one sync at a time write a stream.",
            )
        self._tables[key] = table
        return table

    def _look_up(self, connection: Connection, stream: Stream) -> Table:
        dialect = self.dialect
        schema, name = self._place(stream)
        tables = [
            Table(connection, schema_name, table_name, stream, self._airbyte_columns())
            for schema_name in dialect.candidates(schema, dialect.safe_schema(schema))
            for table_name in dialect.candidates(name, dialect.safe_table(name))
        ]
        of_stream = [table for table in tables if table.exists and self._is_of(table, stream)]
        return (of_stream or tables)[0]

    def _is_of(self, table: Table, stream: Stream) -> bool:
        return self.adopts if table.note is None else table.note.is_of(stream)

    def _forget(self, stream: Stream) -> None:
        """Forget the tables of a stream; the next call reads them again."""
        for staged in (False, True):
            self._tables.pop((stream.namespace, stream.name, staged), None)

    def _target_table(self, connection: Connection, stream: Stream) -> Table:
        """The table that the records are written to, as it is now."""
        table = self._table(connection, stream, stream.write.replace)
        if table.exists and not self._is_of(table, stream):
            raise self._table_conflict(table, stream)
        return table

    def _mark_column(self, stream: Stream, table: Table) -> str | None:
        """The column that marks deleted records, if this stream is written with marks."""
        return table.fields.get(DELETED_AT) if stream.write.deletes == "mark" else None


def part_of(
    table: Table, path: tuple[str, ...], filled: Mapping[str, Filling], entries: Mapping[str, str], rows: pa.Table
) -> Part:
    """A part of the primary key of a batch."""
    filling = filled.get(table.fields.get(path[0], ""))
    if filling is None:
        raise RecordError(f"the primary key {'.'.join(path)} is not a field of the records")
    nullable = path[0] not in rows.column_names or rows.column(path[0]).null_count > 0
    return table.part(path, filling.value, nullable, entries.get(path[0]))


def fields_only(stream: Stream, names: Collection[str]) -> Stream:
    """The stream with these fields only, as they are declared, and without a key."""
    properties = {name: declared for name, declared in stream.schema["properties"].items() if name in names}
    schema = Schema.of(stream.schema).changed({**stream.schema, "properties": properties})
    return replace(stream, schema=schema, primary_key=())


def columns_of(columns: Sequence[Any]) -> pa.Table:
    """Columns to stage, called c0, c1, …, since names of fields may be equal for the vendor."""
    import pyarrow as pa

    return pa.table(list(columns), [f"c{n}" for n in range(len(columns))])


def receipt_of(keys: int, matched: int, rows: int) -> Receipt:
    """The receipt for deleted or marked keys. `rows` exceeds `matched` if all versions were written before, and is
    smaller if the database treats several keys as equal."""
    deleted = min(matched, rows)
    return Receipt(deleted=deleted, unchanged=keys - deleted, replaced=rows - deleted)
