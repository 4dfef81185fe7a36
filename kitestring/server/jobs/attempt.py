"""One attempt of a job: runs and watches a child process, saves its states under the claim, derives the outcome.

Two threads read the child's messages and log. The thread that calls `run` uses no database while the child lives, so
that it ends the child in time, whatever the database does: before the lease runs out, on a stall, after a cancel. The
fork server knows the lease too, and ends the child if this process is itself suspended.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

from kitestring.errors import ConnectorError, KitestringError, TransientError
from kitestring.server.child.protocol import error_body, error_of
from kitestring.server.clock import steady
from kitestring.server.connections.watched_slot import record_report
from kitestring.server.jobs.action_runner import exit_error
from kitestring.server.jobs.child_process import ChildProcess
from kitestring.server.jobs.claim import Claim, Lost
from kitestring.server.jobs.config_updates import ConfigUpdater
from kitestring.server.jobs.connection_plan import Plan
from kitestring.server.jobs.continuous_job import end_window
from kitestring.server.jobs.forkserver import ForkServer
from kitestring.server.jobs.log import Log
from kitestring.server.jobs.outcome import Outcome
from kitestring.server.jobs.queue import Queue
from kitestring.server.jobs.shared_rate_limits import TokenBuckets
from kitestring.server.settings import Settings

log = logging.getLogger("kitestring.jobs")

TICK_S = 0.1
CANCEL_S = 20.0
DUMP_S = 2.0
RETRY_S = 0.5


class Attempt:
    """An attempt from its claim to its outcome. `deadline`: the end of the lease, in seconds of `clock.steady`."""

    def __init__(
        self,
        queue: Queue,
        settings: Settings,
        fork_server: ForkServer,
        claim: Claim,
        deadline: float,
        log: Log,
        *,
        token_buckets: TokenBuckets | None = None,
        updater_of: Callable[[Plan], ConfigUpdater] | None = None,
        changed: Callable[[Claim, Plan, Mapping[str, Any]], Plan | None] | None = None,
    ) -> None:
        self.queue = queue
        self.settings = settings
        self.fork_server = fork_server
        self.claim = claim
        self.deadline = deadline
        self._child: ChildProcess | None = None
        self.log = log
        self.token_buckets = token_buckets
        self.updater_of = updater_of
        self.updater: ConfigUpdater | None = None
        self.changed = changed
        self.cancelled = threading.Event()  # by the user
        self.drained = threading.Event()  # by the stop of the worker
        self.outdated = threading.Event()  # a continuous job: by a change of its connection
        self.mark = ""
        """What a continuous job was started with, as `continuous_connection.mark` says."""
        self.lost = threading.Event()
        self.progress: dict[str, Any] = {}
        self._saved_progress: Any = None
        self.message: dict[str, Any] = {}
        self.is_continuous = bool(claim.options.get("continuous"))
        window_s = claim.options["continuous"]["window_s"] if self.is_continuous else 0.0
        self.stall_s = settings.stall_s + window_s  # where nothing changes, only the end of a window is progress
        self._shown: Any = None
        self._marks: dict[tuple[str, str], Any] = {}
        """The most that each counter of each stream has reached, and the phases that it was in."""
        self._retry_reason = ""
        self._moved_at = time.monotonic()
        self._ended = threading.Event()
        # The child is ended early enough before the end of the lease that no other attempt can have begun.
        self._margin_s = max(min(1.0, settings.lease_s / 3), settings.lease_s / 5)

    def renew(self, deadline: float) -> None:
        """Note that the lease was extended to this time (in `clock.steady` seconds)."""
        self.deadline = deadline
        if self._child is not None:
            self._child.lease(self._lease_s())

    def _lease_s(self) -> float:
        """The lease in the fork server: longer than this process waits, shorter than the lease in the store."""
        return max(0.0, self.deadline - steady() - self._margin_s / 2)

    # -- the watching thread -------------------------------------------------------------------------------------------

    def run(self, plan: Plan, request: Mapping[str, Any]) -> Outcome:
        """Run the request in a child process until it ends."""
        self.plan = plan
        self.updater = self.updater_of(plan) if self.updater_of is not None else None
        try:
            child = self._child = ChildProcess(
                self.fork_server, request, self._on_message, self.log.line, self._lease_s()
            )
        except KitestringError as error:
            return Outcome("failed", errors=[error])
        self.log.entry("info", "the attempt began", attempt=self.claim.attempt, pid=child.pid)
        why = self._watch(child)
        self._ended.set()
        child.drain()
        return self._outcome_of(child, why)

    def _watch(self, child: ChildProcess) -> KitestringError | None:
        """Wait for the child to end, or end it; returns the reason if it was ended here."""
        asked_at: float | None = None
        self.renew(self.deadline)
        while not child.wait(TICK_S):
            now = time.monotonic()
            if steady() > self.deadline - self._margin_s:
                self.lost.set()
            if self.lost.is_set():
                child.kill()
                self._reap(child)
                return TransientError(
                    "the lease could not be renewed: the store did not answer, or another worker has the job"
                )
            if asked_at is None and self._is_to_stop:
                asked_at = now
                child.cancel()
            if asked_at is not None and now - asked_at > CANCEL_S:
                child.kill()
                self._reap(child)
                return None
            still_s = now - self._moved_at
            if still_s > self.stall_s:
                self.log.entry("error", f"no progress for {still_s:.0f} s, and no declared wait: the stacks follow")
                child.dump()
                child.wait(DUMP_S)
                child.kill()
                self._reap(child)
                if self._retry_reason:
                    return TransientError(
                        f"the sync repeated what failed for {still_s:.0f} s, without progress: {self._retry_reason}",
                        hint="KITESTRING_STALL_S is the limit.",
                    )
                return TransientError(
                    f"the sync made no progress and declared no wait for {still_s:.0f} s, and was ended",
                    hint="The attempt's log has the stack of each thread. KITESTRING_STALL_S is the limit.",
                )
        return None

    @property
    def _is_to_stop(self) -> bool:
        return self.cancelled.is_set() or self.drained.is_set() or self.outdated.is_set()

    def _reap(self, child: ChildProcess) -> None:
        while not child.wait(5.0):  # in an uninterruptible wait of the kernel
            self.log.entry("error", "the process does not end after SIGKILL", pid=child.pid)
            child.kill()

    def _outcome_of(self, child: ChildProcess, why: KitestringError | None) -> Outcome:
        kind, value = self.message.get("kind"), self.message.get("value")
        if kind == "result" and isinstance(value, dict):
            errors = [error_of(error) for error in value.pop("errors", ())]
            outcome = Outcome(str(value.get("status")), dict(value.get("streams") or {}), errors)
            if outcome.status == "cancelled" or (self.is_continuous and outcome.status == "succeeded"):
                return self._cancelled_outcome(outcome)
            if outcome.status == "failed" and not errors:
                outcome.errors = [ConnectorError("the sync failed and gave no reason", hint="See its log.")]
            return outcome
        streams = partial_streams(self.progress)
        if child.lease_ended or (child.status == -9 and steady() > self.deadline - self._margin_s):
            self.lost.set()  # the fork server ended it first, maybe just before this process renewed the lease
        if self.lost.is_set():
            return Outcome("incomplete", streams, [why] if why else [], claim_lost=False)
        if self._is_to_stop:
            return self._cancelled_outcome(Outcome("cancelled", streams))
        if kind == "error":
            error = error_of(self.message["error"])
            if type(error).__name__ == "Cancelled":
                return self._cancelled_outcome(Outcome("cancelled", streams))
            return Outcome("failed", streams, [error])
        return Outcome("failed", streams, [why or child.broken or exit_error(child.status, self.settings)])

    def _cancelled_outcome(self, outcome: Outcome) -> Outcome:
        """The outcome of a stop: by the user, by the stop of the worker, or by another program."""
        if self.cancelled.is_set():
            outcome.status = "cancelled"
        elif self.drained.is_set():
            outcome.status = "incomplete"
        elif outcome.status == "succeeded":  # a continuous job that was stopped has reconciled all that it did
            pass
        elif self.outdated.is_set():
            outcome.status = "incomplete"
        else:
            outcome.status = "failed"
            outcome.errors = [
                TransientError("another program ended the process", hint="Find out what sent it SIGTERM.")
            ]
        return outcome

    # -- the reading threads -------------------------------------------------------------------------------------------

    def _on_message(self, message: dict[str, Any]) -> Mapping[str, Any] | None:
        updater = self.updater
        match message["kind"]:
            case "progress":
                self._progress(message["progress"])
            case "save":
                states, figures = message["states"], message["figures"]
                self._with_retries(lambda: self.queue.save(self.claim, states, figures))
                self._moved_at = time.monotonic()
            case "window":
                self._with_retries(lambda: end_window(self.queue, self.claim, message["window"]))
                self._moved_at = time.monotonic()
            case "slot":
                self._slot(message["report"])
            case "forget":
                states_left = self._with_retries(lambda: self.queue.forget(self.claim, message["streams"]))
                return {"states": states_left}
            case "result" | "error":
                self.message = message
            case "secrets":
                self.log.hide(message["secrets"])
            case "patience":
                self.stall_s = max(self.settings.stall_s, float(message["seconds"]))
            case "quota" if self.token_buckets is not None:
                return self.token_buckets.answer(message)
            case "config" if updater is not None:
                self._with_retries(partial(updater.save, message["end"], message["config"], message["spec"]))
            case "credential_ends" if updater is not None:
                self._with_retries(partial(updater.save_credential_ends, message["end"], message["ends"]))
            case "renewal" if updater is not None:
                answer: Mapping[str, Any] = self._with_retries(partial(updater.renewal, message))
                return answer
            case "catalog" if self.changed is not None:
                changed, plan = self.changed, self.plan
                new = self._with_retries(lambda: changed(self.claim, plan, message["catalog"]))
                if new is not None:
                    return {"streams": [asdict(selection) for selection in new.selections]}
        return None

    def _slot(self, report: Mapping[str, Any]) -> None:
        """Save what the source says of its replication slot. A report is not worth waiting for the store."""
        store = self.queue.store
        limit_bytes = self.settings.slot_retained_mb * 1_000_000
        try:
            with store.write() as db:
                record_report(db, self.claim.connection_id, report, store.now_ms(db), limit_bytes)
        except TransientError as error:
            self.log.entry("warning", "the state of the replication slot could not be saved", error=str(error))

    def _progress(self, progress: Mapping[str, Any]) -> None:
        now, progress = time.monotonic(), dict(progress)
        displayed = [
            (key, *(figures.get(name) for name in ("read", "written", "status", "phase", "figures", "finished")))
            for key, figures in progress["streams"].items()
        ]
        requested_s = float(progress.pop("requested_wait_s", 0.0))
        if requested_s:  # the stall limit counts from the end of the wait
            self._moved_at = max(self._moved_at, now + requested_s)
        if self._has_moved(progress["streams"]):
            self._moved_at, self._retry_reason = max(self._moved_at, now), ""
        waiting = progress.get("waiting")
        if waiting and not requested_s:
            self._retry_reason = str(waiting.get("reason") or "")
        self._shown = displayed
        self.progress = progress

    def _has_moved(self, streams: Mapping[str, Mapping[str, Any]]) -> bool:
        """Whether a stream is further than ever. What fails and is repeated lowers its counters and raises them again,
        and goes through the same phases."""
        before = dict(self._marks)
        for stream, figures in streams.items():
            counters = {name: figures.get(name) for name in ("read", "written", "finished")} | dict(
                figures.get("figures") or {}
            )
            for name, value in counters.items():
                if isinstance(value, int | float):
                    self._marks[stream, name] = max(value, self._marks.get((stream, name), 0))
            self._marks[stream, "status"] = figures.get("status")
            phase = figures.get("phase")
            if phase not in (None, "waiting"):
                self._marks[stream, f"phase {phase}"] = True
        return self._marks != before

    def unsaved_progress(self) -> dict[str, Any] | None:
        """The progress where something of it has changed since the last call, apart from the time."""
        progress = self.progress
        now = (self._shown, (progress.get("waiting") or {}).get("reason"))
        if not progress or now == self._saved_progress:
            return None
        self._saved_progress = now
        return progress

    def _with_retries(self, call: Callable[[], Any]) -> Any:
        """Retry while the store does not answer and the lease lasts; the child waits for the answer meanwhile."""
        while True:
            try:
                return call()
            except Lost:
                self.lost.set()
                raise
            except TransientError as error:
                if self.lost.is_set() or self._ended.is_set():
                    raise
                self.log.entry("warning", "the store does not answer", error=str(error))
                self._ended.wait(RETRY_S)


def partial_streams(progress: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of the streams of an ended attempt, from its last progress."""
    streams = {}
    for stream, figures in (progress.get("streams") or {}).items():
        ended = figures.get("status") in ("succeeded", "suspicious")
        streams[stream] = {
            "status": figures["status"] if ended else "failed",
            "read": figures.get("read", 0),
            "written": figures.get("written", 0),
            "bytes": figures.get("bytes", 0),
        }
    return streams


def error_record(error: KitestringError, log: Log) -> dict[str, Any]:
    """An error as it is stored: `{"type", "message", "hint"}`, with secrets masked."""
    body = error_body(error)
    return {key: log.masked(str(body[key])) for key in ("type", "message", "hint")}
