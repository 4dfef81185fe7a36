"""Organizations of Airbyte's public API."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from sqlalchemy import select

from kitestring.server.api.airbyte_public.responses import Organizations
from kitestring.server.api.response_models import responses_for
from kitestring.server.auth.access import Reader, ServerContext
from kitestring.server.store.tables import organizations, workspaces

router = APIRouter(prefix="/organizations", tags=["organizations"])


@router.get("", operation_id="listOrganizationsForUser", responses=responses_for(Organizations))
def list_organizations(caller: Reader, context: ServerContext) -> Any:
    """The organizations of the workspaces that the caller can see."""
    query = select(organizations).order_by(organizations.c.created_at_ms, organizations.c.id)
    allowed = caller.workspaces()
    if allowed is not None:
        visible_ids = select(workspaces.c.organization_id).where(workspaces.c.id.in_(allowed))
        query = query.where(organizations.c.id.in_(visible_ids) | organizations.c.id.in_(list(caller.organizations)))
    with context.store.read() as db:
        rows = list(db.execute(query))
    return {"data": [{"organizationId": row.id, "organizationName": row.name, "email": row.email} for row in rows]}
