"""Filters of rows as conditions in SQL. Names are quoted, values are literals, and no other table is named."""

from __future__ import annotations

from decimal import Decimal

from kitestring.errors import ConfigError
from kitestring.filters import And, Bound, Contains, Exists, Filter, Leaf, Not, OneOf, Or, Scalar
from kitestring.json_codec import dumps_text
from kitestring.sql.dialect import Dialect
from kitestring.sql.stored_table import StoredTable
from kitestring.sql.types import FLOATS, INTEGERS, TEXT, digits, is_nested

ORDERS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
FALSE, TRUE = "(1 = 0)", "(1 = 1)"


def condition(tree: Filter, table: StoredTable) -> str:
    """A filter as a condition that is true or false for every row. A field without a column is missing in all rows."""
    match tree:
        case Not(inner):
            return f"(NOT {condition(inner, table)})"
        case And(parts):
            return f"({' AND '.join(condition(part, table) for part in parts)})" if parts else TRUE
        case Or(parts):
            return f"({' OR '.join(condition(part, table) for part in parts)})" if parts else FALSE
    column = table.fields.get(tree.field)
    if column is None:
        return FALSE
    name = table.dialect.quoted(column)
    test = leaf(tree, name, table.columns[column], table.dialect)
    # A comparison of null is null, which NOT would leave so.
    return f"({name} IS NOT NULL AND coalesce({test}, {FALSE}))"


def leaf(tree: Leaf, name: str, kind: str, dialect: Dialect) -> str:
    match tree:
        case Exists():
            return TRUE
        case OneOf(_, values):
            equals = (equal(name, kind, value, dialect) for value in values)
            return f"({' OR '.join(equals)})" if values else FALSE
        case Contains(field, item):
            if not is_document(kind):
                if kind == TEXT:
                    raise ConfigError(
                        f"`contains` looks into a list, and {field} is a column of text in {dialect.title}",
                        hint="Compare its whole text.",
                        field=field,
                    )
                return FALSE
            return dialect.contains(name, kind, item)
        case Bound(_, order, bound):
            if isinstance(bound, str):
                text = as_text(name, kind, dialect)
                return FALSE if text is None else f"{dialect.ordered(text)} {ORDERS[order]} {dialect.literal(bound)}"
            return f"{dialect.number(name, kind)} {ORDERS[order]} {number(bound)}" if is_number(kind) else FALSE


def equal(name: str, kind: str, value: Scalar, dialect: Dialect) -> str:
    if isinstance(value, bool):
        return (
            f"{name} = {TRUE}" if kind == "BOOLEAN" and value else f"{name} = {FALSE}" if kind == "BOOLEAN" else FALSE
        )
    if isinstance(value, str):
        text = as_text(name, kind, dialect)
        return FALSE if text is None else f"{text} = {dialect.literal(value)}"
    return f"{dialect.number(name, kind)} = {number(value)}" if is_number(kind) else FALSE


def as_text(name: str, kind: str, dialect: Dialect) -> str | None:
    """The text that a row has for this column; None if it has no text."""
    if is_number(kind) or kind == "BOOLEAN" or is_document(kind):
        return None
    return dialect.converted(name, kind, TEXT)


def is_number(kind: str) -> bool:
    return kind in INTEGERS or kind in FLOATS or kind == "numeric" or digits(kind) is not None


def is_document(kind: str) -> bool:
    """Whether a row has a list or an object for this column."""
    return kind == "JSON" or is_nested(kind)


def number(value: float | Decimal) -> str:
    text = format(value, "f") if isinstance(value, Decimal) else dumps_text(value)
    return f"({text})" if text.startswith("-") else text
