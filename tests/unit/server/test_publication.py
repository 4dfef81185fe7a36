"""Publication of builder projects: versions, what changes, the sources that run them, and connections that pause."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import yaml
from connections import ended
from pages import Pages

from kitestring.server.connections import connection, endpoints
from kitestring.server.context import Context
from kitestring.server.jobs.worker import Worker
from kitestring.server.store import tables
from tests.unit.server.shop import OWN, PROJECTS, Shop, things
from tests.unit.server.tenants import Browser, Tenant, admin

pytestmark = pytest.mark.slow


@pytest.fixture
def shop(context: Context) -> Shop:
    admin(context)
    tenant = Tenant.make(context, "acme")
    return Shop(tenant, Browser(context, tenant.member("workspace_editor")))


def test_a_published_project_is_a_connector_of_the_workspace_with_its_name_and_icon(shop: Shop) -> None:
    icon = "<svg xmlns='http://www.w3.org/2000/svg'/>"
    shop.begin(things(1))
    shop.write(things(1), icon=icon)
    assert shop.plan() == {"version": 1, "changes": [], "breaking": False, "defects": [], "sources": []}
    published = shop.publish(note="The first.")
    assert published["version"] == 1
    params = {"kind": "source", "workspaceId": shop.tenant.workspace_id}
    listed = shop.editor.get(f"{OWN}/connectors", params=params).json()["data"]
    connector = next(entry for entry in listed if entry["definitionId"] == published["definitionId"])
    assert (connector["name"], connector["icon"], connector["version"]) == ("Things", icon, "1")
    spec = shop.editor.get(f"{OWN}/connectors/source/{published['definitionId']}").json()["spec"]
    assert spec["properties"]["token"]["airbyte_secret"]
    project = shop.editor.get(shop.path).json()
    assert project["definitionId"] == published["definitionId"]
    assert (project["publishedVersion"], project["changedSincePublished"]) == (1, False)
    [version] = shop.versions()
    assert (version["note"], version["current"], version["sources"]) == ("The first.", True, 0)
    assert shop.editor.get(f"{shop.path}/versions/1").json()["manifest"] == things(1)
    second = shop.post()
    assert (second.status_code, "there is nothing to publish" in second.text) == (422, True)


def test_a_source_keeps_its_version_until_it_is_upgraded(shop: Shop, context: Context) -> None:
    shop.begin(things(1))
    definition_id = shop.publish()["definitionId"]
    old, upgraded = shop.source(definition_id, "old"), shop.source(definition_id, "upgraded")
    assert shop.editor.get(shop.path).json()["changedSincePublished"] is False
    shop.write(things(2, key="uid"))
    assert shop.editor.get(shop.path).json()["changedSincePublished"] is True
    plan = shop.plan()
    assert [(source["name"], source["version"], source["breaking"]) for source in plan["sources"]] == [
        ("old", 1, True),
        ("upgraded", 1, True),
    ]
    [change] = plan["changes"]
    assert (change["stream"], change["kind"], change["breaking"]) == ("things", "primary_key", True)
    assert (change["before"], change["after"]) == (["id"], ["uid"])
    assert shop.publish(upgrade=[upgraded]) == {"definitionId": definition_id, "version": 2}
    new = shop.source(definition_id, "new")
    assert [shop.runs(source) for source in (old, upgraded, new)] == [1, 2, 2]
    assert [(version["version"], version["breaking"], version["sources"]) for version in shop.versions()] == [
        (2, True, 2),
        (1, False, 1),
    ]
    with context.store.read() as db:
        keys = [
            endpoints.endpoint_of(context, db, "source", source).manifest["streams"][0]["primary_key"]  # type: ignore[index]
            for source in (old, upgraded, new)
        ]
    assert keys == ["id", "uid", "uid"]


def test_a_source_is_synced_with_the_version_that_it_runs(shop: Shop, context: Context, tmp_path: Path) -> None:
    with Pages() as pages:
        text = Path(pages.manifest(tmp_path)).read_text()
        shop.begin(text, "Pages")
        definition_id = shop.publish()["definitionId"]
        source_id = shop.source(definition_id, config={"url": pages.url})
        connection_id = shop.connection(source_id, "items")
        shop.write(text.replace("path: /items", "path: /nowhere"))
        shop.publish()
        worker = Worker(context, connection.plan_of, slots=1)
        worker.start()
        try:
            statuses = []
            for version in (1, 2, 1):
                shop.editor.post(f"{OWN}/sources/{source_id}/connector-version", json={"version": version})
                started = shop.editor.post("/v1/jobs", json={"connectionId": connection_id, "jobType": "sync"}).json()
                statuses.append(ended(context, started["jobId"]).status)
        finally:
            worker.stop()
        assert statuses == ["succeeded", "failed", "succeeded"]
        assert pages.calls("/nowhere")
        assert len(list((context.settings.home / "workspaces").rglob("*.jsonl"))) > 0


def test_lists_of_sources_have_the_version_that_each_runs_and_the_current_one(shop: Shop) -> None:
    shop.begin(things(1))
    source_id = shop.source(shop.publish()["definitionId"])
    shop.write(things(2))
    shop.publish()
    overview = shop.editor.get(f"{OWN}/sources/{source_id}").json()
    assert (overview["connectorVersion"], overview["currentVersion"]) == (1, 2)
    connector = shop.editor.get(f"{OWN}/connectors/source/sample").json()["definitionId"]
    body = {"name": "x", "workspaceId": shop.tenant.workspace_id, "definitionId": connector, "configuration": {}}
    other = shop.editor.post("/v1/sources", json=body).json()["sourceId"]
    overview = shop.editor.get(f"{OWN}/sources/{other}").json()
    assert (overview["connectorVersion"], overview["currentVersion"]) == (None, None)
    answer = shop.editor.get(f"{OWN}/sources/{other}/connector-version")
    assert (answer.status_code, "has no versions to choose from" in answer.text) == (422, True)


def test_an_edited_source_stays_at_its_version_and_its_form_is_of_that(shop: Shop) -> None:
    shop.begin(things(1))
    definition_id = shop.publish()["definitionId"]
    source_id = shop.source(definition_id)
    shop.write(things(2, required=", region"))
    shop.publish()
    same = {"configuration": {"token": "an0ther"}}
    assert shop.editor.patch(f"/v1/sources/{source_id}", json=same).status_code == 200
    assert shop.runs(source_id) == 1
    body = {
        "name": "x",
        "workspaceId": shop.tenant.workspace_id,
        "definitionId": definition_id,
        "configuration": same["configuration"],
    }
    assert shop.editor.post("/v1/sources", json=body).status_code == 422
    connector = f"{OWN}/connectors/source/{definition_id}"
    required = [
        shop.editor.get(connector, params=version).json()["spec"]["required"] for version in ({"version": 1}, {})
    ]
    assert required == [["token"], ["token", "region"]]
    assert shop.editor.get(connector, params={"version": 3}).status_code == 404
    # A test of the form asks the version that the source runs, too: it fails at the API, not at the input.
    draft = {key: value for key, value in body.items() if key != "name"} | {"kind": "source", "sourceId": source_id}
    check = shop.editor.post(f"{OWN}/check", json=draft).json()
    assert (check["status"], "region" in check["message"]) == ("failed", False)


def test_a_breaking_upgrade_pauses_the_connections_that_it_concerns_with_the_reason(shop: Shop) -> None:
    shop.begin(things(1))
    definition_id = shop.publish()["definitionId"]
    source_id = shop.source(definition_id)
    concerned, other = shop.connection(source_id, "things", "parts"), shop.connection(source_id, "parts")
    shop.write(things(2, key="uid"))
    shop.publish(upgrade="all")
    row = shop.row(tables.connections, concerned)
    assert row.status == "inactive"
    assert "The primary key of things is uid, it was id." in row.status_reason
    assert "activate the connection again" in row.status_reason
    assert shop.row(tables.connections, other).status == "active"
    for connection_id in (concerned, other):
        history = shop.editor.get(f"{OWN}/connections/{connection_id}/history").json()["changes"]
        upgrades = [change["fields"] for change in history if change["fields"][:1] and change["kind"] == "connection"]
        assert [{"name": "connector_version", "before": 1, "after": 2}] in upgrades
    assert shop.editor.patch(f"/v1/connections/{concerned}", json={"status": "active"}).status_code == 200


def test_a_configuration_that_lacks_a_new_input_pauses_with_its_sentence(shop: Shop) -> None:
    shop.begin(things(1))
    source_id = shop.source(shop.publish()["definitionId"])
    connection_id = shop.connection(source_id, "parts")
    shop.write(things(2, required=", region"))
    [source] = shop.plan()["sources"]
    assert source["breaking"]
    assert "region" in source["problem"]
    assert source["connections"] == 1
    shop.publish(upgrade="all")
    assert "region" in shop.row(tables.connections, connection_id).status_reason


def test_a_source_is_upgraded_later_and_taken_back(shop: Shop) -> None:
    shop.begin(things(1))
    source_id = shop.source(shop.publish()["definitionId"])
    connection_id = shop.connection(source_id, "parts")
    shop.write(things(2, other="bits"))
    shop.publish()
    path = f"{OWN}/sources/{source_id}/connector-version"
    plan = shop.editor.post(f"{path}/plan", json={"version": 2}).json()
    assert (plan["version"], plan["breaking"], plan["problem"]) == (1, True, "")
    assert [change["sentence"] for change in plan["changes"]] == [
        "The stream parts is gone.",
        "The stream bits is new.",
    ]
    [effect] = plan["connections"]
    assert (effect["connectionId"], effect["reasons"]) == (connection_id, ["The stream parts is gone."])
    assert shop.editor.post(path, json={"version": 2}).json()["paused"] == [connection_id]
    assert shop.runs(source_id) == 2
    assert shop.editor.post(path, json={"version": 1}).json()["paused"] == []
    assert shop.runs(source_id) == 1
    assert shop.editor.post(path, json={"version": 3}).status_code == 404


def test_a_source_that_followed_its_connector_keeps_the_version_before(shop: Shop, context: Context) -> None:
    shop.begin(things(1))
    source_id = shop.source(shop.publish()["definitionId"])
    with context.store.write() as db:  # as the migration leaves those that were there
        db.execute(tables.sources.update().where(tables.sources.c.id == source_id).values(connector_version=None))
    assert shop.runs(source_id) == 1
    shop.write(things(2))
    shop.publish()
    assert shop.runs(source_id) == 1


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("streams: [", "is not YAML"),
        (things(1).replace("SimpleRetriever", "SimpleRetriver"), "SimpleRetriver is not a known keyword"),
        (
            things(1).replace(
                "{type: RecordSelector,",
                "{type: RecordSelector, record_filter: {type: CustomRecordFilter, class_name: x.Y},",
            ),
            "names the Python class x.Y, and a manifest given over the API runs no code",
        ),
    ],
)
def test_what_cannot_run_is_not_published(shop: Shop, text: str, reason: str) -> None:
    shop.begin(text)
    assert any(defect["message"] for defect in shop.plan()["defects"])
    answer = shop.post()
    assert answer.status_code == 422
    assert reason in answer.json()["detail"]
    assert shop.versions() == []


def test_a_bomb_of_aliases_is_refused(shop: Shop) -> None:
    levels = "\n".join(f"x{n}: &x{n} [{', '.join(f'*x{n - 1}' for _ in range(10))}]" for n in range(1, 12))
    shop.begin(things(1) + f"x0: &x0 [a, b]\n{levels}\n")
    assert shop.plan()["defects"]
    assert shop.post().status_code == 422


def test_another_revision_and_another_publication_are_refused(shop: Shop, context: Context) -> None:
    shop.begin(things(1))
    other = Browser(context, shop.tenant.member("workspace_editor"))
    before = shop.project["revision"]
    assert other.patch(shop.path, json={"revision": before, "manifest": things(2)}).status_code == 200
    for route in ("publish", "publish/plan"):
        answer = shop.editor.post(f"{shop.path}/{route}", json={"revision": before})
        assert answer.status_code == 409
        assert f"revision {before + 1}" in answer.json()["detail"]


def test_only_sources_of_the_connector_are_upgraded_and_none_of_another_workspace(shop: Shop, context: Context) -> None:
    shop.begin(things(1))
    shop.publish()
    shop.write(things(2))
    globex = Tenant.make(context, "globex")
    for source_id in (shop.tenant.source_id, globex.source_id):
        answer = shop.post(upgrade=[source_id])
        assert answer.status_code == 422
        assert "is not one of Things" in answer.json()["detail"]
    assert [version["version"] for version in shop.versions()] == [1]


def test_a_reader_sees_versions_and_publishes_and_upgrades_nothing(shop: Shop, context: Context) -> None:
    shop.begin(things(1))
    source_id = shop.source(shop.publish()["definitionId"])
    reader = Browser(context, shop.tenant.member("workspace_reader"))
    assert reader.get(f"{shop.path}/versions").json()["data"][0]["version"] == 1
    assert reader.get(f"{shop.path}/versions/1").json()["manifest"] == things(1)
    path = f"{OWN}/sources/{source_id}/connector-version"
    assert reader.get(path).json()["projectId"] == shop.project["projectId"]
    for place, body in (
        (f"{shop.path}/publish", {"revision": 1}),
        (f"{shop.path}/publish/plan", {"revision": 1}),
        (path, {"version": 1}),
        (f"{path}/plan", {"version": 1}),
    ):
        assert reader.post(place, json=body).status_code == 403


def test_a_publication_and_its_upgrades_are_in_the_audit_log(shop: Shop, context: Context) -> None:
    shop.begin(things(1))
    source_id = shop.source(shop.publish()["definitionId"])
    shop.write(things(2))
    shop.publish(note="Better.", upgrade="all")
    with context.store.read() as db:
        audit = tables.audit
        rows = list(db.execute(audit.select().where(audit.c.kind.in_(("builder_project", "source")))))
    published = [row for row in rows if row.action == "publish"]
    assert [row.changes["version"] for row in published] == [[None, 1], [1, 2]]
    assert published[1].changes["note"] == [None, "Better."]
    assert all(row.resource_id == shop.project["projectId"] and "@" in row.actor for row in published)
    upgraded = [row for row in rows if row.resource_id == source_id and row.action == "update"]
    assert [row.changes for row in upgraded] == [{"connector_version": [1, 2]}]


KILLED = """
import os, signal, sys
from pathlib import Path
from sqlalchemy import event
from kitestring.server.builder import publication
from kitestring.server.context import Context
from kitestring.server.settings import Settings

home, project, table = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
context = Context.of(Settings(home=home))

@event.listens_for(context.store.engine, "after_execute")
def kill(db, statement, parameters, more, options, result):
    changed = getattr(getattr(statement, "table", None), "name", "")
    if changed == table and not statement.is_select:
        os.kill(os.getpid(), signal.SIGKILL)

publication.publish(context, project, 2, "", "all", trusted=True)
"""


@pytest.mark.parametrize("table", ["connector_versions", "definitions", "sources", "builder_projects"])
def test_a_process_that_is_killed_between_the_steps_leaves_no_half_version(
    shop: Shop, context: Context, table: str
) -> None:
    shop.begin(things(1))
    source_id = shop.source(shop.publish()["definitionId"])
    connection_id = shop.connection(source_id, "things")
    shop.write(things(2, key="uid"))
    words = [
        sys.executable,
        "-c",
        textwrap.dedent(KILLED),
        str(context.settings.home),
        shop.project["projectId"],
        table,
    ]
    assert subprocess.run(words, check=False).returncode == -9
    assert [version["version"] for version in shop.versions()] == [1]
    assert shop.runs(source_id) == 1
    assert shop.row(tables.connections, connection_id).status == "active"
    assert shop.editor.get(shop.path).json()["changedSincePublished"] is True
    assert shop.publish(upgrade="all")["version"] == 2


def test_a_connector_that_was_given_over_airbytes_api_has_a_project_and_versions_that_all_its_sources_follow(
    shop: Shop,
) -> None:
    place = f"/v1/workspaces/{shop.tenant.workspace_id}/definitions/declarative_sources"
    body = shop.editor.post(place, json={"name": "Given", "manifest": yaml.safe_load(things(1))}).json()
    source_id = shop.source(body["id"])
    listed = shop.editor.get(PROJECTS, params={"workspaceId": shop.tenant.workspace_id}).json()["data"]
    shop.project = next(project for project in listed if project["definitionId"] == body["id"])
    concerned, other = shop.connection(source_id, "things"), shop.connection(source_id, "parts")
    changed = yaml.safe_load(things(2, key="uid"))
    assert shop.editor.put(f"{place}/{body['id']}", json={"manifest": changed}).json()["version"] == 2
    assert shop.runs(source_id) == 2
    assert "The primary key of things is uid" in shop.row(tables.connections, concerned).status_reason
    assert [shop.row(tables.connections, key).status for key in (concerned, other)] == ["inactive", "active"]
    project = shop.editor.get(shop.path).json()
    assert yaml.safe_load(project["manifest"]) == changed
    assert project["changedSincePublished"] is False
    shop.project = project
    shop.write(things(3))
    assert shop.editor.put(f"{place}/{body['id']}", json={"manifest": yaml.safe_load(things(4))}).json()["version"] == 3
    project = shop.editor.get(shop.path).json()
    assert (project["manifest"], project["changedSincePublished"]) == (things(3), True)
    assert [version["version"] for version in shop.versions()] == [3, 2, 1]


@pytest.mark.parametrize("edited", [True, False])
def test_a_deleted_connector_takes_its_project_with_it_unless_something_is_unpublished(
    shop: Shop, edited: bool
) -> None:
    shop.begin(things(1))
    definition_id = shop.publish()["definitionId"]
    if edited:
        shop.write(things(2))
    place = f"/v1/workspaces/{shop.tenant.workspace_id}/definitions/declarative_sources/{definition_id}"
    assert shop.editor.delete(place).status_code == 200
    answer = shop.editor.get(shop.path)
    assert answer.status_code == (200 if edited else 404)
    if edited:
        assert (answer.json()["definitionId"], answer.json()["publishedVersion"]) == (None, None)
        assert shop.publish()["version"] == 1


def test_another_name_or_icon_is_published_without_a_version(shop: Shop) -> None:
    shop.begin(things(1))
    definition_id = shop.publish()["definitionId"]
    shop.write(things(1), name="Better things")
    assert shop.publish() == {"definitionId": definition_id, "version": 1}
    assert shop.editor.get(f"{OWN}/connectors/source/{definition_id}").json()["name"] == "Better things"
