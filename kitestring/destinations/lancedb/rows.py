"""A chunk as a row of a LanceDB table, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kitestring.json_codec import dumps_text, loads, without_surrogates
from kitestring.vector import payload
from kitestring.vector.store import Chunk, Stored

if TYPE_CHECKING:
    import pyarrow as pa

LEDGER = ["id", "key", "chunk_number", "digest", "metadata_digest", "record_id", "namespace"]
"""The columns for `stored_of`."""
WHOLE = [*LEDGER, "stream", "text", "metadata", "vector"]
HIT = ["id", "record_id", "stream", "chunk_number", "text", "metadata"]
"""The columns for `hit_of`."""


def schema_of(dimension: int) -> pa.Schema:
    import pyarrow as pa

    texts = ("id", "key", "stream", "namespace", "record_id", "text", "digest", "metadata_digest")
    return pa.schema(
        [
            *(pa.field(name, pa.string(), nullable=False) for name in texts),
            pa.field("chunk_number", pa.int32(), nullable=False),
            pa.field("metadata", pa.json_(pa.string())),
            pa.field("vector", pa.list_(pa.float32(), dimension)),
        ]
    )


def table_of(chunks: Sequence[Chunk], schema: pa.Schema) -> pa.Table:
    import numpy as np
    import pyarrow as pa

    documents: dict[int, str] = {}  # the chunks of a record share their metadata
    for chunk in chunks:
        if id(chunk.metadata) not in documents:
            documents[id(chunk.metadata)] = metadata_text(chunk.metadata)
    vectors = np.concatenate([np.asarray(chunk.vector, dtype=np.float32) for chunk in chunks])
    columns: dict[str, Any] = {
        "id": [without_surrogates(chunk.id) for chunk in chunks],
        "key": [without_surrogates(chunk.key) for chunk in chunks],
        "stream": [without_surrogates(chunk.stream) for chunk in chunks],
        "namespace": [without_surrogates(chunk.namespace or "") for chunk in chunks],
        "record_id": [without_surrogates(chunk.record_id) for chunk in chunks],
        "text": [without_surrogates(chunk.text) for chunk in chunks],
        "digest": [chunk.digest for chunk in chunks],
        "metadata_digest": [chunk.metadata_digest for chunk in chunks],
        "chunk_number": [chunk.number for chunk in chunks],
        "metadata": [documents[id(chunk.metadata)] for chunk in chunks],
        "vector": pa.FixedSizeListArray.from_arrays(pa.array(vectors), len(chunks[0].vector)),
    }
    return pa.table(
        {
            field.name: columns[field.name]
            if field.name == "vector"
            else pa.array(columns[field.name], type=field.type)
            for field in schema
        },
        schema=schema,
    )


def metadata_text(metadata: Mapping[str, Any]) -> str:
    """Metadata as JSON. Fields with a column are left out."""
    fields = {name: value for name, value in metadata.items() if name not in ("_ab_stream", "_ab_record_id")}
    return dumps_text(payload.json_safe(fields))


def stored_of(row: Mapping[str, Any]) -> Stored:
    """The chunk of a row of `LEDGER`, or of `WHOLE`."""
    chunk = None
    if "vector" in row:
        import numpy as np

        chunk = Chunk(
            **{name: row[name] for name in ("key", "stream", "record_id", "text", "digest", "metadata_digest")},
            number=row["chunk_number"],
            vector=np.asarray(row["vector"], dtype=np.float32),
            metadata=loads(row["metadata"]),
            namespace=row["namespace"],
        )
    digests = {name: row[name] for name in ("digest", "metadata_digest")}
    return Stored(
        row["id"], row["key"], row["chunk_number"], record_id=row["record_id"], namespace=row["namespace"],
        chunk=chunk, **digests,
    )  # fmt: skip


def fields_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a row that filters and hits have."""
    return {
        **loads(row["metadata"]),
        "_ab_stream": row["stream"],
        "_ab_record_id": row["record_id"],
        "chunk_number": row["chunk_number"],
    }


def hit_of(row: Mapping[str, Any], distance: float) -> dict[str, Any]:
    return payload.hit(row["id"], distance, row["text"], fields_of(row))
