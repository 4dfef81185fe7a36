"""Large transactions that PostgreSQL sends while they are in progress: committed, aborted in part, and rolled back."""

from __future__ import annotations

from typing import Any

import psycopg
from capturing import Captured
from following_sync import Running, wait_for

from kitestring.engine import Status

MANY = "INSERT INTO {} SELECT n, repeat(md5(n::text), 20) FROM generate_series({}, {}) n"


def copied(captured: Any) -> Captured:
    captured.run(
        f"ALTER DATABASE \"{captured.name}\" SET logical_decoding_work_mem = '64kB'",
        "CREATE TABLE t (id int PRIMARY KEY, v text)",
        "CREATE TABLE u (id int PRIMARY KEY, v text)",
        "INSERT INTO t VALUES (0, 'first')",
    )
    copy = Captured(captured)
    copy.method["stream_transactions"] = True
    copy.sync()
    return copy


def assert_equal(copy: Captured) -> None:
    for table in ("t", "u"):
        rows = copy.database.run(f"SELECT * FROM {table} ORDER BY id")
        stored = copy.destination.stored.get(f"public.{table}", [])
        columns = {name: None for row in rows for name in row}
        actual = [{name: row.get(name) for name in columns} for row in stored]
        assert sorted(actual, key=lambda row: row["id"]) == rows


def streamed(copy: Captured) -> int:
    name = copy.database.name
    rows = copy.database.run(f"SELECT stream_txns FROM pg_stat_replication_slots WHERE slot_name = '{name}'")
    return rows[0]["stream_txns"] if rows else 0


def test_transactions_in_progress_arrive_at_their_commit_without_what_was_aborted(captured: Any) -> None:
    copy = copied(captured)
    with psycopg.connect(captured.dsn) as open_one, psycopg.connect(captured.dsn) as other:
        open_one.execute(MANY.format("t", 1, 300))
        open_one.execute("SAVEPOINT a")
        open_one.execute(MANY.format("t", 1001, 1300))
        open_one.execute("SAVEPOINT b")
        open_one.execute(MANY.format("u", 1001, 1300))
        open_one.execute("ROLLBACK TO a")
        open_one.execute(MANY.format("u", 1, 300))
        open_one.execute("SAVEPOINT c")
        open_one.execute("UPDATE t SET v = 'changed' WHERE id % 3 = 0")
        open_one.execute("RELEASE c")
        open_one.execute("DELETE FROM t WHERE id BETWEEN 10 AND 20")
        other.execute(MANY.format("t", 5001, 5300))
        captured.run("INSERT INTO t VALUES (9001, 'small')")
        copy.sync()
        assert {row["id"] for row in copy.destination.stored["public.t"]} == {0, 9001}
        other.rollback()
        captured.run("INSERT INTO t VALUES (9002, 'small')")
        copy.sync()
        open_one.commit()
        captured.run("UPDATE t SET v = 'after' WHERE id = 3")
    copy.sync()
    assert_equal(copy)
    assert len(copy.destination.stored["public.t"]) == 292
    wait_for(lambda: streamed(copy))


def test_a_table_that_is_altered_in_a_transaction_in_progress_arrives_as_it_was_committed(captured: Any) -> None:
    copy = copied(captured)
    running = Running(copy)
    captured.run("INSERT INTO t VALUES (1, 'before')")
    wait_for(lambda: len(running.stored()) == 2)
    with psycopg.connect(captured.dsn) as open_one:
        open_one.execute(MANY.format("u", 1, 300))
        open_one.execute("SAVEPOINT a")
        open_one.execute("ALTER TABLE u ADD COLUMN dropped int")
        open_one.execute("UPDATE u SET dropped = 1, v = 'aborted'")
        open_one.execute("ROLLBACK TO a")
        open_one.execute("ALTER TABLE u ADD COLUMN late int")
        open_one.execute("UPDATE u SET late = id WHERE id > 100")
        captured.run("INSERT INTO t VALUES (2, 'meanwhile')")
        wait_for(lambda: len(running.stored()) == 3)
        assert running.stored("public.u") == []
        open_one.commit()
    wait_for(lambda: len(running.stored("public.u")) == 300)
    wait_for(lambda: sum(row.get("late") is not None for row in running.stored("public.u")) == 200)
    result = running.end()
    assert result.status is Status.succeeded, result.as_dict()
    assert_equal(copy)
