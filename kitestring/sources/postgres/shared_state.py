"""The state that all captured streams share: how far the log is read, and how far those are that failed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kitestring.sql.changes import Tracked, Window
from kitestring.sql.first_load import Positions
from kitestring.types import State, Stream
from kitestring.vendors.postgres.replication import ServerIdentity


class SharedState:
    """The state that all streams share, for each position of the log.

    A stream of the sync that is not read, or no longer, keeps the position up to which it has everything: the log is
    kept for it, and it goes on there once it can.
    """

    def __init__(
        self,
        server: ServerIdentity | None,
        streams: Sequence[Stream],
        positions: Positions,
        windows: Mapping[str, Window],
        tracked: Mapping[str, Tracked],
    ) -> None:
        self._server = {"server": [server.system, server.timeline]} if server else {}
        self._tracked = tracked
        self._reached = {
            stream.key: windows[stream.key].low if stream.key in windows else positions.low(stream.key)
            for stream in streams
        }

    def __call__(self, position: int) -> State:
        self._reached.update(dict.fromkeys(self._tracked, position))
        left = {key: low for key, low in self._reached.items() if low is not None and key not in self._tracked}
        state = {"position": position, "streams": sorted(self._tracked), **self._server}
        return {**state, "left": left} if left else state
