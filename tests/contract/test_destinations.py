"""Every destination of the registry keeps the contract: one class, a few lines each."""

from __future__ import annotations

from pathlib import Path

from kitestring.destination import Destination
from kitestring.testing.contract import DestinationContract
from kitestring.testing.memory import MemoryDestination
from kitestring.types import Record, Stream


class TestMemory(DestinationContract):
    _kept: dict[Path, MemoryDestination] = {}

    def make(self, folder: Path) -> Destination:
        return self._kept.setdefault(folder, MemoryDestination())

    def stored(self, destination: Destination, stream: Stream) -> list[Record]:
        assert isinstance(destination, MemoryDestination)
        return destination.stored.get(stream.key, [])


class TestParquet(DestinationContract):
    format = "parquet"

    def make(self, folder: Path) -> Destination:
        from kitestring.destinations.files import Files

        return Files(path=str(folder), format=self.format)

    def stored(self, destination: Destination, stream: Stream) -> list[Record]:
        """The files as other programs read them."""
        import duckdb

        from kitestring.destinations.files import Files
        from kitestring.destinations.files.place import folder

        assert isinstance(destination, Files)
        pattern = f"{destination.path}/{folder(stream)}/*.{self.format}"
        reader = {
            "parquet": "read_parquet(?, union_by_name=true)",
            "jsonl": "read_json(?, format='newline_delimited', union_by_name=true)",
            "csv": "read_csv(?, union_by_name=true, max_line_size=1000000)",
        }[self.format]
        with duckdb.connect() as connection:
            table = connection.sql(f"SELECT * FROM {reader}", params=[pattern]).to_arrow_table()
        return [{k: v for k, v in row.items() if v is not None or k in ("id", "text")} for row in table.to_pylist()]


class TestJsonLines(TestParquet):
    format = "jsonl"


class TestCsv(TestParquet):
    format = "csv"


class TestDuckdb(DestinationContract):
    def make(self, folder: Path) -> Destination:
        from kitestring.destinations.duckdb import Duckdb

        return Duckdb(path=str(folder / "test.duckdb"))

    def stored(self, destination: Destination, stream: Stream) -> list[Record]:
        import duckdb

        from kitestring.destinations.duckdb import Duckdb
        from kitestring.destinations.duckdb.naming import quoted

        assert isinstance(destination, Duckdb)
        with duckdb.connect(destination.path) as connection:
            return list(connection.sql(f"SELECT * FROM {quoted(stream.name)}").to_arrow_table().to_pylist())
