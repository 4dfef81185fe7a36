"""The consequences of a job's end for its connection: counts failures, pauses a connection that only fails.

Called in the transaction that ends the job, so that both happen or neither.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select, update

from kitestring.server.connections.continuous_connection import RESTART_MS
from kitestring.server.context import Context
from kitestring.server.notifications.outbox import enqueue_notice
from kitestring.server.store.tables import connections, jobs

AT_ONCE = ("AuthError",)
"""Errors after which no later run can succeed until a user changes something."""


def record_job_end(context: Context, db: Connection, job_id: int, status: str) -> None:
    """Record the end of a job: a listener of `Queue.on_end`."""
    job = db.execute(select(jobs).where(jobs.c.id == job_id)).one()
    row = db.execute(select(connections).where(connections.c.id == job.connection_id)).one_or_none()
    if row is None or row.deleted_at_ms is not None:
        return
    now = context.store.now_ms(db)
    if job.options.get("next"):
        waiting = job.options["next"]
        context.queue.enqueue(db, row.id, waiting["kind"], cause=waiting["cause"], options=waiting["options"])
    elif goes_on(row, job, status):
        next_run_at = now + (RESTART_MS if status == "failed" else 0)
        db.execute(update(connections).where(connections.c.id == row.id).values(next_run_at_ms=next_run_at))
    if status == "cancelled":
        return
    facts = {"job_id": job_id, "connection_id": row.id, "connection": row.name, "kind": job.kind, "status": status}
    if status != "failed":
        failures: dict[str, Any] = {"failures": 0} if status == "succeeded" else {}
        if failures:
            db.execute(update(connections).where(connections.c.id == row.id).values(**failures))
        event = "success" if status == "succeeded" else "suspicious"
        sentence = f"{job.kind} of {row.name} (job {job_id}): {status}, {job.records} records."
        enqueue_notice(db, row.workspace_id, event, sentence, now, **facts)
        return
    error = job.error or {}
    reason = str(error.get("message") or "no reason was given").rstrip(".")
    count = row.failures + 1
    db.execute(update(connections).where(connections.c.id == row.id).values(failures=count))
    sentence = f"{job.kind} of {row.name} (job {job_id}) failed: {reason}."
    enqueue_notice(db, row.workspace_id, "failure", sentence, now, hint=str(error.get("hint") or ""), **facts)
    most = context.settings.pause_after
    if error.get("type") in AT_ONCE:
        pause(db, row, f"the credentials were refused: {reason}", now)
    elif most and count >= most:
        pause(db, row, f"{count} jobs failed in a row, the last one: {reason}", now)
    elif most and count == (most + 1) // 2:
        enqueue_notice(
            db,
            row.workspace_id,
            "syncDisabledWarning",
            f"{row.name} has failed {count} times in a row; after {most} it is paused.",
            now,
            **facts,
        )


def pause(db: Connection, row: Any, reason: str, now: int, *, by_hand: bool = False) -> None:
    """Pause a scheduled connection and notify; `by_hand`: also one without a schedule."""
    if row.status != "active" or (row.schedule.get("type") == "manual" and not by_hand):
        return
    db.execute(
        update(connections)
        .where(connections.c.id == row.id)
        .values(status="inactive", status_reason=reason, next_run_at_ms=None, updated_at_ms=now)
    )
    enqueue_notice(
        db,
        row.workspace_id,
        "syncDisabled",
        f"{row.name} was paused: {reason}.",
        now,
        hint="Correct the cause, then activate the connection.",
        connection_id=row.id,
        connection=row.name,
    )


def goes_on(row: Any, job: Any, status: str) -> bool:
    """Whether a continuous job follows this one. A continuous job that was cancelled stays stopped; another job made it
    wait."""
    was_stopped = status == "cancelled" and job.options.get("continuous")
    return bool(row.status == "active" and row.schedule.get("type") == "continuous" and not was_stopped)
