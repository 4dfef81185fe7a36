"""MySQL keeps the contracts of sources and of SQL destinations, on a real MariaDB."""

from __future__ import annotations

import datetime as dt
import itertools
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from kitestring import json_codec
from kitestring.destination import Destination
from kitestring.destinations.mysql.notes import NOTES
from kitestring.source import Source
from kitestring.testing.contract import CdcContract, SourceContract, SqlContract
from kitestring.types import Record, Stream

numbers = itertools.count()
SYSTEM = {"information_schema", "performance_schema", "mysql", "sys"}


class TestMysqlSource(SourceContract):
    config: ClassVar[dict[str, Any]]

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _tables(cls, class_mysql_database: Any) -> None:
        cls.config = class_mysql_database.config
        moments = [f"2026-01-01 00:{n // 60:02}:{n % 60:02}" for n in range(250)]
        rows = ", ".join(f"({n}, 'n{n}', '{moment}')" for n, moment in enumerate(moments))
        odd = ", ".join(f"({n}, {n % 5}, '{{}}')" for n in range(50))
        class_mysql_database.run(
            "CREATE TABLE plain (id bigint PRIMARY KEY, name text, seen timestamp)",
            f"INSERT INTO plain VALUES {rows}",
            'CREATE TABLE "Odd" ("a b" int, c int, d json, PRIMARY KEY (c, "a b"))',
            f'INSERT INTO "Odd" VALUES {odd}',
            "CREATE VIEW small AS SELECT id FROM plain WHERE id < 3",
        )

    def make(self, folder: Path) -> Source:
        from kitestring.sources.mysql import Mysql

        return Mysql.load(self.config)

    def streams(self, source: Source) -> list[Stream]:
        """Each with the cursor that a user would choose."""
        cursors = {"plain": "seen", "Odd": "c", "small": "id"}
        return [replace(stream, cursor=(cursors[stream.name],)) for stream in source.discover()]


class TestMysqlCapture(CdcContract):
    long_text: ClassVar[str] = "longtext"
    gaps: ClassVar[dict[str, str]] = {
        "test_the_position_moves_when_nothing_changes": "an idle server logs nothing, and keeps nothing for a reader",
    }

    @pytest.fixture(autouse=True)
    def _captured(self, mysql_database: Any) -> None:
        self.database = mysql_database

    def make(self, folder: Path) -> Source:
        from kitestring.sources.mysql import Mysql

        return Mysql.load({**self.database.config, "replication_method": {"method": "CDC"}})

    def key(self, table: str) -> str:
        return f"{self.database.name}.{table}"

    def execute(self, *statements: str) -> None:
        self.database.run(*statements)

    def transaction(self, *statements: str) -> None:
        self.database.run("START TRANSACTION", *statements, "COMMIT")

    def lose_log(self) -> None:
        (status,) = self.database.run("FLUSH BINARY LOGS", "SHOW MASTER STATUS")
        # A file stays while a connection that has ended is still seen as its reader.
        deadline = time.monotonic() + 300
        while len(self.database.run(f"PURGE BINARY LOGS TO '{status['File']}'", "SHOW BINARY LOGS")) > 1:
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def small_parts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from kitestring.sources.mysql import capture

        monkeypatch.setattr(capture, "PART_KEYS", 100)

    def retype(self, table: str, column: str, type_: str) -> str:
        return f"ALTER TABLE {table} MODIFY COLUMN {column} {type_}"


class TestMysql(SqlContract):
    types = {
        "id": "bigint",
        "text": "longtext",
        "number": "double",
        "flag": "tinyint",
        "at": "datetime",
        "nested": "longtext",
        "tags": "longtext",
    }
    widened = ("bigint", "double", "longtext")

    @pytest.fixture(autouse=True)
    def _databases(self, mariadb_server: Any) -> Iterator[None]:
        self.server = mariadb_server
        self.schemas: dict[Path, str] = {}
        yield
        for row in mariadb_server.run("SHOW DATABASES"):
            if row["Database"] not in SYSTEM and not row["Database"].startswith("test_"):
                mariadb_server.run(f'DROP DATABASE "{row["Database"].replace(chr(34), chr(34) * 2)}"')

    def make_with(self, folder: Path, **options: Any) -> Destination:
        """Each folder is a database."""
        from kitestring.destinations.mysql import Mysql

        self.schema = self.schemas.setdefault(folder, f"kept_{next(numbers)}")  # type: ignore[misc]
        return Mysql.load({**self.server.config, "database": self.schema, **options})

    def execute(self, destination: Destination, statement: str) -> list[Record]:
        rows = self.server.run(statement)
        moment = "_airbyte_extracted_at"  # in UTC, by the comment of its column
        return [row | ({moment: row[moment].replace(tzinfo=dt.UTC)} if row.get(moment) else {}) for row in rows]

    def column_types(self, destination: Destination, stream: Stream) -> dict[str, str]:
        place = f"table_schema = '{stream.namespace or self.schema}' AND table_name = '{stream.name}'"
        rows = self.execute(
            destination,
            "SELECT column_name AS name, data_type AS type FROM information_schema.columns "
            f"WHERE {place} AND extra NOT LIKE '%INVISIBLE%'",
        )
        return {row["name"]: row["type"] for row in rows}

    def tables(self, destination: Destination) -> set[str]:
        place = f"table_schema = '{self.schema}' AND table_name <> '{NOTES}'"
        rows = self.execute(destination, f"SELECT table_name AS name FROM information_schema.tables WHERE {place}")
        return {row["name"] for row in rows}

    def stored(self, destination: Destination, stream: Stream) -> list[Record]:
        """Objects and lists are JSON texts, moments are in UTC: the comments of their columns say so."""
        rows = super().stored(destination, stream)
        place = f"table_schema = '{stream.namespace or self.schema}' AND column_comment <> ''"
        name = stream.name.replace("'", "''")
        comments = self.execute(
            destination,
            "SELECT column_name AS name, column_comment AS comment FROM information_schema.columns "
            f"WHERE {place} AND table_name = '{name}'",
        )
        read: dict[str, Any] = {"JSON": json_codec.loads, "UTC": lambda value: value.replace(tzinfo=dt.UTC)}
        for row in rows:
            for column in comments:
                value = row.get(column["name"])
                if value is not None and column["comment"] in read and column["name"] != "_airbyte_extracted_at":
                    row[column["name"]] = read[column["comment"]](value)
        return rows

    def expected(self, record: Record) -> Record:
        """Truth is 1 or 0."""
        return record | ({"flag": int(record["flag"])} if isinstance(record.get("flag"), bool) else {})
