"""The search processes of a server: one for each workspace that searches, started by the fork server.

A configuration of an instance_admin may use the machine, others may not: so a workspace has a process for each of the
two, and no process ever sees another workspace's data or secrets.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Mapping
from typing import Any, TypeAlias

from kitestring.errors import KitestringError, TransientError
from kitestring.server.child.protocol import error_of
from kitestring.server.jobs.action_runner import LOOK_S, ActionRunner, Place, exit_error, give_way
from kitestring.server.retrieval.search_process import SearchProcess

log = logging.getLogger("kitestring.server")

WAIT_S = 0.2
Key: TypeAlias = "tuple[str, bool]"
"""A workspace, and whether an instance_admin wrote the configurations."""


class SearchProcesses:
    """Runs calls in search processes, at most `search_processes` of them. Thread-safe.

    A process that has ended is started again by the next call, and a call that was lost with it is repeated once. One
    that does not answer in time gets no more calls: it ends when the others in it have their answers.
    """

    def __init__(self, runner: ActionRunner) -> None:
        self.runner = runner
        self.settings = runner.settings
        self._lock = threading.Lock()
        self._live: dict[Key, SearchProcess] = {}
        """The least recently used first."""
        self._retired: list[SearchProcess] = []
        self._monitor: threading.Thread | None = None
        self._stopping = threading.Event()
        runner.release = self.release

    def run(
        self, action: str, request: Mapping[str, Any], *, destination_id: str, generation: str | None, limit_s: float,
        place: Place | None,
    ) -> Any:  # fmt: skip
        """The value of a read of a destination, as `ActionRunner.run` has it. `request["destination"]` is what
        `Endpoint.body` makes. `generation`: the last job that wrote there; None while a job writes, and then no
        connection stays open."""
        deadline, end = time.monotonic() + limit_s, request["destination"]
        full_request = {
            **request,
            "action": action,
            "destination_id": destination_id,
            "generation": generation,
            **self.runner.hardening(),
        }
        with self.runner.turn(place, action, limit_s):
            status: int | None = None
            for _ in range(2):
                give_way(place)
                process = self._process((str(end["workspace_id"]), end["trusted"] is True))
                if place is not None:
                    self.release(place.path, process)
                outcome = self._call(process, action, full_request, place, deadline, limit_s)
                if outcome is None:
                    status = process.status
                    continue
                if outcome["kind"] == "result":
                    return outcome["value"]
                raise error_of(outcome["error"])
            raise exit_error(status, self.settings)

    def release(self, path: str, but: SearchProcess | None = None) -> None:
        """Have all processes, one excepted, close this place."""
        with self._lock:
            processes = [*self._live.values(), *self._retired]
        for process in processes:
            if process is not but and any(place.path == path for place in process.places()):
                process.release(path)

    def pids(self) -> list[int]:
        """The process ids of those that take calls."""
        with self._lock:
            return [process.pid for process in self._live.values() if not process.has_ended]

    def held(self) -> list[str]:
        """The paths of the places that they have open."""
        with self._lock:
            processes = [*self._live.values(), *self._retired]
        return sorted({place.path for process in processes for place in process.places()})

    def close(self) -> None:
        """End all processes."""
        self._stopping.set()
        with self._lock:
            processes = [*self._live.values(), *self._retired]
            self._live.clear()
            self._retired.clear()
        for process in processes:
            process.cancel()
        for process in processes:
            process.end()

    def _call(
        self, process: SearchProcess, action: str, request: Mapping[str, Any], place: Place | None, deadline: float,
        limit_s: float,
    ) -> Mapping[str, Any] | None:  # fmt: skip
        """The outcome of a call; None if the process ended before. Raises if the time is over, or a job writes at the
        place."""
        call = process.call(request, place, deadline)
        look_at = time.monotonic() + LOOK_S
        try:
            while not process.wait(call, WAIT_S):
                now = time.monotonic()
                if now > deadline:
                    self._retire(process)
                    raise TransientError(
                        f"{action} did not answer within {limit_s:g} s",
                        hint="The other side is slow or does not answer. Try again.",
                    )
                if place is not None and now > look_at:
                    look_at = now + LOOK_S
                    try:
                        give_way(place)
                    except TransientError:
                        process.release(place.path)
                        raise
        finally:
            process.forget(call)
        if process.memory_mb > self.settings.search_memory_mb:
            log.info("a search process ends: it holds much memory", extra={"memory_mb": process.memory_mb})
            self._retire(process)
        return call.outcome

    def _process(self, key: Key) -> SearchProcess:
        """The process for this key, started if there is none."""
        with self._lock:
            process = self._live.pop(key, None)
            if process is not None and process.has_ended:
                log.warning("a search process has ended, and another one starts", extra={"status": process.status})
                self._retired.append(process)
                process = None
            if process is None:
                while len(self._live) >= self.settings.search_processes:
                    self._retired.append(self._live.pop(next(iter(self._live))))
                process = SearchProcess(self.runner.fork_server, self._first_request())
            self._live[key] = process
            if self._monitor is None and not self._stopping.is_set():
                self._monitor = threading.Thread(target=self._watch, name="kitestring-searches", daemon=True)
                self._monitor.start()
            return process

    def _first_request(self) -> dict[str, Any]:
        settings = self.settings
        return {
            "action": "serve_searches",
            "idle_s": settings.search_idle_s,
            # A search may use as much as before, beside what the process holds from others. The time of each search is
            # limited, not that of the process.
            "limits": {"memory_mb": settings.memory_mb and settings.memory_mb + settings.search_memory_mb, "cpu_s": 0},
            **self.runner.hardening(),
        }

    def _retire(self, process: SearchProcess) -> None:
        """Send this process no more calls, and end it when nobody waits for one."""
        with self._lock:
            for key, live in list(self._live.items()):
                if live is process:
                    self._retired.append(self._live.pop(key))

    # -- the thread that watches them ----------------------------------------------------------------------------------

    def _watch(self) -> None:
        while not self._stopping.wait(LOOK_S):
            try:
                if not self._look():
                    return
            except Exception:  # the processes need a watcher, whatever fails once
                log.exception("search processes could not be looked after")

    def _look(self) -> bool:
        """Renew leases, give way to jobs, end what is not needed. Whether there is anything left to watch."""
        now = time.monotonic()
        with self._lock:
            live, retired = list(self._live.values()), list(self._retired)
        for process in live:
            is_idle = not process.is_busy and now - process.used_at > self.settings.search_idle_s
            if process.has_ended or process.is_late or is_idle:
                self._retire(process)
        for process in (*live, *retired):
            process.renew()
            for place in process.places():
                if is_written(place):
                    process.release(place.path)
        for process in retired:
            if process.has_ended or process.is_late or not process.is_busy:
                process.end()
                with self._lock, contextlib.suppress(ValueError):
                    self._retired.remove(process)
        with self._lock:
            if self._live or self._retired:
                return True
            self._monitor = None
            return False


def is_written(place: Place) -> bool:
    """Whether a job writes at a place, or nobody knows."""
    try:
        return place.writer() is not None
    except KitestringError:
        return True
