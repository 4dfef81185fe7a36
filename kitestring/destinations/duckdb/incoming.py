"""What comes in, as Arrow that DuckDB takes: batches of records, and keys of records to delete or mark."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

from kitestring import arrow, arrow_values
from kitestring.batch import Batch
from kitestring.destinations.duckdb.key import KeyValues, Part, entry, kinds_of, typed_fields
from kitestring.destinations.duckdb.naming import folded
from kitestring.destinations.duckdb.table import Table
from kitestring.errors import RecordError
from kitestring.identity import is_text
from kitestring.json_codec import dumps_text
from kitestring.paths import nested
from kitestring.schema import type_from_json
from kitestring.types import Record, Reject, Stream

if TYPE_CHECKING:
    import pyarrow as pa

NUMBER = "n"
"""The column of the numbers of keys."""


class Prepared(Batch):
    """A batch as Arrow: the records that have no place in it, how many are there in a later version, and the values of
    keys whose column is text."""

    __slots__ = ("doubles", "keys", "rejects")

    def __init__(
        self, stream: str, table: pa.Table, rejects: Sequence[Reject], doubles: int, keys: Mapping[str, KeyValues]
    ) -> None:
        super().__init__(stream, table=table)
        self.rejects = rejects
        self.doubles = doubles
        self.keys = keys


def prepared(stream: Stream, batch: Batch) -> Prepared:
    table, rejects = (batch.table(), []) if batch.is_table else arrow.from_rows(batch.rows(), stream.schema)
    names = table.column_names
    if len(set(names)) < len(names):
        names = arrow_values.distinct_names(names)
        table = table.rename_columns(names)
    values: dict[str, Sequence[Any]] = {}
    if not batch.is_table:
        texts = [name for name in typed_fields(stream) if name in names and is_string(table.schema.field(name).type)]
        rows = accepted(batch.rows(), rejects) if texts else []
        values = {name: [row.get(name) for row in rows] for name in texts}
    doubles, last = 0, None if batch.is_table else last_versions(stream, table)
    if last is not None:
        doubles = table.num_rows - len(last)
        table = table.take(last)
        values = {name: [column[n] for n in last.to_pylist()] for name, column in values.items()}
    keys = {name: KeyValues(column) for name, column in values.items()}
    return Prepared(batch.stream, plain(table), rejects, doubles, keys)


def accepted(rows: Sequence[Record], rejects: Sequence[Reject]) -> Sequence[Record]:
    """The rows that are not among the rejects, which are in their order."""
    if not rejects:
        return rows
    left = iter(rejects)
    reject = next(left, None)
    kept = []
    for row in rows:
        if reject is not None and row is reject.record:
            reject = next(left, None)
        else:
            kept.append(row)
    return kept


def last_versions(stream: Stream, table: pa.Table) -> pa.Array | None:
    """The rows to keep of a table whose rows are of one key, None for all: moments that were written in two ways are
    two values on their way and one here."""
    import pyarrow as pa

    names = [path[0] for path in stream.primary_key if len(path) == 1]
    if stream.write.keep == "all" or len(names) != len(stream.primary_key) or not {*names} <= {*table.column_names}:
        return None
    types = [table.schema.field(name).type for name in names]
    is_ = pa.types
    if not any(is_.is_temporal(t) or is_.is_decimal(t) or is_.is_binary(t) or is_.is_floating(t) for t in types):
        return None
    rows = pa.array(range(table.num_rows), pa.int64())
    keys = pa.table([*(table[name] for name in names), rows], [*(f"c{n}" for n in range(len(names))), NUMBER])
    try:
        last = keys.group_by(keys.column_names[:-1]).aggregate([(NUMBER, "max")])[f"{NUMBER}_max"]
    except pa.ArrowNotImplementedError:
        return None
    return last.combine_chunks().sort() if len(last) < table.num_rows else None


def is_string(type_: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_string_view(type_))


# -- types -------------------------------------------------------------------------------------------------------------


def plain(table: pa.Table) -> pa.Table:
    """The table in types that DuckDB has, and takes as they are; with a column, if it has none."""
    import pyarrow as pa

    if not table.num_columns:
        return pa.table({"_": pa.nulls(table.num_rows)})
    for n, field in enumerate(table.schema):
        wanted, column = plain_type(field.type), table.column(n)
        if wanted == field.type:
            if pa.types.is_interval(wanted):
                refuse_nanoseconds(column, field.name)
            continue
        try:
            column = json_texts(column) if wanted is None else column.cast(wanted)
        except pa.ArrowNotImplementedError:
            column = json_texts(column)
        except pa.ArrowInvalid as error:
            raise RecordError(f"field {field.name}: DuckDB cannot take a value: {error}") from error
        table = table.set_column(n, field.name, column)
    return table


def plain_type(type_: pa.DataType) -> pa.DataType | None:
    """The Arrow type as which DuckDB takes this one; None for JSON text."""
    import pyarrow as pa

    is_ = pa.types
    if isinstance(type_, pa.BaseExtensionType):
        return type_ if type_.extension_name == "arrow.uuid" else plain_type(type_.storage_type)
    if is_.is_dictionary(type_) or is_.is_run_end_encoded(type_):
        return plain_type(type_.value_type)
    if is_.is_decimal256(type_) or (is_.is_decimal(type_) and type_.scale < 0):
        return pa.string()
    if is_.is_float16(type_):
        return pa.float32()
    if is_.is_duration(type_):
        return pa.duration("us")  # an interval of DuckDB counts microseconds: what is finer does not fit
    if is_.is_list(type_) or is_.is_large_list(type_) or is_.is_fixed_size_list(type_):
        inner = None if is_.is_interval(type_.value_type) else plain_type(type_.value_type)
        return type_ if inner == type_.value_type else None if inner is None else pa.list_(inner)
    if is_.is_struct(type_):
        fields = [type_.field(n) for n in range(type_.num_fields)]
        inners = [plain_type(field.type) for field in fields]
        if not fields or any(not f.name for f in fields) or len({folded(f.name) for f in fields}) < len(fields):
            return None
        if None in inners:
            return None
        same = all(inner == field.type for inner, field in zip(inners, fields, strict=True))
        return type_ if same else pa.struct(zip((field.name for field in fields), inners, strict=True))
    return type_


def json_texts(column: pa.ChunkedArray) -> pa.ChunkedArray:
    import pyarrow as pa

    texts = [None if value is None else dumps_text(value) for value in arrow_values.values(column)]
    return pa.chunked_array([pa.array(texts, pa.string())])


def refuse_nanoseconds(column: pa.ChunkedArray, name: str) -> None:
    """An interval of DuckDB counts microseconds: it would cut the rest off."""
    for value in column.to_pylist():
        if value is not None and value.nanoseconds % 1000:
            raise RecordError(f"field {name}: the interval {value} has nanoseconds, DuckDB's has microseconds")


# -- keys --------------------------------------------------------------------------------------------------------------


class Keys:
    """Keys of records, as DuckDB compares them with those of a table. `rows` are those that the table may have at all;
    the number of a key, by which they are counted, is the column `NUMBER`."""

    def __init__(self, table: Table, stream: Stream, keys: Sequence[tuple[Any, ...]]) -> None:
        import pyarrow as pa

        with table.connection.translated():
            columns = table.connection.db.sql(f"SELECT * FROM {table.reference} LIMIT 0").to_arrow_table().schema  # noqa: S608 - quoted
        candidates = list(range(len(keys)))
        values: list[list[Any]] = []
        types: list[pa.DataType] = []
        entries: list[list[str | None] | None] = []
        for n, path in enumerate(stream.primary_key):
            if path[0] not in table.fields:
                candidates = []
                break
            type_ = columns.field(table.fields[path[0]]).type
            fitted = [self._fitted(table, stream, path, type_, key[n]) for key in keys]
            candidates = [place for place in candidates if fitted[place] is not Misfit]
            values.append([None if value is Misfit else value for value in fitted])
            is_plain = len(path) == 1 and table.columns[table.fields[path[0]]] not in ("VARCHAR", "UUID")
            types.append(type_ if is_plain else pa.string())
            has_entries = len(path) == 1 and path[0] in typed_fields(stream)
            entries.append([entry(key[n]) for key in keys] if has_entries else None)
        self.parts: list[Part] = []
        arrays: list[pa.Array] = []
        if candidates:
            for path, type_, column, column_entries in zip(stream.primary_key, types, values, entries, strict=True):
                arrays.append(pa.array([column[place] for place in candidates], type_))
                source, place_of_entries = f"incoming.c{len(arrays) - 1}", None
                if column_entries is not None:
                    arrays.append(pa.array([column_entries[place] for place in candidates], pa.string()))
                    place_of_entries = f"incoming.c{len(arrays) - 1}"
                kept = table.columns[table.fields[path[0]]]
                incoming_type = kept if len(path) == 1 and not is_string(type_) else "VARCHAR"
                self.parts.append(table.part(path, source, incoming_type, place_of_entries))
        self.number = f"incoming.c{len(arrays)}"
        self.places = candidates
        arrays.append(pa.array(candidates, pa.int64()))
        self.rows = pa.Table.from_arrays(arrays, [f"c{n}" for n in range(len(arrays))])

    @staticmethod
    def _fitted(table: Table, stream: Stream, path: tuple[str, ...], type_: pa.DataType, value: Any) -> Any:
        """A part of a key as a value of its column; `Misfit` if no record can have it."""

        if len(path) > 1:
            return dumps_text(nested([path[1:]], [value]))
        if value is None:
            return None
        column = table.fields[path[0]]
        if table.columns[column] == "UUID":
            return uuid_text(value)
        if not is_string(type_):
            declared = type_from_json(stream.schema.get("properties", {}).get(path[0]))
            if isinstance(value, str) and is_string(declared):
                return Misfit  # a text is no number, and no moment
            try:
                return arrow.fitting(type_)(value)
            except arrow.Misfit:
                return Misfit
        if not is_text(stream.schema, path) and not table.has_entries(column) and table.note is not None:
            kind = table.note.kinds.get(column, "?")
            if not kind.endswith("?") and kinds_of([value]) != {kind}:
                return Misfit
        return arrow.text(value)


def uuid_text(value: Any) -> Any:
    try:
        return str(UUID(str(value)))
    except ValueError:
        return Misfit


class Misfit:
    """In the place of a value that a column cannot hold."""


def entry_arrays(table: Table, ready: Prepared, fields: Iterable[str]) -> dict[str, pa.Array]:
    """The entries of the key columns (see `key`) of a batch, by field, for columns that have them."""
    import pyarrow as pa

    arrays, rows = {}, ready.table()
    for field in fields:
        if field not in rows.column_names or not table.has_entries(table.fields[field]):
            continue
        if field in ready.keys:
            entries = ready.keys[field].entries()
        elif is_string(rows.schema.field(field).type):
            entries = [None] * rows.num_rows
        else:
            entries = [entry(value) for value in arrow_values.values(rows[field])]
        arrays[field] = pa.array(entries, pa.string())
    return arrays
