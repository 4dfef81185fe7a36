"""Due connections become jobs: once, whoever looks."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update
from test_connections import joined

from kitestring.server.connections import connection as connection_rows
from kitestring.server.connections.scheduler import Scheduler
from kitestring.server.context import Context
from kitestring.server.jobs import job_end
from kitestring.server.store.tables import connections, jobs

HOURLY = {"type": "basic", "every": 1, "unit": "hours"}


def due(context: Context, connection: str, ago_ms: int = 1) -> None:
    with context.store.write() as db:
        db.execute(
            update(connections)
            .where(connections.c.id == connection)
            .values(next_run_at_ms=context.store.now_ms(db) - ago_ms)
        )


def all_jobs(context: Context) -> list[Any]:
    with context.store.read() as db:
        return list(db.execute(select(jobs)))


def row_of(context: Context, connection: str) -> Any:
    with context.store.read() as db:
        return connection_rows.get(db, connection)


@pytest.fixture
def connection(context: Context, tmp_path: Path) -> str:
    return joined(context, tmp_path / "out", timing=HOURLY)


def test_a_due_connection_gets_a_job_and_its_next_time_together(context: Context, connection: str) -> None:
    assert Scheduler(context).run_due() == 0
    due(context, connection)
    assert Scheduler(context).run_due() == 1
    (job,) = all_jobs(context)
    assert (job.connection_id, job.cause, job.status) == (connection, "schedule", "pending")
    left = row_of(context, connection).next_run_at_ms - job.created_at_ms
    assert 3_599_000 <= left <= 3_601_000


def test_runs_that_were_missed_come_once(context: Context, connection: str) -> None:
    due(context, connection, ago_ms=30 * 86_400_000)
    assert Scheduler(context).run_due() == 1
    assert Scheduler(context).run_due() == 0
    assert len(all_jobs(context)) == 1


def test_a_connection_that_still_runs_is_left_out_and_due_again_at_its_next_time(
    context: Context, connection: str
) -> None:
    with context.store.write() as db:
        context.queue.enqueue(db, connection)
    due(context, connection)
    assert Scheduler(context).run_due() == 1
    assert len(all_jobs(context)) == 1
    assert row_of(context, connection).next_run_at_ms > time.time() * 1000


def test_several_schedulers_make_one_job(context: Context, connection: str) -> None:
    due(context, connection)
    results: list[int] = []
    threads = [threading.Thread(target=lambda: results.append(Scheduler(context).run_due())) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(results) == 1
    assert len(all_jobs(context)) == 1


def test_a_paused_connection_is_not_due_and_one_that_goes_on_is_again(context: Context, connection: str) -> None:
    with context.store.write() as db:
        connection_rows.change(context, db, connection, {"status": "inactive"})
    assert row_of(context, connection).next_run_at_ms is None
    with context.store.write() as db:
        connection_rows.change(context, db, connection, {"status": "active"})
    assert row_of(context, connection).next_run_at_ms is not None


def test_a_schedule_that_nobody_can_read_holds_up_no_other(context: Context, connection: str, tmp_path: Path) -> None:
    other = joined(context, tmp_path / "other", timing=HOURLY)
    due(context, connection, ago_ms=2)
    due(context, other)
    with context.store.write() as db:
        strange = update(connections).where(connections.c.id == connection)
        db.execute(strange.values(schedule={"type": "basic", "every": "often", "unit": "moons"}))
    assert Scheduler(context).run_due() == 2
    assert Scheduler(context).run_due() == 0
    assert other in {job.connection_id for job in all_jobs(context)}


def test_the_thread_finds_what_is_due(context: Context, connection: str) -> None:
    scheduler = Scheduler(context, look_s=0.05)
    scheduler.start()
    try:
        due(context, connection)
        end = time.monotonic() + 300
        while not all_jobs(context) and time.monotonic() < end:
            time.sleep(0.05)
        assert len(all_jobs(context)) == 1
    finally:
        scheduler.stop()


@pytest.mark.parametrize(("options", "goes_on"), [({"continuous": {"window_s": 300}}, False), ({}, True)])
def test_a_cancelled_continuous_job_stays_stopped_and_one_that_waited_for_another_goes_on(
    context: Context, connection: str, options: dict[str, Any], goes_on: bool
) -> None:
    with context.store.write() as db:
        job = context.queue.enqueue(db, connection, "sync" if options else "refresh", options=options)
        of_connection = update(connections).where(connections.c.id == connection)
        db.execute(of_connection.values(schedule={"type": "continuous"}, next_run_at_ms=None))
        db.execute(update(jobs).where(jobs.c.id == job).values(status="cancelled", ended_at_ms=1))
        job_end.record_job_end(context, db, job, "cancelled")
    assert (row_of(context, connection).next_run_at_ms is not None) is goes_on
