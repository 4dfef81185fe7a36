"""DuckDB keeps the contracts of sources and of SQL destinations."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import duckdb

from kitestring.destination import Destination
from kitestring.destinations.duckdb import MEMORY_LIMIT, SAFE, STORAGE_VERSION, Duckdb
from kitestring.source import Source
from kitestring.sources import duckdb as duckdb_source
from kitestring.testing.contract import SourceContract, SqlContract, Text
from kitestring.types import Record, Stream

SETTINGS = {**SAFE, "memory_limit": MEMORY_LIMIT, "storage_compatibility_version": STORAGE_VERSION}
"""Two connections of one process to a file have the same."""


class TestDuckdbSource(SourceContract):
    def make(self, folder: Path) -> Source:
        path = folder / "shop.duckdb"
        if not path.exists():
            with duckdb.connect(str(path)) as db:
                db.execute(
                    "CREATE TABLE plain (id BIGINT PRIMARY KEY, name VARCHAR, seen TIMESTAMPTZ, price DECIMAL(8, 2))"
                )
                db.execute(
                    "INSERT INTO plain SELECT n, 'n' || n, TIMESTAMPTZ '2026-01-01 00:00:00Z' + to_seconds(n // 3), "
                    "n / 4 FROM range(250) t(n)"
                )
                db.execute('CREATE TABLE "Odd" ("a b" INT, c INT, d JSON, PRIMARY KEY (c, "a b"))')
                db.execute("""INSERT INTO "Odd" SELECT n, n % 5, '{"x": 1}' FROM range(50) t(n)""")
                db.execute("CREATE VIEW small AS SELECT id FROM plain WHERE id < 3")
        return duckdb_source.Duckdb.load({"path": str(path)})

    def streams(self, source: Source) -> list[Stream]:
        """Each with the cursor that a user would choose."""
        cursors = {"plain": "seen", "Odd": "c", "small": "id"}
        return [replace(stream, cursor=(cursors[stream.name],)) for stream in source.discover()]


class TestDuckdb(SqlContract):
    gaps: ClassVar[dict[str, str]] = {
        "test_a_table_that_no_sync_has_made_is_refused_and_stays": "tables of earlier versions have no note either",
        "test_records_that_are_there_unchanged_are_counted_so": "replacing rows is cheaper than comparing them",
    }
    types = {
        "id": "BIGINT",
        "text": "VARCHAR",
        "number": "DOUBLE",
        "flag": "BOOLEAN",
        "at": "TIMESTAMP WITH TIME ZONE",
        "nested": "VARCHAR",
        "tags": "VARCHAR[]",
    }
    widened = ("BIGINT", "DOUBLE", "VARCHAR")
    schema = "main"

    def make_with(self, folder: Path, **options: Any) -> Destination:
        return Duckdb(path=str(folder / "test.duckdb"), **options)

    def execute(self, destination: Destination, statement: str) -> list[Record]:
        assert isinstance(destination, Duckdb)
        with duckdb.connect(destination.path, config=SETTINGS) as connection:
            rows = connection.sql(statement)
            return list(rows.to_arrow_table().to_pylist()) if rows is not None else []

    def test_a_reader_sees_the_old_copy_or_the_new_one_and_never_less(self, tmp_path: Path) -> None:
        # DuckDB refuses to open a file while the last connection of the process to it closes: this one stays.
        with duckdb.connect(tmp_path / "test.duckdb", config=SETTINGS):
            super().test_a_reader_sees_the_old_copy_or_the_new_one_and_never_less(tmp_path)

    def expected(self, record: Record) -> Record:
        return record | ({"nested": Text(record["nested"])} if record.get("nested") is not None else {})
