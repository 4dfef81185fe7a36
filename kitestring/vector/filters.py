"""Filters of a search: `where` as a mapping, parsed once into a tree that each store renders in its own language.

A tree is made of `OneOf`, `Bound`, `Contains` and `Exists`, which speak of one field of the record, and of `Not`, `And`
and `Or`. Each is true or false of every chunk: a field that a record lacks, or whose value is null, passes `Exists` and
all comparisons never, and so always their `Not`.
"""

from __future__ import annotations

import datetime as dt
import difflib
import operator
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, TypeAlias, get_args

from kitestring.errors import ConfigError
from kitestring.vector.unicode import well_formed

Scalar: TypeAlias = str | bool | int | float | Decimal
"""What a filter compares with. A text never equals a number, and true is no 1."""

Order = Literal["gt", "gte", "lt", "lte"]


@dataclass(frozen=True, slots=True)
class OneOf:
    """The field's value is one of these; of none for an empty tuple."""

    field: str
    values: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Bound:
    """The field's value is a number, or a text, and above or below this one. Texts are compared by code points."""

    field: str
    order: Order
    value: str | int | float | Decimal


@dataclass(frozen=True, slots=True)
class Contains:
    """The field's value is a list that holds this."""

    field: str
    value: Scalar


@dataclass(frozen=True, slots=True)
class Exists:
    """The field has a value other than null."""

    field: str


@dataclass(frozen=True, slots=True)
class Not:
    filter: Filter


@dataclass(frozen=True, slots=True)
class And:
    filters: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or:
    filters: tuple[Filter, ...]


Leaf: TypeAlias = OneOf | Bound | Contains | Exists
Filter: TypeAlias = OneOf | Bound | Contains | Exists | Not | And | Or

OPERATORS = ("eq", "ne", *get_args(Order), "in", "not_in", "contains", "exists", "not")
LISTS = ("and", "or")
OTHER_SPELLINGS = {"nin": "not_in"}
MOST_LEVELS = 32
COMPARE: dict[str, Any] = {"gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le}


def parse(where: Mapping[str, Any]) -> Filter | None:
    """The tree of a mapping; None where it asks for nothing. `ConfigError` for what has no meaning.

    A field has a value, a list of values (any of them), None (no value), or comparisons:
    `{"price": {"gte": 3, "lt": 9}}`; see `OPERATORS`. All conditions of a mapping hold together. `and` and `or` take a
    list of mappings, `not` takes one. `$gte` is `gte`.
    """
    tree = conditions(where, 1)
    return tree if tree != And(()) else None


def conditions(where: Mapping[str, Any], level: int) -> Filter:
    if level > MOST_LEVELS:
        raise ConfigError(f"the filter is nested more than {MOST_LEVELS} levels deep", hint="Make `where` flatter.")
    parts: list[Filter] = []
    for name, wanted in where.items():
        if not isinstance(name, str):
            raise ConfigError(f"a filter names fields by texts, not by {type(name).__name__}", hint="Correct `where`.")
        word = plain_word(name)
        if word in LISTS and is_list(wanted) and any(isinstance(item, Mapping) for item in wanted):
            if not all(isinstance(item, Mapping) for item in wanted):
                raise ConfigError(
                    f"`{name}` takes a list of mappings, and some items are none", hint="Correct `where`."
                )
            inner = tuple(conditions(item, level + 1) for item in wanted)
            parts.append(And(inner) if word == "and" else Or(inner))
        elif word == "not" and isinstance(wanted, Mapping) and not speaks_of_field(wanted):
            parts.append(Not(conditions(wanted, level + 1)))
        else:
            parts.append(of_field(well_formed(name), wanted, level))
    return parts[0] if len(parts) == 1 else And(tuple(parts))


def of_field(field: str, wanted: Any, level: int) -> Filter:
    """What one field is to be."""
    if not isinstance(wanted, Mapping):
        return one_of(field, wanted)
    if level > MOST_LEVELS:
        raise ConfigError(f"the filter is nested more than {MOST_LEVELS} levels deep", hint="Make `where` flatter.")
    parts = tuple(comparison(field, str(word), value, level) for word, value in wanted.items())
    return parts[0] if len(parts) == 1 else And(parts)


def comparison(field: str, word: str, value: Any, level: int) -> Filter:
    name = plain_word(word)
    if name in ("eq", "in"):
        if name == "in" and not is_list(value):
            raise ConfigError(f"`in` takes a list, {field} is compared with {value!r}", hint="Correct `where`.")
        return one_of(field, value)
    if name in ("ne", "not_in"):
        if name == "not_in" and not is_list(value):
            raise ConfigError(f"`not_in` takes a list, {field} is compared with {value!r}", hint="Correct `where`.")
        equal = one_of(field, value)
        return Exists(field) if equal == Not(Exists(field)) else And((Exists(field), Not(equal)))
    if name == "not":
        return Not(of_field(field, value, level + 1))
    if name == "exists":
        if not isinstance(value, bool):
            raise ConfigError(f"`exists` is true or false, for {field} it is {value!r}", hint="Correct `where`.")
        return Exists(field) if value else Not(Exists(field))
    if name == "contains":
        return Contains(field, scalar(field, value))
    if name in get_args(Order):
        bound = scalar(field, value)
        if isinstance(bound, bool):
            raise ConfigError(f"{field} is to be {word} {value}, and true and false have no order", hint="Use eq.")
        return Bound(field, name, bound)  # type: ignore[arg-type]
    near = difflib.get_close_matches(name, OPERATORS, n=1)
    raise ConfigError(
        f"{word} is not a comparison" + (f"; did you mean {near[0]}?" if near else ""),
        hint=f"Use one of {', '.join(OPERATORS)}.",
        field=field,
    )


def one_of(field: str, wanted: Any) -> Filter:
    values = list(wanted) if is_list(wanted) else [wanted]
    known = OneOf(field, tuple(scalar(field, value) for value in values if value is not None))
    if len(known.values) == len(values):
        return known
    absent = Not(Exists(field))
    return Or((known, absent)) if known.values else absent


def scalar(field: str, value: Any) -> Scalar:
    """A value as it is stored: a date and a UUID are texts."""
    if isinstance(value, str | int | float | Decimal | dt.date | dt.time | uuid.UUID | bytes):
        stored = well_formed(value)
        if isinstance(stored, str | bool | int | float | Decimal):
            return stored
    raise ConfigError(
        f"a filter compares with texts, numbers and booleans, {field} is compared with {type(value).__name__}",
        hint="Correct `where`; `and`, `or` and `not` combine conditions.",
        field=field,
    )


def matches(tree: Filter, fields: Mapping[str, Any]) -> bool:
    """Whether a chunk with these fields passes: what every store's rendering is to find."""
    match tree:
        case Not(inner):
            return not matches(inner, fields)
        case And(parts):
            return all(matches(part, fields) for part in parts)
        case Or(parts):
            return any(matches(part, fields) for part in parts)
    value = fields.get(tree.field)
    match tree:
        case Exists():
            return value is not None
        case OneOf(_, values):
            return any(equal(value, wanted) for wanted in values)
        case Contains(_, wanted):
            return isinstance(value, list | tuple) and any(equal(item, wanted) for item in value)
        case Bound(_, order, bound):
            if isinstance(value, bool) or isinstance(value, str) != isinstance(bound, str):
                return False
            if not isinstance(value, str | int | float | Decimal):
                return False
            return bool(COMPARE[order](value, bound))


def equal(value: Any, wanted: Scalar) -> bool:
    kinds = (str, bool, (int, float, Decimal))
    kind = next((kind for kind in kinds if isinstance(wanted, kind)), ())
    return isinstance(value, kind) and isinstance(value, bool) == isinstance(wanted, bool) and value == wanted


def plain_word(word: str) -> str:
    word = word.removeprefix("$")
    return OTHER_SPELLINGS.get(word, word)


def speaks_of_field(wanted: Mapping[str, Any], level: int = 1) -> bool:
    """Whether a mapping holds comparisons of a field, rather than conditions: a field may bear the name `not`."""
    if not wanted or level > MOST_LEVELS:
        return False
    for word, value in wanted.items():
        if not isinstance(word, str) or plain_word(word) not in OPERATORS:
            return False
        if plain_word(word) == "not" and isinstance(value, Mapping) and not speaks_of_field(value, level + 1):
            return False
    return True


def is_list(value: Any) -> bool:
    return isinstance(value, list | tuple | set | frozenset)
