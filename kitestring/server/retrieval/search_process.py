"""One search process, seen from its parent: its calls, and what it holds."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kitestring.server.jobs.action_runner import Place
from kitestring.server.jobs.child_process import ChildProcess
from kitestring.server.jobs.forkserver import ForkServer

LEASE_S = 60.0
"""A process whose parent is suspended for so long is ended by the fork server."""
RELEASE_S = 3.0
"""How long a process may take to close a place, before it is ended. A sync waits longer (`SYNC_LOCK_WAIT_S`)."""
REPLY_S = 1.0


@dataclass(slots=True, eq=False)
class Call:
    """A call that was sent. `deadline`: monotonic seconds. `outcome` is set with `done`."""

    number: int
    place: Place | None
    deadline: float
    done: threading.Event = field(default_factory=threading.Event)
    outcome: Mapping[str, Any] | None = None


class SearchProcess:
    """A child process that serves `call`s at the same time, until it is ended. Thread-safe."""

    def __init__(self, fork_server: ForkServer, request: Mapping[str, Any]) -> None:
        self._numbers = itertools.count(1)
        self._calls: dict[int, Call] = {}
        self._unanswered: dict[int, str] = {}
        """The paths that calls may have open, those that nobody waits for included."""
        self._places: dict[str, Place] = {}
        self._held: frozenset[str] = frozenset()
        self._changed = threading.Condition()
        self.memory_mb = 0
        self.used_at = time.monotonic()
        self._child = ChildProcess(fork_server, request, self._on_message, lambda line: None, LEASE_S)

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def has_ended(self) -> bool:
        return self._child.wait(0)

    @property
    def status(self) -> int | None:
        """The exit code, or minus the signal that ended it; None while it runs."""
        return self._child.status

    @property
    def is_busy(self) -> bool:
        """Whether somebody waits for a call."""
        return bool(self._calls)

    @property
    def is_late(self) -> bool:
        """Whether a call has outlived its deadline, since it could not even be sent."""
        limit = time.monotonic() - RELEASE_S
        return any(call.deadline < limit for call in list(self._calls.values()))

    def call(self, request: Mapping[str, Any], place: Place | None, deadline: float) -> Call:
        """Send a call. Whoever sent it calls `forget` in the end."""
        call = Call(next(self._numbers), place, deadline)
        with self._changed:
            self.used_at = time.monotonic()
            self._calls[call.number] = call
            if place is not None:
                self._places[place.path] = place
                self._unanswered[call.number] = place.path
        path = None if place is None else place.path
        self._child.send("call", call=call.number, request={**request, "path": path})
        return call

    def wait(self, call: Call, timeout_s: float) -> bool:
        """Wait for the outcome of a call, or for the end of the process."""
        if call.done.wait(timeout_s):
            return True
        return self.has_ended and (call.done.wait(REPLY_S) or True)

    def forget(self, call: Call) -> None:
        """Nobody waits for this call any more."""
        with self._changed:
            self._calls.pop(call.number, None)
            self.used_at = time.monotonic()

    def places(self) -> list[Place]:
        """The places that it has open, or that its calls may open."""
        with self._changed:
            return [self._places[path] for path in {*self._held, *self._unanswered.values()} if path in self._places]

    def release(self, path: str) -> None:
        """Have a place closed, and wait for it; the process is ended if it does not close the place in time."""
        self._child.send("release", path=path)

        def is_closed() -> bool:
            return self.has_ended or path not in {*self._held, *self._unanswered.values()}

        with self._changed:
            if self._changed.wait_for(is_closed, RELEASE_S):
                return
        self._child.kill()
        self._child.wait(RELEASE_S)

    def renew(self) -> None:
        """Extend its lease."""
        self._child.lease(LEASE_S)

    def cancel(self) -> None:
        """Ask it to close all that is open, and to end."""
        self._child.cancel()

    def end(self) -> None:
        """End it, in order if it can; then close its pipes."""
        self._child.cancel()
        if self.is_late or not self._child.wait(RELEASE_S):
            self._child.kill()
            self._child.wait(RELEASE_S)
        self._child.drain(REPLY_S)

    def _on_message(self, message: Mapping[str, Any]) -> Mapping[str, Any] | None:
        if message["kind"] == "renewal":
            return {"granted": True, "config": None}
        if message["kind"] not in ("reply", "held"):
            return None  # what it hides is in no log here
        number = message.get("call", 0)
        with self._changed:
            self._held, self.memory_mb = frozenset(message["held"]), int(message["memory_mb"])
            self._unanswered.pop(number, None)
            call = self._calls.get(number)
            self._changed.notify_all()
        if call is not None:
            call.outcome = message["outcome"]
            call.done.set()
        return None
