"""SQLite: the tables and views of a database file."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

from kitestring.config import option
from kitestring.errors import ConfigError
from kitestring.facts import Facts, Proposal
from kitestring.source import Source
from kitestring.sql.alchemy import AlchemyReader
from kitestring.sql.source import SqlSource, TableReader
from kitestring.sql.source_table import SqlColumn, SqlTable

if TYPE_CHECKING:
    from sqlalchemy import Engine


class Sqlite(SqlSource, Source):
    """Reads the tables and views of a SQLite file, in one snapshot for each stream."""

    facts: ClassVar[Facts] = Facts(
        title="SQLite",
        network="none",
        programs=False,
        packages=("pyarrow", "sqlalchemy"),
        preload=("pyarrow",),
        category="database",
        summary="tables and views of a SQLite file",
        proposal=Proposal(config="path: ./shop.sqlite\n"),
    )

    path: str = option(order=0, examples=["./shop.sqlite"], local_path=True)
    """The database file."""

    lock_timeout_s: float = option(10.0, order=1, ge=0, title="Lock timeout")
    """How many seconds to wait while another program writes to the file."""

    def place(self) -> str:
        return self.path

    def open_reader(self) -> TableReader:
        file = Path(self.path).expanduser()
        if not file.is_file():
            raise ConfigError(f"there is no file {self.path}", hint="Correct `path`.")
        return SqliteReader(engine_of(file, self.lock_timeout_s), (None,), str, self.path)


class SqliteReader(AlchemyReader):
    """Dates and times are texts in SQLite, and a column may hold any value: they stay as they are."""

    def _reflected(self, schema: str | None, names: Sequence[str] | None = None) -> list[SqlTable]:
        import pyarrow as pa

        def own_type(column: SqlColumn) -> SqlColumn:
            is_, type_ = pa.types, column.type
            if type_ is None or column.json:
                return SqlColumn(column.name, pa.string() if column.json else None, column.json)
            if is_.is_temporal(type_):
                return SqlColumn(column.name, pa.string())
            if is_.is_decimal(type_):
                return SqlColumn(column.name, pa.float64())
            return replace(column, compared="") if column.compared == "numeric" else column  # SQLite binds no decimals

        return [
            SqlTable(table.name, table.namespace, tuple(map(own_type, table.columns)), table.primary_key)
            for table in super()._reflected(schema, names)
            if not table.name.startswith(("sqlite_", "_kitestring_"))
        ]


def engine_of(file: Path, timeout_s: float) -> Engine:
    import sqlalchemy as sa

    def connect() -> Any:
        uri = f"file:{quote(str(file.absolute()))}?mode=ro"
        connection = sqlite3.connect(uri, timeout_s, uri=True, check_same_thread=False)
        connection.text_factory = lambda data: data.decode("utf-8", "replace")
        return connection

    return sa.create_engine("sqlite://", creator=connect, poolclass=sa.NullPool)
