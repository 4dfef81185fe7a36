"""Jobs with all that is known of them: attempts, figures of streams, reasons, logs, and events as they happen."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import StreamingResponse
from sqlalchemy import Connection, select

from kitestring.server.api.airbyte_public.page import Ids, visible
from kitestring.server.auth.access import Reader, Runner, ServerContext
from kitestring.server.auth.principal import Principal, Role
from kitestring.server.auth.request_credentials import standing
from kitestring.server.clock import steady
from kitestring.server.context import Context
from kitestring.server.http.problem import Problem, not_found
from kitestring.server.jobs.log import Logs
from kitestring.server.jobs.queue import ACTIVE, ENDED, IS_ACTIVE
from kitestring.server.store.tables import attempts, connections, jobs

router = APIRouter(prefix="/jobs", tags=["jobs"])

Level = Literal["debug", "info", "warning", "error"]
LOOK_S = 0.5
STANDING_S = 5.0
"""How often it is asked whether a reader of events may still read them."""
BEAT_S = 15.0


def row_of(db: Connection, job_id: int) -> Any:
    row = db.execute(select(jobs).where(jobs.c.id == job_id)).one_or_none() if 0 <= job_id < 2**63 else None
    if row is None:
        raise not_found("job", job_id)
    return row


def answer(row: Any) -> dict[str, Any]:
    """A job in short: its own status, `suspicious` included."""
    return {
        "jobId": row.id,
        "connectionId": row.connection_id,
        "workspaceId": row.workspace_id,
        "kind": row.kind,
        "status": row.status,
        "cause": row.cause,
        "options": {key: value for key, value in row.options.items() if key not in ("asked", "forgotten")},
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
    }


def whole(db: Connection, job_id: int) -> dict[str, Any]:
    """A job with its attempts, and for each the figures of its streams: while it runs its `progress`, at its end
    `streams`, and in `durable` what its checkpoints cover, which adds up over attempts."""
    row = row_of(db, job_id)
    tried = db.execute(select(attempts).where(attempts.c.job_id == job_id).order_by(attempts.c.number))
    return {
        **answer(row),
        "history": [
            {
                "number": one.number,
                "status": one.status,
                "worker": one.worker,
                "startedAtMs": one.started_at_ms,
                "endedAtMs": one.ended_at_ms,
                "progress": one.progress,
                "streams": one.streams,
                "durable": one.durable,
                "error": one.error,
            }
            for one in tried
        ],
    }


@router.get("", operation_id="listJobsWhole")
def listed(
    who: Reader,
    context: ServerContext,
    workspaceIds: Ids = None,
    connectionId: str | None = None,
    status: Annotated[list[str] | None, Query()] = None,
    kind: str | None = None,
    before: Annotated[int | None, Query(description="Only jobs with a smaller id: the next page.")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Any:
    """Jobs, newest first, each with the name of its connection."""
    wanted = select(jobs).order_by(jobs.c.id.desc()).limit(limit)
    allowed = visible(who.workspaces(), workspaceIds)
    if allowed is not None:
        wanted = wanted.where(jobs.c.workspace_id.in_(allowed))
    for column, value in ((jobs.c.connection_id, connectionId), (jobs.c.kind, kind)):
        if value is not None:
            wanted = wanted.where(column == value)
    if status:
        wanted = wanted.where(jobs.c.status.in_(status))
        if set(status) <= set(ACTIVE):  # few: found by their index and sorted, rather than looked for among all
            wanted = wanted.where(IS_ACTIVE).order_by(None).order_by((jobs.c.id + 0).desc())
    if before is not None:
        wanted = wanted.where(jobs.c.id < min(before, 2**63 - 1))
    with context.store.read() as db:
        rows = list(db.execute(wanted))
        ids = {row.connection_id for row in rows}
        found = db.execute(select(connections.c.id, connections.c.name).where(connections.c.id.in_(ids)))
        names = {row.id: row.name for row in found}
        return {"data": [{**answer(row), "connectionName": names.get(row.connection_id, "")} for row in rows]}


@router.get("/{jobId}", operation_id="getJobWhole")
def get(who: Reader, context: ServerContext, jobId: int) -> Any:
    with context.store.read() as db:
        return whole(db, jobId)


@router.post("/{jobId}/cancel", operation_id="cancelJobWhole")
def cancel(who: Runner, context: ServerContext, jobId: int) -> Any:
    """At once where nothing runs, else at the next checkpoint. 409 for a job that has ended."""
    with context.store.write() as db:
        row = row_of(db, jobId)
        if row.status in ENDED:
            raise Problem(409, f"job {jobId} has ended: {row.status}", hint="Only a job that has not ended can be.")
        context.queue.cancel(db, jobId)
        return whole(db, jobId)


@router.get("/{jobId}/attempts/{number}/log", operation_id="getJobLog")
def log(
    who: Reader,
    context: ServerContext,
    jobId: int,
    number: int,
    place: Annotated[int, Query(ge=0, description="Where to read on: `place` of the last answer.")] = 0,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
    level: Level = "debug",
    text: str = "",
) -> Any:
    """Entries of an attempt's log, oldest first; what another machine logs comes seconds later."""
    with context.store.read() as db:
        row = row_of(db, jobId)
    if not 0 < number <= row.attempts:
        raise Problem(404, f"job {jobId} has no attempt {number}", hint=f"It has had {row.attempts} so far.")
    part = Logs(context.settings.home, context.store).read(
        jobId, number, place=place, limit=limit, level=level, text=text
    )
    return {"entries": part.entries, "place": part.place, "more": part.has_more}


@router.get("/{jobId}/events", operation_id="getJobEvents")
async def events(
    who: Reader,
    context: ServerContext,
    request: Request,
    jobId: int,
    level: Level = "info",
    last_event_id: Annotated[str | None, Header()] = None,
) -> StreamingResponse:
    """What happens to a job, as server-sent events: `job` whenever it has changed, `log` for each entry of its log.

    The stream ends with the job, or when whoever reads it may not any more. A reader that comes again with
    `Last-Event-ID` gets the entries that it has not seen.
    """
    await asyncio.to_thread(existing, context, jobId)
    return StreamingResponse(
        told(context, request, who, jobId, level, last_event_id or ""),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


def existing(context: Context, job_id: int) -> None:
    with context.store.read() as db:
        row_of(db, job_id)


def may_still(context: Context, request: Request, who: Principal, job_id: int) -> bool:
    """Whether somebody who was let in before may still look at a job."""
    try:
        now = standing(context, request, who)
        with context.store.read() as db:
            return now is not None and now.may(row_of(db, job_id).workspace_id, Role.reader)
    except Problem:  # the key of the token, or the job, is gone
        return False


async def told(
    context: Context, request: Request, who: Principal, job_id: int, level: str, seen: str
) -> AsyncIterator[str]:
    """The events of a job. The id of one is ATTEMPT:PLACE, how far the log has been told."""
    first, _, second = seen.partition(":")
    number, place = (int(first), int(second)) if first.isdigit() and second.isdigit() else (1, 0)
    logs, last, quiet_s, asked_s = Logs(context.settings.home, context.store), "", 0.0, steady()

    def look() -> dict[str, Any]:
        with context.store.read() as db:
            return whole(db, job_id)

    while not await request.is_disconnected():
        if steady() - asked_s >= STANDING_S:
            if not await asyncio.to_thread(may_still, context, request, who, job_id):
                return
            asked_s = steady()
        now = await asyncio.to_thread(look)
        said = json.dumps(now, separators=(",", ":"), default=str)
        if said != last:
            last, quiet_s = said, 0.0
            yield event("job", said, f"{number}:{place}")
        while number <= now["attempts"]:
            part = await asyncio.to_thread(logs.read, job_id, number, place=place, limit=500, level=level)
            place = part.place
            for entry in part.entries:
                yield event("log", json.dumps({**entry, "attempt": number}, separators=(",", ":")), f"{number}:{place}")
            if part.entries:
                quiet_s = 0.0
            if part.has_more:
                continue
            if number == now["attempts"]:
                break
            number, place = number + 1, 0
        if now["status"] in ENDED:
            yield event("end", json.dumps({"status": now["status"]}), f"{number}:{place}")
            return
        await asyncio.sleep(LOOK_S)
        quiet_s += LOOK_S
        if quiet_s >= BEAT_S:  # so that no proxy takes the connection for dead
            quiet_s = 0.0
            yield ": still here\n\n"


def event(kind: str, data: str, ident: str) -> str:
    return f"event: {kind}\nid: {ident}\ndata: {data}\n\n"
