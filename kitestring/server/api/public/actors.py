"""Sources and destinations: the same routes for both, by kind."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from kitestring.server import actors, connections, connectors
from kitestring.server import workspaces as spaces
from kitestring.server.api.public.page import Ids, Limit, Offset, Page, page, visible
from kitestring.server.auth.access import Editor, Here, Reader
from kitestring.server.connectors import Kind
from kitestring.server.context import Context
from kitestring.server.oauth import consent
from kitestring.server.problem import Problem


class Create(BaseModel):
    """A new source or destination: its connector by `definitionId`, or by its type in the configuration."""

    model_config = ConfigDict(extra="ignore")

    name: str = Field(min_length=1)
    workspaceId: UUID
    definitionId: UUID | None = None
    configuration: dict[str, Any]
    secretId: str | None = None
    resourceAllocation: dict[str, Any] | None = None


class Put(BaseModel):
    """A name and a whole configuration in the place of the old."""

    model_config = ConfigDict(extra="ignore")

    name: str = Field(min_length=1)
    configuration: dict[str, Any]
    resourceAllocation: dict[str, Any] | None = None


class Patch(BaseModel):
    """What is to change; a configuration is laid over the old one."""

    model_config = ConfigDict(extra="ignore")

    name: str | None = Field(None, min_length=1)
    workspaceId: UUID | None = None
    configuration: dict[str, Any] | None = None
    secretId: str | None = None
    resourceAllocation: dict[str, Any] | None = None


def answer(db: Any, kind: Kind, row: Any) -> dict[str, Any]:
    """A row as the API shows it, secrets masked."""
    definition = connectors.get(db, kind, row.definition_id)
    return {
        f"{kind}Id": row.id,
        "name": row.name,
        f"{kind}Type": definition.type,
        "definitionId": row.definition_id,
        "workspaceId": row.workspace_id,
        "configuration": actors.shown(db, kind, row),
        "createdAt": row.created_at_ms // 1000,
    }


def one(context: Context, kind: Kind, actor_id: str) -> dict[str, Any]:
    with context.store.read() as db:
        return answer(db, kind, actors.get(db, kind, actor_id))


def with_consent(
    here: Context, db: Any, kind: Kind, workspace_id: str, connector: str, config: dict[str, Any], secret_id: str | None
) -> dict[str, Any]:
    """The configuration with the credentials that a consent has brought."""
    if secret_id is None:
        return config
    if kind != "source":
        raise Problem(422, "only a source has a consent", hint="Leave secretId out.")
    return {**config, **consent.redeem(here, db, secret_id, workspace_id, connector)}


def router(kind: Kind) -> APIRouter:
    """The routes of `/sources` or `/destinations`."""
    made = APIRouter(prefix=f"/{kind}s", tags=[f"{kind}s"])
    title = kind.title()

    @made.get("", response_model=Page, operation_id=f"list{title}s")
    def listed(
        request: Request,
        who: Reader,
        here: Here,
        workspaceIds: Ids = None,
        includeDeleted: bool = False,
        limit: Limit = 20,
        offset: Offset = 0,
    ) -> Any:
        with here.store.read() as db:
            rows = actors.listed(
                db,
                kind,
                workspace_ids=visible(who.workspaces(), workspaceIds),
                deleted=includeDeleted,
                limit=limit,
                offset=offset,
            )
            return page(request, [answer(db, kind, row) for row in rows], limit, offset)

    @made.post("", operation_id=f"create{title}")
    def create(who: Editor, here: Here, body: Create) -> Any:
        with here.store.write() as db:
            spaces.get(db, str(body.workspaceId))
            definition = actors.definition_named(
                db, kind, str(body.definitionId) if body.definitionId else None, body.configuration
            )
            if definition.workspace_id not in (None, str(body.workspaceId)):
                raise Problem(422, "the connector belongs to another workspace", hint="Take one of this workspace.")
            workspace_id = str(body.workspaceId)
            config = with_consent(here, db, kind, workspace_id, definition.connector, body.configuration, body.secretId)
            made_id = actors.create(
                here,
                db,
                kind,
                workspace_id=str(body.workspaceId),
                name=body.name,
                definition=definition,
                config=config,
            )
        return one(here, kind, made_id)

    @made.get(f"/{{{kind}Id}}", operation_id=f"get{title}")
    def get(
        who: Reader,
        here: Here,
        request: Request,
        includeSecretCoordinates: Annotated[bool, Query(description="Ignored: secrets are never shown.")] = False,
    ) -> Any:
        return one(here, kind, named(request, kind))

    @made.patch(f"/{{{kind}Id}}", operation_id=f"patch{title}")
    def patch(who: Editor, here: Here, request: Request, body: Annotated[Patch, Body()]) -> Any:
        actor_id = named(request, kind)
        with here.store.write() as db:
            row = actors.get(db, kind, actor_id)
            if body.workspaceId is not None and str(body.workspaceId) != row.workspace_id:
                raise Problem(
                    422, f"a {kind} does not move to another workspace", hint=f"Create a {kind} there, delete this one."
                )
            config = body.configuration
            if body.secretId is not None:
                connector = actors.definition_of(db, kind, row).connector
                config = with_consent(here, db, kind, row.workspace_id, connector, config or {}, body.secretId)
            actors.change(here, db, kind, actor_id, name=body.name, config=config, merge=True)
        return one(here, kind, actor_id)

    @made.put(f"/{{{kind}Id}}", operation_id=f"put{title}")
    def put(who: Editor, here: Here, request: Request, body: Annotated[Put, Body()]) -> Any:
        actor_id = named(request, kind)
        with here.store.write() as db:
            actors.change(here, db, kind, actor_id, name=body.name, config=body.configuration)
        return one(here, kind, actor_id)

    @made.delete(f"/{{{kind}Id}}", status_code=204, operation_id=f"delete{title}")
    def delete(who: Editor, here: Here, request: Request) -> Response:
        with here.store.write() as db:
            connections.delete_end(here, db, kind, named(request, kind))
        return Response(status_code=204)

    return made


def named(request: Request, kind: Kind) -> str:
    """The id in the path. 400 where it is no UUID."""
    word = request.path_params[f"{kind}Id"]
    try:
        return str(UUID(word))
    except ValueError:
        raise Problem(400, f"{kind}Id is no UUID: {word[:60]}", hint="Give an id as the list shows it.") from None
