"""Write docs/reference/own-api.md and the table of docs/reference/settings.md from the code.

python scripts/api_reference.py
"""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts

from kitestring.server.api import kitestring
from kitestring.server.app import OWN
from kitestring.server.settings import Settings

DOCS = Path(__file__).parent.parent / "docs" / "reference"
HEAD = """# Kitestring's own API

<!-- Written by scripts/api_reference.py from the routes themselves. -->

Routes for what Airbyte's API does not have, at `/api/kitestring/v1`. Requests and answers are JSON; their models are in
`/api/openapi.json`. Errors are `{status, type, title, detail, data}`: `detail` ends with the next action, `data.hint`
holds it alone. A parameter or field that a route does not have is refused.
Credentials as for Airbyte's API: `Authorization: Bearer TOKEN`, or Basic with an application's id and secret, or
with a user's e-mail address and password. The role is the least that a caller needs in the workspace;
`anyone`: any credentials do; empty: the route needs none ([users and roles](../howto/users-and-roles.md)).

"""
SETTINGS = """# Settings of a server

<!-- Written by scripts/api_reference.py from server/settings.py. -->

Each is an environment variable. Options of `kitestring up` (`--host`, `--port`, `--workers`) go first.

| variable | default | |
|---|---|---|
"""
TAIL = """
Of the commands that call a server: `KITESTRING_SERVER` (its address), `KITESTRING_TOKEN`, or `KITESTRING_CLIENT_ID` and
`KITESTRING_CLIENT_SECRET`.
"""


def own_api() -> str:
    """The page of the own API: a table by resource."""
    app = FastAPI()
    for router in kitestring.ROUTERS:
        app.include_router(router, prefix=OWN)
    roles = roles_of(app)
    tables: dict[str, list[str]] = {}
    for path, methods in app.openapi()["paths"].items():
        for method, operation in methods.items():
            description = " ".join((operation.get("description") or operation.get("summary") or "").split())
            description = description.replace("|", "\\|")
            role = roles.get((method.upper(), path), "")
            row = f"| {method.upper()} | `{path.removeprefix(OWN)}` | {role} | {description} |"
            tables.setdefault((operation.get("tags") or ["server"])[0], []).append(row)
    parts = [
        f"## {tag.capitalize()}\n\n| | path | role | |\n|---|---|---|---|\n" + "\n".join(rows)
        for tag, rows in tables.items()
    ]
    return HEAD + "\n\n".join(parts) + "\n"


def roles_of(app: FastAPI) -> dict[tuple[str, str], str]:
    """The least role of each route, by method and path; nothing for a route without credentials."""
    roles = {}
    for context in iter_route_contexts(app.routes):
        pending = [context.dependant] if isinstance(context.original_route, APIRoute) else []
        while pending:
            dependant = pending.pop()
            pending += dependant.dependencies
            if hasattr(dependant.call, "role"):
                instance = "the server's admin" if dependant.call.instance else "anyone"
                role = dependant.call.role.name if dependant.call.role else instance
                roles |= {(method, str(context.path)): role for method in context.methods or ()}
    return roles


def settings() -> str:
    """The page of the settings."""
    rows = []
    for name, field in Settings.model_fields.items():
        default = "" if field.default_factory or field.default in ("", None) else str(field.default)
        default_text = f"`{default.lower() if isinstance(field.default, bool) else default}`" if default else ""
        description = " ".join((field.description or "").split()).replace("|", "\\|")
        rows.append(f"| `KITESTRING_{name.upper()}` | {default_text} | {description} |")
    return SETTINGS + "\n".join(rows) + "\n" + TAIL


PAGES = {"own-api.md": own_api, "settings.md": settings}

if __name__ == "__main__":
    for page, write in PAGES.items():
        (DOCS / page).write_text(write(), "utf-8")
