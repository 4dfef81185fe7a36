"""What a format of files is: one class that turns batches into the bytes of files, and files into records again.

Files are read in two ways. `read` gives the records with their types, for whoever wants what a file says. `raw` gives
tables of the format's own, for a merge: of Parquet the records themselves, of JSON lines and CSV each record as it
stands in the file, so that a merge copies what it keeps byte for byte.
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
"""So much of a file is taken into memory at a time; a record that is longer is whole in memory."""

SUFFIXES = {"none": "", "gzip": ".gz", "zstd": ".zst"}
"""What files that are compressed as a whole are called."""


class DamageError(ValueError):
    """What stands in a file is not of its format. The message says where and what; who opened the file names it."""


@dataclass(frozen=True, slots=True)
class EncodedFiles:
    """A batch as the bytes of files. `exact`: by the stored values, 1 and "1" are two keys."""

    files: Sequence[Any] = ()
    rows: int = 0
    rejects: Sequence[Reject] = field(default=())
    exact: bool = True


class Format(ABC):
    """A format with its settings. What is wrong with a file is a `DamageError`, or an error of the library's own."""

    name: ClassVar[str]
    """Its name in configurations, and the suffix of its files."""

    compressions: ClassVar[tuple[str, ...]] = tuple(SUFFIXES)
    """What it can be compressed with, the usual one first."""

    inside: ClassVar[bool] = False
    """Whether the compression is a part of the format, so that the name of the file does not show it."""

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
        """The files that hold the records of a batch, and the records that have no place in them.

        One file; where the last version of a record is kept and the keys are of several kinds, one for each kind.
        """

    @abstractmethod
    def empty(self, stream: Stream) -> Any:
        """A file without records that shows the columns; None where the format has no such thing."""

    # -- reading records

    @abstractmethod
    def schema(self, file: BinaryIO) -> pa.Schema:
        """The columns of a file with types that hold all of its values exactly. Reads as much of it as that takes."""

    @abstractmethod
    def read(self, file: BinaryIO, schema: pa.Schema | None = None) -> Iterator[pa.Table]:
        """The records of a file, some at a time, with the columns and the types of this schema.

        Without one, with those of `schema(file)`. A column that the file does not have is null, one that the schema
        does not have is left out. `SchemaError` for a value that does not fit its type.
        """

    @abstractmethod
    def count(self, file: BinaryIO, without: str | None = None) -> int:
        """The rows of a file, but for those that have a value in the field `without`."""

    # -- merging

    @abstractmethod
    def raw(self, file: BinaryIO, columns: Iterable[str] | None = None) -> Iterator[pa.Table]:
        """The tables in a file, some rows at a time; with `columns`, perhaps only these."""

    @abstractmethod
    def encode(self, tables: Sequence[pa.Table]) -> Any:
        """Raw tables that are the `same` as the bytes of a file."""

    @abstractmethod
    def keys(self, table: pa.Table, stream: Stream, exact: bool) -> list[Any]:
        """The keys of the rows as texts; the first array as they stand, others as else they may be meant."""

    @abstractmethod
    def values(self, table: pa.Table, name: str) -> list[Any]:
        """The values of a field."""

    @abstractmethod
    def mark(self, table: pa.Table, name: str, values: Sequence[Any], schema: Mapping[str, Any]) -> pa.Table:
        """The table with these values of a field, where they are not None and the field has none."""

    def same(self, table: pa.Table, other: pa.Table) -> bool:
        """Whether one file can hold both."""
        return True

    def repair(self, table: pa.Table) -> pa.Table:
        """The table of an earlier version's file without what no reader takes."""
        return table


def compressed(data: Any, compression: str) -> Any:
    """These bytes as those of a file that is compressed as a whole."""
    import pyarrow as pa

    if compression == "none":
        return data
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, compression) as stream:
        stream.write(data)
    return sink.getvalue()


class UnclosedFile:
    """A file for Arrow, which would close it behind its last byte."""

    closed = False

    def __init__(self, file: BinaryIO) -> None:
        self.read = file.read

    def close(self) -> None:
        self.closed = True


def blocks(file: BinaryIO, compression: str) -> Iterator[bytes]:
    """The bytes of such a file, some at a time."""
    import pyarrow as pa

    stream = (
        file if compression == "none" else pa.CompressedInputStream(pa.PythonFile(UnclosedFile(file), "r"), compression)
    )
    return iter(functools.partial(stream.read, READ_BYTES), b"")
