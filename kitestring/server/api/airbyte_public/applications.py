"""Applications, and the access tokens that programs get with them."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Annotated, Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field
from sqlalchemy.engine import Row
from starlette.concurrency import run_in_threadpool

from kitestring.redact import MASK
from kitestring.server.auth import application
from kitestring.server.auth.access import AnyUser, ServerContext, check_storable
from kitestring.server.auth.principal import Principal
from kitestring.server.context import Context, context_of
from kitestring.server.http.problem import Problem, missing_resource

router = APIRouter(tags=["applications"])
token_router = APIRouter(tags=["applications"])


class ApplicationCreate(BaseModel):
    name: str = Field(min_length=1, max_length=200)


class ApplicationRead(BaseModel):
    id: str
    name: str
    clientId: str
    clientSecret: str
    createdAt: int


class ApplicationReadList(BaseModel):
    applications: list[ApplicationRead]


class AccessToken(BaseModel):
    access_token: str
    token_type: str
    expires_in: int


@token_router.post(
    "/applications/token",
    operation_id="createAccessToken",
    response_model=AccessToken,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                kind: {
                    "schema": {
                        "type": "object",
                        "required": ["client_id", "client_secret"],
                        "properties": {
                            "client_id": {"type": "string"},
                            "client_secret": {"type": "string"},
                            "grant_type": {"type": "string", "enum": ["client_credentials"]},
                        },
                    }
                }
                for kind in ("application/json", "application/x-www-form-urlencoded")
            },
        }
    },
)
async def create_access_token(request: Request, context: Annotated[Context, Depends(context_of)]) -> dict[str, Any]:
    """A short-lived token for a client id and secret, sent as a form, as JSON, or as Basic authentication."""
    body = await request.body()
    check_storable(body)
    client_id, client_secret = client_of(request, body)
    return await run_in_threadpool(application.exchange, context, client_id, client_secret)


def client_of(request: Request, body: bytes) -> tuple[str, str]:
    """Client id and secret, from the body or the header. Content-Type is ignored: clients send wrong ones."""
    try:
        fields: Any = json.loads(body) if body.lstrip()[:1] == b"{" else dict(parse_qsl(body.decode()))
    except (ValueError, RecursionError):
        fields = {}
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic" and not fields.get("client_secret"):
        try:
            name, _, secret = base64.b64decode(credentials, validate=True).decode().partition(":")
            fields = {**fields, "client_id": name, "client_secret": secret}
        except (binascii.Error, UnicodeDecodeError):
            fields = {}
    pair = fields.get("client_id"), fields.get("client_secret")
    if not all(isinstance(part, str) and part and "\0" not in part for part in pair):
        raise Problem(
            400, "client_id and client_secret are missing", hint="Send both, as a form or as JSON.", title="bad-request"
        )
    grant = fields.get("grant_type") or fields.get("grant-type") or "client_credentials"
    if grant != "client_credentials":
        raise Problem(400, "the grant_type is not client_credentials", hint="There is no other.")
    return str(pair[0]), str(pair[1])


@router.get("/applications", operation_id="listApplications", response_model=ApplicationReadList)
def list_applications(caller: AnyUser, context: ServerContext) -> dict[str, Any]:
    """The caller's applications. A secret is shown only once, when it is created."""
    with context.store.read() as db:
        return {"applications": [application_body(row) for row in application.find_all(db, caller.user_id)]}


@router.post("/applications", operation_id="createApplication", response_model=ApplicationRead)
def create_application(body: ApplicationCreate, caller: AnyUser, context: ServerContext) -> dict[str, Any]:
    """Create a client id and a secret with the rights of the caller."""
    with context.store.write() as db:
        row, secret = application.create(db, caller.user_id, body.name, context.store.now_ms(db))
        return application_body(row, secret)


@router.get("/applications/{applicationId}", operation_id="getApplication", response_model=ApplicationRead)
def get_application(applicationId: str, caller: AnyUser, context: ServerContext) -> dict[str, Any]:
    with context.store.read() as db:
        return application_body(require_own(application.find(db, applicationId), caller, applicationId))


@router.delete("/applications/{applicationId}", operation_id="deleteApplication", response_model=ApplicationRead)
def delete_application(applicationId: str, caller: AnyUser, context: ServerContext) -> dict[str, Any]:
    """Delete an application. Its tokens are refused from then on."""
    with context.store.write() as db:
        row = require_own(application.find(db, applicationId), caller, applicationId)
        application.delete(db, row.id)
        return application_body(row)


def require_own(row: Row[Any] | None, caller: Principal, application_id: str) -> Row[Any]:
    """404 for an application of another user, as for an unknown one."""
    if row is None or (row.user_id != caller.user_id and not caller.instance_admin):
        raise missing_resource("application", application_id)
    return row


def application_body(row: Row[Any], secret: str = MASK) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "clientId": row.id,
        "clientSecret": secret,
        "createdAt": row.created_at_ms // 1000,
    }
