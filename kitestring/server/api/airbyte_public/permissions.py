"""Permissions of users in workspaces and organizations, in Airbyte's terms."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response
from pydantic import BaseModel
from sqlalchemy import Connection, select
from sqlalchemy.engine import Row

from kitestring.server.auth import user
from kitestring.server.auth.access import Admin, AnyUser, Reader, ServerContext
from kitestring.server.auth.principal import Role
from kitestring.server.auth.resources import canonical
from kitestring.server.auth.token import NO_USER_ID
from kitestring.server.http.problem import missing_resource
from kitestring.server.store.tables import permissions, workspaces

router = APIRouter(tags=["permissions"])


class PermissionCreate(BaseModel):
    permissionType: str
    userId: str
    workspaceId: str | None = None
    organizationId: str | None = None


class PermissionUpdate(BaseModel):
    permissionType: str


class PermissionRead(BaseModel):
    permissionId: str
    permissionType: str
    userId: str
    workspaceId: str | None = None
    organizationId: str | None = None


class PermissionInList(BaseModel):
    permissionId: str
    permissionType: str
    userId: str
    scopeId: str
    scope: str


class PermissionList(BaseModel):
    data: list[PermissionInList]


@router.get("/permissions", operation_id="listPermissions", response_model=PermissionList)
def list_permissions(
    caller: AnyUser, context: ServerContext, userId: str | None = None, organizationId: str | None = None
) -> Any:
    """A user's permissions: the caller's own, or another user's in what the caller administers."""
    user_id = canonical(userId) if userId else caller.user_id
    with context.store.read() as db:
        rows = user.permissions_of(db, user_id) if user_id else []
        inside: dict[str, str] = {
            row.id: row.organization_id
            for row in db.execute(
                select(workspaces.c.id, workspaces.c.organization_id).where(
                    workspaces.c.id.in_([row.workspace_id for row in rows if row.workspace_id])
                )
            )
        }
    entries = []
    for row in rows:
        organization_id = row.organization_id or inside.get(row.workspace_id)
        if organizationId and organization_id != canonical(organizationId):
            continue
        if row.user_id == caller.user_id or (
            caller.may(row.workspace_id, Role.admin)
            if row.workspace_id
            else caller.may_in_organization(row.organization_id or "", Role.admin)
        ):
            entries.append(listed_permission(row))
    return {"data": entries}


@router.post("/permissions", operation_id="createPermission", response_model=PermissionRead)
def create_permission(body: PermissionCreate, caller: Admin, context: ServerContext) -> Any:
    """Give a user a role in a workspace or organization that the caller administers."""
    if not body.workspaceId and not body.organizationId:
        caller.require_instance_admin()
    grant = user.Grant(
        body.permissionType,
        canonical(body.workspaceId) if body.workspaceId else None,
        canonical(body.organizationId) if body.organizationId else None,
    )
    with context.store.write() as db:
        if user.by_id(db, canonical(body.userId)) is None:
            raise missing_resource("user", body.userId)
        user.grant(db, canonical(body.userId), grant)
        return permission_body(require_permission(db, grant.id))


@router.get("/permissions/{permissionId}", operation_id="getPermission", response_model=PermissionRead)
def get_permission(permissionId: str, caller: Reader, context: ServerContext) -> Any:
    with context.store.read() as db:
        return permission_body(require_permission(db, permissionId))


@router.patch("/permissions/{permissionId}", operation_id="updatePermission", response_model=PermissionRead)
def update_permission(permissionId: str, body: PermissionUpdate, caller: Admin, context: ServerContext) -> Any:
    """Change the role of a permission."""
    with context.store.write() as db:
        user.regrant(db, require_permission(db, permissionId), body.permissionType)
        return permission_body(require_permission(db, permissionId))


@router.delete("/permissions/{permissionId}", operation_id="deletePermission", status_code=204)
def delete_permission(permissionId: str, caller: Admin, context: ServerContext) -> Response:
    with context.store.write() as db:
        user.revoke(db, require_permission(db, permissionId))
    return Response(status_code=204)


def require_permission(db: Connection, permission_id: str) -> Row[Any]:
    """The row. 404 without one."""
    row = db.execute(select(permissions).where(permissions.c.id == canonical(permission_id))).one_or_none()
    if row is None:
        raise missing_resource("permission", permission_id)
    return row


def permission_body(row: Row[Any]) -> dict[str, Any]:
    return {
        "permissionId": row.id,
        "permissionType": row.permission_type,
        "userId": row.user_id,
        "workspaceId": row.workspace_id,
        "organizationId": row.organization_id,
    }


def listed_permission(row: Row[Any]) -> dict[str, Any]:
    """A permission in a list: `scope` and `scopeId` say where it applies (zeroes for the server)."""
    scope = "workspace" if row.workspace_id else "organization" if row.organization_id else "none"
    return {
        "permissionId": row.id,
        "permissionType": row.permission_type,
        "userId": row.user_id,
        "scopeId": row.workspace_id or row.organization_id or NO_USER_ID,
        "scope": scope,
    }
