"""Sources and destinations of Airbyte's Config API: the same routes for both, by kind; and check and discover."""

from __future__ import annotations

import uuid
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection

from kitestring.errors import KitestringError
from kitestring.server.api.airbyte_config import catalog, jobs
from kitestring.server.auth.access import Editor, Reader, ServerContext
from kitestring.server.connections import connection, endpoints
from kitestring.server.connectors import definitions
from kitestring.server.connectors.definitions import Kind
from kitestring.server.context import Context
from kitestring.server.http.problem import Problem
from kitestring.server.jobs.config_updates import ConfigUpdater
from kitestring.server.workspaces import workspaces

CHECK_S = 120.0
CATALOGS = uuid.UUID("6b697465-7374-4672-896e-670000000001")


class EndpointsInWorkspace(BaseModel):
    """What a workspace has."""

    model_config = ConfigDict(extra="ignore")

    workspaceId: UUID


class ConfigEndpointCreate(EndpointsInWorkspace):
    """A new one. `sourceDefinitionId` or `destinationDefinitionId` names the connector."""

    name: str = Field(min_length=1)
    connectionConfiguration: dict[str, Any]
    sourceDefinitionId: UUID | None = None
    destinationDefinitionId: UUID | None = None


class EndpointRef(BaseModel):
    """One of them: `sourceId` or `destinationId`."""

    model_config = ConfigDict(extra="ignore")

    sourceId: UUID | None = None
    destinationId: UUID | None = None

    def of(self, kind: Kind) -> str:
        found = self.sourceId if kind == "source" else self.destinationId
        if found is None:
            raise Problem(400, f"{kind}Id is missing", hint=f"Give the {kind}Id.")
        return str(found)


class ConfigEndpointUpdate(EndpointRef):
    """A whole configuration in the place of the old, and a name."""

    name: str | None = Field(None, min_length=1)
    connectionConfiguration: dict[str, Any] | None = None


class Discover(BaseModel):
    """A source whose streams are to be found."""

    model_config = ConfigDict(extra="ignore")

    sourceId: UUID
    disable_cache: bool = False


def answer(db: Connection, kind: Kind, row: Any) -> dict[str, Any]:
    """A row as the Config API shows it, secrets masked."""
    definition = endpoints.definition_of(db, kind, row)
    shown = endpoints.without_type(kind, endpoints.masked_config(db, kind, row))
    return {
        f"{kind}Id": row.id,
        "name": row.name,
        f"{kind}Name": definition.name,
        f"{kind}DefinitionId": row.definition_id,
        "workspaceId": row.workspace_id,
        "connectionConfiguration": shown,
        "createdAt": row.created_at_ms // 1000,
    }


def one(context: Context, kind: Kind, actor_id: str) -> dict[str, Any]:
    with context.store.read() as db:
        return answer(db, kind, endpoints.get(db, kind, actor_id))


def router(kind: Kind) -> APIRouter:
    """The routes of `/sources/…` or `/destinations/…`."""
    made = APIRouter(prefix=f"/{kind}s", tags=[f"config: {kind}s"])
    title = kind.title()

    @made.post("/list", operation_id=f"configList{title}s")
    def listed(who: Reader, context: ServerContext, body: EndpointsInWorkspace) -> Any:
        with context.store.read() as db:
            rows = endpoints.find_all(db, kind, workspace_ids=[str(body.workspaceId)])
            return {f"{kind}s": [answer(db, kind, row) for row in rows]}

    @made.post("/get", operation_id=f"configGet{title}")
    def get(who: Reader, context: ServerContext, body: EndpointRef) -> Any:
        return one(context, kind, body.of(kind))

    @made.post("/create", operation_id=f"configCreate{title}")
    def create(who: Editor, context: ServerContext, body: ConfigEndpointCreate) -> Any:
        wanted = body.sourceDefinitionId if kind == "source" else body.destinationDefinitionId
        if wanted is None:
            raise Problem(400, f"{kind}DefinitionId is missing", hint=f"Give the id of a {kind} definition.")
        with context.store.write() as db:
            workspaces.get(db, str(body.workspaceId))
            made_id = endpoints.create(
                context,
                db,
                kind,
                workspace_id=str(body.workspaceId),
                name=body.name,
                definition=definitions.get(db, kind, str(wanted)),
                config=body.connectionConfiguration,
                trusted=who.instance_admin,
            )
        return one(context, kind, made_id)

    @made.post("/update", operation_id=f"configUpdate{title}")
    def update(who: Editor, context: ServerContext, body: ConfigEndpointUpdate) -> Any:
        with context.store.write() as db:
            endpoints.change(
                context,
                db,
                kind,
                body.of(kind),
                name=body.name,
                config=body.connectionConfiguration,
                trusted=who.instance_admin,
            )
        return one(context, kind, body.of(kind))

    @made.post("/delete", status_code=204, operation_id=f"configDelete{title}")
    def delete(who: Editor, context: ServerContext, body: EndpointRef) -> Response:
        with context.store.write() as db:
            connection.delete_endpoint(context, db, kind, body.of(kind))
        return Response(status_code=204)

    @made.post("/check_connection", operation_id=f"configCheck{title}")
    def check(who: Editor, context: ServerContext, body: EndpointRef) -> Any:
        """Whether it works: `status` is succeeded or failed, `message` says what is wrong."""
        actor_id = body.of(kind)
        with context.store.read() as db:
            end, now = endpoints.endpoint_of(context, db, kind, actor_id), context.store.now_ms(db)
        try:
            context.runner.run(
                "check",
                {kind: end.body()},
                limit_s=CHECK_S,
                updater=ConfigUpdater(context, **{kind: end}),
            )
        except KitestringError as error:
            said = " ".join(part for part in (error.message, error.hint) if part)
            info = jobs.made_up(f"check_connection_{kind}", now)
            return {"status": "failed", "message": said, "jobInfo": info}
        return {"status": "succeeded", "jobInfo": jobs.made_up(f"check_connection_{kind}", now)}

    if kind == "source":

        @made.post("/discover_schema", operation_id="configDiscoverSchema")
        def discover(who: Editor, context: ServerContext, body: Discover, request: Request) -> Any:
            """The streams of a source. Calls it where no catalog is kept, or with `disable_cache`."""
            found = connection.discover(context, str(body.sourceId), fresh=body.disable_cache)
            with context.store.read() as db:
                now = context.store.now_ms(db)
            return {
                "catalog": catalog.shown(found.body, []),
                "catalogId": str(uuid.uuid5(CATALOGS, f"{body.sourceId} {found.body}")),
                "jobInfo": jobs.made_up("discover_schema", now),
            }

    return made


sources, destinations = router("source"), router("destination")
