"""The condition of a connection: what its badge says, in one word, as SQL and so for whole lists.

Work under way has priority, then a decision that a user has to take, then a pause, then the result of the last job.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

from sqlalchemy import ColumnElement, Select, Text, case, cast, func, literal, select

from kitestring.server.jobs.queue import ACTIVE
from kitestring.server.store.tables import connections, jobs

Condition = Literal["running", "deciding", "paused", "failed", "suspicious", "succeeded", "cancelled", "never"]
CONDITIONS: tuple[Condition, ...] = get_args(Condition)
"""Those that need a user's attention are first, after what runs."""

# Changes that were answered leave a JSON null, which is no NULL of SQL.
DECIDING: ColumnElement[bool] = func.coalesce(cast(connections.c.pending_changes, Text), "null") != "null"


def of_last_job(of: Any) -> Any:
    """A column of the newest job of each connection. An index finds the job."""
    query = select(of).where(jobs.c.connection_id == connections.c.id).order_by(jobs.c.id.desc()).limit(1)
    return query.correlate(connections).scalar_subquery()


def of_last_success(of: Any) -> Any:
    """A column of the newest sync that succeeded: suspicious is no success."""
    query = select(of).where(
        jobs.c.connection_id == connections.c.id, jobs.c.status == "succeeded", jobs.c.kind.in_(("sync", "refresh"))
    )
    return query.order_by(jobs.c.id.desc()).limit(1).correlate(connections).scalar_subquery()


def fresh_at() -> Any:
    """The moment up to which the destination is known to be right: the start of the newest sync that succeeded, or the
    end of the newest window of a continuous one that added up."""
    window_end = jobs.c.options[("windows", "good_at_ms")].as_integer()
    running = select(window_end).where(jobs.c.connection_id == connections.c.id, jobs.c.status == "running")
    return func.coalesce(
        running.limit(1).correlate(connections).scalar_subquery(),
        of_last_success(func.coalesce(window_end, jobs.c.started_at_ms)),
    )


def column() -> ColumnElement[str]:
    """The condition of a row of `connections`."""
    last = of_last_job(jobs.c.status)
    return case(
        (last.in_(ACTIVE), literal("running")),
        (DECIDING, literal("deciding")),
        (connections.c.status != "active", literal("paused")),
        else_=func.coalesce(last, "never"),
    )


def rank() -> ColumnElement[int]:
    """The condition as a number to sort by."""
    places = {name: place for place, name in enumerate(CONDITIONS)}
    return case(places, value=column(), else_=len(places))


def with_condition(query: Select[Any], name: Condition | Literal["active"]) -> Select[Any]:
    """Select connections in this condition; `active`: all that are not paused."""
    if name == "active":
        return query.where(connections.c.status == "active")
    return query.where(column() == name)
