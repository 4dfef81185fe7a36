"""A running server that an editor of a workspace attacks."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from kitestring.testing.stand_in import Answer, StandIn, route
from tests.integration.server.running import Running

PASSWORD = "correct horse battery"


OWN = "/api/kitestring/v1"


SECRETS = ("secret-of-the-machine", "token-of-the-victim", "record-of-the-victim")


VECTORS = {"embedding": {"mode": "fake"}, "processing": {"chunk_size": 100, "text_fields": ["body"]}}
FILES = {
    "file_uploader": {
        "type": "FileUploader",
        "requester": {"type": "HttpRequester", "url_base": "{{ download_target }}", "path": ""},
        "download_target_extractor": {"type": "DpathExtractor", "field_path": ["url"]},
        "filename_extractor": "{{ record.name }}",
    }
}


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
            "source": self.create_endpoint(self.root, "source", {"sourceType": "sample", "count": 3}, self.victim),
            "destination": self.create_endpoint(self.root, "destination", self.lake(self.root, "victim"), self.victim),
        }
        self.own = {
            "source": self.create_endpoint(self.eve, "source", {"sourceType": "sample", "count": 3}, self.mine),
            "destination": self.create_endpoint(self.eve, "destination", self.lake(self.eve, "lake"), self.mine),
        }
        command = ["sh", "-c", f"touch {self.canary}"]
        self.admins = "" if hardened else self.create_endpoint(
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
        self.running.local_command("user", "add", email, "--password-stdin", *words, stdin=PASSWORD)

    def client(self, email: str) -> httpx.Client:
        basic = base64.b64encode(f"{email}:{PASSWORD}".encode()).decode()
        headers = {"Authorization": f"Basic {basic}"}
        created_client = httpx.Client(base_url=self.running.url, timeout=600, headers=headers)
        app = created_client.post("/v1/applications", json={"name": "x"}).json()
        pair = {"client_id": app["clientId"], "client_secret": app["clientSecret"]}
        token = created_client.post("/v1/applications/token", json=pair).json()["access_token"]
        created_client.headers["Authorization"] = f"Bearer {token}"
        return created_client

    def create_endpoint(self, client: httpx.Client, kind: str, config: dict[str, Any], workspace_id: str) -> str:
        body = {"name": f"record-of-{kind}", "workspaceId": workspace_id, "configuration": config}
        answer = client.post(f"/v1/{kind}s", json=body)
        assert answer.status_code == 200, answer.text
        return str(answer.json()[f"{kind}Id"])

    def outside_now(self) -> dict[str, Any]:
        return {str(path): path.stat().st_mtime_ns for path in sorted(self.outside.rglob("*"))}

    def close(self) -> None:
        self.running.stop()


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


@contextmanager
def running_arena(folder: Path, *, hardened: bool) -> Iterator[Arena]:
    with Lair() as lair:
        arena = Arena(folder, hardened, lair)
        lair.stolen_place = arena.outside / "stolen"
        yield arena
        arena.close()


@contextmanager
def unharmed(arena: Arena) -> Iterator[None]:
    """After each attack: nothing ran, nothing outside was touched, nothing secret reached the attacker."""
    before = arena.outside_now()
    yield
    time.sleep(0.1)
    assert not arena.canary.exists()
    assert arena.outside_now() == before
    for call in arena.lair.requests:
        sent = repr(call)
        assert not any(secret in sent for secret in SECRETS), sent
