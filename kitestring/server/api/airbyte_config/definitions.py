"""Definitions of Airbyte's Config API: the connectors, and the forms of their configurations."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from kitestring.airbyte.modes import WRITES
from kitestring.server.api.airbyte_config import jobs
from kitestring.server.api.airbyte_public.definitions import every
from kitestring.server.auth.access import Reader, ServerContext
from kitestring.server.connectors import definitions
from kitestring.server.connectors.definitions import Definition, Kind
from kitestring.server.http.problem import Problem


class DefinitionsInWorkspace(BaseModel):
    """Built-in ones, and the workspace's own where it names one."""

    model_config = ConfigDict(extra="ignore")

    workspaceId: UUID | None = None


class DefinitionRef(BaseModel):
    """One of them: `sourceDefinitionId` or `destinationDefinitionId`."""

    model_config = ConfigDict(extra="ignore")

    sourceDefinitionId: UUID | None = None
    destinationDefinitionId: UUID | None = None
    workspaceId: UUID | None = None

    def of(self, kind: Kind) -> str:
        found = self.sourceDefinitionId if kind == "source" else self.destinationDefinitionId
        if found is None:
            raise Problem(400, f"{kind}DefinitionId is missing", hint=f"Give the id of a {kind} definition.")
        return str(found)


def answer(definition: Definition) -> dict[str, Any]:
    """A definition as the Config API shows it."""
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
    """Airbyte's word for the category of a source."""
    if definition.workspace_id is not None:
        return "custom"
    return {"database": "database", "files": "file"}.get(definition.category, "api")


def router(kind: Kind) -> APIRouter:
    """The routes of `/source_definitions/…` or `/destination_definitions/…`, and of their specifications."""
    made = APIRouter(tags=[f"config: {kind} definitions"])
    title = kind.title()

    @made.post(f"/{kind}_definitions/list", operation_id=f"configList{title}Definitions")
    def listed(who: Reader, context: ServerContext, body: DefinitionsInWorkspace | None = None) -> Any:
        with context.store.read() as db:
            workspace_id = str(body.workspaceId) if body and body.workspaceId else None
            return {f"{kind}Definitions": [answer(one) for one in every(db, kind, workspace_id)]}

    @made.post(f"/{kind}_definitions/list_for_workspace", operation_id=f"configList{title}DefinitionsForWorkspace")
    def listed_for(who: Reader, context: ServerContext, body: DefinitionsInWorkspace) -> Any:
        return listed(who, context, body)

    @made.post(f"/{kind}_definitions/get", operation_id=f"configGet{title}Definition")
    def get(who: Reader, context: ServerContext, body: DefinitionRef) -> Any:
        with context.store.read() as db:
            return answer(definitions.get(db, kind, body.of(kind)))

    @made.post(f"/{kind}_definition_specifications/get", operation_id=f"configGet{title}DefinitionSpecification")
    def specification(who: Reader, context: ServerContext, body: DefinitionRef) -> Any:
        """The JSON Schema of a configuration. 422 while an installable connector is not installed."""
        with context.store.read() as db:
            one, now = definitions.get(db, kind, body.of(kind)), context.store.now_ms(db)
        told: dict[str, Any] = {
            f"{kind}DefinitionId": one.id,
            "documentationUrl": one.docs or None,
            "connectionSpecification": definitions.spec_of(one),
            "jobInfo": jobs.made_up("get_spec", now),
        }
        if kind == "destination":
            writes = definitions.supported_writes(one.connector)
            words = [word for word, write in WRITES.items() if writes is None or write in writes]
            told["supportedDestinationSyncModes"] = words
            told["supportsNormalization"] = False
        return told

    return made


sources, destinations = router("source"), router("destination")
