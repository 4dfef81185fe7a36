"""Users and permissions over the API, and what the audit log keeps of it."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from kitestring.server.connections import connection
from kitestring.server.context import Context
from kitestring.server.observability import audit
from kitestring.server.store import tables
from kitestring.server.store.store import new_id
from kitestring.server.store.tables import audit as audit_table
from kitestring.server.store.tables import sources, workspaces
from tests.unit.server.tenants import Browser, Tenant, admin

pytestmark = pytest.mark.slow

USERS = "/api/kitestring/v1/users"


def test_the_first_user_is_an_admin_and_closes_the_door(context: Context) -> None:
    client = Browser(context)
    body = client.post(USERS, json={"email": "Ada@Example.com", "password": "a long enough one"}).json()
    assert body["email"] == "ada@example.com"
    assert [permission["permissionType"] for permission in body["permissions"]] == ["instance_admin"]
    assert "a long enough one" not in str(body)
    assert client.get(USERS).status_code == 401
    client = Browser(context, "ada@example.com")
    for wrong in ({"email": "ada@example.com"}, {"email": "none"}, {"email": "b@c", "password": "short"}):
        assert client.post(USERS, json=wrong).status_code == 422, wrong
    assert client.delete(f"{USERS}/{body['userId']}").status_code == 422
    assert client.patch(f"{USERS}/{body['userId']}", json={"disabled": True}).status_code == 422
    assert client.patch(f"{USERS}/{body['userId']}", json={"name": "Ada"}).json()["name"] == "Ada"
    assert client.get(f"{USERS}/{new_id()}").status_code == 404


def test_an_admin_of_a_workspace_gives_roles_in_it_and_nowhere_else(context: Context) -> None:
    root = Browser(context, admin(context))
    acme, globex = Tenant.make(context, "acme"), Tenant.make(context, "globex")
    email = acme.member("")
    someone = next(item["userId"] for item in root.get(USERS).json()["data"] if item["email"] == email)
    boss = Browser(context, acme.member("workspace_admin"))
    body = {"permissionType": "workspace_editor", "userId": someone, "workspaceId": acme.workspace_id}
    created_body = boss.post("/v1/permissions", json=body).json()
    assert created_body["permissionType"] == "workspace_editor"
    url = f"/v1/permissions/{created_body['permissionId']}"
    assert boss.post("/v1/permissions", json=body).status_code == 422
    assert boss.patch(url, json={"permissionType": "workspace_admin"}).json()["permissionType"] == "workspace_admin"
    for refused, status in (
        ({**body, "workspaceId": globex.workspace_id}, 403),
        ({**body, "workspaceId": None, "organizationId": acme.organization_id}, 403),
        ({"permissionType": "instance_admin", "userId": someone}, 403),
        ({**body, "userId": new_id()}, 404),
        ({**body, "permissionType": "workspace_god"}, 422),
    ):
        assert boss.post("/v1/permissions", json=refused).status_code == status, refused
    for other in ("organization_admin", "instance_admin"):
        assert boss.patch(url, json={"permissionType": other}).status_code == 422
    theirs = Browser(context, email)
    assert theirs.get(url).json()["permissionId"] == created_body["permissionId"]
    assert theirs.get("/v1/permissions").json()["data"] == [
        {
            "permissionId": created_body["permissionId"],
            "permissionType": "workspace_admin",
            "userId": someone,
            "scopeId": acme.workspace_id,
            "scope": "workspace",
        }
    ]
    assert boss.get("/v1/permissions", params={"userId": someone}).json() == theirs.get("/v1/permissions").json()
    outsider = Browser(context, globex.member("workspace_admin"))
    assert outsider.get("/v1/permissions", params={"userId": someone}).json() == {"data": []}
    assert outsider.delete(url).status_code == 403
    assert boss.delete(url).status_code == 204
    assert boss.get(url).status_code == 404


def test_users_are_listed_to_readers_of_their_organization(context: Context) -> None:
    root = Browser(context, admin(context))
    acme, globex = Tenant.make(context, "acme"), Tenant.make(context, "globex")
    reader, member = acme.member("organization_reader"), acme.member("workspace_admin")
    params: dict[str, Any] = {"organizationId": acme.organization_id}
    seen = Browser(context, reader).get("/v1/users", params=params).json()["data"]
    assert {item["email"] for item in seen} == {reader, member}
    seen = root.get("/v1/users", params=params).json()["data"]
    assert {item["email"] for item in seen} == {reader, member, "root@example.com"}
    only = Browser(context, reader).get("/v1/users", params={**params, "emails": [member]}).json()["data"]
    assert [item["email"] for item in only] == [member]
    assert Browser(context, globex.member("organization_admin")).get("/v1/users", params=params).status_code == 403
    assert Browser(context, member).get("/v1/users", params=params).status_code == 403


@pytest.fixture
def acme(context: Context) -> Tenant:
    admin(context)
    return Tenant.make(context, "acme")


def entries(context: Context) -> list[Any]:
    with context.store.read() as db:
        return list(db.execute(select(audit_table).order_by(audit_table.c.id)))


def test_a_change_leaves_its_fields_before_and_after_and_no_secret(context: Context, acme: Tenant) -> None:
    spec = {"properties": {"token": {"airbyte_secret": True}}}

    def stored(**config: Any) -> dict[str, Any]:
        return context.secret_box.seal_config(config, spec, acme.source_id)

    mine = sources.c.id == acme.source_id
    with audit.acting("ada"), context.store.write() as db:
        db.execute(sources.update().where(mine).values(name="new", config=stored(token="geheim", host="a", deep={})))
        db.execute(
            sources.update().where(mine).values(config=stored(token="geheim", host="b", deep={}), updated_at_ms=9)
        )
        db.execute(sources.update().where(mine).values(config=stored(token="anders", host="b", deep={"x": [1]})))
        db.execute(sources.update().where(mine).values(updated_at_ms=10))
        db.execute(sources.update().where(mine).values(deleted_at_ms=11))
    with context.store.write() as db:  # the scheduler's own work is not noted
        db.execute(sources.update().where(mine).values(name="other"))
    actual_entries = entries(context)
    assert [
        (entry.actor, entry.action, entry.kind, entry.resource_id, entry.workspace_id) for entry in actual_entries
    ] == [
        ("ada", action, "source", acme.source_id, acme.workspace_id)
        for action in ("update", "update", "update", "delete")
    ]
    assert actual_entries[0].changes == {
        "name": ["acme", "new"],
        "config.token": [None, "**********"],
        "config.host": [None, "a"],
    }
    assert actual_entries[1].changes == {"config.host": ["a", "b"]}
    assert actual_entries[2].changes["config.token"] == ["**********", "**********"]
    assert "geheim" not in str([entry.changes for entry in actual_entries])


def test_an_entry_is_undone_with_its_change(context: Context, acme: Tenant) -> None:
    def fails() -> None:
        with audit.acting("ada"), context.store.write() as db:
            db.execute(workspaces.update().where(workspaces.c.id == acme.workspace_id).values(name="gone"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert entries(context) == []


def test_the_audit_log_is_shown_to_admins_of_the_workspace(context: Context, acme: Tenant) -> None:
    globex = Tenant.make(context, "globex")
    with audit.acting("ada"), context.store.write() as db:
        for item in (acme, globex):
            db.execute(workspaces.update().where(workspaces.c.id == item.workspace_id).values(name="renamed"))
        context.queue.enqueue(db, acme.connection_id, "sync")
    boss = Browser(context, acme.member("workspace_admin"))
    url = "/api/kitestring/v1/audit"
    body = boss.get(url).json()
    assert [(single_item["action"], single_item["kind"]) for single_item in body["data"]] == [
        ("run", "job"),
        ("update", "workspace"),
    ]
    first = boss.get(url, params={"limit": 1}).json()
    assert first["next"] == first["data"][0]["id"]
    second = boss.get(url, params={"limit": 1, "before": first["next"]}).json()
    assert second["data"][0]["changes"] == {"name": ["acme", "renamed"]}
    assert second["next"] is None
    assert boss.get(url, params={"workspaceId": globex.workspace_id}).status_code == 403
    assert Browser(context, acme.member("workspace_editor")).get(url).status_code == 403
    seen = Browser(context, "root@example.com").get(url, params={"kind": "workspace"}).json()["data"]
    assert {entry["workspaceId"] for entry in seen} == {acme.workspace_id, globex.workspace_id}


def test_an_entry_names_what_it_is_about_and_the_page_that_shows_it(context: Context, acme: Tenant) -> None:
    root = Browser(context, "root@example.com")
    with audit.acting("ada"), context.store.write() as db:
        job = context.queue.enqueue(db, acme.connection_id, "sync")
        every = {"type": "basic", "every": 1, "unit": "hours"}
        of = tables.connections.c.id == acme.connection_id
        db.execute(tables.connections.update().where(of).values(schedule=every))
        connection.tag(db, acme.connection_id, acme.workspace_id, [acme.tag_id])
        db.execute(tables.tags.delete().where(tables.tags.c.id == acme.tag_id))
    url = "/api/kitestring/v1/audit"
    body = root.get(url, params={"actor": "ada"}).json()["data"]
    assert [(item["kind"], item["subject"], item["detail"], item["linkKind"], item["linkId"]) for item in body] == [
        ("tag", "acme", "", None, None),
        ("connection_tag", "acme", "", "connection", acme.connection_id),
        ("connection", "acme", "", "connection", acme.connection_id),
        ("job", "acme", "sync", "job", str(job)),
    ]
    assert {item["workspaceId"] for item in body} == {acme.workspace_id}
    assert body[2]["changes"]["schedule"] == [{"type": "manual"}, every]
    for params, kinds in (
        ({"action": "run"}, ["job"]),
        ({"kind": "tag"}, ["tag"]),
        ({"untilMs": 1}, []),
        ({"sinceMs": 1, "actor": "ada", "action": "update"}, ["connection"]),
    ):
        assert [item["kind"] for item in root.get(url, params=params).json()["data"]] == kinds
    assert root.get(f"{url}/actors", params={"workspaceId": acme.workspace_id}).json() == {"data": ["ada"]}
    assert Browser(context, acme.member("workspace_editor")).get(f"{url}/actors").status_code == 403


def test_requests_are_noted_under_the_name_of_who_made_them(context: Context, acme: Tenant) -> None:
    root = Browser(context, "root@example.com")
    body = root.post("/v1/applications", json={"name": "ci"}).json()
    root.delete(f"/v1/applications/{body['id']}")
    actual_entries = [entry for entry in entries(context) if entry.kind == "application"]
    assert [(entry.actor, entry.action) for entry in actual_entries] == [
        ("root@example.com (test)", "create"),
        ("root@example.com (test)", "delete"),
    ]
    assert body["clientSecret"] not in str([entry.changes for entry in actual_entries])
    assert actual_entries[0].changes["secret_hash"] == [None, "**********"]
