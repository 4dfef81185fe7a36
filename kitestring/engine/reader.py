"""Reads the partitions of a source in threads into one queue that is bounded by bytes."""

from __future__ import annotations

import copy
import logging
import random
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from kitestring.batch import Batch
from kitestring.errors import Cancelled, ConnectorError, KitestringError, TransientError
from kitestring.source import Source
from kitestring.types import GLOBAL, Checkpoint, Partition, Reject, State, States, Stream, WriteMode

log = logging.getLogger("kitestring.engine")

QUEUE_BYTES = 32 * 1024 * 1024
RUN_ROWS = 1_000
RUN_BYTES = 1024 * 1024
RUN_AGE_S = 0.25
SAMPLE_EVERY = 32
READ_RETRIES = 3


@dataclass(frozen=True, slots=True)
class Read:
    """Something that was read: a batch, a checkpoint with the stream key it is for, or records that cannot be taken."""

    batch: Batch | None = None
    checkpoint: Checkpoint | None = None
    stream: str = ""
    rejects: tuple[Reject, ...] = ()


@dataclass(frozen=True, slots=True)
class Ended:
    """These streams have no more to read; `error` says that it ended early."""

    streams: tuple[str, ...]
    error: KitestringError | None = None


class Queue:
    """First in, first out; `put` waits while more than `limit` bytes are in it."""

    def __init__(self, limit: int = QUEUE_BYTES) -> None:
        self._items: deque[tuple[Any, int]] = deque()
        self._limit = limit
        self._bytes = 0
        self._changed = threading.Condition()
        self._closed = False

    def put(self, item: Any, nbytes: int = 256) -> None:
        with self._changed:
            while self._items and self._bytes + nbytes > self._limit and not self._closed:
                self._changed.wait()
            if self._closed:
                raise Cancelled("the sync was asked to stop")
            self._items.append((item, nbytes))
            self._bytes += nbytes
            self._changed.notify_all()

    def get(self, timeout_s: float) -> Any:
        """The next item, or None after this time."""
        with self._changed:
            if not self._items:
                self._changed.wait(timeout_s)
            if not self._items:
                return None
            item, nbytes = self._items.popleft()
            self._bytes -= nbytes
            self._changed.notify_all()
            return item

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()


@dataclass(slots=True)
class Group:
    """Streams that are planned together, the rest of their partitions, and how many are being read."""

    streams: tuple[Stream, ...]
    partitions: Iterator[Partition] | None = None
    planning: bool = False
    planned: bool = False
    reading: int = 0
    ended: bool = False
    keys: tuple[str, ...] = field(default=())


class Reader:
    """Runs `source.read` over all partitions, at most `source.concurrency()` at a time.

    Items of one partition come in the order it yielded them. The groups of streams end with `Ended`, each once.
    """

    def __init__(self, source: Source, streams: Sequence[Stream], states: States) -> None:
        self._source = source
        self._states = states
        self._queue = Queue()
        self._changed = threading.Condition()
        self._stopped = False
        self._groups = [Group(tuple(group), keys=tuple(s.key for s in group)) for group in source.groups(list(streams))]
        self._left = len(self._groups)
        count = max(1, source.concurrency())
        self._threads = [
            threading.Thread(target=self._work, name=f"kitestring-read-{n}", daemon=True) for n in range(count)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def get(self, timeout_s: float) -> Read | Ended | None:
        """The next item, or None when none came within this time."""
        item: Read | Ended | None = self._queue.get(timeout_s)
        if isinstance(item, Ended):
            self._left -= 1
        return item

    @property
    def done(self) -> bool:
        """True when all groups have ended and their end was taken from the queue."""
        return self._left == 0

    def stop(self) -> None:
        """Take no more: readers end at their next record."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self._queue.close()

    def _work(self) -> None:
        while (task := self._next()) is not None:
            group, partition = task
            error: KitestringError | None = None
            try:
                self._read(group, partition)
            except Cancelled as stopped:
                if not self._stopped:
                    error = stopped
            except KitestringError as failed:
                error = failed
            except Exception as crashed:
                error = defect(self._source, partition, crashed)
            with self._changed:
                group.reading -= 1
            self._settle(group, error)

    def _next(self) -> tuple[Group, Partition] | None:
        """The next partition of the first group that has one; waits while others plan; None when all is read."""
        while True:
            with self._changed:
                if self._stopped:
                    return None
                group = next((g for g in self._groups if not g.planned and not g.planning and not g.ended), None)
                if group is None:
                    if all(g.planned or g.ended for g in self._groups):
                        return None
                    self._changed.wait(0.5)
                    continue
                group.planning = True
            partition, error = None, None
            try:
                if group.partitions is None:
                    group.partitions = iter(self._source.partitions(list(group.streams), self._states))
                partition = next(group.partitions, None)
            except KitestringError as failed:
                error = failed
            except Exception as crashed:
                error = defect(self._source, Partition(group.streams), crashed)
            with self._changed:
                group.planning = False
                if partition is not None:
                    group.reading += 1
                else:
                    group.planned = True
                self._changed.notify_all()
            if partition is not None:
                return group, partition
            self._settle(group, error)

    def _settle(self, group: Group, error: KitestringError | None) -> None:
        """Report the end of a group once: at its first error, or when its last partition was read."""
        with self._changed:
            over = error is not None or (group.planned and group.reading == 0)
            if group.ended or not over:
                return
            group.ended = True
            self._changed.notify_all()
        try:
            self._queue.put(Ended(group.keys, error))
        except Cancelled:
            return

    def _read(self, group: Group, partition: Partition) -> None:
        """Read a partition; after a `TransientError`, again from its last checkpoint where that does no harm."""
        attempt = 0
        states = dict(self._states)
        while True:
            run = Run(self, group, partition, states)
            try:
                run.read()
                return
            except TransientError as error:
                attempt += 1
                harmless = run.clean or all(s.write_mode is WriteMode.append_dedup for s in partition.streams)
                if attempt > READ_RETRIES or not harmless or self._stopped:
                    raise
                wait_s = error.retry_after_s or random.uniform(0.5, 1.0) * 2**attempt
                log.warning("reading again", extra={"partition": partition.key, "error": str(error), "wait_s": wait_s})
                with self._changed:
                    self._changed.wait_for(lambda: self._stopped, wait_s)
                for key, state in run.last.items():
                    states[key] = self._source.merge(key, copy.deepcopy(states.get(key, {})), state)


class Run:
    """One pass over a partition: gathers records into runs, so that the queue moves by the thousand."""

    def __init__(self, reader: Reader, group: Group, partition: Partition, states: dict[str, State]) -> None:
        self.reader = reader
        self.group = group
        self.partition = partition
        self.states = states
        self.last: dict[str, State] = {}
        self.clean = True
        self.rows: list[Any] = []
        self.rejects: list[Reject] = []
        self.row_bytes = 0.0
        self.samples = 0
        self.since = 0.0

    def read(self) -> None:
        source, partition = self.reader._source, self.partition
        one = partition.stream.key
        rows, queue = self.rows, self.reader._queue
        items = source.read(partition, self.states)
        try:
            for item in items:
                if type(item) is dict:
                    rows.append(item)
                    if len(rows) % SAMPLE_EVERY == 1:
                        self._measure(item)
                        if self.row_bytes * len(rows) >= RUN_BYTES:
                            self._flush(one)
                    if len(rows) >= RUN_ROWS or time.monotonic() - self.since > RUN_AGE_S:
                        self._flush(one)
                    continue
                self._flush(one)
                if isinstance(item, Batch):
                    if item.stream not in self.group.keys:
                        raise ConnectorError(f"a batch for {item.stream} came from a partition of {self.group.keys}")
                    if len(item):
                        self.clean = False
                        queue.put(Read(batch=item, stream=item.stream), item.nbytes)
                elif isinstance(item, Checkpoint):
                    key = item.stream or (one if len(partition.streams) == 1 else GLOBAL)
                    queue.put(Read(checkpoint=item, stream=key))
                    self.last[key] = item.state  # it covers all that this partition yielded before
                    self.clean = True
                elif isinstance(item, Reject):
                    queue.put(Read(rejects=(item,), stream=one))
                else:
                    reason = f"the source gave {type(item).__name__}, a record is an object"
                    queue.put(Read(rejects=(Reject({"value": item}, reason),), stream=one))
                if self.reader._stopped or self.group.ended:
                    return
            self._flush(one)
        finally:
            close = getattr(items, "close", None)
            if close is not None:
                close()

    def _measure(self, record: Any) -> None:
        """Keep the mean size of a record, as JSON; some of them are enough."""
        try:
            size = len(orjson.dumps(record, default=str))
        except (TypeError, ValueError):
            size = len(repr(record))
        self.samples += 1
        self.row_bytes += (size - self.row_bytes) / self.samples

    def _flush(self, stream: str) -> None:
        if self.rows:
            self.clean = False
            batch = Batch(stream, rows=self.rows[:], nbytes=int(self.row_bytes * len(self.rows)) + 1)
            self.rows.clear()
            self.reader._queue.put(Read(batch=batch, stream=stream), batch.nbytes)
        self.since = time.monotonic()


def defect(source: Source, partition: Partition, error: Exception) -> KitestringError:
    """An exception that is not ours, out of a connector: a defect of it, kept as the cause."""
    found = ConnectorError(
        f"{type(source).__name__} failed while reading {partition.streams[0].key}: {type(error).__name__}: {error}",
        hint="This is a defect of the connector: please report it, with the debug log.",
    )
    found.__cause__ = error
    return found
