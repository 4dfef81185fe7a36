"""Jobs in detail: attempts, figures by stream, errors, logs, and server-sent events."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent
from sqlalchemy import ColumnElement, Connection, case, func, select

from kitestring.server.api.airbyte_public.jobs import cancel, row_of
from kitestring.server.api.airbyte_public.page import Ids, like_pattern, visible
from kitestring.server.api.kitestring.job_responses import JobDetail, ListedJobs, LogPage
from kitestring.server.api.response_models import responses_for
from kitestring.server.auth.access import Reader, Runner, ServerContext
from kitestring.server.auth.principal import Principal, Role
from kitestring.server.auth.request_credentials import reauthenticate
from kitestring.server.clock import steady
from kitestring.server.context import Context
from kitestring.server.http.problem import Problem
from kitestring.server.jobs.log import Logs
from kitestring.server.jobs.queue import ACTIVE, ENDED, IS_ACTIVE
from kitestring.server.store.tables import attempts, connections, jobs

router = APIRouter(prefix="/jobs", tags=["jobs"])

Level = Literal["debug", "info", "warning", "error"]
HIDDEN_OPTIONS = ("asked", "forgotten", "continuous", "windows", "next")
"""Options of a job that its request did not have, or that are fields of their own in the answer."""
LOOK_S = 0.5
STANDING_S = 5.0
"""How often the role of a reader of events is checked again."""


RUNNING_SUMMARY = case((jobs.c.status == "running", attempts.c.summary)).label("summary")
"""How far a running job is; null for others."""
LAST_ATTEMPT = (attempts.c.job_id == jobs.c.id) & (attempts.c.number == jobs.c.attempts)


def job_summary(row: Any, progress: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A job without its attempts. `progress`: the summary of its last attempt, while it runs."""
    return {
        "jobId": row.id,
        "connectionId": row.connection_id,
        "workspaceId": row.workspace_id,
        "kind": row.kind,
        "status": row.status,
        "cause": row.cause,
        "options": {key: value for key, value in row.options.items() if key not in HIDDEN_OPTIONS},
        "attempts": row.attempts,
        "records": row.records,
        "bytes": row.nbytes,
        "error": row.error,
        "cancelRequested": row.cancel,
        "worker": row.worker,
        "createdAtMs": row.created_at_ms,
        "startedAtMs": row.started_at_ms,
        "endedAtMs": row.ended_at_ms,
        "runAfterMs": row.run_after_ms if row.status in ("pending", "incomplete") else None,
        "progress": progress if progress and "phase" in progress and row.status == "running" else None,
        "continuous": bool(row.options.get("continuous")),
        "windows": windows_of(row.options.get("windows")),
    }


def windows_of(windows: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if not windows:
        return None
    return {
        "ended": windows["ended"],
        "suspicious": windows["suspicious"],
        "endedAtMs": windows["ended_at_ms"],
        "goodAtMs": windows["good_at_ms"],
        "reasons": windows["reasons"],
    }


def job_detail(db: Connection, job_id: int) -> dict[str, Any]:
    """A job with its attempts, and the figures of the streams of each: while it runs in `progress`, at its end in
    `streams`. `durable` has what its checkpoints cover: these counts add up over attempts."""
    row = row_of(db, job_id)
    rows = db.execute(select(attempts).where(attempts.c.job_id == job_id).order_by(attempts.c.number)).all()
    return {
        **job_summary(row, rows[-1].summary if rows else None),
        "history": [
            {
                "number": attempt.number,
                "status": attempt.status,
                "worker": attempt.worker,
                "startedAtMs": attempt.started_at_ms,
                "endedAtMs": attempt.ended_at_ms,
                "progress": attempt.progress,
                "streams": attempt.streams,
                "durable": attempt.durable,
                "error": attempt.error,
            }
            for attempt in rows
        ],
    }


@router.get("", operation_id="listJobsWhole", responses=responses_for(ListedJobs))
def list_jobs(
    caller: Reader,
    context: ServerContext,
    workspaceIds: Ids = None,
    connectionId: str | None = None,
    status: Annotated[list[str] | None, Query()] = None,
    kind: str | None = None,
    text: Annotated[str, Query(max_length=200, description="In the name of the connection.")] = "",
    before: Annotated[int | None, Query(description="Only jobs with a smaller id: the next page.")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    counted: Annotated[bool, Query(description="Also how many jobs have each status, whatever `status` asks.")] = False,
) -> Any:
    """Jobs, newest first, each with the name of its connection, and how far it is while it runs."""
    conditions: list[ColumnElement[bool]] = []
    allowed = visible(caller.workspaces(), workspaceIds)
    if allowed is not None:
        conditions.append(jobs.c.workspace_id.in_(allowed))
    for column, value in ((jobs.c.connection_id, connectionId), (jobs.c.kind, kind)):
        if value is not None:
            conditions.append(column == value)
    if text:
        named = connections.c.name.ilike(like_pattern(text), escape="!")
        conditions.append(jobs.c.connection_id.in_(select(connections.c.id).where(named)))
    query = (
        select(jobs, RUNNING_SUMMARY).outerjoin(attempts, LAST_ATTEMPT).where(*conditions).order_by(jobs.c.id.desc())
    ).limit(limit)
    counts = select(jobs.c.status, func.count()).where(*conditions).group_by(jobs.c.status)
    if status:
        query = query.where(jobs.c.status.in_(status))
        if set(status) <= set(ACTIVE):  # few: found by their index and sorted, rather than looked for among all
            query = query.where(IS_ACTIVE).order_by(None).order_by((jobs.c.id + 0).desc())
    if before is not None:
        query = query.where(jobs.c.id < min(before, 2**63 - 1))
    with context.store.read() as db:
        rows = list(db.execute(query))
        ids = {row.connection_id for row in rows}
        name_rows = db.execute(select(connections.c.id, connections.c.name).where(connections.c.id.in_(ids)))
        names = {row.id: row.name for row in name_rows}
        return {
            "data": [
                {**job_summary(row, row.summary), "connectionName": names.get(row.connection_id, "")} for row in rows
            ],
            **({"counts": {row.status: row[1] for row in db.execute(counts)}} if counted else {}),
        }


@router.get("/{jobId}", operation_id="getJobWhole", responses=responses_for(JobDetail))
def get_job(caller: Reader, context: ServerContext, jobId: int) -> Any:
    with context.store.read() as db:
        return job_detail(db, jobId)


@router.post("/{jobId}/cancel", operation_id="cancelJobWhole", responses=responses_for(JobDetail))
def cancel_job(caller: Runner, context: ServerContext, jobId: int) -> Any:
    """Cancel a job: at once if it does not run, else at its next checkpoint. 409 for a job that has ended."""
    with context.store.write() as db:
        cancel(context, db, jobId)
        return job_detail(db, jobId)


@router.get("/{jobId}/attempts/{number}/log", operation_id="getJobLog", responses=responses_for(LogPage))
def get_job_log(
    caller: Reader,
    context: ServerContext,
    jobId: int,
    number: int,
    place: Annotated[
        int, Query(description="Where to read on: `place` of the last answer. Negative: so many bytes before the end.")
    ] = 0,
    until: Annotated[int | None, Query(ge=0, description="Only entries before this place.")] = None,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
    level: Level = "debug",
    text: str = "",
) -> Any:
    """Entries of an attempt's log, oldest first. Entries of other machines arrive some seconds later."""
    with context.store.read() as db:
        row = row_of(db, jobId)
    if not 0 < number <= row.attempts:
        raise Problem(404, f"job {jobId} has no attempt {number}", hint=f"It has had {row.attempts} so far.")
    part = Logs(context.settings.home, context.store).read(
        jobId, number, place=place, until=until, limit=limit, level=level, text=text
    )
    return {"entries": part.entries, "start": part.start, "place": part.place, "more": part.has_more}


def require_job(context: ServerContext, jobId: int) -> None:
    """404 for an unknown job, before the stream begins."""
    with context.store.read() as db:
        row_of(db, jobId)


@router.get(
    "/{jobId}/events",
    operation_id="getJobEvents",
    response_class=EventSourceResponse,
)
async def job_events(
    caller: Reader,
    context: ServerContext,
    request: Request,
    jobId: int,
    level: Level = "info",
    last_event_id: Annotated[str | None, Header()] = None,
    exists: Annotated[None, Depends(require_job)] = None,
) -> AsyncIterator[ServerSentEvent]:
    """Server-sent events of a job: `job` (as `GET /jobs/{jobId}` answers) at every change, `progress` (as `progress` of
    the job) where only that has changed, `log` for each entry of its log, `end` at its end.

    The stream ends with the job, or when the reader loses the role that it needs. A reader that comes back with
    `Last-Event-ID` gets the entries that it has not seen. The id of an event is ATTEMPT:PLACE, a place in the log.
    """
    first, _, second = (last_event_id or "").partition(":")
    number, place = (int(first), int(second)) if first.isdigit() and second.isdigit() else (1, 0)
    logs, last, checked_s = Logs(context.settings.home, context.store), "", steady()
    job: dict[str, Any] = {}
    seen: tuple[Any, Any] = (None, None)
    changed, loop = asyncio.Event(), asyncio.get_running_loop()

    def read_job() -> dict[str, Any]:
        with context.store.read() as db:
            return job_detail(db, jobId)

    def wake() -> None:
        with contextlib.suppress(RuntimeError):  # the server has stopped
            loop.call_soon_threadsafe(changed.set)

    signals = context.queue.signals
    signals.watch(jobId, wake)
    try:
        while not await request.is_disconnected():
            changed.clear()
            if steady() - checked_s >= STANDING_S:
                if not await asyncio.to_thread(may_still, context, request, caller, jobId):
                    return
                checked_s = steady()
            version, progress = await asyncio.to_thread(job_version, context, jobId)
            if version != seen[0]:
                job = await asyncio.to_thread(read_job)
                data = json.dumps(job, separators=(",", ":"), default=str)
                if data != last:
                    last = data
                    yield event("job", data, number, place)
            elif progress != seen[1] and progress is not None:
                yield event("progress", json.dumps(progress, separators=(",", ":")), number, place)
            seen = (version, progress)
            while number <= job["attempts"]:
                part = await asyncio.to_thread(logs.read, jobId, number, place=place, limit=500, level=level)
                place = part.place
                for entry in part.entries:
                    line = json.dumps({**entry, "attempt": number}, separators=(",", ":"))
                    yield event("log", line, number, place)
                if part.has_more:
                    continue
                if number == job["attempts"]:
                    break
                number, place = number + 1, 0
            if job["status"] in ENDED:
                yield event("end", json.dumps({"status": job["status"]}), number, place)
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), LOOK_S)
    finally:
        signals.unwatch(jobId, wake)


def job_version(context: Context, job_id: int) -> tuple[Any, Any]:
    """A value that differs after each change of a job, and its progress. (None, None) if the job is gone."""
    query = (
        select(jobs.c.status, jobs.c.cancel, jobs.c.attempts, jobs.c.epoch, jobs.c.updated_at_ms, RUNNING_SUMMARY)
        .outerjoin(attempts, LAST_ATTEMPT)
        .where(jobs.c.id == job_id)
    )
    with context.store.read() as db:
        row = db.execute(query).one_or_none()
    return (tuple(row[:-1]), row.summary) if row is not None else (None, None)


def event(kind: str, data: str, attempt: int, place: int) -> ServerSentEvent:
    return ServerSentEvent(event=kind, raw_data=data, id=f"{attempt}:{place}")


def may_still(context: Context, request: Request, caller: Principal, job_id: int) -> bool:
    """Whether the caller may still read the job."""
    try:
        now = reauthenticate(context, request, caller)
        with context.store.read() as db:
            return now is not None and now.may(row_of(db, job_id).workspace_id, Role.reader)
    except Problem:  # the key of the token, or the job, is gone
        return False
