"""Filters as SQL, with every value and every name of a field as a parameter."""

from __future__ import annotations

from typing import Any

from kitestring.destinations.pgvector.rows import clean_text, clean_value
from kitestring.filters import And, Bound, Contains, Exists, Filter, Not, OneOf, Or
from kitestring.json_codec import dumps_text

OF_ROWS = {
    "_ab_stream": "to_jsonb(stream)",
    "_ab_record_id": "to_jsonb(record_id)",
    "chunk_number": "to_jsonb(chunk_number)",
}
ORDERS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def condition(tree: Filter | str, values: dict[str, Any]) -> str:
    """A filter as SQL that is true or false for every row; its parameters are added to `values`. A text is a jsonpath
    predicate over the metadata, which reads nothing else."""
    if isinstance(tree, str):
        values["path"] = tree
        return "coalesce(metadata @@ %(path)s::jsonpath, false)"
    match tree:
        case Not(inner):
            return f"NOT {condition(inner, values)}"
        case And(parts):
            return f"({' AND '.join(condition(part, values) for part in parts) or 'true'})"
        case Or(parts):
            return f"({' OR '.join(condition(part, values) for part in parts) or 'false'})"

    def parameter(value: Any) -> str:
        values[f"p{len(values)}"] = value
        return f"%(p{len(values) - 1})s"

    value = OF_ROWS.get(tree.field) or f"metadata -> {parameter(clean_text(tree.field))}::text"
    match tree:
        case Exists():
            test = f"jsonb_typeof({value}) <> 'null'"
        case OneOf(_, items):
            test = f"{value} = ANY ({parameter([dumps_text(clean_value(item)) for item in items])}::text[]::jsonb[])"
        case Contains(_, item):
            test = f"jsonb_typeof({value}) = 'array' AND {value} @> {parameter(dumps_text([clean_value(item)]))}::jsonb"
        case Bound(_, order, bound) if isinstance(bound, str):
            text = f"({value} #>> '{{}}') COLLATE \"C\" {ORDERS[order]} {parameter(clean_text(bound))}::text"
            test = f"jsonb_typeof({value}) = 'string' AND {text}"
        case Bound(_, order, bound):
            test = f"jsonb_typeof({value}) = 'number' AND {value} {ORDERS[order]} {parameter(dumps_text(bound))}::jsonb"
    return f"coalesce({test}, false)"
