"""A manifest goes between a file and a builder project of a running server, and nothing of it is lost on the way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kitestring.client import Client
from kitestring.declarative.manifest import parse
from tests.integration.server.running import Running
from tests.unit.server.shop import things

pytestmark = pytest.mark.slow

PROJECTS = "/api/kitestring/v1/builder/projects"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = Running(tmp_path_factory.mktemp("server"))
    yield running
    assert running.stop() == 0, running.log.read_text()


@pytest.fixture(scope="module")
def client(server: Running) -> Iterator[Client]:
    with Client(server.url) as created_client:
        yield created_client


def project(client: Client, name: str) -> dict[str, Any]:
    space = next(iter(client.listed("workspace")))["workspaceId"]
    projects = client.call("GET", PROJECTS, workspaceId=space)["data"]
    [match] = [project for project in projects if project["name"] == name]
    read: dict[str, Any] = client.call("GET", f"{PROJECTS}/{match['projectId']}")
    return read


def test_a_file_becomes_a_project_and_comes_back_byte_for_byte(server: Running, client: Client) -> None:
    path = server.folder / "connectors" / "acme_things.yaml"
    path.parent.mkdir(exist_ok=True)
    text = things(1).replace("\n", "\r\n", 3) + "# the last line has no end"
    path.write_bytes(text.encode())
    assert "created the project acme_things" in server.command("manifest", "push", str(path))
    assert project(client, "acme_things")["manifest"] == text
    assert "has this text already" in server.command("manifest", "push", str(path))
    server.command("manifest", "pull", "acme_things", "-o", "copy.yaml")
    assert (server.folder / "copy.yaml").read_bytes() == text.encode()
    assert "already" in server.command("manifest", "pull", "acme_things", "-o", "copy.yaml")


def test_what_differs_is_shown_and_replaced_only_with_a_yes(server: Running, client: Client) -> None:
    path = server.folder / "connectors" / "shop.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(things(1))
    server.command("manifest", "push", str(path))
    path.write_text(things(2))
    refused = server.command("manifest", "push", str(path), code=2)
    assert "-# Version 1 of the connector." in refused
    assert "+# Version 2 of the connector." in refused
    assert "--yes" in refused
    assert project(client, "shop")["manifest"] == things(1)
    assert "revision 2" in server.command("manifest", "push", str(path), "--yes")
    changed = {"revision": 2, "manifest": things(3)}
    client.call("PATCH", f"{PROJECTS}/{project(client, 'shop')['projectId']}", changed)
    assert "--yes" in server.command("manifest", "pull", "shop", code=2)
    assert path.read_text() == things(2)
    server.command("manifest", "pull", "shop", "--yes")
    assert path.read_text() == things(3)


def test_a_pushed_manifest_is_published_with_what_changes(server: Running, client: Client) -> None:
    path = server.folder / "connectors" / "goods.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(things(1))
    assert "published version 1 of goods" in server.command("manifest", "push", str(path), "--publish")
    assert "is version 1 already" in server.command("manifest", "push", str(path), "--publish")
    path.write_text(things(2, key="uid"))
    words = ("manifest", "push", str(path), "--publish", "--note", "Better keys.", "--yes")
    output = server.command(*words)
    assert "breaks: The primary key of things is uid, it was id." in output
    assert "published version 2 of goods" in output
    versions = client.call("GET", f"{PROJECTS}/{project(client, 'goods')['projectId']}/versions")["data"]
    assert [(version["version"], version["note"]) for version in versions] == [(2, "Better keys."), (1, "")]
    path.write_text("streams: [")
    assert "cannot be published" in server.command(*words, code=2)


def test_unknown_projects_and_workspaces_are_named(server: Running) -> None:
    assert "has no builder project nothing" in server.command("manifest", "pull", "nothing", code=2)
    refused = server.command("manifest", "pull", "shop", "--workspace", "elsewhere", code=2)
    assert "has no workspace elsewhere" in refused
    path = Path(server.folder) / "broken.yaml"
    path.write_bytes(b"\xff")
    assert "is not UTF-8" in server.command("manifest", "push", str(path), code=2)


def test_a_folder_with_code_and_schemas_is_bundled_and_pushed_as_one_text(server: Running, client: Client) -> None:
    folder = server.folder / "source-workshop"
    (folder / "schemas").mkdir(parents=True)
    code = "class Shout:\n    pass\n"
    schema = {"type": "object", "properties": {"id": {"type": "integer"}}}
    loader = "schema_loader: {type: JsonFileSchemaLoader, file_path: ./schemas/things.json}"
    custom = "{type: CustomTransformation, class_name: components.Shout}"
    inline = """schema_loader:
      type: InlineSchemaLoader
      schema: {type: object, properties: {id: {type: integer}, uid: {type: string}}}"""
    text = things(1).replace(inline, f"{loader}\n    transformations: [{custom}]")
    assert loader in text
    (folder / "manifest.yaml").write_bytes(text.encode())
    (folder / "components.py").write_text(code)
    (folder / "schemas" / "things.json").write_text(json.dumps(schema))
    assert "whole.yaml" in server.command("manifest", "bundle", "source-workshop", "-o", "whole.yaml")
    whole = (server.folder / "whole.yaml").read_text()
    assert whole.startswith("# Version 1 of the connector.\n")
    values = parse(whole)
    assert values["metadata"]["components_py"] == code
    assert values["streams"][0]["schema_loader"] == {"type": "InlineSchemaLoader", "schema": schema}
    assert "created the project source-workshop" in server.command("manifest", "push", "source-workshop")
    assert "has this text already" in server.command("manifest", "push", "source-workshop/manifest.yaml")
    assert project(client, "source-workshop")["manifest"] == whole
    refused = server.command("manifest", "push", "source-workshop", "--publish", code=2)
    assert "that no instance_admin has approved" in refused
    (folder / "schemas" / "things.json").write_text("{")
    assert "is not JSON" in server.command("manifest", "bundle", "source-workshop", code=2)
    crlf = folder / "plain.yaml"
    crlf.write_bytes(things(2).replace("\n", "\r\n").encode())
    server.command("manifest", "bundle", str(crlf), "-o", "plain.yaml")
    assert (server.folder / "plain.yaml").read_bytes() == crlf.read_bytes()
