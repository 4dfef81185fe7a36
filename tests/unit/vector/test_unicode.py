"""Names and values that every store can hold, none of them lost."""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest

from kitestring.json_codec import TooDeepError
from kitestring.vector.unicode import MAX_LEVELS, well_formed, well_named


def test_values_become_those_of_json_and_keep_all_digits() -> None:
    value = {
        "day": dt.date(2026, 1, 2), "bytes": b"\xff", "nan": math.nan, "far": Decimal("-Infinity"), "set": {1},
        "big": 2**80, "exact": Decimal("0.12345678901234567890"), "lone": "\ud800", 3: None,
    }  # fmt: skip
    assert well_formed(value) == {
        "day": "2026-01-02", "bytes": "/w==", "nan": "NaN", "far": "-Infinity", "set": [1],
        "big": 2**80, "exact": Decimal("0.12345678901234567890"), "lone": "\ufffd", "3": None,
    }  # fmt: skip


def test_names_that_fall_together_are_both_kept() -> None:
    fields: dict[Any, Any] = {f"a{chr(code)}": number for number, code in enumerate((0xD800, 0xDFFF, 0xFFFD), 1)}
    fields |= {1: "number", "1": "text"}
    results = [well_named(order) for order in permutations(fields.items())]
    assert all(result == results[0] for result in results), "the order says nothing"
    assert sorted(map(str, results[0].values())) == ["1", "2", "3", "number", "text"]
    assert (results[0]["a\ufffd"], results[0]["1"]) == (3, "text"), "a name that was good stays"


def test_a_new_name_that_is_taken_is_marked() -> None:
    renamed = well_named(
        {"subject": "S", "title": "T", "_ab_stream": "x"}.items(), {"subject": "title"}, {"_ab_stream"}
    )
    assert renamed["title"] == "T"
    assert sorted(renamed.values()) == ["S", "T", "x"]
    assert "_ab_stream" not in renamed


def nested(levels: int) -> Any:
    value: Any = "bottom"
    for _ in range(levels):
        value = [value]
    return value


def test_what_lies_deep_is_a_json_text_and_what_no_text_can_hold_is_refused() -> None:
    value = well_formed(nested(500))
    for _ in range(MAX_LEVELS):
        value = value[0]
    assert value == "[" * (500 - MAX_LEVELS) + '"bottom"' + "]" * (500 - MAX_LEVELS)
    with pytest.raises(TooDeepError):
        well_formed(nested(1_500))
