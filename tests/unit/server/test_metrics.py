"""What Prometheus reads."""

from __future__ import annotations

from pathlib import Path

from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import delete
from test_connections import joined

from kitestring.server.app import create_app
from kitestring.server.context import Context
from kitestring.server.store.tables import jobs


def values(client: TestClient) -> dict[tuple[str, ...], float]:
    """Every sample, by its name and the values of its labels."""
    results = {}
    for family in text_string_to_metric_families(client.get("/metrics").text):
        for sample in family.samples:
            results[(sample.name, *sample.labels.values())] = sample.value
    return results


def test_jobs_figures_connections_and_requests_are_counted(context: Context, tmp_path: Path) -> None:
    client = TestClient(create_app(context))
    connection = joined(context, tmp_path, timing={"type": "basic", "every": 1, "unit": "hours"})
    for status in ("suspicious", "succeeded"):
        with context.store.write() as db:
            context.queue.enqueue(db, connection)
        claim = context.queue.claim("w")
        assert claim is not None
        streams = {
            "users": {"read": 7, "bytes": 70, "figures": {"tokens": 90, "cost_usd": 0.5}},
            "teams": {"read": 1, "rejected": 1, "figures": {"tokens": 10}},
        }
        context.queue.finish(claim, status, streams=streams)
    with context.store.write() as db:
        waiting = context.queue.enqueue(db, connection)
    assert client.get(f"/v1/connections/{connection}").status_code == 200
    results = values(client)
    assert results["kitestring_jobs", "pending"] == 1
    assert results["kitestring_jobs", "running"] == 0
    assert results["kitestring_jobs_ended_total", "sync", "suspicious"] == 1
    assert results["kitestring_attempts_total", "succeeded"] == 1
    assert (results["kitestring_records_total", "read"], results["kitestring_records_total", "rejected"]) == (16, 2)
    assert results["kitestring_bytes_total",] == 140
    assert (results["kitestring_figures_total", "tokens"], results["kitestring_figures_total", "cost_usd"]) == (
        200,
        1.0,
    )
    assert results["kitestring_job_seconds_count", "sync"] == 2
    assert results["kitestring_job_seconds_bucket", "sync", "60.0"] == 2
    assert results["kitestring_job_wait_seconds_count",] == 2
    assert results["kitestring_connections", "active"] == 1
    assert results["kitestring_schedule_lag_seconds",] == 0
    route = ("GET", "/v1/connections/{connectionId}", "200")
    assert results["kitestring_api_seconds_count", *route] == 1
    assert not [key for key in results if connection in key]
    # What is cancelled where no worker is counts too, and what was counted stays when the jobs go.
    with context.store.write() as db:
        context.queue.cancel(db, waiting)
        db.execute(delete(jobs))
    results = values(client)
    assert results["kitestring_jobs_ended_total", "sync", "cancelled"] == 1
    assert results["kitestring_jobs_ended_total", "sync", "succeeded"] == 1
