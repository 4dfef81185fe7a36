"""Where a value stands in a record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kitestring.types import Path


def at(record: Mapping[str, Any], path: Path) -> Any:
    """The value at a path, or None where the path leads nowhere."""
    value: Any = record
    for part in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(part)
    return value
