"""Middleware of every request: security headers, the limit of bodies, no secrets in the access log."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kitestring.server.auth.access import API_PREFIXES, needs_credentials
from kitestring.server.clock import steady
from kitestring.server.http.problem import Problem, ProblemResponse
from kitestring.server.settings import Settings

OPEN_BYTES = 64 * 1024
"""The largest body where no credentials are asked for."""
BODY_S, OPEN_BODY_S = 300.0, 20.0
"""Time limits for receiving a body; the second where no credentials are required."""

HEADERS: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    # A consent opens in a window of its own and tells the page that opened it.
    "Cross-Origin-Opener-Policy": "same-origin-allow-popups",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
}


class SecurityHeadersMiddleware:
    """Adds the security headers; an answer that has one of its own keeps it. Answers of an API are kept by no cache."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.headers = dict(HEADERS)
        if settings.public_url.startswith("https://"):
            self.headers["Strict-Transport-Security"] = "max-age=31536000"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        api = any(scope["path"] == place or scope["path"].startswith(f"{place}/") for place in API_PREFIXES)

        async def headed(message: Message) -> None:
            if message["type"] == "http.response.start":
                # FastAPI's own header of a stream of events, `no-cache`, would let a cache keep a job's log.
                headers = [
                    (name, value)
                    for name, value in message.get("headers", ())
                    if not (api and name.lower() == b"cache-control")
                ]
                present = {name.lower() for name, _ in headers}
                added = {**self.headers, **({"Cache-Control": "no-store"} if api else {})}
                message["headers"] = [
                    *headers,
                    *(
                        (name.lower().encode(), value.encode())
                        for name, value in added.items()
                        if name.lower().encode() not in present
                    ),
                ]
            await send(message)

        await self.app(scope, receive, headed)


class BodyLimitMiddleware:
    """413 for a body that is too large: by what it says of itself, or else as soon as too much of it has come.

    A body that does not say its length is read here, up to the limit, before anything works with it.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.most = int(settings.max_request_mb * 1024 * 1024)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        authenticated = needs_credentials(scope["path"])
        most = self.most if authenticated else min(self.most, OPEN_BYTES)
        receive = within(receive, BODY_S if authenticated else OPEN_BODY_S)
        headers = dict(scope["headers"])
        length = headers.get(b"content-length")
        if length is not None:
            if not length.isdigit() or int(length) > most:
                await self.refuse(most, scope, receive, send)
                return
            await self.app(scope, receive, send)
            return
        if b"transfer-encoding" not in headers:
            await self.app(scope, receive, send)
            return
        body = bytearray()
        more_body = True
        while more_body:
            try:
                message = await receive()
            except Problem as slow:
                await ProblemResponse(slow)(scope, receive, send)
                return
            if message["type"] != "http.request":
                return
            body += message.get("body", b"")
            more_body = message.get("more_body", False)
            if len(body) > most:
                await self.refuse(most, scope, receive, send)
                return
        replayed = False

        async def replay() -> Message:
            nonlocal replayed
            if replayed:
                return await receive()
            replayed = True
            return {"type": "http.request", "body": bytes(body), "more_body": False}

        await self.app(scope, replay, send)

    async def refuse(self, most: int, scope: Scope, receive: Receive, send: Send) -> None:
        problem = Problem(
            413,
            f"the body of the request has more than {most} bytes",
            hint="Send less, or have KITESTRING_MAX_REQUEST_MB raised.",
            headers={"Connection": "close"},
        )
        await ProblemResponse(problem)(scope, receive, send)


def within(receive: Receive, seconds: float) -> Receive:
    """A `receive` that raises 408 if the body is not complete after this many seconds."""
    until = steady() + seconds
    whole = False

    async def timed() -> Message:
        nonlocal whole
        if whole:  # what is waited for now is the end of the connection
            return await receive()
        try:
            async with asyncio.timeout(max(0.0, until - steady())):
                message = await receive()
        except TimeoutError:
            raise Problem(
                408,
                f"the body of the request did not come within {seconds:g} seconds",
                hint="Send it faster, or less.",
                headers={"Connection": "close"},
            ) from None
        whole = not message.get("more_body", False)
        return message

    return timed


class WithoutQuery(logging.Filter):
    """Takes the query off the addresses in uvicorn's access log: it contains codes and states of OAuth."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple) and len(record.args) == 5:
            client, method, path, version, status = record.args
            record.args = (client, method, str(path).partition("?")[0], version, status)
        return True


def quiet_access_log() -> None:
    """Keep secrets out of the access log of this process."""
    log = logging.getLogger("uvicorn.access")
    if not any(isinstance(filter_, WithoutQuery) for filter_ in log.filters):
        log.addFilter(WithoutQuery())
