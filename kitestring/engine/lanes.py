"""Writes several streams at once where the destination allows it (`Destination.lanes`)."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from kitestring.engine.pending import Step


class Lanes:
    """One thread per lane. The steps of a stream are written one after the other, in order of arrival, and each goes to
    the end of the queue: no stream holds a lane while others wait.

    A step that fails carries its `failure`, and the rest of its stream is not written.
    """

    def __init__(self, count: int, write: Callable[[Step], None]) -> None:
        self._write = write
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="kitestring-lane")
        self._queues: dict[str, deque[Step]] = {}
        self._written: deque[Step] = deque()
        self._changed = threading.Condition()
        self._closed = False

    def push(self, step: Step) -> None:
        with self._changed:
            queue = self._queues.setdefault(step.stream, deque())
            queue.append(step)
            if len(queue) == 1:
                self._start(step)

    def wait(self, timeout_s: float) -> bool:
        """Wait for a written step; False when there is none within this time."""
        with self._changed:
            return bool(self._changed.wait_for(lambda: self._written, timeout_s))

    def take(self) -> Step:
        """The step that was written first."""
        with self._changed:
            return self._written.popleft()

    def close(self) -> list[Step]:
        """Begin no more writes, wait for running ones, and return the written steps that nobody took."""
        with self._changed:
            self._closed = True
        self._pool.shutdown(wait=True, cancel_futures=True)
        return [step for step in self._written if step.failure is None and not step.ends]

    def _start(self, step: Step) -> None:
        """The step is the first of its stream now. (The lock is held.)"""
        if step.ends:  # there is nothing to write: all before it is durable
            self._queues.pop(step.stream)
            self._written.append(step)
            self._changed.notify_all()
        elif not self._closed:
            self._pool.submit(self._run, step)

    def _run(self, step: Step) -> None:
        try:
            self._write(step)
        except BaseException as error:  # noqa: BLE001 - raised again by the thread that takes the step
            step.failure = error
        with self._changed:
            self._written.append(step)
            if step.failure is None:  # else it stays the first of its stream, and nothing is written behind it
                queue = self._queues[step.stream]
                queue.popleft()
                if queue:
                    self._start(queue[0])
            self._changed.notify_all()
