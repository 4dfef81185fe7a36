"""Change data capture of several tables of which one fails: the others go on, and it goes on later without a loss."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from capturing import Captured, plain

from kitestring.engine import Selection, Status, sync
from kitestring.sources.postgres import Postgres
from kitestring.sources.postgres.captured_table import captured_tables
from kitestring.sources.postgres.catalog import columns_of
from kitestring.sources.postgres.keyed_read import read_keys
from kitestring.sources.postgres.slot import ReplicationObjects
from kitestring.sql.changes import ROW_NUMBER
from kitestring.types import GLOBAL


@pytest.fixture
def copy(captured: Any) -> Captured:
    """A copy of two tables, after its first sync."""
    captured.run(
        "CREATE TABLE a (id int PRIMARY KEY, n int)",
        "CREATE TABLE b (id int PRIMARY KEY, n int)",
        "INSERT INTO a VALUES (1, 1)",
        "INSERT INTO b VALUES (1, 1)",
    )
    copy = Captured(captured)
    copy.sync()
    return copy


def before_the_end(monkeypatch: Any, act: Callable[[], Any]) -> None:
    """Act once, when a sync reads the log and does not know its end yet."""
    heartbeat, waiting = ReplicationObjects.heartbeat, [act]

    def acted(self: ReplicationObjects) -> int:
        if waiting:
            waiting.pop()()
        return heartbeat(self)

    monkeypatch.setattr(ReplicationObjects, "heartbeat", acted)


def rows_of(copy: Captured, table: str) -> list[dict[str, Any]]:
    return sorted((plain(row) for row in copy.destination.stored[f"public.{table}"]), key=lambda row: row["id"])


def test_a_change_that_a_stream_does_not_take_ends_it_alone_and_it_goes_on_from_there(
    copy: Captured, monkeypatch: Any
) -> None:
    database = copy.database
    before_the_end(
        monkeypatch,
        lambda: database.run(
            "INSERT INTO a VALUES (2, 2)",
            "INSERT INTO b VALUES (2, 2)",
            "ALTER TABLE b ADD COLUMN late int",
            "UPDATE b SET late = 5 WHERE id = 2",
            "DELETE FROM b WHERE id = 1",
            "INSERT INTO a VALUES (3, 3)",
        ),
    )
    ways = [
        Selection("public.a", "incremental", "append_dedup"),
        Selection("public.b", "incremental", "append_dedup", new_fields="stop"),
    ]
    result = sync(copy.source(), copy.destination, ways, states=copy.states)
    assert result.streams["public.a"].status is Status.succeeded
    assert "late is new" in str(result.streams["public.b"].error)
    assert [row["id"] for row in rows_of(copy, "a")] == [1, 2, 3]
    shared = copy.states.load("default")[GLOBAL]
    assert shared["streams"] == ["public.a"]
    assert shared["left"]["public.b"] < shared["position"]
    database.run("INSERT INTO a VALUES (4, 4)", "INSERT INTO b VALUES (4, 4)")
    copy.sync("public.a", "public.b")
    assert [row["id"] for row in rows_of(copy, "a")] == [1, 2, 3, 4]
    assert rows_of(copy, "b") == [{"id": 2, "n": 2, "late": 5}, {"id": 4, "n": 4, "late": None}]
    assert copy.slot()["confirmed"] >= shared["position"]


def test_a_table_that_fails_for_some_syncs_keeps_its_log_and_loses_nothing(copy: Captured) -> None:
    database, catalog = copy.database, copy.source().discover()
    database.run("ALTER TABLE b REPLICA IDENTITY NOTHING", "INSERT INTO b VALUES (2, 2)")
    for n in (2, 3):
        database.run(f"INSERT INTO a VALUES ({n}, {n})")
        result = copy.attempt("public.a", "public.b", catalog=catalog)
        assert result.streams["public.a"].status is Status.succeeded
        assert "no replica identity" in str(result.streams["public.b"].error)
    database.run("ALTER TABLE b REPLICA IDENTITY DEFAULT", "UPDATE b SET n = 9 WHERE id = 1")
    copy.sync()
    assert rows_of(copy, "b") == [{"id": 1, "n": 9}, {"id": 2, "n": 2}]
    assert [row["id"] for row in rows_of(copy, "a")] == [1, 2, 3]


def test_a_table_whose_log_is_lost_keeps_no_log_for_itself(copy: Captured) -> None:
    database = copy.database
    confirmed = copy.slot()["confirmed"]
    database.run("DROP TABLE b", "CREATE TABLE b (id int PRIMARY KEY, n int)", "INSERT INTO a VALUES (2, 2)")
    result = copy.attempt()
    assert "was dropped and created again" in str(result.streams["public.b"].error)
    assert result.streams["public.a"].status is Status.succeeded
    assert copy.slot()["confirmed"] > confirmed


def test_a_right_that_is_taken_while_the_log_is_read_ends_only_its_table(captured: Any, monkeypatch: Any) -> None:
    name = f"reader_{captured.name}"
    password = captured.password.replace("'", "''")
    captured.run(
        f"CREATE USER {name} WITH REPLICATION PASSWORD '{password}'",
        "CREATE TABLE a (id int PRIMARY KEY, n int)",
        "CREATE TABLE b (id int PRIMARY KEY, n int, body text)",
        "ALTER TABLE b ALTER body SET STORAGE EXTERNAL",
        f"GRANT SELECT ON a, b TO {name}",
        "CREATE PUBLICATION changes FOR TABLE a, b",
        "INSERT INTO b VALUES (1, 1, repeat('long', 2000))",
    )
    copy = Captured(replace(captured, username=name))
    try:
        copy.sync()
        before_the_end(
            monkeypatch,
            lambda: captured.run(
                "UPDATE b SET n = 2", f"REVOKE SELECT ON b FROM {name}", "INSERT INTO a VALUES (2, 2)"
            ),
        )
        result = copy.attempt()
        assert result.streams["public.a"].status is Status.succeeded
        assert "may not read" in str(result.streams["public.b"].error)
        captured.run(f"GRANT SELECT ON b TO {name}")
        copy.sync()
        assert rows_of(copy, "a") == [{"id": 2, "n": 2}]
        assert rows_of(copy, "b") == [{"id": 1, "n": 2, "body": "long" * 2000}]
    finally:
        captured.run(f"DROP OWNED BY {name}", f"DROP USER {name}")


def test_a_row_that_is_read_again_and_has_a_decimal_that_is_no_number_is_rejected(captured: Any) -> None:
    captured.run(
        "CREATE TABLE t (id int PRIMARY KEY, n numeric(5,2))", "INSERT INTO t VALUES (1, 1.5), (2, 'NaN'), (3, NULL)"
    )
    with captured_connection(captured) as connection:
        (table,) = captured_tables(connection, "c.relname = 't'").values()
        columns = columns_of(connection, "c.relname = 't'")["public.t"]
        read, rejects = read_keys(connection, table, columns, pa.table({"id": pa.array([1, 2, 3, 4], pa.int32())}))
    assert read.to_pylist() == [
        {"id": 1, "n": Decimal("1.50"), ROW_NUMBER: 0},
        {"id": 3, "n": None, ROW_NUMBER: 2},
    ]
    assert [(reject.stream, dict(reject.record)) for reject in rejects] == [("public.t", {"id": 2, "n": "NaN"})]


def test_a_table_that_is_read_again_as_a_whole_has_its_rejects(captured: Any, monkeypatch: Any) -> None:
    captured.run("CREATE TABLE t (id int PRIMARY KEY, n numeric(5,2))")
    copy = Captured(captured)
    copy.sync()
    captured.run("INSERT INTO t VALUES (1, 1.5), (2, 'NaN')")
    assert copy.attempt().streams["public.t"].rejected == 1
    alter = "ALTER TABLE t ADD COLUMN more int DEFAULT (random() * 0 + 7)::int"
    before_the_end(monkeypatch, lambda: captured.run(alter, "UPDATE t SET n = 2 WHERE id = 1"))
    assert copy.sync()["public.t"] == [{"id": 1, "n": 2, "more": 7}]
    assert copy.result.streams["public.t"].rejected == 1


@contextmanager
def captured_connection(database: Any) -> Iterator[Any]:
    connection = Postgres.load(database.config).connect()
    try:
        yield connection
    finally:
        connection.close()
