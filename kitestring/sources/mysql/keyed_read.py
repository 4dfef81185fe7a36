"""The present rows of keys, read in one go: they complete what the log leaves out."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from kitestring import arrow_values
from kitestring.sources.mysql.captured_table import CapturedColumn, CapturedTable
from kitestring.sources.mysql.columns import as_table, selected
from kitestring.sql.changes import ROW_NUMBER
from kitestring.types import Reject
from kitestring.vendors.sql_quoting import literal, quoted

if TYPE_CHECKING:
    import pyarrow as pa

    from kitestring.vendors.mysql.session import Session

KEYS = 1_000
"""How many keys one query reads."""
BATCH_BYTES = 8 * 1024 * 1024


def read_keys(
    session: Session, table: CapturedTable, columns: Sequence[CapturedColumn], keys: pa.Table
) -> tuple[pa.Table, list[Reject]]:
    """The rows with these keys as a load gives them, with the number of the key as `ROW_NUMBER`; and those that a load
    rejects."""
    import pyarrow as pa

    from kitestring.vendors.mysql.result_rows import columns_of

    types = pa.schema([*((c.name, c.sql.type) for c in columns), (ROW_NUMBER, pa.int64())])
    rejects: list[Reject] = []
    parts = [types.empty_table()]
    names = keys.column_names
    wanted = list(zip(*(arrow_values.values(keys[name]) for name in names), strict=True))
    numbers: dict[tuple[Any, ...], list[int]] = {}
    for number, key in enumerate(wanted):
        numbers.setdefault(key, []).append(number)
    distinct = list(numbers)
    chosen = ", ".join(selected(column.sql) for column in columns)
    for start in range(0, len(distinct), KEYS):
        listed = ", ".join(f"({', '.join(map(spelled, key))})" for key in distinct[start : start + KEYS])
        query = f"SELECT {chosen} FROM {table.sql} WHERE ({', '.join(map(quoted, names))}) IN ({listed})"  # noqa: S608 - quoted
        for arrays in columns_of(session, query, BATCH_BYTES, KEYS):
            read, rejected = as_table([column.sql for column in columns], arrays, table.needed)
            # The collation of a column may take keys for equal that are not.
            for reject in rejected:
                if tuple(reject.record[name] for name in names) in numbers:
                    rejects.append(replace(reject, stream=table.stream))
            present = list(zip(*(arrow_values.values(read[name]) for name in names), strict=True))
            places = [(row, number) for row, key in enumerate(present) for number in numbers.get(key, ())]
            rows = read.take(pa.array([row for row, _ in places], pa.int64()))
            parts.append(rows.append_column(ROW_NUMBER, pa.array([n for _, n in places], pa.int64())).cast(types))
    return pa.concat_tables(parts), rejects


def as_before(read: pa.Table, columns: Sequence[CapturedColumn]) -> pa.Table:
    """Rows of a table that was altered, with the columns that it had: null for one that is gone, or of another type.
    The log says so next, and the rows are read again."""
    import pyarrow as pa

    names = {column.name for column in columns}
    arrays = {}
    for column in columns:
        array = read[column.name] if column.name in read.column_names else None
        if array is None or array.type != column.sql.type:
            array = pa.nulls(read.num_rows, column.sql.type)
        arrays[column.name] = array
    return pa.table({**arrays, **{name: read[name] for name in read.column_names if name not in names}})


def spelled(value: Any) -> str:
    """A value of a key as SQL. The session's time zone is UTC."""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, bytes):
        return f"x'{value.hex()}'"
    if isinstance(value, dt.datetime):
        moment = value.astimezone(dt.UTC).replace(tzinfo=None) if value.tzinfo else value
        return literal(moment.isoformat(" ", "microseconds"))
    if isinstance(value, int | float):
        return repr(value)
    return f"{value:f}" if isinstance(value, Decimal) else literal(str(value))
