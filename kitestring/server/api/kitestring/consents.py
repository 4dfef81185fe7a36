"""OAuth consents that the web interface begins, for an existing or a new source."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from kitestring.server.api.airbyte_public.oauth import BROWSER, ConsentRead, vendor_of
from kitestring.server.api.kitestring.body import Body
from kitestring.server.api.kitestring.responses import ConsentVendor
from kitestring.server.auth.access import AnyUser, Editor, ServerContext
from kitestring.server.auth.principal import Role
from kitestring.server.auth.resources import canonical
from kitestring.server.auth.token_hash import random_token
from kitestring.server.builder import builder_project, draft_consent, source_consent
from kitestring.server.connections import endpoints
from kitestring.server.connectors import definitions
from kitestring.server.context import Context
from kitestring.server.http.problem import Problem
from kitestring.server.oauth import consent

router = APIRouter(prefix="/consents", tags=["oauth"])


class ConsentRequest(Body):
    sourceId: str | None = None
    """The source whose tokens to renew …"""
    workspaceId: str | None = None
    """… or the workspace and the connector of a new one."""
    connector: str | None = None
    definitionId: UUID | None = None
    """In place of `connector`: a connector whose manifest describes the consent (`consentInputs`)."""
    configuration: dict[str, Any] = Field(default_factory=dict)
    redirectUrl: str = Field(max_length=2000)


class ProjectConsentRequest(Body):
    """A builder project, and the address that the browser returns to."""

    projectId: UUID
    redirectUrl: str = Field(max_length=2000)


class ConsentVendors(BaseModel):
    data: list[ConsentVendor]
    redirectUri: str
    """The redirect address to register at the vendor."""


@router.get("", operation_id="listConsentVendors", response_model=ConsentVendors)
def list_consent_vendors(
    request: Request, caller: AnyUser, context: ServerContext, workspaceId: UUID | None = None
) -> Any:
    """The sources with an OAuth consent, the options that it needs first, and where its client is registered for a
    workspace."""
    clients: dict[str, str] = {}
    if workspaceId is not None:
        caller.require(str(workspaceId), Role.reader)
        with context.store.read() as db:
            clients = consent.registered(db, str(workspaceId))
    return {
        "data": [
            {
                "connector": vendor.connector,
                "needs": list(vendor.inputs),
                "client": clients.get(consent.normalized(vendor.connector)),
            }
            for vendor in request.app.state.vendors.values()
        ],
        "redirectUri": f"{context.settings.url}{consent.CALLBACK}",
    }


@router.post("", operation_id="beginConsent", response_model=ConsentRead)
def begin_consent(
    body: ConsentRequest, request: Request, response: Response, caller: Editor, context: ServerContext
) -> Any:
    """Begin a consent: the address to open. Only the browser that began it can complete it. 422 for a connector without
    one, or a configuration without the options that it needs."""
    config, connector, workspace_id = body.configuration, body.connector, body.workspaceId
    source_id = canonical(body.sourceId) if body.sourceId else None
    definition = None
    if source_id:
        with context.store.read() as db:
            row = endpoints.get(db, "source", source_id)
            definition = endpoints.definition_of(db, "source", row)
            connector, workspace_id = definition.connector or definition.name, row.workspace_id
            config = {**context.secret_box.open_config(row.config, row.id), **config}
    elif body.definitionId:
        with context.store.read() as db:
            definition = definitions.get(db, "source", str(body.definitionId))
        connector = definition.connector or definition.name
        if definition.workspace_id not in (None, canonical(workspace_id or "")):
            raise Problem(422, "the connector belongs to another workspace", hint="Take one of this workspace.")
    if not connector or not workspace_id:
        raise Problem(422, "the request names neither a source nor a workspace and a connector", hint="Name one.")
    browser = request.cookies.get(BROWSER) or random_token()
    common: dict[str, Any] = {
        "actor": caller.name,
        "workspace_id": canonical(workspace_id),
        "redirect_url": body.redirectUrl,
        "source_id": source_id,
        "browser": browser,
    }
    known = consent.normalized(connector) in request.app.state.vendors
    if definition is not None and not known and source_consent.needed_inputs(definition) is not None:
        url = source_consent.begin(context, definition, config, **common)
    else:
        url = consent.begin(context, vendor_of(request, connector), config=config, **common)
    keep_browser(request, response, context, browser)
    return {"consentUrl": url}


@router.post("/builder-project", operation_id="beginBuilderProjectConsent", response_model=ConsentRead)
def begin_project_consent(
    body: ProjectConsentRequest, request: Request, response: Response, caller: Editor, context: ServerContext
) -> Any:
    """Begin the consent that the draft of a builder project describes: the address to open. The tokens become sealed
    inputs of its tests. 422 for a draft that describes none, or inputs without the application's id and secret."""
    with context.store.read() as db:
        project = builder_project.get(db, str(body.projectId))
    consent.check_redirect(context, body.redirectUrl)
    browser = request.cookies.get(BROWSER) or random_token()
    url = draft_consent.begin(context, project, redirect_url=body.redirectUrl, browser=browser)
    keep_browser(request, response, context, browser)
    return {"consentUrl": url}


def keep_browser(request: Request, response: Response, context: Context, browser: str) -> None:
    """Bind a consent to the browser that began it."""
    response.set_cookie(
        BROWSER,
        browser,
        max_age=3600,
        path="/",
        secure=request.url.scheme == "https" or context.settings.public_url.startswith("https://"),
        httponly=True,
        samesite="lax",
    )
