"""A connection to Snowflake for the SQL kit."""

from __future__ import annotations

import itertools
import logging
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from kitestring import arrow, arrow_values
from kitestring.destinations.snowflake.dialect import DIALECT, ROW, SnowflakeDialect
from kitestring.errors import ConfigError, ConnectorError, KitestringError, TransientError
from kitestring.sql.connection import Connection
from kitestring.sql.identifiers import OWN
from kitestring.sql.keyed_merge import merge_rows
from kitestring.sql.merge import Merge, MergeCounts
from kitestring.sql.staged_file import parquet_of
from kitestring.sql.types import FLOATS, MOMENT, NOTHING, TEXT, TIMES, digits
from kitestring.vendors.snowflake import SnowflakeConfig, translated

if TYPE_CHECKING:
    import pyarrow as pa

    from kitestring.sql.stored_table import StoredTable

log = logging.getLogger("kitestring.snowflake")

INCOMING = f"{OWN}incoming"
STAGE = f"{OWN}rows"
WRITES = f"{OWN}writes"
"""The table with a row for each write that could be repeated by mistake; empty between syncs."""

UNCERTAIN_S = (0, 2, 10)
"""When to look whether a transaction was committed whose connection broke at its end, in seconds after each other."""

FORMAT = "(TYPE = PARQUET BINARY_AS_TEXT = FALSE USE_LOGICAL_TYPE = TRUE)"


class SnowflakeConnection(Connection):
    """Stages rows by PUT of a Parquet file into a temporary stage and COPY into a temporary table.

    Snowflake commits every change of a table by itself. So a table is created together with its note, and a new copy
    replaces the old one, in one statement each.
    """

    dialect: SnowflakeDialect

    def __init__(self, config: SnowflakeConfig, schema: str, swaps: bool) -> None:
        self.config = config
        self.dialect = DIALECT
        self.swaps = swaps
        self.place = config.server_place()
        self.redactor = config.redactor()
        self.session = config.open(schema)
        self._default_schema, self._has_default = schema, False
        self._suffix, self._numbers = secrets.token_hex(4), itertools.count(1)
        self._has_stage = False
        self._creates: tuple[StoredTable, Mapping[str, str]] | None = None
        """A table that is created as soon as its note is known."""
        self._drops: list[tuple[str, str]] = []
        """The tables that a transaction drops, until another gets their name."""
        self._is_inside = False
        self._trace: tuple[str, str] | None = None
        """The schema and the mark of a write of this transaction."""
        self._traced_schemas: set[str] = set()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            with translated(self.place, self.redactor, writes=True):
                yield
        except TransientError:
            self.closed = True
            with suppress(Exception):  # a broken connection cannot say goodbye
                self.session.close()
            raise

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        with self._translated(), self.session.cursor() as cursor:
            return [tuple(row) for row in cursor.execute(statement).fetchall()]

    def changed(self, statement: str) -> int:
        with self._translated(), self.session.cursor() as cursor:
            return int(cursor.execute(statement).rowcount or 0)

    def close(self) -> None:
        was_closed, self.closed = self.closed, True
        if was_closed:
            return
        with suppress(Exception):
            for schema in () if self._is_inside else self._traced_schemas:
                self.rows(f"DELETE FROM {self.reference(schema, WRITES)} WHERE writer = '{self._suffix}'")  # noqa: S608 - ours
            self.session.close()

    # -- transactions --------------------------------------------------------------------------------------------------

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Statements that change tables wait for its end, since they would commit it."""
        self._creates, self._drops, self._trace = None, [], None
        self.rows(self.begin)
        self._is_inside = True
        try:
            yield
        except BaseException:
            self._is_inside = False
            with suppress(KitestringError):  # a lost connection has rolled back
                self.rows("ROLLBACK")
            raise
        self._is_inside = False
        try:
            self.rows("COMMIT")
        except TransientError:
            if not self._was_committed():
                raise
            log.info("the connection broke at the end of a transaction, which was committed")
        self._finish_tables()

    def trace(self, schema: str) -> None:
        """Mark this transaction, so that a write is not repeated whose connection broke at its end."""
        if self._trace is None:
            mark = f"{self._suffix}-{next(self._numbers)}"
            self._trace = schema, mark
            self._traced_schemas.add(schema)
            self.rows(f"INSERT INTO {self.reference(schema, WRITES)} VALUES ('{self._suffix}', '{mark}')")  # noqa: S608 - ours

    def _was_committed(self) -> bool:
        """Whether a transaction was committed whose connection broke at its end. One that was not is rolled back."""
        if self._trace is None:
            return False
        schema, mark = self._trace
        query = f"SELECT 1 FROM {self.reference(schema, WRITES)} WHERE mark = '{mark}'"  # noqa: S608 - ours
        last: TransientError | None = None
        for wait_s in UNCERTAIN_S:
            time.sleep(wait_s)
            try:
                session = self.config.open(self._default_schema)
                with translated(self.place, self.redactor, writes=True), session, session.cursor() as cursor:
                    if cursor.execute(query).fetchall():
                        cursor.execute(f"DELETE FROM {self.reference(schema, WRITES)} WHERE writer = '{self._suffix}'")  # noqa: S608 - ours
                        return True
                last = None
            except TransientError as error:
                last = error
        if last is not None:
            raise ConfigError(
                f"{self.place} broke off at the end of a transaction and does not come back: it is unknown whether it "
                "was committed",
                hint="Sync again when it is back.",
            ) from last
        return False

    def _finish_tables(self) -> None:
        """Do at the end of a transaction what no later step of it took over."""
        created, self._creates = self._creates, None
        if created is not None:
            self._create(*created, "")
        drops, self._drops = self._drops, []
        for schema, table in drops:
            super().drop(schema, table)

    # -- staging -------------------------------------------------------------------------------------------------------

    @contextmanager
    def staged(self, rows: pa.Table) -> Iterator[str]:
        self._choose_default()
        reference = f"{INCOMING}_{self._suffix}".upper()
        kinds = [TEXT if kind in (NOTHING, "JSON") else kind for kind in self.kinds(rows)]
        types = dict(zip(rows.column_names, map(self.dialect.type_name, kinds), strict=True))
        types[f'"{ROW}"'] = "NUMBER(19,0)"
        spelled = ", ".join(f"{name} {type_}" for name, type_ in types.items())
        self.rows(f"CREATE OR REPLACE TEMPORARY TABLE {reference} ({spelled})")
        try:
            self._load(rows, reference, types)
            yield reference
        finally:
            if not self.closed:
                self.rows(f"DROP TABLE IF EXISTS {reference}")

    def _load(self, rows: pa.Table, reference: str, types: Mapping[str, str]) -> None:
        if not rows.num_rows:
            return
        stage = f"{STAGE}_{self._suffix}".upper()
        if not self._has_stage:
            self.rows(f"CREATE TEMPORARY STAGE IF NOT EXISTS {stage}")
            self._has_stage = True
        file = f"{next(self._numbers)}.parquet"
        with self._translated(), self.session.cursor() as cursor:
            cursor.execute(
                f"PUT 'file:///{file}' @{stage} AUTO_COMPRESS = FALSE OVERWRITE = TRUE",
                file_stream=parquet_of(rows, ROW, times_as_text=True),
            )
        values = ", ".join(f"$1:{name}::{type_}" for name, type_ in types.items())
        loaded = self.rows(
            f"COPY INTO {reference} FROM (SELECT {values} FROM @{stage}/{file}) FILE_FORMAT = {FORMAT} PURGE = TRUE"  # noqa: S608 - ours
        )
        count = sum(int(row[3]) for row in loaded if len(row) > 3)
        if count != rows.num_rows:
            raise ConnectorError(
                f"{self.place} loaded {count} of {rows.num_rows} rows into a temporary table: {loaded[:1]}",
                hint="This is a defect of the connector: please report it.",
            )

    def _choose_default(self) -> None:
        """Temporary tables and stages need a current schema."""
        if not self._has_default:
            self.create_schema(self._default_schema)
            self.rows(f"USE SCHEMA {self.reference(self._default_schema)}")
            self._has_default = True

    # -- catalog -------------------------------------------------------------------------------------------------------

    def columns(self, schema: str, table: str) -> dict[str, str]:
        rows = self.rows(
            "SELECT column_name, data_type, numeric_precision, numeric_scale FROM information_schema.columns "  # noqa: S608 - quoted
            f"WHERE table_schema = {self._stored(schema)} AND table_name = {self._stored(table)} "
            "ORDER BY ordinal_position"
        )
        return {
            self.dialect.known(name): self.dialect.kind(type_ if precision is None else f"{type_}({precision},{scale})")
            for name, type_, precision, scale in rows
        }

    def note(self, schema: str, table: str) -> str | None:
        rows = self.rows(
            "SELECT comment, table_type FROM information_schema.tables "  # noqa: S608 - quoted
            f"WHERE table_schema = {self._stored(schema)} AND table_name = {self._stored(table)}"
        )
        if rows and rows[0][1] != "BASE TABLE":
            raise ConfigError(
                f"{self.place}: {schema}.{table} exists and is not a table",
                hint="Give the stream another name, prefix or namespace, or remove it.",
            )
        return rows[0][0] or None if rows else None

    def _stored(self, name: str) -> str:
        return self.dialect.literal(self.dialect.stored(name))

    def notes(self) -> list[tuple[str, str, str]]:
        rows = self.rows(
            "SELECT table_schema, table_name, comment FROM information_schema.tables "
            "WHERE table_type = 'BASE TABLE' AND comment LIKE '%kitestring: {%'"
        )
        return [(str(schema), str(table), str(text)) for schema, table, text in rows]

    def set_note(self, schema: str, table: str, text: str) -> None:
        created, self._creates = self._creates, None
        if created is not None:
            self._create(*created, text)
        else:
            self.rows(f"COMMENT ON TABLE {self.reference(schema, table)} IS {self.dialect.literal(text)}")

    def values(self, table: StoredTable, column: str) -> pa.ChunkedArray:
        import pyarrow as pa

        kind, name = table.columns[column], self.dialect.quoted(column)
        if kind not in (*TIMES, "TIME"):
            return super().values(table, column)
        text = self.dialect.converted(name, kind, TEXT)
        rows = self.rows(f"SELECT DISTINCT {text} FROM {table.reference} WHERE {name} IS NOT NULL")  # noqa: S608 - quoted
        texts = pa.chunked_array([pa.array([value for (value,) in rows], pa.string())])
        return texts.cast(pa.timestamp("us", "UTC") if kind == MOMENT else self.arrow_types(table)[column])

    # -- tables --------------------------------------------------------------------------------------------------------

    def create_schema(self, schema: str) -> None:
        # IF NOT EXISTS alone would need the right to create one.
        literal = self.dialect.literal(schema)
        if not self.rows(f"SELECT 1 FROM information_schema.schemata WHERE schema_name = {literal}"):  # noqa: S608 - quoted
            super().create_schema(schema)
        writes = self.reference(schema, WRITES)
        self.rows(f"CREATE TABLE IF NOT EXISTS {writes} (writer VARCHAR, mark VARCHAR)")

    def create(self, table: StoredTable, columns: Mapping[str, str]) -> None:
        self._creates = (table, dict(columns))

    def _create(self, table: StoredTable, columns: Mapping[str, str], comment: str) -> None:
        quoted, type_name = self.dialect.quoted, self.dialect.type_name
        spelled = ", ".join(f"{quoted(name)} {type_name(kind)}" for name, kind in columns.items())
        self.rows(f"CREATE TABLE {table.reference} ({spelled}) COMMENT = {self.dialect.literal(comment)}")

    def grow(self, table: StoredTable, added: Mapping[str, str], widened: Mapping[str, str]) -> None:
        """A number gets more digits in place. For other types, one statement writes the table again."""
        super().grow(table, added, {})
        in_place = {c: k for c, k in widened.items() if has_more_digits(table.columns[c], k)}
        for column, kind in in_place.items():
            name = self.dialect.quoted(column)
            self.rows(f"ALTER TABLE {table.reference} ALTER COLUMN {name} SET DATA TYPE {self.dialect.type_name(kind)}")
        changed = {column: kind for column, kind in widened.items() if column not in in_place}
        if changed:
            columns = {**table.columns, **added, **in_place}
            self._rewrite(
                table, {column: (column, changed.get(column, kind)) for column, kind in columns.items()}, columns
            )

    def rename_columns(self, table: StoredTable, names: Mapping[str, str]) -> None:
        if len(names) == 1:
            ((old, new),) = names.items()
            quoted = self.dialect.quoted
            self.rows(f"ALTER TABLE {table.reference} RENAME COLUMN {quoted(old)} TO {quoted(new)}")
            return
        columns = dict(table.columns)
        self._rewrite(table, {column: (names.get(column, column), kind) for column, kind in columns.items()}, columns)

    def _rewrite(self, table: StoredTable, new: Mapping[str, tuple[str, str]], old: Mapping[str, str]) -> None:
        """Write a table again with other names and kinds of its columns, in one statement."""
        quoted, floats = self.dialect.quoted, [c for c, (_, k) in new.items() if old[c] in FLOATS and k == TEXT]
        text_tables = {column: f"{OWN}texts_{n}_{self._suffix}".upper() for n, column in enumerate(floats)}
        values, joins = [], ""
        for column, (_, kind) in new.items():
            name = f"kept.{quoted(column)}"
            if column in text_tables:
                self._stage_texts(table, column, text_tables[column])
                joins += f" LEFT JOIN {text_tables[column]} ON {text_tables[column]}.c0 = {name}"
                values.append(f"{text_tables[column]}.c1")
            else:
                values.append(self.dialect.converted(name, old[column], kind))
        query = f"SELECT {', '.join(values)} FROM {table.reference} AS kept{joins}"  # noqa: S608 - quoted
        self._replace(table.reference, dict(new.values()), table.comment or "", query)
        for texts in text_tables.values():
            self.rows(f"DROP TABLE IF EXISTS {texts}")

    def _stage_texts(self, table: StoredTable, column: str, texts_table: str) -> None:
        """The texts of the floats of a column, in a temporary table: those of Snowflake lack the last digits."""
        import pyarrow as pa

        values = self.values(table, column)
        texts = pa.array([arrow.text(value) for value in arrow_values.values(values)], pa.string())
        with self.staged(pa.table({"c0": values, "c1": texts})) as incoming:
            self.rows(f"CREATE OR REPLACE TEMPORARY TABLE {texts_table} AS SELECT c0, c1 FROM {incoming}")  # noqa: S608 - ours

    def _replace(self, reference: str, columns: Mapping[str, str], comment: str, query: str) -> None:
        """Give a table new columns and rows, in one statement: readers see the old table or the new one. Rights to it
        stay."""
        quoted, type_name = self.dialect.quoted, self.dialect.type_name
        spelled = ", ".join(f"{quoted(name)} {type_name(kind)}" for name, kind in columns.items())
        self.rows(
            f"CREATE OR REPLACE TABLE {reference} ({spelled}) COPY GRANTS "
            f"COMMENT = {self.dialect.literal(comment)} AS {query}"
        )

    def drop(self, schema: str, table: str) -> None:
        if self._is_inside:
            self._drops.append((schema, table))
        else:
            super().drop(schema, table)

    def rename(self, schema: str, table: str, name: str) -> None:
        """In one statement a table takes the place of one that the transaction drops."""
        source, target = self.reference(schema, table), self.reference(schema, name)
        is_replacement = (schema, name) in self._drops
        if is_replacement:
            self._drops.remove((schema, name))
        if not is_replacement or not self.columns(schema, name):
            self.rows(f"ALTER TABLE {source} RENAME TO {target}")
            return
        if self.swaps:
            self.rows(f"ALTER TABLE {target} SWAP WITH {source}")
        else:
            columns = self.columns(schema, table)
            names = ", ".join(map(self.dialect.quoted, columns))
            query = f"SELECT {names} FROM {source}"  # noqa: S608 - quoted
            self._replace(target, columns, self.note(schema, table) or "", query)
        super().drop(schema, table)

    def merge(self, merge: Merge) -> MergeCounts:
        if not merge.parts:
            self.trace(merge.table.schema)
        return merge_rows(self, merge)


def has_more_digits(kind: str, wider: str) -> bool:
    """Whether both are numbers with as many places behind the point: Snowflake changes no other type in place."""
    sizes = [digits(name) for name in (kind, wider)]
    return bool(sizes[0] and sizes[1] and sizes[0][1] == sizes[1][1])
