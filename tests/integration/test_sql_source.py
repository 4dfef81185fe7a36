"""The source of any SQLAlchemy dialect, on a real PostgreSQL."""

from __future__ import annotations

from typing import Any

import pytest

from kitestring.engine import MemoryStates, Selection, sync
from kitestring.sources.sql import Sql
from kitestring.testing.memory import MemoryDestination

pytest.importorskip("psycopg")


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York"])
def test_a_cursor_with_a_time_zone_stops_at_the_clock_whatever_the_zone_of_the_session(
    database: Any, zone: str
) -> None:
    database.run(
        "CREATE TABLE t (id int PRIMARY KEY, seen timestamptz)",
        "INSERT INTO t VALUES (1, now() - interval '1 minute'), (2, now() + interval '1 hour')",
    )
    url = f"postgresql+psycopg://{database.username}@{database.host}:{database.port}/{database.name}"
    source = Sql.load({"url": f"{url}?options=-c%20TimeZone%3D{zone}", "password": database.password})
    selection = Selection("t", "incremental", cursor="seen", write_mode="append_dedup")
    states, destination = MemoryStates(), MemoryDestination()
    results = [sync(source, destination, [selection], states=states).streams["t"] for _ in range(2)]
    # The state is at the first row: both come with both syncs.
    assert [figures.read for figures in results] == [2, 2]
    (row,) = database.run("SELECT to_char(seen AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') AS seen FROM t WHERE id = 1")
    assert states.load("default")["t"]["cursor"].startswith(row["seen"])
