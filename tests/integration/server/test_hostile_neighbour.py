"""An editor of a workspace who attacks other workspaces, the instance and its users, in both modes of a server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.server.hostile_arena import (
    FILES,
    OWN,
    SECRETS,
    Arena,
    manifest,
    refused,
    running_arena,
    unharmed,
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=[False, True], ids=["normal", "hardened"])
def arena(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    with running_arena(tmp_path_factory.mktemp("arena"), hardened=request.param) as arena:
        yield arena


@pytest.fixture(autouse=True)
def nothing_outside(arena: Arena) -> Iterator[None]:
    with unharmed(arena):
        yield


def test_nothing_of_another_workspace_is_seen_or_changed(arena: Arena) -> None:
    eve, theirs, own = arena.eve, arena.theirs, arena.own
    connection, source, destination = theirs["connection"], theirs["source"], theirs["destination"]
    job = arena.root.post("/v1/jobs", json={"connectionId": connection, "jobType": "sync"}).json()["jobId"]
    streams = {"configurations": {"streams": [{"name": "users"}]}}
    draft = {"kind": "source", "configuration": {"sourceType": "sample"}}
    pair = {"client_id": "a", "client_secret": "b"}
    client = {"actorType": "source", "name": "github", "configuration": pair}
    for method, path, body in (
        ("GET", f"/v1/sources/{source}", None),
        ("PATCH", f"/v1/sources/{source}", {"name": "mine"}),
        ("DELETE", f"/v1/sources/{source}", None),
        ("GET", f"/v1/destinations/{destination}", None),
        ("PUT", f"/v1/destinations/{destination}", {"name": "m", "configuration": {}}),
        ("GET", f"/v1/connections/{connection}", None),
        ("DELETE", f"/v1/connections/{connection}", None),
        ("PATCH", f"/v1/connections/{connection}", {"name": "mine"}),
        ("POST", "/v1/connections", {"sourceId": source, "destinationId": own["destination"], **streams}),
        ("POST", "/v1/connections", {"sourceId": own["source"], "destinationId": destination, **streams}),
        ("GET", f"/v1/streams?sourceId={source}", None),
        ("POST", "/v1/jobs", {"connectionId": connection, "jobType": "sync"}),
        ("GET", f"/v1/jobs/{job}", None),
        ("DELETE", f"/v1/jobs/{job}", None),
        ("GET", f"/v1/jobs?connectionId={connection}", None),
        ("GET", f"/v1/workspaces/{arena.victim}", None),
        ("POST", "/v1/sources", {"name": "x", "workspaceId": arena.victim, "configuration": {"sourceType": "sample"}}),
        ("POST", "/api/v1/sources/get", {"sourceId": source}),
        ("POST", "/api/v1/sources/list", {"workspaceId": arena.victim}),
        ("POST", "/api/v1/connections/get", {"connectionId": connection}),
        ("POST", "/api/v1/jobs/get", {"id": job}),
        ("POST", "/api/v1/jobs/list", {"configId": connection, "configTypes": ["sync"]}),
        ("POST", "/api/v1/state/get", {"connectionId": connection}),
        ("GET", f"{OWN}/jobs/{job}", None),
        ("GET", f"{OWN}/jobs/{job}/attempts/1/log", None),
        ("GET", f"{OWN}/jobs/{job}/events", None),
        ("POST", f"{OWN}/jobs/{job}/cancel", None),
        ("GET", f"{OWN}/connections/{connection}/state", None),
        ("PUT", f"{OWN}/connections/{connection}/state", {"states": {}}),
        ("POST", f"{OWN}/connections/{connection}/sync", None),
        ("POST", f"{OWN}/connections/{connection}/estimate", {}),
        ("POST", f"{OWN}/sources/{source}/read", {"stream": "users"}),
        ("POST", f"{OWN}/sources/{source}/discover", None),
        ("POST", f"{OWN}/destinations/{destination}/search", {"text": "x"}),
        ("POST", f"{OWN}/check", {**draft, "workspaceId": arena.mine, "sourceId": source}),
        ("POST", f"{OWN}/check", {**draft, "workspaceId": arena.victim}),
        ("GET", f"{OWN}/project/export?workspaceId={arena.victim}", None),
        ("GET", f"{OWN}/project/export?workspaceId={arena.mine}&workspaceId={arena.victim}", None),
        ("POST", f"{OWN}/project/apply", {"workspaceId": arena.victim, "wanted": {}, "prune": True}),
        ("GET", f"{OWN}/audit?workspaceId={arena.victim}", None),
        ("POST", f"{OWN}/consents", {"workspaceId": arena.victim, "connector": "github", "redirectUrl": "https://x"}),
        ("PUT", f"/v1/workspaces/{arena.victim}/oauthCredentials", client),
    ):
        answer = eve.request(method, path, json=body)
        assert answer.status_code in (400, 403, 404, 422), (method, path, answer.status_code, answer.text)
        assert not any(secret in answer.text for secret in SECRETS), (path, answer.text)
    for path in (
        "/v1/sources", "/v1/destinations", "/v1/connections", "/v1/jobs", "/v1/workspaces", "/v1/tags",
        f"/v1/sources?workspaceIds={arena.victim}", f"/v1/jobs?workspaceIds={arena.victim}", f"{OWN}/connections",
        f"{OWN}/connections?workspaceIds={arena.victim}", f"{OWN}/jobs", "/v1/sources?includeDeleted=true",
    ):  # fmt: skip
        answer = eve.get(path)
        assert arena.victim not in answer.text.replace(path, ""), path
        assert not any(secret in answer.text for secret in SECRETS), (path, answer.text)


def test_an_editor_gives_nobody_a_role_and_sees_nothing_of_the_instance(arena: Arena) -> None:
    eve = arena.eve
    me = eve.get(f"{OWN}/session").json()["userId"]
    messages = {"notifications": {"failure": {"webhook": "http://x"}}}
    grant = {"userId": me, "workspaceId": arena.mine, "permissionType": "workspace_admin"}
    for method, path, body in (
        ("POST", "/v1/permissions", grant),
        ("POST", "/v1/permissions", {"userId": me, "permissionType": "instance_admin"}),
        ("POST", "/v1/permissions", {**grant, "workspaceId": arena.victim}),
        ("POST", f"{OWN}/users", {"email": "evil@example.com", "permissions": [{"permissionType": "instance_admin"}]}),
        ("PATCH", f"{OWN}/users/{me}", {"disabled": False}),
        ("GET", f"{OWN}/users", None),
        ("GET", f"{OWN}/settings", None),
        ("GET", f"{OWN}/workers", None),
        ("GET", f"{OWN}/audit", None),
        ("POST", f"{OWN}/connectors/source/source-faker/install", None),
        ("PATCH", f"/v1/workspaces/{arena.mine}", {"name": "x"}),
        ("DELETE", f"/v1/workspaces/{arena.mine}", None),
        ("POST", "/v1/workspaces", {"name": "x"}),
        ("POST", f"{OWN}/notifications/test", {"workspaceId": arena.mine, "way": "apprise", "url": "syslog://"}),
        ("POST", f"{OWN}/project/apply", {"workspaceId": arena.mine, "wanted": messages}),
    ):
        answer = eve.request(method, path, json=body)
        assert answer.status_code in (403, 404, 422), (method, path, answer.status_code, answer.text)


def test_an_id_of_another_workspace_is_found_wherever_it_hides_in_a_request(arena: Arena) -> None:
    eve, theirs, own = arena.eve, arena.theirs, arena.own
    connection = theirs["connection"]
    if not arena.hardened:
        link = {"sourceId": own["source"], "destinationId": own["destination"]}
        body = {"name": "own", **link, "configurations": {"streams": [{"name": "users"}]}}
        own = {**own, "connection": eve.post("/v1/connections", json=body).json()["connectionId"]}
    tag = arena.root.post("/v1/tags", json={"workspaceId": arena.victim, "name": "t", "color": "FFFFFF"})
    tag_id = tag.json()["tagId"]
    before = arena.root.get(f"{OWN}/connections/{connection}/state").json()
    mine = own.get("connection", connection)
    state = {"stateType": "stream", "connectionId": connection, "streamState": []}
    for method, path, body in (
        ("POST", "/api/v1/state/create_or_update", {"connectionId": connection, "connectionState": state}),
        ("POST", "/api/v1/state/create_or_update_safe", {"connectionId": connection, "connectionState": state}),
        ("POST", "/api/v1/connections/reset", {"connectionId": connection}),
        ("POST", "/api/v1/connections/delete", {"connectionId": connection}),
        ("POST", "/api/v1/connections/update", {"connectionId": connection, "status": "inactive"}),
        ("POST", "/api/v1/web_backend/connections/get", {"connectionId": connection}),
        ("POST", "/api/v1/web_backend/connections/update", {"connectionId": mine, "sourceId": theirs["source"]}),
        ("POST", "/api/v1/workspaces/get_by_connection_id", {"connectionId": connection}),
        ("POST", "/api/v1/workspaces/get", {"workspaceId": arena.victim.upper()}),
        ("POST", "/api/v1/workspaces/get", {"workspaceId": f"{{{arena.victim}}}"}),
        ("POST", "/api/v1/sources/get/", {"sourceId": theirs["source"].replace("-", "")}),
        ("POST", f"/v1/jobs?connectionId={mine}", {"connectionId": connection, "jobType": "sync"}),
        ("POST", f"/v1/connections?sourceId={own['source']}", {**theirs, "sourceId": theirs["source"]}),
        ("PATCH", f"/v1/connections/{mine}", {"tags": [{"tagId": tag_id, "workspaceId": arena.mine}]}),
        ("GET", f"/v1/tags/{tag_id}", None),
        ("GET", f"/v1/sources/%7B{theirs['source']}%7D", None),
        ("GET", f"/v1/sources/{own['source']}/../{theirs['source']}", None),
        ("GET", f"/v1/sources?workspaceIds={arena.mine}&workspaceIds={arena.victim}", None),
        ("GET", f"/v1/jobs?workspaceIds={arena.mine},{arena.victim}", None),
    ):
        answer = eve.request(method, path, json=body)
        hidden = answer.status_code in (400, 403, 404, 405, 422)
        assert hidden or answer.json().get("data") == [], (path, answer.status_code, answer.text)
        assert not any(secret in answer.text for secret in SECRETS), (path, answer.text)
    twice = f'{{"sourceId": "{own["source"]}", "sourceId": "{theirs["source"]}"}}'
    for raw in (twice, f'{{"sourceId": "{theirs["source"]}", "SourceId": "{own["source"]}"}}'):
        answer = eve.post("/api/v1/sources/get", content=raw, headers={"Content-Type": "application/json"})
        assert answer.status_code == 403, answer.text
    assert arena.root.get(f"{OWN}/connections/{connection}/state").json() == before
    assert arena.root.get(f"/v1/connections/{connection}").json()["status"] == "active"


def test_nobody_without_credentials_gets_in_by_another_spelling_of_a_path(arena: Arena) -> None:
    for path in (
        "/v1/sources", "//v1/sources", "/v1//sources", "/v1/health/../sources", "/v1/health/%2e%2e/sources",
        "/api/v1/health/../sources/list", "/API/v1/sources", "/v1/sources/", "/v1/sources?x=/v1/health",
        "/applications/token/../../v1/sources", "/api/kitestring/v1/session/login/../../users", "/metrics/", "/metrics",
        "/api/kitestring/v1/settings", "/api/kitestring/v1/workers", "/v1;/sources", "/v1/sources%00",
    ):  # fmt: skip
        answer = arena.open.get(path)
        is_html = answer.headers.get("content-type", "").startswith("text/html")  # the interface's page, without data
        assert is_html or answer.status_code in (301, 307, 308, 400, 401, 404), (
            path,
            answer.status_code,
            answer.text,
        )
        assert not any(secret in answer.text for secret in SECRETS)


def test_a_custom_connector_of_another_workspace_is_nobody_elses(arena: Arena) -> None:
    place = f"/v1/workspaces/{arena.victim}/definitions/declarative_sources"
    secret = manifest(arena, requester={"request_headers": {"X-Key": "token-of-the-victim"}})
    created_body = arena.root.post(place, json={"name": "record-of-the-victim", "manifest": secret}).json()
    eve, definition = arena.eve, created_body["id"]
    create = {"name": "x", "workspaceId": arena.mine, "definitionId": definition, "configuration": {}}
    config = {"connectionConfiguration": {}, "sourceDefinitionId": definition, "workspaceId": arena.mine, "name": "x"}
    draft = {"kind": "source", "workspaceId": arena.mine, "definitionId": definition, "configuration": {}}
    own = f"/v1/workspaces/{arena.mine}/definitions/declarative_sources"
    for method, path, body in (
        ("POST", "/v1/sources", create),
        ("POST", "/api/v1/sources/create", config),
        ("POST", f"{OWN}/check", draft),
        ("GET", f"{place}/{definition}", None),
        ("GET", f"{own}/{definition}", None),
        ("PUT", f"{own}/{definition}", {"manifest": manifest(arena)}),
        ("PUT", f"{place}/{definition}", {"manifest": manifest(arena)}),
        ("DELETE", f"{place}/{definition}", None),
        ("GET", f"{OWN}/connectors/source/{definition}", None),
        ("POST", "/api/v1/source_definitions/get", {"sourceDefinitionId": definition}),
        ("POST", "/api/v1/source_definition_specifications/get", {"sourceDefinitionId": definition}),
        (
            "POST",
            "/api/v1/source_definition_specifications/get",
            {"sourceDefinitionId": definition, "workspaceId": arena.mine},
        ),
    ):
        answer = eve.request(method, path, json=body)
        assert answer.status_code in (403, 404, 422), (path, answer.text)
        assert not any(secret in answer.text for secret in SECRETS), (path, answer.text)
    for path in (f"/v1/connector_definitions?type=source&workspaceId={arena.mine}", f"{OWN}/connectors?kind=source"):
        assert definition not in eve.get(path).text


def test_a_custom_connector_that_an_editor_changes_is_the_editors(arena: Arena) -> None:
    """An admin's source keeps what the admin gave it only while the connector is what the admin saw."""
    if arena.hardened:
        pytest.skip("a hardened server writes no local files")
    place = f"/v1/workspaces/{arena.mine}/definitions/declarative_sources"
    created_body = arena.root.post(place, json={"name": "trusted", "manifest": manifest(arena)}).json()
    config = {"files_folder": str(arena.outside / "admins")}
    body = {"name": "t", "workspaceId": arena.mine, "definitionId": created_body["id"], "configuration": config}
    source = arena.root.post("/v1/sources", json=body).json()["sourceId"]
    read = f"{OWN}/sources/{source}/read"
    assert arena.eve.post(read, json={"stream": "things"}).status_code == 200
    evil = {"manifest": manifest(arena, stream=FILES)}
    assert arena.eve.put(f"{place}/{created_body['id']}", json=evil).status_code == 200
    answer = arena.eve.post(read, json={"stream": "things"})
    assert answer.status_code == 422, answer.text
    assert "instance_admin" in answer.text


@pytest.mark.parametrize("role", ["workspace_admin", "organization_admin"])
def test_an_admin_of_a_workspace_or_an_organization_does_not_administer_the_machine(arena: Arena, role: str) -> None:
    email = f"{role.replace('_', '-')}@example.com"
    where = ["--workspace", arena.mine] if role.startswith("workspace") else []
    arena.add(email, *where, "--role", role)
    client = arena.client(email)
    for config in (
        {"sourceType": "airbyte", "command": arena.command},
        {"sourceType": "postgres", "host": "/var/run/postgresql"},
    ):
        draft = {"kind": "source", "workspaceId": arena.mine, "configuration": config}
        refused(client.post(f"{OWN}/check", json=draft))
        body = {"name": "x", "workspaceId": arena.mine, "configuration": config}
        assert client.post("/v1/sources", json=body).status_code == 422
    for way in ("syslog://", "dbus://", f"json://127.0.0.1:1/?attach={arena.outside}/secret.txt"):
        messages = {"workspaceId": arena.mine, "way": "apprise", "url": way}
        assert client.post(f"{OWN}/notifications/test", json=messages).json()["status"] == "failed"
    assert client.get(f"{OWN}/settings").status_code == 403


def test_users_and_permissions_of_others_are_nobodys(arena: Arena) -> None:
    eve = arena.eve
    root = arena.root.get(f"{OWN}/session").json()["userId"]
    (grant, *_) = arena.root.get(f"/v1/permissions?userId={root}").json()["data"]
    organization = arena.root.get("/v1/organizations").json()["data"][0]["organizationId"]
    pair = {"client_id": "a", "client_secret": "b"}
    client = {"actorType": "source", "name": "github", "configuration": pair}
    for method, path, body in (
        ("GET", f"/v1/permissions?userId={root}", None),
        ("GET", f"/v1/permissions/{grant['permissionId']}", None),
        ("DELETE", f"/v1/permissions/{grant['permissionId']}", None),
        ("PATCH", f"/v1/permissions/{grant['permissionId']}", {"permissionType": "workspace_reader"}),
        ("GET", f"/v1/users?organizationId={organization}", None),
        ("POST", "/api/v1/users/get", {"userId": root}),
        ("POST", "/api/v1/users/update", {"userId": root, "name": "evil"}),
        ("POST", "/api/v1/permissions/list_by_user", {"userId": root}),
        ("PUT", f"/v1/organizations/{organization}/oauthCredentials", client),
        ("DELETE", f"/v1/organizations/{organization}/oauthCredentials/source/github", None),
    ):
        answer = eve.request(method, path, json=body)
        assert answer.status_code in (403, 404, 405) or root not in answer.text, (path, answer.text)
        assert "root@example.com" not in answer.text, (path, answer.text)
    mine = {application["clientId"] for application in arena.root.get("/v1/applications").json()["applications"]}
    assert not mine & {application["clientId"] for application in eve.get("/v1/applications").json()["applications"]}
    for item in mine:
        assert eve.get(f"/v1/applications/{item}").status_code in (403, 404)
        assert eve.delete(f"/v1/applications/{item}").status_code in (403, 404)
