"""The identity of a record in a vector store: `_ab_record_id` as Airbyte writes it, and an unambiguous key."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from kitestring.identity import is_text, stored_text
from kitestring.json_codec import dumps_text
from kitestring.types import Stream
from kitestring.vector.digest import digest
from kitestring.vector.store import Ref

MISSING_VALUE = "__not_found__"
"""The text in `_ab_record_id` for a missing primary key field (Airbyte's)."""

PLAIN_DIGITS = 40
"""A number with more zeros than this at either end is written with an exponent."""

OTHER_KIND = re.compile(r'["{\[]|(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:e-?\d+)?|true|false|null|NaN|-?Infinity)\Z')
"""Texts that look like a value of another type."""


def stream_id(stream: Stream) -> str:
    """Airbyte's `_ab_stream`: the name, or `{namespace}_{name}`."""
    return f"{stream.namespace}_{stream.name}" if stream.namespace else stream.name


def record_id(stream: Stream, values: Sequence[Any]) -> str:
    """Airbyte's `_ab_record_id`: `{_ab_stream}_{value}_{value}`; `values` are the primary key's in its order."""
    return "_".join([stream_id(stream), *(MISSING_VALUE if value is None else str(value) for value in values)])


def record_key(stream: Stream, values: Sequence[Any]) -> str:
    """32 hex characters that only this record of this stream has; `values` are the primary key's in its order.

    Values are compared as everywhere (`identity.py`): 1 ≠ "1" ≠ true, 1 = 1.0, and a field that is declared as text is
    compared as text. Unlike `record_id` it distinguishes (a_b, c) from (a, b_c).
    """
    texts = (
        str(stored_text(value)) if is_text(stream.schema, path) else key_text(value)
        for path, value in zip(stream.primary_key, values, strict=True)
    )
    return digest("record", stream.namespace or "", stream.name, *texts)


def key_text(value: Any) -> str:
    """A text that only this value has: texts and integers are written as they are, as in all existing collections."""
    if isinstance(value, str):
        return dumps_text(value) if OTHER_KIND.match(value) else str(value)
    if isinstance(value, bool) or value is None:
        return dumps_text(value)
    if isinstance(value, int | float | Decimal):
        return number_text(value)
    if isinstance(value, dt.datetime) and value.tzinfo is not None:
        value = value.astimezone(dt.UTC)
    if isinstance(value, dt.date | dt.time | uuid.UUID):
        return dumps_text(str(value) if isinstance(value, uuid.UUID) else value)
    if isinstance(value, bytes | bytearray | memoryview):
        return f"{dumps_text(value)} bytes"
    return dumps_text(value, sort_keys=True)


def number_text(value: float | Decimal) -> str:
    """The same text for equal numbers of any type, without insignificant digits."""
    if type(value) is int and abs(value) < 10**PLAIN_DIGITS:
        return str(value)
    exact = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    if not exact.is_finite():
        return "NaN" if exact.is_nan() else "Infinity" if exact > 0 else "-Infinity"
    sign, digits, exponent = exact.as_tuple()
    assert isinstance(exponent, int)
    text = "".join(map(str, digits)).rstrip("0")
    exponent += len(digits) - len(text)
    minus = "-" if sign and text else ""
    if not text:
        return "0"
    if exponent >= 0 and len(text) + exponent <= PLAIN_DIGITS:
        return f"{minus}{text}{'0' * exponent}"
    if exponent < 0 and max(len(text), -exponent) <= PLAIN_DIGITS:
        text = text.rjust(1 - exponent, "0")
        return f"{minus}{text[:exponent]}.{text[exponent:]}"
    return f"{minus}{text}e{exponent}"


def former_key(stream: Stream, values: Sequence[Any]) -> str | None:
    """The key of this record in versions before typed keys; None if it is the same."""
    former = digest("record", stream.namespace or "", stream.name, *map(former_text, values))
    return None if former == record_key(stream, values) else former


def former_text(value: Any) -> str:
    import orjson

    if isinstance(value, str):
        return value
    if type(value) is int:
        return str(value)
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS, default=str).decode()
    except (TypeError, ValueError):
        import json

        return json.dumps(value, sort_keys=True, default=str)


def refs_of(stream: Stream, keys: Sequence[tuple[Any, ...]]) -> list[Ref]:
    """The records with these primary keys."""
    name = stream_id(stream)
    return [Ref(record_key(stream, values), name, record_id(stream, values)) for values in keys]


def former_refs_of(stream: Stream, keys: Sequence[tuple[Any, ...]]) -> list[Ref]:
    """The same records under the keys of an earlier version, if those were others."""
    name = stream_id(stream)
    former = ((former_key(stream, values), record_id(stream, values)) for values in keys)
    return [Ref(key, name, record, former=True) for key, record in former if key is not None]
