"""Who may do what, decided in one place from the ids of the request."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from sqlalchemy import Connection

from kitestring.server.api.kitestring import jobs as job_events
from kitestring.server.auth import application, login_session, user
from kitestring.server.auth.access import Editor, Reader
from kitestring.server.auth.request_credentials import authenticate
from kitestring.server.context import Context
from kitestring.server.store.store import new_id
from tests.unit.server.tenants import Browser, Tenant, admin

pytestmark = pytest.mark.slow


@pytest.fixture
def tenants(context: Context) -> tuple[Tenant, Tenant]:
    admin(context)
    return Tenant.make(context, "acme"), Tenant.make(context, "globex")


def routed(client: TestClient) -> TestClient:
    """The application with routes of every way to name a resource."""
    app = client.app
    assert isinstance(app, FastAPI)

    @app.get("/v1/x/{sourceId}")
    def read(sourceId: str, who: Reader) -> str:
        return who.name

    @app.patch("/v1/x/{sourceId}")
    def change(sourceId: str, body: dict[str, Any], who: Editor) -> str:
        return who.name

    @app.post("/v1/x")
    def make(body: dict[str, Any], who: Editor) -> str:
        return who.name

    @app.get("/v1/list")
    def some(who: Reader) -> list[str] | None:
        return who.workspaces()

    @app.post("/api/v1/jobs/get", include_in_schema=False)
    def config_api(body: dict[str, Any], who: Reader) -> str:
        return who.name

    return client


def test_a_role_counts_in_its_own_workspace_only(context: Context, tenants: tuple[Tenant, Tenant]) -> None:
    acme, globex = tenants
    client = routed(Browser(context, acme.member("workspace_reader")))
    assert client.get(f"/v1/x/{acme.source_id}").status_code == 200
    assert client.get(f"/v1/x/{acme.source_id.upper()}").status_code == 200
    response = client.get(f"/v1/x/{globex.source_id}")
    assert response.status_code == 403
    assert globex.workspace_id not in response.text
    assert client.get(f"/v1/x/{new_id()}").status_code == 404
    assert client.patch(f"/v1/x/{acme.source_id}", json={}).status_code == 403
    assert client.get("/v1/list").json() == [acme.workspace_id]


def test_ids_in_the_query_and_in_the_body_are_looked_at(context: Context, tenants: tuple[Tenant, Tenant]) -> None:
    acme, globex = tenants
    client = routed(Browser(context, acme.member("workspace_editor")))
    assert client.get("/v1/list", params={"workspaceIds": [acme.workspace_id]}).status_code == 200
    assert client.get("/v1/list", params={"workspaceIds": [acme.workspace_id, globex.workspace_id]}).status_code == 403
    assert client.get("/v1/list", params={"source_id": globex.source_id}).status_code == 403
    for body in (
        {"workspaceId": globex.workspace_id},
        {"workspace_id": globex.workspace_id},
        {"sourceId": acme.source_id, "destinationId": globex.destination_id},
        {"tags": [{"tagId": globex.tag_id}]},
        {"connection": {"connectionId": globex.connection_id}},
        {"connectionIds": [acme.connection_id, globex.connection_id]},
        {"definitionId": globex.definition_id},
        {"organizationId": globex.organization_id},
    ):
        assert client.post("/v1/x", json=body).status_code == 403, body
    assert client.post("/v1/x", json={"sourceId": acme.source_id}).status_code == 200


def test_moving_a_resource_needs_the_role_on_both_sides(context: Context, tenants: tuple[Tenant, Tenant]) -> None:
    acme, globex = tenants
    email = acme.member("workspace_editor")
    moved = {"workspaceId": globex.workspace_id}
    assert routed(Browser(context, email)).patch(f"/v1/x/{acme.source_id}", json=moved).status_code == 403
    with context.store.write() as db:
        row = user.by_email(db, email)
        assert row is not None
        user.grant(db, row.id, user.Grant("workspace_editor", globex.workspace_id))
    assert routed(Browser(context, email)).patch(f"/v1/x/{acme.source_id}", json=moved).status_code == 200


def test_resources_of_two_workspaces_are_not_put_together_even_by_an_admin_of_both(
    context: Context, tenants: tuple[Tenant, Tenant]
) -> None:
    acme, globex = tenants
    client = routed(Browser(context, "root@example.com"))
    both = {"sourceId": acme.source_id, "destinationId": globex.destination_id}
    assert client.post("/v1/x", json=both).status_code == 422
    custom = {"workspaceId": acme.workspace_id, "definitionId": globex.definition_id}
    assert client.post("/v1/x", json=custom).status_code == 404


def test_what_a_configuration_holds_is_nobody_elses_business(context: Context, tenants: tuple[Tenant, Tenant]) -> None:
    acme, _ = tenants
    client = routed(Browser(context, acme.member("workspace_editor")))
    body = {"workspaceId": acme.workspace_id, "configuration": {"workspaceId": "asana's", "sourceId": new_id()}}
    assert client.post("/v1/x", json=body).status_code == 200


def test_an_organizations_role_counts_in_each_of_its_workspaces(
    context: Context, tenants: tuple[Tenant, Tenant]
) -> None:
    acme, globex = tenants
    client = routed(Browser(context, acme.member("organization_editor")))
    assert client.patch(f"/v1/x/{acme.source_id}", json={}).status_code == 200
    assert client.patch(f"/v1/x/{globex.source_id}", json={}).status_code == 403
    member = routed(Browser(context, acme.member("organization_member")))
    assert member.get(f"/v1/x/{acme.source_id}").status_code == 403


def test_the_config_apis_plain_id_is_the_jobs(context: Context, tenants: tuple[Tenant, Tenant]) -> None:
    acme, globex = tenants
    with context.store.write() as db:
        job = context.queue.enqueue(db, globex.connection_id, "sync")
    client = routed(Browser(context, acme.member("workspace_admin")))
    assert client.post("/api/v1/jobs/get", json={"id": job}).status_code == 403
    assert client.post("/api/v1/jobs/get", json={"id": job + 1}).status_code == 404
    # A Host header that looks like the beginning of an address makes no other path of it.
    forged = {"Host": "x/y?z="}
    assert client.post("/api/v1/jobs/get", json={"id": job}, headers=forged).status_code == 403
    client.headers.pop("Authorization")
    assert client.post("/api/v1/jobs/get", json={"id": job}, headers={"Host": "x/v1/health?"}).status_code == 401
    client = routed(Browser(context, acme.member("workspace_admin")))
    owner = routed(Browser(context, globex.member("workspace_reader")))
    assert owner.post("/api/v1/jobs/get", json={"id": job}).status_code == 200


@pytest.mark.parametrize("path", ["get", "get_without_logs", "cancel"])
def test_a_number_that_is_written_otherwise_is_no_way_around_the_role(
    context: Context, tenants: tuple[Tenant, Tenant], path: str
) -> None:
    acme, globex = tenants
    with context.store.write() as db:
        job = context.queue.enqueue(db, globex.connection_id, "sync")
    assert job == 1  # which is what a model of whole numbers takes `true` for
    client = routed(Browser(context, acme.member("workspace_admin")))
    for written in ("1.0", "1e0", "true", "10e-1", '"1"', "[1]", '" 1"', '{"id": 1}'):
        answer = client.post(
            f"/api/v1/jobs/{path}",
            content=b'{"id": ' + written.encode() + b"}",
            headers={"Content-Type": "application/json"},
        )
        assert answer.status_code in (400, 403, 404), f"{written}: {answer.text[:100]}"
    with context.store.read() as db:
        assert context.queue.active(db, globex.connection_id) == job


def test_without_a_user_the_loopback_address_is_open_and_another_is_not(context: Context) -> None:
    assert routed(Browser(context)).get("/v1/list").json() is None
    object.__setattr__(context.settings, "host", "0.0.0.0")
    assert routed(Browser(context)).get("/v1/list").status_code == 401


def test_once_there_is_a_user_nobody_passes_without_credentials(context: Context) -> None:
    client = routed(Browser(context))
    body = client.post("/v1/applications", json={"name": "early"}).json()
    pair = {"client_id": body["clientId"], "client_secret": body["clientSecret"]}
    token = client.post("/applications/token", json=pair).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    assert client.get("/v1/list", headers=headers).status_code == 200
    admin(context)
    assert client.get("/v1/list").status_code == 401
    assert client.get("/v1/list", headers=headers).status_code == 401
    assert client.post("/applications/token", json=pair).status_code == 401
    assert client.get("/v1/no/such/route").status_code == 401
    assert client.get("/v1/health").status_code == 200


def test_whoever_may_not_read_any_more_is_told_no_more_events(
    context: Context, tenants: tuple[Tenant, Tenant], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_events, "STANDING_S", 0.0)
    acme, _ = tenants
    with context.store.write() as db:
        job = context.queue.enqueue(db, acme.connection_id, "sync")

    def lock_out(db: Connection, email: str) -> None:
        user.disable(db, user.by_email(db, email).id)

    def take_the_role(db: Connection, email: str) -> None:
        for permission in user.permissions_of(db, user.by_email(db, email).id):
            user.revoke(db, permission)

    def remove(db: Connection, email: str) -> None:
        user.remove(db, user.by_email(db, email).id)

    def delete_the_application(db: Connection, email: str) -> None:
        for item in application.find_all(db, user.by_email(db, email).id):
            application.delete(db, item.id)

    def log_out(db: Connection, email: str) -> None:
        login_session.close_all(db, user.by_email(db, email).id)

    for ends, cookie in ((lock_out, False), (take_the_role, False), (remove, False), (delete_the_application, False),
                         (log_out, True)):  # fmt: skip
        email = acme.member("workspace_reader")
        browser = Browser(context, email)
        headers = [(b"authorization", browser.headers["Authorization"].encode())]
        if cookie:
            with context.store.write() as db:
                now = context.store.now_ms(db)
                opened = login_session.open_session(db, user.by_email(db, email).id, now, 900)
            headers = [(b"cookie", f"{login_session.COOKIE}={opened.cookie}".encode())]

        async def read_events(
            headers: list[tuple[bytes, bytes]] = headers, email: str = email, ends: Any = ends
        ) -> list[str]:
            async def nothing() -> Any:
                await asyncio.Event().wait()

            scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": headers, "app": None}
            request = Request(scope, nothing)
            who = authenticate(context, request)
            results = []
            events = job_events.job_events(who, context, request, job)
            async with asyncio.timeout(300):
                async for event in events:
                    results.append(str(event.event))
                    with context.store.write() as db:
                        ends(db, email)
            return results

        assert asyncio.run(read_events()) == ["job"], ends.__name__
