"""Connections of Airbyte's public API."""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from kitestring.delete_detection import DeletionMode
from kitestring.server.api.airbyte_public.page import Ids, Limit, Offset, page, visible
from kitestring.server.api.airbyte_public.responses import Connection, Connections
from kitestring.server.api.response_models import responses_for
from kitestring.server.auth.access import Editor, Reader, ServerContext
from kitestring.server.connections import connection, endpoints, schedule
from kitestring.server.context import Context
from kitestring.server.http.problem import Problem
from kitestring.server.http.version_match import IfMatch, etag

router = APIRouter(prefix="/connections", tags=["connections"])

SyncMode = Literal[
    "full_refresh_overwrite",
    "full_refresh_overwrite_deduped",
    "full_refresh_append",
    "full_refresh_update",
    "full_refresh_soft_delete",
    "incremental_append",
    "incremental_deduped_history",
    "incremental_update",
    "incremental_soft_delete",
]
Namespace = Literal["source", "destination", "custom_format"]
Policy = Literal["ignore", "disable_connection", "propagate_columns", "propagate_fully"]
Status = Literal["active", "inactive", "deprecated"]


class FieldPath(BaseModel):
    """The path of a field."""

    fieldPath: list[str] = Field(default_factory=list)


class DetectDeletes(BaseModel):
    """What becomes of records that the source no longer lists, and when that is believed."""

    mode: DeletionMode
    everyHours: float | None = None
    mostPercent: float | None = None


class StreamConfiguration(BaseModel):
    """A stream of a connection, and how it is moved."""

    name: str
    namespace: str | None = None
    syncMode: SyncMode | None = None
    cursorField: list[str] | None = None
    primaryKey: list[list[str]] | None = None
    selectedFields: list[FieldPath] | None = None
    includeFiles: bool | None = None
    destinationObjectName: str | None = None
    mappers: list[dict[str, Any]] | None = None
    detectDeletes: DeletionMode | DetectDeletes | None = None


class StreamConfigurations(BaseModel):
    """The streams of a connection."""

    streams: list[StreamConfiguration] | None = None


class ContinuousSettings(BaseModel):
    """How a continuous connection is run: the time between two reconciliations, and after which a new job begins."""

    windowSeconds: int | None = None
    rolloverSeconds: int | None = None


class ConnectionSchedule(BaseModel):
    """The schedule of a connection. `continuous` is Kitestring's own, with the type `manual`: the changes of the source
    are followed without an end."""

    scheduleType: Literal["manual", "cron", "basic"]
    cronExpression: str | None = None
    basicTiming: str | None = None
    continuous: bool | ContinuousSettings | None = None


class TagRef(BaseModel):
    """A tag, by its id."""

    tagId: UUID


class ConnectionPatch(BaseModel):
    """A change. Omitted fields stay as they are."""

    name: str | None = None
    configurations: StreamConfigurations | None = None
    schedule: ConnectionSchedule | None = None
    dataResidency: str | None = None
    namespaceDefinition: Namespace | None = None
    namespaceFormat: str | None = None
    prefix: str | None = None
    nonBreakingSchemaUpdatesBehavior: Policy | None = None
    status: Status | None = None
    tags: list[TagRef] | None = None


class ConnectionCreate(ConnectionPatch):
    """A new connection between a source and a destination of one workspace."""

    sourceId: UUID
    destinationId: UUID


def answer(row: Any, tags: list[Any]) -> dict[str, Any]:
    """A row in the API's form."""
    return {
        "connectionId": row.id,
        "name": row.name,
        "sourceId": row.source_id,
        "destinationId": row.destination_id,
        "workspaceId": row.workspace_id,
        "status": row.status,
        **({"statusReason": row.status_reason} if row.status_reason else {}),
        "schedule": schedule.to_api(row.schedule),
        "dataResidency": "auto",
        "nonBreakingSchemaUpdatesBehavior": row.schema_policy,
        "namespaceDefinition": row.namespace_definition,
        **({"namespaceFormat": row.namespace_format} if row.namespace_format is not None else {}),
        "prefix": row.prefix,
        "configurations": {"streams": [stream_body(each) for each in row.streams]},
        "createdAt": row.created_at_ms // 1000,
        "tags": [
            {"tagId": each.id, "workspaceId": each.workspace_id, "name": each.name, "color": each.color}
            for each in tags
        ],
    }


def stream_body(stream: dict[str, Any]) -> dict[str, Any]:
    """A configured stream with every list that clients read."""
    defaults: dict[str, Any] = {"cursorField": [], "primaryKey": [], "selectedFields": [], "mappers": []}
    return {**defaults, "includeFiles": False, **stream}


def read_connection(context: Context, connection_id: str, response: Response) -> dict[str, Any]:
    """A row in the API's form; the header `ETag` has its version."""
    with context.store.read() as db:
        row = connection.get(db, connection_id)
        response.headers.update(etag(connection.version(row)))
        return answer(row, connection.tags_of(db, [row.id])[row.id])


@router.get("", operation_id="listConnections", responses=responses_for(Connections))
def list_connections(
    request: Request,
    caller: Reader,
    context: ServerContext,
    workspaceIds: Ids = None,
    tagIds: Ids = None,
    includeDeleted: bool = False,
    limit: Limit = 20,
    offset: Offset = 0,
) -> Any:
    with context.store.read() as db:
        rows = connection.find_all(
            db,
            workspace_ids=visible(caller.workspaces(), workspaceIds),
            tag_ids=tagIds or (),
            deleted=includeDeleted,
            limit=limit,
            offset=offset,
        )
        tags = connection.tags_of(db, [row.id for row in rows])
    return page(request, [answer(row, tags[row.id]) for row in rows], limit, offset)


@router.post("", operation_id="createConnection", responses=responses_for(Connection))
def create_connection(caller: Editor, context: ServerContext, body: ConnectionCreate, response: Response) -> Any:
    """Create a connection. Discovers the source if no catalog of it is stored. Without `configurations` all streams are
    selected."""
    require_movable(body)
    with context.store.read() as db:
        endpoints.get(db, "destination", str(body.destinationId))
    catalog = connection.discover(context, str(body.sourceId))
    with context.store.write() as db:
        connection_id = connection.create(
            context,
            db,
            source_id=str(body.sourceId),
            destination_id=str(body.destinationId),
            streams=connection.configure_streams(catalog, stream_choices(body.configurations)),
            catalog=catalog,
            name=body.name or "",
            status=body.status or "active",
            timing=schedule.from_api(body.schedule.model_dump() if body.schedule else None),
            namespace_definition=body.namespaceDefinition or "destination",
            namespace_format=format_of(body),
            prefix=body.prefix or "",
            schema_policy=body.nonBreakingSchemaUpdatesBehavior or "ignore",
            tag_ids=[str(tag.tagId) for tag in body.tags or ()],
        )
    return read_connection(context, connection_id, response)


@router.get("/{connectionId}", operation_id="getConnection", responses=responses_for(Connection))
def get_connection(caller: Reader, context: ServerContext, connectionId: UUID, response: Response) -> Any:
    return read_connection(context, str(connectionId), response)


@router.patch("/{connectionId}", operation_id="patchConnection", responses=responses_for(Connection))
def patch_connection(
    caller: Editor,
    context: ServerContext,
    connectionId: UUID,
    body: ConnectionPatch,
    response: Response,
    ifMatch: IfMatch = None,
) -> Any:
    """Change a connection. With `If-Match`, 412 if somebody has changed it since it was loaded."""
    with context.store.read() as db:
        row = connection.get(db, str(connectionId))
    require_movable(body)
    if row.status == "locked":
        raise Problem(409, f"the connection {row.id} is locked", hint="Unlock it first.")
    values: dict[str, Any] = {}
    if body.configurations is not None and body.configurations.streams is not None:
        catalog = connection.discover(context, row.source_id)
        values |= {
            "streams": connection.configure_streams(catalog, stream_choices(body.configurations)),
            "catalog": dict(catalog.body),
            # Whoever chooses streams has decided: no change of the schema waits any longer.
            "pending_changes": None,
        }
    if body.schedule is not None:
        values["schedule"] = schedule.from_api(body.schedule.model_dump())
    columns = {
        "name": body.name,
        "namespace_definition": body.namespaceDefinition,
        "namespace_format": format_of(body),
        "prefix": body.prefix,
        "schema_policy": body.nonBreakingSchemaUpdatesBehavior,
        "status": body.status,
    }
    values |= {name: value for name, value in columns.items() if value is not None}
    if body.tags is not None:
        values["tag_ids"] = [str(tag.tagId) for tag in body.tags]
    with context.store.write() as db:
        connection.require_version(db, row.id, ifMatch)
        if values.get("status") == "deprecated":
            connection.delete(context, db, row.id)
            return {**answer(row, []), "status": "deprecated"}
        connection.change(context, db, row.id, values)
    return read_connection(context, row.id, response)


@router.delete("/{connectionId}", status_code=204, operation_id="deleteConnection")
def delete_connection(caller: Editor, context: ServerContext, connectionId: UUID) -> Response:
    with context.store.write() as db:
        connection.delete(context, db, str(connectionId))
    return Response(status_code=204)


def stream_choices(configurations: StreamConfigurations | None) -> list[dict[str, Any]] | None:
    """The streams of a request; None where it selects all. Airbyte's clients send an empty list for that too."""
    if configurations is None or not configurations.streams:
        return None
    return [stream.model_dump(exclude_none=True) for stream in configurations.streams]


def require_movable(body: ConnectionPatch) -> None:
    """422 for a region: the workers' place decides where data is processed."""
    if body.dataResidency not in (None, "", "auto"):
        raise Problem(
            422,
            f"the data cannot be kept in {body.dataResidency}: it is processed where the workers run",
            hint="Leave dataResidency out, or write auto.",
        )


def format_of(body: ConnectionPatch) -> str | None:
    """`namespaceFormat`. 422 for a custom format without one."""
    if body.namespaceDefinition == "custom_format" and not body.namespaceFormat:
        raise Problem(
            422,
            "namespaceDefinition is custom_format, and there is no namespaceFormat",
            hint="Give one, such as raw_${SOURCE_NAMESPACE}.",
        )
    return body.namespaceFormat
