"""What a job may take of its machine, memory and processor time, and the word about it when a limit is reached."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from connections import attempts_of, ended, enqueue, new_connection, plan_of, until

from kitestring.errors import ConfigError
from kitestring.server.context import Context
from kitestring.server.jobs.forkserver import ForkServer
from kitestring.server.jobs.worker import Worker
from kitestring.server.settings import Settings

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of memory are Linux's here"),
]


@pytest.fixture
def server(home: Path, fork_server: ForkServer) -> Iterator[Callable[..., Context]]:
    """A store with a worker under these limits."""
    contexts: list[tuple[Context, Worker]] = []

    def build(**limits: int) -> Context:
        context = Context.of(Settings(home=home, attempts=1, **limits))
        context.runner.fork_server = fork_server
        worker = Worker(context, plan_of, slots=2)
        worker.start()
        contexts.append((context, worker))
        return context

    yield build
    for context, worker in contexts:
        worker.stop()
        context.store.close()


def run(context: Context, folder: Path, **source: Any) -> int:
    files = {"path": str(folder), "format": "jsonl"}
    return enqueue(context, new_connection(context, source, files, [{"name": "users", "write_mode": "append"}]))


def test_a_sync_that_takes_too_much_memory_fails_and_others_go_on(
    server: Callable[..., Context], tmp_path: Path
) -> None:
    context = server(memory_mb=400)
    # One batch of all the records does not fit into the memory that the job may take.
    greedy = run(context, tmp_path / "greedy", count=4_000_000, batch_rows=4_000_000)
    modest = run(context, tmp_path / "modest", count=100)
    row = ended(context, greedy)
    assert (row.status, row.error["message"]) == ("failed", "the sync needed more than its limit of 400 MB of memory")
    assert "KITESTRING_MEMORY_MB" in row.error["hint"]
    assert ended(context, modest).status == "succeeded"
    assert ended(context, run(context, tmp_path / "after", count=100)).status == "succeeded"


def test_a_sync_that_takes_too_much_processor_time_fails_with_the_limit(
    server: Callable[..., Context], tmp_path: Path
) -> None:
    context = server(cpu_s=2)
    job_id = run(context, tmp_path / "out", count=50_000_000)
    # A sync that has got to a checkpoint goes on from there in another attempt: the first one says what ended it.
    first = until(lambda: attempts_of(context, job_id)[:1], lambda rows: rows and rows[0].error)[0]
    assert "more than its limit of 2 s of processor time" in first.error["message"]
    assert "KITESTRING_CPU_S" in first.error["hint"]


def test_what_a_process_had_before_its_limit_does_not_count() -> None:
    program = """
import threading
from kitestring.server.child.limits import apply_limits
before = bytearray(300 << 20)
apply_limits({"memory_mb": 100})
ended = threading.Event()
threading.Thread(target=ended.set).start()
print(ended.wait(300))
try:
    bytearray(200 << 20)
except MemoryError:
    print("refused")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["True", "refused"], done.stderr


def test_a_limit_under_which_nothing_could_run_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 100 MB"):
        Settings.of({"KITESTRING_MEMORY_MB": "20"})
