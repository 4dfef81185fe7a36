"""Times of the control plane: UTC, milliseconds since 1970, and their ISO text."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta


def now_ms() -> int:
    """The time of this machine. Use `Store.now_ms` for times that several machines compare (leases, schedules)."""
    return time.time_ns() // 1_000_000


def steady() -> float:
    """Monotonic seconds for deadlines. They include the time that the machine sleeps, where the system counts it."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


def iso(ms: int) -> str:
    """`2026-11-25T02:07:42Z`: whole seconds, as Airbyte's API writes them."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def ms_of(moment: datetime) -> int:
    """Milliseconds since 1970. A time without an offset is UTC."""
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return (aware - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def duration(ms: int) -> str:
    """ISO 8601: `PT1H2M3S`."""
    seconds = max(0, ms) // 1000
    hours, minutes = seconds // 3600, seconds // 60 % 60
    parts = [f"{hours}H"] if hours else []
    parts += [f"{minutes}M"] if minutes else []
    if seconds % 60 or not parts:
        parts.append(f"{seconds % 60}S")
    return "PT" + "".join(parts)
