"""Pages of a list: `limit` and `offset` in, `{data, next, previous}` out, as Airbyte's clients read them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query, Request

from kitestring.server.http.problem import Problem
from kitestring.server.settings import LOOPBACK

Limit = Annotated[int, Query(ge=1, le=100, description="How many to return.")]
Offset = Annotated[int, Query(ge=0, le=2**53, description="How many to pass over.")]
Ids = Annotated[list[str] | None, Query(description="Only these; repeat the parameter for several.")]


def page(request: Request, data: list[Any], limit: int, offset: int) -> dict[str, Any]:
    """A page. `next` is set unless the page is empty, even on the last page: clients read until an empty page."""
    return {
        "data": data,
        "next": address(request, limit, offset + limit) if data else "",
        "previous": address(request, limit, max(0, offset - limit)) if offset else "",
    }


def address(request: Request, limit: int, offset: int) -> str:
    """Of a page: below the server's public address, else below the one that was called where that is its own. A `Host`
    that is not the server's stays out of what it answers: the link is then relative."""
    settings = request.app.state.context.settings
    url = request.url.include_query_params(limit=limit, offset=offset)
    path = f"{request.scope['path']}?{url.query}"
    if settings.public_url:
        return f"{settings.public_url.rstrip('/')}{path}"
    return f"{url.scheme}://{url.netloc}{path}" if url.hostname in (*LOOPBACK, settings.host) else path


def order_columns(order_by: str | None, columns: dict[str, Any], default: str) -> list[Any]:
    """`field|ASC` or `field|DESC` as columns to order by. 400 for anything else."""
    name, _, direction = (order_by or f"{default}|ASC").partition("|")
    if name not in columns or direction not in ("ASC", "DESC", ""):
        raise Problem(
            400,
            f"the list cannot be ordered by {order_by}",
            hint=f"Write one of {', '.join(columns)} with |ASC or |DESC behind it.",
        )
    column = columns[name]
    return [column.desc() if direction == "DESC" else column.asc()]


def visible(allowed: list[str] | None, requested: list[str] | None) -> list[str] | None:
    """The workspaces to list: requested and visible. None means all."""
    if not requested:
        return allowed
    return (
        list(requested) if allowed is None else [workspace_id for workspace_id in requested if workspace_id in allowed]
    )


def like_pattern(text: str) -> str:
    """The pattern of `LIKE … ESCAPE '!'` for a text that contains this one."""
    return f"%{text.replace('!', '!!').replace('%', '!%').replace('_', '!_')}%"
