"""Connections of Airbyte's Config API, and two calls of Airbyte's web interface that clients make."""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from kitestring.server.api.airbyte_config import catalog, jobs
from kitestring.server.api.airbyte_config.states import ConnectionRef
from kitestring.server.api.airbyte_public.jobs import row_of
from kitestring.server.auth.access import Editor, Reader, Runner, ServerContext
from kitestring.server.connections import connection, endpoints, schedule
from kitestring.server.context import Context
from kitestring.server.http.problem import Problem

router = APIRouter(tags=["config: connections"])

NAMESPACES = {"source": "source", "destination": "destination", "customformat": "custom_format"}
POLICIES = {name: name for name in connection.POLICIES} | {"disable": "disable_connection"}
NAMESPACE_NAMES = {ours: theirs for theirs, ours in NAMESPACES.items()}
POLICY_NAMES = {"disable_connection": "disable"}
"""The Config API spells these two differently from the public API."""


class ConnectionGet(ConnectionRef):
    """A connection, with the catalog of its source as it is now or as it was accepted."""

    withRefreshedCatalog: bool = False


class ConnectionsInWorkspace(BaseModel):
    """The connections of a workspace."""

    workspaceId: UUID


class Basic(BaseModel):
    """A basic schedule: every so many units of time."""

    units: int = Field(ge=1, le=10_000)
    timeUnit: Literal["minutes", "hours", "days", "weeks", "months"]


class Cron(BaseModel):
    """A cron schedule."""

    cronExpression: str
    cronTimeZone: str = "UTC"


class ConfigSchedule(BaseModel):
    """The schedule of a connection."""

    basicSchedule: Basic | None = None
    cron: Cron | None = None


class SyncCatalog(BaseModel):
    """Every stream with how it is moved."""

    streams: list[dict[str, Any]]


class ConfigConnectionChange(BaseModel):
    """A change of a connection. Omitted fields stay as they are."""

    name: str | None = None
    namespaceDefinition: Literal["source", "destination", "customformat"] | None = None
    namespaceFormat: str | None = None
    prefix: str | None = None
    syncCatalog: SyncCatalog | None = None
    schedule: Basic | None = None
    scheduleType: Literal["manual", "basic", "cron"] | None = None
    scheduleData: ConfigSchedule | None = None
    continuous: bool | dict[str, int] | None = None
    status: Literal["active", "inactive", "deprecated"] | None = None
    nonBreakingChangesPreference: Literal["ignore", "disable", "propagate_columns", "propagate_fully"] | None = None
    operationIds: list[str] | None = None
    operations: list[dict[str, Any]] | None = None

    def values(self) -> dict[str, Any]:
        """The columns that change, without the streams."""
        if self.operationIds or self.operations:
            raise Problem(422, "the connection has operations, and there are none here", hint="Leave them out.")
        columns: dict[str, Any] = {
            "name": self.name,
            "namespace_definition": NAMESPACES[self.namespaceDefinition] if self.namespaceDefinition else None,
            "namespace_format": self.namespaceFormat,
            "prefix": self.prefix,
            "schema_policy": POLICIES[self.nonBreakingChangesPreference] if self.nonBreakingChangesPreference else None,
            "status": self.status,
            "schedule": self.timing(),
        }
        return {name: value for name, value in columns.items() if value is not None}

    def timing(self) -> dict[str, Any] | None:
        """The schedule in the store's form; None where the request has none."""
        data = self.scheduleData or ConfigSchedule()
        basic = data.basicSchedule or self.schedule
        kind = self.scheduleType or ("cron" if data.cron else "basic" if basic else None)
        if kind is None:
            return None
        if kind == "manual":
            return schedule.from_api({"scheduleType": "manual", "continuous": self.continuous})
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
    """A row in the Config API's form; `body` replaces the stored catalog."""
    return {
        "connectionId": row.id,
        "name": row.name,
        "workspaceId": row.workspace_id,
        "sourceId": row.source_id,
        "destinationId": row.destination_id,
        "namespaceDefinition": NAMESPACE_NAMES[row.namespace_definition],
        "namespaceFormat": row.namespace_format,
        "prefix": row.prefix,
        "status": row.status,
        **({"statusReason": row.status_reason} if row.status_reason else {}),
        **timing(row.schedule),
        "syncCatalog": catalog.sync_catalog(body or row.catalog, row.streams),
        "operationIds": [],
        "nonBreakingChangesPreference": POLICY_NAMES.get(row.schema_policy, row.schema_policy),
        "breakingChange": row.pending_changes is not None,
        "notifySchemaChanges": True,
        "createdAt": row.created_at_ms // 1000,
        "tags": [
            {"tagId": tag.id, "workspaceId": tag.workspace_id, "name": tag.name, "color": tag.color}
            for tag in connection.tags_of(db, [row.id])[row.id]
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
    return schedule.to_api(form)


def read_connection(context: Context, connection_id: str, body: Any = None) -> dict[str, Any]:
    with context.store.read() as db:
        return answer(context, db, connection.get(db, connection_id), body)


@router.post("/connections/get", operation_id="configGetConnection")
def get_connection(caller: Reader, context: ServerContext, body: ConnectionRef) -> Any:
    return read_connection(context, str(body.connectionId))


@router.post("/connections/list", operation_id="configListConnections")
def list_connections(caller: Reader, context: ServerContext, body: ConnectionsInWorkspace) -> Any:
    """All connections of a workspace."""
    with context.store.read() as db:
        rows = connection.find_all(db, workspace_ids=[str(body.workspaceId)])
        return {"connections": [answer(context, db, row) for row in rows]}


@router.post("/connections/create", operation_id="configCreateConnection")
def create_connection(caller: Editor, context: ServerContext, body: ConfigConnectionCreate) -> Any:
    """Create a connection. Discovers the source if no catalog of it is stored. Without `syncCatalog` all streams are
    selected."""
    with context.store.read() as db:
        endpoints.get(db, "destination", str(body.destinationId))
    values = body.values()
    source_catalog = connection.discover(context, str(body.sourceId))
    streams = catalog.selected_streams(body.syncCatalog.model_dump(), source_catalog) if body.syncCatalog else None
    with context.store.write() as db:
        connection_id = connection.create(
            context,
            db,
            source_id=str(body.sourceId),
            destination_id=str(body.destinationId),
            streams=connection.configure_streams(source_catalog, None) if streams is None else streams,
            catalog=source_catalog,
            timing=values.pop("schedule", None),
            **values,
        )
    return read_connection(context, connection_id)


@router.post("/connections/update", operation_id="configUpdateConnection")
def update_connection(caller: Editor, context: ServerContext, body: ConfigConnectionUpdate) -> Any:
    """Change a connection. Nothing is cleared or read again: removed streams and fields keep their data at the
    destination."""
    connection_id, values = str(body.connectionId), body.values()
    with context.store.read() as db:
        row = connection.get(db, connection_id)
    if row.status == "locked":
        raise Problem(409, f"the connection {row.id} is locked", hint="Unlock it first.")
    if body.syncCatalog is not None:
        source_catalog = connection.discover(context, row.source_id)
        values |= {
            "streams": catalog.selected_streams(body.syncCatalog.model_dump(), source_catalog),
            "catalog": dict(source_catalog.body),
        }
    with context.store.write() as db:
        if values.get("status") == "deprecated":
            deleted = {**answer(context, db, row), "status": "deprecated"}
            connection.delete(context, db, row.id)
            return deleted
        connection.change(context, db, row.id, values)
    return read_connection(context, row.id)


@router.post("/connections/delete", status_code=204, operation_id="configDeleteConnection")
def delete_connection(caller: Editor, context: ServerContext, body: ConnectionRef) -> Response:
    with context.store.write() as db:
        connection.delete(context, db, str(body.connectionId))
    return Response(status_code=204)


def start_job(context: Context, connection_id: str, kind: str, job_type: str = "") -> dict[str, Any]:
    """Start a job. 409 while the connection has a job that has not ended."""
    with context.store.write() as db:
        job_id = connection.start(context, db, connection_id, kind, {"asked": job_type} if job_type else {})
        return jobs.job_body(context, db, row_of(db, job_id))


@router.post("/connections/sync", operation_id="configSyncConnection")
def sync_connection(caller: Runner, context: ServerContext, body: ConnectionRef) -> Any:
    return start_job(context, str(body.connectionId), "sync")


@router.post("/connections/reset", operation_id="configResetConnection")
def reset_connection(caller: Editor, context: ServerContext, body: ConnectionRef) -> Any:
    """Remove the data of all streams at the destination, and their states."""
    return start_job(context, str(body.connectionId), "clear", "reset")


@router.post("/connections/clear", operation_id="configClearConnection")
def clear_connection(caller: Editor, context: ServerContext, body: ConnectionRef) -> Any:
    return start_job(context, str(body.connectionId), "clear")


# -- as the web interface asks -----------------------------------------------------------------------------------------


def connection_with_endpoints(context: Context, connection_id: str, body: Any = None) -> dict[str, Any]:
    """A connection that contains its source and its destination."""
    from kitestring.server.api.airbyte_config.endpoints import answer as endpoint_body

    body_of_connection = read_connection(context, connection_id, body)
    with context.store.read() as db:
        for kind in ("source", "destination"):
            body_of_connection[kind] = endpoint_body(db, kind, endpoints.get(db, kind, body_of_connection[f"{kind}Id"]))
        body_of_connection["isSyncing"] = context.queue.active(db, connection_id) is not None
    return body_of_connection


@router.post("/web_backend/connections/get", operation_id="configWebBackendGetConnection")
def get_web_connection(caller: Reader, context: ServerContext, body: ConnectionGet) -> Any:
    if not body.withRefreshedCatalog:
        return connection_with_endpoints(context, str(body.connectionId))
    with context.store.read() as db:
        source_id = connection.get(db, str(body.connectionId)).source_id
    return connection_with_endpoints(
        context, str(body.connectionId), connection.discover(context, source_id, fresh=True).body
    )


@router.post("/web_backend/connections/update", operation_id="configWebBackendUpdateConnection")
def update_web_connection(caller: Editor, context: ServerContext, body: ConfigConnectionUpdate) -> Any:
    """Like `connections/update`. `skipReset` is ignored: a change never clears data."""
    update_connection(caller, context, body)
    return connection_with_endpoints(context, str(body.connectionId))
