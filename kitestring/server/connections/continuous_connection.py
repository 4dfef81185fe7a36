"""Continuous connections: which sources can be followed, and when a new job has to replace the running one."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from kitestring import registry
from kitestring.change_following import FollowsChanges, cannot_follow, follower
from kitestring.errors import ConfigError, KitestringError
from kitestring.json_codec import dumps
from kitestring.server.child.catalog_digest import digest
from kitestring.server.connections import schedule
from kitestring.server.http.problem import Problem
from kitestring.server.store.tables import connections, jobs
from kitestring.types import SyncMode

if TYPE_CHECKING:
    from kitestring.server.context import Context
    from kitestring.server.jobs.connection_plan import Endpoint, Plan, PlanOf

RESTART_MS = 300_000
"""How long after a failed job the next one begins."""


def require_changes(context: Context, plan: Plan) -> None:
    """422 if the source cannot be followed, or a stream is read as a whole."""
    try:
        refuse_to_follow(plan.source)
    except ConfigError as error:
        raise Problem(422, error.message, hint=error.hint) from error
    for selection in plan.selections:
        if selection.sync_mode is not SyncMode.incremental:
            raise Problem(
                422,
                f"the stream {selection.name} is read as a full refresh, a continuous connection reads only changes",
                hint="Choose an incremental sync mode, or put the stream into a connection with another schedule.",
            )


def refuse_to_follow(source: Endpoint) -> None:
    """`ConfigError` if the source cannot follow changes with its configuration."""
    if source.manifest is not None:
        raise cannot_follow(source.connector)
    connector = registry.connector("source", source.connector, files=False)
    has_class = connector.manifest is None and connector.installation is None
    kind: Any = connector.load() if has_class else None
    if kind is None or not issubclass(kind, FollowsChanges):
        raise cannot_follow(connector.facts().title or connector.title())
    follower(kind.load(source.config))


def mark(context: Context, plan_of: PlanOf, connection_id: str) -> str:
    """A text that differs when a continuous job of the connection has to be replaced: with other settings, streams,
    secrets or another connector. Empty when it has to end, because the connection is paused or deleted, has another
    schedule, or another job waits for it."""
    c = connections.c
    with context.store.read() as db:
        row = db.execute(select(c.status, c.schedule, c.deleted_at_ms).where(c.id == connection_id)).one_or_none()
        waiting = db.execute(select(jobs.c.options).where(jobs.c.connection_id == connection_id, is_running()))
        options = waiting.scalars().first() or {}
    if row is None or row.deleted_at_ms is not None or row.status != "active" or options.get("next"):
        return ""
    if not schedule.is_continuous(row.schedule):
        return ""
    try:
        plan = plan_of(context, connection_id)
    except KitestringError:  # the next job says what is wrong
        return ""
    body: Any = [plan.body(), digest(plan.catalog), row.schedule]
    return hashlib.sha256(dumps(body)).hexdigest()


def is_running() -> Any:
    return jobs.c.status == "running"
