"""Types of columns: that of an Arrow type, the one that holds the values of two types, and its Arrow type.

Types are spelled as in standard SQL and DuckDB; a `Dialect` spells them as its vendor does.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kitestring.schema import DECIMAL_DIGITS

if TYPE_CHECKING:
    import pyarrow as pa

INTEGERS = ["TINYINT", "UTINYINT", "SMALLINT", "USMALLINT", "INTEGER", "UINTEGER", "BIGINT", "UBIGINT", "HUGEINT"]
FLOATS = ["FLOAT", "DOUBLE"]
MOMENT = "TIMESTAMP WITH TIME ZONE"
TIMES = ["DATE", "TIMESTAMP", MOMENT]
TEXT = "VARCHAR"
DIGITS = [3, 3, 5, 5, 10, 10, 19, 20, 39]
"""The digits of the integers, in the same order."""
EXACT_IN_DOUBLE = 2**53
NOTHING = '"NULL"'
"""The type of a column of nulls."""


def column_type(type_: pa.DataType) -> str:
    """The type of the column for an Arrow type; text if it has no own type."""
    import pyarrow as pa

    is_ = pa.types
    if isinstance(type_, pa.BaseExtensionType):
        named = {"arrow.uuid": "UUID", "arrow.json": "JSON"}
        return named.get(type_.extension_name) or column_type(type_.storage_type)
    if is_.is_null(type_):
        return NOTHING
    if is_.is_integer(type_):
        signed_ = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT")[(8, 16, 32, 64).index(type_.bit_width)]
        return signed_ if is_.is_signed_integer(type_) else f"U{signed_}"
    if is_.is_decimal(type_) and type_.precision <= DECIMAL_DIGITS:
        return f"DECIMAL({type_.precision},{type_.scale})"
    if is_.is_timestamp(type_):
        return MOMENT if type_.tz else "TIMESTAMP"
    if any(
        is_type(type_) for is_type in (is_.is_binary, is_.is_large_binary, is_.is_fixed_size_binary, is_.is_binary_view)
    ):
        return "BLOB"
    tests = (
        (is_.is_boolean, "BOOLEAN"),
        (is_.is_float64, "DOUBLE"),
        (is_.is_floating, "FLOAT"),
        (is_.is_date, "DATE"),
        (is_.is_time, "TIME"),
        (is_.is_duration, "INTERVAL"),
        (is_.is_interval, "INTERVAL"),
    )
    return next((kind for is_type, kind in tests if is_type(type_)), TEXT)


def arrow_type(kind: str) -> pa.DataType:
    """The Arrow type for values of a column; text for an unknown type."""
    import pyarrow as pa

    if size := re.fullmatch(r"DECIMAL\((\d+),(\d+)\)", kind):
        precision, scale = int(size[1]), int(size[2])
        return pa.decimal128(precision, scale) if precision <= DECIMAL_DIGITS else pa.decimal256(precision, scale)
    arrow_types = {
        "TINYINT": pa.int8(), "UTINYINT": pa.uint8(), "SMALLINT": pa.int16(), "USMALLINT": pa.uint16(),
        "INTEGER": pa.int32(), "UINTEGER": pa.uint32(), "BIGINT": pa.int64(), "UBIGINT": pa.uint64(),
        "HUGEINT": pa.decimal128(DECIMAL_DIGITS, 0), "FLOAT": pa.float32(), "DOUBLE": pa.float64(),
        "BOOLEAN": pa.bool_(), "DATE": pa.date32(), "TIME": pa.time64("us"), "TIMESTAMP": pa.timestamp("us"),
        MOMENT: pa.timestamp("us", "UTC"), "BLOB": pa.binary(), NOTHING: pa.null(),
    }  # fmt: skip
    return arrow_types.get(kind, pa.string())


def wider(left: str, right: str) -> str:
    """The narrowest type that holds the values of both, VARCHAR if there is none.

    An integer and a float give DOUBLE: the caller must check that the integers are exact in it.
    """
    if left == right:
        return left
    for family in (INTEGERS, FLOATS, TIMES):
        if left in family and right in family:
            wide = family[max(family.index(left), family.index(right))]
            return "HUGEINT" if wide == "UBIGINT" else signed(wide) if wide in INTEGERS else wide
    if {left, right} <= {*INTEGERS, *FLOATS}:
        return "DOUBLE"
    sizes = [digits(kind) for kind in (left, right)]
    if sizes[0] and sizes[1]:
        whole, scale = (max(place) for place in zip(*sizes, strict=True))
        if whole + scale <= DECIMAL_DIGITS:
            return f"DECIMAL({whole + scale},{scale})"
    if {left, right} == {"UUID", "BLOB"}:
        return "BLOB"
    return wider_list(left, right)


def wider_list(left: str, right: str) -> str:
    """The same for two lists of integers, of floats, of times, or of nothing; VARCHAR for others."""
    if not left.endswith("[]") or not right.endswith("[]"):
        return TEXT
    inner = left[:-2], right[:-2]
    if NOTHING in inner:
        return left if inner[1] == NOTHING else right
    if any(set(inner) <= set(family) for family in (INTEGERS, FLOATS, TIMES)):
        return f"{wider(*inner)}[]"
    return TEXT


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


def has_zone(kind: str) -> bool:
    return kind == MOMENT or kind.startswith("TIMESTAMPTZ")


def widest_type(type_: pa.DataType) -> pa.DataType | None:
    """The one type that a warehouse has for numbers, dates and times of any width; a timestamp as it is; None for other
    types."""
    import pyarrow as pa

    is_ = pa.types
    if is_.is_signed_integer(type_):
        return pa.int64()
    if is_.is_floating(type_):
        return pa.float64()
    if is_.is_date(type_):
        return pa.date32()
    if is_.is_time(type_):
        return pa.time64("us")
    return type_ if is_.is_timestamp(type_) else None
