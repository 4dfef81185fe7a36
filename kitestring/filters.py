"""Filters of what is read from a destination: `where` as a mapping, parsed once into a tree that each store renders in
its own language.

The leaves `OneOf`, `Bound`, `Contains` and `Exists` test one field of the record; `Not`, `And` and `Or` combine them.
Each is true or false for every chunk or row: a field that is missing or null fails `Exists` and all comparisons, and so
passes their `Not`.
"""

from __future__ import annotations

import datetime as dt
import math
import operator
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, TypeAlias, get_args

from kitestring.errors import ConfigError
from kitestring.json_codec import plain, without_surrogates
from kitestring.suggest import did_you_mean

Scalar: TypeAlias = str | bool | int | float | Decimal
"""A value to compare with. A text never equals a number, and true is not 1."""

Order = Literal["gt", "gte", "lt", "lte"]


@dataclass(frozen=True, slots=True)
class OneOf:
    """The field's value is one of these; never for an empty tuple."""

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

OPERATORS = ("eq", "ne", *get_args(Order), "in", "not_in", "contains", "contains_any", "exists", "not")
LISTS = ("and", "or")
OTHER_SPELLINGS = {"nin": "not_in"}
MOST_LEVELS = 32
COMPARE: dict[str, Any] = {"gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le}


def parse(where: Mapping[str, Any]) -> Filter | None:
    """The tree of a mapping; None for an empty one. `ConfigError` for what has no meaning.

    A field has a value, a list of values (any of them), None (no value), or comparisons:
    `{"price": {"gte": 3, "lt": 9}}`; see `OPERATORS`. All conditions of a mapping must hold. `and` and `or` take a
    list of mappings, `not` takes one. `$gte` is `gte`.
    """
    tree = conditions(where, 1)
    return tree if tree != And(()) else None


def conditions(where: Mapping[str, Any], level: int) -> Filter:
    if level > MOST_LEVELS:
        raise ConfigError(f"the filter is nested more than {MOST_LEVELS} levels deep", hint="Make `where` flatter.")
    parts: list[Filter] = []
    for name, value in where.items():
        if not isinstance(name, str):
            raise ConfigError(
                f"the names of fields in a filter are texts, not {type(name).__name__}",
                hint="Correct the filter (`where`).",
            )
        keyword = operator_name(name)
        if keyword in LISTS and is_list(value) and any(isinstance(item, Mapping) for item in value):
            if not all(isinstance(item, Mapping) for item in value):
                raise ConfigError(
                    f"`{name}` takes a list of mappings, and some items are not mappings",
                    hint="Correct the filter (`where`).",
                )
            inner = tuple(conditions(item, level + 1) for item in value)
            parts.append(And(inner) if keyword == "and" else Or(inner))
        elif keyword == "not" and isinstance(value, Mapping) and not is_comparison(value):
            parts.append(Not(conditions(value, level + 1)))
        else:
            parts.append(field_filter(without_surrogates(name), value, level))
    return parts[0] if len(parts) == 1 else And(tuple(parts))


def field_filter(field: str, condition: Any, level: int) -> Filter:
    """The conditions on one field."""
    if not isinstance(condition, Mapping):
        return equals_any(field, condition)
    if level > MOST_LEVELS:
        raise ConfigError(f"the filter is nested more than {MOST_LEVELS} levels deep", hint="Make `where` flatter.")
    parts = tuple(comparison(field, str(keyword), value, level) for keyword, value in condition.items())
    return parts[0] if len(parts) == 1 else And(parts)


def comparison(field: str, keyword: str, value: Any, level: int) -> Filter:
    name = operator_name(keyword)
    if name in ("eq", "in"):
        if name == "in" and not is_list(value):
            raise ConfigError(
                f"`in` takes a list, {field} is compared with {value!r}", hint="Correct the filter (`where`)."
            )
        return equals_any(field, value)
    if name in ("ne", "not_in"):
        if name == "not_in" and not is_list(value):
            raise ConfigError(
                f"`not_in` takes a list, {field} is compared with {value!r}", hint="Correct the filter (`where`)."
            )
        equal = equals_any(field, value)
        return Exists(field) if equal == Not(Exists(field)) else And((Exists(field), Not(equal)))
    if name == "not":
        return Not(field_filter(field, value, level + 1))
    if name == "exists":
        if not isinstance(value, bool):
            raise ConfigError(
                f"`exists` is true or false, for {field} it is {value!r}", hint="Correct the filter (`where`)."
            )
        return Exists(field) if value else Not(Exists(field))
    if name == "contains":
        return Contains(field, scalar(field, value))
    if name == "contains_any":
        if not is_list(value):
            raise ConfigError(
                f"`contains_any` takes a list, {field} is compared with {value!r}", hint="Correct the filter (`where`)."
            )
        held = tuple(Contains(field, scalar(field, item)) for item in value)
        return Or(held) if held else OneOf(field, ())
    if name in get_args(Order):
        bound = scalar(field, value)
        if isinstance(bound, bool):
            raise ConfigError(
                f"{field} is compared by {keyword} with {value}, and true and false have no order", hint="Use eq."
            )
        return Bound(field, name, bound)  # type: ignore[arg-type]
    raise ConfigError(
        f"{keyword} is not a comparison{did_you_mean(name, OPERATORS)}",
        hint=f"Use one of {', '.join(OPERATORS)}.",
        field=field,
    )


def equals_any(field: str, operand: Any) -> Filter:
    values = list(operand) if is_list(operand) else [operand]
    literals = OneOf(field, tuple(scalar(field, value) for value in values if value is not None))
    if len(literals.values) == len(values):
        return literals
    absent = Not(Exists(field))
    return Or((literals, absent)) if literals.values else absent


def scalar(field: str, value: Any) -> Scalar:
    """A value in its stored form: dates and UUIDs are texts."""
    if isinstance(value, str | int | float | Decimal | dt.date | dt.time | uuid.UUID | bytes):
        stored = value if isinstance(value, str | bool | int | float | Decimal) else plain(value)
        if isinstance(stored, float | Decimal) and not math.isfinite(stored):
            return "NaN" if math.isnan(stored) else "Infinity" if stored > 0 else "-Infinity"
        return without_surrogates(stored) if isinstance(stored, str) else stored
    raise ConfigError(
        f"a filter compares with texts, numbers and booleans, {field} is compared with {type(value).__name__}",
        hint="Correct the filter (`where`); `and`, `or` and `not` combine conditions.",
        field=field,
    )


def matches(tree: Filter, fields: Mapping[str, Any]) -> bool:
    """Whether a chunk with these fields passes. Every store must return the same."""
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
            return any(equal(value, operand) for operand in values)
        case Contains(_, operand):
            return isinstance(value, list | tuple) and any(equal(item, operand) for item in value)
        case Bound(_, order, bound):
            if isinstance(value, bool) or isinstance(value, str) != isinstance(bound, str):
                return False
            if not isinstance(value, str | int | float | Decimal):
                return False
            return bool(COMPARE[order](value, bound))


def names_in(tree: Filter) -> set[str]:
    """The fields that a filter tests."""
    match tree:
        case Not(inner):
            return names_in(inner)
        case And(parts) | Or(parts):
            return {name for part in parts for name in names_in(part)}
    return {tree.field}


def equal(value: Any, operand: Scalar) -> bool:
    kinds = (str, bool, (int, float, Decimal))
    kind = next((kind for kind in kinds if isinstance(operand, kind)), ())
    return isinstance(value, kind) and isinstance(value, bool) == isinstance(operand, bool) and value == operand


def operator_name(keyword: str) -> str:
    keyword = keyword.removeprefix("$")
    return OTHER_SPELLINGS.get(keyword, keyword)


def is_comparison(condition: Mapping[str, Any], level: int = 1) -> bool:
    """Whether a mapping compares one field, rather than combines conditions: a field may have the name `not`."""
    if not condition or level > MOST_LEVELS:
        return False
    for keyword, value in condition.items():
        if not isinstance(keyword, str) or operator_name(keyword) not in OPERATORS:
            return False
        if operator_name(keyword) == "not" and isinstance(value, Mapping) and not is_comparison(value, level + 1):
            return False
    return True


def is_list(value: Any) -> bool:
    return isinstance(value, list | tuple | set | frozenset)
