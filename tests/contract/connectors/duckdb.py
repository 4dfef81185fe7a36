"""DuckDB keeps the contract of SQL destinations."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import duckdb

from kitestring.destination import Destination
from kitestring.destinations.duckdb import MEMORY_LIMIT, SAFE, STORAGE_VERSION, Duckdb
from kitestring.testing.contract import SqlContract, Text
from kitestring.types import Record

SETTINGS = {**SAFE, "memory_limit": MEMORY_LIMIT, "storage_compatibility_version": STORAGE_VERSION}
"""Two connections of one process to a file have the same."""


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
