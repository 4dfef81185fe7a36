"""Files of each format keep the contract of destinations."""

from __future__ import annotations

from pathlib import Path

from kitestring.destination import Destination
from kitestring.testing.contract import DestinationContract
from kitestring.types import Record, Stream


class TestParquet(DestinationContract):
    format = "parquet"

    def make(self, folder: Path) -> Destination:
        from kitestring.destinations.files import Files

        return Files(path=str(folder), format=self.format)

    def stored(self, destination: Destination, stream: Stream) -> list[Record]:
        """The files as other programs read them."""
        import duckdb

        from kitestring.destinations.files import Files
        from kitestring.files.place import folder

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
