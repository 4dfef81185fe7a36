"""The scheduler: creates the job of a due connection and its next run in one transaction.

Any number of schedulers may run over one store: a due connection is locked by the one that takes it, and the next one
finds it no longer due. Runs that were missed (nothing was running, the clock jumped) come once, not many times.
"""

from __future__ import annotations

import logging
from typing import Any

from sqlalchemy import Connection, select, update

from kitestring.errors import ConfigError, KitestringError
from kitestring.server.connections import schedule
from kitestring.server.context import Context
from kitestring.server.jobs.queue import Busy
from kitestring.server.polling import PollingThread
from kitestring.server.store.tables import connections

log = logging.getLogger("kitestring.scheduler")

LOOK_S = 1.0
AT_ONCE = 100
PUT_OFF_MS = 600_000
NEEDED = (
    connections.c.id,
    connections.c.status,
    connections.c.schedule,
    connections.c.next_run_at_ms,
    connections.c.deleted_at_ms,
)
"""Not the whole row: its catalog can have megabytes."""


class Scheduler(PollingThread):
    """Looks for due connections in a thread of its own. `start` it, and `stop` it in the end."""

    name = "scheduler"

    def __init__(self, context: Context, *, look_s: float = LOOK_S) -> None:
        super().__init__(look_s)
        self.context = context

    def work(self) -> bool:
        return self.run_due() == AT_ONCE

    def run_due(self) -> int:
        """Make the jobs of the connections that are due, a hundred at the most; how many connections were due."""
        store = self.context.store
        with store.read() as db:  # most of the time nothing is due, and no writer has to wait
            if self._due_rows(db, store.now_ms(db), 1, lock=False) == []:
                return 0
        with store.write() as db:
            now = store.now_ms(db)
            rows = self._due_rows(db, now, AT_ONCE, lock=True)
            for row in rows:
                try:
                    with db.begin_nested():
                        self._run(db, row, now)
                except KitestringError as error:  # it alone is put off, the others run
                    log.error("cannot be run", extra={"connection": row.id, "error": error.message})
                    later = now + PUT_OFF_MS
                    db.execute(update(connections).where(connections.c.id == row.id).values(next_run_at_ms=later))
            return len(rows)

    def _due_rows(self, db: Connection, now: int, limit: int, *, lock: bool) -> list[Any]:
        query = (
            select(*NEEDED)
            .where(connections.c.next_run_at_ms.is_not(None), connections.c.next_run_at_ms <= now)
            .order_by(connections.c.next_run_at_ms)
            .limit(limit)
        )
        return list(db.execute(query.with_for_update(skip_locked=True, key_share=True) if lock else query))

    def _run(self, db: Connection, row: Any, now: int) -> None:
        active = row.status == "active" and row.deleted_at_ms is None
        coming = next_run(row.id, row.status, row.schedule, now) if active else None
        db.execute(update(connections).where(connections.c.id == row.id).values(next_run_at_ms=coming))
        if not active:
            return
        try:
            job = self.context.queue.enqueue(db, row.id, "sync", cause="schedule")
            log.info("scheduled", extra={"connection": row.id, "job": job, "late_ms": now - row.next_run_at_ms})
        except Busy as busy:  # the run before has not ended: this one is left out
            if schedule.is_continuous(row.schedule):
                return  # its end starts the next
            log.warning("still running when due again", extra={"connection": row.id, "job": busy.fields["job_id"]})


def next_run(connection_id: str, status: str, form: schedule.Schedule, now: int) -> int | None:
    """The next run of a connection, counted from now; None if it is paused or manual."""
    if status != "active":
        return None
    try:
        return schedule.next_ms(form, now, connection_id)
    except (ConfigError, KeyError, TypeError, ValueError) as error:  # kept by another version, which knew it
        log.error("a schedule cannot be read", extra={"connection": connection_id, "error": str(error)})
        return None
