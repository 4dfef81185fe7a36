"""Response models of Kitestring's own API, for the OpenAPI document. Tests hold real answers against them.

A field that an answer may leave out, but never has as null, has a `default_factory`: the document then says neither
`required` nor `null`.
"""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

from pydantic import ConfigDict, Field, RootModel

from kitestring.server.api.airbyte_public.responses import Schedule, SelectedField
from kitestring.server.api.response_models import ResponseModel

JobKind = Literal["sync", "refresh", "clear", "backfill"]
JobStatus = Literal["pending", "running", "incomplete", "succeeded", "suspicious", "failed", "cancelled"]
ConnectorKind = Literal["source", "destination"]


class ErrorRead(ResponseModel):
    """An error: the class, a sentence, and the next action."""

    type: str
    message: str
    hint: str
    fields: dict[str, Any] = Field(default_factory=dict)


# -- jobs --------------------------------------------------------------------------------------------------------------


class JobSummary(ResponseModel):
    """A job without its attempts. Times in UTC milliseconds; `runAfterMs` while the job waits for its next attempt."""

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


class ListedJob(JobSummary):
    """A job of a list, with the name of its connection."""

    connectionName: str


class ListedJobs(ResponseModel):
    """Jobs, newest first."""

    data: list[ListedJob]


class StreamResult(ResponseModel):
    """Counts of one stream. `records_per_s` and `lag_s` (seconds behind the source) only while it runs; `figures`,
    `suspicions` and `error` at its end."""

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
    figures: dict[str, float] = Field(default_factory=dict)
    suspicions: list[str] = Field(default_factory=list)
    error: ErrorRead | None = None


class Wait(ResponseModel):
    """A pause that a sync has announced: how long it still takes, and why."""

    seconds: float
    reason: str


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
    """An entry of a log, with the fields that it was logged with."""

    model_config = ConfigDict(extra="allow")

    at_ms: int
    level: str
    logger: str = Field(default_factory=str)
    message: str


class LogPage(ResponseModel):
    """Entries of an attempt's log. `place` is where to read on; `more`: there are further entries already."""

    entries: list[LogEntry]
    place: int
    more: bool


# -- connections -------------------------------------------------------------------------------------------------------


class EndRead(ResponseModel):
    """The source or the destination of a connection."""

    id: UUID
    name: str
    connector: str


class LastJob(JobSummary):
    """The newest job of a connection, with the sums of its last attempt's counts and figures."""

    figures: dict[str, float]


class ConnectionOverview(ResponseModel):
    """A connection with its ends, its newest job and its next run."""

    connectionId: UUID
    workspaceId: UUID
    name: str
    status: str
    statusReason: str
    failures: int
    source: EndRead
    destination: EndRead
    schedule: Schedule
    nextRunAtMs: int | None
    streamCount: int
    deciding: bool
    job: LastJob | None


class ConnectionOverviews(ResponseModel):
    """A page of connections, and the number of connections on all pages."""

    data: list[ConnectionOverview]
    total: int


class LastStreamResult(StreamResult):
    """The counts of a stream in the last attempt that had it, and its job."""

    jobId: int
    kind: JobKind
    endedAtMs: int | None


class MapperRead(ResponseModel):
    """A mapper of a stream."""

    model_config = ConfigDict(extra="allow")

    type: str


class StreamDetail(ResponseModel):
    """A stream of a connection, how it is moved, and its last counts. `key` is the namespace and the name."""

    key: str
    name: str
    namespace: str = Field(default_factory=str)
    syncMode: str = Field(default_factory=str)
    cursorField: list[str] = Field(default_factory=list)
    primaryKey: list[list[str]] = Field(default_factory=list)
    selectedFields: list[SelectedField] = Field(default_factory=list)
    destinationObjectName: str = Field(default_factory=str)
    mappers: list[MapperRead] = Field(default_factory=list)
    last: LastStreamResult | None


class TagSummary(ResponseModel):
    """A tag of a connection."""

    tagId: UUID
    name: str
    color: str


class SchemaChanges(ResponseModel):
    """The differences of two catalogs. `breaking` are sentences; the others name streams, and fields as
    `stream.field`."""

    newStreams: list[str]
    goneStreams: list[str]
    newFields: list[str]
    goneFields: list[str]
    otherTypes: list[str]
    breaking: list[str]


class PendingChanges(ResponseModel):
    """The changes that wait for an answer; null without any."""

    changes: SchemaChanges | None


class ConnectionDetail(ConnectionOverview):
    """A connection with its settings, its streams and the schema changes that wait for an answer."""

    schemaPolicy: str
    prefix: str
    namespaceDefinition: str
    namespaceFormat: str | None
    managedBy: str
    createdAtMs: int
    tags: list[TagSummary]
    changes: SchemaChanges | None
    streams: list[StreamDetail]


class StreamEstimate(ResponseModel):
    """An estimate of one stream, with the destination's own figures; `sampled`: there is more than was read."""

    model_config = ConfigDict(extra="allow")

    read: int
    deleted: int
    bytes: int
    sampled: bool
    error: str = Field(default_factory=str)


class SyncEstimate(RootModel[dict[str, StreamEstimate]]):
    """Estimates by stream."""


# -- connectors, sources and destinations ------------------------------------------------------------------------------


class ConnectorSummary(ResponseModel):
    """A connector. `icon` is an address, or the text of an SVG."""

    definitionId: str
    kind: ConnectorKind
    name: str
    type: str
    connector: str
    version: str
    native: bool
    installed: bool
    documentationUrl: str
    category: str
    summary: str
    icon: str
    searchable: bool


class ConnectorSummaries(ResponseModel):
    """Connectors, those of Kitestring first."""

    data: list[ConnectorSummary]


class ConnectorDetail(ConnectorSummary):
    """A connector with the JSON Schema of its configuration."""

    spec: dict[str, Any]


class CatalogStream(ResponseModel):
    """A stream of a source, as Airbyte's protocol describes it."""

    model_config = ConfigDict(extra="allow")

    name: str
    json_schema: dict[str, Any]
    namespace: str | None = None
    supported_sync_modes: list[str] = Field(default_factory=list)


class SourceCatalog(ResponseModel):
    """The streams of a source, as a catalog of Airbyte's protocol."""

    streams: list[CatalogStream]


class RejectedRecord(ResponseModel):
    """A record that was rejected, and why."""

    record: dict[str, Any]
    reason: str


class RecordSample(ResponseModel):
    """The first records of a stream."""

    records: list[dict[str, Any]]
    rejected: list[RejectedRecord]


class SearchHit(ResponseModel):
    """A chunk, with the metadata of its record."""

    model_config = ConfigDict(extra="allow")

    id: Any
    distance: float
    text: str | None
    stream: str | None = None


class SearchHits(ResponseModel):
    """Chunks, best first."""

    data: list[SearchHit]


class ConsentVendor(ResponseModel):
    """A source that can be given access by a consent, and the options that it needs first."""

    connector: str
    needs: list[str]


# -- the builder -------------------------------------------------------------------------------------------------------


class ResolvedManifest(RootModel[dict[str, Any]]):
    """A manifest without references and parameters."""


class ManifestDefect(ResponseModel):
    """A defect. `line` and `column` begin at 1; they are 0 where the manifest was sent as values."""

    line: int
    column: int
    path: str
    message: str
    hint: str


class ManifestDefects(ResponseModel):
    """The defects of a manifest, in their order; none if it can be run."""

    defects: list[ManifestDefect]


class HttpExchange(ResponseModel):
    """A request and its answer, secrets masked; bodies are decoded where they are JSON. `ms`: milliseconds."""

    method: str
    url: str
    headers: dict[str, str]
    body: Any
    status: int
    response_headers: dict[str, str]
    response: Any
    error: str
    ms: float


class ManifestPage(ResponseModel):
    """The records of one answer. `attempts`: the tries before it; without an exchange the answer came from a cache."""

    exchange: HttpExchange | None
    records: list[dict[str, Any]]
    rejects: list[dict[str, Any]]
    attempts: list[HttpExchange]


class ManifestSlice(ResponseModel):
    """A slice: its partition and bounds, its pages, and the stream's state behind it."""

    partition: dict[str, Any]
    bounds: dict[str, Any]
    pages: list[ManifestPage]
    state: dict[str, Any]


class LogLine(ResponseModel):
    """A line of the log of a test read."""

    level: str
    message: str


class ManifestReading(ResponseModel):
    """A test read. `limited` names the limits that ended it, `other` are requests that read no page, `error` and `hint`
    say why it ended early."""

    stream: str
    slices: list[ManifestSlice]
    other: list[HttpExchange]
    logs: list[LogLine]
    schema_: dict[str, Any] = Field(alias="schema")
    state: dict[str, Any]
    limited: list[str]
    error: str
    hint: str


class InferredSchema(ResponseModel):
    """A JSON Schema that fits the records."""

    schema_: dict[str, Any] = Field(alias="schema")


# -- configuration as code ---------------------------------------------------------------------------------------------


class FieldChange(ResponseModel):
    """A changed field; secrets are masked."""

    path: str
    before: Any
    after: Any


class ProjectChange(ResponseModel):
    """One change."""

    action: Literal["create", "update", "adopt", "delete"]
    kind: Literal["source", "destination", "connection", "state", "notification"]
    name: str
    fields: list[FieldChange]


class ProjectChanges(ResponseModel):
    """Changes, in the order of doing."""

    changes: list[ProjectChange]


class ProjectFile(ResponseModel):
    """The content of a project file; secrets are variables."""

    sources: dict[str, dict[str, Any]]
    destinations: dict[str, dict[str, Any]]
    connections: dict[str, dict[str, Any]]
    states: dict[str, dict[str, Any]] = Field(default_factory=dict)
    notifications: dict[str, Any] = Field(default_factory=dict)


# -- the server --------------------------------------------------------------------------------------------------------


class ServerSettings(ResponseModel):
    """The version, the kind of store, and the settings by name."""

    version: str
    store: Literal["sqlite", "postgresql"]
    settings: dict[str, Any]


class WorkerRead(ResponseModel):
    """A worker: how many jobs it can run, how many it runs, and how long ago it was seen."""

    workerId: str
    host: str
    slots: int
    running: int
    startedAtMs: int
    seenAgoS: float


class WorkersRead(ResponseModel):
    """The workers that were seen within the last minute."""

    data: list[WorkerRead]
