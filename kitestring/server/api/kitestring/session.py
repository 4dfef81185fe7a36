"""Sessions of the web interface: login, logout, and the current user."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, Field

from kitestring.server.api.kitestring.body import Body
from kitestring.server.auth import login_session, oidc, user
from kitestring.server.auth.access import AnyUser, ServerContext, body_of
from kitestring.server.auth.password import LONGEST
from kitestring.server.auth.principal import Principal
from kitestring.server.auth.request_credentials import address_of, login
from kitestring.server.context import Context
from kitestring.server.observability import audit

router = APIRouter(prefix="/session", tags=["session"])


class Login(Body):
    email: str = Field(max_length=320)
    password: str = Field(max_length=LONGEST)


class RoleRead(BaseModel):
    id: str
    role: Literal["reader", "runner", "editor", "admin"]


class SessionRead(BaseModel):
    name: str
    userId: str | None
    instanceAdmin: bool
    workspaces: list[RoleRead]
    organizations: list[RoleRead]
    csrfToken: str | None = None


class LoginWays(BaseModel):
    open: bool
    """No user is configured: no login is needed."""
    password: bool
    oidc: str | None
    """The text of the login button, if OIDC is configured."""


@router.get("/ways", operation_id="getLoginWays", response_model=LoginWays)
def get_login_ways(context: ServerContext) -> Any:
    """The ways to log in. Needs no credentials."""
    with context.store.read() as db:
        configured = user.configured(db)
    oidc_name = context.settings.oidc_name if context.settings.oidc_issuer and context.settings.oidc_client_id else None
    return LoginWays(open=not configured and context.settings.loopback, password=configured, oidc=oidc_name)


@router.post("/login", operation_id="login", response_model=SessionRead)
def log_in(
    body: Login, request: Request, response: Response, context: ServerContext, _: Annotated[Any, Depends(body_of)]
) -> Any:
    """Begin a session: the answer sets the cookie and contains the CSRF token."""
    user_id = login(context, body.email, body.password, address_of(request))
    return begin_session(context, request, response, user_id)


@router.get("/oidc", operation_id="beginOidcLogin", response_class=RedirectResponse, status_code=302)
def begin_oidc_login(request: Request, context: ServerContext, back: str = "/") -> Any:
    """Redirect to the issuer for login; `back` is the page to return to."""
    place, cookie = oidc.begin(context, back)
    answer = RedirectResponse(place, 302)
    answer.set_cookie(
        oidc.COOKIE,
        cookie,
        max_age=oidc.COOKIE_MAX_AGE_S,
        path=oidc.CALLBACK,
        secure=is_secure(context, request),
        httponly=True,
    )
    return answer


@router.get("/oidc/callback", operation_id="endOidcLogin", response_class=RedirectResponse, status_code=302)
def end_oidc_login(request: Request, context: ServerContext) -> Any:
    """The issuer redirects the browser to this address: begins a session."""
    user_id, back = oidc.end(context, dict(request.query_params), request.cookies.get(oidc.COOKIE, ""))
    answer = RedirectResponse(back, 302)
    begin_session(context, request, answer, user_id)
    answer.delete_cookie(oidc.COOKIE, path=oidc.CALLBACK)
    return answer


@router.get("", operation_id="getSession", response_model=SessionRead)
def get_session(request: Request, caller: AnyUser) -> Any:
    """The current user, and the CSRF token of the session."""
    return session_of(caller, request.cookies.get(login_session.COOKIE))


@router.post("/logout", operation_id="logout", status_code=204)
def log_out(request: Request, caller: AnyUser, context: ServerContext) -> Response:
    """End the session of the cookie."""
    cookie = request.cookies.get(login_session.COOKIE)
    if cookie:
        with context.store.write() as db:
            login_session.close_session(db, cookie)
    answer = Response(status_code=204)
    answer.delete_cookie(login_session.COOKIE, path="/")
    return answer


def begin_session(context: Context, request: Request, response: Response, user_id: str) -> SessionRead:
    """Open a session for an authenticated user."""
    with context.store.write() as db:
        now = context.store.now_ms(db)
        opened = login_session.open_session(db, user_id, now, context.settings.session_s)
        row = user.by_id(db, user_id)
        assert row is not None
        audit.note(db, context.store, actor=row.email, action="login", kind="user", resource_id=user_id)
        caller = user.principal_of(db, row)
    response.set_cookie(
        login_session.COOKIE,
        opened.cookie,
        max_age=context.settings.session_s,
        path="/",
        secure=is_secure(context, request),
        httponly=True,
        samesite="lax",
    )
    return session_of(caller, opened.cookie)


def is_secure(context: Context, request: Request) -> bool:
    """Whether a cookie goes over https only."""
    return request.url.scheme == "https" or context.settings.public_url.startswith("https://")


def session_of(caller: Principal, cookie: str | None) -> SessionRead:
    return SessionRead(
        name=caller.name,
        userId=caller.user_id,
        instanceAdmin=caller.instance_admin,
        workspaces=[RoleRead(id=key, role=role.name) for key, role in caller.roles.items()],
        organizations=[RoleRead(id=key, role=role.name) for key, role in caller.organizations.items()],
        csrfToken=login_session.csrf_of(cookie) if cookie else None,
    )
