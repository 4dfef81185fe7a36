"""Files of each format keep the contract of destinations of files, in a folder and in a store that is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kitestring.destinations.files import Files
from kitestring.testing.contract import FilesContract, Text
from kitestring.types import Record


class Local(FilesContract):
    def make_with(self, folder: Path, **options: Any) -> Files:
        return Files(path=str(folder), **options)


class TestParquet(Local):
    format = "parquet"

    def expected(self, record: Record) -> Record:
        return texts(record, "nested")


class TestJsonLines(Local):
    format = "jsonl"

    def expected(self, record: Record) -> Record:
        return texts(record, "at", "nested", "tags")


class TestCsv(Local):
    format = "csv"

    def expected(self, record: Record) -> Record:
        return texts(record, "nested", "tags")


class TestParquetInMemory(TestParquet):
    """A store of fsspec's that has no renames and no folders, as object stores have none."""

    elsewhere = True

    def make_with(self, folder: Path, **options: Any) -> Files:
        return Files(path=f"memory://{folder}", **options)


def texts(record: Record, *names: str) -> Record:
    """The record with texts in these fields, where there is something."""
    return record | {name: Text(record[name]) for name in names if record.get(name) is not None}
