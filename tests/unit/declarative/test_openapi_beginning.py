"""The beginning of a connector from an OpenAPI document."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from first_manifest import manifest_of
from stand_ins.library import AUTHORS, BOOKS, LOANS, LibraryStandIn, openapi

from kitestring.declarative.builder import read, validate
from kitestring.declarative.builder.beginning import begin
from kitestring.errors import ConfigError


@pytest.fixture
def library() -> Any:
    with LibraryStandIn() as api:
        yield api


EXPECTED = {
    "books": len(BOOKS),
    "copies": 180,
    "authors": len(AUTHORS),
    "author_books": len(BOOKS),
    "members": 5,
    "loans": len([loan for loan in LOANS if loan["status"] == "open"]),
    "cards": 10,
    "stamps": 10,
    "branches": 5,
    "shelves": 10,
    "events": 4,
    "search": 11,
}


def test_every_list_of_an_openapi_document_is_a_stream_that_reads_all_its_records(library: LibraryStandIn) -> None:
    document = openapi(library.url)
    operations = [verb for path in document["paths"].values() for verb in path if verb != "parameters"]
    assert len(operations) == 20
    for text in (json.dumps(document), yaml.safe_dump(document)):
        beginning = begin("openapi", text)
        manifest_of(beginning)
        assert {stream.name for stream in beginning.streams} == set(EXPECTED)
    config = {"x_library_key": library.key, "region": "north", "q": "Book 1"}
    counts = {}
    for name in EXPECTED:
        result = read(beginning.manifest, config, name, most_slices=100, most_pages=100)
        assert result.error == ""
        counts[name] = len(result.records)
    assert counts == EXPECTED


def test_a_caller_chooses_the_streams_and_gets_their_parents_with_them(library: LibraryStandIn) -> None:
    text = json.dumps(openapi(library.url))
    beginning = begin("openapi", text, streams=["stamps", "events"])
    assert [stream.name for stream in beginning.streams if stream.included] == ["members", "cards", "stamps", "events"]
    form = yaml.safe_load(beginning.manifest)["spec"]["connection_specification"]
    assert form["required"] == ["x_library_key", "region"]
    with pytest.raises(ConfigError, match="no list called nothings"):
        begin("openapi", text, streams=["nothings"])


SWAGGER = """
swagger: "2.0"
info: {title: Zoo, version: "3"}
host: zoo.example.com
basePath: /api/v3
schemes: [http, https]
securityDefinitions:
  app: {type: oauth2, flow: application, tokenUrl: "https://zoo.example.com/token"}
paths:
  /animals:
    get:
      parameters:
        - {name: limit, in: query, type: integer, maximum: 500}
        - {name: skip, in: query, type: integer}
        - {$ref: "#/parameters/Kind"}
      responses:
        200:
          schema: {type: object, properties: {animals: {type: array, items: {$ref: "#/definitions/Animal"}}}}
  /animals/{animalId}/meals:
    get:
      parameters: [{name: animalId, in: path, required: true, type: string}]
      responses: {200: {schema: {type: array, items: {type: object, properties: {at: {type: string}}}}}}
  /keepers:
    get:
      parameters: [{name: pageToken, in: query, type: string}]
      responses:
        200: {description: ok, schema: {$ref: "#/definitions/Keepers"}}
parameters:
  Kind: {name: kind, in: query, required: true, type: string, enum: [wild, tame]}
definitions:
  Animal:
    type: object
    properties: {animal_id: {type: string}, mother: {$ref: "#/definitions/Animal"}, seen: {type: string, format: date}}
  Keepers:
    type: object
    properties:
      nextPageToken: {type: string}
      keepers: {type: array, items: {type: object, properties: {id: {type: integer}}}}
"""


def test_a_document_of_swagger_2_is_read_too() -> None:
    beginning = begin("openapi", SWAGGER)
    values = manifest_of(beginning)
    assert beginning.name == "Zoo"
    requester = values["definitions"]["requester"]
    assert requester["url_base"] == "https://zoo.example.com/api/v3"
    assert (requester["authenticator"]["grant_type"], requester["authenticator"]["type"]) == (
        "client_credentials",
        "OAuthAuthenticator",
    )
    animals = values["definitions"]["streams"]["animals"]
    assert (animals["primary_key"], animals["retriever"]["record_selector"]["extractor"]["field_path"]) == (
        ["animal_id"],
        ["animals"],
    )
    assert animals["retriever"]["paginator"]["pagination_strategy"] == {
        "type": "OffsetIncrement",
        "page_size": 500,
        "inject_on_first_request": True,
    }
    assert animals["retriever"]["requester"]["request_parameters"] == {"kind": "{{ config['kind'] }}"}
    assert animals["schema_loader"]["schema"]["properties"]["mother"] == {
        "type": ["null", "object"],
        "additionalProperties": True,  # the schema that holds itself ends here
    }
    meals, keepers = values["streams"][1], values["streams"][2]
    (parent,) = meals["retriever"]["partition_router"]["parent_stream_configs"]
    assert (parent["parent_key"], parent["partition_field"]) == ("animal_id", "animal_id")
    assert keepers["retriever"]["paginator"]["pagination_strategy"]["cursor_value"] == (
        "{{ response.get('nextPageToken') }}"
    )
    assert values["spec"]["connection_specification"]["properties"]["kind"]["enum"] == ["wild", "tame"]


@pytest.mark.parametrize(
    ("schema", "description", "size"),
    [
        ({"maximum": 250}, "", 250),
        ({"default": 20}, "", 20),
        ({}, "How many. Default is 5, maximum is 80.", 80),
        ({}, "Up to 200 items.", 200),
        ({}, "The number of items (100 max).", 100),
        ({}, "How many items to return.", None),
        ({"maximum": 100_000}, "", 1000),
    ],
)
def test_a_page_has_a_size_only_where_the_document_says_how_many_there_can_be(
    schema: dict[str, Any], description: str, size: int | None
) -> None:
    document = openapi("https://a.example")
    limit = {"name": "limit", "in": "query", "description": description, "schema": {"type": "integer", **schema}}
    offset = {"name": "offset", "in": "query", "schema": {"type": "integer"}}
    document["paths"]["/loans"]["get"]["parameters"] = [offset, limit]
    beginning = begin("openapi", json.dumps(document), streams=["loans"])
    paginator = yaml.safe_load(beginning.manifest)["streams"][0]["retriever"]["paginator"]
    assert paginator["pagination_strategy"].get("page_size") == size
    assert ("page_size_option" in paginator) == (size is not None)


def test_a_list_whose_path_ends_with_a_variable_is_a_stream_and_a_parent() -> None:
    array = {"type": "array", "items": {"type": "object", "properties": {"slug": {"type": "string"}}}}
    answer = {"200": {"description": "", "content": {"application/json": {"schema": array}}}}
    document = {
        "openapi": "3.0.0",
        "info": {"title": "Forge"},
        "servers": [{"url": "https://forge.example"}],
        "paths": {
            "/2.0/repositories/{username}": {"get": {"responses": answer}},
            "/2.0/repositories/{username}/{slug}/pulls": {"get": {"responses": answer}},
        },
    }
    values = manifest_of(begin("openapi", json.dumps(document)))
    assert values["definitions"]["streams"]["repositories"]["retriever"]["requester"]["path"] == (
        "2.0/repositories/{{ config['username'] }}"
    )
    pulls = values["streams"][1]["retriever"]
    assert (
        pulls["requester"]["path"] == "2.0/repositories/{{ config['username'] }}/{{ stream_partition['slug'] }}/pulls"
    )
    assert pulls["partition_router"]["parent_stream_configs"][0]["parent_key"] == "slug"


@pytest.mark.parametrize(
    ("servers", "base", "inputs"),
    [
        (
            [{"url": "https://{team}.example.com/v1", "variables": {"team": {"default": "acme"}}}],
            "https://{{ config['team'] }}.example.com/v1",
            ["team"],
        ),
        ([{"url": "/api"}], "{{ config['base_url'] }}/api", ["base_url"]),
        ([], "{{ config['base_url'] }}", ["base_url"]),
    ],
)
def test_the_address_of_a_server_may_need_inputs(servers: Any, base: str, inputs: list[str]) -> None:
    document = {**openapi("https://x"), "servers": servers}
    beginning = begin("openapi", json.dumps(document), streams=["books"])
    values = manifest_of(beginning)
    assert values["definitions"]["requester"]["url_base"] == base
    assert list(values["spec"]["connection_specification"]["properties"])[: len(inputs)] == inputs
    relative = begin("openapi", url="https://docs.example.com/v2/openapi.json", fetch=lambda url: json.dumps(document))
    expected = "https://docs.example.com" + ("/api" if servers else "")
    if base.startswith("{{"):
        assert yaml.safe_load(relative.manifest)["definitions"]["requester"]["url_base"] == expected


@pytest.mark.parametrize(
    "text",
    [
        *("", "{}", "[]", "openapi: 3.0.0", "a: [", "swagger: '2.0'\npaths: 3", "[" * 10_000),
        '{"openapi": "3.1.0", "paths": {"/a": {"get": 1}}}',
    ],
)
def test_what_is_no_document_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        begin("openapi", text)


@pytest.mark.slow
def test_hostile_documents_end_soon() -> None:
    """References in circles, schemas that grow with each level, ten thousand operations, a name full of templates."""
    circle = {"a": {"$ref": "#/components/schemas/b"}, "b": {"$ref": "#/components/schemas/a"}}
    grown: dict[str, Any] = {
        f"s{n}": {
            "type": "object",
            "properties": {f"p{m}": {"$ref": f"#/components/schemas/s{n + 1}"} for m in range(50)},
        }
        for n in range(50)
    }
    grown["s50"] = {"allOf": [{"$ref": "#/components/schemas/s50"}] * 50}
    answer = {
        "200": {
            "content": {"application/json": {"schema": {"type": "array", "items": {"$ref": "#/components/schemas/s0"}}}}
        }
    }
    ends = {"200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/a"}}}}}
    paths = {f"/{{{{ range(10**9) }}}}/things{n}": {"get": {"responses": answer}} for n in range(3000)}
    document = {
        "openapi": "3.1.0",
        "info": {"title": "x\n- evil: {{ 1 }}\n# <script>alert(1)</script>"},
        "servers": [{"url": "https://a.example"}],
        "paths": {**paths, "/circle": {"get": {"responses": ends}}},
        "components": {"schemas": {**circle, **grown}},
    }
    beginning = begin("openapi", json.dumps(document))
    values = yaml.safe_load(beginning.manifest)
    assert "evil" not in values
    assert len([stream for stream in beginning.streams if stream.included]) == 40
    assert validate(beginning.manifest) == []
