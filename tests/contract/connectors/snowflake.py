"""Snowflake keeps the contract of sources, on fakesnow: Snowflake's connector, and a server on DuckDB."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import pytest

from kitestring.engine import MemoryStates, Selection, Status, sync
from kitestring.errors import ConfigError, TransientError
from kitestring.source import Source
from kitestring.testing.contract import SourceContract
from kitestring.testing.memory import MemoryDestination
from kitestring.types import Stream

STATEMENTS = (
    "CREATE TABLE plain (id bigint PRIMARY KEY, name varchar, seen timestamp_tz, price number(8, 2))",
    "INSERT INTO plain SELECT n, 'n' || n, dateadd(second, floor(n / 60), '2026-01-01 00:00:00+00:00'::timestamp_tz), "
    "n / 4 FROM (SELECT row_number() OVER (ORDER BY 1) AS n FROM table(generator(rowcount => 250)))",
    'CREATE TABLE "Odd" ("a b" int, c int, "50 %" variant, PRIMARY KEY (c, "a b"))',
    """INSERT INTO "Odd" SELECT id, mod(id, 5), parse_json('{"x": 1}') FROM plain WHERE id <= 50""",
    "CREATE VIEW small AS SELECT id FROM plain WHERE id < 3",
)


@pytest.fixture(scope="module")
def server() -> Iterator[dict[str, Any]]:
    fakesnow = pytest.importorskip("fakesnow")
    with fakesnow.server() as arguments:
        yield arguments


def run(server: dict[str, Any], database: str, *statements: str) -> None:
    import snowflake.connector

    with snowflake.connector.connect(**{**server, "database": database, "schema": "PUBLIC"}) as connection:
        for statement in statements:
            connection.cursor().execute(statement)


def config_of(server: dict[str, Any], database: str) -> dict[str, Any]:
    return {
        "host": f"http://{server['host']}:{server['port']}",
        "database": database,
        "username": "fake",
        "password": "snow",
    }


class TestSnowflake(SourceContract):
    config: ClassVar[dict[str, Any]]

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _tables(cls, server: dict[str, Any]) -> None:
        cls.config = config_of(server, "SHOP")
        run(server, "SHOP", *STATEMENTS)

    def make(self, folder: Path) -> Source:
        from kitestring.sources.snowflake import Snowflake

        return Snowflake.load(self.config)

    def streams(self, source: Source) -> list[Stream]:
        """Each with the cursor that a user would choose."""
        cursors = {"PLAIN": "SEEN", "Odd": "C", "SMALL": "ID"}
        return [replace(stream, cursor=(cursors[stream.name],)) for stream in source.discover()]


def test_every_type_arrives_exactly_and_the_next_sync_goes_on(server: dict[str, Any]) -> None:
    from kitestring.sources.snowflake import Snowflake

    run(
        server,
        "TYPES",
        "CREATE TABLE t (id bigint, big number(38, 0), price number(20, 4), f float, flag boolean, day date, "
        "hour time, ntz timestamp_ntz, tz timestamp_tz, b binary, v variant, a array, s varchar)",
        "INSERT INTO t SELECT 1, 9007199254740993, 12345678901234.5678, 1.5, true, '2026-01-02', '10:00:00', "
        "'2026-01-01 00:00:00.123456', '2026-01-01 02:00:00+02:00', to_binary('00ff', 'hex'), "
        """parse_json('{"a": [1, null]}'), array_construct(1, 'x'), 'ä€😀''%s'""",
    )
    source, destination, states = Snowflake.load(config_of(server, "TYPES")), MemoryDestination(), MemoryStates()
    selection = Selection("PUBLIC.T", "incremental", cursor="ID", write_mode="append")
    assert sync(source, destination, [selection], states=states).status is Status.succeeded
    (row,) = destination.stored["PUBLIC.T"]
    assert row == {
        "ID": 1,
        "BIG": 9007199254740993,
        "PRICE": Decimal("12345678901234.5678"),
        "F": 1.5,
        "FLAG": True,
        "DAY": dt.date(2026, 1, 2),
        "HOUR": dt.time(10),
        "NTZ": dt.datetime(2026, 1, 1, 0, 0, 0, 123456),
        "TZ": dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
        "B": b"\x00\xff",
        "V": '{"a":[1,null]}',
        "A": '[1,"x"]',
        "S": "ä€😀'%s",
    }
    run(server, "TYPES", "INSERT INTO t (id, s) VALUES (2, 'new')")
    assert sync(source, destination, [selection], states=states).status is Status.succeeded
    assert [row["ID"] for row in destination.stored["PUBLIC.T"]] == [1, 2]
    source.close()


def test_the_configuration_of_airbyte_is_accepted_and_what_needs_more_is_refused() -> None:
    from kitestring.sources.snowflake import Snowflake

    config: dict[str, Any] = {
        "credentials": {"auth_type": "username/password", "username": "READER", "password": "hunter2"},
        "host": "acme.eu-central-1.snowflakecomputing.com",
        "role": "READERS",
        "warehouse": "COMPUTE_WH",
        "database": "SHOP",
        "schema": "SALES",
        "jdbc_url_params": "",
        "cursor": {"cursor_method": "user_defined"},
    }
    source = Snowflake.load(config)
    assert (source.username, source.schemas, source.place()) == (
        "READER",
        ["SALES"],
        "acme.eu-central-1.snowflakecomputing.com/SHOP",
    )
    for change, words in (
        ({"jdbc_url_params": "x=1"}, "jdbc_url_params needs"),
        ({"credentials": {"auth_type": "OAuth"}}, "OAuth is not supported"),
        ({"credentials": {"username": "READER"}}, "give either"),
    ):
        with pytest.raises(ConfigError, match=words):
            Snowflake.load({**config, **change})
    with pytest.raises(ConfigError, match="`private_key` cannot be read"):
        Snowflake.load({**config, "credentials": {"username": "R", "private_key": "no key"}}).check()


def test_a_table_that_is_gone_and_a_server_that_is_away_are_told_apart(
    server: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from kitestring.sources import snowflake

    run(server, "GONE", "CREATE TABLE t (id int)")
    source = snowflake.Snowflake.load(config_of(server, "GONE"))
    (stream,) = source.discover()
    (partition,) = source.partitions([stream], {})
    run(server, "GONE", "DROP TABLE t")
    with pytest.raises(ConfigError, match=r"no longer has a table PUBLIC\.T"):
        list(source.read(partition, {}))
    monkeypatch.setattr(snowflake, "LOGIN_TIMEOUT_S", 1)
    away = snowflake.Snowflake.load({**config_of(server, "GONE"), "host": "http://127.0.0.1:9"})
    with pytest.raises(TransientError, match="cannot be read now"):
        away.check()
