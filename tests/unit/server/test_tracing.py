"""Spans of requests and jobs, in OpenTelemetry's own exporter in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from test_connections import finished, joined

from kitestring.server.app import create_app
from kitestring.server.connections import connection
from kitestring.server.context import Context
from kitestring.server.jobs.worker import Worker
from kitestring.server.observability.tracing import Tracing

pytestmark = pytest.mark.slow


@pytest.fixture
def traced(context: Context) -> Iterator[tuple[Context, InMemorySpanExporter]]:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    yield replace(context, tracing=Tracing(provider)), exporter
    provider.shutdown()


def test_a_request_and_an_attempt_have_a_span_each_without_ids_in_its_name(
    traced: tuple[Context, Any], tmp_path: Path
) -> None:
    context, exporter = traced
    connection_id = joined(context, tmp_path / "out", [{"name": "users", "syncMode": "full_refresh_overwrite"}])
    client = TestClient(create_app(context))
    client.get(f"/v1/connections/{connection_id}")
    worker = Worker(context, connection.plan_of, slots=1)
    worker.start()
    try:
        with context.store.write() as db:
            job = context.queue.enqueue(db, connection_id)
        finished(context, job)
    finally:
        worker.stop()
    spans = {span.name: dict(span.attributes) for span in exporter.get_finished_spans()}
    assert spans["GET"] == {"http.method": "GET", "http.route": "/v1/connections/{connectionId}", "http.status": 200}
    assert spans["job sync"] == {
        "job.id": job,
        "job.attempt": 1,
        "job.connection": connection_id,
        "job.status": "succeeded",
        "job.records": 30,
    }


def test_tracing_is_off_without_an_endpoint_and_costs_nothing_then() -> None:
    tracing = Tracing.of({})
    assert not tracing.on
    with tracing.span("x", a=1) as add:
        add(failed=True)
    tracing.close()


def test_an_endpoint_switches_it_on() -> None:
    tracing = Tracing.of({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"})
    assert tracing.on
    assert tracing.provider.resource.attributes["service.name"] == "kitestring"
    tracing.close()
