"""Paths of the Config API with a trailing slash, as prefect-airbyte and Kestra send them."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send


class Slashless:
    """Removes the slash under one prefix: some clients do not follow a redirect of a POST."""

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self.app = app
        self.prefix = f"{prefix}/"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path = scope["path"]
            if path.endswith("/") and path.startswith(self.prefix) and path != self.prefix:
                raw = scope.get("raw_path")
                scope = {**scope, "path": path.rstrip("/"), "raw_path": raw.rstrip(b"/") if raw else raw}
        await self.app(scope, receive, send)
