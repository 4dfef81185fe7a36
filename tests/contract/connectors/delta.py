"""Delta Lake keeps the contract of SQL destinations, read back by delta-rs itself."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable, Field, write_deltalake

from contract.lake_statements import LakeStatements
from kitestring.destination import Destination
from kitestring.destinations.delta import NOTE, Delta
from kitestring.testing.contract import SqlContract, Text
from kitestring.types import Record


class TestDelta(LakeStatements, SqlContract):
    types = {
        "id": "int64",
        "text": "string",
        "number": "double",
        "flag": "bool",
        "at": "timestamp[us, tz=UTC]",
        "nested": "string",
        "tags": "list<element: string>",
    }
    widened = ("int64", "double", "string")
    schema = "default"

    def make_with(self, folder: Path, **options: Any) -> Destination:
        return Delta(path=str(folder / "lake"), **options)

    def expected(self, record: Record) -> Record:
        return record | ({"nested": Text(record["nested"])} if record.get("nested") is not None else {})

    def place(self, destination: Any, schema: str, table: str) -> str:
        return f"{destination.path}/{schema}/{table}"

    def read_table(self, destination: Any, schema: str, table: str) -> pa.Table | None:
        place = self.place(destination, schema, table)
        return DeltaTable(place).to_pyarrow_table() if DeltaTable.is_deltatable(place) else None

    def create_table(self, destination: Any, schema: str, table: str, columns: pa.Schema) -> None:
        shutil.rmtree(self.place(destination, schema, table), ignore_errors=True)
        DeltaTable.create(self.place(destination, schema, table), columns)

    def append_rows(self, destination: Any, schema: str, table: str, rows: pa.Table) -> None:
        write_deltalake(self.place(destination, schema, table), rows, mode="overwrite")

    def add_column(self, destination: Any, schema: str, table: str, column: str) -> None:
        DeltaTable(self.place(destination, schema, table)).alter.add_columns([Field(column, "integer")])

    def drop_table(self, destination: Any, schema: str, table: str) -> None:
        shutil.rmtree(self.place(destination, schema, table))

    def note_of(self, destination: Any, schema: str, table: str) -> str | None:
        return DeltaTable(self.place(destination, schema, table)).metadata().configuration.get(NOTE)

    def table_names(self, destination: Any) -> set[str]:
        return {log.parent.name for log in Path(destination.path).glob("*/*/_delta_log")}
