"""A store on PostgreSQL that has jobs is brought to the version of the program, and its usage is read."""

from __future__ import annotations

import shutil
from pathlib import Path
from urllib.parse import quote

import pytest
from sqlalchemy import text

from kitestring.server.context import Context
from kitestring.server.settings import Settings
from kitestring.server.store import Store
from kitestring.server.store.upgrade import MIGRATIONS, upgrade
from tests.integration.postgres_server import Database, database, postgres_server  # noqa: F401
from tests.unit.server.tenants import Browser

pytestmark = pytest.mark.slow

ENDED_JOBS = """
INSERT INTO organizations (id, name, email, created_at_ms) VALUES ('o', 'o', 'o', 1);
INSERT INTO workspaces (id, organization_id, name, notifications, created_at_ms)
    VALUES ('11111111-1111-1111-1111-111111111111', 'o', 'acme', '{}', 1);
INSERT INTO jobs (id, workspace_id, connection_id, source_id, kind, status, cause, options, attempts, failures,
        most_attempts, run_after_ms, cancel, epoch, records, nbytes, created_at_ms, updated_at_ms, ended_at_ms)
    SELECT n, '11111111-1111-1111-1111-111111111111', '22222222-2222-2222-2222-222222222222', 's', 'sync', 'succeeded',
           'manual', '{}', 1, 0, 3, 0, false, 1, 0, 0, 0, 0, 86400000::bigint * n FROM generate_series(1, 600) AS n;
INSERT INTO attempts (job_id, number, status, worker, epoch, started_at_ms, streams)
    SELECT n, 1, 'succeeded', 'w', 1, 0, '{"a": {"read": 5, "written": 4, "figures": {"tokens": 3}}}'
    FROM generate_series(1, 600) AS n;
INSERT INTO audit (at_ms, actor, action, kind, resource_id, changes) VALUES (1, 'ada@x', 'create', 'source', 's', '{}');
INSERT INTO sources (id, workspace_id, name, definition_id, connector, config, created_at_ms, updated_at_ms)
    VALUES ('s', '11111111-1111-1111-1111-111111111111', 's', 'd', 'airbyte', '{}', 1, 1);
"""


def test_a_store_with_jobs_is_upgraded_and_its_usage_is_in_whole_numbers(database: Database, tmp_path: Path) -> None:  # noqa: F811
    access = f"{database.username}:{quote(database.password, safe='')}@{database.host}:{database.port}"
    settings = Settings(home=tmp_path / "home", database_url=f"postgresql://{access}/{database.name}")
    before = tmp_path / "before"
    shutil.copytree(MIGRATIONS, before, ignore=shutil.ignore_patterns("__pycache__", "000[5-9]*", "00[1-9]*"))
    store = Store(settings.store_url)
    try:
        assert upgrade(store, before)[-1] == "0004"
        with store.write() as db:
            for statement in ENDED_JOBS.split(";\n"):
                if statement.strip():
                    db.exec_driver_sql(statement)
        assert "0008" in upgrade(store)
        with store.read() as db:
            assert db.execute(text("SELECT created_by FROM sources")).scalars().all() == ["ada@x"]
    finally:
        store.close()
    context = Context.of(settings)
    try:
        answer = Browser(context).get("/api/kitestring/v1/usage?from=1970-01-01&to=1970-01-31")
        (usage,) = answer.json()["data"]
        assert (usage["jobs"], usage["read"], usage["written"], usage["unpricedTokens"]) == (30, 150, 120, 90)
        assert '"read":150,' in answer.text.replace(" ", "")
    finally:
        context.close()
