"""The states with which change data capture goes on after streams were read again as a whole."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from kitestring.sources.postgres.captured_table import CapturedTable
from kitestring.sql.changes import Window
from kitestring.types import COUNTS, GLOBAL, State, States
from kitestring.vendors.postgres.replication import ServerIdentity


class RefreshedState:
    """What was true before the read: the slot kept the log from `low` on, and the tables were these.

    Changes between `low` and the end of the read may be in the copy, or not: the log brings them, and their records are
    read again (`Window`).
    """

    def __init__(self, low: int, tables: Mapping[str, CapturedTable], server: ServerIdentity, states: States) -> None:
        self._low = low
        self._notes: dict[str, dict[str, Any]] = {key: table.note() for key, table in tables.items()}
        self._server = server
        self._states = states

    def after(self, end: int, streams: Collection[str]) -> States:
        """`end`: the end of the log after the read of these streams. Other streams stay where they are."""
        window = Window(self._low, self._low, end)
        states: dict[str, State] = {
            key: {
                "id": f"refreshed {self._low}",
                "low": window.low,
                "first": window.first,
                "last": window.last,
                "note": note,
            }
            for key, note in self._notes.items()
            if key in streams
        }
        shared = self._states.get(GLOBAL, {})
        if {*self._states} - {GLOBAL, COUNTS} <= states.keys() or not shared:
            server = [self._server.system, self._server.timeline]
            return {**states, GLOBAL: {"position": self._low, "streams": sorted(states), "server": server}}
        left = {key: low for key, low in shared.get("left", {}).items() if key not in states}
        others = [key for key in shared.get("streams", ()) if key not in states]
        return {**states, GLOBAL: {**shared, "streams": others, "left": left}}
