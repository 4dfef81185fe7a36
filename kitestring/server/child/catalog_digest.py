"""The digest of a catalog, by which the worker and a job's process see whether a source's streams changed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from kitestring.json_codec import dumps


def digest(catalog: Mapping[str, Any] | None) -> str:
    """A catalog by a hash; the order of the streams and of their fields counts for nothing."""
    if catalog is None:
        return ""
    streams = sorted(
        catalog.get("streams") or (), key=lambda stream: (stream.get("namespace") or "", stream.get("name") or "")
    )
    return hashlib.sha256(dumps(streams, sort_keys=True)).hexdigest()
