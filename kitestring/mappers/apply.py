"""Compiles the mappers of a stream once, and applies them to each batch between the source and the destination.

The source, its state and its cursor see the stream as it is read; the destination sees it mapped. Records keep their
order. A table stays a table.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from kitestring import arrow_values
from kitestring.batch import Batch
from kitestring.errors import ConfigError, RecordError
from kitestring.json_codec import dumps_text
from kitestring.mappers.encryption import encryptor
from kitestring.mappers.mapped_batch import FILTERED, AsMapped, Mapped
from kitestring.mappers.mapper_settings import (
    Aes,
    Equal,
    FieldFiltering,
    FieldRenaming,
    Hashing,
    RowFiltering,
    Rsa,
    Several,
    load,
)
from kitestring.schema import Schema
from kitestring.suggest import did_you_mean
from kitestring.types import DELETED_AT, Path, Record, Reject, Stream

if TYPE_CHECKING:
    import pyarrow as pa

TEXT = {"type": ["string", "null"]}
METHODS = {name: name.replace("-", "").lower() for name in ("MD5", "SHA-1", "SHA-224", "SHA-256", "SHA-384", "SHA-512")}

Change = Callable[[Record], bool]
"""Changes a record in place; False filters it out. `RecordError` where that is impossible."""
ChangeTable = Callable[["pa.Table"], "pa.Table"]


@dataclass(frozen=True, slots=True)
class Plan:
    """The compiled mappers of a stream. `stream` is the mapped stream, under its name in the source."""

    stream: Stream
    changes: tuple[Change, ...]
    table_changes: tuple[ChangeTable, ...]
    filters: bool

    def apply(self, batch: Batch, can_delete: bool) -> Mapped:
        """Map a batch into a new one.

        `can_delete`: the destination can delete records by key. Where the latest version is kept, a filtered record
        then becomes the deletion of its key: an earlier version may have passed the filter, and would stay.
        """
        forget = can_delete and self.filters and self.stream.write.keep == "latest"
        if batch.is_table and not forget:
            try:
                table = batch.table()
                for change in self.table_changes:
                    table = change(table)
                return Mapped(Batch(batch.stream, table=table, nbytes=batch.nbytes), len(batch) - table.num_rows)
            except RecordError:  # find the record that fails
                pass
        mapped = Mapped(batch)
        rows: list[Record] = []
        for row in batch.rows():
            if isinstance(row, AsMapped):
                rows.append(row)
                continue
            new = dict(row)
            try:
                for change in self.changes:
                    if change(new):
                        continue
                    if not forget:
                        mapped.filtered += 1
                        break
                    new[DELETED_AT] = FILTERED
                else:
                    rows.append(new)
            except RecordError as error:
                mapped.rejected.append(Reject(row, error.message))
        mapped.batch = Batch(batch.stream, rows=rows, nbytes=batch.nbytes)
        return mapped


def compile_mappers(stream: Stream, mappers: Sequence[Mapping[str, Any]]) -> Plan:
    """The compiled mappers of a selected stream. `ConfigError` for an impossible mapper."""
    draft = Draft(stream)
    for number, mapper in enumerate(load(mappers, stream.key), 1):
        draft.add(mapper, f"the mapper {number} of {stream.key} ({mapper.type})")
    return Plan(draft.finish(), tuple(draft.changes), tuple(draft.table_changes), draft.filters)


class Draft:
    """A stream while its mappers are compiled one after the other: each sees the result of the ones before it."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.properties: dict[str, Any] = dict(stream.schema.get("properties") or {})
        self.required = list(stream.schema.get("required") or ())
        self.open = not self.properties or bool(stream.schema.get("additionalProperties"))
        self.key: list[Path] = list(stream.primary_key)
        self.cursor = stream.cursor
        self.dedup = stream.write.keep == "latest"
        self.filters = False
        self.changes: list[Change] = []
        self.table_changes: list[ChangeTable] = []

    def add(self, mapper: Any, what: str) -> None:
        match mapper:
            case Hashing():
                method = METHODS[mapper.method]
                self.replace_field(
                    what, mapper.target_field, mapper.field_name_suffix, lambda value: hash_of(method, value), True
                )
            case Aes() | Rsa():
                encrypt = encryptor(mapper, self.stream.key)
                equal = isinstance(mapper, Aes) and mapper.mode == "ECB"
                self.replace_field(what, mapper.target_field, mapper.field_name_suffix, encrypt, equal)
            case FieldRenaming():
                self.rename_field(what, mapper.original_field_name, mapper.new_field_name)
            case FieldFiltering():
                self.drop_field(what, mapper.target_field)
            case RowFiltering():
                self.filter_rows(what, mapper)

    def finish(self) -> Stream:
        schema = {**self.stream.schema, "properties": self.properties}
        if "required" in schema:
            schema["required"] = self.required
        return replace(
            self.stream,
            schema=Schema.of(self.stream.schema).changed(schema),
            primary_key=tuple(self.key),
            cursor=self.cursor,
            fields=(),
        )

    # -- the five ------------------------------------------------------------------------------------------------------

    def replace_field(self, what: str, name: str, suffix: str, change: Callable[[bytes], str], equal: bool) -> None:
        """Replace a field by a text made of its value. `equal`: the same value always gives the same text."""
        new = f"{name}{suffix}"
        self.must_have(what, name)
        self.must_be_free(what, name, new)
        nested = [path for path in self.key if path[0] == name and len(path) > 1]
        if nested:
            raise ConfigError(
                f"{what} makes a text of {name}, and {'.'.join(nested[0])} is part of the primary key",
                hint="Name another primary_key, or map another field.",
            )
        if (name,) in self.key and self.dedup and not equal:
            raise ConfigError(
                f"{what} makes another text of the primary key {name} each time, and append_dedup finds records by it",
                hint="Hash the field, name another primary_key, or write as append or overwrite.",
            )
        self.key = [(new,) if path == (name,) else path for path in self.key]
        if self.cursor and self.cursor[0] == name:
            self.cursor = None
        declared = self.properties.get(name)
        declared = declared if isinstance(declared, Mapping) else {}
        annotations = {
            attribute: declared[attribute] for attribute in ("title", "description") if attribute in declared
        }
        self.take_place(name, new, {**TEXT, **annotations})

        def row(record: Record) -> bool:
            if name in record:
                value = record.pop(name)
                if new in record:
                    raise RecordError(f"the record has a field {new} besides {name}, which is to be called so")
                record[new] = None if value is None else changed_text(change, name, value)
            return True

        def table(table: pa.Table) -> pa.Table:
            import pyarrow as pa

            if name not in table.column_names:
                return table
            values = [
                None if value is None else changed_text(change, name, value)
                for value in arrow_values.values(table[name])
            ]
            at = column_index(table, name, new)
            return table.set_column(at, new, pa.array(values, pa.string()))

        self.changes.append(row)
        self.table_changes.append(table)

    def rename_field(self, what: str, name: str, new: str) -> None:
        self.must_have(what, name)
        self.must_be_free(what, name, new)
        self.key = [(new, *path[1:]) if path[0] == name else path for path in self.key]
        if self.cursor and self.cursor[0] == name:
            self.cursor = (new, *self.cursor[1:])
        self.take_place(name, new, self.properties.get(name))

        def row(record: Record) -> bool:
            if name in record:
                if new in record and new != name:
                    raise RecordError(f"the record has a field {new} besides {name}, which is to be called so")
                record[new] = record.pop(name)
            return True

        def table(table: pa.Table) -> pa.Table:
            if name not in table.column_names:
                return table
            at = column_index(table, name, new)
            return table.rename_columns([new if n == at else old for n, old in enumerate(table.column_names)])

        self.changes.append(row)
        self.table_changes.append(table)

    def drop_field(self, what: str, name: str) -> None:
        self.must_have(what, name)
        part = next((path for path in self.key if path[0] == name), None)
        if part and self.dedup:
            raise ConfigError(
                f"{what} leaves out {name}, and the stream is written as append_dedup by its primary key "
                f"{'.'.join(part)}",
                hint="Keep the field, hash it, or write the stream as append or overwrite.",
            )
        if part:
            self.key = []
        if self.cursor and self.cursor[0] == name:
            self.cursor = None
        self.properties.pop(name, None)
        self.required = [field for field in self.required if field != name]

        def row(record: Record) -> bool:
            record.pop(name, None)
            return True

        def table(table: pa.Table) -> pa.Table:
            return table.drop_columns([name]) if name in table.column_names else table

        self.changes.append(row)
        self.table_changes.append(table)

    def filter_rows(self, what: str, mapper: RowFiltering) -> None:
        names = sorted(names_of(mapper.conditions))
        for name in names:
            self.must_have(what, name)
        self.filters = True
        keep = condition(mapper.conditions)
        # In append_dedup a deletion always passes: most have no field but the key.
        spared = self.dedup

        def row(record: Record) -> bool:
            return keep(record) or (spared and record.get(DELETED_AT) is not None)

        def table(table: pa.Table) -> pa.Table:
            import pyarrow as pa

            columns = [name for name in (*names, DELETED_AT) if name in table.column_names]
            rows = arrow_values.rows(table.select(columns)) if columns else [{}] * table.num_rows
            return table.filter(pa.array([row(record) for record in rows], pa.bool_()))

        self.changes.append(row)
        self.table_changes.append(table)

    # -- shared checks -------------------------------------------------------------------------------------------------

    def must_have(self, what: str, name: str) -> None:
        if name == DELETED_AT:
            raise ConfigError(
                f"{what} names {DELETED_AT}, the field that tells a destination which records were deleted",
                hint="Leave that field as it is.",
            )
        if name in self.properties or self.open:
            return
        whole = {path for path in self.stream.fields if path[0] == name}
        raise ConfigError(
            f"{what} names the field {name}, which the stream does not have at that point"
            + ("" if whole else did_you_mean(name, self.properties)),
            hint=f"It has: {', '.join(sorted(self.properties)[:40]) or 'none'}.",
            stream=self.stream.key,
        )

    def must_be_free(self, what: str, name: str, new: str) -> None:
        if new == DELETED_AT or (new != name and new in self.properties):
            raise ConfigError(
                f"{what} would call {name} {new}, and the stream has a field {new}",
                hint="Take another name, or leave that field out first (field-filtering).",
                stream=self.stream.key,
            )

    def take_place(self, name: str, new: str, schema: Any) -> None:
        """Give a field another name and schema, at its position."""
        if name in self.properties:
            self.properties = {
                (new if k == name else k): (schema if k == name else v) for k, v in self.properties.items()
            }
        self.required = [new if field == name else field for field in self.required]


def column_index(table: pa.Table, name: str, new: str) -> int:
    """The index of a column. `RecordError` where it cannot get its new name: then the rows are checked one by one."""
    if new != name and new in table.column_names:
        raise RecordError(f"the record has a field {new} besides {name}, which is to be called so")
    at: int = table.column_names.index(name)
    return at


def changed_text(change: Callable[[bytes], str], name: str, value: Any) -> str:
    try:
        return change(in_bytes(value))
    except RecordError as error:
        raise RecordError(f"the field {name} cannot be mapped: {error.message}") from error
    except (TypeError, ValueError) as error:  # a lone surrogate, a value that is no JSON
        raise RecordError(
            f"the field {name} cannot be mapped: {type(value).__name__} cannot be written as text"
        ) from error


def hash_of(method: str, value: bytes) -> str:
    return hashlib.new(method, value, usedforsecurity=False).hexdigest()


def in_bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else text_of(value).encode()


def text_of(value: Any) -> str:
    """A value as text: texts unchanged, numbers and booleans as in JSON, times in ISO 8601, all else as JSON with
    sorted keys."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, dict | list):
        return dumps_text(value, sort_keys=True)
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def names_of(node: Equal | Several) -> set[str]:
    """The fields that a condition reads."""
    return (
        {node.field_name}
        if isinstance(node, Equal)
        else {name for inner in node.conditions for name in names_of(inner)}
    )


def condition(node: Equal | Several) -> Callable[[Record], bool]:
    """A condition as a function of a record."""
    if isinstance(node, Equal):
        name, expected = node.field_name, node.comparison_value

        def equal(record: Record) -> bool:
            value = record.get(name)
            return value == expected if isinstance(value, str) else value is not None and text_of(value) == expected

        return equal
    inner = [condition(each) for each in node.conditions]
    match node.type:
        case "AND":
            return lambda record: all(each(record) for each in inner)
        case "OR":
            return lambda record: any(each(record) for each in inner)
    return lambda record: not any(each(record) for each in inner)
