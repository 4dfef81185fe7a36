"""A server that is killed more often than a job may fail: its jobs go on, and count what was delivered."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from kitestring.client import Client
from kitestring.errors import TransientError
from tests.integration.server.running import Running

pytestmark = pytest.mark.slow

KILLS = 4
COUNT = 200_000
MODES = {
    "users": "incremental_deduped_history",
    "products": "incremental_append",
    "purchases": "full_refresh_overwrite",
}


def create_connection(client: Client, folder: Path, mode: str, stream: str) -> str:
    """A connection of its own for a stream, into a DuckDB file of its own."""
    space = next(iter(client.listed("workspace")))["workspaceId"]
    source = {"sourceType": "sample", "count": COUNT, "batch_rows": 1_000, "yields": "records"}
    destination = {"destinationType": "duckdb", "path": str(folder / f"{stream}.duckdb")}
    ids: dict[str, Any] = {}
    for kind, config in (("source", source), ("destination", destination)):
        body = {"name": stream, "workspaceId": space, "configuration": config}
        ids[f"{kind}Id"] = client.call("POST", f"/v1/{kind}s", body)[f"{kind}Id"]
    body = {"name": stream, **ids, "configurations": {"streams": [{"name": stream, "syncMode": mode}]}}
    return str(client.call("POST", "/v1/connections", body)["connectionId"])


def test_jobs_outlive_more_kills_of_the_server_than_they_have_attempts(tmp_path: Path) -> None:
    import duckdb

    short = {"KITESTRING_LEASE_S": "4", "KITESTRING_WORKERS": "3", "KITESTRING_ATTEMPTS": "1"}
    server = Running(tmp_path, new=True, **short)
    with Client(server.url) as client:
        numbers = {
            stream: client.run(create_connection(client, tmp_path, mode, stream), "sync", {})["jobId"]
            for stream, mode in MODES.items()
        }
    before = {stream: 0 for stream in MODES if stream != "purchases"}
    for kill in range(KILLS):
        with Client(server.url) as client:
            deadline = time.monotonic() + 600
            while True:  # until both have moved, so that the kill meets them on their way
                jobs = {stream: client.job(number) for stream, number in numbers.items()}
                moved = all(jobs[item]["records"] > count or jobs[item]["endedAtMs"] for item, count in before.items())
                if moved:
                    break
                assert time.monotonic() < deadline, jobs
                time.sleep(0.1)
            before = {stream: jobs[stream]["records"] for stream in before}
        server.process.kill()
        server.process.wait(600)
        server = Running(tmp_path, name=f"up{kill}", **short)
    try:
        with Client(server.url) as client:
            for stream, number in numbers.items():
                job = client.wait(number, lambda _: None)
                assert job["status"] == "succeeded", job["history"]
                assert job["records"] == COUNT, (stream, job["records"], job["history"])
                assert client.call("GET", f"/v1/jobs/{number}")["rowsSynced"] == COUNT
                committed = client.call("POST", "/api/v1/jobs/get", {"id": number})
                assert committed["job"]["aggregatedStats"]["recordsCommitted"] == COUNT
                assert sum(attempt["attempt"]["recordsSynced"] for attempt in committed["attempts"]) == COUNT
            assert f"{COUNT:,}" in server.command("jobs", "list")
            assert f"{COUNT:,}" in server.command("jobs", "show", str(numbers["users"]))
            lost = [entry["status"] for entry in client.job(numbers["users"])["history"]].count("lost")
            assert lost >= 1, "the kills came too late to say anything"
    except TransientError:
        pytest.fail(server.log.read_text()[-2000:])
    finally:
        assert server.stop() == 0
    for stream in MODES:
        with duckdb.connect(str(tmp_path / f"{stream}.duckdb"), read_only=True) as database:
            rows, ids = database.execute(f"SELECT count(*), count(DISTINCT id) FROM {stream}").fetchone() or (0, 0)
        assert ids == COUNT
        assert rows == COUNT if stream != "products" else rows >= COUNT  # append adds what was not covered once more
