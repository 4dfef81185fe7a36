"""A complete listing of a stream's keys in its source, compared with the records that a destination holds."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from kitestring.errors import ConfigError
from kitestring.types import Receipt

Key: TypeAlias = tuple[Any, ...]
"""The values of a primary key, in its order."""


class KeyListing(ABC):
    """The records of one stream, split into those that the source lists and the missing ones.

    `add` for every page of the listing, then `compare`, then `texts` or `delete`. One thread at a time. All methods
    raise only errors of `kitestring.errors`. Records that are marked as deleted are neither held nor missing where
    `stream.write.deletes` is "mark", and neither are records whose primary key has a null.
    """

    @abstractmethod
    def add(self, keys: Sequence[Key]) -> None:
        """The source lists the records with these keys. A key may come several times."""

    @abstractmethod
    def compare(self) -> tuple[int, int]:
        """How many records the destination holds, and how many of them were not added. Called once, after the last
        `add`, when all records of the sync are durable."""

    @abstractmethod
    def texts(self) -> Iterator[Sequence[str]]:
        """The keys of the missing records in pages, as texts that are the same in every sync."""

    @abstractmethod
    def delete(self, deleted_at: str) -> Receipt:
        """Remove the missing records, durably; or mark them with this time, where the stream is written so. Can be
        repeated after an error. The receipt counts as `deleted` the records that were there."""

    def close(self) -> None:
        """Remove what the comparison needed."""


class KeyFile:
    """Two sets of keys as texts in a temporary file, so that their number does not need memory."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="kitestring-keys-"))
        with self._translated():
            self._db = sqlite3.connect(self._folder / "keys.db", isolation_level=None, check_same_thread=False)
            for statement in (
                "PRAGMA journal_mode = OFF",
                "PRAGMA synchronous = OFF",
                "CREATE TABLE listed (key TEXT PRIMARY KEY) WITHOUT ROWID",
                "CREATE TABLE missing (key TEXT PRIMARY KEY) WITHOUT ROWID",
            ):
                self._db.execute(statement)

    def add(self, keys: Iterable[str]) -> None:
        self._insert("listed", keys)

    def add_missing(self, keys: Iterable[str]) -> None:
        self._insert("missing", keys)

    def unlisted(self, keys: Iterable[str]) -> set[str]:
        """Those of these keys that were not added."""
        return self._without("listed", keys)

    def missing(self, keys: Iterable[str]) -> set[str]:
        """Those of these keys that are missing ones."""
        keys = set(keys)
        return keys - self._without("missing", keys)

    def missing_count(self) -> int:
        with self._translated():
            return int(self._db.execute("SELECT count(*) FROM missing").fetchone()[0])

    def missing_pages(self, size: int = 1_000) -> Iterator[list[str]]:
        last = ""
        while True:
            with self._translated():
                query = "SELECT key FROM missing WHERE key > ? ORDER BY key LIMIT ?"
                page = [key for (key,) in self._db.execute(query, (last, size))]
            if not page:
                return
            yield page
            last = page[-1]

    def close(self) -> None:
        self._db.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _insert(self, table: str, keys: Iterable[str]) -> None:
        with self._translated():
            self._db.execute("BEGIN")
            self._db.executemany(f"INSERT OR IGNORE INTO {table} VALUES (?)", ((key,) for key in keys))  # noqa: S608
            self._db.execute("COMMIT")

    def _without(self, table: str, keys: Iterable[str]) -> set[str]:
        with self._translated():
            query = f"SELECT 1 FROM {table} WHERE key = ?"  # noqa: S608
            return {key for key in keys if self._db.execute(query, (key,)).fetchone() is None}

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise ConfigError(
                f"the list of a stream's keys cannot be written to {self._folder}: {error}",
                hint="Free some disk space there, or set TMPDIR to another folder.",
                path=str(self._folder),
            ) from error
