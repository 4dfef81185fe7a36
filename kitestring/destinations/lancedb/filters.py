"""Filters in LanceDB's SQL (DataFusion), over the columns and the JSON of a chunk."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from kitestring.filters import Bound, Contains, Exists, Leaf, OneOf, Scalar
from kitestring.json_codec import without_surrogates
from kitestring.vector.refinement import Language, Narrowing
from kitestring.vector.text_filter import Lexer
from kitestring.vendors.sql_quoting import literal

ORDERS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
LARGEST_WHOLE = 2**53
"""Below this every integer is a float of its own."""

TEXT_FILTER = Lexer(
    "LanceDB",
    string=re.compile(r"""'(?:[^']|'')*' | "(?:[^"]|"")*" | `[^`]*` """, re.VERBOSE),
    rest=re.compile(r"""(?: [^"'`\\()\[\]{};$/\-] | -(?!-) | /(?!\*) )+""", re.VERBOSE),
    hint="Write ' in a text as ''; comments, ; and $ are not possible.",
)


@dataclass(frozen=True, slots=True)
class Value:
    """The SQL of a field's value: as JSON, and as a text without quotes if it is one."""

    json: str
    text: str

    @property
    def is_text(self) -> str:
        return f"starts_with({self.json}, '\"')"

    @property
    def number(self) -> str:
        return f"try_cast({self.json} AS double)"


COLUMNS = {
    "_ab_stream": Value("concat('\"', stream)", "stream"),
    "_ab_record_id": Value("concat('\"', record_id)", "record_id"),
    "chunk_number": Value("CAST(chunk_number AS string)", "''"),
}


def value_of(field: str) -> Value:
    if field in COLUMNS:
        return COLUMNS[field]
    name = literal(without_surrogates(field))
    value = Value(f"json_extract(json_get(metadata, {name}), '$')", "")
    # json_get_string fails for an object or a list, and AND may compute both sides: CASE computes it for texts alone.
    return replace(value, text=f"CASE WHEN {value.is_text} THEN json_get_string(metadata, {name}) END")


class Sql(Language[str]):
    """Conditions as SQL that is true or false for every row."""

    def leaf(self, leaf: Leaf, negated: bool) -> Narrowing[str]:
        value = value_of(leaf.field)
        test, exact = self.test(leaf, value)
        if negated and not exact:
            return Narrowing(None, False)
        return Narrowing(f"{'NOT ' if negated else ''}coalesce({test}, false)", exact)

    def test(self, leaf: Leaf, value: Value) -> tuple[str, bool]:
        match leaf:
            case Exists():
                return f"{value.json} <> 'null'", True
            case OneOf(_, values):
                tests = [equality(value, item) for item in values]
                texts = [literal(without_surrogates(item)) for item in values if isinstance(item, str)]
                others = [test for (test, _), item in zip(tests, values, strict=True) if not isinstance(item, str)]
                if texts:
                    others.append(f"({value.is_text} AND {value.text} IN ({', '.join(texts)}))")
                return f"({' OR '.join(others)})", all(exact for _, exact in tests)
            case Contains(field, str(item)) if (
                field not in COLUMNS and item.isprintable() and not set(item) & set('"\\')
            ):
                array = f"json_get(metadata, {literal(without_surrogates(field))})"
                return f"json_array_contains({array}, '$', {literal(without_surrogates(item))})", False
            case Contains():
                return f"starts_with({value.json}, '[')", False
            case Bound(_, order, str(bound)):
                return f"({value.is_text} AND {value.text} {ORDERS[order]} {literal(without_surrogates(bound))})", True
            case Bound(_, order, bound):
                exact = is_exact(bound)
                sign = ORDERS[order] if exact else ORDERS[order].rstrip("=") + "="
                return f"{value.number} {sign} {number(bound)}", exact
        raise AssertionError(leaf)

    def both(self, conditions: Sequence[str]) -> str:
        return f"({' AND '.join(conditions)})"

    def either(self, conditions: Sequence[str]) -> str:
        return f"({' OR '.join(conditions)})"

    def nothing(self) -> str:
        return "false"


def equality(value: Value, item: Scalar) -> tuple[str, bool]:
    if isinstance(item, str):
        return "", True
    if isinstance(item, bool):
        return f"{value.json} = '{str(item).lower()}'", True
    return f"{value.number} = {number(item)}", is_exact(item)


def is_exact(bound: Scalar) -> bool:
    """Whether a comparison with this number as a float has the same result as with the number."""
    return abs(nearest_float(bound)) < LARGEST_WHOLE and nearest_float(bound) == bound


def nearest_float(value: Scalar) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if int(value) > 0 else -math.inf


def number(value: Scalar) -> str:
    """A number in SQL."""
    return f"CAST('{nearest_float(value)!r}' AS double)"
