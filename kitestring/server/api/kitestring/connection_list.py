"""The list of connections: filters, order, pages, and how many are in each condition."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from sqlalchemy import ColumnElement, Connection, Select, func, or_, select

from kitestring.server.api.airbyte_public.page import Ids, like_pattern, visible
from kitestring.server.api.kitestring.overviews import last_jobs, overview, overview_query, owner_for
from kitestring.server.api.kitestring.responses import ConnectionOverviews, TagSummary
from kitestring.server.api.response_models import ResponseModel, responses_for
from kitestring.server.auth.access import Reader, ServerContext
from kitestring.server.auth.principal import Principal
from kitestring.server.connections import condition, connection
from kitestring.server.connections.condition import Condition, with_condition
from kitestring.server.store.tables import connection_tags, connections, destinations, jobs, sources, tags

router = APIRouter(tags=["overviews"])

Order = Literal[
    "name",
    "-name",
    "condition",
    "-condition",
    "lastSync",
    "-lastSync",
    "fresh",
    "-fresh",
    "nextRun",
    "-nextRun",
    "owner",
    "-owner",
    "created",
    "-created",
]
BY: dict[str, Callable[[Principal], Any]] = {
    "name": lambda _: func.lower(connections.c.name),
    "condition": lambda _: condition.rank(),
    "lastSync": lambda _: condition.of_last_job(jobs.c.id),  # ids grow with time
    "fresh": lambda _: condition.fresh_at(),
    "nextRun": lambda _: connections.c.next_run_at_ms,
    "owner": lambda caller: func.nullif(func.lower(owner_for(caller)), ""),
    "created": lambda _: connections.c.created_at_ms,
}


class OwnerCount(ResponseModel):
    """How many connections an owner created."""

    owner: str
    connections: int


class TagCount(TagSummary):
    """A tag, and how many connections have it."""

    connections: int


class ConnectionCounts(ResponseModel):
    """How many connections match the filters: in all, by condition (those without any are left out), owner and tag."""

    total: int
    conditions: dict[Condition, int]
    owners: list[OwnerCount]
    tags: list[TagCount]


class ConnectionFilter:
    """The filters of a list of connections, its condition apart."""

    def __init__(
        self,
        workspaceIds: Ids = None,
        text: Annotated[str, Query(max_length=200, description="In the name of the connection or of an end.")] = "",
        sourceId: UUID | None = None,
        destinationId: UUID | None = None,
        tagIds: Annotated[list[UUID] | None, Query(description="With one of these tags.")] = None,
        owner: Annotated[str | None, Query(max_length=200, description="Who created the connection.")] = None,
    ) -> None:
        self.workspace_ids = workspaceIds
        self.text = text
        self.ends = ((connections.c.source_id, sourceId), (connections.c.destination_id, destinationId))
        self.tag_ids = [str(tag_id) for tag_id in tagIds or ()]
        self.owner = owner

    def apply(self, query: Select[Any], caller: Principal) -> Select[Any]:
        query = query.where(connections.c.deleted_at_ms.is_(None))
        allowed = visible(caller.workspaces(), self.workspace_ids)
        if allowed is not None:
            query = query.where(connections.c.workspace_id.in_(allowed))
        if self.text:
            query = query.where(containing(self.text, connections.c.name, sources.c.name, destinations.c.name))
        for column, value in self.ends:
            if value is not None:
                query = query.where(column == str(value))
        if self.tag_ids:
            tagged = select(connection_tags.c.connection_id).where(connection_tags.c.tag_id.in_(self.tag_ids))
            query = query.where(connections.c.id.in_(tagged))
        if self.owner is not None:
            query = query.where(owner_for(caller) == self.owner)
        return query


Filtered = Annotated[ConnectionFilter, Depends()]


@router.get("/connections", operation_id="listConnectionOverviews", responses=responses_for(ConnectionOverviews))
def list_connections(
    caller: Reader,
    context: ServerContext,
    filters: Filtered,
    condition: Annotated[Condition | Literal["active"] | None, Query(description="As its badge says.")] = None,
    order: Annotated[Order, Query(description="A minus reverses the order.")] = "name",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
) -> Any:
    """Connections with their ends, tags, last jobs and next runs."""
    query = filters.apply(overview_query(caller), caller)
    if condition is not None:
        query = with_condition(query, condition)
    page = query.order_by(ordering(order, caller), func.lower(connections.c.name), connections.c.id)
    with context.store.read() as db:
        total = db.execute(query.with_only_columns(func.count(), maintain_column_froms=True)).scalar_one()
        rows = list(db.execute(page.limit(limit).offset(offset)))
        return {"data": overviews(db, rows), "total": total}


@router.get("/connections/counts", operation_id="countConnections", responses=responses_for(ConnectionCounts))
def count_connections(caller: Reader, context: ServerContext, filters: Filtered) -> Any:
    """How many connections are in each condition, the owners (for their editors), and the tags with how many
    connections have them."""
    ids = filters.apply(overview_query(caller), caller).with_only_columns(
        connections.c.id,
        owner_for(caller).label("owner"),
        condition.column().label("condition"),
        maintain_column_froms=True,
    )
    rows = ids.subquery()
    by_condition = select(rows.c.condition, func.count().label("connections")).group_by(rows.c.condition)
    by_owner = select(rows.c.owner, func.count()).group_by(rows.c.owner).order_by(rows.c.owner)
    by_tag = (
        select(tags.c.id, tags.c.name, tags.c.color, func.count().label("connections"))
        .join(connection_tags, connection_tags.c.tag_id == tags.c.id)
        .where(connection_tags.c.connection_id.in_(select(rows.c.id)))
        .group_by(tags.c.id, tags.c.name, tags.c.color)
        .order_by(tags.c.name)
    )
    with context.store.read() as db:
        conditions = {row.condition: row.connections for row in db.execute(by_condition)}
        return {
            "total": sum(conditions.values()),
            "conditions": conditions,
            "owners": [{"owner": owner, "connections": number} for owner, number in db.execute(by_owner)],
            "tags": [
                {"tagId": row.id, "name": row.name, "color": row.color, "connections": row.connections}
                for row in db.execute(by_tag)
            ],
        }


def overviews(db: Connection, rows: list[Any]) -> list[dict[str, Any]]:
    ids = [row.id for row in rows]
    last, tagged = last_jobs(db, ids), connection.tags_of(db, ids)
    return [overview(row, last.get(row.id), tagged[row.id]) for row in rows]


def ordering(order: str, caller: Principal) -> Any:
    """A column to order by. What has no value is last, in either direction."""
    column = BY[order.removeprefix("-")](caller)
    return (column.desc() if order.startswith("-") else column.asc()).nulls_last()


def containing(text: str, *columns: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether one of the columns contains the text, upper or lower case."""
    return or_(*(column.ilike(like_pattern(text), escape="!") for column in columns))
