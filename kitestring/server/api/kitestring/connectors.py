"""Connectors: ours and the public ones of Airbyte's registry, with the JSON Schemas of their configurations."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query

from kitestring.server.api.kitestring.responses import ConnectorDetail, ConnectorDocumentation, ConnectorSummaries
from kitestring.server.api.response_models import responses_for
from kitestring.server.auth.access import InstanceAdmin, Reader, ServerContext
from kitestring.server.builder import source_consent
from kitestring.server.connections import endpoints
from kitestring.server.connectors import definitions, documentation
from kitestring.server.connectors.definitions import Definition
from kitestring.server.http.problem import Problem, missing_resource

router = APIRouter(prefix="/connectors", tags=["connectors"])
Kind = Literal["source", "destination"]


def summary_of(definition: Definition, used: int = 0) -> dict[str, Any]:
    """`used`: how many sources or destinations of the asked workspace have it."""
    return {
        "definitionId": definition.id,
        "kind": definition.kind,
        "name": definition.name,
        "type": definition.type,
        "connector": definition.connector,
        "version": definition.version,
        "native": definition.native,
        "custom": definition.workspace_id is not None,
        "installed": definition.native or definition.manifest is not None or is_installed(definition),
        "documentationUrl": definition.docs,
        "category": definition.category,
        "summary": definition.summary,
        "icon": definition.icon,
        "searchable": definition.searchable,
        "browsable": definition.browsable,
        "followsChanges": definition.follows_changes,
        "used": used,
    }


def detail_of(definition: Definition) -> dict[str, Any]:
    spec, suggested = definitions.spec_of(definition), definitions.suggested_values(definition)
    inputs = source_consent.needed_inputs(definition) if definition.kind == "source" else None
    return {**summary_of(definition), "spec": spec, "suggested": suggested, "consentInputs": inputs}


def is_installed(definition: Definition) -> bool:
    from kitestring.airbyte import installed_connectors

    return installed_connectors.installed(definition.kind, definition.connector) is not None


@router.get("", operation_id="listConnectors", responses=responses_for(ConnectorSummaries))
def list_connectors(
    caller: Reader,
    context: ServerContext,
    kind: Kind | None = None,
    search: str = Query("", description="Words that the name, the type or the image holds."),
    native: bool | None = None,
    workspaceId: str | None = None,
) -> Any:
    """All connectors, those of Kitestring first; with `workspaceId` also the custom ones of a workspace."""
    kinds: list[Kind] = [kind] if kind else ["source", "destination"]
    candidates: list[Definition] = []
    used: dict[str, int] = {}
    with context.store.read() as db:
        for each in kinds:
            candidates += definitions.built_in(each).values()
            candidates += definitions.find_custom(db, each, workspaceId) if workspaceId else []
            used |= endpoints.definition_counts(db, each, workspaceId) if workspaceId else {}
    terms = search.lower().split()
    matches = [
        connector
        for connector in candidates
        if all(term in f"{connector.name} {connector.type} {connector.repository}".lower() for term in terms)
        and native in (None, connector.native)
    ]
    matches.sort(key=lambda connector: (not connector.native, connector.name.lower()))
    return {"data": [summary_of(connector, used.get(connector.id, 0)) for connector in matches]}


@router.get("/{kind}/{definitionId}", operation_id="getConnector", responses=responses_for(ConnectorDetail))
def get_connector(
    caller: Reader,
    context: ServerContext,
    kind: Kind,
    definitionId: str,
    version: Annotated[int | None, Query(ge=1, lt=2**31, description="A published version of a custom source.")] = None,
) -> Any:
    """A connector by id or type (`zendesk-support`), with the JSON Schema of its configuration (`spec`)."""
    with context.store.read() as db:
        connector = require_definition(db, kind, definitionId, version)
    return detail_of(connector)


@router.get(
    "/{kind}/{definitionId}/documentation",
    operation_id="getConnectorDocumentation",
    responses=responses_for(ConnectorDocumentation),
)
def get_documentation(caller: Reader, context: ServerContext, kind: Kind, definitionId: str) -> Any:
    """The page of a connector in Markdown; empty for those that are not Kitestring's."""
    with context.store.read() as db:
        return {"markdown": documentation.page_of(require_definition(db, kind, definitionId))}


@router.post(
    "/{kind}/{definitionId}/install", operation_id="installConnector", responses=responses_for(ConnectorDetail)
)
def install_connector(caller: InstanceAdmin, context: ServerContext, kind: Kind, definitionId: str) -> Any:
    """Install a public connector of Airbyte's: its manifest from the registry, or its package from PyPI."""
    from kitestring.airbyte import connector_index, installed_connectors
    from kitestring.airbyte.registry_client import RegistryClient

    with context.store.read() as db:
        connector = require_definition(db, kind, definitionId)
    entry = connector_index.index().get(kind, connector.connector)
    if connector.native or entry is None:
        raise Problem(422, f"{connector.name} comes with Kitestring", hint="There is nothing to install.")
    installed_connectors.install(entry, registry=RegistryClient())
    return detail_of(connector)


def require_definition(db: Any, kind: Kind, name: str, version: int | None = None) -> Definition:
    if len(name) == 36 and name.count("-") == 4:
        return definitions.get(db, kind, name, version=version)
    try:
        return definitions.of_type(kind, name)
    except Problem as problem:
        raise missing_resource(f"{kind} connector", name) from problem
