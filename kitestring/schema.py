"""The schema of a stream's records, in two spellings: JSON Schema and Arrow.

Arrow is the truth between typed ends: it distinguishes integers of 16 and 64 bits, decimals by their digits, a date
from a text. JSON Schema is the truth at the borders (Airbyte's protocol, manifests, forms) and stays as it came. Each
gives the other, derived once.

From JSON Schema: integers and floats have 64 bits, a `date-time` is a timestamp in microseconds, and what a schema
leaves open is text. `airbyte_type` says more (`timestamp_without_timezone`, `big_integer`, `big_number` with
`precision` and `scale`). A text is a UUID or JSON only where Arrow says so (its extension types `arrow.uuid` and
`arrow.json`): the words `format: uuid` of an API's schema promise nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

DECIMAL_DIGITS = 38
"""The digits of a 128-bit decimal."""


VALUE_OF_EXISTING_ROWS = "value_of_existing_rows"
"""The keyword of a field that a source added to a table with rows: the value that these rows have in it. A database
sends no change for them."""

EXISTING_ROWS_DIFFER = "existing_rows_differ"
"""The same where these rows have values that the source cannot name: each its own."""


class Schema(dict[str, Any]):
    """A JSON Schema of type object that also knows its Arrow schema. Not to be changed once it is made.

    `Schema(json)` derives the Arrow schema when it is asked for; `Schema(json, arrow)` has the types of a source that
    knows them better; `Schema.of_arrow` derives the JSON Schema.
    """

    __slots__ = ("_arrow", "_typed")

    def __init__(self, json: Mapping[str, Any] = MappingProxyType({}), arrow: pa.Schema | None = None) -> None:
        super().__init__(json)
        self._typed = arrow is not None
        self._arrow = arrow

    @classmethod
    def of(cls, schema: Mapping[str, Any] | pa.Schema | None) -> Schema:
        """The schema in any spelling as one of these."""
        if isinstance(schema, Schema):
            return schema
        return cls(schema or {}) if schema is None or isinstance(schema, Mapping) else cls.of_arrow(schema)

    @classmethod
    def of_arrow(cls, arrow: pa.Schema) -> Schema:
        return cls(json_from_schema(arrow), arrow)

    @property
    def arrow(self) -> pa.Schema:
        """The fields that are declared, as Arrow types."""
        if self._arrow is None:
            self._arrow = schema_from_json(self)
        return self._arrow

    def changed(self, json: Mapping[str, Any]) -> Schema:
        """Another JSON Schema (fields left out, renamed, hashed) with the types of the fields that are as they were."""
        import pyarrow as pa

        if not self._typed:
            return Schema(json)
        before, after = self.get("properties") or {}, json.get("properties") or {}
        fields = [
            self.arrow.field(name)
            if before.get(name) == declared and name in self.arrow.names
            else pa.field(name, type_from_json(declared))
            for name, declared in after.items()
        ]
        return Schema(json, pa.schema(fields))

    def __reduce__(self) -> tuple[type[Schema], tuple[dict[str, Any], pa.Schema | None]]:
        return Schema, (dict(self), self._arrow if self._typed else None)


def schema_from_json(schema: Mapping[str, Any]) -> pa.Schema:
    """The Arrow schema of the fields that a JSON Schema of type object declares."""
    import pyarrow as pa

    declared = schema.get("properties") or {}
    return pa.schema([pa.field(name, type_from_json(inner)) for name, inner in declared.items()])


def type_from_json(schema: Any) -> pa.DataType:
    """The Arrow type of one field; text where the schema leaves open what it holds."""
    import pyarrow as pa

    if not isinstance(schema, Mapping):
        return pa.string()
    branches = [branch for branch in branches_of(schema) if branch.get("type") != "null"]
    if "type" not in schema and len(branches) == 1:
        return type_from_json(branches[0])
    kinds = json_types(schema)
    if kinds == {"null"}:
        return pa.null()
    kinds.discard("null")
    special = schema.get("airbyte_type")
    if special == "big_integer":
        return pa.decimal128(DECIMAL_DIGITS, 0)
    if special == "big_number":
        digits = schema.get("precision")
        return pa.decimal128(digits, schema.get("scale", 0)) if digits else pa.string()
    if kinds == {"integer"} or (kinds == {"number"} and special == "integer"):
        return pa.int64()
    if kinds in ({"number"}, {"number", "integer"}):
        return pa.float64()
    if kinds == {"boolean"}:
        return pa.bool_()
    if kinds == {"string"}:
        return text_type(schema)
    if kinds == {"array"} and isinstance(schema.get("items"), Mapping) and json_types(schema["items"]):
        return pa.list_(type_from_json(schema["items"]))
    if kinds == {"object"} and schema.get("properties") and schema.get("additionalProperties") is False:
        return pa.struct(list(schema_from_json(schema)))
    return pa.string()


def text_type(schema: Mapping[str, Any]) -> pa.DataType:
    import pyarrow as pa

    special = schema.get("airbyte_type")
    match schema.get("format"):
        case "date-time":
            return pa.timestamp("us", None if special == "timestamp_without_timezone" else "UTC")
        case "date":
            return pa.date32()
        case "time" if special == "time_without_timezone":
            return pa.time64("us")
    return pa.binary() if schema.get("contentEncoding") == "base64" else pa.string()


def json_types(schema: Mapping[str, Any]) -> set[str]:
    """The type names that a schema allows, those of its branches among them; empty if it leaves them open."""
    named = schema.get("type")
    if named is not None:
        return {named} if isinstance(named, str) else set(named)
    types = [json_types(branch) for branch in branches_of(schema)]
    return set().union(*types) if all(types) else set()


def branches_of(schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [
        branch for combiner in ("anyOf", "oneOf") for branch in schema.get(combiner, ()) if isinstance(branch, Mapping)
    ]


EXTENSIONS: dict[str, dict[str, Any]] = {
    "arrow.uuid": {"format": "uuid"},
    "arrow.json": {"contentMediaType": "application/json"},
}


def json_from_schema(schema: pa.Schema) -> dict[str, Any]:
    """The JSON Schema of a table. `type_from_json` gives the same types back, integers and floats in 64 bits."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": {field.name: json_from_field(field) for field in schema},
    }


def json_from_field(field: pa.Field) -> dict[str, Any]:
    declared = json_from_type(field.type)
    if not field.nullable and isinstance(declared["type"], list):
        declared["type"] = declared["type"][0]
    return declared


def json_from_type(type_: pa.DataType) -> dict[str, Any]:
    import pyarrow as pa

    is_ = pa.types
    if isinstance(type_, pa.BaseExtensionType):
        annotations = EXTENSIONS.get(type_.extension_name)
        return nullable("string", **annotations) if annotations else json_from_type(type_.storage_type)
    if is_.is_dictionary(type_):
        return json_from_type(type_.value_type)
    if is_.is_null(type_):
        return {"type": "null"}
    if is_.is_integer(type_):
        return nullable("integer")
    if is_.is_floating(type_):
        return nullable("number")
    if is_.is_boolean(type_):
        return nullable("boolean")
    if is_.is_decimal(type_):
        return nullable("number", airbyte_type="big_number", precision=type_.precision, scale=type_.scale)
    if is_.is_timestamp(type_):
        zone = "with" if type_.tz else "without"
        return nullable("string", format="date-time", airbyte_type=f"timestamp_{zone}_timezone")
    if is_.is_date(type_):
        return nullable("string", format="date")
    if is_.is_time(type_):
        return nullable("string", format="time", airbyte_type="time_without_timezone")
    if (
        is_.is_binary(type_)
        or is_.is_large_binary(type_)
        or is_.is_fixed_size_binary(type_)
        or is_.is_binary_view(type_)
    ):
        return nullable("string", contentEncoding="base64")
    if is_.is_list(type_) or is_.is_large_list(type_) or is_.is_fixed_size_list(type_) or is_.is_list_view(type_):
        return nullable("array", items=json_from_type(type_.value_type))
    if is_.is_struct(type_):
        inner = {type_.field(n).name: json_from_field(type_.field(n)) for n in range(type_.num_fields)}
        return nullable("object", properties=inner, additionalProperties=False)
    if is_.is_map(type_):
        return nullable("object", additionalProperties=json_from_type(type_.item_type))
    return nullable("string")


def nullable(kind: str, **annotations: Any) -> dict[str, Any]:
    return {"type": [kind, "null"], **annotations}


def field_types(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The types of the declared fields, null left out, in a form to compare."""
    types = {}
    for name, declared in (schema.get("properties") or {}).items():
        kind = declared.get("type") if isinstance(declared, Mapping) else None
        kinds = sorted({*kind} - {"null"}) if isinstance(kind, list) else [kind]
        types[name] = (tuple(map(str, kinds)), declared.get("format") if isinstance(declared, Mapping) else None)
    return types
