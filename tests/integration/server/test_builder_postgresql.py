"""Builder projects on PostgreSQL: connectors that were there are opened, and of two publications at once one wins."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml

from kitestring.server.context import Context
from kitestring.server.settings import Settings
from kitestring.server.store import Store, tables
from kitestring.server.store.upgrade import MIGRATIONS, upgrade
from tests.integration.postgres_server import Database, database, postgres_server  # noqa: F401
from tests.unit.server.shop import OWN, PROJECTS, Shop, things
from tests.unit.server.tenants import Browser, Tenant, admin

pytestmark = pytest.mark.slow

WORKSPACE = "11111111-1111-1111-1111-111111111111"
LOW_CODE = "22222222-2222-2222-2222-222222222222"
SOURCE = "33333333-3333-3333-3333-333333333333"


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    home = tmp_path / "home"
    home.mkdir()
    if request.param == "sqlite":
        return Settings(home=home)
    own: Database = request.getfixturevalue("database")
    access = f"{own.username}:{quote(own.password, safe='')}@{own.host}:{own.port}"
    return Settings(home=home, database_url=f"postgresql://{access}/{own.name}")


@pytest.fixture
def context(settings: Settings) -> Iterator[Context]:
    opened = Context.of(settings)
    yield opened
    opened.close()


def test_connectors_that_were_there_have_a_project_and_a_version(settings: Settings, tmp_path: Path) -> None:
    before = tmp_path / "before"
    shutil.copytree(MIGRATIONS, before, ignore=shutil.ignore_patterns("__pycache__", "0009*", "001*"))
    manifest = yaml.safe_load(things(1))
    store = Store(settings.store_url)
    assert upgrade(store, before)[-1] == "0008"
    definition = (
        "INSERT INTO definitions (id, workspace_id, kind, name, manifest, docker_repository, version, created_at_ms, "
        "deleted_at_ms) VALUES"
    )
    text = json.dumps(manifest).replace("'", "''")
    with store.write() as db:
        for statement in (
            "INSERT INTO organizations (id, name, email, created_at_ms) VALUES ('o', 'o', 'o', 1)",
            "INSERT INTO workspaces (id, organization_id, name, notifications, created_at_ms) "
            f"VALUES ('{WORKSPACE}', 'o', 'acme', '{{}}', 1)",
            f"{definition} ('{LOW_CODE}', '{WORKSPACE}', 'source', 'Things', '{text}', NULL, 4, 7, NULL)",
            f"{definition} ('gone', '{WORKSPACE}', 'source', 'Gone', '{text}', NULL, 1, 7, 8)",
            f"{definition} ('file', '{WORKSPACE}', 'source', 'shop (project)', '{text}', NULL, 1, 7, NULL)",
            f"{definition} ('image', '{WORKSPACE}', 'source', 'Image', NULL, 'acme/source-x', 1, 7, NULL)",
            "INSERT INTO sources (id, workspace_id, name, definition_id, connector, config, created_at_ms, "
            f"updated_at_ms) VALUES ('{SOURCE}', '{WORKSPACE}', 's', '{LOW_CODE}', '', '{{}}', 1, 1)",
        ):
            db.exec_driver_sql(statement.replace("%", "%%"))
    store.close()
    context = Context.of(settings)
    try:
        boss = Browser(context)
        [project] = boss.get(PROJECTS, params={"workspaceId": WORKSPACE}).json()["data"]
        assert (project["name"], project["definitionId"], project["publishedVersion"]) == ("Things", LOW_CODE, 4)
        assert project["changedSincePublished"] is False
        read = boss.get(f"{PROJECTS}/{project['projectId']}").json()
        assert yaml.safe_load(read["manifest"]) == manifest
        source = boss.get(f"{OWN}/sources/{SOURCE}/connector-version").json()
        assert (source["version"], source["projectId"]) == (4, project["projectId"])
        with context.store.read() as db:
            kept = {row.definition_id for row in db.execute(tables.connector_versions.select())}
        assert kept == {LOW_CODE, "gone", "file"}
    finally:
        context.close()


def test_of_two_publications_at_once_one_wins_and_nothing_is_half_done(context: Context) -> None:
    admin(context)
    tenant = Tenant.make(context, "acme")
    shop = Shop(tenant, Browser(context, tenant.member("workspace_editor")))
    shop.begin(things(1))
    answers: list[Any] = []

    def publish_at_once(count: int) -> list[int]:
        answers.clear()
        editors = [Browser(context, tenant.member("workspace_editor")) for _ in range(count)]
        body = {"revision": shop.project["revision"], "upgrade": "all"}
        start = threading.Barrier(count)

        def publish(editor: Browser) -> None:
            start.wait()
            answers.append(editor.post(f"{shop.path}/publish", json=body))

        threads = [threading.Thread(target=publish, args=[editor]) for editor in editors]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sorted(answer.status_code for answer in answers)

    first = publish_at_once(3)
    assert first[0] == 200
    assert set(first[1:]) <= {409, 422}
    [version] = shop.versions()
    assert version["version"] == 1
    definition_id = shop.editor.get(shop.path).json()["definitionId"]
    source_id = shop.source(definition_id)
    connection_id = shop.connection(source_id, "things")
    shop.write(things(2, key="uid"))
    second = publish_at_once(3)
    assert second[0] == 200
    assert set(second[1:]) <= {409, 422}
    assert [version["version"] for version in shop.versions()] == [2, 1]
    assert shop.runs(source_id) == 2
    assert shop.row(tables.connections, connection_id).status == "inactive"
