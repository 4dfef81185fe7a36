"""The connectors that there are: ours, the public ones of Airbyte's catalog, and the form of each."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Query

from kitestring.server.api.kitestring.responses import ConnectorDetail, ConnectorSummaries
from kitestring.server.api.response_models import responses_for
from kitestring.server.auth.access import InstanceAdmin, Reader, ServerContext
from kitestring.server.connectors import definitions
from kitestring.server.connectors.definitions import Definition
from kitestring.server.http.problem import Problem, missing_resource

router = APIRouter(prefix="/connectors", tags=["connectors"])
Kind = Literal["source", "destination"]


def shown(definition: Definition) -> dict[str, Any]:
    return {
        "definitionId": definition.id,
        "kind": definition.kind,
        "name": definition.name,
        "type": definition.type,
        "connector": definition.connector,
        "version": definition.version,
        "native": definition.native,
        "installed": definition.native or definition.manifest is not None or installed(definition),
        "documentationUrl": definition.docs,
        "category": definition.category,
        "summary": definition.summary,
        "icon": definition.icon,
        "searchable": definition.searchable,
    }


def installed(definition: Definition) -> bool:
    from kitestring.airbyte import installed_connectors

    return installed_connectors.installed(definition.kind, definition.connector) is not None


@router.get("", operation_id="listConnectors", responses=responses_for(ConnectorSummaries))
def listed(
    who: Reader,
    context: ServerContext,
    kind: Kind | None = None,
    search: str = Query("", description="Words that the name, the type or the image holds."),
    native: bool | None = None,
    workspaceId: str | None = None,
) -> Any:
    """All connectors, those of Kitestring first; with `workspaceId` also the custom ones of a workspace."""
    kinds: list[Kind] = [kind] if kind else ["source", "destination"]
    found: list[Definition] = []
    with context.store.read() as db:
        for one in kinds:
            found += definitions.built_in(one).values()
            found += definitions.find_custom(db, one, workspaceId) if workspaceId else []
    words = search.lower().split()
    chosen = [
        one
        for one in found
        if all(word in f"{one.name} {one.type} {one.repository}".lower() for word in words)
        and native in (None, one.native)
    ]
    return {"data": [shown(one) for one in sorted(chosen, key=lambda one: (not one.native, one.name.lower()))]}


@router.get("/{kind}/{definitionId}", operation_id="getConnector", responses=responses_for(ConnectorDetail))
def get(who: Reader, context: ServerContext, kind: Kind, definitionId: str) -> Any:
    """A connector with the form of its configuration (`spec`: a JSON Schema). By id, or by type (`zendesk-support`)."""
    with context.store.read() as db:
        one = definition(db, kind, definitionId)
    return {**shown(one), "spec": definitions.spec_of(one)}


@router.post(
    "/{kind}/{definitionId}/install", operation_id="installConnector", responses=responses_for(ConnectorDetail)
)
def install(who: InstanceAdmin, context: ServerContext, kind: Kind, definitionId: str) -> Any:
    """Install a public connector of Airbyte's: its manifest from the registry, or its package from PyPI."""
    from kitestring.airbyte import connector_index, installed_connectors
    from kitestring.airbyte.registry_client import RegistryClient

    with context.store.read() as db:
        one = definition(db, kind, definitionId)
    entry = connector_index.index().get(kind, one.connector)
    if one.native or entry is None:
        raise Problem(422, f"{one.name} comes with Kitestring", hint="There is nothing to install.")
    installed_connectors.install(entry, registry=RegistryClient())
    return {**shown(one), "spec": definitions.spec_of(one)}


def definition(db: Any, kind: Kind, word: str) -> Definition:
    if len(word) == 36 and word.count("-") == 4:
        return definitions.get(db, kind, word)
    try:
        return definitions.of_type(kind, word)
    except Problem as problem:
        raise missing_resource(f"{kind} connector", word) from problem
