"""The log of an attempt: a file of JSON lines with secrets masked and a bounded size, read in parts, by level and text.

    HOME/logs/jobs/JOB/ATTEMPT.jsonl      {"at_ms", "level", "logger", "message", …}

A file that is full becomes `ATTEMPT.jsonl.1`, the one before `.2`, and so on; the oldest is dropped.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import threading
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from kitestring.redact import Redactor
from kitestring.server.clock import now_ms

if TYPE_CHECKING:
    from kitestring.server.store import Store

FILE_BYTES = 8 * 1024 * 1024
FILES = 5
LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}


class Log:
    """Appends to an attempt's log. Thread-safe. On a full disk lines are lost; the sync goes on."""

    def __init__(self, path: Path, file_bytes: int = FILE_BYTES) -> None:
        self.path = path
        self._file_bytes = file_bytes
        self._lock = threading.Lock()
        self._redactor = Redactor()
        self._file: Any = None
        self._size = 0

    def hide(self, secrets: Iterable[str]) -> None:
        """Mask these from now on."""
        self._redactor.hide(secrets)

    def masked(self, text: str) -> str:
        """A text with the secrets masked."""
        return self._redactor.text(text)

    def line(self, raw: bytes) -> None:
        """Append a line of a child's standard error: a log entry as it is, anything else as a message."""
        text = self.masked(raw.decode("utf-8", "replace").rstrip("\r"))
        if text.startswith('{"at_ms":'):
            self._append(text)
        elif text.strip():
            self.entry("info", text, logger="stderr")

    def entry(self, level: str, message: str, *, logger: str = "kitestring.jobs", **fields: Any) -> None:
        """Append an entry of the worker."""
        entry = {"at_ms": now_ms(), "level": level, "logger": logger, "message": message, **fields}
        self._append(self.masked(orjson.dumps(entry, default=str, option=orjson.OPT_NON_STR_KEYS).decode()))

    def close(self) -> None:
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None

    def _append(self, line: str) -> None:
        data = line.encode("utf-8", "replace") + b"\n"
        with self._lock:
            try:
                if self._file is not None and self._size + len(data) > self._file_bytes:
                    self._rotate()
                if self._file is None:
                    self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                    self._file = os.fdopen(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "wb", 0)
                    self._size = os.fstat(self._file.fileno()).st_size
                self._size += self._file.write(data)
            except OSError:
                return

    def _rotate(self) -> None:
        self._file.close()
        self._file = None
        for number in range(FILES - 1, 0, -1):
            older = self.path if number == 1 else self.path.with_name(f"{self.path.name}.{number - 1}")
            if older.exists():
                older.replace(self.path.with_name(f"{self.path.name}.{number}"))


@dataclass(frozen=True, slots=True)
class Part:
    """Entries of a log, each with its `place`; where the part begins, and the place from which to continue."""

    entries: list[dict[str, Any]]
    start: int
    place: int
    has_more: bool


class Logs:
    """The logs of attempts: files of this machine, and with a `store` the parts that other machines shipped."""

    def __init__(self, home: Path, store: Store | None = None) -> None:
        self.folder = home / "logs" / "jobs"
        self.store = store

    def path(self, job_id: int, attempt: int) -> Path:
        return self.folder / str(int(job_id)) / f"{int(attempt)}.jsonl"

    def attempts(self, job_id: int) -> list[int]:
        """The attempts of a job that have a log on this machine, in order."""
        folder = self.folder / str(int(job_id))
        matches = (re.fullmatch(r"(\d+)\.jsonl", match.name) for match in folder.glob("*.jsonl"))
        return sorted(int(match.group(1)) for match in matches if match)

    def read(
        self,
        job_id: int,
        attempt: int,
        *,
        place: int = 0,
        until: int | None = None,
        limit: int = 1000,
        level: str = "debug",
        text: str = "",
    ) -> Part:
        """Up to `limit` entries from `place` (0: the oldest) to before `until`, of `level` or above, containing `text`.

        A place is a byte count over all files of the attempt; negative: so many bytes before its end. A place within
        an entry is that of the next one. To follow a log, pass the place of the last part.
        """
        least, needle = LEVELS.get(level, 0), text.lower()
        entries: list[dict[str, Any]] = []
        start = at = self._entry_place(job_id, attempt, place)
        for raw in self._lines(job_id, attempt, at):
            if until is not None and at >= until:
                return Part(entries, start, at, True)
            if len(entries) >= limit:
                return Part(entries, start, at, True)
            where, at = at, at + len(raw)
            entry = parse_entry(raw)
            if LEVELS.get(str(entry.get("level")), 20) >= least and (
                not needle or needle in raw.decode("utf-8", "replace").lower()
            ):
                entries.append({**entry, "place": where})
        return Part(entries, start, at, False)

    def _entry_place(self, job_id: int, attempt: int, place: int) -> int:
        """The place of the first entry that begins here or later."""
        if place < 0:
            place = max(0, self._size(job_id, attempt) + place)
        if place == 0:
            return 0
        # The rest of the line before: its end alone where an entry begins here.
        rest = next(self._lines(job_id, attempt, place - 1), None)
        return place if rest is None else place - 1 + len(rest)

    def _size(self, job_id: int, attempt: int) -> int:
        files = self._files(job_id, attempt)
        if files or self.store is None:
            return sum(path.stat().st_size for path in files)
        from sqlalchemy import func, select

        from kitestring.server.store.tables import log_parts

        size = select(func.max(log_parts.c.place + log_parts.c.size))
        with self.store.read() as db:
            query = size.where(log_parts.c.job_id == job_id, log_parts.c.number == attempt)
            return int(db.execute(query).scalar_one() or 0)

    def raw(self, job_id: int, attempt: int, place: int, most: int) -> bytes:
        """Whole lines from a place, about `most` bytes."""
        block = bytearray()
        for raw in self._of_files(self._files(job_id, attempt), place):
            block += raw
            if len(block) >= most:
                break
        return bytes(block)

    def _lines(self, job_id: int, attempt: int, place: int) -> Iterator[bytes]:
        files = self._files(job_id, attempt)
        return self._of_files(files, place) if files or self.store is None else self._of_parts(job_id, attempt, place)

    def _of_files(self, files: Iterable[Path], place: int) -> Iterator[bytes]:
        at = 0
        for path in files:
            size = path.stat().st_size
            if at + size > place:
                with path.open("rb") as file:
                    file.seek(max(0, place - at))
                    for raw in file:
                        if not raw.endswith(b"\n"):  # still being written
                            break
                        yield raw
            at += size

    def _of_parts(self, job_id: int, attempt: int, place: int) -> Iterator[bytes]:
        from sqlalchemy import select

        from kitestring.server.store.tables import log_parts

        assert self.store is not None
        mine = select(log_parts).where(log_parts.c.job_id == job_id, log_parts.c.number == attempt)
        while True:  # part by part: a log may be long
            with self.store.read() as db:
                row = db.execute(
                    mine.where(log_parts.c.place + log_parts.c.size > place).order_by(log_parts.c.place).limit(1)
                ).one_or_none()
            if row is None:
                return
            yield from io.BytesIO(zlib.decompress(row.body)[max(0, place - row.place) :])
            place = row.place + row.size

    def whole(self, job_id: int, attempt: int) -> Iterator[bytes]:
        """The lines of a log, oldest first, for a download."""
        for path in self._files(job_id, attempt):
            with path.open("rb") as file:
                yield from file

    def remove(self, job_id: int) -> None:
        """Remove the logs of a job."""
        shutil.rmtree(self.folder / str(int(job_id)), ignore_errors=True)

    def _files(self, job_id: int, attempt: int) -> list[Path]:
        path = self.path(job_id, attempt)
        older = [path.with_name(f"{path.name}.{number}") for number in range(FILES - 1, 0, -1)]
        return [file for file in [*older, path] if file.exists()]


def parse_entry(raw: bytes) -> dict[str, Any]:
    try:
        entry = orjson.loads(raw)
    except orjson.JSONDecodeError:
        entry = None
    return entry if isinstance(entry, dict) else {"level": "info", "message": raw.decode("utf-8", "replace").rstrip()}
