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


def test_a_number_without_a_precision_is_a_cursor_in_the_order_of_numbers(database: Any) -> None:
    database.run("CREATE TABLE t (id int PRIMARY KEY, n numeric)", "INSERT INTO t VALUES (1, 9), (2, 10), (3, 9.50)")
    url = f"postgresql+psycopg://{database.username}@{database.host}:{database.port}/{database.name}"
    source = Sql.load({"url": url, "password": database.password})
    states, destination = MemoryStates(), MemoryDestination()
    for _ in range(2):
        assert sync(source, destination, [Selection("t", "incremental", cursor="n")], states=states).ok
        database.run("INSERT INTO t VALUES (4, 10), (5, 100) ON CONFLICT DO NOTHING")
    assert [row["id"] for row in destination.stored["t"]] == [1, 3, 2, 4, 5]


def test_a_text_cursor_of_mysql_goes_on_by_code_points(mysql_database: Any) -> None:
    mysql_database.run(
        "CREATE TABLE t (id int PRIMARY KEY, tag varchar(20) CHARACTER SET latin1 COLLATE latin1_swedish_ci)",
        "INSERT INTO t VALUES (1, 'b'), (2, 'B'), (3, 'b '), (4, 'C'), (5, 'ä')",
    )
    config = mysql_database.config
    url = f"mysql+pymysql://{config['username']}@{config['host']}:{config['port']}/{config['database']}?charset=utf8mb4"
    source = Sql.load({"url": url, **({"password": config["password"]} if config.get("password") else {})})
    states, destination = MemoryStates(), MemoryDestination()
    for _ in range(2):
        assert sync(source, destination, [Selection("t", "incremental", cursor="tag")], states=states).ok
        mysql_database.run("INSERT IGNORE INTO t VALUES (6, 'ä'), (7, 'é')")
    assert sorted(row["id"] for row in destination.stored["t"]) == [1, 2, 3, 4, 5, 6, 7]
