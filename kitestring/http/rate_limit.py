"""The one rate limiter: how many calls or tokens a window of time allows, shared by threads and processes."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from kitestring.http.message import Request, Response


class Shared(Protocol):
    """A rate limit shared with other processes."""

    def reserve(self, amount: float = 1.0, host: str = "") -> float:
        """Take this amount for a call to this host; returns the seconds to wait before the call."""


Share: TypeAlias = Callable[[str, float, float], Shared]
"""`share(name, amount, per_s)`: the shared rate limit of this name, of this amount in any window of `per_s` seconds."""
Remaining: TypeAlias = "tuple[int | None, float | None]"
"""From a response: the remaining calls, and the seconds until the reset; None where it names none."""


class Budget:
    """At most `calls` in any window of `per_s` seconds, for the requests that `matches` (all, without it).

    Each call reserves the next free moment in order of arrival, so that no thread starves and none polls. A request
    counts as one call, or as many as `weigh` returns (an embedder counts tokens). With `read` the server corrects the
    count: its response to a request that `matches` can only make the budget smaller.
    """

    def __init__(
        self,
        calls: int,
        per_s: float,
        matches: Callable[[Request], bool] | None = None,
        weigh: Callable[[Request], int] | None = None,
        read: Callable[[Response], Remaining] | None = None,
    ) -> None:
        if calls < 1 or per_s <= 0:
            raise ValueError(f"a budget needs at least one call and a positive window, not {calls} per {per_s} s")
        self.calls = calls
        self.per_s = per_s
        self.matches = matches
        self.weigh = weigh
        self.read = read
        self.shared: Shared | None = None
        self._spent: deque[tuple[float, int]] = deque()
        """Moments in order, and how many calls each has."""
        self._sum = 0
        self._closed_until = 0.0
        self._lock = threading.Lock()

    def reserve(self, host: str = "", weight: int = 1) -> float:
        """Take this many calls (at most a whole window); returns the seconds to wait before the request."""
        weight = min(max(1, weight), self.calls)
        if self.shared is not None:
            return max(self.shared.reserve(float(weight), host), self._closed_until - time.monotonic())
        with self._lock:
            now = time.monotonic()
            moment = max(now, self._closed_until, self._spent[-1][0] if self._spent else now)
            while self._spent and (self._spent[0][0] + self.per_s <= moment or self._sum + weight > self.calls):
                passed, amount = self._spent.popleft()
                moment = max(moment, passed + self.per_s)
                self._sum -= amount
            self._spend(moment, weight)
            return moment - now

    def _spend(self, moment: float, weight: int) -> None:
        self._spent.append((moment, weight))
        self._sum += weight

    def update(self, response: Response) -> None:
        """Follow the server's count: none remaining closes the budget until the reset; fewer remaining reduce it."""
        if self.read is None:
            return
        remaining, reset_s = self.read(response)
        if remaining is None:
            return
        with self._lock:
            now = time.monotonic()
            if remaining <= 0 and reset_s is not None:
                self._closed_until = max(self._closed_until, now + reset_s)
            elif self.shared is None:
                used = sum(amount for moment, amount in self._spent if moment > now - self.per_s)
                missing = self.calls - used - max(0, remaining)
                if missing > 0:  # behind those that wait for their moment: the moments stay in order
                    self._spend(max(now, self._spent[-1][0]) if self._spent else now, missing)
