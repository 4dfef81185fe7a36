"""`detectDeletes` of a stream: through the API, in jobs, in a project file and back; a large loss waits for a word."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest
from sqlalchemy import update
from test_connections import create_endpoint, finished

from kitestring.server.config_as_code import export
from kitestring.server.connections import connection, waiting_deletions
from kitestring.server.context import Context
from kitestring.server.http.problem import Problem
from kitestring.server.jobs.worker import Worker
from kitestring.server.store.tables import sources

pytestmark = pytest.mark.slow


def joined(context: Context, folder: Path, sync_mode: str, detect: Any) -> str:
    source = create_endpoint(context, "source", "sample", {"count": 20})
    destination = create_endpoint(context, "destination", "duckdb", {"path": str(folder / "out.duckdb")})
    catalog = connection.discover(context, source)
    streams = [{"name": "users", "syncMode": sync_mode, "primaryKey": [["id"]], "detectDeletes": detect}]
    with context.store.write() as db:
        return connection.create(
            context,
            db,
            source_id=source,
            destination_id=destination,
            catalog=catalog,
            streams=connection.configure_streams(catalog, streams),
        )


def run(context: Context, connection_id: str, kind: str = "sync", **options: Any) -> Any:
    worker = Worker(context, connection.plan_of, slots=1)
    worker.start()
    try:
        with context.store.write() as db:
            job = context.queue.enqueue(db, connection_id, kind, options=options)
        return finished(context, job)
    finally:
        worker.stop()


def list_fewer(context: Context, connection_id: str, count: int) -> None:
    with context.store.write() as db:
        source_id = connection.get(db, connection_id).source_id
        db.execute(update(sources).where(sources.c.id == source_id).values(config={"count": count}))


def held(folder: Path) -> int:
    with duckdb.connect(str(folder / "out.duckdb"), read_only=True) as db:
        return int(db.execute("SELECT count(*) FROM users").fetchall()[0][0])


def test_a_large_loss_waits_until_it_is_accepted(context: Context, tmp_path: Path) -> None:
    connection_id = joined(context, tmp_path, "full_refresh_update", "hard")
    assert run(context, connection_id).status == "succeeded"
    list_fewer(context, connection_id, 18)
    assert run(context, connection_id).status == "succeeded"
    assert held(tmp_path) == 18
    with context.store.write() as db, pytest.raises(Problem, match="no deletion of this connection waits"):
        waiting_deletions.accept(context, db, connection_id)
    list_fewer(context, connection_id, 3)
    assert run(context, connection_id).status == "suspicious"
    assert held(tmp_path) == 18
    with context.store.write() as db:
        assert waiting_deletions.waiting(db, connection_id) == {"users": {"missing": 15, "held": 18}}
        waiting_deletions.accept(context, db, connection_id)
        assert waiting_deletions.waiting(db, connection_id) == {}
    assert run(context, connection_id).status == "succeeded"
    assert held(tmp_path) == 3


def test_a_window_that_is_read_again_is_no_listing(context: Context, tmp_path: Path) -> None:
    everything = {"mode": "hard", "everyHours": 0, "mostPercent": 100}
    connection_id = joined(context, tmp_path, "incremental_deduped_history", everything)
    assert run(context, connection_id).status == "succeeded"
    row = run(context, connection_id, "backfill", stream="users", **{"from": "2100-01-01T00:00:00Z"})
    assert (row.status, held(tmp_path)) == ("succeeded", 20)
    row = run(context, connection_id, "refresh", streams=["users"], mode="merge")
    assert (row.status, held(tmp_path)) == ("succeeded", 20)
    row = run(context, connection_id, "refresh", streams=["users"])
    assert (row.status, held(tmp_path)) == ("succeeded", 20)


@pytest.mark.parametrize(
    ("sync_mode", "detect", "fact"),
    [
        ("full_refresh_overwrite", "hard", "replaces all records anyway"),
        ("incremental_append", "soft", "keeps every version"),
        ("incremental_soft_delete", "hard", "removes no record"),
        ("full_refresh_update", "medium", "detect_deletes is 'medium'"),
        ("full_refresh_update", {"mode": "hard", "mostPercent": 120}, "most_percent"),
    ],
)
def test_what_cannot_be_is_refused_when_it_is_set(
    context: Context, tmp_path: Path, sync_mode: str, detect: Any, fact: str
) -> None:
    with pytest.raises(Problem, match=fact) as caught:
        joined(context, tmp_path, sync_mode, detect)
    assert caught.value.status == 422
    assert caught.value.hint


@pytest.mark.parametrize(
    ("detect", "stored", "in_file"),
    [
        ("off", None, None),
        ("soft", "soft", "soft"),
        ({"mode": "hard", "everyHours": 24, "mostPercent": None}, "hard", "hard"),
        ({"mode": "hard", "everyHours": 6}, {"mode": "hard", "everyHours": 6.0}, {"mode": "hard", "every_hours": 6.0}),
    ],
)
def test_it_comes_back_as_it_was_set(context: Context, tmp_path: Path, detect: Any, stored: Any, in_file: Any) -> None:
    connection_id = joined(context, tmp_path, "incremental_deduped_history", detect)
    with context.store.read() as db:
        row = connection.get(db, connection_id)
    assert row.streams[0].get("detectDeletes") == stored
    assert export.link_of(row, {})["streams"][0].get("detect_deletes") == in_file
    second = connection.configure_streams(connection.discover(context, row.source_id), row.streams)
    assert second[0].get("detectDeletes") == stored
