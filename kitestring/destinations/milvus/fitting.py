"""Values made to fit into a typed column, or into the dynamic field."""

from __future__ import annotations

import math
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from kitestring.destinations.milvus.layout import MAX_DYNAMIC, MAX_VARCHAR, Field
from kitestring.json_codec import JsonError, dumps_text, loads
from kitestring.vector.payload import INT64_MAX, INT64_MIN, fit_values, json_safe, truncate_text

DYNAMIC_ROOM = MAX_DYNAMIC - 1_024
INTEGERS = {"INT8": 8, "INT16": 16, "INT32": 32, "INT64": 64}
EMPTY: dict[str, Any] = {"VARCHAR": "", "BOOL": False, "FLOAT": 0.0, "DOUBLE": 0.0, "JSON": {}, "ARRAY": []}
ABSENT = object()
"""Marks a value that a column fills by its default."""


def fit_value(value: Any, field: Field) -> Any:
    """A value for a column. A value that does not fit becomes null, or the type's empty value if null is not
    allowed."""
    value = convert(value, field)
    if value is not None:
        return value
    if field.nullable:
        return None
    return ABSENT if field.default else EMPTY.get(field.type, 0)


def convert(value: Any, field: Field) -> Any:
    """A value in the column's type, None if the type has no such value. A text is cut to the column's length."""
    kind = field.type
    if value is None:
        return None
    if kind == "VARCHAR":
        value = json_safe(value)
        text = value if isinstance(value, str) else None if value is None else dumps_text(value)
        return None if text is None else truncate_text(text, field.max_length or MAX_VARCHAR)
    if kind in INTEGERS:
        return to_integer(value, INTEGERS[kind])
    if kind in ("FLOAT", "DOUBLE"):
        return to_float(value, kind)
    if kind == "BOOL":
        return value if isinstance(value, bool) else {"true": True, "false": False}.get(str(value).lower())
    if kind == "JSON":
        return fit_values({"": json_safe(value)}, DYNAMIC_ROOM)[0].get("")
    if kind == "ARRAY":
        items: Iterable[Any] = value if isinstance(value, list | tuple | set) else [value]
        element = Field(field.name, field.element, MAX_VARCHAR if field.element == "VARCHAR" else 0)
        fitting = [item for item in (convert(inner, element) for inner in items) if item is not None]
        return fitting[: field.max_length] if field.max_length else fitting
    return None


def is_whole(value: Any, stored: Any, field: Field) -> bool:
    """Whether the stored value is complete."""
    if value is None:
        return True
    if stored is None:
        return False
    if field.type == "VARCHAR":
        value = json_safe(value)
        return bool(stored == (value if isinstance(value, str) else dumps_text(value)))
    if field.type == "JSON":
        return bool(stored == json_safe(value))
    if field.type == "ARRAY":
        return len(stored) == (len(value) if isinstance(value, list | tuple | set) else 1)
    return True


def to_integer(value: Any, bits: int) -> int | None:
    if isinstance(value, bool):
        return int(value)
    try:
        if isinstance(value, Decimal) and not INT64_MIN <= value <= INT64_MAX:
            return None
        number = int(value)
        if isinstance(value, float | Decimal) and number != value:
            return None
    except (ArithmeticError, TypeError, ValueError):
        return None
    return number if -(2 ** (bits - 1)) <= number < 2 ** (bits - 1) else None


def to_float(value: Any, kind: str) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    if not math.isfinite(number) or (kind == "FLOAT" and abs(number) >= 3.4e38):
        return None
    exact = value == number if isinstance(value, int) else not isinstance(value, Decimal) or json_safe(value) == number
    return number if exact or kind == "FLOAT" else None


def holds_json(text: str) -> bool:
    """Whether a text is a JSON object or list."""
    if not text.lstrip().startswith(("{", "[")):
        return False
    try:
        loads(text)
    except JsonError:
        return False
    return True
