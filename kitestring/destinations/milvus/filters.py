"""Filters in Milvus's language, with every value quoted."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from kitestring.destinations.milvus.fitting import convert
from kitestring.destinations.milvus.layout import Field, Layout
from kitestring.errors import ConfigError
from kitestring.filters import And, Bound, Contains, Exists, Filter, Leaf, Not, OneOf, Or
from kitestring.json_codec import dumps_text, without_surrogates
from kitestring.names import marked
from kitestring.vector.payload import FILTERED, INT64_MAX, INT64_MIN, json_safe
from kitestring.vector.text_filter import Lexer

NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")
KEYWORDS = frozenset(
    {
        *("and", "or", "not", "in", "like", "exists", "is", "null", "true", "false", "int64_max", "int64_min"),
        *("json_contains", "json_contains_all", "json_contains_any", "array_contains", "array_contains_all"),
        *("array_contains_any", "array_length", "text_match", "phrase_match", "random_sample", "empty", "interval"),
    }
)
"""Names that the language does not accept for fields (dynamic fields need another syntax)."""
ESCAPES = str.maketrans({'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"})
ORDERS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
ESCAPE = r"""\\(?:["'\\?abfnrtv]|[0-7]{1,3}|x[0-9A-Fa-f]+|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8})"""
TEXT_FILTER = Lexer(
    "Milvus",
    string=re.compile(rf""" "(?:[^"\\\r\n]|{ESCAPE})*" | '(?:[^'\\\r\n]|{ESCAPE})*' """, re.VERBOSE),
    rest=re.compile(r"""[^"'\\()\[\]{}]+"""),
    hint='Write a backslash as \\\\, " as \\".',
)
"""Only what both lexers, the server's (`Plan.g4`) and Lite's, read in one way: neither has comments."""


def quote(value: Any) -> str:
    """A literal. Control characters without an escape here stay as they are: a server has more escapes, Lite does
    not."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float | Decimal):
        value = json_safe(value)
    if isinstance(value, str):
        return f'"{without_surrogates(value).translate(ESCAPES)}"'
    return dumps_text(value)


def among(name: str, values: Iterable[Any]) -> str:
    """`name in [...]`."""
    return f"{name} in [{','.join(map(quote, values))}]"


def condition(where: Filter | str | None, layout: Layout) -> str:
    """`where` as a filter in Milvus's language; a text is one already, and stays in its place. Fields have their names
    in the record."""
    if where is None or isinstance(where, str):
        return TEXT_FILTER.confined(where or "")
    return render(resolve_fields(where, layout), layout)


def resolve_fields(tree: Filter, layout: Layout) -> Filter:
    """The same tree with the stored names of the record's fields.

    A field whose name is reserved is stored with `_` in front, or, if the record has a field of that name, with a mark.
    """
    match tree:
        case Not(inner):
            return Not(resolve_fields(inner, layout))
        case And(parts):
            return And(tuple(resolve_fields(part, layout) for part in parts))
        case Or(parts):
            return Or(tuple(resolve_fields(part, layout) for part in parts))
    name, own = tree.field, stored_name(tree.field, layout)
    stored, field = column_reference(name, layout), layout.fields.get(own)
    leaf = replace(tree, field=stored) if field is None else in_column(tree, stored, field, layout)
    if own != name and layout.dynamic:
        other = field_reference(marked(own, name))
        return Or((And((leaf, Not(Exists(other)))), replace(tree, field=other)))
    return leaf


def in_column(leaf: Leaf, stored: str, field: Field, layout: Layout) -> Filter:
    """A leaf for a typed column. Values that the column cannot hold are in the dynamic field."""
    beside = field_reference(marked(field.name, field.name))
    if isinstance(leaf, Contains):
        if field.type not in ("JSON", "ARRAY"):
            raise ConfigError(
                f"only a list contains values, and the column {field.name} is {field.type}", hint="Use eq or in."
            )
        return replace(leaf, field=stored)
    if isinstance(leaf, Exists):
        return Or((Exists(stored), Exists(beside))) if layout.dynamic else Exists(stored)
    if isinstance(leaf, Bound):
        value = column_value(leaf.value, field)
        return replace(leaf, field=beside) if value is None else replace(leaf, field=stored, value=value)
    fitting = [(column_value(value, field), value) for value in leaf.values]
    parts = [OneOf(stored, tuple(value for value, _ in fitting if value is not None))]
    if rest := tuple(original for value, original in fitting if value is None):
        parts.append(OneOf(beside, rest))
    non_empty = tuple(part for part in parts if part.values)
    return non_empty[0] if len(non_empty) == 1 else Or(non_empty)


def column_value(value: Any, field: Field) -> Any:
    """The value in the column's type; None if no value of the type equals it."""
    if field.type in ("JSON", "ARRAY"):
        return value
    if field.type != "VARCHAR" and isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return value
    return convert(value, field)


def render(tree: Filter, layout: Layout, present_fields: frozenset[str] = frozenset()) -> str:
    """The filter of a resolved tree. `present_fields`: fields that exist in every row at this point."""
    match tree:
        case Not(inner):
            return render_not(inner, layout, present_fields)
        case And(parts):
            present_fields |= {part.field for part in parts if isinstance(part, Exists)}
            return join_filters([render(part, layout, present_fields) for part in parts], True, layout)
        case Or(parts):
            return join_filters([render(part, layout, present_fields) for part in parts], False, layout)
        case Exists(stored):
            return present(stored, layout)
        case OneOf(stored, values):
            kinds: dict[type, list[Any]] = {}
            for value in map(json_safe, values):  # a list must have values of one type
                kinds.setdefault(float if type(value) is int else type(value), []).append(value)
            texts = [
                among(stored, same) if len(same) > 1 else f"{stored} == {quote(same[0])}" for same in kinds.values()
            ]
            return join_filters(texts, False, layout)
        case Bound(stored, order, value):
            return f"{stored} {ORDERS[order]} {quote(value if isinstance(value, str) else near(value))}"
        case Contains(stored, value):
            field = layout.fields.get(stored)
            verb = "array_contains" if field is not None and field.type == "ARRAY" else "json_contains"
            return f"{verb}({stored}, {quote(value)})"


def render_not(tree: Filter, layout: Layout, present_fields: frozenset[str]) -> str:
    """The filter of rows that fail a resolved tree. If a field is missing or of another type, the row fails both a
    comparison and its `not` on Lite, and passes the `not` on a server: so the filter is explicit about such rows."""
    match tree:
        case Not(inner):
            return render(inner, layout, present_fields)
        case And(parts):
            return join_filters([render_not(part, layout, present_fields) for part in parts], False, layout)
        case Or(parts):
            return join_filters([render_not(part, layout, present_fields) for part in parts], True, layout)
        case Exists(stored):
            return absent(stored, layout)
    texts = [] if tree.field in present_fields else [absent(tree.field, layout)]
    texts.append(f"(not ({render(tree, layout)}))")
    if isinstance(tree, Bound) and tree.field not in layout.fields:
        other = quote("") if not isinstance(tree.value, str) else quote(-sys.float_info.max)
        texts.append(f"{tree.field} >= {other}")
    return join_filters(texts, False, layout)


def join_filters(parts: Sequence[str], every: bool, layout: Layout) -> str:
    """All of these filters, or any of them."""
    yes, no = (NOTHING.format(layout.primary.name) for NOTHING in ("(not ({} in []))", "{} in []"))
    decisive, neutral = (no, yes) if every else (yes, no)
    if decisive in parts:
        return decisive
    parts = [part for part in parts if part != neutral]
    if len(parts) > 1:
        return "(" + (" and " if every else " or ").join(parts) + ")"
    return parts[0] if parts else neutral


# A server of 2.3 reads `exists a or b` as `exists (a or b)`, and its `not` binds more loosely than `and`.


def present(stored: str, layout: Layout) -> str:
    field = layout.fields.get(stored)
    if field is None:
        return f"(exists {stored})"
    return f"{stored} is not null" if field.nullable else join_filters([], True, layout)


def absent(stored: str, layout: Layout) -> str:
    field = layout.fields.get(stored)
    if field is None:
        return f"(not (exists {stored}))"
    return f"{stored} is null" if field.nullable else join_filters([], False, layout)


def near(value: float | Decimal) -> float | int:
    """The number to compare with, limited to 64 bits."""
    if isinstance(value, int) and INT64_MIN <= value <= INT64_MAX:
        return value
    most = sys.float_info.max
    return float(max(-most, min(most, value)))


def column_reference(name: str, layout: Layout) -> str:
    """A metadata field in a filter."""
    stored = stored_name(name, layout)
    if stored not in layout.fields and not layout.dynamic:
        raise ConfigError(
            f"the collection {layout.collection} has no field {name}",
            hint=f"It has {', '.join(sorted(layout.fields))}.",
            field=name,
        )
    return stored if stored in layout.fields and NAME.match(stored) else field_reference(stored)


def stored_name(name: str, layout: Layout) -> str:
    """The name under which a field of the record is stored, unless another field has it."""
    return name if name in FILTERED else layout.free_name(name)


def field_reference(name: str) -> str:
    return name if NAME.match(name) and name.lower() not in KEYWORDS else f"$meta[{quote(name)}]"
