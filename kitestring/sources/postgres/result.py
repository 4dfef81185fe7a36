"""Results of queries as Arrow tables, with decimals as decimals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from kitestring import arrow_values
from kitestring.arrow_values import DAY_S, ENDLESS_DAY, ENDLESS_TICK
from kitestring.types import Reject

if TYPE_CHECKING:
    import pyarrow as pa


def tables_of(connection: Any, query: str, batch_bytes: int) -> Iterator[pa.Table]:
    """The result of a query, streamed in tables of about this many bytes."""
    import pyarrow as pa

    with connection.cursor(adbc_stmt_kwargs={"adbc.postgresql.batch_size_hint_bytes": str(batch_bytes)}) as cursor:
        cursor.execute(query)
        for batch in cursor.fetch_record_batch():
            if batch.num_rows:
                yield with_endless(pa.Table.from_batches([batch]))


LAST_DAY, FIRST_DAY = 2_145_042_905, -2_440_588
FIRST_TICK = FIRST_DAY * DAY_S * 10**6
"""The bounds of `columns.DAYS` and `columns.MOMENTS`, since 1970."""


def with_endless(table: pa.Table) -> pa.Table:
    """The table with endless dates and timestamps (`arrow_values.ENDLESS`) where a query has their bounds."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for n, field in enumerate(table.schema):
        if not pa.types.is_date32(field.type) and not pa.types.is_timestamp(field.type):
            continue
        is_date = pa.types.is_date32(field.type)
        numbers = table.column(n).combine_chunks().view(pa.int32() if is_date else pa.int64())
        least, most = pc.min_max(numbers).as_py().values()
        low, high, end = (FIRST_DAY, LAST_DAY, ENDLESS_DAY) if is_date else (FIRST_TICK, ENDLESS_TICK, ENDLESS_TICK)
        if least is None or (least > low and most < high):
            continue
        whole = pa.scalar(end, numbers.type), pa.scalar(-end, numbers.type)
        numbers = pc.if_else(pc.greater_equal(numbers, high), whole[0], numbers)
        numbers = pc.if_else(pc.less_equal(numbers, low), whole[1], numbers)
        table = table.set_column(n, field.name, numbers.view(field.type))
    return table


def with_decimals(table: pa.Table, decimals: Mapping[str, tuple[int, int]]) -> tuple[pa.Table, list[Reject]]:
    """The table with its decimals as decimals; rows with the decimal NaN, which Arrow does not have, are rejected."""
    import pyarrow as pa
    import pyarrow.compute as pc

    rejects: list[Reject] = []
    for name, (precision, scale) in decimals.items():
        index, type_ = table.column_names.index(name), pa.decimal128(precision, scale)
        try:
            cast = table.column(index).cast(type_)
        except pa.ArrowInvalid:
            nan = pc.fill_null(pc.equal(table.column(index), "NaN"), False)
            reason = f"field {name}: NaN does not fit a decimal; a numeric without precision can hold it"
            rejects += [Reject(row, reason) for row in arrow_values.rows(table.filter(nan))]
            table = table.filter(pc.invert(nan))
            cast = table.column(index).cast(type_)
        table = table.set_column(index, name, cast)
    return table, rejects
