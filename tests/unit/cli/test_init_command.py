from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from kitestring import registry
from kitestring.cli.init import SNIPPETS, STREAMS, written
from kitestring.errors import ConfigError
from kitestring.project import Project, expand, read_yaml

Run = Callable[..., Result]


def test_init_writes_a_project_that_loads(run: Run, folder: Path) -> None:
    result = run("init", "--source", "sample", "--destination", "shelf")
    assert result.exit_code == 0, result.output
    project = Project.load(folder / "kitestring.yaml")
    assert list(project.file.connections) == ["sample_to_shelf"]
    assert "kitestring check" in result.stdout
    assert json.loads((folder / ".kitestring" / "schema.json").read_text())["title"] == "Kitestring project"


def test_init_names_the_variables_to_set(run: Run, folder: Path) -> None:
    out = run("init", "new", "--source", "feed", "--destination", "shelf").stdout
    assert "1. set TOKEN" in out
    assert "token: ${TOKEN}" in (folder / "new" / "kitestring.yaml").read_text()


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
            (folder / "kitestring.yaml").write_text(written(source.name, destination.name))
            assert Project.load(folder / "kitestring.yaml").file.connections


@pytest.mark.parametrize(("kind", "name"), SNIPPETS)
def test_the_prepared_options_are_taken_by_the_connector(
    kind: registry.Kind, name: str, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    for variable in ("ZENDESK_SUBDOMAIN", "ZENDESK_CLIENT_ID", "ZENDESK_CLIENT_SECRET", "GITHUB_TOKEN"):
        monkeypatch.setenv(variable, "filled-in")
    values, _ = read_yaml(SNIPPETS[kind, name], name)
    try:
        registry.connector(kind, name).build(expand(values, os.environ, str))
    except ConfigError as error:
        if "is not installed" in error.message:
            pytest.skip(error.hint)
        raise


def test_the_prepared_streams_are_there() -> None:
    for name, streams in STREAMS.items():
        connector = registry.connector("source", name)
        if connector.manifest is None:
            names = [stream.name for stream in connector.build({}).discover()]
            assert set(streams) <= set(names)


def test_the_schema_is_printed_for_editors(run: Run) -> None:
    assert "sources" in json.loads(run("schema").stdout)["properties"]
