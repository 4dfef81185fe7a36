"""Short fingerprints that decide whether a chunk must be embedded or written again."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from kitestring.json_codec import dumps_text

LENGTH = 16
"""Bytes of a digest (32 hex characters): for a billion chunks the chance of a collision is below 1e-20."""


def digest(*parts: str) -> str:
    """32 hex characters of the parts, each framed by its length, so that ("ab", "c") differs from ("a", "bc")."""
    framed: list[bytes] = []
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        framed += (len(data).to_bytes(8, "little"), data)
    return hashlib.blake2b(b"".join(framed), digest_size=LENGTH).hexdigest()


def text_digest(model: str, chunking: str, text: str) -> str:
    """The identity of a chunk's vector: text, chunking and model. If it is unchanged, nothing is embedded."""
    return digest("text", model, chunking, text)


def metadata_digest(metadata: Mapping[str, Any]) -> str:
    """The identity of a chunk's metadata, independent of the order of its keys."""
    return digest("metadata", canonical(metadata))


def canonical(value: Any) -> str:
    """JSON with sorted keys: the same text for equal values."""
    return dumps_text(value, sort_keys=True)
