"""Of two who change the same thing, the second sees the first: `ETag` of what was loaded, `If-Match` of its change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from test_connections import joined

from kitestring.server.app import create_app
from kitestring.server.connections import endpoints
from kitestring.server.context import Context
from kitestring.server.jobs.config_updates import ConfigUpdater
from tests.unit.server.documented import documented

pytestmark = pytest.mark.slow

TOKEN = {"credentials": {"credentials": "api_token", "email": "rosa@example.com", "api_token": "first"}}


@pytest.fixture
def client(context: Context) -> TestClient:
    return documented(TestClient(create_app(context)))


def source_of(client: TestClient) -> str:
    workspace = client.get("/v1/workspaces").json()["data"][0]["workspaceId"]
    config = {"sourceType": "zendesk-support", "subdomain": "acme", **TOKEN}
    answer = client.post("/v1/sources", json={"name": "Help desk", "workspaceId": workspace, "configuration": config})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["sourceId"])


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_a_change_of_a_source_that_somebody_has_changed_is_refused(client: TestClient, method: str) -> None:
    path = f"/v1/sources/{source_of(client)}"
    loaded = client.get(path)
    body = {"name": "Desk", "configuration": loaded.json()["configuration"]}

    def change(name: str, tag: str) -> Any:
        return client.request(method, path, json={**body, "name": name}, headers={"If-Match": tag})

    first = change("Rosa's desk", loaded.headers["etag"])
    assert first.status_code == 200, first.text
    second = change("Ivan's desk", loaded.headers["etag"])
    assert (second.status_code, second.json()["data"]["hint"][:13]) == (412, "Load it again")
    assert client.get(path).json()["name"] == "Rosa's desk"
    assert change("Ivan's desk", first.headers["etag"]).status_code == 200
    assert client.patch(path, json={"name": "Last wins"}).status_code == 200


def test_a_new_secret_is_a_change_although_both_answers_mask_it(client: TestClient) -> None:
    path = f"/v1/sources/{source_of(client)}"
    loaded = client.get(path)
    secret = {"credentials": {**TOKEN["credentials"], "api_token": "second"}}
    assert client.patch(path, json={"configuration": secret}).status_code == 200
    again = client.get(path)
    assert again.json() == loaded.json()
    assert client.patch(path, json={"name": "Desk"}, headers={"If-Match": loaded.headers["etag"]}).status_code == 412


def test_a_credential_that_its_connector_renews_is_no_change_of_a_person(client: TestClient, context: Context) -> None:
    source_id = source_of(client)
    path = f"/v1/sources/{source_id}"
    workspace = client.get(path).json()["workspaceId"]
    out = {"destinationType": "files", "path": "out", "format": "jsonl"}
    destination = client.post("/v1/destinations", json={"name": "Out", "workspaceId": workspace, "configuration": out})
    assert (
        destination.headers["etag"]
        == client.get(f"/v1/destinations/{destination.json()['destinationId']}").headers["etag"]
    )
    loaded = client.get(path).headers["etag"]
    with context.store.read() as db:
        source = endpoints.endpoint_of(context, db, "source", source_id)
    spec = client.get("/api/kitestring/v1/connectors/source/zendesk-support").json()["spec"]
    renewed = {**source.config, "credentials": {**source.config["credentials"], "api_token": "renewed"}}
    ConfigUpdater(context, source=source).save("source", renewed, spec)
    with context.store.read() as db:
        assert endpoints.endpoint_of(context, db, "source", source_id).config == renewed
    assert client.get(path).headers["etag"] == loaded


def test_a_connection_bears_one_version_in_both_apis_and_guards_its_settings(
    client: TestClient, context: Context, tmp_path: Path
) -> None:
    connection_id = joined(context, tmp_path / "out", [{"name": "users", "syncMode": "incremental_append"}])
    path = f"/v1/connections/{connection_id}"
    tag = client.get(path).headers["etag"]
    assert tag == f'"{client.get(f"/api/kitestring/v1/connections/{connection_id}").json()["version"]}"'
    schedule = {"schedule": {"scheduleType": "cron", "cronExpression": "0 0 3 * * ? UTC"}}
    assert client.patch(path, json=schedule, headers={"If-Match": tag}).status_code == 200
    assert client.patch(path, json={"name": "Mine"}, headers={"If-Match": tag}).status_code == 412


def test_a_job_says_whether_the_web_interface_started_it(client: TestClient, context: Context, tmp_path: Path) -> None:
    own, causes = "/api/kitestring/v1", []
    for headers in ({}, {"X-Kitestring-Client": "interface"}, {"X-Kitestring-Client": "<b>"}):
        connection_id = joined(context, tmp_path / f"out{len(causes)}")
        answer = client.post(f"{own}/connections/{connection_id}/sync", headers=headers)
        causes.append(answer.json()["cause"])
    assert causes == ["api", "interface", "api"]
    others = [joined(context, tmp_path / "more")]
    body = {"connectionIds": others, "action": "sync"}
    [result] = client.post(
        f"{own}/connections/bulk/run", json=body, headers={"X-Kitestring-Client": "interface"}
    ).json()["data"]
    assert client.get(f"{own}/jobs/{result['jobId']}").json()["cause"] == "interface"
