"""Files of each format keep the contract of destinations."""

from __future__ import annotations

import csv
from pathlib import Path

import pyarrow.parquet as pq

from kitestring import json_codec
from kitestring.destination import Destination
from kitestring.destinations.files import Files
from kitestring.files.place import folder
from kitestring.testing.contract import DestinationContract, Text
from kitestring.types import Record, Stream


class FilesCase(DestinationContract):
    format: str

    def make(self, folder: Path) -> Destination:
        return Files(path=str(folder), format=self.format)

    def stored(self, destination: Destination, stream: Stream) -> list[Record]:
        """The files as other programs read them."""
        assert isinstance(destination, Files)
        paths = sorted(Path(destination.path, folder(stream)).glob(f"*.{self.format}"))
        return [row for path in paths for row in self.read_file(path)]

    def read_file(self, path: Path) -> list[Record]:
        raise NotImplementedError


class TestParquet(FilesCase):
    format = "parquet"

    def read_file(self, path: Path) -> list[Record]:
        return list(pq.read_table(path).to_pylist())

    def expected(self, record: Record) -> Record:
        return record | ({"nested": Text(record["nested"])} if record.get("nested") is not None else {})


class TestJsonLines(FilesCase):
    format = "jsonl"

    def read_file(self, path: Path) -> list[Record]:
        return [json_codec.loads(line) for line in path.read_bytes().splitlines()]


class TestCsv(FilesCase):
    format = "csv"

    def read_file(self, path: Path) -> list[Record]:
        csv.field_size_limit(2**31 - 1)
        with path.open(newline="", encoding="utf-8-sig") as file:
            return [{k: v or (None if k != "text" else "") for k, v in row.items()} for row in csv.DictReader(file)]

    def expected(self, record: Record) -> Record:
        """Nothing is an empty text too."""
        return {name: None if value is None else Text(value) for name, value in record.items()}
