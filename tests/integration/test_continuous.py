"""Continuous syncs on a real PostgreSQL: changes flow, windows are reconciled, a stop is a checkpoint."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from typing import Any

import pytest
from capturing import Captured
from following_sync import Running, wait_for

from kitestring.engine import Continuous, Progress, Status, sync
from kitestring.errors import ConfigError
from kitestring.sources.postgres import capture, needed_load
from kitestring.sql import log_end


def test_changes_arrive_while_it_runs_and_a_stop_is_reconciled_and_loses_nothing(captured: Any) -> None:
    captured.run("CREATE TABLE t (id int PRIMARY KEY, n int)", "INSERT INTO t VALUES (1, 0), (2, 0)")
    running = Running(Captured(captured))
    wait_for(lambda: len(running.stored()) == 2)
    captured.run("UPDATE t SET n = 1 WHERE id = 1", "DELETE FROM t WHERE id = 2", "INSERT INTO t VALUES (3, 0)")
    rows = [{"id": 1, "n": 1}, {"id": 3, "n": 0}]
    wait_for(lambda: sorted(running.stored(), key=lambda row: row["id"]) == rows)
    assert running.windows == [], "the window is still open"
    result = running.end()
    assert result.status is Status.succeeded, result.as_dict()
    figures = result.streams["public.t"]
    assert (figures.read, figures.written, figures.deleted) == (5, 4, 1)
    assert len(running.windows) == 1
    # What is committed after the stop comes with the next sync, and nothing else does.
    captured.run("INSERT INTO t VALUES (4, 0)")
    running.copy.sync()
    assert running.copy.result.streams["public.t"].read == 1


def test_each_window_is_reconciled_and_a_loss_at_the_destination_is_suspicious_while_it_runs(captured: Any) -> None:
    captured.run("CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t SELECT generate_series(1, 10)")
    running = Running(Captured(captured), window_s=0.5)
    wait_for(lambda: len(running.windows) >= 2)
    assert {window.result.status for window in running.windows} == {Status.succeeded}
    del running.copy.destination.stored["public.t"][0]
    wait_for(lambda: running.windows[-1].total.status is Status.suspicious)
    assert running.thread.is_alive()
    assert running.progress.snapshot()["summary"]["windows"]["suspicious"] >= 1
    number = running.windows[-1].number
    captured.run("INSERT INTO t VALUES (11)")
    wait_for(lambda: len(running.stored()) == 10 and running.windows[-1].number > number)
    result = running.end()
    assert result.status is Status.suspicious
    assert "in the window that ended at" in result.streams["public.t"].suspicions[0]
    assert result.streams["public.t"].read == 11
    snapshot = running.progress.snapshot()
    assert (snapshot["streams"]["public.t"]["read"], snapshot["summary"]["read"]) == (11, 11)


def test_it_ends_by_itself_after_its_time(captured: Any) -> None:
    captured.run("CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    running = Running(Captured(captured), window_s=0.3, lasts_s=1.0)
    running.thread.join(300)
    assert not running.thread.is_alive()
    assert running.results[0].status is Status.succeeded
    assert running.windows


SESSIONS = "FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend'"


def test_windows_use_one_connection_which_is_replaced_when_it_is_cut_and_closed_at_the_end(captured: Any) -> None:
    def sessions() -> set[int]:
        return {row["pid"] for row in captured.run(f"SELECT pid::int8 AS pid {SESSIONS} AND pid <> pg_backend_pid()")}

    captured.run("CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    running = Running(Captured(captured), window_s=0.5)
    wait_for(lambda: len(running.windows) >= 2)
    kept = wait_for(sessions)
    number = len(running.windows)
    wait_for(lambda: len(running.windows) >= number + 2)
    assert kept & sessions(), "windows later, it is the same"
    captured.run(f"SELECT pg_terminate_backend(pid) {SESSIONS} AND pid <> pg_backend_pid()")
    captured.run("INSERT INTO t VALUES (2)")
    wait_for(lambda: len(running.stored()) == 2)
    number = len(running.windows)
    wait_for(lambda: len(running.windows) >= number + 2)
    result = running.end()
    assert result.status is Status.succeeded, result.as_dict()
    wait_for(lambda: not sessions())


def limit_of_four_parts(following: Any, follows_others: bool) -> Callable[[], bool]:
    """By count and not by time."""
    parts = itertools.count()
    return lambda: follows_others and next(parts) >= 4


def test_a_table_that_is_added_is_loaded_in_parts_while_the_changes_of_others_flow(
    captured: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(needed_load, "PART_BYTES", 8192)
    monkeypatch.setattr(log_end, "LOG_S", 0.2)
    monkeypatch.setattr(capture, "load_limit", limit_of_four_parts)
    captured.run(
        "CREATE TABLE t (id int PRIMARY KEY, n int)",
        "INSERT INTO t VALUES (1, 0)",
        "CREATE TABLE big (id int PRIMARY KEY, v text)",
        "INSERT INTO big SELECT n, repeat('x', 1000) FROM generate_series(1, 200) n",
    )
    copy = Captured(captured)
    copy.sync("public.t")
    running = Running(copy, "public.t", "public.big")
    seen: list[tuple[int, int]] = []
    n = 0
    while len(running.stored("public.big")) < 200:
        n += 1
        captured.run(f"UPDATE t SET n = {n} WHERE id = 1", f"UPDATE big SET v = 'new' WHERE id = {n}")
        wait_for(lambda n=n: running.stored()[0]["n"] == n)
        seen.append((n, len(running.stored("public.big"))))
    assert any(0 < loaded < 200 for _, loaded in seen), "changes flow between the parts of the load"
    captured.run("UPDATE big SET v = 'last' WHERE id = 200")
    wait_for(lambda: any(row["v"] == "last" for row in running.stored("public.big")))
    result = running.end()
    assert result.status is Status.succeeded, result.as_dict()
    assert len(running.windows) >= 3
    rows = captured.run("SELECT id, v FROM big ORDER BY id")
    assert sorted(running.stored("public.big"), key=lambda row: row["id"]) == rows


def test_what_cannot_be_followed_is_refused_before_anything_is_read(captured: Any) -> None:
    captured.run("CREATE TABLE t (id int PRIMARY KEY)", "CREATE TABLE bare (v text)")
    copy = Captured(captured)
    stop, progress = threading.Event(), Progress()
    by_cursor = copy.source(replication_method={"method": "Standard"})
    with pytest.raises(ConfigError, match="reads by `replication_method: Standard`"):
        Continuous(stop).run(by_cursor, progress, lambda: pytest.fail("it was read"))
    with pytest.raises(ConfigError, match=r"the stream public\.bare is read as a full refresh"):
        sync(copy.source(), copy.destination, ["public.bare"], states=copy.states, only_incremental=True)
