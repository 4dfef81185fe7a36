"""Primary keys as texts for comparison: the same key gives the same text in every file and format.

The text of a text key begins with `'`, of a number with a digit or a minus, of other kinds of values with a letter, so
that 1, "1" and true are three keys. Numbers are compared by their exact value (1 = 1.0), moments by the instant.
"""

from __future__ import annotations

import base64
import datetime as dt
import itertools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from kitestring import arrow, arrow_values, identity, json_codec
from kitestring.paths import at
from kitestring.schema import Schema
from kitestring.types import Path

if TYPE_CHECKING:
    import pyarrow as pa

PLAIN_DIGITS = 40
"""Integers of up to so many digits are written out, longer ones as digits and exponent."""

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
MICROSECOND = dt.timedelta(microseconds=1)
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d.*")
DATE = re.compile(r"\d{4}-\d\d-\d\d")
FINER = re.compile(r"\.\d{6}(\d*[1-9])")
"""Digits of a date-time after the microseconds."""

LITERALS = {"true": "true", "false": "false", "nan": "NaN", "inf": "inf", "-inf": "-inf"}


def part_of(value: Any) -> str | None:
    """The text of one value of a key; None for null."""
    if value is None:
        return None
    if type(value) is str:
        return "'" + json_codec.without_surrogates(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return int.__repr__(value) if abs(value) < 10**PLAIN_DIGITS else number_text(Decimal(int(value)))
    if isinstance(value, float):
        return number_text(Decimal(repr(float(value))))
    if isinstance(value, Decimal):
        return number_text(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return "b" + base64.b64encode(value).decode()
    if isinstance(value, dt.datetime):
        return f"m{((value if value.tzinfo else value.replace(tzinfo=dt.UTC)) - EPOCH) // MICROSECOND}"
    if isinstance(value, dt.date):
        return f"d{(value - EPOCH.date()).days}"
    if isinstance(value, str | dt.time):
        return "'" + json_codec.text_of(value)
    return "j" + json_codec.dumps_text(value, sort_keys=True)


def number_text(value: Decimal) -> str:
    """The same text for every spelling of a number."""
    if not value.is_finite():
        return "NaN" if value.is_nan() else "inf" if value > 0 else "-inf"
    sign, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    written = "".join(map(str, digits)).lstrip("0")
    if not written:
        return "0"
    short = written.rstrip("0")
    exponent += len(written) - len(short)
    minus = "-" if sign else ""
    if exponent >= 0 and len(short) + exponent <= PLAIN_DIGITS:
        return f"{minus}{short}{'0' * exponent}"
    return f"{minus}{short}e{exponent}"


def kind_of(schema: Mapping[str, Any], path: Path) -> str:
    """The kind that the schema declares at this path: `text`, `moment`, `date`, `binary`, `number`, or empty."""
    import pyarrow as pa

    if identity.is_text(schema, path):
        return "text"
    type_ = type_at(schema, path)
    if type_ is None:
        return ""
    is_ = pa.types
    if is_.is_timestamp(type_):
        return "moment"
    if is_.is_date(type_):
        return "date"
    if is_.is_binary(type_) or is_.is_large_binary(type_):
        return "binary"
    return "number" if is_.is_integer(type_) or is_.is_floating(type_) or is_.is_decimal(type_) else ""


def type_at(schema: Mapping[str, Any], path: Path) -> pa.DataType | None:
    """The Arrow type at a path through structs. None if no column has the values: inside JSON texts, or without a
    declaration."""
    import pyarrow as pa

    fields = Schema.of(schema).arrow
    if path[0] not in fields.names:
        return None
    type_ = fields.field(path[0]).type
    for name in path[1:]:
        place = type_.get_field_index(name) if pa.types.is_struct(type_) else -1
        if place < 0:
            return None
        type_ = type_.field(place).type
    return type_


def declared_part(kind: str) -> Callable[[Any], str | None]:
    """A function for the text of a JSON value of a field with this declared kind."""
    if kind == "text":
        return lambda value: part_of(identity.stored_text(value))
    if kind == "moment":
        return moment_part
    if kind == "date":
        return date_part
    if kind == "binary":
        return lambda value: "b" + value if isinstance(value, str) else part_of(value)
    return part_of


def moment_part(value: Any) -> str | None:
    if not isinstance(value, str):
        return part_of(value)
    ticks = arrow_values.ticks_of(value, 10**9)
    return part_of(value) if ticks is None else tick_text(ticks)


def tick_text(ticks: int) -> str:
    """The text of a moment, by its nanoseconds since 1970."""
    microseconds, rest = divmod(ticks, 1000)
    return f"m{microseconds}{arrow_values.fraction(rest, 1000)}"


def date_part(value: Any) -> str | None:
    try:
        return None if value is None else f"d{arrow.fit_date(value)}"
    except arrow.Misfit:
        return part_of(value)


def spelled_part(value: str | None, numbers: bool = False) -> str | None:
    """The key text of the value that a text spells: number, boolean, moment or date; else of the text itself."""
    if value is None:
        return None
    if NUMBER.fullmatch(value):
        return number_text(Decimal(value))
    if numbers:
        return part_of(value)
    if value in LITERALS:
        return LITERALS[value]
    if MOMENT.fullmatch(value):
        return moment_part(value)
    return date_part(value) if DATE.fullmatch(value) else part_of(value)


def parts_of(values: Any, kind: str) -> pa.Array:
    """The texts of an Arrow column of one part of the key. A text stays a text, unless another kind is declared."""
    import pyarrow as pa

    values = combine_chunks(values)
    is_, type_ = pa.types, values.type
    if isinstance(type_, pa.BaseExtensionType):
        return parts(arrow_values.values(values), declared_part(kind))
    if is_.is_dictionary(type_):
        return parts_of(values.dictionary_decode(), kind)
    if is_.is_null(type_):
        return pa.nulls(len(values), pa.large_string())
    if is_.is_string(type_) or is_.is_large_string(type_):
        if kind in ("", "text", "number"):
            return add_prefix("'", values)
    elif kind == "text":
        return parts(arrow_values.values(values), declared_part(kind))
    elif is_.is_integer(type_) or (is_.is_decimal128(type_) and type_.scale == 0):
        return values.cast(pa.large_string())
    elif is_.is_timestamp(type_) and type_.unit != "ns":
        return add_prefix("m", values.cast(pa.timestamp("us", type_.tz)).cast(pa.int64()))
    elif is_.is_timestamp(type_):
        ticks = values.cast(pa.int64()).to_pylist()
        return parts(ticks, lambda tick: None if tick is None else tick_text(tick))
    elif is_.is_date(type_):
        return add_prefix("d", values.cast(pa.date32()).cast(pa.int32()))
    return parts(arrow_values.values(values), declared_part(kind))


def parts(values: Iterable[Any], part: Callable[[Any], str | None]) -> pa.Array:
    import pyarrow as pa

    return pa.array([part(value) for value in values], pa.large_string())


def add_prefix(letter: str, values: Any) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    text = pa.large_string()
    return pc.binary_join_element_wise(pa.scalar(letter, text), values.cast(text), pa.scalar("", text))


def combine_chunks(values: Any) -> Any:
    return values.combine_chunks() if hasattr(values, "combine_chunks") else values


def join_parts(columns: Sequence[Any]) -> Any:
    """One text per row of these columns of parts; different keys have different texts."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if len(columns) == 1:
        return pc.fill_null(columns[0], "\\0")
    escaped = [pc.replace_substring(pc.replace_substring(column, "\\", "\\\\"), "|", "\\|") for column in columns]
    bar = pa.scalar("|", pa.large_string())
    return pc.binary_join_element_wise(*escaped, bar, null_handling="replace", null_replacement="\\0")


def readings(columns: Sequence[Sequence[Any]]) -> list[Any]:
    """The keys of rows whose parts have one or several readings, one array for each combination."""
    return [join_parts(choice) for choice in itertools.product(*columns)]


def json_parts(values: Iterable[Any], path: Path, kind: str) -> pa.Array:
    """The texts at a path in JSON texts."""
    part = declared_part(kind)
    return parts((at(json_codec.loads(text), path) if text else None for text in values), part)
