"""A JSON schema inferred from records."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

DATE = re.compile(r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])")
TIME = re.compile(DATE.pattern + r"[T ](?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d+)?(Z|[+-]\d\d:?\d\d)?")
ORDER = ("null", "boolean", "integer", "number", "string", "array", "object")


def infer_schema(records: Iterable[Mapping[str, Any]], required: Collection[str] = ()) -> dict[str, Any]:
    """The JSON schema (draft 7) that all records fit. Fields may be null, except those in `required` (the primary key).

    A text field is a date or a time where every value that was seen is one; a field that never held a value may hold
    anything.
    """
    shape = Shape()
    for record in records:
        shape.see(record)
    found: dict[str, Any] = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "additionalProperties": True,
        "properties": {name: inner.schema(name not in required) for name, inner in shape.fields.items()},
    }
    kept = [name for name in shape.fields if name in required]
    return {**found, "required": kept} if kept else found


class Shape:
    """What was seen at one place of the records."""

    def __init__(self) -> None:
        self.types: set[str] = set()
        self.formats: set[str] = set()
        self.fields: dict[str, Shape] = {}
        self.items: Shape | None = None

    def see(self, value: Any) -> None:
        kind = type_of(value)
        self.types.add(kind)
        if kind == "string":
            self.formats.add(format_of(value))
        elif kind == "object":
            for name, inner in value.items():
                self.fields.setdefault(str(name), Shape()).see(inner)
        elif kind == "array":
            for inner in value:
                self.items = self.items or Shape()
                self.items.see(inner)

    def schema(self, nullable: bool = True) -> dict[str, Any]:
        types = self.types - {"null"}
        if "number" in types:
            types.discard("integer")
        if not types:
            return {}
        names = [name for name in ORDER if name in types or (name == "null" and (nullable or "null" in self.types))]
        found: dict[str, Any] = {"type": names[0] if len(names) == 1 else names}
        if types == {"string"} and len(self.formats) == 1:
            form = next(iter(self.formats))
            if form == "local":
                found |= {"format": "date-time", "airbyte_type": "timestamp_without_timezone"}
            elif form:
                found["format"] = form
        if "object" in types:
            found["additionalProperties"] = True
            found["properties"] = {name: inner.schema() for name, inner in self.fields.items()}
        if "array" in types:
            found["items"] = self.items.schema() if self.items is not None else {}
        return found


def type_of(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "number"
    if isinstance(value, Mapping):
        return "object"
    return "array" if isinstance(value, list | tuple) else "string"


def format_of(value: Any) -> str:
    """date, date-time, `local` for a time without a zone, or an empty text."""
    text = str(value)
    if DATE.fullmatch(text):
        return "date"
    match = TIME.fullmatch(text)
    return "" if match is None else "date-time" if match[1] else "local"
