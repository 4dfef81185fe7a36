"""Middleware that authenticates a request before its body is read, and refuses cross-site requests of browsers."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Receive, Scope, Send

from kitestring.errors import ConfigError, KitestringError
from kitestring.server.auth import user
from kitestring.server.auth.access import needs_credentials
from kitestring.server.auth.request_credentials import ANONYMOUS, SAFE_METHODS, authenticate
from kitestring.server.context import Context
from kitestring.server.http.problem import Problem, ProblemResponse, problem_of
from kitestring.server.observability.audit import acting
from kitestring.server.settings import LOOPBACK, Settings


class AuthenticationMiddleware:
    """Refuses requests without valid credentials, and leaves the `Principal` in the request's state for `access.py`."""

    def __init__(self, app: ASGIApp, context: Context) -> None:
        self.app = app
        self.context = context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        request = Request(scope)
        try:
            await self.enter(request)
        except Problem as problem:
            await ProblemResponse(problem)(scope, receive, send)
        except KitestringError as error:
            await ProblemResponse(problem_of(error))(scope, receive, send)
        else:
            who = getattr(request.state, "principal", None)
            with acting(who.name if who else ""):
                await self.app(scope, receive, send)

    async def enter(self, request: Request) -> None:
        """Let a request in, or raise what refuses it."""
        path = str(request.scope["path"])  # what is routed by; the one in `request.url` begins with the Host header
        if "\0" in path or b"%00" in request.scope.get("query_string", b""):
            raise Problem(400, "the address holds a NUL", hint="Correct the address.")
        if needs_credentials(path):
            who = await run_in_threadpool(authenticate, self.context, request)
            request.state.principal = who
            if who.name == ANONYMOUS:
                guard_open(request, self.context.settings)
        guard_origin(request, self.context.settings)


def guard_open(request: Request, settings: Settings) -> None:
    """While no user is configured the loopback address is the only lock, so nothing may reach it on another's behalf.

    A page whose host name was pointed at 127.0.0.1 (DNS rebinding) shows by its Host, a proxy by what it adds.
    """
    if any(name in request.headers for name in ("forwarded", "x-forwarded-for", "x-real-ip")):
        raise Problem(
            403,
            "the request came through a proxy, and no user is configured: anybody could be behind it",
            hint="Add a user: kitestring user add.",
        )
    if not over_tcp(request):
        return
    host = host_of(request.headers.get("host", ""))
    allowed_hosts = {*LOOPBACK, settings.host, urlsplit(settings.public_url).hostname or ""} - {""}
    if host not in allowed_hosts:
        raise Problem(
            403,
            f"the request is for the host {host or '(none)'}, and this server is {' or '.join(sorted(allowed_hosts))}",
            hint="Use http://127.0.0.1, or set KITESTRING_PUBLIC_URL.",
        )


def guard_origin(request: Request, settings: Settings) -> None:
    """A page of another site may not make a browser change anything: not with its cookies, not from its machine.

    Programs that authenticate themselves (a token, a password) are not concerned: a browser sends neither unasked.
    """
    if request.method in SAFE_METHODS or "authorization" in request.headers:
        return
    origin = request.headers.get("origin")
    if origin is not None:
        own = {request.headers.get("host", ""), urlsplit(settings.url).netloc}
        if urlsplit(origin).netloc not in own - {""}:
            raise Problem(403, "the request comes from a page of another site", hint="Open the server's own page.")
    elif request.headers.get("sec-fetch-site") in ("cross-site", "same-site"):
        raise Problem(403, "the request comes from a page of another site", hint="Open the server's own page.")


def over_tcp(request: Request) -> bool:
    """Whether a browser can be on the other side: not of a Unix socket, nor of a call in the same process."""
    try:
        ipaddress.ip_address(request.client.host if request.client else "")
    except ValueError:
        return False
    return True


def host_of(header: str) -> str:
    """The host name of a Host header, without port and brackets."""
    try:
        return urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return ""


def require_users(context: Context) -> None:
    """Refuse to listen beyond this machine while no user is configured. Called before the address is bound."""
    settings = context.settings
    if settings.loopback:
        return
    with context.store.read() as db:
        if user.configured(db):
            return
    raise ConfigError(
        f"the server would listen on {settings.host}, and no user is configured: anybody could use it",
        hint="Add a user first: kitestring user add. Or listen on 127.0.0.1.",
    )
