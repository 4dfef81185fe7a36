"""Connection tests of stored and draft sources and destinations, in a child process. They change nothing."""

from __future__ import annotations

import contextlib
from typing import Any, Literal, NamedTuple
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, Field

from kitestring.config import Advice
from kitestring.errors import KitestringError
from kitestring.server.api.kitestring.body import Body
from kitestring.server.api.kitestring.responses import RecordSample, SourceCatalog
from kitestring.server.api.response_models import ResponseModel, responses_for
from kitestring.server.auth.access import ASKS, Editor, Runner, ServerContext
from kitestring.server.builder import component_approval
from kitestring.server.connections import connection, endpoints
from kitestring.server.connections.exclusive_place import exclusive_place
from kitestring.server.connectors import check_results, definitions
from kitestring.server.connectors.confinement import Confinement
from kitestring.server.context import Context
from kitestring.server.http.problem import Problem
from kitestring.server.jobs.action_runner import PlaceTaken
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
    """The result of a test; `hint` is the next action. `problems`: what is wrong, by the path of the option
    (`credentials.api_token`), where the connector tells it."""

    status: Literal["succeeded", "failed"]
    message: str = ""
    hint: str = ""
    problems: dict[str, str] = Field(default_factory=dict)
    checkedAtMs: int | None = None


@router.post("/sources/{sourceId}/check", operation_id="checkSource", response_model=CheckResult)
def check_source(caller: Runner, context: ServerContext, sourceId: UUID) -> Any:
    """Test whether a source can be reached and read."""
    return check_stored(context, "source", str(sourceId))


@router.post("/destinations/{destinationId}/check", operation_id="checkDestination", response_model=CheckResult)
def check_destination(caller: Runner, context: ServerContext, destinationId: UUID) -> Any:
    """Test whether a destination can be reached and written."""
    return check_stored(context, "destination", str(destinationId))


class Draft(NamedTuple):
    """A draft with its masked secrets restored."""

    definition: definitions.Definition
    config: dict[str, Any]
    workspace_id: str
    stored_id: str


def draft_of(context: Context, body: CheckDraft) -> Draft:
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
            if row.definition_id == definition.id:  # in the version that it runs
                definition = endpoints.definition_of(db, body.kind, row)
    return Draft(definition, config, str(body.workspaceId), str(stored_id or ""))


@router.post("/check", operation_id="checkDraft", response_model=CheckResult)
def check_draft(caller: Editor, context: ServerContext, body: CheckDraft) -> Any:
    """Test an unsaved configuration. If it is saved within an hour, the result is kept with it."""
    definition, config, workspace_id, stored_id = draft_of(context, body)
    spec = definitions.spec_of(definition)
    try:
        endpoints.check_config(context, definition, config, workspace_id, caller.instance_admin)
    except KitestringError as error:
        return check_results.failed(error, spec, config)
    end = Endpoint(definition.connector, config, "", definition.manifest, workspace_id, caller.instance_admin)
    updater = DraftConfigUpdater(context, body.kind, end, spec, stored_id)
    result = run_check(context, body.kind, end, spec, updater)
    return check_results.keep_draft(context, body.kind, workspace_id, definition, config, result)


class AdviceRead(ResponseModel):
    """A note at an option that does not stop anything; `value` would settle it."""

    path: str
    message: str
    value: Any


class ConfigurationAdvice(ResponseModel):
    """Get the advice of a connector about a configuration."""

    data: list[AdviceRead]


@router.post(
    "/check/advice", operation_id="adviseDraft", dependencies=ASKS, responses=responses_for(ConfigurationAdvice)
)
def advise_draft(caller: Editor, context: ServerContext, body: CheckDraft) -> Any:
    """Notes about an unsaved configuration, such as chunks that are larger than the model reads. Nothing is connected;
    for a configuration that is not valid yet there are none."""
    definition, config, workspace_id, _ = draft_of(context, body)
    notes: list[Advice] = []
    with contextlib.suppress(KitestringError):
        built = definitions.build(
            definition,
            config,
            Confinement.of(
                context.settings,
                workspace_id,
                caller.instance_admin,
                component_approval.digests(context.settings, context.store),
            ),
        )
        with contextlib.closing(built):
            notes = list(built.advice())
    return {"data": [{"path": note.option, "message": note.message, "value": note.value} for note in notes]}


@router.post("/sources/{sourceId}/discover", operation_id="discoverSource", responses=responses_for(SourceCatalog))
def discover_source(caller: Runner, context: ServerContext, sourceId: UUID, fresh: bool = True) -> Any:
    """The current streams of a source, as a catalog of Airbyte's protocol. `fresh=false` returns the last stored
    one."""
    return connection.discover(context, str(sourceId), fresh=fresh).body


class SampleRequest(Body):
    """The stream, and how many records to read."""

    stream: str
    limit: int = Field(20, ge=1, le=1000)


@router.post(
    "/sources/{sourceId}/read", operation_id="readSource", dependencies=ASKS, responses=responses_for(RecordSample)
)
def read_source(caller: Editor, context: ServerContext, sourceId: UUID, body: SampleRequest) -> Any:
    """The first records of a stream, and those that were rejected."""
    with context.store.read() as db:
        end = endpoints.endpoint_of(context, db, "source", str(sourceId))
    request = {"source": end.body(), "stream": body.stream, "limit": body.limit}
    return context.runner.run("read", request, updater=ConfigUpdater(context, source=end))


def check_stored(context: Context, kind: definitions.Kind, actor_id: str) -> dict[str, Any]:
    """Test a stored source or destination, and keep the result."""
    with context.store.read() as db:
        end = endpoints.endpoint_of(context, db, kind, actor_id)
        definition = endpoints.definition_of(db, kind, endpoints.get(db, kind, actor_id))
    spec = endpoints.spec_or_none(definition)
    updater = ConfigUpdater(context, **{kind: end})
    result = run_check(context, kind, end, spec, updater)
    tested = [end.config, updater.renewed.get(kind, end.config)]
    return check_results.keep(context, kind, actor_id, definition, tested, result)


def run_check(
    context: Context, kind: definitions.Kind, end: Endpoint, spec: dict[str, Any], updater: ConfigUpdater
) -> dict[str, Any]:
    try:
        place = exclusive_place(context, end) if kind == "destination" else None
        context.runner.run("check", {kind: end.body()}, limit_s=CHECK_S, updater=updater, place=place)
    except PlaceTaken:  # no result: it would stay as a failure of the destination
        raise
    except KitestringError as error:
        return check_results.failed(error, spec, end.config)
    return check_results.succeeded()
