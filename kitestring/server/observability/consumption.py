"""The data and costs of the jobs of a connection by day, counted in the transaction that ends a job.

Retention removes jobs and keeps these sums. A cost is only known for models whose price is known: the tokens of the
others are counted on their own, so that a sum never passes for the whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, cast, func, select

from kitestring.server.observability.totals import insert_of
from kitestring.server.store.tables import attempts, connections, consumption, jobs

SUMS = ("jobs", "failed", "read", "written", "bytes", "chunks", "tokens", "unpriced_tokens", "cost_usd")


def count(db: Connection, job_id: int, status: str) -> None:
    """Add a job that has just ended to its day."""
    job = db.execute(select(jobs).where(jobs.c.id == job_id)).one()
    streams = db.execute(select(attempts.c.streams).where(attempts.c.job_id == job_id)).scalars()
    sums = {"jobs": 1, "failed": int(status == "failed"), **sums_of(streams)}
    row = {"connection_id": job.connection_id, "day": day_of(job.ended_at_ms), "workspace_id": job.workspace_id}
    new = insert_of(db)(consumption).values(**row, **sums)
    increments = {name: consumption.c[name] + new.excluded[name] for name in SUMS}
    db.execute(new.on_conflict_do_update(index_elements=["connection_id", "day"], set_=increments))


def sums_of(attempts_streams: Iterable[Mapping[str, Any] | None]) -> dict[str, float]:
    """The sums of all streams of several attempts: each attempt that embedded a chunk paid for it."""
    sums: dict[str, float] = dict.fromkeys(SUMS[2:], 0)
    for streams in attempts_streams:
        for stream in (streams or {}).values():
            figures = stream.get("figures") or {}
            for name in ("read", "written", "bytes"):
                sums[name] += stream.get(name) or 0
            tokens = int(figures.get("tokens") or 0)
            sums["chunks"] += int(figures.get("chunks_embedded") or 0)
            sums["tokens"] += tokens
            sums["unpriced_tokens"] += 0 if "cost_usd" in figures else tokens
            sums["cost_usd"] += figures.get("cost_usd") or 0
    return sums


def day_of(at_ms: int) -> str:
    """The day of a moment, in UTC: `2026-11-29`."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).date().isoformat()


def by_period(
    db: Connection, workspace_ids: Sequence[str] | None, first_day: str, last_day: str, *, monthly: bool
) -> list[Row[Any]]:
    """The sums of each connection in each month (else on each day) of a range, oldest first."""
    c = consumption.c
    period = (func.substr(c.day, 1, 7) if monthly else c.day).label("period")
    query = (
        select(
            *(c.connection_id, c.workspace_id, period, func.min(connections.c.name).label("name")),
            func.max(connections.c.deleted_at_ms).label("deleted_at_ms"),
            # PostgreSQL sums whole numbers to NUMERIC, which arrives as a Decimal.
            *(cast(func.sum(c[name]), c[name].type).label(name) for name in SUMS),
        )
        .outerjoin(connections, connections.c.id == c.connection_id)
        .where(c.day >= first_day, c.day <= last_day)
        .group_by(c.connection_id, c.workspace_id, period)
        .order_by(period, func.lower(func.min(connections.c.name)), c.connection_id)
    )
    if workspace_ids is not None:
        query = query.where(c.workspace_id.in_(workspace_ids))
    return list(db.execute(query))
