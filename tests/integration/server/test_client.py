"""The command line against a running server: the same verbs, the same exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kitestring.client import Client
from kitestring.errors import AuthError, ConfigError, TransientError
from tests.integration.server.running import Running

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = Running(tmp_path_factory.mktemp("server"))
    yield running
    assert running.stop() == 0, running.log.read_text()


@pytest.fixture(scope="module")
def client(server: Running) -> Iterator[Client]:
    with Client(server.url) as created_client:
        yield created_client


@pytest.fixture(scope="module")
def people(server: Running, client: Client) -> str:
    """A connection called `people`, from the sample source to a folder of JSON lines and to Milvus Lite."""
    space = next(iter(client.listed("workspace")))["workspaceId"]

    def create_endpoint(kind: str, name: str, config: dict[str, Any]) -> str:
        body = {"name": name, "workspaceId": space, "configuration": config}
        return str(client.call("POST", f"/v1/{kind}s", body)[f"{kind}Id"])

    source = create_endpoint("source", "sample", {"sourceType": "sample", "count": 25})
    destination = create_endpoint(
        "destination",
        "vectors",
        {
            "destinationType": "milvus",
            "indexing": {"host": str(server.folder / "vectors.db"), "collection": "people"},
            "embedding": {"mode": "fake"},
            "processing": {"chunk_size": 200, "text_fields": ["name"], "metadata_fields": ["id"]},
        },
    )
    streams = [{"name": "users", "syncMode": "incremental_deduped_history"}]
    body = {
        "name": "people",
        "sourceId": source,
        "destinationId": destination,
        "configurations": {"streams": streams},
    }
    return str(client.call("POST", "/v1/connections", body)["connectionId"])


def test_a_sync_of_the_server_is_followed_and_shown_as_one_here(server: Running, people: str) -> None:
    command = server.command("sync", "people")
    assert "people: succeeded" in command
    assert "25 written, 25 embedded" in command
    second = json.loads(server.command("sync", "people", "--json", "-q"))
    assert second["status"] == "succeeded"
    assert second["history"][0]["streams"]["users"]["figures"].get("chunks_embedded", 0) == 0


def test_what_was_synced_is_found_by_the_server(server: Running, people: str) -> None:
    server.command("sync", "people", "-q")
    hits = [json.loads(line) for line in server.command("search", "people", "somebody", "--json").splitlines()]
    assert len(hits) == 5
    assert {hit["stream"] for hit in hits} == {"users"}


def test_states_are_seen_set_and_forgotten_by_name(server: Running, people: str) -> None:
    server.command("sync", "people", "-q")
    assert "cursor" in json.loads(server.command("state", "show", "people", "users"))
    server.command("state", "reset", "people", "users", "--yes")
    assert "has no state" in server.command("state", "show", "people", code=2)
    server.command("state", "set", "people", "users", '{"cursor": "2020-01-01T00:00:00Z"}')
    assert "people: users" in server.command("state", "list")


def test_jobs_are_listed_shown_and_their_log_is_read(server: Running, people: str) -> None:
    server.command("sync", "people", "-q")
    (job, *_) = json.loads(server.command("jobs", "list", "--json", "-n", "1"))
    assert "succeeded" in server.command("jobs", "show", str(job["jobId"]))
    assert "the attempt ended" in server.command("jobs", "log", str(job["jobId"]))
    assert "has ended" in server.command("jobs", "cancel", str(job["jobId"]), code=2)


def test_a_job_that_has_not_ended_is_shown_as_it_stands(server: Running, client: Client, people: str) -> None:
    space = next(iter(client.listed("workspace")))["workspaceId"]
    source = {"sourceType": "sample", "count": 20_000_000, "batch_rows": 500}
    ends = {
        kind: client.call("POST", f"/v1/{kind}s", {"name": "long", "workspaceId": space, "configuration": config})
        for kind, config in (
            ("source", source),
            ("destination", {"destinationType": "files", "path": str(server.folder / "long")}),
        )
    }
    streams = [{"name": "users", "syncMode": "incremental_append"}]
    created = {"name": "long", "configurations": {"streams": streams}}
    created |= {f"{kind}Id": end[f"{kind}Id"] for kind, end in ends.items()}
    connection = str(client.call("POST", "/v1/connections", created)["connectionId"])
    try:
        number = client.run(connection, "sync", {})["jobId"]
        deadline = time.monotonic() + 600
        while not (job := client.job(number))["records"]:
            assert time.monotonic() < deadline, job
            time.sleep(0.2)
        command = server.command("jobs", "show", str(number))
        assert "succeeded" not in command
        assert f"job {number} (sync): running for " in command
        assert "records are delivered so far" in command
        assert "users" in command
        figures = client.call("POST", "/api/v1/jobs/get", {"id": number})["job"]["aggregatedStats"]
        assert figures["recordsCommitted"] >= job["records"]
    finally:
        client.cancel(number)
        for kind, end in ends.items():
            client.call("DELETE", f"/v1/{kind}s/{end[f'{kind}Id']}")


def test_sources_and_destinations_are_tested(server: Running, people: str) -> None:
    content = json.loads(server.command("check", "--json"))
    assert {item["name"]: item["status"] for item in content} == {"sample": "succeeded", "vectors": "succeeded"}
    assert "no source or destination nosuch" in server.command("check", "nosuch", code=2)


def test_a_wrong_name_and_a_server_that_is_not_there_take_two_lines(server: Running, people: str) -> None:
    assert "did you mean people?" in server.command("sync", "peple", code=2)
    with pytest.raises(TransientError, match="does not answer"), Client("http://127.0.0.1:9") as away:
        away.job(1)
    with pytest.raises(ConfigError, match="not an address"):
        Client("localhost")


def test_a_port_that_is_taken_is_told(server: Running, tmp_path: Path) -> None:
    port = server.url.rpartition(":")[2]
    done = subprocess.run(
        [sys.executable, "-m", "kitestring", "up", "--port", port],
        cwd=tmp_path,
        env={**server.environment, "KITESTRING_HOME": str(tmp_path / "other")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "cannot listen on" in done.stderr
    assert "--port" in done.stderr
    assert "Traceback" not in done.stderr


def test_wrong_credentials_are_told_as_such(server: Running) -> None:
    with pytest.raises(AuthError), Client(server.url, token="nonsense") as wrong:
        wrong.job(1)
