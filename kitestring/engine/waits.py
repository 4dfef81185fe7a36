"""Announced waits, collected from the log for the progress of a sync.

Code that waits on purpose logs `seconds` or `wait_s` (Retry-After of HTTP, rate limits, a destination that is not
ready) or `until` (epoch seconds: an Airbyte connector). `retry` says that something failed and is tried again: the
pause is our own choice, and no progress.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator

from kitestring.current_stream import STREAM
from kitestring.engine.progress import Progress


class Waits(logging.Handler):
    """Notes each announced wait in the progress, and at the stream that it keeps waiting."""

    def __init__(self, progress: Progress) -> None:
        super().__init__(logging.INFO)
        self.progress = progress

    def emit(self, record: logging.LogRecord) -> None:
        seconds = getattr(record, "seconds", None) or getattr(record, "wait_s", None)
        until = getattr(record, "until", None)
        if seconds is None and isinstance(until, int | float):
            seconds = until - time.time()
        if not isinstance(seconds, int | float) or seconds <= 0:
            return
        error = getattr(record, "error", "")
        reason = str(getattr(record, "reason", "") or record.getMessage() + (f": {error}" if error else ""))[:200]
        retry = getattr(record, "retry", False) is True
        self.progress.waits.wait(seconds, reason, retry)
        stream = self.progress.streams.get(STREAM.get() or str(getattr(record, "stream", "")))
        if stream is not None:
            stream.activity.wait(seconds, reason, retry)


@contextlib.contextmanager
def noted_waits(progress: Progress) -> Iterator[None]:
    """Note the waits of this process in the progress until the block ends."""
    waits, ours = Waits(progress), logging.getLogger("kitestring")
    handlers = {handler: handler.level for handler in (*ours.handlers, *logging.getLogger().handlers)}
    level, least = ours.level, ours.getEffectiveLevel()
    if least > logging.INFO:  # waits are logged at INFO, whatever level is shown
        for handler in handlers:
            handler.setLevel(max(handler.level, least))
        ours.setLevel(logging.INFO)
    ours.addHandler(waits)
    try:
        yield
    finally:
        ours.removeHandler(waits)
        ours.setLevel(level)
        for handler, before in handlers.items():
            handler.setLevel(before)
