"""Requests made up from the OpenAPI document, seeded: none makes the server fail, with ids that exist and without.

`KITESTRING_REQUESTS=50` makes up so many for each operation.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings

from kitestring.server.context import Context
from tests.unit.cli.connector_registry import Registry
from tests.unit.server.tenants import Browser, admin
from tests.unit.server.test_connections import joined

pytestmark = pytest.mark.slow

EACH = int(os.environ.get("KITESTRING_REQUESTS", "2"))


class Seeded:
    """An application with one of everything, and the ids by the names that requests have for them."""

    def __init__(self, context: Context, folder: Path) -> None:
        # With a user from the beginning: one that a request makes would shut out all that come after it.
        self.client = Browser(context, admin(context))
        self.app = self.client.app
        connection = joined(context, folder)
        row = self.client.get(f"/v1/connections/{connection}").json()
        tag = {"name": "seed", "color": "FF0000", "workspaceId": row["workspaceId"]}
        job = self.client.post("/v1/jobs", json={"connectionId": connection, "jobType": "clear"}).json()["jobId"]
        names = ("connectionId", "sourceId", "destinationId", "workspaceId")
        self.ids: dict[str, Any] = {name: row[name] for name in names}
        self.ids |= {"tagId": self.client.post("/v1/tags", json=tag).json()["tagId"], "jobId": job}

    def sent(self, case: Any, *, known: bool) -> httpx.Response:
        """The answer to a case."""
        from schemathesis.core import NOT_SET

        place = self.put(case.path_parameters) if known else case.path_parameters
        path = case.path.format(**{name: quote(str(value), safe="") for name, value in (place or {}).items()})
        body = self.put(case.body) if known else case.body
        more = {"json": body} if case.body is not NOT_SET else {}
        query = self.put(case.query) if known else case.query
        return self.client.request(case.method, path, params=query, follow_redirects=False, **more)

    def put(self, values: Any) -> Any:
        """Values with ids that exist in the places of those that were made up."""
        if not isinstance(values, Mapping):
            return values
        return {name: self.ids.get(name, value) for name, value in values.items()}


@pytest.fixture
def seeded(context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Seeded]:
    """The registry of connectors is a stand-in: a request that reads it needs no network."""
    monkeypatch.setenv("KITESTRING_HOME", str(context.settings.home))
    with Registry() as registry:
        monkeypatch.setenv("KITESTRING_REGISTRY_URL", registry.files_url)
        yield Seeded(context, tmp_path)


def operations(app: Any) -> Iterator[Any]:
    """All of the document; what deletes comes last."""
    # Imported here: every worker of the tests imports this file, and this package takes longer than all others.
    import schemathesis

    schema = schemathesis.openapi.from_dict(app.openapi())
    results = [operation.ok() for operation in schema.get_all_operations()]
    yield from sorted(results, key=lambda item: item.method.upper() == "DELETE" or item.path.endswith("/delete"))


def test_no_request_of_the_document_makes_the_server_fail(seeded: Seeded) -> None:
    statuses: dict[int, int] = {}
    failed: dict[str, str] = {}
    for operation in operations(seeded.app):
        for answer in answers(seeded, operation):
            statuses[answer.status_code] = statuses.get(answer.status_code, 0) + 1
            if answer.status_code >= 500:
                failed[f"{operation.method} {operation.path}"] = f"{answer.status_code} {answer.text[:300]}"
    assert not failed
    assert statuses.get(200, 0) > 200, statuses
    assert statuses.get(401, 0) < 50, statuses


def answers(seeded: Seeded, operation: Any) -> list[httpx.Response]:
    """The answers to some cases of an operation."""
    results: list[httpx.Response] = []

    @settings(
        max_examples=EACH,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def call(case: Any) -> None:
        results.extend(seeded.sent(case, known=known) for known in (True, False))

    call()
    return results
