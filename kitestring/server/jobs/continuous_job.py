"""Continuous jobs in the store: their windows, their rollover, and the job that waits behind one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, select, update

from kitestring.server.jobs.claim import Claim, require
from kitestring.server.jobs.queue import IS_ACTIVE, Queue
from kitestring.server.notifications.outbox import enqueue_notice
from kitestring.server.store.tables import connections, jobs

MOST_REASONS = 5
NO_WINDOWS: Mapping[str, Any] = {"ended": 0, "suspicious": 0, "good_at_ms": None, "reasons": []}


def left_s(queue: Queue, claim: Claim, lasts_s: float) -> float:
    """The seconds until a job has lasted so long since its first attempt began."""
    with queue.store.read() as db:
        began: int = db.execute(select(jobs.c.started_at_ms).where(jobs.c.id == claim.job_id)).scalar_one()
        return max(0.0, lasts_s - (queue.store.now_ms(db) - began) / 1000)


def end_window(queue: Queue, claim: Claim, window: Mapping[str, Any]) -> None:
    """Note the end of a window: its `status` and `suspicions`. The first that is suspicious is notified. `Lost` if the
    claim is not valid."""
    doubts, is_suspicious = list(window["suspicions"]), window["status"] == "suspicious"
    with queue.store.write() as db:
        now = queue.store.now_ms(db)
        require(db, claim, {"updated_at_ms": now})
        options = dict(db.execute(select(jobs.c.options).where(jobs.c.id == claim.job_id)).scalar_one())
        before = options.get("windows") or NO_WINDOWS
        options["windows"] = {
            "ended": before["ended"] + 1,
            "suspicious": before["suspicious"] + is_suspicious,
            "ended_at_ms": now,
            "good_at_ms": now if window["status"] == "succeeded" else before["good_at_ms"],
            "reasons": before["reasons"] or doubts[:MOST_REASONS],
        }
        db.execute(update(jobs).where(jobs.c.id == claim.job_id).values(options=options))
        if is_suspicious and not before["suspicious"]:
            notify(db, claim, doubts, now)
        queue.signals.changed(db, claim.job_id)


def notify(db: Connection, claim: Claim, doubts: Sequence[str], now: int) -> None:
    name = db.execute(select(connections.c.name).where(connections.c.id == claim.connection_id)).scalar_one()
    sentence = f"A window of {name} (job {claim.job_id}) is suspicious, and the job goes on: {'; '.join(doubts[:3])}"
    facts = {"job_id": claim.job_id, "connection_id": claim.connection_id, "connection": name, "kind": claim.kind}
    enqueue_notice(db, claim.workspace_id, "suspicious", sentence, now, **facts, status="running")


def was_suspicious(queue: Queue, claim: Claim) -> bool:
    """Whether a window of the job was suspicious, in any attempt."""
    with queue.store.read() as db:
        options = db.execute(select(jobs.c.options).where(jobs.c.id == claim.job_id)).scalar_one()
    return bool((options.get("windows") or NO_WINDOWS)["suspicious"])


def put_behind(queue: Queue, db: Connection, job_id: int, kind: str, options: Mapping[str, Any], cause: str) -> bool:
    """Have a continuous job stop at a checkpoint, and this job follow it. False if it is no such job, or another one
    waits behind it already."""
    # Locked: the end of a window, which counts a suspicious one, changes the options too.
    row = db.execute(select(jobs).where(jobs.c.id == job_id, IS_ACTIVE).with_for_update()).one_or_none()
    if row is None or not row.options.get("continuous") or row.options.get("next") or kind == "sync":
        return False
    behind = {"kind": kind, "options": dict(options), "cause": cause}
    db.execute(update(jobs).where(jobs.c.id == job_id).values(options={**row.options, "next": behind}))
    if row.status != "running":
        queue.cancel(db, job_id)
    return True
