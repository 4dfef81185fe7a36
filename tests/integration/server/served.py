"""A server that really runs: API on a free port, worker, scheduler; with a user and their application."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from kitestring.server.auth import application, user
from kitestring.server.context import Context
from kitestring.server.run import Server
from kitestring.server.settings import Settings
from kitestring.server.workspaces import workspaces

EMAIL, PASSWORD = "admin@example.com", "correct horse battery staple"


@dataclass(frozen=True)
class Served:
    """Where it is reached, with whose credentials, and its first workspace."""

    root: str
    client_id: str
    client_secret: str
    workspace_id: str
    folder: Path

    @property
    def public(self) -> str:
        return f"{self.root}/api/public/v1"

    def client(self) -> httpx.Client:
        """A client of the public API with a token."""
        form = {"client_id": self.client_id, "client_secret": self.client_secret}
        token = httpx.post(f"{self.root}/api/v1/applications/token", json=form).json()["access_token"]
        return httpx.Client(base_url=self.public, headers={"Authorization": f"Bearer {token}"}, timeout=600)

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """What a POST of the public API answers; it has to succeed."""
        with self.client() as client:
            answer = client.post(path, json=body)
        assert answer.status_code == 200, answer.text
        actual_body: dict[str, Any] = answer.json()
        return actual_body

    def connection(self, name: str, count: int = 30) -> tuple[str, str]:
        """A connection from `count` sample users to files; its id and its source's."""
        ends = {"name": name, "workspaceId": self.workspace_id}
        source = self.post("/sources", {**ends, "configuration": {"sourceType": "sample", "count": count}})
        files = {"destinationType": "files", "path": str(self.folder / name), "format": "jsonl"}
        destination = self.post("/destinations", {**ends, "configuration": files})
        response = self.post(
            "/connections",
            {
                "name": name,
                "sourceId": source["sourceId"],
                "destinationId": destination["destinationId"],
                "configurations": {"streams": [{"name": "users", "syncMode": "full_refresh_overwrite"}]},
            },
        )
        return response["connectionId"], source["sourceId"]


@contextmanager
def served(folder: Path) -> Iterator[Served]:
    """A server with its store in this folder."""
    context = Context.of(Settings(home=folder / "home", port=0, workers=2))
    server = Server(context)
    with context.store.write() as db:
        owner = user.add(db, EMAIL, PASSWORD, 1)
        created, secret = application.create(db, owner, "clients", 1)
        workspace = workspaces.default(db).id
    server.start()
    try:
        yield Served(server.url, created.id, secret, workspace, folder)
    finally:
        server.stop()
        context.close()
