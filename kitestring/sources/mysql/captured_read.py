"""Rows of captured tables that are read by a query."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from kitestring.batch import Batch
from kitestring.errors import KitestringError, TransientError
from kitestring.sources.mysql.captured_table import CapturedColumn, CapturedTable
from kitestring.sources.mysql.logged_rows import with_log_columns
from kitestring.sources.mysql.reader import MysqlReader
from kitestring.sql.source_table import RowRange, SqlColumn
from kitestring.types import Reject, Stream


def altered_meanwhile(stream: str, error: KitestringError) -> TransientError:
    return TransientError(f"the table {stream} was altered while it was read: {error.message}", hint="Sync again.")


def rows_in(
    reader: MysqlReader,
    table: CapturedTable,
    columns: Sequence[SqlColumn],
    rows: RowRange,
    place: tuple[str, int, float],
) -> Iterator[Batch | Reject]:
    """Rows of a table with the columns of the log. `place`: the file, the position and the time that they get."""
    for part, rejects in reader.read(table.sql_table, columns, rows):
        yield from (replace(reject, stream=table.stream) for reject in rejects)
        if part.num_rows:
            yield Batch(table.stream, table=with_log_columns(part, *place))


def chosen(stream: Stream, table: CapturedTable) -> list[CapturedColumn]:
    """The selected columns, and the key."""
    names = {path[0] for path in [*stream.fields, *stream.primary_key]}
    return [column for column in table.visible if column.name in names or not stream.fields]
