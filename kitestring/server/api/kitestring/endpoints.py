"""Sources and destinations as the web interface lists them: with their connector, connections and last test."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Path, Query
from sqlalchemy import Connection, Table, Text, case, cast, func, or_, select

from kitestring.errors import KitestringError
from kitestring.server.api.airbyte_public.page import Ids, visible
from kitestring.server.api.kitestring.checks import CheckResult
from kitestring.server.api.response_models import ResponseModel, responses_for
from kitestring.server.auth.access import Reader, ServerContext
from kitestring.server.auth.principal import Principal
from kitestring.server.connections import endpoints
from kitestring.server.connections.continuous_connection import refuse_to_follow
from kitestring.server.connectors import definitions
from kitestring.server.connectors.definitions import Kind
from kitestring.server.context import Context
from kitestring.server.store.tables import connections

router = APIRouter(tags=["endpoints"])
FAILED, SUCCEEDED = '%"status":"failed"%', '%"status":"succeeded"%'
"""A part of the text of a kept test, as the store writes JSON."""


class EndpointOverview(ResponseModel):
    """A source or destination. `owner`: who created it; empty: not known.
    `lastCheck` is of its present configuration; null: it was not tested. `connectorVersion` is the version of its
    connector that a source runs, `currentVersion` the one that new sources get; null: the connector has no versions."""

    id: UUID
    name: str
    workspaceId: UUID
    definitionId: UUID
    type: str
    connectorName: str
    icon: str
    createdAtMs: int
    owner: str
    connections: int
    lastCheck: CheckResult | None
    connectorVersion: int | None
    currentVersion: int | None


class EndpointOverviews(ResponseModel):
    """A page. `total` is of all pages; `failing` counts those whose last test failed."""

    data: list[EndpointOverview]
    total: int
    failing: int


class ContinuousSource(ResponseModel):
    """Whether a connection from a source can be continuous; if not, `reason` and `hint` say why, and what to change."""

    possible: bool
    reason: str
    hint: str


Order = Literal[
    "name",
    "-name",
    "connector",
    "-connector",
    "connections",
    "-connections",
    "test",
    "-test",
    "created",
    "-created",
    "owner",
    "-owner",
]


def sort_key(kind: Kind, table: Table, by: str) -> Any:
    """The column or expression that an order is by. Of tests the failed ones are first, then those that are missing."""
    last_check = cast(table.c.last_check, Text)
    used = connections.c.source_id if kind == "source" else connections.c.destination_id
    return {
        "name": func.lower(table.c.name),
        "connector": func.lower(table.c.connector),
        "connections": (
            select(func.count())
            .where(used == table.c.id, connections.c.deleted_at_ms.is_(None))
            .correlate(table)
            .scalar_subquery()
        ),
        "test": case((last_check.like(FAILED), 0), (last_check.like(SUCCEEDED), 2), else_=1),
        "created": table.c.created_at_ms,
        "owner": func.nullif(func.lower(table.c.created_by), ""),
    }[by]


def list_of(
    kind: Kind,
    caller: Principal,
    context: Context,
    workspace_ids: Any,
    text: str,
    order: Order,
    limit: int,
    offset: int,
    browsable: bool = False,
) -> dict[str, Any]:
    table = endpoints.TABLES[kind]
    query = select(table).where(table.c.deleted_at_ms.is_(None))
    allowed = visible(caller.workspaces(), workspace_ids)
    if allowed is not None:
        query = query.where(table.c.workspace_id.in_(allowed))
    if browsable:
        readable = [each.id for each in definitions.built_in(kind).values() if each.browsable]
        query = query.where(table.c.definition_id.in_(readable))
    for word in text.split():
        like = f"%{word.replace('!', '!!').replace('%', '!%').replace('_', '!_')}%"
        query = query.where(or_(*(column.ilike(like, escape="!") for column in (table.c.name, table.c.connector))))
    key = sort_key(kind, table, order.removeprefix("-"))
    by = key.desc() if order.startswith("-") else key.asc()
    page = query.order_by(by, func.lower(table.c.name), table.c.id).limit(limit).offset(offset)
    count = query.with_only_columns(func.count(), maintain_column_froms=True)
    failing = count.where(cast(table.c.last_check, Text).like(FAILED))
    with context.store.read() as db:
        rows = list(db.execute(page))
        used = connection_counts(db, kind, [row.id for row in rows])
        return {
            "data": [overview(db, kind, row, used.get(row.id, 0)) for row in rows],
            "total": db.execute(count).scalar_one(),
            "failing": db.execute(failing).scalar_one(),
        }


def overview_of(kind: Kind, context: Context, actor_id: str) -> dict[str, Any]:
    with context.store.read() as db:
        row = endpoints.get(db, kind, actor_id)
        return overview(db, kind, row, connection_counts(db, kind, [actor_id]).get(actor_id, 0))


def connection_counts(db: Connection, kind: Kind, ids: list[str]) -> dict[str, int]:
    """How many connections use each."""
    column = connections.c.source_id if kind == "source" else connections.c.destination_id
    query = select(column, func.count()).where(column.in_(ids), connections.c.deleted_at_ms.is_(None)).group_by(column)
    return {str(key): int(count) for key, count in db.execute(query)}


def overview(db: Connection, kind: Kind, row: Any, used: int) -> dict[str, Any]:
    definition = endpoints.definition_of(db, kind, row)
    return {
        "id": row.id,
        "name": row.name,
        "workspaceId": row.workspace_id,
        "definitionId": row.definition_id,
        "type": definition.type,
        "connectorName": definition.name,
        "icon": definition.icon,
        "createdAtMs": row.created_at_ms,
        "owner": row.created_by,
        "connections": used,
        "lastCheck": row.last_check or None,
        "connectorVersion": int(definition.version) if definition.manifest is not None else None,
        "currentVersion": definition.current_version,
    }


Search = Annotated[str, Query(max_length=200, description="Words in the name, or in the connector's.")]
Sorted = Annotated[Order, Query(description="A minus reverses the order. `test`: failed ones first.")]
Limit = Annotated[int, Query(ge=1, le=500)]
Offset = Annotated[int, Query(ge=0, le=1_000_000)]


@router.get("/sources", operation_id="listSourceOverviews", responses=responses_for(EndpointOverviews))
def list_sources(
    caller: Reader,
    context: ServerContext,
    workspaceIds: Ids = None,
    text: Search = "",
    order: Sorted = "name",
    limit: Limit = 100,
    offset: Offset = 0,
) -> Any:
    """Sources with their connectors, connections and last tests; by name, or in another order."""
    return list_of("source", caller, context, workspaceIds, text, order, limit, offset)


@router.get("/destinations", operation_id="listDestinationOverviews", responses=responses_for(EndpointOverviews))
def list_destinations(
    caller: Reader,
    context: ServerContext,
    workspaceIds: Ids = None,
    text: Search = "",
    order: Sorted = "name",
    limit: Limit = 100,
    offset: Offset = 0,
    browsable: Annotated[bool, Query(description="Only those whose data can be looked at.")] = False,
) -> Any:
    """Destinations with their connectors, connections and last tests; by name, or in another order."""
    return list_of("destination", caller, context, workspaceIds, text, order, limit, offset, browsable)


@router.get("/sources/{sourceId}", operation_id="getSourceOverview", responses=responses_for(EndpointOverview))
def get_source(caller: Reader, context: ServerContext, sourceId: Annotated[UUID, Path()]) -> Any:
    """A source with its connector, the count of its connections and its last test."""
    return overview_of("source", context, str(sourceId))


@router.get(
    "/sources/{sourceId}/continuous", operation_id="getContinuousSource", responses=responses_for(ContinuousSource)
)
def get_continuous_source(caller: Reader, context: ServerContext, sourceId: Annotated[UUID, Path()]) -> Any:
    """Whether the source, with its present configuration, can follow the changes of its data. Nothing is connected."""
    try:
        with context.store.read() as db:
            source = endpoints.endpoint_of(context, db, "source", str(sourceId))
        refuse_to_follow(source)
    except KitestringError as error:
        return {"possible": False, "reason": error.message, "hint": error.hint}
    return {"possible": True, "reason": "", "hint": ""}


@router.get(
    "/destinations/{destinationId}", operation_id="getDestinationOverview", responses=responses_for(EndpointOverview)
)
def get_destination(caller: Reader, context: ServerContext, destinationId: Annotated[UUID, Path()]) -> Any:
    """A destination with its connector, the count of its connections and its last test."""
    return overview_of("destination", context, str(destinationId))
