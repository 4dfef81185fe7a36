"""Continuous syncs of a real MariaDB: changes flow from the binary log, tables are loaded beside, one stream fails."""

from __future__ import annotations

import itertools
import threading

import pytest
from following_sync import Running, wait_for
from mysql_capturing import MysqlCaptured

from kitestring.engine import Continuous, Progress, Selection, Status, sync
from kitestring.errors import ConfigError
from kitestring.sources.mysql import Mysql, capture
from kitestring.sources.mysql.log_server import LogServer
from kitestring.sql import log_end
from kitestring.types import GLOBAL

pytestmark = pytest.mark.slow


@pytest.fixture
def captured(mysql_database):
    return MysqlCaptured(mysql_database)


def test_changes_arrive_while_it_runs_and_a_stop_is_reconciled_and_loses_nothing(captured):
    database = captured.database
    database.run("CREATE TABLE t (id int PRIMARY KEY, n int)", "INSERT INTO t VALUES (1, 0), (2, 0)")
    stream = f"{database.name}.t"
    running = Running(captured)
    wait_for(lambda: len(running.stored(stream)) == 2)
    database.run("UPDATE t SET n = 1 WHERE id = 1", "DELETE FROM t WHERE id = 2", "INSERT INTO t VALUES (3, 0)")
    rows = [{"id": 1, "n": 1}, {"id": 3, "n": 0}]
    wait_for(lambda: sorted(running.stored(stream), key=lambda row: row["id"]) == rows)
    assert running.windows == [], "the window is still open"
    result = running.end()
    assert result.status is Status.succeeded, result.as_dict()
    figures = result.streams[stream]
    assert (figures.read, figures.written, figures.deleted) == (5, 4, 1)
    assert len(running.windows) == 1
    # What is committed after the stop comes with the next sync, and nothing else does.
    database.run("INSERT INTO t VALUES (4, 0)")
    assert captured.attempt("t").streams[stream].read == 1
    captured.assert_equal("t")


def test_a_table_that_is_added_is_loaded_in_parts_while_the_changes_of_others_flow(captured, monkeypatch):
    def limit_of_four_parts(following, follows_others):
        parts = itertools.count()
        return lambda: follows_others and next(parts) >= 4

    monkeypatch.setattr(capture, "PART_KEYS", 20)
    monkeypatch.setattr(log_end, "LOG_S", 0.2)
    monkeypatch.setattr(capture, "load_limit", limit_of_four_parts)
    database = captured.database
    database.run(
        "CREATE TABLE t (id int PRIMARY KEY, n int)",
        "INSERT INTO t VALUES (1, 0)",
        "CREATE TABLE big (id int PRIMARY KEY, v text)",
        "INSERT INTO big SELECT seq, repeat('x', 1000) FROM seq_1_to_200",
    )
    small, big = f"{database.name}.t", f"{database.name}.big"
    captured.sync("t")
    running = Running(captured, small, big)
    seen = []
    n = 0
    while len(running.stored(big)) < 200:
        n += 1
        database.run(f"UPDATE t SET n = {n} WHERE id = 1", f"UPDATE big SET v = 'new' WHERE id = {n}")
        wait_for(lambda n=n: running.stored(small)[0]["n"] == n)
        seen.append(len(running.stored(big)))
    assert running.progress.snapshot()["summary"]["lag_s"] < 60
    assert any(0 < loaded < 200 for loaded in seen), "changes flow between the parts of the load"
    database.run("UPDATE big SET v = 'last' WHERE id = 200")
    wait_for(lambda: any(row["v"] == "last" for row in running.stored(big)))
    result = running.end()
    assert result.status is Status.succeeded, result.as_dict()
    assert len(running.windows) >= 3
    captured.assert_equal("big")


def test_a_change_that_a_stream_does_not_take_ends_it_alone_and_it_goes_on_from_there(captured, monkeypatch):
    database = captured.database
    database.run(
        "CREATE TABLE a (id int PRIMARY KEY, n int)",
        "CREATE TABLE b (id int PRIMARY KEY, n int)",
        "INSERT INTO a VALUES (1, 1)",
        "INSERT INTO b VALUES (1, 1)",
    )
    captured.sync("a", "b")
    end, waiting = LogServer.end, [True]

    def changed_first(server, **options):
        if waiting:  # the log is read, and its end is not known yet
            waiting.pop()
            database.run(
                "INSERT INTO a VALUES (2, 2)",
                "INSERT INTO b VALUES (2, 2)",
                "ALTER TABLE b ADD COLUMN late int",
                "UPDATE b SET late = 5 WHERE id = 2",
                "DELETE FROM b WHERE id = 1",
                "INSERT INTO a VALUES (3, 3)",
            )
        return end(server, **options)

    monkeypatch.setattr(LogServer, "end", changed_first)
    names = [f"{database.name}.a", f"{database.name}.b"]
    ways = [
        Selection(names[0], "incremental", "append_dedup"),
        Selection(names[1], "incremental", "append_dedup", new_fields="stop"),
    ]
    result = sync(captured.source(), captured.destination, ways, states=captured.states)
    assert result.streams[names[0]].status is Status.succeeded
    assert "late is new" in str(result.streams[names[1]].error)
    captured.assert_equal("a")
    shared = captured.states.load("default")[GLOBAL]
    assert shared["streams"] == [names[0]]
    assert shared["left"][names[1]] < shared["position"]
    database.run("INSERT INTO a VALUES (4, 4)", "INSERT INTO b VALUES (4, 4, 4)")
    captured.sync("a", "b")
    captured.assert_equal("a")
    captured.assert_equal("b")


def test_a_source_that_reads_by_a_cursor_is_refused_before_anything_is_read(captured):
    source = Mysql.load(captured.database.config)
    with pytest.raises(ConfigError, match="reads by `replication_method: STANDARD`"):
        Continuous(threading.Event()).run(source, Progress(), lambda: pytest.fail("it was read"))
