"""Two versions of a manifest: what changes, and what of that breaks those who use it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from kitestring.declarative.builder.comparison import compare
from kitestring.declarative.builder.version_change import LONGEST, types_of, widened
from kitestring.declarative.manifest import json_values
from kitestring.errors import ConfigError

MANIFESTS = Path(__file__).parents[3] / "kitestring" / "sources" / "manifests"
MANIFEST = yaml.safe_load("""
version: 6.0.0
check: {type: CheckStream, stream_names: [things]}
definitions:
  retriever:
    requester:
      url_base: https://acme.example
      path: /things
      request_headers: {X-Acme: "1"}
      authenticator: {type: BearerAuthenticator, api_token: "{{ config['token'] }}"}
    record_selector: {extractor: {field_path: [items]}}
    partition_router:
      {type: ListPartitionRouter, cursor_field: region, values: [eu, us]}
streams:
  - name: things
    primary_key: id
    retriever: {$ref: "#/definitions/retriever"}
    incremental_sync:
      type: DatetimeBasedCursor
      cursor_field: updated_at
      datetime_format: "%s"
      start_datetime: "2024-01-01"
    schema_loader:
      type: InlineSchemaLoader
      schema:
        properties:
          id: {type: integer}
          name: {type: [string, "null"]}
          owner: {type: object, properties: {email: {type: string}}}
  - name: parts
    retriever: {$ref: "#/definitions/retriever"}
dynamic_streams:
  - {name: sheets, stream_template: {name: sheet}, components_resolver: {}}
spec:
  connection_specification:
    required: [token]
    properties:
      token: {type: string, airbyte_secret: true}
      pages: {type: integer, enum: [1, 2]}
      credentials:
        oneOf:
          - {properties: {kind: {const: key}, key: {type: string}}, required: [kind]}
          - {properties: {kind: {const: login}, name: {type: string}}, required: [kind]}
""")
STREAM = MANIFEST["streams"][0]
SPEC = MANIFEST["spec"]["connection_specification"]
Edit = Callable[[dict[str, Any]], object]


def edited(edit: Edit) -> dict[str, Any]:
    manifest: dict[str, Any] = copy.deepcopy(MANIFEST)
    edit(manifest)
    return manifest


def things(manifest: dict[str, Any]) -> Any:
    return manifest["streams"][0]


def cursor(manifest: dict[str, Any]) -> Any:
    return things(manifest)["incremental_sync"]


def fields(manifest: dict[str, Any]) -> Any:
    return things(manifest)["schema_loader"]["schema"]["properties"]


def retriever(manifest: dict[str, Any]) -> Any:
    return manifest["definitions"]["retriever"]


def form(manifest: dict[str, Any]) -> Any:
    return manifest["spec"]["connection_specification"]


BREAKING: list[tuple[Edit, str, str, str]] = [
    (lambda m: m["streams"].pop(), "stream", "", "The stream parts is gone."),
    (lambda m: things(m).update(primary_key=["id", "region"]), "primary_key", "primary_key",
     "The primary key of things is id, region, it was id."),
    (lambda m: things(m).pop("primary_key"), "primary_key", "primary_key",
     "The primary key of things is none, it was id."),
    (lambda m: things(m).pop("incremental_sync"), "sync_mode", "incremental_sync",
     "things can no longer be read incrementally."),
    (lambda m: cursor(m).update(cursor_field="changed"), "cursor", "cursor_field",
     "The cursor of things is changed, it was updated_at: its state no longer fits."),
    (lambda m: cursor(m).update(datetime_format="%Y"), "state_format", "datetime_format",
     "The cursor of things has another format: its state no longer fits."),
    (lambda m: fields(m).pop("name"), "schema_field", "name", "The field name of things is gone."),
    (lambda m: fields(m).update(id={"type": "string"}), "schema_field", "id",
     "The field id of things is string, it was integer."),
    (lambda m: fields(m)["owner"]["properties"].update(email={"type": "integer"}), "schema_field", "owner.email",
     "The field owner.email of things is integer, it was string."),
    (lambda m: m["dynamic_streams"].pop(), "dynamic_stream", "sheets", "The streams that sheets made are gone."),
    (lambda m: form(m)["properties"].update(site={"type": "string"}) or form(m)["required"].append("site"),
     "input", "site", "The input site is new and has to be filled in."),
    (lambda m: form(m)["required"].append("pages"), "input", "pages", "The input pages has to be filled in."),
    (lambda m: form(m)["properties"].update(token={"type": "integer", "airbyte_secret": True}), "input", "token",
     "The input token is integer, it was string."),
    (lambda m: form(m)["properties"]["pages"].update(enum=[1]), "input", "pages",
     "The input pages no longer takes 2."),
    (lambda m: form(m)["properties"]["credentials"]["oneOf"].pop(), "input", "credentials",
     "The choice login of credentials is gone."),
    (lambda m: form(m)["properties"]["credentials"]["oneOf"][0]["required"].append("key"), "input", "credentials.key",
     "The input credentials.key has to be filled in."),
]  # fmt: skip
HARMLESS: list[tuple[Edit, str, str, str]] = [
    (lambda m: m["streams"].append({**m["streams"][1], "name": "bits"}), "stream", "", "The stream bits is new."),
    (lambda m: m["streams"][1].update(incremental_sync={"cursor_field": "at"}), "sync_mode", "incremental_sync",
     "parts can be read incrementally, by at."),
    (lambda m: cursor(m).update(lookback_window="P1D"), "cursor", "lookback_window",
     "Changes lookback_window of the cursor of things."),
    (lambda m: fields(m).update(size={"type": "number"}), "schema_field", "size", "things has the new field size."),
    (lambda m: fields(m).update(id={"type": "number"}), "schema_field", "id",
     "The field id of things is number, it was integer."),
    (lambda m: things(m)["schema_loader"].update(type="JsonFileSchemaLoader", schema=None), "schema", "schema_loader",
     "The schema of things comes from elsewhere."),
    (lambda m: m.update(check={"stream_names": ["parts"]}), "check", "check",
     "Changes which streams test a configuration."),
    (lambda m: form(m)["required"].remove("token"), "input", "token", "The input token can be left empty."),
    (lambda m: form(m)["properties"].pop("pages"), "input", "pages", "The input pages is gone."),
    (lambda m: form(m)["properties"]["token"].pop("airbyte_secret"), "input", "token",
     "The input token is not a secret any more."),
    (lambda m: form(m)["properties"]["pages"]["enum"].append(3) or form(m)["properties"]["pages"].update(title="Pages"),
     "input", "pages", "Changes the title of the input pages."),
    (lambda m: m["spec"].update(advanced_auth={"auth_flow_type": "oauth2.0"}), "input", "advanced_auth",
     "Changes advanced auth."),
]  # fmt: skip


@pytest.mark.parametrize(("edit", "kind", "field", "sentence"), BREAKING)
def test_what_no_longer_fits_breaks(edit: Edit, kind: str, field: str, sentence: str) -> None:
    [change] = compare(MANIFEST, edited(edit))
    assert (change.kind, change.field, change.sentence, change.breaking) == (kind, field, sentence, True)


@pytest.mark.parametrize(("edit", "kind", "field", "sentence"), HARMLESS)
def test_what_still_fits_does_not_break(edit: Edit, kind: str, field: str, sentence: str) -> None:
    [change] = compare(MANIFEST, edited(edit))
    assert (change.kind, change.field, change.sentence, change.breaking) == (kind, field, sentence, False)


@pytest.mark.parametrize(
    ("edit", "kind"),
    [
        (lambda m: retriever(m)["requester"].update(path="/v2/things"), "request"),
        (lambda m: retriever(m)["requester"].update(authenticator={"type": "NoAuth"}), "authentication"),
        (lambda m: retriever(m)["requester"].update(error_handler={"max_retries": 2}), "errors"),
        (lambda m: retriever(m).update(paginator={"type": "NoPagination"}), "pagination"),
        (lambda m: retriever(m).update(record_selector={"extractor": {"field_path": []}}), "records"),
    ],
)
def test_a_definition_that_streams_refer_to_changes_each_of_them(edit: Edit, kind: str) -> None:
    changes = compare(MANIFEST, edited(edit))
    assert [(change.stream, change.kind, change.breaking) for change in changes] == [
        ("things", kind, False),
        ("parts", kind, False),
    ]


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("path", "/v2/things", "the path"),
        ("http_method", "POST", "the method"),
        ("request_headers", {"X-Acme": "2"}, "the headers"),
        ("request_parameters", {"limit": "10"}, "the query parameters"),
        ("request_body_json", {"limit": "10"}, "the JSON body"),
        ("use_cache", True, "`use_cache`"),
    ],
)
def test_a_change_of_a_request_is_named_as_the_form_names_its_field(field: str, value: object, words: str) -> None:
    [change, _] = compare(MANIFEST, edited(lambda m: retriever(m)["requester"].update({field: value})))
    assert change.sentence == f"Changes {words} of the requests of things."


def test_other_partitions_break_a_stream_that_has_a_state_by_partition_and_no_other() -> None:
    changes = compare(MANIFEST, edited(lambda m: retriever(m)["partition_router"].update(cursor_field="area")))
    assert [(change.stream, change.kind, change.breaking) for change in changes] == [
        ("things", "partitions", True),
        ("parts", "partitions", False),
    ]
    more = compare(MANIFEST, edited(lambda m: retriever(m)["partition_router"]["values"].append("asia")))
    assert [change.breaking for change in more] == [False, False]


def test_changes_that_break_come_first() -> None:
    changes = compare(
        MANIFEST, edited(lambda m: (fields(m).update(size={}), fields(m).pop("name"), m.update(check={})))
    )
    assert [change.breaking for change in changes] == [True, False, False]


def test_comments_and_definitions_that_are_moved_change_nothing() -> None:
    inlined = edited(lambda m: [stream.update(retriever=retriever(m)) for stream in m["streams"]])
    inlined.pop("definitions")
    assert compare(MANIFEST, inlined) == []


def test_long_values_are_cut() -> None:
    [first, _] = compare(MANIFEST, edited(lambda m: retriever(m)["requester"].update(path="/" + "x" * 10_000)))
    assert len(first.after) <= LONGEST + 1


@pytest.mark.parametrize("path", sorted(MANIFESTS.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_manifest_of_ours_differs_from_itself_in_nothing_and_from_one_with_a_stream_less_in_that(path: Path) -> None:
    values = json_values(path.read_text("utf-8"))
    assert compare(values, values) == []
    if len(values.get("streams") or ()) > 1 and isinstance(values["streams"][-1], dict):
        changes = compare(values, {**values, "streams": values["streams"][:-1]})
        assert any(change.kind == "stream" and change.breaking for change in changes)


@pytest.mark.parametrize(
    ("before", "after", "wider"),
    [
        ("integer", "number", True),
        ("number", "integer", False),
        ("integer", "integer or string", True),
        ("string", "string (date-time)", False),
        ("string", "", True),
        ("", "string", False),
    ],
)
def test_a_wider_type_takes_all_values_of_the_narrower(before: str, after: str, wider: bool) -> None:
    assert widened(before, after) is wider


def test_types_are_in_words() -> None:
    assert types_of({"type": ["null", "string"], "format": "date-time"}) == "string (date-time)"
    assert types_of({"type": "array", "items": {"type": "integer"}}) == "array of integer"
    assert types_of({"oneOf": [{"type": "string"}, {"type": "integer"}]}) == "string or integer"
    assert types_of({}) == types_of(None) == ""


def test_the_values_of_a_manifest_are_as_json_has_them() -> None:
    values = json_values("version: 1\nstart: 2024-01-01\n200: x\nx: &x [1]\ny: *x\n")
    assert values == {"version": 1, "start": "2024-01-01", "200": "x", "x": [1], "y": [1]}
    assert json_values('a: "\\\\u0000"') == {"a": "\\u0000"}
    with pytest.raises(ConfigError, match="is not an object"):
        json_values("[]")
    for text in ('a: "\\0"', 'a: "x\\\\\\0"', '"\\0": 1'):
        with pytest.raises(ConfigError, match="holds a NUL"):
            json_values(text)
