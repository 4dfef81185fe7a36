"""A connection to ClickHouse for the SQL kit."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from kitestring.destinations.clickhouse.dialect import COPY, DELETED, HIDDEN, VERSION, ClickhouseDialect, hidden_columns
from kitestring.destinations.clickhouse.merging import Attempt, insert_rows, key_bounds, merge_rows, named
from kitestring.destinations.clickhouse.server import Server, arrow_stream
from kitestring.destinations.clickhouse.versions import Versions
from kitestring.errors import ConfigError, KitestringError
from kitestring.names import mark
from kitestring.sql.connection import Connection
from kitestring.sql.identifiers import OWN
from kitestring.sql.key import Part
from kitestring.sql.merge import Merge, MergeCounts
from kitestring.sql.types import INTEGERS, NOTHING, TEXT, digits

if TYPE_CHECKING:
    import pyarrow as pa

    from kitestring.sql.stored_table import StoredTable

INCOMING = f"{OWN}incoming_"
"""The prefix of tables with staged rows; the token of a connection follows."""

GROWN = f"{OWN}grown_"
"""The prefix of a table that is to replace one whose key or whose types it has changed."""

LISTING = tuple(f"{OWN}{what}_" for what in ("listed", "absent", "mark"))
"""The prefixes of the tables of a listing."""

FORGOTTEN_S = 86_400
"""A table with staged rows or of a listing that nobody wrote to for so long belongs to a process that was killed."""

ENGINES = {"Atomic": "", "Replicated": "Replicated", "Shared": ""}
"""The engines of databases that can exchange tables, and what the engines of their tables begin with."""


class ClickhouseConnection(Connection):
    """Every change of rows is one INSERT, which readers see as a whole: ClickHouse has no transactions.

    A row that replaces another has a higher version, a deletion is a row as well, and each query of this connection
    reads with FINAL. So a statement that is repeated, or that no later one followed, leaves nothing to mend.
    """

    def __init__(self, server: Server, dialect: ClickhouseDialect, versions: Versions) -> None:
        self.server = server
        self.dialect: ClickhouseDialect = dialect
        self.versions = versions
        self.attempt = Attempt()
        """The write that is under way; that of its first try when it is tried again."""
        self._incoming = f"{INCOMING}{secrets.token_hex(6)}"
        self._stage, self._is_staged = "", False
        """The schema where rows are staged, and whether they may be."""
        self._unstaged: pa.Table | None = None
        """Rows to stage, until a statement reads them: they may be sent directly into their table instead."""
        self._schema = ""
        """The schema of the table that was looked at last."""
        self._sorted: dict[tuple[str, str], tuple[str, frozenset[str]]] = {}
        """Of each table the mark of its key, and the columns in it."""
        self._engines: dict[str, str] = {}
        """Of each schema, what the engines of its tables begin with."""
        self._creates: tuple[StoredTable, Mapping[str, str]] | None = None
        """A table that is created as soon as its note is known."""
        self._drops: list[tuple[str, str]] = []
        """The tables that a transaction drops, until another gets their name."""
        self._is_inside = False
        self._temporary: list[str] = []

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        self._stage_for(statement)
        return self.server.rows(statement)

    def changed(self, statement: str) -> int:
        """The kit uses it for INSERT alone; who needs their number counts the rows."""
        self._stage_for(statement)
        self.server.run(statement)
        return 0

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Nothing is rolled back. What runs inside is one INSERT, or one exchange of tables."""
        self._creates, self._drops, self._is_inside = None, [], True
        try:
            yield
            created, self._creates = self._creates, None
            if created is not None:
                self._create(*created, "")
            for schema, table in self._drops:
                self._drop_now(schema, table)
        finally:
            self._is_inside = False

    def close(self) -> None:
        self.closed = True
        with suppress(KitestringError):
            self._unstage()
            for name in self._temporary:
                self.server.run(f"DROP TABLE IF EXISTS {name} SYNC")
        self._temporary.clear()
        self.server.close()

    # -- staging -------------------------------------------------------------------------------------------------------

    @contextmanager
    def staged(self, rows: pa.Table) -> Iterator[str]:
        self._unstaged, self._stage = rows, self._schema
        try:
            yield self.reference(self._stage, self._incoming)
        finally:
            self._unstaged = None
            with suppress(KitestringError):  # the next rows are staged under the same name
                self._unstage()

    def _stage_for(self, statement: str) -> None:
        """Stage the rows that a statement reads, if they are not staged yet."""
        if self._unstaged is None or self._incoming not in statement:
            return
        reference = self.reference(self._stage, self._incoming)
        rows, types = sent(self, self._unstaged)
        columns = ", ".join(f"{name} {type_}" for name, type_ in types.items())
        self.server.run(f"DROP TABLE IF EXISTS {reference} SYNC")
        self._is_staged = True
        self.server.run(f"CREATE TABLE {reference} ({columns}) ENGINE = {self._engine('MergeTree')} ORDER BY tuple()")
        self.server.run(f"INSERT INTO {reference} FORMAT ArrowStream", arrow_stream(rows))
        self._unstaged = None

    def _unstage(self) -> None:
        if self._is_staged:
            self.server.run(f"DROP TABLE IF EXISTS {self.reference(self._stage, self._incoming)} SYNC")
            self._is_staged = False

    def insert_unstaged(self, insert: str, expressions: str) -> bool:
        """Send staged rows directly into a table, as expressions over `incoming`; False if they are staged already."""
        if self._unstaged is None:
            return False
        rows, types = sent(self, self._unstaged)
        structure = self.dialect.literal(", ".join(f"{name} {type_}" for name, type_ in types.items()))
        source = f"(SELECT * FROM input({structure})) AS incoming"  # noqa: S608 - quoted
        statement = f"{insert} SELECT {expressions} FROM {source} FORMAT ArrowStream"  # noqa: S608 - quoted
        self.server.run(statement, arrow_stream(rows))
        return True

    def create_temporary(self, name: str, query: str) -> None:
        """A table like others: one of a session would need all statements to reach the same server."""
        self._stage_for(query)
        self._temporary.append(name)
        self.server.run(f"CREATE TABLE {name} ENGINE = {self._engine('MergeTree')} ORDER BY tuple() AS {query}")

    # -- catalog -------------------------------------------------------------------------------------------------------

    def columns(self, schema: str, table: str) -> dict[str, str]:
        literal = self.dialect.literal
        rows = self.rows(
            "SELECT name, type, comment, is_in_sorting_key FROM system.columns "  # noqa: S608 - quoted
            f"WHERE database = {literal(schema)} AND table = {literal(table)} "
            "AND default_kind NOT IN ('ALIAS', 'EPHEMERAL') ORDER BY position"
        )
        if rows:
            self._schema = schema
        key_mark = next((comment for name, _, comment, _ in rows if name == COPY), "")
        in_key = frozenset(name for name, _, _, is_in_key in rows if is_in_key and name not in HIDDEN)
        self._sorted[schema, table] = key_mark, in_key
        kind = self.dialect.column_kind
        return {name: kind(type_, comment) for name, type_, comment, _ in rows if name not in HIDDEN}

    def sorted_columns(self, table: StoredTable) -> frozenset[str]:
        return self._sorted[table.schema, table.name][1]

    def note(self, schema: str, table: str) -> str | None:
        literal = self.dialect.literal
        place = f"database = {literal(schema)} AND name = {literal(table)}"
        rows = self.rows(f"SELECT comment FROM system.tables WHERE {place}")  # noqa: S608 - quoted
        return str(rows[0][0]) or None if rows else None

    def notes(self) -> list[tuple[str, str, str]]:
        place = "position(comment, 'kitestring: {') > 0"
        rows = self.rows(f"SELECT database, name, comment FROM system.tables WHERE {place}")  # noqa: S608 - ours
        return [(schema, table, comment) for schema, table, comment in rows]

    def set_note(self, schema: str, table: str, text: str) -> None:
        created, self._creates = self._creates, None
        if created is not None:
            self._create(*created, text)
            return
        self.rows(f"ALTER TABLE {self.reference(schema, table)} MODIFY COMMENT {self.dialect.literal(text)}")

    # -- tables --------------------------------------------------------------------------------------------------------

    def create_schema(self, schema: str) -> None:
        # IF NOT EXISTS alone would need the right to create one.
        if self.database_engine(schema) is None:
            self.rows(f"CREATE DATABASE IF NOT EXISTS {self.reference(schema)}")
        self._engines[schema] = self.required_engine(schema)
        self._drop_forgotten(schema)

    def database_engine(self, schema: str) -> str | None:
        """The engine of a database; None without it."""
        place = f"name = {self.dialect.literal(schema)}"
        rows = self.rows(f"SELECT engine FROM system.databases WHERE {place}")  # noqa: S608 - quoted
        return str(rows[0][0]) if rows else None

    def required_engine(self, schema: str) -> str:
        """What the engines of a database's tables begin with. Refuses one whose tables cannot be exchanged in one
        step."""
        engine = self.database_engine(schema)
        if engine is not None and engine not in ENGINES:
            raise ConfigError(
                f"the database {schema} has the engine {engine}, in which a table cannot be exchanged for another",
                hint="Choose a database with the engine Atomic.",
            )
        return ENGINES.get(engine or "", "")

    def _drop_forgotten(self, schema: str) -> None:
        """Drop the staged rows and listings of processes that were killed. The listing of a long sync is still written
        to, however old it is."""
        prefixes = " OR ".join(f"startsWith(name, '{prefix}')" for prefix in (INCOMING, *LISTING))
        place, since = f"database = {self.dialect.literal(schema)}", f"now() - INTERVAL {FORGOTTEN_S} SECOND"
        forgotten = self.rows(
            f"SELECT name FROM system.tables WHERE {place} AND ({prefixes}) AND metadata_modification_time < {since} "  # noqa: S608 - quoted
            f"AND name NOT IN (SELECT table FROM system.parts WHERE {place} AND modification_time >= {since})"
        )
        for (name,) in forgotten:
            self.rows(f"DROP TABLE IF EXISTS {self.reference(schema, name)}")

    def _engine(self, name: str) -> str:
        """The engine of a table in the schema that was looked at last."""
        if self._schema not in self._engines:
            self._engines[self._schema] = self.required_engine(self._schema)
        return f"{self._engines[self._schema]}{name}"

    def create(self, table: StoredTable, columns: Mapping[str, str]) -> None:
        self._creates = (table, dict(columns))

    def _create(self, table: StoredTable, columns: Mapping[str, str], note: str) -> None:
        self._schema = table.schema
        self._create_as(table.reference, columns, [], "", note)
        self._sorted[table.schema, table.name] = "", frozenset()

    def _create_as(
        self, reference: str, columns: Mapping[str, str], key: Sequence[str], key_mark: str, note: str
    ) -> None:
        quoted = self.dialect.quoted
        spelled = [f"{quoted(name)} {self.dialect.spelled(kind)}" for name, kind in columns.items()]
        spelled += [f"{quoted(name)} {definition}" for name, definition in hidden_columns(key_mark).items()]
        engine = f"{self._engine('ReplacingMergeTree')}({quoted(VERSION)}, {quoted(DELETED)})"
        order = ", ".join([*key, quoted(COPY)])
        self.rows(
            f"CREATE TABLE {reference} ({', '.join(spelled)}) ENGINE = {engine} ORDER BY ({order}) "
            f"SETTINGS allow_nullable_key = 1 COMMENT {self.dialect.literal(note)}"
        )

    def grow(self, table: StoredTable, added: Mapping[str, str], widened: Mapping[str, str]) -> None:
        """One statement for columns that are added or whose values ClickHouse converts as we do. For others, and for
        those of the key, the table is copied."""
        dialect = self.dialect
        in_key = self.sorted_columns(table)
        modified = {c: k for c, k in widened.items() if c not in in_key and is_plain_change(table.columns[c], k)}
        changes = [f"ADD COLUMN {dialect.quoted(column)} {dialect.spelled(kind)}" for column, kind in added.items()]
        changes += [
            f"MODIFY COLUMN {dialect.quoted(column)} {dialect.spelled(kind)}" for column, kind in modified.items()
        ]
        if changes:
            self.rows(f"ALTER TABLE {table.reference} {', '.join(changes)}")
        if set(widened) - set(modified):
            present = {**table.columns, **modified, **added}
            values = {c: (kind, dialect.quoted(c)) for c, kind in present.items()}
            for column in set(widened) - set(modified):
                value = dialect.converted(dialect.quoted(column), table.columns[column], widened[column])
                values[column] = widened[column], value
            key_mark, _ = self._sorted[table.schema, table.name]
            self._copy(table, values, self._key_of(table), key_mark)

    def _key_of(self, table: StoredTable) -> list[str]:
        """The key of a table as the server spells it, without the copy; as one text."""
        literal = self.dialect.literal
        place = f"database = {literal(table.schema)} AND name = {literal(table.name)}"
        ((key,),) = self.rows(f"SELECT sorting_key FROM system.tables WHERE {place}")  # noqa: S608 - quoted
        expressions = str(key).removesuffix(f", {COPY}")
        return [] if expressions.strip("()") == COPY else [expressions]

    def rename_columns(self, table: StoredTable, names: Mapping[str, str]) -> None:
        quoted = self.dialect.quoted
        in_key = self.sorted_columns(table)
        if not in_key & set(names):
            changes = ", ".join(f"RENAME COLUMN {quoted(old)} TO {quoted(new)}" for old, new in names.items())
            self.rows(f"ALTER TABLE {table.reference} {changes}")
            return
        values = {names.get(column, column): (kind, quoted(column)) for column, kind in table.columns.items()}
        key = [quoted(names.get(column, column)) for column in table.columns if column in in_key]
        self._copy(table, values, key, "renamed")  # `index` sees to the expressions

    def _copy(
        self,
        table: StoredTable,
        values: Mapping[str, tuple[str, str]],
        key: Sequence[str],
        key_mark: str,
        copy: str = "",
    ) -> None:
        """Exchange a table for one with other columns, each with its kind and its expression, or with another key."""
        quoted, own = self.dialect.quoted, self.dialect.own(GROWN, table.name)
        grown = self.reference(table.schema, own)
        self._schema = table.schema
        self.rows(f"DROP TABLE IF EXISTS {grown} SYNC")
        note = self.note(table.schema, table.name) or ""
        self._create_as(grown, {column: kind for column, (kind, _) in values.items()}, key, key_mark, note)
        selected = ", ".join([*(value for _, value in values.values()), copy or quoted(COPY), quoted(VERSION), "0"])
        columns = ", ".join(map(quoted, [*values, *HIDDEN]))
        self.rows(f"INSERT INTO {grown} ({columns}) SELECT {selected} FROM {table.reference}")  # noqa: S608 - quoted
        self._exchange(grown, table.reference)
        self.columns(table.schema, table.name)

    def _exchange(self, new: str, old: str) -> None:
        """Give a table the name of another, which is dropped."""
        self.rows(f"EXCHANGE TABLES {new} AND {old}")
        self._drop_large(new)

    def rename(self, schema: str, table: str, name: str) -> None:
        """In one statement the table takes the name of one that the transaction drops."""
        source, target = self.reference(schema, table), self.reference(schema, name)
        is_dropped = (schema, name) in self._drops
        if is_dropped:
            self._drops.remove((schema, name))
        if is_dropped and self.columns(schema, name):
            self._exchange(source, target)
        else:
            self.rows(f"RENAME TABLE {source} TO {target}")

    def drop(self, schema: str, table: str) -> None:
        if self._is_inside:
            self._drops.append((schema, table))
        else:
            self._drop_now(schema, table)

    def _drop_now(self, schema: str, table: str) -> None:
        self._drop_large(self.reference(schema, table))

    def _drop_large(self, reference: str) -> None:
        """Drop a table of any size. Readers of it go on: its data are removed later."""
        self.server.run(f"DROP TABLE IF EXISTS {reference}", max_table_size_to_drop=0)

    # -- rows ----------------------------------------------------------------------------------------------------------

    def index(self, table: StoredTable, parts: Sequence[Part]) -> None:
        """Sort the table by the key, which makes its rows the versions of one, and finds them fast."""
        key = [part.key("") for part in parts]
        key_mark = mark(", ".join(key), 16)
        before, in_key = self._sorted[table.schema, table.name]
        if before == key_mark:
            return
        copy = ""
        if in_key:  # rows with several keys before may have one now
            ((count,),) = self.rows(f"SELECT count() FROM {table.reference}")  # noqa: S608 - quoted
            first = self.next_version(table, count)
            number = f"row_number() OVER (PARTITION BY {', '.join([*key, COPY])} ORDER BY {VERSION} DESC)"
            copy = f"if({number} = 1, {COPY}, {first} + row_number() OVER (ORDER BY {VERSION}))"
        values = {column: (kind, self.dialect.quoted(column)) for column, kind in table.columns.items()}
        self._copy(table, values, key, key_mark, copy)

    def next_version(self, table: StoredTable, rows: int) -> int:
        """A version above all that the table has. As many numbers from it on are free, for copies."""

        def highest() -> int:
            query = f"SELECT max({VERSION}), max({COPY}) FROM {table.reference}"  # noqa: S608 - quoted
            ((version, copy),) = self.server.rows(query, final=0)
            return max(int(version or 0), int(copy or 0))

        return self.versions.next(table.schema, table.name, rows, highest)

    def has_version(self, table: StoredTable, version: int) -> bool:
        query = f"SELECT 1 FROM {table.reference} WHERE {VERSION} = {version} LIMIT 1"  # noqa: S608 - quoted
        return bool(self.server.rows(query, final=0))

    def merge(self, merge: Merge) -> MergeCounts:
        attempt = self.attempt
        if attempt.version and self.has_version(merge.table, attempt.version):
            return attempt.counts  # it was written, and only the answer was lost
        attempt.version = attempt.version or self.next_version(merge.table, merge.rows)
        if merge.parts:
            bounds = key_bounds(self.dialect, merge.parts, self._unstaged)
            where = f" WHERE {bounds}" if bounds else ""
            if self.rows(f"SELECT 1 FROM {merge.table.reference}{where} LIMIT 1"):  # noqa: S608 - quoted
                return merge_rows(self, merge, attempt)
        return insert_rows(self, merge, attempt)

    def delete_rows(self, table: StoredTable, incoming: str, conditions: Sequence[str]) -> int:
        """Each deletion is a row with the key alone."""
        columns = {column: f"kept.{self.dialect.quoted(column)}" for column in self.sorted_columns(table)}
        return self._write_versions(table, columns, 1, incoming, conditions)

    def update_rows(self, table: StoredTable, column: str, value: str, incoming: str, conditions: Sequence[str]) -> int:
        columns = {name: f"kept.{self.dialect.quoted(name)}" for name in table.columns}
        return self._write_versions(table, {**columns, column: value}, 0, incoming, conditions)

    def _write_versions(
        self, table: StoredTable, columns: Mapping[str, str], deleted: int, incoming: str, conditions: Sequence[str]
    ) -> int:
        """Write a new version of the rows for which a staged row meets a condition; returns how many these are."""
        joins = [f"FROM {table.reference} AS kept INNER JOIN {incoming} AS incoming ON {test}" for test in conditions]
        count = sum(self.rows(f"SELECT count() {join}")[0][0] for join in joins)
        if not count:
            return 0
        version = self.next_version(table, 0)
        names = ", ".join(map(self.dialect.quoted, [*columns, *HIDDEN]))
        values = named([*columns.values(), f"kept.{COPY}", str(version), str(deleted)])
        selects = " UNION ALL ".join(f"SELECT {values} {join}" for join in joins)
        self.rows(f"INSERT INTO {table.reference} ({names}) {selects}")
        return int(count)

    def fill_rows(self, table: StoredTable, column: str, value: str, incoming: str) -> int:
        """By a mutation, which rewrites one column. It goes on if this process dies."""
        name = self.dialect.quoted(column)
        ((count,),) = self.rows(f"SELECT count() FROM {table.reference} WHERE {name} IS NULL")  # noqa: S608 - quoted
        ((text,),) = self.rows(f"SELECT toString({value}) FROM {incoming} AS incoming")  # noqa: S608 - quoted
        if count and text is not None:
            filling = f"CAST({self.dialect.literal(text)} AS {self.dialect.type_name(table.columns[column])})"
            self.rows(f"ALTER TABLE {table.reference} UPDATE {name} = {filling} WHERE {name} IS NULL")
        return int(count)

    def set_column(self, table: StoredTable, column: str, value: str) -> None:
        self.rows(f"ALTER TABLE {table.reference} UPDATE {self.dialect.quoted(column)} = {value} WHERE 1")

    def delete_all(self, table: StoredTable) -> int:
        ((count,),) = self.rows(f"SELECT count() FROM {table.reference}")  # noqa: S608 - quoted
        self.server.run(f"TRUNCATE TABLE {table.reference}", max_table_size_to_drop=0)
        return int(count)


def is_plain_change(kind: str, target: str) -> bool:
    """Whether ClickHouse converts all values of a column to a wider kind as `Dialect.converted` does."""
    if kind in INTEGERS or digits(kind):
        return target in INTEGERS or target in ("DOUBLE", TEXT) or digits(target) is not None
    return {kind, target} <= {TEXT, "JSON"} or (kind, target) == ("FLOAT", "DOUBLE")


def sent(connection: Connection, rows: pa.Table) -> tuple[pa.Table, dict[str, str]]:
    """Rows as they are sent, numbered by the column `n`, and the types of their columns."""
    import pyarrow as pa

    kinds = [TEXT if kind == NOTHING else kind for kind in connection.kinds(rows)]
    types = {name: connection.dialect.type_name(kind) for name, kind in zip(rows.column_names, kinds, strict=True)}
    columns = [plain(column) for column in rows.columns]
    numbers = pa.array(range(rows.num_rows), pa.uint32())
    return pa.table([*columns, numbers], [*rows.column_names, "n"]), {**types, "n": "UInt32"}


def plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column without extension types: a UUID as its text."""
    import pyarrow as pa

    type_ = column.type
    if pa.types.is_null(type_):
        return column.cast(pa.string())
    if not isinstance(type_, pa.BaseExtensionType):
        return column
    if type_.extension_name == "arrow.uuid":
        texts = [None if value is None else str(value) for value in column.to_pylist()]
        return pa.chunked_array([pa.array(texts, pa.string())])
    chunks = [chunk.storage for chunk in column.chunks]
    return pa.chunked_array(chunks, type_.storage_type)
