"""The figures of a job's attempts: what their checkpoints cover, and the sums over attempts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SUMMED = ("read", "written", "unchanged", "deleted", "rejected", "superseded", "filtered", "bytes")
DELIVERED = ("written", "unchanged", "deleted")
"""The outcomes of records that a destination accepted."""


def delivered_records(durable: Mapping[str, Any]) -> int:
    """How many records that the destination accepted are covered by the checkpoints of an attempt."""
    return sum(int(figures.get(name, 0)) for figures in durable.values() for name in DELIVERED)


def delivered_bytes(durable: Mapping[str, Any]) -> int:
    """The same in bytes, as read."""
    return sum(int(figures.get("bytes", 0)) for figures in durable.values())


def completed_streams(streams: Mapping[str, Any]) -> dict[str, str]:
    """The status of the streams that an attempt completed: succeeded or suspicious."""
    return {
        stream: figures["status"]
        for stream, figures in streams.items()
        if figures.get("status") in ("succeeded", "suspicious")
    }


def records_written(progress: Mapping[str, Any] | None) -> int:
    """How many records an attempt had written at its last progress."""
    return sum(int(figures.get("written") or 0) for figures in ((progress or {}).get("streams") or {}).values())


def figures_of_lost(durable: Mapping[str, Any] | None, progress: Mapping[str, Any] | None) -> dict[str, Any]:
    """The figures of the streams of a lost attempt: what its checkpoints cover."""
    durable = durable or {}
    nothing = {"read": 0, "written": 0, "bytes": 0}
    ended = completed_streams(durable)
    streams = [*durable, *(stream for stream in (progress or {}).get("streams") or {} if stream not in durable)]
    return {key: {**durable.get(key, nothing), "status": ended.get(key, "failed")} for key in streams}


def sum_figures(streams: Mapping[str, Any]) -> dict[str, float]:
    """The counts and figures of all streams of an attempt together."""
    sums: dict[str, float] = {}
    for stream in streams.values():
        counts = {name: stream.get(name) for name in SUMMED} | dict(stream.get("figures") or {})
        for name, value in counts.items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                sums[name] = sums.get(name, 0) + value
    return sums


def sums_of(summary: Mapping[str, Any]) -> dict[str, float]:
    """The same from what is stored of an attempt in short: its end, or how far it is."""
    if "sums" in summary:
        return dict(summary["sums"])
    return {"read": summary.get("read", 0), "written": summary.get("written", 0), **(summary.get("figures") or {})}
