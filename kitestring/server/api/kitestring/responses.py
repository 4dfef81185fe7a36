"""Response models of Kitestring's own API, for the OpenAPI document. Tests hold real answers against them.

A field that an answer may leave out, but never has as null, has a `default_factory`: the document then says neither
`required` nor `null`.
"""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

from pydantic import ConfigDict, Field, RootModel

from kitestring.delete_detection import DeletionMode
from kitestring.server.api.airbyte_public.responses import Schedule, SelectedField
from kitestring.server.api.kitestring.job_responses import (
    JobKind,
    JobSummary,
    StreamResult,
)
from kitestring.server.api.response_models import ResponseModel

ConnectorKind = Literal["source", "destination"]


# -- connections -------------------------------------------------------------------------------------------------------


class EndRead(ResponseModel):
    """The source or the destination of a connection."""

    id: UUID
    name: str
    connector: str


class LastJob(JobSummary):
    """The newest job of a connection, with the sums of its last attempt's counts and figures."""

    figures: dict[str, float]


class TagSummary(ResponseModel):
    """A tag of a connection."""

    tagId: UUID
    name: str
    color: str


class ConnectionOverview(ResponseModel):
    """A connection with its ends, its newest job and its next run. `owner` created it (empty: not known, or
    the caller is no editor there); `freshAtMs` is the start of the last sync that succeeded, or the end of the
    last good window of a continuous one: the destination has all that the source had then."""

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
    owner: str
    freshAtMs: int | None
    tags: list[TagSummary]
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
    detectDeletes: DeletionMode | dict[str, Any] = Field(default_factory=lambda: "off")
    last: LastStreamResult | None


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


class MissingCount(ResponseModel):
    """How many of the `held` records of a stream the last listing of its source lacked."""

    missing: int
    held: int


class WaitingDeletions(ResponseModel):
    """The streams whose deletions wait, by key."""

    streams: dict[str, MissingCount]


SlotState = Literal["active", "inactive", "unreserved", "lost", "missing"]


class SlotRemoval(ResponseModel):
    """What became of the slot of a deleted connection. `message`: what was dropped, or why the slot stays; `hint`: what
    to do then."""

    status: Literal["waiting", "dropped", "kept"]
    message: str
    hint: str


class ReplicationSlot(ResponseModel):
    """The replication slot that a connection reads, as the database showed it at `reportedAtMs`. `behindSeconds`: all
    that was committed so many seconds ago, or earlier, is at the destination; null while that is not known. `safeBytes`
    may still be written before the slot is lost; null without a limit. `problem`: why it could not be seen since.
    `created`: by this server, which drops it with the connection."""

    slot: str
    place: str
    state: SlotState
    walStatus: str
    retainedBytes: int
    safeBytes: int | None
    behindBytes: int | None
    behindSeconds: float | None
    reportedAtMs: int
    problem: str
    alert: str
    created: bool
    removal: SlotRemoval | None


class ConnectionSlot(ResponseModel):
    """The slot of a connection, also of a deleted one; null where its source has none. `keptBecause`: why a deletion
    would leave the slot, and what to do then; null where it would drop it."""

    slot: ReplicationSlot | None
    keptBecause: SlotRemoval | None


class ConnectionDetail(ConnectionOverview):
    """A connection with its settings, its streams and the schema changes that wait for an answer. `version` is for the
    `If-Match` of a change."""

    version: str
    schemaPolicy: str
    prefix: str
    namespaceDefinition: str
    namespaceFormat: str | None
    managedBy: str
    createdAtMs: int
    changes: SchemaChanges | None
    slot: ReplicationSlot | None
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
    """A connector. `icon` is an address, or the text of an SVG. `used`: by how many sources or destinations of the
    workspace that the list is for. `custom`: it is of that workspace, from the builder or given over the API."""

    definitionId: str
    kind: ConnectorKind
    name: str
    type: str
    connector: str
    version: str
    native: bool
    custom: bool
    installed: bool
    documentationUrl: str
    category: str
    summary: str
    icon: str
    searchable: bool
    browsable: bool
    followsChanges: bool
    used: int


class ConnectorSummaries(ResponseModel):
    """Connectors, those of Kitestring first."""

    data: list[ConnectorSummary]


class ConnectorDocumentation(ResponseModel):
    """The page of a connector, in Markdown."""

    markdown: str


class ConnectorDetail(ConnectorSummary):
    """A connector with the JSON Schema of its configuration. `suggested`: values that a new form begins with.
    `consentInputs`: the paths of the options that a consent needs first, where its manifest describes one."""

    spec: dict[str, Any]
    suggested: dict[str, Any]
    consentInputs: list[list[str]] | None


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
    """Chunks, best first. `highlights`: for each, the places of words of the question in its text, from and to.

    `distance` is in this `metric` (COSINE, IP, L2, or RRF: the ranks by meaning and by words; empty: not known), and
    the `nearest` chunks have the `largest` or the `smallest`. `lastSyncAtMs`: when the last sync into the destination
    ended well; `writing`: whether a job writes there now."""

    data: list[SearchHit]
    highlights: list[list[list[int]]]
    metric: str
    nearest: Literal["largest", "smallest", ""]
    hybrid: bool
    lastSyncAtMs: int | None
    writing: bool


class ConsentVendor(ResponseModel):
    """A source that can be given access by a consent, and the options that it needs first. `client`: whose OAuth client
    it uses; null: none is registered."""

    connector: str
    needs: list[str]
    client: Literal["workspace", "organization"] | None


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
    leftOut: list[str] = Field(default_factory=list)


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
