"""DuckDB keeps the contract of destinations."""

from __future__ import annotations

from pathlib import Path

from kitestring.destination import Destination
from kitestring.testing.contract import DestinationContract, Text
from kitestring.types import Record, Stream


class TestDuckdb(DestinationContract):
    def make(self, folder: Path) -> Destination:
        from kitestring.destinations.duckdb import Duckdb

        return Duckdb(path=str(folder / "test.duckdb"))

    def stored(self, destination: Destination, stream: Stream) -> list[Record]:
        import duckdb

        from kitestring.destinations.duckdb import DIALECT, Duckdb

        assert isinstance(destination, Duckdb)
        table = f"{DIALECT.quoted(stream.namespace or 'main')}.{DIALECT.quoted(stream.name)}"
        with duckdb.connect(destination.path) as connection:
            return list(connection.sql(f"SELECT * FROM {table}").to_arrow_table().to_pylist())

    def expected(self, record: Record) -> Record:
        return record | ({"nested": Text(record["nested"])} if record.get("nested") is not None else {})
