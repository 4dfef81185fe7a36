"""A chunk as a row of Chroma, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kitestring.destinations.chroma.filters import copy_of, is_plain
from kitestring.json_codec import dumps_text, loads, without_surrogates
from kitestring.vector import payload
from kitestring.vector.store import MARKED, Chunk, Stored

DELETED = "_ks_deleted"
METADATA_ROOM, TEXT_ROOM = 4 * 1024 * 1024, 4 * 1024 * 1024
"""A server takes 40 MB a request."""


class Rows:
    """The metadata of chunks: all fields as JSON in `_ks_metadata`, and copies of those that Chroma can compare.

    `cut` counts the values that were cut because of the size limit.
    """

    def __init__(self) -> None:
        self.cut = 0
        self._last: tuple[Any, dict[str, Any]] = (None, {})

    def metadata(self, chunk: Chunk) -> dict[str, Any]:
        if self._last[0] is not chunk.metadata:  # the chunks of a record share it
            self._last = (chunk.metadata, self._fields(chunk.metadata))
        ours = {
            "_ab_stream": without_surrogates(chunk.stream),
            "_ab_record_id": without_surrogates(chunk.record_id),
            "chunk_number": chunk.number,
            "_ks_key": chunk.key,
            "_ks_digest": chunk.digest,
            "_ks_metadata_digest": chunk.metadata_digest,
            "_ks_namespace": without_surrogates(chunk.namespace or ""),
        }
        return {**self._last[1], **ours, **({DELETED: True} if chunk.metadata_digest.startswith(MARKED) else {})}

    def text(self, chunk: Chunk) -> str:
        text = payload.truncate_text(without_surrogates(chunk.text), TEXT_ROOM)
        self.cut += len(text) < len(chunk.text)
        return text

    def _fields(self, metadata: Mapping[str, Any]) -> dict[str, Any]:
        fields: dict[str, Any] = payload.json_safe(
            {name: value for name, value in metadata.items() if name not in ("_ab_stream", "_ab_record_id")}
        )
        text = dumps_text(fields)
        if len(text) > METADATA_ROOM // 4:
            fields, cut = payload.fit_values(fields, METADATA_ROOM)
            self.cut += cut
            text = dumps_text(fields)
        copies = {name: copy_of(value) for name, value in fields.items() if is_plain(name)}
        return {**{name: copy for name, copy in copies.items() if copy is not None}, "_ks_metadata": text}


def fields_of(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a row that filters and hits have."""
    return {**loads(metadata["_ks_metadata"]), **{name: metadata.get(name) for name in payload.FILTERED}}


def hit_of(id_: str, distance: float, document: str | None, metadata: Mapping[str, Any]) -> dict[str, Any]:
    return payload.hit(id_, distance, document, fields_of(metadata))


def stored_of(id_: str, metadata: Mapping[str, Any], document: str | None = None, vector: Any = None) -> Stored:
    """The chunk of a row; with a vector also all that is stored."""
    names = ("_ks_key", "chunk_number", "_ks_digest", "_ks_metadata_digest", "_ab_record_id", "_ks_namespace")
    key, number, digest, metadata_digest, record_id, namespace = (metadata.get(name) for name in names)
    chunk = None
    if vector is not None:
        import numpy as np

        floats = np.asarray(vector, dtype=np.float32)
        chunk = Chunk(str(key), int(number or 0), str(metadata["_ab_stream"]), str(record_id), document or "", floats,
                      str(digest), str(metadata_digest), loads(metadata["_ks_metadata"]), namespace)  # fmt: skip
    return Stored(id_, str(key), number, str(digest), str(metadata_digest), record_id, namespace, chunk)
