"""The job queue: jobs are claimed under a lease, and every write for a job names the epoch of its claim.

A worker that was taken for dead and is not (a long pause, a lost network) finds a newer epoch, and nothing it still
writes has an effect. All times that machines compare are the store's.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from sqlalchemy import Connection, and_, case, func, insert, or_, select, text, update
from sqlalchemy.exc import IntegrityError

from kitestring.errors import ConfigError, KitestringError
from kitestring.server.jobs.figures import (
    completed_streams,
    delivered_bytes,
    delivered_records,
    figures_of_lost,
    records_written,
)
from kitestring.server.jobs.signals import JobSignals
from kitestring.server.observability import totals
from kitestring.server.settings import Settings
from kitestring.server.store import Store
from kitestring.server.store.tables import attempts, connections, jobs, states
from kitestring.types import COUNTS, GLOBAL, State

ACTIVE = ("pending", "running", "incomplete")
ENDED = ("succeeded", "suspicious", "failed", "cancelled")
BACKOFF_S = (10.0, 60.0, 300.0)
PARTIAL = 20
"""How many failed attempts a job may have beyond those in a row: attempts that saved something before they failed."""
LOST_IN_ROW = 10
"""A job ends after so many lost workers in a row without progress: most likely the job kills them."""
# Written out, so that the database can use the partial indexes.
IS_ACTIVE = text("jobs.status IN ('pending', 'running', 'incomplete')")

JobEndListener: TypeAlias = Callable[[Connection, int, str], None]
"""Called with the id and the status of a job that has ended, in the transaction that ends it."""


class Lost(KitestringError):
    """The claim is no longer valid: another worker has taken over the job, or it has ended."""


class Busy(ConfigError):
    """The connection has a job already: `fields["job_id"]`."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A job that a worker runs, with the epoch of its claim."""

    job_id: int
    epoch: int
    attempt: int
    connection_id: str
    workspace_id: str
    source_id: str
    kind: str
    options: Mapping[str, Any] = field(compare=False)


class Queue:
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
            select(connections.c.workspace_id, connections.c.source_id).where(
                connections.c.id == connection_id, connections.c.deleted_at_ms.is_(None)
            )
        ).one_or_none()
        if connection is None:
            raise ConfigError(f"there is no connection {connection_id}", hint="List the connections.")
        now = self.store.now_ms(db)
        values = {
            "workspace_id": connection.workspace_id,
            "connection_id": connection_id,
            "source_id": connection.source_id,
            "kind": kind,
            "status": "pending",
            "cause": cause,
            "options": dict(options or {}),
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
        return str(db.execute(select(jobs.c.status).where(jobs.c.id == job_id)).scalar_one())

    # -- working -------------------------------------------------------------------------------------------------------

    def claim(self, worker: str, mine: Collection[int] = ()) -> Claim | None:
        """Claim the next due job under a lease; None if there is none.

        A running job whose lease has run out is due: its worker is dead or cut off. Its attempt is closed as `lost`,
        and the job runs again at once, from its last checkpoint. `mine` are the jobs that this worker still runs: none
        of them is claimed a second time, whatever a clock that jumped says.
        """
        if not self._any_due():  # this query takes no lock
            return None
        while True:
            with self.store.write() as db:
                now = self.store.now_ms(db)
                query = (
                    select(jobs)
                    .where(IS_ACTIVE, is_due(now), jobs.c.id.not_in(list(mine)), *self._within_limits(now))
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
        return Claim(row.id, epoch, number, row.connection_id, row.workspace_id, row.source_id, row.kind, row.options)

    def heartbeat(self, claim: Claim, progress: Mapping[str, Any] | None = None) -> bool:
        """Extend the lease and save the progress; True if the job is to stop. `Lost` if the claim is not valid."""
        renewed = self.heartbeats({claim: progress})
        if claim not in renewed:
            raise claim_lost(claim)
        return renewed[claim]

    def heartbeats(self, running: Mapping[Claim, Mapping[str, Any] | None]) -> dict[Claim, bool]:
        """The same for several claims: whether each is to stop. Claims that are no longer valid are left out."""
        renewed: dict[Claim, bool] = {}
        with self.store.write() as db:
            now = self.store.now_ms(db)
            # The same order everywhere avoids deadlocks between workers.
            for claim in sorted(running, key=lambda claim: claim.job_id):
                values = {"lease_until_ms": now + int(self.settings.lease_s * 1000), "updated_at_ms": now}
                if not self._touch(db, claim, values):
                    continue
                progress = running[claim]
                if progress is not None:
                    db.execute(update(attempts).where(*_attempt(claim)).values(progress=dict(progress)))
                renewed[claim] = bool(db.execute(select(jobs.c.cancel).where(jobs.c.id == claim.job_id)).scalar_one())
        return renewed

    def cancel_requested(self, job_ids: Collection[int]) -> set[int]:
        """Which of these jobs are to stop."""
        with self.store.read() as db:
            query = select(jobs.c.id).where(jobs.c.id.in_(list(job_ids)), jobs.c.cancel)
            return set(db.execute(query).scalars())

    def states(self, connection_id: str) -> dict[str, State]:
        """The saved states of a connection by stream."""
        with self.store.read() as db:
            return self._states(db, connection_id)

    def counts_of_other_connections(self, connection_id: str) -> dict[str, State]:
        """The engine's counts (`COUNTS`) of the other connections that write to the same destination."""
        with self.store.read() as db:
            place = select(connections.c.destination_id).where(connections.c.id == connection_id).scalar_subquery()
            rows = db.execute(
                select(states.c.connection_id, states.c.state)
                .join(connections, connections.c.id == states.c.connection_id)
                .where(connections.c.destination_id == place, connections.c.id != connection_id)
                .where(states.c.stream == COUNTS)
            )
            return {row.connection_id: row.state for row in rows}

    def completed_streams(self, job_id: int) -> dict[str, str]:
        """The streams that earlier attempts of a job completed, by status: succeeded or suspicious."""
        with self.store.read() as db:
            rows = db.execute(select(attempts.c.streams).where(attempts.c.job_id == job_id).order_by(attempts.c.number))
            return {key: how for (streams,) in rows for key, how in completed_streams(streams or {}).items()}

    def save(
        self, claim: Claim, new_states: Mapping[str, State | None], figures: Mapping[str, Mapping[str, Any]]
    ) -> None:
        """Save (or with None remove) states by stream together with the figures they cover. `Lost` if the claim is not
        valid.

        `figures` are those of `engine.Coverage.take` for the whole attempt; the job's records grow by the difference.
        One transaction keeps states and figures consistent, whatever is killed when.
        """
        with self.store.write() as db:
            now = self.store.now_ms(db)
            self._require_claim(db, claim, {"updated_at_ms": now})
            row = db.execute(select(attempts.c.durable, attempts.c.moved).where(*_attempt(claim))).one()
            before: dict[str, Any] = row.durable or {}
            after = {**before, **figures}
            moved = row.moved or delivered_records(after) > 0 or bool(completed_streams(after))
            for stream, state in sorted(new_states.items()):
                changed = save_state(db, claim.connection_id, stream, state, now)
                moved = moved or (changed and stream != COUNTS)
            if figures or moved is not row.moved:
                db.execute(update(attempts).where(*_attempt(claim)).values(durable=after, moved=moved))
            if figures:
                growth = {
                    "records": jobs.c.records + delivered_records(after) - delivered_records(before),
                    "nbytes": jobs.c.nbytes + delivered_bytes(after) - delivered_bytes(before),
                }
                db.execute(update(jobs).where(jobs.c.id == claim.job_id).values(growth))

    def forget(self, claim: Claim, streams: Collection[str] | None) -> dict[str, State]:
        """Remove the states of these streams (None: all), once per job; returns the remaining states.

        A later attempt of the job continues from what earlier ones saved since. `Lost` if the claim is not valid.
        """
        with self.store.write() as db:
            now = self.store.now_ms(db)
            self._require_claim(db, claim, {"updated_at_ms": now})
            options = dict(db.execute(select(jobs.c.options).where(jobs.c.id == claim.job_id)).scalar_one())
            stored = self._states(db, claim.connection_id)
            if options.get("forgotten"):
                return stored
            for stream in list(stored) if streams is None else [stream for stream in streams if stream in stored]:
                save_state(db, claim.connection_id, stream, None, now)
                del stored[stream]
            shared = stored.get(GLOBAL)
            if streams is not None and shared is not None:
                shared_left = without(shared, streams)
                if shared_left != shared:
                    save_state(db, claim.connection_id, GLOBAL, shared_left, now)
                    stored[GLOBAL] = shared_left
            db.execute(update(jobs).where(jobs.c.id == claim.job_id).values(options={**options, "forgotten": True}))
            return stored

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
                moved = db.execute(select(attempts.c.moved).where(*_attempt(claim))).scalar_one()
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

    def _states(self, db: Connection, connection_id: str) -> dict[str, State]:
        rows = db.execute(select(states.c.stream, states.c.state).where(states.c.connection_id == connection_id))
        return {row.stream: row.state for row in rows}

    def _touch(self, db: Connection, claim: Claim, values: Mapping[str, Any]) -> bool:
        done = db.execute(
            update(jobs)
            .where(jobs.c.id == claim.job_id, jobs.c.epoch == claim.epoch, jobs.c.status == "running")
            .values(**values)
        )
        return done.rowcount == 1

    def _require_claim(self, db: Connection, claim: Claim, values: Mapping[str, Any]) -> None:
        if not self._touch(db, claim, values):
            raise claim_lost(claim)

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
        self._require_claim(db, claim, {"updated_at_ms": now})
        row = db.execute(select(jobs).where(jobs.c.id == claim.job_id)).one()
        values: dict[str, Any] = {"status": status, "ended_at_ms": now}
        if streams is not None:
            values["streams"] = dict(streams)
        if error is not None:
            values["error"] = dict(error)
        if progress is not None:
            values["progress"] = dict(progress)
        db.execute(update(attempts).where(*_attempt(claim)).values(values))
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
                    )
                    .scalar_subquery()
                )
                conditions.append(running < limit)
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
            db.execute(
                update(attempts).where(*is_last).values(**values, streams=figures_of_lost(last.durable, last.progress))
            )
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
        self.signals.send(db)  # a limit of running jobs may be free now

    def _notify_end(self, db: Connection, job_id: int, status: str) -> None:
        for listener in self.on_end:
            listener(db, job_id, status)
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


def claim_lost(claim: Claim) -> Lost:
    return Lost(
        f"the claim {claim.epoch} of job {claim.job_id} is no longer valid",
        hint="Another worker has taken over the job, or it has ended.",
        job_id=claim.job_id,
    )


LOST = {
    "type": "Lost",
    "message": "the worker that ran this job was lost",
    "hint": "Look at its machine: memory, restarts, network.",
}


def save_state(db: Connection, connection_id: str, stream: str, state: State | None, now: int) -> bool:
    """Save a state, or remove it with None; returns whether it changed."""
    is_state = (states.c.connection_id == connection_id, states.c.stream == stream)
    before = db.execute(select(states.c.state).where(*is_state)).one_or_none()
    if state is None:
        db.execute(states.delete().where(*is_state))
    elif before is not None:
        db.execute(update(states).where(*is_state).values(state=state, saved_at_ms=now))
    else:
        db.execute(insert(states).values(connection_id=connection_id, stream=stream, state=state, saved_at_ms=now))
    return before is None or before.state != state


def without(shared: State, streams: Collection[str]) -> State:
    """A global state of Airbyte's connectors without the parts of these streams."""
    inner = shared.get("global")
    if not isinstance(inner, Mapping) or not isinstance(inner.get("stream_states"), list):
        return shared

    def key(stream_state: Any) -> str:
        named = stream_state.get("stream_descriptor") or {}
        return f"{named['namespace']}.{named.get('name')}" if named.get("namespace") else str(named.get("name"))

    return {
        **shared,
        "global": {**inner, "stream_states": [s for s in inner["stream_states"] if key(s) not in streams]},
    }


def _attempt(claim: Claim) -> tuple[Any, ...]:
    return (attempts.c.job_id == claim.job_id, attempts.c.number == claim.attempt)
