"""SQL sources: exact values or the reason, secrets that stay secret, files that are not created."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from kitestring.engine import MemoryStates, Rejects, Result, Selection, sync
from kitestring.errors import ConfigError
from kitestring.sources.duckdb import Duckdb
from kitestring.sources.sql import Sql
from kitestring.sources.sqlite import Sqlite
from kitestring.sql.source import SqlSource
from kitestring.testing.memory import MemoryDestination
from kitestring.types import Catalog

Make = Callable[..., Sqlite]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    path = tmp_path / "shop.sqlite"

    def write(*statements: str) -> Sqlite:
        with closing(sqlite3.connect(path)) as db:
            for statement in statements:
                db.execute(statement)
            db.commit()
        return Sqlite.load({"path": str(path)})

    return write


def run(source: SqlSource, name: str = "t", states: Any = None, **options: Any) -> tuple[Result, list[dict[str, Any]]]:
    destination = MemoryDestination()
    result = sync(source, destination, [Selection(name, **options)], states=states or MemoryStates())
    return result, destination.stored.get(name, [])


def test_values_of_any_type_in_a_typed_column_of_sqlite_arrive_as_they_are(make: Make) -> None:
    source = make(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, n INT, flag BOOLEAN, price DECIMAL(10, 2), day DATE, any, raw BLOB)",
        "INSERT INTO t VALUES (1, 5, 1, 2.5, '2026-01-02', 'x', x'00ff')",
        "INSERT INTO t VALUES (2, 'five', 'maybe', 'a lot', 'yesterday', 7, 'text')",
        f"INSERT INTO t VALUES (3, {2**62}, 0, 12345678901234567, NULL, 1.5, NULL)",
    )
    result, rows = run(source, sync_mode="full_refresh")
    assert result.ok, result.as_dict()
    by_id = {row["id"]: row for row in rows}
    assert by_id[1] == {
        "id": 1,
        "n": 5,
        "flag": True,
        "price": 2.5,
        "day": "2026-01-02",
        "any": "x",
        "raw": b"\x00\xff",
    }
    assert [by_id[2][name] for name in ("n", "flag", "price", "day", "any", "raw")] == [
        *("five", "maybe", "a lot", "yesterday"),
        7,
        "text",
    ]
    assert (by_id[3]["n"], by_id[3]["price"], by_id[3]["any"]) == (2**62, 12345678901234567, 1.5)


def test_a_value_that_does_not_fit_is_rejected_in_an_incremental_read(make: Make, tmp_path: Path) -> None:
    source = make(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, n INT)",
        "INSERT INTO t VALUES (1, 5), (2, 'five'), (3, 7)",
    )
    rejects, destination, states = Rejects(tmp_path / "rejects"), MemoryDestination(), MemoryStates()
    selections = [Selection("t", "incremental", cursor="id")]
    result = sync(source, destination, selections, states=states, rejects=rejects)
    assert result.ok, result.as_dict()
    assert destination.stored["t"] == [{"id": 1, "n": 5}, {"id": 3, "n": 7}]
    (entry,) = rejects.read("default")
    assert (entry["record"], entry["reason"]) == ({"id": 2, "n": "five"}, "field n: a str does not fit its type int64")


def test_an_incremental_read_goes_on_and_brings_no_row_twice(make: Make) -> None:
    states, destination = MemoryStates(), MemoryDestination()
    source = make(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, seen TEXT)",
        "INSERT INTO t VALUES (1, '2026-01-01 10:00:00'), (2, '2026-01-01 10:00:01'), (3, NULL)",
    )
    selections = [Selection("t", "incremental", "append", cursor="seen")]
    assert sync(source, destination, selections, states=states).ok
    source = make("INSERT INTO t VALUES (4, '2026-01-01 10:00:01'), (5, '2026-01-01 10:00:02')")
    result = sync(source, destination, selections, states=states)
    assert result.ok, result.as_dict()
    assert sorted(row["id"] for row in destination.stored["t"]) == [1, 2, 3, 4, 5]


def test_rows_that_are_gone_from_a_database_are_deleted_by_a_listing_of_its_keys(make: Make) -> None:
    states, destination = MemoryStates(), MemoryDestination()
    numbers = ", ".join(f"({n}, 'a text', 1)" for n in range(20))
    source = make("CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT, n INT)", f"INSERT INTO t VALUES {numbers}")
    selections = [Selection("t", "incremental", cursor="id", detect_deletes={"every_hours": 0})]
    assert sync(source, destination, selections, states=states).ok
    result = sync(make("DELETE FROM t WHERE id IN (3, 4)"), destination, selections, states=states)
    assert result.ok, result.as_dict()
    assert sorted(row["id"] for row in destination.stored["t"]) == [n for n in range(20) if n not in (3, 4)]
    assert result.streams["t"].deleted == 2


def test_a_file_that_is_not_there_is_named_and_not_created(tmp_path: Path) -> None:
    for source in (Sqlite.load({"path": str(tmp_path / "no")}), Duckdb.load({"path": str(tmp_path / "no")})):
        with pytest.raises(ConfigError, match="there is no file"):
            source.check()
    assert not list(tmp_path.iterdir())


def test_a_file_of_another_kind_is_named(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("no database " * 500)
    for source in (Sqlite.load({"path": str(path)}), Duckdb.load({"path": str(path)})):
        with pytest.raises(ConfigError, match=r"notes\.txt (cannot be read|is no file that)"):
            source.check()


def test_a_database_without_tables_fails_the_check(make: Make) -> None:
    with pytest.raises(ConfigError, match="has no table that can be read"):
        make().check()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mssql+pymssql://me:hunter22@db/shop", "has a password, which would be shown"),
        ("snowflake://me@account/db?token=hunter22", "has the parameter token"),
        ("postgresql+psycopg://me@db/shop?sslkey=k.pem&sslpassword=hunter22", "has the parameter sslpassword"),
        ("mssql+pyodbc:///?odbc_connect=DRIVER%3DX%3BUID%3Dme%3BPWD%3Dhunter22", "has the parameter odbc_connect"),
        ("sqlite:////etc/passwd", "use the connector sqlite"),
        ("duckdb:///shop.duckdb", "use the connector duckdb"),
        ("not a url hunter22", "should have the form"),
    ],
)
def test_a_url_that_must_not_be_is_refused_without_its_secrets(url: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        Sql.load({"url": url})
    assert "hunter22" not in f"{caught.value} {caught.value.hint}"


def test_a_dialect_or_a_driver_that_is_not_installed_is_named() -> None:
    with pytest.raises(ConfigError, match="gives SQLAlchemy the dialect nosuch"):
        Sql.load({"url": "nosuch://me@db/shop"}).check()
    with pytest.raises(ConfigError, match=r"the driver of mssql\+pyodbc is not installed: pyodbc"):
        Sql.load({"url": "mssql+pyodbc://me@db/shop", "password": "hunter22"}).check()


def test_the_password_of_a_url_is_a_secret_of_the_form() -> None:
    spec = Sql.spec()
    assert spec["properties"]["password"]["airbyte_secret"] is True
    source = Sql.load({"url": "postgresql+psycopg://me@localhost:1/shop", "password": "hunter22"})
    assert source.place() == "localhost/shop"


def test_an_integer_key_is_read_in_ranges_that_together_are_the_table(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kitestring.sql import source as sql_source

    source = make(
        "CREATE TABLE t (id INTEGER PRIMARY KEY)",
        "INSERT INTO t VALUES (-5), (0), (1), (99), (100), (101), (5000)",
    )
    monkeypatch.setattr(sql_source, "RANGE_KEYS", 100)
    monkeypatch.setattr(Sqlite, "splits", True)
    (stream,) = source.discover()
    partitions = list(source.partitions([stream], {}))
    assert len(partitions) > 3
    rows = [row["id"] for part in partitions for batch in source.read(part, {}) for row in batch.rows()]  # type: ignore[union-attr]
    assert sorted(rows) == [-5, 0, 1, 99, 100, 101, 5000]


def test_every_type_of_duckdb_arrives_exactly(tmp_path: Path) -> None:
    import duckdb

    path = tmp_path / "shop.duckdb"
    with duckdb.connect(str(path)) as db:
        db.execute(
            """CREATE TABLE t AS SELECT 1 AS id, 170141183460469231731687303715884105727::HUGEINT AS huge,
            1.5::DECIMAL(30, 4) AS price, INTERVAL 1 DAY AS pause, 'a'::ENUM('a', 'b') AS kind,
            '{"a": [1.0]}'::JSON AS doc, MAP {'x': 1} AS pairs, [1, NULL] AS list, {'k': [1::HUGEINT]} AS deep,
            TIMETZ '10:00:00+01:00' AS clock, '101'::BIT AS bits, 'x'::BLOB AS raw"""
        )
    result, rows = run(Duckdb.load({"path": str(path)}), sync_mode="full_refresh", write_mode="append")
    assert result.ok, result.as_dict()
    assert rows == [
        {
            "id": 1,
            "huge": "170141183460469231731687303715884105727",
            "price": Decimal("1.5000"),
            "pause": "1 day",
            "kind": "a",
            "doc": '{"a": [1.0]}',
            "pairs": '{"x":1}',
            "list": [1, None],
            "deep": '{"k":[1]}',
            "clock": "10:00:00+01",
            "bits": "101",
            "raw": b"x",
        }
    ]


def test_tables_of_several_schemas_are_streams_with_a_namespace(tmp_path: Path) -> None:
    import duckdb

    path = tmp_path / "shop.duckdb"
    with duckdb.connect(str(path)) as db:
        for statement in ("CREATE SCHEMA more", "CREATE TABLE more.t (id INT)", "CREATE TABLE t (id INT)"):
            db.execute(statement)
    catalog: Catalog = Duckdb.load({"path": str(path), "schemas": []}).discover()
    assert sorted(stream.key for stream in catalog) == ["more.t", "t"]
    assert [stream.key for stream in Duckdb.load({"path": str(path)}).discover()] == ["t"]


def test_a_cursor_of_seconds_brings_no_row_twice(tmp_path: Path) -> None:
    import duckdb

    path = tmp_path / "shop.duckdb"
    with duckdb.connect(str(path)) as db:
        db.execute(
            "CREATE TABLE t AS SELECT n AS id, make_timestamp(n * 1000000)::TIMESTAMP_S AS at FROM range(9) r(n)"
        )
    source, states, destination = Duckdb.load({"path": str(path)}), MemoryStates(), MemoryDestination()
    for _ in range(2):
        result = sync(source, destination, [Selection("t", "incremental", "append", cursor="at")], states=states)
        assert result.ok, result.as_dict()
    assert sorted(row["id"] for row in destination.stored["t"]) == [*range(9)]


def test_a_text_cursor_of_a_column_that_ignores_case_brings_every_row_once(make: Make) -> None:
    source = make(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, tag TEXT COLLATE NOCASE)",
        "INSERT INTO t VALUES (1, 'b'), (2, 'B'), (3, 'b'), (4, 'a'), (5, 'C')",
    )
    states, destination = MemoryStates(), MemoryDestination()
    for expected in ([1, 2, 3, 4, 5], [1, 2, 3, 4, 5, 6, 7]):
        assert sync(source, destination, [Selection("t", "incremental", cursor="tag")], states=states).ok
        assert sorted(row["id"] for row in destination.stored["t"]) == expected
        if len(expected) == 5:
            make("INSERT INTO t VALUES (6, 'b'), (7, 'c')")
