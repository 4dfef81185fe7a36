"""Connection tests of stored and draft sources and destinations, in a child process. They change nothing."""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, Field

from kitestring.errors import KitestringError
from kitestring.server.api.kitestring.body import Body
from kitestring.server.api.kitestring.responses import RecordSample, SourceCatalog
from kitestring.server.api.response_models import responses_for
from kitestring.server.auth.access import Editor, Runner, ServerContext
from kitestring.server.connections import connection, endpoints
from kitestring.server.connectors import definitions
from kitestring.server.context import Context
from kitestring.server.http.problem import Problem
from kitestring.server.jobs.config_updates import ConfigUpdater, DraftConfigUpdater
from kitestring.server.jobs.connection_plan import Endpoint
from kitestring.server.secrets import secret_box
from kitestring.server.workspaces import workspaces

router = APIRouter(tags=["checks"])
CHECK_S = 60.0


class CheckDraft(Body):
    """An unsaved configuration. With `sourceId` or `destinationId`, masked secrets are taken from that one."""

    kind: Literal["source", "destination"]
    workspaceId: UUID
    definitionId: UUID | None = None
    sourceId: UUID | None = None
    destinationId: UUID | None = None
    configuration: dict[str, Any] = Field(default_factory=dict)


class CheckResult(BaseModel):
    """The result of a test; `hint` is the next action."""

    status: Literal["succeeded", "failed"]
    message: str = ""
    hint: str = ""


@router.post("/sources/{sourceId}/check", operation_id="checkSource", response_model=CheckResult)
def check_source(caller: Runner, context: ServerContext, sourceId: UUID) -> Any:
    """Test whether a source can be reached and read."""
    return check_stored(context, "source", str(sourceId))


@router.post("/destinations/{destinationId}/check", operation_id="checkDestination", response_model=CheckResult)
def check_destination(caller: Runner, context: ServerContext, destinationId: UUID) -> Any:
    """Test whether a destination can be reached and written."""
    return check_stored(context, "destination", str(destinationId))


@router.post("/check", operation_id="checkDraft", response_model=CheckResult)
def check_draft(caller: Editor, context: ServerContext, body: CheckDraft) -> Any:
    """Test an unsaved configuration."""
    trusted = caller.instance_admin
    with context.store.read() as db:
        workspaces.get(db, str(body.workspaceId))
        definition = endpoints.definition_in_request(
            db, body.kind, str(body.definitionId) if body.definitionId else None, body.configuration
        )
        config = endpoints.without_type(body.kind, body.configuration)
        stored_id = body.sourceId if body.kind == "source" else body.destinationId
        if stored_id is not None:
            row = endpoints.get(db, body.kind, str(stored_id))
            if row.workspace_id != str(body.workspaceId):
                raise Problem(422, f"the {body.kind} is in another workspace", hint="Name its workspace.")
            config = secret_box.restore_masked(config, context.secret_box.open_config(row.config, row.id))
    try:
        endpoints.check_config(context, definition, config, str(body.workspaceId), trusted)
    except KitestringError as error:
        return {"status": "failed", "message": error.message, "hint": error.hint}
    end = Endpoint(definition.connector, config, "", definition.manifest, str(body.workspaceId), trusted)
    spec = definitions.spec_of(definition)
    updater = DraftConfigUpdater(context, body.kind, end, spec, str(stored_id) if stored_id else "")
    return run_check(context, body.kind, end, updater)


@router.post("/sources/{sourceId}/discover", operation_id="discoverSource", responses=responses_for(SourceCatalog))
def discover_source(caller: Runner, context: ServerContext, sourceId: UUID, fresh: bool = True) -> Any:
    """The current streams of a source, as a catalog of Airbyte's protocol. `fresh=false` returns the last stored
    one."""
    return connection.discover(context, str(sourceId), fresh=fresh).body


class SampleRequest(Body):
    """The stream, and how many records to read."""

    stream: str
    limit: int = Field(20, ge=1, le=1000)


@router.post("/sources/{sourceId}/read", operation_id="readSource", responses=responses_for(RecordSample))
def read_source(caller: Editor, context: ServerContext, sourceId: UUID, body: SampleRequest) -> Any:
    """The first records of a stream, and those that were rejected."""
    with context.store.read() as db:
        end = endpoints.endpoint_of(context, db, "source", str(sourceId))
    request = {"source": end.body(), "stream": body.stream, "limit": body.limit}
    return context.runner.run("read", request, updater=ConfigUpdater(context, source=end))


def check_stored(context: Context, kind: definitions.Kind, actor_id: str) -> dict[str, str]:
    """Test a stored source or destination."""
    with context.store.read() as db:
        end = endpoints.endpoint_of(context, db, kind, actor_id)
    return run_check(context, kind, end, ConfigUpdater(context, **{kind: end}))


def run_check(context: Context, kind: definitions.Kind, end: Endpoint, updater: ConfigUpdater) -> dict[str, str]:
    try:
        context.runner.run("check", {kind: end.body()}, limit_s=CHECK_S, updater=updater)
    except KitestringError as error:
        return {"status": "failed", "message": error.message, "hint": error.hint}
    return {"status": "succeeded", "message": "", "hint": ""}
