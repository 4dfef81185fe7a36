"""OAuth consents of builder projects in Airbyte's Config API: the client of the API gets the redirect itself."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import Field

from kitestring.errors import KitestringError
from kitestring.server.api.airbyte_config.builder_projects import ConfigProjectRef, own_project
from kitestring.server.auth.access import Editor, ServerContext
from kitestring.server.builder import draft_consent
from kitestring.server.oauth import consent

router = APIRouter(prefix="/connector_builder_projects", tags=["config: builder projects"])


class ProjectConsent(ConfigProjectRef):
    """A project, and where the vendor redirects the browser to."""

    redirectUrl: str = Field(max_length=2000)


class ProjectConsentEnd(ProjectConsent):
    """A project, and the query of that redirect."""

    queryParams: dict[str, Any] = Field(default_factory=dict)


@router.post("/get_oauth_consent_url", operation_id="configGetBuilderProjectConsent")
def get_consent_url(caller: Editor, context: ServerContext, body: ProjectConsent) -> Any:
    """The page at which the account consents, by the `advanced_auth` of the draft and the testing values."""
    with context.store.read() as db:
        project = own_project(db, body)
    consent.check_redirect(context, body.redirectUrl)
    url = draft_consent.begin(context, project, redirect_url=body.redirectUrl, redirect_uri=body.redirectUrl)
    return {"consentUrl": url}


@router.post("/complete_oauth", operation_id="configCompleteBuilderProjectConsent")
def complete_oauth(caller: Editor, context: ServerContext, body: ProjectConsentEnd) -> Any:
    """Exchange the code for tokens, and seal them into the testing values. `auth_payload` names them, masked: as
    testing values, a mask keeps what is stored."""
    with context.store.read() as db:
        project = own_project(db, body)
    query = {name: str(value) for name, value in body.queryParams.items()}
    begun = draft_consent.take(context, project, query, body.redirectUrl)
    try:
        return {"request_succeeded": True, "auth_payload": draft_consent.complete(context, begun, query)}
    except KitestringError as error:
        return {"request_succeeded": False, "request_error": error.message}
