"""Input as Arrow that the vendor accepts: batches of records, and keys of records to delete or mark."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

from kitestring import arrow, arrow_values
from kitestring.batch import Batch
from kitestring.errors import RecordError
from kitestring.identity import is_text
from kitestring.json_codec import dumps_text
from kitestring.paths import nested
from kitestring.schema import json_types, type_from_json
from kitestring.sql.changed_value import Changes, NoChanges
from kitestring.sql.dialect import Dialect
from kitestring.sql.key import KeyValues, Part, entry, kinds_of, typed_fields
from kitestring.sql.table import Table
from kitestring.sql.types import TEXT
from kitestring.types import Record, Reject, Stream

if TYPE_CHECKING:
    import pyarrow as pa

NESTED = ({"object"}, {"array"}, {"object", "array"})
"""Types of JSON Schema whose values are not texts."""


class PreparedBatch(Batch):
    """A batch as Arrow: the rejected records, the number of records that a later version replaces, the values of keys
    whose column is text, and the values that are null since they do not fit."""

    __slots__ = ("changes", "duplicates", "keys", "rejects")

    def __init__(
        self,
        stream: str,
        table: pa.Table,
        rejects: Sequence[Reject],
        duplicates: int,
        keys: Mapping[str, KeyValues],
        changes: Changes,
    ) -> None:
        super().__init__(stream, table=table)
        self.rejects = rejects
        self.duplicates = duplicates
        self.keys = keys
        self.changes = changes


def prepare_batch(dialect: Dialect, stream: Stream, batch: Batch, *, sets_null: bool = False) -> PreparedBatch:
    """A value that does not fit its column rejects its record; with `sets_null` it becomes null, as `changes` says."""
    changes = Changes(stream) if sets_null else NoChanges(stream)
    rejects: Sequence[Reject] = ()
    rows: Sequence[Record] = ()
    if batch.is_table:
        table = batch.table()
    else:
        rows = batch.rows()
        table, misfits = arrow.with_misfits(rows, stream.schema)
        if misfits:
            table, rows, rejects = changes.without_misfits(table, rows, misfits)
    names = table.column_names
    if len(set(names)) < len(names):
        names = arrow_values.distinct_names(names)
        table = table.rename_columns(names)
    if dialect.has_json:
        table = with_json(stream.schema, table, None if batch.is_table else rows)
    values: dict[str, Sequence[Any]] = {}
    if not batch.is_table:
        texts = [name for name in typed_fields(stream) if name in names and is_string(table.schema.field(name).type)]
        values = {name: [row.get(name) for row in rows] for name in texts}
    duplicates, last = 0, None if batch.is_table else last_versions(stream, table, values)
    if last is not None:
        duplicates = table.num_rows - len(last)
        table = table.take(last)
        places = last.to_pylist()
        values = {name: [column[n] for n in places] for name, column in values.items()}
        changes.take(places)
    keys = {name: KeyValues(column) for name, column in values.items()}
    return PreparedBatch(batch.stream, plain(dialect, table, changes), rejects, duplicates, keys, changes)


def last_versions(stream: Stream, table: pa.Table, values: Mapping[str, Sequence[Any]]) -> pa.Array | None:
    """The rows with the last version of each key, None for all rows: two spellings of one moment are two keys in
    records and one key here. `values` are those of the key fields whose column is text: 1 and "1" are two keys.
    """
    import pyarrow as pa

    names = [path[0] for path in stream.primary_key if len(path) == 1]
    if stream.write.keep == "all" or len(names) != len(stream.primary_key) or not {*names} <= {*table.column_names}:
        return None
    types = [table.schema.field(name).type for name in names]
    is_ = pa.types
    if not any(is_.is_temporal(t) or is_.is_decimal(t) or is_.is_binary(t) or is_.is_floating(t) for t in types):
        return None
    rows = pa.array(range(table.num_rows), pa.int64())
    entries = [pa.array(map(entry, values[name]), pa.string()) for name in names if name in values]
    columns = [*(table[name] for name in names), *entries]
    keys = pa.table([*columns, rows], [*(f"c{n}" for n in range(len(columns))), "row"])
    try:
        last = keys.group_by(keys.column_names[:-1]).aggregate([("row", "max")])["row_max"]
    except pa.ArrowNotImplementedError:
        return None
    return last.combine_chunks().sort() if len(last) < table.num_rows else None


def is_string(type_: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_string_view(type_))


# -- types -------------------------------------------------------------------------------------------------------------


def plain(dialect: Dialect, table: pa.Table, changes: Changes | None = None) -> pa.Table:
    """The table in types of the vendor; with at least one column. `RecordError` for a value that the vendor cannot
    take, unless `changes` takes it."""
    import pyarrow as pa

    if not table.num_columns:
        return pa.table({"_": pa.nulls(table.num_rows)})
    for n, field in enumerate(table.schema):
        before, convert = table.column(n), partial(accepted, dialect, field)
        column = convert(before) if changes is None else changes.converted(field.name, before, convert)
        if column is not before:
            table = table.set_column(n, field.name, column)
    return table


def accepted(dialect: Dialect, field: pa.Field, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The column in the type of the vendor, itself if it has it. `RecordError` for a value that the vendor cannot
    take."""
    target = dialect.plain_type(field.type)
    if target != field.type:
        column = cast(dialect, column, target, field.name)
    reason = dialect.refusal(column)
    if reason:
        raise RecordError(f"field {field.name}: {reason}")
    return column


def cast(dialect: Dialect, column: pa.ChunkedArray, target: pa.DataType | None, name: str) -> pa.ChunkedArray:
    import pyarrow as pa

    if target is None:
        return as_json(json_texts(column)) if dialect.has_json else json_texts(column)
    try:
        as_text = is_string(target) and not is_texts(column.type) and not pa.types.is_decimal(column.type)
        return texts(column) if as_text else column.cast(target)
    except pa.ArrowNotImplementedError:
        return json_texts(column)
    except pa.ArrowInvalid as error:
        raise RecordError(f"field {name}: {dialect.title} cannot take a value: {error}") from error


def is_texts(type_: pa.DataType) -> bool:
    """Whether the values of a type are texts, in any encoding."""
    import pyarrow as pa

    if pa.types.is_dictionary(type_) or pa.types.is_run_end_encoded(type_):
        return is_texts(type_.value_type)
    return is_string(type_) or (isinstance(type_, pa.BaseExtensionType) and is_string(type_.storage_type))


def texts(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Each value as its text in a column of text."""
    import pyarrow as pa

    values = [None if value is None else arrow.text(value) for value in arrow_values.values(column)]
    return pa.chunked_array([pa.array(values, pa.string())])


def json_texts(column: pa.ChunkedArray) -> pa.ChunkedArray:
    import pyarrow as pa

    texts = [None if value is None else dumps_text(value) for value in arrow_values.values(column)]
    return pa.chunked_array([pa.array(texts, pa.string())])


def with_json(schema: Mapping[str, Any], table: pa.Table, rows: Sequence[Record] | None = None) -> pa.Table:
    """The table with fields that are declared as objects, arrays or JSON texts as JSON. `rows` are the records of the
    table: a text there is a JSON string, unless the field is declared as JSON text."""
    for name, declared in (schema.get("properties") or {}).items():
        if name not in table.column_names or not is_string(table.schema.field(name).type):
            continue
        is_text_of_json = isinstance(declared, Mapping) and declared.get("contentMediaType") == "application/json"
        if is_text_of_json or (isinstance(declared, Mapping) and json_types(declared) - {"null"} in NESTED):
            column = table.column(name)
            if rows is not None and not is_text_of_json and any(isinstance(row.get(name), str) for row in rows):
                strings = [row.get(name) for row in rows]
                column = strings_as_json(column, strings)
            table = table.set_column(table.column_names.index(name), name, as_json(column))
    return table


def strings_as_json(column: pa.ChunkedArray, values: Sequence[Any]) -> pa.ChunkedArray:
    import pyarrow as pa

    pairs = zip(column.to_pylist(), values, strict=True)
    return pa.chunked_array([pa.array([dumps_text(t) if isinstance(v, str) else t for t, v in pairs], pa.string())])


def as_json(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column of JSON texts as `arrow.json`."""
    import pyarrow as pa

    type_ = pa.json_()
    chunks = [pa.ExtensionArray.from_storage(type_, chunk.cast(pa.string())) for chunk in column.chunks]
    return pa.chunked_array(chunks, type_)


# -- keys --------------------------------------------------------------------------------------------------------------


class KeyRows:
    """Keys of records, to be compared with those of a table. `rows` are the keys that the table can contain, with
    columns c0, c1, …; the last column is the number of the key, for counting."""

    def __init__(self, table: Table, stream: Stream, keys: Sequence[tuple[Any, ...]]) -> None:
        import pyarrow as pa

        columns = table.connection.arrow_types(table)
        candidates = list(range(len(keys)))
        values: list[list[Any]] = []
        types: list[pa.DataType] = []
        entries: list[list[str | None] | None] = []
        for n, path in enumerate(stream.primary_key):
            if path[0] not in table.fields:
                candidates = []
                break
            type_ = columns[table.fields[path[0]]]
            fitted = [self._fitted(table, stream, path, type_, key[n]) for key in keys]
            candidates = [place for place in candidates if fitted[place] is not Misfit]
            values.append([None if value is Misfit else value for value in fitted])
            is_plain = len(path) == 1 and table.columns[table.fields[path[0]]] not in (TEXT, "UUID")
            types.append(type_ if is_plain else pa.string())
            has_entries = len(path) == 1 and path[0] in typed_fields(stream)
            entries.append([entry(key[n]) for key in keys] if has_entries else None)
        self.parts: list[Part] = []
        self._arrays: list[pa.Array] = []
        if candidates:
            for path, type_, column, column_entries in zip(stream.primary_key, types, values, entries, strict=True):
                source = self._add([column[place] for place in candidates], type_)
                nullable = self._arrays[-1].null_count > 0
                place_of_entries = None
                if column_entries is not None:
                    place_of_entries = self._add([column_entries[place] for place in candidates], pa.string())
                column_kind = table.columns[table.fields[path[0]]]
                if len(path) == 1:
                    if is_string(type_) and column_kind == "UUID":
                        source = table.dialect.converted(source, TEXT, column_kind)
                    self.parts.append(table.part(path, source, nullable, place_of_entries))
                else:
                    self.parts.append(table.part(path, source, nullable, None, TEXT))
        self.number = self._add(candidates, pa.int64())
        self.places = candidates
        rows = pa.Table.from_arrays(self._arrays, [f"c{n}" for n in range(len(self._arrays))])
        self.rows = plain(table.dialect, rows)

    def _add(self, values: Sequence[Any], type_: pa.DataType) -> str:
        """Add a column; returns its expression."""
        import pyarrow as pa

        self._arrays.append(pa.array(values, type_))
        return f"incoming.c{len(self._arrays) - 1}"

    @staticmethod
    def _fitted(table: Table, stream: Stream, path: tuple[str, ...], type_: pa.DataType, value: Any) -> Any:
        """A part of a key as a value of its column; `Misfit` if no row can have it."""

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
                return Misfit  # a text is neither a number nor a moment
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
    """Replaces a value that a column cannot hold."""


def entry_arrays(table: Table, prepared: PreparedBatch, fields: Iterable[str]) -> dict[str, pa.Array]:
    """The entries of a batch's key columns (see `key`), by field, for columns with entries."""
    import pyarrow as pa

    arrays, rows = {}, prepared.table()
    for field in fields:
        if field not in rows.column_names or not table.has_entries(table.fields[field]):
            continue
        if field in prepared.keys:
            entries = prepared.keys[field].entries()
        elif is_string(rows.schema.field(field).type):
            entries = [None] * rows.num_rows
        else:
            entries = [entry(value) for value in arrow_values.values(rows[field])]
        arrays[field] = pa.array(entries, pa.string())
    return arrays
