"""Sources and destinations of Airbyte's Config API, on the same routes; check and discover."""

from __future__ import annotations

import uuid
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from kitestring.errors import KitestringError
from kitestring.server.api.airbyte_config import catalog, jobs
from kitestring.server.auth.access import Editor, Reader, ServerContext
from kitestring.server.connections import connection, endpoints
from kitestring.server.connections.exclusive_place import exclusive_place
from kitestring.server.connectors import definitions
from kitestring.server.connectors.definitions import Kind
from kitestring.server.context import Context
from kitestring.server.http.problem import Problem
from kitestring.server.jobs.config_updates import ConfigUpdater
from kitestring.server.workspaces import workspaces

CHECK_S = 120.0
CATALOGS = uuid.UUID("6b697465-7374-4672-896e-670000000001")


class EndpointsInWorkspace(BaseModel):
    """The sources or destinations of a workspace."""

    workspaceId: UUID


class ConfigEndpointCreate(EndpointsInWorkspace):
    """A new source or destination. `sourceDefinitionId` or `destinationDefinitionId` names the connector."""

    name: str = Field(min_length=1)
    connectionConfiguration: dict[str, Any]
    sourceDefinitionId: UUID | None = None
    destinationDefinitionId: UUID | None = None


class EndpointRef(BaseModel):
    """A source or a destination, by `sourceId` or `destinationId`."""

    sourceId: UUID | None = None
    destinationId: UUID | None = None

    def of(self, kind: Kind) -> str:
        endpoint_id = self.sourceId if kind == "source" else self.destinationId
        if endpoint_id is None:
            raise Problem(400, f"{kind}Id is missing", hint=f"Give the {kind}Id.")
        return str(endpoint_id)


class ConfigEndpointUpdate(EndpointRef):
    """A name, and a configuration that replaces the old one."""

    name: str | None = Field(None, min_length=1)
    connectionConfiguration: dict[str, Any] | None = None


class Discover(BaseModel):
    """A source to discover."""

    sourceId: UUID
    disable_cache: bool = False


def answer(db: Connection, kind: Kind, row: Any) -> dict[str, Any]:
    """A row in the Config API's form, secrets masked."""
    definition = endpoints.definition_of(db, kind, row)
    config = endpoints.without_type(kind, endpoints.masked_config(db, kind, row))
    return {
        f"{kind}Id": row.id,
        "name": row.name,
        f"{kind}Name": definition.name,
        f"{kind}DefinitionId": row.definition_id,
        "workspaceId": row.workspace_id,
        "connectionConfiguration": config,
        "createdAt": row.created_at_ms // 1000,
    }


def read_endpoint(context: Context, kind: Kind, endpoint_id: str) -> dict[str, Any]:
    with context.store.read() as db:
        return answer(db, kind, endpoints.get(db, kind, endpoint_id))


def router(kind: Kind) -> APIRouter:
    """The routes of `/sources/…` or `/destinations/…`."""
    routes = APIRouter(prefix=f"/{kind}s", tags=[f"config: {kind}s"])
    title = kind.title()

    @routes.post("/list", operation_id=f"configList{title}s")
    def list_endpoints(caller: Reader, context: ServerContext, body: EndpointsInWorkspace) -> Any:
        with context.store.read() as db:
            rows = endpoints.find_all(db, kind, workspace_ids=[str(body.workspaceId)])
            return {f"{kind}s": [answer(db, kind, row) for row in rows]}

    @routes.post("/get", operation_id=f"configGet{title}")
    def get_endpoint(caller: Reader, context: ServerContext, body: EndpointRef) -> Any:
        return read_endpoint(context, kind, body.of(kind))

    @routes.post("/create", operation_id=f"configCreate{title}")
    def create_endpoint(caller: Editor, context: ServerContext, body: ConfigEndpointCreate) -> Any:
        definition_id = body.sourceDefinitionId if kind == "source" else body.destinationDefinitionId
        if definition_id is None:
            raise Problem(400, f"{kind}DefinitionId is missing", hint=f"Give the id of a {kind} definition.")
        with context.store.write() as db:
            workspaces.get(db, str(body.workspaceId))
            endpoint_id = endpoints.create(
                context,
                db,
                kind,
                workspace_id=str(body.workspaceId),
                name=body.name,
                definition=definitions.get(db, kind, str(definition_id)),
                config=body.connectionConfiguration,
                trusted=caller.instance_admin,
            )
        return read_endpoint(context, kind, endpoint_id)

    @routes.post("/update", operation_id=f"configUpdate{title}")
    def update_endpoint(caller: Editor, context: ServerContext, body: ConfigEndpointUpdate) -> Any:
        with context.store.write() as db:
            endpoints.change(
                context,
                db,
                kind,
                body.of(kind),
                name=body.name,
                config=body.connectionConfiguration,
                trusted=caller.instance_admin,
            )
        return read_endpoint(context, kind, body.of(kind))

    @routes.post("/delete", status_code=204, operation_id=f"configDelete{title}")
    def delete_endpoint(caller: Editor, context: ServerContext, body: EndpointRef) -> Response:
        with context.store.write() as db:
            connection.delete_endpoint(context, db, kind, body.of(kind))
        return Response(status_code=204)

    @routes.post("/check_connection", operation_id=f"configCheck{title}")
    def check_endpoint(caller: Editor, context: ServerContext, body: EndpointRef) -> Any:
        """Test the connection. `status` is succeeded or failed; `message` says what is wrong."""
        endpoint_id = body.of(kind)
        with context.store.read() as db:
            end, now = endpoints.endpoint_of(context, db, kind, endpoint_id), context.store.now_ms(db)
        try:
            context.runner.run(
                "check",
                {kind: end.body()},
                limit_s=CHECK_S,
                updater=ConfigUpdater(context, **{kind: end}),
                place=exclusive_place(context, end) if kind == "destination" else None,
            )
        except KitestringError as error:
            message = " ".join(part for part in (error.message, error.hint) if part)
            info = jobs.job_info_of(f"check_connection_{kind}", now)
            return {"status": "failed", "message": message, "jobInfo": info}
        return {"status": "succeeded", "jobInfo": jobs.job_info_of(f"check_connection_{kind}", now)}

    if kind == "source":

        @routes.post("/discover_schema", operation_id="configDiscoverSchema")
        def discover_streams(caller: Editor, context: ServerContext, body: Discover, request: Request) -> Any:
            """The streams of a source. Calls the source if no catalog is stored, or with `disable_cache`."""
            source_catalog = connection.discover(context, str(body.sourceId), fresh=body.disable_cache)
            with context.store.read() as db:
                now = context.store.now_ms(db)
            return {
                "catalog": catalog.sync_catalog(source_catalog.body, []),
                "catalogId": str(uuid.uuid5(CATALOGS, f"{body.sourceId} {source_catalog.body}")),
                "jobInfo": jobs.job_info_of("discover_schema", now),
            }

    return routes


sources, destinations = router("source"), router("destination")
