"""What has to hold when several processes share a PostgreSQL: single use, counting, the audit log, another key."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import select

from kitestring.errors import ConfigError
from kitestring.server.auth import throttle, user
from kitestring.server.context import Context
from kitestring.server.http.problem import Problem
from kitestring.server.jobs.action_runner import ActionRunner
from kitestring.server.jobs.worker import Worker
from kitestring.server.oauth import consent
from kitestring.server.observability import audit
from kitestring.server.secrets import rekey
from kitestring.server.secrets.secret_box import SecretBox
from kitestring.server.settings import Settings
from kitestring.server.store.tables import audit as audit_table
from kitestring.server.store.tables import login_failures, sources
from kitestring.testing.stand_in import StandIn, route
from tests.unit.server.connections import new_connection, plan_of
from tests.unit.server.tenants import Browser, Tenant, admin

pytestmark = pytest.mark.slow


@pytest.fixture
def shared(database: Any, tmp_path: Path) -> Iterator[Context]:
    access = f"{database.username}:{quote(database.password, safe='')}@{database.host}:{database.port}"
    url = f"postgresql://{access}/{database.name}"
    created = Context.of(Settings(home=tmp_path, database_url=url))
    yield created
    created.close()


def test_on_postgresql_a_state_is_good_once_and_every_failure_counts(shared: Context) -> None:
    with shared.store.write() as db:
        consent.store_pending(shared, db, "the state", {"some": "body"}, shared.store.now_ms(db), 10)

    def take(_: int) -> bool:
        with shared.store.write() as db:
            return consent.take_pending(shared, db, "the state") is not None

    def attempt(_: int) -> bool:
        try:
            throttle.count_attempt(shared, "1.2.3.4", "ada@example.com")
        except Problem:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(take, range(16))) == 1
        passed = sum(pool.map(attempt, range(24)))
    with shared.store.read() as db:
        counts = db.execute(select(login_failures.c["count"])).scalars().all()
    assert counts == [passed, passed]
    # On PostgreSQL attempts that begin in the same moment may all pass: no more than there are of them.
    assert throttle.PER_ACCOUNT <= passed <= throttle.PER_ACCOUNT + 8


def test_on_postgresql_changes_are_noted_and_secrets_sealed_again(shared: Context) -> None:
    admin(shared)
    acme = Tenant.make(shared, "acme")
    spec = {"properties": {"token": {"airbyte_secret": True}}}
    with audit.acting("ada"), shared.store.write() as db:
        sealed = shared.secret_box.seal_config({"token": "geheim"}, spec, acme.source_id)
        db.execute(sources.update().where(sources.c.id == acme.source_id).values(config=sealed, name="new"))
    with shared.store.read() as db:
        (entry,) = db.execute(select(audit_table)).all()
    assert entry.changes == {"name": ["acme", "new"], "config.token": [None, "**********"]}
    client = Browser(shared, acme.member("workspace_reader"))
    assert client.get("/api/kitestring/v1/session").json()["workspaces"] == [
        {"id": acme.workspace_id, "role": "reader"}
    ]
    (old,) = shared.secret_box.keys.values()
    new = SecretBox([os.urandom(32), old])
    assert rekey.rotate(shared.store, new)["sources"] == 1
    with shared.store.read() as db:
        stored = db.execute(select(sources.c.config).where(sources.c.id == acme.source_id)).scalar_one()
        readers = user.readers_of(db, acme.workspace_id)
    assert SecretBox([next(iter(new.keys.values()))]).open_config(stored, acme.source_id) == {"token": "geheim"}
    assert len(readers) == 2
    assert "root@example.com" in readers


class Api(StandIn):
    """Tells the bearer token of each call from the records it gives."""

    @route("GET", "/things")
    def things(self, call: Any) -> Any:
        return [{"id": 1, "token": call.headers.get("authorization", "")}]


def test_a_reference_is_looked_up_in_the_child_and_its_secret_stays_out_of_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KITESTRING_CONFIG_TOKEN", "geheim-of-the-environment")
    requester = {
        "type": "HttpRequester",
        "url_base": "{{ config['base'] }}",
        "path": "/things",
        "authenticator": {"type": "BearerAuthenticator", "api_token": "{{ config['token'] }}"},
    }
    selector = {"type": "RecordSelector", "extractor": {"type": "DpathExtractor", "field_path": []}}
    form = {"properties": {"base": {"type": "string"}, "token": {"type": "string", "airbyte_secret": True}}}
    manifest = {
        "type": "DeclarativeSource",
        "version": "6.0.0",
        "check": {"type": "CheckStream", "stream_names": ["things"]},
        "streams": [
            {
                "type": "DeclarativeStream",
                "name": "things",
                "retriever": {"type": "SimpleRetriever", "requester": requester, "record_selector": selector},
                "schema_loader": {"type": "InlineSchemaLoader", "schema": {"type": "object", "properties": {}}},
            }
        ],
        "spec": {"type": "Spec", "connection_specification": form},
    }
    with Api() as api:
        config = {"base": api.url, "token": "${env:KITESTRING_CONFIG_TOKEN}"}
        request = {"source": {"connector": "", "manifest": manifest, "config": config}, "stream": "things"}
        for provided, expected in (({}, "Bearer geheim-of-the-environment"), ({"references": "none"}, None)):
            runner = ActionRunner(Settings(home=tmp_path, **provided))
            try:
                if expected:
                    assert runner.run("read", request)["records"] == [{"id": 1, "token": expected}]
                else:
                    with pytest.raises(ConfigError, match="does not let"):
                        # The request's own word for what it may use counts for nothing.
                        runner.run("read", {**request, "references": ["env:*"]})
            finally:
                runner.close()


def test_a_hardened_server_reads_from_postgresql_in_an_allowed_network_only(database: Any, tmp_path: Path) -> None:
    database.run("CREATE TABLE things (id int PRIMARY KEY)", "INSERT INTO things VALUES (7)")
    source = {"connector": "postgres", "config": {**database.config, "host": "localhost"}, "manifest": None}
    for allowed in ("127.0.0.0/8, ::1/128", ""):
        runner = ActionRunner(Settings(home=tmp_path, allow_private_hosts=False, allowed_networks=allowed))
        try:
            if allowed:
                assert runner.run("read", {"source": source, "stream": "things"})["records"] == [{"id": 7}]
            else:
                with pytest.raises(ConfigError, match="public internet"):
                    runner.run("check", {"source": source})
        finally:
            runner.close()


def test_on_postgresql_two_admins_cannot_lock_each_other_out(shared: Context) -> None:
    first = admin(shared)
    with shared.store.write() as db:
        user.add(db, "second@example.com", None, 1, grants=(user.Grant(user.INSTANCE_ADMIN),))
        item, other = (user.by_email(db, email).id for email in (first, "second@example.com"))

    def lock_out() -> None:
        with shared.store.write() as db:
            user.disable(db, item)

    with ThreadPoolExecutor(1) as pool:
        with shared.store.write() as db:
            user.disable(db, other)
            later = pool.submit(lock_out)
            assert not wait([later], timeout=1).done  # it waits for what this transaction will have done
        with pytest.raises(ConfigError, match="last user"):
            later.result()


def test_on_postgresql_an_api_reads_the_log_of_a_worker_on_another_machine(shared: Context, tmp_path: Path) -> None:
    """The two share nothing but the database: each has a data folder of its own."""
    elsewhere = Context.of(Settings(home=tmp_path / "worker", database_url=shared.settings.database_url))
    worker = Worker(elsewhere, plan_of)
    worker.start()
    try:
        client = Browser(shared)
        files = {"path": str(tmp_path / "out"), "format": "jsonl"}
        connection = new_connection(shared, {"count": 20}, files, [{"name": "users", "write_mode": "append"}])
        with shared.store.write() as db:
            job = shared.queue.enqueue(db, connection)
        path = f"/api/kitestring/v1/jobs/{job}/attempts/1/log"
        deadline = time.monotonic() + 600
        # Until the worker has begun the attempt, there is none whose log could be read.
        while not (entries := client.get(path, params={"text": "attempt ended"}).json().get("entries")):
            assert time.monotonic() < deadline, client.get(path).text
            time.sleep(0.2)
        assert entries[0]["message"] == "the attempt ended: succeeded"
        events = client.get(f"/api/kitestring/v1/jobs/{job}/events").text
        assert "the attempt began" in events
        assert not (shared.settings.home / "logs" / "jobs" / str(job)).exists()
    finally:
        worker.stop()
        elsewhere.close()
