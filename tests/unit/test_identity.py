"""Primary keys as typed values."""

import datetime as dt
import math
from decimal import Decimal
from itertools import combinations

import pytest

from kitestring.identity import distinct, identifier, typed


def test_values_of_different_kinds_are_different():
    values = [1, "1", True, b"1", None, "", 0, False, "true", [1], ["1"], {"1": 1}, {"1": "1"}, dt.date(2024, 1, 1),
              dt.datetime(2024, 1, 1), dt.datetime(2024, 1, 1, tzinfo=dt.UTC), "2024-01-01", math.nan, "NaN",
              123456789012345678901, 123456789012345678902,
              Decimal("0.12345678901234567891"), 0.12345678901234568]  # fmt: skip
    for left, right in combinations(values, 2):
        assert typed(left) != typed(right), (left, right)
        assert len({typed(left), typed(right)}) == 2


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (1, 1.0),
        (1, Decimal("1.00")),
        (0.1, Decimal("0.1")),
        (1e300, Decimal("1e300")),
        (math.nan, math.nan),
        (math.nan, Decimal("NaN")),
        ({"a": 1, "b": 2}, {"b": 2.0, "a": 1}),
        (dt.datetime(2024, 1, 1, 2, tzinfo=dt.timezone(dt.timedelta(hours=2))), dt.datetime(2024, 1, 1, tzinfo=dt.UTC)),
    ],
)
def test_the_same_value_in_two_spellings_is_one(left, right):
    assert typed(left) == typed(right)
    assert hash(typed(left)) == hash(typed(right))


def test_a_field_that_is_declared_as_text_compares_as_text():
    declared = identifier([("id",)], {"properties": {"id": {"type": ["null", "string"]}}})
    assert declared({"id": 1}) == declared({"id": "1"})
    for schema in ({}, {"properties": {"id": {"type": ["string", "integer"]}}}):
        open_ = identifier([("id",)], schema)
        assert open_({"id": 1}) != open_({"id": "1"})


def test_a_key_of_several_and_nested_parts():
    of = identifier([("a", "b"), ("c",)], {})
    assert of({"a": {"b": 1}, "c": "x"}) == (1, "x")
    assert of({"a": 1}) == (None, None)
    assert of({"a": {"b": "x_y"}, "c": "z"}) != of({"a": {"b": "x"}, "c": "y_z"})


@pytest.mark.parametrize(
    ("columns", "answer"),
    [
        ([[1, 2, 9]], True),
        ([[5, 6], [1, 4]], True),
        ([[9, 1, 5], [4, 8]], True),
        ([[*map(str, range(100, 200)), "111a"]], True),
        ([], True),
        ([[1, 2, 2]], False),
        ([[1, 5], [5, 6]], False),
        ([[7, 8], [1, 2, 8]], False),
        ([["a", "b"], ["a"]], False),
        ([[1, None, 2]], False),
        ([[1.0, 2.0]], False),
        ([["c", "b", "a"]], False),  # not in order: to be compared
    ],
)
def test_values_are_distinct_where_sorting_shows_it(columns, answer):
    pa = pytest.importorskip("pyarrow")
    assert distinct([pa.chunked_array([column]) for column in columns]) is answer


def test_columns_of_two_types_have_to_be_compared():
    pa = pytest.importorskip("pyarrow")
    assert not distinct([pa.chunked_array([pa.array([1])]), pa.chunked_array([pa.array(["1"])])])
    assert distinct([pa.chunked_array([], pa.int64())])
