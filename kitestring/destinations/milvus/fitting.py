"""Values made to fit: into a typed column, into the dynamic field, into so many bytes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from kitestring.destinations.milvus.layout import MAX_DYNAMIC, MAX_VARCHAR, Field
from kitestring.json_codec import JsonError, dumps, dumps_text, loads, without_surrogates
from kitestring.json_codec import plain as json_value
from kitestring.vector.wellformed import word

DYNAMIC_ROOM = MAX_DYNAMIC - 1_024
INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
INTEGERS = {"INT8": 8, "INT16": 16, "INT32": 32, "INT64": 64}
EMPTY: dict[str, Any] = {"VARCHAR": "", "BOOL": False, "FLOAT": 0.0, "DOUBLE": 0.0, "JSON": {}, "ARRAY": []}
ABSENT = object()
"""What stands for a value that a column fills by its default."""


def plain(value: Any) -> Any:
    """A value as Milvus's JSON holds it: what is no 64-bit integer and no exact float is a text with all its digits."""
    if value is None or value is True or value is False:
        return value
    if isinstance(value, str):
        return without_surrogates(value)
    if isinstance(value, int):
        return int(value) if INT64_MIN <= value <= INT64_MAX else dumps_text(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else word(value)
    if isinstance(value, Decimal):
        return plain_decimal(value)
    if isinstance(value, Mapping):
        return {plain(str(name)): plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(inner) for inner in value]
    return plain(json_value(value))


def plain_decimal(value: Decimal) -> float | int | str:
    if not value.is_finite():
        return word(value)
    number = float(value)
    if math.isfinite(number) and Decimal(repr(number)) == value:
        return number
    return int(value) if INT64_MIN <= value <= INT64_MAX and value == int(value) else str(value)


def fitted(value: Any, field: Field) -> Any:
    """A value for a column. What does not fit becomes null, or the type's empty value where null is refused."""
    value = typed(value, field)
    if value is not None:
        return value
    if field.nullable:
        return None
    return ABSENT if field.default else EMPTY.get(field.type, 0)


def typed(value: Any, field: Field) -> Any:
    """A value as the column's type has it, None where the type has no such value. A text is cut to its room."""
    kind = field.type
    if value is None:
        return None
    if kind == "VARCHAR":
        value = plain(value)
        text = value if isinstance(value, str) else None if value is None else dumps_text(value)
        return None if text is None else cut(text, field.room or MAX_VARCHAR)
    if kind in INTEGERS:
        return whole(value, INTEGERS[kind])
    if kind in ("FLOAT", "DOUBLE"):
        return real(value, kind)
    if kind == "BOOL":
        return value if isinstance(value, bool) else {"true": True, "false": False}.get(str(value).lower())
    if kind == "JSON":
        return small({"": plain(value)}, DYNAMIC_ROOM)[0].get("")
    if kind == "ARRAY":
        items: Iterable[Any] = value if isinstance(value, list | tuple | set) else [value]
        element = Field(field.name, field.element, MAX_VARCHAR if field.element == "VARCHAR" else 0)
        fitting = [item for item in (typed(inner, element) for inner in items) if item is not None]
        return fitting[: field.room] if field.room else fitting
    return None


def is_whole(value: Any, stored: Any, field: Field) -> bool:
    """Whether nothing of a value is lost in what the column holds of it."""
    if value is None:
        return True
    if stored is None:
        return False
    if field.type == "VARCHAR":
        value = plain(value)
        return bool(stored == (value if isinstance(value, str) else dumps_text(value)))
    if field.type == "JSON":
        return bool(stored == plain(value))
    if field.type == "ARRAY":
        return len(stored) == (len(value) if isinstance(value, list | tuple | set) else 1)
    return True


def whole(value: Any, bits: int) -> int | None:
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


def real(value: Any, kind: str) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    if not math.isfinite(number) or (kind == "FLOAT" and abs(number) >= 3.4e38):
        return None
    exact = value == number if isinstance(value, int) else not isinstance(value, Decimal) or plain(value) == number
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


def cut(text: str, room: int) -> str:
    """At most `room` bytes of UTF-8, between characters."""
    if len(text) * 4 <= room or (len(text) <= room and text.isascii()):
        return text
    data = text.encode()
    return text if len(data) <= room else data[:room].decode("utf-8", "ignore")


def small(values: dict[str, Any], room: int) -> tuple[dict[str, Any], int]:
    """At most `room` bytes of JSON, and how many values were cut or left out for that. Every value gets a fair share:
    small ones stay whole, what is larger than its share becomes a text of that size."""
    if len(dumps(values)) <= room:
        return values, 0
    sizes = {name: len(dumps({name: value})) for name, value in values.items()}
    kept: dict[str, Any] = {}
    left, changed = room - 2, 0
    # Ours first, then the smallest.
    order = sorted(
        sizes, key=lambda name: (not name.startswith(("_ks_", "_ab_")) and name != "chunk_number", sizes[name])
    )
    for position, name in enumerate(order):
        value, size, share = values[name], sizes[name], left // (len(order) - position)
        if size > share:
            changed += 1
            text = value if isinstance(value, str) else dumps_text(value)
            size, most = share + 1, share
            while size > share and most > 0:  # escapes take more room than they show
                text = cut(text, most)
                size = len(dumps({name: text}))
                most = min(most, len(text.encode())) - max(1, size - share)
            if size > share:
                continue  # not even its name fits
            value = text
        kept[name] = value
        left -= size
    return kept, changed
