"""Change data capture of a real PostgreSQL through a server that really runs: position, lag, stops, and deletion."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from kitestring.client import Client
from tests.integration.server.running import Running

duckdb = pytest.importorskip("duckdb")

pytestmark = pytest.mark.slow

QUICK = {"KITESTRING_LEASE_S": "4"}
ENDED = ("succeeded", "suspicious", "failed", "cancelled")


def wait_for(look: Callable[[], Any]) -> Any:
    """The first answer that is true."""
    deadline = time.monotonic() + 300
    while not (answer := look()):
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.25)  # an answer takes 20 ms of CPU time
    return answer


class Copy:
    """A server with a connection from a table of PostgreSQL to DuckDB, by change data capture."""

    def __init__(self, folder: Path, database: Any) -> None:
        self.folder = folder
        self.database = database
        self.server = Running(folder, **QUICK)
        self.client = Client(self.server.url)
        workspace = next(iter(self.client.listed("workspace")))["workspaceId"]
        self.workspace = workspace
        self.source_id = self.call("POST", "/v1/sources", self.body("shop", self.source_config(0)))["sourceId"]
        self.connection_id = self.connect("copy")
        self.path = f"/api/kitestring/v1/connections/{self.connection_id}"

    def body(self, name: str, config: dict[str, Any]) -> dict[str, Any]:
        return {"name": name, "workspaceId": self.workspace, "configuration": config}

    def source_config(self, follow_seconds: int) -> dict[str, Any]:
        method = {
            "method": "CDC",
            "replication_slot": self.database.name,
            "publication": "changes",
            "follow_seconds": follow_seconds,
        }
        return {"sourceType": "postgres", **self.database.config, "replication_method": method}

    def connect(self, name: str) -> str:
        files = {"destinationType": "duckdb", "path": str(self.folder / f"{name}.duckdb")}
        destination = self.call("POST", "/v1/destinations", self.body(name, files))
        ends = {"sourceId": self.source_id, "destinationId": destination["destinationId"]}
        streams = [{"name": "t", "namespace": "public", "syncMode": "incremental_deduped_history"}]
        body = {"name": name, **ends, "configurations": {"streams": streams}}
        return str(self.call("POST", "/v1/connections", body)["connectionId"])

    def call(self, verb: str, path: str, body: Any = None) -> Any:
        return self.client.call(verb, path, body)

    def follow(self, seconds: int) -> None:
        self.call("PATCH", f"/v1/sources/{self.source_id}", {"configuration": self.source_config(seconds)})

    def start(self, connection_id: str = "", kind: str = "sync", **options: Any) -> int:
        return int(self.client.run(connection_id or self.connection_id, kind, options)["jobId"])

    def end(self, job_id: int) -> dict[str, Any]:
        def look() -> Any:
            job = self.client.job(job_id)
            return job if job["status"] in ENDED else None

        return dict(wait_for(look))

    def slot(self) -> dict[str, Any]:
        return dict(self.call("GET", self.path)["slot"] or {})

    def restart(self) -> None:
        """Kill the server with its worker, and start it again."""
        self.server.process.kill()
        self.server.process.wait(600)
        self.client.close()
        self.server = Running(self.folder, name="again", **QUICK)
        self.client = Client(self.server.url)

    def rows(self, table: str = "t") -> list[tuple[int, str]]:
        with duckdb.connect(str(self.folder / "copy.duckdb"), read_only=True) as database:
            return list(database.execute(f"SELECT id, name FROM {table} ORDER BY id").fetchall())

    def slots(self) -> list[str]:
        query = "SELECT slot_name::text AS name FROM pg_replication_slots WHERE database = current_database()"
        return [row["name"] for row in self.database.run(query)]


@pytest.fixture
def copy(tmp_path: Path, captured: Any) -> Iterator[Copy]:
    captured.run(
        *(f"CREATE TABLE {name} (id int PRIMARY KEY, name text)" for name in ("t", "u")),
        "INSERT INTO t VALUES (1, 'a'), (2, 'b')",
        "INSERT INTO u VALUES (1, 'a')",
    )
    copy = Copy(tmp_path, captured)
    yield copy
    copy.client.close()
    copy.server.stop()


def test_a_captured_database_shows_its_lag_and_loses_nothing_when_stopped_or_killed(copy: Copy) -> None:
    database = copy.database
    assert copy.slot() == {}
    assert copy.end(copy.start())["status"] == "succeeded"
    slot = copy.slot()
    assert (slot["slot"], slot["state"], slot["walStatus"]) == (database.name, "inactive", "reserved")
    assert (slot["created"], slot["removal"], slot["alert"]) == (True, None, "")
    assert 0 <= slot["behindBytes"] <= slot["retainedBytes"]

    # Cancelled while it follows the log; what is written meanwhile comes with the next sync.
    copy.follow(3600)
    job = copy.start()
    wait_for(lambda: copy.slot()["state"] == "active")
    database.run("INSERT INTO t VALUES (3, 'c')", "UPDATE t SET name = 'A' WHERE id = 1")
    wait_for(lambda: copy.client.job(job)["records"] >= 2)
    copy.call("DELETE", f"/v1/jobs/{job}")
    assert copy.end(job)["status"] == "cancelled"
    database.run("INSERT INTO t VALUES (4, 'd')", "DELETE FROM t WHERE id = 2")
    assert copy.slot()["state"] == "inactive"

    # Killed while it follows the log.
    job = copy.start()
    wait_for(lambda: copy.slot()["state"] == "active")
    wait_for(lambda: copy.client.job(job)["records"] >= 2)
    slot = wait_for(lambda: (slot := copy.slot())["behindSeconds"] is not None and slot)
    metrics = httpx.get(f"{copy.server.url}/metrics").text
    labels = f'{{connection="{copy.connection_id}",slot="{database.name}"}}'
    assert f"kitestring_slot_active{labels} 1.0" in metrics
    assert f"kitestring_slot_healthy{labels} 1.0" in metrics
    assert f"kitestring_slot_behind_bytes{labels}" in metrics
    copy.follow(0)  # of the next attempt
    database.run("INSERT INTO t SELECT n, 'n' || n FROM generate_series(5, 500) n")
    copy.restart()
    database.run("INSERT INTO t VALUES (501, 'last')")
    ended = copy.end(job)
    assert ended["status"] == "succeeded", ended
    assert len(ended["history"]) >= 2
    assert copy.end(copy.start())["status"] == "succeeded"
    assert copy.rows() == [(row["id"], row["name"]) for row in database.run("SELECT id, name FROM t ORDER BY id")]


def test_a_refresh_goes_on_after_a_lost_log_and_leaves_the_other_streams_alone(copy: Copy) -> None:
    database = copy.database
    streams = [{"name": name, "namespace": "public", "syncMode": "incremental_deduped_history"} for name in ("t", "u")]
    copy.call("PATCH", f"/v1/connections/{copy.connection_id}", {"configurations": {"streams": streams}})
    assert copy.end(copy.start())["status"] == "succeeded"

    # One stream is refreshed alone: the log goes on for both.
    database.run("UPDATE t SET name = 'A' WHERE id = 1", "INSERT INTO u VALUES (2, 'b')")
    assert copy.end(copy.start(kind="refresh", streams=["public.t"]))["status"] == "succeeded"
    assert copy.rows() == [(1, "A"), (2, "b")]
    database.run("DELETE FROM t WHERE id = 2", "UPDATE u SET name = 'B' WHERE id = 2")
    assert copy.end(copy.start())["status"] == "succeeded"
    assert (copy.rows(), copy.rows("u")) == ([(1, "A")], [(1, "a"), (2, "B")])

    # The log is lost: what was deleted meanwhile is gone after the refresh, and the log is followed from there.
    database.run(
        f"SELECT pg_drop_replication_slot('{database.name}')",
        "DELETE FROM u WHERE id = 1",
        "INSERT INTO t VALUES (3, 'c')",
    )
    failed = copy.end(copy.start())
    assert failed["status"] == "failed"
    assert "refresh the streams" in str(failed)
    assert copy.rows() == [(1, "A")], "the present data stay"
    assert copy.end(copy.start(kind="refresh"))["status"] == "succeeded"
    database.run("INSERT INTO u VALUES (4, 'd')", "UPDATE t SET name = 'C' WHERE id = 3")
    assert copy.end(copy.start())["status"] == "succeeded"
    assert (copy.rows(), copy.rows("u")) == ([(1, "A"), (3, "C")], [(2, "B"), (4, "d")])


def test_the_slot_goes_with_the_last_connection_that_reads_it(copy: Copy) -> None:
    assert copy.end(copy.start())["status"] == "succeeded"
    other = copy.connect("other")
    answer = copy.call("GET", f"{copy.path}/slot")
    assert answer["keptBecause"]["message"] == f"the connection other reads the slot {copy.database.name} too"
    copy.call("DELETE", f"/v1/connections/{copy.connection_id}")
    removal = copy.call("GET", f"{copy.path}/slot")["slot"]["removal"]
    assert removal["status"] == "kept"
    assert copy.slots() == [copy.database.name]

    # The other one is deleted while its job follows the log.
    copy.follow(3600)
    copy.path = f"/api/kitestring/v1/connections/{other}"
    job = copy.start(other)
    wait_for(lambda: copy.slot().get("state") == "active")
    assert copy.call("GET", f"{copy.path}/slot")["keptBecause"] is None
    copy.call("DELETE", f"/v1/sources/{copy.source_id}")

    def removed() -> Any:
        removal = copy.call("GET", f"{copy.path}/slot")["slot"]["removal"]
        return removal if removal["status"] != "waiting" else None

    removal = wait_for(removed)
    assert removal["status"] == "dropped", removal
    assert removal["message"] == f"the slot {copy.database.name} and the publication changes"
    assert copy.client.job(job)["status"] == "cancelled"
    assert copy.slots() == []
    assert copy.database.run("SELECT 1 AS n FROM pg_publication") == []
