"""Updates of the connectors that sources use: what is newer, what breaks, and the way back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import insert
from test_connections import create_endpoint

from kitestring import __version__
from kitestring.server.app import create_app
from kitestring.server.context import Context
from kitestring.server.store.store import new_id
from kitestring.server.store.tables import sources
from kitestring.server.workspaces import workspaces
from tests.unit.cli.connector_registry import BREAKING, Registry, entry
from tests.unit.server.documented import documented

pytestmark = pytest.mark.slow

UPDATES = "/api/kitestring/v1/connector-updates"
ZOO = "5e9c1a4e-0f6c-4f0e-9a0f-0c6f0a4b5d11"
INSTALL = f"/api/kitestring/v1/connectors/source/{ZOO}/install"


@pytest.fixture
def registry(context: Context, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    """A registry with one connector, which a source uses."""
    monkeypatch.setenv("KITESTRING_HOME", str(context.settings.home))
    with Registry() as stand_in:
        monkeypatch.setenv("KITESTRING_REGISTRY_URL", stand_in.files_url)
        stand_in.publish(entry("source-zoo", "1.4.0", title="City Zoo", sourceDefinitionId=ZOO))
        with context.store.write() as db:
            common = {"config": {}, "created_at_ms": 1, "updated_at_ms": 1, "workspace_id": workspaces.default(db).id}
            db.execute(
                insert(sources).values(id=new_id(), name="Beasts", definition_id=ZOO, connector="source-zoo", **common)
            )
        yield stand_in


@pytest.fixture
def client(context: Context) -> TestClient:
    return documented(TestClient(create_app(context)))


def test_a_connector_of_ours_has_the_version_of_kitestring(client: TestClient, context: Context) -> None:
    create_endpoint(context, "source", "sample", {"count": 1})
    body = client.get(UPDATES).json()
    assert body["indexAtMs"] is None
    [sample] = body["data"]
    assert (sample["origin"], sample["version"], sample["newest"], sample["newer"]) == (
        "kitestring",
        __version__,
        "",
        False,
    )
    assert [endpoint["name"] for endpoint in sample["endpoints"]] == ["sample"]


def test_a_connector_is_updated_after_its_breaking_changes_were_shown_and_can_go_back(
    client: TestClient, registry: Registry
) -> None:
    def zoo() -> dict[str, object]:
        body = client.get(UPDATES).json()
        assert body["indexAtMs"] is not None
        [update] = body["data"]
        assert [endpoint["name"] for endpoint in update["endpoints"]] == ["Beasts"]
        return {name: update[name] for name in ("version", "newest", "newer", "others")}

    assert client.post(f"{UPDATES}/refresh").status_code == 204
    assert zoo() == {"version": "", "newest": "1.4.0", "newer": True, "others": []}
    assert client.post(INSTALL).status_code == 200
    assert zoo() == {"version": "1.4.0", "newest": "1.4.0", "newer": False, "others": []}
    newer = entry(
        "source-zoo", "2.1.0", title="City Zoo", sourceDefinitionId=ZOO, releases={"breakingChanges": BREAKING}
    )
    registry.publish(newer)
    assert zoo()["newer"] is False  # the registry was not asked
    client.post(f"{UPDATES}/refresh")
    [update] = client.get(UPDATES).json()["data"]
    assert (update["newest"], update["newer"]) == ("2.1.0", True)
    assert [(item["version"], item["deadline"]) for item in update["breaking"]] == [("2.0.0", "2027-01-31")]
    assert client.post(INSTALL).status_code == 200
    assert zoo() == {"version": "2.1.0", "newest": "2.1.0", "newer": False, "others": ["1.4.0"]}
    back = client.post(f"{UPDATES}/source/{ZOO}/use", json={"version": "1.4.0"})
    assert (back.status_code, back.json()["version"]) == (200, "1.4.0")
    assert zoo() == {"version": "1.4.0", "newest": "2.1.0", "newer": True, "others": ["2.1.0"]}
    unknown = client.post(f"{UPDATES}/source/{ZOO}/use", json={"version": "9.9.9"})
    assert unknown.status_code == 422
    assert "kitestring connectors install source-zoo@9.9.9" in unknown.json()["data"]["hint"]
