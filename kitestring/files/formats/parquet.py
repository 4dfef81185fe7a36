"""Parquet: the records as columns of their types."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

from kitestring import arrow, arrow_values, json_codec
from kitestring.batch import Batch
from kitestring.files import column, row_key
from kitestring.files.formats.format import READ_BYTES, DamageError, EncodedFiles, Format
from kitestring.files.record_table import by_kind, is_open, split_storable, table_of
from kitestring.schema import type_from_json
from kitestring.types import Path, Stream

if TYPE_CHECKING:
    import pyarrow as pa

JSON_KEYS = b"kitestring.json_keys"
"""Metadata of a file: the paths of the primary key whose texts are JSON (`1`, `true`); all other texts are plain."""

SAMPLE_ROWS = 4_096
"""The first rows tell whether the values of a column are repeated."""


class Parquet(Format):
    """A file has a schema and row groups of columns; it is read by row groups, or by parts of large ones."""

    name = "parquet"
    compressions = ("zstd", "snappy", "gzip", "lz4", "none")
    inside = True

    def encode_batch(self, stream: Stream, batch: Batch) -> EncodedFiles:
        if batch.is_table:
            table = batch.table()
            return EncodedFiles([self.encode([table])] if table.num_rows else [], table.num_rows)
        rows, rejects = split_storable(stream, batch, typed=True)
        paths = [path for path in stream.primary_key if is_open(stream.schema, path)]
        groups = by_kind(rows, paths) if paths else {(): rows}
        exact = len(groups) == 1 or stream.write.keep == "latest"
        if not exact:
            groups = {(): rows}
        files, count = [], 0
        for kinds, group in groups.items():
            table, unfit = table_of(group, stream.schema)
            rejects = [*rejects, *unfit]
            if table.num_rows:
                json_paths = [path for path, kind in zip(paths, kinds, strict=False) if kind != "text"]
                if json_paths:
                    metadata = {**(table.schema.metadata or {}), JSON_KEYS: json_codec.dumps(json_paths)}
                    table = table.replace_schema_metadata(metadata)
                files.append(self.encode([table]))
                count += table.num_rows
        return EncodedFiles(files, count, rejects, exact)

    def empty(self, stream: Stream) -> Any:
        table = stream.arrow_schema.empty_table()
        return self.encode([table]) if table.num_columns else None

    def schema(self, file: BinaryIO) -> pa.Schema:
        import pyarrow.parquet as pq

        return pq.read_schema(file).remove_metadata()

    def read(self, file: BinaryIO, schema: pa.Schema | None = None) -> Iterator[pa.Table]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        with pq.ParquetFile(file) as parquet:
            target = None if schema is None else column.readable(schema)
            present = None if target is None else [name for name in target.names if name in parquet.schema_arrow.names]
            start = 0
            for number in range(parquet.num_row_groups):
                group = parquet.metadata.row_group(number)
                most = max(1, READ_BYTES * group.num_rows // max(1, group.total_byte_size))
                with naming_row_group(number):
                    batches = parquet.iter_batches(most, row_groups=[number], columns=present)
                while True:
                    with naming_row_group(number):
                        batch = next(batches, None)
                    if batch is None:
                        break
                    table = pa.Table.from_batches([batch]).replace_schema_metadata()
                    yield table if target is None else with_schema(table, target, start)
                    start += table.num_rows

    def count(self, file: BinaryIO, without: str | None = None) -> int:
        import pyarrow.parquet as pq

        metadata = pq.read_metadata(file)
        if without is None or without not in metadata.schema.to_arrow_schema().names:
            return int(metadata.num_rows)
        file.seek(0)
        return sum(table.column(without).null_count for table in self.raw(file, [without]))

    def raw(self, file: BinaryIO, columns: Iterable[str] | None = None) -> Iterator[pa.Table]:
        import pyarrow.parquet as pq

        with pq.ParquetFile(file) as parquet:
            present = [name for name in columns if name in parquet.schema_arrow.names] if columns is not None else None
            for number in range(parquet.num_row_groups):
                with naming_row_group(number):
                    table = parquet.read_row_group(number, columns=present)
                yield table

    def encode(self, tables: Sequence[pa.Table]) -> pa.Buffer:
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pa.concat_tables(tables)
        if not table.num_columns:
            table = pa.table({"_": pa.nulls(table.num_rows)})
        options = {"compression": self.compression, "row_group_size": self.row_group_rows}
        sink = pa.BufferOutputStream()
        try:
            pq.write_table(table, sink, **options, use_dictionary=repeated_columns(table))
        except pa.ArrowNotImplementedError:  # Parquet has no intervals and no structs without fields
            sink = pa.BufferOutputStream()
            table = with_storable_types(table)
            pq.write_table(table, sink, **options, use_dictionary=repeated_columns(table))
        return sink.getvalue()

    def same(self, table: pa.Table, other: pa.Table) -> bool:
        return bool(table.schema.equals(other.schema)) and json_keys(table) == json_keys(other)

    def keys(self, table: pa.Table, stream: Stream, exact: bool) -> list[Any]:
        json_paths = json_keys(table)
        return row_key.readings(
            [
                parts_at(table, path, row_key.kind_of(stream.schema, path), path in json_paths, exact)
                for path in stream.primary_key
            ]
        )

    def values(self, table: pa.Table, name: str) -> list[Any]:
        return arrow_values.values(table.column(name)) if name in table.column_names else [None] * table.num_rows

    def mark(self, table: pa.Table, name: str, values: Sequence[Any], schema: Mapping[str, Any]) -> pa.Table:
        import pyarrow as pa

        present = name in table.column_names
        type_ = table.schema.field(name).type if present else type_from_json(schema.get(name, {}))
        filled = [new if old is None else old for old, new in zip(self.values(table, name), values, strict=True)]
        misfits: list[arrow.MisfitValue] = []
        marks = arrow.column(name, filled, type_, misfits)
        if misfits or pa.types.is_null(type_):
            marks = pa.array([None if value is None else arrow.text(value) for value in filled], pa.string())
        if present:
            return table.set_column(table.column_names.index(name), name, marks)
        return table.append_column(name, marks)


def repeated_columns(table: pa.Table) -> list[str] | bool:
    """The columns that a dictionary makes smaller, True for all. One of values that are nearly all distinct takes twice
    the time with a dictionary, and is compressed less."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if table.num_rows < SAMPLE_ROWS or any(pa.types.is_nested(type_) for type_ in table.schema.types):
        return True
    sample, names = table.slice(0, SAMPLE_ROWS), []
    for name, column_ in zip(table.column_names, sample.columns, strict=True):
        try:
            is_distinct = pc.count_distinct(column_).as_py() > SAMPLE_ROWS // 2
        except pa.ArrowNotImplementedError:  # a type that Arrow does not compare
            is_distinct = False
        if not is_distinct:
            names.append(name)
    return names


@contextmanager
def naming_row_group(number: int) -> Iterator[None]:
    """Add the row group to errors."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise DamageError(f"row group {number + 1:,}: {error}") from error


def with_schema(table: pa.Table, schema: pa.Schema, start: int) -> pa.Table:
    """The table with the columns of a schema."""
    import pyarrow as pa

    columns = [
        column.of_column(field.name, table.column(field.name), field.type, start)
        if field.name in table.column_names
        else pa.nulls(table.num_rows, field.type)
        for field in schema
    ]
    return column.table_of(schema, columns, table.num_rows)


def json_keys(table: pa.Table) -> set[Path]:
    metadata = table.schema.metadata or {}
    return {tuple(path) for path in json_codec.loads(metadata[JSON_KEYS])} if JSON_KEYS in metadata else set()


def parts_at(table: pa.Table, path: Path, kind: str, is_json: bool, exact: bool) -> list[Any]:
    """The texts of one part of the key, and their other meaning in a file of an earlier version."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if path[0] not in table.column_names:
        return [pa.nulls(table.num_rows, pa.large_string())]
    values = row_key.combine_chunks(table.column(path[0]))
    if len(path) > 1 and isinstance(values.type, pa.BaseExtensionType):
        values = values.storage
    for place, name in enumerate(path[1:], 1):
        if not pa.types.is_struct(values.type):
            return [row_key.json_parts(values.to_pylist(), path[place:], kind)]
        if values.type.get_field_index(name) < 0:
            return [pa.nulls(table.num_rows, pa.large_string())]
        values = pc.struct_field(values, name)
    if not pa.types.is_string(values.type) or kind == "text":
        return [row_key.parts_of(values, kind)]
    if is_json:
        loaded = (None if text is None else json_codec.loads(text) for text in values.to_pylist())
        return [row_key.parts(loaded, row_key.declared_part(kind))]
    as_text = row_key.parts_of(values, kind)
    return [as_text] if exact else [as_text, row_key.parts(values.to_pylist(), row_key.spelled_part)]


def with_storable_types(table: pa.Table) -> pa.Table:
    """The table with JSON texts for types that Parquet does not have."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    for n, field in enumerate(table.schema):
        try:
            pq.write_table(pa.table({"": pa.nulls(0, field.type)}), pa.BufferOutputStream())
        except pa.ArrowNotImplementedError:
            texts = [None if value is None else arrow.text(value) for value in arrow_values.values(table.column(n))]
            table = table.set_column(n, field.name, pa.array(texts, pa.string()))
    return table
