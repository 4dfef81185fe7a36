"""The types of a rejected record's values where JSON cannot show them: bytes, dates, decimals, NaN.

A reject is edited as JSON and replayed with its original types, which are kept beside the record by JSON Pointer
(RFC 6901): `{"/photo": "bytes", "/lines/0/price": "decimal"}`. A value that was edited into another form than its
type's stays as it is in the JSON.
"""

from __future__ import annotations

import base64
import datetime as dt
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

from kitestring.json_codec import SPECIAL_FLOATS


def kinds_of(record: Mapping[str, Any]) -> dict[str, str]:
    """The kinds of values that JSON cannot show, by JSON Pointer. `ValueError` for a record that contains itself."""
    kinds: dict[str, str] = {}
    path: list[Any] = []
    open_ids = {id(record)}
    stack: list[tuple[Any, Iterator[tuple[Any, Any]]]] = [(record, items_of(record))]
    while stack:
        container, items = stack[-1]
        for key, inner in items:
            if isinstance(inner, dict | list | tuple):
                if id(inner) in open_ids:
                    raise ValueError("the record contains itself")
                open_ids.add(id(inner))
                path.append(key)
                stack.append((inner, items_of(inner)))
                break
            if (kind := kind_of(inner)) is not None:
                kinds[pointer([*path, key])] = kind
        else:
            open_ids.discard(id(container))
            stack.pop()
            del path[-1:]
    return kinds


def items_of(value: Any) -> Iterator[tuple[Any, Any]]:
    return iter(value.items()) if isinstance(value, dict) else iter(enumerate(value))


def kind_of(value: Any) -> str | None:
    if isinstance(value, float):
        return None if math.isfinite(value) else "number"
    if isinstance(value, str | int) or value is None:
        return None
    return next((kind for type_, kind in KINDS if isinstance(value, type_)), None)


def pointer(path: Sequence[Any]) -> str:
    return "/" + "/".join(str(step).replace("~", "~0").replace("/", "~1") for step in path)


def restore_types(record: dict[str, Any], kinds: Any) -> dict[str, Any]:
    """The record with its values of these kinds, in place."""
    for path, kind in kinds.items() if isinstance(kinds, dict) else ():
        read = READ.get(kind) if isinstance(kind, str) else None
        container: Any = record
        *steps, last = [step.replace("~1", "/").replace("~0", "~") for step in path.split("/")[1:]] or [""]
        with suppress(LookupError, ValueError, TypeError, InvalidOperation):
            for step in steps:
                container = container[int(step) if isinstance(container, list) else step]
            key: Any = int(last) if isinstance(container, list) else last
            if read is not None:
                container[key] = read(container[key])
    return record


def text_of(value: Any) -> str:
    """The value, if it is a text; `TypeError` otherwise."""
    if not isinstance(value, str):
        raise TypeError("it is no text any more")
    return value


def decimal_of(value: Any) -> Decimal:
    if isinstance(value, bool):
        raise TypeError("it is not a number any more")
    return Decimal(str(value))


KINDS: tuple[tuple[Any, str], ...] = (
    (bytes | bytearray | memoryview, "bytes"),
    (Decimal, "decimal"),
    (dt.datetime, "date-time"),
    (dt.date, "date"),
    (dt.time, "time"),
    (UUID, "uuid"),
)
READ: dict[str, Callable[[Any], Any]] = {
    "bytes": lambda value: base64.b64decode(text_of(value), validate=True),
    "decimal": decimal_of,
    "number": lambda value: SPECIAL_FLOATS[value],
    "date-time": lambda value: dt.datetime.fromisoformat(text_of(value)),
    "date": lambda value: dt.date.fromisoformat(text_of(value)),
    "time": lambda value: dt.time.fromisoformat(text_of(value)),
    "uuid": lambda value: UUID(text_of(value)),
}
