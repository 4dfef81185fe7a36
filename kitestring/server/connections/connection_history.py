"""The history of a connection: its jobs by day, its last jobs, and the changes by people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Text, cast, func, or_, select

from kitestring.server.clock import now_ms
from kitestring.server.connections import condition, schedule
from kitestring.server.store.tables import audit, connections, jobs

DAYS = 30
DAY_MS = 86_400_000
MOST_JOBS = 20
MOST_CHANGES = 30
KINDS = ("connection", "state", "connection_tag", "schema_change")
LEFT_OUT = frozenset({"catalog", "pending_changes", "id", "workspace_id", "origin", "failures", "status_reason"})
"""Columns that no person sets by hand."""
DATA = ("sync", "refresh")


def days(db: Connection, connection_id: str, offset_min: int) -> list[dict[str, Any]]:
    """The jobs of the last 30 days by day and status. A day begins at midnight, `offset_min` minutes east of UTC."""
    shift = offset_min * 60_000
    first = (now_ms() + shift) // DAY_MS - DAYS + 1
    day = (jobs.c.created_at_ms + shift) // DAY_MS
    rows = db.execute(
        select(
            day.label("day"),
            jobs.c.status,
            func.count().label("jobs"),
            func.sum(jobs.c.records).label("records"),
            func.max(jobs.c.id).label("last"),
        )
        .where(jobs.c.connection_id == connection_id, jobs.c.created_at_ms >= first * DAY_MS - shift)
        .group_by(day, jobs.c.status)
        .order_by(day, jobs.c.status)
    )
    return [
        {
            "atMs": int(row.day) * DAY_MS - shift,
            "status": row.status,
            "jobs": row.jobs,
            "records": int(row.records or 0),
            "lastJobId": row.last,
        }
        for row in rows
    ]


def last_jobs(db: Connection, connection_id: str) -> list[Any]:
    """The newest jobs."""
    query = select(jobs).where(jobs.c.connection_id == connection_id).order_by(jobs.c.id.desc()).limit(MOST_JOBS)
    return list(db.execute(query))


def fresh_at_ms(db: Connection, connection_id: str) -> int | None:
    """The moment up to which the destination is known to be right."""
    query = select(condition.fresh_at()).where(connections.c.id == connection_id)
    moment: int | None = db.execute(query).scalar_one()
    return moment


def interval_ms(timing: Mapping[str, Any]) -> int | None:
    """The time between two runs of a schedule: the next two. None for a manual one."""
    first = schedule.next_ms(timing, now_ms())
    second = None if first is None else schedule.next_ms(timing, first)
    return None if first is None or second is None else second - first


def changes(db: Connection, connection_id: str) -> list[dict[str, Any]]:
    """The newest changes of the connection, its states and tags by people, and decisions on its schema.

    Another version of the source's connector is a change of the connection: its next sync reads with it.
    """
    own = (audit.c.resource_id == connection_id) & audit.c.kind.in_(KINDS)
    source = select(connections.c.source_id, connections.c.created_at_ms).where(connections.c.id == connection_id)
    upgraded = [
        (audit.c.resource_id == row.source_id)
        & (audit.c.kind == "source")
        & (audit.c.at_ms >= row.created_at_ms)
        & cast(audit.c.changes, Text).like('%"connector_version"%')
        for row in db.execute(source)
    ]
    rows = db.execute(select(audit).where(or_(own, *upgraded)).order_by(audit.c.id.desc()).limit(MOST_CHANGES))
    entries = []
    for row in rows:
        if row.kind == "source":
            before, after = (row.changes or {}).get("connector_version", (None, None))
            # A source that followed the newest version until then is only pinned to it.
            if before is not None and after is not None:
                field = {"name": "connector_version", "before": before, "after": after}
                entry = {"atMs": row.at_ms, "actor": row.actor, "action": "update", "kind": "connection"}
                entries.append({**entry, "fields": [field], "sentence": ""})
            continue
        fields = changed_fields(row.changes or {})
        if row.kind == "connection" and row.action == "update" and not fields:
            continue
        entries.append(
            {
                "atMs": row.at_ms,
                "actor": row.actor,
                "action": row.action,
                "kind": row.kind,
                "fields": [] if row.action == "create" else fields,
                "sentence": str((row.changes or {}).get("schema", [None, ""])[1] or ""),
            }
        )
    return entries


def changed_fields(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The changed settings of an entry of the audit log: those with one value with both, the others by name."""
    fields: dict[str, dict[str, Any]] = {}
    for path, (before, after) in values.items():
        name = path.split(".")[0]
        if name in LEFT_OUT or name == "schema":
            continue
        plain = path == name and all(isinstance(value, str | int | float | None) for value in (before, after))
        fields.setdefault(name, {"name": name, **({"before": before, "after": after} if plain else {})})
    return list(fields.values())
