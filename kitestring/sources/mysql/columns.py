"""Columns of MySQL: their types in Arrow, how they are selected, and the texts of a result as values."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from kitestring.sql.source_table import SqlColumn
from kitestring.types import Reject
from kitestring.vendors.sql_quoting import quoted

if TYPE_CHECKING:
    import pyarrow as pa

log = logging.getLogger("kitestring.mysql")

INTEGERS = {"tinyint": 8, "smallint": 16, "mediumint": 32, "int": 32, "bigint": 64}
BYTES = frozenset({"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"})
SHAPES = frozenset(
    {"geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon"}
    | {"geometrycollection", "geomcollection"}
)
SIZE = re.compile(r"\((\d+)(?:,(\d+))?\)")
MOST_DIGITS = 38
"""The digits of Arrow's decimals of 128 bits."""


def column_of(name: str, data_type: str, column_type: str, comment: str = "") -> SqlColumn:
    """A column by its `data_type` and `column_type` in the catalog. `comment`: `JSON` and `UTC` say what Kitestring
    wrote into a column of texts and of date-times."""
    import pyarrow as pa

    is_unsigned = "unsigned" in column_type
    size = SIZE.search(column_type)
    if data_type in INTEGERS and column_type.startswith("tinyint(1)") and not is_unsigned:
        return SqlColumn(name, pa.bool_())
    if data_type in INTEGERS:
        return SqlColumn(name, getattr(pa, f"{'u' if is_unsigned else ''}int{INTEGERS[data_type]}")())
    if data_type in ("decimal", "numeric") and size:
        precision, scale = int(size[1]), int(size[2] or 0)
        return SqlColumn(name, (pa.decimal128 if precision <= MOST_DIGITS else pa.decimal256)(precision, scale))
    if data_type == "bit":
        is_single = size is not None and size[1] == "1"
        return SqlColumn(name, pa.bool_() if is_single else pa.uint64(), expression=f"({quoted(name)} + 0)")
    if data_type == "float":  # as a double: the text of a float has six digits
        return SqlColumn(name, pa.float32(), expression=f"({quoted(name)} * 1e0)")
    if data_type in SHAPES:
        return SqlColumn(name, pa.string(), expression=f"st_astext({quoted(name)})")
    if data_type == "json" or (data_type == "longtext" and comment == "JSON"):
        return SqlColumn(name, pa.string(), json=True)
    types = {
        "double": pa.float64(),
        "year": pa.int16(),
        "date": pa.date32(),
        "time": pa.time64("us"),
        "datetime": pa.timestamp("us", "UTC" if comment == "UTC" else None),
        "timestamp": pa.timestamp("us", "UTC"),
        **dict.fromkeys(BYTES, pa.binary()),
    }
    return SqlColumn(name, types.get(data_type, pa.string()))


def selected(column: SqlColumn) -> str:
    return column.expression or quoted(column.name)


def as_table(
    columns: Sequence[SqlColumn], arrays: Sequence[pa.Array], needed: Collection[str] | None = None
) -> tuple[pa.Table, list[Reject]]:
    """The texts of a result as values of their columns; and those rows that have one which its type does not hold (the
    date 0000-00-00, a time of 30 hours), as texts. `needed`: the columns in which such a value rejects its row, in
    others it is null; None for all columns."""
    import pyarrow as pa
    import pyarrow.compute as pc

    misfits: dict[int, str] = {}
    values = []
    for column, array in zip(columns, arrays, strict=True):
        unfit = misfits if needed is None or column.name in needed else {}
        values.append(values_of(column, array, unfit))
        if unfit is not misfits:
            note_nulls(column.name, len(unfit))
    table = pa.table(values, [column.name for column in columns])
    if not misfits:
        return table, []
    places = sorted(misfits)
    texts = [array.take(pa.array(places)).to_pylist() for array in arrays]
    kept = [value.take(pa.array(places)).to_pylist() for value in values]
    rejects = []
    for n, place in enumerate(places):
        record: dict[str, Any] = {}
        for column, value, text in zip(columns, kept, texts, strict=True):
            is_misfit = value[n] is None and text[n] is not None
            record[column.name] = text[n].decode("utf-8", "replace") if is_misfit else value[n]
        rejects.append(Reject(record, misfits[place]))
    is_kept = pc.invert(pc.is_in(pa.array(range(table.num_rows)), pa.array(places)))
    return table.filter(is_kept), rejects


def note_nulls(column: str, count: int) -> None:
    if count:
        log.warning("%d values of the column %s do not fit its type: they are null", count, column)


def values_of(column: SqlColumn, texts: pa.Array, misfits: dict[int, str]) -> pa.Array:
    """The values of a column; notes the places of those that do not fit, with the reason."""
    import pyarrow as pa

    assert column.type is not None
    try:
        return converted(texts, column.type)
    except pa.ArrowInvalid:
        pass
    arrays = []
    for place in range(len(texts)):
        try:
            arrays.append(converted(texts.slice(place, 1), column.type))
        except pa.ArrowInvalid:
            text = texts[place].as_py().decode("utf-8", "replace")
            misfits.setdefault(place, f"field {column.name}: {text[:50]} does not fit its type {column.type}")
            arrays.append(pa.nulls(1, column.type))
    return pa.concat_arrays(arrays)


def converted(texts: pa.Array, type_: pa.DataType) -> pa.Array:
    """Texts as values of a type; `ArrowInvalid` for one that is none."""
    import pyarrow as pa
    import pyarrow.compute as pc

    is_ = pa.types
    if is_.is_binary(type_):
        return texts.cast(type_)
    text = texts.cast(pa.large_string())
    if is_.is_string(type_):
        return text.cast(type_)
    if is_.is_boolean(type_):
        number = text.cast(pa.int8())
        if pc.any(pc.greater(pc.abs(number), 1)).as_py() or pc.any(pc.less(number, 0)).as_py():
            raise pa.ArrowInvalid("neither 0 nor 1")
        return number.cast(type_)
    if is_.is_timestamp(type_):
        return text.cast(pa.timestamp("us")).cast(type_)
    if is_.is_time(type_):  # Arrow reads no times, but the time of a moment
        day, nothing = (pa.scalar(part, pa.large_string()) for part in ("1970-01-01 ", ""))
        return pc.binary_join_element_wise(day, text, nothing).cast(pa.timestamp("us")).cast(type_)
    if is_.is_float32(type_):
        return text.cast(pa.float64()).cast(type_)
    return text.cast(type_)
