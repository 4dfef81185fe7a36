"""How fast a counter moves: its growth over the last half minute."""

from __future__ import annotations

import time
from collections import deque

WINDOW_S = 30.0
LEAST_S = 1.0
"""Between two samples, and the least time that a rate is told of."""


class Pace:
    """The growth of a counter per second. Whoever displays it calls `note` with its value now and then."""

    __slots__ = ("_samples",)

    def __init__(self) -> None:
        self._samples: deque[tuple[float, float]] = deque()

    def note(self, value: float, now: float | None = None) -> None:
        now = time.monotonic() if now is None else now
        if self._samples and value < self._samples[-1][1]:  # another counter from now on
            self._samples.clear()
        if self._samples and now - self._samples[-1][0] < LEAST_S:
            return
        while len(self._samples) > 2 and now - self._samples[1][0] > WINDOW_S:
            self._samples.popleft()
        self._samples.append((now, value))

    @property
    def per_s(self) -> float | None:
        """None until two samples are far enough apart."""
        if len(self._samples) < 2:
            return None
        (first, before), (last, now) = self._samples[0], self._samples[-1]
        return (now - before) / (last - first)
