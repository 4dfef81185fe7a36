"""What the pages of the interface show of connections."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import update
from test_connections import joined

from kitestring.server.app import create_app
from kitestring.server.connections import connection
from kitestring.server.context import Context
from kitestring.server.jobs.worker import Worker
from kitestring.server.store.tables import connections
from tests.unit.server.documented import documented

pytestmark = pytest.mark.slow

OWN = "/api/kitestring/v1"


@pytest.fixture
def client(context: Context) -> TestClient:
    return documented(TestClient(create_app(context)))


@pytest.fixture
def connection_id(context: Context, tmp_path: Path) -> str:
    return joined(context, tmp_path / "out", [{"name": "users", "syncMode": "incremental_append"}])


def ids(client: TestClient, **query: str) -> list[str]:
    answer = client.get(f"{OWN}/connections", params=query)
    assert answer.status_code == 200, answer.text
    assert answer.json()["total"] == len(answer.json()["data"])
    return [one["connectionId"] for one in answer.json()["data"]]


def test_a_connection_is_shown_with_its_ends_its_last_job_and_the_figures_of_its_streams(
    client: TestClient, context: Context, connection_id: str
) -> None:
    [before] = client.get(f"{OWN}/connections").json()["data"]
    assert before["job"] is None
    assert before["source"]["connector"] == "sample"
    assert before["streamCount"] == 1
    worker = Worker(context, connection.plan_of, slots=1)
    worker.start()
    try:
        job = client.post(f"{OWN}/connections/{connection_id}/sync").json()["jobId"]
        with client.stream("GET", f"{OWN}/jobs/{job}/events") as events:
            events.read()
    finally:
        worker.stop()
    [after] = client.get(f"{OWN}/connections").json()["data"]
    assert after["job"]["status"] == "succeeded"
    assert after["job"]["figures"]["written"] == 30
    whole = client.get(f"{OWN}/connections/{connection_id}").json()
    [stream] = whole["streams"]
    assert (stream["key"], stream["last"]["written"], stream["last"]["jobId"]) == ("users", 30, job)
    assert whole["changes"] is None


def test_connections_are_found_by_text_and_by_what_became_of_them(
    client: TestClient, context: Context, connection_id: str
) -> None:
    name = client.get(f"{OWN}/connections").json()["data"][0]["name"]
    assert ids(client, text=name[:6].upper()) == [connection_id]
    assert ids(client, text="100%") == []
    assert ids(client, condition="never") == [connection_id]
    assert ids(client, condition="running") == []
    client.post(f"{OWN}/connections/{connection_id}/sync")
    assert ids(client, condition="running") == [connection_id]
    assert ids(client, condition="never") == []
    assert ids(client, condition="deciding") == []
    with context.store.write() as db:
        db.execute(update(connections).values(pending_changes={"changes": {"breaking": []}, "catalog": {}}))
    assert ids(client, condition="deciding") == [connection_id]
    assert ids(client, condition="paused") == []
    assert client.get(f"{OWN}/connections", params={"condition": "odd"}).status_code == 400


def test_an_answered_change_waits_no_longer(client: TestClient, context: Context, connection_id: str) -> None:
    with context.store.write() as db:
        db.execute(update(connections).values(pending_changes=None))
    assert ids(client, condition="deciding") == []
    assert client.get(f"{OWN}/connections/{connection_id}").json()["deciding"] is False


def test_a_schedule_is_previewed_before_it_is_kept(client: TestClient) -> None:
    def preview(**timing: str) -> list[int]:
        answer = client.post(f"{OWN}/schedule/preview", json=timing)
        assert answer.status_code == 200, answer.text
        found: list[int] = answer.json()["nextMs"]
        return found

    every = preview(scheduleType="basic", basicTiming="Every 6 HOURS")
    assert [b - a for a, b in pairwise(every)] == [6 * 3_600_000] * 4
    assert len(preview(scheduleType="cron", cronExpression="0 30 6 * * ? Europe/Berlin")) == 5
    assert preview(scheduleType="manual") == []
    refused = client.post(f"{OWN}/schedule/preview", json={"scheduleType": "cron", "cronExpression": "one two"})
    assert refused.status_code == 422
    assert refused.json()["data"]["hint"]
