"""THE LOOP: copies streams from a source to a destination.

    source.read → batch → destination.prepare (ahead, in threads) → destination.write → state.save → source.saved

A checkpoint is saved only when everything read before it is durable. Readers run in threads (`reader.py`); batches
are prepared in threads (`writer.py`); this loop alone writes, begins, commits and aborts, in the order of reading. (For
a destination with lanes the writer writes several streams at once, each in its order.) The `Ledger` counts and saves.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Collection, Iterable, Sequence
from contextvars import copy_context

from kitestring import activity
from kitestring.destination import Counts, Destination
from kitestring.engine.intake import Intake
from kitestring.engine.ledger import Ledger
from kitestring.engine.missing_records import MissingRecords, missing_records
from kitestring.engine.new_field import fill_new_fields
from kitestring.engine.pending import Covering, Step
from kitestring.engine.progress import Progress
from kitestring.engine.reader import Ended, Read, Reader
from kitestring.engine.reconcile import MAX_NULLED_SHARE, Limits, count_of, reconcile
from kitestring.engine.rejects import Rejects
from kitestring.engine.result import Result, Status
from kitestring.engine.selection import Route, Selection, routes
from kitestring.engine.state import MemoryStates, StateStore
from kitestring.engine.truncate import accept_truncate, empty_stream
from kitestring.engine.writer import Writer
from kitestring.errors import Cancelled, ConfigError, ConnectorError, KitestringError
from kitestring.source import Source
from kitestring.types import Catalog, SchemaChange, Truncate

log = logging.getLogger("kitestring.engine")

IDLE_S = 0.2


def sync(
    source: Source,
    destination: Destination,
    streams: Sequence[Selection | str] | None = None,
    *,
    states: StateStore | None = None,
    connection: str = "default",
    rejects: Rejects | None = None,
    max_rejects: int = 1000,
    max_nulled_share: float = MAX_NULLED_SHARE,
    prefix: str = "",
    namespace: str | None = None,
    allow_empty: bool = False,
    accept_deletes: bool = False,
    progress: Progress | None = None,
    cancel: threading.Event | None = None,
    catalog: Catalog | None = None,
    only_incremental: bool = False,
) -> Result:
    """Copy streams and return the reconciled result.

    Raises `ConfigError`, before anything is begun, for an impossible request (an unknown stream, a mode one side lacks,
    a busy connection). Later failures are in the result. `states` keeps the states (memory if None), `rejects` the
    rejected records (counted only if None); more than `max_rejects` of them fail the sync. A stream is suspicious if a
    larger share of its records than `max_nulled_share` has a null in place of a value that does not fit its column.
    An overwrite without records, or with fewer than before and a suspicion of the source, keeps the old data, unless
    `allow_empty`. `accept_deletes`: a stream with `detect_deletes` loses the records that its source does not list,
    however many. Set `cancel` from another thread to stop.
    `catalog`: the source's catalog where it was just discovered, so that it is not discovered twice.
    `only_incremental`: a stream that would be read as a full refresh is refused.
    """
    if states is None:
        states = MemoryStates()
        states.durable = False
    with states.lock(connection):
        chosen = routes(catalog or source.discover(), streams, destination, prefix, namespace)
        by_key = {route.read.key: route for route in chosen}
        if only_incremental:
            refuse_full_refreshes(chosen)
        ledger = Ledger(source, by_key, states, connection, rejects, max_rejects, progress or Progress())
        missing = missing_records(by_key, destination, ledger.listings, accept_deletes)
        limits = Limits(allow_empty, max_nulled_share)
        run = Sync(source, destination, by_key, ledger, limits, missing, cancel or threading.Event()).run
        return copy_context().run(run)  # what is noted of the thread's work ends with the sync


def refuse_full_refreshes(chosen: Sequence[Route]) -> None:
    for route in chosen:
        if not route.read.incremental:
            raise ConfigError(
                f"the stream {route.read.key} is read as a full refresh, a continuous connection reads only changes",
                hint="Read it as incremental, or take it out of the connection and into one with a schedule.",
                stream=route.read.key,
            )


class Sync:
    """One sync while it runs."""

    def __init__(
        self,
        source: Source,
        destination: Destination,
        routes: dict[str, Route],
        ledger: Ledger,
        limits: Limits,
        missing: dict[str, MissingRecords],
        cancel: threading.Event,
    ) -> None:
        self.source = source
        self.destination = destination
        self.routes = routes
        self.ledger = ledger
        self.limits = limits
        self.missing = missing
        self.cancel = cancel
        activities = {key: stream.activity for key, stream in ledger.progress.streams.items()}
        self.reader = Reader(
            source, [route.read for route in routes.values()], dict(ledger.current), self._accept, activities
        )
        listings = {key: missing[key] for key in missing if not routes[key].read.incremental}
        self.writer = Writer(destination, routes, cancel, ledger.deleting, activities, listings)
        self.intake = Intake(routes, destination.batch_rows, destination.batch_bytes, source.max_delay_s())
        self.open: set[str] = set()
        self.ended: set[str] = set()

    def run(self) -> Result:
        result = self.ledger.result
        try:
            self._begin()
            self.reader.start()
            self._loop()
        except Cancelled:
            result.cancelled = True
        except KitestringError as error:
            result.error = error
        except KeyboardInterrupt:
            self.cancel.set()
            raise
        except Exception as error:  # noqa: BLE001 - the border to a connector
            result.error = ConnectorError(
                f"{type(self.destination).__name__} failed: {type(error).__name__}: {error}",
                hint="This is a defect of the connector: please report it, with the debug log.",
            )
            result.error.__cause__ = error
        finally:
            self.reader.stop()
            self._take_last(self.writer.close())
            self._end()
        return self.ledger.finish()

    def _begin(self) -> None:
        self.destination.expect([route.written for route in self.routes.values()])
        for key, route in self.routes.items():
            if isinstance(self.destination, Counts):
                self.ledger.counts[key] = count_of(self.destination, route)
            self.open.add(key)
            self.destination.begin(route.written)
            self._fill_new_fields(route, self.ledger.known_fields(key))

    def _fill_new_fields(self, route: Route, before: Collection[str] | None) -> None:
        """Fill the fields that the source has got since `before` in the records that are at the destination already."""
        if before is not None and not {*route.declared} <= {*before}:
            for reason in fill_new_fields(self.destination, route, before, self.writer.retry):
                self.ledger.result.streams[route.read.key].suspect(reason)
            self.ledger.note_fields(route)

    def _loop(self) -> None:
        while not self.reader.done:
            if self.cancel.is_set():
                self.ledger.result.cancelled = True
                break
            match item := self.reader.get(IDLE_S):
                case Read() if item.stream not in self.ended:
                    self._take(item)
                case Ended():
                    self.ended.update(item.streams)
                    self.ledger.read_ended(item.streams)
                    for key in item.streams:
                        self._push(self.intake.flush(key))
                    for key in item.streams:
                        self.writer.push(Step(key, ends=True, error=item.error))
                case _:  # nothing came, or a late item of a stream that has failed
                    pass
            self._push(self.intake.take_due())
            while self.writer.ready(must=self.writer.crowded):
                self._done(self.writer.complete())
        # Finish the steps in flight: all of them after the last read; after a cancel, those done quickly.
        deadline = time.monotonic() + 5.0
        while self.writer.steps:
            if self.ledger.result.cancelled or self.cancel.is_set():
                self.ledger.result.cancelled = True
                if not self.writer.wait(max(0.0, deadline - time.monotonic())):
                    break
            self._done(self.writer.complete())
        self.ledger.save(now=True)

    # -- between the read and the write --------------------------------------------------------------------------------

    def _accept(self, key: str, change: Truncate | SchemaChange) -> Truncate | Route | None:
        """Translate a change for this sync. (In a reader's thread: an error fails the stream before it reads on.)"""
        route = self.routes[key]
        if isinstance(change, Truncate):
            return accept_truncate(route, self.destination, change)
        return route.changed(change.schema) if route.changed is not None else None

    def _take(self, item: Read) -> None:
        self.ledger.read(item)
        if item.rejects and item.stream in self.missing:
            self.missing[item.stream].reject(item.rejects)
        if item.event is not None:
            self._change(item.stream, item.event)
        if item.batch is not None:
            self._push(self.intake.add(item.batch))
        if item.checkpoint is not None:
            self._checkpoint((item.stream, item.checkpoint, item.covers))

    def _change(self, key: str, event: Truncate | Route) -> None:
        """The stream was emptied, or has another schema from now on. Everything before is written first, and nothing
        after it is prepared yet: preparing may read what the destination holds."""
        self._push(self.intake.flush(key))
        while self.writer.writes(key):
            self._done(self.writer.complete())
        if isinstance(event, Route):
            before, self.routes[key] = self.routes[key].declared, event
            if key in self.missing:
                self.missing[key].change(event)
            self.writer.retry(lambda: self.destination.change(event.written))
            self._fill_new_fields(event, before)
        else:
            route = self.routes[key]
            self.ledger.deleting(route, everything=True)
            self.ledger.count_emptied(route, self.writer.retry(lambda: empty_stream(route, self.destination, event)))

    def _checkpoint(self, checkpoint: Covering) -> None:
        """Keep a checkpoint behind everything read before it. A full refresh keeps none."""
        key, _, covers = checkpoint
        route = self.routes.get(key)
        if route is None:
            self.intake.share(checkpoint)
            if not self.intake.blocked:
                self.ledger.merge(self.intake.durable(self.writer.steps))
        elif not route.read.incremental:
            self.ledger.count_uncovered(covers)
        elif self.intake.complete(checkpoint):
            pass
        elif (last := self.writer.last(key)) is not None:
            last.checkpoints.append(checkpoint)
        else:
            self.ledger.merge([checkpoint])

    def _push(self, steps: Iterable[Step]) -> None:
        for step in steps:
            self.writer.push(step)
            while self.writer.crowded:
                self._done(self.writer.complete())

    # -- behind the write ----------------------------------------------------------------------------------------------

    def _done(self, step: Step) -> None:
        """A step is durable: count it and its checkpoints; end the stream if it was the last."""
        self.ledger.count_step(step)
        self.ledger.merge(self.intake.durable(self.writer.steps))
        if step.ends:
            self._close(step.stream, step.error)

    def _take_last(self, steps: Sequence[Step]) -> None:
        """Count the steps that other lanes wrote before the sync ended early."""
        try:
            for step in steps:
                self.ledger.count_step(step)
                self.ledger.merge(self.intake.durable(self.writer.steps))
        except KitestringError as error:
            self.ledger.result.error = self.ledger.result.error or error

    def _close(self, key: str, error: KitestringError | None) -> None:
        """A stream has ended: commit it and keep its final state, or abort it."""
        route, figures = self.routes[key], self.ledger.result.streams[key]
        if error is not None:
            figures.error = error
            figures.status = Status.failed
            self.destination.abort(route.written)
        else:
            self.writer.work_for(key)
            with activity.phase("finishing"):
                lost = self.ledger.lost(route)
                self._delete_missing(key)
                after = reconcile(self.destination, route, figures, self.ledger.counts.get(key), self.limits)
            self.ledger.ended(route, after, lost)
        # (If saving fails, the stream is aborted with the others.)
        self.ledger.close(key)
        self.open.discard(key)

    def _delete_missing(self, key: str) -> None:
        """Delete the records that the source no longer lists, if the stream is compared with a listing."""
        missing, route, figures = self.missing.get(key), self.routes[key], self.ledger.result.streams[key]
        if missing is None or (route.read.incremental and not missing.is_due):
            return
        if not route.read.incremental:
            missing.omit(self.ledger.progress.streams[key].activity)
        elif not figures.suspicions:
            missing.list_keys(self.source, self.cancel)
        receipt = missing.delete(figures, lambda: self.ledger.deleting(route), self.writer.retry)
        self.ledger.count_missing(route, receipt, missing.new_note)

    def _end(self) -> None:
        """After any end: keep the durable checkpoints, abort unfinished streams."""
        for missing in self.missing.values():
            missing.close()
        self.ledger.end(self.open)
        for key in self.open:
            try:
                self.destination.abort(self.routes[key].written)
            except Exception as error:  # noqa: BLE001 - the border to a connector
                log.warning("could not abort", extra={"stream": key, "error": str(error)})
        for connector in (self.source, self.destination):
            try:
                connector.close()
            except Exception as error:  # noqa: BLE001 - the border to a connector
                log.warning("could not close", extra={"connector": type(connector).__name__, "error": str(error)})
