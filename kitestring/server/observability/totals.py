"""Totals of ended jobs, counted in the transaction that ends a job, so that restarts and retention do not lower them.

A total is a row `NAME` or `NAME|LABEL|LABEL`; a histogram is one row for each bucket (how many fell into it), and its
sum and count.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, select

from kitestring.server.store.tables import attempts, jobs, totals

COUNTS = ("read", "written", "unchanged", "deleted", "rejected", "superseded", "filtered")
BUCKETS_S = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0)
OVER = "+Inf"


def count(db: Connection, job_id: int, status: str) -> None:
    """Add a job that has just ended. The last thing of its transaction: all jobs write to the same rows."""
    job = db.execute(select(jobs).where(jobs.c.id == job_id)).one()
    increments: dict[str, float] = defaultdict(float)
    increments[f"jobs_ended|{job.kind}|{status}"] += 1
    tried = list(db.execute(select(attempts).where(attempts.c.job_id == job_id).order_by(attempts.c.number)))
    for attempt in tried:
        increments[f"attempts|{attempt.status}"] += 1
        for figures in (attempt.streams or {}).values():
            for key, value in of_stream(figures):
                increments[key] += value
    if job.started_at_ms is not None and job.ended_at_ms is not None:
        observe(increments, f"job_seconds|{job.kind}", (job.ended_at_ms - job.started_at_ms) / 1000)
    if tried:
        observe(increments, "job_wait_seconds", (tried[0].started_at_ms - job.created_at_ms) / 1000)
    add(db, increments)


def of_stream(figures: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for name in COUNTS:
        if isinstance(figures.get(name), int | float):
            yield f"records|{name}", float(figures[name])
    if isinstance(figures.get("bytes"), int | float):
        yield "bytes", float(figures["bytes"])
    for name, value in (figures.get("figures") or {}).items():
        if isinstance(value, int | float) and "|" not in name and len(name) < 100:
            yield f"figures|{name}", float(value)


def observe(increments: dict[str, float], name: str, seconds: float) -> None:
    """Add a duration to a histogram; one that clocks have made negative counts as none."""
    seconds = max(0.0, seconds)
    bucket = next((str(edge) for edge in BUCKETS_S if seconds <= edge), OVER)
    increments[f"{name}|le|{bucket}"] += 1
    increments[f"{name}|sum"] += seconds


def add(db: Connection, increments: Mapping[str, float]) -> None:
    """Add to totals, in one order for all, so that no two transactions wait for each other."""
    new = insert_of(db)(totals).values(
        [{"key": key, "value": value} for key, value in sorted(increments.items()) if value]
    )
    db.execute(new.on_conflict_do_update(index_elements=["key"], set_={"value": totals.c.value + new.excluded.value}))


def insert_of(db: Connection) -> Any:
    """The `insert` of the store's dialect, which has `on_conflict_do_update`."""
    if db.dialect.name == "sqlite":
        from sqlalchemy.dialects.sqlite import insert
    else:
        from sqlalchemy.dialects.postgresql import insert  # type: ignore[assignment]
    return insert


def load(db: Connection) -> dict[str, float]:
    """All totals by key."""
    return {row.key: row.value for row in db.execute(select(totals))}


def labelled(all_: Mapping[str, float], name: str) -> Iterator[tuple[list[str], float]]:
    """The totals of a name with their labels."""
    for key, value in sorted(all_.items()):
        first, *labels = key.split("|")
        if first == name:
            yield labels, value


def histograms(all_: Mapping[str, float], name: str) -> Iterator[tuple[list[str], list[tuple[str, float]], float]]:
    """A name's histograms: labels, the buckets as Prometheus has them (each with all that is smaller), the sum."""
    buckets: dict[tuple[str, ...], dict[str, float]] = defaultdict(dict)
    sums: dict[tuple[str, ...], float] = {}
    for labels, value in labelled(all_, name):
        if labels[-1] == "sum":
            sums[tuple(labels[:-1])] = value
        else:
            buckets[tuple(labels[:-2])][labels[-1]] = value
    for key, counts in buckets.items():
        yield list(key), list(running(counts, [*map(str, BUCKETS_S), OVER])), sums.get(key, 0.0)


def running(counts: Mapping[str, float], edges: Iterable[str]) -> Iterator[tuple[str, float]]:
    so_far = 0.0
    for edge in edges:
        so_far += counts.get(edge, 0.0)
        yield edge, so_far
