"""Streams that a resolver makes: from the configuration, from the API, from parameters."""

from __future__ import annotations

from typing import Any

import pytest
from loopback import Api, Open, stream

from kitestring.errors import ConfigError

PAGE = {"data": [{"id": 1}]}


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
