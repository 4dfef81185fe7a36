"""ClickHouse: tables and views as Arrow, over HTTP."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import model_validator

from kitestring.config import option, secret
from kitestring.errors import TransientError
from kitestring.facts import Facts, Proposal
from kitestring.source import Source
from kitestring.sql.source import SqlSource, TableReader
from kitestring.sql.source_table import RowRange, SqlColumn, SqlTable
from kitestring.types import Reject
from kitestring.vendors.clickhouse import ArrowBody, quoted
from kitestring.vendors.ssh_tunnel import asks_for_no_tunnel

if TYPE_CHECKING:
    import pyarrow as pa

    from kitestring.http import Session

BATCH_ROWS = 50_000
COLUMNS = """
SELECT c.table, c.name, c.type FROM system.columns c
JOIN system.tables t ON t.database = c.database AND t.name = c.table
WHERE NOT t.is_temporary AND {where} ORDER BY c.database, c.table, c.position
"""
SAME = re.compile(r"U?Int(8|16|32|64)|Float(32|64)|Bool|Date|Date32|UUID")
WRAPPED = re.compile(r"(?:Nullable|LowCardinality)\((.*)\)", re.DOTALL)
DECIMAL = re.compile(r"Decimal\((\d+), (\d+)\)")
NESTED = re.compile(r"(Array|Map|Tuple|Nested|JSON|Object|Variant|Dynamic)\b")
LARGE = re.compile(r"U?Int(128|256)")


class Clickhouse(SqlSource, Source):
    """Reads the tables and views of a ClickHouse database by its HTTP interface."""

    facts: ClassVar[Facts] = Facts(
        title="ClickHouse",
        network="python",
        programs=False,
        packages=("pyarrow",),
        extra="arrow",
        preload=("pyarrow",),
        category="database",
        summary="tables and views of ClickHouse, as Arrow",
        proposal=Proposal(
            config="host: localhost\ndatabase: default\nusername: default\npassword: ${CLICKHOUSE_PASSWORD}\n"
        ),
    )

    host: str = option("localhost", order=0)
    """The host of the HTTP interface."""

    port: int = option(8123, order=1, ge=1, le=65535)
    """The port of the HTTP interface: 8123, with TLS usually 8443."""

    database: str = option("default", order=2)
    """The database whose tables are streams."""

    username: str = option("default", order=3)
    """The user. It needs SELECT only."""

    password: str = secret("", order=4)
    """The password of the user."""

    ssl: bool = option(False, order=5, title="TLS")
    """Whether to connect with TLS."""

    @model_validator(mode="before")
    @classmethod
    def _as_airbyte_has_it(cls, values: Any) -> Any:
        """Accept the options of Airbyte's source-clickhouse whose values have no effect."""
        if not isinstance(values, Mapping):
            return values
        if not asks_for_no_tunnel(values.get("tunnel_method")):
            raise ValueError("tunnel_method needs a tunnel, which this connector does not have")
        if values.get("jdbc_url_params"):
            raise ValueError("jdbc_url_params are for another driver: leave them out")
        return {name: value for name, value in values.items() if name not in ("tunnel_method", "jdbc_url_params")}

    def place(self) -> str:
        return f"{self.host}:{self.port}/{self.database}"

    def open_reader(self) -> TableReader:
        url = f"{'https' if self.ssl else 'http'}://{self.host}:{self.port}/"
        self.http.hide(self.password)
        headers = {"X-ClickHouse-User": self.username, "X-ClickHouse-Key": self.password}
        return ClickhouseReader(self.http, url, self.database, headers)


class ClickhouseReader(TableReader):
    """Queries over HTTP. Each is answered whole before it is sent, so that an error has its status."""

    def __init__(self, http: Session, url: str, database: str, headers: Mapping[str, str]) -> None:
        self.http = http
        self.url = url
        self.database = database
        self.headers = headers

    def tables(self) -> list[SqlTable]:
        return self._tables("c.database = {database:String}", {})

    def table(self, name: str, namespace: str | None) -> SqlTable | None:
        tables = self._tables("c.database = {database:String} AND c.table = {table:String}", {"table": name})
        return next(iter(tables), None)

    def read(
        self, table: SqlTable, columns: Sequence[SqlColumn], rows: RowRange
    ) -> Iterator[tuple[pa.Table, Sequence[Reject]]]:
        selected = ", ".join(f"{column.expression} AS {quoted(f'c{n}')}" for n, column in enumerate(columns))
        conditions, order, values = [], "", {}
        if rows.column:
            column = next(c for c in table.columns if c.name == rows.column)
            name = f"t.{quoted(rows.column)}"
            if rows.nulls:
                conditions.append(f"{name} IS NULL")
            for key, operator, value in (("start", ">=", rows.start), ("stop", "<", rows.stop)):
                if value is not None:
                    conditions.append(f"{name} {operator} {parameter(key, column)}")
                    values[key] = text_of(value)
            if rows.ordered:
                conditions.append(f"{name} IS NOT NULL")
                order = f" ORDER BY {name}"
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        query = f"SELECT {selected} FROM {quoted(self.database)}.{quoted(table.name)} AS t{where}{order}"  # noqa: S608 - quoted
        names = [c.name for c in columns]
        for part in self._query(query, values):
            yield part.rename_columns(names), ()

    def now(self, cursor: SqlColumn) -> int:
        ((moment,),) = self._rows("SELECT toUnixTimestamp64Micro(now64(6))", {})
        return int(moment)

    def close(self) -> None: ...

    def _tables(self, where: str, values: Mapping[str, str]) -> list[SqlTable]:
        rows = self._rows(COLUMNS.format(where=where), {"database": self.database, **values})
        tables: dict[str, list[SqlColumn]] = {}
        for table, name, type_ in rows:
            tables.setdefault(table, []).append(column_of(name, type_))
        return [SqlTable(name, None, tuple(columns)) for name, columns in tables.items()]

    def _rows(self, query: str, values: Mapping[str, str]) -> list[tuple[Any, ...]]:
        return [tuple(row.values()) for table in self._query(query, values) for row in table.to_pylist()]

    def _query(self, query: str, values: Mapping[str, str]) -> Iterator[pa.Table]:
        import pyarrow as pa

        settings = {
            "database": self.database,
            "default_format": "ArrowStream",
            "output_format_arrow_string_as_string": 1,
            "output_format_arrow_compression_method": "none",
            "max_block_size": BATCH_ROWS,
            "wait_end_of_query": 1,
            "readonly": 2,
            **{f"param_{name}": value for name, value in values.items()},
        }
        response = self.http.request(
            "POST", self.url, params=settings, headers=self.headers, body=query.encode(), stream=True
        )
        body = ArrowBody(response)
        try:
            with pa.ipc.open_stream(body) as stream:
                for batch in stream:
                    if batch.num_rows:
                        yield pa.Table.from_batches([batch])
            body.require_end()
        except pa.ArrowInvalid as error:
            raise TransientError(f"{self.url} answered no complete Arrow stream: {error}") from error
        finally:
            response.close()


def column_of(name: str, type_: str) -> SqlColumn:
    """A column by its type, selected so that Arrow holds its values exactly."""
    import pyarrow as pa

    inner = type_
    while (match := WRAPPED.fullmatch(inner)) is not None:
        inner = match[1]
    place = f"t.{quoted(name)}"
    if inner == "DateTime" or inner.startswith("DateTime("):
        return SqlColumn(name, pa.timestamp("us", "UTC"), False, f"toDateTime64({place}, 6, 'UTC')")
    if match := re.match(r"DateTime64\((\d)", inner):
        unit, digits = ("us", 6) if match[1] <= "6" else ("ns", 9)
        return SqlColumn(name, pa.timestamp(unit, "UTC"), False, f"toDateTime64({place}, {digits}, 'UTC')")
    if (match := DECIMAL.fullmatch(inner)) and int(match[1]) <= 38:
        return SqlColumn(name, pa.decimal128(int(match[1]), int(match[2])), False, place)
    if inner == "UUID" or LARGE.fullmatch(inner) or inner.startswith("Decimal"):
        return SqlColumn(name, pa.string(), False, f"toString({place})")
    if SAME.fullmatch(inner):
        types = {"Bool": pa.bool_(), "Date": pa.date32(), "Date32": pa.date32()}
        types |= {"Float32": pa.float32(), "Float64": pa.float64()}
        return SqlColumn(name, types.get(inner) or getattr(pa, inner.lower())(), False, place)
    if NESTED.match(inner):
        return SqlColumn(name, pa.string(), True, f"toJSONString({place})")
    return SqlColumn(name, pa.string(), False, f"toValidUTF8(toString({place}))")


def parameter(name: str, column: SqlColumn) -> str:
    """The placeholder of a value that is compared with a column."""
    order = column.order
    if order in ("timestamp", "timestamptz"):
        return f"toDateTime64({{{name}:String}}, 6, 'UTC')"
    types = {"int8": "Int128", "float8": "Float64", "date": "Date32", "numeric": "Decimal256(20)"}
    return f"{{{name}:{types.get(order, 'String')}}}"


def text_of(value: Any) -> str:
    if isinstance(value, dt.datetime):
        moment = value.astimezone(dt.UTC) if value.tzinfo else value
        return moment.strftime("%Y-%m-%d %H:%M:%S.%f")
    return str(value)
