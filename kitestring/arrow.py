"""JSON records to Arrow tables, and JSON Schema to Arrow schemas and back: exact, or the record is sorted out.

The rules, for a field of the schema and the value of a record:

- missing and null are null; every column can be null;
- an integer in a `number` field becomes a float if the float is the same number, and so do the texts "NaN", "Infinity"
  and "-Infinity"; a float in an `integer` field is taken if it is whole; nothing else turns into a number or a boolean;
- `date-time` is a timestamp in microseconds, UTC (a text without an offset is read as UTC; finer digits are cut), and
  `date` a date;
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
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from itertools import chain
from typing import TYPE_CHECKING, Any

from kitestring.json_codec import SPECIAL_FLOATS, TooDeepError, dumps_text, without_surrogates
from kitestring.types import Record, Reject

if TYPE_CHECKING:
    import pyarrow as pa

INT64 = range(-(2**63), 2**63)
DECIMAL_DIGITS = 38
"""What a 128-bit decimal holds."""


class Misfit(Exception):
    """A value that a type cannot hold. The argument says what was wanted."""


def from_rows(rows: Sequence[Record], schema: Mapping[str, Any] | None = None) -> tuple[pa.Table, list[Reject]]:
    """The records as a table, and those that do not fit the schema (a JSON Schema of type object).

    The columns are the fields of the schema in its order, then the others in the order in which they first appear.
    """
    import pyarrow as pa

    # A field declared as null says nothing: if values come all the same, they have the type of these values.
    declared = {field.name: field.type for field in schema_from_json(schema or {}) if not pa.types.is_null(field.type)}
    names = [*declared, *(name for name in dict.fromkeys(chain.from_iterable(rows)) if name not in declared)]
    reasons: dict[int, str] = {}
    columns = []
    for name in names:
        values = [row.get(name) for row in rows]
        columns.append(column(name, values, declared.get(name) or inferred(values), reasons))
    # The column of nulls, at once left out again, gives the table its length even if all records are empty.
    table = pa.Table.from_arrays([*columns, pa.nulls(len(rows))], names=[*names, ""]).select(range(len(names)))
    if not reasons:
        return table, []
    kept = [n for n in range(len(rows)) if n not in reasons]
    return table.take(pa.array(kept, pa.int64())), [Reject(rows[n], reasons[n]) for n in sorted(reasons)]


def column(name: str, values: list[Any], type_: pa.DataType, reasons: dict[int, str]) -> pa.Array:
    """One column. Where a value does not fit, it is null here and `reasons` tells of it by row number."""
    import pyarrow as pa

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
    fit = fitting(type_)
    fitted = []
    for n, value in enumerate(values):
        try:
            fitted.append(None if value is None else fit(value))
        except Misfit as misfit:
            reasons.setdefault(n, f"field {name}: {shown(value)} does not fit {misfit}")
            fitted.append(None)
    return pa.array(fitted, type_)


def kinds_of(values: Iterable[Any]) -> set[type]:
    return set(map(type, values)) - {type(None)}


def taken_as_they_are(values: Iterable[Any], type_: pa.DataType) -> bool:
    """Whether Arrow converts these values exactly, or refuses them. (Of a float it would cut 1.5 to the integer 1.)"""
    import pyarrow as pa

    is_, kinds = pa.types, kinds_of(values)
    if is_.is_list(type_) and kinds <= {list}:
        return taken_as_they_are(chain.from_iterable(value for value in values if value), type_.value_type)
    exact = (
        (is_.is_integer, {int}),
        (is_.is_floating, {float, int}),
        (is_.is_boolean, {bool}),
        (is_.is_string, {str}),
        (is_.is_decimal, {Decimal, int}),
        (is_.is_binary, {bytes}),
        (is_.is_timestamp, {dt.datetime}),
        (is_.is_date, {dt.date}),
    )
    return not kinds or any(of(type_) and kinds <= python for of, python in exact)


def fitting(type_: pa.DataType) -> Callable[[Any], Any]:
    """A function that makes of a JSON value the Python value of this type, or raises `Misfit`."""
    import pyarrow as pa

    if pa.types.is_integer(type_):
        return fit_integer
    if pa.types.is_floating(type_):
        return fit_float
    if pa.types.is_boolean(type_):
        return fit_boolean
    if pa.types.is_decimal(type_):
        return lambda value: fit_decimal(value, type_.precision, type_.scale)
    if pa.types.is_timestamp(type_):
        return (lambda value: fit_timestamp(value)) if type_.tz else (lambda value: fit_timestamp(value, naive=True))
    if pa.types.is_date(type_):
        return fit_date
    if pa.types.is_time(type_):
        return fit_time
    if pa.types.is_binary(type_):
        return fit_binary
    if pa.types.is_list(type_):
        return lambda value: fit_list(value, fitting(type_.value_type))
    if pa.types.is_struct(type_):
        inner = {type_.field(n).name: fitting(type_.field(n).type) for n in range(type_.num_fields)}
        return lambda value: fit_struct(value, inner)
    if pa.types.is_null(type_):
        return fit_null
    return text


def fit_integer(value: Any) -> int:
    if isinstance(value, int | Decimal | float) and not isinstance(value, bool):
        if isinstance(value, Decimal) and value.adjusted() > DECIMAL_DIGITS:  # int() would write out 1e1000000000
            raise Misfit("an integer of 64 bits")
        try:
            if value == (whole := int(value)):
                if whole in INT64:
                    return whole
                raise Misfit("an integer of 64 bits")
        except (ValueError, OverflowError):  # NaN, infinity
            pass
    raise Misfit("integer")


def fit_float(value: Any) -> float:
    if isinstance(value, float):
        return value
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            raise Misfit("a number of 64 bits") from None
        if math.isinf(number) and not (isinstance(value, Decimal) and value.is_infinite()):
            raise Misfit("a number of 64 bits")
        # A decimal fraction is rarely a float exactly; a whole number that is not would lose digits of an identifier.
        if isinstance(value, Decimal) or int(number) == value:
            return number
        raise Misfit("a number of 64 bits without losing digits")
    if isinstance(value, str) and value in SPECIAL_FLOATS:  # as `json_codec` writes them
        return SPECIAL_FLOATS[value]
    raise Misfit("number")


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
    _, digits, exponent = number.normalize().as_tuple()
    assert isinstance(exponent, int)
    if -exponent > scale or len(digits) + exponent > precision - scale:
        raise Misfit(f"decimal of {precision} digits, {scale} of them after the point")
    return number


def fit_timestamp(value: Any, *, naive: bool = False) -> dt.datetime:
    if isinstance(value, str):
        try:
            value = dt.datetime.fromisoformat(value.strip())
        except ValueError:
            raise Misfit("date-time") from None
    elif isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        value = dt.datetime(value.year, value.month, value.day)
    if not isinstance(value, dt.datetime):
        raise Misfit("date-time")
    try:
        utc = value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)
    except OverflowError:
        raise Misfit("a date-time of the years 1 to 9999") from None
    return utc.replace(tzinfo=None) if naive else utc


def fit_date(value: Any) -> dt.date:
    """A date, or a date-time whose time is midnight."""
    try:
        moment = dt.datetime.fromisoformat(value.strip()) if isinstance(value, str) else value
    except ValueError:
        raise Misfit("date") from None
    if isinstance(moment, dt.datetime):
        if moment.time() != dt.time():
            raise Misfit("date")
        return moment.date()
    if isinstance(moment, dt.date):
        return moment
    raise Misfit("date")


def fit_time(value: Any) -> dt.time:
    try:
        moment = dt.time.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        raise Misfit("time") from None
    if isinstance(moment, dt.time) and moment.tzinfo is None:
        return moment
    raise Misfit("time without time zone")


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
    if isinstance(value, str):
        return without_surrogates(value)
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    try:
        return dumps_text(value)
    except TooDeepError as error:
        raise Misfit(f"a text: {error}") from None


def shown(value: Any) -> str:
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


def schema_from_json(schema: Mapping[str, Any]) -> pa.Schema:
    """The Arrow schema of the fields that a JSON Schema of type object declares."""
    import pyarrow as pa

    return pa.schema([pa.field(name, type_from_json(inner)) for name, inner in schema.get("properties", {}).items()])


def type_from_json(schema: Any) -> pa.DataType:
    """The Arrow type of one field; text where the schema leaves open what it holds."""
    import pyarrow as pa

    if not isinstance(schema, Mapping):
        return pa.string()
    branches = [branch for branch in branches_of(schema) if branch.get("type") != "null"]
    if "type" not in schema and len(branches) == 1:
        return type_from_json(branches[0])
    kinds = json_types(schema)
    if kinds == {"null"}:
        return pa.null()
    kinds.discard("null")
    special = schema.get("airbyte_type")
    if special == "big_integer":
        return pa.decimal128(DECIMAL_DIGITS, 0)
    if special == "big_number":
        digits = schema.get("precision")
        return pa.decimal128(digits, schema.get("scale", 0)) if digits else pa.string()
    if kinds == {"integer"} or (kinds == {"number"} and special == "integer"):
        return pa.int64()
    if kinds in ({"number"}, {"number", "integer"}):
        return pa.float64()
    if kinds == {"boolean"}:
        return pa.bool_()
    if kinds == {"string"}:
        return text_type(schema)
    if kinds == {"array"} and isinstance(schema.get("items"), Mapping) and json_types(schema["items"]):
        return pa.list_(type_from_json(schema["items"]))
    if kinds == {"object"} and schema.get("properties") and schema.get("additionalProperties") is False:
        return pa.struct(list(schema_from_json(schema)))
    return pa.string()


def text_type(schema: Mapping[str, Any]) -> pa.DataType:
    import pyarrow as pa

    special = schema.get("airbyte_type")
    match schema.get("format"):
        case "date-time":
            return pa.timestamp("us", None if special == "timestamp_without_timezone" else "UTC")
        case "date":
            return pa.date32()
        case "time" if special == "time_without_timezone":
            return pa.time64("us")
    return pa.binary() if schema.get("contentEncoding") == "base64" else pa.string()


def json_types(schema: Mapping[str, Any]) -> set[str]:
    """The type names that a schema allows, those of its branches among them; empty if it leaves them open."""
    named = schema.get("type")
    if named is not None:
        return {named} if isinstance(named, str) else set(named)
    found = [json_types(branch) for branch in branches_of(schema)]
    return set().union(*found) if all(found) else set()


def branches_of(schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [branch for word in ("anyOf", "oneOf") for branch in schema.get(word, ()) if isinstance(branch, Mapping)]


def json_from_schema(schema: pa.Schema) -> dict[str, Any]:
    """The JSON Schema of a table. `type_from_json` gives the same types back, integers and floats in 64 bits."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": {field.name: json_from_type(field.type) for field in schema},
    }


def json_from_type(type_: pa.DataType) -> dict[str, Any]:
    import pyarrow as pa

    is_ = pa.types
    if isinstance(type_, pa.BaseExtensionType):
        return json_from_type(type_.storage_type)
    if is_.is_dictionary(type_):
        return json_from_type(type_.value_type)
    if is_.is_null(type_):
        return {"type": "null"}
    if is_.is_integer(type_):
        return nullable("integer")
    if is_.is_floating(type_):
        return nullable("number")
    if is_.is_boolean(type_):
        return nullable("boolean")
    if is_.is_decimal(type_):
        return nullable("number", airbyte_type="big_number", precision=type_.precision, scale=type_.scale)
    if is_.is_timestamp(type_):
        zone = "with" if type_.tz else "without"
        return nullable("string", format="date-time", airbyte_type=f"timestamp_{zone}_timezone")
    if is_.is_date(type_):
        return nullable("string", format="date")
    if is_.is_time(type_):
        return nullable("string", format="time", airbyte_type="time_without_timezone")
    if is_.is_binary(type_) or is_.is_large_binary(type_) or is_.is_fixed_size_binary(type_):
        return nullable("string", contentEncoding="base64")
    if is_.is_list(type_) or is_.is_large_list(type_) or is_.is_fixed_size_list(type_):
        return nullable("array", items=json_from_type(type_.value_type))
    if is_.is_struct(type_):
        fields = [type_.field(n) for n in range(type_.num_fields)]
        inner = {field.name: json_from_type(field.type) for field in fields}
        return nullable("object", properties=inner, additionalProperties=False)
    if is_.is_map(type_):
        return nullable("object", additionalProperties=json_from_type(type_.item_type))
    return nullable("string")


def nullable(kind: str, **words: Any) -> dict[str, Any]:
    return {"type": [kind, "null"], **words}
