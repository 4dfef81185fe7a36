"""What a refusal looks like, what it keeps to itself, and what a request may say."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.routing import APIRoute, iter_route_contexts
from pydantic import BaseModel
from sqlalchemy.exc import OperationalError

from kitestring.server.app import create_app
from kitestring.server.context import Context
from tests.unit.server.documented import server_document
from tests.unit.server.tenants import Browser, Tenant, admin

pytestmark = pytest.mark.slow  # seconds: left to `make test`

OWN = "/api/kitestring/v1"


def test_every_refusal_is_problem_json(context: Context) -> None:
    admin(context)
    acme = Tenant.make(context, "acme")
    root, nobody = Browser(context, "root@example.com"), Browser(context)
    missing = "00000000-0000-0000-0000-000000000000"
    for answer in (
        nobody.get("/v1/sources"),
        root.get(f"/v1/sources/{missing}"),
        root.get("/v1/nothing"),
        root.put("/v1/sources"),
        root.post("/v1/sources", json={"name": 3}),
        root.post("/v1/sources", content=b"\xff"),
        root.post("/v1/sources", headers={"Content-Length": "9999999999"}, content=b""),
        Browser(context, acme.member("workspace_reader")).delete(f"/v1/sources/{acme.source_id}"),
        root.post("/api/v1/sources/get", json={"sourceId": missing}),
    ):
        assert answer.status_code >= 400
        assert answer.headers["content-type"] == "application/problem+json", answer.url
        assert answer.json()["status"] == answer.status_code


def test_the_document_of_the_api_says_so(context: Context) -> None:
    for path, methods in server_document(create_app(context)).body["paths"].items():
        for operation in methods.values():
            assert list(operation["responses"]["4XX"]["content"]) == ["application/problem+json"], path


def test_a_store_that_is_away_is_told_without_its_address(
    context: Context, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    admin(context)
    client = Browser(context, "root@example.com")

    def away(*_: Any, **__: Any) -> Any:
        raise OperationalError("SELECT", {}, Exception('connection to server at "10.1.2.3", port 5432 failed'))

    monkeypatch.setattr(context.store.engine, "connect", away)
    for path in ("/v1/sources", f"{OWN}/session", "/metrics", "/api/public/v1/workspaces"):
        answer = client.get(path)
        assert answer.status_code == 503
        for secret in ("10.1.2.3", "5432", "sqlite", str(context.settings.home)):
            assert secret not in answer.text
    assert "10.1.2.3" in caplog.text


def test_a_host_of_somebodys_choice_comes_back_in_no_link(context: Context) -> None:
    admin(context)
    client = Browser(context, "root@example.com")
    for host in ("evil.example", "evil.example:8000", "127.0.0.1.evil.example", "localhost@evil.example"):
        answer = client.get("/v1/workspaces?limit=1", headers={"Host": host}).json()
        assert "evil" not in answer["next"]
        assert answer["next"] == "/v1/workspaces?limit=1&offset=1"
    own = client.get("/v1/workspaces?limit=1", headers={"Host": "127.0.0.1:8000"}).json()
    assert own["next"] == "http://127.0.0.1:8000/v1/workspaces?limit=1&offset=1"
    context.settings.public_url = "https://kite.example.com"
    public = client.get("/v1/workspaces?limit=1", headers={"Host": "evil.example"}).json()
    assert public["next"] == "https://kite.example.com/v1/workspaces?limit=1&offset=1"


def test_metrics_need_a_role_and_the_machines_are_for_admins_of_the_instance(context: Context) -> None:
    admin(context)
    acme = Tenant.make(context, "acme")
    for email, metrics, workers in (
        (acme.member(""), 403, 403),
        (acme.member("workspace_reader"), 200, 403),
        (acme.member("workspace_admin"), 200, 403),
        ("root@example.com", 200, 200),
    ):
        client = Browser(context, email)
        assert client.get("/metrics").status_code == metrics
        assert client.get(f"{OWN}/workers").status_code == workers


def test_our_own_api_takes_no_field_that_it_does_not_know(context: Context) -> None:
    workspace_id = Tenant.make(context, "acme").workspace_id
    client = Browser(context)
    client.base_url = client.base_url.copy_with(host="127.0.0.1")
    draft = {"kind": "source", "workspaceId": workspace_id, "configuration": {"sourceType": "sample"}}
    for path, body, fact in (
        ("/check", {**draft, "sourceID": None}, "sourceID is not a known field, did you mean sourceId?"),
        ("/check", {**draft, "trusted": True}, "trusted is not a known field; known are kind, workspaceId"),
        ("/builder/resolve", {"workspaceId": workspace_id, "manifest": {}, "manifst": 1}, "did you mean manifest?"),
        ("/users", {"email": "a@b", "permissions": [{"permissionTyp": "x"}]}, "did you mean permissionType?"),
        ("/project/plan", {"workspaceId": workspace_id, "wanted": {}, "prun": 1}, "did you mean prune?"),
    ):
        answer = client.post(f"{OWN}{path}", json=body)
        assert answer.status_code == 400, answer.text
        assert fact in answer.json()["detail"]


def test_airbytes_apis_ignore_fields_that_they_do_not_know(context: Context) -> None:
    workspace_id = Tenant.make(context, "acme").workspace_id
    client = Browser(context)
    client.base_url = client.base_url.copy_with(host="127.0.0.1")
    body = {"workspaceId": workspace_id, "name": "s", "configuration": {"sourceType": "sample"}, "whatever": 1}
    assert client.post("/v1/sources", json=body).status_code == 200
    assert client.post("/api/v1/sources/list", json={"workspaceId": workspace_id, "whatever": 1}).status_code == 200


def test_every_body_of_our_own_api_is_strict(context: Context) -> None:
    bodies = {
        context.path: context.original_route.body_field.field_info.annotation
        for context in iter_route_contexts(create_app(context).routes)
        if isinstance(context.original_route, APIRoute)
        and str(context.path).startswith(OWN)
        and context.original_route.body_field is not None
    }
    assert len(bodies) > 15
    for path, model in bodies.items():
        assert isinstance(model, type), path
        assert issubclass(model, BaseModel), path
        assert model.model_config.get("extra") == "forbid", f"{path}: {model.__name__}"
