"""The types of scalar fields, from the schemas of the streams that a collection is made for."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

log = logging.getLogger("kitestring.milvus")

TYPES = {
    "string": "VARCHAR",
    "integer": "INT64",
    "number": "DOUBLE",
    "boolean": "BOOL",
    "object": "JSON",
    "array": "JSON",
}


def column_types(
    scalar_fields: Mapping[str, str], schemas: Sequence[Mapping[str, Any]], partition_key: str | None
) -> dict[str, str]:
    """A type for each scalar field. A field without a type gets that of the streams' schemas; if they have none, or
    several, it gets no column: the dynamic field holds any value, and filters can use it too."""
    columns: dict[str, str] = {}
    for name, kind in scalar_fields.items():
        if kind != "AUTO":
            columns[name] = kind
            continue
        declared = {TYPES[json_type] for schema in schemas for json_type in json_types(schema, name)}
        if declared == {"INT64", "DOUBLE"}:
            declared = {"DOUBLE"}
        if len(declared) == 1:
            columns[name] = declared.pop()
        elif name == partition_key:
            columns[name] = "VARCHAR"
        else:
            log.info(
                "a scalar field gets no column: the schemas have no type for it, or several",
                extra={"field": name, "types": sorted(declared)},
            )
    return columns


def json_types(schema: Mapping[str, Any], name: str) -> set[str]:
    """The types of values that a schema allows a field, null aside."""
    properties = schema.get("properties")
    declared = properties.get(name) if isinstance(properties, Mapping) else None
    return set(json_type_names(declared)) if isinstance(declared, Mapping) else set()


def json_type_names(declared: Mapping[str, Any]) -> Iterator[str]:
    kinds = declared.get("type")
    kinds = [kinds] if isinstance(kinds, str) else kinds or ()
    if declared.get("airbyte_type") == "integer" and "number" in kinds:
        kinds = ["integer"]
    yield from (kind for kind in kinds if kind in TYPES)
    for union in ("anyOf", "oneOf"):
        for branch in declared.get(union) or ():
            if isinstance(branch, Mapping):
                yield from json_type_names(branch)
