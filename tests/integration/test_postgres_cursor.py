"""Incremental syncs of PostgreSQL: what is in the cursor column hides no row and doubles none."""

import datetime as dt
from decimal import Decimal
from typing import Any

import duckdb
import pytest
from postgres_reading import read, source_of

from kitestring.airbyte.modes import WRITES
from kitestring.batch import Batch
from kitestring.destinations.duckdb import Duckdb
from kitestring.engine import MemoryStates, Selection, Status, sync
from kitestring.errors import RecordError
from kitestring.testing.memory import MemoryDestination
from kitestring.types import Receipt, Stream


def run(database, destination, states, mode="append", **selection):
    chosen = Selection("t", sync_mode="incremental", cursor="c", write_mode=mode, **selection)
    return sync(source_of(database), destination, [chosen], states=states)


def ids(path):
    with duckdb.connect(str(path), read_only=True) as db:
        return [row[0] for row in db.execute("SELECT id FROM public.t ORDER BY id").fetchall()]


@pytest.mark.parametrize("mode", ["append", "append_dedup"])
@pytest.mark.parametrize(
    ("type_", "first", "odd", "later"),
    [
        ("timestamptz", "'2024-01-01'", "'infinity'", "'2024-06-01'"),
        ("timestamp", "'2024-01-01'", "'2999-01-01'", "'2024-06-01'"),
        ("date", "'2024-01-01'", "'infinity'", "'2024-06-01'"),
        ("numeric", "1.0", "'NaN'", "2"),
        ("numeric", "1", "'Infinity'", "2.50"),
        ("numeric(10,2)", "1", "'NaN'", "2"),
        ("float8", "1", "'NaN'", "2"),
        ("float8", "-1", "'Infinity'", "0.1"),
    ],
)
def test_a_value_that_no_state_may_have_hides_no_later_row_and_is_not_doubled(
    database, tmp_path, mode, type_, first, odd, later
):
    database.run(
        f"CREATE TABLE t (id int PRIMARY KEY, c {type_})",
        f"INSERT INTO t VALUES (1, {first}), (2, {odd}), (3, NULL)",
    )
    states, path = MemoryStates(), tmp_path / "x.duckdb"
    rejected = type_ == "numeric(10,2)"
    for _ in range(3):
        result = run(database, Duckdb(path=str(path)), states, mode)
        assert rejected or result.streams["public.t"].status is Status.suspicious
    database.run(f"INSERT INTO t VALUES (4, {later}), (5, {first})")
    run(database, Duckdb(path=str(path)), states, mode)
    run(database, Duckdb(path=str(path)), states, mode)
    assert ids(path) == [1, 3, 4, 5] if rejected else [1, 2, 3, 4, 5]


class Picky(MemoryDestination):
    """Takes no record that is marked as bad."""

    def write(self, stream: Stream, batch: Batch) -> Receipt | None:
        if any(row["bad"] for row in batch.rows()):
            raise RecordError("bad records are not taken")
        return super().write(stream, batch)


def test_a_row_that_the_destination_rejects_does_not_move_the_cursor(database):
    database.run(
        "CREATE TABLE t (id int PRIMARY KEY, c timestamptz, bad bool)",
        "INSERT INTO t SELECT n, '2024-01-01'::timestamptz + n * '1 d'::interval, n > 7 FROM generate_series(1, 10) n",
    )
    destination, states = Picky(), MemoryStates()
    run(database, destination, states)
    assert states.load("default")["public.t"]["cursor"] == "2024-01-08 00:00:00+00:00"
    database.run("UPDATE t SET bad = false", "INSERT INTO t VALUES (11, '2024-01-08 00:00+00', false)")
    run(database, destination, states)
    written: list[Any] = destination.stored["public.t"]
    assert sorted(row["id"] for row in written) == list(range(1, 12))


def test_the_state_is_at_most_the_servers_clock(database):
    database.run(
        "CREATE TABLE t (id int, c timestamptz)",
        "INSERT INTO t VALUES (1, now() - interval '1 min'), (2, now() + interval '2 hours')",
    )
    suspicions = []
    rows, [*_, (_, state)], _ = read(source_of(database), "t", cursor="c", suspicions=suspicions)
    assert [row["id"] for row in rows] == [1, 2]
    assert state["cursor"] == str(rows[0]["c"])
    assert suspicions == []
    second, _, _ = read(source_of(database), "t", state, cursor="c")
    assert second == []
    second, _, _ = read(source_of(database), "t", state, cursor="c", write=WRITES["append_dedup"])
    assert [row["id"] for row in second] == [1, 2]


def test_a_state_of_the_version_before_goes_on_without_a_double(database):
    database.run(
        "CREATE TABLE t (id int PRIMARY KEY, c timestamptz)",
        "INSERT INTO t SELECT n, '2024-01-01 00:00+00' FROM generate_series(1, 5) n",
    )
    state = {"cursor": "2024-01-01 00:00:00+00:00", "count": 5}
    rows, [*_, (_, later)], _ = read(source_of(database), "t", state, cursor="c")
    assert rows == []
    database.run("INSERT INTO t VALUES (6, '2024-01-01 00:00+00'), (7, '2024-01-02 00:00+00')")
    assert [row["id"] for row in read(source_of(database), "t", later, cursor="c")[0]] == [6, 7]


def test_a_stream_that_was_deduplicated_and_is_added_to_now_has_no_double(database, tmp_path):
    database.run("CREATE TABLE t (id int PRIMARY KEY, c int)", "INSERT INTO t VALUES (1, 1), (2, 2), (3, 2)")
    states, path = MemoryStates(), tmp_path / "x.duckdb"
    run(database, Duckdb(path=str(path)), states, "append_dedup")
    database.run("INSERT INTO t VALUES (4, 3)")
    run(database, Duckdb(path=str(path)), states, "append")
    assert ids(path) == [1, 2, 3, 4]


@pytest.mark.parametrize("partitioned", [False, True])
def test_existing_rows_of_a_new_column_get_its_default_at_the_destination(database, tmp_path, partitioned):
    """Nothing tells of them: neither the cursor column nor the log."""
    if partitioned:
        database.run(
            "CREATE TABLE t (id int PRIMARY KEY, c int) PARTITION BY RANGE (id)",
            "CREATE TABLE p PARTITION OF t FOR VALUES FROM (0) TO (100)",
        )
    else:
        database.run("CREATE TABLE t (id int PRIMARY KEY, c int)")
    database.run("INSERT INTO t VALUES (1, 1), (2, 2)")
    states, path = MemoryStates(), tmp_path / "x.duckdb"
    run(database, Duckdb(path=str(path)), states, "append_dedup")
    database.run(
        "ALTER TABLE t ADD COLUMN state text DEFAULT 'it''s open', ADD COLUMN price numeric(9,2) DEFAULT 1.50, "
        "ADD COLUMN tags text[] DEFAULT '{a,\"b,c\"}', ADD COLUMN at timestamptz DEFAULT '2024-05-01 10:00+02', "
        "ADD COLUMN raw bytea DEFAULT '\\x00ff', ADD COLUMN note text, ADD COLUMN flag bool NOT NULL DEFAULT true",
        "UPDATE t SET state = NULL, c = 3 WHERE id = 2",
        "INSERT INTO t VALUES (3, 4, 'new')",
    )
    result = run(database, Duckdb(path=str(path)), states, "append_dedup")
    assert result.streams["public.t"].suspicions == []
    columns = "id, state, price, tags, timezone('UTC', t.at), raw, note, flag"
    with duckdb.connect(str(path), read_only=True) as db:
        rows = db.execute(f"SELECT {columns} FROM public.t AS t ORDER BY id").fetchall()
    moment, tags = dt.datetime(2024, 5, 1, 8), '["a", "b,c"]'
    same = (Decimal("1.50"), tags, moment, b"\x00\xff", None, True)
    assert rows == [(1, "it's open", *same), (2, None, *same), (3, "new", *same)]
    database.run("UPDATE t SET state = NULL, c = 5 WHERE id = 3")
    run(database, Duckdb(path=str(path)), states, "append_dedup")
    with duckdb.connect(str(path), read_only=True) as db:
        assert db.execute("SELECT id, state FROM public.t ORDER BY id").fetchall() == [
            (1, "it's open"), (2, None), (3, None),
        ]  # fmt: skip


def test_a_new_column_with_a_value_of_each_row_makes_a_sync_suspicious_once(database, tmp_path):
    database.run("CREATE TABLE t (id int PRIMARY KEY, c int)", "INSERT INTO t VALUES (1, 1), (2, 2)")
    states, path = MemoryStates(), tmp_path / "x.duckdb"
    run(database, Duckdb(path=str(path)), states, "append_dedup")
    database.run("ALTER TABLE t ADD COLUMN twice int GENERATED ALWAYS AS (c * 2) STORED, ADD COLUMN n serial")
    result = run(database, Duckdb(path=str(path)), states, "append_dedup")
    (suspicion,) = result.streams["public.t"].suspicions
    assert "added twice, n with a value in each row" in suspicion
    run(database, Duckdb(path=str(path)), states, "append_dedup")


def test_an_empty_table_has_the_types_of_a_full_one(database, tmp_path):
    database.run("CREATE TABLE t (id smallint, r real, o time, n numeric(20,5))")
    types = []
    for name in ("empty", "full"):
        path = str(tmp_path / f"{name}.duckdb")
        assert sync(source_of(database), Duckdb(path=path), [Selection("t", write_mode="overwrite")], allow_empty=True)
        with duckdb.connect(path, read_only=True) as db:
            types.append(db.execute("DESCRIBE public.t").fetchall())
            rows = db.execute("SELECT o::VARCHAR FROM public.t").fetchall()
        database.run("INSERT INTO t VALUES (1, 1.5, '24:00:00', 1)")
    assert types[0] == types[1]
    assert rows == [("24:00:00",)]
