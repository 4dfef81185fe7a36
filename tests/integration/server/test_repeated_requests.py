"""A request that reaches two processes of a server at once, with one `Idempotency-Key`, changes one thing."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from kitestring.server.context import Context
from kitestring.server.settings import Settings
from tests.integration.postgres_server import Database, database, postgres_server  # noqa: F401
from tests.unit.server.tenants import Browser

pytestmark = pytest.mark.slow
OWN = "/api/kitestring/v1"


@contextmanager
def processes(database: Database, folder: Path) -> Iterator[list[Browser]]:  # noqa: F811
    """Clients of two contexts over one store on PostgreSQL, as two processes have them."""
    access = f"{database.username}:{quote(database.password, safe='')}@{database.host}:{database.port}"
    settings = Settings(home=folder / "home", database_url=f"postgresql://{access}/{database.name}")
    contexts = [Context.of(settings) for _ in range(2)]
    try:
        yield [Browser(context) for context in contexts]
    finally:
        for context in contexts:
            context.close()


def test_two_processes_on_postgresql_run_a_request_with_one_key_once(database: Database, tmp_path: Path) -> None:  # noqa: F811
    with processes(database, tmp_path) as clients:
        workspace = clients[0].get("/v1/workspaces").json()["data"][0]["workspaceId"]

        def send(number: int) -> Any:
            body = {"name": f"tag {number // 4}", "workspaceId": workspace, "color": "FF0000"}
            return clients[number % 2].post("/v1/tags", json=body, headers={"Idempotency-Key": f"key {number // 4}"})

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(send, range(24)))
        assert {answer.status_code for answer in answers} == {200}
        assert [len({answer.text for answer in answers[n : n + 4]}) for n in range(0, 24, 4)] == [1] * 6
        tags = clients[0].get("/v1/tags").json()["data"]
        assert sorted(tag["name"] for tag in tags) == [f"tag {n}" for n in range(6)]


def test_those_who_apply_discover_and_change_at_once_make_and_lose_nothing_twice(
    database: Database,  # noqa: F811
    tmp_path: Path,
) -> None:
    with processes(database, tmp_path) as clients:
        workspace = clients[0].get("/v1/workspaces").json()["data"][0]["workspaceId"]
        text = f"""
sources:
  Shop: {{connector: sample, config: {{count: 3}}}}
destinations:
  Out: {{connector: files, config: {{path: {tmp_path / "out"}}}}}
connections:
  Shop to files: {{source: Shop, destination: Out, streams: [users]}}
"""
        body = {"workspaceId": workspace, "text": text}

        def apply(number: int) -> Any:
            return clients[number % 2].post(f"{OWN}/project/text/apply", json=body)

        with ThreadPoolExecutor(6) as pool:
            assert [answer.status_code for answer in pool.map(apply, range(6))] == [200] * 6
        for kind in ("sources", "destinations", "connections"):
            assert len(clients[0].get(f"{OWN}/{kind}").json()["data"]) == 1, kind
        (source,) = clients[0].get(f"{OWN}/sources").json()["data"]
        (connection,) = clients[0].get(f"{OWN}/connections").json()["data"]

        def discover(number: int) -> Any:
            return clients[number % 2].post(f"{OWN}/sources/{source['id']}/discover")

        with ThreadPoolExecutor(6) as pool:
            assert {answer.status_code for answer in pool.map(discover, range(6))} == {200}
        place = connection["connectionId"]
        version = clients[0].get(f"{OWN}/connections/{place}").json()["version"]

        def rename(number: int) -> Any:
            change, headers = {"name": f"name {number}"}, {"If-Match": f'"{version}"'}
            return clients[number % 2].patch(f"/v1/connections/{place}", json=change, headers=headers)

        with ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(rename, range(6)))
        assert sorted(answer.status_code for answer in answers) == [200, *[412] * 5]
        (winner,) = [answer.json()["name"] for answer in answers if answer.status_code == 200]
        assert clients[1].get(f"{OWN}/connections/{place}").json()["name"] == winner
