"""What Prometheus reads."""

from __future__ import annotations

from pathlib import Path

from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import insert, update
from test_connections import joined

from kitestring.server.app import create_app
from kitestring.server.context import Context
from kitestring.server.store.tables import attempts, jobs


def values(client: TestClient) -> dict[tuple[str, ...], float]:
    """Every sample, by its name and the values of its labels."""
    found = {}
    for family in text_string_to_metric_families(client.get("/metrics").text):
        for sample in family.samples:
            found[(sample.name, *sample.labels.values())] = sample.value
    return found


def test_jobs_figures_connections_and_requests_are_counted(context: Context, tmp_path: Path) -> None:
    client = TestClient(create_app(context))
    connection = joined(context, tmp_path, timing={"type": "basic", "every": 1, "unit": "hours"})
    with context.store.write() as db:
        first = context.queue.enqueue(db, connection)
        now = context.store.now_ms(db)
        db.execute(update(jobs).where(jobs.c.id == first).values(status="suspicious", records=7, ended_at_ms=now))
        streams = {"users": {"figures": {"tokens": 90, "cost_usd": 0.5}}, "teams": {"figures": {"tokens": 10}}}
        one = {"job_id": first, "number": 1, "worker": "w", "epoch": 1, "started_at_ms": now}
        db.execute(insert(attempts).values(status="suspicious", streams=streams, **one))
        context.queue.enqueue(db, connection)
    assert client.get(f"/v1/connections/{connection}").status_code == 200
    found = values(client)
    assert found["kitestring_jobs", "pending"] == 1
    assert found["kitestring_jobs", "running"] == 0
    assert found["kitestring_jobs_ended", "suspicious"] == 1
    assert found["kitestring_records",] == 7
    assert (found["kitestring_figures", "tokens"], found["kitestring_figures", "cost_usd"]) == (100, 0.5)
    assert found["kitestring_connections", "active"] == 1
    assert found["kitestring_schedule_lag_seconds",] == 0
    route = ("GET", "/v1/connections/{connectionId}", "200")
    assert found["kitestring_api_seconds_count", *route] == 1
    assert not [key for key in found if connection in key]
