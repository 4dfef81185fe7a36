"""The writer of `cdc_under_fire.py` for MariaDB: the same transactions in its SQL, and in its own log formats.

Sessions write with whole and with partial row images; foreign keys, replica identities and partitions that move rows,
which MariaDB does not have or does not log, are left out.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

from cdc_under_fire import KEYS, TABLES, Fire, LostError, RefusedError

COLUMNS = "name varchar(100), amount decimal(12,2), body longtext, seen datetime(6)"
KEYED = {
    **dict.fromkeys(("accounts", "notes"), f"id int PRIMARY KEY, {COLUMNS}"),
    "lines": f"a int, b varchar(20) CHARACTER SET latin1, {COLUMNS}, PRIMARY KEY (a, b)",
    "parts": f"id int, {COLUMNS}, PRIMARY KEY (id)",
    "sums": f"id int PRIMARY KEY, {COLUMNS}, twice decimal(14,2) AS (amount * 2) STORED",
    "trail": "entry bigint, name varchar(100)",
}
PARTITIONS = (
    "PARTITION BY RANGE (id) (PARTITION a VALUES LESS THAN (100), PARTITION b VALUES LESS THAN (250), "
    "PARTITION c VALUES LESS THAN MAXVALUE)"
)
LINES = re.compile(r"\blines\b")
"""A word of its SQL."""
IMAGES = ("FULL", "FULL", "MINIMAL", "NOBLOB")
REFUSALS = frozenset({1020, 1060, 1062, 1205, 1213, 1412})
"""Errors by which a transaction gives way to another one: a key or a column is there, a lock, a table was altered."""


class MariadbFire(Fire):
    connector = "mysql"
    namespace = "fire"
    no_log = "STANDARD"
    committing = ("ALTER", "TRUNCATE")

    def __init__(self, server: Any, seed: int, rate: float) -> None:
        super().__init__(replace(server, name="fire"), seed, rate)
        self.server = server

    def source(self) -> dict[str, Any]:
        return {**self.database.config, "replication_method": {"method": "CDC"}}

    @contextmanager
    def copies(self) -> Iterator[dict[str, Any]]:
        from postgres_server import running

        with running() as database:
            database.run("CREATE DATABASE copies")
            yield {**database.config, "database": "copies"}

    def prepare(self) -> None:
        self.server.run("CREATE DATABASE fire CHARACTER SET utf8mb4")
        for name in TABLES:
            self.database.run(f"CREATE TABLE `{name}` ({KEYED[name]}) {PARTITIONS if name == 'parts' else ''}")
            if name not in ("lines", "trail"):
                self.database.run(
                    f"INSERT INTO {name} (id, name, amount, body) "  # noqa: S608 - ours
                    f"SELECT seq, concat('n', seq), seq, repeat(seq, 50) FROM seq_1_to_{KEYS}"
                )
        self.database.run("INSERT INTO `lines` (a, b, name) SELECT seq, concat('b', seq), 'n' FROM seq_1_to_100")
        self.texts = 4 * KEYS + 100

    def cut(self) -> None:
        for row in self.server.run("SELECT id FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%'"):
            with suppress(Exception):  # it may be gone by now
                self.server.run(f"KILL {row['id']}")

    def restart(self) -> None:
        self.server.stop()
        time.sleep(0.5)
        self.server.start()

    def connect(self) -> Any:
        import pymysql
        from mariadb_server import PASSWORD, USER
        from pymysql.constants import CLIENT

        image = self.random.choice(IMAGES)
        try:
            return pymysql.connect(
                host="127.0.0.1",
                port=self.database.port,
                user=USER,
                password=PASSWORD.encode(),
                database="fire",
                charset="utf8mb4",
                ssl_disabled=True,
                client_flag=CLIENT.MULTI_STATEMENTS,
                init_command=f"SET SESSION binlog_row_image = '{image}', innodb_lock_wait_timeout = 5",
            )
        except (pymysql.err.OperationalError, pymysql.err.InterfaceError) as error:
            raise LostError from error

    def send(self, session: Any, statements: Sequence[str], end: str) -> Any:
        session = super().send(session, statements, end)
        if session is not None and self.random.random() < 0.002:  # another session, with another image
            session.close()
            return None
        return session

    def execute(self, session: Any, statements: Sequence[str]) -> list[int]:
        import pymysql

        counts = []
        try:
            with session.cursor() as cursor:
                cursor.execute("; ".join(["START TRANSACTION", *(LINES.sub("`lines`", each) for each in statements)]))
                while cursor.nextset():
                    counts.append(cursor.rowcount)
        except pymysql.err.MySQLError as error:
            try:
                session.rollback()
            except (pymysql.err.OperationalError, pymysql.err.InterfaceError):
                raise LostError from error
            if error.args[0] not in REFUSALS:
                raise
            raise RefusedError from error
        return counts[:-1]

    def change(self) -> str:
        statement = super().change()
        statement = statement.replace("now()", "now(6)")
        if statement.endswith(" ON CONFLICT DO NOTHING"):
            statement = statement.removesuffix(" ON CONFLICT DO NOTHING").replace(
                "INSERT INTO", "INSERT IGNORE INTO", 1
            )
        # A table that is changed cannot be read in the same statement: a taken key refuses the transaction.
        return statement.partition(" AND NOT EXISTS ")[0]

    def alter(self) -> Iterator[str]:
        r = self.random
        table = r.choice([name for name in TABLES if name != "trail"])
        added = self.added[table]
        if added and r.random() < 0.4:
            self.kinds["drop"] += 1
            yield f"ALTER TABLE {table} DROP COLUMN IF EXISTS {added.pop()}"
        elif added and r.random() < 0.3:
            self.kinds["type"] += 1
            yield f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS {added[-1]} int"
            yield f"ALTER TABLE {table} MODIFY COLUMN {added[-1]} varchar(30)"
        else:
            self.columns += 1
            added.append(f"c{self.columns}")
            self.kinds["add"] += 1
            default = r.choice(["", "DEFAULT 7", "DEFAULT (floor(rand() * 100))"])
            place = r.choice(["", "FIRST", "AFTER name"])
            yield f"ALTER TABLE {table} ADD COLUMN {added[-1]} int {default} {place}"
        yield f"UPDATE {table} SET name = 'altered' ORDER BY name LIMIT 1"  # noqa: S608 - ours
