"""The base of destinations that write tables of a lake: the SQL kit on a connection to a table format."""

from __future__ import annotations

from typing import ClassVar

from pydantic import PrivateAttr

from kitestring.batch import Batch
from kitestring.config import option
from kitestring.lake.lake_connection import LakeConnection
from kitestring.lake.lake_dialect import LakeDialect
from kitestring.lake.table_format import TableFormat, WriteId
from kitestring.sql.connection import Connection
from kitestring.sql.destination import SqlDestination
from kitestring.sql.merge import MergeCounts
from kitestring.sql.prepared_batch import PreparedBatch
from kitestring.types import Receipt, Stream


class LakeDestination(SqlDestination):
    """Each batch is one commit of the table format, which readers see whole or not at all. A replacement is written to
    a table beside the old one, whose rows it then replaces in one commit.

    A destination has a `dialect`, options, and `_lake`.
    """

    dialect: ClassVar[LakeDialect]
    batch_rows: ClassVar[int] = 100_000
    batch_bytes: ClassVar[int] = 32 * 1024 * 1024

    schema_name: str = option("default", order=1, alias="schema")
    """The schema for streams without a namespace."""

    airbyte_columns: bool = option(False, order=8, title="Airbyte's columns")
    """Whether tables also have Airbyte's columns: `_airbyte_raw_id`, `_airbyte_extracted_at`, `_airbyte_meta` and
    `_airbyte_generation_id`."""

    memory_limit: str | None = option(None, order=9, title="Memory limit", examples=["1GB"])
    """The memory for merging; beyond it rows are kept on the disk. Default: 256 MB."""

    _numbers: dict[str, int] = PrivateAttr(default_factory=dict)
    """By stream, the number of the last batch that was written."""

    def _lake(self) -> TableFormat:
        """The tables of the lake."""
        raise NotImplementedError

    def _connect(self) -> Connection:
        return LakeConnection(self.dialect, self._lake(), self.memory_limit)

    def _schema(self) -> str:
        return self.schema_name

    def _airbyte_columns(self) -> bool:
        return self.airbyte_columns

    def begin(self, stream: Stream) -> None:
        # The last batch of a sync that failed may have been committed: a batch of this sync has another number.
        self._numbers[stream.key] = self._numbers.get(stream.key, 0) + 1
        super().begin(stream)

    def write(self, stream: Stream, batch: Batch) -> Receipt:
        receipt = super().write(stream, batch)
        self._numbers[stream.key] = self._numbers.get(stream.key, 0) + 1
        return receipt

    def _merge_batch(self, connection: Connection, stream: Stream, prepared: PreparedBatch) -> MergeCounts:
        """The number of a batch is that of its first attempt, so that it is never added twice."""
        assert isinstance(connection, LakeConnection)
        connection.write_id = WriteId(f"{self._writer}/{stream.key}", self._numbers.get(stream.key, 0) + 1)
        try:
            return super()._merge_batch(connection, stream, prepared)
        finally:
            connection.write_id = None
