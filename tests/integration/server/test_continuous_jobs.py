"""Continuous connections of a real PostgreSQL through a server that really runs: lag, stops, changes, kills."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kitestring.client import Client
from kitestring.errors import KitestringError
from tests.integration.server.running import Running

duckdb = pytest.importorskip("duckdb")

pytestmark = pytest.mark.slow

QUICK = {"KITESTRING_LEASE_S": "10", "KITESTRING_WORKERS": "1"}
ACTIVE = ("pending", "running", "incomplete")


def wait_for(look: Callable[[], Any]) -> Any:
    """The first answer that is true."""
    deadline = time.monotonic() + 300
    while not (answer := look()):
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.25)  # an answer takes 20 ms of CPU time
    return answer


class Copy:
    """A server with a continuous connection from a table of one PostgreSQL database to a schema in the same server."""

    def __init__(self, folder: Path, database: Any) -> None:
        self.folder = folder
        self.database = database
        self.server = Running(folder, new=True, **QUICK)
        self.client = Client(self.server.url)
        self.workspace = next(iter(self.client.listed("workspace")))["workspaceId"]
        self.source_id = self.call("POST", "/v1/sources", self.body("shop", self.source_config("CDC")))["sourceId"]
        place = {"destinationType": "postgres", **database.config, "schema": "copied"}
        self.destination_id = self.call("POST", "/v1/destinations", self.body("copy", place))["destinationId"]
        self.connection_id = self.connect("follow", self.source_id, window_s=2)
        self.path = f"/api/kitestring/v1/connections/{self.connection_id}"

    def body(self, name: str, config: dict[str, Any]) -> dict[str, Any]:
        return {"name": name, "workspaceId": self.workspace, "configuration": config}

    def source_config(self, method: str, **settings: Any) -> dict[str, Any]:
        slot = {"replication_slot": self.database.name, "publication": "changes"} if method == "CDC" else {}
        replication = {"method": method, **slot}
        return {"sourceType": "postgres", **self.database.config, "replication_method": replication, **settings}

    def connect(self, name: str, source_id: str, window_s: int, mode: str = "incremental_deduped_history") -> str:
        ends = {"sourceId": source_id, "destinationId": self.destination_id}
        streams = [{"name": "t", "namespace": "public", "syncMode": mode}]
        schedule = {"scheduleType": "manual", "continuous": {"windowSeconds": window_s}}
        body = {"name": name, **ends, "configurations": {"streams": streams}, "schedule": schedule}
        return str(self.call("POST", "/v1/connections", body)["connectionId"])

    def call(self, verb: str, path: str, body: Any = None) -> Any:
        return self.client.call(verb, path, body)

    def job(self) -> dict[str, Any]:
        return dict(self.call("GET", self.path)["job"] or {})

    def following(self, after: int = 0) -> dict[str, Any]:
        """The running job, a newer one than `after`."""

        def look() -> Any:
            job = self.job()
            return job if job and job["jobId"] > after and job["status"] == "running" else None

        return dict(wait_for(look))

    def ended(self, job_id: int) -> dict[str, Any]:
        def look() -> Any:
            job = self.client.job(job_id)
            return job if job["status"] not in ACTIVE else None

        return dict(wait_for(look))

    def rows(self) -> list[tuple[int, str]]:
        try:
            rows = self.database.run("SELECT id, name FROM copied.t ORDER BY id")
        except Exception:  # the table is not there yet
            return []
        return [(row["id"], row["name"]) for row in rows]

    def arrives(self) -> None:
        """The copy becomes equal to the table."""
        rows = self.database.run("SELECT id, name FROM public.t ORDER BY id")
        wait_for(lambda: self.rows() == [(row["id"], row["name"]) for row in rows])

    def restart(self) -> None:
        """Kill the server with its worker, and start it again."""
        self.server.process.kill()
        self.server.process.wait(600)
        self.client.close()
        self.server = Running(self.folder, name="again", **QUICK)
        self.client = Client(self.server.url)


@pytest.fixture
def copy(tmp_path: Path, captured: Any) -> Iterator[Copy]:
    captured.run(
        "CREATE SCHEMA copied",
        "CREATE TABLE t (id int PRIMARY KEY, name text)",
        "INSERT INTO t VALUES (1, 'a'), (2, 'b')",
    )
    copy = Copy(tmp_path, captured)
    yield copy
    copy.client.close()
    copy.server.stop()


def test_a_continuous_connection_follows_its_source_and_starts_over_after_each_change(copy: Copy) -> None:
    database = copy.database
    job = copy.following()
    assert job["continuous"] is True
    copy.arrives()
    database.run("INSERT INTO t VALUES (3, 'c')", "UPDATE t SET name = 'A' WHERE id = 1", "DELETE FROM t WHERE id = 2")
    copy.arrives()
    wait_for(lambda: (copy.job()["windows"] or {"ended": 0})["ended"] >= 1)
    database.run("INSERT INTO t VALUES (4, 'd')")
    wait_for(lambda: (copy.job()["progress"] or {}).get("lag_s") is not None)
    windows = copy.job()["windows"]
    assert windows["suspicious"] == 0
    assert windows["goodAtMs"] is not None
    overview = copy.call("GET", copy.path)
    assert overview["freshAtMs"] >= windows["goodAtMs"]
    assert overview["slot"]["behindBytes"] is not None

    # It takes no slot: with the only worker's slot free, a sync of another connection runs.
    plain = copy.call("POST", "/v1/sources", copy.body("plain", copy.source_config("Standard")))["sourceId"]
    with pytest.raises(KitestringError, match="reads by `replication_method: Standard`"):
        copy.connect("refused", plain, window_s=2, mode="full_refresh_overwrite")
    with pytest.raises(KitestringError, match=r"public\.t is read as a full refresh"):
        copy.connect("refused", copy.source_id, window_s=2, mode="full_refresh_overwrite")
    ends = {"sourceId": plain, "destinationId": copy.destination_id}
    streams = [{"name": "t", "namespace": "public", "syncMode": "full_refresh_overwrite"}]
    body = {"name": "other", **ends, "prefix": "other_", "configurations": {"streams": streams}}
    other = copy.call("POST", "/v1/connections", body)["connectionId"]
    assert copy.ended(copy.client.run(other, "sync", {})["jobId"])["status"] == "succeeded"
    assert copy.job()["jobId"] == job["jobId"]

    # A change of the source's settings: the job ends at a checkpoint, and a new one goes on.
    copy.call("PATCH", f"/v1/sources/{copy.source_id}", {"configuration": copy.source_config("CDC", connections=2)})
    ended = copy.ended(job["jobId"])
    assert ended["status"] == "succeeded", ended
    assert ended["records"] == 6
    job = copy.following(job["jobId"])
    database.run("INSERT INTO t VALUES (5, 'e')")
    copy.arrives()

    # A refresh of one stream: the job ends at a checkpoint, the refresh runs, a new job goes on.
    refresh = copy.call("POST", f"{copy.path}/refresh", {"streams": ["public.t"]})
    assert refresh["kind"] == "refresh"
    assert copy.ended(job["jobId"])["status"] == "succeeded"
    assert copy.ended(refresh["jobId"])["status"] == "succeeded"
    job = copy.following(refresh["jobId"])
    database.run("INSERT INTO t VALUES (6, 'f')")
    copy.arrives()

    # Paused, and active again.
    copy.call("PATCH", f"/v1/connections/{copy.connection_id}", {"status": "inactive"})
    assert copy.ended(job["jobId"])["status"] == "succeeded"
    database.run("INSERT INTO t VALUES (7, 'g')")
    copy.call("PATCH", f"/v1/connections/{copy.connection_id}", {"status": "active"})
    job = copy.following(job["jobId"])
    copy.arrives()

    # Cancelled: it stays so until somebody starts it.
    copy.call("DELETE", f"/v1/jobs/{job['jobId']}")
    assert copy.ended(job["jobId"])["status"] == "cancelled"
    database.run("DELETE FROM t WHERE id = 7")
    assert copy.job()["jobId"] == job["jobId"]
    assert copy.client.run(copy.connection_id, "sync", {})["jobId"] > job["jobId"]
    job = copy.following(job["jobId"])
    copy.arrives()

    # The server is killed: the same job goes on.
    copy.restart()
    database.run("INSERT INTO t VALUES (8, 'h')")
    copy.arrives()
    assert copy.job()["jobId"] == job["jobId"]
    wait_for(lambda: copy.job()["attempts"] == 2)

    # A loss at the destination is suspicious at the end of the window, while the job goes on.
    database.run("DELETE FROM copied.t WHERE id = 1")
    wait_for(lambda: (copy.job()["windows"] or {"suspicious": 0})["suspicious"] >= 1)
    running = copy.job()
    assert (running["status"], running["jobId"]) == ("running", job["jobId"])
    assert "public.t: " in running["windows"]["reasons"][0]
    copy.call("PATCH", f"/v1/connections/{copy.connection_id}", {"schedule": {"scheduleType": "manual"}})
    assert copy.ended(job["jobId"])["status"] == "suspicious"


def test_a_job_rolls_over_to_a_new_one_and_a_stopped_server_goes_on_with_its_job(copy: Copy) -> None:
    schedule = {"scheduleType": "manual", "continuous": {"windowSeconds": 1, "rolloverSeconds": 4}}
    copy.call("PATCH", f"/v1/connections/{copy.connection_id}", {"schedule": schedule})
    first = copy.following()["jobId"]
    second = copy.following(first)["jobId"]
    third = copy.following(second)["jobId"]
    assert copy.ended(second)["status"] == "succeeded"
    copy.database.run("INSERT INTO t VALUES (3, 'c')")
    copy.arrives()
    schedule["continuous"]["rolloverSeconds"] = 3600
    copy.call("PATCH", f"/v1/connections/{copy.connection_id}", {"schedule": schedule})
    job = copy.following(third)
    copy.client.close()
    copy.server.stop()
    copy.server = Running(copy.folder, name="again", **QUICK)
    copy.client = Client(copy.server.url)
    copy.database.run("INSERT INTO t VALUES (4, 'd')")
    copy.arrives()
    assert copy.job()["jobId"] >= job["jobId"]
