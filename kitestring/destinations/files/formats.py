"""What a format of files is: it turns batches into the bytes of files, and files into tables of its own and back.

The table of Parquet is the records themselves, those of JSON lines and CSV hold each record as it stands in the file,
so that a merge copies what it keeps byte for byte.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from kitestring import arrow, identity, json_codec, names
from kitestring.destinations.files.keys import FINER, kind_of, type_at
from kitestring.paths import at
from kitestring.types import Path, Record, Reject, Stream

if TYPE_CHECKING:
    import pyarrow as pa

    from kitestring.batch import Batch

READ_BYTES = 8 * 1024 * 1024
SUFFIXES = {"none": "", "gzip": ".gz", "zstd": ".zst"}
DATA = re.compile(r"\.(parquet|jsonl|csv)(\.gz|\.zst)?$")
EXACT = re.compile(r"\d{8}(T\d{6})?Z[-.]")
"""How the names of files begin in which a text that is a key is a text. Versions before this rule wrote none."""


@dataclass(frozen=True, slots=True)
class Packed:
    """A batch as the bytes of files. `exact`: by the stored values, 1 and "1" are two keys."""

    files: Sequence[Any] = ()
    rows: int = 0
    rejects: Sequence[Reject] = field(default=())
    exact: bool = True


class Format(Protocol):
    suffix: str

    def pack(self, stream: Stream, batch: Batch) -> Packed:
        """The files that hold the records of a batch, and the records that have no place in them.

        One file; where the last version of a record is kept and the keys are of several kinds, one for each kind.
        """

    def empty(self, stream: Stream) -> Any:
        """A file without records that shows the columns; None where the format has no such thing."""

    def encode(self, tables: Sequence[pa.Table]) -> Any:
        """Tables that are the `same` as the bytes of a file."""

    def read(self, file: BinaryIO, columns: Iterable[str] | None = None) -> Iterator[pa.Table]:
        """The tables in a file, some rows at a time; with `columns`, perhaps only these."""

    def same(self, table: pa.Table, other: pa.Table) -> bool:
        """Whether one file can hold both."""

    def healed(self, table: pa.Table) -> pa.Table:
        """The table of an earlier version's file without what no reader takes."""

    def keys(self, table: pa.Table, stream: Stream, exact: bool) -> list[Any]:
        """The keys of the rows as texts; the first array as they stand, others as else they may be meant."""

    def values(self, table: pa.Table, name: str) -> list[Any]:
        """The values of a field."""

    def mark(self, table: pa.Table, name: str, values: Sequence[Any], schema: Mapping[str, Any]) -> pa.Table:
        """The table with these values of a field, where they are not None and the field has none."""

    def count(self, file: BinaryIO, without: str | None = None) -> int:
        """The rows of a file, but for those that have a value in the field `without`."""


def compressed(data: Any, compression: str) -> Any:
    import pyarrow as pa

    if compression == "none":
        return data
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, compression) as stream:
        stream.write(data)
    return sink.getvalue()


def blocks(file: BinaryIO, compression: str) -> Iterator[bytes]:
    import pyarrow as pa

    stream = file if compression == "none" else pa.CompressedInputStream(pa.PythonFile(file, mode="r"), compression)
    return iter(functools.partial(stream.read, READ_BYTES), b"")


# -- records with a place in a table -----------------------------------------------------------------------------------


def table_of(rows: Sequence[Record], schema: Mapping[str, Any]) -> tuple[pa.Table, list[Reject]]:
    """The records as a table, whatever their fields are called; it has a column, even if they have no field."""
    import pyarrow as pa

    try:
        table, rejects = arrow.from_rows(rows, schema)
    except UnicodeEncodeError:
        table, rejects = arrow.from_rows(renamed(rows), schema)
    if not table.num_columns:
        table = pa.table({"_": pa.nulls(table.num_rows)})
    return table, rejects


def renamed(rows: Sequence[Record]) -> list[Record]:
    """The records without halves of surrogate pairs in the names of their fields, which no file can hold."""
    safe = names.distinct([name for row in rows for name in row], json_codec.without_surrogates)
    return [{safe[name]: value for name, value in row.items()} for row in rows]


def unsound(stream: Stream, rows: Sequence[Record], typed: bool) -> dict[int, str]:
    """By row number, why a key would not be stored as it is, and so perhaps like that of another record.

    `typed`: the columns have types, which hold floats and microseconds.
    """
    import pyarrow as pa

    reasons: dict[int, str] = {}
    for path in stream.primary_key:
        name, values = ".".join(path), [at(row, path) for row in rows]
        kinds, kind = set(map(type, values)), kind_of(stream.schema, path)
        if str in kinds and not encodable(values):
            for n, value in enumerate(values):
                if isinstance(value, str) and not encodable([value]):
                    reasons.setdefault(n, f"the primary key field {name} holds half a surrogate pair")
        if typed and kind == "moment" and str in kinds:
            for n, value in enumerate(values):
                if isinstance(value, str) and FINER.search(value):
                    reasons.setdefault(n, f"the primary key field {name} is finer than a microsecond")
        if typed and kind == "number" and kinds - {int, str, type(None)}:
            type_ = type_at(stream.schema, path)
            for n, value in enumerate(values):
                if type_ is not None and pa.types.is_floating(type_) and not is_float(value):
                    reasons.setdefault(n, f"the primary key field {name} has more digits than a float of 64 bits")
    return reasons


def encodable(values: Iterable[Any]) -> bool:
    try:
        "".join(value for value in values if isinstance(value, str)).encode()
    except UnicodeEncodeError:
        return False
    return True


def is_float(value: Any) -> bool:
    """Whether a number is kept as it is by a column of floats."""
    return not isinstance(value, Decimal) or not value.is_finite() or Decimal(repr(float(value))) == value


def is_open(schema: Mapping[str, Any], path: Path) -> bool:
    """Whether a column would hold values of several kinds at this path as texts, and so alike."""
    import pyarrow as pa

    if identity.is_text(schema, path):
        return False
    type_ = type_at(schema, path)
    if type_ is None or pa.types.is_null(type_):
        return len(path) == 1
    return bool(pa.types.is_string(type_) or pa.types.is_large_string(type_))


def by_kind(rows: Sequence[Record], paths: Sequence[Path]) -> dict[tuple[str, ...], list[Record]]:
    """The records by the kinds of their values at these paths."""
    types = [[type(at(row, path)) for row in rows] for path in paths]
    kinds_of = {type_: kind_of_type(type_) for column in types for type_ in set(column)}
    columns = [[kinds_of[type_] for type_ in column] for column in types]
    if all(len(set(column)) == 1 for column in columns):
        return {tuple(column[0] for column in columns): list(rows)}
    groups: dict[tuple[str, ...], list[Record]] = {}
    for row, kinds in zip(rows, zip(*columns, strict=True), strict=True):
        groups.setdefault(kinds, []).append(row)
    return groups


def kind_of_type(type_: type) -> str:
    if issubclass(type_, str):
        return "text"
    if issubclass(type_, bool):
        return "boolean"
    return "number" if issubclass(type_, int | float | Decimal) else "other"


def sound(stream: Stream, batch: Batch, typed: bool) -> tuple[list[Record], list[Reject]]:
    """The records whose keys can be stored as they are, and the others."""
    rows = batch.rows()
    reasons = unsound(stream, rows, typed) if stream.primary_key else {}
    if not reasons:
        return rows, []
    kept = [row for n, row in enumerate(rows) if n not in reasons]
    return kept, [Reject(rows[n], reason) for n, reason in sorted(reasons.items())]
