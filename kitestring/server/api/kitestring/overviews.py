"""Connections as the web interface shows them: with their ends, last jobs and next runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict
from sqlalchemy import Connection, Select, Text, cast, func, or_, select

from kitestring.server.api.airbyte_public.connections import ConnectionSchedule
from kitestring.server.api.airbyte_public.page import Ids, visible
from kitestring.server.api.kitestring.body import Body
from kitestring.server.api.kitestring.jobs import job_summary
from kitestring.server.api.kitestring.responses import ConnectionDetail, ConnectionOverviews
from kitestring.server.api.response_models import responses_for
from kitestring.server.auth.access import AnyUser, Reader, ServerContext
from kitestring.server.clock import now_ms
from kitestring.server.connections import connection, schedule
from kitestring.server.jobs.queue import ACTIVE
from kitestring.server.store.tables import attempts, connections, destinations, jobs, sources

router = APIRouter(tags=["overviews"])

Condition = Literal[
    "active", "paused", "running", "succeeded", "suspicious", "failed", "cancelled", "never", "deciding"
]
COUNTS = ("read", "written", "unchanged", "deleted", "rejected", "superseded", "filtered", "bytes")
# Changes that were answered leave a JSON null, which is no NULL of SQL.
DECIDING = func.coalesce(cast(connections.c.pending_changes, Text), "null") != "null"
LOOK_BACK = 20
"""How many jobs back the last figures of a stream are searched."""


class ScheduleDraft(ConnectionSchedule, Body):
    """An unsaved schedule."""

    model_config = ConfigDict(extra="forbid")


class SchedulePreview(BaseModel):
    """The next runs of a schedule, in UTC milliseconds."""

    nextMs: list[int]


@router.get("/connections", operation_id="listConnectionOverviews", responses=responses_for(ConnectionOverviews))
def list_connections(
    caller: Reader,
    context: ServerContext,
    workspaceIds: Ids = None,
    text: Annotated[str, Query(max_length=200, description="In the name of the connection or of an end.")] = "",
    condition: Annotated[Condition | None, Query(description="Of the connection, or of its last job.")] = None,
    sourceId: UUID | None = None,
    destinationId: UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
) -> Any:
    """Connections with their ends, last jobs and next runs, by name."""
    query = overview_query().where(connections.c.deleted_at_ms.is_(None))
    allowed = visible(caller.workspaces(), workspaceIds)
    if allowed is not None:
        query = query.where(connections.c.workspace_id.in_(allowed))
    if text:
        like = f"%{text.replace('!', '!!').replace('%', '!%').replace('_', '!_')}%"
        names = (connections.c.name, sources.c.name, destinations.c.name)
        query = query.where(or_(*(name.ilike(like, escape="!") for name in names)))
    for column, value in ((connections.c.source_id, sourceId), (connections.c.destination_id, destinationId)):
        if value is not None:
            query = query.where(column == str(value))
    if condition is not None:
        query = with_condition(query, condition)
    page = query.order_by(func.lower(connections.c.name), connections.c.id).limit(limit).offset(offset)
    with context.store.read() as db:
        total = db.execute(query.with_only_columns(func.count(), maintain_column_froms=True)).scalar_one()
        rows = list(db.execute(page))
        last = last_jobs(db, [row.id for row in rows])
        return {"data": [overview(row, last.get(row.id)) for row in rows], "total": total}


@router.get(
    "/connections/{connectionId}", operation_id="getConnectionOverview", responses=responses_for(ConnectionDetail)
)
def get_connection(caller: Reader, context: ServerContext, connectionId: UUID) -> Any:
    """A connection with its settings, its streams and their last figures, and pending schema changes."""
    key = str(connectionId)
    with context.store.read() as db:
        connection.get(db, key)
        row = db.execute(overview_query().where(connections.c.id == key)).one()
        settings = db.execute(select(connections).where(connections.c.id == key)).one()
        tags = connection.tags_of(db, [key])[key]
        figures = last_figures(db, key)
        return {
            **overview(row, last_jobs(db, [key]).get(key)),
            "schemaPolicy": settings.schema_policy,
            "prefix": settings.prefix,
            "namespaceDefinition": settings.namespace_definition,
            "namespaceFormat": settings.namespace_format,
            "managedBy": settings.origin,
            "createdAtMs": settings.created_at_ms,
            "tags": [{"tagId": each.id, "name": each.name, "color": each.color} for each in tags],
            "changes": settings.pending_changes["changes"] if settings.pending_changes else None,
            "streams": [
                {**each, "key": connection.key_of(each), "last": figures.get(connection.key_of(each))}
                for each in settings.streams
            ],
        }


@router.post("/schedule/preview", operation_id="previewSchedule", response_model=SchedulePreview)
def preview_schedule(caller: AnyUser, context: ServerContext, body: ScheduleDraft) -> Any:
    """The next five runs of a schedule; none for a manual one. 422 says what is wrong with it."""
    form = schedule.from_api(body.model_dump())
    moments: list[int] = []
    after = now_ms()
    while len(moments) < 5:
        next_run = schedule.next_ms(form, after)
        if next_run is None:
            break
        moments.append(next_run)
        after = next_run
    return {"nextMs": moments}


def overview_query() -> Select[Any]:
    """The query for overviews."""
    c = connections.c
    return (
        select(
            *(c.id, c.workspace_id, c.name, c.status, c.status_reason, c.schedule, c.next_run_at_ms, c.failures),
            *(c.source_id, c.destination_id),
            DECIDING.label("deciding"),
            func.json_array_length(c.streams).label("streams"),
            sources.c.name.label("source_name"),
            sources.c.connector.label("source_connector"),
            destinations.c.name.label("destination_name"),
            destinations.c.connector.label("destination_connector"),
        )
        .join_from(connections, sources, sources.c.id == c.source_id)
        .join(destinations, destinations.c.id == c.destination_id)
    )


def with_condition(query: Select[Any], condition: Condition) -> Select[Any]:
    """Select connections in this condition. An index finds the last job of each."""
    if condition in ("active", "paused"):
        return query.where(connections.c.status == ("active" if condition == "active" else "inactive"))
    if condition == "deciding":
        return query.where(DECIDING)
    of = jobs.c.connection_id == connections.c.id
    if condition == "never":
        return query.where(~select(jobs.c.id).where(of).exists())
    if condition == "running":
        return query.where(select(jobs.c.id).where(of, jobs.c.status.in_(ACTIVE)).exists())
    last = select(jobs.c.status).where(of).order_by(jobs.c.id.desc()).limit(1).correlate(connections)
    return query.where(last.scalar_subquery() == condition)


def overview(row: Any, job: Mapping[str, Any] | None) -> dict[str, Any]:
    return {
        "connectionId": row.id,
        "workspaceId": row.workspace_id,
        "name": row.name,
        "status": row.status,
        "statusReason": row.status_reason,
        "failures": row.failures,
        "source": {"id": row.source_id, "name": row.source_name, "connector": row.source_connector},
        "destination": {
            "id": row.destination_id,
            "name": row.destination_name,
            "connector": row.destination_connector,
        },
        "schedule": schedule.to_api(row.schedule),
        "nextRunAtMs": row.next_run_at_ms,
        "streamCount": row.streams,
        "deciding": bool(row.deciding),
        "job": job,
    }


def last_jobs(db: Connection, connection_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The newest job of each connection, with the sum of its last attempt's figures."""
    newest = (
        select(func.max(jobs.c.id).label("id"))
        .where(jobs.c.connection_id.in_(connection_ids))
        .group_by(jobs.c.connection_id)
        .subquery()
    )
    rows = db.execute(
        select(jobs, attempts.c.streams, attempts.c.progress)
        .join(newest, newest.c.id == jobs.c.id)
        .outerjoin(attempts, (attempts.c.job_id == jobs.c.id) & (attempts.c.number == jobs.c.attempts))
    )
    return {
        row.connection_id: {
            **job_summary(row),
            "figures": sum_figures(row.streams or (row.progress or {}).get("streams") or {}),
        }
        for row in rows
    }


def sum_figures(streams: Mapping[str, Any]) -> dict[str, float]:
    """The counts and figures of all streams of an attempt together."""
    sums: dict[str, float] = {}
    for stream in streams.values():
        counts = {name: stream.get(name) for name in COUNTS} | dict(stream.get("figures") or {})
        for name, value in counts.items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                sums[name] = sums.get(name, 0) + value
    return sums


def last_figures(db: Connection, connection_id: str) -> dict[str, dict[str, Any]]:
    """The figures of each stream in its last attempt, among the last jobs that have ended."""
    rows = db.execute(
        select(jobs.c.id, jobs.c.kind, jobs.c.ended_at_ms, attempts.c.streams)
        .join(attempts, (attempts.c.job_id == jobs.c.id) & (attempts.c.number == jobs.c.attempts))
        .where(jobs.c.connection_id == connection_id, attempts.c.streams.is_not(None))
        .order_by(jobs.c.id.desc())
        .limit(LOOK_BACK)
    )
    figures: dict[str, dict[str, Any]] = {}
    for row in rows:
        for key, stream in (row.streams or {}).items():
            figures.setdefault(key, {**stream, "jobId": row.id, "kind": row.kind, "endedAtMs": row.ended_at_ms})
    return figures
