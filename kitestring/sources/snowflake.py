"""Snowflake: the tables and views of a database, by Snowflake's connector."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, ClassVar

from kitestring.config import option
from kitestring.facts import Facts, Proposal
from kitestring.redact import Redactor
from kitestring.sql.server_source import ServerSource
from kitestring.sql.source import BATCH_ROWS, TableReader
from kitestring.sql.source_table import RowRange, SqlColumn, SqlTable, rows_as_table
from kitestring.vendors.snowflake import SnowflakeConfig, translated, user_of_airbyte
from kitestring.vendors.sql_quoting import literal, quoted

if TYPE_CHECKING:
    import pyarrow as pa
    from snowflake.connector import SnowflakeConnection as Session

    from kitestring.types import Reject

PLACE = "\0"
"""The place of a parameter while a query is written: no name contains it."""
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
MOST_DIGITS = 38

COLUMNS = """
SELECT table_schema, table_name, column_name, data_type, numeric_precision, numeric_scale
FROM information_schema.columns WHERE table_schema IN ({schemas}) ORDER BY table_schema, table_name, ordinal_position
"""


class Snowflake(SnowflakeConfig, ServerSource):
    """Reads the tables and views of a Snowflake database."""

    facts: ClassVar[Facts] = Facts(
        title="Snowflake",
        network="native",
        programs=False,
        packages=("snowflake.connector", "pyarrow"),
        category="database",
        summary="tables and views of Snowflake",
        proposal=Proposal(
            config="host: acme-eu1.snowflakecomputing.com\nwarehouse: COMPUTE_WH\ndatabase: SHOP\nusername: READER\n"
            "password: ${SNOWFLAKE_PASSWORD}\n"
        ),
    )

    schemas: list[str] = option(default_factory=lambda: ["PUBLIC"], order=8, min_length=1)
    """The schemas whose tables are streams, as Snowflake has their names: mostly in capitals."""

    connections: int = option(4, ge=1, le=64, order=9, group="advanced")
    """How many streams are read at the same time."""

    @classmethod
    def own_options(cls, options: dict[str, Any]) -> dict[str, Any]:
        """Airbyte has an object for the user, and one schema."""
        options = user_of_airbyte(options)
        schema = options.pop("schema", None)
        if schema:
            options.setdefault("schemas", [schema])
        return options

    def place(self) -> str:
        return self.server_place()

    def concurrency(self) -> int:
        return self.connections

    def open_reader(self) -> TableReader:
        return SnowflakeReader(self.open(self.schemas[0]), self.place(), self.schemas, self.redactor())


class SnowflakeReader(TableReader):
    """One session."""

    def __init__(self, session: Session, place: str, schemas: Sequence[str], redactor: Redactor) -> None:
        self.session = session
        self.place = place
        self.schemas = schemas
        self.redactor = redactor

    def tables(self) -> list[SqlTable]:
        return self._tables(self.schemas)

    def table(self, name: str, namespace: str | None) -> SqlTable | None:
        return next((t for t in self._tables([namespace or self.schemas[0]]) if t.name == name), None)

    def _tables(self, schemas: Sequence[str]) -> list[SqlTable]:
        columns: dict[tuple[str, str], list[SqlColumn]] = {}
        for schema, table, *column in self._rows(COLUMNS.format(schemas=", ".join(map(literal, schemas)))):
            if schema in schemas and not table.startswith("_kitestring_"):
                columns.setdefault((schema, table), []).append(column_of(*column))
        keys: dict[tuple[str, str], list[tuple[int, str]]] = {}
        for schema in {schema for schema, _ in columns}:
            for row in self._rows(f"SHOW PRIMARY KEYS IN SCHEMA {self._reference(schema)}"):
                keys.setdefault((row[2], row[3]), []).append((row[5], row[4]))
        return [
            SqlTable(place[1], place[0], tuple(parts), tuple(name for _, name in sorted(keys.get(place, []))))
            for place, parts in columns.items()
        ]

    def read(
        self, table: SqlTable, columns: Sequence[SqlColumn], rows: RowRange
    ) -> Iterator[tuple[pa.Table, Sequence[Reject]]]:
        name, order = quoted(rows.column), ""
        conditions = [f"{name} IS NULL"] if rows.nulls else []
        values = []
        for operator, value in ((">=", rows.start), ("<", rows.stop)):
            if value is not None:
                conditions.append(f"{name} {operator} {PLACE}")
                values.append(value)
        if rows.ordered:
            conditions.append(f"{name} IS NOT NULL")
            order = f" ORDER BY {name}"
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        selected = ", ".join(
            f"{column.expression or quoted(column.name)} AS {quoted(column.name)}" for column in columns
        )
        place = self._reference(table.namespace or self.schemas[0], table.name)
        query = f"SELECT {selected} FROM {place}{where}{order}"  # noqa: S608 - quoted
        if values:  # else the driver leaves signs of per cent in names alone
            query = query.replace("%", "%%").replace(PLACE, "%s")
        with self.translated(), self.session.cursor() as cursor:
            cursor.execute(query, values or None)
            while part := cursor.fetchmany(BATCH_ROWS):
                yield rows_as_table(columns, part)

    def now(self, cursor: SqlColumn) -> int:
        ((moment,),) = self._rows("SELECT current_timestamp()")
        microseconds: int = (moment.astimezone(dt.UTC) - EPOCH) // dt.timedelta(microseconds=1)
        return microseconds

    def close(self) -> None:
        with self.translated():
            self.session.close()

    def _rows(self, statement: str) -> list[tuple[Any, ...]]:
        with self.translated(), self.session.cursor() as cursor:
            return list(cursor.execute(statement).fetchall())

    def _reference(self, *names: str) -> str:
        return ".".join(map(quoted, names))

    def translated(self) -> AbstractContextManager[None]:
        return translated(self.place, self.redactor)


def column_of(name: str, data_type: str, precision: int | None, scale: int | None) -> SqlColumn:
    """A column of the catalog. Whole numbers are int64: a larger one does not fit."""
    import pyarrow as pa

    kind = data_type.upper()
    if kind in ("VARIANT", "OBJECT", "ARRAY", "MAP", "VECTOR"):
        document = f"{quoted(name)}::ARRAY" if kind == "VECTOR" else quoted(name)
        return SqlColumn(name, pa.string(), True, f"to_json({document})")
    if kind in ("GEOGRAPHY", "GEOMETRY"):
        return SqlColumn(name, pa.string(), True, f"to_json(st_asgeojson({quoted(name)}))")
    if kind in ("NUMBER", "DECIMAL", "NUMERIC", "FIXED"):
        return SqlColumn(name, pa.decimal128(precision or MOST_DIGITS, scale) if scale else pa.int64())
    types = {
        "FLOAT": pa.float64(),
        "BOOLEAN": pa.bool_(),
        "DATE": pa.date32(),
        "TIME": pa.time64("us"),
        "BINARY": pa.binary(),
        "TIMESTAMP_NTZ": pa.timestamp("us"),
        "TIMESTAMP_TZ": pa.timestamp("us", "UTC"),
        "TIMESTAMP_LTZ": pa.timestamp("us", "UTC"),
    }
    return SqlColumn(name, types.get(kind, pa.string()))
