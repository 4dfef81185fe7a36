"""Captured tables are read again as a whole: the log is followed from there, and the others keep their place."""

from __future__ import annotations

from typing import Any

from capturing import Captured, plain
from postgres_server import wait_until_free

from kitestring.engine import Selection, Status, sync
from kitestring.source import GoesOnAfterRefresh


def refresh(copy: Captured, *streams: str, meanwhile: tuple[str, ...] = ()) -> None:
    """What a refresh on a server does with these streams."""
    source = copy.source()
    assert isinstance(source, GoesOnAfterRefresh)
    assert source.follows_log
    catalog = source.discover()
    chosen = [stream for stream in catalog if stream.key in streams]
    after = source.before_refresh(chosen, copy.states.load("default"))
    selections = [Selection(key, "full_refresh", "overwrite_dedup") for key in streams]
    result = sync(source, copy.destination, selections, states=copy.states, catalog=catalog)
    assert result.status is Status.succeeded, result.as_dict()
    copy.database.run("SELECT 1", *meanwhile)
    for key, state in after(streams).items():
        copy.states.save("default", key, state)


def rows_of(copy: Captured, table: str) -> list[tuple[Any, ...]]:
    rows = map(plain, copy.destination.stored[f"public.{table}"])
    return sorted(tuple(row.values()) for row in rows)


def test_a_refresh_goes_on_after_a_lost_log_and_leaves_the_other_tables_alone(captured: Any) -> None:
    captured.run(
        *(f"CREATE TABLE {name} (id int PRIMARY KEY, n int)" for name in ("t", "u")),
        "INSERT INTO t VALUES (1, 1), (2, 2)",
        "INSERT INTO u VALUES (1, 1)",
    )
    copy = Captured(captured)
    copy.sync()

    captured.run("UPDATE t SET n = 10 WHERE id = 1", "INSERT INTO u VALUES (2, 2)")
    refresh(copy, "public.t", meanwhile=("DELETE FROM t WHERE id = 2", "UPDATE u SET n = 20 WHERE id = 2"))
    copy.sync()
    assert rows_of(copy, "t") == [(1, 10)]
    assert rows_of(copy, "u") == [(1, 1), (2, 20)]

    # The log is lost: what was deleted meanwhile is gone after the refresh.
    wait_until_free(captured, captured.name)
    captured.run(
        f"SELECT pg_drop_replication_slot('{captured.name}')",
        "DELETE FROM u WHERE id = 1",
        "INSERT INTO t VALUES (3, 3)",
    )
    result = copy.attempt()
    assert "refresh the streams" in (result.error or result.streams["public.t"].error).hint
    refresh(copy, "public.t", "public.u", meanwhile=("UPDATE t SET n = 30 WHERE id = 3", "INSERT INTO u VALUES (4, 4)"))
    copy.sync()
    assert rows_of(copy, "t") == [(1, 10), (3, 30)]
    assert rows_of(copy, "u") == [(2, 20), (4, 4)]
