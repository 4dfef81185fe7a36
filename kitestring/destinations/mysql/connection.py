"""A connection to MySQL or MariaDB for the SQL kit."""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from kitestring.destinations.mysql.dialect import ROW, MysqlDialect
from kitestring.destinations.mysql.merging import insert_rows, merge_rows
from kitestring.destinations.mysql.notes import Notes
from kitestring.errors import ConfigError, KitestringError, RecordError, TransientError
from kitestring.names import mark
from kitestring.sql.connection import Connection
from kitestring.sql.identifiers import OWN
from kitestring.sql.key import Part
from kitestring.sql.merge import Merge, MergeCounts
from kitestring.sql.types import MOMENT, NOTHING, TEXT, TIMES
from kitestring.vendors.mysql import MysqlConfig, collation_of

if TYPE_CHECKING:
    import pyarrow as pa

    from kitestring.sql.stored_table import StoredTable

log = logging.getLogger("kitestring.mysql")

INCOMING = f"{OWN}incoming"
INDEX = f"{OWN}index_"
"""The prefix of our index on the primary key; a mark of its columns follows."""

WIDENED = f"{OWN}widened_"
"""The prefix of the column with the values of a wider type, until it replaces the narrow one."""

PLACE = re.compile(r"incoming\.(c\d+)")
INDEX_BYTES = 3_000
"""The most bytes of an index entry: InnoDB has 3,072."""

UNCERTAIN_S = 60.0
"""How long to ask whether a transaction was committed whose connection broke at its end."""

LOCAL_IS_OFF = frozenset({1148, 3948, 4166})
"""Codes of a server with `local_infile` off."""

UNSAFE = 1592
"""The code of a warning of the binary log, which is not about a value."""


class MysqlConnection(Connection):
    """Stages rows in temporary tables, by `LOAD DATA LOCAL` where the server allows it, else by INSERT.

    MySQL commits each change of a table by itself. So one statement each creates a table with its note, and gives a new
    copy the name of the old one.
    """

    dialect: MysqlDialect
    begin = "START TRANSACTION"

    def __init__(self, config: MysqlConfig, dialect: MysqlDialect, no_local_load: set[str]) -> None:
        self.config = config
        self.dialect = dialect
        self.no_local_load = no_local_load
        """Not empty if the server refuses `LOAD DATA LOCAL`; all connections of a destination share it."""
        self.server = config.open()
        self.collation = collation_of(self.server)
        self.notes_of = Notes(self, config.server_address)
        self._creates: tuple[StoredTable, Mapping[str, str]] | None = None
        """A table that is created as soon as its note is known."""
        self._drops: list[tuple[str, str]] = []
        """The tables that a transaction drops, until another gets their name."""
        self._is_inside = False
        self._unstaged: pa.Table | None = None
        """Rows to stage, until a statement reads them: they may be loaded directly into their table instead."""
        self._traced: str | None = None
        """The schema whose table of notes has the number of the transaction."""
        self._writer, self._number = secrets.token_hex(8), 0
        self._traced_schemas: set[str] = set()
        self._default_schema, self._has_default = dialect.safe_schema(config.database), False
        self._choose_default()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            with self.config.translated():
                yield
        except TransientError:
            self.close()
            raise

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        self._stage_for(statement)
        with self._translated(), self.server.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall()) if cursor.description else []

    def changed(self, statement: str) -> int:
        self._stage_for(statement)
        with self._translated(), self.server.cursor() as cursor:
            return int(cursor.execute(statement))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self._creates, self._drops, self._traced = None, [], None
        self.rows(self.begin)
        self._is_inside = True
        try:
            yield
            self._finish_tables()
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

    def trace(self, schema: str) -> None:
        """Write the number of this transaction, so that one is not repeated whose connection broke at its end."""
        if self._traced is None:
            self._traced, self._number = schema, self._number + 1
            self._traced_schemas.add(schema)
            self.notes_of.write_number(schema, self._writer, self._number)

    def _was_committed(self) -> bool:
        """Whether a transaction was committed whose connection broke at its end. The lock of its row, if it still runs,
        is waited for."""
        if self._traced is None:
            return False
        end = time.monotonic() + UNCERTAIN_S
        while True:
            try:
                with self.config.translated():
                    self.server = self.config.open()
                self.closed = False
                number = self.notes_of.number(self._traced, self._writer)
                self.close()
                return number == self._number
            except TransientError as error:
                if time.monotonic() > end:
                    raise ConfigError(
                        f"{self.config.server_address} broke off at the end of a transaction and does not come back: "
                        "it is unknown whether it was committed",
                        hint="Sync again when it is back.",
                    ) from error
            time.sleep(0.5)

    def close(self) -> None:
        was_closed, self.closed = self.closed, True
        with suppress(Exception):  # a broken connection cannot say goodbye
            for schema in () if was_closed or self._is_inside else self._traced_schemas:
                self.server.query(self.notes_of.removal(schema, self._writer))
            self.server.close()

    # -- staging -------------------------------------------------------------------------------------------------------

    @contextmanager
    def staged(self, rows: pa.Table) -> Iterator[str]:
        reference = self.reference(self._temporary_schema(), INCOMING)
        self._unstaged = rows
        try:
            yield reference
        finally:
            was_staged, self._unstaged = self._unstaged is None, None
            if was_staged and not self.closed:
                self.rows(f"DROP TEMPORARY TABLE IF EXISTS {reference}")

    def _temporary_schema(self) -> str:
        """A temporary table has to be in a database, and so has a statement that deletes from a join."""
        if not self._has_default:
            self.create_schema(self._default_schema)
            self._choose_default()
        return self._default_schema

    def _choose_default(self) -> None:
        literal = self.dialect.literal(self._default_schema)
        if self.rows(f"SELECT 1 FROM information_schema.schemata WHERE schema_name = {literal}"):  # noqa: S608 - quoted
            self.rows(f"USE {self.reference(self._default_schema)}")
            self._has_default = True

    def _stage_for(self, statement: str) -> None:
        """Stage the rows that a statement reads, if they are not staged yet."""
        rows = self._unstaged
        if rows is None or INCOMING not in statement:
            return
        self._unstaged = None
        kinds = [TEXT if kind == NOTHING else kind for kind in self.kinds(rows)]
        columns = dict(zip(rows.column_names, kinds, strict=True))
        reference = self.reference(self._temporary_schema(), INCOMING)
        self.rows(f"DROP TEMPORARY TABLE IF EXISTS {reference}")
        self.rows(f"CREATE TEMPORARY TABLE {reference} ({self._spelled(columns)}){self._options}")
        self.load(rows, reference, rows.column_names)

    def load(
        self, rows: pa.Table, reference: str, columns: Sequence[str], values: Mapping[str, str] | None = None
    ) -> None:
        """Add rows to a table, in these columns; `values` are expressions for further ones."""
        from kitestring.vendors.mysql import bulk_text

        fresh = values or {}
        quoted = self.dialect.quoted
        if not self.no_local_load:
            variables = {name: f"@c{n}" for n, name in enumerate(columns) if bulk_text.is_bytes(rows.column(n).type)}
            places = ", ".join(variables.get(name) or quoted(name) for name in columns)
            settings = {name: f"unhex({variable})" for name, variable in variables.items()} | dict(fresh)
            assigned = ", ".join(f"{quoted(name)} = {value}" for name, value in settings.items())
            statement = (
                f"LOAD DATA LOCAL INFILE 'kitestring' INTO TABLE {reference} CHARACTER SET utf8mb4 "
                f"FIELDS TERMINATED BY '\t' ESCAPED BY '\\' LINES TERMINATED BY '\n' ({places})"
                + (f" SET {assigned}" if assigned else "")
            )
            try:
                self._load_local(statement, rows)
                return
            except KitestringError as error:
                if error.fields.get("code") not in LOCAL_IS_OFF:
                    raise
                log.info("the server refuses LOAD DATA LOCAL (local_infile), so rows are inserted")
                self.no_local_load.add("off")
        names = ", ".join(map(quoted, [*columns, *fresh]))
        limit = min(int(self.rows("SELECT @@max_allowed_packet")[0][0]) // 2, 8 * 1024 * 1024)
        beginning = f"INSERT INTO {reference} ({names}) VALUES ".encode()  # noqa: S608 - quoted
        for text in bulk_text.values(rows, limit, ", ".join(fresh.values())):
            with self._translated():
                self.server.query(beginning + bytes(text))

    def _load_local(self, statement: str, rows: pa.Table) -> None:
        from kitestring.vendors.mysql import bulk_text

        with self._translated():
            loaded, warnings = self.server.load(statement, bulk_text.lines(rows))
        if not warnings and loaded == rows.num_rows:
            return
        # A value that does not fit is changed, and only warned of.
        reasons = [text for level, code, text in self.rows("SHOW WARNINGS") if level != "Note" and code != UNSAFE]
        if reasons or loaded != rows.num_rows:
            reason = reasons[0] if reasons else f"{loaded} of {rows.num_rows} rows were loaded"
            raise RecordError(f"MySQL cannot take a value: {reason}")

    # -- catalog -------------------------------------------------------------------------------------------------------

    def columns(self, schema: str, table: str) -> dict[str, str]:
        literal = self.dialect.literal
        rows = self.rows(
            "SELECT column_name, column_type, column_comment FROM information_schema.columns "  # noqa: S608 - quoted
            f"WHERE table_schema = {literal(schema)} AND table_name = {literal(table)} "
            f"AND column_name <> {literal(ROW)} AND extra NOT LIKE '%GENERATED' ORDER BY ordinal_position"
        )
        return {
            name: self.dialect.kind(f"{type_} COMMENT {comment}")
            for name, type_, comment in rows
            if not name.startswith(WIDENED)
        }

    def note(self, schema: str, table: str) -> str | None:
        return self.notes_of.note(schema, table)

    def notes(self) -> list[tuple[str, str, str]]:
        return self.notes_of.all()

    def set_note(self, schema: str, table: str, text: str) -> None:
        comment = self.notes_of.comment(schema, text)
        created, self._creates = self._creates, None
        if created is not None:
            self._create(*created, comment)
            return
        before = self.notes_of.pointer(schema, table)
        self.rows(f"ALTER TABLE {self.reference(schema, table)} COMMENT = {self.dialect.literal(comment)}")
        if before:
            self.rows(self.notes_of.removal(schema, before))

    def values(self, table: StoredTable, column: str) -> pa.ChunkedArray:
        import pyarrow as pa

        kind = table.columns[column]
        if kind not in (*TIMES, "TIME"):
            return super().values(table, column)
        name = self.dialect.quoted(column)
        text = self.dialect.converted(name, kind, TEXT)
        rows = self.rows(f"SELECT DISTINCT {text} FROM {table.reference} WHERE {name} IS NOT NULL")  # noqa: S608 - quoted
        texts = pa.chunked_array([pa.array([value for (value,) in rows], pa.string())])
        if kind == "TIME":
            return texts
        return texts.cast(self.arrow_types(table)[column]) if kind != MOMENT else texts.cast(pa.timestamp("us", "UTC"))

    def referring(self, schema: str, table: str) -> list[str]:
        """The tables whose foreign keys refer to a table."""
        literal = self.dialect.literal
        place = f"referenced_table_schema = {literal(schema)} AND referenced_table_name = {literal(table)}"
        rows = self.rows(
            f"SELECT DISTINCT table_schema, table_name FROM information_schema.key_column_usage WHERE {place}"  # noqa: S608 - quoted
        )
        return [f"{other_schema}.{other_table}" for other_schema, other_table in rows]

    # -- tables --------------------------------------------------------------------------------------------------------

    @property
    def _options(self) -> str:
        return f" ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE {self.collation}"

    def _spelled(self, columns: Mapping[str, str], visibility: str = "") -> str:
        quoted = self.dialect.quoted
        spelled = (f"{quoted(name)} {self.dialect.type_name(kind)}" for name, kind in columns.items())
        return ", ".join([f"{quoted(ROW)} bigint unsigned NOT NULL AUTO_INCREMENT{visibility} PRIMARY KEY", *spelled])

    def create_schema(self, schema: str) -> None:
        # IF NOT EXISTS alone would need the right to create one.
        literal = self.dialect.literal(schema)
        if not self.rows(f"SELECT 1 FROM information_schema.schemata WHERE schema_name = {literal}"):  # noqa: S608 - quoted
            self.rows(f"CREATE SCHEMA IF NOT EXISTS {self.reference(schema)} DEFAULT CHARACTER SET utf8mb4")
        self.notes_of.create(schema)

    def create(self, table: StoredTable, columns: Mapping[str, str]) -> None:
        self._creates = (table, dict(columns))

    def _create(self, table: StoredTable, columns: Mapping[str, str], comment: str) -> None:
        self.rows(
            f"CREATE TABLE {table.reference} ({self._spelled(columns, ' INVISIBLE')}){self._options} "
            f"COMMENT = {self.dialect.literal(comment)}"
        )

    def _finish_tables(self) -> None:
        """Do at the end of a transaction what no later step of it took over."""
        created, self._creates = self._creates, None
        if created is not None:
            self._create(*created, "")
        drops, self._drops = self._drops, []
        for schema, table in drops:
            self._drop_now(schema, table)

    def grow(self, table: StoredTable, added: Mapping[str, str], widened: Mapping[str, str]) -> None:
        """One statement for columns that are added or whose values MySQL converts as we do; the values of others are
        computed into a new column, which then takes the name and the place."""
        dialect = self.dialect
        quoted, type_name = dialect.quoted, dialect.type_name
        converted = {c: k for c, k in widened.items() if dialect.converted("x", table.columns[c], k) != "x"}
        changes = [f"ADD COLUMN {quoted(column)} {type_name(kind)}" for column, kind in added.items()]
        changes += [
            f"MODIFY COLUMN {quoted(column)} {type_name(kind)}"
            for column, kind in widened.items()
            if column not in converted
        ]
        if changes:
            if set(widened) - set(converted):
                self._drop_indexes(table)
            self.rows(f"ALTER TABLE {table.reference} {', '.join(changes)}")
        for column, kind in converted.items():
            self._drop_indexes(table)
            new = dialect.own(WIDENED, column)
            if self._has_column(table, new):  # of an interrupted sync
                self.rows(f"ALTER TABLE {table.reference} DROP COLUMN {quoted(new)}")
            place = f"AFTER {quoted(column)}"
            self.rows(f"ALTER TABLE {table.reference} ADD COLUMN {quoted(new)} {type_name(kind)} {place}")
            value = dialect.converted(quoted(column), table.columns[column], kind)
            self.rows(f"UPDATE {table.reference} SET {quoted(new)} = {value}")  # noqa: S608 - quoted
            self.rows(
                f"ALTER TABLE {table.reference} DROP COLUMN {quoted(column)}, "
                f"RENAME COLUMN {quoted(new)} TO {quoted(column)}"
            )

    def _has_column(self, table: StoredTable, column: str) -> bool:
        literal = self.dialect.literal
        place = f"table_schema = {literal(table.schema)} AND table_name = {literal(table.name)}"
        query = f"SELECT 1 FROM information_schema.columns WHERE {place} AND column_name = {literal(column)}"  # noqa: S608 - quoted
        return bool(self.rows(query))

    def rename_columns(self, table: StoredTable, names: Mapping[str, str]) -> None:
        quoted = self.dialect.quoted
        changes = ", ".join(f"RENAME COLUMN {quoted(old)} TO {quoted(new)}" for old, new in names.items())
        self.rows(f"ALTER TABLE {table.reference} {changes}")

    def rename(self, schema: str, table: str, name: str) -> None:
        """In one statement the table takes the name of one that the transaction drops."""
        source, target = self.reference(schema, table), self.reference(schema, name)
        if (schema, name) not in self._drops:
            self.rows(f"RENAME TABLE {source} TO {target}")
            return
        self._drops.remove((schema, name))
        old = self._old(schema, table)
        self.rows(f"DROP TABLE IF EXISTS {old}")
        before = f"{target} TO {old}, " if self.columns(schema, name) else ""
        pointer = self.notes_of.pointer(schema, name)
        self.rows(f"RENAME TABLE {before}{source} TO {target}")
        self.rows(f"DROP TABLE IF EXISTS {old}")
        if pointer:
            self.rows(self.notes_of.removal(schema, pointer))

    def _old(self, schema: str, table: str) -> str:
        """The name of the table that a new copy replaced, until it is dropped."""
        return self.reference(schema, self.dialect.own(f"{OWN}old_", table))

    def drop(self, schema: str, table: str) -> None:
        if self._is_inside:
            self._drops.append((schema, table))
        else:
            self._drop_now(schema, table)

    def _drop_now(self, schema: str, table: str) -> None:
        pointer = self.notes_of.pointer(schema, table)
        self.rows(f"DROP TABLE IF EXISTS {self._old(schema, table)}, {self.reference(schema, table)}")
        if pointer:
            self.rows(self.notes_of.removal(schema, pointer))

    # -- merging -------------------------------------------------------------------------------------------------------

    def index(self, table: StoredTable, parts: Sequence[Part]) -> None:
        """An index on the columns of the key; of a text on its beginning. Rows that were appended may have a key twice,
        so it is not unique."""
        kinds = {part.column: table.columns[part.column] for part in parts if len(part.path) == 1}
        if not kinds:
            return
        spelled = key_columns(self.dialect, kinds)
        name = f"{INDEX}{mark(spelled)}"
        names = self._indexes(table)
        if name in names:
            return
        drops = "".join(f"DROP INDEX {self.dialect.quoted(old)}, " for old in names)
        self.rows(f"ALTER TABLE {table.reference} {drops}ADD INDEX {self.dialect.quoted(name)} ({spelled})")

    def _indexes(self, table: StoredTable) -> list[str]:
        """The names of our indexes on a table."""
        literal = self.dialect.literal
        place = f"table_schema = {literal(table.schema)} AND table_name = {literal(table.name)}"
        rows = self.rows(f"SELECT DISTINCT index_name FROM information_schema.statistics WHERE {place}")  # noqa: S608 - quoted
        return [name for (name,) in rows if name.startswith(INDEX)]

    def _drop_indexes(self, table: StoredTable) -> None:
        for name in self._indexes(table):
            self.rows(f"ALTER TABLE {table.reference} DROP INDEX {self.dialect.quoted(name)}")

    def merge(self, merge: Merge) -> MergeCounts:
        self.trace(merge.table.schema)
        if merge.parts and self.rows(f"SELECT 1 FROM {merge.table.reference} LIMIT 1"):  # noqa: S608 - quoted
            return merge_rows(self, merge)
        if not self._load_directly(merge):
            insert_rows(self, merge)
        return MergeCounts()

    def _load_directly(self, merge: Merge) -> bool:
        """Load staged rows into their table itself, if the types of its columns hold them as they are."""
        sources = {column: source for column, source in merge.values.items() if source != "NULL"}
        places = {column: PLACE.fullmatch(source) for column, source in sources.items()}
        if self._unstaged is None or not places or not all(places.values()):
            return False
        rows = self._unstaged.select([place[1] for place in places.values() if place])
        self.load(rows, merge.table.reference, list(places), merge.fresh)
        return True


def key_columns(dialect: MysqlDialect, kinds: Mapping[str, str]) -> str:
    """The columns of an index; of a text its beginning."""
    size = max(16, min(255, INDEX_BYTES // 4 // len(kinds)))
    is_long = {
        column: kind in (TEXT, "JSON", "BLOB") or kind.endswith(("text", "blob")) for column, kind in kinds.items()
    }
    return ", ".join(f"{dialect.quoted(column)}{f'({size})' if is_long[column] else ''}" for column in kinds)
