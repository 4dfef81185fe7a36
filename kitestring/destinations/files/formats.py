"""What is in the files: Parquet, JSON lines or CSV. A format turns batches into tables of its own and these into bytes.

The table of Parquet is the records themselves, that of JSON lines has one column with the lines, that of CSV has no
nested columns. Keys are compared as text, so that a merge need not know more than this.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

import orjson

from kitestring import arrow, arrow_values, json_codec
from kitestring.batch import Batch
from kitestring.paths import at
from kitestring.types import Path, Reject, Stream

if TYPE_CHECKING:
    import pyarrow as pa

READ_BYTES = 8 * 1024 * 1024


class Parquet:
    def __init__(self, compression: str, row_group_rows: int) -> None:
        self.suffix = ".parquet"
        self.compression = compression
        self.row_group_rows = row_group_rows

    def table(self, stream: Stream, batch: Batch) -> tuple[pa.Table, list[Reject]]:
        """The records in the form of this format, and those that have none."""
        if batch.is_table:
            return batch.table(), []
        return arrow.from_rows(batch.rows(), stream.schema)

    def empty(self, stream: Stream) -> pa.Table:
        return stream.arrow_schema.empty_table()

    def encode(self, tables: Sequence[pa.Table]) -> pa.Buffer:
        """Tables of one schema as the bytes of a file."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        sink = pa.BufferOutputStream()
        table = pa.concat_tables(tables)
        pq.write_table(table, sink, compression=self.compression, row_group_size=self.row_group_rows)
        return sink.getvalue()

    def read(self, file: BinaryIO, columns: Iterable[str] | None = None) -> Iterator[pa.Table]:
        """The tables in a file, some rows at a time; with `columns`, perhaps only these."""
        import pyarrow.parquet as pq

        with pq.ParquetFile(file) as parquet:
            present = [name for name in columns if name in parquet.schema_arrow.names] if columns is not None else None
            for number in range(parquet.num_row_groups):
                yield parquet.read_row_group(number, columns=present)

    def keys(self, table: pa.Table, primary_key: Sequence[Path]) -> pa.Array:
        return key_texts([values_at(table, path) for path in primary_key])

    def count(self, file: BinaryIO) -> int:
        import pyarrow.parquet as pq

        return int(pq.read_metadata(file).num_rows)


class JsonLines:
    def __init__(self, compression: str) -> None:
        self.suffix = ".jsonl" + SUFFIXES[compression]
        self.compression = compression

    def table(self, stream: Stream, batch: Batch) -> tuple[pa.Table, list[Reject]]:
        import pyarrow as pa

        return pa.table({"line": pa.array([line(row) for row in batch.rows()], pa.large_binary())}), []

    def empty(self, stream: Stream) -> None:
        return None

    def encode(self, tables: Sequence[pa.Table]) -> pa.Buffer:
        lines = [text for table in tables for text in table.column("line").to_pylist()]
        return compressed(b"\n".join([*lines, b""]), self.compression)

    def read(self, file: BinaryIO, columns: Iterable[str] | None = None) -> Iterator[pa.Table]:
        import pyarrow as pa

        rest = b""
        for block in blocks(file, self.compression):
            *lines, rest = (rest + block).split(b"\n")
            if lines:
                yield pa.table({"line": pa.array(lines, pa.large_binary())})

    def keys(self, table: pa.Table, primary_key: Sequence[Path]) -> pa.Array:
        import pyarrow as pa

        rows = [orjson.loads(text) for text in table.column("line").to_pylist()]
        return key_texts([pa.array([texted(at(row, path)) for row in rows], pa.string()) for path in primary_key])

    def count(self, file: BinaryIO) -> int:
        return sum(block.count(b"\n") for block in blocks(file, self.compression))


class Csv:
    """Null is nothing, the empty text is `""`; numbers stand without quotes, nested values as JSON text."""

    def __init__(self, compression: str) -> None:
        self.suffix = ".csv" + SUFFIXES[compression]
        self.compression = compression

    def table(self, stream: Stream, batch: Batch) -> tuple[pa.Table, list[Reject]]:
        table, rejects = (batch.table(), []) if batch.is_table else arrow.from_rows(batch.rows(), stream.schema)
        return flat(table), rejects

    def empty(self, stream: Stream) -> pa.Table:
        return flat(stream.arrow_schema.empty_table())

    def encode(self, tables: Sequence[pa.Table]) -> pa.Buffer:
        import pyarrow as pa
        import pyarrow.csv as csv

        sink = pa.BufferOutputStream()
        csv.write_csv(pa.concat_tables(tables), sink)
        return compressed(sink.getvalue(), self.compression)

    def read(self, file: BinaryIO, columns: Iterable[str] | None = None) -> Iterator[pa.Table]:
        import pyarrow as pa
        import pyarrow.csv as csv

        data = pa.BufferReader(b"".join(blocks(file, self.compression)))
        header = csv.open_csv(data, parse_options=csv.ParseOptions(newlines_in_values=True)).schema.names
        data.seek(0)
        texts = csv.ConvertOptions(
            column_types=dict.fromkeys(header, pa.string()),
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            null_values=[""],
        )
        yield csv.read_csv(data, convert_options=texts, parse_options=csv.ParseOptions(newlines_in_values=True))

    def keys(self, table: pa.Table, primary_key: Sequence[Path]) -> pa.Array:
        return key_texts([values_at(table, path) for path in primary_key])

    def count(self, file: BinaryIO) -> int:
        return sum(table.num_rows for table in self.read(file))


SUFFIXES = {"none": "", "gzip": ".gz", "zstd": ".zst"}


def line(row: Mapping[str, Any]) -> bytes:
    return json_codec.dumps(row)


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


def flat(table: pa.Table) -> pa.Table:
    """The table without nested and binary columns: they are JSON text and base64."""
    import pyarrow as pa

    for n, field in enumerate(table.schema):
        if pa.types.is_nested(field.type) or pa.types.is_binary(field.type) or pa.types.is_large_binary(field.type):
            texts = [None if value is None else arrow.text(value) for value in arrow_values.values(table.column(n))]
            if not pa.types.is_nested(field.type):
                texts = [None if text is None else text.strip('"') for text in texts]
            table = table.set_column(n, field.name, pa.array(texts, pa.string()))
        elif not arrow_values.has_text(table.column(n)):
            texts = [None if value is None else arrow.text(value) for value in arrow_values.values(table.column(n))]
            table = table.set_column(n, field.name, pa.array(texts, pa.string()))
        elif pa.types.is_null(field.type):
            table = table.set_column(n, field.name, table.column(n).cast(pa.string()))
    return table


def values_at(table: pa.Table, path: Path) -> pa.Array:
    """The values at a path, as text; null where it leads nowhere."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if path[0] not in table.column_names:
        return pa.nulls(table.num_rows, pa.string())
    values = table.column(path[0])
    if len(path) > 1:
        if pa.types.is_struct(values.type):
            values = pc.struct_field(values, list(path[1:]))
        else:
            found = [at(orjson.loads(text), path[1:]) if text else None for text in values.to_pylist()]
            values = pa.array([texted(value) for value in found], pa.string())
    if pa.types.is_binary(values.type) or pa.types.is_nested(values.type):
        return pa.array([texted(value) for value in arrow_values.values(values)], pa.string())
    return values.cast(pa.string())


def texted(value: Any) -> str | None:
    return None if value is None else arrow.text(value)


def key_texts(parts: Sequence[Any]) -> Any:
    """One text per row of these columns of texts; different keys give different texts."""
    import pyarrow.compute as pc

    escaped = [pc.replace_substring(pc.replace_substring(part, "\\", "\\\\"), "|", "\\|") for part in parts]
    joined = pc.binary_join_element_wise(*escaped, "|", null_handling="replace", null_replacement="\\0")
    return joined.combine_chunks() if hasattr(joined, "combine_chunks") else joined
