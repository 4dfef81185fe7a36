"""What is SQLite's own: locks, kills, views, names, types without loss. (How it writes is in the contract suite.)"""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from sql_syncs import columns, execute, run, synced, table, tables

from kitestring import registry
from kitestring.batch import Batch
from kitestring.destinations.sqlite import Sqlite, SqliteConnection
from kitestring.errors import ConfigError, TransientError
from kitestring.types import Stream, Write

LATEST = Stream("s", primary_key=(("id",),), write=Write(keep="latest", deletes="remove"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.sqlite"


def write(path: Path, stream: Stream, *batches: Any) -> list[Any]:
    destination = Sqlite(path=str(path))
    destination.begin(stream)
    receipts = []
    for batch in batches:
        rows = {"table": batch} if isinstance(batch, pa.Table) else {"rows": batch}
        receipts.append(destination.write(stream, destination.prepare(stream, Batch(stream.key, **rows))))
    destination.commit(stream)
    destination.close()
    return receipts


def test_another_programs_lock_is_waited_for_and_then_named(path: Path) -> None:
    write(path, LATEST, [{"id": 1}])
    destination = Sqlite(path=str(path), lock_timeout_s=0.05)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(TransientError, match="has been writing to it for 0") as caught:
            destination.write(LATEST, Batch("s", rows=[{"id": 2}]))
        assert "lock_timeout_s" in caught.value.hint
        assert destination.count(LATEST) == 1  # reading goes on
        other.execute("COMMIT")
    assert destination.write(LATEST, Batch("s", rows=[{"id": 2}])).written == 1
    destination.close()
    assert table(path, "SELECT id FROM s ORDER BY id") == [(1,), (2,)]


def test_a_table_whose_creation_was_rolled_back_is_ours_once_it_is_created(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors, rows = iter([TransientError("the connection was lost")]), SqliteConnection.rows

    def interrupted(connection: SqliteConnection, statement: str, *values: Any) -> Any:
        if statement == "COMMIT" and (error := next(errors, None)) is not None:
            raise error
        return rows(connection, statement, *values)

    destination = Sqlite(path=str(path))
    destination.begin(LATEST)
    monkeypatch.setattr(SqliteConnection, "rows", interrupted)
    with pytest.raises(TransientError):
        destination.write(LATEST, Batch("s", rows=[{"id": 1}]))
    assert destination.write(LATEST, Batch("s", rows=[{"id": 1}])).written == 1
    destination.close()
    assert write(path, LATEST, [{"id": 2}])[0].written == 1  # it was refused: "was not created by a sync"


@pytest.mark.slow
def test_what_was_acknowledged_is_there_after_a_kill_and_nothing_of_what_was_not(path: Path) -> None:
    code = f"""
import os, signal
from kitestring import registry
from kitestring.batch import Batch
from kitestring.destinations.sqlite import Sqlite, SqliteConnection
from kitestring.types import Stream, Write
d, s = Sqlite(path={str(path)!r}), Stream("s", primary_key=(("id",),), write=Write(keep="latest", deletes="remove"))
d.begin(s)
d.write(s, Batch("s", rows=[{{"id": n, "v": "first"}} for n in range(1000)]))
print("written", flush=True)
with d._connection() as connection, connection.transaction():
    connection.rows("UPDATE s SET v = 'second'")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("written\n", -signal.SIGKILL)
    assert table(path, "SELECT v, count(*) FROM s GROUP BY v") == [("first", 1000)]
    assert table(path, "PRAGMA integrity_check") == [("ok",)]
    assert write(path, LATEST, [{"id": n, "v": "first"} for n in range(1001)])[0].unchanged == 1000


def test_every_commit_is_on_the_disk_and_others_read_meanwhile(path: Path) -> None:
    destination = Sqlite(path=str(path))
    destination.begin(LATEST)
    with destination._connection() as connection:
        assert connection.rows("PRAGMA synchronous") == [(2,)]
        assert connection.rows("PRAGMA journal_mode") == [("wal",)]
        with connection.transaction():
            connection.rows("CREATE TABLE later (id)")
            assert tables(path) == []
    destination.close()
    assert tables(path) == ["later"]


@pytest.mark.parametrize("digits", [20, 38])
def test_decimals_and_long_integers_keep_their_digits_as_values_and_as_keys(path: Path, digits: int) -> None:
    """Of 38 digits no wider decimal holds the second batch: the column becomes text."""
    first = pa.table({"id": pa.array([Decimal("1.50"), Decimal("2.25")], pa.decimal128(digits, 2)), "v": ["a", "b"]})
    finer = pa.table({"id": pa.array([Decimal("1.500"), Decimal("2.255")], pa.decimal128(digits, 3)), "v": ["c", "d"]})
    whole = pa.table({"id": pa.array([3, 2**63 - 1]), "v": ["e", "f"]})
    receipts = write(path, LATEST, first, finer, whole, whole)
    assert [(receipt.replaced, receipt.unchanged) for receipt in receipts] == [(0, 0), (1, 0), (0, 0), (0, 2)]
    rows = table(path, "SELECT id, v FROM s ORDER BY v")
    assert [(Decimal(id_), v) for id_, v in rows] == [
        (Decimal("2.25"), "b"), (Decimal("1.5"), "c"), (Decimal("2.255"), "d"), (3, "e"), (2**63 - 1, "f"),
    ]  # fmt: skip
    destination = Sqlite(path=str(path))
    assert destination.delete(LATEST, [(Decimal("1.5"),), (3.0,), ("3",)]).deleted == 2
    destination.close()


def test_a_moment_is_one_key_whatever_its_zone_and_unit(path: Path) -> None:
    types = [pa.timestamp("us", "UTC"), pa.timestamp("us", "Europe/Berlin"), pa.timestamp("s", "America/New_York")]
    batches = [pa.table({"id": pa.array([10 * 10 ** (6 if type_.unit == "us" else 0)], type_)}) for type_ in types]
    fine = pa.table({"id": pa.array([10_000_000_001, 10_000_000_000], pa.timestamp("ns", "UTC"))})
    receipts = write(path, LATEST, *batches, fine)
    assert [receipt.unchanged for receipt in receipts] == [0, 1, 1, 1]
    assert table(path, "SELECT id FROM s ORDER BY id") == [
        ("1970-01-01T00:00:10+00:00",), ("1970-01-01T00:00:10.000000001+00:00",),
    ]  # fmt: skip


def test_arrow_types_without_a_type_of_sqlite_have_one_that_holds_them(path: Path) -> None:
    write(path, Stream("s"), pa.table({
        "unsigned": pa.array([2**64 - 1], pa.uint64()),
        "long": pa.array([Decimal(10) ** 50], pa.decimal256(60, 0)),
        "bytes": pa.array([b"\x00\xff"], pa.large_binary()),
        "view": pa.array([b"\x00\xff"], pa.binary_view()),
        "fixed": pa.array([b"ab"], pa.binary(2)),
        "time": pa.array([1], pa.time64("ns")),
        "duration": pa.array([5], pa.duration("ms")),
        "map": pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64())),
        "word": pa.array(["x"]).dictionary_encode(),
        "uuid": pa.ExtensionArray.from_storage(pa.uuid(), pa.array([bytes(16)], pa.binary(16))),
    }))  # fmt: skip
    assert table(path, "SELECT * FROM s") == [(
        "18446744073709551615", "1" + "0" * 50, b"\x00\xff", b"\x00\xff", b"ab", "00:00:00.000000001", "PT0.005S",
        '{"a":1}', "x", "00000000-0000-0000-0000-000000000000",
    )]  # fmt: skip


def test_a_check_changes_nothing_in_the_file_of_others(path: Path) -> None:
    execute(path, "CREATE TABLE theirs (id)")
    before = path.read_bytes()
    Sqlite(path=str(path)).check()
    assert path.read_bytes() == before


def test_more_fields_than_sqlite_has_columns_are_named(path: Path) -> None:
    with pytest.raises(ConfigError, match="too many columns"):
        write(path, Stream("s"), [{f"f{n}": n for n in range(2_500)}])


def test_a_digit_text_stays_a_text_and_a_number_a_number(path: Path) -> None:
    schema = {"properties": {"id": {"type": "string"}, "n": {"type": "number"}}}
    synced(path, {"s": [{"id": "007", "n": 1}, {"id": "7", "n": 1.5}, {"id": "1e3", "n": -2}]}, schemas={"s": schema})
    rows = table(path, "SELECT id, typeof(id), n, typeof(n) FROM s ORDER BY id")
    assert rows == [("007", "text", 1.0, "real"), ("1e3", "text", -2.0, "real"), ("7", "text", 1.5, "real")]


@pytest.mark.parametrize("key", [("who", "id"), ("who", 'a "quoted" \\ name'), ("who", "")])
def test_keys_in_nested_values_are_told_apart_exactly(path: Path, key: tuple[str, str]) -> None:
    stream = replace(LATEST, primary_key=(key,))
    values: list[Any] = [1, "1", True, "true", None, 10**40, 10**40 + 1, 0.1, "0.1", [1], {"a": 1}]
    rows = [{"who": {key[1]: value, "other": n}} for n, value in enumerate(values)]
    first, second, third = write(path, stream, rows, rows, [{"who": {key[1]: 1.0}}, {"who": {key[1]: -0.0}}])
    assert (first.written, second.unchanged) == (len(rows), len(rows))
    assert third.replaced == 1
    assert table(path, "SELECT count(*) FROM s") == [(len(rows) + 1,)]


def test_a_lookup_of_keys_goes_by_an_index(path: Path) -> None:
    for stream in (LATEST, replace(LATEST, primary_key=(("who", "id"),))):
        write(path, replace(stream, name=f"s{len(stream.primary_key[0])}"), [{"id": 1, "who": {"id": 1}}])
    synced(path, {"mixed": [{"id": 1}, {"id": "1"}]})
    destination = Sqlite(path=str(path))
    with destination._connection() as connection:
        statements: list[str] = []
        connection.db.set_trace_callback(statements.append)  # type: ignore[attr-defined]
    destination.delete(replace(LATEST, name="s1"), [(1,)])
    destination.delete(replace(LATEST, name="s2", primary_key=(("who", "id"),)), [(1,)])
    destination.delete(replace(LATEST, name="mixed"), [(1,)])
    with destination._connection() as connection:
        connection.rows("CREATE TEMP TABLE _kitestring_incoming (c0, c1, c2)")
        deletions = [text for text in statements if text.startswith("DELETE FROM") and "CROSS JOIN" in text]
        plans = [str(connection.rows(f"EXPLAIN QUERY PLAN {text}")) for text in deletions]
    destination.close()
    assert len(plans) == 3
    assert all("USING INDEX _kitestring_index_" in plan or "USING COVERING INDEX" in plan for plan in plans), plans


def test_views_stay_when_a_new_copy_takes_the_place_of_their_table(path: Path) -> None:
    synced(path, {"s": [{"id": 1, "v": "old"}]}, "overwrite")
    execute(path, "CREATE VIEW mine AS SELECT v FROM s")
    synced(path, {"s": [{"id": 2, "v": "new"}]}, "overwrite")
    assert table(path, "SELECT v FROM mine") == [("new",)]


def test_a_view_in_the_way_is_named(path: Path) -> None:
    synced(path, {"other": [{"id": 1}]})
    execute(path, "CREATE VIEW things AS SELECT 1 AS id")
    result = run(path, {"things": [{"id": 1}]}, "overwrite")
    assert isinstance(result.error, ConfigError)
    assert "things is a view" in result.error.message


def test_the_namespace_stands_before_the_name_and_two_streams_never_share_a_table(path: Path) -> None:
    synced(path, {"users": [{"id": 1}]}, namespace="public")
    assert tables(path) == ["public_users"]
    result = run(path, {"public_users": [{"id": 2}]})
    assert "belongs to the stream public.users" in result.error.message
    assert table(path, "SELECT id FROM public_users") == [(1,)]


@pytest.mark.parametrize(
    "name", ["sqlite_master", "SQLITE_x", "_kitestring_tables", "rowid", "", "a\x00b", "日本", 'q"']
)
def test_streams_and_fields_of_any_name_are_written_and_replaced(path: Path, name: str) -> None:
    key = name or "key"
    for value in (1, 2):
        synced(path, {name: [{key: 1, "_rowid_": value, "oid": 3}]}, key=[key])
        synced(path, {name: [{key: 1, "_rowid_": value, "oid": 3}]}, "overwrite", key=[key])
    (own,) = tables(path)
    present = list(columns(path, own))
    assert len(present) == 3
    row = dict(zip(present, table(path, f'SELECT * FROM "{own.replace(chr(34), chr(34) * 2)}"')[0], strict=True))
    assert sorted(row.values()) == [1, 2, 3]


def test_what_is_no_database_is_named_and_nothing_is_made_by_a_check(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello" * 10_000)
    with pytest.raises(ConfigError, match="is not a SQLite database"):
        Sqlite(path=str(tmp_path / "text")).check()
    with pytest.raises(ConfigError, match="no database file can be created in"):
        Sqlite(path=str(tmp_path)).check()
    Sqlite(path=str(tmp_path / "new" / "x.sqlite")).check()
    assert os.listdir(tmp_path) == ["text"]


@pytest.mark.slow
def test_a_full_disk_is_an_error_that_says_so_and_what_was_written_stays(path: Path) -> None:
    """A small limit on the size of files stands for the disk: the write fails where it would."""
    code = f"""
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from kitestring import registry
from kitestring.batch import Batch
from kitestring.destinations.sqlite import Sqlite, SqliteConnection
from kitestring.errors import ConfigError
from kitestring.types import Stream
d, s = Sqlite(path={str(path)!r}), Stream("s")
d.begin(s)
d.write(s, Batch("s", rows=[{{"a": "first"}}]))
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
try:
    d.write(s, Batch("s", rows=[{{"a": str(n) * 50}} for n in range(20_000)]))
except ConfigError as error:
    print("CONFIG", error, error.hint)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.startswith("CONFIG"), done.stderr
    assert table(path, "SELECT a FROM s") == [("first",)]


def test_the_path_may_be_called_as_airbytes_connector_calls_it(path: Path) -> None:
    assert Sqlite.load({"destination_path": str(path)}) == Sqlite(path=str(path))


@pytest.mark.parametrize("vendor", ["duckdb", "sqlite"])
def test_a_database_in_memory_is_refused_since_nothing_of_it_would_stay(vendor: str) -> None:
    with pytest.raises(ConfigError, match="is not a file"):
        registry.destination(vendor, {"path": ":memory:"})
