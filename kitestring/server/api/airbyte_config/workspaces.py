"""Workspaces, organizations and users of Airbyte's Config API, as far as its clients ask; and its health."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select

from kitestring.server.api.airbyte_config.jobs import Rows
from kitestring.server.auth import user
from kitestring.server.auth.access import AnyUser, Reader, ServerContext
from kitestring.server.auth.principal import Principal
from kitestring.server.auth.resources import canonical
from kitestring.server.auth.token import NO_USER_ID
from kitestring.server.http.problem import Problem, missing_resource
from kitestring.server.store.tables import connections, organizations
from kitestring.server.store.tables import workspaces as table
from kitestring.server.workspaces import workspaces

router = APIRouter(tags=["config: workspaces"])
open_router = APIRouter(tags=["config: health"])


class WorkspaceRef(BaseModel):
    """A workspace."""

    model_config = ConfigDict(extra="ignore")

    workspaceId: UUID


class WorkspaceOfConnection(BaseModel):
    """The workspace of a connection."""

    model_config = ConfigDict(extra="ignore")

    connectionId: UUID


class OrganizationRef(BaseModel):
    """An organization."""

    model_config = ConfigDict(extra="ignore")

    organizationId: UUID


class ListPart(BaseModel):
    """A part of a list, of those whose names hold a text."""

    model_config = ConfigDict(extra="ignore")

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

    model_config = ConfigDict(extra="ignore")

    userId: str


class LoginRef(BaseModel):
    """A user by the id in their token."""

    model_config = ConfigDict(extra="ignore")

    authUserId: str


class UserUpdate(UserRef):
    """What a user may want to be different."""

    defaultWorkspaceId: UUID | None = None


def answer(row: Any) -> dict[str, Any]:
    """A workspace as the Config API shows it."""
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


def organization(row: Any) -> dict[str, Any]:
    return {"organizationId": row.id, "organizationName": row.name, "email": row.email, "ssoRealm": None}


def held(rows: list[Any], part: ListPart) -> list[Any]:
    """The part of a list that was asked for."""
    word = (part.nameContains or "").casefold()
    found = [row for row in rows if word in row.name.casefold()]
    begin = part.pagination.rowOffset
    return found[begin : begin + part.pagination.pageSize]


@open_router.get("/health", operation_id="configHealth")
def health() -> Any:
    """Whether the server answers."""
    return {"available": True}


@router.post("/workspaces/list", operation_id="configListWorkspaces")
def listed(who: Reader, context: ServerContext) -> Any:
    """The workspaces that whoever asks can see."""
    with context.store.read() as db:
        return {"workspaces": [answer(row) for row in workspaces.find_all(db, ids=who.workspaces())]}


@router.post("/workspaces/get", operation_id="configGetWorkspace")
def get(who: Reader, context: ServerContext, body: WorkspaceRef) -> Any:
    with context.store.read() as db:
        return answer(workspaces.get(db, str(body.workspaceId)))


@router.post("/workspaces/get_by_connection_id", operation_id="configGetWorkspaceByConnection")
def of_connection(who: Reader, context: ServerContext, body: WorkspaceOfConnection) -> Any:
    with context.store.read() as db:
        found = db.execute(
            select(connections.c.workspace_id).where(connections.c.id == str(body.connectionId))
        ).scalar_one()
        return answer(workspaces.get(db, found))


@router.post("/workspaces/list_by_organization_id", operation_id="configListWorkspacesInOrganization")
def in_organization(who: Reader, context: ServerContext, body: WorkspacesPart) -> Any:
    """Those of them that whoever asks can see."""
    with context.store.read() as db:
        rows = workspaces.find_all(db, ids=who.workspaces(), organization_id=str(body.organizationId))
    return {"workspaces": [answer(row) for row in held(rows, body)]}


@router.post("/workspaces/get_organization_info", operation_id="configGetOrganizationOfWorkspace")
def organization_of(who: Reader, context: ServerContext, body: WorkspaceRef) -> Any:
    with context.store.read() as db:
        row = workspaces.get(db, str(body.workspaceId))
        return organization(workspaces.organization(db, row.organization_id))


@router.post("/organizations/get_organization_info", operation_id="configGetOrganizationInfo")
@router.post("/organizations/get", operation_id="configGetOrganization")
def get_organization(who: Reader, context: ServerContext, body: OrganizationRef) -> Any:
    with context.store.read() as db:
        return organization(workspaces.organization(db, str(body.organizationId)))


@router.post("/organizations/list_by_user_id", operation_id="configListOrganizationsOfUser")
def organizations_of(who: AnyUser, context: ServerContext, body: OrganizationsPart) -> Any:
    """One's own."""
    myself(who, body.userId)
    wanted = select(organizations).order_by(organizations.c.created_at_ms, organizations.c.id)
    allowed = who.workspaces()
    if allowed is not None:
        seen = select(table.c.organization_id).where(table.c.id.in_(allowed))
        wanted = wanted.where(organizations.c.id.in_(seen) | organizations.c.id.in_(list(who.organizations)))
    with context.store.read() as db:
        rows = list(db.execute(wanted))
    return {"organizations": [organization(row) for row in held(rows, body)]}


# -- users -------------------------------------------------------------------------------------------------------------


def myself(who: Principal, user_id: str) -> str:
    """One's own id: others are looked up in `/users` of the public API. 404 for another's."""
    own = who.user_id or NO_USER_ID
    if canonical(user_id) != own:
        raise missing_resource("user", user_id)
    return own


def shown(context: ServerContext, who: Principal, user_id: str) -> dict[str, Any]:
    with context.store.read() as db:
        row = user.by_id(db, user_id)
        seen = workspaces.find_all(db, ids=who.workspaces(), limit=1)
    if row is None and user_id != NO_USER_ID:
        raise missing_resource("user", user_id)
    return {
        "userId": user_id,
        "authUserId": user_id,
        "authProvider": "airbyte",
        "name": row.name if row is not None else who.name,
        "email": row.email if row is not None else "admin@example.com",
        "status": "registered",
        "defaultWorkspaceId": seen[0].id if seen else None,
    }


@router.post("/users/get_by_auth_id", operation_id="configGetUserByAuthId")
def by_login(who: AnyUser, context: ServerContext, body: LoginRef) -> Any:
    """Oneself."""
    return shown(context, who, myself(who, body.authUserId))


@router.post("/users/get", operation_id="configGetUser")
def get_user(who: AnyUser, context: ServerContext, body: UserRef) -> Any:
    """Oneself."""
    return shown(context, who, myself(who, body.userId))


@router.post("/users/update", operation_id="configUpdateUser")
def update_user(who: AnyUser, context: ServerContext, body: UserUpdate) -> Any:
    """422 for another default workspace: a user's is the oldest that they can see."""
    told = shown(context, who, myself(who, body.userId))
    if body.defaultWorkspaceId is not None and str(body.defaultWorkspaceId) != told["defaultWorkspaceId"]:
        raise Problem(422, "a user's default workspace cannot be chosen", hint="Name the workspace in each call.")
    return told


@router.post("/permissions/list_by_user", operation_id="configListPermissionsOfUser")
def permissions_of(who: AnyUser, context: ServerContext, body: UserRef) -> Any:
    """One's own."""
    own = myself(who, body.userId)
    with context.store.read() as db:
        rows = user.permissions_of(db, own)
    if not rows and who.instance_admin:
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
def operations(who: Reader, context: ServerContext) -> Any:
    """There are none."""
    return {"operations": []}
