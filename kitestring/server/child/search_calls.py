"""A search process: serves reads of the destinations of one workspace until its parent ends it.

Models and connections stay open from call to call (`OpenConnectors`). Each call has a thread, so that one that hangs
delays no other; the parent stops waiting for it and ends the process. The process has the confinement of any other
child: limits and egress policy come with its first request, and the rights of each connector with each call.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kitestring.errors import ConnectorError, KitestringError
from kitestring.server.child import actions, comparisons, data
from kitestring.server.child.call import ActionCall
from kitestring.server.child.open_connectors import OpenConnectors
from kitestring.server.child.outcome_message import send_outcome

LOOK_S = 0.5
READS: dict[str, Callable[[ActionCall], Any]] = {"search": actions.search, **data.ACTIONS, **comparisons.ACTIONS}
"""The actions that a search process does. None of them writes."""


def serve(call: ActionCall) -> Any:
    """Serve calls until the process is asked to end. `idle_s` is the time after which connections are closed."""
    process = SearchCalls(call)
    threading.Thread(target=process.close_idle, name="search-idle", daemon=True).start()
    while not call.cancel.is_set():
        with contextlib.suppress(queue.Empty):
            process.take(call.parent.orders.get(timeout=LOOK_S))
    process.connectors.close()
    return {}


class SearchCalls:
    """The calls of a search process."""

    def __init__(self, process: ActionCall) -> None:
        self._process = process
        self._limits = process.request.get("limits") or {}
        self._orders = 0
        self._reporting = threading.Lock()
        self.connectors = OpenConnectors(float(process.request["idle_s"]), self._report)

    def take(self, order: Mapping[str, Any]) -> None:
        """Begin a call, or release a path."""
        self._orders += 1
        if order["kind"] == "release":
            # In a thread, as all that may hang.
            arguments: tuple[Any, ...] = (str(order["path"]), self._orders)
            threading.Thread(target=self.connectors.release, args=arguments, daemon=True).start()
            return
        path = order["request"].get("path")
        if path:
            self.connectors.begin(path)
        arguments = (order["call"], order["request"], self._orders)
        threading.Thread(target=self._answer, args=arguments, name=f"search-{order['call']}", daemon=True).start()

    def close_idle(self) -> None:
        """Close what no call has used for a while, again and again."""
        while True:
            time.sleep(LOOK_S)
            self.connectors.close_idle()

    def _answer(self, number: int, request: Mapping[str, Any], order: int) -> None:
        call = self._process.part(request, self.connectors, order)

        def send(kind: str, **body: Any) -> None:
            with self._reporting:  # what is held later is sent later
                self._process.parent.send("reply", call=number, outcome={"kind": kind, **body}, **self._state())

        send_outcome(call, lambda: self._run(call), self._limits, send)

    def _run(self, call: ActionCall) -> Any:
        try:
            return self._read(call)
        finally:
            if call.request.get("path"):
                self.connectors.end(call.request["path"])

    def _read(self, call: ActionCall) -> Any:
        action = str(call.request.get("action"))
        read = READS.get(action)
        if read is None:
            raise ConnectorError(f"unknown action of a search process: {action}")
        try:
            return read(call)
        except KitestringError:
            if not call.reused:
                raise
        # What was open may be the cause: a server that was restarted, a collection that was made again.
        call.reused = False
        return read(call)

    def _report(self) -> None:
        with self._reporting:
            self._process.parent.send("held", **self._state())

    def _state(self) -> dict[str, Any]:
        return {"held": self.connectors.held(), "memory_mb": memory_mb()}


def memory_mb() -> int:
    """The memory of this process that is in use; 0 if the system does not report it."""
    try:
        lines = Path("/proc/self/status").read_text("ascii").splitlines()
        return next((int(line.split()[1]) >> 10 for line in lines if line.startswith("RssAnon:")), 0)
    except (OSError, ValueError):
        return 0


ACTIONS: dict[str, Callable[[ActionCall], Any]] = {"serve_searches": serve}
