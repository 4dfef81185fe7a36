"""THE LOOP: copies streams from a source to a destination.

    source.read → batch → destination.prepare (ahead, in threads) → destination.write → state.save

A checkpoint is saved only when all that was read before it is durable. Readers run in threads (`reader.py`); batches
are prepared in threads; this loop alone writes, saves, begins, commits and aborts, in the order of reading.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence

from kitestring.batch import Batch
from kitestring.destination import Counts, Destination
from kitestring.engine.coverage import Coverage
from kitestring.engine.ending import conclude, count_of
from kitestring.engine.holding import Holdings
from kitestring.engine.pending import Checkpoints, Pending, Step
from kitestring.engine.progress import Progress, StreamProgress, lag_of
from kitestring.engine.reader import Ended, Read, Reader
from kitestring.engine.rejects import Rejects
from kitestring.engine.result import Result, Status, StreamResult
from kitestring.engine.selection import Route, Selection, routes
from kitestring.engine.state import KeepsFigures, MemoryStates, StateStore
from kitestring.engine.writer import Writer
from kitestring.errors import Cancelled, ConfigError, ConnectorError, KitestringError
from kitestring.paths import at
from kitestring.source import Source
from kitestring.types import COUNTS, GLOBAL, Catalog, Checkpoint, Record, Reject, State

log = logging.getLogger("kitestring.engine")

IDLE_S = 0.2
FLUSH_AGE_S = 5.0
FIRST_FLUSH_AGE_S = 1.0
"""The first records of a stream wait less: a sync that is killed early has a checkpoint to go on from."""
SAVE_EVERY_S = 0.2
ALL_WRONG = 100


def sync(
    source: Source,
    destination: Destination,
    streams: Sequence[Selection | str] | None = None,
    *,
    states: StateStore | None = None,
    connection: str = "default",
    rejects: Rejects | None = None,
    max_rejects: int = 1000,
    prefix: str = "",
    namespace: str | None = None,
    allow_empty: bool = False,
    progress: Progress | None = None,
    cancel: threading.Event | None = None,
    catalog: Catalog | None = None,
) -> Result:
    """Copy streams; the result says what happened, reconciled.

    Raises `ConfigError` when the request itself cannot be (an unknown stream, a mode one side lacks, the connection is
    busy): nothing was begun then. What fails later stands in the result. `states` keeps the states (memory if None),
    `rejects` the records that could not be taken (counted only if None); more than `max_rejects` of them fail the sync.
    An overwrite with nothing, or with less than there is where the source has doubts, keeps the old data, unless
    `allow_empty`. Set `cancel` from another thread to stop.
    `catalog`: what the source was just found to have, so that it is not asked again.
    """
    states = states or MemoryStates()
    with states.lock(connection):
        chosen = routes(catalog or source.discover(), streams, destination, prefix, namespace)
        run = Sync(source, destination, chosen, states, connection, rejects, max_rejects, allow_empty)
        return run.run(progress or Progress(), cancel or threading.Event())


class Sync:
    """One sync while it runs."""

    def __init__(
        self,
        source: Source,
        destination: Destination,
        chosen: list[Route],
        states: StateStore,
        connection: str,
        rejects: Rejects | None,
        max_rejects: int,
        allow_empty: bool,
    ) -> None:
        self.source = source
        self.destination = destination
        self.routes = {route.read.key: route for route in chosen}
        self.states = states
        self.connection = connection
        self.rejects = rejects
        self.max_rejects = max_rejects
        self.allow_empty = allow_empty
        self.result = Result(connection, {key: StreamResult(key) for key in self.routes})
        self.coverage = Coverage(self.result.streams)
        self.pending = {key: Pending(key, destination.batch_rows, destination.batch_bytes) for key in self.routes}
        self.open: dict[str, Route] = {}
        self.ended: set[str] = set()
        self.counted: dict[str, int | None] = {}
        self.current: dict[str, State] = {}
        self.refused: dict[str, list[Record]] = {}
        self.resumed: frozenset[str] = frozenset()
        self.holdings = Holdings({}, list)
        self.waiting = ""
        self.looked_at = 0.0
        self.flushed: set[str] = set()
        self.unsaved: set[str] = set()
        self.saved_at = 0.0

    def run(self, progress: Progress, cancel: threading.Event) -> Result:
        self.progress = progress
        self.cancel = cancel
        for key in self.routes:
            progress.streams[key] = StreamProgress()
        began = time.monotonic()
        saved = self.states.load(self.connection)
        # A full refresh begins at the start, whatever an earlier sync has saved.
        incremental = {key for key, route in self.routes.items() if route.read.incremental}
        self.current = {key: state for key, state in saved.items() if key in incremental or key == GLOBAL}
        self.resumed = frozenset(self.current)
        self.holdings = Holdings(saved.get(COUNTS, {}), self._notes_of_others)
        reader = Reader(self.source, [route.read for route in self.routes.values()], dict(self.current))
        writer = Writer(self.destination, self.routes, cancel, self._deleting)
        self.writer = writer
        try:
            self._begin()
            reader.start()
            self._loop(reader, writer)
        except Cancelled:
            self.result.cancelled = True
        except KitestringError as error:
            self.result.error = error
        except KeyboardInterrupt:
            cancel.set()
            raise
        except Exception as error:  # noqa: BLE001 - the border to a connector
            self.result.error = ConnectorError(
                f"{type(self.destination).__name__} failed: {type(error).__name__}: {error}",
                hint="This is a defect of the connector: please report it, with the debug log.",
            )
            self.result.error.__cause__ = error
        finally:
            reader.stop()
            writer.close()
            self._end(began)
        return self.result

    # -- the loop ------------------------------------------------------------------------------------------------------

    def _loop(self, reader: Reader, writer: Writer) -> None:
        while not reader.done:
            if self.cancel.is_set():
                self.result.cancelled = True
                break
            item = reader.get(IDLE_S)
            match item:
                case Read() if item.stream not in self.ended:
                    self._take(item)
                case Ended():
                    self.ended.update(item.streams)
                    for key in item.streams:
                        self._flush_all(key)
                        writer.push(Step(key, ends=True, error=item.error))
                case _:  # nothing came, or a late piece of a stream that has failed
                    pass
            self._flush_what_is_due()
            while writer.ready(must=writer.crowded):
                self._done(writer.complete())
        # What is in flight is finished: all of it after the last read, what is quickly done after a cancel.
        deadline = time.monotonic() + 5.0
        while writer.steps:
            if self.result.cancelled or self.cancel.is_set():
                self.result.cancelled = True
                if not writer.wait(max(0.0, deadline - time.monotonic())):
                    break
            self._done(writer.complete())
        self._save(now=True)

    def _begin(self) -> None:
        self.destination.expect([route.written for route in self.routes.values()])
        for key, route in self.routes.items():
            if isinstance(self.destination, Counts):
                self.counted[key] = count_of(self.destination, route)
            self.open[key] = route
            self.destination.begin(route.written)

    def _take(self, item: Read) -> None:
        if item.rejects:
            self.result.streams[item.stream].read += len(item.rejects)
            self._reject(item.stream, item.rejects)
        if item.batch is not None:
            key, count = item.stream, len(item.batch)
            self.waiting = key
            figures, shown = self.result.streams[key], self.progress.streams[key]
            figures.read += count
            figures.nbytes += item.batch.nbytes
            shown.read, shown.nbytes, shown.status = figures.read, figures.nbytes, "reading"
            shown.started = shown.started or time.monotonic()
            while self.pending[key] and self.pending[key].is_table is not item.batch.is_table:
                self._flush(key)
            for batch, checkpoints in self.pending[key].add(item.batch):
                self._push(key, batch, checkpoints)
        if item.suspicion:
            self.result.streams[item.stream].suspect(item.suspicion)
        if item.checkpoint is not None:
            self._checkpoint(item.stream, item.checkpoint, item.covers)
        else:
            self.coverage.end(item.covers)
            self.coverage.repeat(item.repeats)

    def _checkpoint(self, key: str, checkpoint: Checkpoint, covers: Mapping[str, int]) -> None:
        """Keep a checkpoint behind all that was read before it. A full refresh has none to keep."""
        route = self.routes.get(key)
        if route is not None and not route.read.incremental:
            self.coverage.end(covers)
            return
        if route is None:  # shared by several streams: behind all of them
            for other in self.pending:
                self._flush_all(other)
        elif self.pending[key]:
            self.pending[key].complete((key, checkpoint, covers))
            return
        last = self.writer.last(key if route is not None else None)
        if last is not None:
            last.checkpoints.append((key, checkpoint, covers))
        else:
            self._merge([(key, checkpoint, covers)])

    def _flush_what_is_due(self) -> None:
        """Full, old, or, when all that waits is too much together, the largest."""
        if self.waiting and self.pending[self.waiting].full:
            self._flush(self.waiting)
        now = time.monotonic()
        if now - self.looked_at > IDLE_S:
            self.looked_at = now
            for key, pending in self.pending.items():
                if pending and pending.age_s > (FLUSH_AGE_S if key in self.flushed else FIRST_FLUSH_AGE_S):
                    self._flush(key)
            if sum(pending.nbytes for pending in self.pending.values()) > 2 * self.destination.batch_bytes:
                self._flush(max(self.pending, key=lambda key: self.pending[key].nbytes))

    def _flush(self, key: str) -> None:
        if self.pending[key]:
            self._push(key, *self.pending[key].take())

    def _flush_all(self, key: str) -> None:
        while self.pending[key]:
            self._flush(key)

    def _push(self, key: str, batch: Batch, checkpoints: Checkpoints) -> None:
        self.flushed.add(key)
        while self.writer.crowded:
            self._done(self.writer.complete())
        self.writer.push(Step(key, batch, checkpoints))

    # -- behind the write ----------------------------------------------------------------------------------------------

    def _done(self, step: Step) -> None:
        """A step is durable: count it, keep its rejects, then its checkpoints; end the stream if it was the last."""
        figures = self.result.streams[step.stream]
        figures.written += step.written
        figures.unchanged += step.unchanged + step.absent
        figures.absent += step.absent
        figures.removed += step.removed
        figures.forgotten += step.forgotten
        if step.replaced is None or figures.replaced is None:
            figures.replaced = None
        else:
            figures.replaced += step.replaced
        figures.deleted += step.deleted
        figures.superseded += step.superseded
        figures.filtered += step.filtered
        for name, value in step.figures.items():
            figures.figures[name] = figures.figures.get(name, 0) + value
        if step.rejects:
            self.refused.setdefault(step.stream, []).extend(reject.record for reject in step.rejects)
            self._reject(step.stream, step.rejects)
        shown = self.progress.streams[step.stream]
        shown.written = figures.written + figures.unchanged + figures.deleted
        cursor = self.routes[step.stream].read.cursor
        if cursor and step.last is not None and step.stream in self.resumed:
            shown.lag_s = lag_of(at(step.last, cursor))
        if self._only_adds(step.stream):
            self.coverage.add(step.stream)
        self._merge(step.checkpoints)
        if step.ends:
            self._close(step.stream, step.error)

    def _reject(self, key: str, rejects: Sequence[Reject]) -> None:
        self.result.streams[key].rejected += len(rejects)
        figures = self.result.streams[key]
        if figures.rejected >= ALL_WRONG and not figures.written + figures.unchanged + figures.deleted:
            raise ConfigError(
                f"the first {figures.rejected} records of {key} were all rejected: {rejects[-1].reason}",
                hint="This is rather a setting than bad records: correct it; nothing of the stream was taken.",
                stream=key,
            )
        for one in rejects[:5]:
            log.warning("rejected a record", extra={"stream": key, "reason": one.reason})
        if self.rejects is not None:
            self.rejects.add(self.connection, key, rejects)
        total = sum(stream.rejected for stream in self.result.streams.values())
        if total > self.max_rejects:
            raise ConfigError(
                f"{total} records were rejected, the limit is {self.max_rejects}; "
                f"the last reason: {rejects[-1].reason}",
                hint="Correct the cause, or raise max_rejects.",
                stream=key,
            )

    def _only_adds(self, key: str) -> bool:
        """Whether records of the stream stay that were written before a crash, though all are read and added again."""
        route = self.routes[key]
        return not route.read.incremental and route.written.write.appends

    def _merge(self, checkpoints: Checkpoints) -> None:
        for key, checkpoint, covers in checkpoints:
            state, rejected = checkpoint.state, self.refused.get(key)
            if rejected and checkpoint.without is not None:  # a record that was not taken moves no cursor
                state = checkpoint.without(rejected)
            self.current[key] = self.source.merge(key, self.current.get(key, {}), state)
            self.unsaved.add(key)
            self.coverage.cover(covers)
        self._save()

    def _deleting(self, route: Route) -> None:
        """Records are about to be deleted: should this sync be cut off, the lower count is no loss."""
        counts = route.read.incremental and self.counted.get(route.read.key) is not None
        if counts and self.holdings.deletes(route):
            self.current[COUNTS] = self.holdings.state()
            self.states.save(self.connection, COUNTS, self.current[COUNTS])

    def _notes_of_others(self) -> Iterator[State]:
        for name in self.states.connections():
            if name != self.connection:
                with contextlib.suppress(KitestringError):  # a state that is damaged is told to whom it belongs
                    yield self.states.load(name).get(COUNTS, {})

    def _save(self, now: bool = False) -> None:
        """Save what moved, a few times a second at most: a checkpoint that is not saved is only read again."""
        if now or time.monotonic() - self.saved_at > SAVE_EVERY_S:
            states = {key: self.current[key] for key in sorted(self.unsaved)}
            figures = self.coverage.take()
            if not isinstance(self.states, KeepsFigures):
                for key, state in states.items():
                    self.states.save(self.connection, key, state)
            elif states or figures:
                self.states.save_all(self.connection, states, figures)
            self.unsaved.clear()
            self.saved_at = time.monotonic()

    def _close(self, key: str, error: KitestringError | None) -> None:
        """A stream has ended: commit it and keep its final state, or abort it."""
        route, figures = self.open[key], self.result.streams[key]
        if error is not None:
            figures.error = error
            figures.status = Status.failed
            self.destination.abort(route.written)
        else:
            before = self.counted.get(key)
            lost, fact = self.holdings.lost(route, before)
            shared = GLOBAL in self.resumed and figures.written + figures.unchanged < lost  # else it was read again
            if not (key in self.resumed or shared):
                lost, fact = 0, ""
            if fact:
                figures.suspicions.append(fact)
            after = conclude(self.destination, route, figures, before, self.allow_empty)
            if self.holdings.ended(route, after, lost):  # with a loss no sync is green before all was read again
                self.current[COUNTS] = self.holdings.state()
                self.unsaved.add(COUNTS)
            if route.read.incremental:
                state = self.source.finish(route.read, self.current.get(key, {}))
                if state:
                    self.current[key] = state
                    self.unsaved.add(key)
            self.coverage.close(key)
        self._save(now=True)
        del self.open[key]
        shown = self.progress.streams[key]
        shown.status, shown.ended, shown.lag_s = figures.status.value, time.monotonic(), None
        figures.seconds = shown.ended - shown.started if shown.started else 0.0
        log.info("stream ended", extra={"stream": key, "status": figures.status.value, "read": figures.read})

    def _end(self, began: float) -> None:
        """However it ended: keep the checkpoints that are durable, abort what is not finished."""
        try:
            self._save(now=True)
        except KitestringError as error:
            self.result.error = self.result.error or error
        for key in [key for key in self.routes if self.result.error is not None and key not in self.open]:
            if not self.progress.streams[key].ended:  # never begun
                self.result.streams[key].status = Status.failed
        for key, route in list(self.open.items()):
            figures = self.result.streams[key]
            figures.status = Status.cancelled if self.result.cancelled else Status.failed
            self.progress.streams[key].status = figures.status.value
            try:
                self.destination.abort(route.written)
            except Exception as error:  # noqa: BLE001 - the border to a connector
                log.warning("could not abort", extra={"stream": key, "error": str(error)})
        for connector in (self.source, self.destination):
            try:
                connector.close()
            except Exception as error:  # noqa: BLE001 - the border to a connector
                log.warning("could not close", extra={"connector": type(connector).__name__, "error": str(error)})
        self.result.seconds = time.monotonic() - began
