"""The present rows of keys, read in one go: they complete what the log leaves out."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from kitestring import arrow_values
from kitestring.errors import TransientError
from kitestring.sources.postgres.captured_table import CapturedTable
from kitestring.sources.postgres.columns import Column
from kitestring.sources.postgres.result import with_decimals
from kitestring.sql.changes import ROW_NUMBER
from kitestring.types import Reject
from kitestring.vendors.sql_quoting import literal, quoted

if TYPE_CHECKING:
    import pyarrow as pa

KEYS = 1_000
"""How many keys one query reads."""


def read_keys(
    connection: Any, table: CapturedTable, columns: Sequence[Column], keys: pa.Table
) -> tuple[pa.Table, list[Reject]]:
    """The rows with these keys as a load gives them, with the number of the key as `ROW_NUMBER`; and those that a load
    rejects."""
    import pyarrow as pa

    rejects: list[Reject] = []
    decimals = {column.column: column.decimal for column in columns if column.decimal}
    types = pa.schema([*((c.column, c.arrow_type) for c in columns), (ROW_NUMBER, pa.int64())])
    parts = [types.empty_table()]
    named = [(name, arrow_values.values(keys[name])) for name in keys.column_names]
    for start in range(0, keys.num_rows, KEYS):
        stop = min(start + KEYS, keys.num_rows)
        listed = ", ".join(
            f"({n}::int8, {', '.join(key_literal(table, name, column[n]) for name, column in named)})"
            for n in range(start, stop)
        )
        names = ", ".join(f"k{n}" for n in range(keys.num_columns))
        equal = " AND ".join(f"t.{quoted(name)} = k.k{n}" for n, name in enumerate(keys.column_names))
        selected = ", ".join(column.selected for column in columns)
        query = (
            f"SELECT {selected}, k.n AS {ROW_NUMBER} FROM (VALUES {listed}) AS k (n, {names}) "  # noqa: S608 - quoted
            f"JOIN {table.sql} AS t ON {equal}"
        )
        with connection.cursor() as cursor:
            cursor.execute(query)
            read = cursor.fetch_arrow_table()
        read, rejected = with_decimals(read, decimals)
        for reject in rejected:
            record = {name: value for name, value in reject.record.items() if name != ROW_NUMBER}
            rejects.append(replace(reject, record=record, stream=table.stream))
        parts.append(read.cast(types))
    return pa.concat_tables(parts), rejects


def as_before(read: pa.Table, columns: Sequence[Column]) -> pa.Table:
    """Rows of a table that was altered, with the columns that it had: null for one that was dropped."""
    import pyarrow as pa

    names = {column.column for column in columns}
    arrays = {}
    for column in columns:
        if column.column not in read.column_names:
            arrays[column.column] = pa.nulls(read.num_rows, column.arrow_type)
            continue
        try:
            arrays[column.column] = read[column.column].cast(column.arrow_type)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise TransientError(
                f"the column {column.column} of {column.namespace}.{column.name} got another type while it was read",
                hint="Try again.",
            ) from error
    return pa.table({**arrays, **{name: read[name] for name in read.column_names if name not in names}})


def key_literal(table: CapturedTable, name: str, value: Any) -> str:
    """A value of a key as SQL, of the column's type."""
    if isinstance(value, bytes):
        text = "\\x" + value.hex()
    elif isinstance(value, dt.datetime | dt.date | dt.time):
        text = value.isoformat()
    else:
        text = str(value)
    return f"{literal(text)}::{table.columns[name].type}"
