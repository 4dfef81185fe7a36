"""The states of a connection, by stream: read them, and replace them while no job runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, select

from kitestring.server.connections import connection
from kitestring.server.context import Context
from kitestring.server.http.problem import Problem
from kitestring.server.jobs.job_states import save_state
from kitestring.server.store.tables import states
from kitestring.types import COUNTS, GLOBAL, State


def load(db: Connection, connection_id: str) -> dict[str, State]:
    """The states by stream, "" for one that all share."""
    rows = db.execute(select(states).where(states.c.connection_id == connection_id).order_by(states.c.stream))
    return {row.stream: row.state for row in rows if row.stream != COUNTS}


def replace(context: Context, db: Connection, connection_id: str, new_states: Mapping[str, State]) -> None:
    """Replace the states of these streams. `Problem` 409 while a job runs, 422 for unknown streams."""
    check_streams(db, connection_id, (stream for stream in new_states if stream != GLOBAL))
    check_idle(context, db, connection_id)
    now = context.store.now_ms(db)
    for stream, state in new_states.items():
        save_state(db, connection_id, stream, state, now)


def forget(context: Context, db: Connection, connection_id: str, streams: Iterable[str] | None = None) -> None:
    """Remove the states of these streams, or all of them: they are read from the beginning. `Problem` 409 while a job
    runs."""
    check_idle(context, db, connection_id)
    deletion = states.delete().where(states.c.connection_id == connection_id)
    db.execute(deletion if streams is None else deletion.where(states.c.stream.in_(list(streams))))


def check_streams(db: Connection, connection_id: str, names: Iterable[str]) -> None:
    """`Problem` 422 for a stream the connection does not have."""
    selected = {connection.key_of(stream) for stream in connection.get(db, connection_id).streams}
    for name in names:
        if name not in selected:
            raise Problem(422, f"the connection has no stream {name}", hint=f"It has: {', '.join(sorted(selected))}.")


def check_idle(context: Context, db: Connection, connection_id: str) -> None:
    """`Problem` 409 while the connection has a job."""
    active = context.queue.active(db, connection_id)
    if active is not None:
        raise Problem(409, f"job {active} of this connection has not ended", hint="Wait for it, or cancel it.")
