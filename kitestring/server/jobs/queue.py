"""The queue: jobs are claimed under a lease, and whoever writes for one names the epoch of its claim.

A worker that was thought dead and is not (a long pause, a lost network) finds its epoch taken, and nothing it still
sends changes anything. All times that machines compare are the store's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from kitestring.errors import ConfigError, KitestringError
from kitestring.server.settings import Settings
from kitestring.server.store import Store
from kitestring.server.store.tables import attempts, connections, jobs, states
from kitestring.types import State

ACTIVE = ("pending", "running", "incomplete")
ENDED = ("succeeded", "suspicious", "failed", "cancelled")
BACKOFF_S = (10.0, 60.0, 300.0)


class Lost(KitestringError):
    """The claim is no longer ours: another worker has taken the job over, or it has ended."""


class Busy(ConfigError):
    """The connection has a job already; `fields["job_id"]` says which."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A job that a worker runs, under the epoch of its claim."""

    job_id: int
    epoch: int
    attempt: int
    connection_id: str
    workspace_id: str
    source_id: str
    kind: str
    options: Mapping[str, Any]


class Queue:
    """The jobs of a store."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self.store = store
        self.settings = settings

    # -- asking for work -----------------------------------------------------------------------------------------------

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
        """A new pending job, in the caller's transaction; its id. `Busy` while the connection has one already."""
        found = db.execute(
            select(connections.c.workspace_id, connections.c.source_id).where(
                connections.c.id == connection_id, connections.c.deleted_at_ms.is_(None)
            )
        ).one_or_none()
        if found is None:
            raise ConfigError(f"there is no connection {connection_id}", hint="List the connections.")
        now = self.store.now_ms(db)
        values = {
            "workspace_id": found.workspace_id,
            "connection_id": connection_id,
            "source_id": found.source_id,
            "kind": kind,
            "status": "pending",
            "cause": cause,
            "options": dict(options or {}),
            "attempts": 0,
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
                return int(db.execute(insert(jobs).values(values)).inserted_primary_key[0])  # type: ignore[index]
        except IntegrityError:
            held = self.active(db, connection_id)
            raise Busy(
                f"the connection {connection_id} has a job already: {held}",
                hint="Wait until it has ended, or cancel it.",
                job_id=held,
                connection_id=connection_id,
            ) from None

    def active(self, db: Connection, connection_id: str) -> int | None:
        """The job of a connection that has not ended, if there is one."""
        return db.execute(
            select(jobs.c.id).where(jobs.c.connection_id == connection_id, jobs.c.status.in_(ACTIVE))
        ).scalar_one_or_none()

    def cancel(self, db: Connection, job_id: int) -> str:
        """Ask a job to stop: at once where nothing runs, else at its next checkpoint. Returns its status then."""
        now = self.store.now_ms(db)
        waits = jobs.c.status.in_(("pending", "incomplete"))
        db.execute(
            update(jobs)
            .where(jobs.c.id == job_id, waits)
            .values(status="cancelled", cancel=True, ended_at_ms=now, updated_at_ms=now, epoch=jobs.c.epoch + 1)
        )
        db.execute(
            update(jobs).where(jobs.c.id == job_id, jobs.c.status == "running").values(cancel=True, updated_at_ms=now)
        )
        return str(db.execute(select(jobs.c.status).where(jobs.c.id == job_id)).scalar_one())

    # -- working -------------------------------------------------------------------------------------------------------

    def claim(self, worker: str) -> Claim | None:
        """The next job that is due, now ours under a lease; None when there is none.

        A running job whose lease has run out counts as due: its worker is dead or cut off. Its attempt is closed as
        `lost`, and it is run again at once, from its last checkpoint.
        """
        with self.store.write() as db:
            now = self.store.now_ms(db)
            due = or_(
                and_(jobs.c.status.in_(("pending", "incomplete")), jobs.c.run_after_ms <= now),
                and_(jobs.c.status == "running", jobs.c.lease_until_ms < now),
            )
            wanted = (
                select(jobs).where(due, *self._within_limits(now)).order_by(jobs.c.run_after_ms, jobs.c.id).limit(1)
            )
            row = db.execute(wanted.with_for_update(skip_locked=True)).one_or_none()
            if row is None:
                return None
            if row.status == "running":
                self._lose(db, row, now)
                if row.cancel:
                    self._end(db, row, "cancelled", None, now)
                    return None
                if row.attempts >= row.most_attempts:
                    self._end(db, row, "failed", LOST, now)
                    return None
            epoch, number = row.epoch + 1, row.attempts + 1
            db.execute(
                update(jobs)
                .where(jobs.c.id == row.id)
                .values(
                    status="running",
                    worker=worker,
                    epoch=epoch,
                    attempts=number,
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
            return Claim(
                row.id, epoch, number, row.connection_id, row.workspace_id, row.source_id, row.kind, row.options
            )

    def heartbeat(self, claim: Claim, progress: Mapping[str, Any] | None = None) -> bool:
        """Extend the lease and keep the progress; True when the job was asked to stop. `Lost` when it is not ours."""
        with self.store.write() as db:
            now = self.store.now_ms(db)
            self._ours(
                db,
                claim,
                {"lease_until_ms": now + int(self.settings.lease_s * 1000), "updated_at_ms": now},
            )
            if progress is not None:
                db.execute(update(attempts).where(*_attempt(claim)).values(progress=dict(progress)))
            return bool(db.execute(select(jobs.c.cancel).where(jobs.c.id == claim.job_id)).scalar_one())

    def save_state(self, claim: Claim, stream: str, state: State | None) -> None:
        """Keep (or with None remove) a stream's state, if the job is still ours. `Lost` otherwise."""
        with self.store.write() as db:
            now = self.store.now_ms(db)
            self._ours(db, claim, {"updated_at_ms": now})
            keep_state(db, claim.connection_id, stream, state, now)

    def finish(
        self,
        claim: Claim,
        status: str,
        *,
        streams: Mapping[str, Any] | None = None,
        error: Mapping[str, Any] | None = None,
        retry: bool = False,
        retry_after_s: float | None = None,
    ) -> str:
        """End the attempt; the job's status then: `incomplete` when it will be tried again. `Lost` when it is not ours.

        `status` is succeeded, suspicious, failed or cancelled; `retry` says that a later attempt may do better.
        """
        figures = list((streams or {}).values())
        with self.store.write() as db:
            now = self.store.now_ms(db)
            self._ours(db, claim, {"updated_at_ms": now})
            row = db.execute(select(jobs).where(jobs.c.id == claim.job_id)).one()
            db.execute(
                update(attempts)
                .where(*_attempt(claim))
                .values(
                    status=status,
                    ended_at_ms=now,
                    streams=dict(streams) if streams is not None else None,
                    error=dict(error) if error is not None else None,
                )
            )
            db.execute(
                update(jobs)
                .where(jobs.c.id == claim.job_id)
                .values(
                    records=jobs.c.records + sum(int(one.get("read", 0)) for one in figures),
                    nbytes=jobs.c.nbytes + sum(int(one.get("bytes", 0)) for one in figures),
                )
            )
            if status == "failed" and retry and not row.cancel and row.attempts < row.most_attempts:
                wait_s = retry_after_s or BACKOFF_S[min(row.attempts, len(BACKOFF_S)) - 1]
                db.execute(
                    update(jobs)
                    .where(jobs.c.id == claim.job_id)
                    .values(
                        status="incomplete",
                        worker=None,
                        lease_until_ms=None,
                        run_after_ms=now + int(wait_s * 1000),
                        error=dict(error or {}),
                    )
                )
                return "incomplete"
            self._end(db, row, status, error, now)
            return status

    # -- inside --------------------------------------------------------------------------------------------------------

    def _ours(self, db: Connection, claim: Claim, values: Mapping[str, Any]) -> None:
        done = db.execute(
            update(jobs)
            .where(jobs.c.id == claim.job_id, jobs.c.epoch == claim.epoch, jobs.c.status == "running")
            .values(**values)
        )
        if done.rowcount != 1:
            raise Lost(
                f"job {claim.job_id} is no longer run by the claim {claim.epoch}",
                hint="Another worker has taken it over, or it has ended.",
                job_id=claim.job_id,
            )

    def _within_limits(self, now: int) -> list[Any]:
        """Conditions that leave out jobs whose workspace or source has its limit of running jobs."""
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

    def _lose(self, db: Connection, row: Any, now: int) -> None:
        db.execute(
            update(attempts)
            .where(attempts.c.job_id == row.id, attempts.c.number == row.attempts, attempts.c.status == "running")
            .values(status="lost", ended_at_ms=now, error=LOST)
        )

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


LOST = {
    "type": "Lost",
    "message": "the worker that ran this job went away",
    "hint": "Look at its machine: memory, restarts, network.",
}


def keep_state(db: Connection, connection_id: str, stream: str, state: State | None, now: int) -> None:
    """Put a state in the place of the one before; None removes it."""
    here = (states.c.connection_id == connection_id, states.c.stream == stream)
    if state is None:
        db.execute(states.delete().where(*here))
        return
    if not db.execute(update(states).where(*here).values(state=state, saved_at_ms=now)).rowcount:
        db.execute(insert(states).values(connection_id=connection_id, stream=stream, state=state, saved_at_ms=now))


def _attempt(claim: Claim) -> tuple[Any, ...]:
    return (attempts.c.job_id == claim.job_id, attempts.c.number == claim.attempt)
