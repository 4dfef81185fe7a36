"""A table as a SQL source reads it: its columns with their Arrow types, and rows of Python values as Arrow."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from kitestring import arrow
from kitestring.json_codec import JsonError, dumps_text, loads
from kitestring.schema import Schema
from kitestring.types import Record, Reject, Stream, SyncMode

if TYPE_CHECKING:
    import pyarrow as pa

DAY = dt.timedelta(days=1)
JSON_TEXT: Mapping[str, Any] = {"type": ["string", "null"], "contentMediaType": "application/json"}


class MisfitError(Exception):
    """A value that its column's type does not hold."""


@dataclass(frozen=True, slots=True)
class SqlColumn:
    """A column. `type` is None where it may hold values of any type; `json`: its texts are JSON. `expression`: how it
    is selected, where that is not by its name. `compared`: as what the database compares its values, where that is not
    by `type`: "numeric", where they arrive as texts, or "text", with a collation."""

    name: str
    type: pa.DataType | None
    json: bool = False
    expression: str = ""
    compared: str = ""

    @property
    def order(self) -> str:
        """The type by which `SortedWatermark` orders the column; empty where it cannot be a cursor."""
        import pyarrow as pa

        type_, is_ = self.type, pa.types
        if type_ is None or self.json:
            return ""
        if is_.is_timestamp(type_):  # positions are microseconds
            return "" if type_.unit != "us" else "timestamptz" if type_.tz else "timestamp"
        orders: tuple[tuple[Callable[[Any], bool], str], ...] = (
            (is_.is_integer, "int8"),
            (is_.is_decimal, "numeric"),
            (is_.is_floating, "float8"),
            (is_.is_date, "date"),
            (is_.is_string, "numeric" if self.compared == "numeric" else "text"),
        )
        return next((order for fits, order in orders if fits(type_)), "")


@dataclass(frozen=True, slots=True)
class SqlTable:
    """A table or a view. `namespace`: its schema, None for that of the connection."""

    name: str
    namespace: str | None
    columns: tuple[SqlColumn, ...]
    primary_key: tuple[str, ...] = ()

    @property
    def stream(self) -> Stream:
        import pyarrow as pa

        fields = pa.schema([(column.name, column.type or pa.string()) for column in self.columns])
        derived = Schema.of_arrow(fields)
        properties = dict(derived["properties"])
        properties |= {c.name: dict(JSON_TEXT) if c.json else {} for c in self.columns if c.json or c.type is None}
        modes = [SyncMode.full_refresh]
        if any(column.order for column in self.columns):
            modes.append(SyncMode.incremental)
        return Stream(
            self.name,
            namespace=self.namespace,
            schema=Schema({**derived, "properties": properties}, fields),
            primary_key=tuple((name,) for name in self.primary_key),
            sync_modes=tuple(modes),
        )


@dataclass(frozen=True, slots=True)
class RowRange:
    """The rows to read: those whose `column` is at least `start` and below `stop`, where these are given, in its order
    if `ordered`. `nulls`: those that have no value in it."""

    column: str = ""
    start: Any = None
    stop: Any = None
    ordered: bool = False
    nulls: bool = False


def rows_as_table(columns: Sequence[SqlColumn], rows: Sequence[Sequence[Any]]) -> tuple[pa.Table, list[Reject]]:
    """Rows of Python values as Arrow; and those with a value that does not fit its column, unchanged."""
    import pyarrow as pa

    values = list(zip(*rows, strict=True)) if rows else [()] * len(columns)
    misfits: dict[int, str] = {}
    arrays = [array_of(column, column_values, misfits) for column, column_values in zip(columns, values, strict=True)]
    table = pa.table(arrays, [column.name for column in columns])
    rejects = [
        Reject({column.name: value for column, value in zip(columns, rows[place], strict=True)}, reason)
        for place, reason in sorted(misfits.items())
    ]
    if rejects:
        table = table.filter(pa.array([place not in misfits for place in range(len(rows))]))
    return table, rejects


def array_of(column: SqlColumn, values: Sequence[Any], misfits: dict[int, str]) -> pa.Array:
    """The values of a column; notes the places of those that do not fit, with the reason."""
    import pyarrow as pa

    python_types = {*map(type, values)} - {type(None)}
    type_ = column.type or inferred_type(values)
    if (
        not column.json
        and python_types <= exact_types(type_)
        and not (pa.types.is_timestamp(type_) and any(v is not None and v.tzinfo is not None for v in values))
    ):
        try:
            return pa.array(values, type_)
        except (pa.ArrowInvalid, OverflowError):
            pass  # a number that is too large: it is looked for below
    converted = []
    for place, value in enumerate(values):
        try:
            fitted = None if value is None else json_text(value) if column.json else fit(type_, value)
            pa.scalar(fitted, type_)
        except (MisfitError, pa.ArrowException, OverflowError, InvalidOperation, ValueError, TypeError):
            misfits.setdefault(place, f"field {column.name}: a {type(value).__name__} does not fit its type {type_}")
            fitted = None
        converted.append(fitted)
    return pa.array(converted, type_)


def inferred_type(values: Sequence[Any]) -> pa.DataType:
    """The type of the first value, for a column of any type."""
    import pyarrow as pa

    types: dict[type, pa.DataType] = {bool: pa.bool_(), int: pa.int64(), float: pa.float64(), bytes: pa.binary()}
    first = next((value for value in values if value is not None), None)
    return types.get(type(first), pa.string())


def exact_types(type_: pa.DataType) -> set[type]:
    """The Python types whose values Arrow takes into this type without a change."""
    import pyarrow as pa

    is_ = pa.types
    kinds: tuple[tuple[Callable[[Any], bool], type], ...] = (
        (is_.is_boolean, bool),
        (is_.is_integer, int),
        (is_.is_floating, float),
        (is_.is_string, str),
        (is_.is_binary, bytes),
        (is_.is_decimal, Decimal),
        (is_.is_timestamp, dt.datetime),
        (is_.is_date, dt.date),
        (is_.is_time, dt.time),
    )
    return {python_type for fits, python_type in kinds if fits(type_)}


def fit(type_: pa.DataType, value: Any) -> Any:
    """A value as its column's type takes it without a loss. `MisfitError` and other errors where there is none."""
    import pyarrow as pa

    is_ = pa.types
    if is_.is_boolean(type_) and value in (0, 1) and isinstance(value, int):
        return bool(value)
    if is_.is_integer(type_) and isinstance(value, int | Decimal) and value == int(value):
        return int(value)
    if is_.is_floating(type_) and isinstance(value, int | float | Decimal):
        if not isinstance(value, float) and Decimal(float(value)) != value:
            raise MisfitError
        return float(value)
    if is_.is_decimal(type_) and isinstance(value, int | Decimal) and not isinstance(value, bool):
        return Decimal(value)
    if is_.is_binary(type_) and isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    if is_.is_timestamp(type_) and isinstance(value, dt.datetime):
        if value.tzinfo is None:
            return value.replace(tzinfo=dt.UTC) if type_.tz else value
        if type_.tz:
            return value
    if is_.is_date(type_) and isinstance(value, dt.date):
        if isinstance(value, dt.datetime) and (value.tzinfo is not None or value.time() != dt.time()):
            raise MisfitError
        return value.date() if isinstance(value, dt.datetime) else value
    if is_.is_time(type_):
        if isinstance(value, dt.timedelta) and dt.timedelta(0) <= value < DAY:
            return (dt.datetime.min + value).time()
        if isinstance(value, dt.time) and value.tzinfo is None:
            return value
    if is_.is_string(type_):
        if isinstance(value, dict | list | tuple):
            return dumps_text(value)
        if isinstance(value, str | uuid.UUID | Decimal | dt.date | dt.time | int | float):
            return arrow.text(value)
        if not isinstance(value, bytes | bytearray | memoryview):
            return str(value)
    raise MisfitError


def json_text(value: Any) -> str:
    """A value of a JSON column as JSON text. Some drivers give the text, others what it means."""
    if not isinstance(value, str):
        return dumps_text(value)
    try:
        loads(value)
    except JsonError:
        return dumps_text(value)
    return value


def misfit_rows(rejects: Sequence[Reject]) -> list[Record]:
    return [reject.record for reject in rejects]
