"""Schemas of streams: inline in the manifest, from a file beside it, or from the API."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from kitestring import json_codec
from kitestring.declarative.keyword import Node, keyword
from kitestring.declarative.slice import WHOLE
from kitestring.errors import ConfigError
from kitestring.paths import value_at

Schema = Mapping[str, Any]


def schema_of(node: Node) -> Schema:
    """The schema of a stream: from its loader, merged from several loaders, or empty."""
    value = node.get("schema_loader")
    if value is None:
        return {}
    if not isinstance(value, list):
        schema: Schema = node.child("schema_loader", "InlineSchemaLoader").schema()
        return schema
    properties: dict[str, Any] = {}
    for loader in node.children("schema_loader", "InlineSchemaLoader"):
        properties.update(loader.schema().get("properties") or {})
    return {"$schema": "http://json-schema.org/draft-07/schema#", "type": ["null", "object"], "properties": properties}


@keyword("InlineSchemaLoader")
class InlineSchemaLoader:
    """The schema in the manifest."""

    def __init__(self, node: Node, **_: Any) -> None:
        self._schema = node.mapping("schema")

    def schema(self) -> Schema:
        return self._schema


@keyword("JsonFileSchemaLoader")
class JsonFileSchemaLoader:
    """The schema in a JSON file in the folder of the manifest; empty if the file is missing."""

    def __init__(self, node: Node, **_: Any) -> None:
        self._node = node
        self._path = node.text("file_path", "./schemas/{{ parameters['name'] }}.json", types=(str,))

    @property
    def file_path(self) -> str:
        """The path of the file in the folder of the manifest."""
        return str(self._path({}))

    def schema(self) -> Schema:
        folder = self._node.context.folder
        if folder is None:
            return {}
        path = (folder / self.file_path).resolve()
        if not path.is_relative_to(folder.resolve()):
            raise self._node.error("leads out of the folder of the manifest", "file_path")
        if not path.is_file():
            return {}
        try:
            schema = json_codec.loads(path.read_bytes())
        except json_codec.JsonError as error:
            raise ConfigError(f"the schema {path.name} is not JSON: {error}", hint="Correct the file.") from error
        return schema if isinstance(schema, dict) else {}


_NULL = "null"
TYPES: dict[str, dict[str, Any]] = {
    "string": {"type": [_NULL, "string"]},
    "boolean": {"type": [_NULL, "boolean"]},
    "date": {"type": [_NULL, "string"], "format": "date"},
    "timestamp_without_timezone": {
        "type": [_NULL, "string"],
        "format": "date-time",
        "airbyte_type": "timestamp_without_timezone",
    },
    "timestamp_with_timezone": {"type": [_NULL, "string"], "format": "date-time"},
    "time_without_timezone": {"type": [_NULL, "string"], "format": "time", "airbyte_type": "time_without_timezone"},
    "time_with_timezone": {"type": [_NULL, "string"], "format": "time", "airbyte_type": "time_with_timezone"},
    "integer": {"type": [_NULL, "integer"]},
    "number": {"type": [_NULL, "number"]},
    "array": {"type": [_NULL, "array"]},
    "object": {"type": [_NULL, "object"]},
}
"""Airbyte's type names as JSON schemas."""


@keyword("ComplexFieldType")
class ComplexFieldType:
    """A list type with the type of its items: a target of `TypesMap`."""

    def __init__(self, node: Node, **_: Any) -> None:
        self.name = str(node.need("field_type"))
        items = node.get("items")
        if items and self.name != "array":
            raise node.error("only an array has items", "items")
        self.items: Any = (
            node.typed(items, "items", "ComplexFieldType").build() if isinstance(items, Mapping) else items
        )

    def schema(self, node: Node) -> dict[str, Any]:
        schema = type_schema(node, self.name)
        if self.items:
            schema["items"] = (
                self.items.schema(node) if isinstance(self.items, ComplexFieldType) else type_schema(node, self.items)
            )
        return schema


@keyword("TypesMap")
class TypesMap:
    """Maps one of the API's types to one of Airbyte's, if a condition holds."""

    def __init__(self, node: Node, **_: Any) -> None:
        target = node.need("target_type")
        self.target: Any = (
            node.typed(target, "target_type", "ComplexFieldType").build() if isinstance(target, Mapping) else target
        )
        self.current = node.need("current_type")
        self.condition = node.condition(node.get("condition", "True"))


@keyword("SchemaTypeIdentifier")
class SchemaTypeIdentifier:
    """Paths of the field list in the API's response, and of the name and type of each field."""

    def __init__(self, node: Node, **_: Any) -> None:
        self.node = node
        self.fields = node.path_of("schema_pointer") if node.get("schema_pointer") else []
        self.key = node.path_of("key_pointer")
        self.type = node.path_of("type_pointer") if node.get("type_pointer") else []
        self.map: list[TypesMap] = node.children("types_mapping", "TypesMap")

    def schema(self, raw: Any) -> tuple[str, dict[str, Any]]:
        name = value_at(raw, [part({}) for part in self.key])
        if not isinstance(name, str):
            raise ConfigError(f"manifest, {self.node.path}: a field of the API's schema has no name: {raw!r:.120}")
        api_type = value_at(raw, [part({}) for part in self.type], "string") if self.type else "string"
        kind: Any = next(
            (m.target for m in self.map if m.current == api_type and m.condition({"raw_schema": raw})), api_type
        )
        if isinstance(kind, ComplexFieldType):
            return name, kind.schema(self.node)
        if isinstance(kind, list) and len(kind) == 2:
            return name, {"oneOf": [type_schema(self.node, member) for member in kind]}
        return name, type_schema(self.node, kind)


def type_schema(node: Node, kind: Any) -> dict[str, Any]:
    if kind not in TYPES:
        raise ConfigError(
            f"manifest, {node.path}: the API's type {kind!r} is not one of {', '.join(TYPES)}",
            hint="The manifest's types_mapping should map it.",
        )
    return copy.deepcopy(TYPES[kind])


@keyword("DynamicSchemaLoader")
class DynamicSchemaLoader:
    """The schema from the API, requested at first use."""

    def __init__(self, node: Node, **_: Any) -> None:
        self._retriever = node.needed_child("retriever", "SimpleRetriever", name="schema")
        self._identifier: SchemaTypeIdentifier = node.needed_child("schema_type_identifier", "SchemaTypeIdentifier")
        self._filter = node.child("schema_filter", "RecordFilter")
        self._transformations = node.children("schema_transformations")

    def schema(self) -> Schema:
        record = next((record for page in self._retriever.pages(WHOLE) for record in page.records), None)
        raw = value_at(record, [part({}) for part in self._identifier.fields], []) if record else []
        properties = dict(self._identifier.schema(described) for described in raw or ())
        if self._filter is not None:
            properties = {
                name: kind
                for name, kind in properties.items()
                if self._filter.condition({"record": {name: kind}, "stream_slice": WHOLE, "next_page_token": None})
            }
        for transformation in self._transformations:
            transformation.transform(properties, {"record": properties, "stream_slice": WHOLE})
        return {
            "$schema": "https://json-schema.org/draft-07/schema#",
            "type": "object",
            "additionalProperties": True,
            "properties": properties,
        }
