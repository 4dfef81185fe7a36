"""Tables whose changes are captured, as the catalog has them now."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kitestring.sources.mysql.columns import column_of
from kitestring.sources.mysql.settled_catalog import is_whole, pause, settled
from kitestring.sql.source_table import SqlColumn, SqlTable
from kitestring.types import State
from kitestring.vendors.mysql.binlog_values import CODECS, INTEGER_NAMES, Kind
from kitestring.vendors.mysql.errors import code_of
from kitestring.vendors.sql_quoting import literal, quoted

if TYPE_CHECKING:
    from kitestring.vendors.mysql.session import Session

TABLES = """
SELECT table_name, table_type, coalesce(engine, '') FROM information_schema.tables
WHERE table_schema = {schema} {condition}
"""
COLUMNS = """
SELECT table_name, column_key, column_name, data_type, column_type, column_comment, coalesce(character_set_name, ''),
  coalesce(character_octet_length, 0), coalesce(numeric_precision, 0), coalesce(numeric_scale, 0),
  coalesce(datetime_precision, 0), extra
FROM information_schema.columns WHERE table_schema = {schema} {condition} ORDER BY table_name, ordinal_position
"""
KEYS = """
SELECT table_name, column_name FROM information_schema.statistics
WHERE table_schema = {schema} AND index_name = 'PRIMARY' {condition} ORDER BY table_name, seq_in_index
"""
# With a schema for `k`: without one, MariaDB opens the tables and views of all databases.
CASCADES = """
SELECT r.table_name, r.referenced_table_name, k.referenced_column_name, r.delete_rule, r.update_rule
FROM information_schema.referential_constraints AS r JOIN information_schema.key_column_usage AS k
  ON k.constraint_schema = r.constraint_schema AND k.constraint_name = r.constraint_name AND k.table_name = r.table_name
WHERE r.constraint_schema = {schema} AND k.table_schema = {schema}
  AND (r.delete_rule IN ('CASCADE', 'SET NULL', 'SET DEFAULT')
    OR r.update_rule IN ('CASCADE', 'SET NULL', 'SET DEFAULT'))
"""
MEMBER = re.compile(r"'((?:[^']|'')*)'")
ACTIONS = frozenset({"CASCADE", "SET NULL", "SET DEFAULT"})
ABSENT = (1054, 1146)
"""Errors for a column or a table that is not there, or no longer."""
ADDRESSES = {"uuid": 16, "inet6": 16, "inet4": 4}


@dataclass(frozen=True, slots=True)
class CapturedColumn:
    """A column. `kind`: how its values are read from the log, None where they are read at the source instead. `logged`:
    the kind that the log has for it. `signature`: its type in the catalog, and its character set."""

    sql: SqlColumn
    kind: Kind | None
    logged: Kind | None
    signature: str
    is_hidden: bool = False

    @property
    def name(self) -> str:
        return self.sql.name


@dataclass(frozen=True, slots=True)
class Cascade:
    """A foreign key by which the server changes rows of a table when those of another one change. Its log has only the
    changes of the latter."""

    parent: str
    columns: tuple[str, ...]
    on_delete: bool
    on_update: bool


@dataclass(frozen=True, slots=True)
class CapturedTable:
    """A table. `obstacle`: why its changes cannot be captured; empty where they can. The columns are those of the log
    in its order, hidden ones too. `nulls_unfit`: a value that its type does not hold is null, but in the key."""

    database: str
    name: str
    columns: tuple[CapturedColumn, ...]
    key: tuple[str, ...]
    obstacle: str = ""
    cascades: tuple[Cascade, ...] = ()
    nulls_unfit: bool = False

    @property
    def needed(self) -> tuple[str, ...] | None:
        """The columns in which a value that does not fit rejects its row; None for all."""
        return self.key if self.nulls_unfit else None

    @property
    def stream(self) -> str:
        return f"{self.database}.{self.name}"

    @property
    def sql(self) -> str:
        return f"{quoted(self.database)}.{quoted(self.name)}"

    @property
    def visible(self) -> list[CapturedColumn]:
        return [column for column in self.columns if not column.is_hidden]

    @property
    def sql_table(self) -> SqlTable:
        return SqlTable(self.name, self.database, tuple(column.sql for column in self.visible), self.key)

    def signatures(self) -> dict[str, str]:
        return {column.name: column.signature for column in self.columns}

    def note(self, since: int = 0) -> State:
        """What the stream's state keeps: the columns, and from where in the log on they are those of the table."""
        return {"columns": self.signatures(), "since": since}

    def is_as_noted(self, note: Mapping[str, Any]) -> bool:
        columns = note.get("columns")
        return columns is None or list(columns.items()) == list(self.signatures().items())


def captured_tables(session: Session, database: str, names: Iterable[str] | None = None) -> dict[str, CapturedTable]:
    """The base tables of a database by the keys of their streams. `names`: only these."""
    chosen = None if names is None else [*names]
    return {} if chosen == [] else settled(lambda: captured_tables_now(session, database, chosen))


def captured_tables_now(
    session: Session, database: str, names: Sequence[str] | None
) -> tuple[dict[str, CapturedTable], bool]:
    """The tables, and whether the parts of the catalog agree."""
    condition = "" if names is None else f"AND table_name IN ({', '.join(map(literal, names))})"
    schema = literal(database)

    def rows(query: str) -> list[tuple[Any, ...]]:
        with session.cursor() as cursor:
            cursor.execute(query.format(schema=schema, condition=condition))
            return list(cursor.fetchall())

    listed = rows(TABLES)
    columns: dict[str, list[CapturedColumn]] = {}
    keyed = set()
    for table, column_key, *facts in rows(COLUMNS):
        columns.setdefault(table, []).append(captured_column(*facts))
        keyed |= {table} if column_key == "PRI" else set()
    keys: dict[str, list[str]] = {}
    for table, column in rows(KEYS):
        keys.setdefault(table, []).append(column)
    cascades = cascades_of(rows(CASCADES))
    tables = {}
    for name, type_, _ in listed:
        if type_ in ("VIEW", "SYSTEM VIEW", "SEQUENCE") or name.startswith("_kitestring_") or name not in columns:
            continue
        obstacle = ""
        if type_ == "SYSTEM VERSIONED":
            obstacle = f"the table {database}.{name} is system-versioned: its log has former rows as if they were new"
        tables[f"{database}.{name}"] = CapturedTable(
            database, name, tuple(columns[name]), tuple(keys.get(name, ())), obstacle, cascades.get(name, ())
        )
    if names is None:
        pause()
    base, after = ([name for name, type_, _ in part if "VIEW" not in type_] for part in (listed, rows(TABLES)))
    # A table that was asked for by name may be missing in all parts.
    expected = {*base} if names is None else {*names}
    return tables, expected <= {*base} and is_whole(base, after, columns, keyed, keys)


def cascades_of(rows: Sequence[tuple[Any, ...]]) -> dict[str, tuple[Cascade, ...]]:
    merged: dict[tuple[str, str, bool, bool], list[str]] = {}
    for table, parent, column, delete_rule, update_rule in rows:
        merged.setdefault((table, parent, delete_rule in ACTIONS, update_rule in ACTIONS), []).append(column)
    by_table: dict[str, tuple[Cascade, ...]] = {}
    for (table, parent, on_delete, on_update), names in merged.items():
        by_table[table] = (*by_table.get(table, ()), Cascade(parent, tuple(names), on_delete, on_update))
    return by_table


def captured_column(
    name: str,
    data_type: str,
    column_type: str,
    comment: str,
    charset: str,
    octets: int,
    precision: int,
    scale: int,
    fraction: int,
    extra: str,
) -> CapturedColumn:
    data_type, column_type = str(data_type).lower(), str(column_type)
    sql = column_of(name, data_type, column_type, str(comment))
    unsigned = "unsigned" in column_type
    kind = logged = None
    if data_type in INTEGER_NAMES.values():
        kind = Kind(data_type, unsigned)
    elif data_type in ("float", "double", "year", "date"):
        kind = Kind(data_type)
    elif data_type in ("time", "datetime", "timestamp"):
        kind = Kind(data_type, shape=(int(fraction),))
    elif data_type in ("decimal", "numeric"):
        kind = Kind("decimal", shape=(int(precision), int(scale)))
    elif data_type == "bit":
        kind = Kind("bit", shape=(int(precision),))
    elif data_type in ("enum", "set") and "\\" not in column_type:
        kind = Kind(data_type, members=tuple(m.replace("''", "'") for m in MEMBER.findall(column_type)))
    elif data_type == "json":
        kind = Kind("json")
    elif data_type in ADDRESSES:
        kind, logged = Kind(data_type), Kind("char", charset="binary", shape=(ADDRESSES[data_type],))
    elif data_type in ("char", "binary"):
        kind = Kind("char", charset=charset or "binary", shape=(int(octets),))
    elif data_type in ("varchar", "varbinary") or data_type.endswith(("text", "blob")):
        kind = Kind("text", charset=charset or "binary")
    if kind is not None and kind.charset not in (None, "binary", *CODECS):
        kind = None
    signature = f"{column_type} {charset}".strip()
    return CapturedColumn(sql, kind, logged or kind, signature, "INVISIBLE" in str(extra).upper())


def altered(session: Session, before: Mapping[str, Any], after: CapturedTable) -> str:
    """Why all rows of an altered table have to be read again: the log has no changes for their new values."""
    import pymysql

    known = before.get("columns")
    if known is None:
        return ""
    for column in after.visible:
        signature = known.get(column.name)
        if signature is not None and signature != column.signature:
            return f"the type of the column {column.name} is now {column.signature}, and was {signature}"
        if signature is None:
            query = f"SELECT EXISTS (SELECT 1 FROM {after.sql} WHERE {quoted(column.name)} IS NOT NULL)"  # noqa: S608 - quoted
            try:
                with session.cursor() as cursor:
                    cursor.execute(query)
                    ((exists,),) = cursor.fetchall()
            except pymysql.err.OperationalError as error:
                if code_of(error) not in ABSENT:
                    raise
                continue  # dropped since: the log says so
            if exists:
                return f"the column {column.name} came with values"
    return ""
