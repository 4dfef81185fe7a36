"""A manifest and a configuration as a source: building, checking, discovering."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import yaml
from loopback import Api, Open, cursor, manifest, stream, sync

import kitestring.declarative as language
from kitestring.declarative import DeclarativeSource, manifest_spec
from kitestring.errors import AuthError, ConfigError
from kitestring.source import Source
from kitestring.types import Partition, Stream

PAGE = {"data": [{"id": 1}]}
FORM = {
    "type": "object",
    "required": ["token", "start"],
    "properties": {
        "token": {"type": "string", "airbyte_secret": True, "minLength": 3},
        "start": {"type": "string", "pattern": "^\\d{4}$", "pattern_descriptor": "YYYY"},
        "size": {"type": "integer", "minimum": 1, "maximum": 9},
        "kind": {"type": "string", "enum": ["a", "b"]},
        "tags": {"type": "array", "items": {"type": "string"}},
        "login": {
            "type": "object",
            "oneOf": [
                {"properties": {"by": {"const": "key"}, "key": {"type": "string"}}, "required": ["by", "key"]},
                {"properties": {"by": {"const": "user"}, "name": {"type": "string"}}, "required": ["by", "name"]},
            ],
        },
    },
}
SPEC = {"type": "Spec", "connection_specification": FORM}
GOOD = {"token": "abc", "start": "2024"}


@pytest.mark.parametrize(
    ("config", "facts"),
    [
        ({}, ["token is missing", "start is missing"]),
        ({"tokn": "abc", "start": "2024"}, [r"token is missing \(did you write tokn\?\)"]),
        ({**GOOD, "token": 5}, ["token should be string"]),
        ({**GOOD, "token": "ab"}, ["token should have at least 3 characters"]),
        ({**GOOD, "start": "now"}, ["start should have the form YYYY"]),
        ({**GOOD, "size": 0}, ["size should be at least 1"]),
        ({**GOOD, "size": 10}, ["size should be at most 9"]),
        ({**GOOD, "size": "many"}, ["size should be integer"]),
        ({**GOOD, "kind": "c"}, ["kind should be one of a, b"]),
        ({**GOOD, "tags": ["x", 1]}, [r"tags\[1\] should be string"]),
        ({**GOOD, "login": {"by": "user"}}, ["login.name is missing"]),
        ({**GOOD, "login": {"by": "magic", "name": "x"}}, ["login.by should be"]),
        ({**GOOD, "login": 5}, ["login should be object"]),
    ],
)
def test_a_wrong_configuration_is_told_by_field(open_source: Open, config: Any, facts: list[str]) -> None:
    for fact in facts:
        with pytest.raises(ConfigError, match=fact):
            open_source(stream(url="http://x"), spec=SPEC, config=config)


@pytest.mark.parametrize("config", [GOOD, {**GOOD, "other": 1, "size": None, "login": {"by": "key", "key": "k"}}])
def test_a_good_configuration_is_taken_with_whatever_else_it_holds(open_source: Open, config: Any) -> None:
    assert open_source(stream(url="http://x"), spec=SPEC, config=config).names() == ["things"]


def test_a_manifest_without_streams_is_refused_not_shown_empty() -> None:
    with pytest.raises(ConfigError, match="the manifest has no streams"):
        DeclarativeSource.of({"type": "DeclarativeSource", "version": "6.0.0", "streams": []}, {}).discover()


def test_a_manifest_is_a_source_like_any_other(api: Api, tmp_path: Path) -> None:
    api.answers["/things"] = PAGE
    path = tmp_path / "manifest.yaml"
    path.write_text(yaml.safe_dump(manifest(stream(url=api.url), spec=SPEC)))
    source = DeclarativeSource.from_manifest(path, GOOD)
    assert isinstance(source, Source)
    source.check()
    assert sync(source).records == PAGE["data"]
    assert source.concurrency() == 4
    source.close()
    assert sync(source).records == PAGE["data"]
    source.close()


def test_the_form_takes_a_base_url_too(tmp_path: Path) -> None:
    path = tmp_path / "manifest.yaml"
    path.write_text(yaml.safe_dump(manifest(stream(), spec=SPEC)))
    form = manifest_spec(path)
    assert form["properties"]["base_url"]["group"] == "advanced"
    assert form["required"] == ["token", "start"]
    path.write_text(yaml.safe_dump(manifest(stream())))
    assert list(manifest_spec(path)["properties"]) == ["base_url"]


def test_public_names_are_found_and_others_are_not() -> None:
    assert language.DeclarativeSource is DeclarativeSource
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        _ = language.Nothing


def test_a_source_and_its_partitions_survive_pickling(api: Api, open_source: Open) -> None:
    api.answers["/things"] = PAGE
    source = open_source(stream(url=api.url, incremental_sync=cursor()))
    (result,) = source.discover()
    (partition,) = source.partitions([result], {})
    again: DeclarativeSource = pickle.loads(pickle.dumps(source))
    copied: Partition = pickle.loads(pickle.dumps(partition))
    assert [type(item).__name__ for item in again.read(copied, {})] == ["Batch", "Checkpoint"]
    again.close()


def test_sources_are_told_apart_by_manifest_and_configuration_without_their_secrets(open_source: Open) -> None:
    def seen(*names: str, **config: Any) -> Any:
        return open_source(
            *(stream(name, url="http://x") for name in names), spec=SPEC, config={**GOOD, **config}
        ).model_dump()

    assert seen("a") == seen("a") == seen("a", token="other")
    assert seen("a") != seen("b")
    assert seen("a") != seen("a", size=5)
    assert "abc" not in str(seen("a"))


def test_check_reads_a_page_and_tells_what_is_wrong(api: Api, open_source: Open) -> None:
    api.answers["/things"] = (401, {"message": "bad token"})
    with pytest.raises(AuthError, match="bad token"):
        open_source(stream(url=api.url)).check()
    api.answers["/things"] = {"data": []}
    open_source(stream(url=api.url)).check()
    api.answers["/things"] = {"data": ["text"]}
    with pytest.raises(ConfigError, match="where a record"):
        open_source(stream(url=api.url)).check()
    empty = {"type": "ListPartitionRouter", "values": "{{ config.none }}", "cursor_field": "x"}
    with pytest.raises(ConfigError, match="has no slices"):
        open_source(stream(url=api.url, retriever={"partition_router": empty})).check()


def test_check_may_look_at_named_streams_with_other_settings(api: Api, open_source: Open) -> None:
    api.answers["/things"] = PAGE
    one = stream(url=api.url, requester={"request_parameters": {"limit": "{{ config.limit }}"}})
    check = {"type": "CheckStream", "stream_names": ["things"], "config_overrides": {"limit": 1}}
    open_source(one, check=check, config={"limit": 100}).check()
    assert api.calls[-1].query == {"limit": "1"}
    with pytest.raises(ConfigError, match="no stream called other"):
        open_source(one, check={"type": "CheckStream", "stream_names": ["other"]}).check()
    with pytest.raises(ConfigError, match="needs `stream_names`"):
        open_source(one, check={"type": "CheckStream"}).check()
    with pytest.raises(ConfigError, match="needs `check`"):
        open_source(one, check=None).check()


def test_streams_may_stand_under_a_condition(open_source: Open) -> None:
    conditional = {
        "type": "ConditionalStreams",
        "condition": "{{ config.beta }}",
        "streams": [stream("new", url="http://x")],
    }
    assert open_source(stream(url="http://x"), conditional, config={"beta": True}).names() == ["things", "new"]
    assert open_source(stream(url="http://x"), conditional).names() == ["things"]


@pytest.mark.parametrize(
    ("streams", "fact"),
    [
        ([{"type": "DeclarativeStream", "retriever": {}}], r"streams\[0\]: the stream has no name"),
        ([{"type": "DeclarativeStream", "name": "a"}], r"streams\[0\]: DeclarativeStream needs `retriever`"),
        ([{"name": "a", "retriever": {"type": "X"}}], r"streams\[0\].retriever: X is not a known"),
        ([{"name": "a", "retriever": {"type": "CustomRetriever", "class_name": "x.Y"}}], "Python class x.Y"),
        (["text"], r"streams\[0\]: is a text"),
        ({"a": 1}, "streams: a list is expected"),
    ],
)
def test_a_wrong_stream_is_told_with_its_place(streams: Any, fact: str) -> None:
    with pytest.raises(ConfigError, match=fact):
        DeclarativeSource.of({**manifest(), "streams": streams}, {}).discover()


def test_the_manifest_says_how_much_happens_at_once(open_source: Open) -> None:
    level = {"type": "ConcurrencyLevel", "default_concurrency": "{{ config.workers }}", "max_concurrency": 10}
    assert open_source(stream(), concurrency_level=level, config={"workers": 6}).concurrency() == 6
    assert open_source(stream(), concurrency_level=level, config={"workers": 60}).concurrency() == 10


def test_a_namespace_before_a_stream_is_no_obstacle(api: Api, open_source: Open) -> None:
    api.answers["/things"] = {"data": [{"id": 1, "updated_at": "2024-02-01T00:00:00Z"}]}
    source = open_source(stream(url=api.url, incremental_sync=cursor()))
    note = [item for p in source.partitions(list(source.discover()), {}) for item in source.read(p, {})][-1].state  # type: ignore[union-attr]
    assert source.merge("space.things", {}, note)["slices"]


RULES = {
    "config_migrations": [
        {
            "type": "ConfigMigration",
            "transformations": [
                {"type": "ConfigRemapField", "map": {"EU": "eu"}, "field_path": ["region"]},
                {
                    "type": "ConfigAddFields",
                    "fields": [{"path": ["new", "a"], "value": "{{ config.old }}"}],
                    "condition": "{{ config.old }}",
                },
                {"type": "ConfigRemoveFields", "field_pointers": [["old"]]},
            ],
        }
    ],
    "transformations": [{"type": "ConfigAddFields", "fields": [{"path": ["host"], "value": "{{ config.region }}.x"}]}],
    "validations": [
        {
            "type": "DpathValidator",
            "field_path": ["list", "*"],
            "validation_strategy": {"base_schema": {"type": "object", "required": ["id"]}},
        },
        {
            "type": "DpathValidator",
            "field_path": ["text"],
            "validation_strategy": {"type": "ValidateAdheresToSchema", "base_schema": '{"type": "array"}'},
        },
        {
            "type": "PredicateValidator",
            "value": "{{ config.number }}",
            "validation_strategy": {"type": "ValidateAdheresToSchema", "base_schema": {"type": ["integer", "string"]}},
        },
    ],
}


def test_a_configuration_is_migrated_transformed_and_validated(open_source: Open) -> None:
    spec = {"type": "Spec", "connection_specification": {"type": "object"}, "config_normalization_rules": RULES}
    given = {"region": "EU", "old": "x", "number": 5}
    source = open_source(stream(url="https://{{ config.host }}"), spec=spec, config=given)
    assert source.config == {"region": "eu", "new": {"a": "x"}, "number": 5}
    assert source.component("things").retriever.requester.home() == "https://eu.x"
    assert given == {"region": "EU", "old": "x", "number": 5}
    for wrong, fact in (
        ({"list": [{"id": 1}, {}]}, "id is missing"),
        ({"text": "no json"}, "is not JSON"),
        ({"text": "{}"}, "should be array"),
        ({"number": 1.5}, "should be integer or string"),
    ):
        with pytest.raises(ConfigError, match=fact):
            open_source(stream(), spec=spec, config={"number": 1, **wrong})
    kept = open_source(stream(), spec=spec, config={"region": "us", "number": 1})
    assert kept.config == {"region": "us", "number": 1}
    bad = {
        **spec,
        "config_normalization_rules": {
            "transformations": [{"type": "ConfigRemapField", "map": "{{ 1 }}", "field_path": ["a"]}]
        },
    }
    with pytest.raises(ConfigError, match="an object is expected"):
        open_source(stream(), spec=bad)


@pytest.mark.parametrize(
    "policy",
    [
        {"type": "MovingWindowCallRatePolicy", "rates": [{"limit": "2", "interval": "PT0.3S"}], "matchers": []},
        {
            "type": "FixedWindowCallRatePolicy",
            "call_limit": 2,
            "period": "PT0.3S",
            "matchers": [{"method": "GET", "url_path_pattern": "^/th"}],
        },
    ],
)
def test_a_budget_spreads_the_calls(api: Api, open_source: Open, policy: Any) -> None:
    import time

    api.answers["/things"] = PAGE
    source = open_source(stream(url=api.url), api_budget={"type": "HTTPAPIBudget", "policies": [policy]})
    began = time.monotonic()
    for _ in range(3):
        sync(source)
    assert time.monotonic() - began >= 0.25


def test_headers_close_a_budget_until_the_reset(api: Api, open_source: Open) -> None:
    import time

    reset = str(int(time.time()) + 2)
    api.answers["/things"] = [(200, PAGE, {"X-Left": "0", "X-Reset": reset}), PAGE]
    policy = {"type": "MovingWindowCallRatePolicy", "rates": [{"limit": 100, "interval": "PT1H"}], "matchers": []}
    names = {"ratelimit_remaining_header": "X-Left", "ratelimit_reset_header": "X-Reset"}
    budget = {"type": "HTTPAPIBudget", "policies": [policy], **names}
    source = open_source(stream(url=api.url), api_budget=budget)
    for _ in range(2):
        sync(source)
    assert time.time() >= int(reset)


def test_a_heavy_request_counts_as_several(api: Api, open_source: Open) -> None:
    import time

    api.answers["/things"] = PAGE
    matchers = [{"url_path_pattern": "^/things$", "weight": 2}]
    policy = {
        "type": "MovingWindowCallRatePolicy",
        "rates": [{"limit": 2, "interval": "PT0.3S"}],
        "matchers": matchers,
    }
    source = open_source(stream(url=api.url), api_budget={"type": "HTTPAPIBudget", "policies": [policy]})
    began = time.monotonic()
    for _ in range(2):
        sync(source)
    assert time.monotonic() - began >= 0.25


def test_the_first_policy_that_matches_governs(api: Api, open_source: Open) -> None:
    import time

    api.answers["/things"] = PAGE
    policies = [
        {
            "type": "UnlimitedCallRatePolicy",
            "matchers": [{"url_base": api.url, "params": {"a": "1"}, "headers": {"X-A": "b"}}],
        },
        {"type": "MovingWindowCallRatePolicy", "rates": [{"limit": 1, "interval": "PT100S"}], "matchers": []},
    ]
    requester = {"request_parameters": {"a": "1"}, "request_headers": {"x-a": "b"}}
    source = open_source(
        stream(url=api.url, requester=requester), api_budget={"type": "HTTPAPIBudget", "policies": policies}
    )
    began = time.monotonic()
    for _ in range(3):
        sync(source)
    assert time.monotonic() - began < 60


@pytest.mark.parametrize(
    ("policy", "fact"),
    [
        ({"type": "FixedWindowCallRatePolicy", "call_limit": 0, "period": "PT1S"}, "not a positive number of calls"),
        ({"type": "FixedWindowCallRatePolicy", "call_limit": 1, "period": "1s"}, "ISO 8601"),
        ({"type": "FixedWindowCallRatePolicy", "call_limit": 1, "period": "PT0S"}, "not a positive duration"),
        ({"type": "UnlimitedCallRatePolicy", "matchers": [{"url_path_pattern": "("}]}, "no regular expression"),
        ({"type": "UnlimitedCallRatePolicy", "matchers": [{"weight": 0}]}, "not a positive number of calls"),
    ],
)
def test_a_wrong_budget_is_told_with_its_place(open_source: Open, policy: Any, fact: str) -> None:
    with pytest.raises(ConfigError, match=fact) as caught:
        open_source(stream(), api_budget={"type": "HTTPAPIBudget", "policies": [policy]})
    assert "api_budget.policies[0]" in str(caught.value)


def mapping(path: list[str], value: str, **more: Any) -> dict[str, Any]:
    return {"type": "ComponentMappingDefinition", "field_path": path, "value": value, **more}


def dynamic(api: Api, resolver: dict[str, Any], **more: Any) -> dict[str, Any]:
    template = stream("template", url=api.url, path="/x")
    return {
        "dynamic_streams": [
            {
                "type": "DynamicDeclarativeStream",
                "name": "made",
                "stream_template": template,
                "components_resolver": resolver,
                **more,
            }
        ]
    }


def test_streams_are_made_from_the_configuration(api: Api, open_source: Open) -> None:
    resolver = {
        "type": "ConfigComponentsResolver",
        "stream_config": {"type": "StreamConfig", "configs_pointer": ["tables"], "default_values": [{"id": "base"}]},
        "components_mapping": [
            mapping(["name"], "{{ components_values.id }}"),
            mapping(["retriever", "requester", "path"], "/t/{{ components_values.id }}"),
            mapping(["retriever", "requester", "request_parameters"], "{a: 1}", create_or_update=True),
            mapping(["primary_key"], "{{ components_values.key }}", condition="{{ components_values.key }}"),
            mapping(["not", "there"], "1"),
        ],
    }
    api.answers["/t/a"] = PAGE
    check = {
        "type": "CheckStream",
        "dynamic_streams_check_configs": [
            {"type": "DynamicStreamCheckConfig", "dynamic_stream_name": "made", "stream_count": 1}
        ],
    }
    source = open_source(
        config={"tables": [{"id": "a", "key": "k"}, {"id": "b"}]}, check=check, **dynamic(api, resolver)
    )
    assert source.names() == ["a", "b", "base"]
    assert source.discover().get("a").primary_key == (("k",),)  # type: ignore[union-attr]
    source.check()
    assert (api.paths(), api.calls[0].query) == (["/t/a"], {"a": "1"})
    with pytest.raises(ConfigError, match="two streams would have the name a"):
        open_source(config={"tables": [{"id": "a"}, {"id": "a"}]}, **dynamic(api, resolver)).names()
    with pytest.raises(ConfigError, match="no dynamic stream called other"):
        source.dynamic_names("other")


def test_several_lists_of_the_configuration_multiply(api: Api, open_source: Open) -> None:
    lists = [{"type": "StreamConfig", "configs_pointer": ["a"]}, {"type": "StreamConfig", "configs_pointer": ["b"]}]
    name = "{{ components_values.x }}-{{ components_values.source_config_1[1] }}"
    resolver = {
        "type": "ConfigComponentsResolver",
        "stream_config": lists,
        "components_mapping": [mapping(["name"], name)],
    }
    source = open_source(config={"a": [{"x": "p"}, {"x": "q"}], "b": ["1", "2"]}, **dynamic(api, resolver))
    assert source.names() == ["p-1", "p-2", "q-1", "q-2"]


def test_streams_are_made_from_what_the_api_answers(api: Api, open_source: Open) -> None:
    api.answers.update({"/tables": {"data": [{"id": "a"}, {"id": "b"}]}, "/x": PAGE})
    retriever = stream("x", url=api.url, path="/tables")["retriever"]
    resolver = {
        "type": "HttpComponentsResolver",
        "retriever": retriever,
        "components_mapping": [mapping(["name"], "{{ components_values['id'] }}", value_type="string")],
    }
    check = {"type": "CheckDynamicStream", "stream_count": 1}
    source = open_source(check=check, **dynamic(api, resolver))
    source.check()
    assert api.paths() == ["/tables", "/x"]
    assert source.names() == ["a", "b"]
    api.answers["/tables"] = {"data": []}
    with pytest.raises(ConfigError, match="has no streams"):
        open_source(check=check, **dynamic(api, resolver)).check()


def test_streams_are_made_from_parameters_of_the_manifest(api: Api, open_source: Open) -> None:
    values = {"type": "StreamParametersDefinition", "list_of_parameters_for_stream": [{"n": "a"}, {"n": "b"}]}
    resolver = {
        "type": "ParametrizedComponentsResolver",
        "stream_parameters": values,
        "components_mapping": [mapping(["name"], "{{ components_values.n }}")],
    }
    assert open_source(**dynamic(api, resolver)).names() == ["a", "b"]
    resolver["components_mapping"] = [mapping(["name"], "{{ 5 }}")]
    with pytest.raises(ConfigError, match="has the name 5"):
        open_source(**dynamic(api, resolver)).names()


def test_schemas_come_from_everywhere(api: Api, tmp_path: Path) -> None:
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "a.json").write_text(json.dumps({"type": "object", "properties": {"f": {}}}))
    (tmp_path / "schemas" / "broken.json").write_text("{")
    file = {"type": "JsonFileSchemaLoader"}
    inline = {"type": "InlineSchemaLoader", "schema": {"type": "object", "properties": {"i": {}}}}

    def schema(name: str, loader: Any) -> Any:
        path = tmp_path / "manifest.yaml"
        one = {**stream(name, url=api.url), "schema_loader": loader, "$parameters": {"name": name}}
        path.write_text(yaml.safe_dump(manifest(one)))
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
        return {"data": [{"id": one, "in": dict.fromkeys(names, 1), **dict.fromkeys(names, one)} for one in (1, 2)]}

    api.answers["/things"] = things
    api.answers["/properties"] = {"data": [{"name": "a"}, {"name": "b"}, {"name": "id"}, {"name": "ccc"}]}
    chunking = {
        "type": "PropertyChunking",
        "property_limit_type": "property_count",
        "property_limit": 2,
        "record_merge_strategy": {"type": "GroupByKeyMergeStrategy", "key": "id"},
    }
    asked = {
        "type": "QueryProperties",
        "property_list": {
            "type": "PropertiesFromEndpoint",
            "property_field_path": ["name"],
            "retriever": stream("p", url=api.url, path="/properties")["retriever"],
        },
        "always_include_properties": ["id"],
        "property_chunking": chunking,
    }
    source = open_source(stream(url=api.url, requester={"request_parameters": {"fields": asked, "x": "1"}}))
    result = sync(source).records
    assert [call.query["fields"] for call in api.calls if call.path == "/things"] == ["id,a,b", "id,ccc"]
    assert result[0] == {"id": 1, "in": {"id": 1, "a": 1, "b": 1, "ccc": 1}, "a": 1, "b": 1, "ccc": 1}
    api.calls.clear()
    by_length = {
        **asked,
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
    bad = {**asked, "property_chunking": {**chunking, "property_limit_type": "bytes"}}
    with pytest.raises(ConfigError, match="characters or property_count"):
        open_source(stream(url=api.url, requester={"request_parameters": {"fields": bad}})).discover()
    with pytest.raises(ConfigError, match="only one parameter"):
        open_source(stream(url=api.url, requester={"request_parameters": {"a": plain, "b": plain}})).discover()
