"""The history of a connection for its overview: jobs by day, how old its data is, last jobs, and changes with who."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field

from kitestring.server.api.kitestring.job_responses import JobStatus, JobSummary
from kitestring.server.api.kitestring.jobs import job_summary
from kitestring.server.api.response_models import ResponseModel, responses_for
from kitestring.server.auth.access import Reader, ServerContext
from kitestring.server.auth.principal import Role
from kitestring.server.connections import connection, connection_history

router = APIRouter(tags=["overviews"])


class JobsOfDay(ResponseModel):
    """The jobs that were created on a day and have this status now. `atMs` is the beginning of the day."""

    atMs: int
    status: JobStatus
    jobs: int
    records: int
    lastJobId: int


class ChangedSetting(ResponseModel):
    """A changed setting; with its values where these are a text or a number."""

    name: str
    before: str | int | float | None = None
    after: str | int | float | None = None


class ConnectionChange(ResponseModel):
    """A change of the connection, its tags or states, or (`schema_change`) a decision on the source's schema.
    `actor` is empty for callers who are no editors."""

    atMs: int
    actor: str
    action: str
    kind: Literal["connection", "state", "connection_tag", "schema_change"]
    fields: list[ChangedSetting]
    sentence: str = Field(default_factory=str)


class ConnectionHistory(ResponseModel):
    """`freshAtMs` is the start of the last sync that succeeded, or the end of the last good window: the data is as
    of then. `intervalMs` is the time
    between two scheduled syncs; both are null where there is none."""

    days: list[JobsOfDay]
    freshAtMs: int | None
    intervalMs: int | None
    jobs: list[JobSummary]
    changes: list[ConnectionChange]


@router.get(
    "/connections/{connectionId}/history",
    operation_id="getConnectionHistory",
    responses=responses_for(ConnectionHistory),
)
def get_history(
    caller: Reader,
    context: ServerContext,
    connectionId: UUID,
    offsetMin: Annotated[int, Query(ge=-14 * 60, le=14 * 60, description="Minutes east of UTC: where days begin.")] = 0,
) -> Any:
    """The last 30 days of a connection by day, its newest jobs, and what people changed."""
    key = str(connectionId)
    with context.store.read() as db:
        row = connection.get(db, key)
        changes = connection_history.changes(db, key)
        if not caller.may(row.workspace_id, Role.editor):
            changes = [{**change, "actor": ""} for change in changes]
        return {
            "days": connection_history.days(db, key, offsetMin),
            "freshAtMs": connection_history.fresh_at_ms(db, key),
            "intervalMs": connection_history.interval_ms(row.schedule),
            "jobs": [job_summary(job) for job in connection_history.last_jobs(db, key)],
            "changes": changes,
        }
