"""OAuth consents of Airbyte's public API, and the OAuth clients of workspaces and organizations."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, Field

from kitestring.server.auth.access import Admin, Editor, ServerContext
from kitestring.server.auth.resources import canonical
from kitestring.server.builder import draft_consent, source_consent
from kitestring.server.http.problem import Problem
from kitestring.server.oauth import consent
from kitestring.server.oauth.vendor import Vendor

router = APIRouter(tags=["oauth"])

BROWSER = "kitestring_consent"
"""The cookie that binds a consent to the browser that began it."""


class InitiateOauth(BaseModel):
    workspaceId: str
    redirectUrl: str = Field(max_length=2000)
    sourceType: str | None = None
    name: str | None = None
    oAuthInputConfiguration: dict[str, Any] = Field(default_factory=dict)
    requestedScopes: list[str] | None = Field(default=None, max_length=100)


class ConsentRead(BaseModel):
    consentUrl: str


class OAuthCredentials(BaseModel):
    actorType: Literal["source", "destination"]
    name: str = Field(min_length=1, max_length=120)
    configuration: dict[str, Any]


@router.post("/sources/initiateOAuth", operation_id="initiateOAuth", response_model=ConsentRead)
def initiate(body: InitiateOauth, request: Request, caller: Editor, context: ServerContext) -> Any:
    """Begin a consent. At its end the browser returns to `redirectUrl` with `secret_id`: pass it as `secretId` of a new
    source."""
    url = consent.begin(
        context,
        vendor_of(request, body.sourceType or body.name or ""),
        actor=caller.name,
        workspace_id=canonical(body.workspaceId),
        redirect_url=body.redirectUrl,
        config=body.oAuthInputConfiguration,
        scopes=body.requestedScopes,
    )
    return {"consentUrl": url}


@router.get("/oauth/callback", operation_id="oauthCallback", response_class=RedirectResponse, status_code=302)
def callback(request: Request, context: ServerContext) -> Any:
    """The vendor redirects the browser to this address."""
    query = dict(request.query_params)
    body = consent.take(context, query, request.cookies.get(BROWSER, ""))
    if "project_id" in body:
        outcome = draft_consent.end(context, body, query)
    elif "definition_id" in body:
        outcome = source_consent.end(context, body, query)
    else:
        outcome = consent.end(context, request.app.state.vendors, body, query)
    return RedirectResponse(outcome.location, 302)


@router.put("/workspaces/{workspaceId}/oauthCredentials", operation_id="createOrUpdateWorkspaceOAuthCredentials")
def put_of_workspace(workspaceId: str, body: OAuthCredentials, caller: Admin, context: ServerContext) -> Response:
    """Set the OAuth client of a workspace at a vendor. Consents of the workspace use it."""
    with context.store.write() as db:
        consent.put_credentials(context, db, canonical(workspaceId), body.actorType, body.name, body.configuration)
    return Response(status_code=200)


@router.delete(
    "/workspaces/{workspaceId}/oauthCredentials/{actorType}/{name}",
    operation_id="deleteWorkspaceOAuthCredentials",
    status_code=204,
)
def delete_of_workspace(
    workspaceId: str, actorType: Literal["source", "destination"], name: str, caller: Admin, context: ServerContext
) -> Response:
    with context.store.write() as db:
        consent.delete_credentials(db, canonical(workspaceId), actorType, name)
    return Response(status_code=204)


@router.put(
    "/organizations/{organizationId}/oauthCredentials", operation_id="createOrUpdateOrganizationOAuthCredentials"
)
def put_of_organization(organizationId: str, body: OAuthCredentials, caller: Admin, context: ServerContext) -> Response:
    """Set the OAuth client of an organization. Workspaces without a client of their own use it."""
    with context.store.write() as db:
        consent.put_credentials(context, db, canonical(organizationId), body.actorType, body.name, body.configuration)
    return Response(status_code=200)


@router.delete(
    "/organizations/{organizationId}/oauthCredentials/{actorType}/{name}",
    operation_id="deleteOrganizationOAuthCredentials",
    status_code=204,
)
def delete_of_organization(
    organizationId: str, actorType: Literal["source", "destination"], name: str, caller: Admin, context: ServerContext
) -> Response:
    with context.store.write() as db:
        consent.delete_credentials(db, canonical(organizationId), actorType, name)
    return Response(status_code=204)


def vendor_of(request: Request, name: str) -> Vendor:
    """The vendor of a source by its type. 422 for a source without a known consent."""
    vendors: dict[str, Vendor] = request.app.state.vendors
    vendor = vendors.get(consent.normalized(name))
    if vendor is None:
        raise Problem(
            422,
            f"there is no OAuth consent for {name or 'a source without a type'}",
            hint=f"There is for: {', '.join(vendors)}.",
        )
    return vendor
