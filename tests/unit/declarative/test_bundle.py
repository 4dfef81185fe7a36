"""A manifest and the files beside it become one text, in which comments and order stay."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from kitestring.declarative.builder.beginning import begin
from kitestring.declarative.builder.bundle import bundled_file, bundled_with
from kitestring.declarative.builder.validation import validate
from kitestring.declarative.manifest import parse, resolve
from kitestring.errors import ConfigError

MANIFEST = """\
# A connector of Airbyte's.
version: 6.0.0
type: DeclarativeSource
check: {type: CheckStream, stream_names: [things]}
definitions:
  retriever:
    type: SimpleRetriever
    requester: {type: HttpRequester, url_base: "https://acme.example", path: /things}
    record_selector: {type: RecordSelector, extractor: {type: DpathExtractor, field_path: []}}
  parts:
    type: DeclarativeStream
    name: parts
    $parameters: {name: parts}
    retriever: {$ref: "#/definitions/retriever"}
streams:
  # What Acme makes.
  - type: DeclarativeStream   # by name
    name: things
    retriever: {$ref: "#/definitions/retriever"}
    transformations: [{type: CustomTransformation, class_name: components.Shout}]
    schema_loader:   # from a file
      type: JsonFileSchemaLoader
      file_path: "./schemas/things.json"
    # After the schema.
    primary_key: [id]
  - "#/definitions/parts"
  - type: DeclarativeStream
    name: inline
    retriever: {$ref: "#/definitions/retriever"}
    schema_loader: {type: InlineSchemaLoader, schema: {type: object}}
spec: {type: Spec, connection_specification: {type: object, properties: {}}}
"""
CODE = 'from dataclasses import dataclass\n\n\n@dataclass\nclass Shout:\n\tword: str = "🪁"\n'
THINGS = {"type": "object", "properties": {"id": {"type": "integer"}, "näme: x": {"type": ["null", "string"]}}}
PARTS = {"type": "object", "properties": {"id": {"type": "integer"}}}
FILES = {"components.py": CODE, "schemas/things.json": json.dumps(THINGS), "schemas/parts.json": json.dumps(PARTS)}


def test_code_and_schemas_are_put_in_and_the_rest_of_the_text_stays() -> None:
    bundle = bundled_with(MANIFEST, FILES)
    assert sorted(bundle.included) == sorted(FILES)
    values = parse(bundle.text)
    assert values["metadata"]["components_py"] == CODE
    things, parts, inline = values["streams"]
    assert things["schema_loader"] == {"type": "InlineSchemaLoader", "schema": THINGS}
    assert parts == {"$ref": "#/definitions/parts", "schema_loader": {"type": "InlineSchemaLoader", "schema": PARTS}}
    assert inline == parse(MANIFEST)["streams"][2]
    gone = {"    schema_loader:   # from a file", "      type: JsonFileSchemaLoader", '  - "#/definitions/parts"'}
    gone.add('      file_path: "./schemas/things.json"')
    assert [line for line in MANIFEST.splitlines() if line not in bundle.text.splitlines()] == [
        line for line in MANIFEST.splitlines() if line in gone
    ]
    assert not bundle.notes
    assert bundled_with(bundle.text, FILES).text == bundle.text, "a second time nothing changes"


@pytest.mark.parametrize(
    "code",
    [
        "x = 1",
        "  indented\n",
        "a\n\n\n",
        "tail  \n",
        "\ttab\n",
        "nul\x01\n",
        "a\r\nb\r\n",
        "'''\n: #\n'''\n",
        "﻿x = 1\n",
    ],
)
@pytest.mark.parametrize("metadata", ["", "metadata:\n  name: Acme\n", "metadata: {name: Acme}\n"])
def test_any_code_arrives_as_it_is(code: str, metadata: str) -> None:
    text = bundled_with(MANIFEST + metadata, {"components.py": code}).text
    values = parse(text)
    assert values["metadata"]["components_py"] == code
    assert values["metadata"].get("name") == ("Acme" if metadata else None)


def test_a_manifest_of_one_line_of_json_is_rewritten_with_the_same_values() -> None:
    text = json.dumps(yaml.safe_load(MANIFEST))
    bundle = bundled_with(text, {"things.json": json.dumps(THINGS)})
    assert parse(bundle.text)["streams"][0]["schema_loader"]["schema"] == THINGS
    assert ["was rewritten" in note for note in bundle.notes] == [True]


def test_what_is_not_beside_it_changes_nothing() -> None:
    for files in ({}, {"notes.txt": "x", "schemas/other.json": "{}"}):
        bundle = bundled_with(MANIFEST, files)
        assert (bundle.text, bundle.included) == (MANIFEST, [])
        assert bundle.notes == ["The schema of things is in schemas/things.json, which is not there."]
    for broken in ("a: [", "x", "streams: 5"):
        assert bundled_with(broken, FILES).text == broken


def test_of_several_files_with_one_name_only_that_of_the_path_is_taken() -> None:
    other = json.dumps({"type": "object", "properties": {"wrong": {}}})
    for files in (
        {"acme/schemas/things.json": json.dumps(THINGS), "acme/old/things.json": other},
        {"acme/schemas/things.json": json.dumps(THINGS), "acme/old/schemas/things.json": other},
    ):
        streams = parse(bundled_with(MANIFEST, files).text)["streams"]
        assert streams[0]["schema_loader"]["schema"] == THINGS
    bundle = bundled_with(MANIFEST, {"a/things.json": other, "b/things.json": other})
    assert (bundle.text, bundle.included) == (MANIFEST, [])


def test_other_code_and_broken_schemas_are_refused() -> None:
    whole = bundled_with(MANIFEST, FILES).text
    with pytest.raises(ConfigError, match="has others"):
        bundled_with(whole, {"components.py": "x = 2\n"})
    with pytest.raises(ConfigError, match=r"things\.json is not JSON"):
        bundled_with(MANIFEST, {"schemas/things.json": "{"})


DYNAMIC = """\
dynamic_streams:
  # One for each kind.
  - type: DynamicDeclarativeStream
    name: kinds
    stream_template:
      type: DeclarativeStream
      name: kind
      $parameters: {name: kind}
      retriever: {$ref: "#/definitions/retriever"}
    components_resolver:
      type: ConfigComponentsResolver
      stream_config: {type: StreamConfig, configs_pointer: [kinds]}
      components_mapping:
        - {type: ComponentMappingDefinition, field_path: [name], value: "{{ components_values['kind'] }}"}
  - $ref: "#/definitions/dynamic"
"""
CONDITIONAL = """\
  - type: ConditionalStreams
    condition: "{{ config['all'] }}"
    streams:
      - type: DeclarativeStream
        name: spare   # parts
        $parameters: {name: spare}
        retriever: {$ref: "#/definitions/retriever"}
"""


def test_the_schemas_of_dynamic_and_conditional_streams_are_put_in_too() -> None:
    shared = DYNAMIC.splitlines()[2:-1]
    definition = "\n".join(["  dynamic:", *(line.replace("  - ", "    ", 1) for line in shared[:1]), *shared[1:]])
    text = MANIFEST.replace("spec:", f"{CONDITIONAL}{DYNAMIC}spec:").replace(
        "streams:\n  # What", f"{definition}\nstreams:\n  # What"
    )
    kind, spare = {"type": "object", "properties": {"kind": {"type": "string"}}}, PARTS
    files = {"schemas/kind.json": json.dumps(kind), "schemas/spare.json": json.dumps(spare)}
    bundle = bundled_with(text.replace('  - $ref: "#/definitions/dynamic"\n', ""), files)
    assert sorted(bundle.included) == sorted(files)
    values = parse(bundle.text)
    loader = {"type": "InlineSchemaLoader", "schema": kind}
    assert values["dynamic_streams"][0]["stream_template"]["schema_loader"] == loader
    assert values["streams"][3]["streams"][0]["schema_loader"]["schema"] == spare
    for comment in ("# One for each kind.", "# parts", "# A connector of Airbyte's."):
        assert comment in bundle.text
    referenced = bundled_with(text, files)
    assert [note for note in referenced.notes if "was rewritten" in note]
    first, second = resolve(parse(referenced.text))["dynamic_streams"]
    assert first == second
    assert second["stream_template"]["schema_loader"]["schema"] == kind
    (defect,) = validate(referenced.text, {"kinds": [{"kind": "a"}], "all": True})
    assert "components.Shout" in defect.message, "the schemas are no defect"


def test_a_folder_is_read_and_nothing_outside_of_it(tmp_path: Path) -> None:
    folder = tmp_path / "connector"
    (folder / "schemas").mkdir(parents=True)
    for name, content in FILES.items():
        (folder / name).write_text(content)
    path = folder / "manifest.yaml"
    path.write_text(MANIFEST)
    assert sorted(bundled_file(path, MANIFEST).included) == sorted(FILES)
    (tmp_path / "secret.json").write_text(json.dumps(THINGS))
    outside = MANIFEST.replace("./schemas/things.json", "../secret.json")
    assert "schemas/things.json" not in bundled_file(path, outside).included
    (folder / "schemas" / "things.json").unlink()
    (folder / "schemas" / "things.json").symlink_to(tmp_path / "secret.json")
    assert "schemas/things.json" not in bundled_file(path, MANIFEST).included


def test_a_connector_begins_with_the_files_of_its_folder() -> None:
    beginning = begin("manifest", MANIFEST, files=FILES)
    assert parse(beginning.manifest)["metadata"]["components_py"] == CODE
    assert any("approved them" in note for note in beginning.notes)
    empty = begin("empty", "Mine")
    assert (empty.name, [stream["name"] for stream in parse(empty.manifest)["streams"]]) == ("Mine", ["records"])
