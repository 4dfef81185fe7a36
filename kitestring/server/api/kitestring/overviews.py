"""What the pages of the interface show of connections: each with its ends, its last job and what comes next."""

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
from kitestring.server.api.kitestring.jobs import answer as job_answer
from kitestring.server.api.kitestring.responses import ConnectionDetail, ConnectionOverviews
from kitestring.server.api.response_models import responses_for
from kitestring.server.auth.access import AnyUser, Reader, ServerContext
from kitestring.server.clock import now_ms
from kitestring.server.connections import connection as rooms
from kitestring.server.connections import schedule
from kitestring.server.jobs.queue import ACTIVE
from kitestring.server.store.tables import attempts, connections, destinations, jobs, sources

router = APIRouter(tags=["overviews"])

Condition = Literal[
    "active", "paused", "running", "succeeded", "suspicious", "failed", "cancelled", "never", "deciding"
]
SUMMED = ("read", "written", "unchanged", "deleted", "rejected", "superseded", "filtered", "bytes")
# Changes that were answered leave a JSON null, which is no NULL of SQL.
DECIDING = func.coalesce(cast(connections.c.pending_changes, Text), "null") != "null"
LOOK_BACK = 20
"""So many jobs back the last figures of a stream are looked for."""


class ScheduleDraft(ConnectionSchedule, Body):
    """A schedule that is not kept yet."""

    model_config = ConfigDict(extra="forbid")


class SchedulePreview(BaseModel):
    """The moments at which a schedule comes next, in UTC milliseconds."""

    nextMs: list[int]


@router.get("/connections", operation_id="listConnectionOverviews", responses=responses_for(ConnectionOverviews))
def listed(
    who: Reader,
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
    wanted = joined().where(connections.c.deleted_at_ms.is_(None))
    allowed = visible(who.workspaces(), workspaceIds)
    if allowed is not None:
        wanted = wanted.where(connections.c.workspace_id.in_(allowed))
    if text:
        like = f"%{text.replace('!', '!!').replace('%', '!%').replace('_', '!_')}%"
        names = (connections.c.name, sources.c.name, destinations.c.name)
        wanted = wanted.where(or_(*(name.ilike(like, escape="!") for name in names)))
    for column, value in ((connections.c.source_id, sourceId), (connections.c.destination_id, destinationId)):
        if value is not None:
            wanted = wanted.where(column == str(value))
    if condition is not None:
        wanted = conditioned(wanted, condition)
    page = wanted.order_by(func.lower(connections.c.name), connections.c.id).limit(limit).offset(offset)
    with context.store.read() as db:
        total = db.execute(wanted.with_only_columns(func.count(), maintain_column_froms=True)).scalar_one()
        rows = list(db.execute(page))
        last = last_jobs(db, [row.id for row in rows])
        return {"data": [overview(row, last.get(row.id)) for row in rows], "total": total}


@router.get(
    "/connections/{connectionId}", operation_id="getConnectionOverview", responses=responses_for(ConnectionDetail)
)
def get(who: Reader, context: ServerContext, connectionId: UUID) -> Any:
    """A connection with all that its page shows: streams with their last figures, changes that wait, settings."""
    key = str(connectionId)
    with context.store.read() as db:
        rooms.get(db, key)
        row = db.execute(joined().where(connections.c.id == key)).one()
        whole = db.execute(select(connections).where(connections.c.id == key)).one()
        tags = rooms.tags_of(db, [key])[key]
        figures = last_figures(db, key)
        return {
            **overview(row, last_jobs(db, [key]).get(key)),
            "schemaPolicy": whole.schema_policy,
            "prefix": whole.prefix,
            "namespaceDefinition": whole.namespace_definition,
            "namespaceFormat": whole.namespace_format,
            "managedBy": whole.origin,
            "createdAtMs": whole.created_at_ms,
            "tags": [{"tagId": one.id, "name": one.name, "color": one.color} for one in tags],
            "changes": whole.pending_changes["changes"] if whole.pending_changes else None,
            "streams": [
                {**one, "key": rooms.key_of(one), "last": figures.get(rooms.key_of(one))} for one in whole.streams
            ],
        }


@router.post("/schedule/preview", operation_id="previewSchedule", response_model=SchedulePreview)
def preview(who: AnyUser, context: ServerContext, body: ScheduleDraft) -> Any:
    """When a schedule would come next, five times; none for a manual one. 422 says what is wrong with it."""
    form = schedule.from_api(body.model_dump())
    found: list[int] = []
    after = now_ms()
    while len(found) < 5:
        coming = schedule.next_ms(form, after)
        if coming is None:
            break
        found.append(coming)
        after = coming
    return {"nextMs": found}


def joined() -> Select[Any]:
    """The columns of an overview."""
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


def conditioned(wanted: Select[Any], condition: Condition) -> Select[Any]:
    """Only connections that are like this. The last job of each is found by its index."""
    if condition in ("active", "paused"):
        return wanted.where(connections.c.status == ("active" if condition == "active" else "inactive"))
    if condition == "deciding":
        return wanted.where(DECIDING)
    of = jobs.c.connection_id == connections.c.id
    if condition == "never":
        return wanted.where(~select(jobs.c.id).where(of).exists())
    if condition == "running":
        return wanted.where(select(jobs.c.id).where(of, jobs.c.status.in_(ACTIVE)).exists())
    last = select(jobs.c.status).where(of).order_by(jobs.c.id.desc()).limit(1).correlate(connections)
    return wanted.where(last.scalar_subquery() == condition)


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
            **job_answer(row),
            "figures": summed(row.streams or (row.progress or {}).get("streams") or {}),
        }
        for row in rows
    }


def summed(streams: Mapping[str, Any]) -> dict[str, float]:
    """The counts and figures of all streams of an attempt together."""
    found: dict[str, float] = {}
    for one in streams.values():
        more = {name: one.get(name) for name in SUMMED} | dict(one.get("figures") or {})
        for name, value in more.items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                found[name] = found.get(name, 0) + value
    return found


def last_figures(db: Connection, connection_id: str) -> dict[str, dict[str, Any]]:
    """How each stream came out of the last attempt that had it, among the last jobs that have ended."""
    rows = db.execute(
        select(jobs.c.id, jobs.c.kind, jobs.c.ended_at_ms, attempts.c.streams)
        .join(attempts, (attempts.c.job_id == jobs.c.id) & (attempts.c.number == jobs.c.attempts))
        .where(jobs.c.connection_id == connection_id, attempts.c.streams.is_not(None))
        .order_by(jobs.c.id.desc())
        .limit(LOOK_BACK)
    )
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        for key, one in (row.streams or {}).items():
            found.setdefault(key, {**one, "jobId": row.id, "kind": row.kind, "endedAtMs": row.ended_at_ms})
    return found
