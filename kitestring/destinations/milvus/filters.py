"""Filters in Milvus's language, with every value quoted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from kitestring.destinations.milvus.fitting import plain, typed
from kitestring.destinations.milvus.layout import Field, Layout
from kitestring.errors import ConfigError
from kitestring.json_codec import dumps_text, without_surrogates
from kitestring.names import marked

NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")
ESCAPES = str.maketrans({'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"})
COMMON = ("_ab_stream", "_ab_record_id", "chunk_number")
"""Fields of ours that a filter means by their names; every other name is that of a field of the record."""

OPERATORS = {"eq": "==", "ne": "!=", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def quote(value: Any) -> str:
    """A literal. Other control characters than these stand as they are: a server knows more escapes, Lite does not."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float | Decimal):
        value = plain(value)
    if isinstance(value, str):
        return f'"{without_surrogates(value).translate(ESCAPES)}"'
    if isinstance(value, int | float):
        return dumps_text(value)
    raise ConfigError(
        f"a filter compares with texts, numbers and booleans, not with {type(value).__name__}", hint="Correct `where`."
    )


def among(name: str, values: Iterable[Any]) -> str:
    """`name in [...]`."""
    return f"{name} in [{','.join(map(quote, values))}]"


def condition(where: str | Mapping[str, Any] | None, layout: Layout) -> str:
    """`where` as a filter: a text is one already; a mapping is field to value, list of values, None, or {"gte": value}
    (eq, ne, gt, gte, lt, lte), joined with `and`. Fields are named as in the record."""
    if where is None or where == "":
        return ""
    if isinstance(where, str):
        return where
    return " and ".join(part for name, wanted in where.items() for part in parts(name, wanted, layout))


def parts(name: str, wanted: Any, layout: Layout) -> Iterator[str]:
    if wanted is None:
        if own_name(name, layout) not in layout.fields:
            raise ConfigError(
                f"only a typed column can be searched for null, and {name} is none in {layout.collection}",
                hint=f"Add {name} to indexing.scalar_fields of a new collection.",
            )
        yield f"{place(name, layout)} is null"
    elif isinstance(wanted, Mapping):
        for word, value in wanted.items():
            if word not in OPERATORS:
                raise ConfigError(f"{word} is not a comparison", hint=f"Use one of {', '.join(OPERATORS)}.", field=name)
            yield compared(name, OPERATORS[word], [value], layout)
    elif isinstance(wanted, list | tuple | set | frozenset):
        yield compared(name, "in", list(wanted), layout)
    else:
        yield compared(name, "==", [wanted], layout)


def compared(name: str, operator: str, values: list[Any], layout: Layout) -> str:
    """A comparison with a field of the record, wherever that may be stored.

    A field whose name is not free is stored with `_` in front, or, beside a field of that name, with a mark.
    """
    stored = place(name, layout)
    field = layout.fields.get(own_name(name, layout))
    fitting = [(column_value(value, field), value) for value in values]
    here = [value for value, _ in fitting if value is not None]
    # What a column cannot hold is in the dynamic field beside it.
    beside = [original for value, original in fitting if value is None]
    found = []
    if here or field is None:
        found.append(comparison(stored, operator, values if field is None else here))
    if field is not None and (beside or not here):
        found.append(comparison(literal(marked(field.name, field.name)), operator, beside))
    if own_name(name, layout) != name and layout.dynamic:
        other = literal(marked(own_name(name, layout), name))
        found = [f"{part} and not exists {other}" for part in found] + [comparison(other, operator, values)]
    return found[0] if len(found) == 1 else f"({' or '.join(f'({part})' for part in found)})"


def column_value(value: Any, field: Field | None) -> Any:
    """The value as a column holds it; None where it holds none that equals it."""
    if field is None or field.type in ("JSON", "ARRAY"):
        return value
    if field.type != "VARCHAR" and isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return value
    return typed(value, field) if isinstance(value, str | int | float | Decimal) else value


def comparison(field: str, operator: str, values: list[Any]) -> str:
    return among(field, values) if operator == "in" else f"{field} {operator} {quote(values[0])}"


def place(name: str, layout: Layout) -> str:
    """How a filter names a metadata field."""
    stored = own_name(name, layout)
    if stored not in layout.fields and not layout.dynamic:
        raise ConfigError(
            f"the collection {layout.collection} has no field {name}",
            hint=f"It has {', '.join(sorted(layout.fields))}.",
            field=name,
        )
    return literal(stored)


def own_name(name: str, layout: Layout) -> str:
    """The name under which a field of the record is stored where that is free."""
    return name if name in COMMON else layout.free_name(name)


def literal(name: str) -> str:
    return name if NAME.match(name) else f"$meta[{quote(name)}]"
