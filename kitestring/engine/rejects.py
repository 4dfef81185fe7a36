"""Rejected records: kept with their reason in a JSON-lines file per connection, until replayed."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kitestring import json_codec
from kitestring.engine.reject_types import kinds_of, restore_types
from kitestring.errors import ConfigError
from kitestring.names import marked
from kitestring.types import Reject

LONGEST_NAME = 200
"""Bytes of a file's name that every file system takes, its ending aside."""


class Rejects:
    """A folder with one file per connection; a line is {"at", "stream", "reason", "record"}. "mapped": true says that
    the stream's mappers were applied to the record; "types" has the types that JSON cannot show.

    People may read and edit the file: correct a record, and `kitestring replay` writes the corrected one.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)

    def path(self, connection: str) -> Path:
        """The path of a connection's file, existing or not; no other connection has it."""
        safe = re.sub(r"[^\w.-]", "_", connection)
        if safe == connection and len(safe.encode()) <= LONGEST_NAME:
            return self.folder / f"{safe}.jsonl"
        return self.folder / f"{marked(safe, connection, LONGEST_NAME // 4)}.jsonl"  # a letter has four bytes at most

    def add(self, connection: str, stream: str, rejects: Iterable[Reject]) -> None:
        """Append durably: a checkpoint may be saved after it."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        lines = [encode_entry({"at": now, **entry_of(stream, reject)}) + b"\n" for reject in rejects]
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
        """The lines of a connection, oldest first; `ConfigError` names an unreadable line."""
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
                    entry["record"] = restore_types(entry["record"], entry.pop("types", {}))
                except (ValueError, KeyError, TypeError) as error:
                    raise ConfigError(
                        f"line {number} of {self.path(connection).name} is not a rejected record: {error}",
                        hint='A line is {"at": …, "stream": …, "reason": …, "record": {…}}.',
                    ) from None
                yield entry

    def replace(self, connection: str, entries: Iterable[dict[str, Any]]) -> None:
        """Replace all lines by these (after a replay: the records rejected again). Without lines, remove the file."""
        path = self.path(connection)
        draft = path.with_suffix(".tmp")
        count = 0
        with draft.open("wb") as file:
            for entry in entries:
                file.write(encode_entry(entry) + b"\n")
                count += 1
            file.flush()
            os.fsync(file.fileno())
        if count:
            draft.replace(path)
        else:
            draft.unlink()
            path.unlink(missing_ok=True)


def entry_of(stream: str, reject: Reject) -> dict[str, Any]:
    """A reject as a line, without the time."""
    mapped = {"mapped": True} if reject.mapped else {}
    return {"stream": stream, "reason": reject.reason, **mapped, "record": reject.record}


def encode_entry(entry: dict[str, Any]) -> bytes:
    """One line of JSON for any record."""
    record = entry["record"]
    try:
        kinds = kinds_of(record)
        types = {"types": kinds} if kinds else {}
        rest = {name: value for name, value in entry.items() if name not in ("record", "types")}
        return json_codec.dumps({**rest, **types, "record": record}, levels=json_codec.ANY_DEPTH)
    except ValueError:  # it contains itself
        return json_codec.dumps({**entry, "record": {"_unreadable": ascii(record)[:100_000]}})
