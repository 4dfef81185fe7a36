"""Retention: removes old jobs with their attempts, logs, audit entries, expired sessions and lost workers."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, select

from kitestring.server.jobs.log import Logs
from kitestring.server.store.tables import (
    attempts,
    audit,
    consents,
    idempotency_keys,
    jobs,
    log_parts,
    quotas,
    sessions,
    workers,
)

if TYPE_CHECKING:
    from kitestring.server.context import Context

log = logging.getLogger("kitestring.jobs")

DAY_MS = 24 * 3600 * 1000
AT_ONCE = 500
LAST_JOBS = 10


def clean(context: Context) -> dict[str, int]:
    """Remove old entries; returns how many of each. In small transactions, so that nothing waits for it.

    The last jobs of each connection stay, however old, for its page.
    """
    settings, store = context.settings, context.store
    removed = {"jobs": 0, "logs": old_logs(Logs(settings.home), settings.keep_logs_days), "workers": 0}
    with store.read() as db:
        now = store.now_ms(db)
    before, place = now - settings.keep_jobs_days * DAY_MS, 0
    newer = jobs.alias()
    following = select(newer.c.id).where(newer.c.connection_id == jobs.c.connection_id, newer.c.id > jobs.c.id)
    later = select(func.count()).select_from(following.limit(LAST_JOBS).subquery()).scalar_subquery()
    query = select(jobs.c.id, jobs.c.created_at_ms, jobs.c.ended_at_ms, later.label("later")).order_by(jobs.c.id)
    while True:
        with store.read() as db:
            rows = [
                row
                for row in db.execute(query.where(jobs.c.id > place).limit(AT_ONCE))
                if row.created_at_ms < before  # ids and times grow together
            ]
        if not rows:
            break
        place = rows[-1].id
        old = [row.id for row in rows if row.ended_at_ms and row.ended_at_ms < before and row.later >= LAST_JOBS]
        if old:
            with store.write() as db:
                db.execute(delete(attempts).where(attempts.c.job_id.in_(old)))
                db.execute(delete(jobs).where(jobs.c.id.in_(old)))
            for job_id in old:
                Logs(settings.home).remove(job_id)
            removed["jobs"] += len(old)
    with store.write() as db:
        removed["workers"] = db.execute(delete(workers).where(workers.c.seen_at_ms < now - DAY_MS)).rowcount
        db.execute(delete(log_parts).where(log_parts.c.at_ms < now - settings.keep_logs_days * DAY_MS))
        db.execute(delete(quotas).where(quotas.c.at_ms < now - DAY_MS))
        db.execute(delete(audit).where(audit.c.at_ms < now - settings.keep_audit_days * DAY_MS))
        for table in (sessions, consents, idempotency_keys):
            db.execute(delete(table).where(table.c.expires_at_ms < now))
    if removed["jobs"] or removed["logs"]:
        log.info("removed old entries", extra={f"removed_{key}": value for key, value in removed.items()})
    return removed


def old_logs(logs: Logs, days: int) -> int:
    """Remove log folders of jobs whose newest file is older than so many days; returns how many."""
    removed, before = 0, time.time() - days * 24 * 3600
    for folder in list(logs.folder.glob("*")) if logs.folder.is_dir() else []:
        times = [path.stat().st_mtime for path in folder.glob("*")]
        if folder.name.isdigit() and max(times, default=folder.stat().st_mtime) < before:
            logs.remove(int(folder.name))
            removed += 1
    return removed
