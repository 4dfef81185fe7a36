"""The events of one action of a connector, sent by its child process while it runs."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Mapping
from typing import Any

from kitestring.errors import KitestringError, TransientError
from kitestring.server.jobs.action_runner import ActionRunner, UpdatesConfig

AT_ONCE = 4
"""Actions with events at the same time, fewer than the runner's slots: they last long, and short actions go on."""
WAITING_EVENTS = 4
"""Events that wait for the reader. With more the child waits, so that nobody holds a whole read in memory."""
LOOK_S = 0.25

_slots = threading.BoundedSemaphore(AT_ONCE)


class Ended:
    """The end of the events: the error, or None."""

    def __init__(self, error: KitestringError | None) -> None:
        self.error = error


class ActionEvents:
    """Runs an action in a thread; a coroutine of the event loop that made it takes the events.

    Raises `TransientError` where too many run. `close` stops the action within seconds.
    """

    def __init__(
        self,
        runner: ActionRunner,
        action: str,
        request: Mapping[str, Any],
        *,
        limit_s: float,
        updater: UpdatesConfig | None = None,
    ) -> None:
        if not _slots.acquire(blocking=False):
            raise TransientError(
                f"{AT_ONCE} test reads run at this moment, and the server runs no more at once",
                hint="Try again when one of them has ended.",
                retry_after_s=5,
            )
        self._runner = runner
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[Mapping[str, Any] | Ended] = asyncio.Queue(WAITING_EVENTS)
        self._cancel = threading.Event()
        arguments = (runner, action, request, limit_s, updater)
        threading.Thread(target=self._run, args=arguments, name=f"kitestring-{action}", daemon=True).start()

    async def next(self, timeout_s: float) -> Mapping[str, Any] | Ended | None:
        """The next event, or the end; None where none came within this time. When the server stops, it is the end."""
        if self._runner.stopping.is_set():
            return Ended(
                TransientError(
                    "the server stops, and the test read with it", hint="Read again when the server is back."
                )
            )
        try:
            return await asyncio.wait_for(self._queue.get(), timeout_s)
        except TimeoutError:
            return None

    def close(self) -> None:
        """Stop the action. Events that were not taken are dropped."""
        self._cancel.set()

    def _run(
        self,
        runner: ActionRunner,
        action: str,
        request: Mapping[str, Any],
        limit_s: float,
        updater: UpdatesConfig | None,
    ) -> None:
        error: KitestringError | None = None
        try:
            runner.run(action, request, limit_s=limit_s, updater=updater, cancel=self._cancel, on_event=self._put)
        except KitestringError as failure:
            error = failure
        finally:
            _slots.release()
            self._put(Ended(error))

    def _put(self, event: Mapping[str, Any] | Ended) -> None:
        putting = self._queue.put(event)
        try:
            put = asyncio.run_coroutine_threadsafe(putting, self._loop)
            while not self._cancel.is_set():
                try:
                    put.result(LOOK_S)
                except TimeoutError:
                    continue
                except concurrent.futures.CancelledError:
                    pass
                return
            put.cancel()
        except RuntimeError:  # the server has stopped, and its event loop with it
            putting.close()
