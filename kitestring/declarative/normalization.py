"""Convert a record to the types of its JSON schema: text to number and back, a single value to a list."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

Convert = Callable[[Any], Any]
_TRUE, _FALSE = ("y", "yes", "t", "true", "on", "1"), ("n", "no", "f", "false", "off", "0")
_SIMPLE = (str, int, float, bool, type(None))


def normalizer(schema: Mapping[str, Any]) -> Callable[[dict[str, Any]], None]:
    """A function that converts a record of this schema in place; a value that does not convert stays."""
    inside = member_conversions(schema)

    def normalize(record: dict[str, Any]) -> None:
        if inside is not None:
            inside(record)

    return normalize


def member_conversions(schema: Any) -> Callable[[Any], None] | None:
    """The conversion of the members of an object or a list; None if there is none."""
    if not isinstance(schema, Mapping):
        return None
    fields = {
        name: (convert, below)
        for name, child in (schema.get("properties") or {}).items()
        if ((convert := conversion(child)), (below := member_conversions(child))) != (None, None)
    }
    items = schema.get("items")
    item = (conversion(items), member_conversions(items)) if isinstance(items, Mapping) else (None, None)
    if not fields and item == (None, None):
        return None

    def change(value: Any) -> None:
        if isinstance(value, dict):
            for name, (convert, below) in fields.items():
                if name in value:
                    if convert is not None:
                        value[name] = convert(value[name])
                    if below is not None:
                        below(value[name])
        elif isinstance(value, list):
            convert, below = item
            for index, member in enumerate(value):
                if convert is not None:
                    value[index] = convert(member)
                if below is not None:
                    below(value[index])

    return change


def conversion(schema: Any) -> Convert | None:
    """The conversion for values of this schema; None if there is none."""
    if not isinstance(schema, Mapping):
        return None
    schema_type = schema.get("type", [])
    types = (
        [schema_type]
        if isinstance(schema_type, str)
        else [t for t in schema_type if t != "null"]
        if isinstance(schema_type, list)
        else []
    )
    nullable = isinstance(schema_type, list) and "null" in schema_type
    if len(types) != 1 or types[0] not in ("string", "number", "integer", "boolean", "array"):
        return None
    kind = types[0]
    items = schema.get("items")
    inner = items.get("type", []) if isinstance(items, Mapping) else []
    simple = {inner} if isinstance(inner, str) else set(inner)
    wraps = simple <= {"string", "number", "integer", "boolean", "null"}

    def convert(value: Any) -> Any:
        if value is None and nullable:
            return None
        try:
            if kind == "string":
                return str(value)
            if kind == "number":
                return number(value)
            if kind == "integer":
                return int(value)
            if kind == "boolean":
                return truth(value)
            if wraps and isinstance(value, _SIMPLE) and not isinstance(value, list):
                return [value]
        except (ValueError, TypeError, ArithmeticError):
            return value
        return value

    return convert


def number(value: Any) -> float | Decimal:
    """A float if it equals the number, else a decimal with all digits."""
    nearest = float(value)
    if isinstance(value, str | int | Decimal):
        exact = Decimal(value.replace("_", "") if isinstance(value, str) else value)
        if exact.is_finite() and not (math.isfinite(nearest) and exact in (Decimal(nearest), Decimal(repr(nearest)))):
            return exact
    return nearest


def truth(value: Any) -> bool:
    if isinstance(value, str):
        text = value.lower().strip()
        if text in _TRUE or text in _FALSE:
            return text in _TRUE
        raise ValueError(value)
    return bool(value)
