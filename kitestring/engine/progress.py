"""The progress of a running sync: counters that the loop writes and any display polls."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from kitestring.activity import SHOWN_FIRST, Activity
from kitestring.engine.pace import Pace
from kitestring.engine.result import Result, Status

ENDED = ("succeeded", "suspicious", "failed", "cancelled")
LEAST_SHARE = 0.01
"""No time left is told before this share is done: the beginning of a read says little about the rest."""


@dataclass(slots=True)
class StreamProgress:
    """One stream: `read` and `written` in records, `nbytes` read; `complete` once all records are read.

    `lag_s` are the seconds from the newest cursor value that was written to now, while a stream goes on from its state:
    a first sync reads history, which is no lag, and at its end a stream has all that the source has.

    `status` is waiting, reading, succeeded, suspicious, failed or cancelled; `activity` says what is done now.
    """

    read: int = 0
    written: int = 0
    nbytes: int = 0
    lag_s: float | None = None
    status: str = "waiting"
    started: float = 0.0
    ended: float = 0.0
    complete: bool = False
    activity: Activity = field(default_factory=Activity)
    pace: Pace = field(default_factory=Pace)

    @property
    def rate(self) -> float:
        """Records read per second since the stream began. A time below a tenth of a second counts as a tenth."""
        began = self.started or self.activity.began
        if not began:
            return 0.0
        return self.read / max((self.ended or time.monotonic()) - began, 0.1)

    @property
    def running(self) -> bool:
        """Whether the stream has begun and not ended."""
        return self.status not in ENDED and (self.status != "waiting" or self.activity.began > 0)

    @property
    def phase(self) -> str | None:
        """The activity now: waiting (for a rate limit or a retry), reading, chunking, embedding, writing, finishing.
        None before and after."""
        if not self.running:
            return None
        phase = self.activity.phase
        if self.waiting is not None:
            return "waiting"
        # Read to the end, and its last batches wait for those of other streams.
        return phase or ("writing" if self.complete else "reading")

    @property
    def waiting(self) -> dict[str, Any] | None:
        """The wait that holds up what is done now, as `Activity.waiting`: a source that waits does not hold up what was
        read before."""
        phase = self.activity.phase
        if phase == "embedding":
            return self.activity.embedding_waiting
        return self.activity.waiting if phase in (None, "reading") else None

    @property
    def total(self) -> int | None:
        """The records that the stream will have: all that were read at its end, before it what the source expects. None
        where it is not known."""
        if self.complete or self.status in ENDED:
            return self.read
        expected = self.activity.expected
        return expected if expected is not None and expected >= self.read else None

    @property
    def estimated(self) -> bool:
        """Whether the total is only what is expected."""
        return not self.complete and self.status not in ENDED

    @property
    def done(self) -> float:
        """How many records are done; those that are being embedded count in part."""
        if self.status in ENDED:
            return self.read
        activity, done = self.activity, float(self.written)
        chunks = activity.chunks  # read once: a batch that fails takes its chunks away in another thread
        if chunks > 0:
            done = max(done, activity.records * activity.embedded / chunks)
        return done

    @property
    def left_s(self) -> float | None:
        """The seconds that the rest takes at the pace of the last half minute; None where that cannot be told."""
        if self.phase == "finishing":
            return left_s(self.activity.finished, self.activity.to_finish, self.pace)
        return left_s(self.done, self.total, self.pace)

    def note(self) -> None:
        """Take a sample for the pace."""
        self.pace.note(self.activity.finished if self.phase == "finishing" else self.done)

    def figures(self) -> dict[str, float]:
        """Chunks, tokens and cost so far, named as at the end of a sync; `chunks_to_embed` only here."""
        activity = self.activity
        if not activity.chunks:
            return {}
        return {
            "chunks_embedded": activity.embedded,
            "chunks_to_embed": activity.chunks,
            "tokens": activity.tokens,
            **({} if activity.cost_usd is None else {"cost_usd": activity.cost_usd}),
        }

    def snapshot(self) -> dict[str, Any]:
        """The counters as JSON. What is not known, or nothing, is left out."""
        body: dict[str, Any] = {
            "status": "reading" if self.running else self.status,
            "read": self.read,
            "written": self.written,
            "bytes": self.nbytes,
            "records_per_s": round(self.rate, 1),
            "lag_s": None if self.lag_s is None else round(self.lag_s, 1),
        }
        if not self.running:
            return body
        activity, left = self.activity, self.left_s
        body |= {"phase": self.phase, "done": round(self.done), "figures": self.figures()}
        if self.total is not None:
            body |= {"total": self.total, "estimated": self.estimated}
        if left is not None:
            body["left_s"] = round(left)
        if activity.to_finish:
            body |= {"finished": activity.finished, "to_finish": activity.to_finish}
        if self.waiting is not None or activity.waiting is not None:
            body["waiting"] = self.waiting or activity.waiting
        return body


@dataclass(slots=True)
class Windows:
    """The windows of a continuous sync that have ended: their number, how many were suspicious, the end of the last
    one in epoch seconds, and the sums of each stream: `read`, `written` and `bytes`."""

    ended: int = 0
    suspicious: int = 0
    last_at: float = 0.0
    sums: dict[str, dict[str, int]] = field(default_factory=dict)

    def add(self, result: Result) -> None:
        self.ended += 1
        self.suspicious += result.status is Status.suspicious
        self.last_at = time.time()
        for key, stream in result.streams.items():
            sums = self.sums.setdefault(key, {"read": 0, "written": 0, "bytes": 0})
            sums["read"] += stream.read
            sums["written"] += stream.written + stream.unchanged + stream.deleted
            sums["bytes"] += stream.nbytes

    def added_to(self, streams: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """Snapshots of streams with the sums of the windows before."""
        added = {}
        for key in [*streams, *(key for key in self.sums if key not in streams)]:
            body = {"status": "reading", "read": 0, "written": 0, "bytes": 0, **streams.get(key, {})}
            added[key] = body | {name: body[name] + value for name, value in self.sums.get(key, {}).items()}
        return added

    def snapshot(self) -> dict[str, Any]:
        return {"ended": self.ended, "suspicious": self.suspicious, "last_at": round(self.last_at, 3)}


@dataclass(slots=True)
class Progress:
    """All streams of a sync, by their name in the source. One thread writes it; others may read it at any time.

    `expected`: the records that a full refresh of a stream had the last time. What the source says counts more.
    `windows`: those of a continuous sync; `streams` are those of the present window.
    """

    streams: dict[str, StreamProgress] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)
    waits: Activity = field(default_factory=Activity)
    """The announced waits of all streams."""
    pace: Pace = field(default_factory=Pace)
    expected: Mapping[str, int] = field(default_factory=dict)
    windows: Windows | None = None
    lag_s: float | None = None
    """The lag of the last change that was written, of any stream."""

    def end_window(self, result: Result) -> None:
        """A window has ended: its figures become sums."""
        self.windows = self.windows or Windows()
        self.windows.add(result)
        self.streams = {}

    def snapshot(self) -> dict[str, Any]:
        """The counters as JSON."""
        streams = list(self.streams.items())
        for _, stream in streams:
            stream.note()
        bodies, summary = {name: stream.snapshot() for name, stream in streams}, self.summary()
        body = {
            "seconds": round(time.monotonic() - self.started, 1),
            "streams": bodies,
            "waiting": self.waits.waiting,
            "requested_wait_s": self.waits.requested_wait_s,
            "summary": summary,
        }
        if self.windows is not None:
            body["streams"] = bodies = self.windows.added_to(bodies)
            summary |= {name: sum(stream[name] for stream in bodies.values()) for name in ("read", "written")}
            summary |= {"streams": len(bodies), "windows": self.windows.snapshot()}
        if self.lag_s is not None:
            summary["lag_s"] = round(self.lag_s, 1)
        return body

    def summary(self) -> dict[str, Any]:
        """The sync in short: its phase and counts, the share that is done and the time left where all streams can say
        it.

        With several running streams the phase is that of the stream nearest to its end: finishing, embedding, writing,
        chunking, reading, waiting. `stream` names the stream where there is only one that runs.
        """
        streams = dict(self.streams)
        running = {name: stream for name, stream in streams.items() if stream.running}
        phases = {stream.phase for stream in running.values()}
        phase = next((phase for phase in (*SHOWN_FIRST, "waiting") if phase in phases), None)
        totals = [stream.total for stream in streams.values()]
        total = None if not totals or None in totals else sum(total or 0 for total in totals)
        done = sum(stream.done for stream in streams.values())
        self.pace.note(done)
        figures: dict[str, float] = {}
        for stream in streams.values():
            for name, value in stream.figures().items():
                figures[name] = figures.get(name, 0) + value
        finishing = [stream for stream in running.values() if stream.activity.to_finish]
        return {
            "phase": phase,
            "stream": next(iter(running)) if len(running) == 1 else None,
            "streams": len(streams),
            "streams_ended": sum(stream.status in ENDED for stream in streams.values()),
            "read": sum(stream.read for stream in streams.values()),
            "written": sum(stream.written for stream in streams.values()),
            "records_per_s": round(sum(stream.rate for stream in running.values()), 1),
            "done": round(done),
            "total": total,
            "estimated": any(stream.estimated for stream in streams.values()),
            "left_s": rounded(left_s(done, total, self.pace) if phase != "finishing" else None),
            "finished": sum(stream.activity.finished for stream in finishing),
            "to_finish": sum(stream.activity.to_finish for stream in finishing),
            "figures": figures,
            "waiting": self.waits.waiting
            or next((stream.waiting for stream in running.values() if stream.waiting), None),
        }


def left_s(done: float, total: float | None, pace: Pace) -> float | None:
    """The seconds from `done` to `total` at this pace."""
    per_s = pace.per_s
    if total is None or not per_s or done < total * LEAST_SHARE:
        return None
    return max(0.0, total - done) / per_s


def rounded(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds)


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
