"""Calls for builders of low-code sources: resolve, validate, test read, infer a schema.

A manifest is resolved and read in a child process, within limits.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import Field

from kitestring.server.api.kitestring.body import Body
from kitestring.server.api.kitestring.builder_responses import (
    BuilderBeginning,
    InferredSchema,
    ManifestDefects,
    ManifestProposals,
    ManifestReading,
    ResolvedManifest,
)
from kitestring.server.api.kitestring.event_response import EventStream, event_response, responses_of_events
from kitestring.server.api.response_models import ResponseModel, responses_for
from kitestring.server.auth.access import ASKS, AnyUser, Editor, ServerContext
from kitestring.server.auth.principal import Principal
from kitestring.server.builder import draft_read
from kitestring.server.builder.assistant import is_configured
from kitestring.server.builder.draft_read import DraftRead, child_limits
from kitestring.server.context import Context
from kitestring.server.jobs.action_events import ActionEvents

router = APIRouter(prefix="/builder", tags=["builder"])

BEGIN_LIMIT_S = 60.0
READ_LIMIT_S = 120.0
PROPOSE_LIMIT_S = 180.0
PROPOSE_REQUESTS, ASSIST_REQUESTS = 60, 120
"""The most requests to the API that one call for proposals sends."""
EVENTS_LIMIT_S = 300.0
READ_EVENTS = ("slice", "page", "records", "state", "other", "log", "end")
"""The events of a test read."""


class ManifestText(Body):
    """A manifest, as YAML text or as values."""

    workspaceId: UUID
    manifest: str | dict[str, Any]


class Begin(Body):
    """The beginning of a connector: a text, or the address of one. The kind `url` takes the address of a list, the kind
    `empty` a name."""

    workspaceId: UUID
    kind: Literal["url", "curl", "openapi", "har", "manifest", "empty"]
    text: str = Field("", max_length=16 * 1024 * 1024)
    url: str = Field("", max_length=8000)
    streams: list[str] = Field(default_factory=list, max_length=1000, description="Which lists become streams.")
    files: dict[str, Annotated[str, Field(max_length=4_000_000)]] = Field(
        default_factory=dict,
        max_length=2000,
        description="The files beside a manifest by their paths: components.py, schemas/NAME.json.",
    )


class ManifestValidation(ManifestText):
    """A manifest, and the configuration for its templates."""

    configuration: dict[str, Any] | None = None


class ManifestDraft(ManifestText):
    """A manifest with its configuration."""

    configuration: dict[str, Any] = Field(default_factory=dict)


class PreviewLimits(Body):
    """The limits of a test read that is answered when it has ended."""

    slices: int = Field(5, ge=1, le=100)
    pages: int = Field(5, ge=1, le=100)
    records: int = Field(1000, ge=1, le=10_000)

    def most(self) -> dict[str, int]:
        """The limits as a child process gets them."""
        return {"most_slices": self.slices, "most_pages": self.pages, "most_records": self.records}


class StreamRead(PreviewLimits):
    """A test read: the stream, the state that it begins from, and limits."""

    stream: str
    state: dict[str, Any] | None = None

    def request(self) -> dict[str, Any]:
        """The fields of a child's request."""
        return {"stream": self.stream, "state": self.state, "most": self.most()}


class ManifestRead(StreamRead, ManifestDraft):
    """A test read of a manifest: the stream, and limits."""


class ReadLimits(PreviewLimits):
    """The limits of a test read in events. `bytes` limits the answers, in total."""

    slices: int = Field(5, ge=1, le=1000)
    pages: int = Field(5, ge=1, le=1000)
    records: int = Field(1000, ge=1, le=100_000)
    bytes: int = Field(50_000_000, ge=1, le=50_000_000)

    def most(self) -> dict[str, int]:
        """The limits as a child process gets them."""
        return {**super().most(), "most_bytes": self.bytes}


class StreamReadEvents(ReadLimits, StreamRead):
    """A test read in events: the stream, the state that it begins from, and limits."""


class ManifestReadEvents(StreamReadEvents, ManifestDraft):
    """A test read of a manifest in events: the stream, and limits."""


What = Literal["auth", "records", "pagination", "key", "cursor", "schema"]


class StreamPropose(Body):
    """A stream, and what to propose for it."""

    stream: str
    what: list[What] = Field(default_factory=lambda: list(get_args(What)), min_length=1, max_length=10)


class ManifestPropose(StreamPropose, ManifestDraft):
    """A stream of a manifest, and what to propose for it."""


class RecordsToInfer(Body):
    """Records to infer a schema from."""

    workspaceId: UUID
    records: list[dict[str, Any]] = Field(max_length=10_000)


class ReadLimitsRead(ResponseModel):
    """The largest limits of a test read in events. `seconds`: how long it may last."""

    slices: int
    pages: int
    records: int
    bytes: int
    seconds: int


class ProposalRequests(ResponseModel):
    """The most requests that a call for proposals sends to the API."""

    propose: int
    assist: int


class BuilderCapabilities(ResponseModel):
    """The abilities of the builder on this server. `assist`: the operator has set a model."""

    assist: bool
    limits: ReadLimitsRead
    proposalRequests: ProposalRequests


def draft_of(context: Context, body: ManifestDraft) -> DraftRead:
    """The draft of a request that names no project."""
    return draft_read.of_values(context, str(body.workspaceId), body.manifest, body.configuration)


def read_draft(caller: Principal, context: Context, draft: DraftRead, body: StreamRead) -> Any:
    """The result of a test read."""
    request = {**draft.request(context, trusted=caller.instance_admin), **body.request()}
    return context.runner.run("manifest_read", request, limit_s=READ_LIMIT_S, updater=draft.updater)


async def draft_events(
    caller: Principal, context: Context, request: Request, draft: DraftRead, body: StreamReadEvents
) -> EventStream:
    """The events of a test read."""
    values = {**draft.request(context, trusted=caller.instance_admin), **body.request()}
    events = ActionEvents(context.runner, "manifest_read_events", values, limit_s=EVENTS_LIMIT_S, updater=draft.updater)
    return await event_response(request, events)


def propose_for_draft(caller: Principal, context: Context, draft: DraftRead, body: StreamPropose) -> Any:
    """Proposals for a stream of a draft."""
    request = {**draft.request(context, trusted=caller.instance_admin), "stream": body.stream, "what": body.what}
    request["most_requests"] = PROPOSE_REQUESTS
    return context.runner.run("builder_propose", request, limit_s=PROPOSE_LIMIT_S, updater=draft.updater)


@router.get("/capabilities", operation_id="getBuilderCapabilities", responses=responses_for(BuilderCapabilities))
def get_capabilities(caller: AnyUser, context: ServerContext) -> Any:
    """Get the abilities and limits of the builder of this server."""
    most = {
        name: next(rule.le for rule in field.metadata if hasattr(rule, "le"))
        for name, field in ReadLimits.model_fields.items()
    }
    return {
        "assist": is_configured(context.settings),
        "limits": {**most, "seconds": int(EVENTS_LIMIT_S)},
        "proposalRequests": {"propose": PROPOSE_REQUESTS, "assist": ASSIST_REQUESTS},
    }


@router.post("/resolve", operation_id="resolveManifest", dependencies=ASKS, responses=responses_for(ResolvedManifest))
def resolve_manifest(caller: Editor, context: ServerContext, body: ManifestText) -> Any:
    """Resolve a manifest: replace its references and hand parameters down."""
    return context.runner.run("manifest_resolve", {"manifest": body.manifest}, limit_s=30.0)


@router.post("/begin", operation_id="beginConnector", dependencies=ASKS, responses=responses_for(BuilderBeginning))
def begin_connector(caller: Editor, context: ServerContext, body: Begin) -> Any:
    """Begin a connector from the address of a list, a line of cURL, an OpenAPI document, a HAR file or a manifest.

    Credentials become inputs; their values are in `testConfiguration` and never in the manifest. The kind `url` makes
    no request; a document at `url` is fetched, within the egress policy of the server.
    """
    request = {
        "kind_of_beginning": body.kind,
        "text": body.text,
        "url": body.url,
        "streams": body.streams,
        "beside": body.files,
        "limits": child_limits(context),
    }
    return context.runner.run("builder_begin", request, limit_s=BEGIN_LIMIT_S)


@router.post("/validate", operation_id="validateManifest", dependencies=ASKS, responses=responses_for(ManifestDefects))
def validate_manifest(caller: Editor, context: ServerContext, body: ManifestValidation) -> Any:
    """Validate a manifest. Each defect has line, column, path, message and hint; without defects the manifest can
    run."""
    request = {"manifest": body.manifest, "config": body.configuration}
    return {"defects": context.runner.run("manifest_validate", request, limit_s=30.0)}


@router.post("/read", operation_id="readManifest", dependencies=ASKS, responses=responses_for(ManifestReading))
def read_manifest(caller: Editor, context: ServerContext, body: ManifestRead) -> Any:
    """Read the first pages of a stream: requests, responses, records, the state, a schema, the log."""
    return read_draft(caller, context, draft_of(context, body), body)


@router.post(
    "/read/events",
    operation_id="readManifestEvents",
    dependencies=ASKS,
    response_class=EventStream,
    responses=responses_of_events(*READ_EVENTS),
)
async def read_manifest_events(
    caller: Editor, context: ServerContext, request: Request, body: ManifestReadEvents
) -> EventStream:
    """Read a stream in server-sent events, each sent at once: slices, pages, records, requests, the log, the end.

    `slice`: a slice begins. `page`: a request, its response and its records. `records`: more records of a page.
    `state`: a slice ends. `other`: a request outside the pages. `log`: a line of the log. `end`: schema,
    schemaDifference, state, limited, error and hint. The read stops when the client goes away.
    """
    return await draft_events(caller, context, request, draft_of(context, body), body)


@router.post("/propose", operation_id="proposeForStream", dependencies=ASKS, responses=responses_for(ManifestProposals))
def propose_for_stream(caller: Editor, context: ServerContext, body: ManifestPropose) -> Any:
    """Propose records, pagination, key, cursor, schema and authentication of a stream, by requests to its API.

    Kinds of pagination are tried: one is proven when page 2 came and brought other records. At most 60 requests.
    """
    return propose_for_draft(caller, context, draft_of(context, body), body)


@router.post("/infer", operation_id="inferSchema", dependencies=ASKS, responses=responses_for(InferredSchema))
def infer_schema_of(caller: Editor, context: ServerContext, body: RecordsToInfer) -> Any:
    """Infer a JSON Schema that fits all records."""
    from kitestring.declarative.builder.inference import infer_schema

    return {"schema": infer_schema(body.records)}
