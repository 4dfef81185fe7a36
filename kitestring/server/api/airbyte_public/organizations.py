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
def listed(who: Reader, context: ServerContext) -> Any:
    """The organizations of the workspaces that whoever asks can see."""
    wanted = select(organizations).order_by(organizations.c.created_at_ms, organizations.c.id)
    allowed = who.workspaces()
    if allowed is not None:
        seen = select(workspaces.c.organization_id).where(workspaces.c.id.in_(allowed))
        wanted = wanted.where(organizations.c.id.in_(seen) | organizations.c.id.in_(list(who.organizations)))
    with context.store.read() as db:
        rows = list(db.execute(wanted))
    return {"data": [{"organizationId": one.id, "organizationName": one.name, "email": one.email} for one in rows]}
