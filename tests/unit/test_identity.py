"""Primary keys as typed values."""

import datetime as dt
import math
from decimal import Decimal
from itertools import combinations

import pytest

from kitestring.identity import distinct_by_order, identifier, typed


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
    ("columns", "distinct"),
    [
        ([[1, 2, 9]], True),
        ([[5, 6], [], [1, 4]], True),
        ([["a", "b"], ["ba", "é", "\U0001f600"]], True),
        ([], True),
        ([[1, 2, 2]], False),
        ([[2, 1]], False),
        ([[1, 5], [5, 6]], False),
        ([[1, 9], [5, 6]], False),
        ([[1, None, 2]], False),
        ([[1.0, 2.0]], False),
    ],
)
def test_values_that_rise_in_columns_that_do_not_overlap_are_distinct(columns, distinct):
    pa = pytest.importorskip("pyarrow")
    kind = pa.array([value for column in columns for value in column]).type
    assert distinct_by_order(pa.chunked_array([column], kind) for column in columns) is distinct
