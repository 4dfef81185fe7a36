"""A connection as the web interface shows it: with its ends, its last job and its next run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict
from sqlalchemy import ColumnElement, Connection, Select, case, func, select

from kitestring.server.api.airbyte_public.connections import ConnectionSchedule
from kitestring.server.api.kitestring.body import Body
from kitestring.server.api.kitestring.jobs import LAST_ATTEMPT, job_summary
from kitestring.server.api.kitestring.responses import ConnectionDetail
from kitestring.server.api.response_models import responses_for
from kitestring.server.auth.access import ASKS, AnyUser, Reader, ServerContext
from kitestring.server.auth.principal import Principal, Role
from kitestring.server.clock import now_ms
from kitestring.server.connections import condition, connection, schedule, watched_slot
from kitestring.server.jobs.figures import sum_figures, sums_of
from kitestring.server.store.tables import attempts, connections, destinations, jobs, sources

router = APIRouter(tags=["overviews"])

LOOK_BACK = 20
"""How many jobs back the last figures of a stream are searched."""


class ScheduleDraft(ConnectionSchedule, Body):
    """An unsaved schedule."""

    model_config = ConfigDict(extra="forbid")


class SchedulePreview(BaseModel):
    """The next runs of a schedule, in UTC milliseconds."""

    nextMs: list[int]


@router.get(
    "/connections/{connectionId}", operation_id="getConnectionOverview", responses=responses_for(ConnectionDetail)
)
def get_connection(caller: Reader, context: ServerContext, connectionId: UUID) -> Any:
    """A connection with its settings, its streams and their last figures, and pending schema changes."""
    key = str(connectionId)
    with context.store.read() as db:
        connection.get(db, key)
        row = db.execute(overview_query(caller).where(connections.c.id == key)).one()
        settings = db.execute(select(connections).where(connections.c.id == key)).one()
        figures = last_figures(db, key)
        return {
            **overview(row, last_jobs(db, [key]).get(key), connection.tags_of(db, [key])[key]),
            "version": connection.version(settings),
            "schemaPolicy": settings.schema_policy,
            "prefix": settings.prefix,
            "namespaceDefinition": settings.namespace_definition,
            "namespaceFormat": settings.namespace_format,
            "managedBy": settings.origin,
            "createdAtMs": settings.created_at_ms,
            "changes": settings.pending_changes["changes"] if settings.pending_changes else None,
            "slot": watched_slot.view(watched_slot.find(db, key), context.store.now_ms(db)),
            "streams": [
                {**each, "key": connection.key_of(each), "last": figures.get(connection.key_of(each))}
                for each in settings.streams
            ],
        }


@router.post("/schedule/preview", operation_id="previewSchedule", dependencies=ASKS, response_model=SchedulePreview)
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


def owner_for(caller: Principal) -> ColumnElement[Any]:
    """Who created a connection, for those who may change it; empty for others, who see names of no colleague."""
    workspace_ids = caller.workspaces(Role.editor)
    created_by = connections.c.created_by
    return (
        created_by
        if workspace_ids is None
        else case((connections.c.workspace_id.in_(workspace_ids), created_by), else_="")
    )


def overview_query(caller: Principal) -> Select[Any]:
    """The query for overviews."""
    c = connections.c
    return (
        select(
            *(c.id, c.workspace_id, c.name, c.status, c.status_reason, c.schedule, c.next_run_at_ms, c.failures),
            *(c.source_id, c.destination_id, owner_for(caller).label("owner")),
            condition.fresh_at().label("fresh_at_ms"),
            condition.DECIDING.label("deciding"),
            func.json_array_length(c.streams).label("streams"),
            sources.c.name.label("source_name"),
            sources.c.connector.label("source_connector"),
            destinations.c.name.label("destination_name"),
            destinations.c.connector.label("destination_connector"),
        )
        .join_from(connections, sources, sources.c.id == c.source_id)
        .join(destinations, destinations.c.id == c.destination_id)
    )


def overview(row: Any, job: Mapping[str, Any] | None, tags: Iterable[Any]) -> dict[str, Any]:
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
        "owner": row.owner,
        "freshAtMs": row.fresh_at_ms,
        "tags": [{"tagId": tag.id, "name": tag.name, "color": tag.color} for tag in tags],
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
    # Attempts of earlier versions have no summary: only theirs need the figures of each stream.
    streams = case((attempts.c.summary.is_(None), attempts.c.streams)).label("streams")
    rows = db.execute(
        select(jobs, attempts.c.summary, streams)
        .join(newest, newest.c.id == jobs.c.id)
        .outerjoin(attempts, LAST_ATTEMPT)
    )
    return {
        row.connection_id: {
            **job_summary(row, row.summary),
            "figures": sums_of(row.summary) if row.summary else sum_figures(row.streams or {}),
        }
        for row in rows
    }


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
