"""A chunk as a row of a collection: every value made to fit its field, so that none of them fails a sync."""

from __future__ import annotations

import datetime
import decimal
import math
from collections.abc import Iterable, Mapping
from typing import Any

from kitestring.destinations.milvus.layout import MAX_DYNAMIC, MAX_VARCHAR, Field, Layout
from kitestring.vector.store import Chunk

MAX_DEPTH = 32
"""Levels of nesting kept as they are; what lies deeper becomes a JSON text."""

DYNAMIC_ROOM = MAX_DYNAMIC - 1_024
INT64 = range(-(2**63), 2**63)
INTEGERS = {"INT8": 8, "INT16": 16, "INT32": 32, "INT64": 64}
EMPTY: dict[str, Any] = {"VARCHAR": "", "BOOL": False, "FLOAT": 0.0, "DOUBLE": 0.0, "JSON": {}, "ARRAY": []}
NONE = object()


class Rows:
    """Makes rows for one layout. `text`: whether the raw text is stored. `lite`: for Milvus Lite."""

    def __init__(self, layout: Layout, text: bool, lite: bool = False) -> None:
        self.layout = layout
        self.lite = lite
        self.text_field = layout.text if text else None
        self.names: dict[str, str] = {}
        named = {layout.vector.name, self.text_field}
        self.rest = [field for name, field in layout.fields.items() if name not in named]

    def of(self, chunk: Chunk) -> dict[str, Any]:
        """The row whole, as pymilvus takes it."""
        row, more = self.parts(chunk)
        row.update(more)
        row[self.layout.vector.name] = chunk.vector.tolist()  # a list packs 20-40 % cheaper than an array
        return row

    def parts(self, chunk: Chunk) -> tuple[dict[str, Any], dict[str, Any]]:
        """The values of the columns, without the vector, and those of the dynamic field."""
        layout, fields = self.layout, self.layout.fields
        values: dict[str, Any] = {}
        for name, value in chunk.metadata.items():
            stored = self.names.get(name)
            if stored is None:
                stored = self.names[name] = layout.stored_name(name)
            values[stored] = value
        values["_ab_stream"] = chunk.stream
        values["_ks_key"] = chunk.key
        values["_ks_digest"] = chunk.digest
        values["_ks_metadata_digest"] = chunk.metadata_digest
        values["chunk_number"] = chunk.number
        if "_ab_record_id" in fields:
            values["_ab_record_id"] = chunk.record_id
        row: dict[str, Any] = {}
        for field in self.rest:
            value = fitted(values.pop(field.name, None), field)
            if value is not NONE:
                row[field.name] = self._json(value) if field.type == "JSON" else value
        more: dict[str, Any] = {}
        room = DYNAMIC_ROOM
        if self.text_field is not None:
            text = fields.get(self.text_field)
            if text is not None:
                row[self.text_field] = cut(chunk.text, text.room or MAX_VARCHAR)
            else:
                more[self.text_field], room = self._dynamic_text(chunk.text)
        elif layout.text in fields:
            row[layout.text] = fitted(None, fields[layout.text])  # type: ignore[index]
        if layout.dynamic and values:
            more.update(small({name: plain(value) for name, value in values.items()}, room))
        if not layout.auto_id:
            row[layout.primary.name] = layout.row_id(chunk.key, chunk.number)
        return row, more

    def _json(self, value: Any) -> Any:
        """A value of a JSON column as pymilvus takes it, which takes a text for JSON. Lite takes objects and lists, and
        stores a text as it is: there a text, a number or a truth value is JSON within JSON."""
        import orjson

        if value is None or isinstance(value, dict | list) or (isinstance(value, str) and holds_json(value)):
            return value
        text = orjson.dumps(value).decode()
        return orjson.dumps(text).decode() if self.lite else text

    def _dynamic_text(self, text: str) -> tuple[str, int]:
        """The text where it has no column, and the bytes left for metadata beside it in the dynamic field."""
        import orjson

        text = cut(text, MAX_VARCHAR)
        most = DYNAMIC_ROOM - 4_096
        size = len(orjson.dumps(text))
        if size > most:  # escapes take room too
            text = cut(text, most * most // size)
            size = len(orjson.dumps(text))
        return text, DYNAMIC_ROOM - size


def holds_json(text: str) -> bool:
    """Whether a text is a JSON object or list."""
    import orjson

    if not text.lstrip().startswith(("{", "[")):
        return False
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


def cut(text: str, room: int) -> str:
    """At most `room` bytes of UTF-8, between characters."""
    if len(text) * 4 <= room or (len(text) <= room and text.isascii()):
        return text
    data = text.encode("utf-8", "replace")
    return data.decode() if len(data) <= room else data[:room].decode("utf-8", "ignore")


def plain(value: Any, depth: int = 0) -> Any:
    """A JSON value that Milvus takes: no NaN, no integer beyond 64 bits, no bottomless nesting."""
    if value is None or value is True or value is False:
        return value
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    if isinstance(value, int):
        return int(value) if value in INT64 else str(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if depth >= MAX_DEPTH and isinstance(value, Mapping | list | tuple | set | frozenset):
        return as_json(value)
    if isinstance(value, Mapping):
        return {plain(str(k)): plain(v, depth + 1) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(v, depth + 1) for v in value]
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return float(value) if value.is_finite() else None
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    if hasattr(value, "item") and not hasattr(value, "__len__"):  # a numpy scalar
        return plain(value.item(), depth)
    return str(value)


def as_json(value: Any) -> str:
    import json

    try:
        return json.dumps(value, default=str, ensure_ascii=False).encode("utf-8", "replace").decode()
    except (ValueError, TypeError, RecursionError):
        return str(type(value).__name__)


def fitted(value: Any, field: Field) -> Any:
    """A value for a typed column. What does not fit becomes null, or the type's empty value where null is refused."""
    value = typed(value, field)
    if value is None:
        if field.nullable:
            return None
        if field.default:
            return NONE
        return EMPTY.get(field.type, 0)
    return value


def typed(value: Any, field: Field) -> Any:
    if value is None:
        return None
    kind = field.type
    if kind == "VARCHAR":
        text = value if isinstance(value, str) else plain(value)
        if not isinstance(text, str):
            text = as_json(text) if text is not None else None
        return None if text is None else cut(text, field.room or MAX_VARCHAR)
    if kind in INTEGERS:
        return whole(value, INTEGERS[kind])
    if kind in ("FLOAT", "DOUBLE"):
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            return None
        return number if math.isfinite(number) and (kind == "DOUBLE" or abs(number) < 3.4e38) else None
    if kind == "BOOL":
        return value if isinstance(value, bool) else {"true": True, "false": False}.get(str(value).lower())
    if kind == "JSON":
        shrunk = small({"": plain(value)}, DYNAMIC_ROOM)
        return shrunk.get("")
    if kind == "ARRAY":
        items: Iterable[Any] = value if isinstance(value, list | tuple | set) else [value]
        element = Field(field.name, field.element, MAX_VARCHAR if field.element == "VARCHAR" else 0)
        found = [item for item in (typed(one, element) for one in items) if item is not None]
        return found[: field.room] if field.room else found
    return None


def whole(value: Any, bits: int) -> int | None:
    if isinstance(value, bool):
        return int(value)
    try:
        number = int(value)
        if isinstance(value, float | decimal.Decimal) and number != value:
            return None
    except (TypeError, ValueError, OverflowError):
        return None
    return number if -(2 ** (bits - 1)) <= number < 2 ** (bits - 1) else None


def small(values: dict[str, Any], room: int) -> dict[str, Any]:
    """At most `room` bytes of JSON. Where it is more, every value gets a fair share: small ones stay whole, what is
    larger than its share becomes a text of that size."""
    import orjson

    try:
        if len(orjson.dumps(values)) <= room:
            return values
    except TypeError:
        values = {name: as_json(value) if isinstance(value, dict | list) else value for name, value in values.items()}
    sizes = {name: len(orjson.dumps({name: value})) for name, value in values.items()}
    kept: dict[str, Any] = {}
    left = room - 2
    # Ours first, then the smallest.
    order = sorted(
        sizes, key=lambda name: (not name.startswith(("_ks_", "_ab_")) and name != "chunk_number", sizes[name])
    )
    for position, name in enumerate(order):
        value, size, share = values[name], sizes[name], left // (len(order) - position)
        if size > share:
            text = value if isinstance(value, str) else as_json(value)
            size, most = share + 1, share
            while size > share and most > 0:  # escapes take more room than they show
                text = cut(text, most)
                size = len(orjson.dumps({name: text}))
                most = min(most, len(text.encode())) - max(1, size - share)
            if size > share:
                continue  # not even its name fits
            value = text
        kept[name] = value
        left -= size
    return kept
