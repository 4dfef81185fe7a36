"""Values and names that UTF-8, JSON and every vector store can hold."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from decimal import Decimal
from typing import Any

from kitestring.json_codec import dumps_text, plain, without_surrogates
from kitestring.names import distinct

NONE_RENAMED: Mapping[str, str] = {}
MAX_LEVELS = 32
"""Levels of nesting that stay as they are; deeper values become JSON texts."""


def well_formed(value: Any, level: int = 0) -> Any:
    """A value of JSON: no lone surrogate at any depth, dates, bytes, NaN and infinity as texts.

    Integers of any size and decimals stay as they are. `TooDeepError` if even a JSON text cannot hold the value.
    """
    if isinstance(value, str):
        return without_surrogates(value)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else non_finite_text(value)
    if isinstance(value, Decimal):
        return value if value.is_finite() else non_finite_text(value)
    if isinstance(value, Mapping):
        if level >= MAX_LEVELS:
            return dumps_text(value)
        return well_named((name, well_formed(inner, level + 1)) for name, inner in value.items())
    if isinstance(value, list | tuple | set | frozenset):
        return dumps_text(value) if level >= MAX_LEVELS else [well_formed(inner, level + 1) for inner in value]
    return well_formed(plain(value), level)


def non_finite_text(value: float | Decimal) -> str:
    """The text for NaN and infinity."""
    is_nan = value.is_nan() if isinstance(value, Decimal) else math.isnan(value)
    return "NaN" if is_nan else "Infinity" if value > 0 else "-Infinity"


def well_named(
    items: Iterable[tuple[Any, Any]], aliases: Mapping[str, str] = NONE_RENAMED, reserved: Collection[str] = ()
) -> dict[str, Any]:
    """All fields, under names without lone surrogates or under their aliases; of names that become equal, or are
    `reserved`, one gets a mark (`names.py`)."""
    fields = list(items)
    if all(type(name) is str and name.isascii() and name not in aliases and name not in reserved for name, _ in fields):
        return dict(fields)
    forms = {original(name): without_surrogates(str(aliases.get(name, name))) for name, _ in fields}
    names = distinct(forms, forms.__getitem__, reserved=reserved)
    return {names[original(name)]: inner for name, inner in fields}


def original(name: Any) -> str:
    """A text that no other name of the same object has: the number 1 is not the text "1"."""
    return name if isinstance(name, str) else f"\0{type(name).__name__} {name}"
