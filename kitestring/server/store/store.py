"""The store: transactions on SQLite (one writer at a time) or PostgreSQL."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, OperationalError

from kitestring.errors import ConfigError, TransientError
from kitestring.json_codec import dumps_text, loads
from kitestring.server.clock import now_ms

BUSY_S = 30.0

COMMITS: ContextVar[list[str] | None] = ContextVar("kitestring_commits", default=None)
"""Gets an entry with each transaction of `Store.write` of this context that is about to be committed: what follows may
fail, and the change stay. None: nobody asks."""


def new_id() -> str:
    return str(uuid.uuid4())


class StoreError(TransientError):
    """The database is away or busy for too long. The message names its address: it is for the operator."""


class Store:
    """The store at a URL of SQLAlchemy's. Safe to share between threads.

    `with store.write() as db:` is a transaction that is committed at its end, and rolled back with an error;
    `with store.read() as db:` only looks. `StoreError` where the database is away or busy for too long.
    """

    def __init__(self, url: str, *, pool_size: int = 20) -> None:
        parsed = make_url(url)
        self.sqlite = parsed.get_backend_name() == "sqlite"
        self.path = Path(parsed.database or "") if self.sqlite else None
        self.display_url = parsed.render_as_string(hide_password=True)
        options: dict[str, Any] = {"pool_size": pool_size, "max_overflow": 10, "pool_pre_ping": not self.sqlite}
        options["hide_parameters"] = True  # an error would carry the values of its statement into the log
        if self.sqlite:
            options["connect_args"] = {"timeout": BUSY_S, "check_same_thread": False}
        else:
            # A server that vanished in silence is noticed within seconds, not when TCP gives up.
            quick = {"keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3, "tcp_user_timeout": 10_000}
            options["connect_args"] = {"connect_timeout": 5, "application_name": "kitestring", **quick}
        try:
            self.engine = create_engine(parsed, json_serializer=dumps_text, json_deserializer=loads, **options)
        except ImportError as error:
            raise ConfigError(
                f"the database {self.display_url} needs a driver that is not installed: {error}",
                hint="pip install 'kitestring[server]'",
            ) from error
        if self.sqlite:
            event.listen(self.engine, "connect", self._keep_close)
            event.listen(self.engine, "connect", _pragmas)
            event.listen(self.engine, "begin", _begin)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that may change; on SQLite the only one at that moment, begun with the right to write."""
        calls: list[Callable[[], None]] = []
        options: dict[str, Any] = {"kitestring_write": True, "kitestring_after_commit": calls}
        with self._translated_errors(), self.engine.connect().execution_options(**options) as db, db.begin():
            yield db
            commits = COMMITS.get()
            if commits is not None:
                commits.append("commit")
        for call in calls:
            call()

    def after_commit(self, db: Connection, call: Callable[[], None]) -> None:
        """Call this when the transaction of `write` is committed; never if it is rolled back."""
        db.get_execution_options()["kitestring_after_commit"].append(call)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A read-only transaction."""
        with self._translated_errors(), self.engine.connect() as db, db.begin():
            yield db

    def now_ms(self, db: Connection) -> int:
        """The time that all machines of this store share: PostgreSQL's clock, or this machine's with SQLite."""
        if self.sqlite:
            return now_ms()
        return int(db.execute(text("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint")).scalar_one())

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    def _keep_close(self, *_: Any) -> None:
        """Create the SQLite file with mode 0600. The files of its journal get the same mode."""
        if self.path is not None and self.path.exists() and self.path.stat().st_size == 0:
            self.path.chmod(0o600)

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        try:
            yield
        except OperationalError as error:
            raise StoreError(
                f"the database {self.display_url} does not answer: {_reason(error)}",
                hint="Check that it runs, that its disk has room, and that its address is right.",
            ) from error
        except DBAPIError as error:
            if error.connection_invalidated:
                raise StoreError(
                    f"the connection to the database {self.display_url} was lost: {_reason(error)}", hint="Try again."
                ) from error
            raise


def _reason(error: DBAPIError) -> str:
    return str(error.orig).strip().splitlines()[0] if str(error.orig).strip() else type(error.orig).__name__


def _pragmas(connection: Any, _: Any) -> None:
    # Transactions begin where `_begin` says so, not where the driver guesses.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={int(BUSY_S * 1000)}"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(db: Connection) -> None:
    # A reader that turns writer can meet another and both lose: who will write says so at the beginning.
    writes = db.get_execution_options().get("kitestring_write")
    db.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
