"""Results of queries as Arrow tables, with decimals as decimals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from kitestring import arrow_values
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
                yield pa.Table.from_batches([batch])


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
