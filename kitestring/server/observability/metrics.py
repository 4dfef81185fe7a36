"""Metrics for Prometheus at `/metrics`: read from the store at each scrape, so that every process answers the same.

kitestring_jobs{status}                       jobs that have not ended
kitestring_queue_age_seconds                  how long the oldest job that is due has waited
kitestring_jobs_ended_total{kind,status}      jobs that have ended, ever; attempts_total{status} likewise
kitestring_records_total{count}               what became of their records; bytes_total, figures_total{figure}
kitestring_job_seconds, _job_wait_seconds     histograms: how long jobs took, and waited
kitestring_schedule_lag_seconds               how late the connection is that is due the longest
kitestring_connections{status}
kitestring_slot_*{connection,slot}            of each replication slot: see `of_slots`
kitestring_workers, kitestring_worker_slots   seen within the last minute
kitestring_api_seconds{method,path,status}    requests that this process has answered, by route
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from sqlalchemy import Connection, func, select

from kitestring.server.connections import watched_slot
from kitestring.server.context import Context
from kitestring.server.jobs.queue import ACTIVE
from kitestring.server.jobs.worker import SEEN_MS
from kitestring.server.observability import totals
from kitestring.server.observability.tracing import template
from kitestring.server.store.tables import connections, jobs, replication_slots, workers

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)


class StoreMetrics:
    """Metrics from the store, collected at each scrape."""

    def __init__(self, context: Context) -> None:
        self.context = context

    def collect(self) -> Iterable[Metric]:
        with self.context.store.read() as db:
            now = self.context.store.now_ms(db)
            return [
                *of_jobs(db, now),
                *of_totals(db),
                *of_connections(db, now),
                *of_slots(db, now),
                *of_workers(db, now),
            ]


def gauge(
    name: str, description: str, values: Iterable[tuple[list[str], float]], labels: tuple[str, ...] = ()
) -> Metric:
    family = GaugeMetricFamily(f"kitestring_{name}", description, labels=labels)
    for label, value in values:
        family.add_metric(label, value)
    return family


def of_jobs(db: Connection, now: int) -> Iterator[Metric]:
    active = select(jobs.c.status, func.count()).where(jobs.c.status.in_(ACTIVE)).group_by(jobs.c.status)
    counts = dict.fromkeys(ACTIVE, 0) | {row[0]: row[1] for row in db.execute(active)}
    yield gauge("jobs", "Jobs that have not ended.", (([k], v) for k, v in counts.items()), ("status",))
    oldest = db.execute(
        select(func.min(jobs.c.run_after_ms)).where(jobs.c.status.in_(("pending", "incomplete")))
    ).scalar()
    waited = max(0, now - oldest) / 1000 if oldest is not None else 0.0
    yield gauge("queue_age_seconds", "How long the oldest job that is due has waited.", [([], waited)])


def of_totals(db: Connection) -> Iterator[Metric]:
    """Totals of ended jobs. They never fall: the events of an hour are `increase(…[1h])`."""
    stored = totals.load(db)
    for name, description, labels in (
        ("jobs_ended", "Jobs that have ended.", ("kind", "status")),
        ("attempts", "Attempts of jobs that have ended.", ("status",)),
        ("records", "Records of jobs that have ended, by what became of them.", ("count",)),
        ("bytes", "Bytes that they read.", ()),
        ("figures", "Figures beyond records: chunks embedded, tokens, cost_usd, …", ("figure",)),
    ):
        counter = CounterMetricFamily(f"kitestring_{name}", description, labels=labels)
        for values, value in totals.labelled(stored, name):
            counter.add_metric(values, value)
        yield counter
    for name, description, labels in (
        ("job_seconds", "From the beginning of a job to its end.", ("kind",)),
        ("job_wait_seconds", "From asking for a job to the beginning of its first attempt.", ()),
    ):
        histogram = HistogramMetricFamily(f"kitestring_{name}", description, labels=labels)
        for values, buckets, sum_ in totals.histograms(stored, name):
            histogram.add_metric(values, buckets, sum_)
        yield histogram


def of_connections(db: Connection, now: int) -> Iterator[Metric]:
    every = select(connections.c.status, func.count()).where(connections.c.deleted_at_ms.is_(None))
    rows = db.execute(every.group_by(connections.c.status))
    yield gauge("connections", "Connections.", (([row[0]], row[1]) for row in rows), ("status",))
    next_run_ms = db.execute(select(func.min(connections.c.next_run_at_ms))).scalar()
    late = max(0, now - next_run_ms) / 1000 if next_run_ms is not None else 0.0
    yield gauge("schedule_lag_seconds", "How late the connection is that is due the longest.", [([], late)])


def of_slots(db: Connection, now: int) -> Iterator[Metric]:
    """The replication slots of the connections that are not deleted, as last seen. What is not known has no sample."""
    query = select(replication_slots).join(connections, connections.c.id == replication_slots.c.connection_id)
    rows = list(db.execute(query.where(connections.c.deleted_at_ms.is_(None))))
    labels = ("connection", "slot")

    def values(value_of: Callable[[Any], float | None]) -> Iterator[tuple[list[str], float]]:
        for row in rows:
            if (value := value_of(row)) is not None:
                yield [row.connection_id, row.report["slot"]], value

    for name, description, value_of in (
        ("slot_active", "1 while a process reads the slot.", lambda row: float(row.report["active"])),
        (
            "slot_healthy",
            "0 if the database has removed the log that the slot needs, or is about to.",
            lambda row: float(row.report["wal_status"] in ("reserved", "extended")),
        ),
        (
            "slot_retained_bytes",
            "Bytes of its log that the database retains.",
            lambda row: row.report["retained_bytes"],
        ),
        (
            "slot_behind_bytes",
            "Bytes of the log that are not at the destination.",
            lambda row: watched_slot.behind_bytes(row.report),
        ),
        (
            "slot_behind_seconds",
            "All that was committed so many seconds ago is at the destination.",
            lambda row: watched_slot.behind_s(row, now),
        ),
        ("slot_report_age_seconds", "The age of these values.", lambda row: max(0, now - row.reported_at_ms) / 1000),
    ):
        yield gauge(name, description, values(value_of), labels)


def of_workers(db: Connection, now: int) -> Iterator[Metric]:
    alive = workers.c.seen_at_ms >= now - SEEN_MS
    count, slots = db.execute(select(func.count(), func.sum(workers.c.slots)).where(alive)).one()
    yield gauge("workers", "Workers seen within the last minute.", [([], count)])
    yield gauge("worker_slots", "Jobs that they can run at the same time.", [([], slots or 0)])


class Metrics:
    """The metrics of a process: a middleware counts its requests, `text` is what Prometheus reads."""

    def __init__(self, context: Context) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(StoreMetrics(context))
        self.requests = Histogram(
            "kitestring_api_seconds",
            "Requests answered, by route.",
            ["method", "path", "status"],
            registry=self.registry,
            buckets=BUCKETS,
        )

    def text(self) -> bytes:
        from prometheus_client import generate_latest

        return generate_latest(self.registry)


class TimingMiddleware:
    """ASGI middleware that measures requests by the template of their route: an id makes no series of its own."""

    def __init__(self, app: Any, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500

        async def answer(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, answer)
        finally:
            seconds = time.perf_counter() - began
            self.metrics.requests.labels(scope["method"], template(scope), str(status)).observe(seconds)
