"""Why the changes of a stream cannot be captured, or are no longer in the log."""

from __future__ import annotations

from collections.abc import Mapping

from kitestring.errors import ConfigError, KitestringError
from kitestring.sources.postgres.captured_table import CapturedTable
from kitestring.sources.postgres.replication_method import ChangeDataCapture
from kitestring.sources.postgres.slot import lost_error
from kitestring.sql.first_load import Positions
from kitestring.types import Stream
from kitestring.vendors.postgres import Place


def refusal(place: Place, stream: Stream, tables: Mapping[str, CapturedTable]) -> KitestringError | None:
    """Why a stream cannot be captured."""
    table = tables.get(stream.key)
    if table is None:
        return ConfigError(
            f"{place} no longer has a table {stream.key}",
            hint="Take the stream out of the connection, or check the rights of the user.",
        )
    if table.obstacle:
        what, _, statement = table.obstacle.partition(". ")
        return ConfigError(f"{place}: {what}", hint=statement or "Choose other streams.", stream=stream.key)
    key = [path[0] for path in stream.primary_key]
    if key and not table.names_rows_by(key):
        return ConfigError(
            f"{stream.key} is to be written by the key {', '.join(key)}, and for a deleted row the log has "
            f"{', '.join(table.key) or 'nothing'}",
            hint=f"Take the table's own key, or ALTER TABLE {table.sql} REPLICA IDENTITY FULL;",
            stream=stream.key,
        )
    return None


class LostChanges:
    """The errors of streams whose log is not whole. `place`: the server, as messages name it."""

    def __init__(self, place: Place, method: ChangeDataCapture) -> None:
        self._place = place
        self._method = method

    def of_slot(self, stream: Stream, positions: Positions, confirmed: int | None) -> KitestringError | None:
        """Why the log from a stream's position on is not there."""
        low = positions.low(stream.key)
        if low is None:
            return None
        if confirmed is None or low < confirmed:
            what = f"the slot {self._method.replication_slot} is ahead of the state of {stream.key}"
            return lost_error(self._place, self._method.replication_slot, what, low)
        return None

    def of_table(self, table: CapturedTable, positions: Positions, is_unpublished: bool) -> KitestringError | None:
        """Why the log does not have all changes of a table since its state."""
        note, what = positions.note(table.stream), ""
        if note.get("oid", table.oid) != table.oid:
            what = f"the table {table.stream} was dropped and created again"
        elif is_unpublished or not table.is_published_since(note):
            what = f"the table {table.stream} was taken out of the publication {self._method.publication}"
        if not what:
            return None
        return lost_error(self._place, self._method.replication_slot, what, positions.low(table.stream))
