"""An editor of a workspace who means harm, over HTTP against a server as it is started, in both modes.

Whatever is tried: no program runs, no file outside the workspace's folder is read or made, nothing of another workspace
is seen or changed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.server.hostile_arena import (
    FILES,
    OWN,
    VECTORS,
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


PROGRAMS: list[tuple[str, dict[str, Any]]] = [
    ("source", {"sourceType": "airbyte", "command": ["COMMAND"]}),
    ("source", {"sourceType": "airbyte", "path": "/bin/sh"}),
    ("source", {"sourceType": "airbyte", "image": "alpine"}),
    ("source", {"sourceType": "airbyte", "package": "airbyte-source-faker==6.2.0"}),
    ("source", {"sourceType": "airbyte", "package": "x", "executable": "sh", "python": "/bin/sh"}),
    ("source", {"sourceType": "singer", "command": ["COMMAND"]}),
    ("destination", {"destinationType": "airbyte", "command": ["COMMAND"]}),
    ("destination", {"destinationType": "airbyte", "image": "alpine"}),
]


def filled(node: Any, arena: Arena) -> Any:
    if node == ["COMMAND"]:
        return arena.command
    if isinstance(node, dict):
        return {key: filled(value, arena) for key, value in node.items()}
    return node.replace("OUTSIDE", str(arena.outside)) if isinstance(node, str) else node


@pytest.mark.parametrize(("kind", "config"), PROGRAMS)
def test_no_way_leads_to_a_program(arena: Arena, kind: str, config: dict[str, Any]) -> None:
    every_way(arena, kind, filled(config, arena))


def every_way(arena: Arena, kind: str, config: dict[str, Any]) -> None:
    """A configuration by each of the ways to a connector; all refuse it."""
    eve, named = arena.eve, f"{kind}Type"
    bare = {key: value for key, value in config.items() if key != named}
    draft = {"kind": kind, "workspaceId": arena.mine, "configuration": config}
    refused(eve.post(f"{OWN}/check", json=draft))
    body = {"name": "x", "workspaceId": arena.mine, "configuration": config}
    assert eve.post(f"/v1/{kind}s", json=body).status_code in (400, 422)
    connector = eve.get(f"{OWN}/connectors/{kind}/{config[named]}").json()
    definition = connector["definitionId"]
    body = {"name": "x", "workspaceId": arena.mine, "configuration": bare, "definitionId": definition}
    assert eve.post(f"/api/public/v1/{kind}s", json=body).status_code in (400, 422)
    body = {"name": "x", "workspaceId": arena.mine, "connectionConfiguration": bare, f"{kind}DefinitionId": definition}
    assert eve.post(f"/api/v1/{kind}s/create", json=body).status_code in (400, 422)
    expected = {f"{kind}s": {"evil": {"connector": config[named], "config": bare}}}
    assert eve.post(f"{OWN}/project/apply", json={"workspaceId": arena.mine, "wanted": expected}).status_code == 422
    names = [item["name"] for item in eve.get(f"/v1/{kind}s?workspaceIds={arena.mine}&limit=100").json()["data"]]
    assert not {"x", "evil"} & set(names)


PLACES: list[tuple[str, dict[str, Any]]] = [
    ("destination", {"destinationType": "duckdb", "path": "OUTSIDE/x.duckdb"}),
    ("destination", {"destinationType": "duckdb", "destination_path": "OUTSIDE/x.duckdb"}),
    ("destination", {"destinationType": "duckdb", "path": "../../../outside/x.duckdb"}),
    ("destination", {"destinationType": "duckdb", "path": "md:evil"}),
    ("destination", {"destinationType": "files", "path": "OUTSIDE/x"}),
    ("destination", {"destinationType": "files", "path": "file://OUTSIDE/x"}),
    ("destination", {"destinationType": "files", "path": "FILE://OUTSIDE/x"}),
    ("destination", {"destinationType": "files", "path": "local://OUTSIDE/x"}),
    ("destination", {"destinationType": "files", "path": "dir::file://OUTSIDE/x"}),
    ("destination", {"destinationType": "files", "path": "zip://x::file://OUTSIDE/x.zip"}),
    ("destination", {"destinationType": "files", "path": "~/x"}),
    ("destination", {"destinationType": "files", "path": "simplecache::s3://b/x"}),
    ("destination", {"destinationType": "files", "path": "sftp://127.0.0.1/x"}),
    ("destination", {"destinationType": "files", "path": "s3://bucket/x"}),
    ("destination", {"destinationType": "milvus", "indexing": {"host": "OUTSIDE/x.db", "collection": "c"}, **VECTORS}),
    (
        "destination",
        {
            "destinationType": "milvus",
            "indexing": {"host": "unix:OUTSIDE/x.sock", "collection": "c"},
            **VECTORS,
        },
    ),
    (
        "destination",
        {
            "destinationType": "milvus",
            "indexing": {"host": "https://1.1.1.1", "collection": "c", "tls": {"ca_file": "OUTSIDE/secret.txt"}},
            **VECTORS,
        },
    ),
    (
        "destination",
        {
            "destinationType": "milvus",
            "indexing": {"host": "http://1.1.1.1", "collection": "c"},
            **VECTORS,
            "embedding": {"mode": "local", "model_path": "OUTSIDE"},
        },
    ),
    (
        "destination",
        {
            "destinationType": "milvus",
            "indexing": {"host": "http://1.1.1.1", "collection": "c"},
            **VECTORS,
            "shadow_folder": "OUTSIDE",
        },
    ),
    ("source", {"sourceType": "postgres", "host": "/var/run/postgresql"}),
    ("source", {"sourceType": "postgres", "url": "postgresql://127.0.0.1/x?passfile=OUTSIDE/secret.txt"}),
    ("source", {"sourceType": "postgres", "url": "host=127.0.0.1 sslrootcert=OUTSIDE/secret.txt"}),
    (
        "source",
        {
            "sourceType": "zendesk-support",
            "subdomain": "acme",
            "start_date": "2024-01-01T00:00:00Z",
            "credentials": {"credentials": "api_token", "email": "a@example.com", "api_token": "t"},
            "files_folder": "OUTSIDE",
        },
    ),
]


@pytest.mark.parametrize(("kind", "config"), PLACES)
def test_no_way_leads_to_a_place_of_the_machine(arena: Arena, kind: str, config: dict[str, Any]) -> None:
    every_way(arena, kind, filled(config, arena))


def test_what_an_admin_has_set_up_is_not_turned_into_something_else(arena: Arena) -> None:
    if arena.hardened:
        pytest.skip("a hardened server has no programs")
    eve, source = arena.eve, arena.admins
    evil = {"sourceType": "airbyte", "command": arena.command}
    for answer in (
        eve.patch(f"/v1/sources/{source}", json={"configuration": {"command": arena.command}}),
        eve.patch(f"/v1/sources/{source}", json={"configuration": {"environment": {"BASH_ENV": "x"}}}),
        eve.patch(f"/v1/sources/{source}", json={"configuration": {"config": {"a": 1}}}),
        eve.put(f"/v1/sources/{source}", json={"name": "x", "configuration": evil}),
        eve.post(
            "/api/v1/sources/update",
            json={"sourceId": source, "name": "x", "connectionConfiguration": {"command": arena.command}},
        ),
    ):
        assert answer.status_code == 422, answer.text
    draft = {"kind": "source", "workspaceId": arena.mine, "sourceId": source, "configuration": evil}
    refused(eve.post(f"{OWN}/check", json=draft))
    # A name, and what is there already, change nothing: the admin's source still runs, and fails by itself.
    assert eve.patch(f"/v1/sources/{source}", json={"name": "renamed"}).status_code == 200
    assert eve.patch(f"/v1/sources/{source}", json={"configuration": {}}).status_code == 200
    assert "runs a program" not in eve.post(f"{OWN}/sources/{source}/check").text


CODE = {"type": "CustomRecordExtractor", "class_name": "os.system", "command": "id"}


def test_a_manifest_brings_no_code_and_no_file(arena: Arena) -> None:
    eve = arena.eve
    place = f"/v1/workspaces/{arena.mine}/definitions/declarative_sources"
    hidden = manifest(arena, selector={"extractor": {"$ref": "#/definitions/evil"}}, definitions={"evil": CODE})
    for values in (
        manifest(arena, selector={"extractor": CODE}),
        manifest(arena, selector={"extractor": {"class_name": "os.system"}}),
        manifest(arena, requester={"authenticator": {"type": "CustomAuthenticator", "class_name": "os.system"}}),
        manifest(arena, stream={"transformations": [{"type": "CustomTransformation", "class_name": "os.system"}]}),
        hidden,
    ):
        assert eve.post(place, json={"name": "evil", "manifest": values}).status_code == 422
        reading = {"workspaceId": arena.mine, "manifest": values, "stream": "things"}
        response = eve.post(f"{OWN}/builder/read", json=reading)
        assert response.status_code == 422 or response.json()["error"], response.text
        expected = {"sources": {"evil": {"connector": "manifest", "manifest": values}}}
        assert eve.post(f"{OWN}/project/apply", json={"workspaceId": arena.mine, "wanted": expected}).status_code == 422


@pytest.mark.parametrize(
    "path", ["OUTSIDE/secret.json", "../../outside/secret.json", "file://OUTSIDE/secret.json", "./secret.json"]
)
def test_a_schema_file_of_a_manifest_is_no_file_of_the_server(arena: Arena, path: str) -> None:
    loader = {"schema_loader": {"type": "JsonFileSchemaLoader", "file_path": filled(path, arena)}}
    values = manifest(arena, stream=loader)
    for verb, more in (("read", {"stream": "things"}), ("validate", {}), ("resolve", {})):
        answer = arena.eve.post(f"{OWN}/builder/{verb}", json={"workspaceId": arena.mine, "manifest": values, **more})
        assert "secret-of-the-machine" not in answer.text


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ config.__class__.__init__.__globals__ }}",
        "{{ lipsum.__globals__['os'].popen('touch OUTSIDE/canary').read() }}",
        "{{ cycler.__init__.__globals__.os.system('touch OUTSIDE/canary') }}",
        "{{ self.__init__.__globals__ }}",
        "{{ now_utc.__globals__ }}",
        "{% include 'OUTSIDE/secret.txt' %}",
        "{% import 'os' as os %}{{ os }}",
        "{{ config|attr('__class__') }}",
        "{{ ('%c'|format(95))*2 }}{{ config|map(attribute='__class__')|list }}",
        "{{ range.__self__ }}",
        "{{ env('SECRET_OF_THE_SERVER') }}{{ environ }}",
    ],
)
def test_a_template_stays_in_its_sandbox(arena: Arena, template: str) -> None:
    values = manifest(arena, requester={"request_headers": {"X-Stolen": filled(template, arena)}})
    reading = {"workspaceId": arena.mine, "manifest": values, "stream": "things"}
    text = arena.eve.post(f"{OWN}/builder/read", json=reading).text
    for sign in ("<class", "subprocess", "built-in", "secret-of-the-machine", "<module"):
        assert sign not in text.replace(json.dumps(template)[1:-1], ""), text


@pytest.mark.parametrize(
    "base", ["file://OUTSIDE", "file:///", "ftp://127.0.0.1", "unix://OUTSIDE/x.sock", "gopher://127.0.0.1", "data:x,"]
)
def test_an_address_of_a_source_is_one_of_http(arena: Arena, base: str) -> None:
    values = manifest(arena, requester={"url_base": filled(base, arena), "path": "secret.txt"})
    reading = {"workspaceId": arena.mine, "manifest": values, "stream": "things"}
    answer = arena.eve.post(f"{OWN}/builder/read", json=reading)
    assert "secret-of-the-machine" not in answer.text
    assert answer.status_code == 422 or not [p for s in answer.json()["slices"] for p in s["pages"] if p["records"]]


def test_a_redirect_leads_to_no_file(arena: Arena) -> None:
    values = manifest(arena, requester={"path": "/away"})
    answer = arena.eve.post(
        f"{OWN}/builder/read", json={"workspaceId": arena.mine, "manifest": values, "stream": "things"}
    )
    assert "root:" not in answer.text


def test_fetched_files_stay_in_the_folder_of_the_workspace(arena: Arena) -> None:
    values = manifest(arena, stream=FILES)
    body = {"workspaceId": arena.mine, "manifest": values, "stream": "things"}
    for folder in (str(arena.outside), "../../outside", "files"):
        answer = arena.eve.post(f"{OWN}/builder/read", json={**body, "configuration": {"files_folder": folder}})
        assert answer.status_code == 422 or "evil" not in str(list(arena.outside.iterdir()))
    if not arena.hardened:
        place = f"/v1/workspaces/{arena.mine}/definitions/declarative_sources"
        created_body = arena.eve.post(place, json={"name": "fetched", "manifest": values}).json()
        config = {"files_folder": "files"}
        body = {"name": "f", "workspaceId": arena.mine, "definitionId": created_body["id"], "configuration": config}
        source = arena.eve.post("/v1/sources", json=body).json()["sourceId"]
        arena.eve.post(f"{OWN}/sources/{source}/read", json={"stream": "things"})
        fetched = [path for path in arena.home.rglob("*") if path.is_file() and path.read_bytes() == b"evil"]
        assert fetched
        assert all(path.is_relative_to(arena.home / "workspaces" / arena.mine / "files") for path in fetched)
    # The manifest's own word for another configuration while it is checked chooses no folder either.
    values["check"] |= {"config_overrides": {"files_folder": str(arena.outside)}}
    place = f"/v1/workspaces/{arena.mine}/definitions/declarative_sources"
    created_body = arena.eve.post(place, json={"name": "files", "manifest": values})
    if created_body.status_code == 200:
        draft = {
            "kind": "source",
            "workspaceId": arena.mine,
            "definitionId": created_body.json()["id"],
            "configuration": {},
        }
        arena.eve.post(f"{OWN}/check", json=draft)


def test_a_token_that_is_renewed_writes_no_option_of_the_platform(arena: Arena) -> None:
    """A manifest chooses where in the configuration a new token is kept: not in the place of a folder."""
    authenticator = {
        "type": "OAuthAuthenticator",
        "token_refresh_endpoint": f"{arena.lair.url}/token",
        "client_id": "a",
        "client_secret": "b",
        "refresh_token_updater": {
            "refresh_token_config_path": ["r"],
            "access_token_config_path": ["files_folder"],
            "token_expiry_date_config_path": ["b"],
        },
    }
    values = manifest(arena, requester={"authenticator": authenticator}, stream=FILES)
    place = f"/v1/workspaces/{arena.mine}/definitions/declarative_sources"
    response = arena.eve.post(place, json={"name": "renewed", "manifest": values})
    assert response.status_code == 200, response.text
    # An admin who trusts that connector makes a source with it.
    config = {"r": "old"}
    body = {"name": "s", "workspaceId": arena.mine, "definitionId": response.json()["id"], "configuration": config}
    answer = arena.root.post("/v1/sources", json=body)
    assert answer.status_code == 200, answer.text
    source = answer.json()["sourceId"]
    for _ in range(2):
        arena.eve.post(f"{OWN}/sources/{source}/read", json={"stream": "things"})
    config = arena.root.get(f"/v1/sources/{source}").json()["configuration"]
    assert "files_folder" not in config
    if not arena.hardened:
        assert arena.lair.calls("/token")
        assert config["r"] == "new"  # what a manifest may keep is kept


@pytest.mark.parametrize(
    "reference",
    [
        "${file:OUTSIDE/secret.txt}",
        "${env:SECRET_OF_THE_SERVER}",
        "${env:KITESTRING_SECRET_KEY}",
        "${env:HOME}",
        "${file:HOME/secrets/../secret.key}",
        "${file:HOME/secret.key}",
        "${vault:secret/data/x#y}",
    ],
)
def test_a_reference_leads_to_no_secret_of_the_server(arena: Arena, reference: str) -> None:
    text = filled(reference, arena).replace("HOME/", f"{arena.home}/")
    form = {"type": "object", "properties": {"token": {"type": "string", "airbyte_secret": True}}}
    values = manifest(
        arena,
        requester={"authenticator": {"type": "BearerAuthenticator", "api_token": "{{ config['token'] }}"}},
        spec={"type": "Spec", "connection_specification": form},
    )
    place = f"/v1/workspaces/{arena.mine}/definitions/declarative_sources"
    created_body = arena.eve.post(place, json={"name": "r", "manifest": values}).json()
    body = {
        "kind": "source", "workspaceId": arena.mine,
        "definitionId": created_body["id"], "configuration": {"token": text},
    }  # fmt: skip
    refused(arena.eve.post(f"{OWN}/check", json=body))


@pytest.mark.parametrize("word", ["OUTSIDE/evil.yaml", "../../outside/evil.yaml", "source-x@../../outside/evil.yaml"])
def test_a_connectors_name_is_no_path(arena: Arena, word: str) -> None:
    name = filled(word, arena)
    draft = {"kind": "source", "workspaceId": arena.mine, "configuration": {"sourceType": name}}
    assert arena.eve.post(f"{OWN}/check", json=draft).status_code in (400, 404, 422)
    for connector, version in ((name, None), ("source-faker", "../../../outside/evil.yaml")):
        item = {"connector": connector, **({"version": version} if version else {})}
        body = {"workspaceId": arena.mine, "wanted": {"sources": {"evil": item}}}
        assert arena.eve.post(f"{OWN}/project/apply", json=body).status_code in (400, 404, 422)
    body = {"name": "x", "dockerRepository": name, "dockerImageTag": "evil.yaml"}
    response = arena.eve.post(f"/v1/workspaces/{arena.mine}/definitions/sources", json=body)
    if response.status_code == 200:
        create = {"name": "x", "workspaceId": arena.mine, "definitionId": response.json()["id"], "configuration": {}}
        assert arena.eve.post("/v1/sources", json=create).status_code in (400, 404, 422)


@pytest.mark.parametrize(
    "name", ["../../../outside/evil", "/OUTSIDE/evil", "..", "a/../../../outside/evil", ".kitestring/x"]
)
def test_a_name_of_a_stream_leads_nowhere(arena: Arena, name: str) -> None:
    if arena.hardened:
        pytest.skip("a hardened server writes no local files")
    eve, name, written = arena.eve, filled(name, arena), 0
    for kind, config in (
        ("files", {"path": "names", "format": "jsonl"}),
        ("duckdb", {"path": "names.duckdb"}),
    ):
        destination = arena.create_endpoint(eve, "destination", {"destinationType": kind, **config}, arena.mine)
        stream = {"name": "users", "destinationObjectName": name}
        body = {
            "name": "evil",
            "sourceId": arena.own["source"],
            "destinationId": destination,
            "prefix": name,
            "namespaceDefinition": "custom_format",
            "namespaceFormat": name,
            "configurations": {"streams": [stream]},
        }
        response = eve.post("/v1/connections", json=body)
        if response.status_code != 200:
            continue
        connection = response.json()["connectionId"]
        job = eve.post("/v1/jobs", json={"connectionId": connection, "jobType": "sync"}).json()["jobId"]
        deadline = time.monotonic() + 600
        while eve.get(f"/v1/jobs/{job}").json()["status"] in ("pending", "running") and time.monotonic() < deadline:
            time.sleep(0.2)
        written += eve.get(f"/v1/jobs/{job}").json()["status"] == "succeeded"
        eve.delete(f"/v1/connections/{connection}")
    assert written
    folder = arena.home / "workspaces"
    assert [path.name for path in folder.iterdir() if path.name not in arena.workspaces.values()] == []


def test_a_private_address_is_out_of_reach_where_the_server_is_hardened(arena: Arena) -> None:
    values = manifest(arena)
    for base in (arena.lair.url, "http://localhost:1", "http://[::1]:1", "http://2130706433", "http://169.254.169.254"):
        values["streams"][0]["retriever"]["requester"]["url_base"] = base
        reading = {"workspaceId": arena.mine, "manifest": values, "stream": "things"}
        if arena.hardened:
            answer = arena.eve.post(f"{OWN}/builder/read", json=reading)
            assert "public internet" in answer.text, answer.text
