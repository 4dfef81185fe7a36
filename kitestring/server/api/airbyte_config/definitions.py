"""Connector definitions of Airbyte's Config API, and the JSON Schemas of their configurations."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel

from kitestring.airbyte.modes import WRITES
from kitestring.server.api.airbyte_config import jobs
from kitestring.server.api.airbyte_public.definitions import definitions_of
from kitestring.server.auth.access import Reader, ServerContext
from kitestring.server.connectors import definitions
from kitestring.server.connectors.definitions import Definition, Kind
from kitestring.server.http.problem import Problem


class DefinitionsInWorkspace(BaseModel):
    """Built-in definitions, and with `workspaceId` also the workspace's own."""

    workspaceId: UUID | None = None


class DefinitionRef(BaseModel):
    """A definition, by `sourceDefinitionId` or `destinationDefinitionId`."""

    sourceDefinitionId: UUID | None = None
    destinationDefinitionId: UUID | None = None
    workspaceId: UUID | None = None

    def of(self, kind: Kind) -> str:
        definition_id = self.sourceDefinitionId if kind == "source" else self.destinationDefinitionId
        if definition_id is None:
            raise Problem(400, f"{kind}DefinitionId is missing", hint=f"Give the id of a {kind} definition.")
        return str(definition_id)


def answer(definition: Definition) -> dict[str, Any]:
    """A definition in the Config API's form."""
    return {
        f"{definition.kind}DefinitionId": definition.id,
        "name": definition.name,
        "dockerRepository": definition.repository,
        "dockerImageTag": definition.version,
        "documentationUrl": definition.docs or None,
        **({"icon": definition.icon} if definition.icon else {}),
        **({"sourceType": source_type(definition)} if definition.kind == "source" else {}),
        "protocolVersion": "0.2.0",
        "custom": definition.workspace_id is not None,
        "supportLevel": "none" if definition.workspace_id is not None else "community",
        "releaseStage": "custom" if definition.workspace_id is not None else "generally_available",
        **(
            {"supportsDbt": False, "normalizationConfig": {"supported": False}}
            if definition.kind == "destination"
            else {}
        ),
    }


def source_type(definition: Definition) -> str:
    """Airbyte's name for the category of a source."""
    if definition.workspace_id is not None:
        return "custom"
    return {"database": "database", "files": "file"}.get(definition.category, "api")


def router(kind: Kind) -> APIRouter:
    """The routes of `/source_definitions/…` or `/destination_definitions/…`, and of their specifications."""
    routes = APIRouter(tags=[f"config: {kind} definitions"])
    title = kind.title()

    @routes.post(f"/{kind}_definitions/list", operation_id=f"configList{title}Definitions")
    def list_definitions(caller: Reader, context: ServerContext, body: DefinitionsInWorkspace | None = None) -> Any:
        with context.store.read() as db:
            workspace_id = str(body.workspaceId) if body and body.workspaceId else None
            return {f"{kind}Definitions": [answer(definition) for definition in definitions_of(db, kind, workspace_id)]}

    @routes.post(f"/{kind}_definitions/list_for_workspace", operation_id=f"configList{title}DefinitionsForWorkspace")
    def list_definitions_for_workspace(caller: Reader, context: ServerContext, body: DefinitionsInWorkspace) -> Any:
        return list_definitions(caller, context, body)

    @routes.post(f"/{kind}_definitions/get", operation_id=f"configGet{title}Definition")
    def get_definition(caller: Reader, context: ServerContext, body: DefinitionRef) -> Any:
        with context.store.read() as db:
            return answer(definitions.get(db, kind, body.of(kind)))

    @routes.post(f"/{kind}_definition_specifications/get", operation_id=f"configGet{title}DefinitionSpecification")
    def get_specification(caller: Reader, context: ServerContext, body: DefinitionRef) -> Any:
        """The JSON Schema of a configuration. 422 if the connector is not installed."""
        with context.store.read() as db:
            definition, now = definitions.get(db, kind, body.of(kind)), context.store.now_ms(db)
        answer_body: dict[str, Any] = {
            f"{kind}DefinitionId": definition.id,
            "documentationUrl": definition.docs or None,
            "connectionSpecification": definitions.spec_of(definition),
            "jobInfo": jobs.job_info_of("get_spec", now),
        }
        if kind == "destination":
            writes = definitions.supported_writes(definition.connector)
            names = [name for name, write in WRITES.items() if writes is None or write in writes]
            answer_body["supportedDestinationSyncModes"] = names
            answer_body["supportsNormalization"] = False
        return answer_body

    return routes


sources, destinations = router("source"), router("destination")
