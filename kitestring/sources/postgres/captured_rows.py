"""The rows of a captured table, part by part, as its first load and a repeated read give them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from kitestring.batch import Batch
from kitestring.sources.postgres.captured_database import CapturedDatabase, chosen
from kitestring.sources.postgres.captured_table import CapturedTable, named
from kitestring.sources.postgres.catalog import columns_of, ranges_of
from kitestring.sources.postgres.change_log import LSN, UPDATED_AT, Followed, log_types
from kitestring.sources.postgres.columns import Column
from kitestring.sources.postgres.result import tables_of, with_decimals
from kitestring.sql.first_load import FirstLoad
from kitestring.types import DELETED_AT, Reject, Stream
from kitestring.vendors.postgres import rows
from kitestring.vendors.sql_quoting import literal

BATCH_BYTES = 2 * 1024 * 1024


def parts_of(load: FirstLoad) -> Iterator[tuple[str, str | None]]:
    """The parts of a load: their keys, and the FROM clauses that together read the table once; None for a table that is
    read as a whole."""
    yield from ranges_of(load.plan) if load.plan else [("", None)]


def part_exists(connection: Any, part: str) -> bool:
    """False for a part of a partition that was dropped since the load was planned."""
    name = part.rpartition(":")[0]
    return bool(rows(connection, f"SELECT to_regclass({literal(name)}) IS NOT NULL AS exists")[0]["exists"])


def rows_in(
    connection: Any, stream: Stream, columns: Sequence[Column], place: str, data: Mapping[str, Any]
) -> Iterator[Batch | Reject]:
    """The rows of a table or a part of it, with the columns of the log."""
    import pyarrow as pa

    decimals = {column.column: column.decimal for column in columns if column.decimal}
    query = f"SELECT {', '.join(column.selected for column in columns)} FROM {place}"  # noqa: S608 - quoted
    types = log_types()
    for read in tables_of(connection, query, BATCH_BYTES):
        table, rejects = with_decimals(read, decimals)
        yield from (replace(reject, stream=stream.key) for reject in rejects)
        for name, value in ((LSN, data["at"]), (UPDATED_AT, data["time"]), (DELETED_AT, None)):
            table = table.append_column(name, pa.repeat(pa.scalar(value, types[name]), table.num_rows))
        if table.num_rows:
            yield Batch(stream.key, table=table)


def stream_of_partition(connection: Any, oid: int, followed: Mapping[str, Followed]) -> Followed | None:
    """The stream of a partition that was added since the log is read; None for the table of no stream."""
    (root,) = rows(connection, f"SELECT pg_partition_root({oid}::oid)::oid::int8 AS oid")
    return next((follower for follower in followed.values() if follower.table.oid == root["oid"]), None)


def refreshed(
    database: CapturedDatabase, connection: Any, follower: Followed
) -> tuple[CapturedTable, Sequence[Column], Sequence[Column]]:
    """The table as it is now, all its columns, and those that are read."""
    stream = follower.tracked.stream
    place = named([(stream.namespace or "public", stream.name)])
    tables, columns = database.tables(connection, [stream]), columns_of(connection, place)
    if stream.key not in tables:
        return follower.table, follower.columns, follower.columns
    readable = [column for column in columns[stream.key] if column.readable]
    return tables[stream.key], readable, chosen(stream, readable)


def remaining(
    database: CapturedDatabase, connection: Any, follower: Followed
) -> tuple[CapturedTable, Sequence[Column]]:
    """The table as it is now, and which of the columns that the stream has here are still read."""
    table, _, columns = refreshed(database, connection, follower)
    names = {column.column for column in follower.columns}
    return table, [column for column in columns if column.column in names]
