"""A connection to PostgreSQL for the SQL kit."""

from __future__ import annotations

import itertools
import logging
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from kitestring.destinations.postgres.dialect import PostgresDialect
from kitestring.destinations.postgres.nul_character import without_nul
from kitestring.destinations.postgres.unique_index import UniqueIndexes
from kitestring.errors import ConfigError, KitestringError, RecordError, TransientError
from kitestring.sql.connection import Connection
from kitestring.sql.identifiers import OWN
from kitestring.sql.key import Part
from kitestring.sql.merge import Merge, MergeCounts, delete_and_insert, insert_rows
from kitestring.sql.types import INTEGERS, NOTHING, TEXT, TIMES
from kitestring.vendors import postgres
from kitestring.vendors.postgres import PostgresConfig

if TYPE_CHECKING:
    import psycopg
    import pyarrow as pa

    from kitestring.sql.stored_table import StoredTable

log = logging.getLogger("kitestring.postgres")

COLUMN = re.compile(r"incoming\.(c\d+)")

TWICE, TOO_LONG, AFFECTED_TWICE = "23505", "54000", "21000"
"""Error codes: a key occurs twice in a table; a value is too long for an index; a key occurs twice in staged rows."""

LOCK_TIMEOUT = "30s"
"""How long a change of a table waits for its readers, unless the user's settings have a limit. Others queue behind us
meanwhile, so we give up the lock and retry."""

UNCERTAIN_S = 60.0
"""How long to ask whether a transaction was committed whose connection broke at its end."""

COLUMNS = """
SELECT a.attname::text AS name, format_type(a.atttypid, a.atttypmod) AS type, c.relkind::text AS kind
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
     AND a.attgenerated = '' AND a.attidentity <> 'a'
WHERE n.nspname = {0} AND c.relname = {1} AND c.relkind NOT IN ('i', 'I', 't') ORDER BY a.attnum
"""

# By name, in one snapshot: during a replacement, `to_regclass` may find a table whose comment the statement does not
# see.
NOTE = """
SELECT d.description FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_description d ON d.objoid = c.oid AND d.classoid = 'pg_class'::regclass AND d.objsubid = 0
WHERE n.nspname = {0} AND c.relname = {1}
"""

NOTES = """
SELECT n.nspname, c.relname, d.description FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_description d ON d.objoid = c.oid AND d.classoid = 'pg_class'::regclass AND d.objsubid = 0
WHERE c.relkind IN ('r', 'p') AND d.description LIKE '%kitestring: {%' AND has_table_privilege(c.oid, 'SELECT')
"""

READING = {
    "default_transaction_read_only": "on",
    "synchronize_seqscans": "off",
    "max_parallel_workers_per_gather": "0",
    "statement_timeout": "'45s'",
}
"""The settings of a session that reads pages: every one scans a table in the same order, from its beginning."""

# The views and other objects that depend on a table.
DEPENDENTS = """
SELECT DISTINCT coalesce(pg_describe_object('pg_class'::regclass, r.ev_class, 0),
                         pg_describe_object(d.classid, d.objid, d.objsubid)) AS name
FROM pg_depend d LEFT JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = to_regclass({0}) AND d.deptype = 'n'
  AND coalesce(r.ev_class, 0) <> d.refobjid
ORDER BY 1
"""

GRANTS = """
SELECT g.privilege_type AS right, CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(r.rolname) END AS to_whom,
       g.is_grantable AS further
FROM pg_class c CROSS JOIN aclexplode(c.relacl) g LEFT JOIN pg_roles r ON r.oid = g.grantee
WHERE c.oid = to_regclass({0}) AND g.grantee <> c.relowner
"""


class PostgresConnection(Connection):
    """Stages rows in temporary tables, or copies them directly into their table if they are only added.

    A table with a primary key has a unique index of ours on it, if its rows allow one.
    """

    dialect: PostgresDialect

    def __init__(
        self,
        config: PostgresConfig,
        dialect: PostgresDialect,
        drop_cascade: bool,
        unindexed: set[tuple[str, str]],
        replaced: Counter[str],
    ) -> None:
        self.config = config
        self.dialect = dialect
        self.drop_cascade = drop_cascade
        self.indexes = UniqueIndexes(self, unindexed)
        self.replaced_rows = replaced
        """How many rows of each stream's new copy were replaced by later ones and are in no receipt yet."""
        self.server = config.open()
        self._numbers = itertools.count()
        self._unstaged: dict[str, pa.Table] = {}
        """Rows to stage, by reference, until a statement reads them: they may be copied directly instead."""
        self._traces: list[tuple[str, str]] = []
        """Queries for a row that the transaction wrote, and its `xmin` if a savepoint changed it."""
        self._grants: dict[str, list[tuple[Any, ...]]] = {}
        """The rights on dropped tables, by reference, for their replacements."""
        with self._translated():
            for name, value in {**postgres.SESSION, "client_encoding": "'UTF8'"}.items():
                postgres.run(self.server, f"SET {name} = {value}")
            for name, unsafe, value in (
                ("synchronous_commit", "off", "on"),
                ("lock_timeout", "0", f"'{LOCK_TIMEOUT}'"),
            ):
                if fetch_value(self.server, f"SELECT current_setting('{name}')") == unsafe:
                    postgres.run(self.server, f"SET {name} = {value}")
            self.version: int = fetch_value(self.server, "SELECT current_setting('server_version_num')::int")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            with self.config.translated_psycopg():
                yield
        except TransientError:
            self.close()
            raise

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        self._stage_for(statement)
        with self._translated(), self.server.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def changed(self, statement: str) -> int:
        self._stage_for(statement)
        with self._translated():
            return postgres.affected(self.server, statement)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        number = ""
        self._traces.clear()
        try:
            with self._translated(), postgres.transaction(self.server):
                yield
                number = fetch_value(self.server, "SELECT pg_current_xact_id()::text")
        except TransientError:
            if not number or not self._was_committed(int(number)):
                raise

    def _was_committed(self, number: int) -> bool:
        """Whether a transaction was committed whose connection broke at its end: a retry could write it twice. After a
        crash another transaction may have its number, so a written row must exist too; without one, a retry is safe."""
        end = time.monotonic() + UNCERTAIN_S
        traces = [f"EXISTS ({trace} AND xmin::text = '{own or number % 2**32}')" for trace, own in self._traces]
        while True:
            try:
                with self.config.translated_psycopg(), closing(self.config.open()) as server:
                    status = fetch_value(server, f"SELECT pg_xact_status('{number}')")
                    if status != "in progress":
                        return status == "committed" and bool(
                            fetch_value(server, f"SELECT {' OR '.join(traces) or 'false'}")
                        )
            except RecordError:  # the server has no such number: it has crashed
                return False
            except TransientError as error:
                if time.monotonic() > end:
                    raise ConfigError(
                        f"{self.config.place} broke off at the end of a transaction and does not come back: "
                        "it is unknown whether it was committed",
                        hint="Sync again when it is back.",
                    ) from error
            time.sleep(0.5)

    def close(self) -> None:
        self.closed = True
        self.server.close()

    # -- staging -------------------------------------------------------------------------------------------------------

    @contextmanager
    def staged(self, rows: pa.Table) -> Iterator[str]:
        name = f"{OWN}incoming_{next(self._numbers)}"
        reference = f"pg_temp.{name}"
        self._unstaged[reference] = without_nul(rows)
        try:
            yield reference
        finally:
            if self._unstaged.pop(reference, None) is None and not self.closed:
                self.rows(f"DROP TABLE IF EXISTS {reference}")

    def _stage_for(self, statement: str) -> None:
        """Stage the rows that a statement reads, if they are not staged yet."""
        for reference in [name for name in self._unstaged if name in statement]:
            self._stage(reference)

    def _stage(self, reference: str) -> None:
        rows = self._unstaged.pop(reference, None)
        if rows is not None:
            name = reference.partition(".")[2]
            kinds = [TEXT if kind == NOTHING else kind for kind in self.kinds(rows)]
            columns = zip(rows.column_names, map(self.dialect.type_name, kinds), strict=True)
            self.rows(f"CREATE TEMPORARY TABLE {name} ({', '.join(map(' '.join, columns))})")
            self._copy(rows, reference)

    def _copy(self, rows: pa.Table, reference: str) -> None:
        columns = ", ".join(map(self.dialect.quoted, rows.column_names))
        statement = f"COPY {reference} ({columns}) FROM STDIN (FORMAT binary)"
        with self._translated(), self.server.cursor() as cursor, cursor.copy(statement) as copy:
            for data in postgres.copy_stream(rows):
                copy.write(data)

    # -- catalog -------------------------------------------------------------------------------------------------------

    def columns(self, schema: str, table: str) -> dict[str, str]:
        literal = self.dialect.literal
        rows = self.rows(COLUMNS.format(literal(schema), literal(table)))
        if rows and rows[0][2] not in ("r", "p"):
            raise ConfigError(
                f"{self.config.place}: {schema}.{table} exists and is not a table",
                hint="Give the stream another name, prefix or namespace, or remove it.",
            )
        return {name: self.dialect.kind(type_) for name, type_, _ in rows if name is not None}

    def note(self, schema: str, table: str) -> str | None:
        rows = self.rows(NOTE.format(self.dialect.literal(schema), self.dialect.literal(table)))
        return None if not rows or rows[0][0] is None else str(rows[0][0])

    def notes(self) -> list[tuple[str, str, str]]:
        return [(str(schema), str(table), str(text)) for schema, table, text in self.rows(NOTES)]

    def set_note(self, schema: str, table: str, text: str) -> None:
        self.rows(f"COMMENT ON TABLE {self.reference(schema, table)} IS {self.dialect.literal(text)}")

    def values(self, table: StoredTable, column: str) -> pa.ChunkedArray:
        """Includes moments of years that Python does not support."""
        import pyarrow as pa

        kind, name = table.columns[column], self.dialect.quoted(column)
        if kind not in TIMES:
            return super().values(table, column)
        days = f"{name} - date '1970-01-01'"
        number = days if kind == "DATE" else f"round(extract(epoch FROM {name}) * 1000000)::bigint"
        rows = self.rows(f"SELECT DISTINCT {number} FROM {table.reference} WHERE isfinite({name})")  # noqa: S608 - quoted
        numbers = pa.array([value for (value,) in rows], pa.int32() if kind == "DATE" else pa.int64())
        return pa.chunked_array([numbers.cast(self.arrow_types(table)[column])])

    def dependents(self, schema: str, table: str) -> list[str]:
        """The views and other objects that depend on a table."""
        return [name for (name,) in self.rows(DEPENDENTS.format(self.dialect.literal(self.reference(schema, table))))]

    def _pg_class(self, schema: str, name: str) -> str:
        """A query for a table or an index in the catalog."""
        return f"SELECT 1 FROM pg_class WHERE oid = {self._regclass(schema, name)}"  # noqa: S608 - quoted

    def _regclass(self, schema: str, table: str) -> str:
        return f"to_regclass({self.dialect.literal(self.reference(schema, table))})"

    # -- tables --------------------------------------------------------------------------------------------------------

    def create_schema(self, schema: str) -> None:
        # IF NOT EXISTS alone would need the right to create one.
        if not self.rows(f"SELECT 1 FROM pg_namespace WHERE nspname = {self.dialect.literal(schema)}"):  # noqa: S608 - quoted
            super().create_schema(schema)

    def grow(self, table: StoredTable, added: Mapping[str, str], widened: Mapping[str, str]) -> None:
        self.settle_ahead(table)  # a rewritten table no longer shows which of its rows are later
        super().grow(table, added, widened)

    def drop(self, schema: str, table: str) -> None:
        """Drop a table; `rename` grants its rights on the replacement."""
        reference = self.reference(schema, table)
        grants = self.rows(GRANTS.format(self.dialect.literal(reference)))
        if grants:
            self._grants[reference] = grants
        self.rows(f"DROP TABLE IF EXISTS {reference}{' CASCADE' if self.drop_cascade else ''}")

    def rename(self, schema: str, table: str, name: str) -> None:
        super().rename(schema, table, name)
        self._traces.append((self._pg_class(schema, name), ""))
        reference = self.reference(schema, name)
        for right, to_whom, further in self._grants.pop(reference, ()):
            option = " WITH GRANT OPTION" if further else ""
            self.rows(f"GRANT {right} ON TABLE {reference} TO {to_whom}{option}")

    # -- merging -------------------------------------------------------------------------------------------------------

    def merge(self, merge: Merge) -> MergeCounts:
        self._traces.append((f"SELECT 1 FROM {merge.table.reference} WHERE true", ""))  # noqa: S608 - quoted
        if not merge.parts:
            if merge.table.predecessor is None:
                self.indexes.drop(merge.table)  # keys may now occur twice
            return MergeCounts() if self._copy_directly(merge) else delete_and_insert(self, merge)
        if self._is_unchecked(merge.table) and self._copy_directly(merge):
            return MergeCounts()
        replaced = self.settle(merge.table)
        if self._add_behind(merge):
            return MergeCounts(replaced)
        self._stage(merge.incoming)
        merged = self._upsert(merge)
        if merged is None:
            replaced += self._drop_duplicates(merge)
            merged = delete_and_insert(self, merge)
        return MergeCounts(merged.replaced + replaced, merged.unchanged)

    def _copy_directly(self, merge: Merge) -> bool:
        """Copy staged rows directly into their table, if they have exactly the types of the columns."""
        sources = {column: source for column, source in merge.values.items() if source != "NULL"}
        fresh = {column: source for column, source in merge.fresh.items() if not COLUMN.fullmatch(source)}
        places = {column: COLUMN.fullmatch(source) for column, source in {**sources, **merge.fresh}.items()}
        places = {column: place for column, place in places.items() if column not in fresh}
        if merge.incoming not in self._unstaged or not sources or not all(places.values()):
            return False
        if fresh and merge.table.predecessor is None:
            return False  # a default would be visible in a table that others use
        # COPY refuses a table whose policies count for this user: https://www.postgresql.org/docs/current/sql-copy.html
        if self.rows(f"SELECT row_security_active({self.dialect.literal(merge.table.reference)})")[0][0]:
            return False
        alter = f"ALTER TABLE {merge.table.reference} "
        columns = {f"ALTER COLUMN {self.dialect.quoted(column)}": source for column, source in fresh.items()}
        if columns:
            self.rows(alter + ", ".join(f"{column} SET DEFAULT {source}" for column, source in columns.items()))
        rows = self._unstaged[merge.incoming].select([place[1] for place in places.values() if place])
        self._copy(rows.rename_columns(list(places)), merge.table.reference)
        if columns:
            self.rows(alter + ", ".join(f"{column} DROP DEFAULT" for column in columns))
        return True

    def _is_unchecked(self, table: StoredTable) -> bool:
        """Whether rows are still added to a new copy regardless of their keys: of two rows with one key, the one of the
        later transaction counts."""
        return (
            table.predecessor is not None and not self.indexes.exists(table) and not self.indexes.is_impossible(table)
        )

    def settle_ahead(self, table: StoredTable) -> None:
        """Settle a new copy with unique keys, in a separate transaction."""
        if table.predecessor is not None and table.exists and table.stream.write.keep == "latest":
            with self.transaction():
                replaced = self.settle(table)
            self.replaced_rows[table.stream.key] += replaced

    def settle(self, table: StoredTable) -> int:
        """Delete all but the last row of each key in a new copy, and create the unique index. In a transaction. Returns
        how many rows were deleted."""
        if self.indexes.is_impossible(table) or self.indexes.exists(table):
            return 0
        replaced, key = 0, ", ".join(self.indexes.key(table))
        name = self.indexes.new_name(table)
        create = f"CREATE UNIQUE INDEX {name} ON {table.reference} ({key}){self._nulls}"
        problem = self._try(lambda: self.rows(create), TWICE, TOO_LONG) if self._nulls else TWICE
        if problem and table.predecessor is not None:
            replaced = self.changed(
                f"WITH versions AS (SELECT ctid AS place, row_number() OVER (PARTITION BY {key} "  # noqa: S608 - quoted
                f"ORDER BY age(xmin)) AS n FROM {table.reference}) DELETE FROM {table.reference} AS kept "
                f"USING versions WHERE kept.ctid = versions.place AND versions.n > 1"
            )
        if problem == TWICE and (replaced or not self._nulls):
            problem = self._try(lambda: self.rows(create), TWICE, TOO_LONG)
        if problem:
            self.indexes.give_up(table)
        else:
            trace = self._pg_class(table.schema, name)
            self._traces.append((trace, self.rows(trace.replace("SELECT 1", "SELECT xmin::text", 1))[0][0]))
        return replaced

    @property
    def _nulls(self) -> str:
        """The clause that makes nulls equal keys, if the server supports it."""
        return " NULLS NOT DISTINCT" if self.version >= 150_000 else ""

    def _try(self, step: Callable[[], object], *codes: str) -> str | None:
        """Run a step; if it fails with one of these codes, undo it and return the code."""
        self.rows("SAVEPOINT step")
        try:
            step()
        except KitestringError as error:
            if error.fields.get("code") not in codes:
                raise
            self.rows("ROLLBACK TO SAVEPOINT step")
            return str(error.fields["code"])
        self.rows("RELEASE SAVEPOINT step")
        return None

    def _add_behind(self, merge: Merge) -> bool:
        """Add the staged rows if their keys are whole numbers behind those of the table: none replaces another, and to
        search for each takes half of the server's time. False if they are not, or another writer added one of them."""
        lowest = self._lowest_key(merge)
        if lowest is None or self.indexes.is_impossible(merge.table):
            return False
        column, reference = self.dialect.quoted(merge.parts[0].column), merge.table.reference
        ((highest,),) = self.rows(f"SELECT max({column}) FROM {reference}")  # noqa: S608 - quoted
        if highest is not None and highest >= lowest:
            return False

        rows = self._unstaged[merge.incoming]

        def add() -> None:
            if not self._copy_directly(merge):
                insert_rows(self, merge)

        if self._try(add, TWICE, TOO_LONG):
            self._unstaged[merge.incoming] = rows  # the savepoint took their table away
            return False
        # No row where a policy hides it from this user, or a trigger has changed its key.
        for (number,) in self.rows(f"SELECT xmin::text FROM {reference} WHERE {column} = {lowest}"):  # noqa: S608 - quoted
            self._traces.append((f"SELECT 1 FROM {reference} WHERE true", number))  # noqa: S608 - quoted
        return True

    def _lowest_key(self, merge: Merge) -> int | None:
        """The lowest key of staged rows; None if their key is not one column of whole numbers."""
        import pyarrow.compute as pc

        part, rows = merge.parts[0], self._unstaged.get(merge.incoming)
        place = COLUMN.fullmatch(part.incoming)
        if len(merge.parts) > 1 or len(part.path) > 1 or place is None or rows is None or part.entries or part.unknown:
            return None
        keys = rows.column(place[1])
        return pc.min(keys).as_py() if part.kind in INTEGERS and len(keys) and not keys.null_count else None

    def _upsert(self, merge: Merge) -> MergeCounts | None:
        """Merge by the unique index; None if there is none, or it cannot hold these rows."""
        table, quoted = merge.table, self.dialect.quoted
        unsure = any(part.unknown or (part.nullable and not self._nulls) for part in merge.parts)
        if unsure or self.indexes.is_impossible(table):
            return None
        values = {**merge.values, **merge.fresh}
        existing, incoming = (", ".join(f"{side}.{quoted(c)}" for c in merge.compared) for side in ("kept", "excluded"))
        changes = ", ".join(f"{quoted(c)} = excluded.{quoted(c)}" for c in table.columns)
        statement = (
            f"WITH merged AS (INSERT INTO {table.reference} AS kept ({', '.join(map(quoted, values))}) "  # noqa: S608 - quoted
            f"SELECT {', '.join(values.values())} FROM {merge.incoming} AS incoming "
            f"ON CONFLICT ({', '.join(self.indexes.key(table))}) DO UPDATE SET {changes} "
            f"WHERE ROW({existing})::record *<> ROW({incoming})::record "
            "RETURNING xmax = 0 AS is_new, kept.xmin AS number) "
            f"SELECT count(*), count(*) FILTER (WHERE NOT is_new), {self._any_number} FROM merged"
        )
        revived, staged, duplicates = 0, merge.rows, 0
        if merge.mark:
            match = " AND ".join(part.condition for part in merge.parts)
            ((revived,),) = self.rows(
                f"SELECT count(*) FROM {table.reference} AS kept, {merge.incoming} AS incoming "  # noqa: S608 - quoted
                f"WHERE {match} AND kept.{quoted(merge.mark)} IS NOT NULL"
            )
        counts: list[tuple[Any, ...]] = []
        merged = lambda: counts.extend(self.rows(statement))  # noqa: E731
        problem = self._try(merged, TOO_LONG, AFFECTED_TWICE)
        if problem == AFFECTED_TWICE:
            duplicates = self._drop_duplicates(merge)
            problem = self._try(merged, TOO_LONG)
        if problem:
            self.indexes.give_up(table)
            return None
        ((written, updated, number),) = counts
        self._traces.append((f"SELECT 1 FROM {table.reference} WHERE true", number or ""))  # noqa: S608 - quoted
        return MergeCounts(updated - revived + duplicates, staged - duplicates - written)

    @property
    def _any_number(self) -> str:
        """The number of one row, all of which have the same."""
        return "any_value(number)::text" if self.version >= 160_000 else "max(number::text)"

    def _drop_duplicates(self, merge: Merge) -> int:
        """Delete all but the last of staged rows with equal keys. Returns how many were deleted."""
        key = ", ".join(self._incoming(part) for part in merge.parts)
        return self.changed(
            f"WITH versions AS (SELECT incoming.ctid AS place, row_number() OVER (PARTITION BY {key} "  # noqa: S608 - quoted
            f"ORDER BY incoming.ctid DESC) AS n FROM {merge.incoming} AS incoming) "
            f"DELETE FROM {merge.incoming} AS kept USING versions WHERE kept.ctid = versions.place AND versions.n > 1"
        )

    def _incoming(self, part: Part) -> str:
        """A part of the key as an expression over the staged rows."""
        if len(part.path) > 1:
            return self.dialect.inner(part.incoming, part.incoming_kind or part.kind, part.path, part.text)
        return f"coalesce({part.entries[1]}, '\"' || {part.incoming})" if part.entries else part.incoming


def fetch_value(server: psycopg.Connection[Any], query: str) -> Any:
    """The single value of a query."""
    with server.cursor() as cursor:
        return (cursor.execute(query).fetchone() or (None,))[0]
