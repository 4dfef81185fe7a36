"""Jobs of Airbyte's public API: start one, look at it, cancel it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import BaseModel
from sqlalchemy import Connection, select

from kitestring.server.api.airbyte_public.page import Ids, Limit, Offset, order_columns, page, visible
from kitestring.server.api.airbyte_public.responses import Job, Jobs
from kitestring.server.api.response_models import responses_for
from kitestring.server.auth.access import Reader, Runner, ServerContext
from kitestring.server.auth.principal import Role
from kitestring.server.clock import duration, iso, ms_of, now_ms
from kitestring.server.connections import connection
from kitestring.server.context import Context
from kitestring.server.http.problem import Problem, missing_resource
from kitestring.server.jobs.queue import ENDED
from kitestring.server.store.tables import jobs

router = APIRouter(prefix="/jobs", tags=["jobs"])

Kind = Literal["sync", "reset", "refresh", "clear"]
Status = Literal["pending", "queued", "running", "incomplete", "failed", "succeeded", "cancelled"]
STATUS_NAMES = {"suspicious": "failed"}
"""Airbyte's clients do not know `suspicious`, and must not read it as success: its counts disagree."""
FEW_MS = 7 * 24 * 3600 * 1000
TOGETHER = 1000
ORDERS = {"createdAt": jobs.c.id, "updatedAt": jobs.c.updated_at_ms}


class JobCreate(BaseModel):
    """A job to start."""

    connectionId: UUID
    jobType: Kind


def answer(row: Any) -> dict[str, Any]:
    """A row in the API's form: times and durations in ISO 8601."""
    ended = row.ended_at_ms
    begun = row.started_at_ms if row.started_at_ms is not None else row.created_at_ms
    return {
        "jobId": row.id,
        "status": STATUS_NAMES.get(row.status, row.status),
        "jobType": row.options.get("asked") or row.kind,
        "startTime": iso(begun),
        "connectionId": row.connection_id,
        **({"lastUpdatedAt": iso(ended)} if ended is not None else {}),
        "duration": duration((ended if ended is not None else now_ms()) - begun),
        "bytesSynced": row.nbytes,
        "rowsSynced": row.records,
    }


def row_of(db: Connection, job_id: int) -> Any:
    row = db.execute(select(jobs).where(jobs.c.id == job_id)).one_or_none() if abs(job_id) < 2**63 else None
    if row is None:
        raise missing_resource("job", job_id)
    return row


def cancel(context: Context, db: Connection, job_id: int) -> None:
    """Cancel a job; 409 for one that has ended."""
    status = row_of(db, job_id).status
    if status in ENDED:
        raise Problem(409, f"job {job_id} has ended: {status}", hint="Only a job that has not ended can be.")
    context.queue.cancel(db, job_id)


@router.get("", operation_id="listJobs", responses=responses_for(Jobs))
def list_jobs(
    request: Request,
    caller: Reader,
    context: ServerContext,
    connectionId: UUID | None = None,
    limit: Limit = 20,
    offset: Offset = 0,
    jobType: Kind | None = None,
    workspaceIds: Ids = None,
    status: Status | None = None,
    createdAtStart: datetime | None = None,
    createdAtEnd: datetime | None = None,
    updatedAtStart: datetime | None = None,
    updatedAtEnd: datetime | None = None,
    orderBy: str | None = None,
) -> Any:
    orders: dict[str, Any] = dict(ORDERS)
    if updatedAtStart is not None and ms_of(updatedAtStart) > now_ms() - FEW_MS:
        # Few were updated since: found by that time and sorted, rather than looked for from the first job on.
        orders["createdAt"] = jobs.c.id + 0
    allowed = visible(caller.workspaces(), workspaceIds)
    if allowed is None and connectionId is None and jobType is None and status is None and updatedAtStart is None:
        orders["createdAt"] = jobs.c.created_at_ms  # the index of times alone answers which jobs are on a page
    order = [*order_columns(orderBy, orders, "createdAt"), jobs.c.id]
    query = select(jobs.c.id).order_by(*order).limit(limit).offset(offset)
    if allowed is not None:
        query = query.where(jobs.c.workspace_id.in_(allowed))
    if connectionId is not None:
        query = query.where(jobs.c.connection_id == str(connectionId))
    if jobType is not None:
        query = query.where(jobs.c.kind == ("clear" if jobType == "reset" else jobType))
    if status is not None:
        query = query.where(jobs.c.status.in_(stored_statuses(status)))
    for column, first, last in (
        (jobs.c.created_at_ms, createdAtStart, createdAtEnd),
        (jobs.c.updated_at_ms, updatedAtStart, updatedAtEnd),
    ):
        if first is not None:
            query = query.where(column >= ms_of(first))
        if last is not None:
            query = query.where(column <= ms_of(last))
    if createdAtStart is not None:  # ids and times of creation grow together, but for a few at the same moment
        since = select(jobs.c.id).where(jobs.c.created_at_ms >= ms_of(createdAtStart))
        query = query.where(jobs.c.id >= since.order_by(jobs.c.created_at_ms).limit(1).scalar_subquery() - TOGETHER)
    with context.store.read() as db:
        # The ids first: a page far behind then walks over entries of an index instead of whole rows.
        rows = list(db.execute(select(jobs).where(jobs.c.id.in_(query)).order_by(*order)))
    return page(request, [answer(row) for row in rows], limit, offset)


@router.post("", operation_id="createJob", responses=responses_for(Job))
def create_job(caller: Runner, context: ServerContext, body: JobCreate) -> Any:
    """Start a job. 409 while the connection has a job that has not ended. `clear` needs an editor: it removes data."""
    if body.jobType == "refresh":
        raise Problem(
            422, "a refresh cannot be started by this API", hint="Use /api/kitestring/v1, or clear and then sync."
        )
    kind = "clear" if body.jobType == "reset" else body.jobType
    options = {"asked": body.jobType} if body.jobType != kind else {}
    with context.store.write() as db:
        if kind == "clear":
            caller.require(connection.get(db, str(body.connectionId)).workspace_id, Role.editor)
        return answer(row_of(db, connection.start(context, db, str(body.connectionId), kind, options)))


@router.get("/{jobId}", operation_id="getJob", responses=responses_for(Job))
def get_job(caller: Reader, context: ServerContext, jobId: int) -> Any:
    with context.store.read() as db:
        return answer(row_of(db, jobId))


@router.delete("/{jobId}", operation_id="cancelJob", responses=responses_for(Job))
def cancel_job(caller: Runner, context: ServerContext, jobId: int) -> Any:
    """Cancel a job: at once if it does not run, else at its next checkpoint. 409 for a job that has ended."""
    with context.store.write() as db:
        cancel(context, db, jobId)
        return answer(row_of(db, jobId))


def stored_statuses(status: str) -> list[str]:
    """The stored statuses of one status of Airbyte's."""
    if status == "queued":
        return ["pending"]
    return [status, *(stored for stored, name in STATUS_NAMES.items() if name == status)]
