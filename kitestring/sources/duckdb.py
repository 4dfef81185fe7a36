"""DuckDB: the tables and views of a database file, as Arrow."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from kitestring.config import option
from kitestring.errors import ConfigError, TransientError
from kitestring.facts import Facts, Proposal
from kitestring.source import Source
from kitestring.sql.source import BATCH_ROWS, SqlSource, TableReader
from kitestring.sql.source_table import RowRange, SqlColumn, SqlTable
from kitestring.types import Reject
from kitestring.vendors.sql_quoting import quoted

if TYPE_CHECKING:
    import pyarrow as pa

SAFE: Mapping[str, Any] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "python_enable_replacements": "false",
}
"""No name loads an extension or refers to a variable of this program.
https://duckdb.org/docs/stable/operations_manual/securing_duckdb/"""

TABLES = """
SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = current_database() AND NOT internal
UNION ALL
SELECT schema_name, view_name FROM duckdb_views() WHERE database_name = current_database() AND NOT internal
ORDER BY 1, 2
"""
KEYS = """
SELECT schema_name, table_name, constraint_column_names FROM duckdb_constraints()
WHERE database_name = current_database() AND constraint_type = 'PRIMARY KEY'
"""

AS_TEXT = frozenset({"HUGEINT", "UHUGEINT", "BIGNUM", "VARINT", "BIT", "INTERVAL", "ENUM", "TIME WITH TIME ZONE"})
"""Types whose values Arrow's types do not hold: they are read as DuckDB's text for them."""


class Duckdb(SqlSource, Source):
    """Reads the tables and views of a DuckDB file, in one snapshot for each stream."""

    facts: ClassVar[Facts] = Facts(
        title="DuckDB",
        network="none",
        programs=False,
        packages=("duckdb", "pyarrow"),
        preload=("duckdb", "pyarrow"),
        category="database",
        summary="tables and views of a DuckDB file, as Arrow",
        proposal=Proposal(config="path: ./shop.duckdb\n"),
    )

    path: str = option(order=0, examples=["./shop.duckdb"], local_path=True)
    """The database file. It is opened for reading only."""

    schemas: list[str] = option(default_factory=lambda: ["main"], order=1)
    """The schemas whose tables are streams. Empty: all."""

    memory_limit: str = option("256MB", order=2, title="Memory limit", examples=["1GB"])
    """The memory that DuckDB uses before it goes to disk."""

    def place(self) -> str:
        return self.path

    def open_reader(self) -> TableReader:
        file = Path(self.path).expanduser()
        if not file.is_file():
            raise ConfigError(f"there is no file {self.path}", hint="Correct `path`.")
        return DuckdbReader(self.path, file, self.schemas, self.memory_limit)


class DuckdbReader(TableReader):
    """A connection that reads: it opens no other file."""

    def __init__(self, path: str, file: Path, schemas: Sequence[str], memory_limit: str) -> None:
        import duckdb

        self.path = path
        self.schemas = schemas
        with self.translated():
            self.db = duckdb.connect(str(file), read_only=True, config={**SAFE, "memory_limit": memory_limit})
            if self.db.execute("SELECT current_setting('lock_configuration')").fetchall() == [(False,)]:
                self.db.execute("SET GLOBAL TimeZone = 'UTC'")
                self.db.execute("SET GLOBAL enable_external_access = false")
                self.db.execute("SET GLOBAL lock_configuration = true")
            self.db.execute("BEGIN TRANSACTION READ ONLY")

    def tables(self) -> list[SqlTable]:
        return [
            self._table(schema, name)
            for schema, name in self._names()
            if (not self.schemas or schema in self.schemas) and not name.startswith("_kitestring_")
        ]

    def table(self, name: str, namespace: str | None) -> SqlTable | None:
        place = namespace or "main", name
        return self._table(*place) if place in self._names() else None

    def read(
        self, table: SqlTable, columns: Sequence[SqlColumn], rows: RowRange
    ) -> Iterator[tuple[pa.Table, Sequence[Reject]]]:
        import pyarrow as pa

        name, order = quoted(rows.column), ""
        conditions = [f"{name} IS NULL"] if rows.nulls else []
        values = []
        for operator, value in ((">=", rows.start), ("<", rows.stop)):
            if value is not None:
                conditions.append(f"{name} {operator} ?")
                values.append(value)
        if rows.ordered:
            conditions.append(f"{name} IS NOT NULL")
            order = f" ORDER BY {name}"
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        selected = ", ".join(f"{c.expression or quoted(c.name)} AS {quoted(c.name)}" for c in columns)
        query = f"SELECT {selected} FROM {reference(table.namespace, table.name)}{where}{order}"  # noqa: S608 - quoted
        with self.translated():
            result: Any = self.db.sql(query, params=values)
            read = getattr(result, "to_arrow_reader", None) or result.fetch_arrow_reader  # before DuckDB 2
            for batch in read(BATCH_ROWS):
                yield pa.Table.from_batches([batch]), ()

    def close(self) -> None:
        self.db.close()

    def _names(self) -> list[tuple[str, str]]:
        with self.translated():
            return [(schema, name) for schema, name in self.db.execute(TABLES).fetchall()]

    def _table(self, schema: str, name: str) -> SqlTable:
        with self.translated():
            fields = self.db.sql(f"SELECT * FROM {reference(schema, name)} LIMIT 0").to_arrow_table().schema  # noqa: S608 - quoted
            kinds = {name: kind for name, kind, *_ in self.db.execute(f"DESCRIBE {reference(schema, name)}").fetchall()}
            keys = {(place[0], place[1]): place[2] for place in self.db.execute(KEYS).fetchall()}
        columns = tuple(column_of(field.name, kinds[field.name], field.type) for field in fields)
        return SqlTable(name, None if schema == "main" else schema, columns, tuple(keys.get((schema, name), ())))

    @contextmanager
    def translated(self) -> Iterator[None]:
        import duckdb

        try:
            yield
        except (duckdb.Error, OSError) as error:
            text = " ".join(str(error).split())[:300]
            if "lock on file" in text:
                raise TransientError(f"{self.path} is in use by another process") from error
            if "not a valid DuckDB database" in text or "newer" in text:
                raise ConfigError(
                    f"{self.path} is no file that this DuckDB reads: {text}", hint="Correct `path`."
                ) from error
            raise ConfigError(f"{self.path} cannot be read: {text}", hint="Correct the configuration.") from error


def reference(schema: str | None, name: str) -> str:
    return f"{quoted(schema or 'main')}.{quoted(name)}"


def column_of(name: str, kind: str, type_: pa.DataType) -> SqlColumn:
    """A column by its type in DuckDB and the one that Arrow has for it, where the two hold the same values."""
    import pyarrow as pa

    words = set(re.findall(r"[A-Z]+(?: WITH TIME ZONE)?", kind))
    if "[" in kind or words & {"STRUCT", "MAP", "UNION"}:
        if words & (AS_TEXT | {"MAP", "UNION", "JSON"}):
            return SqlColumn(name, pa.string(), True, f"CAST(to_json({quoted(name)}) AS VARCHAR)")
        return SqlColumn(name, type_)
    if kind == "JSON":
        return SqlColumn(name, pa.string(), True, f"CAST({quoted(name)} AS VARCHAR)")
    if kind in ("TIMESTAMP_S", "TIMESTAMP_MS"):
        return SqlColumn(name, pa.timestamp("us"), False, f"CAST({quoted(name)} AS TIMESTAMP)")
    if words & AS_TEXT or pa.types.is_dictionary(type_):
        return SqlColumn(name, pa.string(), False, f"CAST({quoted(name)} AS VARCHAR)")
    return SqlColumn(name, type_)
