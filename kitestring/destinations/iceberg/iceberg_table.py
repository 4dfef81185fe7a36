"""One Iceberg table, read and changed by pyiceberg."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from typing import TYPE_CHECKING, Any

from kitestring.lake.rows_without_keys import rows_without_keys
from kitestring.lake.table_format import Between, LakeTable, WriteId

if TYPE_CHECKING:
    import pyarrow as pa
    from pyiceberg.expressions import BooleanExpression
    from pyiceberg.table import Table, Transaction

NOTE = "kitestring.note"
"""The table property with the note of a table."""
WRITER, NUMBER = "kitestring.writer", "kitestring.number"
"""The properties of a snapshot with the write it belongs to."""
MOST_SNAPSHOTS = 100
"""How many snapshots are searched for a write: a batch is tried again at once."""
FILE_BYTES = {"write.target-file-size-bytes": str(128 * 1024 * 1024)}
"""Of a data file as Arrow: one at a time is read to remove rows."""


class OpenIceberg(LakeTable):
    """One Iceberg table. To remove rows, the files that have them are rewritten (copy on write)."""

    def __init__(self, table: Table, name: str, translated: Callable[[str], AbstractContextManager[None]]) -> None:
        self.table = table
        self.translated = translated
        self.name = name
        self._read()

    def _read(self) -> None:
        import pyarrow as pa

        schema = self.table.schema().as_arrow()
        self.schema = pa.schema([pa.field(column.name, plain(column.type)) for column in schema])
        self.note = self.table.properties.get(NOTE)

    @contextmanager
    def _changing(self, write: WriteId | None = None) -> Iterator[Transaction]:
        """One commit. If it is unknown whether it was made, the table says so."""
        from pyiceberg.exceptions import CommitStateUnknownException

        with self.translated(self.name):
            try:
                with self.table.transaction() as transaction:
                    yield transaction
            except (CommitStateUnknownException, OSError):
                self.table.refresh()
                if write is None or not self.has(write):
                    raise
            self._read()

    def count(self) -> int:
        with self.translated(self.name):
            return int(self.table.scan().count())

    def scan(self, columns: Sequence[str], between: Between) -> pa.RecordBatchReader:
        import pyarrow as pa

        schema = pa.schema([self.schema.field(column) for column in columns])
        with self.translated(self.name):
            scan = self.table.scan(row_filter=within(between), selected_fields=tuple(columns))
            batches = iter(scan.to_arrow_batch_reader())

        def typed() -> Iterator[pa.RecordBatch]:
            with self.translated(self.name):
                for batch in batches:
                    yield pa.RecordBatch.from_arrays(
                        [batch.column(column.name).cast(column.type) for column in schema], schema=schema
                    )

        return pa.RecordBatchReader.from_batches(schema, typed())

    def has(self, write: WriteId) -> bool:
        by_id = {snapshot.snapshot_id: snapshot for snapshot in self.table.metadata.snapshots}
        snapshot = self.table.current_snapshot()
        for _ in range(MOST_SNAPSHOTS):
            if snapshot is None:
                return False
            facts = snapshot.summary.additional_properties if snapshot.summary else {}
            if facts.get(WRITER) == write.writer:
                return int(facts[NUMBER]) >= write.number
            snapshot = by_id.get(snapshot.parent_snapshot_id or -1)
        return False

    def append(self, rows: pa.RecordBatchReader, write: WriteId | None) -> None:
        with self._changing(write) as transaction:
            transaction.append(rows, snapshot_properties=properties_of(write))

    def replace(self, keys: pa.Table, rows: pa.Table, write: WriteId | None) -> None:
        import pyarrow as pa
        from pyiceberg.expressions import AlwaysTrue
        from pyiceberg.io.pyarrow import ArrowScan, _dataframe_to_data_files

        with self._changing(write) as transaction:
            metadata, io = self.table.metadata, self.table.io
            reader = ArrowScan(metadata, io, self.table.schema(), AlwaysTrue())
            numbers = count()  # of the files of this commit: two with one number would be one file
            tasks = list(self.table.scan(row_filter=within(bounds_of(keys))).plan_files())
            with transaction.update_snapshot(snapshot_properties=properties_of(write)).overwrite() as snapshot:

                def add(table: pa.Table) -> None:
                    for file in _dataframe_to_data_files(
                        transaction.table_metadata, table, io, snapshot.commit_uuid, numbers
                    ):
                        snapshot.append_data_file(file)

                for task in tasks:
                    batches = list(reader.to_record_batches([task]))
                    if not batches:
                        continue
                    table = pa.Table.from_batches(batches).select(self.schema.names).cast(self.schema)
                    kept = rows_without_keys(table, keys)
                    if kept.num_rows == table.num_rows:
                        continue
                    snapshot.delete_data_file(task.file)
                    if kept.num_rows:
                        add(kept)
                if rows.num_rows:
                    add(rows)

    def overwrite(self, rows: pa.RecordBatchReader, note: str | None) -> None:
        with self._changing() as transaction:
            present = {column.name: column.type for column in self.schema}
            wanted = {column.name: column for column in rows.schema}
            gone = [name for name, type_ in present.items() if name not in wanted or wanted[name].type != type_]
            new = [column for name, column in wanted.items() if name not in present or name in gone]
            if gone or new:
                types = iceberg_types(new)
                with transaction.update_schema(allow_incompatible_changes=True) as update:
                    for name in gone:
                        update.delete_column((name,))
                    for column in new:
                        update.add_column((column.name,), types[column.name])
            if note is not None and note != self.note:
                transaction.set_properties({NOTE: note})
            transaction.overwrite(rows)

    def clear(self) -> None:
        from pyiceberg.expressions import AlwaysTrue

        with self._changing() as transaction:
            transaction.delete(AlwaysTrue())

    def add_columns(self, fields: Sequence[pa.Field]) -> None:
        types = iceberg_types(fields)
        with self._changing() as transaction, transaction.update_schema() as update:
            for column in fields:
                update.add_column((column.name,), types[column.name])

    def widen(self, fields: Sequence[pa.Field]) -> bool:
        """Iceberg promotes int to long, float to double, and a decimal to more digits before the point."""
        if not all(is_promotion(self.schema.field(column.name).type, column.type) for column in fields):
            return False
        types = iceberg_types(fields)
        with self._changing() as transaction, transaction.update_schema() as update:
            for column in fields:
                update.update_column((column.name,), field_type=types[column.name])
        return True

    def set_note(self, text: str) -> None:
        with self._changing() as transaction:
            transaction.set_properties({NOTE: text})


def plain(type_: pa.DataType) -> pa.DataType:
    """A type as the kit has it: pyiceberg reads large texts, bytes and lists."""
    import pyarrow as pa

    is_ = pa.types
    if is_.is_large_string(type_):
        return pa.string()
    if is_.is_large_binary(type_):
        return pa.binary()
    if is_.is_list(type_) or is_.is_large_list(type_):
        return pa.list_(plain(type_.value_type))
    if is_.is_struct(type_):
        return pa.struct([(inner.name, plain(inner.type)) for inner in type_])
    return type_


def iceberg_types(fields: Sequence[pa.Field]) -> dict[str, Any]:
    import pyarrow as pa
    from pyiceberg.io.pyarrow import _pyarrow_to_schema_without_ids

    schema = _pyarrow_to_schema_without_ids(pa.schema(fields))
    return {field.name: field.field_type for field in schema.fields}


def is_promotion(old: pa.DataType, new: pa.DataType) -> bool:
    import pyarrow as pa

    is_ = pa.types
    if is_.is_decimal(old) and is_.is_decimal(new):
        return bool(old.scale == new.scale and old.precision <= new.precision)
    return (old, new) in ((pa.int32(), pa.int64()), (pa.float32(), pa.float64()))


def within(between: Between) -> BooleanExpression:
    from pyiceberg.expressions import AlwaysTrue, And, GreaterThanOrEqual, LessThanOrEqual

    at_least: Any = GreaterThanOrEqual  # its declared arguments differ between versions
    at_most: Any = LessThanOrEqual
    expression: BooleanExpression = AlwaysTrue()
    for column, limits in between.items():
        low, high = (value if isinstance(value, int) else str(value) for value in limits)
        least, most = at_least(column, low), at_most(column, high)
        expression = And(expression, And(least, most))
    return expression


def bounds_of(keys: pa.Table) -> Between:
    """The smallest and largest whole numbers and dates of keys."""
    import pyarrow as pa
    import pyarrow.compute as pc

    bounds = {}
    for column in keys.schema:
        values = keys[column.name]
        is_plain = pa.types.is_integer(column.type) or pa.types.is_date(column.type)
        if is_plain and len(values) and not values.null_count:
            limits = pc.min_max(values).as_py()
            bounds[column.name] = (limits["min"], limits["max"])
    return bounds


def properties_of(write: WriteId | None) -> dict[str, str]:
    return {WRITER: write.writer, NUMBER: str(write.number)} if write else {}
