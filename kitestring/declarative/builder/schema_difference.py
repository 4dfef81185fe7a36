"""The difference between the declared schema of a stream and the schema of the records that were read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from kitestring.schema import json_types

MOST_DIFFERENCES = 1000
SCALARS = frozenset({"boolean", "integer", "number", "string", "array", "object"})


@dataclass(slots=True)
class SchemaDifference:
    """A field whose declaration and records differ.

    `undeclared`: records have the field, the schema does not declare it. `unseen`: the schema declares it, no record
    has it. `type`: records have values of types that are not declared. `declared` and `observed` are types, sorted.
    """

    path: str
    kind: Literal["undeclared", "unseen", "type"]
    declared: list[str]
    observed: list[str]
    sentence: str


def schema_difference(declared: Mapping[str, Any], observed: Mapping[str, Any]) -> list[SchemaDifference]:
    """The differences, in the order of the declared fields, then of the records; at most `MOST_DIFFERENCES`."""
    differences: list[SchemaDifference] = []
    for difference in compare(declared, observed, ""):
        if len(differences) == MOST_DIFFERENCES:
            break
        differences.append(difference)
    return differences


def compare(declared: Mapping[str, Any], observed: Mapping[str, Any], path: str) -> Iterator[SchemaDifference]:
    declared_fields, observed_fields = properties_of(declared), properties_of(observed)
    if not declared_fields and path:
        return  # an object without declared fields holds any
    for name, schema in declared_fields.items():
        place = f"{path}.{name}" if path else name
        if name not in observed_fields:
            types = sorted(json_types(schema))
            yield SchemaDifference(
                place, "unseen", types, [], f"{place} is declared, and no record of this read has it."
            )
            continue
        yield from compare_values(schema, observed_fields[name], place)
    for name, schema in observed_fields.items():
        if name not in declared_fields:
            place = f"{path}.{name}" if path else name
            types = sorted(json_types(schema) - {"null"})
            shown = " or ".join(types) or "null"
            sentence = f"Records have {place} ({shown}), and the schema does not declare it."
            yield SchemaDifference(place, "undeclared", [], types, sentence)


def compare_values(declared: Any, observed: Mapping[str, Any], path: str) -> Iterator[SchemaDifference]:
    if not isinstance(declared, Mapping) or any(key in declared for key in ("$ref", "anyOf", "oneOf", "allOf")):
        return
    known, types = json_types(declared) & SCALARS, json_types(observed) & SCALARS
    allowed = known | ({"integer"} if "number" in known else set())
    if known and not types <= allowed:
        sentence = f"{path} is declared as {' or '.join(sorted(known))}, and records have {' or '.join(sorted(types))}."
        yield SchemaDifference(path, "type", sorted(known), sorted(types), sentence)
    if "object" in types and "object" in allowed:
        yield from compare(declared, observed, path)
    items = declared.get("items")
    if "array" in types and isinstance(items, Mapping) and isinstance(observed.get("items"), Mapping):
        yield from compare_values(items, observed["items"], f"{path}[]")


def properties_of(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    properties = schema.get("properties")
    return properties if isinstance(properties, Mapping) else {}
