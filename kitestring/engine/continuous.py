"""Endless syncs: window after window, each a sync that follows its source for some minutes and is then reconciled.

A window is committed and compared with the destination's count like any sync, so a continuous sync has the guarantees
of many short ones. Nothing of a window stays in memory but its sums.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from kitestring.backoff import backoff_s
from kitestring.change_following import Following, FollowsChanges, follower
from kitestring.engine.progress import Progress
from kitestring.engine.result import COUNTS, Result, Status, StreamResult
from kitestring.errors import KitestringError, TransientError
from kitestring.source import Source

log = logging.getLogger("kitestring.engine")

WINDOW_S = 300.0
LEAST_WINDOW_S = 1.0
RETRY_MOST_S = 300.0
SUMMED = ("read", *COUNTS, "nbytes", "seconds", "removed", "absent")


@dataclass(frozen=True, slots=True)
class WindowEnd:
    """The end of a window: its number from 1, its result, and the sums of all windows."""

    number: int
    result: Result
    total: Result


@dataclass(slots=True)
class Continuous:
    """How a sync goes on: in windows of `window_s`, until `stop` is set, or for `lasts_s`.

    `retries`: a window that fails with `TransientError` is repeated, with backoff; else it ends the sync.
    `on_window` is called after each window.
    """

    stop: threading.Event
    window_s: float = WINDOW_S
    lasts_s: float | None = None
    retries: bool = False
    on_window: Callable[[WindowEnd], None] = lambda window: None

    def run(self, source: Source, progress: Progress, sync: Callable[[], Result]) -> Result:
        """Run windows of the source; `sync` runs one. Returns the sums. `ConfigError` if the source cannot follow."""
        source_of_changes = follower(source)
        try:
            return self._windows(source_of_changes, progress, sync)
        finally:
            source_of_changes.follow(None)

    def _windows(self, source: FollowsChanges, progress: Progress, sync: Callable[[], Result]) -> Result:
        began, number, failures = time.monotonic(), 0, 0
        total: Result | None = None
        while True:
            at = time.monotonic()
            left_s = self.window_s if self.lasts_s is None else self.lasts_s - (at - began)
            source.follow(Following(max(0.0, min(self.window_s, left_s)), self.stop))
            result = self._window(sync, total)
            number += 1
            total = Result(result.connection, {}, started_at=result.started_at) if total is None else total
            add(total, result)
            total.seconds = time.monotonic() - began
            progress.end_window(result)
            self.on_window(WindowEnd(number, result, total))
            failures = failures + 1 if result.status is Status.failed else 0
            if failures and self.retries and is_transient(result) and not self.stop.is_set():
                wait_s = min(backoff_s(failures, first_s=2.0, least=0.5), RETRY_MOST_S)
                log.warning("the sync is repeated", extra={"error": error_text(result), "wait_s": round(wait_s, 1)})
                self.stop.wait(wait_s)
            elif failures or result.status is Status.cancelled:
                total.error, total.cancelled = result.error, result.cancelled
                for key, stream in result.streams.items():
                    total.streams[key].error, total.streams[key].status = stream.error, stream.status
                return total
            elif time.monotonic() - at < LEAST_WINDOW_S:
                self.stop.wait(LEAST_WINDOW_S)
            if self.stop.is_set() or (self.lasts_s is not None and time.monotonic() - began >= self.lasts_s):
                return total

    def _window(self, sync: Callable[[], Result], total: Result | None) -> Result:
        """Run a window. One that cannot even begin, after others that did, has failed like any other."""
        try:
            return sync()
        except TransientError as error:
            if total is None or not self.retries:
                raise
            return Result(total.connection, {}, error=error)


def add(total: Result, window: Result) -> None:
    """Add the figures of a window. A stream was suspicious if it was in one window."""
    ended = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
    for key, stream in window.streams.items():
        sums = total.streams.setdefault(key, StreamResult(key))
        for name in SUMMED:
            setattr(sums, name, getattr(sums, name) + getattr(stream, name))
        for name, value in stream.figures.items():
            sums.figures[name] = sums.figures.get(name, 0) + value
        for suspicion in stream.suspicions:
            sums.suspect(f"in the window that ended at {ended} UTC: {suspicion}")
        if stream.status is Status.suspicious:
            sums.status = Status.suspicious


def is_transient(result: Result) -> bool:
    """Whether all errors of a result may be gone at the next try."""
    return all(isinstance(error, TransientError) for error in errors_of(result))


def error_text(result: Result) -> str:
    return "; ".join(error.message for error in errors_of(result))


def errors_of(result: Result) -> list[KitestringError]:
    return [error for error in (result.error, *(s.error for s in result.streams.values())) if error is not None]
