"""The permission of readers of a destination."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field

from kitestring.server.api.kitestring.body import Body
from kitestring.server.api.response_models import ResponseModel, responses_for
from kitestring.server.auth.access import Admin, Reader, ServerContext
from kitestring.server.connections import endpoints
from kitestring.server.retrieval import reader_permission

router = APIRouter(prefix="/destinations/{destinationId}/reader-permission", tags=["search"])


class ReaderPermissionBody(Body):
    """The conditions that every row passes before somebody other than an admin reads it, with `$user` and `$groups` for
    the attributes of the reader; null: none. `applications` are the client ids of those that read for others."""

    permission: dict[str, Any] | None
    applications: list[str] = Field(default_factory=list, max_length=100)


class ReaderPermission(ResponseModel):
    """The permission of readers, and the applications that read for others."""

    permission: dict[str, Any] | None
    applications: list[str]


@router.get("", operation_id="getReaderPermission", responses=responses_for(ReaderPermission))
def get_reader_permission(caller: Reader, context: ServerContext, destinationId: UUID) -> Any:
    """The permission of readers of a destination."""
    with context.store.read() as db:
        row = endpoints.get(db, "destination", str(destinationId))
    return row.reader_permission or {"permission": None, "applications": []}


@router.put("", operation_id="setReaderPermission", responses=responses_for(ReaderPermission))
def set_reader_permission(
    caller: Admin, context: ServerContext, destinationId: UUID, body: ReaderPermissionBody
) -> Any:
    """Set the permission of readers of a destination, or remove it. It holds from the next read on."""
    with context.store.write() as db:
        reader_permission.set_permission(context, db, str(destinationId), body.permission, body.applications)
        row = endpoints.get(db, "destination", str(destinationId))
    return row.reader_permission or {"permission": None, "applications": []}
