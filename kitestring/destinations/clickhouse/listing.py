"""A listing of the source's keys compared with a table of ClickHouse."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kitestring.sql.connection import Connection
from kitestring.sql.table_listing import TableListing
from kitestring.types import Stream

if TYPE_CHECKING:
    import pyarrow as pa


class ClickhouseListing(TableListing):
    """Its tables are in a database, and not of a session. They are dropped with the connection."""

    def __init__(
        self,
        stream: Stream,
        connection: Connection,
        table_of: Callable[[Connection, Stream], Any],
        mark_times: Callable[[str], pa.Table],
    ) -> None:
        super().__init__(stream, connection, table_of, mark_times)
        schema = self._table().schema
        self.listed, self.missing, self.timed = (
            connection.reference(schema, name) for name in (self.listed, self.missing, self.timed)
        )
