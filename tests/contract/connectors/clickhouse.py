"""ClickHouse keeps the contract of sources: the real engine behind a stand-in of its HTTP interface."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from kitestring.batch import Batch
from kitestring.errors import KitestringError, TransientError
from kitestring.source import Source
from kitestring.sources.clickhouse import Clickhouse
from kitestring.testing.contract import SourceContract
from kitestring.types import Stream


class TestClickhouse(SourceContract):
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
