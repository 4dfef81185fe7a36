import datetime as dt
import json
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal

import duckdb
import pyarrow as pa
import pytest

from kitestring import registry
from kitestring.airbyte.modes import WRITES
from kitestring.batch import Batch
from kitestring.destinations.duckdb import Duckdb
from kitestring.errors import ConfigError, RecordError, TransientError
from kitestring.sql.types import wider
from kitestring.types import Stream

OPEN = Stream("things", primary_key=(("id",),))
STREAM = replace(OPEN, schema={"properties": {"id": {"type": "integer"}, "text": {"type": ["string", "null"]}}})


@pytest.fixture
def destination(tmp_path):
    created_duckdb = Duckdb(path=str(tmp_path / "new" / "test.duckdb"))
    yield created_duckdb
    created_duckdb.close()


def sync(destination, mode, *batches, stream=STREAM, end="commit"):
    stream = replace(stream, write=WRITES[mode])
    destination.begin(stream)
    receipts = []
    for batch in batches:
        rows = {"table": batch} if isinstance(batch, pa.Table) else {"rows": batch}
        receipts.append(destination.write(stream, destination.prepare(stream, Batch(stream.key, **rows))))
    if end:
        getattr(destination, end)(stream)
    return receipts


def query(destination, sql="SELECT * FROM things ORDER BY ALL"):
    destination.close()
    with duckdb.connect(destination.path) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return connection.sql(sql).fetchall()


def types(destination, table="things"):
    return {name: kind for name, kind, *_ in query(destination, f"DESCRIBE {table}")}


def test_append_overwrite_and_merge_do_what_they_say(destination):
    sync(destination, "append", [{"id": 1, "text": "a"}], [{"id": 1, "text": "b"}])
    assert query(destination) == [(1, "a"), (1, "b")]
    sync(destination, "overwrite", [{"id": 2, "text": "c"}], [{"id": 3, "text": None}])
    assert query(destination) == [(2, "c"), (3, None)]
    sync(destination, "append_dedup", [{"id": 2, "text": "d"}, {"id": 4, "text": "e"}])
    assert query(destination) == [(2, "d"), (3, None), (4, "e")]
    assert destination.count(STREAM) == 3
    destination.delete(STREAM, [(2,), (99,)])
    assert query(destination) == [(3, None), (4, "e")]


def test_the_same_batch_again_changes_nothing_in_append_dedup(destination):
    rows = [{"id": n, "text": str(n)} for n in range(100)]
    sync(destination, "append_dedup", rows, rows, stream=OPEN)
    assert destination.count(OPEN) == 100


def test_an_aborted_or_crashed_overwrite_keeps_the_old_table(destination):
    sync(destination, "overwrite", [{"id": 1, "text": "old"}])
    sync(destination, "overwrite", [{"id": 2, "text": "lost"}], end="abort")
    sync(destination, "overwrite", [{"id": 3, "text": "lost"}], end=None)
    assert query(destination) == [(1, "old")]
    sync(destination, "overwrite", [{"id": 4, "text": "new"}])
    assert query(destination) == [(4, "new")]
    assert query(destination, "SELECT table_name FROM duckdb_tables()") == [("things",)]


def test_an_empty_overwrite_leaves_an_empty_table_with_its_columns(destination):
    sync(destination, "overwrite", [{"id": 1, "text": "old"}])
    sync(destination, "overwrite")
    assert query(destination) == []
    assert types(destination) == {"id": "BIGINT", "text": "VARCHAR"}


@pytest.mark.parametrize(
    ("first", "second", "kind", "values"),
    [
        (1, 2.5, "DOUBLE", [1.0, 2.5]),
        (2.5, 1, "DOUBLE", [2.5, 1.0]),
        (2**60 + 1, 0.5, "VARCHAR", [str(2**60 + 1), "0.5"]),
        (0.5, 2**60 + 1, "VARCHAR", ["0.5", str(2**60 + 1)]),
        (1, "a", "VARCHAR", ["1", "a"]),
        ("a", 1, "VARCHAR", ["a", "1"]),
        (True, 1, "VARCHAR", ["true", "1"]),
        (1, 2**70, "DECIMAL(38,0)", [1, 2**70]),
        (Decimal("1.5"), Decimal("1.25"), "DECIMAL(38,2)", None),
        (
            dt.date(2024, 1, 1),
            dt.datetime(2024, 1, 1, 1),
            "TIMESTAMP",
            [dt.datetime(2024, 1, 1), dt.datetime(2024, 1, 1, 1)],
        ),
        (None, 1, "BIGINT", [None, 1]),
        (1, None, "BIGINT", [1, None]),
        ([1], "a", "VARCHAR", ["[1]", "a"]),
        (b"x", "a", "VARCHAR", ["eA==", "a"]),
    ],
)
def test_a_column_widens_to_hold_a_later_value_and_the_sync_goes_on(destination, first, second, kind, values):
    sync(destination, "append", [{"id": 1, "v": first}], [{"id": 2, "v": second}], stream=OPEN)
    results = [row[0] for row in query(destination, "SELECT v FROM things ORDER BY id")]
    if values is None:
        assert [Decimal(value) for value in results] == [first, second]
    else:
        assert results == values
        assert types(destination)["v"] == kind


def test_nested_arrow_columns_widen_to_json_text(destination):
    lists = pa.table({"id": [1], "v": [[1, 2]], "s": pa.array([{"a": 1}])})
    sync(destination, "append", lists, [{"id": 2, "v": "x", "s": "y"}], stream=OPEN)
    assert query(destination) == [(1, "[1,2]", '{"a":1}'), (2, "x", "y")]


@pytest.mark.parametrize(
    "left", ["TINYINT", "UBIGINT", "BIGINT", "DOUBLE", "DECIMAL(10,2)", "DATE", "VARCHAR", "BOOLEAN"]
)
@pytest.mark.parametrize(
    "other", ["UTINYINT", "HUGEINT", "FLOAT", "DECIMAL(38,10)", "TIMESTAMP WITH TIME ZONE", "BLOB"]
)
def test_the_wider_type_is_the_same_both_ways_and_holds_itself(left, other):
    wide = wider(left, other)
    assert wide == wider(other, left)
    assert wider(wide, left) == wider(wide, other) == wide


def test_a_new_field_is_a_new_column_and_a_missing_one_null(destination):
    sync(destination, "append", [{"id": 1}], [{"id": 2, "new": "x"}], [{"other": 1.5}], stream=OPEN)
    assert query(destination, "SELECT id, new, other FROM things ORDER BY id NULLS LAST") == [
        (1, None, None),
        (2, "x", None),
        (None, None, 1.5),
    ]


def test_records_without_any_value_are_kept(destination):
    sync(destination, "append", [{}, {}], [{"a": None}], stream=OPEN)
    assert destination.count(OPEN) == 3


@pytest.mark.parametrize(
    "name", ['say "hi"; DROP TABLE x; --', "select", "", "sp ace.dot", "nul\x00", "日本", "'", "incoming", "kept"]
)
def test_hostile_names_of_streams_and_fields_are_written_and_replaced(destination, name):
    stream = replace(OPEN, name=name, namespace='my "ns"', primary_key=((name or "key",),))
    key = name or "key"
    sync(destination, "append_dedup", [{key: 1, "c0": "x"}], [{key: 1, "c0": "y"}], stream=stream)
    sync(destination, "overwrite", [{key: 5, "c0": "z"}], stream=stream)
    assert destination.count(stream) == 1
    destination.delete(stream, [(5,)])
    assert destination.count(stream) == 0


def test_fields_that_differ_only_in_case_have_columns_of_their_own(destination):
    for _ in range(2):
        sync(destination, "append", [{"id": 1, "Id": "x", "ID": 2.5}], stream=OPEN)
    columns = list(types(destination))
    assert columns[0] == "id"
    assert len(columns) == 3
    assert query(destination) == [(1, "x", 2.5)] * 2


def test_streams_that_differ_only_in_case_are_refused(destination):
    destination.begin(STREAM)
    with pytest.raises(ConfigError, match="would be one table"):
        destination.begin(replace(STREAM, name="THINGS"))


def test_keys_may_be_several_nested_and_null(destination):
    stream = replace(OPEN, primary_key=(("who", 'na"me'), ("part",)))
    rows = [{"who": {'na"me': a}, "part": b, "text": "x"} for a in ("a", "b", None) for b in (1, None)]
    sync(destination, "append_dedup", rows, [{**rows[1], "text": "y"}, {**rows[5], "text": "z"}], stream=stream)
    assert sorted(row[2] for row in query(destination)) == ["x", "x", "x", "x", "y", "z"]
    destination.delete(stream, [("a", 1), (None, None)])
    assert destination.count(stream) == 4


def test_a_key_is_what_it_was_though_its_column_becomes_text(destination):
    sync(destination, "append_dedup", [{"id": 1, "t": "a"}, {"id": 2, "t": "a"}], [{"id": "1", "t": "b"}], stream=OPEN)
    sync(destination, "append_dedup", [{"id": 2, "t": "c"}, {"id": True, "t": "d"}, {"id": 1.0, "t": "e"}], stream=OPEN)
    sync(destination, "append_dedup", [{"id": "1", "t": "f"}, {"id": "true", "t": "g"}], stream=OPEN)
    rows = query(destination, "SELECT _kitestring_key_id, t FROM things ORDER BY t")
    assert rows == [("2", "c"), ("true", "d"), ("1", "e"), (None, "f"), (None, "g")]
    assert query(destination, "SELECT count(*) FROM things") == [(5,)]


def test_arrow_types_arrive_as_they_are(destination):
    table = pa.table(
        {
            "id": pa.array([1], pa.int32()),
            "day": pa.array([dt.date(2024, 1, 1)]),
            "at": pa.array([dt.datetime(2024, 1, 1, tzinfo=dt.UTC)], pa.timestamp("us", "UTC")),
            "price": pa.array([Decimal("1.10")], pa.decimal128(5, 2)),
            "huge": pa.array([Decimal(10) ** 50], pa.decimal256(60, 0)),
            "word": pa.array(["x"]).dictionary_encode(),
            "nul": ["a\x00b"],
            "raw": [b"\x00\xff"],
        }
    )
    batch = Batch("things", table=table)
    destination.begin(OPEN)
    destination.write(OPEN, destination.prepare(OPEN, batch))
    assert batch.is_table
    assert types(destination) == {
        "id": "INTEGER",
        "day": "DATE",
        "at": "TIMESTAMP WITH TIME ZONE",
        "price": "DECIMAL(5,2)",
        "huge": "VARCHAR",
        "word": "VARCHAR",
        "nul": "VARCHAR",
        "raw": "BLOB",
    }
    (row,) = query(destination, "SELECT price, huge, word, nul, raw FROM things")
    assert row == (Decimal("1.10"), str(10**50), "x", "a\x00b", b"\x00\xff")


def test_a_record_that_does_not_fit_is_handed_back_and_the_others_are_written(destination):
    (receipt,) = sync(destination, "append", [{"id": "one"}, {"id": 2}])
    assert receipt.written == 1
    assert receipt.rejected[0].record == {"id": "one"}
    assert query(destination) == [(2, None)]


def test_a_batch_without_its_primary_key_writes_nothing(destination):
    with pytest.raises(RecordError, match="primary key id is not a field"):
        sync(destination, "append_dedup", [{"text": "x"}], stream=OPEN)
    assert destination.count(OPEN) == 0


def test_a_database_that_another_process_has_open_is_named(destination, monkeypatch):
    monkeypatch.setattr("kitestring.destinations.duckdb.SYNC_LOCK_WAIT_S", 0.5)
    sync(destination, "append", [{"id": 1}])
    destination.close()
    code = f"import duckdb; c = duckdb.connect({destination.path!r}); print('open', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        with pytest.raises(TransientError, match="in use by another process") as caught:
            destination.check()
        assert "Close the program" in caught.value.hint
        other.communicate(b"\n")


def test_a_sync_waits_for_a_reader_that_lets_the_file_go(destination):
    sync(destination, "append", [{"id": 1}])
    destination.close()
    code = (
        f"import duckdb, time; c = duckdb.connect({destination.path!r}, read_only=True); print('open', flush=True)\n"
        "input(); time.sleep(4)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        other.stdin.write(b"\n")
        other.stdin.flush()
        sync(destination, "append", [{"id": 2}])
    assert query(destination, "SELECT id FROM things ORDER BY id") == [(1,), (2,)]


def test_a_file_that_is_no_database_and_a_place_that_is_none_are_named(tmp_path):
    (tmp_path / "text").write_text("hello" * 10_000)
    with pytest.raises(ConfigError, match="is not a DuckDB database"):
        Duckdb(path=str(tmp_path / "text")).check()
    with pytest.raises(ConfigError, match="no database file can be created in"):
        Duckdb(path=str(tmp_path)).check()
    with pytest.raises(ConfigError, match="no database file can be created in"):
        Duckdb(path=str(tmp_path / "text" / "below")).check()
    Duckdb(path=str(tmp_path / "new" / "db")).check()
    assert [p.name for p in tmp_path.iterdir()] == ["text"]


@pytest.mark.slow
def test_a_full_disk_is_an_error_that_says_so(tmp_path):
    """A small limit on the size of files stands for the disk: the write fails where it would."""
    code = f"""
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from kitestring.batch import Batch
from kitestring.destinations.duckdb import Duckdb
from kitestring.errors import ConfigError
from kitestring.types import Stream
d, s = Duckdb(path={str(tmp_path / "x.duckdb")!r}), Stream("t")
d.begin(s)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    d.write(s, d.prepare(s, Batch("t", rows=[{{"a": str(n) * 50}} for n in range(50_000)])))
except ConfigError as error:
    print("CONFIG", error, error.hint)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.startswith("CONFIG"), done.stderr


def test_a_view_in_the_way_is_a_message_not_a_traceback(destination):
    sync(destination, "append", [{"id": 1}], stream=replace(STREAM, name="other"))
    query(destination, "SELECT 1")
    with duckdb.connect(destination.path) as connection:
        connection.execute("CREATE VIEW things AS SELECT 1 AS id")
    with pytest.raises(ConfigError, match="things"):
        sync(destination, "overwrite", [{"id": 1}])
    destination.close()
    assert query(destination) == [(1,)]


def test_the_schema_is_that_of_the_namespace_or_the_one_configured(tmp_path):
    destination = Duckdb.load({"path": str(tmp_path / "x.duckdb"), "schema": "lake"})
    sync(destination, "append", [{"id": 1}])
    sync(destination, "append", [{"id": 2}], stream=replace(STREAM, namespace="public"))
    assert query(destination, "SELECT id FROM lake.things") == [(1,)]
    assert query(destination, "SELECT id FROM public.things") == [(2,)]
    assert "schema" in Duckdb.spec()["properties"]


def test_json_text_can_be_queried_as_json(destination):
    sync(destination, "append", [{"id": 1, "doc": {"a": [1, {"b": "x"}]}}], stream=OPEN)
    ((results,),) = query(destination, "SELECT doc::JSON->>'$.a[1].b' FROM things")
    assert results == "x"
    assert json.loads(query(destination, "SELECT doc FROM things")[0][0]) == {"a": [1, {"b": "x"}]}


def test_the_registry_finds_it(tmp_path):
    assert isinstance(registry.destination("duckdb", {"path": str(tmp_path / "x")}), Duckdb)
