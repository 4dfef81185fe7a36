"""Records that could not be taken: kept in a JSON-lines file per connection, with their reason, until replayed."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kitestring import json_codec
from kitestring.engine.reject_types import kinds_of, restored
from kitestring.errors import ConfigError
from kitestring.names import marked
from kitestring.types import Reject

LONGEST_NAME = 200
"""Bytes of a file's name that every file system takes, its ending aside."""


class Rejects:
    """A folder with one file per connection; a line is {"at", "stream", "reason", "record"}. "mapped": true says that
    the record is as the stream's mappers made it; "types" what the values are that JSON has only texts or numbers for.

    The file is made to be read and edited: correct a record in it and `kitestring replay` writes the corrected one.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)

    def path(self, connection: str) -> Path:
        """The file of a connection, whether it is there or not; no other connection has it."""
        safe = re.sub(r"[^\w.-]", "_", connection)
        if safe == connection and len(safe.encode()) <= LONGEST_NAME:
            return self.folder / f"{safe}.jsonl"
        return self.folder / f"{marked(safe, connection, LONGEST_NAME // 4)}.jsonl"  # a letter has four bytes at most

    def add(self, connection: str, stream: str, rejects: Iterable[Reject]) -> None:
        """Append, durably: a checkpoint may be saved behind it."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        lines = [encoded({"at": now, **entry_of(stream, reject)}) + b"\n" for reject in rejects]
        if not lines:
            return
        path = self.path(connection)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with path.open("ab") as file:
                file.writelines(lines)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise ConfigError(
                f"rejected records cannot be kept in {path}: {error.strerror or error}",
                hint="Check that the folder is writable and the disk has room.",
                path=str(path),
            ) from error

    def read(self, connection: str) -> Iterator[dict[str, Any]]:
        """The lines of a connection, oldest first; `ConfigError` names a line that is not readable."""
        try:
            file = self.path(connection).open("rb")
        except FileNotFoundError:
            return
        with file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                try:
                    entry = json_codec.loads(line)
                    if not (isinstance(entry["stream"], str) and isinstance(entry["record"], dict)):
                        raise TypeError("stream is a text and record an object")
                    entry["record"] = restored(entry["record"], entry.pop("types", {}))
                except (ValueError, KeyError, TypeError) as error:
                    raise ConfigError(
                        f"line {number} of {self.path(connection).name} is not a rejected record: {error}",
                        hint='A line is {"at": …, "stream": …, "reason": …, "record": {…}}.',
                    ) from None
                yield entry

    def replace(self, connection: str, entries: Iterable[dict[str, Any]]) -> None:
        """Put these lines in the place of all (after a replay: what was rejected again). None left: no file."""
        path = self.path(connection)
        draft = path.with_suffix(".tmp")
        count = 0
        with draft.open("wb") as file:
            for entry in entries:
                file.write(encoded(entry) + b"\n")
                count += 1
            file.flush()
            os.fsync(file.fileno())
        if count:
            draft.replace(path)
        else:
            draft.unlink()
            path.unlink(missing_ok=True)


def entry_of(stream: str, reject: Reject) -> dict[str, Any]:
    """A reject as a line has it, but for the time."""
    mapped = {"mapped": True} if reject.mapped else {}
    return {"stream": stream, "reason": reject.reason, **mapped, "record": reject.record}


def encoded(entry: dict[str, Any]) -> bytes:
    """One line of JSON for any record, whatever it holds."""
    record = entry["record"]
    try:
        kinds = kinds_of(record)
        types = {"types": kinds} if kinds else {}
        rest = {name: value for name, value in entry.items() if name not in ("record", "types")}
        return json_codec.dumps({**rest, **types, "record": record}, levels=json_codec.ANY_DEPTH)
    except ValueError:  # it holds itself
        return json_codec.dumps({**entry, "record": {"_unreadable": ascii(record)[:100_000]}})
