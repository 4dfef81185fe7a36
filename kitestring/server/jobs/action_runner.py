"""Runs one action of a connector in a child process and waits for its answer: check, discover, read, search, …"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from kitestring.errors import ConnectorError, KitestringError, TransientError
from kitestring.server.child.protocol import error_of
from kitestring.server.connectors.confinement import limits_of
from kitestring.server.jobs.child_process import ChildProcess
from kitestring.server.jobs.forkserver import ForkServer
from kitestring.server.secrets.references import patterns_of
from kitestring.server.settings import Settings

LIMIT_S = 120.0
GRACE_S = 3.0
DRAIN_S = 10.0
AT_ONCE = 8
TAIL_LINES = 20
LOOK_S = 1.0
"""How often a reader of a place looks for a job that writes there. A sync waits longer (`SYNC_LOCK_WAIT_S`)."""
BUSY_SHARE = 0.25
"""An action that used this share of its time on a processor was not waiting for the other side."""


class UpdatesConfig(Protocol):
    """Saves the changes that a connector makes to its configuration (`config_updates.ConfigUpdater`)."""

    def save(self, end: str, config: Mapping[str, Any], spec: Mapping[str, Any]) -> None: ...

    def save_credential_ends(self, end: str, ends: Sequence[Mapping[str, Any]]) -> None: ...

    def renewal(self, message: Mapping[str, Any]) -> dict[str, Any]: ...


class PlaceTaken(TransientError):
    """A job writes at the place: it says nothing of the place itself."""


class Place(Protocol):
    """A place that one process at a time can open (`connections/exclusive_place.py`)."""

    @property
    def path(self) -> str: ...

    def writer(self) -> int | None:
        """The running job that writes there, if there is one."""


@dataclass(frozen=True, slots=True)
class ActionRun:
    """One run of an action. `deadline`: monotonic seconds, `limit_s` after the call."""

    action: str
    request: Mapping[str, Any]
    deadline: float
    limit_s: float
    updater: UpdatesConfig | None
    cancel: threading.Event | None
    on_event: Callable[[Mapping[str, Any]], None] | None
    place: Place | None

    def handle(self, message: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Handle a message of the child that is no outcome. Returns what the child waits for."""
        if message["kind"] == "event" and self.on_event is not None:
            self.on_event(message["event"])
        elif message["kind"] == "config" and self.updater is not None:
            self.updater.save(message["end"], message["config"], message["spec"])
        elif message["kind"] == "credential_ends" and self.updater is not None:
            self.updater.save_credential_ends(message["end"], message["ends"])
        elif message["kind"] == "renewal":
            return self.updater.renewal(message) if self.updater is not None else {"granted": True, "config": None}
        return None


class ActionRunner:
    """Runs actions in children of one fork server, at most `at_once` at the same time. Thread-safe."""

    def __init__(
        self,
        settings: Settings,
        fork_server: ForkServer | None = None,
        *,
        at_once: int = AT_ONCE,
        approved_components: Callable[[], frozenset[str] | None] = lambda: None,
    ) -> None:
        self.settings = settings
        self.approved_components = approved_components
        """The digests of the Python components that are approved at this moment; None if none may run."""
        self.fork_server = fork_server or ForkServer()
        self.stopping = threading.Event()
        """Set when the server stops: actions with events end, and their readers get the reason."""
        self.release: Callable[[str], None] = lambda path: None
        """Has search processes close the place at a path (`retrieval/search_processes.py`)."""
        self._slots = threading.BoundedSemaphore(at_once)
        self._turns: dict[str, tuple[threading.Lock, int]] = {}
        """The turn at each place, and how many have it or wait for it."""
        self._guard = threading.Lock()

    def run(
        self,
        action: str,
        request: Mapping[str, Any],
        *,
        limit_s: float = LIMIT_S,
        updater: UpdatesConfig | None = None,
        cancel: threading.Event | None = None,
        place: Place | None = None,
        on_event: Callable[[Mapping[str, Any]], None] | None = None,
    ) -> Any:
        """The value of an action: `check`, `discover`, `read`, `search`, `spec`, … (see `child/actions.py`).

        `request` holds `source` and `destination` as `Endpoint.body` makes them, and the action's arguments. Raises the
        error of the action; `TransientError` if it took longer than `limit_s` or no slot was free. Actions at the
        same `place` go one after the other, and give way to a job that writes there: it raises `PlaceTaken` then.
        `on_event` gets the events that the action sends while it runs; while it does not return, the action waits.
        """
        run = ActionRun(action, request, time.monotonic() + limit_s, limit_s, updater, cancel, on_event, place)
        with self.turn(place, action, limit_s):
            if place is not None:
                self.release(place.path)
            return self._in_slot(run)

    @contextlib.contextmanager
    def turn(self, place: Place | None, action: str, limit_s: float) -> Iterator[None]:
        """Wait for the turn at a place. `TransientError` if others read there for longer than `limit_s`."""
        if place is None:
            yield
            return
        with self._guard:
            lock, waiting = self._turns.get(place.path, (threading.Lock(), 0))
            self._turns[place.path] = lock, waiting + 1
        try:
            if not lock.acquire(timeout=limit_s):
                raise TransientError(
                    f"{action} waited {limit_s:g} s for others that read the same place",
                    hint="Try again.",
                    retry_after_s=5,
                )
            try:
                yield
            finally:
                lock.release()
        finally:
            with self._guard:
                lock, waiting = self._turns.pop(place.path)
                if waiting > 1:
                    self._turns[place.path] = lock, waiting - 1

    def _in_slot(self, run: ActionRun) -> Any:
        if not self._slots.acquire(timeout=max(0.0, run.deadline - time.monotonic())):
            raise TransientError(
                f"{run.action} found no free slot within {run.limit_s:g} s: other actions are running",
                hint="Try again.",
                retry_after_s=5,
            )
        try:
            return self._run(run)
        finally:
            self._slots.release()

    def hardening(self) -> dict[str, Any]:
        """The part of a request that confines the process and its connectors."""
        return {
            "allow_private_hosts": self.settings.allow_private_hosts,
            "allowed_networks": self.settings.allowed_networks,
            "references": patterns_of(self.settings),
            "machine": limits_of(self.settings, self.approved_components()),
        }

    def close(self) -> None:
        self.fork_server.close()

    def _run(self, run: ActionRun) -> Any:
        give_way(run.place)
        outcome: dict[str, Any] = {}
        tail: list[bytes] = []

        def on_message(message: dict[str, Any]) -> Mapping[str, Any] | None:
            if message["kind"] in ("result", "error"):
                outcome.update(message)
                return None
            return run.handle(message)

        def write(line: bytes) -> None:
            tail.append(line)
            del tail[:-TAIL_LINES]

        limits = {"memory_mb": self.settings.memory_mb, "cpu_s": self.settings.cpu_s}
        # The hardening comes last, so that no request overrides it.
        full_request = {"action": run.action, "limits": limits, **run.request, **self.hardening()}
        child = ChildProcess(self.fork_server, full_request, on_message, write, run.limit_s + 60.0)
        late = stopped = False
        way: TransientError | None = None
        busy_s, look_at = 0.0, time.monotonic() + LOOK_S
        while not child.wait(0.2):
            late = time.monotonic() > run.deadline
            stopped = run.cancel is not None and run.cancel.is_set()
            if time.monotonic() > look_at:
                try:
                    give_way(run.place)
                except TransientError as error:
                    way = error
                look_at = time.monotonic() + LOOK_S
            if late or stopped or way is not None:
                busy_s = child.cpu_s
                child.cancel()
                if not child.wait(GRACE_S):
                    child.kill()
                    child.wait(GRACE_S)
                break
        # Events that wait for a slow reader are taken first: the result comes behind them.
        child.drain(DRAIN_S if run.on_event is None else max(DRAIN_S, run.deadline - time.monotonic()))
        if way is not None:  # a result is of a part
            raise way
        if outcome.get("kind") == "result":
            return outcome["value"]
        if outcome.get("kind") == "error" and not late:
            raise error_of(outcome["error"])
        if late and busy_s > run.limit_s * BUSY_SHARE:
            raise ConnectorError(
                f"{run.action} computed for {busy_s:.0f} s and did not end within {run.limit_s:g} s",
                hint="It did not wait for the other side: a template, a mapper or the connector's code is too slow.",
            )
        if late or stopped:
            raise TransientError(
                f"{run.action} did not answer within {run.limit_s:g} s" if late else f"{run.action} was stopped",
                hint="The other side is slow or does not answer. Try again.",
            )
        raise child.broken or exit_error(child.status, self.settings)


def give_way(place: Place | None) -> None:
    """`PlaceTaken` while a job writes at the place: what people look at never fails a sync."""
    job_id = place.writer() if place is not None else None
    if place is not None and job_id is not None:
        raise PlaceTaken(
            f"job {job_id} is writing to {os.path.basename(place.path)}, which one process at a time can open",
            hint="Try again when the job has ended.",
            retry_after_s=5,
            job_id=job_id,
        )


def exit_error(status: int | None, settings: Settings) -> KitestringError:
    """The error for a child that ended without a result, by its exit status."""
    if status == -9:
        limit = f" (its limit is {settings.memory_mb} MB)" if settings.memory_mb else ""
        return ConnectorError(
            f"the system killed the process with signal 9, most likely because the machine had no memory left{limit}",
            hint="Give the worker more memory, run fewer jobs at once (KITESTRING_WORKERS), or set "
            "KITESTRING_MEMORY_MB so that one sync cannot use all of it.",
            signal=9,
        )
    if status in (-24, -30):  # SIGXCPU, on Linux and macOS
        return ConnectorError(
            f"the process used more than its limit of {settings.cpu_s} s of processor time",
            hint="Raise KITESTRING_CPU_S, or sync fewer streams at once.",
            signal=-status,
        )
    if status is not None and status < 0:
        return ConnectorError(
            f"the process was ended by signal {-status}",
            hint="Either a native library of the connector has a defect, or the process was killed. See its log.",
            signal=-status,
        )
    return ConnectorError(
        f"the process ended with exit code {status} and without a result", hint="See its log.", code=status
    )
