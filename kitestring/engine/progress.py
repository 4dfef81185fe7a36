"""The progress of a running sync: counters that the loop writes and any display polls."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any


@dataclass(slots=True)
class StreamProgress:
    """One stream: `read` and `written` in records, `nbytes` read.

    `lag_s` are the seconds from the newest cursor value that was written to now, while a stream goes on from its state:
    a first sync reads history, which is no lag, and at its end a stream has all that the source has.

    `status` is waiting, reading, writing, succeeded, suspicious, failed or cancelled.
    """

    read: int = 0
    written: int = 0
    nbytes: int = 0
    lag_s: float | None = None
    status: str = "waiting"
    started: float = 0.0
    ended: float = 0.0

    @property
    def rate(self) -> float:
        """Records read per second since the stream began. A time below a tenth of a second counts as a tenth."""
        if not self.started:
            return 0.0
        return self.read / max((self.ended or time.monotonic()) - self.started, 0.1)


@dataclass(slots=True)
class Progress:
    """All streams of a sync, by their name in the source. One thread writes it; others may read it at any time."""

    streams: dict[str, StreamProgress] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)

    def snapshot(self) -> dict[str, Any]:
        """The counters as JSON."""
        return {
            "seconds": round(time.monotonic() - self.started, 1),
            "streams": {
                name: {
                    "status": stream.status,
                    "read": stream.read,
                    "written": stream.written,
                    "bytes": stream.nbytes,
                    "records_per_s": round(stream.rate, 1),
                    "lag_s": None if stream.lag_s is None else round(stream.lag_s, 1),
                }
                for name, stream in list(self.streams.items())
            },
        }


LONGEST_LAG_S = 366 * 86_400.0
"""A cursor that is older, or in the future, is no time of change: a birthday, a due date."""


def lag_of(value: Any) -> float | None:
    """Seconds between a cursor value and now, where the value is a time of the last year (ISO text, a datetime, epoch
    seconds)."""
    lag_s = age_of(value)
    return lag_s if lag_s is not None and 0 <= lag_s <= LONGEST_LAG_S else None


def age_of(value: Any) -> float | None:
    now = datetime.now(UTC)
    try:
        if isinstance(value, str):
            value = datetime.fromisoformat(value)
        if isinstance(value, datetime):
            return (now - (value if value.tzinfo else value.replace(tzinfo=UTC))).total_seconds()
        if isinstance(value, int | float) and 946_684_800 < value < 4_102_444_800:  # 2000 to 2100 in epoch seconds
            return now.timestamp() - value
    except ValueError:
        return None
    return None
