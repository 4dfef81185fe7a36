"""A sync in a child process: the engine as it is, its states sent to the parent and acknowledged one by one."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from kitestring.engine import Progress, Rejects, Selection, sync
from kitestring.types import State

if TYPE_CHECKING:
    from kitestring.server.jobs.channel import Upward
    from kitestring.server.jobs.child import Told

PULSE_S = 1.0


class ParentStates:
    """States that the parent keeps, each durable when `save` returns. The queue has locked the connection already."""

    def __init__(self, up: Upward, states: Mapping[str, State]) -> None:
        self._up = up
        self._states = dict(states)

    def load(self, connection: str) -> dict[str, State]:
        return dict(self._states)

    def save(self, connection: str, stream: str, state: State) -> None:
        self._up.ask("state", stream=stream, state=state)

    def clear(self, connection: str, stream: str | None = None) -> None:
        for key in [stream] if stream is not None else list(self._states):
            self._up.ask("state", stream=key, state=None)

    def connections(self) -> list[str]:
        return []

    @contextlib.contextmanager
    def lock(self, connection: str) -> Iterator[None]:
        yield


class Waits(logging.Handler):
    """Hears which pauses were announced: whoever waits on purpose logs `seconds` or `wait_s` (HTTP's Retry-After,
    budgets of calls and tokens, a destination that is not ready) or `until` (epoch seconds: an Airbyte connector)."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.until = 0.0
        self.reason = ""

    def emit(self, record: logging.LogRecord) -> None:
        seconds = getattr(record, "seconds", None) or getattr(record, "wait_s", None)
        until = getattr(record, "until", None)
        if seconds is None and isinstance(until, int | float):
            seconds = until - time.time()
        if isinstance(seconds, int | float) and seconds > 0 and time.monotonic() + seconds > self.until:
            self.until = time.monotonic() + float(seconds)
            self.reason = str(getattr(record, "reason", "") or record.getMessage())[:200]

    @property
    def now(self) -> dict[str, Any] | None:
        """The wait that goes on: `{"seconds", "reason"}`."""
        left = self.until - time.monotonic()
        return {"seconds": round(left, 1), "reason": self.reason} if left > 0 else None


@contextlib.contextmanager
def pulse(told: Told, progress: Progress) -> Iterator[None]:
    """Tell the parent every second how far the sync is, and what it waits for."""
    waits, ended = Waits(), threading.Event()
    ours = logging.getLogger("kitestring")
    ours.addHandler(waits)
    if ours.level > logging.INFO:  # what is said of waits has to be heard, whatever is shown
        for handler in logging.getLogger().handlers:
            handler.setLevel(ours.level)
        ours.setLevel(logging.INFO)

    def tell() -> None:
        told.up.send("progress", progress={**progress.snapshot(), "waiting": waits.now})

    def beat() -> None:
        while not ended.wait(PULSE_S):
            with contextlib.suppress(OSError, RuntimeError):
                tell()

    thread = threading.Thread(target=beat, name="kitestring-pulse", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(5.0)
        ours.removeHandler(waits)
        with contextlib.suppress(OSError):
            tell()


def run(told: Told) -> Any:
    """Sync; the engine's result as JSON."""
    from kitestring.server.jobs.actions import built

    given = told.request
    source, _ = built(told, "source", given["source"])
    destination, _ = built(told, "destination", given["destination"])
    progress = Progress()
    with pulse(told, progress):
        result = sync(
            source,
            destination,
            selections(given) or None,
            states=ParentStates(told.up, given.get("states") or {}),
            connection=str(given["connection"]),
            rejects=Rejects(given["rejects"]) if given.get("rejects") else None,
            max_rejects=int(given.get("max_rejects", 1000)),
            prefix=str(given.get("prefix") or ""),
            namespace=given.get("namespace"),
            allow_empty=bool(given.get("allow_empty")),
            progress=progress,
            cancel=told.cancel,
        )
    return ended(result)


def ended(result: Any) -> dict[str, Any]:
    """A result with its errors whole, so that the parent can judge whether a later attempt may do better."""
    from kitestring.server.jobs.channel import error_body

    errors = [one.error for one in result.streams.values() if one.error is not None]
    if result.error is not None:
        errors.insert(0, result.error)
    return {**result.as_dict(), "errors": [error_body(one) for one in errors]}


def selections(given: Mapping[str, Any]) -> list[Selection]:
    return [Selection(**one) for one in given.get("streams") or ()]


ACTIONS: dict[str, Callable[[Told], Any]] = {"sync": run}
