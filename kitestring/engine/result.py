"""The result of a sync: its status, and the figures of each stream."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from kitestring.errors import KitestringError, public_name
from kitestring.types import Receipt

MOST_SUSPICIONS = 5
COUNTS = ("written", "unchanged", "deleted", "superseded", "filtered", "rejected")
"""The possible outcomes of a record that was read; each has exactly one."""


class Status(StrEnum):
    """The outcome of a sync, or of one stream. `suspicious`: it completed, but two numbers disagree."""

    succeeded = "succeeded"
    suspicious = "suspicious"
    failed = "failed"
    cancelled = "cancelled"


@dataclass(slots=True)
class StreamResult:
    """The figures of one stream. Reconciled: read = written + unchanged + deleted + rejected + superseded + filtered.

    `deleted` are deletions that removed a record; a deletion of a missing record is `unchanged` (and `absent`).
    `removed`, `forgotten` and `replaced` lower the destination's count. `superseded` are records with a later version
    in the same batch, `filtered` those that a mapper filtered out, and deletions where deleted records are kept.
    `discarded`: the new data were dropped and the old data kept. `nbytes` is an estimate of the bytes read; `figures`
    are the destination's own counts (chunks, tokens, cost).
    """

    stream: str
    status: Status = Status.succeeded
    read: int = 0
    written: int = 0
    unchanged: int = 0
    deleted: int = 0
    rejected: int = 0
    superseded: int = 0
    filtered: int = 0
    nbytes: int = 0
    seconds: float = 0.0
    error: KitestringError | None = None
    removed: int = 0
    absent: int = 0
    replaced: int | None = 0
    forgotten: int = 0
    discarded: bool = False
    suspicions: list[str] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)

    def suspect(self, reason: str) -> None:
        """Add a suspicion, once; of many, the first few are enough."""
        if reason not in self.suspicions and len(self.suspicions) < MOST_SUSPICIONS:
            self.suspicions.append(reason)

    @property
    def accounted(self) -> int:
        return sum(getattr(self, name) for name in COUNTS)

    def add(self, receipt: Receipt) -> None:
        """Count what the destination reports only when it commits."""
        forgotten = min(self.forgotten, receipt.deleted)
        self.deleted += receipt.deleted - forgotten
        self.unchanged += receipt.unchanged - (self.forgotten - forgotten)
        self.absent += receipt.unchanged - (self.forgotten - forgotten)
        self.removed += receipt.deleted
        self.forgotten = 0
        if self.replaced is not None and receipt.replaced is not None:
            self.replaced += receipt.replaced
        for name, value in receipt.figures.items():
            self.figures[name] = self.figures.get(name, 0) + value

    @property
    def arrived(self) -> int:
        """The records that the destination should hold."""
        return self.written + self.unchanged - self.absent

    def as_dict(self) -> dict[str, Any]:
        return {
            "status": self.status.value,
            "read": self.read,
            "written": self.written,
            "unchanged": self.unchanged,
            "deleted": self.deleted,
            "rejected": self.rejected,
            "superseded": self.superseded,
            "filtered": self.filtered,
            "bytes": self.nbytes,
            "seconds": round(self.seconds, 3),
            "figures": dict(self.figures),
            "suspicions": list(self.suspicions),
            "error": error_as_dict(self.error),
        }


@dataclass(slots=True)
class Result:
    """The result of a sync. `streams` is keyed by the stream's name in the source."""

    connection: str
    streams: dict[str, StreamResult]
    error: KitestringError | None = None
    cancelled: bool = False
    seconds: float = 0.0
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def status(self) -> Status:
        """The worst status of the streams; a failure of the whole sync goes first."""
        ended = {stream.status for stream in self.streams.values()}
        if self.error is not None or Status.failed in ended:
            return Status.failed
        if self.cancelled:
            return Status.cancelled
        return Status.suspicious if Status.suspicious in ended else Status.succeeded

    @property
    def ok(self) -> bool:
        return self.status is Status.succeeded

    def total(self, name: str) -> float:
        """A count (`read`, `written`, …) or a figure (`tokens`, …), summed over the streams."""
        return sum(
            getattr(stream, name) if name in StreamResult.__dataclass_fields__ else stream.figures.get(name, 0)
            for stream in self.streams.values()
        )

    def as_dict(self) -> dict[str, Any]:
        return {
            "connection": self.connection,
            "status": self.status.value,
            "started_at": self.started_at.isoformat(),
            "seconds": round(self.seconds, 3),
            "streams": {name: stream.as_dict() for name, stream in self.streams.items()},
            "error": error_as_dict(self.error),
        }


def error_as_dict(error: KitestringError | None) -> dict[str, Any] | None:
    if error is None:
        return None
    return {"type": public_name(error), "message": error.message, "hint": error.hint}
