"""Actions on a connection that Airbyte's API does not have: single streams, states, estimates."""

from __future__ import annotations

import time
from typing import Any, Literal
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import Field
from sqlalchemy import select

from kitestring.server.api.airbyte_public.jobs import row_of
from kitestring.server.api.exact import ExactRoute, exact
from kitestring.server.api.kitestring.body import Body
from kitestring.server.api.kitestring.job_cause import JobCause
from kitestring.server.api.kitestring.job_responses import JobSummary
from kitestring.server.api.kitestring.jobs import job_summary
from kitestring.server.api.kitestring.responses import (
    ConnectionSlot,
    PendingChanges,
    SchemaChanges,
    SyncEstimate,
    WaitingDeletions,
)
from kitestring.server.api.response_models import responses_for
from kitestring.server.auth.access import ASKS, Editor, Reader, Runner, ServerContext
from kitestring.server.clock import steady
from kitestring.server.connections import connection, schema_change, states, waiting_deletions, watched_slot
from kitestring.server.connections.exclusive_place import exclusive_place
from kitestring.server.context import Context
from kitestring.server.http.problem import Problem
from kitestring.server.jobs.config_updates import ConfigUpdater
from kitestring.server.jobs.continuous_job import put_behind
from kitestring.server.jobs.queue import Busy
from kitestring.server.store.tables import jobs

STOP_S = 40.0
"""How long a request waits for a continuous job to stop: that reconciles first."""
router = APIRouter(prefix="/connections/{connectionId}", tags=["connections"], route_class=ExactRoute)


class StreamNames(Body):
    """Streams by name. An empty list means all."""

    streams: list[str] = Field(default_factory=list)


class RefreshRequest(StreamNames):
    """How to refresh: `truncate` replaces the data at the end, `merge` merges new records into it."""

    mode: Literal["truncate", "merge"] = "truncate"


class BackfillWindow(Body):
    """A stream, and the range of cursor values to read again."""

    stream: str
    from_: Any = Field(alias="from")
    to: Any = None


class StreamStates(Body):
    """States by stream."""

    states: dict[str, dict[str, Any]]


@router.post("/sync", operation_id="syncConnection", responses=responses_for(JobSummary, 202), status_code=202)
def sync_connection(caller: Runner, context: ServerContext, connectionId: UUID, cause: JobCause) -> Any:
    """Start a sync."""
    return start_job(context, str(connectionId), "sync", {}, cause)


@router.post("/refresh", operation_id="refreshConnection", responses=responses_for(JobSummary, 202), status_code=202)
def refresh_connection(
    caller: Runner, context: ServerContext, connectionId: UUID, body: RefreshRequest, cause: JobCause
) -> Any:
    """Start a refresh: read streams from the beginning. The old data stays until the new is complete."""
    return start_job(
        context,
        str(connectionId),
        "refresh",
        {**stream_options(context, connectionId, body.streams), "mode": body.mode},
        cause,
    )


@router.post("/clear", operation_id="clearConnection", responses=responses_for(JobSummary, 202), status_code=202)
def clear_connection(
    caller: Editor, context: ServerContext, connectionId: UUID, body: StreamNames, cause: JobCause
) -> Any:
    """Remove the data of streams at the destination, and their states. Only a sync brings it back."""
    return start_job(context, str(connectionId), "clear", stream_options(context, connectionId, body.streams), cause)


@router.post("/backfill", operation_id="backfillConnection", responses=responses_for(JobSummary, 202), status_code=202)
def backfill_connection(
    caller: Runner, context: ServerContext, connectionId: UUID, body: BackfillWindow, cause: JobCause
) -> Any:
    """Read a range of a stream again. Its state stays as it is."""
    options = {"stream": body.stream, "from": body.from_, "to": body.to}
    stream_options(context, connectionId, [body.stream])
    return start_job(context, str(connectionId), "backfill", options, cause)


@router.get("/state", operation_id="getState", responses=responses_for(StreamStates))
def get_state(caller: Reader, context: ServerContext, connectionId: UUID) -> Any:
    """The states of the streams: the next sync continues from them."""
    with context.store.read() as db:
        connection.get(db, str(connectionId))
        return exact({"states": states.load(db, str(connectionId))})


@router.put("/state", operation_id="putState", responses=responses_for(StreamStates))
def put_state(caller: Editor, context: ServerContext, connectionId: UUID, body: StreamStates) -> Any:
    """Replace the states of the named streams. 409 while a job runs, 422 for unknown streams."""
    with context.store.write() as db:
        states.replace(context, db, str(connectionId), body.states)
    return get_state(caller, context, connectionId)


@router.delete("/state", operation_id="resetState", status_code=204)
def reset_state(caller: Editor, context: ServerContext, connectionId: UUID, stream: str | None = None) -> Response:
    """Delete the state of a stream (without `stream`: of all). The next sync reads it from the beginning."""
    with context.store.write() as db:
        connection.get(db, str(connectionId))
        states.forget(context, db, str(connectionId), None if stream is None else [stream])
    return Response(status_code=204)


@router.post("/diff", operation_id="diffConnection", dependencies=ASKS, responses=responses_for(SchemaChanges))
def diff_connection(caller: Runner, context: ServerContext, connectionId: UUID) -> Any:
    """Discover the source and compare it with the streams of the connection. Changes nothing."""
    with context.store.read() as db:
        row = connection.get(db, str(connectionId))
    catalog = connection.discover(context, row.source_id, fresh=True)
    return schema_change.compare(connection.Catalog(row.catalog), catalog, row.streams).body()


@router.get("/changes", operation_id="getSchemaChanges", responses=responses_for(PendingChanges))
def get_schema_changes(caller: Reader, context: ServerContext, connectionId: UUID) -> Any:
    """The schema changes that wait for a decision; null without any."""
    with context.store.read() as db:
        waiting = connection.get(db, str(connectionId)).pending_changes
    return {"changes": waiting["changes"] if waiting else None}


@router.post("/changes/accept", operation_id="acceptSchemaChanges", status_code=204)
def accept_schema_changes(caller: Editor, context: ServerContext, connectionId: UUID) -> Response:
    """Accept the pending schema changes, and activate the connection. 409 without any."""
    with context.store.write() as db:
        schema_change.accept(context, db, str(connectionId))
    return Response(status_code=204)


@router.post("/changes/dismiss", operation_id="dismissSchemaChanges", status_code=204)
def dismiss_schema_changes(caller: Editor, context: ServerContext, connectionId: UUID) -> Response:
    """Keep the old fields, and activate the connection. 409 where that is impossible."""
    with context.store.write() as db:
        schema_change.dismiss(context, db, str(connectionId))
    return Response(status_code=204)


@router.get("/deletions", operation_id="getWaitingDeletions", responses=responses_for(WaitingDeletions))
def get_waiting_deletions(caller: Reader, context: ServerContext, connectionId: UUID) -> Any:
    """The streams whose source did not list many of their records. They stay until the next sync confirms that, or
    until it is accepted."""
    with context.store.read() as db:
        connection.get(db, str(connectionId))
        return {"streams": waiting_deletions.waiting(db, str(connectionId))}


@router.post("/deletions/accept", operation_id="acceptDeletions", status_code=204)
def accept_deletions(caller: Editor, context: ServerContext, connectionId: UUID) -> Response:
    """Let the next sync delete the records that the source does not list, however many. 409 where none wait, or while a
    job runs."""
    with context.store.write() as db:
        connection.get(db, str(connectionId))
        waiting_deletions.accept(context, db, str(connectionId))
    return Response(status_code=204)


@router.get("/slot", operation_id="getReplicationSlot", responses=responses_for(ConnectionSlot))
def get_replication_slot(caller: Reader, context: ServerContext, connectionId: UUID) -> Any:
    """The replication slot that the connection reads, what a deletion would do with it, and what a deletion did."""
    with context.store.read() as db:
        connection.get(db, str(connectionId), deleted=True)
        row = watched_slot.find(db, str(connectionId))
        refusal = None if row is None else watched_slot.reason_to_keep(db, row)
        return {
            "slot": watched_slot.view(row, context.store.now_ms(db)),
            "keptBecause": refusal and {"status": "kept", "message": refusal[0], "hint": refusal[1]},
        }


@router.post("/estimate", operation_id="estimateConnection", dependencies=ASKS, responses=responses_for(SyncEstimate))
def estimate_connection(caller: Runner, context: ServerContext, connectionId: UUID, sample: int = 1000) -> Any:
    """Estimate the volume and cost of the next sync. Reads at most `sample` records of each stream, and writes
    nothing."""
    plan = connection.plan_of(context, str(connectionId))
    request = {**plan.body(), "states": context.queue.states(str(connectionId)), "sample": max(1, min(sample, 100_000))}
    updater = ConfigUpdater(context, source=plan.source, destination=plan.destination)
    place = exclusive_place(context, plan.destination)
    return context.runner.run("estimate", request, limit_s=300.0, updater=updater, place=place)


def start_job(context: Context, connection_id: str, kind: str, options: dict[str, Any], cause: str) -> dict[str, Any]:
    """Start a job. A continuous job of the connection stops at a checkpoint first, and goes on after this one."""
    with context.store.write() as db:
        connection.get(db, connection_id)
        try:
            job = context.queue.enqueue(db, connection_id, kind, cause=cause, options=options)
        except Busy as busy:
            ahead = int(busy.fields["job_id"])
            if not put_behind(context.queue, db, ahead, kind, options, cause):
                raise Problem(409, busy.message, hint=busy.hint, jobId=ahead) from busy
        else:
            return job_summary(row_of(db, job))
    return job_behind(context, connection_id, ahead)


def job_behind(context: Context, connection_id: str, ahead: int) -> dict[str, Any]:
    """The job that follows a continuous one, once that has stopped."""
    query = select(jobs.c.id).where(jobs.c.connection_id == connection_id, jobs.c.id > ahead).limit(1)
    deadline = steady() + STOP_S
    while steady() < deadline:
        with context.store.read() as db:
            job = db.execute(query).scalar_one_or_none()
            if job is not None:
                return job_summary(row_of(db, job))
        time.sleep(0.1)
    raise Problem(
        409,
        f"the continuous job {ahead} has not stopped yet",
        hint="Nothing is lost: the job that you asked for starts when it has stopped.",
        jobId=ahead,
    )


def stream_options(context: Context, connection_id: UUID, names: list[str]) -> dict[str, Any]:
    """The named streams as a job's options. 422 for a stream that the connection does not have."""
    with context.store.read() as db:
        states.check_streams(db, str(connection_id), names)
    return {"streams": names} if names else {}
