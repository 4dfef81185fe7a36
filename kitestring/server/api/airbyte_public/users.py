"""Users of an organization."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel
from sqlalchemy import or_, select

from kitestring.server.auth.access import Reader, ServerContext
from kitestring.server.auth.principal import Role
from kitestring.server.auth.resources import canonical
from kitestring.server.auth.user import INSTANCE_ADMIN
from kitestring.server.store.tables import permissions, users, workspaces

router = APIRouter(tags=["users"])


class UserRead(BaseModel):
    name: str
    id: str
    email: str


class UserList(BaseModel):
    data: list[UserRead]


@router.get("/users", operation_id="listUsersWithinAnOrganization", response_model=UserList)
def list_users(
    organizationId: str,
    caller: Reader,
    context: ServerContext,
    ids: Annotated[list[str] | None, Query()] = None,
    emails: Annotated[list[str] | None, Query()] = None,
) -> Any:
    """Users with a permission in the organization or one of its workspaces, with their e-mail addresses. Needs the
    reader role of the organization. Admins of the instance who have no permission there are listed to each other
    only."""
    organization_id = canonical(organizationId)
    caller.require_organization(organization_id, Role.reader)
    workspace_ids = select(workspaces.c.id).where(workspaces.c.organization_id == organization_id)
    # Airbyte, too, lists the addresses to all members of an organization, and no other users.
    listed = [permissions.c.organization_id == organization_id, permissions.c.workspace_id.in_(workspace_ids)]
    if caller.instance_admin:
        listed.append(permissions.c.permission_type == INSTANCE_ADMIN)
    query = (
        select(users)
        .join(permissions, permissions.c.user_id == users.c.id)
        .where(or_(*listed))
        .distinct()
        .order_by(users.c.email)
    )
    if ids:
        query = query.where(users.c.id.in_([canonical(each) for each in ids]))
    if emails:
        query = query.where(users.c.email.in_([each.strip().lower() for each in emails]))
    with context.store.read() as db:
        return {"data": [{"name": row.name, "id": row.id, "email": row.email} for row in db.execute(query)]}
