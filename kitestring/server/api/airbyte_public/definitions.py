"""Definitions of Airbyte's public API: the connectors of a workspace, and custom ones."""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection, insert, select, update

from kitestring.server.api.airbyte_public import responses
from kitestring.server.api.airbyte_public.responses import ConnectorDefinitions, Definitions, LowCode, LowCodes
from kitestring.server.api.response_models import responses_for
from kitestring.server.auth.access import Editor, Reader, ServerContext
from kitestring.server.connections import endpoints
from kitestring.server.connectors import definitions as connectors
from kitestring.server.connectors.definitions import Definition, Kind
from kitestring.server.context import Context
from kitestring.server.http.problem import Problem, missing_resource
from kitestring.server.store.store import new_id
from kitestring.server.store.tables import definitions, destinations, sources
from kitestring.server.workspaces import workspaces

DEFINITION = responses_for(responses.Definition)

router = APIRouter(tags=["definitions"])
low_code = APIRouter(prefix="/workspaces/{workspaceId}/definitions/declarative_sources", tags=["declarative sources"])


class DefinitionCreate(BaseModel):
    """A connector by its image, or by the name under which it is installed."""

    model_config = ConfigDict(extra="ignore")

    name: str = Field(min_length=1)
    dockerRepository: str = Field(min_length=1)
    dockerImageTag: str = Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.+-]*$")
    documentationUrl: str | None = None


class DefinitionUpdate(BaseModel):
    """Another version."""

    model_config = ConfigDict(extra="ignore")

    name: str = Field(min_length=1)
    dockerImageTag: str = Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.+-]*$")


class LowCodeUpdate(BaseModel):
    """A low-code manifest."""

    model_config = ConfigDict(extra="ignore")

    manifest: dict[str, Any]


class LowCodeCreate(LowCodeUpdate):
    """A new low-code source."""

    name: str = Field(min_length=1)


def answer(one: Definition) -> dict[str, Any]:
    return {
        "id": one.id,
        "name": one.name,
        "dockerRepository": one.repository,
        "dockerImageTag": one.version,
        **({"documentationUrl": one.docs} if one.docs else {}),
    }


def every(db: Connection, kind: Kind, workspace_id: str | None) -> list[Definition]:
    """Built-in ones by name, then the workspace's own."""
    found = sorted(connectors.built_in(kind).values(), key=lambda one: (one.name.lower(), one.id))
    own = [] if workspace_id is None else list(connectors.find_custom(db, kind, workspace_id))
    return found + [one for one in own if one.manifest is None]


def own(db: Connection, workspace_id: str, definition_id: str, kind: Kind, *, manifest: bool) -> Any:
    """A row of a custom connector of a workspace. 404 without one."""
    row = db.execute(
        select(definitions).where(
            definitions.c.id == definition_id,
            definitions.c.workspace_id == workspace_id,
            definitions.c.kind == kind,
            definitions.c.deleted_at_ms.is_(None),
        )
    ).one_or_none()
    if row is None or (row.manifest is not None) is not manifest:
        if not manifest and definition_id in connectors.built_in(kind):
            raise Problem(
                422,
                f"the {kind} definition {definition_id} comes with Kitestring or from the catalog",
                hint="Only custom definitions can be changed or deleted.",
            )
        raise missing_resource(f"custom {kind} definition", definition_id)
    return row


def unused(db: Connection, kind: Kind, definition_id: str) -> None:
    """409 while something is made with it."""
    table = sources if kind == "source" else destinations
    used = db.execute(
        select(table.c.name).where(table.c.definition_id == definition_id, table.c.deleted_at_ms.is_(None)).limit(1)
    ).scalar()
    if used is not None:
        raise Problem(409, f"the {kind} {used} uses this definition", hint=f"Delete that {kind} first.")


def routes(kind: Kind) -> None:
    """The routes of `/workspaces/{workspaceId}/definitions/sources` or `…/destinations`."""
    where, title = f"/workspaces/{{workspaceId}}/definitions/{kind}s", kind.title()

    @router.get(where, operation_id=f"list{title}Definitions", responses=responses_for(Definitions))
    def listed(who: Reader, context: ServerContext, workspaceId: UUID) -> Any:
        with context.store.read() as db:
            workspaces.get(db, str(workspaceId))
            data = [answer(one) for one in every(db, kind, str(workspaceId))]
        return {"data": data, "next": "", "previous": ""}

    @router.post(where, operation_id=f"create{title}Definition", responses=DEFINITION)
    def create(who: Editor, context: ServerContext, workspaceId: UUID, body: DefinitionCreate) -> Any:
        made = new_id()
        with context.store.write() as db:
            workspaces.get(db, str(workspaceId))
            db.execute(
                insert(definitions).values(
                    id=made,
                    workspace_id=str(workspaceId),
                    kind=kind,
                    name=body.name,
                    docker_repository=body.dockerRepository,
                    docker_image_tag=body.dockerImageTag,
                    documentation_url=body.documentationUrl,
                    version=1,
                    created_at_ms=context.store.now_ms(db),
                )
            )
        return one(context, kind, made)

    @router.get(f"{where}/{{definitionId}}", operation_id=f"get{title}Definition", responses=DEFINITION)
    def get(who: Reader, context: ServerContext, workspaceId: UUID, definitionId: UUID) -> Any:
        return one(context, kind, str(definitionId), str(workspaceId))

    @router.put(
        f"{where}/{{definitionId}}",
        operation_id=f"update{title}Definition",
        responses=responses_for(responses.Definition),
    )
    def change(
        who: Editor, context: ServerContext, workspaceId: UUID, definitionId: UUID, body: DefinitionUpdate
    ) -> Any:
        with context.store.write() as db:
            row = own(db, str(workspaceId), str(definitionId), kind, manifest=False)
            db.execute(
                update(definitions)
                .where(definitions.c.id == row.id)
                .values(name=body.name, docker_image_tag=body.dockerImageTag, version=row.version + 1)
            )
            if not who.instance_admin:
                endpoints.distrust(db, row.id)
        return one(context, kind, str(definitionId))

    @router.delete(
        f"{where}/{{definitionId}}",
        operation_id=f"delete{title}Definition",
        responses=responses_for(responses.Definition),
    )
    def delete(who: Editor, context: ServerContext, workspaceId: UUID, definitionId: UUID) -> Any:
        with context.store.write() as db:
            row = own(db, str(workspaceId), str(definitionId), kind, manifest=False)
            unused(db, kind, row.id)
            shown = answer(connectors.of_row(row))
            marked = update(definitions).where(definitions.c.id == row.id)
            db.execute(marked.values(deleted_at_ms=context.store.now_ms(db)))
        return shown


def one(context: Context, kind: Kind, definition_id: str, workspace_id: str | None = None) -> dict[str, Any]:
    with context.store.read() as db:
        if workspace_id is not None:
            workspaces.get(db, workspace_id)
        found = connectors.get(db, kind, definition_id)
        if workspace_id is not None and found.workspace_id not in (None, workspace_id):
            raise missing_resource(f"{kind} definition", definition_id)
        return answer(found)


routes("source")
routes("destination")


@router.get(
    "/connector_definitions", operation_id="listConnectorDefinitions", responses=responses_for(ConnectorDefinitions)
)
def listed(
    who: Reader,
    context: ServerContext,
    request: Request,
    type: Literal["source", "destination"],
    workspaceId: UUID | None = None,
) -> Any:
    """All connectors of a kind, in short."""
    with context.store.read() as db:
        found = every(db, type, str(workspaceId) if workspaceId else None)
    return {
        "data": [
            {"id": one.id, "name": one.name, "connectorDefinitionType": one.kind, "version": one.version}
            for one in found
        ]
    }


# -- low-code sources --------------------------------------------------------------------------------------------------


def shown(row: Any) -> dict[str, Any]:
    return {"id": row.id, "name": row.name, "manifest": row.manifest, "version": row.version}


@low_code.get("", operation_id="listDeclarativeSourceDefinitions", responses=responses_for(LowCodes))
def low_code_listed(who: Reader, context: ServerContext, workspaceId: UUID) -> Any:
    with context.store.read() as db:
        workspaces.get(db, str(workspaceId))
        wanted = select(definitions).where(
            definitions.c.workspace_id == str(workspaceId),
            definitions.c.kind == "source",
            definitions.c.deleted_at_ms.is_(None),
        )
        rows = list(db.execute(wanted.order_by(definitions.c.created_at_ms, definitions.c.id)))
    return {"data": [shown(row) for row in rows if row.manifest is not None], "next": "", "previous": ""}


@low_code.post("", operation_id="createDeclarativeSourceDefinition", responses=responses_for(LowCode))
def low_code_create(who: Editor, context: ServerContext, workspaceId: UUID, body: LowCodeCreate) -> Any:
    manifest, made = connectors.check_manifest(body.manifest), new_id()
    with context.store.write() as db:
        workspaces.get(db, str(workspaceId))
        db.execute(
            insert(definitions).values(
                id=made,
                workspace_id=str(workspaceId),
                kind="source",
                name=body.name,
                manifest=manifest,
                version=1,
                created_at_ms=context.store.now_ms(db),
            )
        )
        return shown(own(db, str(workspaceId), made, "source", manifest=True))


@low_code.get("/{definitionId}", operation_id="getDeclarativeSourceDefinition", responses=responses_for(LowCode))
def low_code_get(who: Reader, context: ServerContext, workspaceId: UUID, definitionId: UUID) -> Any:
    with context.store.read() as db:
        return shown(own(db, str(workspaceId), str(definitionId), "source", manifest=True))


@low_code.put("/{definitionId}", operation_id="updateDeclarativeSourceDefinition", responses=responses_for(LowCode))
def low_code_change(
    who: Editor, context: ServerContext, workspaceId: UUID, definitionId: UUID, body: LowCodeUpdate
) -> Any:
    manifest = connectors.check_manifest(body.manifest)
    with context.store.write() as db:
        row = own(db, str(workspaceId), str(definitionId), "source", manifest=True)
        db.execute(
            update(definitions).where(definitions.c.id == row.id).values(manifest=manifest, version=row.version + 1)
        )
        if not who.instance_admin:
            endpoints.distrust(db, row.id)
        return shown(own(db, str(workspaceId), row.id, "source", manifest=True))


@low_code.delete("/{definitionId}", operation_id="deleteDeclarativeSourceDefinition", responses=responses_for(LowCode))
def low_code_delete(who: Editor, context: ServerContext, workspaceId: UUID, definitionId: UUID) -> Any:
    with context.store.write() as db:
        row = own(db, str(workspaceId), str(definitionId), "source", manifest=True)
        unused(db, "source", row.id)
        gone = update(definitions).where(definitions.c.id == row.id)
        db.execute(gone.values(deleted_at_ms=context.store.now_ms(db)))
        return shown(row)
