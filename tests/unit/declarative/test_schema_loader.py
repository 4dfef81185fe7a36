"""Schemas from the manifest, from files and from the API, and the properties of a request."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from loopback import Api, Open, manifest, stream, sync

from kitestring.declarative import DeclarativeSource
from kitestring.errors import ConfigError
from kitestring.types import Stream


def test_schemas_come_from_everywhere(api: Api, tmp_path: Path) -> None:
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "a.json").write_text(json.dumps({"type": "object", "properties": {"f": {}}}))
    (tmp_path / "schemas" / "broken.json").write_text("{")
    file = {"type": "JsonFileSchemaLoader"}
    inline = {"type": "InlineSchemaLoader", "schema": {"type": "object", "properties": {"i": {}}}}

    def schema(name: str, loader: Any) -> Any:
        path = tmp_path / "manifest.yaml"
        item = {**stream(name, url=api.url), "schema_loader": loader, "$parameters": {"name": name}}
        path.write_text(yaml.safe_dump(manifest(item)))
        (result,) = DeclarativeSource.from_manifest(path, {}).discover()
        return result.schema

    assert schema("a", inline)["properties"] == {"i": {}}
    assert schema("a", file)["properties"] == {"f": {}}
    assert set(schema("a", [inline, file])["properties"]) == {"i", "f"}
    assert schema("absent", file) == {}
    with pytest.raises(ConfigError, match=r"broken.json is not JSON"):
        schema("broken", file)
    with pytest.raises(ConfigError, match="leads out of the folder"):
        schema("a", {**file, "file_path": "../../etc/passwd"})


def test_a_schema_is_asked_from_the_api(api: Api, open_source: Open) -> None:
    fields = [
        {"name": "a", "kind": "text"},
        {"name": "b", "kind": "number"},
        {"name": "c", "kind": "list"},
        {"name": "d", "kind": "either"},
        {"name": "_e", "kind": "text"},
    ]
    api.answers["/schema"] = {"data": [{"fields": fields}]}
    loader = {
        "type": "DynamicSchemaLoader",
        "retriever": stream("s", url=api.url, path="/schema")["retriever"],
        "schema_filter": {"type": "RecordFilter", "condition": "{{ record.keys() | first != '_e' }}"},
        "schema_transformations": [{"type": "KeysReplace", "old": "a", "new": "A"}],
        "schema_type_identifier": {
            "schema_pointer": ["fields"],
            "key_pointer": ["name"],
            "type_pointer": ["kind"],
            "types_mapping": [
                {"target_type": "string", "current_type": "text"},
                {
                    "target_type": {"field_type": "array", "items": {"field_type": "array", "items": "integer"}},
                    "current_type": "list",
                },
                {
                    "target_type": ["string", "integer"],
                    "current_type": "either",
                    "condition": "{{ raw_schema.name == 'd' }}",
                },
            ],
        },
    }
    (result,) = open_source(stream(url=api.url, schema_loader=loader)).discover()
    assert result.schema["properties"] == {
        "A": {"type": ["null", "string"]},
        "b": {"type": ["null", "number"]},
        "c": {"type": ["null", "array"], "items": {"type": ["null", "array"], "items": {"type": ["null", "integer"]}}},
        "d": {"oneOf": [{"type": ["null", "string"]}, {"type": ["null", "integer"]}]},
    }
    for wrong, fact in (([{"name": "x", "kind": "odd"}], "'odd' is not one of"), ([{"kind": "text"}], "has no name")):
        api.answers["/schema"] = {"data": [{"fields": wrong}]}
        with pytest.raises(ConfigError, match=fact):
            open_source(stream(url=api.url, schema_loader=loader)).discover()


def test_many_properties_are_asked_in_several_requests(api: Api, open_source: Open) -> None:
    def things(call: Any) -> Any:
        names = call.query["fields"].split(",")
        return {
            "data": [{"id": value, "in": dict.fromkeys(names, 1), **dict.fromkeys(names, value)} for value in (1, 2)]
        }

    api.answers["/things"] = things
    api.answers["/properties"] = {"data": [{"name": "a"}, {"name": "b"}, {"name": "id"}, {"name": "ccc"}]}
    chunking = {
        "type": "PropertyChunking",
        "property_limit_type": "property_count",
        "property_limit": 2,
        "record_merge_strategy": {"type": "GroupByKeyMergeStrategy", "key": "id"},
    }
    component = {
        "type": "QueryProperties",
        "property_list": {
            "type": "PropertiesFromEndpoint",
            "property_field_path": ["name"],
            "retriever": stream("p", url=api.url, path="/properties")["retriever"],
        },
        "always_include_properties": ["id"],
        "property_chunking": chunking,
    }
    source = open_source(stream(url=api.url, requester={"request_parameters": {"fields": component, "x": "1"}}))
    result = sync(source).records
    assert [call.query["fields"] for call in api.calls if call.path == "/things"] == ["id,a,b", "id,ccc"]
    assert result[0] == {"id": 1, "in": {"id": 1, "a": 1, "b": 1, "ccc": 1}, "a": 1, "b": 1, "ccc": 1}
    api.calls.clear()
    by_length = {
        **component,
        "property_list": ["aa", "bb", "cc"],
        "property_chunking": {**chunking, "property_limit_type": "characters", "property_limit": 10},
    }
    sync(open_source(stream(url=api.url, requester={"request_parameters": {"fields": by_length}})))
    assert [call.query["fields"] for call in api.calls] == ["id,aa,bb", "id,cc"]
    api.calls.clear()
    plain = {"type": "QueryProperties", "property_list": ["aa", "bb"]}
    sync(open_source(stream(url=api.url, requester={"request_parameters": {"fields": plain}})))
    requester = {"query_properties": plain, "request_parameters": {"fields": "{{ query_properties | join('+') }}"}}
    sync(open_source(stream(url=api.url, requester=requester)))
    assert [call.query["fields"] for call in api.calls] == ["aa,bb", "aa+bb"]
    api.calls.clear()
    renamed = {"type": "KeysToLower"}
    selector = {"type": "JsonSchemaPropertySelector", "transformations": [renamed]}
    chosen = {**plain, "always_include_properties": ["id"], "property_selector": selector}
    source = open_source(stream(url=api.url, requester={"request_parameters": {"fields": chosen}}))
    for schema in ({}, {"properties": {"BB": {}, "zz": {}}}, {"properties": {}}):
        configured = Stream("things", schema=schema)
        (partition,) = source.partitions([configured], {})
        list(source.read(partition, {}))
    assert [call.query["fields"] for call in api.calls] == ["id,aa,bb", "id,bb", "id"]
    bad = {**component, "property_chunking": {**chunking, "property_limit_type": "bytes"}}
    with pytest.raises(ConfigError, match="characters or property_count"):
        open_source(stream(url=api.url, requester={"request_parameters": {"fields": bad}})).discover()
    with pytest.raises(ConfigError, match="only one parameter"):
        open_source(stream(url=api.url, requester={"request_parameters": {"a": plain, "b": plain}})).discover()
