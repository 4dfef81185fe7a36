"""A real MariaDB for tests: on loopback, with a password, in a folder of its own; one for each worker of a run."""

from __future__ import annotations

import fcntl
import itertools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

USER, PASSWORD = "tester", "se'cr\\et 1"
SETTINGS = (
    *("--innodb-flush-log-at-trx-commit=2", "--innodb-buffer-pool-size=48M", "--innodb-log-file-size=48M"),
    *("--skip-name-resolve", "--performance-schema=off", "--key-buffer-size=1M", "--aria-pagecache-buffer-size=8M"),
    *("--log-bin=binlog", "--server-id=1", "--binlog-format=ROW", "--binlog-row-metadata=FULL", "--sync-binlog=0"),
)
PROGRAMS = "/usr/sbin:/usr/local/sbin:/usr/libexec"
"""Where the server is, which is not on the PATH of every user."""


@dataclass(frozen=True)
class MysqlDatabase:
    """A database for one test; it need not exist."""

    port: int
    name: str
    stop: Callable[[], None] = field(default=lambda: None, compare=False, repr=False)
    """Stops the server as a crash would. Only the server's own has it, as `start`."""
    start: Callable[[], None] = field(default=lambda: None, compare=False, repr=False)

    @property
    def config(self) -> dict[str, Any]:
        """What a connector needs to connect."""
        return {
            "host": "127.0.0.1",
            "port": self.port,
            "database": self.name,
            "username": USER,
            "password": PASSWORD,
        }

    def run(self, *statements: str) -> list[dict[str, Any]]:
        """Run statements, each committed, with names in double quotes; returns the rows of the last."""
        import pymysql

        connection = pymysql.connect(
            host="127.0.0.1",
            port=self.port,
            user=USER,
            password=PASSWORD.encode(),
            charset="utf8mb4",
            autocommit=True,
            cursorclass=pymysql.cursors.DictCursor,
            init_command="SET SESSION sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES', time_zone = '+00:00'",
            ssl_disabled=True,
        )
        with connection, connection.cursor() as cursor:
            if self.name and any(row["Database"] == self.name for row in fetched(cursor, "SHOW DATABASES")):
                connection.select_db(self.name)
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall())


def fetched(cursor: Any, statement: str) -> Sequence[dict[str, Any]]:
    cursor.execute(statement)
    rows: Sequence[dict[str, Any]] = cursor.fetchall()
    return rows


def program(name: str) -> str:
    """The path of a program of MariaDB; skips the test without it."""
    path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:{PROGRAMS}")
    if path is None:
        pytest.skip("MariaDB is not installed here (apt-get install mariadb-server)")
    return path


def new_data(template: Path, folder: Path) -> None:
    """The data of a new server. They are made once for all workers, since that takes seconds."""
    with open(template.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not template.exists():
            unfinished = template.with_suffix(".new")
            command = [program("mariadb-install-db"), "--no-defaults", f"--datadir={unfinished}", "--skip-test-db"]
            command += ["--auth-root-authentication-method=normal", "--innodb-log-file-size=48M", *user()]
            subprocess.run(command, check=True, capture_output=True)
            unfinished.rename(template)
    shutil.copytree(template, folder)


def user() -> list[str]:
    return ["--user=root"] if os.getuid() == 0 else []


@contextmanager
def running(template: Path, settings: Sequence[str] = ()) -> Iterator[MysqlDatabase]:
    """A server as long as the context lasts."""
    folder = Path(tempfile.mkdtemp(prefix="ksmy"))
    new_data(template, folder / "data")
    temporary = folder / "tmp"
    temporary.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        command = [program("mariadbd"), "--no-defaults", f"--datadir={folder / 'data'}", *user(), *SETTINGS, *settings]
        # A server removes all temporary tables of its `tmpdir` when it starts, also those of another one in use.
        command += [f"--tmpdir={temporary}", f"--socket={folder / 'socket'}"]
        command += [f"--port={port}", "--bind-address=127.0.0.1"]
        with open(folder / "log", "ab") as log:
            processes.append(subprocess.Popen(command, stdout=log, stderr=log))
        wait_for(folder / "socket", processes[-1])

    def stop() -> None:
        processes[-1].send_signal(signal.SIGKILL)
        processes[-1].wait()

    start()
    try:
        client = ["--no-defaults", f"--socket={folder / 'socket'}", "--user=root"]
        literal = PASSWORD.replace("\\", "\\\\").replace("'", "''")
        statement = (
            f"CREATE USER {USER}@'%' IDENTIFIED BY '{literal}'; GRANT ALL ON *.* TO {USER}@'%' WITH GRANT OPTION"
        )
        subprocess.run([program("mariadb"), *client, "-e", statement], check=True, capture_output=True)
        yield MysqlDatabase(port, "", stop=stop, start=start)
    finally:
        with suppress(ProcessLookupError):
            stop()
        shutil.rmtree(folder, ignore_errors=True)


def wait_for(path: Path, process: subprocess.Popen[bytes]) -> None:
    """Wait until the server answers."""
    while True:
        with socket.socket(socket.AF_UNIX) as client, suppress(OSError):
            client.connect(str(path))
            if client.recv(1):
                return
        if process.poll() is not None:
            raise AssertionError((path.parent / "log").read_text()[-2000:])
        time.sleep(0.05)


@pytest.fixture(scope="session")
def mariadb_data(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """Where the data of a new server are, once there is one."""
    pytest.importorskip("pymysql")
    program("mariadbd")
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if hasattr(request.config, "workerinput") else base
    return shared / "mariadb_data"


@pytest.fixture(scope="session")
def mariadb_server(mariadb_data: Path) -> Iterator[MysqlDatabase]:
    """The server itself, in no database."""
    with running(mariadb_data) as server:
        yield server


numbers = itertools.count()


@pytest.fixture
def mysql_database(mariadb_server: MysqlDatabase) -> Iterator[MysqlDatabase]:
    """An empty database."""
    with created(mariadb_server) as database:
        yield database


@pytest.fixture(scope="class")
def class_mysql_database(mariadb_server: MysqlDatabase) -> Iterator[MysqlDatabase]:
    """An empty database for all tests of a class."""
    with created(mariadb_server) as database:
        yield database


@contextmanager
def created(server: MysqlDatabase) -> Iterator[MysqlDatabase]:
    name = f"test_{next(numbers)}"
    server.run(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
    yield replace(server, name=name)
    server.run(f"DROP DATABASE {name}")
