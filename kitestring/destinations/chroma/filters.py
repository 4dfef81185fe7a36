"""Filters in Chroma's language: https://docs.trychroma.com/docs/querying-collections/metadata-filtering

Its metadata hold texts, numbers, Booleans and lists of texts. A value that they cannot hold, or that is long, is only
in the JSON of the chunk, and is compared there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

from kitestring.errors import ConfigError
from kitestring.filters import Bound, Contains, Exists, Filter, Leaf, OneOf, Scalar
from kitestring.json_codec import loads, without_surrogates
from kitestring.vector.payload import FILTERED
from kitestring.vector.refinement import Language, Narrowing

Condition: TypeAlias = dict[str, Any]

LONGEST_TEXT = 1_000
LARGEST_WHOLE = 2**53
"""Below this every integer is a float of its own."""


def is_plain(name: str) -> bool:
    """Whether a field of the record is in the metadata under its own name."""
    return bool(name) and len(name) <= LONGEST_TEXT and name[0] not in "$#" and not name.startswith(("_ks_", "chroma:"))


def copy_of(value: Any) -> Any:
    """What Chroma's metadata hold of a value; None for nothing."""
    if isinstance(value, str):
        return value if len(value) <= LONGEST_TEXT else None
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, list):
        return [item for item in value if isinstance(item, str) and len(item) <= LONGEST_TEXT] or None
    return None


class Conditions(Language[Condition]):
    """Conditions of Chroma. `$nin` and `$ne` are true for a field that is missing."""

    def leaf(self, leaf: Leaf, negated: bool) -> Narrowing[Condition]:
        name = without_surrogates(leaf.field)
        if isinstance(leaf, Exists) or not (is_plain(name) or name in FILTERED):
            return Narrowing(None, False)
        if isinstance(leaf, OneOf):
            return one_of(name, leaf.values, negated)
        if negated:
            return Narrowing(None, False)
        match leaf:
            case Contains(_, str(item)) if len(item) <= LONGEST_TEXT:
                return Narrowing({name: {"$contains": without_surrogates(item)}}, False)
            case Bound(_, order, int() | float() as bound) if abs(bound) < LARGEST_WHOLE:
                # Chroma compares an integer with the bound without its fraction.
                above = order.startswith("g")
                whole = math.floor(bound) if above else math.ceil(bound)
                return Narrowing({name: {"$gte" if above else "$lte": whole}}, False)
        return Narrowing(None, False)

    def both(self, conditions: Sequence[Condition]) -> Condition:
        return {"$and": list(conditions)}

    def either(self, conditions: Sequence[Condition]) -> Condition:
        return {"$or": list(conditions)}

    def nothing(self) -> Condition:
        return {"_ks_key": ""}


def one_of(name: str, values: Sequence[Scalar], negated: bool) -> Narrowing[Condition]:
    texts = [without_surrogates(value) for value in values if isinstance(value, str) and len(value) <= LONGEST_TEXT]
    truths = [value for value in values if isinstance(value, bool)]
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(texts) + len(truths) + len(numbers) < len(values) or any(abs(n) >= LARGEST_WHOLE for n in numbers):
        return Narrowing(None, False)
    if negated and numbers:
        return Narrowing(None, False)
    conditions: list[Condition] = [{name: {"$nin" if negated else "$in": texts}}] if texts else []
    conditions += [{name: {"$ne" if negated else "$eq": truth}} for truth in truths]
    for number in numbers:
        conditions.append({"$and": [{name: {"$gte": math.floor(number)}}, {name: {"$lte": math.ceil(number)}}]})
    if len(conditions) == 1:
        return Narrowing(conditions[0], not numbers)
    return Narrowing({"$and" if negated else "$or": conditions}, not numbers)


def own_filter(text: str) -> Condition:
    """A filter in Chroma's JSON. It stays one condition, since it is part of a larger document."""
    hint = 'Write it as {"status": {"$ne": "closed"}}, or give a mapping.'
    try:
        document = loads(text)
    except ValueError as error:
        raise ConfigError("the filter is a text, and no filter of Chroma's in JSON", hint=hint) from error
    if not isinstance(document, dict) or len(document) != 1:
        raise ConfigError("the filter is no condition: an object with one field, $and or $or", hint=hint)
    return document


def narrowing_of(where: Filter | str | None) -> Narrowing[Condition]:
    if where is None:
        return Narrowing(None, True)
    return Narrowing(own_filter(where), True) if isinstance(where, str) else Conditions().narrowing(where)
