"""The settings of a server in a project file: sources, destinations, connections, notifications and states by name."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from kitestring.airbyte.modes import WriteWord
from kitestring.delete_detection import DeletionMode
from kitestring.project_file import EventName
from kitestring.server.connectors.definitions import Kind
from kitestring.server.notifications import notification_settings

KINDS: tuple[Kind, ...] = ("source", "destination")


class EndpointSpec(BaseModel):
    """A source or a destination of a project file, its variables filled in. `manifest`: a low-code source by values."""

    model_config = ConfigDict(extra="forbid")

    connector: str
    version: str | None = None
    config: dict[str, Any] = Field(default_factory=dict)
    manifest: dict[str, Any] | None = None


class StreamSpec(BaseModel):
    """A stream of a connection, as a project file has it."""

    model_config = ConfigDict(extra="forbid")

    name: str
    sync_mode: Literal["full_refresh", "incremental"] | None = None
    write_mode: WriteWord | None = None
    primary_key: list[str] | None = None
    cursor: str | None = None
    fields: list[str] | None = None
    alias: str | None = None
    mappers: list[dict[str, Any]] | None = None
    detect_deletes: DeletionMode | dict[str, Any] | None = None


class ConnectionSpec(BaseModel):
    """A connection of a project file."""

    model_config = ConfigDict(extra="forbid")

    source: str
    destination: str
    streams: list[StreamSpec] | None = None
    prefix: str = ""
    namespace: str | None = None
    max_rejects: int = 1000
    max_nulled_share: float = Field(default=0.01, ge=0, le=1)
    allow_empty: bool = False
    schedule: dict[str, Any] = Field(default_factory=lambda: {"type": "manual"})
    schema_policy: Literal["ignore", "disable_connection", "propagate_columns", "propagate_fully"] = "ignore"
    paused: bool = False


Name = Annotated[str, Field(min_length=1)]


class ProjectSpec(BaseModel):
    """All that a project file asks for."""

    model_config = ConfigDict(extra="forbid")

    sources: dict[Name, EndpointSpec] = Field(default_factory=dict)
    destinations: dict[Name, EndpointSpec] = Field(default_factory=dict)
    connections: dict[Name, ConnectionSpec] = Field(default_factory=dict)
    notifications: dict[EventName, notification_settings.Receivers] = Field(default_factory=dict)
    states: dict[str, dict[str, dict[str, Any]]] = Field(default_factory=dict)
    """By connection and stream. A connection that is named has these states afterwards and no others."""

    def ends(self, kind: Kind) -> dict[str, EndpointSpec]:
        return self.sources if kind == "source" else self.destinations
