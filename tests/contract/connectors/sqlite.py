"""SQLite keeps the contract of SQL destinations."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from kitestring.destination import Destination
from kitestring.destinations.sqlite import DIALECT, Sqlite
from kitestring.sql.note_table import NOTES
from kitestring.testing.contract import SqlContract, Text
from kitestring.types import Record, Stream


class TestSqlite(SqlContract):
    types = {
        "id": "INTEGER",
        "text": "TEXT",
        "number": "REAL",
        "flag": "BOOLEAN",
        "at": "TIMESTAMPTZ",
        "nested": "TEXT",
        "tags": "TEXT",
    }
    widened = ("INTEGER", "REAL", "TEXT")

    def make_with(self, folder: Path, **options: Any) -> Destination:
        return Sqlite(path=str(folder / "test.sqlite"), **options)

    def execute(self, destination: Destination, statement: str) -> list[Record]:
        assert isinstance(destination, Sqlite)
        with closing(sqlite3.connect(destination.path)) as connection, connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(statement)]

    def column_types(self, destination: Destination, stream: Stream) -> dict[str, str]:
        rows = self.execute(destination, f"SELECT name, type FROM pragma_table_info({DIALECT.literal(stream.name)})")
        return {row["name"]: row["type"] for row in rows}

    def tables(self, destination: Destination) -> set[str]:
        rows = self.execute(destination, "SELECT name FROM sqlite_master WHERE type = 'table'")
        return {row["name"] for row in rows} - {NOTES}

    def table(self, stream: Stream) -> str:
        return DIALECT.quoted(f"{stream.namespace}_{stream.name}" if stream.namespace else stream.name)

    def expected(self, record: Record) -> Record:
        """Truth is 1 or 0, objects and lists are JSON texts."""
        texts = {name: Text(record[name]) for name in ("nested", "tags") if record.get(name) is not None}
        truth = {"flag": int(record["flag"])} if isinstance(record.get("flag"), bool) else {}
        return record | texts | truth
