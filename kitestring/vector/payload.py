"""Rows and hits of every store: values cut to fit its limits, names that never clash with ours, the form of hits."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Any

from kitestring.json_codec import dumps, dumps_text, plain, without_surrogates
from kitestring.names import distinct
from kitestring.vector.unicode import non_finite_text

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
OURS = frozenset(
    {"_ab_stream", "_ab_record_id", "_ks_key", "_ks_digest", "_ks_metadata_digest", "_ks_namespace", "chunk_number"}
)
"""The fields that are stored with every chunk beside the record's metadata."""

FILTERED = ("_ab_stream", "_ab_record_id", "chunk_number")
"""Those of them that filters and hits have under these names; any other name is that of a field of the record."""

HIT_FIELDS = ("id", "distance", "text", "stream", "record_id")
"""The fields of a hit beside the record's metadata."""


def hit(row: Any, distance: float, text: str | None, fields: Mapping[str, Any]) -> dict[str, Any]:
    """A search hit. `fields`: the record's metadata, `_ab_stream` and `_ab_record_id`."""
    # A record's field with the name of a field of the hit is renamed (`id`, if the collection's key is not `id`).
    ours = [name for name in HIT_FIELDS if name in fields]
    if ours:
        names = distinct(fields, lambda name: f"_{name}" if name in ours else name)
        fields = {names[name]: value for name, value in fields.items()}
    return {
        **fields,
        "id": row,
        "distance": float(distance),
        "text": text,
        "stream": fields.get("_ab_stream"),
        "record_id": fields.get("_ab_record_id"),
        "url": fields.get("source_url") or fields.get("url"),
    }


def free_name(name: str, reserved: Collection[str | None]) -> str:
    """The name, with `_` in front if it is that of a field of ours."""
    while name in reserved or (name in OURS and name not in ("_ab_stream", "_ab_record_id")):
        name = f"_{name}"
    return name


def json_safe(value: Any) -> Any:
    """A value for JSON with 64-bit numbers: a number that is neither such an integer nor an exact float becomes a text
    of all its digits."""
    if value is None or value is True or value is False:
        return value
    if isinstance(value, str):
        return without_surrogates(value)
    if isinstance(value, int):
        return int(value) if INT64_MIN <= value <= INT64_MAX else dumps_text(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else non_finite_text(value)
    if isinstance(value, Decimal):
        return json_safe_decimal(value)
    if isinstance(value, Mapping):
        return {json_safe(str(name)): json_safe(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [json_safe(inner) for inner in value]
    return json_safe(plain(value))


def json_safe_decimal(value: Decimal) -> float | int | str:
    if not value.is_finite():
        return non_finite_text(value)
    number = float(value)
    if math.isfinite(number) and Decimal(repr(number)) == value:
        return number
    return int(value) if INT64_MIN <= value <= INT64_MAX and value == int(value) else str(value)


def truncate_text(text: str, limit: int) -> str:
    """At most `limit` bytes of UTF-8, cut between characters."""
    if len(text) * 4 <= limit or (len(text) <= limit and text.isascii()):
        return text
    data = text.encode()
    return text if len(data) <= limit else data[:limit].decode("utf-8", "ignore")


def fit_values(values: dict[str, Any], limit: int) -> tuple[dict[str, Any], int]:
    """At most `limit` bytes of JSON, and how many values were cut or left out for that. Every value gets an equal
    share: smaller ones stay whole, a larger one becomes a text of that size."""
    if len(dumps(values)) <= limit:
        return values, 0
    sizes = {name: len(dumps({name: value})) for name, value in values.items()}
    fitted: dict[str, Any] = {}
    remaining, changed = limit - 2, 0
    # Ours first, then the smallest.
    order = sorted(
        sizes, key=lambda name: (not name.startswith(("_ks_", "_ab_")) and name != "chunk_number", sizes[name])
    )
    for position, name in enumerate(order):
        value, size, share = values[name], sizes[name], remaining // (len(order) - position)
        if size > share:
            changed += 1
            text = value if isinstance(value, str) else dumps_text(value)
            size, most = share + 1, share
            while size > share and most > 0:  # escapes take more bytes than the characters
                text = truncate_text(text, most)
                size = len(dumps({name: text}))
                most = min(most, len(text.encode())) - max(1, size - share)
            if size > share:
                continue  # not even its name fits
            value = text
        fitted[name] = value
        remaining -= size
    return fitted, changed
