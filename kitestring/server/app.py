"""Assembles the ASGI application: routes, middleware and error handlers. It holds no logic of its own."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DataError
from starlette.exceptions import HTTPException

from kitestring import __version__
from kitestring.errors import KitestringError
from kitestring.server.api import airbyte_config, document, kitestring, metrics
from kitestring.server.api.airbyte_config.slash import Slashless
from kitestring.server.api.airbyte_public import (
    applications,
    connections,
    definitions,
    destinations,
    health,
    jobs,
    oauth,
    organizations,
    permissions,
    sources,
    streams,
    tags,
    users,
    workspaces,
)
from kitestring.server.api.document import ProblemBody
from kitestring.server.api.kitestring import consents, session
from kitestring.server.auth.authentication import AuthenticationMiddleware
from kitestring.server.auth.request_credentials import PasswordCache
from kitestring.server.context import Context
from kitestring.server.http.compression import CompressionMiddleware
from kitestring.server.http.idempotency import IdempotencyMiddleware
from kitestring.server.http.known_parameters import refuse_unknown_parameters
from kitestring.server.http.middleware import BodyLimitMiddleware, SecurityHeadersMiddleware, quiet_access_log
from kitestring.server.http.problem import Problem, ProblemResponse, problem_of
from kitestring.server.http.web_interface import Pages
from kitestring.server.oauth.vendor import vendors
from kitestring.server.observability.metrics import Metrics, TimingMiddleware
from kitestring.server.observability.server_log import RequestIdMiddleware, request_id
from kitestring.server.observability.tracing import TracingMiddleware

log = logging.getLogger("kitestring.server")

PUBLIC = ("/v1", "/api/public/v1")
CONFIG = "/api/v1"
OWN = "/api/kitestring/v1"


def api_router() -> APIRouter:
    """All routes. They take the context from the application, so applications share them."""
    router = APIRouter(responses={"4XX": {"model": ProblemBody, "description": "Refused"}})
    for prefix in ("", CONFIG, *PUBLIC):
        router.include_router(applications.token_router, prefix=prefix, include_in_schema=prefix == PUBLIC[1])
    for prefix in PUBLIC:
        in_schema = prefix == PUBLIC[1]
        for module in (
            *(health, workspaces, sources, destinations, connections, streams, jobs, definitions, tags),
            *(organizations, applications, permissions, users, oauth),
        ):
            router.include_router(module.router, prefix=prefix, include_in_schema=in_schema)
        router.include_router(definitions.low_code, prefix=prefix, include_in_schema=in_schema)
    for part in airbyte_config.ROUTERS:
        router.include_router(part, prefix=CONFIG)
    for part in kitestring.ROUTERS:
        # Another server leads a browser back to these, with parameters of its own.
        known = [] if part in (consents.router, session.router) else [Depends(refuse_unknown_parameters)]
        router.include_router(part, prefix=OWN, dependencies=known)
    router.include_router(metrics.router)
    return router


API = api_router()


def create_app(context: Context) -> FastAPI:
    """The ASGI application of a server with this context."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield

    app = FastAPI(
        title="Kitestring",
        version=__version__,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
        routes=API.routes,
    )
    document.complete_openapi(app)
    app.state.context = context
    app.state.remembered = PasswordCache()
    app.state.vendors = dict(vendors())
    app.state.metrics = Metrics(context)
    # A request passes the middleware that was added last first.
    app.add_middleware(IdempotencyMiddleware, context=context)
    app.add_middleware(BodyLimitMiddleware, settings=context.settings)
    app.add_middleware(AuthenticationMiddleware, context=context)
    app.add_middleware(CompressionMiddleware)
    app.add_middleware(SecurityHeadersMiddleware, settings=context.settings)
    app.add_middleware(Slashless, prefix=CONFIG)
    app.add_middleware(TimingMiddleware, metrics=app.state.metrics)
    app.add_middleware(TracingMiddleware, tracing=context.tracing)
    app.add_middleware(RequestIdMiddleware)
    quiet_access_log()
    if context.settings.interface:
        app.router.routes.append(Pages())  # last, since it matches every path
    app.add_exception_handler(Problem, problem_response)
    app.add_exception_handler(KitestringError, error_response)
    app.add_exception_handler(RequestValidationError, validation_response)
    app.add_exception_handler(HTTPException, routing_response)
    for kind in (OverflowError, DataError):
        app.add_exception_handler(kind, overflow_response)
    app.add_exception_handler(Exception, crash_response)
    return app


async def problem_response(_: Request, error: Exception) -> ProblemResponse:
    assert isinstance(error, Problem)
    return ProblemResponse(error)


async def error_response(_: Request, error: Exception) -> ProblemResponse:
    assert isinstance(error, KitestringError)
    return ProblemResponse(problem_of(error))


async def validation_response(_: Request, error: Exception) -> ProblemResponse:
    """400 for an invalid body or parameter: its name and the reason, never its value, which may be a secret."""
    assert isinstance(error, RequestValidationError)
    wrong = [
        f"{'.'.join(str(part) for part in item['loc'] if part not in ('body', 'query', 'path'))}: "
        f"{item['msg'].removeprefix('Value error, ')}".removeprefix(": ")
        for item in error.errors()
    ]
    return ProblemResponse(Problem(400, "; ".join(wrong), hint="Correct the request."))


async def routing_response(_: Request, error: Exception) -> ProblemResponse:
    """An unknown path or method, as problem JSON."""
    assert isinstance(error, HTTPException)
    hint = {404: "The OpenAPI document at /api/openapi.json lists all paths.", 405: "Use another method."}
    detail = {404: "there is nothing at this path", 405: "this path does not take this method"}
    refusal = Problem(
        error.status_code,
        detail.get(error.status_code, str(error.detail)),
        hint=hint.get(error.status_code, ""),
        headers=dict(error.headers or {}),
    )
    return ProblemResponse(refusal)


async def overflow_response(request: Request, error: Exception) -> ProblemResponse:
    """A number beyond 64 bits: 404 as an id of the path, else 422."""
    log.info("a number is too large for the store", extra={"path": request.url.path, "error": str(error)[:200]})
    for name, value in request.path_params.items():
        if str(value).lstrip("-").isdecimal() and not -(2**63) <= int(value) < 2**63:
            return ProblemResponse(Problem(404, f"there is no {name} {value}", hint="Check the number."))
    return ProblemResponse(Problem(422, "a number of the request is larger than 64 bits", hint="Send a smaller one."))


async def crash_response(request: Request, error: Exception) -> ProblemResponse:
    log.error("a request crashed", exc_info=error, extra={"path": request.url.path, "method": request.method})
    number = request_id.get()
    response_body = Problem(
        500,
        "unexpected server error",
        hint=f"See the server's log for the request {number}.",
        headers={"X-Request-Id": number},
    )
    return ProblemResponse(response_body)
