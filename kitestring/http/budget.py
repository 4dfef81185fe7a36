"""How many calls a window of time allows, shared by all threads of a session."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from kitestring.http.message import Request


class Shared(Protocol):
    """A budget that other processes draw on too."""

    def reserve(self, amount: float = 1.0, host: str = "") -> float:
        """Take so much of it, for a call to this host; returns the seconds to wait before making it."""


Share: TypeAlias = Callable[[str, float, float], Shared]
"""The shared budget of a name: so much in any window of so many seconds."""


class Budget:
    """At most `calls` in any window of `per_s` seconds, for the requests that `matches` (all, without it).

    Each call reserves the next free moment, in the order of asking, so that no thread starves and nobody polls.
    """

    def __init__(self, calls: int, per_s: float, matches: Callable[[Request], bool] | None = None) -> None:
        if calls < 1 or per_s <= 0:
            raise ValueError(f"a budget needs at least one call and a positive window, not {calls} per {per_s} s")
        self.calls = calls
        self.per_s = per_s
        self.matches = matches
        self.shared: Shared | None = None
        self._moments: deque[float] = deque(maxlen=calls)
        self._lock = threading.Lock()

    def reserve(self, host: str = "") -> float:
        """Take one call; returns the seconds to wait before making it."""
        if self.shared is not None:
            return self.shared.reserve(1.0, host)
        with self._lock:
            now = time.monotonic()
            moment = now
            if len(self._moments) == self.calls:
                moment = max(now, self._moments[0] + self.per_s)
            self._moments.append(moment)
            return moment - now
