"""Workspaces, organizations and users of Airbyte's Config API, for the calls that clients make; and its health."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, Field
from sqlalchemy import select

from kitestring.server.api.airbyte_config.jobs import Rows
from kitestring.server.api.airbyte_config.states import ConnectionRef
from kitestring.server.auth import user
from kitestring.server.auth.access import AnyUser, Reader, ServerContext
from kitestring.server.auth.principal import Principal
from kitestring.server.auth.resources import canonical
from kitestring.server.auth.token import NO_USER_ID
from kitestring.server.http.problem import Problem, missing_resource
from kitestring.server.store import tables
from kitestring.server.store.tables import connections, organizations
from kitestring.server.workspaces import workspaces

router = APIRouter(tags=["config: workspaces"])
open_router = APIRouter(tags=["config: health"])


class WorkspaceRef(BaseModel):
    """A workspace."""

    workspaceId: UUID


class OrganizationRef(BaseModel):
    """An organization."""

    organizationId: UUID


class ListPart(BaseModel):
    """A page of a list, filtered by a part of the name."""

    nameContains: str | None = None
    pagination: Rows = Field(default_factory=lambda: Rows(pageSize=100))


class WorkspacesPart(ListPart):
    """The workspaces of an organization."""

    organizationId: UUID


class OrganizationsPart(ListPart):
    """The organizations of a user."""

    userId: str


class UserRef(BaseModel):
    """A user."""

    userId: str


class LoginRef(BaseModel):
    """A user, by the id in the token."""

    authUserId: str


class UserUpdate(UserRef):
    """A change of a user."""

    defaultWorkspaceId: UUID | None = None


def answer(row: Any) -> dict[str, Any]:
    """A workspace in the Config API's form."""
    return {
        "workspaceId": row.id,
        "organizationId": row.organization_id,
        "name": row.name,
        "slug": "-".join(row.name.lower().split()),
        "initialSetupComplete": True,
        "displaySetupWizard": False,
        "notifications": [],
        "notificationSettings": {},
        "defaultGeography": "auto",
        "dataplaneGroupId": NO_USER_ID,
        "customerId": row.id,
        "tombstone": row.deleted_at_ms is not None,
    }


def organization_body(row: Any) -> dict[str, Any]:
    return {"organizationId": row.id, "organizationName": row.name, "email": row.email, "ssoRealm": None}


def page_of(rows: list[Any], part: ListPart) -> list[Any]:
    """The requested page."""
    text = (part.nameContains or "").casefold()
    matches = [row for row in rows if text in row.name.casefold()]
    first = part.pagination.rowOffset
    return matches[first : first + part.pagination.pageSize]


@open_router.get("/health", operation_id="configHealth")
def get_health() -> Any:
    """Whether the server answers."""
    return {"available": True}


@router.post("/workspaces/list", operation_id="configListWorkspaces")
def list_workspaces(caller: Reader, context: ServerContext) -> Any:
    """The workspaces that the caller can see."""
    with context.store.read() as db:
        return {"workspaces": [answer(row) for row in workspaces.find_all(db, ids=caller.workspaces())]}


@router.post("/workspaces/get", operation_id="configGetWorkspace")
def get_workspace(caller: Reader, context: ServerContext, body: WorkspaceRef) -> Any:
    with context.store.read() as db:
        return answer(workspaces.get(db, str(body.workspaceId)))


@router.post("/workspaces/get_by_connection_id", operation_id="configGetWorkspaceByConnection")
def get_workspace_of_connection(caller: Reader, context: ServerContext, body: ConnectionRef) -> Any:
    with context.store.read() as db:
        workspace_id = db.execute(
            select(connections.c.workspace_id).where(connections.c.id == str(body.connectionId))
        ).scalar_one()
        return answer(workspaces.get(db, workspace_id))


@router.post("/workspaces/list_by_organization_id", operation_id="configListWorkspacesInOrganization")
def list_workspaces_in_organization(caller: Reader, context: ServerContext, body: WorkspacesPart) -> Any:
    """The workspaces of an organization that the caller can see."""
    with context.store.read() as db:
        rows = workspaces.find_all(db, ids=caller.workspaces(), organization_id=str(body.organizationId))
    return {"workspaces": [answer(row) for row in page_of(rows, body)]}


@router.post("/workspaces/get_organization_info", operation_id="configGetOrganizationOfWorkspace")
def get_organization_of_workspace(caller: Reader, context: ServerContext, body: WorkspaceRef) -> Any:
    with context.store.read() as db:
        row = workspaces.get(db, str(body.workspaceId))
        return organization_body(workspaces.organization(db, row.organization_id))


@router.post("/organizations/get_organization_info", operation_id="configGetOrganizationInfo")
@router.post("/organizations/get", operation_id="configGetOrganization")
def get_organization(caller: Reader, context: ServerContext, body: OrganizationRef) -> Any:
    with context.store.read() as db:
        return organization_body(workspaces.organization(db, str(body.organizationId)))


@router.post("/organizations/list_by_user_id", operation_id="configListOrganizationsOfUser")
def list_organizations_of_user(caller: AnyUser, context: ServerContext, body: OrganizationsPart) -> Any:
    """The organizations of the caller."""
    own_id(caller, body.userId)
    query = select(organizations).order_by(organizations.c.created_at_ms, organizations.c.id)
    allowed = caller.workspaces()
    if allowed is not None:
        visible_ids = select(tables.workspaces.c.organization_id).where(tables.workspaces.c.id.in_(allowed))
        query = query.where(organizations.c.id.in_(visible_ids) | organizations.c.id.in_(list(caller.organizations)))
    with context.store.read() as db:
        rows = list(db.execute(query))
    return {"organizations": [organization_body(row) for row in page_of(rows, body)]}


# -- users -------------------------------------------------------------------------------------------------------------


def own_id(caller: Principal, user_id: str) -> str:
    """The caller's own id. 404 for another id: `/users` of the public API has the others."""
    own = caller.user_id or NO_USER_ID
    if canonical(user_id) != own:
        raise missing_resource("user", user_id)
    return own


def user_body(context: ServerContext, caller: Principal, user_id: str) -> dict[str, Any]:
    with context.store.read() as db:
        row = user.by_id(db, user_id)
        visible = workspaces.find_all(db, ids=caller.workspaces(), limit=1)
    if row is None and user_id != NO_USER_ID:
        raise missing_resource("user", user_id)
    return {
        "userId": user_id,
        "authUserId": user_id,
        "authProvider": "airbyte",
        "name": row.name if row is not None else caller.name,
        "email": row.email if row is not None else "admin@example.com",
        "status": "registered",
        "defaultWorkspaceId": visible[0].id if visible else None,
    }


@router.post("/users/get_by_auth_id", operation_id="configGetUserByAuthId")
def get_user_by_auth_id(caller: AnyUser, context: ServerContext, body: LoginRef) -> Any:
    """The caller."""
    return user_body(context, caller, own_id(caller, body.authUserId))


@router.post("/users/get", operation_id="configGetUser")
def get_user(caller: AnyUser, context: ServerContext, body: UserRef) -> Any:
    """The caller."""
    return user_body(context, caller, own_id(caller, body.userId))


@router.post("/users/update", operation_id="configUpdateUser")
def update_user(caller: AnyUser, context: ServerContext, body: UserUpdate) -> Any:
    """422 for another default workspace: the default is the oldest workspace that the user can see."""
    current = user_body(context, caller, own_id(caller, body.userId))
    if body.defaultWorkspaceId is not None and str(body.defaultWorkspaceId) != current["defaultWorkspaceId"]:
        raise Problem(422, "a user's default workspace cannot be chosen", hint="Name the workspace in each call.")
    return current


@router.post("/permissions/list_by_user", operation_id="configListPermissionsOfUser")
def list_permissions_of_user(caller: AnyUser, context: ServerContext, body: UserRef) -> Any:
    """The permissions of the caller."""
    own = own_id(caller, body.userId)
    with context.store.read() as db:
        rows = user.permissions_of(db, own)
    if not rows and caller.instance_admin:
        return {"permissions": [{"permissionId": NO_USER_ID, "permissionType": "instance_admin", "userId": own}]}
    return {
        "permissions": [
            {
                "permissionId": row.id,
                "permissionType": row.permission_type,
                "userId": own,
                **({"workspaceId": row.workspace_id} if row.workspace_id else {}),
                **({"organizationId": row.organization_id} if row.organization_id else {}),
            }
            for row in rows
        ]
    }


@router.post("/operations/list", operation_id="configListOperations")
def list_operations(caller: Reader, context: ServerContext) -> Any:
    """Always empty: there are no operations."""
    return {"operations": []}
