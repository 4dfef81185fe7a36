"""Users of the server. Its admins create, change and delete them."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field
from sqlalchemy import Connection
from sqlalchemy.engine import Row

from kitestring.server.api.kitestring.body import Body
from kitestring.server.auth import user
from kitestring.server.auth.access import AnyUser, InstanceAdmin, ServerContext
from kitestring.server.auth.password import LONGEST
from kitestring.server.auth.request_credentials import check_password
from kitestring.server.auth.resources import canonical
from kitestring.server.http.problem import Problem, missing_resource
from kitestring.server.store.tables import users

router = APIRouter(prefix="/users", tags=["users"])


class GrantBody(Body):
    permissionType: str
    workspaceId: str | None = None
    organizationId: str | None = None


class UserCreate(Body):
    email: str = Field(max_length=320)
    password: str | None = Field(default=None, max_length=LONGEST)
    name: str = Field(default="", max_length=200)
    permissions: list[GrantBody] = Field(default_factory=list, max_length=100)


class UserChange(Body):
    name: str | None = Field(default=None, min_length=1, max_length=200)
    password: str | None = Field(default=None, max_length=LONGEST)
    disabled: bool | None = None


class PasswordChange(Body):
    old: str = Field(max_length=LONGEST)
    new: str = Field(max_length=LONGEST)


class UserPermission(BaseModel):
    """A role of a user, and where it holds."""

    permissionId: str
    permissionType: str
    workspaceId: str | None
    organizationId: str | None


class UserDetail(BaseModel):
    userId: str
    email: str
    name: str
    disabled: bool
    hasPassword: bool
    createdAtMs: int
    permissions: list[UserPermission]


class UserDetails(BaseModel):
    data: list[UserDetail]


@router.get("", operation_id="listAllUsers", response_model=UserDetails)
def list_users(caller: InstanceAdmin, context: ServerContext) -> Any:
    """All users of this server, with their roles."""
    with context.store.read() as db:
        return {"data": [user_detail(db, row) for row in user.find_all(db)]}


@router.post("", operation_id="createUser", response_model=UserDetail)
def create_user(body: UserCreate, caller: InstanceAdmin, context: ServerContext) -> Any:
    """Create a user. The first user is an admin of the server; from then on the server asks for credentials."""
    grants = tuple(user.Grant(g.permissionType, g.workspaceId, g.organizationId) for g in body.permissions)
    with context.store.write() as db:
        user_id = user.add(db, body.email, body.password, context.store.now_ms(db), name=body.name, grants=grants)
        return user_detail(db, require_user(db, user_id))


@router.post("/me/password", operation_id="changeOwnPassword", status_code=204)
def change_own_password(body: PasswordChange, caller: AnyUser, context: ServerContext) -> Response:
    """Change the caller's password. Needs the old one, and ends all sessions of the caller."""
    if caller.user_id is None:
        raise Problem(422, "no user is logged in", hint="Add a user first.")
    check_password(context, caller.user_id, body.old)
    with context.store.write() as db:
        user.set_password(db, caller.user_id, body.new)
    return Response(status_code=204)


@router.get("/{userId}", operation_id="getUser", response_model=UserDetail)
def get_user(userId: str, caller: InstanceAdmin, context: ServerContext) -> Any:
    """A user, with their roles."""
    with context.store.read() as db:
        return user_detail(db, require_user(db, userId))


@router.patch("/{userId}", operation_id="updateUser", response_model=UserDetail)
def update_user(userId: str, body: UserChange, caller: InstanceAdmin, context: ServerContext) -> Any:
    """Change a user. Disabling ends sessions and tokens at once; a new password ends sessions."""
    with context.store.write() as db:
        row = require_user(db, userId)
        if body.name is not None:
            db.execute(users.update().where(users.c.id == row.id).values(name=body.name))
        if body.password is not None:
            user.set_password(db, row.id, body.password)
        if body.disabled is not None:
            user.disable(db, row.id, body.disabled)
        return user_detail(db, require_user(db, userId))


@router.delete("/{userId}", operation_id="deleteUser", status_code=204)
def delete_user(userId: str, caller: InstanceAdmin, context: ServerContext) -> Response:
    """Delete a user, with sessions and applications. The last admin of the server cannot be deleted."""
    with context.store.write() as db:
        user.remove(db, require_user(db, userId).id)
    return Response(status_code=204)


def require_user(db: Connection, user_id: str) -> Row[Any]:
    row = user.by_id(db, canonical(user_id))
    if row is None:
        raise missing_resource("user", user_id)
    return row


def user_detail(db: Connection, row: Row[Any]) -> dict[str, Any]:
    return {
        "userId": row.id,
        "email": row.email,
        "name": row.name,
        "disabled": row.disabled,
        "hasPassword": row.password_hash is not None,
        "createdAtMs": row.created_at_ms,
        "permissions": [
            {
                "permissionId": permission.id,
                "permissionType": permission.permission_type,
                "workspaceId": permission.workspace_id,
                "organizationId": permission.organization_id,
            }
            for permission in user.permissions_of(db, row.id)
        ],
    }
