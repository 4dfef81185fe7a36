"""Chunks as rows of a collection: every value is made to fit its field, so that none fails a sync."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kitestring.destinations.milvus.fitting import (
    ABSENT,
    DYNAMIC_ROOM,
    convert,
    fit_value,
    holds_json,
    is_whole,
)
from kitestring.destinations.milvus.layout import MAX_VARCHAR, Layout
from kitestring.json_codec import dumps, dumps_text
from kitestring.names import marked
from kitestring.types import DELETED_AT
from kitestring.vector.payload import fit_values, json_safe, truncate_text
from kitestring.vector.store import MARKED, Chunk

NAMINGS = 1_000
"""The most sets of field names in the cache."""


class RowBuilder:
    """Makes rows for one layout. `text`: whether the raw text is stored. `lite`: for Milvus Lite.

    `cut` counts the values that were cut or left out because of the limits.
    """

    def __init__(self, layout: Layout, text: bool, lite: bool = False) -> None:
        self.layout = layout
        self.lite = lite
        self.text_field = layout.text if text else None
        self.cut = 0
        self._namings: dict[tuple[str, ...], dict[str, str]] = {}
        named = {layout.vector.name, self.text_field}
        self.rest = [field for name, field in layout.fields.items() if name not in named]
        # The chunks of a record are consecutive and share their metadata.
        self._last: tuple[Mapping[str, Any] | None, int, dict[str, Any], dict[str, Any]] = (None, 0, {}, {})

    def build(self, chunk: Chunk) -> dict[str, Any]:
        """The complete row for pymilvus."""
        row, extra = self.parts(chunk)
        row.update(extra)
        row[self.layout.vector.name] = chunk.vector.tolist()  # pymilvus packs a list 20-40 % faster than an array
        return row

    def parts(self, chunk: Chunk) -> tuple[dict[str, Any], dict[str, Any]]:
        """The values of the columns, without the vector, and those of the dynamic field."""
        layout, fields = self.layout, self.layout.fields
        ours = self._ours(chunk)
        dynamic = {name: value for name, value in ours.items() if name not in fields} if layout.dynamic else {}
        limit = DYNAMIC_ROOM - len(dumps(dynamic))
        if self.text_field is not None and self.text_field not in fields:
            dynamic[self.text_field], limit = self._dynamic_text(chunk.text, limit)
        columns, extra = self._metadata(chunk.metadata, limit)
        row = dict(columns)
        for name in ours.keys() & fields.keys():
            value = fit_value(ours[name], fields[name])
            if value is not ABSENT:
                row[name] = value
        if layout.text is not None and layout.text in fields:
            text = fields[layout.text]
            if self.text_field is None:
                row[layout.text] = fit_value(None, text)
            else:
                row[layout.text] = truncate_text(chunk.text, text.max_length or MAX_VARCHAR)
                self.cut += row[layout.text] != chunk.text
        if not layout.auto_id:
            row[layout.primary.name] = layout.row_id(chunk.key, chunk.number)
        return row, {**extra, **dynamic}

    def marked(self, row: Mapping[str, Any], deleted_at: str) -> dict[str, Any]:
        """A complete stored row, marked as one of a deleted record."""
        layout = self.layout
        marked = {name: value for name, value in row.items() if name not in ("$meta", layout.sparse)}
        for name, field in layout.fields.items():
            if field.type == "JSON" and name in marked:
                marked[name] = self._json(marked[name])
        if layout.auto_id:
            marked.pop(layout.primary.name, None)
        marked[layout.vector.name] = list(marked[layout.vector.name])
        marked["_ks_metadata_digest"] = MARKED + str(row.get("_ks_metadata_digest") or "")
        marked[DELETED_AT] = deleted_at
        return marked

    def _ours(self, chunk: Chunk) -> dict[str, Any]:
        ours = {
            "_ab_stream": chunk.stream,
            "_ks_key": chunk.key,
            "_ks_digest": chunk.digest,
            "_ks_metadata_digest": chunk.metadata_digest,
            "chunk_number": chunk.number,
        }
        if chunk.namespace is not None:
            ours["_ks_namespace"] = chunk.namespace
        if "_ab_record_id" in self.layout.fields:
            ours["_ab_record_id"] = chunk.record_id
        return ours

    def _metadata(self, metadata: Mapping[str, Any], limit: int) -> tuple[dict[str, Any], dict[str, Any]]:
        """The metadata in columns and in the dynamic field. A value that its column cannot hold is null there, and
        complete in the dynamic field under the column's name with its mark."""
        last, last_room, columns, extra = self._last
        if last is metadata and last_room == limit:
            return columns, extra
        names = self._names(tuple(metadata))
        values = {names[name]: value for name, value in metadata.items()}
        values.pop("_ab_stream", None)
        if "_ab_record_id" in self.layout.fields:
            values.pop("_ab_record_id", None)
        columns = {}
        for field in self.rest:
            value = values.pop(field.name, None)
            stored = fit_value(value, field)
            if stored is not ABSENT:
                columns[field.name] = self._json(stored) if field.type == "JSON" else stored
            if value is not None and not is_whole(value, convert(value, field), field):
                self.cut += 1
                if stored is ABSENT or convert(value, field) is None:
                    values[marked(field.name, field.name)] = value
        extra = {}
        if self.layout.dynamic and values:
            extra, lost = fit_values({name: json_safe(value) for name, value in values.items()}, limit)
            self.cut += lost
        self._last = (metadata, limit, columns, extra)
        return columns, extra

    def _names(self, names: tuple[str, ...]) -> dict[str, str]:
        naming = self._namings.get(names)
        if naming is None:
            if len(self._namings) >= NAMINGS:
                self._namings.clear()
            naming = self._namings[names] = self.layout.stored_names(names)
        return naming

    def _json(self, value: Any) -> Any:
        """A value of a JSON column for pymilvus, which reads a text as JSON. Lite accepts objects and lists, and stores
        a text as it is: there a text, number or boolean is JSON within JSON."""
        if value is None or isinstance(value, dict | list) or (isinstance(value, str) and holds_json(value)):
            return value
        text = dumps_text(value)
        return dumps_text(text) if self.lite else text

    def _dynamic_text(self, text: str, limit: int) -> tuple[str, int]:
        """The text for the dynamic field, and the bytes left for metadata there."""
        whole = text
        text = truncate_text(text, MAX_VARCHAR)
        most = limit - 4_096
        size = len(dumps(text))
        if size > most:  # escapes need bytes too
            text = truncate_text(text, most * most // size)
            size = len(dumps(text))
        self.cut += text != whole
        return text, limit - size
