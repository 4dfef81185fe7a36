"""The key of a record tells apart what differs, and is that of the collections that are there."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from kitestring.types import Stream
from kitestring.vector.name_clash import owner_of, same_named_streams
from kitestring.vector.record_key import former_key, record_id, record_key

UNTYPED = Stream("things", primary_key=(("id",),))


def declared(kind: str) -> Stream:
    return Stream("things", primary_key=(("id",),), schema={"properties": {"id": {"type": ["null", kind]}}})


def test_values_of_different_kinds_are_different_records() -> None:
    kinds: list[Any] = [
        1, "1", True, "true", "1.5", 1.5, b"1", dt.date(2026, 1, 2), "2026-01-02", '"2026-01-02"', '"1"', "", "null",
        float("nan"), "NaN", dt.datetime(2026, 1, 2), [1], "[1]", {"bytes": "MQ=="}, 10**60, str(10**60), "1e60",
    ]  # fmt: skip
    keys = [record_key(UNTYPED, (value,)) for value in kinds]
    assert len(set(keys)) == len(kinds)


@pytest.mark.parametrize(
    "same",
    [
        (1, 1.0, Decimal("1.00")),
        (1.5, Decimal("1.5"), Decimal("1.50")),
        (0, -0.0, Decimal("0E+5")),
        (10**60, Decimal("1e60")),
        (1e-7, Decimal("0.0000001")),
        (
            dt.datetime(2026, 1, 2, 12, tzinfo=dt.UTC),
            dt.datetime(2026, 1, 2, 13, tzinfo=dt.timezone(dt.timedelta(hours=1))),
        ),
    ],
)
def test_equal_values_are_one_record_whatever_their_type(same: tuple[Any, ...]) -> None:
    assert len({record_key(UNTYPED, (value,)) for value in same}) == 1


def test_a_field_declared_as_text_is_compared_as_text() -> None:
    assert record_key(declared("string"), (7,)) == record_key(declared("string"), ("7",))
    assert record_key(declared("integer"), (7,)) != record_key(declared("integer"), ("7",))


def test_keys_of_existing_collections_stay() -> None:
    """As commit 664614f made them; another one would embed everything again."""
    assert record_key(declared("integer"), (7,)) == record_key(UNTYPED, (7,)) == "fcf7db5d9fbceda98812b2d81ef43ae9"
    assert record_key(declared("string"), ("7",)) == "fcf7db5d9fbceda98812b2d81ef43ae9"
    for value in (7, -1, "cus_1", "0f8fad5b-d9cb-469f", "a_b", "007", 1.5, True, "2026-01-02", dt.date(2026, 1, 2)):
        assert former_key(UNTYPED, (value,)) is None, value
    assert former_key(declared("string"), ("12345",)) is None


def test_a_record_that_had_another_key_says_which() -> None:
    assert former_key(UNTYPED, ("7",)) == record_key(UNTYPED, (7,))
    assert former_key(UNTYPED, (Decimal("5"),)) not in (None, record_key(UNTYPED, (5,)))


def test_streams_of_one_name_in_the_store_are_known() -> None:
    stream = Stream("b_c", namespace="a", primary_key=(("x",), ("y",)))
    assert set(same_named_streams(stream)) == {("", "a_b_c"), ("a_b", "c")}
    assert list(same_named_streams(Stream("tickets"))) == []


def test_a_row_without_a_namespace_tells_by_its_key_whose_it_is() -> None:
    ours = Stream("b_c", namespace="a", primary_key=(("x",), ("y",)))
    theirs = Stream("c", namespace="a_b", primary_key=(("x",), ("y",)))
    remaining_same_named_streams = list(same_named_streams(ours))
    for values in (("p_q", 5), ("p", "q_5"), ("_", "")):
        assert (
            owner_of(record_key(theirs, values), record_id(theirs, values), ours, remaining_same_named_streams) == "a_b"
        )
        assert owner_of(record_key(ours, values), record_id(ours, values), ours, remaining_same_named_streams) is None
    assert owner_of("f" * 32, "a_b_c_1_2", ours, remaining_same_named_streams) is None
    assert owner_of("f" * 32, "a_b_c_" + "_" * 300, ours, remaining_same_named_streams) is None
