"""ClickHouse keeps the contracts of sources and of SQL destinations: the real engine behind a stand-in of its HTTP
interface."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from kitestring import json_codec
from kitestring.batch import Batch
from kitestring.destination import Destination
from kitestring.errors import KitestringError, TransientError
from kitestring.source import Source
from kitestring.sources.clickhouse import Clickhouse
from kitestring.testing.contract import SourceContract, SqlContract
from kitestring.types import Record, Stream

numbers = itertools.count()
SYSTEM = {"system", "information_schema", "INFORMATION_SCHEMA", "default"}


class TestClickhouseSource(SourceContract):
    server: ClassVar[Any]

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _server(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
        pytest.importorskip("chdb")
        from stand_ins.clickhouse import ClickhouseStandIn

        cls.server = ClickhouseStandIn(tmp_path_factory.mktemp("clickhouse"))
        cls.server.run(
            "CREATE DATABASE shop",
            "CREATE TABLE shop.plain (id UInt64, name LowCardinality(Nullable(String)), "
            "seen DateTime64(6, 'Europe/Berlin'), price Decimal(8, 2), day Date) ENGINE = MergeTree ORDER BY id",
            "INSERT INTO shop.plain SELECT number, if(number = 3, NULL, concat('n', toString(number))), "
            "toDateTime64('2026-01-01 00:00:00', 6, 'UTC') + intDiv(number, 3), number / 4, "
            "toDate('2026-01-01') + number FROM numbers(250)",
            "CREATE TABLE shop.odd (`a b` Int32, c DateTime, d Map(String, Array(Int128)), e Enum8('x' = 1)) "
            "ENGINE = MergeTree ORDER BY tuple()",
            "INSERT INTO shop.odd SELECT number, toDateTime(1767225600 + number % 5), map('k', [number]), 'x' "
            "FROM numbers(50)",
        )
        yield
        cls.server.close()

    def make(self, folder: Path) -> Source:
        return Clickhouse.load(self.server.config)

    def streams(self, source: Source) -> list[Stream]:
        """Each with the cursor and the key that a user would choose."""
        cursors, keys = {"plain": "seen", "odd": "c"}, {"plain": "id", "odd": "a b"}
        return [replace(s, cursor=(cursors[s.name],), primary_key=((keys[s.name],),)) for s in source.discover()]

    def test_values_arrive_exactly(self, tmp_path: Path) -> None:
        source = self.make(tmp_path)
        odd = next(stream for stream in source.discover() if stream.name == "odd")
        (partition,) = source.partitions([odd], {})
        row = next(row for item in source.read(partition, {}) if isinstance(item, Batch) for row in item.rows())
        moment = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
        assert row == {"a b": 0, "c": moment, "d": '{"k":[0]}', "e": "x"}

    def test_an_answer_that_breaks_off_is_no_short_table(self, tmp_path: Path) -> None:
        source = self.make(tmp_path)
        plain = next(stream for stream in source.discover() if stream.name == "plain")
        (partition,) = source.partitions([plain], {})
        self.server.cut = 8
        try:
            with pytest.raises(TransientError, match="broke off before the end"):
                list(source.read(partition, {}))
        finally:
            self.server.cut = 0

    def test_a_wrong_password_is_refused_and_not_shown(self) -> None:
        source = Clickhouse.load({**self.server.config, "password": "not the secret"})
        with pytest.raises(KitestringError, match="Authentication failed") as caught:
            source.check()
        assert "not the secret" not in str(caught.value)


class TestClickhouse(SqlContract):
    types: ClassVar[dict[str, str]] = {
        "id": "Nullable(Int64)",
        "text": "Nullable(String)",
        "number": "Nullable(Float64)",
        "flag": "Nullable(Bool)",
        "at": "Nullable(DateTime64(6, 'UTC'))",
        "nested": "Nullable(String)",
        "tags": "Nullable(String)",
    }
    widened = ("Nullable(Int64)", "Nullable(Float64)", "Nullable(String)")

    @pytest.fixture(autouse=True)
    def _databases(self, clickhouse_server: Any) -> Iterator[None]:
        self.server = clickhouse_server
        self.schemas: dict[Path, str] = {}
        yield
        for row in clickhouse_server.run("SELECT name FROM system.databases"):
            if row["name"] not in SYSTEM:
                clickhouse_server.run(f"DROP DATABASE {quoted(row['name'])} SYNC")

    def make_with(self, folder: Path, **options: Any) -> Destination:
        """Each folder is a database."""
        from kitestring.destinations.clickhouse import Clickhouse

        self.schema = self.schemas.setdefault(folder, f"kept_{next(numbers)}")  # type: ignore[misc]
        return Clickhouse.load({**self.server.config, "database": self.schema, **options})

    def execute(self, destination: Destination, statement: str) -> list[Record]:
        rows: list[Record] = self.server.run(statement)
        return rows

    def column_types(self, destination: Destination, stream: Stream) -> dict[str, str]:
        rows = self.server.run(f"DESCRIBE TABLE {self.table(stream)}")
        return {row["name"]: row["type"] for row in rows if row["default_type"] != "MATERIALIZED"}

    def tables(self, destination: Destination) -> set[str]:
        rows = self.server.run(f"SELECT name FROM system.tables WHERE database = '{self.schema}'")
        return {row["name"] for row in rows}

    def stored(self, destination: Destination, stream: Stream) -> list[Record]:
        """The comment of a column says that its texts are JSON."""
        rows = super().stored(destination, stream)
        documents = [
            row["name"] for row in self.server.run(f"DESCRIBE TABLE {self.table(stream)}") if row["comment"] == "JSON"
        ]
        return [
            row | {name: json_codec.loads(row[name]) for name in documents if row.get(name) is not None} for row in rows
        ]


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
