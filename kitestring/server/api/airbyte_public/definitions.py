"""Definitions of Airbyte's public API: the connectors of a workspace, and custom ones."""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from sqlalchemy import Connection, insert, select, update

from kitestring.server.api.airbyte_public import responses
from kitestring.server.api.airbyte_public.responses import ConnectorDefinitions, Definitions, LowCode, LowCodes
from kitestring.server.api.response_models import responses_for
from kitestring.server.auth.access import Editor, Reader, ServerContext
from kitestring.server.builder import builder_project
from kitestring.server.builder.builder_project import Origin
from kitestring.server.connections import endpoints, version_upgrade
from kitestring.server.connectors import connector_version
from kitestring.server.connectors import definitions as connector_definitions
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
    """A connector, by its image or by the name of its installation."""

    name: str = Field(min_length=1)
    dockerRepository: str = Field(min_length=1)
    dockerImageTag: str = Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.+-]*$")
    documentationUrl: str | None = None


class DefinitionUpdate(BaseModel):
    """A new name and version."""

    name: str = Field(min_length=1)
    dockerImageTag: str = Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.+-]*$")


class LowCodeUpdate(BaseModel):
    """A low-code manifest."""

    manifest: dict[str, Any]


class LowCodeCreate(LowCodeUpdate):
    """A new low-code source."""

    name: str = Field(min_length=1)


def answer(definition: Definition) -> dict[str, Any]:
    return {
        "id": definition.id,
        "name": definition.name,
        "dockerRepository": definition.repository,
        "dockerImageTag": definition.version,
        **({"documentationUrl": definition.docs} if definition.docs else {}),
    }


def definitions_of(db: Connection, kind: Kind, workspace_id: str | None) -> list[Definition]:
    """Built-in definitions by name, then the workspace's own."""
    built_in = sorted(
        connector_definitions.built_in(kind).values(), key=lambda definition: (definition.name.lower(), definition.id)
    )
    custom = [] if workspace_id is None else list(connector_definitions.find_custom(db, kind, workspace_id))
    return built_in + [definition for definition in custom if definition.manifest is None]


def require_own(db: Connection, workspace_id: str, definition_id: str, kind: Kind, *, manifest: bool) -> Any:
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
        if not manifest and definition_id in connector_definitions.built_in(kind):
            raise Problem(
                422,
                f"the {kind} definition {definition_id} comes with Kitestring or from the catalog",
                hint="Only custom definitions can be changed or deleted.",
            )
        raise missing_resource(f"custom {kind} definition", definition_id)
    return row


def require_unused(db: Connection, kind: Kind, definition_id: str) -> None:
    """409 while a source or destination uses the definition."""
    table = sources if kind == "source" else destinations
    used = db.execute(
        select(table.c.name).where(table.c.definition_id == definition_id, table.c.deleted_at_ms.is_(None)).limit(1)
    ).scalar()
    if used is not None:
        raise Problem(409, f"the {kind} {used} uses this definition", hint=f"Delete that {kind} first.")


def add_routes(kind: Kind) -> None:
    """The routes of `/workspaces/{workspaceId}/definitions/sources` or `…/destinations`."""
    path, title = f"/workspaces/{{workspaceId}}/definitions/{kind}s", kind.title()

    @router.get(path, operation_id=f"list{title}Definitions", responses=responses_for(Definitions))
    def list_definitions(caller: Reader, context: ServerContext, workspaceId: UUID) -> Any:
        with context.store.read() as db:
            workspaces.get(db, str(workspaceId))
            data = [answer(definition) for definition in definitions_of(db, kind, str(workspaceId))]
        return {"data": data, "next": "", "previous": ""}

    @router.post(path, operation_id=f"create{title}Definition", responses=DEFINITION)
    def create_definition(caller: Editor, context: ServerContext, workspaceId: UUID, body: DefinitionCreate) -> Any:
        definition_id = new_id()
        with context.store.write() as db:
            workspaces.get(db, str(workspaceId))
            db.execute(
                insert(definitions).values(
                    id=definition_id,
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
        return read_definition(context, kind, definition_id)

    @router.get(f"{path}/{{definitionId}}", operation_id=f"get{title}Definition", responses=DEFINITION)
    def get_definition(caller: Reader, context: ServerContext, workspaceId: UUID, definitionId: UUID) -> Any:
        return read_definition(context, kind, str(definitionId), str(workspaceId))

    @router.put(
        f"{path}/{{definitionId}}",
        operation_id=f"update{title}Definition",
        responses=responses_for(responses.Definition),
    )
    def update_definition(
        caller: Editor, context: ServerContext, workspaceId: UUID, definitionId: UUID, body: DefinitionUpdate
    ) -> Any:
        with context.store.write() as db:
            row = require_own(db, str(workspaceId), str(definitionId), kind, manifest=False)
            db.execute(
                update(definitions)
                .where(definitions.c.id == row.id)
                .values(name=body.name, docker_image_tag=body.dockerImageTag, version=row.version + 1)
            )
            endpoints.connector_changed(db, row.id, caller.instance_admin)
        return read_definition(context, kind, str(definitionId))

    @router.delete(
        f"{path}/{{definitionId}}",
        operation_id=f"delete{title}Definition",
        responses=responses_for(responses.Definition),
    )
    def delete_definition(caller: Editor, context: ServerContext, workspaceId: UUID, definitionId: UUID) -> Any:
        with context.store.write() as db:
            row = require_own(db, str(workspaceId), str(definitionId), kind, manifest=False)
            require_unused(db, kind, row.id)
            body = answer(connector_definitions.of_row(row))
            marked = update(definitions).where(definitions.c.id == row.id)
            db.execute(marked.values(deleted_at_ms=context.store.now_ms(db)))
        return body


def read_definition(
    context: Context, kind: Kind, definition_id: str, workspace_id: str | None = None
) -> dict[str, Any]:
    with context.store.read() as db:
        if workspace_id is not None:
            workspaces.get(db, workspace_id)
        definition = connector_definitions.get(db, kind, definition_id)
        if workspace_id is not None and definition.workspace_id not in (None, workspace_id):
            raise missing_resource(f"{kind} definition", definition_id)
        return answer(definition)


add_routes("source")
add_routes("destination")


@router.get(
    "/connector_definitions", operation_id="listConnectorDefinitions", responses=responses_for(ConnectorDefinitions)
)
def list_connector_definitions(
    caller: Reader,
    context: ServerContext,
    request: Request,
    type: Literal["source", "destination"],
    workspaceId: UUID | None = None,
) -> Any:
    """All connectors of a kind, in short."""
    with context.store.read() as db:
        definitions_of_kind = definitions_of(db, type, str(workspaceId) if workspaceId else None)
    return {
        "data": [
            {
                "id": definition.id,
                "name": definition.name,
                "connectorDefinitionType": definition.kind,
                "version": definition.version,
            }
            for definition in definitions_of_kind
        ]
    }


# -- low-code sources --------------------------------------------------------------------------------------------------


def low_code_body(row: Any) -> dict[str, Any]:
    return {"id": row.id, "name": row.name, "manifest": row.manifest, "version": row.version}


@low_code.get("", operation_id="listDeclarativeSourceDefinitions", responses=responses_for(LowCodes))
def list_low_code(caller: Reader, context: ServerContext, workspaceId: UUID) -> Any:
    with context.store.read() as db:
        workspaces.get(db, str(workspaceId))
        query = select(definitions).where(
            definitions.c.workspace_id == str(workspaceId),
            definitions.c.kind == "source",
            definitions.c.deleted_at_ms.is_(None),
        )
        rows = list(db.execute(query.order_by(definitions.c.created_at_ms, definitions.c.id)))
    return {"data": [low_code_body(row) for row in rows if row.manifest is not None], "next": "", "previous": ""}


@low_code.post("", operation_id="createDeclarativeSourceDefinition", responses=responses_for(LowCode))
def create_low_code(caller: Editor, context: ServerContext, workspaceId: UUID, body: LowCodeCreate) -> Any:
    manifest, definition_id = connector_definitions.check_manifest(body.manifest), new_id()
    with context.store.write() as db:
        workspaces.get(db, str(workspaceId))
        db.execute(
            insert(definitions).values(
                id=definition_id,
                workspace_id=str(workspaceId),
                kind="source",
                name=body.name,
                manifest=manifest,
                version=1,
                created_at_ms=context.store.now_ms(db),
            )
        )
        text = connector_version.yaml_of(manifest)
        connector_version.add(context, db, definition_id, text, version=1)
        builder_project.create(
            context,
            db,
            workspace_id=str(workspaceId),
            name=body.name,
            draft=text,
            origin=Origin("manifest"),
            definition_id=definition_id,
        )
        return low_code_body(require_own(db, str(workspaceId), definition_id, "source", manifest=True))


@low_code.get("/{definitionId}", operation_id="getDeclarativeSourceDefinition", responses=responses_for(LowCode))
def get_low_code(caller: Reader, context: ServerContext, workspaceId: UUID, definitionId: UUID) -> Any:
    with context.store.read() as db:
        return low_code_body(require_own(db, str(workspaceId), str(definitionId), "source", manifest=True))


@low_code.put("/{definitionId}", operation_id="updateDeclarativeSourceDefinition", responses=responses_for(LowCode))
def update_low_code(
    caller: Editor, context: ServerContext, workspaceId: UUID, definitionId: UUID, body: LowCodeUpdate
) -> Any:
    """A new version, which all sources run at once; connections of streams that it breaks are paused."""
    manifest = connector_definitions.check_manifest(body.manifest)
    with context.store.read() as db:
        require_own(db, str(workspaceId), str(definitionId), "source", manifest=True)
    text = connector_version.yaml_of(manifest)
    replacement = version_upgrade.compare_with_sources(context, str(definitionId), text)
    with context.store.write() as db:
        row = require_own(db, str(workspaceId), str(definitionId), "source", manifest=True)

        def run() -> int:
            return connector_version.replace_current(context, db, row.id, manifest)

        version_upgrade.replace(context, db, row, replacement, run, caller.instance_admin)
        return low_code_body(require_own(db, str(workspaceId), row.id, "source", manifest=True))


@low_code.delete("/{definitionId}", operation_id="deleteDeclarativeSourceDefinition", responses=responses_for(LowCode))
def delete_low_code(caller: Editor, context: ServerContext, workspaceId: UUID, definitionId: UUID) -> Any:
    with context.store.write() as db:
        row = require_own(db, str(workspaceId), str(definitionId), "source", manifest=True)
        require_unused(db, "source", row.id)
        statement = update(definitions).where(definitions.c.id == row.id)
        project = builder_project.of_definition(db, row.id)
        if project is not None and not project.changed:
            builder_project.delete(context, db, project.id)
        db.execute(statement.values(deleted_at_ms=context.store.now_ms(db)))
        return low_code_body(row)
