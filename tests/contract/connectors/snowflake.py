"""Snowflake keeps the contracts of sources and of SQL destinations, on fakesnow: Snowflake's connector, and a server on
DuckDB."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

import pytest
from stand_ins.snowflake import snowflake_server

from contract.warehouse_sample import WAREHOUSE_SAMPLE
from kitestring import json_codec
from kitestring.airbyte.modes import WRITES
from kitestring.destination import Destination
from kitestring.destinations.snowflake.dialect import DIALECT, capitals
from kitestring.engine import MemoryStates, Selection, Status, sync
from kitestring.errors import ConfigError, TransientError
from kitestring.source import Source
from kitestring.testing.contract import SourceContract, SqlContract
from kitestring.testing.memory import MemoryDestination
from kitestring.types import Record, Stream

numbers = itertools.count(1)

STATEMENTS = (
    "CREATE TABLE plain (id bigint PRIMARY KEY, name varchar, seen timestamp_tz, price number(8, 2))",
    "INSERT INTO plain SELECT n, 'n' || n, dateadd(second, floor(n / 60), '2026-01-01 00:00:00+00:00'::timestamp_tz), "
    "n / 4 FROM (SELECT row_number() OVER (ORDER BY 1) AS n FROM table(generator(rowcount => 250)))",
    'CREATE TABLE "Odd" ("a b" int, c int, "50 %s" variant, PRIMARY KEY (c, "a b"))',
    """INSERT INTO "Odd" SELECT id, mod(id, 5), parse_json('{"x": 1}') FROM plain WHERE id <= 50""",
    "CREATE VIEW small AS SELECT id FROM plain WHERE id < 3",
)


@pytest.fixture(scope="module")
def server() -> Iterator[dict[str, Any]]:
    """The driver gives up at once, where the server has a defect."""
    pytest.importorskip("fakesnow")
    from kitestring.vendors import snowflake as vendor

    with mock.patch.object(vendor, "NETWORK_TIMEOUT_S", 1), snowflake_server() as arguments:
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


class TestSnowflakeDestination(SqlContract):
    """Each folder is a database."""

    emulated_cases = WAREHOUSE_SAMPLE
    types = {
        "id": "NUMBER",
        "text": "TEXT",
        "number": "FLOAT",
        "flag": "BOOLEAN",
        "at": "TIMESTAMP_TZ",
        "nested": "VARIANT",
        "tags": "VARIANT",
    }
    widened = ("NUMBER", "FLOAT", "TEXT")
    schema = "PUBLIC"
    gaps: ClassVar[dict[str, str]] = {
        "test_names_that_mean_something_to_a_database_are_names_of_fields": "fakesnow reads $ in a name "
        "as a variable, and does not quote an apostrophe in the name of a column",
        "test_a_namespace_with_an_odd_name_is_a_schema": "fakesnow does not quote the name of a new schema",
    }

    @pytest.fixture(autouse=True)
    def _databases(self, server: dict[str, Any]) -> None:
        self.server = server
        self.databases: dict[Path, str] = {}

    def make_with(self, folder: Path, **options: Any) -> Destination:
        from kitestring.destinations.snowflake import Snowflake

        self.database = self.databases.setdefault(folder, f"KEPT_{next(numbers)}")
        return Snowflake.load({**config_of(self.server, self.database), **options})

    def execute(self, destination: Destination, statement: str) -> list[Record]:
        """Names in small letters, documents as they are."""
        import snowflake.connector
        from snowflake.connector.constants import FIELD_NAME_TO_ID

        arguments = {**self.server, "database": destination.database, "schema": "PUBLIC"}  # type: ignore[attr-defined]
        with snowflake.connector.connect(**arguments) as connection, connection.cursor() as cursor:
            rows = cursor.execute(statement).fetchall()
            columns = [
                (column.name.lower(), column.type_code == FIELD_NAME_TO_ID["VARIANT"]) for column in cursor.description
            ]
        return [
            {
                name: json_codec.loads(value) if is_document and value is not None else value
                for (name, is_document), value in zip(columns, row, strict=True)
            }
            for row in rows
        ]

    def column_types(self, destination: Destination, stream: Stream) -> dict[str, str]:
        place = f"table_schema = '{(stream.namespace or self.schema).upper()}' AND table_name = '{stream.name.upper()}'"
        query = f"SELECT column_name AS name, data_type AS type FROM information_schema.columns WHERE {place}"
        return {row["name"].lower(): row["type"] for row in self.execute(destination, query)}

    def tables(self, destination: Destination) -> set[str]:
        query = "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'PUBLIC'"
        return {row["name"] for row in self.execute(destination, query)}

    def table(self, stream: Stream) -> str:
        return f"{DIALECT.quoted(capitals(stream.namespace or self.schema))}.{DIALECT.quoted(capitals(stream.name))}"


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
    from kitestring.vendors import snowflake as vendor

    run(server, "GONE", "CREATE TABLE t (id int)")
    source = snowflake.Snowflake.load(config_of(server, "GONE"))
    (stream,) = source.discover()
    (partition,) = source.partitions([stream], {})
    run(server, "GONE", "DROP TABLE t")
    with pytest.raises(ConfigError, match=r"no longer has a table PUBLIC\.T"):
        list(source.read(partition, {}))
    monkeypatch.setattr(vendor, "LOGIN_TIMEOUT_S", 1)
    away = snowflake.Snowflake.load({**config_of(server, "GONE"), "host": "http://127.0.0.1:9"})
    with pytest.raises(TransientError, match="cannot be read now"):
        away.check()


def test_the_configuration_of_airbytes_destination_is_accepted_or_refused_with_the_reason() -> None:
    from kitestring.destinations.snowflake import Snowflake

    config: dict[str, Any] = {
        "credentials": {"auth_type": "Key Pair Authentication", "private_key": "PEM", "private_key_password": "x"},
        "host": "acme.eu-central-1.snowflakecomputing.com",
        "role": "LOADER",
        "warehouse": "COMPUTE_WH",
        "database": "SHOP",
        "schema": "sales",
        "username": "WRITER",
        "jdbc_url_params": "",
        "raw_data_schema": "airbyte_internal",
        "cdc_deletion_mode": "Hard delete",
        "disable_type_dedupe": False,
        "retention_period_days": 1,
        "use_merge_for_upsert": True,
    }
    destination = Snowflake.load(config)
    assert (destination.private_key, destination.schema_name, destination.swap) == ("PEM", "sales", False)
    for change, words in (
        ({"credentials": {"auth_type": "OAuth2.0"}}, "use a private key"),
        ({"credentials": {}}, "give either"),
        ({"disable_type_dedupe": True}, "raw tables are not written"),
        ({"cdc_deletion_mode": "Soft delete"}, "write mode `soft_delete`"),
        ({"retention_period_days": 7}, "DATA_RETENTION_TIME_IN_DAYS"),
        ({"jdbc_url_params": "x=1"}, "no JDBC parameters"),
    ):
        with pytest.raises(ConfigError, match=words):
            Snowflake.load({**config, **change})


def test_a_batch_is_written_once_though_the_answer_to_its_commit_is_lost(
    server: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from kitestring.batch import Batch
    from kitestring.destinations.snowflake import Snowflake

    destination = Snowflake.load(config_of(server, "LOST"))
    stream = Stream("things", schema={"properties": {"id": {"type": "integer"}}}, write=WRITES["append"])
    destination.begin(stream)
    rows = Batch(stream.key, rows=[{"id": 1}, {"id": 2}])
    destination.write(stream, destination.prepare(stream, rows))
    monkeypatch.setattr("stand_ins.snowflake.FAULTS", {"COMMIT"})
    assert destination.write(stream, destination.prepare(stream, rows)).written == 2
    monkeypatch.setattr("stand_ins.snowflake.FAULTS", set())
    assert destination.count(stream) == 4
    destination.close()
