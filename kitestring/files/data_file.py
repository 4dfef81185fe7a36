"""A store with the formats of its files: reads files by their names, and makes new ones of good size."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kitestring.errors import ConfigError, KitestringError, SchemaError
from kitestring.files.formats import DamageError, Format
from kitestring.files.store import Store
from kitestring.types import DELETED_AT

if TYPE_CHECKING:
    import pyarrow as pa

EXACT = re.compile(r"\d{8}(T\d{6})?Z[-.]")
"""The start of names of files in which a text key is a text. Versions before this rule wrote no such files."""

FILE_BYTES = 64 * 1024 * 1024
"""The target size of a file that a merge writes, as Arrow."""

MANY = 4
"""Small files are joined if there are at least this many."""


@dataclass(frozen=True, slots=True)
class FilePart:
    """Rows of a file to keep: `rows` is a mask (None: all), `marks` the number of the mark of each row (None: none)."""

    folder: str
    name: str
    rows: Any = None
    marks: Any = None


class DataFiles:
    """A store with the formats of its files: reads files by their names, and makes new ones of good size."""

    def __init__(self, store: Store, format_of: Callable[[str], Format], small: int) -> None:
        self.store = store
        self.format_of = format_of
        self.small = small

    def is_small(self, folder: str, name: str) -> bool:
        return self.store.size(folder, name) < self.small

    def raw(self, folder: str, name: str, columns: Iterable[str] | None = None) -> Iterator[pa.Table]:
        """The raw tables in a file, for a merge. `ConfigError` names the file that cannot be read."""
        with self.reading(folder, name), self.store.open(folder, name) as file:
            yield from self.format_of(name).raw(file, columns)

    def read(self, folder: str, name: str, schema: pa.Schema | None = None) -> Iterator[pa.Table]:
        """The records in a file, with their types. Errors name the file."""
        with self.reading(folder, name), self.store.open(folder, name) as file:
            yield from self.format_of(name).read(file, schema)

    def schema(self, folder: str, name: str) -> pa.Schema:
        """The columns of a file."""
        with self.reading(folder, name), self.store.open(folder, name) as file:
            return self.format_of(name).schema(file)

    def count(self, folder: str, name: str, without: str | None = None) -> int:
        """The records in a file, except those with a value in the field `without`."""
        with self.reading(folder, name), self.store.open(folder, name) as file:
            return self.format_of(name).count(file, without)

    @contextmanager
    def reading(self, folder: str, name: str) -> Iterator[None]:
        """Add the file's name to errors of its format."""
        try:
            yield
        except SchemaError as error:
            raise SchemaError(f"{folder}/{name}: {error.message}", hint=error.hint) from error
        except (KitestringError, MemoryError):
            raise
        except Exception as error:  # every format has its own errors
            what = "" if isinstance(error, DamageError) else f"{type(error).__name__}: "
            raise ConfigError(
                f"{folder}/{name} cannot be read: {what}{' '.join(str(error).split())[:200]}",
                hint="Restore the file from a backup, or move it out of this folder: its records are then missing "
                "until the next sync with --full-refresh.",
            ) from error

    def part_tables(
        self, part: FilePart, marks: Sequence[Any] = (), schema: Mapping[str, Any] | None = None
    ) -> Iterator[pa.Table]:
        """The rows of a part, with their marks."""
        format_, start = self.format_of(part.name), 0
        for whole in self.raw(part.folder, part.name):
            table, count = whole, whole.num_rows
            if part.marks is not None:
                numbers = part.marks.slice(start, count).to_pylist()
                chosen = [None if n is None else marks[n] for n in numbers]
                with self.reading(part.folder, part.name):
                    table = format_.mark(table, DELETED_AT, chosen, schema or {})
            if part.rows is not None:
                table = table.filter(part.rows.slice(start, count))
            if not EXACT.match(part.name):
                with self.reading(part.folder, part.name):
                    table = format_.repair(table)
            yield table
            start += count

    def fill(
        self, folder: str, parts: Iterable[FilePart], marks: Sequence[Any] = (), schema: Mapping[str, Any] | None = None
    ) -> None:
        """Write these parts into files of the target size. A file has one schema; rows of inexact files stay in such
        files."""
        pending: list[pa.Table] = []
        kind: tuple[str, bool] | None = None
        for part in parts:
            part_kind = self.format_of(part.name).suffix, bool(EXACT.match(part.name))
            for table in self.part_tables(part, marks, schema):
                if pending and kind is not None:
                    fits = part_kind == kind and self.format_of(part.name).same(pending[0], table)
                    if not fits or sum(other.nbytes for other in pending) + table.nbytes > FILE_BYTES:
                        self._write(folder, pending, *kind)
                        pending = []
                pending.append(table)
                kind = part_kind
        if kind is not None:
            self._write(folder, pending, *kind)

    def _write(self, folder: str, tables: Sequence[pa.Table], suffix: str, exact: bool) -> None:
        if any(table.num_rows for table in tables):
            format_ = self.format_of(suffix)
            self.store.put(folder, file_name(format_, exact), format_.encode(tables))


def file_name(format_: Format, exact: bool = True) -> str:
    """A unique name that sorts by time."""
    moment = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
    return f"{moment}{'Z' if exact else ''}-{uuid.uuid4().hex[:12]}{format_.suffix}"
