"""Clearing, refreshing and backfilling: what is emptied, what is read again, and what is there meanwhile."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from connections import attempts_of, ended, enqueue, new_connection, plan_of
from sqlalchemy import insert, select, update

from kitestring.server.context import Context
from kitestring.server.jobs.job_states import without
from kitestring.server.jobs.worker import Worker
from kitestring.server.store.tables import connections, sources, states
from kitestring.types import COUNTS

pytestmark = pytest.mark.slow

STREAMS = [{"name": "users"}, {"name": "products"}]


@pytest.fixture
def worker(context: Context) -> Iterator[Worker]:
    running_worker = Worker(context, plan_of)
    running_worker.start()
    yield running_worker
    running_worker.stop()


@pytest.fixture
def connection_id(context: Context, worker: Worker, tmp_path: Path) -> str:
    """A connection that was synced once: 50 users and 50 products."""
    synced = new_connection(
        context,
        {"count": 50, "updates": 10},
        {"path": str(tmp_path / "out.duckdb")},
        STREAMS,
        destination_connector="duckdb",
    )
    assert ended(context, enqueue(context, synced)).status == "succeeded"
    return synced


def rows(folder: Path, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(folder / "out.duckdb"), read_only=True) as db:
        return db.execute(query).fetchall()


def configured(context: Context, connection_id: str, **config: Any) -> None:
    plan = plan_of(context, connection_id)
    with context.store.write() as db:
        db.execute(update(sources).where(sources.c.id == plan.source.id).values(config=config))


def test_clear_empties_the_streams_that_were_named_and_forgets_their_states(
    context: Context, connection_id: str, tmp_path: Path
) -> None:
    row = ended(context, enqueue(context, connection_id, "clear", streams=["users"]))
    assert (row.status, row.error) == ("succeeded", None)
    assert rows(tmp_path, "SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM products)") == [(0, 50)]
    assert "users" not in context.queue.states(connection_id)
    assert "products" in context.queue.states(connection_id)
    row = ended(context, enqueue(context, connection_id))
    assert (row.status, row.records) == ("succeeded", 50)  # the cleared stream, whole
    assert rows(tmp_path, "SELECT count(*) FROM users") == [(50,)]


def test_clear_needs_no_source_where_the_catalog_is_known(context: Context, connection_id: str, tmp_path: Path) -> None:
    catalog = {"streams": [{"name": "users", "json_schema": {"type": "object", "properties": {"id": {}}}}]}
    with context.store.write() as db:
        db.execute(
            update(connections)
            .where(connections.c.id == connection_id)
            .values(catalog=catalog, streams=[{"name": "users"}])
        )
    assert ended(context, enqueue(context, connection_id, "clear")).status == "succeeded"
    assert rows(tmp_path, "SELECT count(*) FROM users") == [(0,)]
    assert context.queue.states(connection_id) == {}


def test_a_truncating_refresh_drops_what_the_source_no_longer_has_and_keeps_the_state(
    context: Context, connection_id: str, tmp_path: Path
) -> None:
    before = context.queue.states(connection_id)["users"]
    configured(context, connection_id, count=40, updates=10)
    row = ended(context, enqueue(context, connection_id, "refresh", streams=["users"]))
    assert row.status == "succeeded"
    assert list(attempts_of(context, row.id)[0].streams) == ["users"]
    assert rows(tmp_path, "SELECT count(*) FROM users") == [(40,)]
    assert context.queue.states(connection_id)["users"] == before
    configured(context, connection_id, count=40, updates=25)
    assert ended(context, enqueue(context, connection_id)).status == "succeeded"
    assert rows(tmp_path, "SELECT count(*), count(DISTINCT id) FROM users") == [(40, 40)]


def test_a_merging_refresh_keeps_what_the_source_no_longer_has(
    context: Context, connection_id: str, tmp_path: Path
) -> None:
    configured(context, connection_id, count=40, updates=10)
    row = ended(context, enqueue(context, connection_id, "refresh", streams=["users"], mode="merge"))
    assert (row.status, row.records, row.options["forgotten"]) == ("succeeded", 40, True)
    assert rows(tmp_path, "SELECT count(*) FROM users") == [(50,)]


def test_a_stream_that_only_adds_is_not_refreshed_into_duplicates(
    context: Context, worker: Worker, tmp_path: Path
) -> None:
    added = new_connection(
        context, {"count": 5}, {"path": str(tmp_path / "out")}, [{"name": "users", "write_mode": "append"}]
    )
    assert ended(context, enqueue(context, added)).status == "succeeded"
    row = ended(context, enqueue(context, added, "refresh"))
    assert (row.status, row.error["type"], row.attempts) == ("failed", "ConfigError", 1)
    assert "Clear the stream" in row.error["hint"]


def test_a_window_is_read_again_without_moving_the_state(context: Context, connection_id: str, tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "out.duckdb")) as db:
        db.execute("UPDATE users SET name = 'damaged'")
    before = context.queue.states(connection_id)
    window = {"stream": "users", "from": "2024-01-01T00:00:19Z", "to": "2024-01-01T00:00:29Z"}
    row = ended(context, enqueue(context, connection_id, "backfill", **window))
    assert (row.status, row.error) == ("succeeded", None)
    assert rows(tmp_path, "SELECT count(*) FROM users WHERE name != 'damaged'") == [(10,)]
    assert rows(tmp_path, "SELECT count(*) FROM users") == [(50,)]
    assert context.queue.states(connection_id) == before


def test_a_loss_is_told_unless_another_connection_to_the_same_place_explains_it(
    context: Context, connection_id: str, tmp_path: Path
) -> None:
    with duckdb.connect(str(tmp_path / "out.duckdb")) as db:
        db.execute("DELETE FROM users WHERE id <= 3")
    other = new_connection(context, {}, {}, STREAMS)
    with context.store.write() as db:
        place = db.execute(select(connections.c.destination_id).where(connections.c.id == connection_id)).scalar_one()
        note = {"count": 47, "stream": "users", "at": time.time() + 60}
        db.execute(insert(states).values(connection_id=other, stream=COUNTS, state={"users": note}, saved_at_ms=0))
    row = ended(context, enqueue(context, connection_id))
    assert attempts_of(context, row.id)[0].streams["users"]["suspicions"][0].startswith("the destination held 50")
    with context.store.write() as db:
        db.execute(update(connections).where(connections.c.id == other).values(destination_id=place))
        states_before = context.queue.states(connection_id)
        assert states_before[COUNTS]["users"]["lost"] == 3
        held = {**states_before[COUNTS], "users": {**states_before[COUNTS]["users"], "count": 50, "lost": 0}}
        db.execute(
            update(states).where(states.c.connection_id == connection_id, states.c.stream == COUNTS).values(state=held)
        )
    row = ended(context, enqueue(context, connection_id))
    assert attempts_of(context, row.id)[0].streams["users"]["status"] == "succeeded"


def test_a_shared_state_loses_only_the_part_of_the_stream(context: Context) -> None:
    shared = {
        "type": "GLOBAL",
        "global": {
            "shared_state": {"lsn": 7},
            "stream_states": [
                {"stream_descriptor": {"name": "a", "namespace": "public"}, "stream_state": {}},
                {"stream_descriptor": {"name": "b"}, "stream_state": {}},
            ],
        },
    }
    remaining = without(shared, ["public.a"])
    assert [stream_state["stream_descriptor"]["name"] for stream_state in remaining["global"]["stream_states"]] == ["b"]
    assert remaining["global"]["shared_state"] == {"lsn": 7}
