"""Records for a file: those whose keys the file can distinguish, as tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from kitestring import arrow, identity, json_codec, names
from kitestring.files.row_key import FINER, kind_of, type_at
from kitestring.paths import at
from kitestring.types import Path, Record, Reject, Stream

if TYPE_CHECKING:
    import pyarrow as pa

    from kitestring.batch import Batch


def table_of(rows: Sequence[Record], schema: Mapping[str, Any]) -> tuple[pa.Table, list[Reject]]:
    """The records as a table, whatever the names of their fields; it has a column even if they have no field."""
    import pyarrow as pa

    try:
        table, rejects = arrow.from_rows(rows, schema)
    except UnicodeEncodeError:
        table, rejects = arrow.from_rows(with_safe_names(rows), schema)
    if not table.num_columns:
        table = pa.table({"_": pa.nulls(table.num_rows)})
    return table, rejects


def with_safe_names(rows: Sequence[Record]) -> list[Record]:
    """The records without lone surrogates in the names of their fields, which no file can hold."""
    safe = names.distinct([name for row in rows for name in row], json_codec.without_surrogates)
    return [{safe[name]: value for name, value in row.items()} for row in rows]


def key_problems(stream: Stream, rows: Sequence[Record], typed: bool) -> dict[int, str]:
    """By row number, why a key would be stored in another form, and so perhaps like that of another record.

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
    """Whether a column of floats holds a number exactly."""
    return not isinstance(value, Decimal) or not value.is_finite() or Decimal(repr(float(value))) == value


def is_open(schema: Mapping[str, Any], path: Path) -> bool:
    """Whether a column would hold values of several kinds at this path as texts, so that they look equal."""
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


def split_storable(stream: Stream, batch: Batch, typed: bool) -> tuple[list[Record], list[Reject]]:
    """The records whose keys can be stored exactly, and the others."""
    rows = batch.rows()
    reasons = key_problems(stream, rows, typed) if stream.primary_key else {}
    if not reasons:
        return rows, []
    accepted = [row for n, row in enumerate(rows) if n not in reasons]
    return accepted, [Reject(rows[n], reason) for n, reason in sorted(reasons.items())]
