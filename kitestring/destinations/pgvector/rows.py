"""A chunk as a row of the table, and back."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from kitestring.json_codec import dumps, loads, without_surrogates
from kitestring.vector import payload
from kitestring.vector.store import Chunk, Stored

COLUMNS = {
    "id": "text", "stream": "text", "namespace": "text", "record_id": "text", "chunk_number": "int4", "text": "text",
    "metadata": "jsonb", "digest": "text", "metadata_digest": "text", "embedding": "vector",
}  # fmt: skip
"""The columns and their types in PostgreSQL's catalog."""
LEDGER = "id, digest, metadata_digest, record_id, namespace"
"""The columns for `stored_of`."""
WHOLE = f"{LEDGER}, stream, text, metadata::text, embedding::real[]"
METADATA_ROOM = 200 * 1024 * 1024
"""A value of jsonb takes 256 MB at most."""


class CopyEncoder:
    """Rows in the binary format of COPY: https://www.postgresql.org/docs/current/sql-copy.html

    `cut` counts the values that were cut because of the size limit.
    """

    def __init__(self) -> None:
        self.cut = 0

    def encode(self, chunks: Iterable[Chunk]) -> Iterator[bytes]:
        yield b"PGCOPY\n\xff\r\n\0" + bytes(8)
        last: tuple[Any, bytes] = (None, b"")
        for chunk in chunks:
            if last[0] is not chunk.metadata:  # the chunks of a record share it
                metadata, lost = encode_metadata(chunk.metadata)
                self.cut += lost
                last = (chunk.metadata, metadata)
            yield self.row(chunk, last[1])
        yield struct.pack(">h", -1)

    def row(self, chunk: Chunk, metadata: bytes) -> bytes:
        texts = (chunk.id, chunk.stream, chunk.namespace or "", chunk.record_id)
        values = [
            *(clean_text(text).encode() for text in texts),
            struct.pack(">i", chunk.number),
            clean_text(chunk.text).encode(),
            b"\x01" + metadata,  # the version of jsonb's format
            chunk.digest.encode(),
            chunk.metadata_digest.encode(),
            struct.pack(">HH", len(chunk.vector), 0) + chunk.vector.astype(">f4").tobytes(),
        ]
        return struct.pack(">h", len(values)) + b"".join(struct.pack(">i", len(value)) + value for value in values)


def clean_text(text: str) -> str:
    """A text that PostgreSQL can store: without NUL."""
    return without_surrogates(text).replace("\0", "\ufffd")


def clean_value(value: Any) -> Any:
    """A value of JSON whose texts and names are clean."""
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, Mapping):
        return {clean_text(str(name)): clean_value(inner) for name, inner in value.items()}
    return [clean_value(inner) for inner in value] if isinstance(value, list | tuple) else value


def encode_metadata(metadata: Mapping[str, Any]) -> tuple[bytes, int]:
    """Metadata as JSON for jsonb, and how many values were cut. Fields with a column are left out."""
    fields = {name: value for name, value in metadata.items() if name not in ("_ab_stream", "_ab_record_id")}
    data, lost = dumps(fields), 0
    if b"\\u0000" in data:
        fields = clean_value(fields)
        data = dumps(fields)
    if len(data) > METADATA_ROOM:
        fields, lost = payload.fit_values(fields, METADATA_ROOM)
        data = dumps(fields)
    return data, lost


def stored_of(row: Sequence[Any]) -> Stored:
    """The chunk of a row of `LEDGER`, or of `WHOLE`."""
    id_, digest, metadata_digest, record_id, namespace, *rest = row
    key, _, number = id_.rpartition(":")
    chunk = None
    if rest:
        import numpy as np

        stream, text, metadata, vector = rest
        floats = np.asarray(vector, dtype=np.float32)
        chunk = Chunk(key, int(number), stream, record_id, text or "", floats, digest, metadata_digest,
                      loads(metadata), namespace)  # fmt: skip
    return Stored(id_, key, int(number), digest, metadata_digest, record_id, namespace, chunk)


def hit_of(row: Sequence[Any]) -> dict[str, Any]:
    id_, record_id, stream, number, text, metadata, distance = row
    ours = {"_ab_stream": stream, "_ab_record_id": record_id, "chunk_number": number}
    return payload.hit(id_, distance, text, {**loads(metadata), **ours})
