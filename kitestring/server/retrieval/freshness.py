"""How fresh the data of a destination are: its last complete sync, and whether a job writes now."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, func, select

from kitestring.server.store.tables import connections, jobs


def freshness_of(db: Connection, destination_id: str) -> dict[str, Any]:
    """`lastSyncAtMs`: when the last sync into the destination ended well, null before the first. `writing`: whether a
    job writes there now."""
    of_destination = (
        select(func.max(jobs.c.ended_at_ms))
        .join(connections, connections.c.id == jobs.c.connection_id)
        .where(connections.c.destination_id == destination_id)
    )
    ended = of_destination.where(jobs.c.status.in_(("succeeded", "suspicious")), jobs.c.kind != "clear")
    running = (
        select(jobs.c.id)
        .join(connections, connections.c.id == jobs.c.connection_id)
        .where(connections.c.destination_id == destination_id, jobs.c.status == "running")
        .limit(1)
    )
    return {"lastSyncAtMs": db.execute(ended).scalar_one(), "writing": db.execute(running).first() is not None}
