"""Where a read of a log ends, and how a read that goes on shares its time between the log and loads of tables."""

from __future__ import annotations

import time
from collections.abc import Callable

from kitestring.change_following import Following

LOAD_S, LOG_S = 30.0, 10.0
"""While a table is loaded and others are followed: the time for parts of the load, then for the log, in turn."""
AT_ONCE = 0
"""The end of a log that is read no further than to the next place between two transactions."""


def end_of_log(
    end: Callable[[], int], following: Following | None, follow_seconds: float, loads_wait: bool
) -> Callable[[], int | None]:
    """The position at which a read ends, None while it goes on. `end` returns the end of the log; it may write a
    message there first, so that an idle database confirms a new position once per read."""
    if following is None:
        follows_until = time.monotonic() + follow_seconds
        return lambda: end() if time.monotonic() >= follows_until else None
    is_over = following_limit(following, loads_wait)
    end()
    return lambda: AT_ONCE if is_over() else None


def following_limit(following: Following, loads_wait: bool) -> Callable[[], bool]:
    """Whether a read that follows a log is to end now. `loads_wait`: parts of a load come after it."""
    stop, until = following.stop, time.monotonic() + (LOG_S if loads_wait else following.seconds)
    return lambda: stop.is_set() or time.monotonic() >= until


def load_limit(following: Following | None, follows_others: bool) -> Callable[[], bool]:
    """Whether the rest of the loads waits for the next read: streams that are loaded already are followed first."""
    if following is None:
        return lambda: False
    stop, deadline = following.stop, time.monotonic() + LOAD_S
    return lambda: stop.is_set() or (follows_others and time.monotonic() >= deadline)
