"""Prepares batches ahead in threads, writes those of a stream in order, and isolates the record that fails a batch."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from functools import partial
from typing import TypeVar

from kitestring import activity, arrow_values
from kitestring.activity import ACTIVITIES, Activity
from kitestring.backoff import backoff_s
from kitestring.batch import Batch
from kitestring.current_stream import STREAM
from kitestring.destination import Deletes, Destination, Marks
from kitestring.engine.dedup import Abilities, DeduplicatedBatch, deduplicate
from kitestring.engine.lanes import Lanes
from kitestring.engine.missing_records import MissingRecords
from kitestring.engine.pending import Step
from kitestring.engine.selection import Route
from kitestring.errors import Cancelled, RecordError, TransientError
from kitestring.json_codec import TooDeepError
from kitestring.types import Receipt, Record, Reject

T = TypeVar("T")
log = logging.getLogger("kitestring.engine")

THREADS = 2
AHEAD = 3
RETRIES = 5
CLOSING_S = 5.0


class Writer:
    """The steps in flight, oldest first. Only the loop's thread calls it; threads prepare batches.

    With one lane the loop's thread writes, in `complete`. With more, the lanes' threads write several streams at once,
    the steps of each in order, and `complete` returns the next durable step. The writing thread calls `deleting` before
    it deletes records of a stream.
    """

    def __init__(
        self,
        destination: Destination,
        routes: Mapping[str, Route],
        cancel: threading.Event,
        deleting: Callable[[Route], None] = lambda route: None,
        activities: Mapping[str, Activity] | None = None,
        listings: Mapping[str, MissingRecords] | None = None,
    ) -> None:
        self.listings = listings or {}
        """The streams whose records are a listing of their source."""
        self.destination = destination
        self.deleting = deleting
        self.activities = activities or {}
        self.routes = routes
        self.cancel = cancel
        self.steps: deque[Step] = deque()
        self._closed = threading.Event()
        self._batches = 0
        lanes = min(destination.lanes, len(routes))
        self._lanes = Lanes(lanes, self._write_step) if lanes > 1 else None
        self._ahead = AHEAD + max(0, lanes - 1)
        self._pool = ThreadPoolExecutor(max(THREADS, lanes), thread_name_prefix="kitestring-prepare")

    def push(self, step: Step) -> None:
        if step.batch is not None:
            self._batches += 1
            step.future = self._pool.submit(self._deduplicate_and_prepare, self.routes[step.stream], step.batch)
        self.steps.append(step)
        if self._lanes is not None:
            self._lanes.push(step)

    def writes(self, stream: str) -> bool:
        """True while steps of this stream are in flight."""
        return any(step.stream == stream for step in self.steps)

    @property
    def crowded(self) -> bool:
        """True while enough batches are in flight: complete one before you push another."""
        return self._batches >= self._ahead

    def ready(self, must: bool = False) -> bool:
        """True when a step can be completed without waiting (or, with `must`, when there is one)."""
        if not self.steps or must:
            return bool(self.steps)
        if self._lanes is not None:
            return self._lanes.wait(0.0)
        future = self.steps[0].future
        return future is None or future.done()

    def wait(self, timeout_s: float) -> bool:
        """Wait until a step can be completed; False when none can within this time."""
        if self._lanes is not None:
            return self._lanes.wait(timeout_s)
        future = self.steps[0].future if self.steps else None
        return future is None or bool(wait([future], timeout_s).done)

    def last(self, stream: str) -> Step | None:
        """The newest step with a batch of this stream."""
        return next((s for s in reversed(self.steps) if s.batch is not None and s.stream == stream), None)

    def complete(self) -> Step:
        """The next durable step, or (`ends`) the end of a stream whose steps are all durable."""
        if self._lanes is not None:
            while not self._lanes.wait(0.2):
                if self.cancel.is_set() and not self._lanes.wait(CLOSING_S):
                    raise Cancelled("the sync was asked to stop")
            step = self._lanes.take()
            if step.failure is not None:
                raise step.failure
        else:
            step = self.steps[0]
            self._write_step(step)
        if step.batch is not None:
            step.batch = step.future = None
            self._batches -= 1
        self.steps.remove(step)
        return step

    def _write_step(self, step: Step) -> None:
        """Write a step's batch; when this returns, it is durable."""
        if step.batch is None:
            return
        assert step.future is not None
        self.work_for(step.stream)
        route = self.routes[step.stream]
        while not wait([step.future], 0.2).done:
            if self._closed.is_set() or (self.cancel.is_set() and not wait([step.future], CLOSING_S).done):
                raise Cancelled("the sync was asked to stop")
        settled, prepared, filtered = step.future.result()
        step.superseded, step.dropped, step.filtered = settled.superseded, settled.dropped, filtered
        step.deleted = settled.dropped
        step.rejects.extend(settled.rejected)
        before = len(step.rejects)
        with activity.phase("writing"):
            for batch, ready in prepared:
                self._write(route, step, batch, ready)
            if route.mapping is not None:
                step.rejects[before:] = map(mark_mapped, step.rejects[before:])
            self._delete(route, step, settled)
            if step.stream in self.listings:
                self.listings[step.stream].reject(step.rejects)
                self.listings[step.stream].add(settled.batch)
        step.last = last_record(step.batch)

    def _delete(self, route: Route, step: Step, settled: DeduplicatedBatch) -> None:
        """Carry out the deletions of a batch, after its records."""
        destination, stream = self.destination, route.written
        if settled.deletes or settled.marks or settled.forgotten:
            self.deleting(route)
        if settled.deletes:
            assert isinstance(destination, Deletes)
            receipt = self.retry(partial(destination.delete, stream, settled.deletes))
            step.count_deletions(receipt, len(settled.deletes))
        for marks in settled.marks:
            assert isinstance(destination, Marks)
            receipt = self.retry(partial(destination.mark, stream, marks))
            step.count_deletions(receipt, len(marks))
        if settled.forgotten:
            assert isinstance(destination, Deletes)
            receipt = self.retry(partial(destination.delete, stream, settled.forgotten))
            step.count_forgotten(receipt, len(settled.forgotten))

    def work_for(self, stream: str) -> None:
        """Report the work of this thread as the activity of this stream from now on."""
        ACTIVITIES.set(self.activities)
        STREAM.set(stream)

    def close(self) -> list[Step]:
        """Drop unwritten steps; return the steps that lanes wrote and nobody took.

        Preparing threads get a few seconds: the destination closes afterwards, and a late call would open it again. For
        a lane it waits until its write has returned.
        """
        self._closed.set()
        running = [step.future for step in self.steps if step.future is not None and not step.future.cancel()]
        self._pool.shutdown(wait=False, cancel_futures=True)
        written = self._lanes.close() if self._lanes is not None else []
        for step in written:
            self.steps.remove(step)
        wait(running, 0.0 if self.cancel.is_set() else CLOSING_S)  # a cancel has waited already
        return written

    # -- in the threads ------------------------------------------------------------------------------------------------

    def _deduplicate_and_prepare(
        self, route: Route, batch: Batch
    ) -> tuple[DeduplicatedBatch, list[tuple[Batch, Batch]], int]:
        """Map and deduplicate the batch, then prepare it: pairs of a batch before and after preparing (one pair if no
        record is bad), and the number of filtered records."""
        self.work_for(route.read.key)
        abilities = Abilities.of(self.destination)
        mapped = route.mapped(batch, abilities.deletes)
        settled = deduplicate(route.written, mapped.batch, abilities)
        prepared: list[tuple[Batch, Batch]] = []
        if len(settled.batch):
            self._prepare(route, settled.batch, settled.rejected, prepared)
        if route.mapping is not None:
            settled.rejected = [*mapped.rejected, *map(mark_mapped, settled.rejected)]
        return settled, prepared, mapped.filtered + len(settled.forgotten) + settled.ignored

    def _prepare(self, route: Route, batch: Batch, rejected: list[Reject], prepared: list[tuple[Batch, Batch]]) -> None:
        try:
            prepared.append((batch, self.retry(lambda: self.destination.prepare(route.written, batch))))
        except (RecordError, TooDeepError, RecursionError) as error:
            if len(batch) == 1:
                rejected.append(Reject(batch.rows()[0], reason_of(error)))
                return
            for half in halves(batch):
                self._prepare(route, half, rejected, prepared)

    # -- where it is written -------------------------------------------------------------------------------------------

    def _write(self, route: Route, step: Step, batch: Batch, ready: Batch) -> None:
        try:
            receipt = self.retry(lambda: self.destination.write(route.written, ready))
        except (RecordError, TooDeepError, RecursionError) as error:
            if len(batch) == 1:
                step.rejects.append(Reject(batch.rows()[0], reason_of(error)))
                return
            for half in halves(batch):
                prepared: list[tuple[Batch, Batch]] = []
                self._prepare(route, half, step.rejects, prepared)
                for part, part_ready in prepared:
                    self._write(route, step, part, part_ready)
            return
        receipt = receipt or Receipt(written=len(batch))
        step.written += receipt.written
        step.unchanged += receipt.unchanged
        step.deleted += receipt.deleted
        step.removed += receipt.deleted
        if receipt.replaced is None:
            step.replaced = None
        elif step.replaced is not None:
            step.replaced += receipt.replaced
        step.rejects.extend(receipt.rejected)
        step.add(receipt.figures)

    def retry(self, call: Callable[[], T]) -> T:
        """Repeat a call after `TransientError`, with backoff; a cancel ends the waiting."""
        for attempt in range(1, RETRIES + 1):
            if self._closed.is_set():
                raise Cancelled("the sync has ended")
            try:
                return call()
            except TransientError as error:
                if attempt == RETRIES or self._closed.is_set():
                    raise
                wait_s = error.retry_after_s or backoff_s(attempt, least=0.5)
                facts = {"error": str(error), "wait_s": round(wait_s, 1), "retry": error.retry_after_s is None}
                log.warning("the destination is not ready", extra=facts)
                if self._stopped(wait_s):
                    raise Cancelled("the sync was asked to stop") from error
        raise AssertionError("unreachable")

    def _stopped(self, wait_s: float) -> bool:
        """Wait; True as soon as the sync is cancelled or has ended."""
        end = time.monotonic() + wait_s
        while not self._closed.is_set() and time.monotonic() < end:
            if self.cancel.wait(min(0.2, wait_s)):
                return True
        return self._closed.is_set()


def reason_of(error: Exception) -> str:
    """The reason why a record is rejected."""
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)


def mark_mapped(reject: Reject) -> Reject:
    return replace(reject, mapped=True)


def halves(batch: Batch) -> tuple[Batch, Batch]:
    """A batch in two, in order."""
    middle, share = len(batch) // 2, batch.nbytes // 2
    if batch.is_table:
        table = batch.table()
        return (
            Batch(batch.stream, table=table.slice(0, middle), nbytes=share),
            Batch(batch.stream, table=table.slice(middle), nbytes=share),
        )
    rows = batch.rows()
    return Batch(batch.stream, rows=rows[:middle], nbytes=share), Batch(batch.stream, rows=rows[middle:], nbytes=share)


def last_record(batch: Batch) -> Record | None:
    if not len(batch):
        return None
    return arrow_values.rows(batch.table().slice(len(batch) - 1))[0] if batch.is_table else batch.rows()[-1]
