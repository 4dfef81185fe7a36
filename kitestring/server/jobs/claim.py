"""The claim of a job by a worker: every write for the job names it, and has no effect after a later claim."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, update

from kitestring.errors import KitestringError
from kitestring.server.store.tables import attempts, jobs


class Lost(KitestringError):
    """The claim is no longer valid: another worker has taken over the job, or it has ended."""


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


def touch(db: Connection, claim: Claim, values: Mapping[str, Any]) -> bool:
    """Change the job while the claim is valid; whether it was."""
    done = db.execute(
        update(jobs)
        .where(jobs.c.id == claim.job_id, jobs.c.epoch == claim.epoch, jobs.c.status == "running")
        .values(**values)
    )
    return done.rowcount == 1


def require(db: Connection, claim: Claim, values: Mapping[str, Any]) -> None:
    """Change the job; `Lost` if the claim is not valid."""
    if not touch(db, claim, values):
        raise lost(claim)


def lost(claim: Claim) -> Lost:
    return Lost(
        f"the claim {claim.epoch} of job {claim.job_id} is no longer valid",
        hint="Another worker has taken over the job, or it has ended.",
        job_id=claim.job_id,
    )


def is_attempt(claim: Claim) -> tuple[Any, ...]:
    """The conditions of the attempt's row."""
    return (attempts.c.job_id == claim.job_id, attempts.c.number == claim.attempt)
