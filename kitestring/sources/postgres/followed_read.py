"""The reads of a table while its log is read: rows by key, and the whole table. Both go on if it is altered."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from kitestring.batch import Batch
from kitestring.sources.postgres.captured_database import ALTERED, CapturedDatabase
from kitestring.sources.postgres.captured_rows import remaining, rows_in
from kitestring.sources.postgres.catalog import table_of
from kitestring.sources.postgres.change_log import Followed
from kitestring.sources.postgres.columns import Column
from kitestring.sources.postgres.keyed_read import as_before, read_keys
from kitestring.sql.changes import MOST_ALTERS, through_alters
from kitestring.types import Reject
from kitestring.vendors.postgres import rows

if TYPE_CHECKING:
    import pyarrow as pa


def key_reader(
    database: CapturedDatabase, connection: Any, reading: Callable[[], Any], follower: Followed
) -> Callable[[pa.Table], pa.Table]:
    """Reads rows by key, with the columns that the stream has at this place of the log."""
    from adbc_driver_manager import dbapi

    def read(keys: pa.Table) -> pa.Table:
        table, columns = follower.table, follower.columns
        for attempt in range(MOST_ALTERS + 1):
            with database.translated():
                try:
                    present, rejects = read_keys(reading(), table, columns, keys)
                    break
                except dbapi.Error as error:
                    if getattr(error, "sqlstate", "") not in ALTERED or attempt == MOST_ALTERS:
                        raise
                    # Altered since: the log will say so. What is gone by then is null until that.
                    table, columns = remaining(database, connection, follower)
        follower.tracked.rejects += rejects
        return present if columns is follower.columns else as_before(present, follower.columns)

    return read


def table_reader(
    database: CapturedDatabase, connection: Any, follower: Followed
) -> Callable[[], Iterator[Batch | Reject]]:
    """Reads the whole table, with the columns that the stream has at this place of the log."""
    stream, catalog = follower.tracked.stream, connection

    def read(columns: Sequence[Column]) -> Iterator[Batch | Reject]:
        with database.reading_in_transaction() as connection:
            (now,) = rows(
                connection,
                "SELECT (extract(epoch FROM now()) * 1000000)::int8 AS now, "
                "pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::int8 AS lsn",
            )
            data = {"at": now["lsn"], "time": datetime.fromtimestamp(now["now"] / 1e6, UTC)}
            place = f"{table_of(stream)} AS t"
            for item in rows_in(connection, stream, columns, place, data):
                if isinstance(item, Batch) and columns is not follower.columns:
                    item = Batch(item.stream, table=as_before(item.table(), follower.columns))
                yield item

    def read_all() -> Iterator[Batch | Reject]:
        current = [follower.columns]
        return through_alters(
            lambda: read(current[-1]),
            lambda error: error.fields.get("code") in ALTERED,
            lambda: current.append(remaining(database, catalog, follower)[1]),
        )

    return read_all
