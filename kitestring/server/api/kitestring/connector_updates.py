"""Updates of the connectors that are used here: what there is, what it changes, and the way back."""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

from fastapi import APIRouter, Response

from kitestring.server.api.airbyte_public.page import Ids, visible
from kitestring.server.api.kitestring.body import Body
from kitestring.server.api.kitestring.connectors import require_definition
from kitestring.server.api.response_models import ResponseModel, responses_for
from kitestring.server.auth.access import InstanceAdmin, Reader, ServerContext
from kitestring.server.connectors import updates
from kitestring.server.connectors.updates import UsedConnector
from kitestring.server.http.problem import Problem

router = APIRouter(prefix="/connector-updates", tags=["connectors"])


class EndpointName(ResponseModel):
    """A source or a destination."""

    id: UUID
    name: str


class BreakingChange(ResponseModel):
    """A breaking change of a connector: what users have to do, until when (a date, or empty), and where it is told."""

    version: str
    message: str
    deadline: str
    docs: str


class ConnectorUpdate(ResponseModel):
    """A connector that is used here. `origin`: it comes with Kitestring, from the registry, or is custom. `version` is
    in use (empty: not installed), `newest` the registry's (empty: not known), `others` are installed too; `breaking`
    lies between them. `endpoints` use it."""

    definitionId: str
    kind: Literal["source", "destination"]
    name: str
    connector: str
    origin: Literal["kitestring", "registry", "custom"]
    version: str
    newest: str
    newer: bool
    breaking: list[BreakingChange]
    others: list[str]
    documentationUrl: str
    endpoints: list[EndpointName]


class ConnectorUpdates(ResponseModel):
    """The connectors that are used here; `indexAtMs`: when the registry was asked last (null: the index that came with
    Kitestring is used)."""

    data: list[ConnectorUpdate]
    indexAtMs: int | None


class ConnectorVersion(Body):
    """A version of a connector that is installed."""

    version: str


@router.get("", operation_id="listConnectorUpdates", responses=responses_for(ConnectorUpdates))
def list_updates(caller: Reader, context: ServerContext, workspaceIds: Ids = None) -> Any:
    """The connectors that are used here, those with a newer version first. Asks no network: the versions are those of
    the index, which `refresh` renews."""
    from kitestring.airbyte import connector_index

    with context.store.read() as db:
        used = updates.used_connectors(db, visible(caller.workspaces(), workspaceIds))
    path = connector_index.folder() / connector_index.REFRESHED
    return {
        "data": [update_of(each) for each in used],
        "indexAtMs": int(path.stat().st_mtime * 1000) if path.is_file() else None,
    }


@router.post("/refresh", operation_id="refreshConnectorIndex", status_code=204)
def refresh_index(caller: InstanceAdmin, context: ServerContext) -> Response:
    """Fetch the index of connectors from the registry again."""
    from kitestring.airbyte import connector_index
    from kitestring.airbyte.registry_client import RegistryClient

    connector_index.save(RegistryClient().entries())
    return Response(status_code=204)


@router.post("/{kind}/{definitionId}/use", operation_id="useConnector", responses=responses_for(ConnectorUpdate))
def use_version(
    caller: InstanceAdmin,
    context: ServerContext,
    kind: Literal["source", "destination"],
    definitionId: str,
    body: ConnectorVersion,
) -> Any:
    """Use another installed version of a connector: the way back from an update. 422 for one that is not installed."""
    from kitestring.airbyte import installed_connectors

    with context.store.read() as db:
        definition = require_definition(db, kind, definitionId)
    installation = None
    if not definition.native and definition.workspace_id is None:
        installation = installed_connectors.installed(kind, definition.connector, body.version)
    if installation is None:
        raise Problem(
            422,
            f"the version {body.version} of {definition.name} is not installed",
            hint=f"Install it: kitestring connectors install {definition.connector}@{body.version}.",
        )
    installed_connectors.use(installation)
    return update_of(updates.of_definition(definition, []))


def update_of(used: UsedConnector) -> dict[str, Any]:
    definition = used.definition
    return {
        "definitionId": definition.id,
        "kind": definition.kind,
        "name": definition.name,
        "connector": definition.connector,
        "origin": used.origin,
        "version": used.version,
        "newest": used.newest,
        "newer": used.newer,
        "breaking": [
            {"version": change.version, "message": change.message, "deadline": change.deadline, "docs": change.docs}
            for change in used.breaking
        ],
        "others": list(used.others),
        "documentationUrl": definition.docs,
        "endpoints": [{"id": id_, "name": name} for id_, name in used.endpoints],
    }
