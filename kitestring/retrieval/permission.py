"""Permissions of readers: the filter that a row must pass before anybody reads it.

A permission is a filter of `filters.py` with positive conditions only, so that a row without its fields never passes.
A server stores it as a template, in which `$user` stands for an attribute of whoever reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from kitestring.errors import ConfigError
from kitestring.filters import MOST_LEVELS, And, Filter, Not, Or, is_list, parse
from kitestring.suggest import did_you_mean

HINT = "A permission has conditions such as contains, contains_any, in, eq, gte, combined with and, or."
MOST_VALUES = 10_000
"""The values of one attribute."""


def permission_of(conditions: Mapping[str, Any]) -> Filter:
    """The filter of a permission. `ConfigError` for one that a row without its fields would pass."""
    tree = parse(conditions)
    if tree is None:
        raise ConfigError("a permission has no condition, and everybody would read everything", hint=HINT)
    require_positive(tree)
    return tree


def require_positive(tree: Filter) -> None:
    """Refuse conditions that a missing field passes, and those that every row passes."""
    match tree:
        case Not():
            raise ConfigError(
                "a permission has the condition not, ne, not_in, null or exists: false, and records without the field"
                " would pass it",
                hint=f"Say which values may be read. {HINT}",
            )
        case And(()):
            raise ConfigError("a part of a permission has no condition, and every record would pass it", hint=HINT)
        case And(parts) | Or(parts):
            for part in parts:
                require_positive(part)


def attributes_in(template: Mapping[str, Any]) -> set[str]:
    """The attributes of a reader that a template names."""
    names: set[str] = set()

    def note(name: str) -> str:
        names.add(name)
        return name

    replaced(template, note, 1)
    return names


def check_template(template: Mapping[str, Any]) -> None:
    """Raise why a template is no permission. Nothing is read."""
    permission_of(substituted(template, {name: ["x", "y"] for name in attributes_in(template)}, sample=True))


def substituted(
    template: Mapping[str, Any], attributes: Mapping[str, Any], *, sample: bool = False
) -> Mapping[str, Any]:
    """The permission of one reader: `$name` is replaced by an attribute, a text, a number, or a list of these. `$$` is
    a `$`. `ConfigError` if the reader has no such attribute. `sample`: lists may stand for single values."""

    def value_of(name: str) -> Any:
        if name not in attributes:
            raise ConfigError(
                f"the permission of this destination needs the attribute {name} of the reader, and it was not"
                f" given{did_you_mean(name, sorted(attributes))}",
                hint=f"It has: {', '.join(sorted(attributes)) or 'none'}.",
            )
        value = attributes[name]
        values = list(value) if is_list(value) else [value]
        if len(values) > MOST_VALUES:
            raise ConfigError(
                f"the attribute {name} has {len(values):,} values, and {MOST_VALUES:,} are allowed",
                hint="Give the reader fewer groups.",
            )
        for item in values:
            require_scalar(name, item)
        return values if is_list(value) else value

    result = replaced(template, value_of, 1, sample)
    assert isinstance(result, Mapping)
    return result


def require_scalar(name: str, value: Any) -> None:
    """Refuse a value that is more than a value, and one that a store would change: two readers would become one."""
    if not isinstance(value, str | int | float | Decimal):
        kind = "null" if value is None else type(value).__name__
        raise ConfigError(
            f"the attribute {name} of the reader is a text, a number, or a list of these, and one is {kind}",
            hint="Correct the attributes of the reader.",
        )
    if isinstance(value, str) and any(sign == "\0" or "\ud800" <= sign <= "\udfff" for sign in value):
        raise ConfigError(
            f"the attribute {name} of the reader has a NUL or half a character, which no store can hold",
            hint="Correct the attributes of the reader.",
        )


def replaced(node: Any, value_of: Any, level: int, sample: bool = False) -> Any:
    """A template with its attributes replaced. A list in a list becomes a part of it."""
    if level > 2 * MOST_LEVELS:
        raise ConfigError(
            f"the permission is nested more than {2 * MOST_LEVELS} levels deep", hint="Make the permission flatter."
        )
    if isinstance(node, Mapping):
        result = {}
        for name, inner in node.items():
            value = replaced(inner, value_of, level + 1, sample)
            if is_list(value) and not is_list(inner) and str(name).removeprefix("$") in SINGLE_VALUED:
                if not sample:
                    raise ConfigError(
                        f"{name} compares with one value, and the attribute {inner} of the reader has several",
                        hint="Use contains_any or in for a list.",
                    )
                value = value[0]
            result[name] = value
        return result
    if is_list(node):
        items: list[Any] = []
        for inner in node:
            value = replaced(inner, value_of, level + 1, sample)
            items.extend(value) if is_list(value) and not is_list(inner) else items.append(value)
        return items
    if not isinstance(node, str) or not node.startswith("$"):
        return node
    return node[1:] if node.startswith("$$") else value_of(node[1:])


SINGLE_VALUED = ("contains", "gt", "gte", "lt", "lte")
"""Comparisons with one value; others take a list too."""
