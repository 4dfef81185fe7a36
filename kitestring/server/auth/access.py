"""Authorization of requests: each route names the role it needs, and only this module decides.

    @router.get("/sources/{sourceId}")
    def get_source(sourceId: str, caller: Reader, context: ServerContext) -> …

The workspaces are those of the resources that the request names, in its path, its query or its body (`resources.py`);
the role is needed in each. A request that names none (a list) passes with the role in any workspace, and its handler
shows `caller.workspaces()` only. A handler that finds a workspace by other means calls
`caller.require(workspace_id, role)`.

Routes of what belongs to no workspace take `Known` (anyone with valid credentials) or `InstanceAdmin`.
An unknown id is 404; one in a workspace where the role is missing is 403, without further detail.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Annotated, Any

from fastapi import Depends, Request
from sqlalchemy import Connection, Table, select

from kitestring.server.auth.on_behalf_of import HEADER, on_behalf_of
from kitestring.server.auth.principal import Principal, Role, forbidden
from kitestring.server.auth.resources import ResourceRef, resources_in
from kitestring.server.auth.token import unauthorized
from kitestring.server.context import Context, context_of
from kitestring.server.http.problem import Problem, missing_resource
from kitestring.server.store import tables

ServerContext = Annotated[Context, Depends(context_of)]

OPEN_PATHS = frozenset(
    {
        *(f"{prefix}/applications/token" for prefix in ("", "/v1", "/api/public/v1", "/api/v1")),
        *(
            f"{prefix}{path}"
            for prefix in ("/v1", "/api/public/v1")
            for path in ("", "/", "/health", "/oauth/callback")
        ),
        "/api/v1/health",
        "/api/v1/health/",
        "/api/kitestring/v1/health",
        "/api/kitestring/v1/session/ways",
        "/api/kitestring/v1/session/login",
        "/api/kitestring/v1/session/oidc",
        "/api/kitestring/v1/session/oidc/callback",
        "/api/openapi.json",
    }
)
"""The paths that are answered without credentials. Every other path of an API is refused without, known or not."""
API_PREFIXES = ("/api", "/v1", "/applications", "/metrics")
"""The prefixes of the API paths. All other paths are files of the web interface."""

SAME_WORKSPACE = frozenset({"source", "destination", "connection", "tag", "definition", "builder_project"})
"""Kinds of resources that a change may combine only within one workspace."""
TABLES: dict[str, Table] = {
    "source": tables.sources,
    "destination": tables.destinations,
    "connection": tables.connections,
    "job": tables.jobs,
    "tag": tables.tags,
    "builder_project": tables.builder_projects,
}


def needs_credentials(path: str) -> bool:
    """Whether a path is refused without credentials."""
    return path not in OPEN_PATHS and any(path == place or path.startswith(f"{place}/") for place in API_PREFIXES)


def principal_of(request: Request) -> Principal:
    """The principal that `AuthenticationMiddleware` put into the state of the request."""
    principal = getattr(request.state, "principal", None)
    if not isinstance(principal, Principal):
        raise unauthorized("the request has no credentials")
    return principal


async def body_of(request: Request) -> Any:
    """The JSON of a request, None where there is none. (Starlette keeps the body for the next reader.)"""
    if request.method in ("GET", "HEAD", "OPTIONS"):
        return None
    raw = await request.body()
    check_storable(raw)
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None


UNSTORABLE_ESCAPE = re.compile(rb"\\u(?:[dD][89a-fA-F][0-9a-fA-F]{2}|0000)")
"""Escapes of JSON that may be half a surrogate pair or a NUL."""


def check_storable(raw: bytes) -> None:
    """400 for a body with text that no database and no answer can hold.

    JSON is UTF-8 (RFC 8259, 8.1). Python's parser takes UTF-16 and UTF-32 too, in which the escapes look otherwise;
    both have NULs.
    """
    try:
        raw.decode()
    except UnicodeDecodeError:
        raise Problem(400, "the body of the request is not UTF-8", hint="Send it as UTF-8.") from None
    if b"\0" in raw:
        raise Problem(400, "the request holds a NUL, which cannot be stored", hint="Remove it; send UTF-8.")
    if UNSTORABLE_ESCAPE.search(raw) is None:
        return
    try:
        strange = has_unstorable_text(json.loads(raw))
    except (ValueError, RecursionError):
        return  # the reader of the JSON reports it
    if strange:
        raise Problem(400, "the request holds a NUL or half a character, which cannot be stored", hint="Remove it.")


def has_unstorable_text(node: Any) -> bool:
    """Whether a JSON value has a text with a NUL or a lone surrogate anywhere in it."""
    if isinstance(node, Mapping):
        return any(has_unstorable_text(key) or has_unstorable_text(value) for key, value in node.items())
    if isinstance(node, list):
        return any(has_unstorable_text(item) for item in node)
    return isinstance(node, str) and any(item == "\0" or "\ud800" <= item <= "\udfff" for item in node)


def access(role: Role | None, *, instance: bool = False) -> Callable[..., Principal]:
    """A dependency that lets a request pass with this role, and gives the `Principal`."""

    def passes(
        request: Request,
        body: Annotated[Any, Depends(body_of)],
        context: Annotated[Context, Depends(context_of)],
    ) -> Principal:
        who = principal_of(request)
        attributes = on_behalf_of(request.headers.getlist(HEADER))
        if attributes is not None:
            who = replace(who, on_behalf_of=attributes)
        if instance:
            who.require_instance_admin()
        if role is Role.reader:  # whoever may only read changes nothing, whatever the method
            only_asks(request)
        if role is not None:
            if not who.anywhere(role):
                raise Problem(403, f"this needs the role {role.name}, and you have it nowhere", hint="Ask an admin.")
            resources = resources_in(
                str(request.scope["path"]), request.path_params, request.query_params.multi_items(), body
            )
            if resources:
                with context.store.read() as db:
                    check(db, who, role, resources, changes=request.method not in ("GET", "HEAD", "OPTIONS"))
        return who

    passes.role = role  # type: ignore[attr-defined]
    passes.instance = instance  # type: ignore[attr-defined]
    return passes


def only_asks(request: Request) -> None:
    """A dependency of a route that answers a question by POST: a repetition gets a new answer, and no answer is kept
    (see `http/idempotency.py`). The routes of readers have it."""
    request.state.only_asks = True


ASKS = [Depends(only_asks)]

AnyUser = Annotated[Principal, Depends(access(None))]
Reader = Annotated[Principal, Depends(access(Role.reader))]
Runner = Annotated[Principal, Depends(access(Role.runner))]
Editor = Annotated[Principal, Depends(access(Role.editor))]
Admin = Annotated[Principal, Depends(access(Role.admin))]
InstanceAdmin = Annotated[Principal, Depends(access(None, instance=True))]


def check(db: Connection, who: Principal, role: Role, resources: list[ResourceRef], *, changes: bool = True) -> None:
    """404 for a resource that is not there, 403 without the role in its workspace, 422 where a change would put
    resources of two workspaces together."""
    places: dict[str, str] = {}
    for resource in resources:
        if resource.kind == "organization":
            _check_organization(db, who, role, resource)
        elif resource.kind == "permission":
            _check_permission(db, who, role, resource)
        else:
            workspace_id = workspace_of(db, resource)
            if workspace_id is None:
                continue
            who.require(workspace_id, role)
            if resource.kind in SAME_WORKSPACE:
                places[f"the {resource.kind} {resource.id}"] = workspace_id
    # A custom connector is found in its own workspace only, even by those who may use both.
    named_workspaces = {resource.id for resource in resources if resource.kind == "workspace"}
    for resource in resources:
        place = places.get(f"the {resource.kind} {resource.id}")
        if resource.kind == "definition" and place and named_workspaces and place not in named_workspaces:
            raise missing_resource("definition", resource.id)
    if changes and len(set(places.values())) > 1:
        first, other = (
            next(name for name, at in places.items() if at == place) for place in sorted(set(places.values()))[:2]
        )
        raise Problem(
            422, f"{first} and {other} belong to different workspaces", hint="Take resources of one workspace."
        )


def workspace_of(db: Connection, resource: ResourceRef) -> str | None:
    """The workspace of a resource; None for a connector that comes with Kitestring. 404 for what is not there, and for
    all that was in a workspace that was deleted."""
    if resource.kind == "workspace":
        workspace_id: Any = resource.id
    elif resource.kind == "definition":
        table = tables.definitions
        workspace_id = db.execute(select(table.c.workspace_id).where(table.c.id == resource.id)).scalar_one_or_none()
        if workspace_id is None:
            return None
    else:
        table = TABLES[resource.kind]
        key: Any = resource.id
        if resource.kind == "job":
            if not (resource.id.isascii() and resource.id.isdecimal() and len(resource.id) < 19):
                raise missing_resource("job", resource.id)
            key = int(resource.id)
        workspace_id = db.execute(select(table.c.workspace_id).where(table.c.id == key)).scalar_one_or_none()
    workspaces = tables.workspaces.c
    alive = select(workspaces.id).where(workspaces.id == workspace_id, workspaces.deleted_at_ms.is_(None))
    if workspace_id is None or db.execute(alive).first() is None:
        raise missing_resource(resource.kind.replace("_", " "), resource.id)
    return str(workspace_id)


def _check_organization(db: Connection, who: Principal, role: Role, resource: ResourceRef) -> None:
    """A role in one workspace is enough to read the organization; anything more needs a role in the organization."""
    table = tables.organizations
    if db.execute(select(table.c.id).where(table.c.id == resource.id)).first() is None:
        raise missing_resource("organization", resource.id)
    if role is Role.reader and resource.id in who.member_of:
        return
    who.require_organization(resource.id, role)


def _check_permission(db: Connection, who: Principal, role: Role, resource: ResourceRef) -> None:
    """A permission is managed by the admins of what it is for, and may be looked at by the one who has it."""
    table = tables.permissions
    row = db.execute(select(table).where(table.c.id == resource.id)).one_or_none()
    if row is None:
        raise missing_resource("permission", resource.id)
    if role is Role.reader and who.user_id == row.user_id:
        return
    if row.workspace_id:
        who.require(row.workspace_id, max(role, Role.admin))
    elif row.organization_id:
        who.require_organization(row.organization_id, max(role, Role.admin))
    else:
        who.require_instance_admin()


__all__ = [
    "Admin",
    "AnyUser",
    "Editor",
    "InstanceAdmin",
    "Reader",
    "Runner",
    "ServerContext",
    "access",
    "check",
    "forbidden",
]
