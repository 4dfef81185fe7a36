"""The job queue: jobs are claimed under a lease, and every write for a job names the epoch of its claim.

A worker that was taken for dead and is not (a long pause, a lost network) finds a newer epoch, and nothing it still
writes has an effect. All times that machines compare are the store's.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeAlias

from sqlalchemy import Connection, and_, case, func, insert, or_, select, text, update
from sqlalchemy.exc import IntegrityError

from kitestring.errors import ConfigError
from kitestring.server.jobs.claim import Claim, is_attempt, lost, require, touch
from kitestring.server.jobs.figures import (
    figures_of_lost,
    records_written,
    sum_figures,
)
from kitestring.server.jobs.job_states import JobStates
from kitestring.server.jobs.signals import JobSignals
from kitestring.server.observability import consumption, totals
from kitestring.server.settings import Settings
from kitestring.server.store import Store
from kitestring.server.store.tables import attempts, connections, jobs

ACTIVE = ("pending", "running", "incomplete")
ENDED = ("succeeded", "suspicious", "failed", "cancelled")
BACKOFF_S = (10.0, 60.0, 300.0)
PARTIAL = 20
"""How many failed attempts a job may have beyond those in a row: attempts that saved something before they failed."""
FEW_STREAMS = 100
"""Up to so many, the figures of each are saved every second, else with the heartbeats."""
LOST_IN_ROW = 10
"""A job ends after so many lost workers in a row without progress: most likely the job kills them."""
# Written out, so that the database can use the partial indexes.
IS_ACTIVE = text("jobs.status IN ('pending', 'running', 'incomplete')")


def is_continuous(table: Any) -> Any:
    """The condition of a job that goes on without an end."""
    return table.c.options["continuous"].as_string().is_not(None)


IS_CONTINUOUS = is_continuous(jobs)

JobEndListener: TypeAlias = Callable[[Connection, int, str], None]
"""Called with the id and the status of a job that has ended, in the transaction that ends it."""


class Busy(ConfigError):
    """The connection has a job already: `fields["job_id"]`."""


class Queue(JobStates):
    """The jobs of a store."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self.store = store
        self.settings = settings
        self.signals = JobSignals(store)
        self.on_end: list[JobEndListener] = []

    # -- enqueueing ----------------------------------------------------------------------------------------------------

    def enqueue(
        self,
        db: Connection,
        connection_id: str,
        kind: str = "sync",
        *,
        cause: str = "manual",
        options: Mapping[str, Any] | None = None,
        run_after_ms: int | None = None,
    ) -> int:
        """Add a pending job in the caller's transaction; returns its id. `Busy` while the connection has one."""
        connection = db.execute(
            select(
                connections.c.workspace_id, connections.c.source_id, connections.c.schedule, connections.c.status
            ).where(connections.c.id == connection_id, connections.c.deleted_at_ms.is_(None))
        ).one_or_none()
        if connection is None:
            raise ConfigError(f"there is no connection {connection_id}", hint="List the connections.")
        now, options = self.store.now_ms(db), dict(options or {})
        if kind == "sync" and connection.status == "active" and connection.schedule["type"] == "continuous":
            options["continuous"] = {name: connection.schedule[name] for name in ("window_s", "rollover_s")}
        values = {
            "workspace_id": connection.workspace_id,
            "connection_id": connection_id,
            "source_id": connection.source_id,
            "kind": kind,
            "status": "pending",
            "cause": cause,
            "options": options,
            "attempts": 0,
            "failures": 0,
            "most_attempts": self.settings.attempts,
            "run_after_ms": now if run_after_ms is None else run_after_ms,
            "cancel": False,
            "epoch": 0,
            "records": 0,
            "nbytes": 0,
            "created_at_ms": now,
            "updated_at_ms": now,
        }
        try:
            with db.begin_nested():
                new_id = int(db.execute(insert(jobs).values(values)).inserted_primary_key[0])  # type: ignore[index]
        except IntegrityError:
            job_id = self.active(db, connection_id)
            raise Busy(
                f"the connection {connection_id} has a job already: {job_id}",
                hint="Wait until it has ended, or cancel it.",
                job_id=job_id,
                connection_id=connection_id,
            ) from None
        self.signals.send(db)
        return new_id

    def active(self, db: Connection, connection_id: str) -> int | None:
        """The id of the connection's job that has not ended, if there is one."""
        return db.execute(
            select(jobs.c.id).where(jobs.c.connection_id == connection_id, IS_ACTIVE)
        ).scalar_one_or_none()

    def cancel(self, db: Connection, job_id: int) -> str:
        """Cancel a job: at once if it does not run, else at its next checkpoint. Returns its status then."""
        lock(db, select(jobs.c.connection_id).where(jobs.c.id == job_id).scalar_subquery())
        now = self.store.now_ms(db)
        waits = jobs.c.status.in_(("pending", "incomplete"))
        ended = db.execute(
            update(jobs)
            .where(jobs.c.id == job_id, waits)
            .values(status="cancelled", cancel=True, ended_at_ms=now, updated_at_ms=now, epoch=jobs.c.epoch + 1)
        )
        if ended.rowcount:
            self._notify_end(db, job_id, "cancelled")
        db.execute(
            update(jobs).where(jobs.c.id == job_id, jobs.c.status == "running").values(cancel=True, updated_at_ms=now)
        )
        self.signals.changed(db, job_id)
        return str(db.execute(select(jobs.c.status).where(jobs.c.id == job_id)).scalar_one())

    # -- working -------------------------------------------------------------------------------------------------------

    def claim(self, worker: str, mine: Collection[int] = (), continuous: bool | None = None) -> Claim | None:
        """Claim the next due job under a lease; None if there is none. `continuous`: only such a job, or only others.

        A running job whose lease has run out is due: its worker is dead or cut off. Its attempt is closed as `lost`,
        and the job runs again at once, from its last checkpoint. `mine` are the jobs that this worker still runs: none
        of them is claimed a second time, whatever a clock that jumped says.
        """
        if not self._any_due():  # this query takes no lock
            return None
        kind = [] if continuous is None else [IS_CONTINUOUS if continuous else ~IS_CONTINUOUS]
        while True:
            with self.store.write() as db:
                now = self.store.now_ms(db)
                query = (
                    select(jobs)
                    .where(IS_ACTIVE, is_due(now), jobs.c.id.not_in(list(mine)), *kind, *self._within_limits(now))
                    .order_by(jobs.c.run_after_ms, jobs.c.id)
                    .limit(1)
                )
                row = db.execute(query.with_for_update(skip_locked=True)).one_or_none()
                if row is None:
                    return None
                failures = row.failures
                if row.status == "running":
                    moved, lost_in_row = self._close_lost(db, row, now)
                    if row.cancel:
                        self._end(db, row, "cancelled", None, now)
                        continue
                    if lost_in_row >= LOST_IN_ROW:
                        self._end(db, row, "failed", LOST, now)
                        continue
                    failures = 0 if moved else failures
                return self._take(db, row, worker, failures, now)

    def _any_due(self) -> bool:
        with self.store.read() as db:
            now = self.store.now_ms(db)
            return db.execute(select(jobs.c.id).where(IS_ACTIVE, is_due(now)).limit(1)).first() is not None

    def next_due_s(self, mine: Collection[int] = ()) -> float | None:
        """Seconds until a job that is not among `mine` becomes due, as known now; None if there is none."""
        due_at_ms = case((jobs.c.status == "running", jobs.c.lease_until_ms), else_=jobs.c.run_after_ms)
        query = select(func.min(due_at_ms)).where(IS_ACTIVE, jobs.c.id.not_in(list(mine)))
        with self.store.read() as db:
            next_ms = db.execute(query).scalar_one()
            return None if next_ms is None else (next_ms - self.store.now_ms(db)) / 1000

    def _take(self, db: Connection, row: Any, worker: str, failures: int, now: int) -> Claim:
        epoch, number = row.epoch + 1, row.attempts + 1
        db.execute(
            update(jobs)
            .where(jobs.c.id == row.id)
            .values(
                status="running",
                worker=worker,
                epoch=epoch,
                attempts=number,
                failures=failures,
                lease_until_ms=now + int(self.settings.lease_s * 1000),
                started_at_ms=func.coalesce(jobs.c.started_at_ms, now),
                updated_at_ms=now,
            )
        )
        db.execute(
            insert(attempts).values(
                job_id=row.id, number=number, status="running", worker=worker, epoch=epoch, started_at_ms=now
            )
        )
        self.signals.changed(db, row.id)
        return Claim(row.id, epoch, number, row.connection_id, row.workspace_id, row.source_id, row.kind, row.options)

    def heartbeat(self, claim: Claim, progress: Mapping[str, Any] | None = None) -> bool:
        """Extend the lease and save the progress; True if the job is to stop. `Lost` if the claim is not valid."""
        renewed = self.heartbeats({claim: progress})
        if claim not in renewed:
            raise lost(claim)
        return renewed[claim]

    def heartbeats(self, running: Mapping[Claim, Mapping[str, Any] | None]) -> dict[Claim, bool]:
        """The same for several claims: whether each is to stop. Claims that are no longer valid are left out."""
        renewed: dict[Claim, bool] = {}
        with self.store.write() as db:
            now = self.store.now_ms(db)
            # The same order everywhere avoids deadlocks between workers.
            for claim in sorted(running, key=lambda claim: claim.job_id):
                values = {"lease_until_ms": now + int(self.settings.lease_s * 1000), "updated_at_ms": now}
                if not touch(db, claim, values):
                    continue
                progress = running[claim]
                if progress is not None:
                    self._save_progress(db, claim, progress)
                renewed[claim] = bool(db.execute(select(jobs.c.cancel).where(jobs.c.id == claim.job_id)).scalar_one())
        return renewed

    def save_progress(self, running: Mapping[Claim, Mapping[str, Any]]) -> None:
        """Save how far these attempts are, between two heartbeats: in short, and by stream where that is little to
        write. Claims that are no longer valid are left out."""
        with self.store.write() as db:
            for claim in sorted(running, key=lambda claim: claim.job_id):
                progress = running[claim]
                if len(progress["streams"]) > FEW_STREAMS:
                    self._save_progress(db, claim, {"summary": progress.get("summary")})
                elif touch(db, claim, {"updated_at_ms": self.store.now_ms(db)}):
                    self._save_progress(db, claim, progress)

    def _save_progress(self, db: Connection, claim: Claim, progress: Mapping[str, Any]) -> None:
        values = {"summary": progress.get("summary")}
        if "streams" in progress:
            values["progress"] = {name: value for name, value in progress.items() if name != "summary"}
        is_running = (*is_attempt(claim), attempts.c.epoch == claim.epoch, attempts.c.status == "running")
        db.execute(update(attempts).where(*is_running).values(values))
        self.signals.changed(db, claim.job_id)

    def cancel_requested(self, job_ids: Collection[int]) -> set[int]:
        """Which of these jobs are to stop."""
        with self.store.read() as db:
            query = select(jobs.c.id).where(jobs.c.id.in_(list(job_ids)), jobs.c.cancel)
            return set(db.execute(query).scalars())

    def finish(
        self,
        claim: Claim,
        status: str,
        *,
        streams: Mapping[str, Any] | None = None,
        error: Mapping[str, Any] | None = None,
        progress: Mapping[str, Any] | None = None,
        retry: bool = False,
        retry_after_s: float | None = None,
    ) -> str:
        """End the attempt; returns the job's status: `incomplete` if it will be retried. `Lost` without a valid claim.

        `status` is succeeded, suspicious, failed or cancelled; `retry`: a later attempt may succeed. An attempt that
        saved something new does not count among the failures in a row that end the job.
        """
        with self.store.write() as db:
            row, now = self._close(db, claim, status, streams, error, progress)
            if status == "failed" and retry and not row.cancel:
                moved = db.execute(select(attempts.c.moved).where(*is_attempt(claim))).scalar_one()
                failures = 0 if moved else row.failures + 1
                if not self._exhausted(db, row, failures):
                    wait_s = retry_after_s or BACKOFF_S[min(max(failures, 1), len(BACKOFF_S)) - 1]
                    self._requeue(db, claim, now + int(wait_s * 1000), failures, error)
                    return "incomplete"
            self._end(db, row, status, error, now)
            return status

    def release(
        self, claim: Claim, *, streams: Mapping[str, Any] | None = None, progress: Mapping[str, Any] | None = None
    ) -> str:
        """Return an unfinished job to the queue (its worker stops). It does not count as a failure."""
        with self.store.write() as db:
            row, now = self._close(db, claim, "incomplete", streams, None, progress)
            if row.cancel:
                self._end(db, row, "cancelled", None, now)
                return "cancelled"
            self._requeue(db, claim, now, row.failures, None)
            return "incomplete"

    # -- private -------------------------------------------------------------------------------------------------------

    def _close(
        self,
        db: Connection,
        claim: Claim,
        status: str,
        streams: Mapping[str, Any] | None,
        error: Mapping[str, Any] | None,
        progress: Mapping[str, Any] | None,
    ) -> tuple[Any, int]:
        """End the attempt; returns the job's row and the time. Its records were counted when they became durable."""
        lock(db, claim.connection_id)
        now = self.store.now_ms(db)
        require(db, claim, {"updated_at_ms": now})
        row = db.execute(select(jobs).where(jobs.c.id == claim.job_id)).one()
        values: dict[str, Any] = {"status": status, "ended_at_ms": now}
        if streams is not None:
            values["streams"] = dict(streams)
            values["summary"] = {"sums": sum_figures(streams)}
        if error is not None:
            values["error"] = dict(error)
        if progress is not None:
            values["progress"] = {name: value for name, value in progress.items() if name != "summary"}
        db.execute(update(attempts).where(*is_attempt(claim)).values(values))
        return row, now

    def _requeue(
        self, db: Connection, claim: Claim, run_after_ms: int, failures: int, error: Mapping[str, Any] | None
    ) -> None:
        db.execute(
            update(jobs)
            .where(jobs.c.id == claim.job_id)
            .values(
                status="incomplete",
                worker=None,
                lease_until_ms=None,
                run_after_ms=run_after_ms,
                failures=failures,
                error=dict(error) if error is not None else None,
            )
        )
        self.signals.changed(db, claim.job_id)
        self.signals.send(db)

    def _exhausted(self, db: Connection, row: Any, failures: int) -> bool:
        """Whether a job has failed too often. Attempts whose worker was lost or stopped do not count."""
        failed = select(func.count()).where(attempts.c.job_id == row.id, attempts.c.status == "failed")
        return bool(failures >= row.most_attempts or db.execute(failed).scalar_one() >= row.most_attempts + PARTIAL)

    def _within_limits(self, now: int) -> list[Any]:
        """Conditions that exclude jobs whose workspace or source has reached its limit of running jobs."""
        conditions = []
        for limit, column in (
            (self.settings.jobs_per_workspace, "workspace_id"),
            (self.settings.jobs_per_source, "source_id"),
        ):
            if limit:
                other = jobs.alias()
                running = (
                    select(func.count())
                    .select_from(other)
                    .where(
                        other.c[column] == jobs.c[column],
                        other.c.status == "running",
                        other.c.lease_until_ms >= now,
                        other.c.id != jobs.c.id,
                        ~is_continuous(other),
                    )
                    .scalar_subquery()
                )
                conditions.append(or_(running < limit, IS_CONTINUOUS))
        return conditions

    def _close_lost(self, db: Connection, row: Any, now: int) -> tuple[bool, int]:
        """Close the attempt of a lost worker; returns whether it made progress, and how many attempts in a row were
        lost without progress.

        An attempt that wrote more than all before it made progress too: a full refresh has no checkpoint to save.
        """
        tried = db.execute(select(attempts).where(attempts.c.job_id == row.id).order_by(attempts.c.number.desc())).all()
        last = next((attempt for attempt in tried if attempt.number == row.attempts), None)
        if last is not None and last.status == "running":
            before = max((records_written(attempt.progress) for attempt in tried if attempt is not last), default=0)
            moved = bool(last.moved or records_written(last.progress) > before)
            is_last = (attempts.c.job_id == row.id, attempts.c.number == last.number)
            values = {"status": "lost", "ended_at_ms": now, "error": LOST, "moved": moved}
            streams = figures_of_lost(last.durable, last.progress)
            summary = {"sums": sum_figures(streams)}
            db.execute(update(attempts).where(*is_last).values(**values, streams=streams, summary=summary))
        else:
            moved = True
        lost_in_row = 0
        for attempt in tried:
            if attempt is not last and (attempt.status != "lost" or attempt.moved):
                break
            lost_in_row += 1
        return moved, 0 if moved else lost_in_row

    def _end(self, db: Connection, row: Any, status: str, error: Mapping[str, Any] | None, now: int) -> None:
        db.execute(
            update(jobs)
            .where(jobs.c.id == row.id)
            .values(
                status=status,
                error=dict(error) if error is not None else None,
                lease_until_ms=None,
                ended_at_ms=now,
                updated_at_ms=now,
                epoch=jobs.c.epoch + 1,
            )
        )
        self._notify_end(db, row.id, status)
        self.signals.changed(db, row.id)
        self.signals.send(db)  # a limit of running jobs may be free now

    def _notify_end(self, db: Connection, job_id: int, status: str) -> None:
        for listener in self.on_end:
            listener(db, job_id, status)
        consumption.count(db, job_id, status)
        totals.count(db, job_id, status)


def lock(db: Connection, connection_id: Any) -> None:
    """Lock the connection before its job, as the scheduler does: another order would deadlock. (Less than a full lock,
    since states refer to the row.)"""
    db.execute(select(connections.c.id).where(connections.c.id == connection_id).with_for_update(key_share=True))


def is_due(now: int) -> Any:
    """The condition of a job that a worker should run."""
    return or_(
        and_(jobs.c.status.in_(("pending", "incomplete")), jobs.c.run_after_ms <= now),
        and_(jobs.c.status == "running", jobs.c.lease_until_ms < now),
    )


LOST = {
    "type": "Lost",
    "message": "the worker that ran this job was lost",
    "hint": "Look at its machine: memory, restarts, network.",
}
