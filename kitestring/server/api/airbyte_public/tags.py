"""Tags of Airbyte's public API: names with a colour that group connections."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field
from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import IntegrityError

from kitestring.server.api.airbyte_public.page import Ids, visible
from kitestring.server.api.airbyte_public.responses import Tag, Tags
from kitestring.server.api.response_models import responses_for
from kitestring.server.auth.access import Editor, Reader, ServerContext
from kitestring.server.http.problem import Problem, missing_resource
from kitestring.server.store.store import new_id
from kitestring.server.store.tables import tags
from kitestring.server.workspaces import workspaces

router = APIRouter(prefix="/tags", tags=["tags"])


class TagPatch(BaseModel):
    """A name and a colour (`FF8000`)."""

    name: str = Field(min_length=1, max_length=100)
    color: str = Field(min_length=1, max_length=16)


class TagCreate(TagPatch):
    """A new tag of a workspace."""

    workspaceId: UUID


def answer(row: Any) -> dict[str, Any]:
    return {"tagId": row.id, "name": row.name, "color": row.color, "workspaceId": row.workspace_id}


def row_of(db: Connection, tag_id: UUID) -> Any:
    row = db.execute(select(tags).where(tags.c.id == str(tag_id))).one_or_none()
    if row is None:
        raise missing_resource("tag", tag_id)
    return row


@router.get("", operation_id="listTags", responses=responses_for(Tags))
def list_tags(caller: Reader, context: ServerContext, workspaceIds: Ids = None) -> Any:
    query = select(tags).order_by(tags.c.name, tags.c.id)
    allowed = visible(caller.workspaces(), workspaceIds)
    if allowed is not None:
        query = query.where(tags.c.workspace_id.in_(allowed))
    with context.store.read() as db:
        return {"data": [answer(row) for row in db.execute(query)]}


@router.post("", operation_id="createTag", responses=responses_for(Tag))
def create_tag(caller: Editor, context: ServerContext, body: TagCreate) -> Any:
    values = {"id": new_id(), "name": body.name, "color": body.color, "workspace_id": str(body.workspaceId)}
    with context.store.write() as db:
        workspaces.get(db, str(body.workspaceId))
        execute_unique(db, insert(tags).values(values), body.name)
    return {"tagId": values["id"], "name": body.name, "color": body.color, "workspaceId": values["workspace_id"]}


@router.get("/{tagId}", operation_id="getTag", responses=responses_for(Tag))
def get_tag(caller: Reader, context: ServerContext, tagId: UUID) -> Any:
    with context.store.read() as db:
        return answer(row_of(db, tagId))


@router.patch("/{tagId}", operation_id="updateTag", responses=responses_for(Tag))
def update_tag(caller: Editor, context: ServerContext, tagId: UUID, body: TagPatch) -> Any:
    with context.store.write() as db:
        row_of(db, tagId)
        execute_unique(
            db, update(tags).where(tags.c.id == str(tagId)).values(name=body.name, color=body.color), body.name
        )
        return answer(row_of(db, tagId))


@router.delete("/{tagId}", status_code=204, operation_id="deleteTag")
def delete_tag(caller: Editor, context: ServerContext, tagId: UUID) -> Response:
    with context.store.write() as db:
        row_of(db, tagId)
        db.execute(tags.delete().where(tags.c.id == str(tagId)))
    return Response(status_code=204)


def execute_unique(db: Connection, statement: Any, name: str) -> None:
    try:
        with db.begin_nested():
            db.execute(statement)
    except IntegrityError:
        raise Problem(409, f"the workspace has a tag {name} already", hint="Take another name, or that one.") from None
