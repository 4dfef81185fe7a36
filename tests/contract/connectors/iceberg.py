"""Iceberg keeps the contract of SQL destinations, read back by pyiceberg itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.types import IntegerType

from contract.lake_statements import LakeStatements
from kitestring.destination import Destination
from kitestring.destinations.iceberg import Iceberg
from kitestring.destinations.iceberg.iceberg_table import NOTE
from kitestring.testing.contract import SqlContract, Text
from kitestring.types import Record


class TestIceberg(LakeStatements, SqlContract):
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
        return Iceberg(warehouse_location=str(folder / "warehouse"), **options)

    def expected(self, record: Record) -> Record:
        return record | ({"nested": Text(record["nested"])} if record.get("nested") is not None else {})

    def catalog(self, destination: Any) -> SqlCatalog:
        folder = Path(destination.warehouse_location)
        return SqlCatalog("kitestring", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}")

    def read_table(self, destination: Any, schema: str, table: str) -> pa.Table | None:
        catalog = self.catalog(destination)
        try:
            exists = catalog.table_exists((schema, table))
            return catalog.load_table((schema, table)).scan().to_arrow() if exists else None
        finally:
            catalog.close()

    def create_table(self, destination: Any, schema: str, table: str, columns: pa.Schema) -> None:
        self.catalog(destination).create_table((schema, table), columns)

    def append_rows(self, destination: Any, schema: str, table: str, rows: pa.Table) -> None:
        self.catalog(destination).load_table((schema, table)).overwrite(rows)

    def add_column(self, destination: Any, schema: str, table: str, column: str) -> None:
        with self.catalog(destination).load_table((schema, table)).update_schema() as update:
            update.add_column(column, IntegerType())

    def drop_table(self, destination: Any, schema: str, table: str) -> None:
        self.catalog(destination).drop_table((schema, table))

    def note_of(self, destination: Any, schema: str, table: str) -> str | None:
        return self.catalog(destination).load_table((schema, table)).properties.get(NOTE)

    def table_names(self, destination: Any) -> set[str]:
        catalog = self.catalog(destination)
        return {name[-1] for space in catalog.list_namespaces() for name in catalog.list_tables(space)}
