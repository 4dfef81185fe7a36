"""Dates and timestamps of any unit are compared with the years of a vendor, to the last tick."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from kitestring.sql.year_range import DAY_S, END_S, FIRST_S, PER_SECOND, lies_beyond

LAST = {"date": END_S // DAY_S - 1, **{unit: END_S * ticks - 1 for unit, ticks in PER_SECOND.items() if unit != "ns"}}
FIRST = {"date": FIRST_S // DAY_S, **{unit: FIRST_S * ticks for unit, ticks in PER_SECOND.items() if unit != "ns"}}


def column(unit: str, *ticks: int | None) -> Any:
    if unit == "date":
        return pa.chunked_array([pa.array(ticks, pa.int32()).cast(pa.date32())])
    return pa.chunked_array([pa.array(ticks, pa.int64()).cast(pa.timestamp(unit, "UTC"))])


@pytest.mark.parametrize("unit", LAST)
def test_the_first_and_the_last_moment_are_within_and_their_neighbours_are_not(unit: str) -> None:
    assert not lies_beyond(column(unit, FIRST[unit], None, LAST[unit]))
    assert lies_beyond(column(unit, 0, FIRST[unit] - 1))
    assert lies_beyond(column(unit, LAST[unit] + 1, 0))


def test_a_column_without_a_moment_lies_nowhere() -> None:
    assert not lies_beyond(column("us", None, None))
    assert not lies_beyond(column("date"))


def test_the_years_of_a_vendor_can_be_others() -> None:
    assert lies_beyond(column("ns", -1), 0, 10)
    assert lies_beyond(column("s", 10), 0, 10)
    assert not lies_beyond(column("date", 0), 0, 1)
