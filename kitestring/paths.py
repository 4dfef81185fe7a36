"""Where the values of a record stand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kitestring.types import Path, Record


def at(record: Mapping[str, Any], path: Path) -> Any:
    """The value at a path, or None where the path leads nowhere."""
    value: Any = record
    for part in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(part)
    return value


def nested(paths: Sequence[Path], values: Sequence[Any]) -> Record:
    """The record that holds these values at these paths, and nothing else."""
    record: Record = {}
    for path, value in zip(paths, values, strict=True):
        inner = record
        for part in path[:-1]:
            inner = inner.setdefault(part, {})
        inner[path[-1]] = value
    return record
