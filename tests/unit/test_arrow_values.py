"""What a table holds comes out as records without a change, and goes back in."""

import datetime as dt
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from kitestring import arrow, arrow_values
from kitestring.batch import Batch
from kitestring.schema import Schema


def ticks(*values, type_):
    narrow = pa.types.is_time32(type_) or pa.types.is_date32(type_)
    return pa.array(values, pa.int32() if narrow else pa.int64()).cast(type_)


BERLIN = ZoneInfo("Europe/Berlin")
EXACT = [
    (ticks(86_400_000_000, None, 3_600_000_001, type_=pa.time64("us")), ["24:00:00", None, dt.time(1, 0, 0, 1)]),
    (ticks(1_001, 1_000, type_=pa.time64("ns")), ["00:00:00.000001001", dt.time(0, 0, 0, 1)]),
    (ticks(86_400, 5, type_=pa.time32("s")), ["24:00:00", dt.time(0, 0, 5)]),
    (ticks(-1, type_=pa.time64("us")), ["-00:00:00.000001"]),
    (ticks(0, -719_163, 2_932_897, type_=pa.date32()), [dt.date(1970, 1, 1), "0000-12-31", "+10000-01-01"]),
    (ticks(-(2**30), type_=pa.date32()), ["-2937836-09-26"]),
    (ticks(86_400_000, type_=pa.date64()), [dt.date(1970, 1, 2)]),
    (ticks(1_001, None, type_=pa.timestamp("ns", "UTC")), ["1970-01-01T00:00:00.000001001Z", None]),
    (ticks(1_000, type_=pa.timestamp("ns")), [dt.datetime(1970, 1, 1, 0, 0, 0, 1)]),
    (ticks(-(2**62), 0, type_=pa.timestamp("us")), ["-144169-06-28T09:59:32.612096", dt.datetime(1970, 1, 1)]),
    (ticks(2**55, type_=pa.timestamp("s", "UTC")), ["+1141709097-06-13T06:26:08Z"]),
    (ticks(0, type_=pa.timestamp("us", "Europe/Berlin")), [dt.datetime(1970, 1, 1, 1, tzinfo=BERLIN)]),
    (ticks(0, type_=pa.timestamp("us", "Nowhere/Land")), [dt.datetime(1970, 1, 1, tzinfo=dt.UTC)]),
    (ticks(1_001, -1_500_000_000, 0, type_=pa.duration("ns")), ["PT0.000001001S", "PT-1.5S", "PT0S"]),
    (ticks(2**60, type_=pa.duration("s")), ["PT320255973501901H56M16S"]),
    (pa.array([(1, 2, 3), (-14, 0, 0), None], pa.month_day_nano_interval()), ["P1M2DT0.000000003S", "P-14M", None]),
    (pa.array([b"a" * 16], pa.uuid()), ["61616161-6161-6161-6161-616161616161"]),
    (pa.array(['{"a":1,"a":2}'], pa.json_()), ['{"a":1,"a":2}']),
    (pa.array([[("k", 1)], [], None], pa.map_(pa.string(), pa.int32())), [{"k": 1}, {}, None]),
    (pa.array([[(1, "a")]], pa.map_(pa.int32(), pa.string())), [[{"key": 1, "value": "a"}]]),
    (pa.array([[86_400], None, [], [1]], pa.list_(pa.time32("s")))[1:], [None, [], [dt.time(0, 0, 1)]]),
    (pa.array([[86_400], None, [1]], pa.list_view(pa.time32("s")))[1:], [None, [dt.time(0, 0, 1)]]),
    (pa.array([{"t": 86_400}, None], pa.struct([("t", pa.time32("s"))])), [{"t": "24:00:00"}, None]),
    (pa.array([b"\xffa"]).view(pa.string()), ["�a"]),
    (pa.array(["a", None]).dictionary_encode(), ["a", None]),
    (pc.run_end_encode(pa.array([1, 1, 2])), [1, 1, 2]),
]


@pytest.mark.parametrize(("column", "expected"), EXACT, ids=[str(column.type) for column, _ in EXACT])
def test_a_value_of_arrow_comes_out_exactly(column, expected):
    got = Batch("s", table=pa.table({"f": column})).rows()
    assert [row["f"] for row in got] == expected
    assert [type(row["f"]) for row in got] == [type(value) for value in expected]


def test_columns_of_one_name_are_all_in_the_record():
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2]), pa.array([3])], names=["a", "a_2", "a"])
    assert Batch("s", table=table).rows() == [{"a": 1, "a_2": 2, "a_3": 3}]


def test_a_table_without_columns_has_its_records():
    assert arrow_values.rows(pa.table({"a": [1, 2]}).select([])) == [{}, {}]


BUILT = [
    pa.int16(), pa.uint8(), pa.float32(), pa.decimal128(30, 5), pa.large_string(), pa.time64("ns"), pa.time32("ms"),
    pa.date64(), pa.timestamp("ns"), pa.timestamp("s", "UTC"), pa.timestamp("us", "Europe/Berlin"), pa.uuid(),
    pa.json_(), pa.list_(pa.time64("us")), pa.struct([("at", pa.timestamp("us"))]), pa.date32(),
]  # fmt: skip
VALUES = {
    pa.int16(): [-(2**15), 2**15 - 1],
    pa.uint8(): [255],
    pa.float32(): [1.5, float("-inf"), 0.10000000149011612],
    pa.decimal128(30, 5): ["1234567890123456789012345.12345"],
    pa.large_string(): ["é"],
    pa.time64("ns"): ["24:00:00", "00:00:00.000000001"],
    pa.time32("ms"): ["24:00:00", "10:00:00.500"],
    pa.date64(): ["2024-02-29", "-0043-03-15"],
    pa.timestamp("ns"): ["2024-01-01T00:00:00.123456789"],
    pa.timestamp("s", "UTC"): ["+1141709097-06-13T06:26:08Z", "-0043-03-15T00:00:00Z"],
    pa.timestamp("us", "Europe/Berlin"): ["2024-01-01T00:00:00.000001Z"],
    pa.uuid(): ["61616161-6161-6161-6161-616161616161"],
    pa.json_(): ['{"a":1,"a":2}', "1e5"],
    pa.list_(pa.time64("us")): [["24:00:00", None]],
    pa.struct([("at", pa.timestamp("us"))]): [{"at": "+12024-01-01T00:00:00.5"}],
    pa.date32(): ["-2937836-09-26", "+10000-01-01"],
}


@pytest.mark.parametrize("type_", BUILT, ids=str)
def test_records_of_a_table_make_the_same_table_again(type_):
    schema = pa.schema([("f", type_)])
    table, rejected = arrow.from_rows([{"f": value} for value in VALUES[type_]], schema)
    assert not rejected
    assert table.schema == schema
    second, rejected = arrow.from_rows(Batch("s", table=table).rows(), schema)
    assert not rejected
    assert second == table


@pytest.mark.parametrize("type_", [pa.date32(), pa.timestamp("us"), pa.timestamp("us", "UTC"), pa.timestamp("ns")])
def test_endless_dates_and_times_are_texts_and_come_back(type_):
    rows = [{"f": "infinity"}, {"f": "-infinity"}, {"f": None}]
    table, rejected = arrow.from_rows(rows, pa.schema([("f", type_)]))
    assert (arrow_values.rows(table), rejected) == (rows, [])


@pytest.mark.parametrize(
    ("type_", "value", "words"),
    [
        (pa.int16(), 2**15, "an integer of 16 bits"),
        (pa.uint8(), -1, "an integer of 8 bits"),
        (pa.float32(), 1e300, "a number of 32 bits"),
        (pa.float32(), 2**24 + 1, "without losing digits"),
        (pa.time64("us"), "24:00:01", "time"),
        (pa.time64("us"), "10:00+02", "time"),
        (pa.date32(), "Infinity", "date"),
        (pa.uuid(), "no", "UUID"),
        (pa.timestamp("ns"), "3000-01-01", "64 bits"),
        (pa.decimal128(38, 5), "0." + "9" * 150, "decimal of 38 digits"),
    ],
)
def test_what_a_narrow_type_does_not_hold_is_sorted_out(type_, value, words):
    table, rejected = arrow.from_rows([{"f": value}], pa.schema([("f", type_)]))
    assert table.num_rows == 0
    assert words in rejected[0].reason


def test_a_type_that_records_have_no_values_of_is_text():
    schema = pa.schema(
        [("d", pa.duration("us")), ("i", pa.month_day_nano_interval()), ("m", pa.map_("string", "int8"))]
    )
    table, _ = arrow.from_rows([{"d": "PT1S", "i": "P1M", "m": {"a": 1}}], schema)
    assert table.to_pylist() == [{"d": "PT1S", "i": "P1M", "m": '{"a":1}'}]


def test_a_decimal_of_all_digits_fits_its_column():
    number = "1.2345678901234567890123456789012345678"
    table, rejected = arrow.from_rows([{"f": number + "0"}], pa.schema([("f", pa.decimal128(38, 37))]))
    assert not rejected
    assert str(table["f"][0]) == number


def test_a_whole_decimal_that_is_no_float_is_not_rounded():
    from decimal import Decimal

    _, rejected = arrow.from_rows([{"f": Decimal("12345678901234567890")}], {"properties": {"f": {"type": "number"}}})
    assert "without losing digits" in rejected[0].reason


def test_a_schema_is_given_in_one_spelling_and_has_both():
    types = pa.schema([pa.field("id", pa.int16(), nullable=False), ("doc", pa.json_()), ("key", pa.uuid())])
    schema = Schema.of_arrow(types)
    assert schema["properties"] == {
        "id": {"type": "integer"},
        "doc": {"type": ["string", "null"], "contentMediaType": "application/json"},
        "key": {"type": ["string", "null"], "format": "uuid"},
    }
    assert schema.arrow is types
    declared = {"type": "object", "properties": {"id": {"type": "integer"}}, "x-of-an-api": True}
    assert Schema(declared) == declared
    assert Schema(declared).arrow == pa.schema([("id", pa.int64())])


def test_a_typed_schema_keeps_its_types_where_fields_are_left_out_and_on_its_way_to_another_process():
    import pickle

    schema = Schema.of_arrow(pa.schema([("a", pa.int16()), ("b", pa.float32()), ("c", pa.date32())]))
    less = schema.changed({**schema, "properties": {"a": schema["properties"]["a"], "c": {"type": "string"}}})
    assert less.arrow == pa.schema([("a", pa.int16()), ("c", pa.string())])
    assert pickle.loads(pickle.dumps(less)).arrow == less.arrow
    assert pickle.loads(pickle.dumps(less)) == less
