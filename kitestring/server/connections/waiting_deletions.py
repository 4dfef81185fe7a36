"""Deletions that wait: a listing of the source lacked many records, and nobody has said yet that this is true."""

from __future__ import annotations

from sqlalchemy import Connection, select

from kitestring.engine.count_baseline import LISTINGS, accepted_state
from kitestring.server.connections.states import check_idle
from kitestring.server.context import Context
from kitestring.server.http.problem import Problem
from kitestring.server.jobs.job_states import save_state
from kitestring.server.store.tables import states
from kitestring.types import COUNTS, State


def waiting(db: Connection, connection_id: str) -> dict[str, dict[str, int]]:
    """By stream: how many of its records the source did not list, where that waits for a second listing or a word of
    the user."""
    listings = counts_of(db, connection_id).get(LISTINGS) or {}
    return {
        key: {"missing": int(note.get("missing") or 0), "held": int(note.get("held") or 0)}
        for key, note in sorted(listings.items())
        if "missing_keys" in note and not note.get("accepted")
    }


def accept(context: Context, db: Connection, connection_id: str) -> None:
    """The next sync deletes what the source does not list. `Problem` 409 while a job runs, or if nothing waits."""
    check_idle(context, db, connection_id)
    if not waiting(db, connection_id):
        raise Problem(409, "no deletion of this connection waits", hint="There is nothing to accept.")
    save_state(db, connection_id, COUNTS, accepted_state(counts_of(db, connection_id)), context.store.now_ms(db))


def counts_of(db: Connection, connection_id: str) -> State:
    row = db.execute(
        select(states.c.state).where(states.c.connection_id == connection_id, states.c.stream == COUNTS)
    ).one_or_none()
    return {} if row is None else dict(row.state)
