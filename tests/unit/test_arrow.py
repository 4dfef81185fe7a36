import datetime as dt
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kitestring import arrow
from kitestring.batch import Batch
from kitestring.errors import RecordError
from kitestring.schema import json_from_schema, schema_from_json


def declared(**fields):
    return {"type": "object", "properties": fields}


INTEGER, NUMBER, STRING = {"type": ["null", "integer"]}, {"type": "number"}, {"type": ["string", "null"]}
MOMENT = {"type": "string", "format": "date-time"}


def converted(value, field):
    """The value of one record after the way through Arrow, and its column's type."""
    table, rejected = arrow.from_rows([{"f": value}], declared(f=field))
    assert not rejected, rejected[0].reason
    return table.column("f").to_pylist()[0], table.schema.field("f").type


def reason(value, field):
    table, rejected = arrow.from_rows([{"f": 1 if field is INTEGER else None}, {"f": value}], declared(f=field))
    assert table.num_rows == 1
    assert rejected[0].record == {"f": value}
    return rejected[0].reason


@pytest.mark.parametrize(
    ("value", "field", "expected", "type_"),
    [
        (3, INTEGER, 3, pa.int64()),
        (3.0, INTEGER, 3, pa.int64()),
        (3, NUMBER, 3.0, pa.float64()),
        (True, {"type": "boolean"}, True, pa.bool_()),
        ("é\x00😀", STRING, "é\x00😀", pa.string()),
        (12, STRING, "12", pa.string()),
        (True, STRING, "true", pa.string()),
        ({"a": [1, None]}, STRING, '{"a":[1,null]}', pa.string()),
        (2**70, STRING, str(2**70), pa.string()),
        ({"n": 2**70}, STRING, f'{{"n":{2**70}}}', pa.string()),
        ({"d": Decimal("1.10")}, STRING, '{"d":1.10}', pa.string()),
        ("half \ud800 a pair", STRING, "half � a pair", pa.string()),
        ("\ud83d\ude00", STRING, "😀", pa.string()),
        ({"a": 1}, {"type": "object", "properties": {"a": INTEGER}}, '{"a":1}', pa.string()),
        (
            {"a": 1},
            {"type": "object", "properties": {"a": INTEGER}, "additionalProperties": False},
            {"a": 1},
            pa.struct([("a", pa.int64())]),
        ),
        ([1, "x", {}], {"type": "array"}, '[1,"x",{}]', pa.string()),
        ([1, None], {"type": "array", "items": INTEGER}, [1, None], pa.list_(pa.int64())),
        ([1, "a"], {"type": "array", "items": STRING}, ["1", "a"], pa.list_(pa.string())),
        ([[1], []], {"type": "array", "items": {"type": "array", "items": INTEGER}}, [[1], []], None),
        ("2024-02-29", {"type": "string", "format": "date"}, dt.date(2024, 2, 29), pa.date32()),
        ("a", {"type": ["string", "integer"]}, "a", pa.string()),
        (1, {"type": ["string", "integer"]}, "1", pa.string()),
        (1, {"anyOf": [{"type": "integer"}, {"type": "null"}]}, 1, pa.int64()),
        (2**70, {"type": "string", "airbyte_type": "big_integer"}, 2**70, pa.decimal128(38, 0)),
        ("1.50", {"airbyte_type": "big_number", "type": "number", "precision": 5, "scale": 2}, Decimal("1.5"), None),
        ("aGk=", {"type": "string", "contentEncoding": "base64"}, b"hi", pa.binary()),
        ({"any": 1}, {}, '{"any":1}', pa.string()),
        (1, True, "1", pa.string()),
        (5, {"type": "null"}, 5, pa.int64()),
    ],
)
def test_a_value_that_fits_arrives_as_it_is(value, field, expected, type_):
    got, got_type = converted(value, field)
    assert got == expected
    assert type_ is None or got_type == type_


@pytest.mark.parametrize(
    ("written", "utc"),
    [
        ("2024-01-01T00:00:00Z", dt.datetime(2024, 1, 1)),
        ("2024-01-01T02:00:00+02:00", dt.datetime(2024, 1, 1)),
        ("2024-01-01 00:00:00.5", dt.datetime(2024, 1, 1, 0, 0, 0, 500_000)),
        ("2024-01-01T00:00:00.123456789Z", dt.datetime(2024, 1, 1, 0, 0, 0, 123_456)),
        ("2024-01-01", dt.datetime(2024, 1, 1)),
        (dt.datetime(2024, 1, 1), dt.datetime(2024, 1, 1)),
        (dt.datetime(2024, 1, 1, 2, tzinfo=dt.timezone(dt.timedelta(hours=2))), dt.datetime(2024, 1, 1)),
    ],
)
def test_a_date_time_is_a_moment_in_utc(written, utc):
    assert converted(written, MOMENT)[0] == utc.replace(tzinfo=dt.UTC)
    assert converted(written, {**MOMENT, "airbyte_type": "timestamp_without_timezone"})[0] == utc


@pytest.mark.parametrize(
    ("value", "field", "words"),
    [
        ("12", INTEGER, "field f: the string '12' does not fit integer"),
        (1.5, INTEGER, "the number 1.5 does not fit integer"),
        (float("nan"), INTEGER, "does not fit integer"),
        (True, INTEGER, "the boolean True does not fit integer"),
        (2**63, INTEGER, "does not fit an integer of 64 bits"),
        ("x" * 500, NUMBER, "…"),
        (2**53 + 1, NUMBER, "without losing digits"),
        (1, {"type": "boolean"}, "the integer 1 does not fit boolean"),
        ("yesterday", MOMENT, "the string 'yesterday' does not fit date-time"),
        (1_700_000_000, MOMENT, "does not fit date-time"),
        ("2024-01-01T10:00:00", {"type": "string", "format": "date"}, "does not fit date"),
        ({"a": 1}, {"type": "array", "items": INTEGER}, "the object {'a': 1} does not fit array"),
        (["a"], {"type": "array", "items": INTEGER}, "does not fit integer"),
        ("%%%", {"type": "string", "contentEncoding": "base64"}, "does not fit base64"),
        ("1.555", {"type": "number", "airbyte_type": "big_number", "precision": 5, "scale": 2}, "decimal of 5 digits"),
        (
            {"a": 1, "b": 2},
            {"type": "object", "properties": {"a": INTEGER}, "additionalProperties": False},
            "an object without the field b",
        ),
    ],
)
def test_a_value_that_does_not_fit_is_sorted_out_with_field_value_and_wanted_type(value, field, words):
    actual_reason = reason(value, field)
    assert words in actual_reason
    assert actual_reason.startswith("field f: ")
    assert len(actual_reason) < 200


def test_the_other_records_stay_in_order_when_some_are_sorted_out():
    rows = [{"id": n if n % 3 else "bad", "name": f"n{n}"} for n in range(10)]
    table, rejected = arrow.from_rows(rows, declared(id=INTEGER, name=STRING))
    assert table.column("id").to_pylist() == [1, 2, 4, 5, 7, 8]
    assert table.column("name").to_pylist() == ["n1", "n2", "n4", "n5", "n7", "n8"]
    assert [r.record["name"] for r in rejected] == ["n0", "n3", "n6", "n9"]


def test_a_field_that_is_not_in_the_schema_is_kept_as_a_further_column():
    table, _ = arrow.from_rows([{"id": 1}, {"id": 2, "extra": [1]}, {"new": 1.5}], declared(id=INTEGER))
    assert table.column_names == ["id", "extra", "new"]
    assert table.to_pylist()[1] == {"id": 2, "extra": "[1]", "new": None}


@pytest.mark.parametrize(
    ("values", "type_", "expected"),
    [
        ([1, None], pa.int64(), [1, None]),
        ([1, 2.5], pa.float64(), [1.0, 2.5]),
        ([2**53 + 1, 0.5], pa.string(), [str(2**53 + 1), "0.5"]),
        ([2**64], pa.decimal128(38, 0), [2**64]),
        ([10**40], pa.string(), [str(10**40)]),
        ([Decimal("1.25"), 3], pa.decimal128(38, 2), [Decimal("1.25"), 3]),
        ([1, "a", None, {"b": 1}], pa.string(), ["1", "a", None, '{"b":1}']),
        ([True, 1], pa.string(), ["true", "1"]),
        ([None], pa.null(), [None]),
        ([b"x"], pa.binary(), [b"x"]),
        ([dt.date(2024, 1, 1)], pa.date32(), [dt.date(2024, 1, 1)]),
    ],
)
def test_an_undeclared_field_has_the_type_of_its_values(values, type_, expected):
    table, rejected = arrow.from_rows([{"f": value} for value in values])
    assert not rejected
    assert table.schema.field("f").type == type_
    assert table.column("f").to_pylist() == expected


def test_missing_and_null_are_null_and_empty_records_are_records():
    table, _ = arrow.from_rows([{}, {"id": None}], declared(id=INTEGER))
    assert table.to_pylist() == [{"id": None}, {"id": None}]
    assert arrow.from_rows([{}, {}])[0].num_rows == 2
    assert arrow.from_rows([], declared(id=INTEGER))[0].schema == pa.schema([("id", pa.int64())])


def test_a_batch_of_rows_raises_for_the_record_that_does_not_fit():
    with pytest.raises(RecordError, match="field id") as caught:
        Batch("s", [{"id": "x"}]).table(declared(id=INTEGER))
    assert caught.value.fields["record"] == {"id": "x"}


def test_a_schema_comes_back_from_json_as_it_was():
    schema = pa.schema(
        [
            ("i", pa.int64()),
            ("f", pa.float64()),
            ("b", pa.bool_()),
            ("s", pa.string()),
            ("bytes", pa.binary()),
            ("day", pa.date32()),
            ("at", pa.timestamp("us", "UTC")),
            ("local", pa.timestamp("us")),
            ("time", pa.time64("us")),
            ("price", pa.decimal128(12, 2)),
            ("tags", pa.list_(pa.string())),
            ("inner", pa.struct([("x", pa.int64()), ("y", pa.list_(pa.float64()))])),
            ("nothing", pa.null()),
        ]
    )
    assert schema_from_json(json_from_schema(schema)) == schema


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
FIELD = st.sampled_from([INTEGER, NUMBER, STRING, MOMENT, {"type": "array", "items": INTEGER}, {"type": "boolean"}, {}])


@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.dictionaries(st.sampled_from("abcd"), JSON), max_size=8),
    st.dictionaries(st.sampled_from("abc"), FIELD),
)
def test_any_records_and_schema_give_a_table_that_holds_all_but_the_rejected(rows, fields):
    table, rejected = arrow.from_rows(rows, declared(**fields))
    assert table.num_rows + len(rejected) == len(rows)
    assert set(table.column_names) == set(fields).union(*rows)
    table.validate(full=True)
