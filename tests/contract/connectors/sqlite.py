"""SQLite keeps the contracts of sources and of SQL destinations."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from kitestring.destination import Destination
from kitestring.destinations.sqlite import DIALECT, Sqlite
from kitestring.source import Source
from kitestring.sources import sqlite as sqlite_source
from kitestring.sql.note_table import NOTES
from kitestring.testing.contract import SourceContract, SqlContract, Text
from kitestring.types import Record, Stream


class TestSqliteSource(SourceContract):
    def make(self, folder: Path) -> Source:
        path = folder / "shop.sqlite"
        if not path.exists():
            with closing(sqlite3.connect(path)) as db:
                db.executescript(
                    "CREATE TABLE plain "
                    "(id INTEGER PRIMARY KEY, name TEXT, seen TEXT, price DECIMAL(8, 2), flag BOOLEAN);"
                    'CREATE TABLE "Odd" ("a b" INT, c INT, d BLOB, PRIMARY KEY (c, "a b"));'
                    "CREATE VIEW small AS SELECT id FROM plain WHERE id < 3;"
                )
                moments = (f"2026-01-01 00:{n // 60:02}:{n % 60:02}" for n in range(250))
                rows = [(n, f"n{n}", moment, n / 4, n % 2) for n, moment in enumerate(moments)]
                db.executemany("INSERT INTO plain VALUES (?, ?, ?, ?, ?)", rows)
                db.executemany('INSERT INTO "Odd" VALUES (?, ?, ?)', [(n, n % 5, b"\x00\xff") for n in range(50)])
                db.commit()
        return sqlite_source.Sqlite.load({"path": str(path)})

    def streams(self, source: Source) -> list[Stream]:
        """Each with the cursor that a user would choose."""
        cursors = {"plain": "seen", "Odd": "c", "small": "id"}
        return [replace(stream, cursor=(cursors[stream.name],)) for stream in source.discover()]


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
