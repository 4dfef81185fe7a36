"""PostgreSQL keeps the contracts of sources and destinations, on a real server."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from kitestring.destination import Destination
from kitestring.source import Source
from kitestring.testing.contract import DestinationContract, SourceContract
from kitestring.types import Record, Stream


class TestPostgresSource(SourceContract):
    config: ClassVar[dict[str, Any]]

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _tables(cls, class_database: Any) -> None:
        cls.config = class_database.config
        class_database.run(
            "CREATE TABLE plain (id bigint PRIMARY KEY, name text, seen timestamptz)",
            "INSERT INTO plain SELECT n, 'n' || n, timestamptz '2026-01-01 00:00:00Z' + n / 60 * interval '1 s' "
            "FROM generate_series(1, 250) n",
            'CREATE TABLE "Odd" ("a b" int, c int, d jsonb, PRIMARY KEY (c, "a b"))',
            """INSERT INTO "Odd" SELECT n, n % 5, '{"x": 1}' FROM generate_series(1, 50) n""",
            "CREATE VIEW small AS SELECT id FROM plain WHERE id < 3",
        )

    def make(self, folder: Path) -> Source:
        from kitestring.sources.postgres import Postgres

        return Postgres.load(self.config)

    def streams(self, source: Source) -> list[Stream]:
        """Each with the cursor that a user would choose."""
        cursors = {"plain": "seen", "Odd": "c", "small": "id"}
        return [replace(stream, cursor=(cursors[stream.name],)) for stream in source.discover()]


class TestPostgres(DestinationContract):
    @pytest.fixture(autouse=True)
    def _database(self, database: Any) -> None:
        self.database = database

    def make(self, folder: Path) -> Destination:
        from kitestring.destinations.postgres import Postgres

        return Postgres.load({**self.database.config, "schema": "kept"})

    def stored(self, destination: Destination, stream: Stream) -> list[Record]:
        from kitestring.vendors.postgres import quoted

        return list(self.database.run(f"SELECT * FROM kept.{quoted(stream.name)}"))
