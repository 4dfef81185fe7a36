"""The bookkeeping of a sync: what became of each record, and the states and when they are saved.

The loop (`sync.py`) reports events; nothing here reads or writes a record.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence

from kitestring.engine.checkpoint_figures import Coverage
from kitestring.engine.count_baseline import Baseline
from kitestring.engine.pending import Checkpoints, Step
from kitestring.engine.progress import Progress, StreamProgress, lag_of
from kitestring.engine.reader import Read
from kitestring.engine.rejects import Rejects
from kitestring.engine.result import Result, Status, StreamResult
from kitestring.engine.selection import Route
from kitestring.engine.state import KeepsFigures, StateStore
from kitestring.errors import ConfigError, ConnectorError, KitestringError
from kitestring.paths import at
from kitestring.source import Source
from kitestring.types import CHANGED_AT, COUNTS, GLOBAL, Receipt, Record, Reject, State

log = logging.getLogger("kitestring.engine")

SAVE_EVERY_S = 0.2
ALL_WRONG = 100


class Ledger:
    """The figures, rejects, states and count baseline of one sync.

    A state that the loop gives to `merge` covers durable records only; `save` keeps it.
    """

    def __init__(
        self,
        source: Source,
        routes: Mapping[str, Route],
        states: StateStore,
        connection: str,
        rejects: Rejects | None,
        max_rejects: int,
        progress: Progress,
    ) -> None:
        self.source = source
        self.routes = routes
        self.states = states
        self.connection = connection
        self.rejects = rejects
        self.max_rejects = max_rejects
        self.progress = progress
        self.result = Result(connection, {key: StreamResult(key) for key in routes})
        for key, route in routes.items():
            progress.streams[key] = StreamProgress()
            if not route.read.incremental:
                progress.streams[key].activity.expected = progress.expected.get(key)
        saved = states.load(connection)
        # A full refresh begins at the start, whatever an earlier sync has saved.
        incremental = {key for key, route in routes.items() if route.read.incremental}
        self.current = {key: state for key, state in saved.items() if key in incremental or key == GLOBAL}
        self.resumed = frozenset(self.current)
        self.counts: dict[str, int | None] = {}
        """The destination's count of each stream when the sync began."""
        self._baseline = Baseline(saved.get(COUNTS, {}), self._notes_of_others)
        self._coverage = Coverage(self.result.streams)
        self._rejected: dict[str, list[Record]] = {}
        self._unsaved: set[str] = set()
        self._saved_at = 0.0
        self._durable = getattr(states, "durable", True)
        self._lock = threading.RLock()
        """Lanes call `deleting` from their threads."""
        self._began = time.monotonic()

    def _notes_of_others(self) -> Iterator[State]:
        for name in self.states.connections():
            if name != self.connection:
                with contextlib.suppress(KitestringError):  # a damaged state is reported by the sync that it belongs to
                    yield self.states.load(name).get(COUNTS, {})

    # -- figures -------------------------------------------------------------------------------------------------------

    def read(self, item: Read) -> None:
        """Count records as read. (A checkpoint is counted when it is merged.)"""
        figures = self.result.streams.get(item.stream)
        if figures is None:  # a checkpoint that streams share
            return
        if item.rejects:
            figures.read += len(item.rejects)
            self.reject(item.stream, item.rejects)
        if item.batch is not None:
            progress = self.progress.streams[item.stream]
            figures.read += len(item.batch)
            figures.nbytes += item.batch.nbytes
            progress.read, progress.nbytes, progress.status = figures.read, figures.nbytes, "reading"
            progress.started = progress.started or time.monotonic()
        if item.suspicion:
            figures.suspect(item.suspicion)
        if item.checkpoint is None:
            self._coverage.end(item.covers)
            self._coverage.repeat(item.repeats)

    def read_ended(self, streams: Sequence[str]) -> None:
        """All records of these streams are read."""
        for key in streams:
            self.progress.streams[key].complete = True

    def count_uncovered(self, covers: Mapping[str, int]) -> None:
        """A checkpoint that is not kept covers these records: they count when their stream has ended."""
        self._coverage.end(covers)

    def count_step(self, step: Step) -> None:
        """Count a step that is durable, keep its rejects, then its checkpoints."""
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
            self._rejected.setdefault(step.stream, []).extend(reject.record for reject in step.rejects)
            self.reject(step.stream, step.rejects)
        progress = self.progress.streams[step.stream]
        progress.written = figures.written + figures.unchanged + figures.deleted
        cursor = self.routes[step.stream].read.cursor
        if cursor and step.last is not None and step.stream in self.resumed:
            self.progress.lag_s = progress.lag_s = lag_of(step.last.get(CHANGED_AT) or at(step.last, cursor))
        if self._only_adds(step.stream):
            self._coverage.add(step.stream)
        self.merge(step.checkpoints)

    def count_emptied(self, route: Route, receipt: Receipt | None) -> None:
        """All records of a stream are deleted, durably: each counts as a deletion that was read.

        Without a receipt these are the records of a new copy; where their number is unknown, the count has only bounds.
        """
        key, copy = route.read.key, route.written.write.replace
        figures = self.result.streams[key]
        replaced = 0 if route.written.write.keep == "all" else figures.replaced
        if receipt is None and copy and replaced is not None:
            receipt = Receipt(deleted=figures.arrived - replaced - figures.removed)
        if receipt is None or replaced is None:
            figures.replaced = None
            figures.removed += (self.counts.get(key) or 0) + figures.arrived
        if receipt is None:
            return
        figures.read += receipt.deleted
        figures.deleted += receipt.deleted
        if replaced is not None:
            figures.removed += receipt.deleted
        for name, value in receipt.figures.items():
            figures.figures[name] = figures.figures.get(name, 0) + value
        if copy:
            self._coverage.end({key: receipt.deleted})
        else:  # they are gone: a later attempt finds none
            self._coverage.cover({key: receipt.deleted})

    @property
    def listings(self) -> State:
        """By stream: what its last comparison with a listing of the source left."""
        return self._baseline.listings

    def count_missing(self, route: Route, receipt: Receipt | None, note: State | None) -> None:
        """Records that the source no longer lists were deleted, durably: each counts as a deletion that was read.

        `note` is kept for the next comparison; None keeps the one before."""
        key = route.read.key
        figures = self.result.streams[key]
        if receipt is not None and receipt.deleted:
            figures.read += receipt.deleted
            figures.deleted += receipt.deleted
            figures.removed += receipt.deleted
            if figures.replaced is not None and receipt.replaced:
                figures.replaced += receipt.replaced
            for name, value in receipt.figures.items():
                figures.figures[name] = figures.figures.get(name, 0) + value
            self._coverage.cover({key: receipt.deleted})
        if note is not None:
            with self._lock:
                self._baseline.listings[key] = note
                self.current[COUNTS] = self._baseline.state()
                self._unsaved.add(COUNTS)

    def _only_adds(self, key: str) -> bool:
        """True where records written before a crash stay, although all are read and added again."""
        route = self.routes[key]
        return not route.read.incremental and route.written.write.appends

    def reject(self, key: str, rejects: Sequence[Reject]) -> None:
        """Keep rejected records. `ConfigError` when all records are rejected, or more than the limit."""
        figures = self.result.streams[key]
        figures.rejected += len(rejects)
        if figures.rejected >= ALL_WRONG and not figures.written + figures.unchanged + figures.deleted:
            raise ConfigError(
                f"the first {figures.rejected} records of {key} were all rejected: {rejects[-1].reason}",
                hint="This looks like a wrong setting, not bad records: correct it. Nothing of the stream was written.",
                stream=key,
            )
        for reject in rejects[:5]:
            log.warning("rejected a record", extra={"stream": key, "reason": reject.reason})
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

    # -- states --------------------------------------------------------------------------------------------------------

    def merge(self, checkpoints: Checkpoints) -> None:
        """All records before these checkpoints are durable: advance the states, and save them if it is time."""
        for key, checkpoint, covers in checkpoints:
            state, rejected = checkpoint.state, self._rejected.get(key)
            if rejected and checkpoint.without is not None:  # a rejected record moves no cursor
                state = checkpoint.without(rejected)
            self.current[key] = self.source.merge(key, self.current.get(key, {}), state)
            self._unsaved.add(key)
            self._coverage.cover(covers)
        self.save()

    def save(self, now: bool = False) -> None:
        """Save changed states, at most a few times a second: an unsaved checkpoint only means reading again."""
        if not now and time.monotonic() - self._saved_at <= SAVE_EVERY_S:
            return
        with self._lock:
            states = {key: self.current[key] for key in sorted(self._unsaved)}
            figures = self._coverage.take()
            if not isinstance(self.states, KeepsFigures):
                for key, state in states.items():
                    self.states.save(self.connection, key, state)
            elif states or figures:
                self.states.save_all(self.connection, states, figures)
            self._unsaved.clear()
            self._saved_at = time.monotonic()
        confirmed = {key: state for key, state in states.items() if key != COUNTS}
        if confirmed and self._durable:
            try:
                self.source.saved(confirmed)
            except KitestringError:
                raise
            except Exception as error:
                name = type(self.source).__name__
                raise ConnectorError(
                    f"{name} failed when its states had been saved: {type(error).__name__}: {error}",
                    hint="This is a defect of the connector: please report it, with the debug log.",
                ) from error

    def deleting(self, route: Route, everything: bool = False) -> None:
        """Records are about to be deleted: if this sync is killed, the lower count is no loss."""
        with self._lock:
            counts = route.read.incremental and self.counts.get(route.read.key) is not None
            if counts and self._baseline.deletes(route, everything):
                self.current[COUNTS] = self._baseline.state()
                self.states.save(self.connection, COUNTS, self.current[COUNTS])

    def known_fields(self, key: str) -> Collection[str] | None:
        """The fields that the source declared for a stream in the last sync; None if that is not known."""
        return self._baseline.fields(key)

    def _fields(self, route: Route) -> Sequence[str] | None:
        """The fields to note: of a source that says what existing rows have in new ones."""
        return route.declared if self.source.values_new_fields else None

    def note_fields(self, route: Route) -> None:
        """The new fields of existing records are filled: if this sync is killed, the next one does not fill them."""
        with self._lock:
            if self._baseline.note_fields(route.read.key, self._fields(route)):
                self.current[COUNTS] = self._baseline.state()
                self.states.save(self.connection, COUNTS, self.current[COUNTS])

    # -- the end -------------------------------------------------------------------------------------------------------

    def lost(self, route: Route) -> int:
        """The number of records the destination lost since the last sync; each loss is a suspicion."""
        key = route.read.key
        figures = self.result.streams[key]
        with self._lock:
            lost, fact = self._baseline.lost(route, self.counts.get(key))
        shared = GLOBAL in self.resumed and figures.written + figures.unchanged < lost  # else it was read again
        if not (key in self.resumed or shared):
            return 0
        if fact:
            figures.suspicions.append(fact)
        return lost

    def ended(self, route: Route, after: int | None, lost: int) -> None:
        """A stream was committed and the destination counts `after` records: keep its final state."""
        key = route.read.key
        with self._lock:
            if self._baseline.ended(
                route, after, lost, self._fields(route)
            ):  # with a loss no sync is green before all was read again
                self.current[COUNTS] = self._baseline.state()
                self._unsaved.add(COUNTS)
        if route.read.incremental:
            state = self.source.finish(route.read, self.current.get(key, {}))
            if state:
                self.current[key] = state
                self._unsaved.add(key)
        self._coverage.close(key)

    def close(self, key: str) -> None:
        """A stream is finished: save its state and figures."""
        self.save(now=True)
        figures, progress = self.result.streams[key], self.progress.streams[key]
        progress.status, progress.ended, progress.lag_s = figures.status.value, time.monotonic(), None
        figures.seconds = progress.ended - progress.started if progress.started else 0.0
        log.info("stream ended", extra={"stream": key, "status": figures.status.value, "read": figures.read})

    def end(self, unfinished: Collection[str]) -> None:
        """The sync has ended, in any way: keep the durable checkpoints. `unfinished`: streams that were begun and not
        closed."""
        try:
            self.save(now=True)
        except KitestringError as error:
            self.result.error = self.result.error or error
        for key, figures in self.result.streams.items():
            progress = self.progress.streams[key]
            if key in unfinished:
                figures.status = Status.cancelled if self.result.cancelled else Status.failed
                progress.status = figures.status.value
            elif self.result.error is not None and not progress.ended:  # never begun
                figures.status = Status.failed

    def finish(self) -> Result:
        self.result.seconds = time.monotonic() - self._began
        return self.result
