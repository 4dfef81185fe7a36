"""The statements of the SQL contract on a lake: in DuckDB, on tables that the format's own library reads."""

from __future__ import annotations

import re
from typing import Any

import duckdb
import pyarrow as pa

from kitestring.destination import Destination
from kitestring.sql.note import Note
from kitestring.types import Record, Stream

PLACE = re.compile(r'"([^"]*)"\."([^"]*)"')


class LakeStatements:
    """A class says how its library reads, creates, changes and drops a table."""

    schema: str

    def read_table(self, destination: Any, schema: str, table: str) -> pa.Table | None:
        raise NotImplementedError

    def create_table(self, destination: Any, schema: str, table: str, columns: pa.Schema) -> None:
        raise NotImplementedError

    def append_rows(self, destination: Any, schema: str, table: str, rows: pa.Table) -> None:
        raise NotImplementedError

    def add_column(self, destination: Any, schema: str, table: str, column: str) -> None:
        """Add a column of 32-bit integers."""
        raise NotImplementedError

    def drop_table(self, destination: Any, schema: str, table: str) -> None:
        raise NotImplementedError

    def note_of(self, destination: Any, schema: str, table: str) -> str | None:
        raise NotImplementedError

    def table_names(self, destination: Any) -> set[str]:
        raise NotImplementedError

    def execute(self, destination: Destination, statement: str) -> list[Record]:
        place = PLACE.search(statement)
        assert place is not None
        schema, table = place.groups()
        if statement.startswith("DROP"):
            self.drop_table(destination, schema, table)
            return []
        if statement.startswith("ALTER"):
            self.add_column(destination, schema, table, statement.split('ADD COLUMN "')[1].split('"')[0])
            return []
        with duckdb.connect() as db:
            db.execute("SET TimeZone = 'UTC'")
            rows = self.read_table(destination, schema, table)
            db.execute(f'CREATE SCHEMA "{schema}"')
            if rows is not None:
                db.register("rows", rows)
                db.execute(f'CREATE TABLE "{schema}"."{table}" AS FROM rows')
            if statement.startswith("SELECT"):
                return list(db.sql(statement).to_arrow_table().to_pylist())
            db.execute(statement)
            after = db.sql(f'FROM "{schema}"."{table}"').to_arrow_table()
            if rows is None:
                self.create_table(destination, schema, table, after.schema)
            self.append_rows(destination, schema, table, after)
            return []

    def column_types(self, destination: Destination, stream: Stream) -> dict[str, str]:
        rows = self.read_table(destination, stream.namespace or self.schema, stream.name)
        return {} if rows is None else {column.name: str(column.type) for column in rows.schema}

    def tables(self, destination: Destination) -> set[str]:
        return self.table_names(destination)

    def stored(self, destination: Any, stream: Stream) -> list[Record]:
        """Read without SQL, which takes longer. The note of a table has the fields whose column has another name."""
        place = self.place_of(destination, stream)
        rows = self.read_table(destination, *place)
        if rows is None:
            return []
        note = Note.read(self.note_of(destination, *place))
        fields = note.fields if note else {}
        return list(rows.rename_columns([fields.get(column, column) for column in rows.column_names]).to_pylist())

    def place_of(self, destination: Any, stream: Stream) -> tuple[str, str]:
        dialect = destination.dialect
        schema = stream.namespace or self.schema
        schemas = dialect.candidates(schema, dialect.safe_schema(schema))
        return schemas[0], dialect.candidates(stream.name, dialect.safe_table(stream.name))[0]
