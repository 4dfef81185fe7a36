"""JSON records to Arrow tables: exact, or the record is sorted out. (`arrow_values` is the way back.)

The rules, for a field of the schema and the value of a record:

- missing and null are null; every column can be null;
- a whole number in a `number` field becomes a float if the float is the same number, a fraction the nearest float; the
  texts "NaN", "Infinity" and "-Infinity" are those floats; a float in an `integer` field is taken if it is whole;
  nothing else turns into a number or a boolean;
- `date-time` is a timestamp in microseconds, UTC (a text without an offset is read as UTC, one with an offset in a
  field without time zones is moved to UTC; finer digits are cut), and `date` a date; years outside of 1 to 9999 are
  read as `arrow_values` writes them, and so are `infinity` and `-infinity`; a time may be 24:00:00;
- in a `string` field a text is itself, and every other value is its JSON text: `12`, `true`, `{"a": 1}`;
- an array is a list if the schema says what it holds, an object is a struct if the schema says what it holds and allows
  nothing else (`additionalProperties: false`); all others are JSON text, since a column that drops unknown inner
  fields would lose data, and one whose type grows with them cannot be relied on;
- a field of several types is JSON text, in which a text is itself; so is a field that the schema does not declare, if
  the records hold values of several types. Otherwise such a field has the type of its values.

Nothing is lost: a record that does not fit is returned as a `Reject` that names field, value type and wanted type.
"""

from __future__ import annotations

import base64
import datetime as dt
import math
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, InvalidOperation
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from kitestring.arrow_values import DAY_S, ENDLESS, ENDLESS_DAY, EPOCH_DAY, UNITS, ticks_of, time_ticks_of
from kitestring.json_codec import (
    SPECIAL_FLOATS,
    JsonError,
    TooDeepError,
    dumps_text,
    loads,
    text_of,
    texts,
    without_surrogates,
)
from kitestring.schema import DECIMAL_DIGITS, EXTENSIONS, Schema
from kitestring.types import Record, Reject

if TYPE_CHECKING:
    import pyarrow as pa

INT64 = range(-(2**63), 2**63)
FLOAT32_MAX = 3.4028234663852886e38


class Misfit(Exception):
    """A value that a type cannot hold. The argument says what was wanted."""


class MisfitValue(NamedTuple):
    """A value that its field's type cannot hold: its row and field, and why."""

    row: int
    field: str
    value: Any
    wanted: str

    @property
    def reason(self) -> str:
        return f"field {self.field}: {excerpt(self.value)} does not fit {self.wanted}"


def from_rows(
    rows: Sequence[Record], schema: Mapping[str, Any] | pa.Schema | None = None
) -> tuple[pa.Table, list[Reject]]:
    """The records as a table, and those that do not fit the schema (a JSON Schema of type object, or an Arrow schema).

    The columns are the fields of the schema in its order, then the others in the order in which they first appear.
    """
    import pyarrow as pa

    table, misfits = with_misfits(rows, schema)
    if not misfits:
        return table, []
    reasons: dict[int, str] = {}
    for misfit in misfits:
        reasons.setdefault(misfit.row, misfit.reason)
    fitting_rows = [n for n in range(len(rows)) if n not in reasons]
    return table.take(pa.array(fitting_rows, pa.int64())), [Reject(rows[n], reasons[n]) for n in sorted(reasons)]


def with_misfits(
    rows: Sequence[Record], schema: Mapping[str, Any] | pa.Schema | None = None
) -> tuple[pa.Table, list[MisfitValue]]:
    """All records as a table in which a value that does not fit the schema is null, and these values."""
    import pyarrow as pa

    # A field declared as null says nothing: if values come all the same, they have the type of these values.
    fields = [field for field in Schema.of(schema).arrow if not pa.types.is_null(field.type)]
    declared = {field.name: buildable(field.type) for field in fields}
    names = [*declared, *(name for name in dict.fromkeys(chain.from_iterable(rows)) if name not in declared)]
    misfits: list[MisfitValue] = []
    columns = []
    for name in names:
        values = [row.get(name) for row in rows]
        columns.append(column(name, values, declared.get(name) or inferred(values), misfits))
    # The column of nulls, at once left out again, gives the table its length even if all records are empty.
    table = pa.Table.from_arrays([*columns, pa.nulls(len(rows))], names=[*names, ""]).select(range(len(names)))
    return table, misfits


def column(name: str, values: list[Any], type_: pa.DataType, misfits: list[MisfitValue]) -> pa.Array:
    """One column. A value that does not fit is null, and is added to `misfits`."""
    import pyarrow as pa

    storage = type_.storage_type if isinstance(type_, pa.BaseExtensionType) else type_
    kinds = kinds_of(values)
    if taken_as_they_are(values, type_):
        try:
            return pa.array(values, type_)
        except (pa.ArrowException, ValueError, OverflowError):
            pass  # A value is out of range: found below, one by one.
    elif kinds == {str} and pa.types.is_timestamp(type_):
        try:
            return pa.array(values, pa.string()).cast(type_)
        except (pa.ArrowException, ValueError):
            pass  # Not all are in the form that Arrow reads.
    elif kinds <= {dict, list} and is_text(type_):
        try:
            return pa.array(texts(values), type_)
        except TooDeepError:
            pass  # Which of them, is found below.
    fit = fitting(type_)
    fitted = []
    for n, value in enumerate(values):
        try:
            fitted.append(None if value is None else fit(value))
        except Misfit as misfit:
            misfits.append(MisfitValue(n, name, value, str(misfit)))
            fitted.append(None)
    array = pa.array(fitted, storage)
    return array if storage is type_ else pa.ExtensionArray.from_storage(type_, array)


def kinds_of(values: Iterable[Any]) -> set[type]:
    return set(map(type, values)) - {type(None)}


def taken_as_they_are(values: Iterable[Any], type_: pa.DataType) -> bool:
    """True where Arrow converts these values exactly or refuses them. (It would cut the float 1.5 to the integer 1.)"""
    import pyarrow as pa

    is_, kinds = pa.types, kinds_of(values)
    if is_.is_list(type_) and kinds <= {list}:
        return taken_as_they_are(chain.from_iterable(value for value in values if value), type_.value_type)
    exact = (
        (is_.is_integer, {int}),
        (is_.is_float64, {float, int}),
        (is_.is_boolean, {bool}),
        (is_text, {str}),
        (is_.is_decimal, {Decimal, int}),
        (is_.is_binary, {bytes}),
        (is_microseconds, {dt.datetime}),
        (is_.is_date32, {dt.date}),
    )
    return not kinds or any(of(type_) and kinds <= python for of, python in exact)


def is_text(type_: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(type_) or pa.types.is_large_string(type_))


def is_microseconds(type_: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_timestamp(type_) and type_.unit == "us")


def buildable(type_: pa.DataType) -> pa.DataType:
    """The type that is made of records for a declared one: itself, or text for one that records have no values of."""
    import pyarrow as pa

    is_ = pa.types
    if isinstance(type_, pa.BaseExtensionType):
        return type_ if type_.extension_name in EXTENSIONS else buildable(type_.storage_type)
    if is_.is_dictionary(type_) or is_.is_run_end_encoded(type_):
        return buildable(type_.value_type)
    if is_.is_list(type_) or is_.is_large_list(type_) or is_.is_fixed_size_list(type_) or is_.is_list_view(type_):
        return pa.list_(buildable(type_.value_type))
    if is_.is_struct(type_):
        return pa.struct([(type_.field(n).name, buildable(type_.field(n).type)) for n in range(type_.num_fields)])
    if is_.is_binary(type_) or is_.is_large_binary(type_) or is_.is_fixed_size_binary(type_):
        return pa.large_binary() if is_.is_large_binary(type_) else pa.binary()
    plain = (
        is_.is_integer, is_.is_float32, is_.is_float64, is_.is_boolean, is_.is_decimal, is_.is_timestamp, is_.is_date,
        is_.is_time, is_text, is_.is_null,
    )  # fmt: skip
    return type_ if any(of(type_) for of in plain) else pa.string()


def fitting(type_: pa.DataType) -> Callable[[Any], Any]:
    """A function that makes of a JSON value what Arrow builds this type of, or raises `Misfit`."""
    import pyarrow as pa

    is_ = pa.types
    if isinstance(type_, pa.BaseExtensionType):
        return fit_uuid if type_.extension_name == "arrow.uuid" else json_text
    if is_.is_integer(type_):
        span = integers_of(type_)
        return lambda value: fit_integer(value, span)
    if is_.is_float32(type_):
        return fit_short_float
    if is_.is_floating(type_):
        return fit_float
    if is_.is_boolean(type_):
        return fit_boolean
    if is_.is_decimal(type_):
        return lambda value: fit_decimal(value, type_.precision, type_.scale)
    if is_.is_timestamp(type_):
        return lambda value: fit_timestamp(value, UNITS[type_.unit])
    if is_.is_date32(type_):
        return fit_date
    if is_.is_date64(type_):
        return lambda value: fit_date(value) * DAY_S * 1000
    if is_.is_time(type_):
        return lambda value: fit_time(value, UNITS[type_.unit])
    if is_.is_binary(type_) or is_.is_large_binary(type_):
        return fit_binary
    if is_.is_list(type_):
        return lambda value: fit_list(value, fitting(type_.value_type))
    if is_.is_struct(type_):
        inner = {type_.field(n).name: fitting(type_.field(n).type) for n in range(type_.num_fields)}
        return lambda value: fit_struct(value, inner)
    if is_.is_null(type_):
        return fit_null
    return text


def integers_of(type_: pa.DataType) -> range:
    """The integers that a type holds."""
    import pyarrow as pa

    bits = type_.bit_width
    return range(-(2 ** (bits - 1)), 2 ** (bits - 1)) if pa.types.is_signed_integer(type_) else range(2**bits)


def fit_integer(value: Any, span: range = INT64) -> int:
    if isinstance(value, int | Decimal | float) and not isinstance(value, bool):
        expected = f"an integer of {(len(bin(span.stop - 1)) - 2 + (span.start < 0))} bits"
        if isinstance(value, Decimal) and value.adjusted() > DECIMAL_DIGITS:  # int() would write out 1e1000000000
            raise Misfit(expected)
        try:
            if value == (whole := int(value)):
                if whole in span:
                    return whole
                raise Misfit(expected)
        except (ValueError, OverflowError):  # NaN, infinity
            pass
    raise Misfit("integer")


def fit_float(value: Any) -> float:
    """A fraction is the nearest float; a whole number must be the float exactly, since it may be an identifier."""
    if isinstance(value, float):
        return value
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            raise Misfit("a number of 64 bits") from None
        if math.isnan(number) or (math.isinf(number) and isinstance(value, Decimal) and value.is_infinite()):
            return number
        if math.isinf(number):
            raise Misfit("a number of 64 bits")
        if number == value or (isinstance(value, Decimal) and value != value.to_integral_value()):
            return number
        raise Misfit("a number of 64 bits without losing digits")
    if isinstance(value, str) and value in SPECIAL_FLOATS:  # as `json_codec` writes them
        return SPECIAL_FLOATS[value]
    raise Misfit("number")


def fit_short_float(value: Any) -> float:
    """A float of 32 bits: the nearest one, as for `fit_float`."""
    number = fit_float(value)
    if not math.isfinite(number):
        return number
    if abs(number) > FLOAT32_MAX:
        raise Misfit("a number of 32 bits")
    if number.is_integer() and struct.unpack("f", struct.pack("f", number))[0] != number:
        raise Misfit("a number of 32 bits without losing digits")
    return number


def fit_boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise Misfit("boolean")


def fit_decimal(value: Any, precision: int, scale: int) -> Decimal:
    """Numbers, and texts that are numbers (the usual way to send a decimal in JSON)."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise Misfit("decimal")
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise Misfit("decimal") from None
    if not number.is_finite():
        raise Misfit("decimal")
    context = Context(prec=len(number.as_tuple().digits), Emax=MAX_EMAX, Emin=MIN_EMIN)
    _, digits, exponent = number.normalize(context).as_tuple()
    assert isinstance(exponent, int)
    if -exponent > scale or len(digits) + exponent > precision - scale:
        raise Misfit(f"decimal of {precision} digits, {scale} of them after the point")
    return number


def fit_timestamp(value: Any, unit: int) -> int:
    """Ticks since 1970. A text or a datetime without an offset is in UTC; digits finer than the unit are cut."""
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        value = dt.datetime(value.year, value.month, value.day)
    ticks = ticks_of(value, unit)
    if ticks is None:
        raise Misfit("date-time")
    if ticks not in INT64:
        raise Misfit(f"a date-time in {unit:,} parts of a second and 64 bits")
    return ticks


def fit_date(value: Any) -> int:
    """Days since 1970 of a date, or of a date-time whose time is midnight."""
    if isinstance(value, str) and value in ENDLESS:
        return ENDLESS[value] * ENDLESS_DAY
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        return value.toordinal() - EPOCH_DAY
    ticks = ticks_of(value, 10**9, zone=False)
    if ticks is None or ticks % (DAY_S * 10**9) or not -(2**31) <= ticks // (DAY_S * 10**9) < 2**31:
        raise Misfit("date")
    return ticks // (DAY_S * 10**9)


def fit_time(value: Any, unit: int) -> int:
    """Ticks since midnight; 24:00:00 is the end of the day."""
    ticks = time_ticks_of(value, unit)
    if ticks is None:
        raise Misfit("time without time zone")
    return ticks


def fit_uuid(value: Any) -> bytes:
    try:
        return value.bytes if isinstance(value, UUID) else UUID(value).bytes
    except (ValueError, TypeError, AttributeError):
        raise Misfit("UUID") from None


def json_text(value: Any) -> str:
    """A text that is JSON stays as it is; all else is written as JSON."""
    if isinstance(value, str):
        try:
            loads(value)
            return without_surrogates(value)
        except JsonError:
            pass
    try:
        return dumps_text(value)
    except TooDeepError as error:
        raise Misfit(f"a text: {error}") from None


def fit_binary(value: Any) -> bytes:
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    try:
        if isinstance(value, str):
            return base64.b64decode(value, validate=True)
    except ValueError:
        pass
    raise Misfit("base64 text")


def fit_list(value: Any, fit: Callable[[Any], Any]) -> list[Any]:
    if isinstance(value, list | tuple):
        return [None if item is None else fit(item) for item in value]
    raise Misfit("array")


def fit_struct(value: Any, inner: Mapping[str, Callable[[Any], Any]]) -> Record:
    if not isinstance(value, Mapping):
        raise Misfit("object")
    if unknown := next((key for key in value if key not in inner), None):
        raise Misfit(f"an object without the field {unknown}")
    return {key: None if item is None else inner[key](item) for key, item in value.items()}


def fit_null(value: Any) -> None:
    raise Misfit("null")


def text(value: Any) -> str:
    """A text is itself (half a surrogate pair, which UTF-8 cannot hold, becomes U+FFFD), all else its JSON text."""
    try:
        return text_of(value)
    except TooDeepError as error:
        raise Misfit(f"a text: {error}") from None


def excerpt(value: Any) -> str:
    """A value with its type, short, for a reason."""
    kinds = {str: "string", bool: "boolean", int: "integer", float: "number", dict: "object", list: "array"}
    kind = kinds.get(type(value), type(value).__name__)
    try:
        written = repr(value)
    except RecursionError:
        written = "of many levels"
    return f"the {kind} {written if len(written) <= 60 else written[:57] + '…'}"


def inferred(values: Iterable[Any]) -> pa.DataType:
    """The type that holds all these values, for a field that no schema declares."""
    import pyarrow as pa

    present = [value for value in values if value is not None]
    kinds = set(map(type, present))
    if not kinds:
        return pa.null()
    if kinds == {bool}:
        return pa.bool_()
    if kinds <= {int}:
        if min(present) in INT64 and max(present) in INT64:
            return pa.int64()
        return decimal_of(present)
    if kinds <= {int, float}:
        exact = all(type(value) is float or (value in INT64 and int(float(value)) == value) for value in present)
        return pa.float64() if exact else pa.string()
    if kinds <= {int, Decimal}:
        return decimal_of(present)
    if kinds <= {int, float, Decimal}:
        return decimal_of(Decimal(repr(value)) if type(value) is float else value for value in present)
    if kinds == {bytes}:
        return pa.binary()
    if kinds == {dt.date}:
        return pa.date32()
    if kinds == {dt.datetime} and len({value.tzinfo is None for value in present}) == 1:
        return pa.timestamp("us", "UTC" if present[0].tzinfo else None)
    return pa.string()


def decimal_of(numbers: Iterable[int | Decimal]) -> pa.DataType:
    """The decimal that holds these numbers, or text where they have too many digits or are not finite."""
    import pyarrow as pa

    whole = scale = 0
    for number in map(Decimal, numbers):
        if not number.is_finite() or abs(number.adjusted()) > DECIMAL_DIGITS:
            return pa.string()
        _, digits, exponent = number.as_tuple()
        assert isinstance(exponent, int)
        scale = max(scale, -exponent)
        whole = max(whole, len(digits) + exponent)
    return pa.decimal128(DECIMAL_DIGITS, scale) if whole + scale <= DECIMAL_DIGITS else pa.string()
