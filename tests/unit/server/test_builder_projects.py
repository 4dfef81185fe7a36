"""Projects of the connector builder: drafts stay as they were written, and secrets of test configurations secret."""

from __future__ import annotations

from typing import Any

import pytest

from kitestring.redact import MASK
from kitestring.server.builder import builder_project
from kitestring.server.context import Context
from kitestring.server.secrets import rekey
from kitestring.server.secrets.secret_box import SecretBox
from kitestring.server.store import tables
from kitestring.server.workspaces import workspace_deletion
from tests.unit.server.tenants import Browser, Tenant, admin

pytestmark = pytest.mark.slow

PROJECTS = "/api/kitestring/v1/builder/projects"
TEXT = """\
# Things of Acme,\tread by their time.
version: 6.0.0
type: DeclarativeSource
x-mine: &anchor   { kept : "as is" }   # a comment
check: {type: CheckStream, stream_names: [things]}
streams:
  - type: DeclarativeStream
    name: things
    retriever:
      type: SimpleRetriever
      requester: {type: HttpRequester, url_base: "https://acme.example", path: /things}
      record_selector: {type: RecordSelector, extractor: {type: DpathExtractor, field_path: []}}
spec:
  type: Spec
  connection_specification:
    type: object
    required: [token]
    properties:
      token: {type: string, airbyte_secret: true}
      region: {type: string}
\r
other: *anchor"""
SECRET = "t0p-s3cret-value"
CONFIG = {"token": SECRET, "region": "eu"}


@pytest.fixture
def acme(context: Context) -> Tenant:
    admin(context)
    return Tenant.make(context, "acme")


@pytest.fixture
def editor(acme: Tenant) -> Browser:
    return Browser(acme.context, acme.member("workspace_editor"))


def create_project(editor: Browser, acme: Tenant, **fields: Any) -> dict[str, Any]:
    body = {"workspaceId": acme.workspace_id, "name": "Things", "manifest": TEXT, **fields}
    answer = editor.post(PROJECTS, json=body)
    assert answer.status_code == 200, answer.text
    project: dict[str, Any] = answer.json()
    return project


def changed(editor: Browser, project: dict[str, Any], **fields: Any) -> dict[str, Any]:
    body = {"revision": project["revision"], **fields}
    answer = editor.patch(f"{PROJECTS}/{project['projectId']}", json=body)
    assert answer.status_code == 200, answer.text
    after: dict[str, Any] = answer.json()
    return after


def test_a_manifest_stays_byte_for_byte_as_it_was_written(editor: Browser, acme: Tenant) -> None:
    project = create_project(editor, acme)
    assert project["manifest"] == TEXT
    answer = editor.get(f"{PROJECTS}/{project['projectId']}/manifest")
    assert answer.content == TEXT.encode()
    assert answer.headers["content-type"].startswith("text/yaml")
    unfinished = "streams: [\n  - {"
    assert changed(editor, project, manifest=unfinished)["manifest"] == unfinished


def test_a_project_is_listed_without_its_manifest_and_is_gone_when_it_was_deleted(
    editor: Browser, acme: Tenant
) -> None:
    origin = {"kind": "url", "name": "https://acme.example/things"}
    project = create_project(editor, acme, origin=origin, icon="<svg xmlns='http://www.w3.org/2000/svg'/>")
    assert (project["definitionId"], project["publishedVersion"], project["changedSincePublished"]) == (
        None,
        None,
        True,
    )
    assert project["origin"] == {**origin, "version": ""}
    listed = editor.get(PROJECTS, params={"workspaceId": acme.workspace_id}).json()["data"]
    expected = {name: value for name, value in project.items() if name not in ("manifest", "testConfiguration")}
    assert listed[0] == expected
    assert editor.delete(f"{PROJECTS}/{project['projectId']}").status_code == 204
    assert editor.get(f"{PROJECTS}/{project['projectId']}").status_code == 404
    listed = editor.get(PROJECTS, params={"workspaceId": acme.workspace_id}).json()["data"]
    assert [other["projectId"] for other in listed] == [acme.project_id]


def test_of_two_editors_the_second_is_refused_and_nothing_of_the_first_is_lost(editor: Browser, acme: Tenant) -> None:
    project = create_project(editor, acme)
    other = Browser(acme.context, acme.member("workspace_editor"))
    first = changed(other, project, manifest="version: 7.0.0")
    assert first["revision"] == project["revision"] + 1
    answer = editor.patch(
        f"{PROJECTS}/{project['projectId']}", json={"revision": project["revision"], "manifest": "version: 8.0.0"}
    )
    assert answer.status_code == 409
    assert f"at revision {first['revision']}" in answer.json()["detail"]
    assert f"on revision {project['revision']}" in answer.json()["detail"]
    assert answer.json()["data"]["revision"] == first["revision"]
    assert editor.get(f"{PROJECTS}/{project['projectId']}").json()["manifest"] == "version: 7.0.0"


def test_secrets_of_a_test_configuration_are_sealed_masked_and_kept(
    editor: Browser, acme: Tenant, context: Context
) -> None:
    project = create_project(editor, acme, testConfiguration=CONFIG)
    assert project["testConfiguration"] == {"token": MASK, "region": "eu"}
    after = changed(editor, project, testConfiguration={"token": MASK, "region": "us"})
    assert after["testConfiguration"] == {"token": MASK, "region": "us"}
    with context.store.read() as db:
        row = builder_project.get(db, project["projectId"])
    assert SECRET not in str(row.config)
    assert builder_project.opened_config(context, row) == {"token": SECRET, "region": "us"}
    lone = editor.post(
        PROJECTS,
        json={
            "workspaceId": acme.workspace_id,
            "name": "x",
            "manifest": TEXT,
            "testConfiguration": {"token": MASK},
        },
    )
    assert lone.status_code == 422
    assert "token is masked" in lone.json()["detail"]


@pytest.mark.parametrize(
    "draft", [TEXT.replace(", airbyte_secret: true", ""), "spec: [", "", "spec: {connection_specification: 7}"]
)
def test_a_draft_that_no_longer_marks_a_secret_does_not_reveal_it(
    editor: Browser, acme: Tenant, context: Context, draft: str
) -> None:
    project = create_project(editor, acme, testConfiguration=CONFIG)
    project = changed(editor, project, manifest=draft)
    project = changed(editor, project, testConfiguration=project["testConfiguration"])
    assert project["testConfiguration"] == {"token": MASK, "region": "eu"}
    assert SECRET not in editor.get(f"{PROJECTS}/{project['projectId']}").text
    with context.store.read() as db:
        assert builder_project.opened_config(context, builder_project.get(db, project["projectId"])) == CONFIG


def test_an_input_that_a_draft_marks_as_secret_later_is_sealed_then(editor: Browser, acme: Tenant) -> None:
    project = create_project(
        editor, acme, manifest=TEXT.replace(", airbyte_secret: true", ""), testConfiguration={"region": "eu"}
    )
    marked = TEXT.replace("region: {type: string}", "region: {type: string, airbyte_secret: true}")
    assert changed(editor, project, manifest=marked)["testConfiguration"] == {"region": MASK}


def test_while_a_draft_cannot_be_read_each_new_text_is_a_secret(editor: Browser, acme: Tenant) -> None:
    project = create_project(editor, acme, testConfiguration={"region": "eu", "pages": 3})
    inputs = {"region": "eu", "pages": 3, "token": SECRET, "inner": [{"key": "x1"}], "on": True}
    project = changed(editor, project, manifest="streams: [", testConfiguration=inputs)
    masked = {"region": "eu", "pages": 3, "token": MASK, "inner": [{"key": MASK}], "on": True}
    assert project["testConfiguration"] == masked


def test_nobody_without_a_role_sees_or_changes_a_project_and_a_reader_changes_none(
    editor: Browser, acme: Tenant, context: Context
) -> None:
    project = create_project(editor, acme)
    path = f"{PROJECTS}/{project['projectId']}"
    reader = Browser(context, acme.member("workspace_reader"))
    globex = Tenant.make(context, "globex")
    outsider = Browser(context, globex.member("workspace_admin"))
    for place in (path, f"{path}/manifest"):
        assert (reader.get(place).status_code, outsider.get(place).status_code) == (200, 403)
    change = {"revision": 1, "name": "Mine"}
    create = {"workspaceId": acme.workspace_id, "name": "x", "manifest": ""}
    copy = {"workspaceId": acme.workspace_id, "definitionId": acme.definition_id}
    for who in (reader, outsider):
        assert who.patch(path, json=change).status_code == 403
        assert who.delete(path).status_code == 403
        assert who.post(PROJECTS, json=create).status_code == 403
        assert who.post(f"{PROJECTS}/from-connector", json=copy).status_code == 403
    # Another workspace's connector is not copied by somebody who may use both.
    both = {"workspaceId": globex.workspace_id, "definitionId": acme.definition_id}
    assert Browser(context, "root@example.com").post(f"{PROJECTS}/from-connector", json=both).status_code == 404


def test_a_connector_of_kitestring_is_copied_with_its_comments_and_one_in_python_is_refused(
    editor: Browser, acme: Tenant
) -> None:
    from kitestring import registry

    sources = editor.get("/api/kitestring/v1/connectors", params={"kind": "source", "native": True}).json()["data"]
    connectors = {connector["type"]: connector["definitionId"] for connector in sources}
    body = {"workspaceId": acme.workspace_id, "definitionId": connectors["zendesk-support"]}
    project = editor.post(f"{PROJECTS}/from-connector", json=body).json()
    path = registry.connector("source", "zendesk_support").manifest
    assert path is not None
    assert project["manifest"] == path.read_text("utf-8")
    assert "#" in project["manifest"]
    assert (project["origin"]["kind"], project["origin"]["name"]) == ("connector", project["name"])
    answer = editor.post(f"{PROJECTS}/from-connector", json={**body, "definitionId": connectors["postgres"]})
    assert answer.status_code == 422
    assert "is written in Python" in answer.json()["detail"]


def test_a_connector_that_was_given_over_the_api_is_copied_as_yaml(editor: Browser, acme: Tenant) -> None:
    import yaml

    place = f"/v1/workspaces/{acme.workspace_id}/definitions/declarative_sources"
    values = yaml.safe_load(TEXT.replace("other: *anchor", ""))
    definition_id = editor.post(place, json={"name": "Given", "manifest": values}).json()["id"]
    body = {"workspaceId": acme.workspace_id, "definitionId": definition_id, "name": "A copy"}
    project = editor.post(f"{PROJECTS}/from-connector", json=body).json()
    assert yaml.safe_load(project["manifest"]) == values
    assert project["name"] == "A copy"
    assert project["origin"] == {"kind": "connector", "name": "Given", "version": "1"}
    assert project["definitionId"] is None


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"icon": "javascript:alert(1)"}, "an icon is the text of an SVG"),
        ({"icon": "<svg>" + "x" * 40_000}, "icon"),
        ({"name": "  "}, "name"),
        ({"origin": {"kind": "nowhere"}}, "origin.kind"),
        ({"manifst": ""}, "did you mean manifest"),
    ],
)
def test_what_is_wrong_with_a_new_project_is_said(editor: Browser, acme: Tenant, fields: Any, reason: str) -> None:
    body = {"workspaceId": acme.workspace_id, "name": "x", "manifest": "", **fields}
    answer = editor.post(PROJECTS, json=body)
    assert answer.status_code == 400
    assert reason in answer.json()["detail"]


def test_the_audit_log_has_who_changed_what_and_neither_drafts_nor_secrets(
    editor: Browser, acme: Tenant, context: Context
) -> None:
    project = create_project(editor, acme, testConfiguration=CONFIG)
    project = changed(editor, project, manifest="version: 7.0.0", testConfiguration={**CONFIG, "token": "an0ther"})
    editor.delete(f"{PROJECTS}/{project['projectId']}")
    with context.store.read() as db:
        rows = list(db.execute(tables.audit.select().where(tables.audit.c.resource_id == project["projectId"])))
    assert [(row.kind, row.action) for row in rows] == [
        ("builder_project", action) for action in ("create", "update", "delete")
    ]
    assert rows[1].changes == {"draft": [MASK, MASK], "config.token": [MASK, MASK]}
    assert not any(secret in str([row.changes for row in rows]) for secret in (SECRET, "an0ther", "//acme.example"))


def test_drafts_that_one_user_saves_within_ten_minutes_are_one_entry_of_the_audit_log(
    editor: Browser, acme: Tenant, context: Context
) -> None:
    colleague = Browser(context, acme.member("workspace_editor"))
    project = create_project(editor, acme)
    for number in range(3):
        project = changed(editor, project, manifest=f"version: 7.0.{number}")
    project = changed(colleague, project, manifest="version: 7.1.0")
    project = changed(colleague, project, name="Other")
    project = changed(editor, project, manifest="version: 7.2.0")
    own = tables.audit.c
    with context.store.write() as db:
        db.execute(
            tables.audit.update().where(own.resource_id == project["projectId"]).values(at_ms=own.at_ms - 600_001)
        )
    changed(editor, project, manifest="version: 7.3.0")
    with context.store.read() as db:
        rows = list(db.execute(tables.audit.select().where(own.resource_id == project["projectId"]).order_by(own.id)))
    edits = [(row.actor == rows[0].actor, *row.changes) for row in rows if row.action == "update"]
    assert edits == [(True, "draft"), (False, "draft"), (False, "name"), (True, "draft"), (True, "draft")]


def test_a_new_key_seals_the_secrets_of_projects_too(editor: Browser, acme: Tenant, context: Context) -> None:
    project = create_project(editor, acme, testConfiguration=CONFIG)
    old = next(iter(context.secret_box.keys.values()))
    box = SecretBox([b"k" * 32, old])
    assert rekey.rotate(context.store, box)["builder_projects"] == 1
    with context.store.read() as db:
        row = builder_project.get(db, project["projectId"])
    assert SecretBox([b"k" * 32]).open_config(row.config, row.id) == CONFIG


def test_projects_end_with_their_workspace(editor: Browser, acme: Tenant, context: Context) -> None:
    project = create_project(editor, acme)
    with context.store.write() as db:
        workspace_deletion.delete(context, db, acme.workspace_id)
    with context.store.read() as db:
        assert builder_project.find_all(db, acme.workspace_id) == []
    assert Browser(context, "root@example.com").get(f"{PROJECTS}/{project['projectId']}").status_code == 404
