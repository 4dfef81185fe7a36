"""An OpenAPI document of version 2 or 3: its references within limits, its schemas as JSON Schema, its servers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urljoin

from kitestring import json_codec
from kitestring.declarative.builder.manifest_plan import Input, config_template, literal_text, snake, title_of
from kitestring.declarative.manifest import parse
from kitestring.errors import ConfigError

LARGEST = 16 * 1024 * 1024
"""Characters of a document."""
MOST_STEPS = 2_000_000
"""Parts of the document that may be looked at: references may make a small one endless."""
LONGEST_CHAIN = 20
"""References behind each other."""
MOST_FIELDS = 150
"""Fields of a stream's schema."""
DEEPEST = 3
FORMATS = frozenset({"date", "date-time"})
TYPES = frozenset({"string", "integer", "number", "boolean", "object", "array"})


class OpenApiDocument:
    """A parsed document. What is not as OpenAPI has it is taken as absent."""

    def __init__(self, text: str, url: str = "") -> None:
        """`url`: where the document is from, for relative servers."""
        self._url, self._steps, self.external = url, 0, 0
        if len(text) > LARGEST:
            raise ConfigError(f"the document has {len(text):,} characters, the limit is {LARGEST:,}")
        try:
            values = json_codec.loads(text)
        except json_codec.JsonError:
            values = parse(text, "the document")
        self.root = mapping(values)
        self.version = 3 if str(self.root.get("openapi", "")).startswith("3") else 2 if "swagger" in self.root else 0
        if not self.version or not isinstance(self.root.get("paths"), Mapping):
            raise ConfigError(
                "the text is not an OpenAPI document: it has no `openapi` or `swagger` with `paths`",
                hint="Use the document of the API as JSON or YAML, of OpenAPI 2 (Swagger) or 3.",
            )

    def resolved(self, node: Any) -> Mapping[str, Any]:
        """A node behind its references. Only references inside the document are followed."""
        for _ in range(LONGEST_CHAIN):
            self._step()
            values = mapping(node)
            reference = values.get("$ref")
            if not isinstance(reference, str):
                return values
            if not reference.startswith("#/"):
                self.external += 1
                return {}
            node = self.root
            for part in reference[2:].split("/"):
                name = unquote(part).replace("~1", "/").replace("~0", "~")
                if isinstance(node, list) and name.isdecimal() and int(name) < len(node):
                    node = node[int(name)]
                else:
                    node = mapping(node).get(name)
        return {}

    def merged(self, node: Any, depth: int = 0) -> Mapping[str, Any]:
        """A schema with its `allOf` merged, and the one real branch of `anyOf` and `oneOf`."""
        schema = self.resolved(node)
        if depth > DEEPEST:
            return schema
        parts = sequence(schema.get("allOf"))
        branches = sequence(schema.get("anyOf")) or sequence(schema.get("oneOf"))
        real = [branch for branch in branches if mapping(branch).get("type") != "null"]
        if len(real) == 1:
            parts = [*parts, *real]
        if not parts:
            return schema
        values = {name: value for name, value in schema.items() if name not in ("allOf", "anyOf", "oneOf")}
        properties = dict(mapping(schema.get("properties")))
        for part in parts[:100]:
            inner = self.merged(part, depth + 1)
            properties = {**mapping(inner.get("properties")), **properties}
            values = {**inner, **values}
        return {**values, **({"properties": properties} if properties else {})}

    def type_of(self, schema: Mapping[str, Any]) -> str:
        """The type of a merged schema; empty where it is open or several."""
        named = schema.get("type")
        types = [item for item in (named if isinstance(named, list) else [named]) if item in TYPES]
        if len(types) == 1:
            return str(types[0])
        return "object" if "properties" in schema and not types else "array" if "items" in schema and not types else ""

    def json_schema(self, node: Any, keys: frozenset[str] = frozenset()) -> dict[str, Any]:
        """The JSON schema of records. Fields may be null, except `keys`. At most `MOST_FIELDS` fields."""
        room = [MOST_FIELDS]
        properties = self._properties(self.merged(node), 0, room, references_of(node), keys)
        return {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "type": "object",
            "additionalProperties": True,
            "properties": properties,
        }

    def _properties(
        self,
        schema: Mapping[str, Any],
        depth: int,
        room: list[int],
        above: frozenset[str],
        keys: frozenset[str] = frozenset(),
    ) -> dict[str, Any]:
        """The fields of an object. `above`: the references that led here; a schema that holds itself ends there."""
        properties: dict[str, Any] = {}
        for name, value in mapping(schema.get("properties")).items():
            if room[0] <= 0:
                break
            inner = self.merged(value)
            if inner.get("writeOnly") is True:
                continue
            room[0] -= 1
            references = references_of(value)
            properties[str(name)] = self._value_schema(
                inner, DEEPEST if references & above else depth + 1, room, above | references, str(name) in keys
            )
        return properties

    def _value_schema(
        self, schema: Mapping[str, Any], depth: int, room: list[int], above: frozenset[str], required: bool = False
    ) -> dict[str, Any]:
        kind = self.type_of(schema)
        if not kind:
            return {}
        values: dict[str, Any] = {"type": kind if required else ["null", kind]}
        if kind == "string" and schema.get("format") in FORMATS:
            values["format"] = schema["format"]
        if kind == "object":
            values["additionalProperties"] = True
            if depth < DEEPEST and (properties := self._properties(schema, depth, room, above)):
                values["properties"] = properties
        if kind == "array" and depth < DEEPEST:
            items, references = schema.get("items"), references_of(schema.get("items"))
            inner_depth = DEEPEST if references & above else depth + 1
            values["items"] = self._value_schema(self.merged(items), inner_depth, room, above | references)
        return values

    def base(self) -> tuple[str, list[Input], list[str]]:
        """The base address as a template, the inputs that it needs, and notes."""
        notes: list[str] = []
        if self.version == 2:
            schemes = [scheme for scheme in sequence(self.root.get("schemes")) if scheme in ("https", "http")]
            host = str(self.root.get("host") or "")
            path = str(self.root.get("basePath") or "")
            address = f"{'https' if 'https' in schemes or not schemes else 'http'}://{host}{path}" if host else path
            variables: Mapping[str, Any] = {}
        else:
            servers = [mapping(server) for server in sequence(self.root.get("servers"))]
            server = next((item for item in servers if "url" in item), {})
            address, variables = str(server.get("url") or ""), mapping(server.get("variables"))
            if len(servers) > 1:
                notes.append(f"The document names {len(servers)} servers; the first one is taken.")
        if not address.startswith(("http://", "https://", "{")) and self._url:
            address = urljoin(self._url, address or "/")
        address = address.rstrip("/")
        inputs: list[Input] = []
        if not re.match(r"https?://[^/{\s]|https?://\{|\{", address):
            notes.append("The document does not say at which address the API is; it is an input of the configuration.")
            inputs.append(Input("base_url", "Base URL", description="The address of the API."))
            return config_template("base_url") + literal_text(address if address.startswith("/") else ""), inputs, notes
        return self._with_variables(address, variables, inputs), inputs, notes

    def _with_variables(self, address: str, variables: Mapping[str, Any], inputs: list[Input]) -> str:
        pieces: list[str] = []
        end = 0
        for match in re.finditer(r"\{([^{}]+)\}", address):
            variable = mapping(variables.get(match[1]))
            name = snake(match[1]) or "server"
            choices = [str(item) for item in sequence(variable.get("enum"))][:100]
            default = variable.get("default")
            if not any(item.name == name for item in inputs):
                description = str(variable.get("description") or "")[:500]
                shown = str(default) if isinstance(default, str | int) and default != "" else None
                inputs.append(
                    Input(
                        name, title_of(match[1]), description=description, default=shown, choices=choices, value=shown
                    )
                )
            pieces += [literal_text(address[end : match.start()]), config_template(name)]
            end = match.end()
        return "".join([*pieces, literal_text(address[end:])])

    def _step(self) -> None:
        self._steps += 1
        if self._steps > MOST_STEPS:
            raise ConfigError(
                f"the references of the document lead through more than {MOST_STEPS:,} parts",
                hint="Choose fewer streams, or use a smaller document.",
            )


def references_of(node: Any) -> frozenset[str]:
    """The references of a node itself, and of the parts that it is merged from."""
    values = mapping(node)
    parts = [values, *(mapping(part) for name in ("allOf", "anyOf", "oneOf") for part in sequence(values.get(name)))]
    return frozenset(str(part["$ref"]) for part in parts if "$ref" in part)


def mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def sequence(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
