"""Values that do not fit their columns: null there, and as text in `_airbyte_meta.changes`, beside the reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kitestring import arrow, arrow_values
from kitestring.errors import RecordError
from kitestring.json_codec import TooDeepError, dumps_text, text_of
from kitestring.types import DELETED_AT, Record, Reject, Stream

if TYPE_CHECKING:
    import pyarrow as pa

NULLED = "NULLED"
REASON = "DESTINATION_TYPECAST_ERROR"
"""Names of Airbyte's protocol, `AirbyteRecordMessageMetaChange`:
https://docs.airbyte.com/platform/understanding-airbyte/airbyte-metadata-fields"""

UNCHANGED = dumps_text({"changes": []})
"""The `_airbyte_meta` of a record that arrived as it was."""


class Changes:
    """The values of one batch that are null in their columns, by row.

    A value of the primary key, or the time of a deletion, is never null: its record is rejected.
    """

    def __init__(self, stream: Stream) -> None:
        self.fixed = {path[0] for path in stream.primary_key} | {DELETED_AT}
        self._rows: dict[int, list[Mapping[str, str]]] = {}

    def __len__(self) -> int:
        """The number of records with such a value."""
        return len(self._rows)

    def may_null(self, field: str) -> bool:
        return field not in self.fixed

    def add(self, row: int, field: str, value: Any) -> None:
        change = {"field": field, "change": NULLED, "reason": REASON, "value": text_of(value)}
        self._rows.setdefault(row, []).append(change)

    def without_misfits(
        self, table: pa.Table, rows: Sequence[Record], misfits: Sequence[arrow.MisfitValue]
    ) -> tuple[pa.Table, Sequence[Record], list[Reject]]:
        """The table and its records without those to reject; the misfits of the others are added."""
        import pyarrow as pa

        reasons: dict[int, str] = {}
        for misfit in misfits:
            try:
                if not self.may_null(misfit.field):
                    reasons.setdefault(misfit.row, misfit.reason)
                else:
                    self.add(misfit.row, misfit.field, misfit.value)
            except TooDeepError:
                reasons.setdefault(misfit.row, misfit.reason)
        if not reasons:
            return table, rows, []
        places = [n for n in range(len(rows)) if n not in reasons]
        self.take(places)
        rejects = [Reject(rows[n], reasons[n]) for n in sorted(reasons)]
        return table.take(pa.array(places, pa.int64())), [rows[n] for n in places], rejects

    def take(self, places: Sequence[int]) -> None:
        """Keep the rows at these places, in this order."""
        if self._rows:
            self._rows = {n: self._rows[place] for n, place in enumerate(places) if place in self._rows}

    def converted(
        self,
        field: str,
        column: pa.ChunkedArray,
        convert: Callable[[pa.ChunkedArray], pa.ChunkedArray],
        start: int = 0,
    ) -> pa.ChunkedArray:
        """The converted column, with null for each value that `convert` refuses with `RecordError`. `start` is the row
        of its first value."""
        import pyarrow as pa

        try:
            return convert(column)
        except RecordError:
            if not self.may_null(field):
                raise
        if len(column) == 1:
            self.add(start, field, arrow_values.values(column)[0])
            return convert(pa.chunked_array([pa.nulls(1, column.type)]))
        middle = len(column) // 2
        first = self.converted(field, column.slice(0, middle), convert, start)
        second = self.converted(field, column.slice(middle), convert, start + middle)
        return pa.chunked_array([*first.chunks, *second.chunks])

    def metadata(self, count: int) -> pa.Array:
        """The `_airbyte_meta` of each of so many rows, as JSON text."""
        import pyarrow as pa

        texts = [UNCHANGED] * count
        for row, changes in self._rows.items():
            texts[row] = dumps_text({"changes": changes})
        return pa.array(texts, pa.string())


class NoChanges(Changes):
    """No value becomes null: its record is rejected."""

    def may_null(self, field: str) -> bool:
        return False
