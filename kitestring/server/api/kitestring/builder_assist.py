"""The assistant of the connector builder: suggestions of a model, proven on the API."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field

from kitestring.errors import KitestringError
from kitestring.server.api.kitestring.body import Body
from kitestring.server.api.kitestring.builder import (
    ASSIST_REQUESTS,
    PROPOSE_LIMIT_S,
    ManifestDraft,
    draft_of,
)
from kitestring.server.api.kitestring.builder_project_reads import ProjectDraft, opened_draft
from kitestring.server.api.kitestring.builder_responses import ManifestProposals
from kitestring.server.api.response_models import responses_for
from kitestring.server.auth.access import ASKS, Editor, ServerContext
from kitestring.server.builder.assistant import MOST_DOCUMENTATION, ask_model, is_configured
from kitestring.server.builder.draft_read import DraftRead
from kitestring.server.context import Context

router = APIRouter(prefix="/builder", tags=["builder"])

FETCH_LIMIT_S = 60.0


class AssistRequest(Body):
    """Suggestions for a stream, or for new streams if none is named. `url` or `text`: the API's documentation."""

    stream: str = ""
    text: str = Field("", max_length=1_000_000)
    url: str = Field("", max_length=8000)


class ManifestAssist(AssistRequest, ManifestDraft):
    """A manifest with its configuration, and what to suggest for it."""


class ProjectAssist(AssistRequest, ProjectDraft):
    """A request for suggestions for a project."""


@router.post(
    "/assist", operation_id="assistWithConnector", dependencies=ASKS, responses=responses_for(ManifestProposals)
)
def assist_with_connector(caller: Editor, context: ServerContext, body: ManifestAssist) -> Any:
    """Suggest settings of a stream, or new streams, from a documentation, each proven by requests to the API.

    A model of the operator suggests; without one, answers and the names in the documentation are tried. The model gets
    the documentation and the manifest, no value of the configuration. At most 120 requests.
    """
    return assisted(context, draft_of(context, body), body, trusted=caller.instance_admin)


@router.post(
    "/projects/{projectId}/assist",
    operation_id="assistWithBuilderProject",
    dependencies=ASKS,
    responses=responses_for(ManifestProposals),
    tags=["builder projects"],
)
def assist_with_project(caller: Editor, context: ServerContext, projectId: UUID, body: ProjectAssist) -> Any:
    """Suggest settings for a project from a documentation, as `/builder/assist`, with its test configuration."""
    draft = opened_draft(context, str(projectId), body.manifest)
    return assisted(context, draft, body, trusted=caller.instance_admin)


def assisted(context: Context, draft: DraftRead, body: AssistRequest, *, trusted: bool) -> dict[str, Any]:
    """Proposals of the model and of trying; what the model failed at is a note."""
    request = {**draft.request(context, trusted=trusted), "stream": body.stream}
    documentation, notes = body.text, list[str]()
    if body.url:
        fetch = {"url": body.url, "most": MOST_DOCUMENTATION, "limits": request["limits"]}
        fetched: str = context.runner.run("builder_document", fetch, limit_s=FETCH_LIMIT_S)["text"]
        documentation = f"{documentation}\n\n{fetched}".strip()
    answer = ""
    if is_configured(context.settings):
        try:
            answer = ask_model(context.settings, documentation, draft.manifest, body.stream, draft.config)
        except KitestringError as error:
            notes.append(f"Assistant: {error.message}. Names and answers alone were tried.")
    else:
        notes.append("Assistant: this server has no model. Answers and the names in the documentation were tried.")
    values = {
        **request,
        "answer": answer,
        "documentation": documentation[:MOST_DOCUMENTATION],
        "most_requests": ASSIST_REQUESTS,
    }
    proposals: dict[str, Any] = context.runner.run(
        "builder_assist", values, limit_s=PROPOSE_LIMIT_S, updater=draft.updater
    )
    return {**proposals, "notes": [*notes, *proposals["notes"]]}
