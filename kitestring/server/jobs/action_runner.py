"""Runs one action of a connector in a child process and waits for its answer: check, discover, read, search, …"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
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
AT_ONCE = 8
TAIL_LINES = 20
BUSY_SHARE = 0.25
"""An action that used this share of its time on a processor was not waiting for the other side."""


class UpdatesConfig(Protocol):
    """Saves the changes that a connector makes to its configuration (`config_updates.ConfigUpdater`)."""

    def save(self, end: str, config: Mapping[str, Any], spec: Mapping[str, Any]) -> None: ...

    def save_credential_ends(self, end: str, ends: Sequence[Mapping[str, Any]]) -> None: ...

    def renewal(self, message: Mapping[str, Any]) -> dict[str, Any]: ...


class ActionRunner:
    """Runs actions in children of one fork server, at most `at_once` at the same time. Thread-safe."""

    def __init__(self, settings: Settings, fork_server: ForkServer | None = None, *, at_once: int = AT_ONCE) -> None:
        self.settings = settings
        self.fork_server = fork_server or ForkServer()
        self._slots = threading.BoundedSemaphore(at_once)

    def run(
        self,
        action: str,
        request: Mapping[str, Any],
        *,
        limit_s: float = LIMIT_S,
        updater: UpdatesConfig | None = None,
        cancel: threading.Event | None = None,
    ) -> Any:
        """The value of an action: `check`, `discover`, `read`, `search`, `spec`, … (see `child/actions.py`).

        `request` holds `source` and `destination` as `Endpoint.body` makes them, and the action's arguments. Raises the
        error of the action; `TransientError` if it took longer than `limit_s` or no slot was free.
        """
        deadline = time.monotonic() + limit_s
        if not self._slots.acquire(timeout=limit_s):
            raise TransientError(
                f"{action} found no free slot within {limit_s:g} s: other actions are running",
                hint="Try again.",
                retry_after_s=5,
            )
        try:
            return self._run(action, request, deadline, limit_s, updater, cancel)
        finally:
            self._slots.release()

    def close(self) -> None:
        self.fork_server.close()

    def _run(
        self,
        action: str,
        request: Mapping[str, Any],
        deadline: float,
        limit_s: float,
        updater: UpdatesConfig | None,
        cancel: threading.Event | None,
    ) -> Any:
        outcome: dict[str, Any] = {}
        tail: list[bytes] = []

        def on_message(message: dict[str, Any]) -> Mapping[str, Any] | None:
            if message["kind"] in ("result", "error"):
                outcome.update(message)
            elif message["kind"] == "config" and updater is not None:
                updater.save(message["end"], message["config"], message["spec"])
            elif message["kind"] == "credential_ends" and updater is not None:
                updater.save_credential_ends(message["end"], message["ends"])
            elif message["kind"] == "renewal":
                return updater.renewal(message) if updater is not None else {"granted": True, "config": None}
            return None

        def write(line: bytes) -> None:
            tail.append(line)
            del tail[:-TAIL_LINES]

        limits = {"memory_mb": self.settings.memory_mb, "cpu_s": self.settings.cpu_s}
        hardening = {
            "allow_private_hosts": self.settings.allow_private_hosts,
            "allowed_networks": self.settings.allowed_networks,
            "references": patterns_of(self.settings),
            "machine": limits_of(self.settings),
        }
        # The hardening comes last, so that no request overrides it.
        full_request = {"action": action, "limits": limits, **request, **hardening}
        child = ChildProcess(self.fork_server, full_request, on_message, write, limit_s + 60.0)
        late = stopped = False
        busy_s = 0.0
        while not child.wait(0.2):
            late = time.monotonic() > deadline
            stopped = cancel is not None and cancel.is_set()
            if late or stopped:
                busy_s = child.cpu_s
                child.cancel()
                if not child.wait(GRACE_S):
                    child.kill()
                    child.wait(GRACE_S)
                break
        child.drain()
        if outcome.get("kind") == "result":
            return outcome["value"]
        if outcome.get("kind") == "error" and not late:
            raise error_of(outcome["error"])
        if late and busy_s > limit_s * BUSY_SHARE:
            raise ConnectorError(
                f"{action} computed for {busy_s:.0f} s and did not end within {limit_s:g} s",
                hint="It did not wait for the other side: a template, a mapper or the connector's code is too slow.",
            )
        if late or stopped:
            raise TransientError(
                f"{action} did not answer within {limit_s:g} s" if late else f"{action} was stopped",
                hint="The other side is slow or does not answer. Try again.",
            )
        raise child.broken or exit_error(child.status, self.settings)


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
