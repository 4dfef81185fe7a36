"""Usage: what the connections of a workspace moved and cost, by month or by day."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query

from kitestring.server.api.airbyte_public.page import Ids, visible
from kitestring.server.api.response_models import ResponseModel, responses_for
from kitestring.server.auth.access import Reader, ServerContext
from kitestring.server.observability import consumption

router = APIRouter(tags=["usage"])
Day = Annotated[str, Query(pattern=r"^\d{4}-\d{2}-\d{2}$", description="A day in UTC: `2026-11-29`.")]


class ConnectionUsage(ResponseModel):
    """The data and costs of the jobs of a connection that ended in a period (`2026-11` or `2026-11-29`).

    `name` is null if the connection is gone. `unpricedTokens` are of models whose price is not known: they are not in
    `costUsd`."""

    connectionId: UUID
    workspaceId: UUID
    name: str | None
    deleted: bool
    period: str
    jobs: int
    failed: int
    read: int
    written: int
    bytes: int
    chunks: int
    tokens: int
    unpricedTokens: int
    costUsd: float


class UsageRead(ResponseModel):
    """Usage, oldest period first."""

    data: list[ConnectionUsage]


@router.get("/usage", operation_id="getUsage", responses=responses_for(UsageRead))
def get_usage(
    caller: Reader,
    context: ServerContext,
    first: Annotated[Day, Query(alias="from")],
    last: Annotated[Day, Query(alias="to")],
    by: Literal["month", "day"] = "month",
    workspaceIds: Ids = None,
) -> Any:
    """The sums of each connection in each period, from and to these days. A job counts when it has ended."""
    allowed = visible(caller.workspaces(), workspaceIds)
    with context.store.read() as db:
        rows = consumption.by_period(db, allowed, first, last, monthly=by == "month")
    return {
        "data": [
            {
                "connectionId": row.connection_id,
                "workspaceId": row.workspace_id,
                "name": row.name,
                "deleted": row.name is None or row.deleted_at_ms is not None,
                "period": row.period,
                "jobs": row.jobs,
                "failed": row.failed,
                "read": row.read,
                "written": row.written,
                "bytes": row.bytes,
                "chunks": row.chunks,
                "tokens": row.tokens,
                "unpricedTokens": row.unpriced_tokens,
                "costUsd": row.cost_usd,
            }
            for row in rows
        ]
    }
