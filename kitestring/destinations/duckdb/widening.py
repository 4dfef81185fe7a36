"""DuckDB's types: which one holds the values of two, and how a value of one becomes one of the other."""

from __future__ import annotations

import re

from kitestring.schema import DECIMAL_DIGITS

INTEGERS = ["TINYINT", "UTINYINT", "SMALLINT", "USMALLINT", "INTEGER", "UINTEGER", "BIGINT", "UBIGINT", "HUGEINT"]
FLOATS = ["FLOAT", "DOUBLE"]
TIMES = ["DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE"]
DIGITS = [3, 3, 5, 5, 10, 10, 19, 20, 39]
"""Of the integers."""
EXACT_IN_DOUBLE = 2**53
NOTHING = '"NULL"'
"""The type of a column of nulls."""


def wider(one: str, other: str) -> str:
    """The narrowest type that holds the values of both, VARCHAR if there is none.

    An integer and a float give DOUBLE: who asks has to look whether the integers are exact in it.
    """
    if one == other:
        return one
    for family in (INTEGERS, FLOATS, TIMES):
        if one in family and other in family:
            wide = family[max(family.index(one), family.index(other))]
            return "HUGEINT" if wide == "UBIGINT" else signed(wide) if wide in INTEGERS else wide
    if {one, other} <= {*INTEGERS, *FLOATS}:
        return "DOUBLE"
    sizes = [digits(kind) for kind in (one, other)]
    if sizes[0] and sizes[1]:
        whole, scale = (max(place) for place in zip(*sizes, strict=True))
        if whole + scale <= DECIMAL_DIGITS:
            return f"DECIMAL({whole + scale},{scale})"
    if {one, other} == {"UUID", "BLOB"}:
        return "BLOB"
    return wider_list(one, other)


def wider_list(one: str, other: str) -> str:
    """The same for two lists of integers, of floats, of times, or of nothing; VARCHAR for others."""
    if not one.endswith("[]") or not other.endswith("[]"):
        return "VARCHAR"
    inner = one[:-2], other[:-2]
    if NOTHING in inner:
        return one if inner[1] == NOTHING else other
    if any(set(inner) <= set(family) for family in (INTEGERS, FLOATS, TIMES)):
        return f"{wider(*inner)}[]"
    return "VARCHAR"


def signed(kind: str) -> str:
    """The signed type that holds an unsigned one."""
    return INTEGERS[INTEGERS.index(kind) + 1] if kind.startswith("U") else kind


def digits(kind: str) -> tuple[int, int] | None:
    """How many digits before and after the point a decimal or an integer has."""
    if match := re.fullmatch(r"DECIMAL\((\d+),(\d+)\)", kind):
        return int(match[1]) - int(match[2]), int(match[2])
    return (DIGITS[INTEGERS.index(kind)], 0) if kind in INTEGERS else None


def is_nested(kind: str) -> bool:
    return kind.endswith("]") or kind.startswith(("STRUCT", "MAP", "UNION"))


def converted(value: str, kind: str, wanted: str) -> str:
    """An expression of one type as one of another.

    As text, nested values are JSON, bytes base64, moments ISO 8601, and floats without a number `json_codec`'s words.
    """
    if kind == wanted:
        return value
    if wanted == "VARCHAR" and is_nested(kind):
        return f"CAST(to_json({value}) AS VARCHAR)"
    if wanted == "VARCHAR" and kind == "BLOB":
        return f"base64({value})"
    text = f"CAST({value} AS {wanted})"
    if wanted == "VARCHAR" and kind in FLOATS:
        infinity = f"CASE WHEN {value} > 0 THEN 'Infinity' ELSE '-Infinity' END"
        return f"CASE WHEN isnan({value}) THEN 'NaN' WHEN isinf({value}) THEN {infinity} ELSE {text} END"
    if wanted == "VARCHAR" and kind.startswith("TIMESTAMP"):
        text = f"regexp_replace({text}, ' (\\d\\d:)', 'T\\1')"
        # The time zone of the connection is UTC.
        return f"regexp_replace({text}, '[+]00$', '+00:00')" if has_zone(kind) else text
    return text


def has_zone(kind: str) -> bool:
    return kind == "TIMESTAMP WITH TIME ZONE" or kind.startswith("TIMESTAMPTZ")
