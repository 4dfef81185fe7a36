"""Fields, suggested fields and previews of streams, and the history of a connection."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from test_connections import create_endpoint, joined

from kitestring.server.app import create_app
from kitestring.server.connections import connection
from kitestring.server.context import Context
from kitestring.server.jobs.worker import Worker
from tests.unit.server.documented import documented

pytestmark = pytest.mark.slow

OWN = "/api/kitestring/v1"
PUBLIC = "/api/public/v1"


@pytest.fixture
def client(context: Context) -> TestClient:
    return documented(TestClient(create_app(context)))


def test_the_fields_of_a_stream_have_their_types_and_a_stream_that_is_not_there_is_named(
    client: TestClient, context: Context
) -> None:
    source = create_endpoint(context, "source", "sample", {"count": 5})
    answer = client.get(f"{OWN}/sources/{source}/fields", params={"stream": "users"})
    fields = {".".join(field["path"]): field for field in answer.json()["data"]}
    assert fields["id"]["types"] == ["integer"]
    assert fields["updated_at"]["format"] == "date-time"
    refused = client.get(f"{OWN}/sources/{source}/fields", params={"stream": "user"})
    assert refused.status_code == 404
    assert "did you mean users" in refused.json()["detail"]
    suggested = client.get(f"{OWN}/sources/{source}/suggested-fields").json()
    assert "id" in suggested["metadata"]


def test_a_preview_shows_what_a_vector_store_would_get_and_writes_nothing(
    client: TestClient, context: Context, tmp_path: Path
) -> None:
    source = create_endpoint(context, "source", "sample", {"count": 5})
    store = tmp_path / "chunks.db"
    destination = create_endpoint(
        context,
        "destination",
        "milvus",
        {
            "indexing": {"host": str(store), "collection": "people", "auth": {"mode": "no_auth"}},
            "embedding": {"mode": "fake"},
            "processing": {"chunk_size": 5, "text_fields": ["name", "email"], "metadata_fields": ["id"]},
        },
    )
    hashed = {"type": "hashing", "mapperConfiguration": {"targetField": "email", "fieldNameSuffix": "_hash"}}
    body = {
        "sourceId": source,
        "destinationId": destination,
        "stream": {"name": "users", "syncMode": "full_refresh_overwrite", "mappers": [hashed]},
        "limit": 2,
    }
    answer = client.post(f"{OWN}/preview", json=body).json()
    first, second = answer["records"]
    assert len(first["record"]["email_hash"]) == 64
    assert "email" not in first["record"]
    assert first["text"] == first["record"]["name"]
    assert first["metadata"]["id"] == first["record"]["id"]
    assert all(0 < chunk["tokens"] <= answer["chunkSize"] == 5 for chunk in first["chunks"] + second["chunks"])
    assert "".join(chunk["text"] for chunk in first["chunks"]).replace(" ", "") in first["text"].replace(" ", "")
    other = client.post(f"{OWN}/preview", json={**body, "textFields": ["email_hash"], "metadataFields": []}).json()
    assert other["records"][0]["text"] == first["record"]["email_hash"]
    assert len(other["records"][0]["chunks"]) > 1
    assert not store.exists()
    refused = client.post(f"{OWN}/preview", json={**body, "textFields": ["nosuch"]})
    assert refused.status_code == 422
    assert "none of the text fields (nosuch)" in refused.json()["detail"]


def test_a_preview_for_another_destination_counts_what_the_mappers_leave_out(
    client: TestClient, context: Context, tmp_path: Path
) -> None:
    source = create_endpoint(context, "source", "sample", {"count": 5})
    destination = create_endpoint(context, "destination", "files", {"path": str(tmp_path / "out")})
    only = {"type": "EQUAL", "fieldName": "id", "comparisonValue": "2"}
    mapper = {"type": "row-filtering", "mapperConfiguration": {"conditions": only}}
    stream = {"name": "users", "mappers": [mapper], "selectedFields": [{"fieldPath": ["id"]}, {"fieldPath": ["name"]}]}
    body = {"sourceId": source, "destinationId": destination, "stream": stream, "limit": 5}
    answer = client.post(f"{OWN}/preview", json=body).json()
    assert [set(record["record"]) for record in answer["records"]] == [{"id", "name", "updated_at"}]  # the cursor stays
    assert answer["filtered"] == 4
    assert "chunkSize" not in answer


def test_the_history_of_a_connection_has_its_days_its_age_and_who_changed_what(
    client: TestClient, context: Context, tmp_path: Path
) -> None:
    connection_id = joined(context, tmp_path / "out", [{"name": "users", "syncMode": "incremental_append"}])
    history = client.get(f"{OWN}/connections/{connection_id}/history").json()
    assert (history["days"], history["freshAtMs"], history["intervalMs"]) == ([], None, None)
    worker = Worker(context, connection.plan_of, slots=1)
    worker.start()
    try:
        job = client.post(f"{OWN}/connections/{connection_id}/sync").json()["jobId"]
        with client.stream("GET", f"{OWN}/jobs/{job}/events") as events:
            events.read()
    finally:
        worker.stop()
    schedule = {"scheduleType": "basic", "basicTiming": "Every 6 HOURS"}
    client.patch(f"{PUBLIC}/connections/{connection_id}", json={"name": "Nightly", "schedule": schedule})
    history = client.get(f"{OWN}/connections/{connection_id}/history", params={"offsetMin": 120}).json()
    [day] = history["days"]
    assert (day["status"], day["jobs"], day["records"], day["lastJobId"]) == ("succeeded", 1, 30, job)
    assert day["atMs"] % 86_400_000 == 22 * 3_600_000
    assert history["freshAtMs"] == history["jobs"][0]["startedAtMs"]
    assert history["intervalMs"] == 6 * 3_600_000
    change = history["changes"][0]
    assert change["actor"]
    fields = {field["name"]: field for field in change["fields"]}
    assert fields["name"]["after"] == "Nightly"
    assert set(fields) == {"name", "schedule"}
