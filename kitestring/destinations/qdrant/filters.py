"""Filters as Qdrant's, in JSON: https://qdrant.tech/documentation/concepts/filtering/

A condition of Qdrant on a list is true if it is true for any item, and one on a number compares with a float: a server
makes a float of the number too, the client's own store does not. So what is found is compared once more, and the
opposite of a condition is no condition.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

from kitestring.errors import ConfigError
from kitestring.filters import Bound, Contains, Exists, Filter, Leaf, OneOf, Scalar
from kitestring.json_codec import loads, without_surrogates
from kitestring.vector.refinement import Language, Narrowing

Condition: TypeAlias = dict[str, Any]
NOTHING: Condition = {"key": "_ks_key", "match": {"value": ""}}
"""No point: no key is empty."""


def condition_of(name: str, **test: Any) -> Condition:
    return {"key": path_of(name), **test}


def path_of(name: str) -> str:
    """A field's name as a path of one step."""
    return f'"{name}"'


class Conditions(Language[Condition]):
    """`in_payload` tells whether a field is stored under its own name."""

    def __init__(self, text_field: str) -> None:
        self.text_field = text_field

    def leaf(self, leaf: Leaf, negated: bool) -> Narrowing[Condition]:
        name = without_surrogates(leaf.field)
        if not is_plain(name, self.text_field):
            return Narrowing(None, False)
        if isinstance(leaf, Exists) and negated:
            return Narrowing({"is_empty": {"key": path_of(name)}}, False)
        if negated or isinstance(leaf, Exists):
            return Narrowing(None, False)  # an empty list is a value, and `is_empty` for Qdrant
        match leaf:
            case OneOf(_, values):
                tests = [equality(name, value) for value in values]
            case Contains(_, value):
                tests = [equality(name, value)]
            case Bound(_, order, bound):
                if isinstance(bound, str):
                    return Narrowing(None, False)
                low, high = floats_around(bound)
                if not math.isfinite(low) or not math.isfinite(high):
                    return Narrowing(None, False)
                limit = low if order in ("gt", "gte") else high
                return Narrowing(condition_of(name, range={f"{order[:2]}e": limit}), False)
        return Narrowing(tests[0] if len(tests) == 1 else self.either(merged(name, tests)), False)

    def both(self, conditions: Sequence[Condition]) -> Condition:
        return {"must": list(conditions)}

    def either(self, conditions: Sequence[Condition]) -> Condition:
        return {"should": list(conditions)}

    def nothing(self) -> Condition:
        return NOTHING


def is_plain(name: str, text_field: str) -> bool:
    """Whether a field of the record is in the payload under its own name, which a path can hold."""
    if name in ("_ab_stream", "_ab_record_id", "chunk_number"):
        return True
    return bool(name) and not name.startswith("_ks_") and name != text_field and not set(name) & set('"\\')


def equality(name: str, value: Scalar) -> Condition:
    if isinstance(value, str):
        return condition_of(name, match={"value": without_surrogates(value)})
    if isinstance(value, bool):
        return condition_of(name, match={"value": value})
    low, high = floats_around(value)
    if not math.isfinite(low) or not math.isfinite(high):
        return NOTHING
    return condition_of(name, range={"gte": low, "lte": high})


def merged(name: str, tests: Sequence[Condition]) -> list[Condition]:
    """The texts among them as one condition."""
    texts = [test["match"]["value"] for test in tests if isinstance(test.get("match", {}).get("value"), str)]
    others = [test for test in tests if not isinstance(test.get("match", {}).get("value"), str)]
    return [*([condition_of(name, match={"any": texts})] if texts else []), *others]


def floats_around(value: Scalar) -> tuple[float, float]:
    """The floats between which a number is, whether it is compared exactly or as a float. Infinite for one that no
    point has as a number."""
    try:
        number = float(value)
    except OverflowError:
        return math.inf, math.inf
    if number == value:
        return number, number
    return math.nextafter(number, -math.inf), math.nextafter(number, math.inf)


def own_filter(text: str) -> Condition:
    """A filter in Qdrant's JSON. It stays one condition, since it is part of a larger document."""
    hint = 'Write it as {"must": [{"key": "status", "match": {"value": "new"}}]}, or give a mapping.'
    try:
        document = loads(text)
    except ValueError as error:
        raise ConfigError("the filter is a text, and no filter of Qdrant's in JSON", hint=hint) from error
    if not isinstance(document, dict) or not {*document} <= {"must", "should", "must_not", "min_should"}:
        raise ConfigError("the filter has other parts than must, should, must_not and min_should", hint=hint)
    return document


def narrowing_of(where: Filter | str | None, text_field: str) -> Narrowing[Condition]:
    if where is None:
        return Narrowing(None, True)
    return Narrowing(own_filter(where), True) if isinstance(where, str) else Conditions(text_field).narrowing(where)
