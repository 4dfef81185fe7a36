"""The pause before another attempt: exponential backoff with jitter."""

from __future__ import annotations

import random

LONGEST_S = 60.0


def backoff_s(attempt: int, first_s: float = 1.0, least: float = 0.0) -> float:
    """Seconds after failed attempt number `attempt` (from 1): a random share, from `least` to all, of
    `first_s` · 2^(attempt - 1), which grows to 60 s at most. `least=0` is full jitter."""
    return random.uniform(least, 1.0) * min(LONGEST_S, first_s * (1 << min(attempt - 1, 30)))
