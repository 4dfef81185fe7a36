"""Configuration as code over the API: the difference to a project file, making it so, and a file of what is there."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from fastapi import APIRouter

from kitestring.server.api.kitestring.body import Body
from kitestring.server.api.kitestring.responses import ProjectChanges, ProjectFile
from kitestring.server.api.response_models import responses_for
from kitestring.server.auth.access import Editor, Reader, ServerContext
from kitestring.server.auth.principal import Principal, Role
from kitestring.server.config_as_code import export
from kitestring.server.config_as_code import plan as project
from kitestring.server.workspaces import workspaces

router = APIRouter(prefix="/project", tags=["project"])


class ProjectRequest(Body):
    """What a project file asks for. `prune`: remove what it asked for before and does no longer."""

    workspaceId: UUID
    wanted: project.ProjectSpec
    prune: bool = False


def require_role(caller: Principal, body: ProjectRequest) -> None:
    """Whom a workspace tells of its jobs is its admins' to say."""
    if body.wanted.notifications:
        caller.require(str(body.workspaceId), Role.admin)


@router.post("/plan", operation_id="planProject", responses=responses_for(ProjectChanges))
def plan_project(caller: Editor, context: ServerContext, body: ProjectRequest) -> Any:
    """What would be done; nothing is changed. Of notifications an admin alone is told."""
    require_role(caller, body)
    with context.store.read() as db:
        workspaces.get(db, str(body.workspaceId))
    planned = project.plan(context, str(body.workspaceId), body.wanted, prune=body.prune)
    return {"changes": [change.body() for change in planned]}


@router.post("/apply", operation_id="applyProject", responses=responses_for(ProjectChanges))
def apply_project(caller: Editor, context: ServerContext, body: ProjectRequest) -> Any:
    """Make it so; what was done. It may stop half-way, and goes on when it is called again."""
    require_role(caller, body)
    with context.store.read() as db:
        workspaces.get(db, str(body.workspaceId))
    applied = project.apply(
        context, str(body.workspaceId), body.wanted, trusted=caller.instance_admin, prune=body.prune
    )
    return {"changes": [change.body() for change in applied]}


@router.get("/export", operation_id="exportProject", responses=responses_for(ProjectFile))
def export_project(caller: Reader, context: ServerContext, workspaceId: UUID, states: bool = False) -> Any:
    """The content of a project file that makes what the workspace has; secrets are variables. `states`: and what each
    connection goes on from."""
    with context.store.read() as db:
        workspaces.get(db, str(workspaceId))
    return export.export(context, str(workspaceId), states)
