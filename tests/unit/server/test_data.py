"""Data: what destinations hold, read over the API without a question."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from test_connections import create_endpoint, joined

from kitestring import registry
from kitestring.engine import Selection, sync
from kitestring.server.app import create_app
from kitestring.server.child.data import MOST_CHARACTERS, fitting
from kitestring.server.connections import connection
from kitestring.server.context import Context
from kitestring.server.jobs.worker import Worker
from kitestring.testing.memory import MemorySource
from kitestring.types import DELETED_AT
from tests.unit.server.documented import documented
from tests.unit.server.tenants import Browser, Tenant, admin

pytestmark = pytest.mark.slow
OWN = "/api/kitestring/v1"
TICKETS: list[dict[str, Any]] = [
    {"id": 1, "subject": "Late parcel", "status": "new", "text": "The parcel is late. " * 30, "big": 2**60},
    {"id": 2, "subject": "Broken cup", "status": "open", "text": "The cup arrived broken.", "price": 0.1},
    {"id": 3, "subject": "Gone", "status": "new", "text": "Deleted."},
    {"id": 3, DELETED_AT: "2026-01-01T00:00:00Z"},
]


@pytest.fixture
def client(context: Context) -> TestClient:
    return documented(TestClient(create_app(context)))


def filled(context: Context, connector: str, config: dict[str, Any], name: str = "tickets") -> str:
    """A destination with three tickets, one of which is marked as deleted."""
    source = MemorySource(records={name: TICKETS}, primary_keys={name: "id"})
    destination = registry.destination(connector, config)
    result = sync(source, destination, [Selection(name, write_mode="soft_delete")])
    assert result.ok, result.as_dict()
    destination.close()
    return create_endpoint(context, "destination", connector, config)


def rows_of(client: TestClient, destination: str, **body: Any) -> Any:
    answer = client.post(f"{OWN}/destinations/{destination}/data/rows", json={"stream": "tickets", **body})
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize(
    ("connector", "config"),
    [("sqlite", {"path": "db.sqlite"}), ("duckdb", {"path": "db.duckdb"}), ("files", {"path": "files"})],
)
def test_tables_and_files_are_read_by_stream_with_filters(
    client: TestClient, context: Context, tmp_path: Path, connector: str, config: dict[str, Any]
) -> None:
    destination = filled(context, connector, {"path": str(tmp_path / config["path"])})
    streams = client.get(f"{OWN}/destinations/{destination}/data/streams").json()
    assert (streams["chunks"], streams["listed"], streams["note"]) == (False, True, "")
    assert [(each["name"], each["records"], each["writers"]) for each in streams["data"]] == [("tickets", 2, [])]
    page = rows_of(client, destination)
    first = next(row for row in page["rows"] if row["values"]["id"] == 1)
    assert page["total"] == 2
    assert (first["values"]["big"], first["texts"]) == (str(2**60), ["big"])
    assert rows_of(client, destination, where={"status": "new"})["total"] == 1
    whole = rows_of(client, destination, where={"status": "new"}, includeDeleted=True)["rows"]
    assert [row["deleted"] for row in whole if row["values"]["id"] == 3] == [True]
    (short,) = rows_of(client, destination, where={"id": 1}, longest=50)["rows"]
    assert (len(short["values"]["text"]), short["cut"]) == (51, ["text"])
    refused = client.post(f"{OWN}/destinations/{destination}/data/rows", json={"stream": "missing"})
    assert (refused.status_code, "missing" in refused.json()["detail"]) == (422, True)
    for body in ({"stream": "tickets", "where": "id = 1"}, {"stream": "tickets", "where": {"id": {"near": 1}}}):
        assert client.post(f"{OWN}/destinations/{destination}/data/rows", json=body).status_code == 422
    # The only row with a price is not marked; `big` is a field of the row that the filter leaves out.
    assert rows_of(client, destination, where={"price": 7, "big": {"exists": False}})["rows"] == []
    typo = client.post(
        f"{OWN}/destinations/{destination}/data/rows",
        json={"stream": "tickets", "where": {"or": [{"status": "new"}, {"not": {"statuss": "open"}}]}},
    )
    assert typo.status_code == 422
    assert "no row of the stream tickets has the field statuss; did you mean status?" in typo.json()["detail"]
    near = client.post(f"{OWN}/destinations/{destination}/data/neighbours", json={"chunkId": "1"})
    assert (near.status_code, "holds no chunks" in near.json()["detail"]) == (422, True)


def test_no_name_and_no_filter_reads_another_table(client: TestClient, context: Context, tmp_path: Path) -> None:
    path = tmp_path / "db.sqlite"
    destination = filled(context, "sqlite", {"path": str(path)})
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE secret (id INTEGER, token TEXT)")
        db.execute("INSERT INTO secret VALUES (1, 'hunter2')")
    place = f"{OWN}/destinations/{destination}/data/rows"
    names = ["secret", "_kitestring_tables", "sqlite_master", 'tickets" UNION SELECT token FROM secret --']
    for name in names:
        refused = client.post(place, json={"stream": name})
        assert refused.status_code == 422, name
        assert "hunter2" not in refused.text
    hostile = [
        "' OR EXISTS (SELECT 1 FROM secret) --",
        '" OR 1=1 --',
        "token",
        "secret.token",
        "(SELECT token FROM secret)",
    ]
    for text in hostile:
        for where in ({"status": text}, {"status": {"gte": text, "lt": text}}):
            assert rows_of(client, destination, where=where)["rows"] == [], where
        for where in ({text: "new"}, {text: {"gte": ""}}):
            refused = client.post(place, json={"stream": "tickets", "where": where})
            assert (refused.status_code, "hunter2" in refused.text) == (422, False), where


def test_chunks_have_their_record_neighbours_and_a_place_on_the_map(
    client: TestClient, context: Context, tmp_path: Path
) -> None:
    config = {
        "processing": {
            "chunk_size": 20,
            "text_fields": ["text"],
            "metadata_fields": ["id", "status", "subject", "owner"],
        },
        "embedding": {"mode": "fake"},
        "indexing": {"host": str(tmp_path / "milvus.db"), "collection": "tickets"},
    }
    destination = filled(context, "milvus", config)
    place = f"{OWN}/destinations/{destination}/data"
    streams = client.get(f"{place}/streams").json()
    assert streams["chunks"]
    assert "without meaning" in streams["note"]
    page = rows_of(client, destination, where={"status": "new"})
    assert page["total"] == len(page["rows"]) > 1
    assert {row["values"]["id"] for row in page["rows"]} == {1}
    record = client.post(f"{place}/record", json={"stream": "tickets", "recordId": page["rows"][0]["recordId"]}).json()
    assert [chunk["number"] for chunk in record["data"]] == list(range(page["total"]))
    chunk = page["rows"][0]["chunkId"]
    near = client.post(f"{place}/neighbours", json={"chunkId": chunk, "limit": 3}).json()["data"]
    assert len(near) == 3
    assert chunk not in {each["chunkId"] for each in near}
    searched = f"{OWN}/destinations/{destination}/search"
    # No chunk has an owner, but the configuration names the field.
    assert client.post(searched, json={"text": "x", "where": {"owner": "Ada"}}).json()["data"] == []
    for address, body in (
        (searched, {"text": "x"}),
        (searched, {"text": "x", "stream": "tickets"}),
        (f"{place}/neighbours", {"chunkId": chunk}),
        (f"{place}/map", {"streams": ["tickets"]}),
        (f"{place}/rows", {"stream": "tickets"}),
    ):
        refused = client.post(address, json={**body, "where": {"not": {"sbject": "Gone"}}})
        assert (refused.status_code, "did you mean subject?" in refused.json()["detail"]) == (422, True), address
    drawn = client.post(f"{place}/map", json={"streams": ["tickets"]}).json()
    assert drawn["sizes"] == {"tickets": len(drawn["points"])}
    assert all(abs(point["x"]) <= 1 and abs(point["y"]) <= 1 for point in drawn["points"])


@pytest.fixture
def working(context: Context) -> Iterator[Worker]:
    worker = Worker(context, connection.plan_of, slots=1)
    worker.start()
    yield worker
    worker.stop()


def test_a_stream_names_the_connections_that_write_it(
    client: TestClient, context: Context, working: Worker, tmp_path: Path
) -> None:
    streams = [{"name": "users", "syncMode": "incremental_append"}]
    connection_id = joined(context, tmp_path / "out", streams, prefix="raw_", name="Users to files")
    job = client.post(f"{OWN}/connections/{connection_id}/sync").json()["jobId"]
    with client.stream("GET", f"{OWN}/jobs/{job}/events") as answer:
        "".join(answer.iter_text())
    with context.store.read() as db:
        destination = connection.get(db, connection_id).destination_id
    (stream,) = client.get(f"{OWN}/destinations/{destination}/data/streams").json()["data"]
    assert (stream["name"], stream["records"]) == ("raw_users", 30)
    assert stream["writers"] == [{"connectionId": connection_id, "name": "Users to files", "stream": "users"}]


def test_an_answer_is_cut_before_it_is_too_large_for_the_server() -> None:
    wide = [{"id": n, "a": "x", "b": "y", "c": "z"} for n in range(500)]
    longest = fitting(5_000_000, wide)
    assert longest * 500 * 4 <= MOST_CHARACTERS < (longest + 1) * 500 * 4
    assert fitting(5_000_000, wide[:1]) == 5_000_000
    assert fitting(2_000, wide) == 2_000
    assert fitting(5_000_000, [dict.fromkeys(map(str, range(100_000)))] * 500) == 50


def test_data_is_read_by_readers_of_its_workspace_alone(context: Context) -> None:
    admin(context)
    ours, theirs = Tenant.make(context, "ours"), Tenant.make(context, "theirs")
    client = Browser(context, theirs.member("workspace_reader"))
    requests = {
        "rows": {"stream": "x"},
        "record": {"stream": "x", "recordId": "1"},
        "neighbours": {"chunkId": "1"},
        "map": {"streams": ["x"]},
    }
    for tenant, status in ((ours, 403), (theirs, 422)):  # its connector is gone
        place = f"{OWN}/destinations/{tenant.destination_id}/data"
        assert client.get(f"{place}/streams").status_code == status
        for verb, body in requests.items():
            assert client.post(f"{place}/{verb}", json=body).status_code == status, verb
