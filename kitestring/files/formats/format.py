"""The base of file formats: a class that turns batches into the bytes of files, and files into records.

Files are read in two ways. `read` returns the records with their types. `raw` returns tables in the format's own form
for a merge: the records themselves for Parquet, the unparsed records for JSON lines and CSV, so that a merge copies
them byte for byte.
"""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar

from kitestring.errors import ConfigError
from kitestring.types import Reject, Stream

if TYPE_CHECKING:
    import pyarrow as pa

    from kitestring.batch import Batch

READ_BYTES = 8 * 1024 * 1024
"""The bytes of a file in memory at a time; a longer record is in memory as a whole."""

SUFFIXES = {"none": "", "gzip": ".gz", "zstd": ".zst"}
"""The suffixes of files that are compressed as a whole."""


class DamageError(ValueError):
    """A file has content that its format does not allow. The message has the position and the problem; the caller adds
    the file's name."""


@dataclass(frozen=True, slots=True)
class EncodedFiles:
    """A batch as the bytes of files. `exact`: the keys 1 and "1" differ in the stored values."""

    files: Sequence[Any] = ()
    rows: int = 0
    rejects: Sequence[Reject] = field(default=())
    exact: bool = True


class Format(ABC):
    """A format with its settings. A damaged file raises `DamageError`, or an error of the underlying library."""

    name: ClassVar[str]
    """Its name in configurations, and the suffix of its files."""

    compressions: ClassVar[tuple[str, ...]] = tuple(SUFFIXES)
    """The possible compressions, the default first."""

    inside: ClassVar[bool] = False
    """Whether the compression is part of the format, so that the file's name does not show it."""

    def __init__(self, compression: str = "default", row_group_rows: int = 131_072) -> None:
        if compression not in ("default", *self.compressions):
            *most, last = self.compressions
            raise ConfigError(
                f"{self.name} is not written with {compression}",
                hint=f"Choose {', '.join(most)} or {last} for `compression`.",
            )
        self.compression = self.compressions[0] if compression == "default" else compression
        self.suffix = f".{self.name}{'' if self.inside else SUFFIXES[self.compression]}"
        self.row_group_rows = row_group_rows

    # -- writing

    @abstractmethod
    def encode_batch(self, stream: Stream, batch: Batch) -> EncodedFiles:
        """The files with the records of a batch, and the rejected records.

        One file; if the last version of a record is kept and the keys are of several kinds, one per kind.
        """

    @abstractmethod
    def empty(self, stream: Stream) -> Any:
        """A file without records that shows the columns; None if the format has none."""

    # -- reading records

    @abstractmethod
    def schema(self, file: BinaryIO) -> pa.Schema:
        """The columns of a file with types that hold all of its values exactly. Reads as much of the file as needed."""

    @abstractmethod
    def read(self, file: BinaryIO, schema: pa.Schema | None = None) -> Iterator[pa.Table]:
        """The records of a file in tables with the columns and types of this schema.

        Without a schema, with those of `schema(file)`. A column that the file lacks is null, one that the schema lacks
        is left out. `SchemaError` for a value that does not fit its type.
        """

    @abstractmethod
    def count(self, file: BinaryIO, without: str | None = None) -> int:
        """The number of rows in a file, without those with a value in the field `without`."""

    # -- merging

    @abstractmethod
    def raw(self, file: BinaryIO, columns: Iterable[str] | None = None) -> Iterator[pa.Table]:
        """The raw tables in a file, in parts; with `columns`, perhaps only these."""

    @abstractmethod
    def encode(self, tables: Sequence[pa.Table]) -> Any:
        """Raw tables that are the `same`, as the bytes of one file."""

    @abstractmethod
    def keys(self, table: pa.Table, stream: Stream, exact: bool) -> list[Any]:
        """The keys of the rows as texts: in the first array as they are, in others as they may also be meant."""

    @abstractmethod
    def values(self, table: pa.Table, name: str) -> list[Any]:
        """The values of a field."""

    @abstractmethod
    def mark(self, table: pa.Table, name: str, values: Sequence[Any], schema: Mapping[str, Any]) -> pa.Table:
        """The table with these values of a field in rows where the value is not None and the field is null."""

    def same(self, table: pa.Table, other: pa.Table) -> bool:
        """Whether one file can hold both."""
        return True

    def repair(self, table: pa.Table) -> pa.Table:
        """The table of an earlier version's file without content that readers reject."""
        return table


def compress(data: Any, compression: str) -> Any:
    """The bytes, compressed as a whole."""
    import pyarrow as pa

    if compression == "none":
        return data
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, compression) as stream:
        stream.write(data)
    return sink.getvalue()


class UnclosedFile:
    """A file for Arrow that stays open: Arrow would close it after its last byte."""

    closed = False

    def __init__(self, file: BinaryIO) -> None:
        self.read = file.read

    def close(self) -> None:
        self.closed = True


def blocks(file: BinaryIO, compression: str) -> Iterator[bytes]:
    """The decompressed bytes of a file, in blocks."""
    import pyarrow as pa

    stream = (
        file if compression == "none" else pa.CompressedInputStream(pa.PythonFile(UnclosedFile(file), "r"), compression)
    )
    return iter(functools.partial(stream.read, READ_BYTES), b"")
