"""The identity of a record: its primary key as typed values, compared the same way wherever records meet."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias

from kitestring import json_codec
from kitestring.paths import at
from kitestring.types import Path, Record

if TYPE_CHECKING:
    import pyarrow as pa

Identity: TypeAlias = tuple[Hashable, ...]


def typed(value: Any) -> Hashable:
    """A value as something to compare by: equal where the values are the same and of the same kind.

    Numbers are one kind and compare by their value (1 = 1.0, as in JSON Schema); booleans, texts, bytes, dates, times
    and moments are kinds of their own, so 1 ≠ "1" ≠ True. An object has no order, NaN equals itself.
    """
    kind = type(value)
    if kind is str or kind is int or value is None:
        return value  # type: ignore[no-any-return]
    if isinstance(value, bool):
        return "boolean", bool(value)
    if isinstance(value, float):
        return ("NaN", "") if math.isnan(value) else Decimal(repr(float(value)))
    if isinstance(value, Decimal):
        return ("NaN", "") if value.is_nan() else value
    if isinstance(value, bytes | bytearray | memoryview):
        return "bytes", bytes(value)
    if isinstance(value, Mapping):
        return "object", frozenset((key, typed(inner)) for key, inner in value.items())
    if isinstance(value, list | tuple):
        return "array", *map(typed, value)
    if isinstance(value, dt.datetime):
        return "moment", value if value.tzinfo is None else value.astimezone(dt.UTC)
    if isinstance(value, int | str):
        return value
    return kind.__name__, value if isinstance(value, Hashable) else json_codec.dumps(value)


def stored_text(value: Any) -> Hashable:
    """A value of a field that is declared as text: what is stored of it, so 1 = "1"."""
    return value if value is None or type(value) is str else json_codec.text_of(value)


def identifier(paths: Sequence[Path], schema: Mapping[str, Any]) -> Callable[[Record], Identity]:
    """A function that gives the identity of a record: its values at the paths, typed.

    A field that the schema declares as text and nothing else is compared as text, since that is what is stored of it.
    A part that is missing is None.
    """
    readers = [(path, stored_text if is_text(schema, path) else typed) for path in paths]
    if len(readers) == 1 and len(readers[0][0]) == 1:
        (name,), convert = readers[0]
        return lambda record: (convert(record.get(name)),)
    return lambda record: tuple(convert(at(record, path)) for path, convert in readers)


def is_text(schema: Mapping[str, Any], path: Path) -> bool:
    """True where the field at this path is declared as plain text (or null), without a format."""
    field: Any = schema
    for part in path:
        field = (field.get("properties") or {}).get(part) if isinstance(field, Mapping) else None
    if (
        not isinstance(field, Mapping)
        or field.get("format") in ("date-time", "date", "time")
        or "airbyte_type" in field
    ):
        return False
    kinds = field.get("type")
    kinds = [kinds] if isinstance(kinds, str) else kinds or []
    return "contentEncoding" not in field and set(kinds) - {"null"} == {"string"}


def distinct(columns: Sequence[pa.ChunkedArray]) -> bool:
    """True where no value occurs twice, if sorting shows that faster than comparing all; else False.

    That is so for whole numbers, and for texts that come nearly in order, as most sources give the keys of a table.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if not columns:
        return True
    type_ = columns[0].type
    numbers, texts = pa.types.is_integer(type_), pa.types.is_string(type_) or pa.types.is_large_string(type_)
    if not (numbers or texts) or any(column.type != type_ or column.null_count for column in columns):
        return False
    values = pa.chunked_array([chunk for column in columns for chunk in column.chunks], type_).combine_chunks()
    before, after = values.slice(0, max(0, len(values) - 1)), values.slice(1)
    if texts and (pc.sum(pc.greater_equal(before, after)).as_py() or 0) > len(values) / 16:
        return False
    values = values.sort()
    return not pc.any(pc.equal(values.slice(0, max(0, len(values) - 1)), values.slice(1))).as_py()
