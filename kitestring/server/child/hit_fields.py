"""The fields of a hit, and those of the record that it comes from."""

from __future__ import annotations

OF_HITS = ("distance", "id", "record_id", "stream", "text", "url")
"""The fields of a hit that are no field of the record (`payload.hit`)."""

OF_CHUNKS = ("_ab_stream", "_ab_record_id", "chunk_number")


def field_name(name: str) -> str:
    """The record's name of a field: `payload.hit` renames one that is called like a field of the hit."""
    return name[1:] if name.startswith("_") and name[1:] in OF_HITS else name
