"""Test reads of a builder project, with its sealed test configuration."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool

from kitestring.server.api.kitestring.body import Body
from kitestring.server.api.kitestring.builder import (
    READ_EVENTS,
    StreamPropose,
    StreamRead,
    StreamReadEvents,
    draft_events,
    propose_for_draft,
    read_draft,
)
from kitestring.server.api.kitestring.builder_projects import ManifestYaml
from kitestring.server.api.kitestring.builder_responses import ManifestProposals, ManifestReading
from kitestring.server.api.kitestring.event_response import EventStream, responses_of_events
from kitestring.server.api.response_models import responses_for
from kitestring.server.auth.access import ASKS, Editor, ServerContext
from kitestring.server.builder import builder_project, draft_read
from kitestring.server.builder.draft_read import DraftRead
from kitestring.server.context import Context

router = APIRouter(prefix="/builder/projects", tags=["builder projects"])


class ProjectDraft(Body):
    """A draft of a project: its text, if it is not saved yet."""

    manifest: ManifestYaml | None = None


class ProjectReadEvents(StreamReadEvents, ProjectDraft):
    """A test read of a project in events: the stream, and limits."""


class ProjectPropose(StreamPropose, ProjectDraft):
    """A stream, and what to propose for it."""


class ProjectRead(StreamRead, ProjectDraft):
    """A test read of a project: the stream, and limits."""


def opened_draft(context: Context, project_id: str, manifest: str | None) -> DraftRead:
    """The draft of a project with its configuration opened; never shown."""
    with context.store.read() as db:
        row = builder_project.get(db, project_id)
    return draft_read.of_project(context, row, manifest)


@router.post(
    "/{projectId}/read",
    operation_id="readBuilderProject",
    dependencies=ASKS,
    responses=responses_for(ManifestReading),
)
def read_project(caller: Editor, context: ServerContext, projectId: UUID, body: ProjectRead) -> Any:
    """Read the first pages of a stream of a project with its test configuration, as `/builder/read`."""
    return read_draft(caller, context, opened_draft(context, str(projectId), body.manifest), body)


@router.post(
    "/{projectId}/read/events",
    operation_id="readBuilderProjectEvents",
    dependencies=ASKS,
    response_class=EventStream,
    responses=responses_of_events(*READ_EVENTS),
)
async def read_project_events(
    caller: Editor, context: ServerContext, request: Request, projectId: UUID, body: ProjectReadEvents
) -> EventStream:
    """Read a stream of a project in server-sent events, as `/builder/read/events`, with its test configuration."""
    draft = await run_in_threadpool(opened_draft, context, str(projectId), body.manifest)
    return await draft_events(caller, context, request, draft, body)


@router.post(
    "/{projectId}/propose",
    operation_id="proposeForBuilderProject",
    dependencies=ASKS,
    responses=responses_for(ManifestProposals),
)
def propose_for_project(caller: Editor, context: ServerContext, projectId: UUID, body: ProjectPropose) -> Any:
    """Propose settings for a stream of a project by requests to its API, as `/builder/propose`, with its test
    configuration."""
    return propose_for_draft(caller, context, opened_draft(context, str(projectId), body.manifest), body)
