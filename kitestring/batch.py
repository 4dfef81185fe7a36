"""A batch: a run of records of one stream, as Python dicts or as an Arrow table, converted once and only if asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kitestring.types import Record

if TYPE_CHECKING:
    import pyarrow as pa


class Batch:
    """Records of one stream, in the order they were read.

    A batch holds rows (a list of dicts) or a `pyarrow.Table`; `rows()` and `table()` give either, and the conversion is
    kept. Rows have the exact values of a table (`arrow_values`). `stream` is the key of the stream; `nbytes` the size
    in memory, estimated by its maker (0: unknown). Do not change what a batch holds: threads share it.
    """

    __slots__ = ("_rows", "_table", "nbytes", "stream")

    def __init__(
        self, stream: str, rows: list[Record] | None = None, table: pa.Table | None = None, nbytes: int = 0
    ) -> None:
        if (rows is None) == (table is None):
            raise TypeError("a batch holds rows or a table: give one of them")
        self.stream = stream
        self._rows = rows
        self._table = table
        self.nbytes = nbytes or (table.nbytes if table is not None else 0)

    def __len__(self) -> int:
        return len(self._rows) if self._rows is not None else self._table.num_rows  # type: ignore[union-attr]

    @property
    def is_table(self) -> bool:
        """True while the records have not been Python dicts: a destination that takes Arrow can go on without them."""
        return self._table is not None and self._rows is None

    def rows(self) -> list[Record]:
        if self._rows is None:
            from kitestring import arrow_values

            assert self._table is not None
            self._rows = arrow_values.rows(self._table)
        return self._rows

    def table(self, schema: Mapping[str, Any] | None = None) -> pa.Table:
        """The records as an Arrow table. Rows are converted by `schema` (a JSON Schema), or by inference without one.

        A row that does not fit raises `RecordError`; `arrow.from_rows` sorts such rows out instead.
        """
        if self._table is None:
            from kitestring import arrow
            from kitestring.errors import RecordError

            assert self._rows is not None
            table, rejected = arrow.from_rows(self._rows, schema)
            if rejected:
                raise RecordError(rejected[0].reason, record=rejected[0].record)
            self._table = table
        return self._table
