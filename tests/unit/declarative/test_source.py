"""A manifest and a configuration as a source: building, checking, discovering."""

from __future__ import annotations

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
from kitestring.types import Partition

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
    second: DeclarativeSource = pickle.loads(pickle.dumps(source))
    copied: Partition = pickle.loads(pickle.dumps(partition))
    assert [type(item).__name__ for item in second.read(copied, {})] == ["Batch", "Checkpoint"]
    second.close()


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
    single_stream = stream(url=api.url, requester={"request_parameters": {"limit": "{{ config.limit }}"}})
    check = {"type": "CheckStream", "stream_names": ["things"], "config_overrides": {"limit": 1}}
    open_source(single_stream, check=check, config={"limit": 100}).check()
    assert api.calls[-1].query == {"limit": "1"}
    with pytest.raises(ConfigError, match="no stream called other"):
        open_source(single_stream, check={"type": "CheckStream", "stream_names": ["other"]}).check()
    with pytest.raises(ConfigError, match="needs `stream_names`"):
        open_source(single_stream, check={"type": "CheckStream"}).check()
    with pytest.raises(ConfigError, match="needs `check`"):
        open_source(single_stream, check=None).check()


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
    provided = {"region": "EU", "old": "x", "number": 5}
    source = open_source(stream(url="https://{{ config.host }}"), spec=spec, config=provided)
    assert source.config == {"region": "eu", "new": {"a": "x"}, "number": 5}
    assert source.component("things").retriever.requester.home() == "https://eu.x"
    assert provided == {"region": "EU", "old": "x", "number": 5}
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
