"""The audit log: who changed what, and when."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel
from sqlalchemy import Select, select

from kitestring.server.auth.access import Admin, ServerContext
from kitestring.server.auth.principal import Principal, Role
from kitestring.server.auth.resources import canonical
from kitestring.server.clock import iso
from kitestring.server.observability.audit_subjects import subjects
from kitestring.server.store.tables import audit

router = APIRouter(prefix="/audit", tags=["audit"])
LATEST_MS = 2**53
Moment = Annotated[int | None, Query(ge=0, le=LATEST_MS, description="In UTC milliseconds.")]


class AuditEntry(BaseModel):
    """An entry. `subject` is the name of the resource (of a job: of its connection; of a permission: of its user), and
    `detail` a tag, a stream, a role or a kind of job; `linkKind` and `linkId` name the page that shows it."""

    id: int
    at: str
    actor: str
    action: str
    kind: str
    resourceId: str
    workspaceId: str | None
    subject: str
    detail: str
    linkKind: Literal["source", "destination", "connection", "job", "builder_project"] | None
    linkId: str | None
    changes: dict[str, list[Any]]
    """By field, the values before and after; secrets are masked."""


class AuditEntries(BaseModel):
    data: list[AuditEntry]
    next: int | None
    """The value of `before` for older entries; null without any."""


class AuditActors(BaseModel):
    """Who has entries: users, applications and programs."""

    data: list[str]


@router.get("", operation_id="listAudit", response_model=AuditEntries)
def list_audit(
    caller: Admin,
    context: ServerContext,
    workspaceId: str | None = None,
    kind: str | None = None,
    resourceId: str | None = None,
    actor: str | None = None,
    action: str | None = None,
    sinceMs: Moment = None,
    untilMs: Moment = None,
    before: Annotated[int | None, Query(ge=1, le=LATEST_MS)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> Any:
    """Entries of the workspaces that the caller administers, newest first. An admin of the server sees all."""
    query = visible_entries(select(audit), caller, workspaceId).order_by(audit.c.id.desc()).limit(limit + 1)
    columns = (audit.c.kind, audit.c.resource_id, audit.c.actor, audit.c.action)
    for column, value in zip(columns, (kind, resourceId, actor, action), strict=True):
        if value:
            query = query.where(column == value)
    if sinceMs is not None:
        query = query.where(audit.c.at_ms >= sinceMs)
    if untilMs is not None:
        query = query.where(audit.c.at_ms < untilMs)
    if before:
        query = query.where(audit.c.id < before)
    with context.store.read() as db:
        rows = list(db.execute(query))
        page = rows[:limit]
        described = subjects(db, page)
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
                **subject,
                "changes": row.changes,
            }
            for row, subject in zip(page, described, strict=True)
        ],
        "next": page[-1].id if len(rows) > limit else None,
    }


@router.get("/actors", operation_id="listAuditActors", response_model=AuditActors)
def list_actors(caller: Admin, context: ServerContext, workspaceId: str | None = None) -> Any:
    """Who has entries in the audit log, by name."""
    query = visible_entries(select(audit.c.actor), caller, workspaceId).distinct().order_by(audit.c.actor)
    with context.store.read() as db:
        return {"data": list(db.execute(query).scalars())}


def visible_entries(query: Select[Any], caller: Principal, workspace_id: str | None) -> Select[Any]:
    visible_ids = caller.workspaces(Role.admin)
    if visible_ids is not None:
        query = query.where(audit.c.workspace_id.in_(visible_ids))
    if workspace_id:
        query = query.where(audit.c.workspace_id == canonical(workspace_id))
    return query
