"""Jobs run in child processes: results, retries by the kind of the error, cancelling, what the API runs at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from connections import attempts_of, ended, enqueue, job, lines, new_connection, plan_of, until

from kitestring.errors import ConfigError, ConnectorError
from kitestring.server.context import Context
from kitestring.server.jobs.log import Log, Logs
from kitestring.server.jobs.worker import Worker

pytestmark = pytest.mark.slow

USERS = [{"name": "users", "write_mode": "append"}]
DEDUPED = [{"name": "users", "sync_mode": "incremental", "write_mode": "append_dedup"}]


@pytest.fixture
def worker(context: Context) -> Iterator[Worker]:
    running_worker = Worker(context, plan_of)
    running_worker.start()
    yield running_worker
    running_worker.stop()


def jsonl(folder: Path) -> dict[str, Any]:
    return {"path": str(folder), "format": "jsonl"}


def child_of(context: Context) -> int:
    """The process id of the one child that runs a job."""
    fork_server = context.runner.fork_server
    return next(child.pid for child in list(fork_server._children.values()) if child.pid)


def test_a_sync_runs_in_a_child_and_leaves_figures_states_and_a_log(
    context: Context, worker: Worker, tmp_path: Path
) -> None:
    connection_id = new_connection(context, {"count": 300}, jsonl(tmp_path / "out"), USERS)
    row = ended(context, enqueue(context, connection_id))
    assert (row.status, row.attempts, row.records) == ("succeeded", 1, 300)
    (attempt,) = attempts_of(context, row.id)
    assert attempt.streams["users"]["written"] == 300
    assert context.queue.states(connection_id)["users"] == {"cursor": "2024-01-01T00:04:59Z"}
    assert lines(tmp_path / "out") == 300
    part = worker.logs.read(row.id, 1, text="attempt ended")
    assert [entry["level"] for entry in part.entries] == ["info"]
    second = ended(context, enqueue(context, connection_id))
    assert (second.status, second.records) == ("succeeded", 0)


def test_what_the_user_must_change_is_not_tried_again(context: Context, worker: Worker, tmp_path: Path) -> None:
    connection_id = new_connection(context, {"count": "many"}, jsonl(tmp_path / "out"), USERS)
    row = ended(context, enqueue(context, connection_id))
    assert (row.status, row.attempts, row.error["type"]) == ("failed", 1, "ConfigError")
    assert "count should be a valid integer" in row.error["message"]


def test_a_killed_child_is_tried_again_from_its_last_checkpoint(
    context: Context, worker: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kitestring.server.jobs.queue.BACKOFF_S", (0.1,))
    connection_id = new_connection(
        context, {"count": 150_000, "batch_rows": 500, "yields": "records"}, jsonl(tmp_path / "out"), USERS
    )
    number = enqueue(context, connection_id)
    until(lambda: context.queue.states(connection_id), lambda states: "users" in states)
    os.kill(child_of(context), signal.SIGKILL)
    row = ended(context, number)
    first, second = attempts_of(context, number)
    assert (first.status, second.status, row.status) == ("failed", "succeeded", "succeeded")
    assert "signal 9" in first.error["message"]
    assert 0 < second.streams["users"]["read"] < 150_000
    assert row.failures == 0  # it had saved something
    assert row.records == 150_000
    assert first.durable["users"]["read"] + second.durable["users"]["read"] == 150_000


def test_a_job_whose_children_are_killed_again_and_again_counts_what_the_destination_holds(
    context: Context, worker: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kitestring.server.jobs.queue.BACKOFF_S", (0.1,))
    path = tmp_path / "out.duckdb"
    connection_id = new_connection(
        context,
        {"count": 120_000, "batch_rows": 700, "yields": "records"},
        {"path": str(path)},
        DEDUPED,
        destination_connector="duckdb",
    )
    number = enqueue(context, connection_id)
    for attempt in (1, 2, 3):
        until(
            lambda: attempts_of(context, number),
            lambda tried, n=attempt: len(tried) >= n and bool(tried[n - 1].durable),
        )
        os.kill(child_of(context), signal.SIGKILL)
    row = ended(context, number)
    import duckdb

    with duckdb.connect(str(path), read_only=True) as database:
        (held,) = database.execute("SELECT count(*) FROM users").fetchone() or (0,)
    assert (row.status, row.records, held) == ("succeeded", 120_000, 120_000)
    assert row.attempts == 4


def test_a_cancel_stops_at_a_checkpoint(context: Context, worker: Worker, tmp_path: Path) -> None:
    connection_id = new_connection(context, {"count": 5_000_000, "batch_rows": 500}, jsonl(tmp_path / "out"), USERS)
    number = enqueue(context, connection_id)
    until(lambda: context.queue.states(connection_id), lambda states: "users" in states)
    with context.store.write() as db:
        assert context.queue.cancel(db, number) == "running"
    assert ended(context, number).status == "cancelled"
    assert attempts_of(context, number)[0].status == "cancelled"


def test_a_stopped_worker_gives_its_jobs_back_and_another_goes_on(context: Context, tmp_path: Path) -> None:
    connection_id = new_connection(
        context, {"count": 600_000, "batch_rows": 500, "yields": "records"}, jsonl(tmp_path / "out"), USERS
    )
    number = enqueue(context, connection_id)
    stopped_worker = Worker(context, plan_of)
    stopped_worker.start()
    until(lambda: context.queue.states(connection_id), lambda states: "users" in states)
    stopped_worker.stop()
    row = job(context, number)
    assert (row.status, row.failures, row.worker) == ("incomplete", 0, None)
    two = Worker(context, plan_of)
    two.start()
    try:
        row = ended(context, number)
        assert row.status == "succeeded"
        assert [stopped_worker.status for stopped_worker in attempts_of(context, number)] == ["incomplete", "succeeded"]
    finally:
        two.stop()


def test_an_action_answers_with_its_value_or_its_error(context: Context) -> None:
    sample = {"source": {"connector": "sample", "config": {"count": 3}}}
    assert {item["name"] for item in context.runner.run("discover", sample)["streams"]} >= {"users", "products"}
    sample_records = context.runner.run("read", {**sample, "stream": "users", "limit": 2})
    assert [item["id"] for item in sample_records["records"]] == [1, 2]
    with pytest.raises(ConfigError, match="no stream nobody") as caught:
        context.runner.run("read", {**sample, "stream": "nobody"})
    assert "users" in caught.value.hint


def test_an_action_that_computes_until_its_time_is_over_is_ended_and_does_not_blame_the_other_side(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "kitestring.server.jobs.action_runner.BUSY_SHARE", 0.02
    )  # on a machine that has much else to do
    sample = {"source": {"connector": "sample", "config": {"count": 50_000_000, "yields": "records"}}}
    with pytest.raises(ConnectorError, match=r"computed for .* s and did not end within 4 s"):
        context.runner.run("read", {**sample, "stream": "users", "limit": 40_000_000}, limit_s=4)


def test_secrets_stand_in_no_line_of_a_log(tmp_path: Path) -> None:
    log = Log(tmp_path / "logs" / "jobs" / "7" / "1.jsonl")
    log.hide(['pass"word', "tok\nen"])
    log.entry("info", 'it said pass"word', token="tok\nen")
    log.line(b'printed pass"word')
    log.line(b'{"at_ms":1,"level":"error","message":"pass\\"word"}')
    log.close()
    text = log.path.read_text()
    assert "word" not in text
    assert "tok" not in text.replace('"token"', "")
    entries = Logs(tmp_path).read(7, 1).entries
    assert [entry["level"] for entry in entries] == ["info", "info", "error"]


def test_a_full_log_is_turned_and_read_across_its_files(tmp_path: Path) -> None:
    log = Log(tmp_path / "logs" / "jobs" / "7" / "1.jsonl", file_bytes=400)
    for number in range(12):
        log.entry("info", f"line {number}")
    log.close()
    logs = Logs(tmp_path)
    assert len(list((tmp_path / "logs" / "jobs" / "7").iterdir())) > 1
    first = logs.read(7, 1, limit=3)
    assert first.has_more
    rest = logs.read(7, 1, place=first.place)
    assert [entry["message"] for entry in [*first.entries, *rest.entries]][-1] == "line 11"
    assert not logs.read(7, 1, place=rest.place).entries


def test_a_log_is_read_around_a_place_and_before_another(tmp_path: Path) -> None:
    log = Log(tmp_path / "logs" / "jobs" / "7" / "1.jsonl", file_bytes=400)
    for number in range(12):
        log.entry("error" if number == 7 else "info", f"line {number}")
    log.close()
    logs = Logs(tmp_path)
    entries = logs.read(7, 1).entries
    [failed] = logs.read(7, 1, level="error").entries
    assert failed == next(entry for entry in entries if entry["message"] == "line 7")
    assert logs.read(7, 1, place=failed["place"]).entries[0] == failed
    within = logs.read(7, 1, place=failed["place"] + 1)  # within an entry: from the next one
    assert (within.entries[0]["message"], within.start) == ("line 8", within.entries[0]["place"])
    before = logs.read(7, 1, place=entries[0]["place"], until=failed["place"])
    assert [entry["message"] for entry in before.entries][-1] == "line 6"
    assert [entry["message"] for entry in logs.read(7, 1, place=-1).entries] == []
    assert [entry["message"] for entry in logs.read(7, 1, place=-150).entries] == ["line 11"]
    assert logs.read(7, 1, place=-100_000).entries == entries


def test_the_fork_server_imports_what_the_connectors_in_use_declare() -> None:
    code = (
        "from kitestring import registry\n"
        "from kitestring.server.child.preload import may_preload, preload_packages\n"
        "before = preload_packages()\n"
        "registry.connector('destination', 'duckdb').load()\n"
        "after = preload_packages()\n"
        "answers = may_preload('duckdb', after), may_preload('duckdb', before), may_preload('duckdb.x', after)\n"
        "print(sorted(after - before), *answers)"
    )
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert out == "['duckdb'] True False False\n"


def test_the_fork_server_imports_the_low_code_engine_once_and_starts_no_thread_for_it() -> None:
    code = (
        "import sys, threading\n"
        "from kitestring.server.child.preload import import_modules, may_preload, preload_packages\n"
        "import_modules()\n"
        "before = set(sys.modules)\n"
        "import kitestring.declarative.builder.preview, kitestring.declarative.source\n"
        "ours = [name for name in set(sys.modules) - before if name.startswith('kitestring.')]\n"
        "packages = preload_packages()\n"
        "print(len(ours) > 20, [name for name in ours if not may_preload(name, packages)], threading.active_count())"
    )
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert out == "True [] 1\n"
