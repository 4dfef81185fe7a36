"""What PostgreSQL is as a destination, on a real server: values, names, keys, rights, what is in the way."""

import datetime as dt
from dataclasses import replace
from decimal import Decimal

import pyarrow as pa
import pytest
from postgres_place import LATEST, NEW_LATEST, Place, stream_of, written

from kitestring.batch import Batch
from kitestring.destinations.postgres.connection import PostgresConnection
from kitestring.engine import Selection, Status, sync
from kitestring.errors import RecordError
from kitestring.testing.memory import MemorySource
from kitestring.types import Stream

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(postgres_server):
    postgres_server.run("CREATE DATABASE written STRATEGY file_copy")
    yield replace(postgres_server, name="written")
    postgres_server.run("DROP DATABASE written WITH (FORCE)")


@pytest.fixture
def place(server):
    return Place(server)


def test_every_arrow_type_has_a_column_of_its_own(place):
    moment = dt.datetime(2026, 1, 2, 3, 4, 5, 678901)
    table = pa.table(
        {
            "id": pa.array([1], pa.int8()),
            "small": pa.array([-3], pa.int16()),
            "usmall": pa.array([65535], pa.uint16()),
            "whole": pa.array([-5], pa.int32()),
            "big": pa.array([2**63 - 1], pa.int64()),
            "ubig": pa.array([2**64 - 1], pa.uint64()),
            "real": pa.array([1.5], pa.float32()),
            "double": pa.array([0.1], pa.float64()),
            "flag": pa.array([True]),
            "price": pa.array([Decimal("12345678901234567890123456789012345.678")], pa.decimal128(38, 3)),
            "beyond": pa.array([Decimal("1" * 50 + ".5")], pa.decimal256(60, 1)),
            "text": pa.array(["naïve 👩"], pa.large_string()),
            "bytes": pa.array([b"\x00\xff"], pa.binary()),
            "day": pa.array([dt.date(1, 1, 1)]),
            "time": pa.array([dt.time(23, 59, 59, 5)], pa.time64("us")),
            "moment": pa.array([moment], pa.timestamp("us")),
            "zoned": pa.array([moment], pa.timestamp("ns", "Europe/Berlin")),
            "tags": pa.array([["a", None]]),
            "nested": pa.array([{"a": {"b": 1}}]),
            "word": pa.array(["x"]).dictionary_encode(),
            "unique": pa.ExtensionArray.from_storage(pa.uuid(), pa.array([b"0123456789abcdef"], pa.binary(16))),
            "document": pa.ExtensionArray.from_storage(pa.json_(), pa.array(['{"a": 1.50}'])),
            "nothing": pa.nulls(1),
        }
    )
    written(place.destination(), stream_of(table), table)
    assert place.types() == {
        "id": "smallint",
        "small": "smallint",
        "usmall": "integer",
        "whole": "integer",
        "big": "bigint",
        "ubig": "numeric(20,0)",
        "real": "real",
        "double": "double precision",
        "flag": "boolean",
        "price": "numeric(38,3)",
        "beyond": "text",
        "text": "text",
        "bytes": "bytea",
        "day": "date",
        "time": "time without time zone",
        "moment": "timestamp without time zone",
        "zoned": "timestamp with time zone",
        "tags": "jsonb",
        "nested": "jsonb",
        "word": "text",
        "unique": "uuid",
        "document": "jsonb",
    }
    (row,) = place.rows(columns="to_jsonb(things)::text AS row")
    for part in (
        '"ubig": 18446744073709551615', '"price": 12345678901234567890123456789012345.678', f'"beyond": "{"1" * 50}.5"',
        '"tags": ["a", null]', '"nested": {"a": {"b": 1}}', '"bytes": "\\\\x00ff"', '"document": {"a": 1.50}',
        '"day": "0001-01-01"', '"moment": "2026-01-02T03:04:05.678901"', '"double": 0.1',
        '"unique": "30313233-3435-3637-3839-616263646566"', '"text": "naïve 👩"',
    ):  # fmt: skip
        assert part in row["row"]


def test_objects_and_arrays_of_json_are_jsonb_and_texts_among_them_are_json_strings(place):
    schema = {
        "id": {"type": "integer"},
        "o": {"type": ["object", "null"]},
        "l": {"type": ["null", "array"]},
        "j": {"type": "string", "contentMediaType": "application/json"},
    }
    records = [
        {"id": 1, "o": {"n": 12345678901234567890123, "f": 0.1}, "l": [1, "x", None], "j": '{"a":  1}'},
        {"id": 2, "o": "no object", "l": "", "j": "null"},
        {"id": 3, "o": 5, "l": True, "j": "[]"},
    ]
    for mode in ("append_dedup", "overwrite", "append"):
        assert place.sync(records, mode, schema).status is Status.succeeded
    assert place.types() == {"id": "bigint", "o": "jsonb", "l": "jsonb", "j": "jsonb"}
    texts = [tuple(row.values()) for row in place.rows(columns="DISTINCT id, o::text, l::text, j::text")]
    assert texts == [
        (1, '{"f": 0.1, "n": 12345678901234567890123}', '[1, "x", null]', '{"a": 1}'),
        (2, '"no object"', '""', "null"),
        (3, "5", "true", "[]"),
    ]


def test_a_nul_in_a_text_or_in_json_is_the_replacement_character(place):
    schema = {"id": {"type": "string"}, "text": {"type": "string"}, "o": {"type": "object"}}
    records = [{"id": "a\0b", "text": "\0", "o": {"k\0": ["x\0y", "\\u0000", "\\\0"]}}]
    for mode, written_rows in (("append_dedup", 1), ("append_dedup", 0), ("overwrite", 1)):
        stream = place.sync(records, mode, schema)
        assert (stream.status, stream.written) == (Status.succeeded, written_rows)
    (row,) = place.rows(
        columns="id, text, o->'k\ufffd'->>0 AS first, o->'k\ufffd'->>1 AS second, o->'k\ufffd'->>2 AS third"
    )
    assert row == {"id": "a\ufffdb", "text": "\ufffd", "first": "x\ufffdy", "second": "\\u0000", "third": "\\\ufffd"}


def test_keys_that_differ_in_what_postgresql_cannot_hold_are_one_with_the_last_version(place):
    schema = {"id": {"type": "string"}, "text": {"type": "string"}}
    records = [{"id": "a\0", "text": "first"}, {"id": "a\ufffd", "text": "last"}]
    assert place.sync(records, "append_dedup", schema).status is Status.succeeded
    assert place.rows() == [{"id": "a\ufffd", "text": "last"}]


def test_values_beyond_postgresql_are_rejected_with_the_records_around_them_taken(place):
    at = [0, -(2**62), 2**62]
    table = pa.table({"id": [1, 2, 3], "at": pa.array(at, pa.timestamp("us")), "day": pa.array([0, 0, 0], pa.date32())})
    destination, stream = place.destination(), stream_of(table)
    destination.begin(stream)
    with pytest.raises(RecordError, match="timestamp out of range"):
        destination.write(stream, destination.prepare(stream, Batch("things", table=table)))
    destination.write(stream, destination.prepare(stream, Batch("things", table=table.slice(0, 1))))
    destination.close()
    assert len(place.rows()) == 1


def test_dates_before_the_year_1_are_dates(place):
    table = pa.table(
        {"id": [1], "day": pa.array([-719529], pa.date32()), "at": pa.array([-(10**17)], pa.timestamp("us"))}
    )
    written(place.destination(), stream_of(table), table)
    assert place.rows(columns="day::text, at::text") == [{"day": "0002-12-31 BC", "at": "1200-02-15 14:13:20 BC"}]


def test_floats_without_a_number_and_zeros_stay(place):
    table = pa.table({"id": [1, 2, 3, 4], "f": [float("nan"), float("inf"), float("-inf"), -0.0]})
    written(place.destination(), stream_of(table), table)
    assert [row["f"] for row in place.rows(columns="f::text", order="id")] == ["NaN", "Infinity", "-Infinity", "-0"]


@pytest.mark.parametrize(
    ("before", "after", "type_", "texts"),
    [
        (pa.array([32767], pa.int16()), pa.array([32768], pa.int32()), "integer", ["32767", "32768"]),
        (pa.array([1], pa.int32()), pa.array([2**62], pa.int64()), "bigint", ["1", str(2**62)]),
        (pa.array([2**63 - 1]), pa.array([Decimal(2**64)], pa.decimal128(20, 0)), "numeric(20,0)",
         [str(2**63 - 1), str(2**64)]),
        (pa.array([1]), pa.array([0.5]), "double precision", ["1", "0.5"]),
        (pa.array([2**53 + 1]), pa.array([0.5]), "text", [str(2**53 + 1), "0.5"]),
        (pa.array([0.5], pa.float32()), pa.array([0.1]), "double precision", ["0.5", "0.1"]),
        (pa.array([1.0]), pa.array(["x"]), "text", ["1.0", "x"]),
        (pa.array([float("nan")]), pa.array(["x"]), "text", ["NaN", "x"]),
        (pa.array([True]), pa.array(["x"]), "text", ["true", "x"]),
        (pa.array([b"\xff" * 60]), pa.array(["x"]), "text", ["/" * 80, "x"]),
        (pa.array([Decimal("1.50")]), pa.array([Decimal("12.345")]), "numeric(5,3)", ["1.500", "12.345"]),
        (pa.array([-719529], pa.date32()), pa.array(["x"]), "text", ["-0001-12-31", "x"]),
        (pa.array([2932897], pa.date32()), pa.array(["x"]), "text", ["+10000-01-01", "x"]),
        (pa.array([0], pa.date32()), pa.array([1], pa.timestamp("us")), "timestamp without time zone",
         ["1970-01-01 00:00:00", "1970-01-01 00:00:00.000001"]),
        (pa.array([1500000], pa.timestamp("us", "UTC")), pa.array(["x"]), "text", ["1970-01-01T00:00:01.5+00:00", "x"]),
        (pa.array([0], pa.timestamp("us")), pa.array(["x"]), "text", ["1970-01-01T00:00:00", "x"]),
        (pa.array([86400000000], pa.time64("us")), pa.array(["x"]), "text", ["24:00:00", "x"]),
        (pa.array([{"a": 1}]), pa.array(["x"]), "text", ['{"a": 1}', "x"]),
    ],
)  # fmt: skip
def test_a_column_that_does_not_hold_a_value_becomes_wider_with_all_values_exact(place, before, after, type_, texts):
    tables = [pa.table({"id": pa.array([n]), "v": values}) for n, values in enumerate((before, after))]
    stream = replace(stream_of(tables[0]), schema={"properties": {}}, write=LATEST)
    written(place.destination(), stream, *tables)
    assert place.types()["v"] == type_
    assert [row["v"] for row in place.rows(columns="v::text", order="id")] == texts


def test_a_key_is_compared_by_value_and_kind_and_found_by_an_index(place):
    records = [
        {"id": 1, "t": "a"},
        {"id": "1", "t": "b"},
        {"id": True, "t": "c"},
        {"id": 1.0, "t": "d"},
    ]
    place.sync(records)
    assert sorted(row["t"] for row in place.rows()) == ["b", "c", "d"]
    place.sync([{"id": 1, "t": "x"}])
    assert sorted(row["t"] for row in place.rows()) == ["b", "c", "x"]
    indexes = place.run(f"SELECT indexdef FROM pg_indexes WHERE schemaname = '{place.schema}'")
    assert len(indexes) == 1
    assert "UNIQUE" in indexes[0]["indexdef"]


def test_what_has_not_changed_is_left_alone_and_counted(place):
    records = [{"id": n, "t": f"t{n}"} for n in range(5)]
    place.sync(records, airbyte_columns=True)
    before = {row["id"]: row for row in place.rows(columns="*, xmin::text AS version")}
    records[2]["t"] = "new"
    stream = place.sync([*records, {"id": 9, "t": "added"}], airbyte_columns=True)
    assert (stream.written, stream.unchanged, stream.replaced) == (2, 4, 1)
    after = {row["id"]: row for row in place.rows(columns="*, xmin::text AS version")}
    assert [n for n in before if before[n] != after[n]] == [2]
    assert after[2]["_airbyte_raw_id"] != before[2]["_airbyte_raw_id"]


@pytest.mark.parametrize("columns", [False, True])
def test_keys_behind_those_of_the_table_are_added_and_all_others_merged(place, columns):
    destination = place.destination(airbyte_columns=columns)
    batches = [[1, 2], [3, 5], [4, 6], [5, 7], [8]]  # the third has a gap, the fourth a key that is there
    tables = [pa.table({"id": ids, "t": [f"{ids} of {n}" for n in ids]}) for ids in batches]
    receipts = written(destination, stream_of(tables[0], LATEST), *tables)
    assert [(r.written, r.unchanged, r.replaced) for r in receipts[:-1]] == [(2, 0, 0)] * 3 + [(2, 0, 1), (1, 0, 0)]
    texts = {row["id"]: row["t"] for row in place.rows()}
    assert texts == {n: f"{ids} of {n}" for ids in batches for n in ids}
    if columns:
        ids = place.run(f"SELECT count(DISTINCT _airbyte_raw_id::uuid) AS n FROM {place.schema}.things")
        assert ids == [{"n": len(texts)}]


@pytest.mark.parametrize("mode", ["append", "append_dedup"])
def test_a_table_with_policies_for_rows_is_written(place, mode):
    login = {"username": f"{place.schema}_writer", "password": "w"}
    place.run(
        f"CREATE ROLE {login['username']} LOGIN PASSWORD 'w'",
        f"CREATE SCHEMA {place.schema} AUTHORIZATION {login['username']}",
    )
    assert place.sync([{"id": 1}], mode, **login).status is Status.succeeded
    place.run(
        f"ALTER TABLE {place.schema}.things ENABLE ROW LEVEL SECURITY",
        f"ALTER TABLE {place.schema}.things FORCE ROW LEVEL SECURITY",
        f"CREATE POLICY everything ON {place.schema}.things USING (true) WITH CHECK (true)",
    )
    assert place.sync([{"id": 2}, {"id": 3}], mode, **login).status is Status.succeeded
    assert [row["id"] for row in place.rows()] == [1, 2, 3]


@pytest.mark.parametrize("columns", [False, True])
def test_a_record_behind_all_others_that_a_rule_of_the_user_refuses_is_rejected_alone(place, columns):
    place.sync([{"id": 1, "t": "a"}], airbyte_columns=columns)
    place.run(f"CREATE UNIQUE INDEX ON {place.schema}.things (t)")
    stream = place.sync([{"id": 2, "t": "b"}, {"id": 3, "t": "a"}, {"id": 4, "t": "d"}], airbyte_columns=columns)
    assert (stream.written, stream.rejected) == (2, 1)
    assert [row["t"] for row in place.rows(columns="id, t")] == ["a", "b", "d"]


def test_a_key_that_another_writer_adds_meanwhile_is_replaced(place, monkeypatch):
    table = pa.table({"id": [1], "t": ["a"]})
    destination = place.destination(airbyte_columns=True)
    written(destination, stream_of(table, LATEST), table)
    look = PostgresConnection._lowest_key

    def others_write(connection, merge):
        lowest = look(connection, merge)
        monkeypatch.setattr(connection, "rows", counted(connection.rows))
        return lowest

    def counted(rows):
        def run(statement):
            found = rows(statement)
            if statement.startswith("SELECT max("):
                place.run(f"INSERT INTO {place.schema}.things (id, t) VALUES (2, 'theirs')")
            return found

        return run

    monkeypatch.setattr(PostgresConnection, "_lowest_key", others_write)
    later = pa.table({"id": [2, 3], "t": ["ours", "c"]})
    receipt, _ = written(place.destination(airbyte_columns=True), stream_of(later, LATEST), later)
    assert (receipt.written, receipt.replaced) == (2, 1)
    assert [row["t"] for row in place.rows(columns="id, t")] == ["a", "ours", "c"]


def test_new_rows_that_a_policy_hides_from_their_writer_are_added(place):
    login = {"username": f"{place.schema}_writer", "password": "w"}
    place.run(
        f"CREATE ROLE {login['username']} LOGIN PASSWORD 'w'",
        f"CREATE SCHEMA {place.schema} AUTHORIZATION {login['username']}",
    )
    tables = [pa.table({"id": [n]}) for n in (1, 2)]
    written(place.destination(**login), stream_of(tables[0], LATEST), tables[0])
    place.run(
        f"ALTER TABLE {place.schema}.things ENABLE ROW LEVEL SECURITY",
        f"ALTER TABLE {place.schema}.things FORCE ROW LEVEL SECURITY",
        f"CREATE POLICY added ON {place.schema}.things FOR INSERT WITH CHECK (true)",
    )
    written(place.destination(**login), stream_of(tables[1], LATEST), tables[1])
    assert [row["id"] for row in place.rows()] == [1, 2]


def test_a_table_that_holds_a_key_twice_and_a_key_too_long_for_an_index_are_merged_all_the_same(place):
    place.sync([{"id": 1, "t": "a"}, {"id": 1, "t": "b"}, {"id": 2, "t": "c"}], "append", keys=None)
    stream = place.sync([{"id": 1, "t": "new"}, {"id": 2, "t": "c"}])
    assert (stream.status, stream.written, stream.unchanged, stream.replaced) == (Status.succeeded, 1, 1, 2)
    assert place.rows() == [{"id": 1, "t": "new"}, {"id": 2, "t": "c"}]
    other = Place(place.server)
    texts = ["".join(chr(97 + n * k % 26 + k % 7) for k in range(9000)) for n in (1, 3)]
    for mode in ("overwrite", "append_dedup"):
        assert other.sync([{"id": text, "t": mode} for text in texts], mode).status is Status.succeeded
    assert [row["t"] for row in other.rows()] == ["append_dedup"] * 2


def test_a_key_inside_of_an_object_is_found(place):
    schema = {"properties": {"key": {"type": "object"}, "t": {"type": "string"}}}
    stream = Stream("things", schema=schema, primary_key=(("key", "id"),), write=LATEST)
    destination = place.destination()
    destination.begin(stream)
    for rows in ([{"key": {"id": n}, "t": "a"} for n in (1, 2, "1")], [{"key": {"id": 1.0, "more": 1}, "t": "b"}]):
        destination.write(stream, destination.prepare(stream, Batch("things", rows=rows)))
    assert sorted(row["t"] for row in place.rows(columns="t")) == ["a", "a", "b"]
    assert destination.delete(stream, [(2,), ("2",), (7,)]).deleted == 1
    destination.close()
    assert sorted(row["t"] for row in place.rows(columns="t")) == ["a", "b"]


def test_two_keys_with_a_null_in_them_are_one(place):
    tables = [pa.table({"a": [1, 1], "b": pa.array([None, "x"], pa.string()), "t": [t, t]}) for t in ("old", "new")]
    for write in (LATEST, NEW_LATEST):
        written(place.destination(), stream_of(tables[0], write, key=("a", "b")), *tables)
        assert [row["t"] for row in place.rows()] == ["new", "new"]


def test_columns_that_a_user_has_made_otherwise_are_respected(place):
    place.sync([{"id": 1, "n": 1, "t": "a"}])
    place.run(
        f"ALTER TABLE {place.schema}.things ALTER n TYPE numeric, "
        "ADD words tsvector GENERATED ALWAYS AS (to_tsvector('english', t)) STORED, "
        "ADD number bigint GENERATED ALWAYS AS IDENTITY"
    )
    for mode in ("append_dedup", "append"):
        assert place.sync([{"id": 1, "n": 2, "t": "new words"}], mode).status is Status.succeeded
    assert place.types()["n"] == "numeric"
    rows = place.rows(columns="n::text, words::text", order="id")
    assert rows == [{"n": "2", "words": "'new':1 'word':2"}] * 2


def test_another_key_gets_another_index(place):
    place.sync([{"id": 1, "b": "x"}, {"id": 2, "b": "y"}])
    assert place.sync([{"id": 7, "b": "x"}], keys="b").replaced == 1
    assert place.rows() == [{"id": 2, "b": "y"}, {"id": 7, "b": "x"}]
    assert len(place.run(f"SELECT 1 AS n FROM pg_indexes WHERE schemaname = '{place.schema}'")) == 1


def test_a_new_copy_keeps_the_last_of_each_key_however_many_batches_came_between(place):
    tables = [pa.table({"id": [1, 2, n], "t": [f"{n} one", f"{n} two", "own"]}) for n in (3, 4, 5)]
    stream = stream_of(tables[0], NEW_LATEST)
    receipts = written(place.destination(), stream, *tables)
    assert [(receipt.written, receipt.replaced) for receipt in receipts] == [(3, 0), (3, 0), (3, 0), (0, 4)]
    assert [tuple(row.values()) for row in place.rows()] == [
        (1, "5 one"),
        (2, "5 two"),
        (3, "own"),
        (4, "own"),
        (5, "own"),
    ]


def test_a_new_copy_whose_columns_become_wider_keeps_the_last_of_each_key(place):
    more = range(10, 60)
    batches = [
        [(1, 1), (2, 1), *((n, 1) for n in more)],
        [(1, 2), (3, 1), *((n, 2) for n in more)],
        [(1, "x"), (4, 1)],
        [(1, 3), (2, "y")],
        [("5", 1), (3, 2)],
        [(1, 4)],
    ]
    destination = place.destination()
    stream = Stream("things", schema={"properties": {}}, primary_key=(("id",),), write=NEW_LATEST)
    destination.begin(stream)
    receipts = []
    for pairs in batches:
        batch = Batch("things", rows=[{"id": n, "v": v} for n, v in pairs])
        receipts.append(destination.write(stream, destination.prepare(stream, batch)))
    receipts.append(destination.commit(stream))
    destination.close()
    texts = {str(n): "2" for n in more}
    assert {row["id"]: row["v"] for row in place.rows()} == {"1": "4", "2": "y", "3": "2", "4": "1", "5": "1", **texts}
    assert sum(receipt.replaced for receipt in receipts) == 6 + len(more)


def test_a_deletion_in_the_middle_of_a_new_copy_counts_for_what_came_before(place):
    destination, table = place.destination(), pa.table({"id": [1, 2], "t": ["a", "b"]})
    stream = stream_of(table, NEW_LATEST)
    destination.begin(stream)

    def put(*ids, text="new"):
        rows = [{"id": n, "t": text} for n in ids]
        return destination.write(stream, destination.prepare(stream, Batch("things", rows=rows)))

    put(1, 2)
    put(1, 2, text="later")
    assert destination.delete(stream, [(1,), (8,)]).deleted == 1
    put(1, 3, text="last")
    assert destination.commit(stream).replaced == 2
    assert [tuple(row.values()) for row in place.rows()] == [(1, "last"), (2, "later"), (3, "last")]


def test_names_of_every_kind_stay_apart(place):
    long = "ü" * 40
    record = {
        "id": 1,
        "ID": 2,
        "select": 3,
        "ctid": 4,
        "xmin": 5,
        long: 6,
        long + "x": 7,
        'a"b': 8,
        "": 9,
        "a.b": 10,
        " ": 11,
    }
    for mode in ("append_dedup", "append_dedup", "overwrite"):
        assert place.sync([record], mode).status is Status.succeeded
    (row,) = place.rows()
    assert sorted(row.values()) == list(range(1, 12))
    assert all(len(name.encode()) <= 63 for name in row)
    streams = {name: [{"id": 1}] for name in ("Things", "things", "pg_class", "a" * 70, "a" * 71, "select")}
    result = sync(
        MemorySource(records=streams, primary_keys=dict.fromkeys(streams, "id")),
        place.destination(schema="pg_odd; schema"),
        [Selection(name, write_mode="overwrite") for name in streams],
    )
    assert result.status is Status.succeeded
    output = place.run(
        "SELECT schemaname::text AS name FROM pg_tables WHERE starts_with(schemaname, '_pg_odd; schema_')"
    )
    assert len(output) == 6
    place.run(f'DROP SCHEMA "{output[0]["name"]}" CASCADE')


def test_a_field_with_the_name_of_a_column_of_airbyte_is_kept_beside_it(place):
    place.sync([{"id": 1, "_airbyte_raw_id": "mine"}], airbyte_columns=True)
    (row,) = place.rows()
    assert "mine" in row.values()
    assert row["_airbyte_raw_id"] != "mine"


def test_the_columns_of_airbyte_say_when_and_by_which_copy(place):
    for mode, generation in (("overwrite", 1), ("append", 1), ("overwrite", 2)):
        place.sync([{"id": 1}], mode, airbyte_columns=True)
        assert {row["_airbyte_generation_id"] for row in place.rows()} == {generation}
    assert {name: type_ for name, type_ in place.types().items() if name != "id"} == {
        "_airbyte_raw_id": "text",
        "_airbyte_extracted_at": "timestamp with time zone",
        "_airbyte_meta": "jsonb",
        "_airbyte_generation_id": "bigint",
    }
    assert place.run(f"SELECT 1 AS n FROM pg_attrdef WHERE adrelid = '{place.schema}.things'::regclass") == []
    (row,) = place.rows(columns="_airbyte_raw_id AS id, now() - _airbyte_extracted_at < '1 hour' AS recent")
    assert len(row["id"]) == 36
    assert row["recent"]


@pytest.mark.parametrize("mode", ["append_dedup", "overwrite_dedup"])
@pytest.mark.parametrize("key", ["{id}", "a{}b", "%s", "user.id"])
def test_a_key_of_any_name_finds_its_records(place, mode, key):
    def record(value):
        return {"user": {"id": 1}, "v": value} if key == "user.id" else {key: 1, "v": value}

    for value in (1, 3):
        stream = place.sync([record(value), record(value + 1)], mode, keys=key)
        assert (stream.status, stream.error) == (Status.succeeded, None)
    assert [row["v"] for row in place.rows(columns="v")] == [4]


def test_a_decimal_key_that_comes_to_be_of_several_kinds_still_finds_its_records(place):
    place.sync([{"id": Decimal("1.5"), "v": 1}, {"id": 2, "v": 2}])
    stream = place.sync([{"id": "1.50", "v": 3}, {"id": 1.5, "v": 4}, {"id": 2, "v": 5}])
    assert (stream.status, stream.error) == (Status.succeeded, None)
    assert [row["v"] for row in place.rows(columns="v")] == [3, 4, 5]


def test_records_without_a_single_value_are_added(place):
    for records in ([{}, {"a": None}], [{}, {"a": 1}]):
        stream = place.sync(records, "append", keys=None)
        assert (stream.status, stream.error) == (Status.succeeded, None)
    assert len(place.rows()) == 4


def test_a_destination_that_has_given_up_a_copy_counts_the_next_one_right(place):
    destination = place.destination()
    table = pa.table({"id": [1, 2], "v": [1, 2]})
    stream = stream_of(table, NEW_LATEST)
    destination.begin(stream)
    for _ in range(2):
        destination.write(stream, destination.prepare(stream, Batch("things", table=table)))
    destination.delete(stream, [(7,)])
    destination.abort(stream)
    receipts = written(destination, stream, table, table)
    assert sum(receipt.replaced for receipt in receipts) == 2
