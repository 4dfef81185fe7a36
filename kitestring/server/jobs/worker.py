"""A worker: claims jobs, runs each in a child process, renews their leases, and returns them when it is stopped."""

from __future__ import annotations

import contextlib
import logging
import os
import random
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import delete, insert, update

from kitestring.errors import ConnectorError, KitestringError, TransientError
from kitestring.server.clock import steady
from kitestring.server.connections.continuous_connection import mark
from kitestring.server.jobs.attempt import Attempt, error_record
from kitestring.server.jobs.claim import Claim, Lost
from kitestring.server.jobs.config_updates import ConfigUpdater
from kitestring.server.jobs.connection_plan import Plan, PlanOf
from kitestring.server.jobs.continuous_job import was_suspicious
from kitestring.server.jobs.log import Log, Logs
from kitestring.server.jobs.log_shipper import LogShipper
from kitestring.server.jobs.outcome import Outcome
from kitestring.server.jobs.retention import clean
from kitestring.server.jobs.shared_rate_limits import TokenBuckets
from kitestring.server.jobs.signals import SignalListener
from kitestring.server.store.tables import workers

if TYPE_CHECKING:
    from kitestring.server.context import Context

log = logging.getLogger("kitestring.jobs")

LOOK_S = 0.5
"""How often a worker polls that gets no signals, or that sees a job which it cannot claim yet."""
POLL_S = 5.0
"""How often a worker polls that gets signals: for those that are lost."""
STOP_EVERY_S = 1.0
SEEN_EVERY_S = 10.0
CHANGES_EVERY_S = 2.0
SEEN_MS = 60_000
"""A worker without a sign of life for so long is lost: it was killed, or its machine is down."""
DRAIN_S = 25.0
FINISH_S = 300.0
CLEAN_EVERY_S = 3600.0

Changed: TypeAlias = "Callable[[Context, Claim, Plan, Mapping[str, Any]], Plan | None]"
"""Called before a sync with the current catalog of a source if it differs from the plan's. Returns the plan to continue
with (None: unchanged), or raises `SchemaError` to stop."""


class Worker:
    """Runs up to `slots` jobs of a store at the same time. `start` and `stop` it.

    It is woken by the signals of the queue and polls every `poll_s` seconds besides. By default that is `POLL_S` on
    PostgreSQL, and `LOOK_S` on SQLite, where the signals of other processes do not arrive.
    """

    def __init__(
        self,
        context: Context,
        plan_of: PlanOf,
        *,
        slots: int | None = None,
        changed: Changed | None = None,
        poll_s: float | None = None,
    ) -> None:
        self.context = context
        self.queue = context.queue
        self.signals = context.queue.signals
        self.settings = context.settings
        self.plan_of = plan_of
        self.slots = self.settings.workers if slots is None else slots
        self.fork_server = context.runner.fork_server
        self.changed = changed
        self.token_buckets = TokenBuckets(context.store)
        self.logs = Logs(self.settings.home)
        self.log_shipper = None if context.store.sqlite else LogShipper(context.store, self.logs)
        self.poll_s = min(poll_s or (LOOK_S if context.store.sqlite else POLL_S), self.settings.lease_s / 3)
        self.listener = None if context.store.sqlite else SignalListener(context.store, self.wake)
        self.id = f"{socket.gethostname()[:40]}:{os.getpid()}:{secrets.token_hex(3)}"
        self._attempts: dict[int, Attempt] = {}
        self._threads: set[threading.Thread] = set()
        self._lock = threading.Lock()
        self._wakeup = threading.Event()
        self._stopping = threading.Event()
        self._ended = threading.Event()
        self._loops: list[threading.Thread] = []

    # -- start and stop ------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start to claim jobs, in threads of its own."""
        self._loops = [
            threading.Thread(target=loop, name=f"kitestring-{name}", daemon=True)
            for name, loop in (("claims", self._claims), ("leases", self._leases), ("retention", self._retention))
        ]
        self.signals.subscribe(self.wake)
        for thread in self._loops:
            thread.start()
        if self.listener is not None:
            self.listener.start()
        if self.log_shipper is not None:
            self.log_shipper.start()

    def stop(self, drain_s: float = DRAIN_S) -> None:
        """Claim no more jobs. Running syncs stop at a checkpoint and return to the queue, for other workers at once."""
        self._stopping.set()
        self._wakeup.set()
        with self._lock:
            for attempt in self._attempts.values():
                attempt.drained.set()
        deadline = time.monotonic() + drain_s
        for thread in list(self._threads):
            thread.join(max(0.1, deadline - time.monotonic()))
        self._ended.set()
        for thread in self._loops:
            thread.join(5.0)
        if self.listener is not None:
            self.listener.stop()
        self.signals.unsubscribe(self.wake)
        if self.log_shipper is not None:
            with contextlib.suppress(KitestringError):
                self.log_shipper.stop()
        with contextlib.suppress(KitestringError), self.context.store.write() as db:
            db.execute(delete(workers).where(workers.c.id == self.id))

    @property
    def running(self) -> list[int]:
        """The ids of the running jobs."""
        return list(self._attempts)

    def wake(self) -> None:
        """Look for work now: the queue has changed."""
        self._wakeup.set()

    # -- the threads ---------------------------------------------------------------------------------------------------

    def _claims(self) -> None:
        """Claim jobs while there are free slots. No error may end this thread: without it no job would ever run."""
        try:
            self.fork_server.warm()
        except Exception as error:  # noqa: BLE001 - the first job starts it
            log.warning("the fork server did not start yet", extra={"error": str(error)})
        while not self._stopping.is_set():
            self._wakeup.clear()  # before the look, so that no signal is lost
            idle_s = LOOK_S
            try:
                if self._claim_next():
                    continue
                idle_s = self._idle_s()
            except TransientError as error:
                log.warning("the store does not answer", extra={"error": str(error)})
            except Exception:
                log.exception("no job could be claimed")
            self._wakeup.wait(idle_s)

    def _claim_next(self) -> bool:
        """Claim a job and begin it; whether there was one, and a slot for it."""
        has_slot, has_continuous_slot = self._free()
        if not has_slot and not has_continuous_slot:
            return False
        began = steady()
        only = None if has_slot and has_continuous_slot else has_continuous_slot
        claim = self.queue.claim(self.id, self.running, continuous=only)
        if claim is None:
            return False
        self._begin(claim, began + self.settings.lease_s)
        return True

    def _free(self) -> tuple[bool, bool]:
        """Whether there is a slot for a job that ends, and one for a continuous job."""
        running = [attempt.is_continuous for attempt in list(self._attempts.values())]
        continuous = sum(running)
        return len(running) - continuous < self.slots, continuous < self.settings.continuous_jobs

    def _idle_s(self) -> float:
        """How long to wait for a signal: until the next job becomes due, at most the interval of polling."""
        if self.poll_s <= LOOK_S or (self.listener is not None and not self.listener.connected.is_set()):
            return min(LOOK_S, self.poll_s)
        if not any(self._free()):
            return self.poll_s
        try:
            due_s = self.queue.next_due_s(self.running)
        except TransientError:
            return LOOK_S
        if due_s is None:
            return self.poll_s
        # A due job that was not claimed is locked by another worker, or held back by a limit of running jobs.
        return LOOK_S if due_s <= 0 else min(due_s + 0.002, self.poll_s)

    def _begin(self, claim: Claim, deadline: float) -> None:
        # One log file per attempt, so that two attempts never write to the same file.
        attempt = Attempt(
            self.queue,
            self.settings,
            self.fork_server,
            claim,
            deadline,
            Log(self.logs.path(claim.job_id, claim.attempt)),
            token_buckets=self.token_buckets,
            updater_of=lambda plan: ConfigUpdater(self.context, source=plan.source, destination=plan.destination),
            changed=self._schema_changed if self.changed is not None else None,
        )
        if self.log_shipper is not None:
            self.log_shipper.begin(claim.job_id, claim.attempt)
        thread = threading.Thread(target=self._run, args=(attempt,), name=f"kitestring-job-{claim.job_id}", daemon=True)
        with self._lock:
            self._attempts[claim.job_id] = attempt
            self._threads.add(thread)
            if self._stopping.is_set():
                attempt.drained.set()
        try:
            thread.start()
        except RuntimeError:  # the machine has no more threads: when the lease has ended, the job is claimed again
            with self._lock:
                self._attempts.pop(claim.job_id)
                self._threads.discard(thread)
            raise

    def _run(self, attempt: Attempt) -> None:
        claim = attempt.claim
        try:
            facts = {"job_id": claim.job_id, "job_attempt": claim.attempt, "job_connection": claim.connection_id}
            with self.context.tracing.span(f"job {claim.kind}", **facts) as add:
                outcome = self._outcome(attempt)
                records = sum(int(figures.get("written", 0)) for figures in outcome.streams.values())
                add(job_status=outcome.status, job_records=records, failed=outcome.status == "failed")
            self._finish(attempt, outcome)
        except Exception:
            log.exception("an attempt crashed", extra={"job_id": claim.job_id})
        finally:
            attempt.log.close()
            if self.log_shipper is not None:
                self.log_shipper.end(claim.job_id, claim.attempt)
            with self._lock:
                self._attempts.pop(claim.job_id, None)
                self._threads.discard(threading.current_thread())
            self._wakeup.set()

    def _outcome(self, attempt: Attempt) -> Outcome:
        from kitestring.server.jobs.request import build_request

        claim = attempt.claim
        try:
            plan = self.plan_of(self.context, claim.connection_id)
            if attempt.is_continuous:
                attempt.mark = mark(self.context, self.plan_of, claim.connection_id)
            request = build_request(self.context, claim, plan, attempt.log, watched=self.changed is not None)
        except Lost:
            return Outcome("failed", claim_lost=True)
        except KitestringError as error:
            return Outcome("failed", errors=[error])
        except Exception as error:
            log.exception("a job could not be planned", extra={"job_id": claim.job_id})
            return Outcome("failed", errors=[ConnectorError(f"the job could not be planned: {error}")])
        outcome = attempt.run(plan, request)
        doubtful = "suspicious" in request.get("done", {}).values() or was_suspicious(self.queue, claim)
        if outcome.status == "succeeded" and doubtful:
            outcome.status = "suspicious"
        return outcome

    def _finish(self, attempt: Attempt, outcome: Outcome) -> None:
        """Save the outcome; retry until it is saved or another worker has the job."""
        claim = attempt.claim
        if outcome.claim_lost:
            return
        error = error_record(outcome.errors[0], attempt.log) if outcome.errors else None
        if error is not None:
            attempt.log.entry("error", error["message"], hint=error["hint"], type=error["type"])
        for figures in outcome.streams.values():
            error_text = figures.get("error")
            if error_text:
                figures["error"] = {key: attempt.log.masked(str(value)) for key, value in error_text.items()}
            figures["suspicions"] = [
                attempt.log.masked(str(suspicion)) for suspicion in figures.get("suspicions") or ()
            ]
        attempt.log.entry("info", f"the attempt ended: {outcome.status}", streams=outcome.streams)
        give_up = time.monotonic() + FINISH_S
        while True:
            try:
                if outcome.status == "incomplete":
                    status = self.queue.release(claim, streams=outcome.streams, progress=attempt.progress)
                else:
                    status = self.queue.finish(
                        claim,
                        outcome.status,
                        streams=outcome.streams,
                        error=error,
                        progress=attempt.progress,
                        retry=outcome.retry,
                        retry_after_s=outcome.retry_after_s,
                    )
                log.info("a job's attempt ended", extra={"job_id": claim.job_id, "status": status})
                return
            except Lost:
                log.warning("another worker has taken over a job", extra={"job_id": claim.job_id, "epoch": claim.epoch})
                return
            except TransientError as away:
                if time.monotonic() > give_up:
                    raise
                log.warning("the store does not answer", extra={"error": str(away), "job_id": claim.job_id})
                if self._ended.wait(1.0):
                    return

    def _leases(self) -> None:
        """Renew the leases of the running jobs, and see which are to stop. No watching thread waits for this."""
        beat_at = seen_at = changes_at = 0.0
        every_s = self.settings.lease_s / 5
        while not self._ended.wait(min(STOP_EVERY_S, every_s)):
            began = steady()
            running = {attempt.claim: attempt for attempt in list(self._attempts.values())}
            try:
                if running and began - beat_at >= every_s:
                    self._renew_leases(running, began)
                    beat_at = began
                elif running:
                    self._save_progress(running)
                    for job_id in self.queue.cancel_requested([claim.job_id for claim in running]):
                        self._attempts[job_id].cancelled.set()
                if began - changes_at >= CHANGES_EVERY_S:
                    self._stop_outdated(running.values())
                    changes_at = began
                if began - seen_at >= SEEN_EVERY_S:
                    self._report_presence(sum(not attempt.is_continuous for attempt in running.values()))
                    seen_at = began
            except KeyError:  # the job has ended meanwhile
                continue
            except TransientError as error:
                log.warning("the store does not answer: leases cannot be renewed", extra={"error": str(error)})
            except Exception:
                log.exception("leases could not be renewed")

    def _stop_outdated(self, running: Iterable[Attempt]) -> None:
        """Have continuous jobs stop at a checkpoint whose connection is another than when they were started."""
        for attempt in running:
            if attempt.is_continuous and attempt.mark and not attempt.outdated.is_set():
                now = mark(self.context, self.plan_of, attempt.claim.connection_id)
                if now != attempt.mark:
                    attempt.log.entry("info", "the connection was changed: the job stops, and a new one follows")
                    attempt.outdated.set()

    def _retention(self) -> None:
        """Remove old entries about once an hour, at random times, so that workers do not do it together."""
        while not self._stopping.wait(random.uniform(0.2, 1.0) * CLEAN_EVERY_S):
            try:
                clean(self.context)
            except Exception as error:  # noqa: BLE001 - it is retried the next time
                log.warning("old entries could not be removed", extra={"error": str(error)})

    def _renew_leases(self, running: Mapping[Claim, Attempt], began: float) -> None:
        renewed = self.queue.heartbeats({claim: attempt.progress or None for claim, attempt in running.items()})
        for claim, attempt in running.items():
            if claim not in renewed:
                if claim.job_id in self._attempts:  # else the job has just ended
                    attempt.lost.set()
                continue
            # The store counted from a later moment than `began`, so this is on the safe side.
            attempt.renew(began + self.settings.lease_s)
            if renewed[claim]:
                attempt.cancelled.set()

    def _save_progress(self, running: Mapping[Claim, Attempt]) -> None:
        unsaved = {claim: progress for claim, attempt in running.items() if (progress := attempt.unsaved_progress())}
        if unsaved:
            self.queue.save_progress(unsaved)

    def _report_presence(self, running: int) -> None:
        with self.context.store.write() as db:
            now = self.context.store.now_ms(db)
            db.execute(delete(workers).where(workers.c.seen_at_ms < now - SEEN_MS, workers.c.id != self.id))
            updated = db.execute(update(workers).where(workers.c.id == self.id).values(running=running, seen_at_ms=now))
            if not updated.rowcount:
                values = {"host": socket.gethostname(), "pid": os.getpid(), "slots": self.slots, "running": running}
                db.execute(insert(workers).values(id=self.id, started_at_ms=now, seen_at_ms=now, **values))

    def _schema_changed(self, claim: Claim, plan: Plan, catalog: Mapping[str, Any]) -> Plan | None:
        assert self.changed is not None
        return self.changed(self.context, claim, plan, catalog)
