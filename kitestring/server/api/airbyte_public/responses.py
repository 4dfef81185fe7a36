"""Response models of Airbyte's public API, for the OpenAPI document. Tests hold real answers against them.

A field that an answer may leave out, but never has as null, has a `default_factory`: the document then says neither
`required` nor `null`.
"""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

from pydantic import Field, RootModel

from kitestring.delete_detection import DeletionMode
from kitestring.server.api.response_models import ResponseModel


class Page(ResponseModel):
    """A page of a list. `next` and `previous` are addresses, or empty."""

    next: str
    previous: str


class Tag(ResponseModel):
    """A tag."""

    tagId: UUID
    name: str
    color: str
    workspaceId: UUID


class Tags(ResponseModel):
    """All tags."""

    data: list[Tag]


class Workspace(ResponseModel):
    """A workspace. `notifications` by event."""

    workspaceId: UUID
    name: str
    dataResidency: str
    notifications: dict[str, dict[str, Any]]


class Workspaces(Page):
    """A page of workspaces."""

    data: list[Workspace]


class Organization(ResponseModel):
    """An organization."""

    organizationId: UUID
    organizationName: str
    email: str


class Organizations(ResponseModel):
    """All organizations that the caller can see."""

    data: list[Organization]


class Source(ResponseModel):
    """A source, its secrets masked. `createdAt` in seconds."""

    sourceId: UUID
    name: str
    sourceType: str
    definitionId: UUID
    workspaceId: UUID
    configuration: dict[str, Any]
    createdAt: int


class Sources(Page):
    """A page of sources."""

    data: list[Source]


class Destination(ResponseModel):
    """A destination, its secrets masked. `createdAt` in seconds."""

    destinationId: UUID
    name: str
    destinationType: str
    definitionId: UUID
    workspaceId: UUID
    configuration: dict[str, Any]
    createdAt: int


class Destinations(Page):
    """A page of destinations."""

    data: list[Destination]


class SelectedField(ResponseModel):
    """A field that is moved."""

    fieldPath: list[str]


class ConnectionStream(ResponseModel):
    """A stream of a connection, and how it is moved."""

    name: str
    namespace: str = Field(default_factory=str)
    syncMode: str
    cursorField: list[str]
    primaryKey: list[list[str]]
    selectedFields: list[SelectedField]
    mappers: list[dict[str, Any]]
    includeFiles: bool
    destinationObjectName: str = Field(default_factory=str)
    detectDeletes: DeletionMode | dict[str, Any] = Field(default_factory=lambda: "off")


class ConnectionStreams(ResponseModel):
    """The streams of a connection."""

    streams: list[ConnectionStream]


class ContinuousSchedule(ResponseModel):
    """The windows of a continuous connection, and after which time a new job begins."""

    windowSeconds: int
    rolloverSeconds: int


class Schedule(ResponseModel):
    """The schedule of a connection. The cron expression ends with the time zone. `continuous`, with the type `manual`:
    the connection follows its source without an end."""

    scheduleType: Literal["manual", "cron", "basic"]
    cronExpression: str = Field(default_factory=str)
    basicTiming: str = Field(default_factory=str)
    continuous: ContinuousSchedule | None = Field(default_factory=lambda: None)


class Connection(ResponseModel):
    """A connection. `createdAt` in seconds."""

    connectionId: UUID
    name: str
    sourceId: UUID
    destinationId: UUID
    workspaceId: UUID
    status: Literal["active", "inactive", "deprecated", "locked"]
    statusReason: str = Field(default_factory=str)
    schedule: Schedule
    dataResidency: str
    nonBreakingSchemaUpdatesBehavior: Literal["ignore", "disable_connection", "propagate_columns", "propagate_fully"]
    namespaceDefinition: Literal["source", "destination", "custom_format"]
    namespaceFormat: str = Field(default_factory=str)
    prefix: str
    configurations: ConnectionStreams
    createdAt: int
    tags: list[Tag]


class Connections(Page):
    """A page of connections."""

    data: list[Connection]


class Job(ResponseModel):
    """A job. Times in ISO 8601; `lastUpdatedAt` once it has ended."""

    jobId: int
    status: Literal["pending", "running", "incomplete", "failed", "succeeded", "cancelled"]
    jobType: Literal["sync", "reset", "clear", "refresh"]
    startTime: str
    connectionId: UUID
    lastUpdatedAt: str = Field(default_factory=str)
    duration: str
    bytesSynced: int
    rowsSynced: int


class Jobs(Page):
    """A page of jobs."""

    data: list[Job]


class StreamProperty(ResponseModel):
    """A stream of a source, and its sync modes."""

    streamName: str
    streamnamespace: str | None
    syncModes: list[str]
    defaultCursorField: list[str]
    sourceDefinedCursorField: bool
    sourceDefinedPrimaryKey: list[list[str]]
    propertyFields: list[list[str]]


class StreamProperties(RootModel[list[StreamProperty]]):
    """The streams of a source."""


class Definition(ResponseModel):
    """A connector."""

    id: UUID
    name: str
    dockerRepository: str
    dockerImageTag: str
    documentationUrl: str | None = None


class Definitions(Page):
    """All connectors of a kind."""

    data: list[Definition]


class ConnectorDefinition(ResponseModel):
    """A connector in short."""

    id: UUID
    name: str
    connectorDefinitionType: Literal["source", "destination"]
    version: str


class ConnectorDefinitions(ResponseModel):
    """All connectors of a kind in short."""

    data: list[ConnectorDefinition]


class LowCode(ResponseModel):
    """A low-code source. `version` counts its changes."""

    id: UUID
    name: str
    manifest: dict[str, Any]
    version: int


class LowCodes(Page):
    """The low-code sources of a workspace."""

    data: list[LowCode]
