"""Stores of states between syncs: an SQLite file (the default), a JSON file people can edit, or memory."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from kitestring.credentials import locked
from kitestring.errors import ConfigError, KitestringError
from kitestring.json_codec import JsonError, dumps, dumps_text, loads
from kitestring.types import State


class StateStore(Protocol):
    """States by connection and stream key. `save` is durable when it returns.

    (A store that only passes states on, and does not know when they are durable, has `durable = False`: then
    `Source.saved` is not called.)
    """

    def load(self, connection: str) -> dict[str, State]:
        """The states of a connection by stream key; empty if there are none."""

    def save(self, connection: str, stream: str, state: State) -> None: ...

    def clear(self, connection: str, stream: str | None = None) -> None:
        """Delete the state of one stream, or of all, so that the next sync begins at the start."""

    def connections(self) -> list[str]:
        """The connections that have a state, sorted."""

    def lock(self, connection: str) -> contextlib.AbstractContextManager[None]:
        """Hold this connection for one sync; `ConfigError` while another process holds it."""


@runtime_checkable
class KeepsFigures(Protocol):
    """Saves states and the figures they cover in one transaction: after a crash both exist, or neither."""

    def save_all(self, connection: str, states: Mapping[str, State], figures: Mapping[str, Mapping[str, Any]]) -> None:
        """Durable when it returns. `figures` by stream are as `Coverage.take` gives them."""


class MemoryStates:
    """States in memory: for tests, and for syncs that start from the beginning each time."""

    durable = True

    def __init__(self) -> None:
        self._states: dict[str, dict[str, State]] = {}
        self._locked = threading.Lock()

    def load(self, connection: str) -> dict[str, State]:
        return loads(dumps(self._states.get(connection, {})))  # type: ignore[no-any-return]

    def save(self, connection: str, stream: str, state: State) -> None:
        self._states.setdefault(connection, {})[stream] = loads(dumps(state))

    def clear(self, connection: str, stream: str | None = None) -> None:
        if stream is None:
            self._states.pop(connection, None)
        else:
            self._states.get(connection, {}).pop(stream, None)

    def connections(self) -> list[str]:
        return sorted(name for name, states in self._states.items() if states)

    @contextlib.contextmanager
    def lock(self, connection: str) -> Iterator[None]:
        if not self._locked.acquire(blocking=False):
            raise busy(connection)
        try:
            yield
        finally:
            self._locked.release()


class SqliteStates:
    """States in an SQLite file, created on first use."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            database = sqlite3.connect(self.path, timeout=10, isolation_level=None)
            try:
                database.execute("PRAGMA journal_mode=WAL")
                database.execute("PRAGMA synchronous=FULL")
                database.execute(
                    "CREATE TABLE IF NOT EXISTS states (connection TEXT NOT NULL, stream TEXT NOT NULL, "
                    "state TEXT NOT NULL, saved_at TEXT NOT NULL, PRIMARY KEY (connection, stream))"
                )
                yield database
            finally:
                database.close()
        except (sqlite3.Error, OSError) as error:
            raise unusable(self.path, error) from error

    def load(self, connection: str) -> dict[str, State]:
        with self._open() as database:
            rows = database.execute("SELECT stream, state FROM states WHERE connection = ?", (connection,)).fetchall()
        return {stream: parse_state(text, f"{connection}.{stream}", self.path) for stream, text in rows}

    def save(self, connection: str, stream: str, state: State) -> None:
        with self._open() as database:
            database.execute(
                "INSERT INTO states VALUES (?, ?, ?, ?) ON CONFLICT (connection, stream) "
                "DO UPDATE SET state = excluded.state, saved_at = excluded.saved_at",
                (connection, stream, dumps_text(state), datetime.now(UTC).isoformat()),
            )

    def clear(self, connection: str, stream: str | None = None) -> None:
        with self._open() as database:
            if stream is None:
                database.execute("DELETE FROM states WHERE connection = ?", (connection,))
            else:
                database.execute("DELETE FROM states WHERE connection = ? AND stream = ?", (connection, stream))

    def connections(self) -> list[str]:
        with self._open() as database:
            return [row[0] for row in database.execute("SELECT DISTINCT connection FROM states ORDER BY 1")]

    def lock(self, connection: str) -> contextlib.AbstractContextManager[None]:
        return file_lock(self.path, connection)


class JsonStates:
    """States in a JSON file: {connection: {stream: state}}. People may edit it; it is checked at each read."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def _read(self) -> dict[str, dict[str, State]]:
        try:
            text = self.path.read_text("utf-8")
        except FileNotFoundError:
            return {}
        except (OSError, UnicodeDecodeError) as error:
            raise unusable(self.path, error) from error
        whole = parse_state(text or "{}", "the file", self.path)
        for connection, states in whole.items():
            if not isinstance(states, dict):
                raise not_a_state(connection, states, self.path)
            for stream, state in states.items():
                if not isinstance(state, dict):
                    raise not_a_state(f"{connection}.{stream}", state, self.path)
        return whole

    def _write(self, whole: dict[str, dict[str, State]]) -> None:
        draft = self.path.with_name(f".{self.path.name}.{os.getpid()}.tmp")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with draft.open("wb") as file:
                file.write(dumps(whole, sort_keys=True, indent=True) + b"\n")
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self.path)
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise unusable(self.path, error) from error

    def load(self, connection: str) -> dict[str, State]:
        return self._read().get(connection, {})

    def save(self, connection: str, stream: str, state: State) -> None:
        whole = self._read()
        whole.setdefault(connection, {})[stream] = state
        self._write(whole)

    def clear(self, connection: str, stream: str | None = None) -> None:
        whole = self._read()
        if stream is None:
            whole.pop(connection, None)
        else:
            whole.get(connection, {}).pop(stream, None)
        self._write(whole)

    def connections(self) -> list[str]:
        return sorted(name for name, states in self._read().items() if states)

    def lock(self, connection: str) -> contextlib.AbstractContextManager[None]:
        return file_lock(self.path, connection)


@contextlib.contextmanager
def file_lock(beside: Path, connection: str) -> Iterator[None]:
    """A lock file next to the state. The system frees it when its holder dies, in any way."""
    name = hashlib.sha256(connection.encode()).hexdigest()[:12]
    path = beside.with_name(f"{beside.name}.{name}.lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+")
    except OSError as error:
        raise unusable(path, error) from error
    with file:
        if not locked(file.fileno()):
            raise busy(connection)
        yield


def parse_state(text: str, what: str, path: Path) -> dict[str, Any]:
    try:
        value = loads(text)
    except JsonError as error:
        raise ConfigError(
            f"{path.name} is not JSON: {error}",
            hint="Correct the file, or delete it to begin at the start.",
            path=str(path),
        ) from None
    if not isinstance(value, dict):
        raise not_a_state(what, value, path)
    return value


def not_a_state(what: str, value: Any, path: Path) -> KitestringError:
    return ConfigError(
        f"the state of {what} in {path.name} is {type(value).__name__}, it should be a JSON object",
        hint="Correct it, or remove it to begin at the start.",
        path=str(path),
    )


def busy(connection: str) -> KitestringError:
    return ConfigError(
        f"another sync of the connection {connection} is running",
        hint="Wait until it has ended, or stop it.",
        connection=connection,
    )


def unusable(path: Path, error: Exception) -> KitestringError:
    return ConfigError(
        f"the state file {path} cannot be used: {error}",
        hint="Check that the folder is writable and the disk has room.",
        path=str(path),
    )
