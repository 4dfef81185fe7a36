"""A workspace that was deleted is gone: for every id in it, for everybody who had a role there."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import insert, select

from kitestring.server.connections import connection
from kitestring.server.connectors import definitions
from kitestring.server.context import Context
from kitestring.server.jobs.worker import Worker
from kitestring.server.store import tables
from kitestring.server.workspaces import workspace_deletion
from tests.unit.server.connections import new_connection, plan_of
from tests.unit.server.tenants import Browser, Tenant, admin
from tests.unit.server.test_jobs import USERS, enqueue, jsonl, until

pytestmark = pytest.mark.slow  # seconds: left to `make test`

OWN = "/api/kitestring/v1"


def deleted(context: Context, tenant: Tenant) -> None:
    root = Browser(context, "root@example.com")
    assert root.delete(f"/api/public/v1/workspaces/{tenant.workspace_id}").status_code == 204


def test_nothing_of_a_deleted_workspace_can_be_reached_by_its_id(context: Context) -> None:
    admin(context)
    acme, other = Tenant.make(context, "acme"), Tenant.make(context, "other")
    former = acme.member("workspace_admin")
    deleted(context, acme)
    both = Browser(context, other.member("workspace_admin"))
    ids = {"sourceId": acme.source_id, "destinationId": acme.destination_id, "name": "again"}
    for client, status in (
        (Browser(context, "root@example.com"), {404}),
        (both, {404}),
        (Browser(context, former), {403, 404}),
    ):
        for method, path, body in (
            ("GET", f"/api/public/v1/workspaces/{acme.workspace_id}", None),
            ("GET", f"/api/public/v1/sources/{acme.source_id}", None),
            ("PATCH", f"/api/public/v1/sources/{acme.source_id}", {"name": "mine"}),
            ("GET", f"/api/public/v1/destinations/{acme.destination_id}", None),
            ("GET", f"/api/public/v1/connections/{acme.connection_id}", None),
            ("POST", "/api/public/v1/connections", ids),
            ("POST", "/api/public/v1/jobs", {"connectionId": acme.connection_id, "jobType": "sync"}),
            (
                "POST",
                "/api/public/v1/sources",
                {"workspaceId": acme.workspace_id, "name": "x", "configuration": {"sourceType": "sample"}},
            ),
            ("POST", "/api/v1/sources/get", {"sourceId": acme.source_id}),
            ("POST", "/api/v1/workspaces/get", {"workspaceId": acme.workspace_id}),
            ("POST", "/api/v1/connections/sync", {"connectionId": acme.connection_id}),
            ("POST", f"{OWN}/sources/{acme.source_id}/check", None),
            (
                "POST",
                f"{OWN}/check",
                {"kind": "source", "workspaceId": acme.workspace_id, "configuration": {"sourceType": "sample"}},
            ),
            ("POST", f"{OWN}/project/plan", {"workspaceId": acme.workspace_id, "wanted": {}}),
            ("GET", f"{OWN}/project/export?workspaceId={acme.workspace_id}", None),
            ("GET", f"/api/public/v1/tags?workspaceIds={acme.workspace_id}", None),
            (
                "POST",
                "/api/public/v1/permissions",
                {
                    "workspaceId": acme.workspace_id,
                    "permissionType": "workspace_admin",
                    "userId": user_of(context, former),
                },
            ),
        ):
            answer = client.request(method, path, json=body)
            assert answer.status_code in status, (path, answer.status_code, answer.text)


def user_of(context: Context, email: str) -> str:
    with context.store.read() as db:
        return str(db.execute(select(tables.users.c.id).where(tables.users.c.email == email)).scalar_one())


def test_the_roles_in_a_deleted_workspace_end_also_those_by_its_organization(context: Context) -> None:
    admin(context)
    acme = Tenant.make(context, "acme")
    members = [acme.member("workspace_admin"), acme.member("workspace_editor"), acme.member("organization_admin")]
    deleted(context, acme)
    for email in members:
        assert Browser(context, email).get(f"{OWN}/session").json()["workspaces"] == []
    with context.store.read() as db:
        assert not db.execute(
            select(tables.permissions).where(tables.permissions.c.workspace_id == acme.workspace_id)
        ).all()


def test_deleting_a_workspace_leaves_no_row_that_is_alive(context: Context) -> None:
    acme = Tenant.make(context, "acme")
    with context.store.write() as db:
        job = context.queue.enqueue(db, acme.connection_id, "sync", cause="api")
        at = {"next_run_at_ms": 5}
        db.execute(tables.connections.update().where(tables.connections.c.id == acme.connection_id).values(**at))
        body = {"event": "failure", "body": {}, "tries": 0, "due_at_ms": 1, "created_at_ms": 1}
        db.execute(insert(tables.notices).values(workspace_id=acme.workspace_id, **body))
        workspace_deletion.delete(context, db, acme.workspace_id)
    with context.store.read() as db:
        for table in (tables.sources, tables.destinations, tables.connections, tables.definitions):
            rows = db.execute(select(table).where(table.c.workspace_id == acme.workspace_id)).all()
            assert rows
            assert all(row.deleted_at_ms for row in rows)
        for table in (tables.tags, tables.permissions, tables.notices):
            assert not db.execute(select(table).where(table.c.workspace_id == acme.workspace_id)).all()
        assert db.execute(select(tables.jobs.c.status).where(tables.jobs.c.id == job)).scalar_one() == "cancelled"
        (row,) = connection.find_all(db, workspace_ids=[acme.workspace_id], deleted=True)
        assert (row.status, row.next_run_at_ms) == ("deprecated", None)


@pytest.mark.slow
def test_a_running_job_of_a_deleted_workspace_is_stopped(context: Context, tmp_path: Any) -> None:
    source = {"count": 1_500_000, "batch_rows": 500, "yields": "records"}
    created_connection = new_connection(context, source, jsonl(tmp_path / "out"), USERS)
    number = enqueue(context, created_connection)
    worker = Worker(context, plan_of)
    worker.start()
    try:
        until(lambda: context.queue.states(created_connection), lambda states: "users" in states)
        with context.store.write() as db:
            row = db.execute(select(tables.connections).where(tables.connections.c.id == created_connection)).one()
            workspace_deletion.delete(context, db, row.workspace_id)
        until(lambda: status_of(context, number), lambda status: status == "cancelled")
    finally:
        worker.stop()


def status_of(context: Context, number: int) -> str:
    with context.store.read() as db:
        return str(db.execute(select(tables.jobs.c.status).where(tables.jobs.c.id == number)).scalar_one())


def test_lists_with_what_was_deleted_still_answer(context: Context) -> None:
    admin(context)
    acme = Tenant.make(context, "acme")
    root = Browser(context, "root@example.com")
    with context.store.write() as db:
        context.queue.enqueue(db, acme.connection_id, "sync", cause="api")
        db.execute(tables.definitions.update().values(manifest={"type": "DeclarativeSource", "streams": []}))
        db.execute(tables.destinations.update().values(definition_id=definitions.of_type("destination", "files").id))
    deleted(context, acme)
    for path, field, key in (
        ("workspaces", "workspaceId", acme.workspace_id),
        ("sources", "sourceId", acme.source_id),
        ("destinations", "destinationId", acme.destination_id),
        ("connections", "connectionId", acme.connection_id),
    ):
        answer = root.get(f"/v1/{path}?includeDeleted=true&limit=100")
        assert answer.status_code == 200, (path, answer.text)
        assert key in [item[field] for item in answer.json()["data"]], path
        assert key not in root.get(f"/v1/{path}?limit=100").text
    for path in ("/v1/jobs", f"{OWN}/jobs", f"{OWN}/connections", f"{OWN}/audit"):
        assert root.get(path).status_code == 200, path
