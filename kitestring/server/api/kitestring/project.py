"""Configuration as code over the API: plan, apply and export a project file."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field

from kitestring.errors import KitestringError
from kitestring.server.api.kitestring.body import Body
from kitestring.server.api.kitestring.responses import ProjectChange, ProjectChanges, ProjectFile
from kitestring.server.api.response_models import ResponseModel, responses_for
from kitestring.server.auth.access import ASKS, Editor, Reader, ServerContext
from kitestring.server.auth.principal import Principal, Role
from kitestring.server.config_as_code import export, plan, project_writer, text
from kitestring.server.config_as_code.project_spec import ProjectSpec
from kitestring.server.http.problem import Problem
from kitestring.server.workspaces import workspaces

router = APIRouter(prefix="/project", tags=["project"])


class ProjectRequest(Body):
    """The content of a project file. `prune`: delete what it had before and has no longer."""

    workspaceId: UUID
    wanted: ProjectSpec
    prune: bool = False


def require_role(caller: Principal, body: ProjectRequest) -> None:
    """Notifications of a workspace need its admin."""
    if body.wanted.notifications:
        caller.require(str(body.workspaceId), Role.admin)


@router.post("/plan", operation_id="planProject", dependencies=ASKS, responses=responses_for(ProjectChanges))
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
    applied = project_writer.apply(context, str(body.workspaceId), body.wanted, trusted=trusted, prune=body.prune)
    return {"changes": [change.body() for change in applied]}


class ProjectText(Body):
    """The text of a project file, or of a part of it."""

    workspaceId: UUID
    text: str = Field(max_length=2_000_000)


class TextProblem(ResponseModel):
    """A defect of a text and its place, counted from 1. 0 if it is about the whole text."""

    line: int
    column: int
    message: str
    hint: str


class TextPlan(ResponseModel):
    """The changes that applying a text would make, or what is wrong with it."""

    changes: list[ProjectChange]
    errors: list[TextProblem]


class TextWritten(ResponseModel):
    text: str


@router.get("/text", operation_id="getProjectText", responses=responses_for(TextWritten))
def get_project_text(
    caller: Reader,
    context: ServerContext,
    workspaceId: UUID,
    kind: text.PartKind | None = None,
    name: Annotated[str, Query(max_length=1_000)] = "",
) -> Any:
    """A workspace as YAML, or one resource by kind and name; a connection comes with its ends. Secrets are variables,
    which stand for the stored secrets when the text is applied again. What a file cannot say, such as a source whose
    connector is gone, is in comments."""
    with context.store.read() as db:
        workspaces.get(db, str(workspaceId))
    return {"text": text.write(context, str(workspaceId), (kind, name) if kind else None)}


@router.post("/text/plan", operation_id="planProjectText", dependencies=ASKS, responses=responses_for(TextPlan))
def plan_project_text(caller: Editor, context: ServerContext, body: ProjectText) -> Any:
    """Compare a text with the server. Changes nothing. What the text does not name is left alone."""
    try:
        spec = text.read(context, str(body.workspaceId), body.text)
        changes = text.compare(context, str(body.workspaceId), spec)
        refused = text.refused_configs(context, str(body.workspaceId), spec, changes, body.text, caller.instance_admin)
    except text.InvalidText as invalid:
        return {"changes": [], "errors": [asdict(error) for error in invalid.errors]}
    except KitestringError as error:
        return {"changes": [], "errors": [asdict(text.error_of(error.message, error.hint, body.text))]}
    except Problem as problem:
        return {"changes": [], "errors": [asdict(text.error_of(problem.detail, problem.hint, body.text))]}
    if refused:
        return {"changes": [], "errors": [asdict(error) for error in refused]}
    return {"changes": [change.body() for change in changes], "errors": []}


@router.post("/text/apply", operation_id="applyProjectText", responses=responses_for(ProjectChanges))
def apply_project_text(caller: Editor, context: ServerContext, body: ProjectText) -> Any:
    """Apply a text, and return the changes made. It may stop half-way; call it again to continue."""
    try:
        spec = text.read(context, str(body.workspaceId), body.text)
    except text.InvalidText as invalid:
        first = invalid.errors[0]
        raise Problem(422, f"line {first.line}: {first.message}", hint=first.hint or "Correct the text.") from invalid
    applied = text.apply(context, str(body.workspaceId), spec, trusted=caller.instance_admin)
    return {"changes": [change.body() for change in applied]}


@router.get("/export", operation_id="exportProject", responses=responses_for(ProjectFile))
def export_project(caller: Reader, context: ServerContext, workspaceId: UUID, states: bool = False) -> Any:
    """Export a workspace as the content of a project file; secrets become variables. `states` adds the states of the
    connections. `leftOut` is there where a file cannot say it all: what is missing, and why."""
    with context.store.read() as db:
        workspaces.get(db, str(workspaceId))
    exported = export.export(context, str(workspaceId), states)
    return {**exported.content, **({"leftOut": exported.left_out} if exported.left_out else {})}
