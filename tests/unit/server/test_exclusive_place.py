"""Who looks at data in a place that one process at a time can open gives way to a sync."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from connections import attempts_of, ended, enqueue, job, new_connection, plan_of, until
from fastapi.testclient import TestClient
from pages import Pages
from test_connections import create_endpoint

from kitestring import registry
from kitestring.engine import Selection, sync
from kitestring.errors import KitestringError
from kitestring.server.app import create_app
from kitestring.server.connections.exclusive_place import exclusive_place
from kitestring.server.context import Context
from kitestring.server.jobs.connection_plan import Endpoint
from kitestring.server.jobs.worker import Worker
from kitestring.testing.memory import MemorySource

pytestmark = pytest.mark.slow
OWN = "/api/kitestring/v1"
EMBEDDED = {"processing": {"chunk_size": 20, "text_fields": ["at"]}, "embedding": {"mode": "fake"}}
FOLDER = {"mode": "persistent_client", "path": "x.chroma"}


@pytest.fixture
def pages() -> Iterator[Pages]:
    with Pages() as served:
        yield served


def lite(folder: Path, collection: str = "items") -> dict[str, Any]:
    return {**EMBEDDED, "indexing": {"host": str(folder / "milvus.db"), "collection": collection}}


def of_pages(context: Context, pages: Pages, folder: Path, connector: str, config: dict[str, Any]) -> str:
    return new_connection(
        context,
        {"url": pages.url, "token": "t"},
        config,
        [{"name": "items", "write_mode": "append_dedup"}],
        source_connector=pages.manifest(folder),
        destination_connector=connector,
    )


def test_a_reader_that_has_a_place_open_gives_it_to_the_sync_that_begins(
    context: Context, work: Callable[[], Worker], pages: Pages, tmp_path: Path
) -> None:
    connection_id = of_pages(context, pages, tmp_path, "milvus", lite(tmp_path))
    plan = plan_of(context, connection_id)
    pages.hang = 1
    refusals: list[KitestringError] = []

    def look() -> None:
        try:
            request = {**plan.body(), "states": {}, "sample": 1_000}
            place = exclusive_place(context, plan.destination)
            context.runner.run("estimate", request, limit_s=300.0, place=place)
        except KitestringError as error:
            refusals.append(error)

    looking = threading.Thread(target=look)
    looking.start()
    until(lambda: pages.times, lambda times: times == 0)
    work()
    number = enqueue(context, connection_id)
    row = ended(context, number)
    looking.join(600)
    assert (row.status, row.attempts, row.failures) == ("succeeded", 1, 0), attempts_of(context, number)
    assert [error.message for error in refusals] == [
        f"job {number} is writing to milvus.db, which one process at a time can open"
    ]


def test_a_place_that_a_job_writes_to_is_not_opened_and_the_answer_names_the_job(
    context: Context, tmp_path: Path
) -> None:
    client = TestClient(create_app(context))
    config = {"path": str(tmp_path / "db.duckdb")}
    source = MemorySource(records={"tickets": [{"id": 1}]}, primary_keys={"tickets": "id"})
    same = create_endpoint(context, "destination", "duckdb", {**config, "schema": "other"})
    elsewhere = create_endpoint(context, "destination", "duckdb", {"path": str(tmp_path / "other.duckdb")})
    connection_id = new_connection(context, {}, config, [], destination_connector="duckdb")
    with_rows = registry.destination("duckdb", config)
    assert sync(source, with_rows, [Selection("tickets", write_mode="append_dedup")]).ok
    with_rows.close()

    def streams(of: str) -> Any:
        return client.get(f"{OWN}/destinations/{of}/data/streams")

    assert [stream["name"] for stream in streams(same).json()["data"]] == ["tickets"]
    number = enqueue(context, connection_id)
    claim = context.queue.claim("a worker")
    assert claim is not None
    refused = streams(same)
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
    assert f"job {number} is writing to db.duckdb" in refused.json()["detail"]
    assert refused.json()["data"]["jobId"] == number
    checked = client.post(f"{OWN}/destinations/{same}/check")
    assert (checked.status_code, f"job {number} is writing" in checked.json()["detail"]) == (503, True)
    assert client.get(f"{OWN}/destinations/{same}").json()["lastCheck"] is None
    assert streams(elsewhere).status_code == 200
    context.queue.release(claim)
    assert job(context, number).status != "running"
    assert streams(same).status_code == 200


@pytest.mark.parametrize(
    ("connector", "config", "exclusive"),
    [
        ("duckdb", {"path": "db.duckdb"}, True),
        ("sqlite", {"path": "db.sqlite"}, False),
        ("files", {"path": "files"}, False),
        ("milvus", {**EMBEDDED, "indexing": {"host": "milvus.db", "collection": "c"}}, True),
        ("milvus", {**EMBEDDED, "indexing": {"host": "http://127.0.0.1:19530", "collection": "c"}}, False),
        ("pgvector", {**EMBEDDED, "host": "localhost", "database": "d", "username": "u", "table": "t"}, False),
        ("duckdb", {"path": "../outside.duckdb"}, False),
        ("chroma", {**EMBEDDED, "indexing": {"auth_method": FOLDER, "collection_name": "all"}}, True),
        ("lancedb", {**EMBEDDED, "indexing": {"path": "x.lance"}}, False),
        ("qdrant", {**EMBEDDED, "indexing": {"url": "http://127.0.0.1:6333", "collection": "c"}}, False),
    ],
)
def test_only_a_file_that_serves_one_process_has_its_readers_wait_for_each_other(
    context: Context, connector: str, config: dict[str, Any], exclusive: bool
) -> None:
    place = exclusive_place(context, Endpoint(connector, config, workspace_id="0" * 8))
    assert (place is not None) == exclusive
    if place is not None:
        assert Path(place.path).is_relative_to(context.settings.home.absolute() / "workspaces")
