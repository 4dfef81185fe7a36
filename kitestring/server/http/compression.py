"""Compression of the API's answers, where the client takes gzip.

Level 5 costs about 9 ms of CPU for a megabyte of JSON and leaves a sixth of it; level 9 costs four times as much for
3 % less. Answers below 1,000 bytes fit one packet anyway. Streams of events are never held back (Starlette leaves
them out), and neither are the sessions: their answers have the CSRF token, whose length under compression must not
depend on anything else in them (BREACH).
"""

from __future__ import annotations

from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from kitestring.server.auth.access import API_PREFIXES

LEVEL = 5
SMALLEST_BYTES = 1000
SESSIONS = "/api/kitestring/v1/session"


class CompressionMiddleware:
    """Compresses what the APIs answer. The files of the interface are packed when they are built."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.gzip = GZipMiddleware(app, minimum_size=SMALLEST_BYTES, compresslevel=LEVEL)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self.gzip if scope["type"] == "http" and is_compressible(scope["path"]) else self.app
        await app(scope, receive, send)


def is_compressible(path: str) -> bool:
    """Whether answers of this path may be compressed."""
    if path == SESSIONS or path.startswith(f"{SESSIONS}/"):
        return False
    return any(path == prefix or path.startswith(f"{prefix}/") for prefix in API_PREFIXES)
