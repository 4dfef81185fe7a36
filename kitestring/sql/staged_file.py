"""Staged rows as a Parquet file for the bulk load of a warehouse."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa


def parquet_of(rows: pa.Table, number: str, *, times_as_text: bool = False) -> io.BytesIO:
    """The rows, and a column with their number. Documents are texts, moments have microseconds: finer digits are cut
    off."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = []
    for column in rows.columns:
        type_ = column.type
        if isinstance(type_, pa.BaseExtensionType):
            column = pa.chunked_array([chunk.storage for chunk in column.chunks], type_.storage_type)
        elif pa.types.is_null(type_) or (times_as_text and pa.types.is_time(type_)):
            column = column.cast(pa.string())
        elif pa.types.is_timestamp(type_):
            column = column.cast(pa.timestamp("us", type_.tz), safe=False)
        columns.append(column)
    numbers = pa.array(range(rows.num_rows), pa.int64())
    file = io.BytesIO()
    pq.write_table(pa.table([*columns, numbers], [*rows.column_names, number]), file, compression="snappy")
    file.seek(0)
    return file
