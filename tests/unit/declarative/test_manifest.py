"""Reading a manifest: YAML, references, parameters, missing types, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kitestring.declarative import manifest as manifest_module
from kitestring.declarative.manifest import LARGEST_BYTES, connection_specification, load, parse, resolve
from kitestring.declarative.source import form_of
from kitestring.errors import ConfigError
from kitestring.yaml_lines import read_yaml


def test_a_reference_brings_its_target_and_own_values_win() -> None:
    result = resolve({"definitions": {"a": {"x": 1, "y": 2}}, "b": {"$ref": "#/definitions/a", "y": 3}, "c": "#/b/y"})
    assert result["b"] == {"x": 1, "y": 3}
    assert result["c"] == 3


def test_a_reference_may_end_in_a_list_or_in_a_key_with_slashes() -> None:
    result = resolve({"list": [{"k": 5}], "n": {"a/b": 6}, "one": "#/list/0/k", "two": "#/n/a/b"})
    assert (result["one"], result["two"]) == (5, 6)


@pytest.mark.parametrize(
    "spec", [None, 3, "x", [], {}, {"connection_specification": None}, {"connection_specification": "x"}]
)
def test_a_manifest_without_a_form_has_an_empty_one(spec: Any) -> None:
    assert connection_specification({"spec": spec}) == connection_specification({}) == {}
    assert form_of({"spec": spec})["properties"].keys() == {"base_url"}


def test_the_form_of_a_manifest_is_that_of_its_spec() -> None:
    form = {"type": "object", "properties": {"token": {"type": "string"}}}
    assert connection_specification({"spec": {"connection_specification": form}}) == form


def test_a_reference_to_a_plain_value_replaces_the_object() -> None:
    assert resolve({"a": 1, "b": {"$ref": "#/a"}})["b"] == 1


def test_configuration_values_are_no_references() -> None:
    assert (
        resolve({"check": {"config_overrides": {"x": "#/not/there"}}})["check"]["config_overrides"]["x"]
        == "#/not/there"
    )


@pytest.mark.parametrize(
    ("values", "fact"),
    [
        ({"a": "#/b", "b": "#/a"}, "circular: #/b → #/a → #/b"),
        ({"a": "#/nowhere/else"}, r"manifest, a: the reference #/nowhere/else leads nowhere \(no nowhere\)"),
        ({"streams": [{"x": {"$ref": "#/definitions/y"}}]}, r"manifest, streams\[0\].x: the reference"),
        ([], "not an object"),
        ({"type": "Other"}, "'Other', DeclarativeSource is expected"),
    ],
)
def test_a_wrong_reference_is_refused_with_its_place(values: Any, fact: str) -> None:
    with pytest.raises(ConfigError, match=fact):
        resolve(values)


def test_references_that_multiply_are_refused() -> None:
    levels: dict[str, Any] = {"l0": [1] * 10}
    for number in range(9):
        levels[f"l{number + 1}"] = [f"#/definitions/l{number}"] * 10
    with pytest.raises(ConfigError, match="grows beyond"):
        resolve({"definitions": levels, "x": "#/definitions/l9"})


def test_aliases_that_multiply_are_refused() -> None:
    text = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(9)
    )
    with pytest.raises(ConfigError, match="grows beyond"):
        resolve(parse(text))


def test_a_value_that_contains_itself_is_refused() -> None:
    with pytest.raises(ConfigError, match="contains itself"):
        resolve(parse("a: &a [*a]"))


@pytest.mark.parametrize(
    "text", ["a: " + "[" * 10_000, "\n".join(" " * n + "a:" for n in range(300)), "a: " + "- " * 0 + "[" * 300]
)
def test_a_text_that_nests_too_deeply_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"nested|no YAML"):
        parse(text)


def test_a_syntax_error_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "manifest.yaml"
    path.write_text("a: 1\nb: [1, 2\nc: 3\n")
    with pytest.raises(ConfigError, match=r"manifest.yaml is not YAML in line 3"):
        load(path)


def test_no_object_of_python_is_made() -> None:
    with pytest.raises(ConfigError, match="not YAML"):
        parse("a: !!python/object/apply:os.system ['true']")


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "absent.yaml")
    path = tmp_path / "binary.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load(path)
    monkeypatch.setattr(manifest_module, "LARGEST_BYTES", 2)
    path.write_text("a: 1")
    with pytest.raises(ConfigError, match="has 4 bytes"):
        load(path)
    assert LARGEST_BYTES > 2


def test_parameters_reach_every_component_below_and_fill_its_fields() -> None:
    result = resolve(
        {
            "streams": [
                {
                    "type": "DeclarativeStream",
                    "$parameters": {"name": "users", "path": "/users"},
                    "retriever": {"requester": {"url_base": "x"}, "record_selector": {"extractor": {"field_path": []}}},
                    "schema_loader": {"type": "InlineSchemaLoader", "schema": {"type": "object", "properties": {}}},
                }
            ]
        }
    )
    stream = result["streams"][0]
    assert stream["name"] == "users"
    requester = stream["retriever"]["requester"]
    assert requester["path"] == "/users"
    assert requester["$parameters"]["name"] == "users"
    assert requester["type"] == "HttpRequester"
    assert stream["retriever"]["record_selector"]["extractor"]["type"] == "DpathExtractor"
    assert stream["schema_loader"]["schema"] == {"type": "object", "properties": {}}


def test_a_parameter_does_not_go_below_the_field_of_its_name() -> None:
    inner = {"type": "DeclarativeStream", "name": "inner", "retriever": {"type": "SimpleRetriever"}}
    result = resolve({"streams": [{**inner, "$parameters": {"retriever": "no"}}]})
    assert "retriever" not in result["streams"][0]["retriever"]
    assert result["streams"][0]["$parameters"] == {"retriever": "no"}


def test_own_parameters_go_before_those_of_parents() -> None:
    result = resolve(
        {
            "streams": [
                {
                    "type": "DeclarativeStream",
                    "$parameters": {"path": "outer"},
                    "retriever": {"type": "SimpleRetriever", "requester": {"$parameters": {"path": "inner"}}},
                }
            ]
        }
    )
    assert result["streams"][0]["retriever"]["requester"]["path"] == "inner"


def test_a_component_that_names_a_class_is_a_custom_one() -> None:
    result = resolve(
        {"streams": [{"$parameters": {"a": 1}, "type": "DeclarativeStream", "retriever": {"class_name": "x.Y"}}]}
    )
    assert result["streams"][0]["retriever"]["type"] == "CustomRetriever"


def test_nested_components_without_a_type_of_their_own_parent_get_parameters() -> None:
    part = {"type": "QueryProperties", "property_list": ["a"]}
    result = resolve(
        {
            "streams": [
                {
                    "type": "DeclarativeStream",
                    "$parameters": {"p": 1},
                    "retriever": {
                        "type": "SimpleRetriever",
                        "requester": {"type": "HttpRequester", "request_parameters": {"fields": part}},
                    },
                }
            ]
        }
    )
    fields = result["streams"][0]["retriever"]["requester"]["request_parameters"]["fields"]
    assert fields["$parameters"] == {"p": 1}


@pytest.mark.parametrize("text", ["since: 2024-13-45", f"limit: {'1' * 5000}", "name: \x1f", "name: !!binary x"])
def test_a_value_that_no_manifest_can_hold_is_an_error_of_the_manifest(text: str) -> None:
    with pytest.raises(ConfigError, match="manifest"):
        parse(text)


def test_a_character_that_yaml_does_not_allow_is_an_error_of_the_text() -> None:
    with pytest.raises(ConfigError, match=r"the file:1: the character U\+001F is not allowed in YAML"):
        read_yaml("\x1f", "the file")
