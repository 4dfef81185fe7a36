"""Incremental reads of PostgreSQL by xmin: no committed row is missed, and none comes twice where all are kept."""

from __future__ import annotations

import random
import threading
from typing import Any, ClassVar

import pytest
from postgres_reading import source_of

from kitestring.batch import Batch
from kitestring.engine import MemoryStates, Result, Selection, sync
from kitestring.errors import ConfigError
from kitestring.sources.postgres import Postgres, catalog
from kitestring.sources.postgres.xmin import WRAP, Position, conditions
from kitestring.testing.memory import MemoryDestination
from kitestring.types import Receipt, Stream, SyncMode

XMIN = {"replication_method": "Xmin"}


def run(database: Any, destination: Any, states: Any, mode: str = "append_dedup", **more: Any) -> Result:
    chosen = Selection("t", sync_mode="incremental", write_mode=mode, **more)
    result = sync(source_of(database, **XMIN), destination, [chosen], states=states)
    assert result.ok, result.as_dict()
    return result


def stored(destination: MemoryDestination) -> list[tuple[Any, ...]]:
    return sorted((row["id"], row["v"]) for row in destination.stored.get("public.t", []))


def table(database: Any) -> list[tuple[Any, ...]]:
    return [(row["id"], row["v"]) for row in database.run("SELECT id, v FROM t ORDER BY id")]


@pytest.mark.parametrize("partitioned", [False, True])
def test_only_rows_of_later_transactions_are_read_again(database: Any, partitioned: bool) -> None:
    database.run(f"CREATE TABLE t (id int PRIMARY KEY, v int) {'PARTITION BY RANGE (id)' if partitioned else ''}")
    if partitioned:
        database.run(
            "CREATE TABLE low PARTITION OF t FOR VALUES FROM (0) TO (50)",
            "CREATE TABLE high PARTITION OF t FOR VALUES FROM (50) TO (1000)",
        )
    database.run("INSERT INTO t SELECT n, 0 FROM generate_series(1, 100) n")
    destination, states = MemoryDestination(), MemoryStates()
    assert run(database, destination, states).total("read") == 100
    assert run(database, destination, states).total("read") == 0
    database.run("UPDATE t SET v = 1 WHERE id % 10 = 0", "INSERT INTO t VALUES (101, 1)")
    assert run(database, destination, states).total("read") == 11
    assert stored(destination) == table(database)
    state = states.load("default")["public.t"]
    raw = state["xmin_raw_value"]
    assert (state["xmin_xid_value"], state["num_wraparound"]) == (raw % WRAP, raw // WRAP)


@pytest.mark.parametrize("mode", ["append_dedup", "append"])
def test_a_transaction_that_was_open_during_a_sync_comes_with_the_next_one(database: Any, mode: str) -> None:
    """Also what a subtransaction of it wrote, whose id no snapshot lists."""
    database.run("CREATE TABLE t (id int PRIMARY KEY, v int)", "INSERT INTO t VALUES (1, 0), (2, 0)")
    destination, states = MemoryDestination(), MemoryStates()
    run(database, destination, states, mode)
    source = source_of(database)
    with source.open() as late:
        late.execute("BEGIN")
        late.execute("INSERT INTO t VALUES (3, 0)")
        late.execute("SAVEPOINT s")
        late.execute("INSERT INTO t VALUES (4, 0)")
        late.execute("RELEASE SAVEPOINT s")
        database.run("INSERT INTO t VALUES (5, 0)")
        run(database, destination, states, mode)
        late.execute("COMMIT")
    database.run("INSERT INTO t VALUES (6, 0)")
    run(database, destination, states, mode)
    run(database, destination, states, mode)
    assert stored(destination) == [(n, 0) for n in range(1, 7)]


@pytest.mark.parametrize("mode", ["append_dedup", "append"])
def test_no_row_is_missed_or_doubled_beside_writers_that_commit_in_any_order(database: Any, mode: str) -> None:
    database.run("CREATE TABLE t (id int PRIMARY KEY, v int)")
    ended, seed = threading.Event(), random.Random(7)

    def write(number: int) -> None:
        chance, count = random.Random(number), 0
        with source_of(database).open() as connection:
            while not ended.is_set() or count < 40:
                connection.execute("BEGIN")
                for _ in range(chance.randint(1, 3)):
                    connection.execute("SAVEPOINT s")
                    connection.execute(f"INSERT INTO t VALUES ({number * 1_000_000 + count}, 0)")
                    connection.execute("RELEASE SAVEPOINT s" if chance.random() < 0.8 else "ROLLBACK TO SAVEPOINT s")
                    count += 1
                connection.execute("COMMIT" if chance.random() < 0.9 else "ROLLBACK")

    writers = [threading.Thread(target=write, args=(number,)) for number in range(1, 4)]
    for writer in writers:
        writer.start()
    destination, states = MemoryDestination(), MemoryStates()
    for _ in range(6):
        run(database, destination, states, mode)
        ended.wait(seed.random() / 10)
    ended.set()
    for writer in writers:
        writer.join()
    run(database, destination, states, mode)
    assert stored(destination) == table(database)


class Mortal(MemoryDestination):
    """Dies at its third batch, once."""

    batch_rows: ClassVar[int] = 500
    left: int = 3

    def write(self, stream: Stream, batch: Batch) -> Receipt | None:
        self.left -= 1
        if self.left == 0:
            raise ConfigError("killed")
        return super().write(stream, batch)


def test_an_interrupted_read_goes_on_behind_the_last_range_and_misses_nothing(
    database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog, "PARTITION_BYTES", 64 * 1024)
    database.run(
        "CREATE TABLE t (id int PRIMARY KEY, v int, more text)",
        "INSERT INTO t SELECT n, 0, repeat('x', 200) FROM generate_series(1, 10000) n",
    )
    destination, states = Mortal(), MemoryStates()
    chosen = Selection("t", sync_mode="incremental", write_mode="append_dedup")
    killed = sync(source_of(database, **XMIN), destination, [chosen], states=states)
    assert not killed.ok
    state = states.load("default")["public.t"]
    assert state["xmin_raw_value"] is None
    assert state["scan"]["after"]
    database.run("UPDATE t SET v = 1 WHERE id IN (1, 10000)", "DELETE FROM t WHERE id = 5")
    second = run(database, destination, states)
    assert 0 < second.total("read") < 10_000
    assert "scan" not in states.load("default")["public.t"]
    run(database, destination, states)
    kept = {row[0]: row[1] for row in stored(destination)}
    assert kept == {**dict.fromkeys(range(1, 10_001), 0), 1: 1, 10_000: 1}


def test_a_table_that_was_rewritten_since_an_interrupted_read_is_read_from_its_beginning(database: Any) -> None:
    database.run(
        "CREATE TABLE t (id int PRIMARY KEY, v int)", "INSERT INTO t SELECT n, 0 FROM generate_series(1, 10) n"
    )
    states = MemoryStates()
    states.save("default", "public.t", Position(None, 3, "public.t:0", "other files").state())
    destination = MemoryDestination()
    assert run(database, destination, states).total("read") == 10


def test_a_view_is_not_incremental_by_xmin(database: Any) -> None:
    database.run("CREATE TABLE t (id int)", "CREATE VIEW v AS SELECT * FROM t")
    modes = {stream.name: stream.sync_modes for stream in source_of(database, **XMIN).discover()}
    assert modes == {"t": (SyncMode.full_refresh, SyncMode.incremental), "v": (SyncMode.full_refresh,)}


def test_a_state_that_is_ahead_of_the_server_or_of_another_method_is_refused(database: Any) -> None:
    database.run("CREATE TABLE t (id int PRIMARY KEY, v int)")
    for state, reason in (
        (Position(2**40).state(), "is at transaction 1099511627776"),
        ({"cursor": "1"}, "is not one of a read by xmin"),
    ):
        states = MemoryStates()
        states.save("default", "public.t", state)
        chosen = Selection("t", sync_mode="incremental", write_mode="append")
        result = sync(source_of(database, **XMIN), MemoryDestination(), [chosen], states=states)
        assert reason in str(result.streams["public.t"].error)


def test_transaction_ids_that_wrapped_around_are_old(database: Any) -> None:
    """`age` as the server counts it: a row that is more than 2^31 transactions old has a negative one."""
    (row,) = database.run("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::int8 AS next")
    next_id = row["next"]
    (ages,) = database.run(
        f"SELECT age('{(next_id - 2**30) % WRAP}'::xid) AS back, age('{(next_id - 2**31 - 1000) % WRAP}'::xid) AS old"
    )
    assert 2**30 <= ages["back"] < 2**30 + 1000
    assert ages["old"] < 0
    assert conditions(5, 7, 5 + 2**31, False) == "true"
    assert conditions(None, 7, 9, True) == "NOT age(t.xmin) BETWEEN 0 AND age('7'::xid)"
    assert conditions(2**32 + 5, 2**32 + 7, 2**32 + 9, False) == "age(t.xmin) BETWEEN 0 AND age('5'::xid)"


def test_the_options_and_the_state_of_airbytes_xmin_are_taken(database: Any) -> None:
    database.run("CREATE TABLE t (id int PRIMARY KEY, v int)", "INSERT INTO t VALUES (1, 0)")
    source = Postgres.load({**database.config, "replication_method": {"method": "Xmin"}})
    (stream,) = source.discover()
    assert (stream.source_defined_cursor, stream.cursor) == (True, None)
    source.close()
    oldest = database.run("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::int8 AS n")[0]["n"]
    states = MemoryStates()
    airbytes = {"version": 2, "state_type": "xmin", "num_wraparound": oldest // WRAP, "xmin_xid_value": oldest % WRAP}
    states.save("default", "public.t", {**airbytes, "xmin_raw_value": oldest})
    database.run("INSERT INTO t VALUES (2, 0)")
    destination = MemoryDestination()
    run(database, destination, states)
    assert stored(destination) == [(2, 0)]
