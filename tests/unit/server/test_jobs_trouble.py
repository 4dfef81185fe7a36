"""Jobs in trouble: hanging, waiting, refused, without the store, taken over, with a budget to keep."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from connections import attempts_of, ended, enqueue, job, new_connection, plan_of, until
from pages import Pages
from sqlalchemy import insert, select, update

from kitestring.errors import TransientError
from kitestring.server.api.kitestring.server import list_workers
from kitestring.server.context import Context
from kitestring.server.jobs.claim import Claim, Lost
from kitestring.server.jobs.forkserver import ForkServer
from kitestring.server.jobs.queue import LOST_IN_ROW
from kitestring.server.jobs.shared_rate_limits import TokenBuckets
from kitestring.server.jobs.worker import SEEN_MS, Worker
from kitestring.server.settings import Settings
from kitestring.server.store.tables import jobs, workers
from kitestring.testing.stand_in import Answer, Call, StandIn, route

pytestmark = pytest.mark.slow

ITEMS = [{"name": "items"}]


@pytest.fixture
def context(home: Path, fork_server: ForkServer) -> Iterator[Context]:
    # On a busy machine a child may need many seconds to start: a test that needs a shorter limit sets it later.
    server = Context.of(Settings(home=home, stall_s=300, lease_s=120, attempts=2))
    server.runner.fork_server = fork_server
    yield server
    server.store.close()


@pytest.fixture
def work(work: Callable[[], Worker], monkeypatch: pytest.MonkeyPatch) -> Callable[[], Worker]:
    """Makes workers that try again at once."""
    monkeypatch.setattr("kitestring.server.jobs.queue.BACKOFF_S", (0.1,))
    return work


@pytest.fixture
def pages() -> Iterator[Pages]:
    with Pages() as served:
        yield served


def of_pages(context: Context, pages: Pages, folder: Path, out: str = "out", **budget: Any) -> str:
    return new_connection(
        context,
        {"url": pages.url, "token": "the-secret-token"},
        {"path": str(folder / out), "format": "jsonl"},
        ITEMS,
        source_connector=pages.manifest(folder, **budget),
    )


def test_a_sync_that_hangs_is_ended_with_its_stacks_in_the_log_and_tried_again(
    context: Context, work: Callable[[], Worker], pages: Pages, tmp_path: Path
) -> None:
    pages.hang = 1
    worker = work()
    number = enqueue(context, of_pages(context, pages, tmp_path))
    until(lambda: len(pages.calls("/items")), bool)
    worker._attempts[number].stall_s = 1
    row = ended(context, number)
    assert row.status == "succeeded"
    first = attempts_of(context, number)[0]
    assert "made no progress and declared no wait" in first.error["message"]
    text = "\n".join(entry["message"] for entry in worker.logs.read(number, 1).entries)
    assert "most recent call first" in text
    assert "urllib3" in text


def test_a_wait_that_was_declared_is_no_stall_and_ends_with_a_cancel(
    context: Context, work: Callable[[], Worker], pages: Pages, tmp_path: Path
) -> None:
    pages.refusal = Answer(429, {"error": "slow down"}, {"Retry-After": "500"})
    worker = work()
    number = enqueue(context, of_pages(context, pages, tmp_path))
    attempt = until(
        lambda: (attempts_of(context, number) or [None])[0],
        lambda row: row is not None and row.progress is not None and bool(row.progress["waiting"]),
    )
    assert 400 < attempt.progress["waiting"]["seconds"] <= 500
    assert (attempt.summary["phase"], attempt.progress["streams"]["items"]["phase"]) == ("waiting", "waiting")
    worker._attempts[number].stall_s = 1
    time.sleep(2)
    assert job(context, number).status == "running"
    with context.store.write() as db:
        context.queue.cancel(db, number)
    assert ended(context, number, within_s=300).status == "cancelled"  # more than 300 s before it would have gone on


class BrokenEmbedder(StandIn):
    """An API of embeddings that is out of order."""

    @route("POST", "/v1/embeddings")
    def embeddings(self, call: Call) -> Any:
        return Answer(500, {"error": "out of order"})


def test_a_sync_that_only_repeats_what_fails_waits_with_its_reason_and_ends_at_the_limit(
    context: Context, work: Callable[[], Worker], pages: Pages, tmp_path: Path
) -> None:
    with BrokenEmbedder() as embedder:
        embedding = {"mode": "openai_compatible", "base_url": f"{embedder.url}/v1", "model_name": "m", "dimensions": 8}
        connection_id = new_connection(
            context,
            {"url": pages.url, "token": "the-secret-token"},
            {
                "processing": {"chunk_size": 20, "text_fields": ["at"]},
                "embedding": embedding,
                "indexing": {"host": str(tmp_path / "milvus.db"), "collection": "items"},
            },
            [{"name": "items", "write_mode": "append_dedup"}],
            source_connector=pages.manifest(tmp_path),
            destination_connector="milvus",
        )
        worker = work()
        number = enqueue(context, connection_id)
        attempt = until(
            lambda: (attempts_of(context, number) or [None])[0],
            lambda row: row is not None and bool(row.progress) and row.summary["phase"] == "waiting",
        )
        stream = attempt.progress["streams"]["items"]
        assert (stream["phase"], "500" in stream["waiting"]["reason"]) == ("waiting", True), stream
        worker._attempts[number].stall_s = 1
        until(lambda: attempts_of(context, number)[0].error, bool)
        message = attempts_of(context, number)[0].error["message"]
        assert "repeated what failed for" in message
        assert "without progress" in message
        assert "500" in message
        with context.store.write() as db:
            context.queue.cancel(db, number)


def test_refused_credentials_end_the_job_and_no_secret_is_told(
    context: Context, work: Callable[[], Worker], pages: Pages, tmp_path: Path
) -> None:
    pages.refusal = Answer(401, {"error": "the-secret-token is not valid"})
    worker = work()
    row = ended(context, enqueue(context, of_pages(context, pages, tmp_path)))
    assert (row.status, row.attempts) == ("failed", 1)
    log = b"".join(worker.logs.whole(row.id, 1)).decode()
    assert "the-secret-token" not in f"{row.error}{log}"


def test_a_failure_in_a_row_counts_and_the_last_ends_the_job(
    context: Context, work: Callable[[], Worker], pages: Pages, tmp_path: Path
) -> None:
    pages.hang, pages.times = 0, 2
    worker = work()
    number = enqueue(context, of_pages(context, pages, tmp_path))
    for attempt in (1, 2):
        until(lambda: len(pages.calls("/items")), lambda count, least=attempt: count >= least)
        os.kill(next(iter(worker.fork_server._children.values())).pid, signal.SIGKILL)
    row = ended(context, number)
    assert (row.status, row.attempts, row.failures) == ("failed", 2, 1)
    assert "signal 9" in row.error["message"]
    assert "memory" in row.error["hint"]


def test_a_worker_that_cannot_renew_its_lease_ends_its_child_before_another_takes_the_job(
    context: Context, work: Callable[[], Worker], pages: Pages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages.hang = 1
    context.settings.lease_s = 10
    worker = work()
    number = enqueue(context, of_pages(context, pages, tmp_path))
    until(lambda: len(pages.calls("/items")), bool)
    attempt = worker._attempts[number]
    # This worker no longer reaches the store: neither to renew nor to claim, nor to give back.
    broken = Worker(context, plan_of)
    monkeypatch.setattr(worker, "queue", Away())
    monkeypatch.setattr(attempt, "queue", Away())
    until(lambda: worker.fork_server._children, lambda children: not children)
    row = job(context, number)
    assert row.status == "running"
    with context.store.read() as db:
        assert context.store.now_ms(db) < row.lease_until_ms, "the child was ended after its lease"
    broken.start()
    try:
        row = ended(context, number)
        assert row.status == "succeeded"
        assert [row_of_attempt.status for row_of_attempt in attempts_of(context, number)] == ["lost", "succeeded"]
        with pytest.raises(Lost):
            context.queue.save(attempt.claim, {"items": {"cursor": "late"}}, {})
    finally:
        broken.stop()
        worker.stop(drain_s=0.1)


def test_a_child_whose_lease_ended_just_before_it_was_renewed_is_no_failure_of_the_job(
    context: Context, work: Callable[[], Worker], pages: Pages, tmp_path: Path
) -> None:
    """On a busy machine a renewal may come too late for the fork server, and in time for the store."""
    pages.hang = 1
    worker = work()
    number = enqueue(context, of_pages(context, pages, tmp_path))
    until(lambda: len(pages.calls("/items")), bool)
    attempt = worker._attempts[number]
    assert attempt._child is not None
    attempt._child.lease(0.0)
    row = ended(context, number)
    assert (row.status, row.failures, row.error) == ("succeeded", 0, None)
    assert [row_of_attempt.status for row_of_attempt in attempts_of(context, number)] == ["incomplete", "succeeded"]


def test_a_worker_runs_jobs_although_its_fork_server_did_not_start_at_first(
    context: Context, pages: Pages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    context.runner.fork_server = ForkServer()
    worker = Worker(context, plan_of)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", "/nowhere/python")
        worker.start()
        until(lambda: "did not start" in caplog.text, bool)
    try:
        number = enqueue(context, of_pages(context, pages, tmp_path))
        assert ended(context, number).status == "succeeded"
    finally:
        worker.stop()
        worker.fork_server.close()


def test_a_worker_whose_look_at_the_queue_failed_looks_again(
    context: Context, pages: Pages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []

    def broken_look(mine: Any = ()) -> float | None:
        looks.append(len(looks))
        raise ValueError("the answer of the store cannot be read")

    monkeypatch.setattr(context.queue, "next_due_s", broken_look)
    worker = Worker(context, plan_of, poll_s=5)
    worker.start()
    try:
        until(lambda: len(looks), lambda count: count >= 2)
        number = enqueue(context, of_pages(context, pages, tmp_path))
        assert ended(context, number).status == "succeeded"
    finally:
        worker.stop()


class Away:
    """A queue that cannot be reached."""

    def __getattr__(self, name: str) -> Any:
        def call(*_: Any, **__: Any) -> Any:
            raise TransientError("the database is away")

        return call


def test_two_jobs_in_two_processes_keep_one_budget(
    context: Context, work: Callable[[], Worker], pages: Pages, tmp_path: Path
) -> None:
    pages.last = 20
    work()
    # Into places of their own: what another writes at the same time would make the counts disagree.
    connection_ids = [of_pages(context, pages, tmp_path, out, calls=20, per="PT2S") for out in ("a", "b")]
    numbers = [enqueue(context, item) for item in connection_ids]
    assert [ended(context, item).status for item in numbers] == ["succeeded", "succeeded"]
    moments = sorted(call.at for call in pages.calls("/items"))
    assert len(moments) >= 42
    most = max(sum(1 for item in moments if start <= item < start + 2.0) for start in moments)
    assert most <= 21  # 20, and one whose way was longer
    assert moments[-1] - moments[0] > 2.0


def test_a_bucket_never_gives_more_than_its_calls_in_a_window(context: Context) -> None:
    buckets = TokenBuckets(context.store)
    for calls in (1, 5, 60):
        earliest, waits, latest = [], [], []
        for _ in range(calls * 2 + 1):
            earliest.append(time.monotonic())
            waits.append(buckets.take(f"key {calls}", calls, 10.0))
            latest.append(time.monotonic())
        # A call is between these moments, however long the machine takes to answer.
        firsts = sorted(moment + wait for moment, wait in zip(earliest, waits, strict=True))
        lasts = sorted(moment + wait for moment, wait in zip(latest, waits, strict=True))
        assert all(last - first >= 10.0 - 0.05 for first, last in zip(firsts, lasts[calls:], strict=False))
        assert max(waits) < 25


def claimed(context: Context, number: int) -> Claim:
    claim = context.queue.claim("a worker")
    assert claim is not None
    assert claim.job_id == number
    return claim


def lose(context: Context, number: int) -> None:
    """Let the lease of a job run out."""
    with context.store.write() as db:
        db.execute(update(jobs).where(jobs.c.id == number).values(lease_until_ms=1))


def covering(count: int) -> dict[str, Any]:
    return {"items": {"status": "running", "read": count, "written": count, "bytes": 10 * count}}


def test_lost_workers_end_a_job_that_none_of_them_moved(context: Context, tmp_path: Path) -> None:
    number = enqueue(context, new_connection(context, {}, {"path": str(tmp_path)}, ITEMS))
    for attempt in range(1, LOST_IN_ROW + 1):
        assert claimed(context, number).attempt == attempt
        assert context.queue.claim("another") is None
        lose(context, number)
        assert context.queue.claim("the same", mine=[number]) is None
    assert context.queue.claim("the next") is None
    row = job(context, number)
    assert (row.status, row.error["type"], row.records) == ("failed", "Lost", 0)
    assert {attempt.status for attempt in attempts_of(context, number)} == {"lost"}


def test_lost_workers_use_up_no_attempt_of_a_job_that_moves_and_each_record_counts_once(
    context: Context, tmp_path: Path
) -> None:
    number = enqueue(context, new_connection(context, {}, {"path": str(tmp_path)}, ITEMS))
    for attempt in range(40):
        claim = claimed(context, number)
        context.queue.save(claim, {"items": {"cursor": 2 * attempt}}, covering(3))
        context.queue.save(claim, {"items": {"cursor": 2 * attempt + 1}}, covering(5))
        context.queue.heartbeat(claim, {"streams": {"items": {"status": "reading", "read": 900, "written": 800}}})
        assert job(context, number).records == 5 * (attempt + 1)
        lose(context, number)
        claimed(context, number)
        with pytest.raises(Lost):
            context.queue.save(claim, {}, covering(100))
        lose(context, number)
    claim = claimed(context, number)
    context.queue.save(claim, {}, {"items": {"status": "succeeded", "read": 7, "written": 6, "rejected": 1}})
    assert (
        context.queue.finish(claim, "succeeded", streams={"items": {"status": "succeeded", "read": 19}}) == "succeeded"
    )
    row = job(context, number)
    assert (row.records, row.nbytes, row.failures) == (40 * 5 + 6, 40 * 50, 0)
    first = attempts_of(context, number)[0]
    assert (first.status, first.streams["items"]["read"], first.streams["items"]["status"]) == ("lost", 5, "failed")


def test_a_state_that_is_saved_as_it_was_moves_nothing(context: Context, tmp_path: Path) -> None:
    number = enqueue(context, new_connection(context, {}, {"path": str(tmp_path)}, ITEMS))
    for _ in range(LOST_IN_ROW + 1):  # the first has moved it
        context.queue.save(claimed(context, number), {"items": {"cursor": "first"}}, {})
        lose(context, number)
    assert context.queue.claim("the next") is None
    assert job(context, number).status == "failed"


def test_a_stream_that_came_to_its_end_before_the_worker_died_is_not_read_again(
    context: Context, tmp_path: Path
) -> None:
    number = enqueue(context, new_connection(context, {}, {"path": str(tmp_path)}, ITEMS))
    over = {"status": "suspicious", "read": 7, "written": 7, "bytes": 70}
    context.queue.save(claimed(context, number), {}, {**covering(3), "others": over})
    lose(context, number)
    claimed(context, number)
    assert context.queue.completed_streams(number) == {"others": "suspicious"}
    assert job(context, number).records == 10


def test_a_worker_that_died_is_not_listed_and_forgotten_by_the_next(
    context: Context, work: Callable[[], Worker]
) -> None:
    values = {"host": "h", "pid": 1, "slots": 1, "running": 1, "started_at_ms": 0}
    with context.store.write() as db:
        db.execute(insert(workers).values(id="dead", seen_at_ms=context.store.now_ms(db) - SEEN_MS - 1000, **values))
    assert list_workers(None, context)["data"] == []  # type: ignore[arg-type]
    worker = work()

    def worker_ids() -> list[str]:
        with context.store.read() as db:
            return list(db.execute(select(workers.c.id)).scalars())

    assert until(worker_ids, lambda ids: worker.id in ids) == [worker.id]
    assert [item["workerId"] for item in list_workers(None, context)["data"]] == [worker.id]  # type: ignore[arg-type]


def test_an_action_that_waits_for_the_other_side_until_its_time_is_over_says_so(
    context: Context, pages: Pages, tmp_path: Path
) -> None:
    pages.hang = 0
    manifest = yaml.safe_load(Path(pages.manifest(tmp_path)).read_text("utf-8"))
    end = {"connector": "pages", "manifest": manifest, "config": {"url": pages.url, "token": "the-secret-token"}}
    with pytest.raises(TransientError, match="did not answer within 3 s"):
        context.runner.run("check", {"source": end}, limit_s=3)
