"""The flagship path through a server: created by the API, scheduled, three runs, incremental, searched."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import select, update

from kitestring.client import Client
from kitestring.server.store import Store
from kitestring.server.store.tables import connections, jobs
from kitestring.testing.zendesk import ZendeskStandIn
from tests.integration.postgres_server import Database, database, postgres_server  # noqa: F401
from tests.integration.server.running import Running

MINUTELY = {"scheduleType": "cron", "cronExpression": "0 * * * * ?"}


class Servers:
    """The processes of one server and its store."""

    def __init__(self, running: list[Running], store: Store) -> None:
        self.running = running
        self.store = store
        self.url = running[0].url

    def due(self, connection: str) -> None:
        """Have the next minute begin now."""
        with self.store.write() as db:
            now = self.store.now_ms(db)
            db.execute(update(connections).where(connections.c.id == connection).values(next_run_at_ms=now))

    def jobs(self, connection: str) -> list[Any]:
        with self.store.read() as db:
            return list(db.execute(select(jobs).where(jobs.c.connection_id == connection).order_by(jobs.c.id)))

    def after_run(self, connection: str, count: int) -> Any:
        """The job of the run of this number, when it has ended. (A real minute may begin meanwhile: it counts.)"""
        end = time.monotonic() + 1200
        while True:
            actual_jobs = [job for job in self.jobs(connection) if job.ended_at_ms is not None]
            if len(actual_jobs) >= count:
                return actual_jobs[count - 1]
            assert time.monotonic() < end, self.jobs(connection)
            time.sleep(0.1)


@pytest.fixture(params=["sqlite", "postgres"])
def servers(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Servers]:
    """`kitestring up` on SQLite; or, on PostgreSQL, `kitestring api` with three workers."""
    with ExitStack() as stack:
        if request.param == "sqlite":
            running = [Running(tmp_path)]
            url = f"sqlite:///{tmp_path / 'home' / 'kitestring.sqlite'}"
        else:
            place: Database = request.getfixturevalue("database")
            address = f"{place.username}:{quote(place.password)}@{place.host}:{place.port}/{place.name}"
            environment = {"KITESTRING_DATABASE_URL": f"postgresql://{address}", "KITESTRING_WORKERS": "1"}
            running = [Running(tmp_path, "api", "api", **environment)]
            running += [Running(tmp_path, "worker", f"worker{n}", **environment) for n in range(3)]
            url = f"postgresql+psycopg://{address}"
        store = Store(url)
        stack.callback(store.close)
        yield Servers(running, store)
        for item in running:
            assert item.stop() == 0, item.log.read_text()


def test_a_help_desk_is_kept_in_step_with_a_collection_by_a_schedule(servers: Servers, tmp_path: Path) -> None:
    with ZendeskStandIn(tickets=60, export_page=100) as desk, Client(servers.url) as client:
        space = next(iter(client.listed("workspace")))["workspaceId"]
        configuration = {"sourceType": "zendesk-support", **desk.config}
        source = client.call(
            "POST", "/v1/sources", {"name": "desk", "workspaceId": space, "configuration": configuration}
        )
        assert desk.config["credentials"]["client_secret"] not in str(source)
        destination = client.call(
            "POST",
            "/v1/destinations",
            {
                "name": "help",
                "workspaceId": space,
                "configuration": {
                    "destinationType": "milvus",
                    "processing": {
                        "chunk_size": 100,
                        "text_fields": ["subject", "description", "title", "body"],
                        "metadata_fields": ["subject", "title", "status", "html_url"],
                    },
                    "embedding": {"mode": "fake"},
                    "indexing": {"host": str(tmp_path / "help.db"), "collection": "help"},
                },
            },
        )
        mode = "incremental_deduped_history"
        streams = [{"name": name, "syncMode": mode} for name in ("tickets", "articles")]
        connection = client.call(
            "POST",
            "/v1/connections",
            {
                "name": "helpdesk",
                "sourceId": source["sourceId"],
                "destinationId": destination["destinationId"],
                "configurations": {"streams": streams},
                "schedule": MINUTELY,
            },
        )["connectionId"]

        servers.due(connection)
        first = servers.after_run(connection, 1)
        figures = client.job(first.id)["history"][0]["streams"]
        assert (first.status, first.cause) == ("succeeded", "schedule")
        assert figures["tickets"]["read"] == 60
        embedded = sum(figure["figures"]["chunks_embedded"] for figure in figures.values())
        assert embedded > 100

        ticket = desk.desk.live_tickets()[0]
        desk.touch_ticket(ticket["id"], subject="The espresso machine leaks", description="Water on the floor.")
        servers.due(connection)
        servers.after_run(connection, 2)
        servers.due(connection)
        third = servers.after_run(connection, 3)
        runs = [job for job in servers.jobs(connection) if job.ended_at_ms is not None]
        assert {item.status for item in runs} == {"succeeded"}
        later = [client.job(item.id)["history"][0]["streams"] for item in runs[1:]]
        second = sum(item["figures"].get("chunks_embedded", 0) for run in later for item in run.values())
        assert 1 <= second <= 3
        assert third.status == "succeeded"

        hits = client.search(
            destination["destinationId"], {"text": "The espresso machine leaks\n\nWater on the floor.", "limit": 1}
        )
        assert hits[0]["subject"] == "The espresso machine leaks"
