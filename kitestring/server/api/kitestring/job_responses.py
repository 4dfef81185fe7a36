"""Response models of jobs, their attempts, progress and logs, for the OpenAPI document."""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

from pydantic import ConfigDict, Field

from kitestring.server.api.response_models import ResponseModel

JobKind = Literal["sync", "refresh", "clear", "backfill"]
JobStatus = Literal["pending", "running", "incomplete", "succeeded", "suspicious", "failed", "cancelled"]


class ErrorRead(ResponseModel):
    """An error: the class, a sentence, and the next action."""

    type: str
    message: str
    hint: str
    fields: dict[str, Any] = Field(default_factory=dict)


class Wait(ResponseModel):
    """A pause that a sync has announced: how long it still takes, and why."""

    seconds: float
    reason: str


class ProgressSummary(ResponseModel):
    """How far a running job is. `lag_s`, of a continuous job: how old the last change was when it was written.

    `phase`: waiting (for a rate limit or a retry), reading, chunking, embedding, writing or finishing, of the stream
    that is nearest to its end; `stream` where only one runs. `done` and `total` are records: the total is null where it
    is not known, and `estimated` before all is read; `left_s` is null where the time left cannot be told. `finished` of
    `to_finish` chunks of an overwrite are in the store. `figures`: chunks, tokens and cost so far.
    """

    phase: str | None
    stream: str | None
    streams: int
    streams_ended: int
    read: int
    written: int
    records_per_s: float
    done: int
    total: int | None
    estimated: bool = False
    left_s: int | None
    finished: int
    to_finish: int
    figures: dict[str, float]
    waiting: Wait | None = None
    lag_s: float | None = None


class JobWindows(ResponseModel):
    """The windows of a continuous job that have ended, how many of them were suspicious, and the reasons of the first
    that was. `goodAtMs`: the end of the last window that added up."""

    ended: int
    suspicious: int
    endedAtMs: int | None
    goodAtMs: int | None
    reasons: list[str]


class JobSummary(ResponseModel):
    """A job without its attempts. Times in UTC milliseconds; `runAfterMs` while the job waits for its next attempt,
    `progress` while it runs."""

    jobId: int
    connectionId: UUID
    workspaceId: UUID
    kind: JobKind
    status: JobStatus
    cause: str
    options: dict[str, Any]
    attempts: int
    records: int
    bytes: int
    error: ErrorRead | None
    cancelRequested: bool
    worker: str | None
    createdAtMs: int
    startedAtMs: int | None
    endedAtMs: int | None
    runAfterMs: int | None
    progress: ProgressSummary | None
    continuous: bool
    windows: JobWindows | None


class ListedJob(JobSummary):
    """A job of a list, with the name of its connection."""

    connectionName: str


class ListedJobs(ResponseModel):
    """Jobs, newest first; with `counted` how many have each status."""

    data: list[ListedJob]
    counts: dict[str, int] = Field(default_factory=dict)


class StreamResult(ResponseModel):
    """Counts of one stream. While it runs also its rate, `lag_s` (seconds behind the source), `phase`, and as far as
    they are known `done` of `total` records and the time left; `suspicions` and `error` at its end."""

    status: str
    read: int = Field(default_factory=int)
    written: int = Field(default_factory=int)
    unchanged: int = Field(default_factory=int)
    deleted: int = Field(default_factory=int)
    rejected: int = Field(default_factory=int)
    superseded: int = Field(default_factory=int)
    filtered: int = Field(default_factory=int)
    bytes: int = Field(default_factory=int)
    seconds: float = Field(default_factory=float)
    records_per_s: float = Field(default_factory=float)
    lag_s: float | None = None
    phase: str | None = None
    done: int = Field(default_factory=int)
    total: int = Field(default_factory=int)
    estimated: bool = Field(default_factory=bool)
    left_s: float = Field(default_factory=float)
    finished: int = Field(default_factory=int)
    to_finish: int = Field(default_factory=int)
    waiting: Wait = Field(default_factory=lambda: Wait(seconds=0.0, reason=""))
    figures: dict[str, float] = Field(default_factory=dict)
    suspicions: list[str] = Field(default_factory=list)
    error: ErrorRead | None = None


class SyncProgress(ResponseModel):
    """The counters of a running attempt, by stream."""

    seconds: float = Field(default_factory=float)
    streams: dict[str, StreamResult] = Field(default_factory=dict)
    waiting: Wait | None = None


class AttemptRead(ResponseModel):
    """An attempt of a job: `progress` while it runs, `streams` at its end, `durable` what its checkpoints cover."""

    number: int
    status: str
    worker: str
    startedAtMs: int
    endedAtMs: int | None
    progress: SyncProgress | None
    streams: dict[str, StreamResult] | None
    durable: dict[str, dict[str, Any]] | None
    error: ErrorRead | None


class JobDetail(JobSummary):
    """A job with its attempts."""

    history: list[AttemptRead]


class LogEntry(ResponseModel):
    """An entry of a log, with the fields that it was logged with. `place`: where it is in the log."""

    model_config = ConfigDict(extra="allow")

    place: int = Field(default_factory=int)
    at_ms: int
    level: str
    logger: str = Field(default_factory=str)
    message: str


class LogPage(ResponseModel):
    """Entries of an attempt's log. `start` is where they begin, `place` where to read on; `more`: there are further
    entries already."""

    entries: list[LogEntry]
    start: int
    place: int
    more: bool
