"""Reading a column of a file as a given type; and inferring the type that holds all values of a column."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from kitestring import arrow, arrow_values, json_codec
from kitestring.errors import SchemaError
from kitestring.files.row_key import DATE, FINER, MOMENT

if TYPE_CHECKING:
    import pyarrow as pa

NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?", re.ASCII)
"""A number of JSON. `007` is none: it is probably a code."""

DIGITS = re.compile(r"[-+]?\d+(?:\.\d*)?", re.ASCII)
"""Other texts that a field declared as a number may hold."""

LITERALS = {"true": True, "false": False, "nan": math.nan, "inf": math.inf, "-inf": -math.inf}
WHOLE = r"^-?[0-9]+$"


def readable(schema: pa.Schema) -> pa.Schema:
    """The schema with readable types: types without a text form become text."""
    import pyarrow as pa

    return pa.schema([pa.field(field.name, arrow.buildable(field.type)) for field in schema])


def table_of(schema: pa.Schema, columns: Sequence[Any], count: int) -> pa.Table:
    """The columns of a schema as a table with this number of rows, even without columns."""
    import pyarrow as pa

    table = pa.Table.from_arrays([*columns, pa.nulls(count)], names=[*schema.names, ""])
    return table.select(range(len(columns)))


def of_values(name: str, values: list[Any], type_: pa.DataType, start: int) -> pa.Array:
    """JSON values as a column. `SchemaError` for a value that does not fit; `start` is the number of records before."""
    misfits: list[arrow.MisfitValue] = []
    array = arrow.column(name, values, type_, misfits)
    if misfits:
        raise SchemaError(
            f"record {start + misfits[0].row + 1:,}: {misfits[0].reason}",
            hint=f"Declare a type for {name} that holds all of its values.",
        )
    return array


def of_column(name: str, column: pa.ChunkedArray, type_: pa.DataType, start: int) -> Any:
    """A typed column as another type."""
    import pyarrow as pa

    if column.type == type_:
        return column
    if pa.types.is_integer(column.type) and pa.types.is_integer(type_):
        try:
            return column.cast(type_)
        except pa.ArrowInvalid:
            pass  # found below
    return of_values(name, arrow_values.values(column), type_, start)


def of_texts(name: str, texts: pa.Array, type_: pa.DataType, start: int) -> pa.Array:
    """A column of texts, parsed as this type."""
    import pyarrow as pa

    if arrow.is_text(type_):
        return texts.cast(type_)
    try:
        array = texts.cast(type_) if parses_alike(texts, type_) else None
    except pa.ArrowException:
        array = None  # not all have the form that Arrow reads
    # Arrow turns a number beyond floats into infinity.
    if array is None or (pa.types.is_floating(type_) and has_new_infinity(array, texts)):
        spell = text_parser(type_)
        return of_values(name, [None if text is None else spell(text) for text in texts.to_pylist()], type_, start)
    return array


def parses_alike(texts: pa.Array, type_: pa.DataType) -> bool:
    """Whether Arrow parses these texts by the same rules. (It accepts `0x1F` as an integer.)"""
    import pyarrow as pa
    import pyarrow.compute as pc

    is_ = pa.types
    if is_.is_integer(type_):
        return pc.all(pc.match_substring_regex(texts, WHOLE)).as_py() is not False
    return bool(
        is_.is_float32(type_)
        or is_.is_float64(type_)
        or is_.is_boolean(type_)
        or is_.is_decimal128(type_)
        or is_.is_timestamp(type_)
        or is_.is_date32(type_)
    )


def has_new_infinity(numbers: pa.Array, texts: pa.Array) -> bool:
    import pyarrow.compute as pc

    spelled_out = pc.match_substring_regex(texts, "(?i)inf")
    return bool(pc.any(pc.and_(pc.is_inf(numbers), pc.invert(spelled_out))).as_py())


def text_parser(type_: pa.DataType) -> Callable[[str], Any]:
    """A function that parses a text in a column of this type to a JSON value."""
    import pyarrow as pa

    is_ = pa.types
    if is_.is_integer(type_) or is_.is_floating(type_) or is_.is_decimal(type_):
        return number_of
    if is_.is_boolean(type_):
        return lambda text: LITERALS.get(text.lower(), text)
    return json_of if is_.is_nested(type_) else str


def number_of(text: str) -> Any:
    if NUMBER.fullmatch(text):
        return -0.0 if text == "-0" else json_codec.loads(text)
    literal = LITERALS.get(text.lower())
    return literal if type(literal) is float else Decimal(text) if DIGITS.fullmatch(text) else text


def json_of(text: str) -> Any:
    try:
        return json_codec.loads(text)
    except json_codec.JsonError:
        return text


def parse_text(text: str) -> Any:
    """The value of a text without quotes and without a declared type: number, boolean, date-time, date; or the text."""
    if NUMBER.fullmatch(text):
        return number_of(text)
    if text in LITERALS:
        return LITERALS[text]
    try:
        if DATE.fullmatch(text):
            return dt.date.fromisoformat(text)
        if MOMENT.fullmatch(text) and not FINER.search(text):
            return dt.datetime.fromisoformat(text)
    except ValueError:
        pass
    return text


class TypeSample:
    """A few values of a column, chosen so that a type which holds them holds all values so far."""

    def __init__(self) -> None:
        self.values: list[Any] = []

    def add(self, values: Iterable[Any]) -> None:
        groups: dict[Any, list[Any]] = {}
        for value in [*self.values, *values]:
            if value is not None:
                groups.setdefault(type(value), []).append(value)
        self.values = [witness for kind, group in groups.items() for witness in sample_values(kind, group)]

    @property
    def type(self) -> pa.DataType:
        import pyarrow as pa

        if {type(value) for value in self.values} in ({dict}, {list}, {dict, list}):
            return pa.json_() if hasattr(pa, "json_") else pa.string()
        return arrow.inferred(self.values)


def sample_values(kind: type, values: Sequence[Any]) -> list[Any]:
    """Those of these values of one type that can determine the type of a column."""
    if kind is int:
        long = next((value for value in values if abs(value) > 2**53 and int(float_of(value)) != value), None)
        return [min(values), max(values), *([] if long is None else [long])]
    if kind is float or kind is Decimal:
        finite = {value: Decimal(repr(value)) if kind is float else value for value in values if math.isfinite(value)}
        odd = next(([value] for value in values if not math.isfinite(value)), [])
        if not finite:
            return odd
        scale = min(finite, key=lambda value: int(finite[value].as_tuple().exponent))
        return [*odd, scale, max(finite, key=lambda value: finite[value].adjusted())]
    if kind is dt.datetime:
        return list({value.tzinfo is None: value for value in values}.values())
    return [values[0]]


def float_of(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return 0.0
