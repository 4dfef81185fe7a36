"""A number that is larger than a store can hold is refused by every route, on both stores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from kitestring.server.context import Context
from kitestring.server.jobs.forkserver import ForkServer
from kitestring.server.settings import Settings
from tests.unit.server.documented import server_document
from tests.unit.server.tenants import Browser, admin
from tests.unit.server.test_connections import joined

pytestmark = pytest.mark.slow

LARGE = (2**31, 2**63, -(2**63) - 1, 10**30)


@pytest.fixture(params=["sqlite", "postgresql"])
def whole(request: pytest.FixtureRequest, tmp_path: Path, fork_server: ForkServer) -> Iterator[Context]:
    url = ""
    if request.param == "postgresql":
        database = request.getfixturevalue("database")
        password = quote(database.password, safe="")
        url = f"postgresql://{database.username}:{password}@{database.host}:{database.port}/{database.name}"
    created = Context.of(Settings(home=tmp_path / "home", database_url=url))
    created.runner.fork_server = fork_server
    yield created
    created.store.close()


def is_integer(schema: Mapping[str, Any]) -> bool:
    return any(part.get("type") == "integer" for part in (schema, *schema.get("anyOf", ())))


def test_every_integer_in_a_path_or_a_query_may_be_of_any_size(whole: Context, tmp_path: Path) -> None:
    client = Browser(whole, admin(whole))
    connection = joined(whole, tmp_path)
    row = client.get(f"/v1/connections/{connection}").json()
    job = client.post("/v1/jobs", json={"connectionId": connection, "jobType": "clear"}).json()["jobId"]
    known = {"jobId": job, "number": 1, **{name: row[name] for name in ("connectionId", "sourceId", "workspaceId")}}
    tried, wrong = 0, []
    for path, operations in server_document(client.app).body["paths"].items():  # type: ignore[arg-type]
        for method, operation in operations.items():
            numbers = [parameter for parameter in operation.get("parameters", ()) if is_integer(parameter["schema"])]
            for number in numbers:
                for value in LARGE:
                    filled = {**known, number["name"]: value} if number["in"] == "path" else known
                    query = {number["name"]: value} if number["in"] == "query" else {}
                    url = path.format_map(Filled(filled))
                    with client.stream(method, url, params=query, timeout=300) as answer:
                        tried += 1
                        bad = answer.status_code >= 500 or (
                            number["in"] == "path" and abs(value) > 2**32 and answer.status_code not in (404, 422, 400)
                        )
                        if bad:
                            wrong.append((method, path, number["name"], value, answer.status_code))
    assert not wrong
    assert tried > 50


class Filled(dict[str, Any]):
    """Values of a path's parameters; an id of its own for what has none."""

    def __missing__(self, key: str) -> str:
        return "00000000-0000-0000-0000-000000000000"


@pytest.mark.parametrize("number", [2**31, 2**63, 2**70])
def test_an_attempt_that_cannot_be_has_no_log(whole: Context, tmp_path: Path, number: int) -> None:
    client = Browser(whole, admin(whole))
    job = client.post("/v1/jobs", json={"connectionId": joined(whole, tmp_path), "jobType": "clear"}).json()["jobId"]
    answer = client.get(f"/api/kitestring/v1/jobs/{job}/attempts/{number}/log")
    assert answer.status_code == 404
    assert f"no attempt {number}" in answer.json()["detail"]
    with client.stream("GET", f"/api/kitestring/v1/jobs/{2**63}/events") as events:
        assert events.status_code == 404
