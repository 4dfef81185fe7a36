"""A database by its URL keeps the contract of sources, on a real PostgreSQL."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from kitestring.source import Source
from kitestring.sources.sql import Sql
from kitestring.testing.contract import SourceContract
from kitestring.types import Stream


def config_of(database: Any) -> dict[str, Any]:
    url = f"postgresql+psycopg://{database.username}@{database.host}:{database.port}/{database.name}"
    return {"url": url, "password": database.password}


class TestSql(SourceContract):
    config: ClassVar[dict[str, Any]]

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _tables(cls, class_database: Any) -> None:
        pytest.importorskip("psycopg")
        cls.config = config_of(class_database)
        class_database.run(
            "CREATE TABLE plain (id bigint PRIMARY KEY, name text, seen timestamptz, price numeric(8, 2), day date)",
            "INSERT INTO plain SELECT n, 'n' || n, timestamptz '2026-01-01 00:00:00Z' + n / 60 * interval '1 s', "
            "n / 4.0, date '2026-01-01' + n FROM generate_series(1, 250) n",
            'CREATE TABLE "Odd" ("a b" int, c int, d jsonb, PRIMARY KEY (c, "a b"))',
            """INSERT INTO "Odd" SELECT n, n % 5, '{"x": 1}' FROM generate_series(1, 50) n""",
            "CREATE VIEW small AS SELECT id FROM plain WHERE id < 3",
        )

    def make(self, folder: Path) -> Source:
        return Sql.load(self.config)

    def streams(self, source: Source) -> list[Stream]:
        """Each with the cursor that a user would choose."""
        cursors = {"plain": "seen", "Odd": "c", "small": "id"}
        return [replace(stream, cursor=(cursors[stream.name],)) for stream in source.discover()]
