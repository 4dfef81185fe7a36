"""SQLite: each stream is a table in one database file, by Python's own `sqlite3`."""

from __future__ import annotations

import math
import re
import secrets
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from kitestring import arrow_values
from kitestring.config import option
from kitestring.errors import ConfigError, KitestringError, RecordError, TransientError
from kitestring.facts import Facts, Proposal
from kitestring.json_codec import JsonError, dumps_text, loads, text_of
from kitestring.names import mark
from kitestring.sql import types
from kitestring.sql.connection import Connection
from kitestring.sql.dialect import Dialect
from kitestring.sql.error_rules import FILE_RULES, ErrorRule, translated
from kitestring.sql.file import SqlFile
from kitestring.sql.identifiers import OWN, ascii_folded
from kitestring.sql.key import Part
from kitestring.sql.note_table import NoteTable
from kitestring.sql.rebuild import rebuild
from kitestring.types import Path as FieldPath
from kitestring.types import Stream

if TYPE_CHECKING:
    import pyarrow as pa

    from kitestring.sql.stored_table import StoredTable

INDEX = f"{OWN}index_"
INCOMING = f"temp.{OWN}incoming"

TYPE_NAMES = {
    **dict.fromkeys(("TINYINT", "SMALLINT", "INTEGER", "BIGINT"), "INTEGER"),
    **dict.fromkeys(("FLOAT", "DOUBLE"), "REAL"),
    "BOOLEAN": "BOOLEAN",
    "BLOB": "BLOB",
    "UUID": "UUID",
    "DATE": "DATE",
    "TIME": "TIME",
    "TIMESTAMP": "DATETIME",
    types.MOMENT: "TIMESTAMPTZ",
}
"""Names whose affinity changes no value: texts of dates, times and UUIDs are never read as numbers. Other types are
text; decimals have a name with TEXT in it (https://sqlite.org/datatype3.html#determination_of_column_affinity)."""

KINDS = {"INTEGER": "BIGINT", "REAL": "DOUBLE"} | {
    name: kind for kind, name in TYPE_NAMES.items() if name not in ("INTEGER", "REAL")
}


RULES = (
    ErrorRule(
        r"is locked|is busy",
        TransientError,
        "{path} is locked: another program has been writing to it for {timeout_s:g} seconds",
        "Wait until the other program is done, or raise `lock_timeout_s`.",
    ),
    ErrorRule(
        r"not a database|malformed|unsupported file format",
        ConfigError,
        "{path} is not a SQLite database, or damaged: {text}",
        "Choose another `path`.",
    ),
    ErrorRule(r"IntegrityError|DataError|OverflowError|too big", RecordError, "SQLite cannot take a value: {text}"),
    ErrorRule(
        r"unable to open|readonly|disk I/O",
        ConfigError,
        "{path} cannot be used: {text}",
        "Check `path` and the rights of this user.",
    ),
    ErrorRule(
        r"already|use DROP|too many columns",
        ConfigError,
        "{path}: {text}",
        "Rename the conflicting object, or choose fewer fields.",
    ),
    *FILE_RULES,
)


class SqliteDialect(Dialect):
    """SQLite has 64-bit integers, floats, texts and bytes; other types are texts that are exact and sort correctly."""

    title = "SQLite"
    row_id = staged_row = "_rowid_"
    reserved_names = frozenset({"_rowid_"})
    random_id = (
        "lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || '-' || "
        "substr('89ab', 1 + (random() & 3), 1) || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6)))"
    )

    def folded(self, name: str) -> str:
        return ascii_folded(name)

    def safe_table(self, name: str) -> str:
        form = self.safe(name)
        return f"_{form}" if self.folded(form).startswith("sqlite_") else form

    def kind_of(self, type_: pa.DataType) -> str:
        kind = types.column_type(type_)
        return kind if kind == types.NOTHING else self.kind(self.type_name(kind))

    def type_name(self, kind: str) -> str:
        size = re.fullmatch(r"DECIMAL(\(\d+,\d+\))", kind)
        return f"DECIMAL_TEXT{size[1]}" if size else TYPE_NAMES.get(kind, "TEXT")

    def kind(self, type_name: str) -> str:
        """By the name, or by its affinity in SQLite."""
        name = type_name.upper().replace(" ", "")
        if size := re.fullmatch(r"DECIMAL_TEXT(\(\d+,\d+\))", name):
            return f"DECIMAL{size[1]}"
        affinities = {"INT": "BIGINT", "CHAR": types.TEXT, "CLOB": types.TEXT, "TEXT": types.TEXT, "BLOB": "BLOB"}
        affinities |= {"REAL": "DOUBLE", "FLOA": "DOUBLE", "DOUB": "DOUBLE"}
        by_affinity = (kind for fragment, kind in affinities.items() if fragment in name)
        return KINDS.get(name) or next(by_affinity, type_name)

    def wider(self, left: str, right: str) -> str:
        wide = types.wider(left, right)
        return types.TEXT if wide == "BLOB" and left != right else wide

    def converted(self, value: str, kind: str, target: str) -> str:
        digits = [types.digits(each) for each in (kind, target)]
        if kind == target or kind == types.TEXT:
            return value
        if target == types.TEXT:
            if kind == "BOOLEAN":
                return f"CASE {value} WHEN 1 THEN 'true' WHEN 0 THEN 'false' ELSE {value} END"
            return f"{OWN}text({value})"
        if target == "DOUBLE":
            return f"CAST({value} AS REAL)"
        if digits[0] and digits[1]:
            zeros = "0" * (digits[1][1] - digits[0][1])
            point = "." if zeros and not digits[0][1] else ""
            return f"(CAST({value} AS TEXT) || '{point}{zeros}')"
        midnight = "T00:00:00" if kind == "DATE" else ""
        zone = "+00:00" if target == types.MOMENT else ""
        return f"({value} || '{midnight}{zone}')" if kind in types.TIMES else value

    def number(self, value: str, kind: str) -> str:
        """Decimals are texts, and so is NaN."""
        if types.digits(kind) and kind.startswith("DECIMAL"):
            return f"CAST({value} AS REAL)"
        return f"CASE WHEN typeof({value}) <> 'text' THEN {value} END" if kind in types.FLOATS else value

    def same(self, left: str, right: str, nullable: bool) -> str:
        return f"{left} IS {right}" if nullable else f"{left} = {right}"

    def inner(self, value: str, kind: str, path: FieldPath, text: bool) -> str:
        """By SQLite's own JSON functions, so that an index can use it. With one path they return a SQL value, with two
        the unchanged JSON texts: `[1.0,1.0]`."""
        if not is_simple(path):
            return f"{OWN}inner({value}, {self.literal(dumps_text(path[1:]))}, {int(text)})"
        place = self.literal("$" + "".join(f'."{part}"' for part in path[1:]))
        pair = f"json_extract({value}, {place}, {place})"
        raw = f"nullif(substr({pair}, 2, (length({pair}) - 3) / 2), 'null')"
        if text:
            inner = f"CASE json_type({value}, {place}) WHEN 'text' THEN json_extract({value}, {place}) ELSE {raw} END"
        else:
            whole = f"substr({raw}, 1, length({raw}) - 2)"
            inner = f"CASE WHEN substr({raw}, -2) <> '.0' THEN {raw} WHEN {whole} = '-0' THEN '0' ELSE {whole} END"
        return f"CASE WHEN json_valid({value}) THEN {inner} END"

    def delete(self, reference: str, incoming: str, condition: str) -> str:
        """CROSS JOIN makes SQLite scan the left side and look up the right one."""
        rows = f"SELECT kept._rowid_ FROM {incoming} AS incoming CROSS JOIN {reference} AS kept WHERE {condition}"  # noqa: S608 - quoted
        return f"DELETE FROM {reference} WHERE _rowid_ IN ({rows})"  # noqa: S608 - quoted


DIALECT = SqliteDialect()


class SqliteConnection(NoteTable):
    """One open database file, in WAL mode: others can read during writes. Every commit is on disk."""

    dialect = DIALECT
    begin = "BEGIN IMMEDIATE"

    def __init__(self, path: str, timeout_s: float) -> None:
        self.path = path
        self.timeout_s = timeout_s
        file = Path(path).expanduser()
        with self.translated():
            file.parent.mkdir(parents=True, exist_ok=True)
            self.db = sqlite3.connect(file, timeout_s, isolation_level=None, check_same_thread=False)
            try:
                self.db.execute("PRAGMA synchronous = FULL")
                self.db.execute("PRAGMA temp_store = MEMORY")
                # Views and triggers on a table stay as they are while its new copy takes its name.
                self.db.execute("PRAGMA legacy_alter_table = ON")
            except BaseException:
                self.db.close()
                raise
        self.db.create_function(f"{OWN}text", 1, as_text, deterministic=True)
        self.db.create_function(f"{OWN}inner", 3, inner_value, deterministic=True)

    def close(self) -> None:
        self.closed = True
        self.db.close()

    @contextmanager
    def translated(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError, OverflowError) as error:
            raise translated(error, RULES, DIALECT.title, path=self.path, timeout_s=self.timeout_s) from error

    def rows(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self.translated():
            return self.db.execute(statement, values).fetchall()

    def changed(self, statement: str) -> int:
        with self.translated():
            return self.db.execute(statement).rowcount

    @contextmanager
    def staged(self, rows: pa.Table) -> Iterator[str]:
        columns = [sqlite_values(column) for column in rows.columns]
        marks = ", ".join("?" * len(columns))
        with self.translated():
            self.db.execute(f"CREATE TEMP TABLE {OWN}incoming ({', '.join(rows.column_names)})")
            try:
                self.db.execute("BEGIN")
                self.db.executemany(f"INSERT INTO {INCOMING} VALUES ({marks})", zip(*columns, strict=True))  # noqa: S608
                self.db.execute("COMMIT")
                yield INCOMING
            finally:
                if not self.closed:  # a full disk may have ended the transaction
                    if self.db.in_transaction:
                        self.db.execute("ROLLBACK")
                    self.db.execute(f"DROP TABLE IF EXISTS {INCOMING}")

    def columns(self, schema: str, table: str) -> dict[str, str]:
        columns = self.rows("SELECT name, type FROM pragma_table_info(?, 'main')", [table])
        if columns and self.rows(
            "SELECT 1 FROM main.sqlite_master WHERE name = ? COLLATE NOCASE AND type = 'view'", [table]
        ):
            raise ConfigError(
                f"{self.path}: {table} is a view", hint="Rename the view, or give the stream another name."
            )
        return {name: self.dialect.kind(type_) for name, type_ in columns}

    def schemas_with_notes(self) -> list[str]:
        return ["main"] if self._has_notes("main") else []

    def create_schema(self, schema: str) -> None:
        """A file is one schema. Turns WAL mode on; `check` must not change the file."""
        self.rows("PRAGMA journal_mode = WAL")

    def grow(self, table: StoredTable, added: Mapping[str, str], widened: Mapping[str, str]) -> None:
        super().grow(table, added, {})
        table.columns |= added
        if widened:
            own = "tbl_name = ? COLLATE NOCASE AND type IN ('index', 'trigger') AND sql IS NOT NULL"
            rows = self.rows(f"SELECT sql FROM main.sqlite_master WHERE {own}", [table.name])  # noqa: S608 - ours
            rebuild(self, table, widened, [statement for (statement,) in rows])

    def index(self, table: StoredTable, parts: Sequence[Part]) -> None:
        if not all(is_simple(part.path) for part in parts):
            return
        keys = ", ".join(part.key(alias="") for part in parts)
        prefix = f"{INDEX}{mark(keys)}_"
        own = "SELECT name FROM main.sqlite_master WHERE tbl_name = ? COLLATE NOCASE AND type = 'index' AND name LIKE ?"
        names = [name for (name,) in self.rows(own, [table.name, f"{INDEX}%"])]
        if any(name.startswith(prefix) for name in names):
            return
        with self.transaction():
            for name in names:
                self.rows(f"DROP INDEX main.{self.dialect.quoted(name)}")
            self.rows(f"CREATE INDEX main.{prefix}{secrets.token_hex(4)} ON {self.dialect.quoted(table.name)} ({keys})")


class Sqlite(SqlFile):
    """Writes each stream into a table of one SQLite file."""

    facts: ClassVar[Facts] = Facts(
        title="SQLite",
        network="none",
        programs=False,
        packages=("pyarrow",),
        preload=("pyarrow",),
        category="database",
        summary="tables of a SQLite file",
        proposal=Proposal(config="path: ./kitestring.sqlite\n"),
    )
    dialect: ClassVar[Dialect] = DIALECT
    batch_rows: ClassVar[int] = 50_000

    path: str = option(order=0, examples=["./warehouse.sqlite"], local_path=True)
    """The database file; it is created if it is absent."""

    lock_timeout_s: float = option(10.0, order=1, ge=0, title="Lock timeout")
    """How many seconds to wait while another program writes to the file."""

    def _connect(self) -> Connection:
        return SqliteConnection(self.path, self.lock_timeout_s)

    def _schema(self) -> str:
        return "main"

    def _place(self, stream: Stream) -> tuple[str, str]:
        """A file has no schemas: the namespace becomes a prefix of the name."""
        return self._schema(), f"{stream.namespace}_{stream.name}" if stream.namespace else stream.name

    def _translated(self, error: Exception) -> KitestringError:
        return translated(error, RULES, DIALECT.title, path=self.path, timeout_s=self.lock_timeout_s)


def is_simple(path: FieldPath) -> bool:
    """Whether SQLite's JSON paths can contain these names: they have no escapes."""
    return all(part and '"' not in part and "\\" not in part for part in path[1:])


def sqlite_values(column: pa.ChunkedArray) -> list[Any]:
    """The values of a column as SQLite stores them: decimals, moments and NaN as text."""
    import pyarrow as pa

    is_, is_moment = pa.types, pa.types.is_timestamp(column.type) and column.type.tz is not None
    if is_moment:  # one moment has one text
        column = column.cast(pa.timestamp(column.type.unit, "UTC"))
    values = arrow_values.values(column)
    if is_.is_floating(column.type):
        return ["NaN" if value is not None and math.isnan(value) else value for value in values]
    if is_.is_integer(column.type) or is_.is_boolean(column.type) or types.column_type(column.type) == "BLOB":
        return values
    texts = [None if value is None else as_text(value) for value in values]
    return [text and text.replace("Z", "+00:00") for text in texts] if is_moment else texts


def as_text(value: Any) -> str | None:
    if isinstance(value, Decimal):
        return format(value, "f")
    return None if value is None else text_of(value)


def inner_value(document: str | None, path: str, text: int) -> str | None:
    """The value at a path in a JSON text: see `Dialect.inner`."""
    try:
        value = loads(document or "null")
    except JsonError:
        return None
    for part in loads(path):
        value = value.get(part) if isinstance(value, Mapping) else None
    if value is None or text:
        return as_text(value)
    return dumps_text(int(value) if isinstance(value, float) and value.is_integer() else value)
