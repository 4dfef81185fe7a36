"""The configuration of a workspace as text: read, edited, compared and applied over the API."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml
from fastapi.testclient import TestClient
from sqlalchemy import update
from test_connections import create_endpoint, joined

from kitestring.server.app import create_app
from kitestring.server.connections import connection, endpoints
from kitestring.server.context import Context
from kitestring.server.store import tables
from kitestring.server.workspaces import workspaces
from tests.unit.server.documented import documented

pytestmark = pytest.mark.slow
TEXT = "/api/kitestring/v1/project/text"
ZENDESK = {
    "subdomain": "shop",
    "start_date": "2026-01-01T00:00:00Z",
    "credentials": {"credentials": "api_token", "email": "a@example.com", "api_token": "t0p-s3cret"},
}


@pytest.fixture
def client(context: Context) -> TestClient:
    return documented(TestClient(create_app(context)))


@pytest.fixture
def workspace(context: Context) -> str:
    with context.store.read() as db:
        return str(workspaces.default(db).id)


def text_of(client: TestClient, workspace: str, **part: str) -> str:
    return str(client.get(TEXT, params={"workspaceId": workspace, **part}).json()["text"])


def planned(client: TestClient, workspace: str, text: str) -> Any:
    answer = client.post(f"{TEXT}/plan", json={"workspaceId": workspace, "text": text})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_text_that_nobody_edited_changes_nothing_and_holds_no_secret(
    client: TestClient, context: Context, workspace: str, tmp_path: Path
) -> None:
    create_endpoint(context, "source", "zendesk-support", ZENDESK)
    joined(context, tmp_path / "out", [{"name": "users", "syncMode": "incremental_append"}], name="Users")
    text = text_of(client, workspace)
    assert "t0p-s3cret" not in text
    assert "${ZENDESK_SUPPORT_CREDENTIALS_API_TOKEN}" in text
    assert planned(client, workspace, text) == {"changes": [], "errors": []}
    part = text_of(client, workspace, kind="connection", name="Users")
    assert planned(client, workspace, part) == {"changes": [], "errors": []}
    assert "zendesk" not in part


def test_an_edit_is_compared_and_applied_and_secrets_stay(
    client: TestClient, context: Context, workspace: str, tmp_path: Path
) -> None:
    source = create_endpoint(context, "source", "zendesk-support", ZENDESK)
    connection_id = joined(
        context, tmp_path / "out", [{"name": "users", "syncMode": "incremental_append"}], name="Users"
    )
    text = text_of(client, workspace).replace("subdomain: shop", "subdomain: store")
    edited = text.replace("  Users:\n", "  Users:\n    schedule: every 6 hours\n")
    changes = planned(client, workspace, edited)["changes"]
    assert [(each["action"], each["kind"], each["name"]) for each in changes] == [
        ("update", "source", "zendesk-support"),
        ("update", "connection", "Users"),
    ]
    assert changes[0]["fields"] == [{"path": "subdomain", "before": "shop", "after": "store"}]
    applied = client.post(f"{TEXT}/apply", json={"workspaceId": workspace, "text": edited})
    assert applied.status_code == 200, applied.text
    with context.store.read() as db:
        row = endpoints.get(db, "source", source)
        config = context.secret_box.open_config(row.config, row.id)
    assert (config["subdomain"], config["credentials"]["api_token"], row.origin) == ("store", "t0p-s3cret", "")
    body = client.get(f"/api/kitestring/v1/connections/{connection_id}").json()
    assert body["schedule"]["basicTiming"] == "Every 6 HOURS"
    assert planned(client, workspace, edited) == {"changes": [], "errors": []}


def test_what_a_file_cannot_say_is_named_and_the_rest_is_written(
    client: TestClient, context: Context, workspace: str, tmp_path: Path
) -> None:
    joined(context, tmp_path / "out", [{"name": "users", "syncMode": "incremental_append"}], name="Users")
    joined(context, tmp_path / "old", [{"name": "users", "syncMode": "incremental_append"}], name="Old\nusers: {}")
    whole = text_of(client, workspace)
    with context.store.write() as db:
        rows = endpoints.find_all(db, "source")
        removed = tables.sources.c.id == rows[1].id
        db.execute(
            update(tables.sources).where(removed).values(definition_id="0" * 32, connector="gone", name="Old one")
        )
    text = text_of(client, workspace)
    assert "# Left out: the source Old one: its connector gone is not there any more.\n" in text
    assert "# Left out: the connection Old users: {}: its source is left out.\n" in text
    assert "# Left out: 1 more of the sources with the name sample.\n" in whole
    assert "# Left out: 1 more of the destinations with the name files.\n" in text
    content = yaml.safe_load(text)
    assert (list(content["sources"]), list(content["connections"])) == (["sample"], ["Users"])
    assert planned(client, workspace, text) == {"changes": [], "errors": []}
    assert text_of(client, workspace, kind="source", name="Old one").startswith("# Left out: the source Old one")
    assert "#" not in text_of(client, workspace, kind="source", name="sample")
    exported = client.get("/api/kitestring/v1/project/export", params={"workspaceId": workspace}).json()
    assert len(exported["leftOut"]) == 3
    listed = client.get("/v1/sources").json()["data"]
    assert {(each["name"], each["sourceType"]) for each in listed} == {("sample", "sample"), ("Old one", "gone")}
    # It gets a connector that is there, under its name.
    edited = "sources:\n  Old one: {connector: sample, config: {count: 3}}\n"
    assert planned(client, workspace, edited)["changes"][0]["fields"][0] == {
        "path": "connector",
        "before": "gone",
        "after": "sample",
    }
    assert client.post(f"{TEXT}/apply", json={"workspaceId": workspace, "text": edited}).status_code == 200
    assert "is not there any more" not in text_of(client, workspace)


def test_of_two_who_apply_one_text_at_once_each_name_is_made_once(
    context: Context, workspace: str, tmp_path: Path
) -> None:
    text = f"""
sources:
  Shop: {{connector: sample, config: {{count: 3}}}}
destinations:
  Out: {{connector: files, config: {{path: {tmp_path / "out"}}}}}
connections:
  Shop to files: {{source: Shop, destination: Out, streams: [users]}}
"""

    def apply(_: int) -> int:
        client = TestClient(create_app(context))
        return client.post(f"{TEXT}/apply", json={"workspaceId": workspace, "text": text}).status_code

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(apply, range(4))) == [200] * 4
    with context.store.read() as db:
        for kind in ("source", "destination"):
            assert len(endpoints.find_all(db, kind)) == 1
        assert len(connection.find_all(db)) == 1


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("sources:\n  a: [", 2, 7, ""),
        ("sources:\n  a:\n    connector: sample\n    colour: red\n", 4, 5, "colour is not a word"),
        ("sources:\n  a:\n    config: {}\n", 2, 3, "connector is missing"),
        ("connections:\n  c:\n    source: a\n    destination: b\n", 2, 3, "names the source a"),
        ("sources:\n  a:\n    connector: sampel\n", 3, 5, "sampel"),
        ("sources:\n  a:\n    connector: sample\n    config:\n      count: ${COUNT}\n", 5, 7, "COUNT has no value"),
        ("sources:\n  a:\n    connector: sample\n    config:\n      count: soon\n", 4, 5, "should be a valid integer"),
        ('sources:\n  "a\\0b": {connector: sample}\n', 2, 1, "holds a NUL"),
        ('sources:\n  "a\\ud800b": {connector: sample}\n', 2, 1, "half of a pair"),
        ('sources:\n  "": {connector: sample}\n', 2, 1, "a name in sources"),
        ("sources:\n  1: {connector: sample}\n", 2, 3, "a name in sources"),
        ("sources:\n  a: {connector: sample, config: {count: !!binary aGk=}}\n", 2, 1, "type !!binary"),
        (f"sources:\n  a: {{connector: sample, config: {{count: {'9' * 5000}}}}}\n", 0, 1, "cannot be read"),
        (f"sources: {'[' * 3000}{']' * 3000}\n", 0, 1, "nested too deeply"),
        ("states: {}\n", 1, 1, "not edited here"),
        ("- a\n", 1, 1, "not a mapping"),
        ("sources: {}\nsources: {}\n", 2, 1, "repeated"),
    ],
)
def test_what_is_wrong_is_named_with_line_and_column(
    client: TestClient, workspace: str, text: str, line: int, column: int, words: str
) -> None:
    answer = planned(client, workspace, text)
    assert answer["changes"] == []
    error = answer["errors"][0]
    assert (error["line"], error["column"]) == (line, column), error
    assert words in error["message"]
    refused = client.post(f"{TEXT}/apply", json={"workspaceId": workspace, "text": text})
    assert refused.status_code == (400 if "sampel" in text else 422)
