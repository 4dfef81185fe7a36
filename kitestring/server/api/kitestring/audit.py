"""The audit log: who changed what, and when."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel
from sqlalchemy import select

from kitestring.server.auth.access import Admin, ServerContext
from kitestring.server.auth.principal import Role
from kitestring.server.auth.resources import canonical
from kitestring.server.clock import iso
from kitestring.server.store.tables import audit

router = APIRouter(prefix="/audit", tags=["audit"])


class AuditEntry(BaseModel):
    id: int
    at: str
    actor: str
    action: str
    kind: str
    resourceId: str
    workspaceId: str | None
    changes: dict[str, list[Any]]
    """By field, the values before and after; secrets are masked."""


class AuditEntries(BaseModel):
    data: list[AuditEntry]
    next: int | None
    """The value of `before` for older entries; null without any."""


@router.get("", operation_id="listAudit", response_model=AuditEntries)
def list_audit(
    caller: Admin,
    context: ServerContext,
    workspaceId: str | None = None,
    kind: str | None = None,
    resourceId: str | None = None,
    actor: str | None = None,
    before: Annotated[int | None, Query(ge=1, le=2**53)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> Any:
    """Entries of the workspaces that the caller administers, newest first. An admin of the server sees all."""
    query = select(audit).order_by(audit.c.id.desc()).limit(limit + 1)
    visible_ids = caller.workspaces(Role.admin)
    if visible_ids is not None:
        query = query.where(audit.c.workspace_id.in_(visible_ids))
    if workspaceId:
        query = query.where(audit.c.workspace_id == canonical(workspaceId))
    for column, value in ((audit.c.kind, kind), (audit.c.resource_id, resourceId), (audit.c.actor, actor)):
        if value:
            query = query.where(column == value)
    if before:
        query = query.where(audit.c.id < before)
    with context.store.read() as db:
        rows = list(db.execute(query))
    page = rows[:limit]
    return {
        "data": [
            {
                "id": row.id,
                "at": iso(row.at_ms),
                "actor": row.actor,
                "action": row.action,
                "kind": row.kind,
                "resourceId": row.resource_id,
                "workspaceId": row.workspace_id,
                "changes": row.changes,
            }
            for row in page
        ],
        "next": page[-1].id if len(rows) > limit else None,
    }
