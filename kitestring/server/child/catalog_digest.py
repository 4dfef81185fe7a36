"""The digest of a catalog: the worker and the job's process compare it to see whether a source's streams changed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from kitestring.json_codec import dumps


def digest(catalog: Mapping[str, Any] | None) -> str:
    """SHA-256 of a catalog, independent of the order of streams and fields."""
    if catalog is None:
        return ""
    streams = sorted(
        catalog.get("streams") or (), key=lambda stream: (stream.get("namespace") or "", stream.get("name") or "")
    )
    return hashlib.sha256(dumps(streams, sort_keys=True)).hexdigest()
