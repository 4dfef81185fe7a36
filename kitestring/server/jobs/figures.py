"""The figures of a job's attempts: what their checkpoints cover, and what of it adds up over attempts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DELIVERED = ("written", "unchanged", "deleted")
"""What became of the records that a destination has taken."""


def delivered_records(durable: Mapping[str, Any]) -> int:
    """How many records the checkpoints of an attempt cover, of those that the destination has taken."""
    return sum(int(figures.get(name, 0)) for figures in durable.values() for name in DELIVERED)


def delivered_bytes(durable: Mapping[str, Any]) -> int:
    """The same in bytes, as they were read."""
    return sum(int(figures.get("bytes", 0)) for figures in durable.values())


def completed_streams(streams: Mapping[str, Any]) -> dict[str, str]:
    """The streams that an attempt brought to their end, with how: succeeded or suspicious."""
    return {
        stream: figures["status"]
        for stream, figures in streams.items()
        if figures.get("status") in ("succeeded", "suspicious")
    }


def records_written(progress: Mapping[str, Any] | None) -> int:
    """How many records an attempt had written when it was last heard of."""
    return sum(int(figures.get("written") or 0) for figures in ((progress or {}).get("streams") or {}).values())


def figures_of_lost(durable: Mapping[str, Any] | None, progress: Mapping[str, Any] | None) -> dict[str, Any]:
    """The figures of the streams of an attempt that was cut off: what its checkpoints cover."""
    durable = durable or {}
    nothing = {"read": 0, "written": 0, "bytes": 0}
    ended = completed_streams(durable)
    streams = [*durable, *(stream for stream in (progress or {}).get("streams") or {} if stream not in durable)]
    return {key: {**durable.get(key, nothing), "status": ended.get(key, "failed")} for key in streams}
