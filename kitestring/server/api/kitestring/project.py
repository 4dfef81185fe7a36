"""Configuration as code over the API: plan, apply and export a project file."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from fastapi import APIRouter

from kitestring.server.api.kitestring.body import Body
from kitestring.server.api.kitestring.responses import ProjectChanges, ProjectFile
from kitestring.server.api.response_models import responses_for
from kitestring.server.auth.access import Editor, Reader, ServerContext
from kitestring.server.auth.principal import Principal, Role
from kitestring.server.config_as_code import export, plan
from kitestring.server.workspaces import workspaces

router = APIRouter(prefix="/project", tags=["project"])


class ProjectRequest(Body):
    """The content of a project file. `prune`: delete what it had before and has no longer."""

    workspaceId: UUID
    wanted: plan.ProjectSpec
    prune: bool = False


def require_role(caller: Principal, body: ProjectRequest) -> None:
    """Notifications of a workspace need its admin."""
    if body.wanted.notifications:
        caller.require(str(body.workspaceId), Role.admin)


@router.post("/plan", operation_id="planProject", responses=responses_for(ProjectChanges))
def plan_project(caller: Editor, context: ServerContext, body: ProjectRequest) -> Any:
    """Plan: the changes that `apply` would make. Changes nothing. Notifications need an admin."""
    require_role(caller, body)
    with context.store.read() as db:
        workspaces.get(db, str(body.workspaceId))
    planned = plan.plan(context, str(body.workspaceId), body.wanted, prune=body.prune)
    return {"changes": [change.body() for change in planned]}


@router.post("/apply", operation_id="applyProject", responses=responses_for(ProjectChanges))
def apply_project(caller: Editor, context: ServerContext, body: ProjectRequest) -> Any:
    """Apply a project file, and return the changes made. It may stop half-way; call it again to continue."""
    require_role(caller, body)
    with context.store.read() as db:
        workspaces.get(db, str(body.workspaceId))
    trusted = caller.instance_admin
    applied = plan.apply(context, str(body.workspaceId), body.wanted, trusted=trusted, prune=body.prune)
    return {"changes": [change.body() for change in applied]}


@router.get("/export", operation_id="exportProject", responses=responses_for(ProjectFile))
def export_project(caller: Reader, context: ServerContext, workspaceId: UUID, states: bool = False) -> Any:
    """Export a workspace as the content of a project file; secrets become variables. `states` adds the states of the
    connections."""
    with context.store.read() as db:
        workspaces.get(db, str(workspaceId))
    return export.export(context, str(workspaceId), states)
