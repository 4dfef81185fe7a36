"""PostgreSQL keeps the contracts of sources and destinations, on a real server."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from kitestring import json_codec
from kitestring.destination import Destination
from kitestring.source import Source
from kitestring.testing.contract import CdcContract, SourceContract, SqlContract
from kitestring.types import Record, Stream

numbers = itertools.count()


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


class TestPostgresCapture(CdcContract):
    @pytest.fixture(autouse=True)
    def _captured(self, captured: Any) -> None:
        self.database = captured

    def make(self, folder: Path) -> Source:
        from kitestring.sources.postgres import Postgres

        method = {"method": "CDC", "replication_slot": self.database.name, "publication": "changes"}
        return Postgres.load({**self.database.config, "replication_method": method})

    def execute(self, *statements: str) -> None:
        self.database.run(*statements)

    def transaction(self, *statements: str) -> None:
        self.database.run_together(*statements)

    def lose_log(self) -> None:
        self.database.run(f"SELECT pg_drop_replication_slot('{self.database.name}')")

    def small_parts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from kitestring.sources.postgres import needed_load

        monkeypatch.setattr(needed_load, "PART_BYTES", 8192)


@pytest.fixture(scope="module")
def kept(postgres_server: Any) -> Iterator[Any]:
    postgres_server.run("CREATE DATABASE kept STRATEGY file_copy")
    yield replace(postgres_server, name="kept")
    postgres_server.run("DROP DATABASE kept WITH (FORCE)")


class TestPostgres(SqlContract):
    types = {
        "id": "bigint",
        "text": "text",
        "number": "double precision",
        "flag": "boolean",
        "at": "timestamp with time zone",
        "nested": "jsonb",
        "tags": "jsonb",
    }
    widened = ("bigint", "double precision", "text")

    @pytest.fixture(autouse=True)
    def _empty_database(self, kept: Any) -> Iterator[None]:
        self.database = kept
        self.schemas: dict[Path, str] = {}
        yield
        system = "('pg_catalog', 'information_schema', 'pg_toast')"
        for row in kept.run(f"SELECT quote_ident(nspname) AS name FROM pg_namespace WHERE nspname NOT IN {system}"):
            if not row["name"].startswith("pg_"):
                kept.run(f"DROP SCHEMA {row['name']} CASCADE")

    def make_with(self, folder: Path, **options: Any) -> Destination:
        """Each folder is a schema."""
        from kitestring.destinations.postgres import Postgres

        self.schema = self.schemas.setdefault(folder, f"kept_{next(numbers)}")  # type: ignore[misc]
        return Postgres.load({**self.database.config, "schema": self.schema, **options})

    def execute(self, destination: Destination, statement: str) -> list[Record]:
        return list(self.database.run(statement))

    def stored(self, destination: Destination, stream: Stream) -> list[Record]:
        rows = super().stored(destination, stream)
        types = self.column_types(destination, stream)
        json = [column for column, type_ in types.items() if type_ == "jsonb"]
        return [row | {name: json_codec.loads(row[name]) for name in json if row.get(name) is not None} for row in rows]

    def expected(self, record: Record) -> Record:
        """No text of PostgreSQL holds NUL."""
        return {
            name: value.replace("\0", "\ufffd") if isinstance(value, str) else value for name, value in record.items()
        }
