"""A connection to a lake: statements run in a DuckDB in memory, on the rows of the lake that they need."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from kitestring.errors import ConfigError, KitestringError, RecordError
from kitestring.lake.lake_dialect import ROW, LakeDialect
from kitestring.lake.memory_database import MEMORY_LIMIT, database
from kitestring.lake.opened_table import Opened
from kitestring.lake.table_format import Between, LakeTable, TableFormat, WriteId
from kitestring.sql.connection import Connection
from kitestring.sql.duckdb_dialect import WRONG_LIMIT
from kitestring.sql.error_rules import FILE_RULES, ErrorRule, translated
from kitestring.sql.key import Part, conditions
from kitestring.sql.merge import Merge, MergeCounts
from kitestring.sql.types import INTEGERS

if TYPE_CHECKING:
    import pyarrow as pa

    from kitestring.sql.stored_table import StoredTable

INCOMING = "temp.main._kitestring_incoming"
LOADED = "temp.main._kitestring_loaded"
SCANNED = "temp.main._kitestring_scan"
ROWS = "temp.main._kitestring_rows"
RULES = (
    WRONG_LIMIT,
    ErrorRule(r"OutOfMemoryException", ConfigError, "DuckDB has no memory left to merge", "Raise `memory_limit`."),
    ErrorRule(r"ConversionException|OutOfRangeException|Invalid unicode", RecordError, "a value does not fit: {text}"),
    *FILE_RULES,
)
KINDS: dict[pa.Schema, list[str]] = {}
"""The kinds of the columns of Arrow schemas, which DuckDB was asked for."""
MOST_KINDS = 1000
PRUNED = {*INTEGERS, "DATE"}
"""The kinds of key columns by whose bounds rows are left out: the statistics of other kinds are rounded or cut."""


@dataclass
class Changes:
    """The tables that a transaction creates (with columns and note), drops and renames."""

    created: dict[tuple[str, str], tuple[Mapping[str, str], str | None]] = field(default_factory=dict)
    dropped: list[tuple[str, str]] = field(default_factory=list)
    renamed: list[tuple[str, str, str]] = field(default_factory=list)


class LakeConnection(Connection):
    """A statement that reads gets the columns it names, as a stream. One that writes runs on a working table: with the
    rows of the keys it was announced for (`index`, then `staged`), or with all rows. The end of the transaction commits
    the working table's difference to the lake, in one commit of the table format."""

    def __init__(self, dialect: LakeDialect, tables: TableFormat, memory_limit: str | None = None) -> None:
        self.dialect: LakeDialect = dialect
        self.tables = tables
        self.write_id: WriteId | None = None
        """The write whose rows are committed next."""
        self._opened: dict[tuple[str, str], Opened] = {}
        self._sought: tuple[StoredTable, Sequence[Part]] | None = None
        self._changes: Changes | None = None
        with self.translated():
            self.db = database(memory_limit or MEMORY_LIMIT).cursor()

    def close(self) -> None:
        self.closed = True
        self.db.close()
        self.tables.close()

    @contextmanager
    def translated(self) -> Iterator[None]:
        import duckdb

        try:
            yield
        except duckdb.Error as error:
            cause = getattr(error, "__cause__", None)
            if isinstance(cause, KitestringError):
                raise cause from error
            raise translated(error, RULES, self.dialect.title, path="the temporary folder") from error

    # -- tables --------------------------------------------------------------------------------------------------------

    def reference(self, schema: str, table: str = "") -> str:
        return f"temp.main.{self.dialect.quoted(f'{schema}/{table}')}"

    def columns(self, schema: str, table: str) -> dict[str, str]:
        opened = self._open(schema, table)
        return dict(opened.kinds) if opened else {}

    def _open(self, schema: str, table: str) -> Opened | None:
        """The table as it is now."""
        lake_table = self.tables.open(schema, table)
        if lake_table is None:
            self._opened.pop((schema, table), None)
            return None
        return self._remember(schema, table, lake_table)

    def _remember(self, schema: str, table: str, lake_table: LakeTable) -> Opened:
        kinds = dict(zip(lake_table.schema.names, self._kinds_of(lake_table.schema), strict=True))
        opened = Opened(self.reference(schema, table), lake_table, kinds)
        self._opened[schema, table] = opened
        return opened

    def _of(self, schema: str, table: str) -> Opened:
        opened = self._opened.get((schema, table)) or self._open(schema, table)
        if opened is None:
            raise ConfigError(f"the table {schema}.{table} was dropped during the sync", hint="Sync again.")
        return opened

    def _kinds_of(self, schema: pa.Schema) -> list[str]:
        known = KINDS.get(schema)
        if known is not None:
            return known
        names = [f"c{n}" for n in range(len(schema))]
        empty = schema.empty_table().rename_columns(names)
        with self._registered("temp.main._kitestring_types", empty):
            kinds = [str(kind) for _, kind, *_ in self._fetched("DESCRIBE temp.main._kitestring_types")]
        if len(KINDS) < MOST_KINDS:
            KINDS[schema] = kinds
        return kinds

    def kinds(self, rows: pa.Table) -> list[str]:
        return self._kinds_of(rows.schema)

    def arrow_types(self, table: StoredTable) -> dict[str, pa.DataType]:
        schema = self._of(table.schema, table.name).table.schema
        return {column.name: column.type for column in schema}

    def _arrow_schema(self, kinds: Mapping[str, str]) -> pa.Schema:
        """The Arrow types for columns of these kinds."""
        import pyarrow as pa

        selected = ", ".join(
            f"CAST(NULL AS {self.dialect.type_name(kind)}) AS {self.dialect.quoted(name)}"
            for name, kind in kinds.items()
        )
        with self.translated():
            schema = self.db.sql(f"SELECT {selected} LIMIT 0").to_arrow_table().schema
        return pa.schema([column.with_type(self.dialect.plain_type(column.type)) for column in schema])

    def values(self, table: StoredTable, column: str) -> pa.ChunkedArray:
        name = self.dialect.quoted(column)
        query = f"SELECT DISTINCT {name} FROM {table.reference} WHERE {name} IS NOT NULL"  # noqa: S608 - quoted
        with self._readable(query), self.translated():
            return self.db.sql(query).to_arrow_table().column(0)

    def note(self, schema: str, table: str) -> str | None:
        opened = self._opened.get((schema, table)) or self._open(schema, table)
        return opened.table.note if opened else None

    def notes(self) -> list[tuple[str, str, str]]:
        noted = ((schema, table, self.note(schema, table)) for schema, table in self.tables.listed())
        return [(schema, table, note) for schema, table, note in noted if note is not None]

    def set_note(self, schema: str, table: str, text: str) -> None:
        created = self._changes.created if self._changes else {}
        if (schema, table) in created:
            created[schema, table] = created[schema, table][0], text
        else:
            self._of(schema, table).table.set_note(text)

    def create_schema(self, schema: str) -> None:
        self.tables.create_schema(schema)

    def create(self, table: StoredTable, columns: Mapping[str, str]) -> None:
        with self._changing() as changes:
            changes.created[table.schema, table.name] = columns, None

    def drop(self, schema: str, table: str) -> None:
        with self._changing() as changes:
            changes.dropped.append((schema, table))

    def rename(self, schema: str, table: str, name: str) -> None:
        with self._changing() as changes:
            changes.renamed.append((schema, table, name))

    def grow(self, table: StoredTable, added: Mapping[str, str], widened: Mapping[str, str]) -> None:
        opened = self._of(table.schema, table.name)
        if added:
            opened.table.add_columns(list(self._arrow_schema(added)))
        if widened and not opened.table.widen(list(self._arrow_schema(widened))):
            present = {column: kind for column, kind in opened.kinds.items() if column not in added}
            quoted = self.dialect.quoted
            spelled = {
                column: self.dialect.converted(quoted(column), kind, widened.get(column, kind))
                for column, kind in present.items()
            } | {quoted_name: quoted(quoted_name) for quoted_name in added}
            kinds = {**present, **added, **widened}
            self._rewrite(opened, spelled, self._arrow_schema({column: kinds[column] for column in spelled}))
        self._open(table.schema, table.name)

    def rename_columns(self, table: StoredTable, names: Mapping[str, str]) -> None:
        import pyarrow as pa

        opened = self._of(table.schema, table.name)
        schema = pa.schema([column.with_name(names.get(column.name, column.name)) for column in opened.table.schema])
        spelled = {names.get(column, column): self.dialect.quoted(column) for column in opened.kinds}
        self._rewrite(opened, spelled, schema)
        self._open(table.schema, table.name)

    def _rewrite(self, opened: Opened, spelled: Mapping[str, str], schema: pa.Schema) -> None:
        """Replace all rows by expressions over them, with these columns."""
        selected = ", ".join(f"{value} AS {self.dialect.quoted(column)}" for column, value in spelled.items())
        with self._registered(ROWS, opened.table.scan(opened.table.schema.names, {})):
            rows = self._stream(f"SELECT {selected} FROM {ROWS}", schema)  # noqa: S608 - quoted
            opened.table.overwrite(rows, opened.table.note)

    # -- statements ----------------------------------------------------------------------------------------------------

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        with self._readable(statement):
            return self._fetched(statement)

    def changed(self, statement: str) -> int:
        for opened in self._opened.values():
            if statement == f"DELETE FROM {opened.reference}":  # noqa: S608 - compared
                count = opened.table.count()
                opened.table.clear()
                return count
        with self._readable(statement):
            return int(self._fetched(statement)[0][0])

    def _fetched(self, statement: str) -> list[tuple[Any, ...]]:
        with self.translated():
            rows: list[tuple[Any, ...]] = self.db.execute(statement).fetchall()
        return rows

    @contextmanager
    def _readable(self, statement: str) -> Iterator[None]:
        """Make the tables readable that a statement names, and writable the one that it writes to."""
        named = [opened for opened in self._opened.values() if opened.reference in statement and not opened.working]
        written = [
            opened
            for opened in named
            if statement.startswith(
                tuple(f"{verb} {opened.reference}" for verb in ("INSERT INTO", "UPDATE", "DELETE FROM"))
            )
        ]
        if written and self._changes is None:
            with self.transaction(), self._readable(statement):
                yield
            return
        for opened in written:
            self._load(opened, "added" if statement.startswith("INSERT") else "all")
        streams = []
        for opened in named:
            if opened not in written:
                columns = [c for c in opened.kinds if self.dialect.quoted(c) in statement]
                rows = self._scanned(opened.table, columns)
                streams.append((opened.reference, rows.read_all() if statement.count(opened.reference) > 1 else rows))
        with self._all_registered(streams):
            yield

    def _scanned(self, table: LakeTable, columns: Sequence[str], between: Between | None = None) -> Any:
        """These columns of a table; its number of rows where a statement names none."""
        import pyarrow as pa

        if columns:
            return table.scan(columns, between or {})
        count = table.count()
        sizes = [min(1_000_000, count - start) for start in range(0, count, 1_000_000)]
        schema = pa.schema([pa.field(ROW, pa.null())])
        batches = (pa.record_batch([pa.nulls(size)], schema=schema) for size in sizes)
        return pa.RecordBatchReader.from_batches(schema, batches)

    @contextmanager
    def _all_registered(self, streams: Sequence[tuple[str, Any]]) -> Iterator[None]:
        if not streams:
            yield
            return
        with self._registered(*streams[0]), self._all_registered(streams[1:]):
            yield

    @contextmanager
    def _registered(self, reference: str, rows: Any) -> Iterator[None]:
        import duckdb

        """`reference` is that of a table, or of a name of ours."""
        name = reference.removeprefix("temp.main.")
        name = name[1:-1].replace('""', '"') if name.startswith('"') else name
        with self.translated():
            self.db.register(name, rows)
        try:
            yield
        finally:
            with suppress(duckdb.Error):
                self.db.unregister(name)

    def _stream(self, query: str, schema: pa.Schema) -> pa.RecordBatchReader:
        """The rows of a query as they come, with the Arrow types of a schema."""
        import pyarrow as pa

        with self.translated():
            reader = self.db.sql(query).to_arrow_reader(100_000)
        return pa.RecordBatchReader.from_batches(schema, (batch_as(batch, schema) for batch in reader))

    # -- rows that are written -----------------------------------------------------------------------------------------

    @contextmanager
    def staged(self, rows: pa.Table) -> Iterator[str]:
        """A temporary table. After `index` the rows of the lake with the keys of these rows are loaded."""
        sought, self._sought = self._sought, None
        with self._registered(ROWS, rows):
            self._fetched(f"CREATE TEMPORARY TABLE {INCOMING} AS FROM {ROWS}")
        opened = None
        try:
            if sought is not None:
                opened = self._of(sought[0].schema, sought[0].name)
                self._load_keyed(opened, sought[1])
            yield INCOMING
        finally:
            if opened is not None and opened.working:
                self._unload(opened)
            self._fetched(f"DROP TABLE IF EXISTS {INCOMING}")

    def index(self, table: StoredTable, parts: Sequence[Part]) -> None:
        """Note the key by which the next staged rows look for rows of the lake."""
        self._sought = (table, parts)

    def _load(self, opened: Opened, what: Literal["added", "all"]) -> None:
        """Create the working table, with all rows or with none."""
        if what == "all":
            self._work(
                opened,
                f"SELECT kept.* FROM {SCANNED} AS kept",  # noqa: S608 - quoted
                {},
            )
        else:
            quoted, name = self.dialect.quoted, self.dialect.type_name
            columns = ", ".join(f"{quoted(column)} {name(kind)}" for column, kind in opened.kinds.items())
            self._fetched(f"CREATE TEMPORARY TABLE {opened.reference} ({columns}, {quoted(ROW)} BIGINT)")
        opened.working = what

    def _load_keyed(self, opened: Opened, parts: Sequence[Part]) -> None:
        """Create the working table with the rows that have the keys of the staged rows."""
        columns = {part.column for part in parts} | {part.entries[0] for part in parts if part.entries}
        opened.keys = [column for column in opened.kinds if column in columns]
        between = self._bounds(parts, f"{INCOMING} AS incoming")
        same = " OR ".join(f"EXISTS (SELECT 1 FROM {INCOMING} AS incoming WHERE {c})" for c in conditions(parts))  # noqa: S608 - quoted
        matches, bounds = self._matches(opened, same, between)
        opened.working = "keyed"  # before its table is created, so that it is dropped after an error
        if matches:
            self._work(opened, f"SELECT kept.* FROM {SCANNED} AS kept WHERE {same}", bounds)  # noqa: S608 - quoted
        else:
            self._load(opened, "added")
            opened.working = "keyed"

    def _matches(self, opened: Opened, same: str, between: Between) -> tuple[bool, Between]:
        """Whether the lake has rows with these keys, and their bounds: read from the columns of the key alone."""
        bounded = [column for column in opened.keys if opened.kinds[column] in PRUNED]
        quoted = self.dialect.quoted
        selected = ", ".join(
            ["count(*)", *(f"min({quoted(c)}), max({quoted(c)}), count({quoted(c)})" for c in bounded)]
        )
        with self._registered(SCANNED, self._scanned(opened.table, opened.keys, between)):
            query = f"SELECT {selected} FROM {SCANNED} AS kept WHERE {same}"  # noqa: S608 - quoted
            ((count, *limits),) = self._fetched(query)
        bounds = {
            column: (limits[3 * n], limits[3 * n + 1]) for n, column in enumerate(bounded) if limits[3 * n + 2] == count
        }
        return bool(count), bounds if count else {}

    def _bounds(self, parts: Sequence[Part], incoming: str) -> Between:
        """The smallest and largest incoming value of each part of the key by which rows can be left out."""
        bounded = [part for part in parts if part.is_column and part.kind in PRUNED]
        if not bounded:
            return {}
        spelled = ", ".join(
            f"min({part.incoming}), max({part.incoming}), count({part.incoming}) = count(*)" for part in bounded
        )
        ((*limits,),) = self._fetched(f"SELECT {spelled} FROM {incoming}")  # noqa: S608 - quoted
        return {
            part.column: (limits[3 * n], limits[3 * n + 1])
            for n, part in enumerate(bounded)
            if limits[3 * n + 2] and limits[3 * n] is not None
        }

    def _work(self, opened: Opened, query: str, between: Between) -> None:
        """Create the working table from the rows of the lake."""
        scan = self._scanned(opened.table, opened.table.schema.names, between)
        with self._registered(SCANNED, scan):
            numbered = f"SELECT *, row_number() OVER () AS {self.dialect.quoted(ROW)} FROM ({query})"  # noqa: S608 - quoted
            self._fetched(f"CREATE TEMPORARY TABLE {opened.reference} AS {numbered}")
            loaded = f"SELECT {', '.join(map(self.dialect.quoted, [*opened.keys, ROW]))} FROM {opened.reference}"  # noqa: S608 - quoted
            self._fetched(f"CREATE TEMPORARY TABLE {LOADED} AS {loaded}")
        opened.loaded = True

    def _unload(self, opened: Opened) -> None:
        self._fetched(f"DROP TABLE IF EXISTS {opened.reference}")
        if opened.loaded:
            self._fetched(f"DROP TABLE IF EXISTS {LOADED}")
        opened.working, opened.keys, opened.loaded = "", [], False

    # -- transactions --------------------------------------------------------------------------------------------------

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self._changes = Changes()
        try:
            yield
            self._commit(self._changes)
        finally:
            self._changes = None
            for opened in self._opened.values():
                if opened.working:
                    self._unload(opened)

    @contextmanager
    def _changing(self) -> Iterator[Changes]:
        if self._changes is not None:
            yield self._changes
            return
        with self.transaction():
            assert self._changes is not None
            yield self._changes

    def _commit(self, changes: Changes) -> None:
        for (schema, table), (columns, note) in changes.created.items():
            self._remember(schema, table, self.tables.create(schema, table, self._arrow_schema(columns), note))
        for opened in self._opened.values():
            if opened.working:
                self._commit_rows(opened)
        for schema, table, name in changes.renamed:
            self._replace(schema, table, name, replaces=(schema, name) in changes.dropped)
        for schema, table in changes.dropped:
            if (schema, table) not in {(place, name) for place, _, name in changes.renamed}:
                self.tables.drop(schema, table)
                self._opened.pop((schema, table), None)

    def _commit_rows(self, opened: Opened) -> None:
        """Commit the difference between a working table and the lake."""
        import pyarrow as pa

        schema, reference, quoted = opened.table.schema, opened.reference, self.dialect.quoted
        columns = ", ".join(map(quoted, schema.names))
        everything = f"SELECT {columns} FROM {reference} AS kept"  # noqa: S608 - quoted
        if opened.working == "all":
            opened.table.overwrite(self._stream(everything, schema), opened.table.note)
            return
        changed = f"{quoted(ROW)} IS NULL"
        keys = None
        if opened.loaded:
            names = ", ".join(map(quoted, opened.keys))
            removed = (
                f"SELECT DISTINCT {names} FROM {LOADED} AS loaded WHERE NOT EXISTS "  # noqa: S608 - quoted
                f"(SELECT 1 FROM {reference} AS kept WHERE kept.{quoted(ROW)} = loaded.{quoted(ROW)})"
            )
            keys = self._stream(removed, pa.schema([schema.field(key) for key in opened.keys])).read_all()
            same = " AND ".join(f"kept.{quoted(c)} IS NOT DISTINCT FROM removed.{quoted(c)}" for c in opened.keys)
            changed = f"{changed} OR EXISTS (SELECT 1 FROM ({removed}) AS removed WHERE {same})"  # noqa: S608 - quoted
        added = self._stream(f"{everything} WHERE {changed}", schema)
        if keys is not None and keys.num_rows:
            opened.table.replace(keys, added.read_all(), self.write_id)
            return
        rows = added.read_all()
        if rows.num_rows:
            opened.table.append(rows.to_reader(), self.write_id)

    def _replace(self, schema: str, table: str, name: str, *, replaces: bool) -> None:
        """Give a table's rows, columns and note to another name in one commit, then drop the table."""
        source, target = self.tables.open(schema, table), self.tables.open(schema, name)
        if source is None:
            raise ConfigError(f"the table {schema}.{table} was dropped during the sync", hint="Sync again.")
        if target is None:
            target = self.tables.create(schema, name, source.schema, source.note)
        elif not replaces:
            raise ConfigError(f"there is a table {schema}.{name} already", hint="Rename or drop it, then sync again.")
        target.overwrite(source.scan(source.schema.names, {}), source.note)
        self.tables.drop(schema, table)
        self._opened.pop((schema, table), None)
        self._opened.pop((schema, name), None)

    def merge(self, merge: Merge) -> MergeCounts:
        opened = self._of(merge.table.schema, merge.table.name)
        if self.write_id is not None and not merge.parts and opened.table.has(self.write_id):
            return MergeCounts()  # this batch was committed, and only the answer was lost
        return super().merge(merge)


def batch_as(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The batch with the types of a schema, whose columns it has in this order."""
    import pyarrow as pa

    columns = [
        column if column.type == field.type else column.cast(field.type)
        for column, field in zip(batch.columns, schema, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)
