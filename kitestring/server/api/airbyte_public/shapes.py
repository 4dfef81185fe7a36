"""The shapes of the public API's answers, for its OpenAPI document; a test holds real answers against them."""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, RootModel

Responses = dict[int | str, dict[str, Any]]


def told(shape: type[BaseModel]) -> Responses:
    """What a route answers with 200. (The answer is not built from it: what it holds is sent as it is.)"""
    return {200: {"model": shape}}


class Shape(BaseModel):
    """An answer."""

    model_config = ConfigDict(extra="forbid")


class Page(Shape):
    """A part of a list: `next` and `previous` are addresses, or empty texts."""

    next: str
    previous: str


class Tag(Shape):
    """A tag."""

    tagId: UUID
    name: str
    color: str
    workspaceId: UUID


class Tags(Shape):
    """All tags."""

    data: list[Tag]


class Workspace(Shape):
    """A workspace. `notifications` by event."""

    workspaceId: UUID
    name: str
    dataResidency: str
    notifications: dict[str, dict[str, Any]]


class Workspaces(Page):
    """A page of workspaces."""

    data: list[Workspace]


class Organization(Shape):
    """An organization."""

    organizationId: UUID
    organizationName: str
    email: str


class Organizations(Shape):
    """All organizations that whoever asks can see."""

    data: list[Organization]


class Source(Shape):
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


class Destination(Shape):
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


class SelectedField(Shape):
    """A field that is moved."""

    fieldPath: list[str]


class Stream(Shape):
    """A stream of a connection, and how it is moved."""

    name: str
    namespace: str | None = None
    syncMode: str
    cursorField: list[str]
    primaryKey: list[list[str]]
    selectedFields: list[SelectedField]
    mappers: list[dict[str, Any]]
    includeFiles: bool
    destinationObjectName: str | None = None


class Streams(Shape):
    """The streams of a connection."""

    streams: list[Stream]


class Schedule(Shape):
    """When a connection runs. The time zone stands behind the cron expression."""

    scheduleType: Literal["manual", "cron", "basic"]
    cronExpression: str | None = None
    basicTiming: str | None = None


class Connection(Shape):
    """A connection. `createdAt` in seconds."""

    connectionId: UUID
    name: str
    sourceId: UUID
    destinationId: UUID
    workspaceId: UUID
    status: Literal["active", "inactive", "deprecated", "locked"]
    statusReason: str | None = None
    schedule: Schedule
    dataResidency: str
    nonBreakingSchemaUpdatesBehavior: Literal["ignore", "disable_connection", "propagate_columns", "propagate_fully"]
    namespaceDefinition: Literal["source", "destination", "custom_format"]
    namespaceFormat: str | None = None
    prefix: str
    configurations: Streams
    createdAt: int
    tags: list[Tag]


class Connections(Page):
    """A page of connections."""

    data: list[Connection]


class Job(Shape):
    """A job. Times in ISO 8601; `lastUpdatedAt` once it has ended."""

    jobId: int
    status: Literal["pending", "running", "incomplete", "failed", "succeeded", "cancelled"]
    jobType: Literal["sync", "reset", "clear", "refresh"]
    startTime: str
    connectionId: UUID
    lastUpdatedAt: str | None = None
    duration: str
    bytesSynced: int
    rowsSynced: int


class Jobs(Page):
    """A page of jobs."""

    data: list[Job]


class StreamProperty(Shape):
    """What a stream of a source is, and the sync modes that fit it."""

    streamName: str
    streamnamespace: str | None
    syncModes: list[str]
    defaultCursorField: list[str]
    sourceDefinedCursorField: bool
    sourceDefinedPrimaryKey: list[list[str]]
    propertyFields: list[list[str]]


class StreamProperties(RootModel[list[StreamProperty]]):
    """The streams of a source: a bare list."""


class Definition(Shape):
    """A connector."""

    id: UUID
    name: str
    dockerRepository: str
    dockerImageTag: str
    documentationUrl: str | None = None


class Definitions(Page):
    """All connectors of a kind."""

    data: list[Definition]


class ConnectorDefinition(Shape):
    """A connector in short."""

    id: UUID
    name: str
    connectorDefinitionType: Literal["source", "destination"]
    version: str


class ConnectorDefinitions(Shape):
    """All connectors of a kind in short."""

    data: list[ConnectorDefinition]


class LowCode(Shape):
    """A low-code source. `version` counts its changes."""

    id: UUID
    name: str
    manifest: dict[str, Any]
    version: int


class LowCodes(Page):
    """The low-code sources of a workspace."""

    data: list[LowCode]
