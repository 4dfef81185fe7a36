"""Workers hear of jobs by signals: in one process, between processes over PostgreSQL, and again after a loss.

The workers here poll every ten minutes, so that only a signal lets a job begin in time.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from sqlalchemy import text, update

sys.path.insert(0, str(Path(__file__).parents[2] / "unit" / "server"))

from connections import ended, enqueue, new_connection, plan_of, until

from kitestring.server.context import Context
from kitestring.server.jobs.worker import Worker
from kitestring.server.settings import Settings
from kitestring.server.store.tables import jobs
from tests.integration.postgres_server import Database, database, postgres_server  # noqa: F401

POLL_S = 600.0
WITHIN_S = 120.0


@pytest.fixture
def open_context(tmp_path: Path) -> Iterator[Callable[..., Context]]:
    """Contexts as of several processes: each has connections and signals of its own."""
    contexts: list[Context] = []

    def opened(url: str = "") -> Context:
        context = Context.of(Settings(home=tmp_path / "home", database_url=url, lease_s=3 * POLL_S))
        contexts.append(context)
        return context

    yield opened
    for context in contexts:
        context.close()


@pytest.fixture
def url(database: Database) -> str:  # noqa: F811
    access = f"{database.username}:{quote(database.password, safe='')}@{database.host}:{database.port}"
    return f"postgresql://{access}/{database.name}"


@pytest.fixture
def start(request: pytest.FixtureRequest) -> Callable[[Context], Worker]:
    def started(context: Context) -> Worker:
        worker = Worker(context, plan_of, poll_s=POLL_S)
        worker.start()
        request.addfinalizer(worker.stop)
        return worker

    return started


def of_samples(context: Context, folder: Path) -> str:
    streams = [{"name": "users", "write_mode": "append"}]
    return new_connection(context, {"count": 3}, {"path": str(folder), "format": "jsonl"}, streams)


def test_a_worker_is_woken_by_its_own_process(
    open_context: Callable[..., Context], start: Callable[[Context], Worker], tmp_path: Path
) -> None:
    context = open_context()
    samples = of_samples(context, tmp_path / "out")
    start(context)
    assert ended(context, enqueue(context, samples), WITHIN_S).status == "succeeded"  # before or after its first look
    assert ended(context, enqueue(context, samples), WITHIN_S).status == "succeeded"  # while it waits


def test_a_worker_knows_when_a_retry_is_due(
    open_context: Callable[..., Context], start: Callable[[Context], Worker], tmp_path: Path
) -> None:
    context = open_context()
    samples = of_samples(context, tmp_path / "out")
    start(context)
    with context.store.write() as db:
        job = context.queue.enqueue(db, samples, run_after_ms=context.store.now_ms(db) + 1500)
    row = ended(context, job, WITHIN_S)
    assert row.status == "succeeded"
    assert row.started_at_ms >= row.run_after_ms


def test_a_transaction_that_is_rolled_back_wakes_nobody(open_context: Callable[..., Context], tmp_path: Path) -> None:
    context, calls = open_context(), []
    samples = of_samples(context, tmp_path / "out")
    context.queue.signals.subscribe(lambda: calls.append("woken"))

    def fail() -> None:
        with context.store.write() as db:
            context.queue.enqueue(db, samples)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert calls == []
    enqueue(context, samples)
    assert calls == ["woken"]


def test_a_worker_is_woken_by_another_process_and_after_its_connection_was_lost(
    open_context: Callable[..., Context],
    start: Callable[[Context], Worker],
    url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("kitestring.server.jobs.signals.RECONNECT_S", 0.2)
    context, existing_context = open_context(url), open_context(url)
    samples = of_samples(existing_context, tmp_path / "out")
    worker = start(context)
    assert worker.listener is not None
    until(worker.listener.connected.is_set, bool, WITHIN_S)
    assert ended(existing_context, enqueue(existing_context, samples), WITHIN_S).status == "succeeded"
    assert worker._idle_s() > 100, "it waits for signals"

    def listeners() -> list[int]:
        query = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN %'"
        with existing_context.store.read() as db:
            return list(db.execute(text(query)).scalars())

    (lost,) = listeners()
    with existing_context.store.write() as db:
        db.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": lost})
    until(listeners, lambda pids: pids and pids != [lost], WITHIN_S)
    until(worker.listener.connected.is_set, bool, WITHIN_S)
    assert ended(existing_context, enqueue(existing_context, samples), WITHIN_S).status == "succeeded"


def test_a_job_of_a_lost_worker_is_taken_over_when_its_lease_ends(
    open_context: Callable[..., Context], start: Callable[[Context], Worker], url: str, tmp_path: Path
) -> None:
    context, existing_context = open_context(url), open_context(url)
    job = enqueue(existing_context, of_samples(existing_context, tmp_path / "out"))
    assert existing_context.queue.claim("a worker that is lost") is not None
    with existing_context.store.write() as db:
        db.execute(update(jobs).where(jobs.c.id == job).values(lease_until_ms=existing_context.store.now_ms(db) + 1500))
    start(context)
    row = ended(context, job, WITHIN_S)
    assert (row.status, row.attempts) == ("succeeded", 2)
