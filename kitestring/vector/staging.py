"""The staging file of an overwrite: a SQLite file with the new generation of a stream until it is complete.

Readers of the store do not see it. `commit` seals and applies it; after a crash before the seal the old data is
complete and the file is discarded, after a crash later the next `begin` applies the sealed file again. Why a file
beside the store and not rows in it: docs/adr/0002-overwrite-in-a-vector-store.md.
"""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kitestring.errors import ConfigError
from kitestring.json_codec import dumps, loads
from kitestring.types import Stream
from kitestring.vector.record_key import stream_id
from kitestring.vector.store import Chunk, Stored

TABLES = """
create table if not exists chunk (
    key text not null, number integer not null, stream text not null, record_id text not null, text text not null,
    vector blob not null, digest text not null, metadata_digest text not null, metadata blob not null, namespace text);
create unique index if not exists chunk_identity on chunk (key, number);
create table if not exists seen (key text primary key, count integer not null) without rowid;
create table if not exists mark (key text primary key, deleted_at text not null) without rowid;
create table if not exists seal (sealed integer primary key);
"""
# SQLite's limit of host parameters was 999 before version 3.32 (https://www.sqlite.org/limits.html).
PARAMETERS = 900


@dataclass(frozen=True, slots=True)
class StagedRow:
    """The row of a chunk in a staging file: never equal to a row of a store."""

    number: int


class StagingFile:
    """The new generation of one stream. One process holds it at a time."""

    def __init__(self, path: Path) -> None:
        """Open or create the file. `ConfigError` if the folder cannot be written or another process has the file
        open."""
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=0.2, isolation_level=None, check_same_thread=False)
            self._db.execute("pragma locking_mode = exclusive")
            self._db.execute("pragma journal_mode = wal")
            # The loss of an unsealed file loses no row of the store: it need not survive a power cut before its seal.
            self._db.execute("pragma synchronous = normal")
            self._db.execute("begin exclusive")  # from here on no other process can open it
            for statement in TABLES.strip().rstrip(";").split(";"):
                self._db.execute(statement)
            if "namespace" not in {row[1] for row in self._db.execute("pragma table_info(chunk)")}:
                self._db.execute("alter table chunk add column namespace text")  # a file of an earlier version
            self._db.execute("commit")
        except (OSError, sqlite3.Error) as error:
            raise self._error(error) from error
        self.batches = 0

    def clear(self) -> None:
        """Delete all content, the seal included."""
        self.empty()
        with self._writing():
            self._db.execute("delete from seal")

    def empty(self) -> int:
        """Remove all records from the new generation. Returns how many had no mark."""
        with self._writing():
            live = "select count(*) from seen where key not in (select key from mark)"
            count = int(self._db.execute(live).fetchone()[0])
            for table in ("chunk", "seen", "mark"):
                self._db.execute(f"delete from {table}")  # noqa: S608
        return count

    def mark_all(self, deleted_at: str) -> int:
        """Mark all records of the new generation as deleted. Returns how many had no mark."""
        with self._writing():
            marks = "insert or ignore into mark select key, ? from seen"
            return int(self._db.execute(marks, (deleted_at,)).rowcount)

    def add(self, chunks: Sequence[Chunk], counts: Iterable[tuple[str, int]]) -> None:
        """Store these chunks and the number of chunks of each record (0: none), in one transaction."""
        rows = [
            (c.key, c.number, c.stream, c.record_id, c.text, c.vector.tobytes(), c.digest, c.metadata_digest,
             dumps(dict(c.metadata)), c.namespace)
            for c in chunks
        ]  # fmt: skip
        counts = list(counts)
        with self._writing():
            if self.batches:  # a longer text of the record before leaves no tail, and the record is no longer deleted
                self._db.executemany("delete from chunk where key = ? and number >= ?", counts)
                self._db.executemany("delete from mark where key = ?", [(key,) for key, _ in counts])
            self._db.executemany("insert or replace into chunk values (?,?,?,?,?,?,?,?,?,?)", rows)
            self._db.executemany("insert or replace into seen values (?,?)", counts)
        self.batches += 1

    def discard(self, keys: Sequence[str]) -> int:
        """Remove these records from the new generation. Returns how many were in it."""
        counts = self.chunk_counts(keys)
        with self._writing():
            for table in ("chunk", "seen", "mark"):
                self._db.executemany(f"delete from {table} where key = ?", [(key,) for key in counts])  # noqa: S608
        return len(counts)

    def mark(self, keys: Sequence[str], deleted_at: str) -> int:
        """Mark these records of the new generation as deleted. Returns how many had no mark."""
        counts = self.chunk_counts(keys)
        with self._writing():
            before = self._db.execute("select count(*) from mark").fetchone()[0]
            self._db.executemany("insert or ignore into mark values (?,?)", [(key, deleted_at) for key in counts])
            return int(self._db.execute("select count(*) from mark").fetchone()[0] - before)

    def marks(self) -> dict[str, tuple[str, int]]:
        """By key of each marked record: the time of its deletion, and its number of chunks."""
        query = "select mark.key, deleted_at, count from mark join seen on mark.key = seen.key"
        return {key: (deleted_at, count) for key, deleted_at, count in self._db.execute(query)}

    def holds(self, stream: str) -> bool:
        """Whether the content belongs to this stream (true if there is none)."""
        row = self._db.execute("select stream from chunk limit 1").fetchone()
        return row is None or row[0] == stream

    def stored(self, keys: Sequence[str]) -> dict[str, list[Stored]]:
        """The staged chunks of these records; `row` is a `StagedRow`, for `vectors`."""
        chunks: dict[str, list[Stored]] = {}
        if self.batches:
            for part, marks in self._parts(keys):
                for rowid, key, number, digest, metadata_digest in self._db.execute(
                    f"select rowid, key, number, digest, metadata_digest from chunk where key in ({marks})",  # noqa: S608
                    part,
                ):
                    chunks.setdefault(key, []).append(Stored(StagedRow(rowid), key, number, digest, metadata_digest))
        return chunks

    def chunk_counts(self, keys: Sequence[str]) -> dict[str, int]:
        """The number of chunks of each of these records in the new generation; without those that are not in it."""
        counts: dict[str, int] = {}
        for part, marks in self._parts(keys):
            counts.update(self._db.execute(f"select key, count from seen where key in ({marks})", part))  # noqa: S608
        return counts

    def vectors(self, rows: Sequence[StagedRow]) -> dict[StagedRow, Any]:
        import numpy as np

        vectors: dict[StagedRow, Any] = {}
        for part, marks in self._parts([row.number for row in rows]):
            query = f"select rowid, vector from chunk where rowid in ({marks})"  # noqa: S608
            for rowid, vector in self._db.execute(query, part):
                vectors[StagedRow(rowid)] = np.frombuffer(vector, dtype=np.float32)
        return vectors

    def chunks(self, page: int = 1_000) -> Iterator[list[Chunk]]:
        """All chunks to write, in pages."""
        import numpy as np

        last = 0
        while True:
            rows = self._db.execute(
                "select rowid, * from chunk where rowid > ? order by rowid limit ?", (last, page)
            ).fetchall()
            if not rows:
                return
            last = rows[-1][0]
            yield [
                Chunk(key, number, stream, record_id, text, np.frombuffer(vector, dtype=np.float32), digest,
                      metadata_digest, loads(metadata), namespace)
                for _, key, number, stream, record_id, text, vector, digest, metadata_digest, metadata, namespace
                in rows
            ]  # fmt: skip

    def chunk_total(self) -> int:
        """How many chunks are staged."""
        return int(self._db.execute("select count(*) from chunk").fetchone()[0])

    def seal(self) -> None:
        """Mark the new generation as complete, durably: from here on it is applied and never discarded."""
        with self._writing():
            self._db.execute("insert or replace into seal values (1)")
        self._db.execute("pragma wal_checkpoint(truncate)").fetchall()  # syncs the file itself

    @property
    def sealed(self) -> bool:
        return self._db.execute("select 1 from seal").fetchone() is not None

    def close(self) -> None:
        """Close the file and keep it."""
        self._db.close()

    def remove(self) -> None:
        """Close the file and delete it."""
        self._db.close()
        for suffix in ("", "-wal", "-shm", "-journal"):
            Path(f"{self.path}{suffix}").unlink(missing_ok=True)
        if self.path.parent.suffix == ".shadow":  # created for staging files beside an embedded store
            with contextlib.suppress(OSError):  # other streams are staged there
                self.path.parent.rmdir()

    def _parts(self, values: Sequence[Any]) -> Iterator[tuple[Sequence[Any], str]]:
        for start in range(0, len(values), PARAMETERS):
            part = values[start : start + PARAMETERS]
            yield part, ",".join("?" * len(part))

    def _writing(self) -> Transaction:
        return Transaction(self)

    def _error(self, error: Exception) -> ConfigError:
        if "locked" in str(error):
            return ConfigError(
                f"this stream is being overwritten by another process, which holds {self.path}",
                hint="Wait until the other sync has ended, or stop it.",
                path=str(self.path),
            )
        return ConfigError(
            f"an overwrite stages its data in {self.path}, which cannot be written: {error}",
            hint="Free some disk space or set shadow_folder to a folder that can be written.",
            path=str(self.path),
        )


class Transaction:
    """All or nothing; SQLite's errors become ours."""

    def __init__(self, staging: StagingFile) -> None:
        self._staging = staging

    def __enter__(self) -> None:
        self._staging._db.execute("begin")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        try:
            self._staging._db.execute("rollback" if kind else "commit")
        except sqlite3.Error as database_error:
            raise self._staging._error(database_error) from database_error
        if isinstance(error, sqlite3.Error):
            raise self._staging._error(error) from error


def staging_path(folder: Path, place: str, stream: Stream) -> Path:
    """The staging file of an overwrite of this stream. A dot may be part of a namespace or a name, or separate the
    two."""
    dotted = stream.key.count(".") > bool(stream.namespace)
    key = f"{stream.namespace or ''}\0{stream.name}" if dotted else stream.key
    path, former = folder / staging_file_name(place, key), folder / staging_file_name(place, stream.key)
    if dotted and former.exists() and not path.exists():  # of an earlier version: does it belong to this stream?
        staging = StagingFile(former)
        ours = staging.holds(stream_id(stream))
        staging.close()
        if ours:
            former.rename(path)
    return path


def staging_file_name(place: str, key: str) -> str:
    return hashlib.blake2b(f"{place}\0{key}".encode(), digest_size=8).hexdigest() + ".shadow"
