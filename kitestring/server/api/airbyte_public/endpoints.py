"""Sources and destinations of Airbyte's public API, on the same routes."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, Field

from kitestring.server.api.airbyte_public.page import Ids, Limit, Offset, page, visible
from kitestring.server.api.airbyte_public.responses import Destination, Destinations, Source, Sources
from kitestring.server.auth.access import Editor, Reader, ServerContext
from kitestring.server.connections import connection, endpoints
from kitestring.server.connectors.definitions import Kind
from kitestring.server.context import Context
from kitestring.server.http.problem import Problem
from kitestring.server.http.version_match import IfMatch, etag
from kitestring.server.oauth import consent
from kitestring.server.workspaces import workspaces


class EndpointCreate(BaseModel):
    """A new source or destination. Its connector is named by `definitionId`, or by the type in the configuration."""

    name: str = Field(min_length=1)
    workspaceId: UUID
    definitionId: UUID | None = None
    configuration: dict[str, Any]
    secretId: str | None = None
    resourceAllocation: dict[str, Any] | None = None


class EndpointPut(BaseModel):
    """A name, and a configuration that replaces the old one."""

    name: str = Field(min_length=1)
    configuration: dict[str, Any]
    resourceAllocation: dict[str, Any] | None = None


class EndpointPatch(BaseModel):
    """A change. The configuration is merged into the old one."""

    name: str | None = Field(None, min_length=1)
    workspaceId: UUID | None = None
    configuration: dict[str, Any] | None = None
    secretId: str | None = None
    resourceAllocation: dict[str, Any] | None = None


def answer(db: Any, kind: Kind, row: Any) -> dict[str, Any]:
    """A row in the API's form, secrets masked."""
    definition = endpoints.definition_of(db, kind, row)
    return {
        f"{kind}Id": row.id,
        "name": row.name,
        f"{kind}Type": definition.type,
        "definitionId": row.definition_id,
        "workspaceId": row.workspace_id,
        "configuration": endpoints.masked_config(db, kind, row),
        "createdAt": row.created_at_ms // 1000,
    }


def read_endpoint(context: Context, kind: Kind, endpoint_id: str, response: Response) -> dict[str, Any]:
    """A row in the API's form; the header `ETag` has its version."""
    with context.store.read() as db:
        row = endpoints.get(db, kind, endpoint_id)
        response.headers.update(etag(endpoints.version(db, kind, row)))
        return answer(db, kind, row)


def refuse_resources(allocation: dict[str, Any] | None) -> None:
    """422 for resource limits of one connector: the server's settings apply to all."""
    if any((allocation or {}).values()):
        raise Problem(
            422,
            "resourceAllocation cannot be set for one connector",
            hint="Leave it out. KITESTRING_MEMORY_MB and KITESTRING_CPU_S apply to all.",
        )


def with_consent(
    context: Context,
    db: Any,
    kind: Kind,
    workspace_id: str,
    connector: str,
    config: dict[str, Any],
    secret_id: str | None,
) -> dict[str, Any]:
    """The configuration with the credentials of a consent."""
    if secret_id is None:
        return config
    if kind != "source":
        raise Problem(422, "only a source has a consent", hint="Leave secretId out.")
    return consent.redeem(context, db, secret_id, workspace_id, connector, config)


def router(kind: Kind) -> APIRouter:
    """The routes of `/sources` or `/destinations`."""
    routes = APIRouter(prefix=f"/{kind}s", tags=[f"{kind}s"])
    title = kind.title()
    in_path: Any = Path(alias=f"{kind}Id")
    model: type[BaseModel] = Source if kind == "source" else Destination
    answer_model: dict[int | str, dict[str, Any]] = {200: {"model": model}}
    list_model: dict[int | str, dict[str, Any]] = {200: {"model": Sources if kind == "source" else Destinations}}

    @routes.get("", operation_id=f"list{title}s", responses=list_model)
    def list_endpoints(
        request: Request,
        caller: Reader,
        context: ServerContext,
        workspaceIds: Ids = None,
        includeDeleted: bool = False,
        limit: Limit = 20,
        offset: Offset = 0,
    ) -> Any:
        with context.store.read() as db:
            rows = endpoints.find_all(
                db,
                kind,
                workspace_ids=visible(caller.workspaces(), workspaceIds),
                deleted=includeDeleted,
                limit=limit,
                offset=offset,
            )
            return page(request, [answer(db, kind, row) for row in rows], limit, offset)

    @routes.post("", operation_id=f"create{title}", responses=answer_model)
    def create_endpoint(caller: Editor, context: ServerContext, body: EndpointCreate, response: Response) -> Any:
        refuse_resources(body.resourceAllocation)
        with context.store.write() as db:
            workspaces.get(db, str(body.workspaceId))
            definition = endpoints.definition_in_request(
                db, kind, str(body.definitionId) if body.definitionId else None, body.configuration
            )
            if definition.workspace_id not in (None, str(body.workspaceId)):
                raise Problem(422, "the connector belongs to another workspace", hint="Take one of this workspace.")
            workspace_id = str(body.workspaceId)
            config = with_consent(
                context,
                db,
                kind,
                workspace_id,
                definition.connector or definition.id,
                body.configuration,
                body.secretId,
            )
            endpoint_id = endpoints.create(
                context,
                db,
                kind,
                workspace_id=str(body.workspaceId),
                name=body.name,
                definition=definition,
                config=config,
                trusted=caller.instance_admin,
            )
        return read_endpoint(context, kind, endpoint_id, response)

    @routes.get(f"/{{{kind}Id}}", operation_id=f"get{title}", responses=answer_model)
    def get_endpoint(
        caller: Reader,
        context: ServerContext,
        response: Response,
        endpoint_id: UUID = in_path,
        includeSecretCoordinates: Annotated[bool, Query(description="Ignored: secrets are never shown.")] = False,
    ) -> Any:
        return read_endpoint(context, kind, str(endpoint_id), response)

    @routes.patch(f"/{{{kind}Id}}", operation_id=f"patch{title}", responses=answer_model)
    def patch_endpoint(
        caller: Editor,
        context: ServerContext,
        body: EndpointPatch,
        response: Response,
        path_id: UUID = in_path,
        ifMatch: IfMatch = None,
    ) -> Any:
        endpoint_id = str(path_id)
        refuse_resources(body.resourceAllocation)
        with context.store.write() as db:
            endpoints.require_version(db, kind, endpoint_id, ifMatch)
            row = endpoints.get(db, kind, endpoint_id)
            if body.workspaceId is not None and str(body.workspaceId) != row.workspace_id:
                raise Problem(
                    422, f"a {kind} does not move to another workspace", hint=f"Create a {kind} there, delete this one."
                )
            config = body.configuration
            if body.secretId is not None:
                connector = endpoints.definition_of(db, kind, row).connector or row.definition_id
                config = with_consent(context, db, kind, row.workspace_id, connector, config or {}, body.secretId)
            endpoints.change(
                context, db, kind, endpoint_id, name=body.name, config=config, merge=True, trusted=caller.instance_admin
            )
        return read_endpoint(context, kind, endpoint_id, response)

    @routes.put(f"/{{{kind}Id}}", operation_id=f"put{title}", responses=answer_model)
    def put_endpoint(
        caller: Editor,
        context: ServerContext,
        body: EndpointPut,
        response: Response,
        path_id: UUID = in_path,
        ifMatch: IfMatch = None,
    ) -> Any:
        endpoint_id = str(path_id)
        refuse_resources(body.resourceAllocation)
        with context.store.write() as db:
            endpoints.require_version(db, kind, endpoint_id, ifMatch)
            endpoints.change(
                context, db, kind, endpoint_id, name=body.name, config=body.configuration, trusted=caller.instance_admin
            )
        return read_endpoint(context, kind, endpoint_id, response)

    @routes.delete(f"/{{{kind}Id}}", status_code=204, operation_id=f"delete{title}")
    def delete_endpoint(caller: Editor, context: ServerContext, path_id: UUID = in_path) -> Response:
        with context.store.write() as db:
            connection.delete_endpoint(context, db, kind, str(path_id))
        return Response(status_code=204)

    return routes
