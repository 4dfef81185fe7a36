"""A JSON schema inferred from records."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

DATE = re.compile(r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])")
TIME = re.compile(DATE.pattern + r"[T ](?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d+)?(Z|[+-]\d\d:?\d\d)?")
MOST_PATHS = 10_000
ORDER = ("null", "boolean", "integer", "number", "string", "array", "object")


def infer_schema(records: Iterable[Mapping[str, Any]], required: Collection[str] = ()) -> dict[str, Any]:
    """The JSON schema (draft 7) of all records. Fields may be null, except those in `required` (the primary key).

    A text field is a date or a time if all its values are; a field without values may have any type.
    """
    shape = ObservedSchema()
    for record in records:
        shape.see(record)
    return record_schema(shape, required)


def record_schema(shape: ObservedSchema, required: Collection[str] = ()) -> dict[str, Any]:
    """The JSON schema of records that were seen; see `infer_schema`."""
    schema: dict[str, Any] = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "additionalProperties": True,
        "properties": {name: inner.schema(name not in required) for name, inner in shape.fields.items()},
    }
    required_fields = [name for name in shape.fields if name in required]
    return {**schema, "required": required_fields} if required_fields else schema


class ObservedSchema:
    """The types, formats and members of the values at one path of the records.

    At most `MOST_PATHS` paths are kept: objects whose keys are ids would make a schema as large as the records.
    """

    def __init__(self, room: list[int] | None = None) -> None:
        self._room = [MOST_PATHS] if room is None else room
        self._room[0] -= 1
        self.types: set[str] = set()
        self.formats: set[str] = set()
        self.fields: dict[str, ObservedSchema] = {}
        self.items: ObservedSchema | None = None

    def see(self, value: Any) -> None:
        kind = type_of(value)
        self.types.add(kind)
        if kind == "string":
            self.formats.add(format_of(value))
        elif kind == "object":
            for name, inner in value.items():
                if (member := self.fields.get(str(name))) is None:
                    if self._room[0] <= 0:
                        continue
                    member = self.fields[str(name)] = ObservedSchema(self._room)
                member.see(inner)
        elif kind == "array":
            for inner in value:
                self.items = self.items or ObservedSchema(self._room)
                self.items.see(inner)

    def schema(self, nullable: bool = True) -> dict[str, Any]:
        types = self.types - {"null"}
        if "number" in types:
            types.discard("integer")
        if not types:
            return {}
        names = [name for name in ORDER if name in types or (name == "null" and (nullable or "null" in self.types))]
        schema: dict[str, Any] = {"type": names[0] if len(names) == 1 else names}
        if types == {"string"} and len(self.formats) == 1:
            form = next(iter(self.formats))
            if form == "local":
                schema |= {"format": "date-time", "airbyte_type": "timestamp_without_timezone"}
            elif form:
                schema["format"] = form
        if "object" in types:
            schema["additionalProperties"] = True
            schema["properties"] = {name: inner.schema() for name, inner in self.fields.items()}
        if "array" in types:
            schema["items"] = self.items.schema() if self.items is not None else {}
        return schema


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
