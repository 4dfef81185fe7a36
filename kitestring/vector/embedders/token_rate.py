"""How many tokens a minute an embedder may use, shared by its threads."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kitestring.http import Shared

WINDOW_S = 60.0


class TokenRateLimit:
    """At most `tokens` in any 60 seconds.

    Each caller reserves the next moment at which its tokens fit, in the order of asking, and waits until then. A
    request larger than the whole allowance waits for an empty window.
    """

    def __init__(self, tokens: int, window_s: float = WINDOW_S) -> None:
        self.tokens = tokens
        self.window_s = window_s
        self.shared: Shared | None = None
        self._lock = threading.Lock()
        self._spent: deque[tuple[float, int]] = deque()
        self._sum = 0

    def reserve(self, tokens: int) -> float:
        """Take `tokens`; returns the seconds to wait before using them."""
        tokens = min(tokens, self.tokens)
        if self.shared is not None:
            return self.shared.reserve(tokens)
        with self._lock:
            now = time.monotonic()
            moment = max(now, self._spent[-1][0]) if self._spent else now
            while self._spent and (self._spent[0][0] + self.window_s <= moment or self._sum + tokens > self.tokens):
                passed, amount = self._spent.popleft()
                moment = max(moment, passed + self.window_s)
                self._sum -= amount
            self._spent.append((moment, tokens))
            self._sum += tokens
            return moment - now
