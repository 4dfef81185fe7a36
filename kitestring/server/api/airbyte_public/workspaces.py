"""Workspaces of Airbyte's public API."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from kitestring.server.api.airbyte_public.page import Ids, Limit, Offset, page, visible
from kitestring.server.api.airbyte_public.responses import Workspace, Workspaces
from kitestring.server.api.response_models import responses_for
from kitestring.server.auth.access import Admin, Reader, ServerContext
from kitestring.server.auth.principal import Principal, Role
from kitestring.server.context import Context
from kitestring.server.notifications import notification_settings
from kitestring.server.store.store import new_id
from kitestring.server.workspaces import workspace_deletion, workspaces

router = APIRouter(prefix="/workspaces", tags=["workspaces"])

EVENTS = tuple(name for name in notification_settings.EVENTS if name != "suspicious")
"""Airbyte's events. Every answer has all of them."""


class Channel(BaseModel):
    """A channel for notifications of an event."""

    model_config = ConfigDict(extra="allow")

    enabled: bool | None = None
    url: str | None = None


class Notification(BaseModel):
    """The channels for one event."""

    email: Channel | None = None
    webhook: Channel | None = None
    apprise: Channel | None = None
    """Not in Airbyte's API: `urls` of any service that apprise supports."""


class Notifications(BaseModel):
    """The channels, by event."""

    failure: Notification | None = None
    success: Notification | None = None
    connectionUpdate: Notification | None = None
    connectionUpdateActionRequired: Notification | None = None
    syncDisabled: Notification | None = None
    syncDisabledWarning: Notification | None = None
    suspicious: Notification | None = None
    """Not in Airbyte's API. Without it, the channels of `failure` are used."""
    replicationSlot: Notification | None = None
    """Not in Airbyte's API. Without it, the channels of `failure` are used."""


class WorkspaceCreate(BaseModel):
    """A new workspace."""

    name: str = Field(min_length=1)
    organizationId: UUID | None = None
    notifications: Notifications | None = None
    regionId: UUID | None = None


class WorkspacePatch(BaseModel):
    """A change. Omitted fields stay as they are."""

    name: str | None = Field(None, min_length=1)
    notifications: Notifications | None = None
    regionId: UUID | None = None


def answer(context: Context, caller: Principal, row: Any) -> dict[str, Any]:
    """A workspace. Only its admins see the addresses of notifications."""
    is_admin = caller.may(row.id, Role.admin) or caller.may_in_organization(row.organization_id, Role.admin)
    receivers = (
        notification_settings.open_channels(context.secret_box, row)
        if is_admin
        else notification_settings.mask_channels(row)
    )
    return {
        "workspaceId": row.id,
        "name": row.name,
        "dataResidency": "auto",
        "notifications": {**{name: {} for name in EVENTS}, **receivers},
    }


def notifications_of(body: WorkspaceCreate | WorkspacePatch) -> dict[str, Any]:
    return body.notifications.model_dump(exclude_none=True) if body.notifications else {}


@router.get("", operation_id="listWorkspaces", responses=responses_for(Workspaces))
def list_workspaces(
    request: Request,
    caller: Reader,
    context: ServerContext,
    workspaceIds: Ids = None,
    includeDeleted: bool = False,
    limit: Limit = 20,
    offset: Offset = 0,
) -> Any:
    with context.store.read() as db:
        rows = workspaces.find_all(
            db, ids=visible(caller.workspaces(), workspaceIds), deleted=includeDeleted, limit=limit, offset=offset
        )
    return page(request, [answer(context, caller, row) for row in rows], limit, offset)


@router.post("", operation_id="createWorkspace", responses=responses_for(Workspace))
def create_workspace(caller: Admin, context: ServerContext, body: WorkspaceCreate) -> Any:
    with context.store.write() as db:
        organization_id = str(body.organizationId) if body.organizationId else workspaces.default_organization(db)
        caller.require_organization(organization_id, Role.editor)
        workspace_id = new_id()
        workspaces.create(
            db,
            body.name,
            context.store.now_ms(db),
            organization_id=organization_id,
            workspace_id=workspace_id,
            notifications=notification_settings.seal_channels(
                context.secret_box, workspace_id, notifications_of(body), {}
            ),
        )
        row = workspaces.get(db, workspace_id)
        return answer(context, caller, row)


@router.get("/{workspaceId}", operation_id="getWorkspace", responses=responses_for(Workspace))
def get_workspace(caller: Reader, context: ServerContext, workspaceId: UUID) -> Any:
    with context.store.read() as db:
        return answer(context, caller, workspaces.get(db, str(workspaceId)))


@router.patch("/{workspaceId}", operation_id="updateWorkspace", responses=responses_for(Workspace))
def update_workspace(caller: Admin, context: ServerContext, workspaceId: UUID, body: WorkspacePatch) -> Any:
    with context.store.write() as db:
        row = workspaces.get(db, str(workspaceId))
        values: dict[str, Any] = {} if body.name is None else {"name": body.name}
        if body.notifications is not None:
            values["notifications"] = notification_settings.seal_channels(
                context.secret_box, row.id, notifications_of(body), row.notifications
            )
        workspaces.change(db, row.id, values)
        return answer(context, caller, workspaces.get(db, row.id))


@router.delete("/{workspaceId}", status_code=204, operation_id="deleteWorkspace")
def delete_workspace(caller: Admin, context: ServerContext, workspaceId: UUID) -> Response:
    with context.store.write() as db:
        workspace_deletion.delete(context, db, str(workspaceId))
    return Response(status_code=204)
