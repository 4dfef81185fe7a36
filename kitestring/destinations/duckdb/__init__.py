"""DuckDB: each stream a table in one database file; Arrow goes in as it is."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from pydantic import PrivateAttr, model_validator

from kitestring import arrow
from kitestring.batch import Batch
from kitestring.config import option
from kitestring.destination import Destination
from kitestring.destinations.duckdb.connection import INCOMING, Connection, translated
from kitestring.destinations.duckdb.incoming import Keys, Prepared, entry_arrays, plain, prepared
from kitestring.destinations.duckdb.key import conditions, key_column, typed_fields
from kitestring.destinations.duckdb.naming import SHADOW, candidates, folded, quoted, safe, safe_schema
from kitestring.destinations.duckdb.note import Note
from kitestring.destinations.duckdb.table import Filling, Table
from kitestring.errors import ConfigError, RecordError
from kitestring.facts import Facts
from kitestring.names import marked
from kitestring.types import DELETED_AT, EVERY_WRITE, Receipt, Stream, Write

if TYPE_CHECKING:
    import pyarrow as pa

T = TypeVar("T")
log = logging.getLogger("kitestring.duckdb")

MEMORY_LIMIT = "128MB"
"""Without one DuckDB keeps what it has written in memory, up to 80 % of the machine's (see benchmarks/README.md)."""


class Duckdb(Destination):
    """Writes each stream into a table of its name, in the schema of its namespace.

    Every batch is one transaction. A replacement fills a shadow table and renames it in one transaction with the
    removal of the old; where the last version is kept, the rows that have the keys of the batch are replaced. Tables
    grow with the records: new fields are new columns, and a column whose type does not hold a value gets the next
    wider one, at last VARCHAR. A table says in its comment which stream it is of.
    """

    writes: ClassVar[frozenset[Write]] = EVERY_WRITE
    facts: ClassVar[Facts] = Facts(
        network="none",
        programs=False,
        packages=("duckdb", "pyarrow"),
        preload=("duckdb", "pyarrow"),
        category="database",
    )
    batch_rows: ClassVar[int] = 250_000
    batch_bytes: ClassVar[int] = 24 * 1024 * 1024

    path: str = option(order=0, examples=["./warehouse.duckdb"], local_path=True)
    """The database file; it is made if it is absent."""

    schema_name: str = option("main", order=1, alias="schema", title="Schema")
    """Where the tables of streams without a namespace are."""

    memory_limit: str | None = option(None, order=2, title="Memory limit", examples=["1GB"])
    """How much memory DuckDB takes before it goes to disk. By default 128 MB, and 80 % of the machine's from a step on
    that needs more."""

    storage_version: str | None = option(None, order=3, title="Storage version", examples=["v1.0.0", "latest"])
    """The oldest DuckDB that can read the file, if this sync makes it. By default v1.4.0; a file that is there stays
    of its version."""

    @model_validator(mode="before")
    @classmethod
    def _as_airbyte_has_it(cls, values: Any) -> Any:
        """Airbyte's connector of this name calls the path `destination_path`."""
        if not isinstance(values, Mapping):
            return values
        kept = dict(values)
        if kept.pop("motherduck_api_key", None):
            raise ValueError("motherduck_api_key asks for MotherDuck, which is not there yet: give the path of a file")
        if "destination_path" in kept and "path" not in kept:
            kept["path"] = kept.pop("destination_path")
        return kept

    _open: Connection | None = PrivateAttr(None)
    _roomy: bool = PrivateAttr(False)
    """DuckDB has needed more than `MEMORY_LIMIT`."""

    _streams: dict[tuple[str, str], Stream] = PrivateAttr(default_factory=dict)
    _tables: dict[tuple[str | None, str, bool], Table] = PrivateAttr(default_factory=dict)

    def check(self) -> None:
        path = Path(self.path).expanduser()
        try:
            nearest = next(place for place in [path, *path.absolute().parents] if place.exists())
        except OSError as error:
            raise translated(error, self.path) from error
        if path.is_dir() or (nearest != path and not nearest.is_dir()):
            raise ConfigError(f"{nearest} is no place for a database file", hint="Choose another `path`.")
        if not os.access(nearest, os.W_OK):
            raise ConfigError(
                f"{nearest} may not be written by this user", hint="Choose another `path`, or its rights."
            )
        if path.exists():
            self._connection().rows("SELECT 1")
            self.close()

    def begin(self, stream: Stream) -> None:
        table = self._table(stream)
        self._claim(table, stream)
        connection = self._connection()
        connection.rows(f"CREATE SCHEMA IF NOT EXISTS {connection.reference(table.schema)}")
        self._drop_shadow(stream)
        table.adopt()

    def _claim(self, table: Table, stream: Stream) -> None:
        """Refuse a table that is another stream's."""
        other = self._streams.setdefault((folded(table.schema), folded(table.name)), stream)
        if (other.name, other.namespace) != (stream.name, stream.namespace):
            raise ConfigError(
                f"the streams {other.key} and {stream.key} would be one table: {table.schema}.{table.name} "
                "(DuckDB's names have no upper and lower case)",
                hint="Give one of them another name or a prefix.",
            )
        note = table.note
        if note is None or note.is_of(stream):
            return
        form = safe(note.stream)
        if stream.name == table.name == form != note.stream:  # it had to change its name, and this stream has not
            table.rename(marked(form, note.stream))
            self._tables.clear()
            return
        raise self._taken(note, table, stream)

    def _taken(self, note: Note, table: Table, stream: Stream) -> ConfigError:
        return ConfigError(
            f"the table {table.schema}.{table.name} is that of the stream {note.owner}, "
            f"so {stream.key} cannot be written there",
            hint="Give the stream another name, prefix or namespace, or remove the table.",
        )

    def prepare(self, stream: Stream, batch: Batch) -> Batch:
        """The batch as an Arrow table of types that DuckDB has."""
        return prepared(stream, batch)

    def write(self, stream: Stream, batch: Batch) -> Receipt:
        import pyarrow as pa

        receipt = self._with_room(lambda: self._write(stream, batch))
        pa.default_memory_pool().release_unused()
        return receipt

    def _write(self, stream: Stream, batch: Batch) -> Receipt:
        ready = batch if isinstance(batch, Prepared) else prepared(stream, batch)
        replaced = ready.doubles
        if len(ready):
            connection, table, rows = self._connection(), self._written(stream), ready.table()
            typed = typed_fields(stream)
            with connection.registered(rows) as types:
                filled = table.fit(rows.column_names, types, typed, ready.keys)
                entries = entry_arrays(table, ready, typed)
                if not entries:
                    replaced += self._put(stream, table, filled, {})
            if entries:
                sources = {}
                for field, array in entries.items():
                    sources[field] = f"incoming.c{rows.num_columns}"
                    rows = rows.append_column(sources[field], array)
                with connection.registered(rows):
                    replaced += self._put(stream, table, filled, sources)
        return Receipt(written=len(ready) + ready.doubles, rejected=ready.rejects, replaced=replaced)

    def _put(self, stream: Stream, table: Table, filled: Mapping[str, Filling], entries: Mapping[str, str]) -> int:
        """Insert `INCOMING` in the place of what has its keys. Returns how many rows, without marked ones, these were.
        `entries` are the incoming columns that hold the entries of key columns."""
        connection, replaced = self._connection(), 0
        removals = []
        if stream.write.keep == "latest":
            removals = conditions([self._part(table, path, filled, entries) for path in stream.primary_key])
        values = {quoted(column): filling.value for column, filling in filled.items()}
        values |= {quoted(key_column(table.fields[field])): source for field, source in entries.items()}
        mark = self._mark_column(stream, table)
        with connection.transaction():
            for condition in removals:
                removal = f"DELETE FROM {table.reference} AS kept USING {INCOMING} AS incoming WHERE {condition}"  # noqa: S608 - quoted
                if mark:
                    replaced += sum(row[0] for row in connection.rows(f"{removal} RETURNING {quoted(mark)} IS NULL"))
                else:
                    replaced += connection.rows(removal)[0][0]
            connection.rows(
                f"INSERT INTO {table.reference} ({', '.join(values)}) "  # noqa: S608 - quoted
                f"SELECT {', '.join(values.values())} FROM {INCOMING} AS incoming"
            )
        return replaced

    def _part(
        self, table: Table, path: tuple[str, ...], filled: Mapping[str, Filling], entries: Mapping[str, str]
    ) -> Any:
        filling = filled.get(table.fields.get(path[0], ""))
        if filling is None:
            raise RecordError(f"the primary key {'.'.join(path)} is not a field of the records")
        return table.part(path, filling.value, filling.wanted, entries.get(path[0]))

    def delete(self, stream: Stream, keys: Sequence[tuple[Any, ...]]) -> Receipt:
        return self._with_room(lambda: self._delete(stream, keys))

    def _delete(self, stream: Stream, keys: Sequence[tuple[Any, ...]]) -> Receipt:
        table = self._written(stream)
        incoming = Keys(table, stream, keys) if table.exists else None
        if incoming is None or not incoming.places:
            return Receipt(unchanged=len(keys))
        mark = self._mark_column(stream, table)
        with self._connection().registered(incoming.rows), self._connection().transaction():
            there, rows = self._matched(table, incoming, mark)
            for condition in conditions(incoming.parts):
                self._connection().rows(
                    f"DELETE FROM {table.reference} AS kept USING {INCOMING} AS incoming WHERE {condition}"  # noqa: S608 - quoted
                )
        return receipt_of(len(keys), there, rows)

    def mark(self, stream: Stream, keys: Mapping[tuple[Any, ...], Any]) -> Receipt:
        return self._with_room(lambda: self._mark(stream, keys))

    def _mark(self, stream: Stream, keys: Mapping[tuple[Any, ...], Any]) -> Receipt:
        table, connection = self._written(stream), self._connection()
        incoming = Keys(table, stream, list(keys)) if table.exists else None
        if incoming is None or not incoming.places:
            return Receipt(unchanged=len(keys))
        times = list(keys.values())
        marks = marks_of(stream, [times[place] for place in incoming.places])
        with connection.registered(marks) as types:
            (filling,) = table.fit([DELETED_AT], types, (), {}).values()
        source = f"incoming.c{incoming.rows.num_columns}"
        value = filling._replace(source=source).value
        column = table.fields[DELETED_AT]
        with connection.registered(incoming.rows.append_column(source, marks.column(0))), connection.transaction():
            there, rows = self._matched(table, incoming, column)
            for condition in conditions(incoming.parts):
                connection.rows(
                    f"UPDATE {table.reference} AS kept SET {quoted(column)} = {value} FROM {INCOMING} AS incoming "  # noqa: S608 - quoted
                    f"WHERE {condition} AND kept.{quoted(column)} IS NULL"
                )
        return receipt_of(len(keys), there, rows)

    def _matched(self, table: Table, keys: Keys, mark: str | None) -> tuple[int, int]:
        """How many keys of `INCOMING` have rows that are not marked, and how many rows these are."""
        unmarked = f" AND kept.{quoted(mark)} IS NULL" if mark else ""
        pairs = " UNION ALL ".join(
            f"SELECT {keys.number} AS number, kept.rowid AS place "  # noqa: S608 - quoted
            f"FROM {table.reference} AS kept, {INCOMING} AS incoming WHERE {condition}{unmarked}"
            for condition in conditions(keys.parts)
        )
        counts = f"SELECT count(DISTINCT number), count(DISTINCT place) FROM ({pairs})"  # noqa: S608 - quoted
        ((there, rows),) = self._connection().rows(counts)
        return there, rows

    def commit(self, stream: Stream) -> None:
        if not stream.write.replace:
            return
        connection, table, new = self._connection(), self._table(stream), self._written(stream)
        if not new.exists:
            empty = plain(stream.arrow_schema.empty_table())
            with connection.registered(empty) as types:
                new.fit(empty.column_names, types, (), {})
        with connection.transaction():
            connection.rows(f"DROP TABLE IF EXISTS {table.reference}")
            connection.rows(f"ALTER TABLE {new.reference} RENAME TO {quoted(table.name)}")
        self._tables.clear()

    def abort(self, stream: Stream) -> None:
        self._drop_shadow(stream)

    def _drop_shadow(self, stream: Stream) -> None:
        table = self._table(stream)
        self._connection().rows(
            f"DROP TABLE IF EXISTS {self._connection().reference(table.schema, SHADOW + table.name)}"
        )

    def count(self, stream: Stream) -> int | None:
        try:
            if self._open is None and not Path(self.path).expanduser().exists():
                return 0
        except OSError as error:
            raise translated(error, self.path) from error
        table = self._table(stream)
        table.refresh()
        if not table.exists or (table.note is not None and not table.note.is_of(stream)):
            return 0
        mark = self._mark_column(stream, table)
        unmarked = f" WHERE {quoted(mark)} IS NULL" if mark else ""
        return int(self._connection().rows(f"SELECT count(*) FROM {table.reference}{unmarked}")[0][0])  # noqa: S608 - quoted

    def close(self) -> None:
        connection, self._open = self._open, None
        self._streams.clear()
        self._tables.clear()
        if connection is not None:
            connection.close()

    # -- places --------------------------------------------------------------------------------------------------------

    def _connection(self) -> Connection:
        if self._open is None or self._open.closed:
            self._tables.clear()
            limit = self.memory_limit or (None if self._roomy else MEMORY_LIMIT)
            self._open = Connection(self.path, limit, self.storage_version)
        return self._open

    def _with_room(self, step: Callable[[], T]) -> T:
        """Carry out a step, once more with the machine's memory if the usual limit is too little for it."""
        import duckdb

        try:
            return step()
        except ConfigError as error:
            if self.memory_limit or self._roomy or not isinstance(error.__cause__, duckdb.OutOfMemoryException):
                raise
        log.info("DuckDB needs more memory than usual", extra={"path": self.path, "limit": MEMORY_LIMIT})
        self._roomy = True
        if self._open is not None:
            self._open.close()
        return step()

    def _table(self, stream: Stream, shadow: bool = False) -> Table:
        """The table of a stream, or the one in which its new copy is staged."""
        connection, key = self._connection(), (stream.namespace, stream.name, shadow)
        if key not in self._tables:
            if shadow:
                table = self._table(stream)
                self._tables[key] = Table(connection, table.schema, SHADOW + table.name, stream, predecessor=table)
            else:
                self._tables[key] = self._found(stream)
        return self._tables[key]

    def _found(self, stream: Stream) -> Table:
        namespace = stream.namespace or self.schema_name
        schemas = candidates(namespace, safe_schema(namespace))
        places = [(schema, name) for schema in schemas for name in candidates(stream.name, safe(stream.name))]
        tables = [Table(self._connection(), schema, name, stream) for schema, name in places]
        own = [table for table in tables if table.exists and (table.note is None or table.note.is_of(stream))]
        return (own or tables)[0]

    def _written(self, stream: Stream) -> Table:
        """The table into which the records go, as it is now."""
        table = self._table(stream, stream.write.replace)
        table.stream = stream
        table.refresh()
        if table.note is not None and not table.note.is_of(stream):
            raise self._taken(table.note, table, stream)
        return table

    def _mark_column(self, stream: Stream, table: Table) -> str | None:
        """The column that marks deleted records, where this stream is written with marks."""
        return table.fields.get(DELETED_AT) if stream.write.deletes == "mark" else None


def marks_of(stream: Stream, times: Sequence[Any]) -> pa.Table:
    """The times of deletions as the stream's schema has them."""
    rows = [{DELETED_AT: time} for time in times]
    declared = stream.schema.get("properties", {}).get(DELETED_AT)
    table, rejects = arrow.from_rows(rows, {"properties": {DELETED_AT: declared}} if declared else None)
    return plain(arrow.from_rows(rows)[0] if rejects else table)


def receipt_of(keys: int, there: int, rows: int) -> Receipt:
    """What became of so many keys, of which so many had records: several where they were written before with all
    versions, fewer where keys are one to DuckDB."""
    deleted = min(there, rows)
    return Receipt(deleted=deleted, unchanged=keys - deleted, replaced=rows - deleted)
