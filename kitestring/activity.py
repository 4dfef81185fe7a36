"""The present activity of a stream: the working code reports phases and counts, and a display polls them.

    with activity.phase("chunking"):
        …
    activity.expect(470)

Outside a sync the reports have no effect.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from typing import Any, Literal, TypeAlias

from kitestring.current_stream import STREAM

Phase: TypeAlias = Literal["reading", "chunking", "embedding", "writing", "finishing"]
SHOWN_FIRST: tuple[Phase, ...] = ("finishing", "embedding", "writing", "chunking", "reading")
"""A stream is read, chunked, embedded and written at the same time: the phase that is shown."""


class Activity:
    """The activity of one stream of a sync. Several threads report at once, and any thread may read.

    `records` were chunked into `chunks` that are to be embedded, of which `embedded` are; `tokens` and `cost_usd` are
    those of the embedded ones, the cost None where the price is unknown. `expected`: the records that the source said
    it would yield. `finished` of `to_finish` chunks of an overwrite are in the store.
    """

    __slots__ = (
        *("_lock", "_phases", "began", "chunks", "cost_usd", "embedded", "expected"),
        *("embedding_waits", "finished", "records", "requested_until", "retrying", "to_finish", "tokens"),
        *("omission", "waiting_reason", "waiting_until"),
    )

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._phases: dict[Phase, int] = {}
        self.began = 0.0
        """When the first phase began, in monotonic seconds; 0.0: not yet."""
        self.records = self.chunks = self.embedded = self.tokens = 0
        self.cost_usd: float | None = None
        self.expected: int | None = None
        self.finished = self.to_finish = 0
        self.omission = ""
        """Why the read may lack records although it does not fail: a response that is ignored as configured."""
        self.waiting_until = self.requested_until = 0.0
        self.waiting_reason = ""
        self.embedding_waits: tuple[float, str] = (0.0, "")
        """Until when an embedding waits, and why."""
        self.retrying = False
        """An embedding failed and is tried again, and no chunk was embedded since."""

    @property
    def phase(self) -> Phase | None:
        """The phase to show; None while nothing is done for the stream."""
        with self._lock:
            return next((phase for phase in SHOWN_FIRST if self._phases.get(phase)), None)

    def begin(self, phase: Phase) -> None:
        with self._lock:
            self.began = self.began or time.monotonic()
            self._phases[phase] = self._phases.get(phase, 0) + 1

    def end(self, phase: Phase) -> None:
        with self._lock:
            self._phases[phase] -= 1

    def wait(self, seconds: float, reason: str, retry: bool = False) -> None:
        """Note an announced wait; the longest counts. `retry`: after a failure, by our own choice; else the other side
        or a budget asks for it."""
        until = time.monotonic() + seconds
        if _EMBEDDING.get() is not None:
            self.embedding_waits = max(self.embedding_waits, (until, reason))
            self.retrying = self.retrying or retry
        if until > self.waiting_until:
            self.waiting_until, self.waiting_reason = until, reason
        if retry:
            return
        self.requested_until = max(self.requested_until, until)

    @property
    def waiting(self) -> dict[str, Any] | None:
        """The announced wait: the seconds that it still lasts, and its reason."""
        remaining_s = self.waiting_until - time.monotonic()
        return {"seconds": round(remaining_s, 1), "reason": self.waiting_reason} if remaining_s > 0 else None

    @property
    def embedding_waiting(self) -> dict[str, Any] | None:
        """The wait of an embedding. With 0 seconds, one that failed is being tried again."""
        until, reason = self.embedding_waits
        remaining_s = max(0.0, until - time.monotonic())
        return {"seconds": round(remaining_s, 1), "reason": reason} if remaining_s or self.retrying else None

    @property
    def requested_wait_s(self) -> float:
        """The seconds that a wait which was asked for still lasts; 0 without one."""
        return round(max(0.0, self.requested_until - time.monotonic()), 1)

    def count(self, records: int = 0, chunks: int = 0, embedded: int = 0, tokens: int = 0) -> None:
        with self._lock:
            self.records += records
            self.chunks += chunks
            self.embedded += embedded
            if embedded > 0:
                self.retrying = False
            self.tokens += tokens

    def spend(self, usd: float) -> None:
        with self._lock:
            self.cost_usd = (self.cost_usd or 0.0) + usd


ACTIVITIES: ContextVar[Mapping[str, Activity]] = ContextVar("kitestring_activities")
"""The activities of the running sync by the stream's key, in the threads that work for it."""


def current() -> Activity | None:
    """The activity of the stream that this thread works for; None outside a sync."""
    return ACTIVITIES.get({}).get(STREAM.get())


@contextlib.contextmanager
def phase(name: Phase) -> Iterator[None]:
    """The current stream is in this phase until the block ends."""
    activity = current()
    if activity is None:
        yield
        return
    activity.begin(name)
    try:
        yield
    finally:
        activity.end(name)


def expect(records: int, stream: str = "") -> None:
    """The source says how many records the stream will have yielded at the end of this sync. Default: the current
    one."""
    activity = ACTIVITIES.get({}).get(stream or STREAM.get())
    if activity is not None:
        activity.expected = records


def omit(reason: str) -> None:
    """Records of the current stream may be left out, as it is configured: what is not read may still exist."""
    activity = current()
    if activity is not None:
        activity.omission = activity.omission or reason


def finishing(chunks: int, of: int) -> None:
    """So many of the chunks of an overwrite are in the store."""
    activity = current()
    if activity is not None:
        activity.finished, activity.to_finish = chunks, of


class Embedding:
    """The embedding of the chunks of one batch: embedders report how many they have done. What is not reported counts
    at the end; what fails counts as never begun."""

    def __init__(self, activity: Activity, chunks: int, tokens: int, usd_per_million: float | None) -> None:
        self.activity = activity
        self.chunks = chunks
        self.tokens = tokens
        self.usd_per_million = usd_per_million
        self._embedded = self._tokens = 0

    def done(self, chunks: int) -> None:
        """So many more chunks have their vectors."""
        embedded = min(chunks, self.chunks - self._embedded)
        self._embedded += embedded
        tokens = self.tokens * self._embedded // self.chunks - self._tokens
        self._tokens += tokens
        self.activity.count(embedded=embedded, tokens=tokens)
        self._spend(tokens)

    def undo(self) -> None:
        self.activity.count(chunks=-self.chunks, embedded=-self._embedded, tokens=-self._tokens)
        self._spend(-self._tokens)

    def _spend(self, tokens: int) -> None:
        if self.usd_per_million is not None:
            self.activity.spend(tokens * self.usd_per_million / 1_000_000)


_EMBEDDING: ContextVar[Embedding | None] = ContextVar("kitestring_embedding", default=None)


@contextlib.contextmanager
def embedding(chunks: int, tokens: int = 0, usd_per_million: float | None = None) -> Iterator[None]:
    """These chunks of the current stream are embedded until the block ends."""
    activity = current()
    if activity is None or not chunks:
        yield
        return
    batch = Embedding(activity, chunks, tokens, usd_per_million)
    activity.count(chunks=chunks)
    before = _EMBEDDING.set(batch)
    try:
        with phase("embedding"):
            yield
        batch.done(chunks)
    except BaseException:
        batch.undo()
        raise
    finally:
        _EMBEDDING.reset(before)


def embedded(chunks: int) -> None:
    """An embedder has the vectors of so many more chunks."""
    batch = _EMBEDDING.get()
    if batch is not None:
        batch.done(chunks)


@contextlib.contextmanager
def chunked(records: int) -> Iterator[None]:
    """These records of the current stream were split into chunks; if the block fails, they will be again."""
    activity = current()
    if activity is not None:
        activity.count(records=records)
    try:
        yield
    except BaseException:
        if activity is not None:
            activity.count(records=-records)
        raise
