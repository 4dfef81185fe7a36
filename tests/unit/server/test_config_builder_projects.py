"""Builder projects of Airbyte's Config API: manifests as values, one active version for all sources."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pages import Pages

from kitestring.redact import MASK
from kitestring.server.context import Context
from kitestring.server.store import tables
from tests.unit.server.shop import Shop, things
from tests.unit.server.tenants import Browser, Tenant, admin

pytestmark = pytest.mark.slow

PROJECTS = "/api/v1/connector_builder_projects"
OWN_PROJECTS = "/api/kitestring/v1/builder/projects"
MANIFESTS = "/api/v1/declarative_source_definitions"


@pytest.fixture
def shop(context: Context) -> Shop:
    admin(context)
    tenant = Tenant.make(context, "acme")
    return Shop(tenant, Browser(context, tenant.member("workspace_editor")))


@pytest.fixture
def pages() -> Iterator[Pages]:
    with Pages() as stand_in:
        yield stand_in


def call(shop: Shop, path: str, **body: Any) -> Any:
    answer = shop.editor.post(path, json={"workspaceId": shop.tenant.workspace_id, **body})
    assert answer.status_code in (200, 204), answer.text
    return answer.json() if answer.status_code == 200 else None


def values(text: str) -> Any:
    return yaml.safe_load(text)


def test_a_project_is_created_published_and_changed_as_airbytes_clients_do_it(shop: Shop) -> None:
    created = call(shop, f"{PROJECTS}/create", builderProject={"name": "Things", "draftManifest": values(things(1))})
    ref = {"builderProjectId": created["builderProjectId"]}
    read = call(shop, f"{PROJECTS}/get_with_manifest", **ref)
    assert read["declarativeManifest"] == {"isDraft": True, "manifest": values(things(1))}
    assert read["builderProject"]["hasDraft"]
    given = {"manifest": values(things(1)), "spec": {}, "version": 1, "description": "The first."}
    published = call(shop, f"{PROJECTS}/publish", **ref, name="Things", initialDeclarativeManifest=given)
    read = call(shop, f"{PROJECTS}/get_with_manifest", **ref)
    assert read["builderProject"] == {
        **read["builderProject"],
        "hasDraft": False,
        "sourceDefinitionId": published["sourceDefinitionId"],
        "activeDeclarativeManifestVersion": 1,
    }
    assert read["declarativeManifest"] == {
        "isDraft": False,
        "manifest": values(things(1)),
        "version": 1,
        "description": "The first.",
    }
    own = call(shop, f"{PROJECTS}/get_for_definition_id", actorDefinitionId=published["sourceDefinitionId"])
    assert own == {**ref, "workspaceId": shop.tenant.workspace_id}
    call(
        shop,
        f"{PROJECTS}/update",
        **ref,
        builderProject={"name": "More", "draftManifest": values(things(2, key="uid"))},
    )
    listed = {entry["builderProjectId"]: entry for entry in call(shop, f"{PROJECTS}/list")["projects"]}
    assert (listed[ref["builderProjectId"]]["name"], listed[ref["builderProjectId"]]["hasDraft"]) == ("More", True)
    call(shop, f"{PROJECTS}/delete", **ref)
    assert (
        shop.editor.post(
            f"{PROJECTS}/get_with_manifest", json={"workspaceId": shop.tenant.workspace_id, **ref}
        ).status_code
        == 404
    )


def test_a_draft_keeps_its_comments_while_its_values_are_those_that_are_given(shop: Shop) -> None:
    shop.begin(things(1))
    ref = {"builderProjectId": shop.project["projectId"]}
    call(shop, f"{PROJECTS}/update", **ref, builderProject={"name": "Things", "draftManifest": values(things(1))})
    assert shop.editor.get(shop.path).json()["manifest"] == things(1)
    call(shop, f"{PROJECTS}/update", **ref, builderProject={"name": "Renamed"})
    assert shop.editor.get(shop.path).json()["manifest"] == things(1)
    call(
        shop,
        f"{PROJECTS}/update",
        **ref,
        builderProject={"name": "Things", "draftManifest": values(things(1, key="uid"))},
    )
    text = shop.editor.get(shop.path).json()["manifest"]
    assert "#" not in text
    assert values(text) == values(things(1, key="uid"))


def test_all_sources_run_the_version_that_airbytes_api_makes_active(shop: Shop) -> None:
    shop.begin(things(1))
    definition_id = shop.publish(note="one")["definitionId"]
    source_id = shop.source(definition_id)
    concerned, other = shop.connection(source_id, "things"), shop.connection(source_id, "parts")
    own = {"sourceDefinitionId": definition_id}
    new = {"manifest": values(things(2, key="uid")), "spec": {}, "version": 7, "description": "two"}
    call(shop, f"{MANIFESTS}/create_manifest", **own, declarativeManifest=new, setAsActiveManifest=True)
    assert shop.runs(source_id) == 2
    assert shop.row(tables.connections, concerned).status == "inactive"
    assert "The primary key of things is uid, it was id." in shop.row(tables.connections, concerned).status_reason
    assert shop.editor.patch(f"/v1/connections/{concerned}", json={"status": "active"}).status_code == 200
    third = {"manifest": values(things(3)), "spec": {}, "version": 8, "description": "three"}
    call(shop, f"{MANIFESTS}/create_manifest", **own, declarativeManifest=third, setAsActiveManifest=False)
    assert shop.row(tables.connections, concerned).status == "active"
    assert shop.runs(source_id) == 2
    listed = call(shop, f"{MANIFESTS}/list_manifests", **own)["manifestVersions"]
    assert [(entry["version"], entry["description"], entry["isActive"]) for entry in listed] == [
        (3, "three", False),
        (2, "two", True),
        (1, "one", False),
    ]
    call(shop, f"{MANIFESTS}/update_active_manifest", **own, version=1)
    assert shop.runs(source_id) == 1
    assert shop.row(tables.connections, concerned).status == "inactive"
    assert shop.row(tables.connections, other).status == "active"
    ref = {"builderProjectId": shop.project["projectId"]}
    read = call(shop, f"{PROJECTS}/get_with_manifest", **ref, version=2)
    assert read["declarativeManifest"]["manifest"] == values(things(2, key="uid"))
    assert read["builderProject"]["activeDeclarativeManifestVersion"] == 1


def test_a_components_file_is_carried_by_the_draft_and_does_not_run_without_an_approval(shop: Shop) -> None:
    manifest = values(things(1))
    custom = {"type": "CustomTransformation", "class_name": "components.Mark"}
    manifest["streams"][0]["transformations"] = [custom]
    details = {"name": "Marks", "draftManifest": manifest, "componentsFileContent": "class Mark: ...\n"}
    project = call(shop, f"{PROJECTS}/create", builderProject=details)["builderProjectId"]
    draft = call(shop, f"{PROJECTS}/get_with_manifest", builderProjectId=project)["declarativeManifest"]["manifest"]
    assert draft["metadata"]["components_py"] == "class Mark: ...\n"
    details = {"name": "Marks", "draftManifest": draft, "componentsFileContent": "class Mark: pass\n"}
    call(shop, f"{PROJECTS}/update", builderProjectId=project, builderProject=details)
    draft = call(shop, f"{PROJECTS}/get_with_manifest", builderProjectId=project)["declarativeManifest"]["manifest"]
    assert draft["metadata"]["components_py"] == "class Mark: pass\n"
    body = {"workspaceId": shop.tenant.workspace_id, "builderProjectId": project, "streamName": "things"}
    refused = shop.editor.post(f"{PROJECTS}/read_stream", json=body)
    assert (refused.status_code, "instance_admin has approved" in refused.text) == (422, True)


def test_testing_values_are_replaced_sealed_and_masked(shop: Shop) -> None:
    shop.begin(things(1))
    ref = {"builderProjectId": shop.project["projectId"]}
    given = {"token": "t0p-s3cret", "region": "eu"}
    assert call(shop, f"{PROJECTS}/update_testing_values", **ref, testingValues=given, spec={}) == {
        "token": MASK,
        "region": "eu",
    }
    assert call(shop, f"{PROJECTS}/update_testing_values", **ref, testingValues={"token": MASK}, spec={}) == {
        "token": MASK
    }
    read = call(shop, f"{PROJECTS}/get_with_manifest", **ref)
    assert read["testingValues"] == {"token": MASK}
    assert "t0p-s3cret" not in str(read)


def test_a_stream_is_read_with_the_testing_values_whose_secrets_are_masked(
    shop: Shop, pages: Pages, tmp_path: Path
) -> None:
    text = Path(pages.manifest(tmp_path)).read_text()
    shop.begin(text)
    ref = {"builderProjectId": shop.project["projectId"]}
    inputs = {"url": pages.url, "token": "t0p-s3cret"}
    call(shop, f"{PROJECTS}/update_testing_values", **ref, testingValues=inputs, spec={})
    for manifest in (None, values(text)):
        reading = call(shop, f"{PROJECTS}/read_stream", **ref, streamName="items", manifest=manifest, pageLimit=2)
        page = reading["slices"][0]["pages"][0]
        assert len(page["records"]) == 10
        assert page["request"]["url"].startswith(pages.url)
        assert (page["request"]["http_method"], page["response"]["status"]) == ("GET", 200)
        assert reading["test_read_limit_reached"]
        assert "t0p-s3cret" not in str(reading)
    loose = call(
        shop, f"{PROJECTS}/read_stream", streamName="items", manifest=values(text), config=inputs, recordLimit=3
    )
    assert loose["inferred_schema"]["properties"]
    wrong = call(
        shop,
        f"{PROJECTS}/read_stream",
        streamName="items",
        manifest=values(text),
        config={**inputs, "url": "http://127.0.0.1:9"},
    )
    assert wrong["logs"][-1]["level"] == "ERROR"
    assert (
        shop.editor.post(
            f"{PROJECTS}/read_stream", json={"workspaceId": shop.tenant.workspace_id, "streamName": "x"}
        ).status_code
        == 400
    )


def test_a_connector_is_forked_into_a_project_with_its_comments(shop: Shop) -> None:
    shop.begin(things(1))
    definition_id = shop.publish()["definitionId"]
    forked = call(shop, f"{PROJECTS}/fork", baseActorDefinitionId=definition_id)
    assert forked["builderProjectId"] != shop.project["projectId"]
    read = shop.editor.get(f"{OWN_PROJECTS}/{forked['builderProjectId']}").json()
    assert read["manifest"] == things(1)
    assert read["origin"] == {"kind": "connector", "name": "Things", "version": "1"}
    unknown = {"workspaceId": shop.tenant.workspace_id, "baseActorDefinitionId": shop.tenant.workspace_id}
    assert shop.editor.post(f"{PROJECTS}/fork", json=unknown).status_code == 404


def test_a_manifest_is_resolved_with_the_streams_that_it_makes_from_the_testing_values(shop: Shop) -> None:
    manifest = values(things(1, required=", lists"))
    template = manifest["streams"].pop()
    mapping = {"type": "ComponentMappingDefinition", "field_path": ["name"], "value": "{{ components_values['name'] }}"}
    key = {
        **mapping,
        "field_path": ["primary_key"],
        "value": "{{ components_values['key'] }}",
        "create_or_update": True,
    }
    resolver = {
        "type": "ConfigComponentsResolver",
        "stream_config": {"type": "StreamConfig", "configs_pointer": ["lists"]},
        "components_mapping": [mapping, key],
    }
    manifest["dynamic_streams"] = [
        {
            "type": "DynamicDeclarativeStream",
            "name": "lists",
            "stream_template": template,
            "components_resolver": resolver,
        }
    ]
    properties = manifest["spec"]["connection_specification"]["properties"]
    properties["lists"] = {"type": "array"}
    shop.begin(yaml.safe_dump(manifest))
    ref = {"builderProjectId": shop.project["projectId"]}
    inputs = {"token": "t0p-s3cret", "lists": [{"name": f"list_{n}", "key": "t0p-s3cret"} for n in range(5)]}
    call(shop, f"{PROJECTS}/update_testing_values", **ref, testingValues=inputs, spec={})
    answer = call(shop, f"{PROJECTS}/full_resolve", **ref, manifest=manifest, streamLimit=3)
    streams = [(stream["name"], stream["dynamic_stream_name"]) for stream in answer["manifest"]["streams"]]
    assert streams == [("things", None), ("list_0", "lists"), ("list_1", "lists"), ("list_2", "lists")]
    assert answer["manifest"]["streams"][1]["retriever"]["requester"]["type"] == "HttpRequester"
    assert "t0p-s3cret" not in str(answer)
    assert MASK in str(answer["manifest"]["streams"][1]["primary_key"])


def test_projects_are_of_their_workspace_only(shop: Shop, context: Context) -> None:
    shop.begin(things(1))
    definition_id = shop.publish()["definitionId"]
    globex = Tenant.make(context, "globex")
    boss, stranger = Browser(context, "root@example.com"), Browser(context, globex.member("workspace_admin"))
    ref = {"builderProjectId": shop.project["projectId"], "workspaceId": globex.workspace_id}
    for path, body in (
        (f"{PROJECTS}/get_with_manifest", ref),
        (f"{PROJECTS}/update", {**ref, "builderProject": {"name": "x"}}),
        (f"{PROJECTS}/delete", ref),
        (f"{PROJECTS}/publish", {**ref, "name": "x", "initialDeclarativeManifest": {"manifest": {}}}),
        (f"{PROJECTS}/update_testing_values", {**ref, "testingValues": {}}),
        (f"{PROJECTS}/read_stream", {**ref, "streamName": "things"}),
        (f"{PROJECTS}/get_for_definition_id", {"workspaceId": globex.workspace_id, "actorDefinitionId": definition_id}),
        (f"{MANIFESTS}/list_manifests", {"workspaceId": globex.workspace_id, "sourceDefinitionId": definition_id}),
        (
            f"{MANIFESTS}/update_active_manifest",
            {"workspaceId": globex.workspace_id, "sourceDefinitionId": definition_id, "version": 1},
        ),
    ):
        assert stranger.post(path, json=body).status_code == 403, path
        assert boss.post(path, json=body).status_code == 404, path
    reader = Browser(context, shop.tenant.member("workspace_reader"))
    own = {**ref, "workspaceId": shop.tenant.workspace_id}
    assert reader.post(f"{PROJECTS}/get_with_manifest", json=own).status_code == 200
    assert reader.post(f"{PROJECTS}/delete", json=own).status_code == 403
