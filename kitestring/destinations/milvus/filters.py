"""Filters in Milvus's language, with every value quoted."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from kitestring.destinations.milvus.layout import Layout
from kitestring.errors import ConfigError

NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")
ESCAPES = str.maketrans({'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"})
OPERATORS = {"eq": "==", "ne": "!=", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def quote(value: Any) -> str:
    """A literal. Other control characters than these stand as they are: a server knows more escapes, Lite does not."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value.encode("utf-8", "replace").decode().translate(ESCAPES)}"'
    if isinstance(value, int | float):
        return json.dumps(value)
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
    parts = []
    for name, wanted in where.items():
        field = place(name, layout)
        if wanted is None:
            if name not in layout.fields:
                raise ConfigError(
                    f"only a typed column can be searched for null, and {name} is none in {layout.collection}",
                    hint=f"Add {name} to indexing.scalar_fields of a new collection.",
                )
            parts.append(f"{field} is null")
        elif isinstance(wanted, Mapping):
            for operator, value in wanted.items():
                if operator not in OPERATORS:
                    raise ConfigError(
                        f"{operator} is not a comparison", hint=f"Use one of {', '.join(OPERATORS)}.", field=name
                    )
                parts.append(f"{field} {OPERATORS[operator]} {quote(value)}")
        elif isinstance(wanted, list | tuple | set | frozenset):
            parts.append(among(field, wanted))
        else:
            parts.append(f"{field} == {quote(wanted)}")
    return " and ".join(parts)


def place(name: str, layout: Layout) -> str:
    """How a filter names a metadata field."""
    stored = name if name in layout.fields or name in ("_ab_record_id",) else layout.stored_name(name)
    if stored not in layout.fields and not layout.dynamic:
        raise ConfigError(
            f"the collection {layout.collection} has no field {name}",
            hint=f"It has {', '.join(sorted(layout.fields))}.",
            field=name,
        )
    return stored if NAME.match(stored) else f"$meta[{quote(stored)}]"
