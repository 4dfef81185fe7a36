"""A job of a connection that failed, and the row of the connection then."""

from __future__ import annotations

from typing import Any

from sqlalchemy import update

from kitestring.server.connections import connection
from kitestring.server.context import Context
from kitestring.server.jobs import job_end
from kitestring.server.store.tables import jobs


def failed(context: Context, connection_id: str, error: dict[str, str], status: str = "failed") -> None:
    """A job that ended so, and what follows."""
    with context.store.write() as db:
        job = context.queue.enqueue(db, connection_id)
        db.execute(update(jobs).where(jobs.c.id == job).values(status=status, error=error, ended_at_ms=1))
        job_end.record_job_end(context, db, job, status)


def row_of(context: Context, connection_id: str) -> Any:
    with context.store.read() as db:
        return connection.get(db, connection_id)
