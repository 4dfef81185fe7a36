"""Connections of Airbyte's Config API, and the two calls of its web interface's own that clients make."""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection

from kitestring.server.api.airbyte_config import catalog, jobs
from kitestring.server.api.airbyte_public.jobs import row_of
from kitestring.server.auth.access import Editor, Reader, Runner, ServerContext
from kitestring.server.connections import connection, endpoints, schedule
from kitestring.server.context import Context
from kitestring.server.http.problem import Problem

router = APIRouter(tags=["config: connections"])

NAMESPACES = {"source": "source", "destination": "destination", "customformat": "custom_format"}
POLICIES = {name: name for name in connection.POLICIES} | {"disable": "disable_connection"}
SAID_NAMESPACES = {ours: theirs for theirs, ours in NAMESPACES.items()}
SAID_POLICIES = {"disable_connection": "disable"}
"""The Config API spells these two without the words that the public API has."""


class ConnectionRef(BaseModel):
    """A connection."""

    model_config = ConfigDict(extra="ignore")

    connectionId: UUID


class ConnectionGet(ConnectionRef):
    """A connection, with the catalog of its source as it is now or as it was accepted."""

    withRefreshedCatalog: bool = False


class ConnectionsInWorkspace(BaseModel):
    """The connections of a workspace."""

    model_config = ConfigDict(extra="ignore")

    workspaceId: UUID


class Basic(BaseModel):
    """Every so often."""

    model_config = ConfigDict(extra="ignore")

    units: int = Field(ge=1, le=10_000)
    timeUnit: Literal["minutes", "hours", "days", "weeks", "months"]


class Cron(BaseModel):
    """By cron."""

    model_config = ConfigDict(extra="ignore")

    cronExpression: str
    cronTimeZone: str = "UTC"


class ConfigSchedule(BaseModel):
    """When a connection runs."""

    model_config = ConfigDict(extra="ignore")

    basicSchedule: Basic | None = None
    cron: Cron | None = None


class SyncCatalog(BaseModel):
    """Every stream with how it is moved."""

    model_config = ConfigDict(extra="ignore")

    streams: list[dict[str, Any]]


class ConfigConnectionChange(BaseModel):
    """What a connection is to be like. What is left out stays."""

    model_config = ConfigDict(extra="ignore")

    name: str | None = None
    namespaceDefinition: Literal["source", "destination", "customformat"] | None = None
    namespaceFormat: str | None = None
    prefix: str | None = None
    syncCatalog: SyncCatalog | None = None
    schedule: Basic | None = None
    scheduleType: Literal["manual", "basic", "cron"] | None = None
    scheduleData: ConfigSchedule | None = None
    status: Literal["active", "inactive", "deprecated"] | None = None
    nonBreakingChangesPreference: Literal["ignore", "disable", "propagate_columns", "propagate_fully"] | None = None
    operationIds: list[str] | None = None
    operations: list[dict[str, Any]] | None = None

    def values(self) -> dict[str, Any]:
        """The columns that change, without the streams."""
        if self.operationIds or self.operations:
            raise Problem(422, "the connection has operations, and there are none here", hint="Leave them out.")
        found: dict[str, Any] = {
            "name": self.name,
            "namespace_definition": NAMESPACES[self.namespaceDefinition] if self.namespaceDefinition else None,
            "namespace_format": self.namespaceFormat,
            "prefix": self.prefix,
            "schema_policy": POLICIES[self.nonBreakingChangesPreference] if self.nonBreakingChangesPreference else None,
            "status": self.status,
            "schedule": self.timing(),
        }
        return {name: value for name, value in found.items() if value is not None}

    def timing(self) -> dict[str, Any] | None:
        """The schedule in the store's form; None where the request says nothing of it."""
        data = self.scheduleData or ConfigSchedule()
        basic = data.basicSchedule or self.schedule
        kind = self.scheduleType or ("cron" if data.cron else "basic" if basic else None)
        if kind is None:
            return None
        if kind == "manual":
            return dict(schedule.MANUAL)
        if kind == "cron" and data.cron:
            form = {"type": "cron", "expression": data.cron.cronExpression, "time_zone": data.cron.cronTimeZone}
            return schedule.parse(form)
        if kind == "basic" and basic:
            return schedule.parse({"type": "basic", "every": basic.units, "unit": basic.timeUnit})
        raise Problem(422, f"the scheduleType is {kind}, and scheduleData has no {kind}", hint="Give both.")


class ConfigConnectionUpdate(ConfigConnectionChange):
    """A change of one connection."""

    connectionId: UUID
    skipReset: bool | None = None


class ConfigConnectionCreate(ConfigConnectionChange):
    """A new connection."""

    sourceId: UUID
    destinationId: UUID


def answer(context: Context, db: Connection, row: Any, body: Any = None) -> dict[str, Any]:
    """A row as the Config API shows it; `body` stands in for the catalog that is kept."""
    return {
        "connectionId": row.id,
        "name": row.name,
        "workspaceId": row.workspace_id,
        "sourceId": row.source_id,
        "destinationId": row.destination_id,
        "namespaceDefinition": SAID_NAMESPACES[row.namespace_definition],
        "namespaceFormat": row.namespace_format,
        "prefix": row.prefix,
        "status": row.status,
        **({"statusReason": row.status_reason} if row.status_reason else {}),
        **timing(row.schedule),
        "syncCatalog": catalog.shown(body or row.catalog, row.streams),
        "operationIds": [],
        "nonBreakingChangesPreference": SAID_POLICIES.get(row.schema_policy, row.schema_policy),
        "breakingChange": row.pending_changes is not None,
        "notifySchemaChanges": True,
        "createdAt": row.created_at_ms // 1000,
        "tags": [
            {"tagId": one.id, "workspaceId": one.workspace_id, "name": one.name, "color": one.color}
            for one in connection.tags_of(db, [row.id])[row.id]
        ],
    }


def timing(form: schedule.Schedule) -> dict[str, Any]:
    """A schedule as `scheduleType` and `scheduleData`."""
    if form["type"] == "cron":
        cron = {"cronExpression": form["expression"], "cronTimeZone": form.get("time_zone") or "UTC"}
        return {"scheduleType": "cron", "scheduleData": {"cron": cron}}
    if form["type"] == "basic":
        basic = {"units": form["every"], "timeUnit": form["unit"]}
        return {"scheduleType": "basic", "scheduleData": {"basicSchedule": basic}, "schedule": basic}
    return {"scheduleType": "manual"}


def one(context: Context, connection_id: str, body: Any = None) -> dict[str, Any]:
    with context.store.read() as db:
        return answer(context, db, connection.get(db, connection_id), body)


@router.post("/connections/get", operation_id="configGetConnection")
def get(who: Reader, context: ServerContext, body: ConnectionRef) -> Any:
    return one(context, str(body.connectionId))


@router.post("/connections/list", operation_id="configListConnections")
def listed(who: Reader, context: ServerContext, body: ConnectionsInWorkspace) -> Any:
    """All connections of a workspace."""
    with context.store.read() as db:
        rows = connection.find_all(db, workspace_ids=[str(body.workspaceId)])
        return {"connections": [answer(context, db, row) for row in rows]}


@router.post("/connections/create", operation_id="configCreateConnection")
def create(who: Editor, context: ServerContext, body: ConfigConnectionCreate) -> Any:
    """Discovers the source where no catalog of it is kept. Without `syncCatalog` all streams are taken."""
    with context.store.read() as db:
        endpoints.get(db, "destination", str(body.destinationId))
    values = body.values()
    found = connection.discover(context, str(body.sourceId))
    streams = catalog.wanted(body.syncCatalog.model_dump(), found) if body.syncCatalog else None
    with context.store.write() as db:
        made = connection.create(
            context,
            db,
            source_id=str(body.sourceId),
            destination_id=str(body.destinationId),
            streams=connection.configure_streams(found, None) if streams is None else streams,
            catalog=found,
            timing=values.pop("schedule", None),
            **values,
        )
    return one(context, made)


@router.post("/connections/update", operation_id="configUpdateConnection")
def update(who: Editor, context: ServerContext, body: ConfigConnectionUpdate) -> Any:
    """Nothing is cleared or read again: what the streams lose stays at the destination."""
    connection_id, values = str(body.connectionId), body.values()
    with context.store.read() as db:
        row = connection.get(db, connection_id)
    if row.status == "locked":
        raise Problem(409, f"the connection {row.id} is locked", hint="Unlock it first.")
    if body.syncCatalog is not None:
        found = connection.discover(context, row.source_id)
        values |= {"streams": catalog.wanted(body.syncCatalog.model_dump(), found), "catalog": dict(found.body)}
    with context.store.write() as db:
        if values.get("status") == "deprecated":
            shown = {**answer(context, db, row), "status": "deprecated"}
            connection.delete(context, db, row.id)
            return shown
        connection.change(context, db, row.id, values)
    return one(context, row.id)


@router.post("/connections/delete", status_code=204, operation_id="configDeleteConnection")
def delete(who: Editor, context: ServerContext, body: ConnectionRef) -> Response:
    with context.store.write() as db:
        connection.delete(context, db, str(body.connectionId))
    return Response(status_code=204)


def started(context: Context, connection_id: str, kind: str, asked: str = "") -> dict[str, Any]:
    """A new job. 409 while the connection has one that has not ended."""
    with context.store.write() as db:
        made = connection.start(context, db, connection_id, kind, {"asked": asked} if asked else {})
        return jobs.info(context, db, row_of(db, made))


@router.post("/connections/sync", operation_id="configSyncConnection")
def sync(who: Runner, context: ServerContext, body: ConnectionRef) -> Any:
    return started(context, str(body.connectionId), "sync")


@router.post("/connections/reset", operation_id="configResetConnection")
def reset(who: Editor, context: ServerContext, body: ConnectionRef) -> Any:
    """Empty all streams at the destination and forget how far they were read."""
    return started(context, str(body.connectionId), "clear", "reset")


@router.post("/connections/clear", operation_id="configClearConnection")
def clear(who: Editor, context: ServerContext, body: ConnectionRef) -> Any:
    return started(context, str(body.connectionId), "clear")


# -- as the web interface asks -----------------------------------------------------------------------------------------


def full(context: Context, connection_id: str, body: Any = None) -> dict[str, Any]:
    """A connection with its two ends in it."""
    from kitestring.server.api.airbyte_config.actors import answer as end

    shown = one(context, connection_id, body)
    with context.store.read() as db:
        for kind in ("source", "destination"):
            shown[kind] = end(db, kind, endpoints.get(db, kind, shown[f"{kind}Id"]))
        shown["isSyncing"] = context.queue.active(db, connection_id) is not None
    return shown


@router.post("/web_backend/connections/get", operation_id="configWebBackendGetConnection")
def web_get(who: Reader, context: ServerContext, body: ConnectionGet) -> Any:
    if not body.withRefreshedCatalog:
        return full(context, str(body.connectionId))
    with context.store.read() as db:
        source_id = connection.get(db, str(body.connectionId)).source_id
    return full(context, str(body.connectionId), connection.discover(context, source_id, fresh=True).body)


@router.post("/web_backend/connections/update", operation_id="configWebBackendUpdateConnection")
def web_update(who: Editor, context: ServerContext, body: ConfigConnectionUpdate) -> Any:
    """The same as `connections/update`, whatever `skipReset` says: nothing is cleared by a change."""
    update(who, context, body)
    return full(context, str(body.connectionId))
