from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from kitestring import registry
from kitestring.cli.init import project_text, sample_value, snippet
from kitestring.declarative.manifest import load
from kitestring.errors import ConfigError
from kitestring.facts import Proposal
from kitestring.project import Project, expand
from kitestring.yaml_lines import read_yaml

Run = Callable[..., Result]
PROPOSALS = [
    (connector.kind, connector.name, connector.facts().proposal)
    for connector in registry.connectors()
    if connector.entry_point is None
]
CLOUD_ID = "1a11d016-8984-4c3e-b9ab-142dd06acb1b"


@pytest.mark.slow
def test_init_writes_a_project_that_loads(run: Run, folder: Path) -> None:
    result = run("init", "--source", "sample", "--destination", "shelf")
    assert result.exit_code == 0, result.output
    project = Project.load(folder / "kitestring.yaml")
    assert list(project.file.connections) == ["sample_to_shelf"]
    assert "kitestring check" in result.stdout
    assert json.loads((folder / ".kitestring" / "schema.json").read_text())["title"] == "Kitestring project"


@pytest.mark.slow
def test_init_names_the_variables_to_set(run: Run, folder: Path) -> None:
    out = run("init", "new", "--source", "feed", "--destination", "shelf").stdout
    assert "1. set TOKEN" in out
    assert "token: ${TOKEN}" in (folder / "new" / "kitestring.yaml").read_text()


@pytest.mark.slow
def test_init_names_what_has_defaults_and_what_is_empty(run: Run, folder: Path) -> None:
    output = run("init", "a", "--source", "sample", "--destination", "postgres").stdout
    assert (
        "1. set TO_PGHOST, TO_PGPORT, TO_PGDATABASE, TO_PGUSER, TO_PGPASSWORD where the defaults do not fit" in output
    )
    assert "2. kitestring check" in output
    output = run("init", "b", "--source", "sample", "--destination", "shelf").stdout
    assert "fill in what is empty in the file: folder" in output


def test_an_example_of_a_list_is_a_list() -> None:
    assert sample_value("fields", {"type": "array", "examples": ["text", "title"]}) == '["text"]'
    assert sample_value("fields", {"type": "array", "examples": [["text"]]}) == '["text"]'


def test_init_never_overwrites(run: Run, project: Path) -> None:
    before = project.read_text()
    result = run("init", "--source", "sample", "--destination", "shelf")
    assert result.exit_code == 2
    assert "is there already" in result.stderr
    assert project.read_text() == before


def test_init_can_print_the_file(run: Run, folder: Path) -> None:
    out = run("init", "--print", "--source", "sample", "--destination", "shelf").stdout
    assert "connections:" in out
    assert not list(folder.iterdir())


@pytest.mark.slow
def test_init_can_be_written_for_every_connector_there_is(folder: Path) -> None:
    for source in registry.connectors("source"):
        for destination in registry.connectors("destination"):
            (folder / "kitestring.yaml").write_text(project_text(source.name, destination.name))
            assert Project.load(folder / "kitestring.yaml").file.connections


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, name, proposal in PROPOSALS if proposal.config])
def test_the_prepared_options_are_taken_by_the_connector(
    kind: registry.Kind, name: str, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    connector = registry.connector(kind, name)
    source = "" if kind == "source" else "issues"
    text = snippet(connector, connector.facts().proposal, Proposal(), source)
    assert "{" not in re.sub(r"\$\{\w+(:-\w*)?\}|: \{.*\}", "", text), "a place to fill in is left"
    for variable in re.findall(r"\$\{(\w+)\}", text):
        monkeypatch.setenv(variable, CLOUD_ID if variable.endswith("CLOUD_ID") else "filled-in")
    values, _ = read_yaml(text, name)
    try:
        registry.connector(kind, name).build(expand(values, os.environ, str))
    except ConfigError as error:
        if "is not installed" in error.message:
            pytest.skip(error.hint)
        raise


def test_the_prepared_streams_are_there() -> None:
    for kind, name, proposal in PROPOSALS:
        connector = registry.connector(kind, name)
        if proposal.streams and connector.manifest is None:
            names = [stream.name for stream in connector.build({}).discover()]
            assert set(proposal.streams) <= set(names)


@pytest.mark.parametrize(
    ("name", "texts"), [(name, proposal) for _, name, proposal in PROPOSALS if proposal.text_fields]
)
def test_the_texts_that_are_proposed_are_fields_of_the_streams(name: str, texts: Proposal) -> None:
    fields: dict[str, set[str]] = {}
    path = registry.connector("source", name).manifest
    assert path is not None
    for stream in (inner for entry in load(path)["streams"] for inner in entry.get("streams", [entry])):
        inner = stream.get("incremental_stream", stream)
        if inner.get("name") in texts.streams:
            fields[inner["name"]] = set(inner["schema_loader"]["schema"]["properties"])
    assert set(fields) == set(texts.streams)
    embedded = {field.split(".")[0] for field in texts.text_fields}
    assert [stream for stream, names in fields.items() if not names & embedded] == []
    stored = {field.split(".")[0] for field in texts.metadata_fields}
    assert (embedded | stored) - set().union(*fields.values()) == set()


def test_a_vector_collection_gets_the_texts_of_the_source_that_fills_it() -> None:
    text = project_text("slack", "milvus")
    assert "text_fields: [text_rendered]" in text
    assert "streams: [channel_messages, threads]" in text
    assert "collection: slack" in text
    assert "collection: helpdesk" in project_text("zendesk_support", "milvus")
    assert "# text_fields" in project_text("postgres", "milvus")


@pytest.mark.slow
def test_what_to_set_is_named_also_where_credentials_come_in_several_kinds(run: Run, folder: Path) -> None:
    for name in ("jira", "confluence", "linear", "slack", "shopify"):
        assert "1. set " in run("init", name, "--source", name).stdout


@pytest.mark.slow
def test_the_schema_is_printed_for_editors(run: Run) -> None:
    assert "sources" in json.loads(run("schema").stdout)["properties"]
