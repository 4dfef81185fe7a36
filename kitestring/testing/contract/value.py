"""The test for a value that arrived: `same`, and `Text` for one that the destination has as a text."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from kitestring import json_codec

Number = int | float | Decimal


@dataclass(frozen=True)
class Text:
    """A value that arrives as its text: numbers with all digits, moments in ISO 8601, objects and lists as JSON."""

    value: Any


def same(stored: Any, expected: Any) -> bool:
    """Whether a reader got this value: a number exactly, whatever its type; a moment in whatever spelling; an object by
    its members, of which null ones may be missing; or the text of a `Text`."""
    if isinstance(expected, Text):
        return isinstance(stored, str) and is_text_of(stored, expected.value)
    if expected is None or isinstance(expected, bool):
        return stored is expected
    if isinstance(expected, Number):
        return isinstance(stored, Number) and not isinstance(stored, bool) and exact(stored) == exact(expected)
    if isinstance(expected, Mapping):
        return isinstance(stored, Mapping) and all(
            same(stored.get(key), expected.get(key)) for key in {*stored, *expected}
        )
    if isinstance(expected, list | tuple):
        return (
            isinstance(stored, Sequence)
            and not isinstance(stored, str)
            and len(stored) == len(expected)
            and all(same(*pair) for pair in zip(stored, expected, strict=True))
        )
    if isinstance(expected, str) and isinstance(stored, str) and stored == expected:
        return True
    moments = moment(stored), moment(expected)
    return moments[0] is not None and moments[0] == moments[1]


def exact(number: Number) -> Decimal:
    """The exact number: a float counts as the shortest decimal that gives it."""
    return Decimal(repr(number)) if isinstance(number, float) else Decimal(number)


def is_text_of(text: str, value: Any) -> bool:
    if isinstance(value, str | dt.datetime | dt.date):
        return same(text, value)
    try:
        return same(json_codec.loads(text), value)
    except ValueError:
        return False


def moment(value: Any) -> dt.datetime | None:
    """A date-time in one form; None for what is none."""
    if isinstance(value, str):
        try:
            value = dt.datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, dt.datetime):
        return None
    return value.astimezone(dt.UTC) if value.tzinfo else value


def misfits(value: Any, schema: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The values that are not of the types that a JSON Schema declares, with their paths; fields may be missing."""
    if not isinstance(schema, Mapping):
        return
    choices = schema.get("anyOf") or schema.get("oneOf")
    if choices and not any(not list(misfits(value, choice)) for choice in choices):
        yield path, value
        return
    types = schema.get("type")
    if types is not None and not any(is_of(value, kind) for kind in ([types] if isinstance(types, str) else types)):
        yield path, value
    elif isinstance(value, Mapping):
        for name, inner in schema.get("properties", {}).items():
            if name in value:
                yield from misfits(value[name], inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for inner in value:
            yield from misfits(inner, schema.get("items"), f"{path}[]")


def is_of(value: Any, kind: str) -> bool:
    """Whether a value is of a JSON type. What JSON has no type for (moments, bytes) is a string there."""
    if kind == "null":
        return value is None
    if kind == "boolean":
        return isinstance(value, bool)
    if kind in ("integer", "number"):
        whole = kind == "number" or not isinstance(value, float | Decimal) or value == value // 1
        return isinstance(value, Number) and not isinstance(value, bool) and whole
    if kind in ("object", "array"):
        return isinstance(value, Mapping if kind == "object" else list | tuple)
    return value is not None and not isinstance(value, bool | int | float | Decimal | Mapping | list)
