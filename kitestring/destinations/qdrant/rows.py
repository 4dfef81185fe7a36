"""A chunk as a point of Qdrant, and back."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from kitestring.destinations.qdrant.filters import is_plain
from kitestring.json_codec import dumps, without_surrogates
from kitestring.vector import payload
from kitestring.vector.store import MARKED, Chunk, Stored

DELETED = "_ks_deleted"
LEDGER = [
    "_ks_key", "chunk_number", "_ks_digest", "_ks_metadata_digest", "_ab_record_id", "_ks_namespace",
]  # fmt: skip
"""The fields of the payload for `stored_of`."""
OURS = frozenset({*LEDGER, "_ab_stream", "_ks_metadata", DELETED})
METADATA_ROOM, TEXT_ROOM = 4 * 1024 * 1024, 4 * 1024 * 1024
"""A request has 32 MB at most."""


def point_id(key: str, number: int) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, without_surrogates(f"{key}:{number}")))


class Payloads:
    """Payloads of chunks. Metadata are at the top level, under their own names; those whose name has another use are in
    `_ks_metadata`. `cut` counts the values that were cut because of the size limit."""

    def __init__(self, text_field: str) -> None:
        self.text_field = text_field
        self.cut = 0
        self._last: tuple[Any, dict[str, Any]] = (None, {})

    def of(self, chunk: Chunk) -> dict[str, Any]:
        if self._last[0] is not chunk.metadata:  # the chunks of a record share it
            self._last = (chunk.metadata, self._metadata(chunk.metadata))
        text = payload.truncate_text(without_surrogates(chunk.text), TEXT_ROOM)
        self.cut += len(text) < len(chunk.text)
        ours = {
            self.text_field: text,
            "_ab_stream": without_surrogates(chunk.stream),
            "_ab_record_id": without_surrogates(chunk.record_id),
            "chunk_number": chunk.number,
            "_ks_key": chunk.key,
            "_ks_digest": chunk.digest,
            "_ks_metadata_digest": chunk.metadata_digest,
            "_ks_namespace": without_surrogates(chunk.namespace or ""),
        }
        return {**self._last[1], **ours, **({DELETED: True} if chunk.metadata_digest.startswith(MARKED) else {})}

    def _metadata(self, metadata: Mapping[str, Any]) -> dict[str, Any]:
        fields: dict[str, Any] = payload.json_safe(
            {name: value for name, value in metadata.items() if name not in ("_ab_stream", "_ab_record_id")}
        )
        if len(dumps(fields)) > METADATA_ROOM:
            fields, cut = payload.fit_values(fields, METADATA_ROOM)
            self.cut += cut
        plain = {name: value for name, value in fields.items() if self._is_plain(name)}
        others = {name: value for name, value in fields.items() if name not in plain}
        return {**plain, **({"_ks_metadata": others} if others else {})}

    def _is_plain(self, name: str) -> bool:
        return is_plain(name, self.text_field) and name not in OURS

    def metadata_of(self, stored: Mapping[str, Any]) -> dict[str, Any]:
        fields = {name: value for name, value in stored.items() if name not in OURS and name != self.text_field}
        return {**fields, **(stored.get("_ks_metadata") or {})}

    def fields_of(self, stored: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of a point that filters and hits have."""
        ours = {name: stored.get(name) for name in payload.FILTERED}
        return {**self.metadata_of(stored), **ours}

    def hit_of(self, point: Any, distance: float) -> dict[str, Any]:
        stored = point.payload
        return payload.hit(str(point.id), distance, stored.get(self.text_field), self.fields_of(stored))

    def stored_of(self, point: Any, whole: bool = False) -> Stored:
        """The chunk of a point; `whole`: with its vector and all that is stored."""
        stored = point.payload
        key, number, digest, metadata_digest, record_id, namespace = (stored.get(name) for name in LEDGER)
        chunk = None
        if whole:
            import numpy as np

            vector = np.asarray(point.vector, dtype=np.float32)
            chunk = Chunk(key, number, stored["_ab_stream"], record_id, stored.get(self.text_field) or "", vector,
                          digest, metadata_digest, self.metadata_of(stored), namespace)  # fmt: skip
        return Stored(str(point.id), key, number, digest, metadata_digest, record_id, namespace, chunk)
