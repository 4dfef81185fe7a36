"""Definitions: the connectors that a workspace can choose from, by the ids that Airbyte's clients know.

A connector of ours that Airbyte has too bears Airbyte's id; another of ours has one made of its name, always the same.
Airbyte's other public connectors are in the catalog with their own ids. Custom ones are rows of the store.
"""

from __future__ import annotations

import copy
import hashlib
import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Literal

from sqlalchemy import Connection, select

from kitestring import __version__, registry
from kitestring.airbyte import connector_index
from kitestring.destination import Browses
from kitestring.errors import ConfigError, KitestringError
from kitestring.facts import Facts
from kitestring.server.connectors import connector_version
from kitestring.server.connectors.confinement import Confinement
from kitestring.server.http.problem import Problem, missing_resource
from kitestring.server.store.tables import definitions
from kitestring.suggest import did_you_mean
from kitestring.types import Write

Kind = Literal["source", "destination"]
OURS = uuid.UUID("6b697465-7374-4672-896e-670000000000")
DOCS = "https://github.com/kitestring/kitestring/tree/main/docs/reference"


@dataclass(frozen=True, slots=True)
class Definition:
    """A connector. `connector` is its name in the registry; a custom low-code source has its `manifest` instead.

    `type` is the short name in configurations (`sourceType`, `destinationType`): `zendesk-support`.
    `known`: Airbyte's clients know this type, so that a configuration may name it to them.
    """

    id: str
    kind: Kind
    name: str
    connector: str
    type: str
    repository: str
    version: str
    docs: str = ""
    native: bool = False
    searchable: bool = False
    follows_changes: bool = False
    browsable: bool = False
    """The data that it wrote can be read back (`destination.Browses`)."""
    category: str = ""
    summary: str = ""
    icon: str = field(default="", repr=False)
    """An address, or the text of an SVG."""
    airbyte_type: bool = False
    workspace_id: str | None = None
    manifest: Mapping[str, Any] | None = field(default=None, repr=False)
    current_version: int | None = None
    """Of a low-code connector with versions, the one that new sources get."""
    gone: bool = False
    """Neither the catalog nor the store has it any more; what was made with it stays, and does not run."""


def built_in(kind: Kind) -> dict[str, Definition]:
    """Ours and the catalog's, by id, ours first."""
    return dict(_built_in(kind, connector_index.index()))


@lru_cache(maxsize=8)
def _built_in(kind: Kind, index: connector_index.ConnectorIndex) -> dict[str, Definition]:
    by_id: dict[str, Definition] = {}
    for connector in registry.connectors(kind):
        entry = index.get(kind, connector.name)
        kebab = connector.name.replace("_", "-")
        try:
            facts, icon = connector.facts(), connector.icon()
            browsable = kind == "destination" and issubclass(connector.load(), Browses)
        except KitestringError:  # its packages are missing, or it is broken: it is listed, and says so when it is used
            facts, icon, browsable = Facts(), "", False
        own_id = str(uuid.uuid5(OURS, f"{kind}/{connector.name}"))
        definition = Definition(
            id=entry.id if entry is not None and entry.id else own_id,
            kind=kind,
            name=facts.title or (entry.title if entry is not None else connector.title()),
            connector=connector.name,
            type=kebab,
            repository=entry.image if entry is not None else f"kitestring/{kind}-{kebab}",
            version=__version__,
            docs=facts.docs or f"{DOCS}/{kind}s/{connector.name}.md",
            native=True,
            searchable=facts.searchable,
            follows_changes=facts.follows_changes,
            browsable=browsable,
            category=facts.category,
            summary=facts.summary,
            icon=icon,
            airbyte_type=entry is not None,
        )
        by_id[definition.id] = definition
    own_images = {definition.repository for definition in by_id.values()}
    for entry in index.entries:
        if entry.kind == kind and entry.id and entry.id not in by_id and entry.image not in own_images:
            by_id[entry.id] = Definition(
                id=entry.id,
                kind=kind,
                name=entry.title,
                connector=entry.name,
                type=entry.name.removeprefix(f"{kind}-"),
                repository=entry.image,
                version=entry.version,
                docs=entry.docs,
                airbyte_type=True,
            )
    return by_id


def find_custom(db: Connection, kind: Kind, workspace_id: str | None = None) -> Iterator[Definition]:
    """The custom connectors of a workspace (of all, without one), oldest first."""
    query = select(definitions).where(definitions.c.kind == kind, definitions.c.deleted_at_ms.is_(None))
    if workspace_id is not None:
        query = query.where(definitions.c.workspace_id == workspace_id)
    for row in db.execute(query.order_by(definitions.c.created_at_ms, definitions.c.id)):
        yield of_row(row)


def of_row(row: Any) -> Definition:
    """A row of the table as a definition."""
    bare = (row.docker_repository or "").rpartition("/")[2]
    return Definition(
        id=row.id,
        kind=row.kind,
        name=row.name,
        connector="" if row.manifest is not None else f"{bare}@{row.docker_image_tag}",
        type=bare.removeprefix(f"{row.kind}-") or row.id,
        repository=row.docker_repository or "",
        version=row.docker_image_tag or str(row.version),
        docs=row.documentation_url or "",
        icon=row.icon,
        workspace_id=row.workspace_id,
        manifest=row.manifest,
        current_version=row.version if row.manifest is not None else None,
    )


def get(
    db: Connection, kind: Kind, definition_id: str, *, deleted: bool = False, version: int | None = None
) -> Definition:
    """The definition of this id. 404 without one; `deleted` takes one that was deleted too, to show its actors.

    `version`: of a custom low-code source, a published version in place of the current one.
    """
    definition = built_in(kind).get(definition_id)
    if definition is not None:
        return definition
    query = select(definitions).where(definitions.c.id == definition_id, definitions.c.kind == kind)
    if not deleted:
        query = query.where(definitions.c.deleted_at_ms.is_(None))
    row = db.execute(query).one_or_none()
    if row is None:
        raise missing_resource(f"{kind} definition", definition_id)
    definition = of_row(row)
    if version is None or version == row.version or row.manifest is None:
        return definition
    manifest = connector_version.values_of(connector_version.get(db, definition_id, version).manifest)
    return replace(definition, version=str(version), manifest=manifest)


def gone(kind: Kind, definition_id: str, connector: str) -> Definition:
    """The definition of a source or destination whose connector is gone."""
    name = connector or "a connector that is gone"
    return Definition(definition_id, kind, name, connector, connector or definition_id, "", "", gone=True)


def of_type(kind: Kind, name: str) -> Definition:
    """The connector that a configuration names: `zendesk-support`, `zendesk_support`, `source-zendesk-support`. 400."""
    type_name = name.strip().removeprefix("airbyte/").removeprefix(f"{kind}-").replace("_", "-").lower()
    for definition in built_in(kind).values():
        if definition.type == type_name:
            return definition

    types = [definition.type for definition in built_in(kind).values()]
    raise Problem(
        400,
        f"there is no {kind} of the type {name}{did_you_mean(type_name, types)}",
        hint=f"Give the definitionId, or one of the types that the list of {kind} definitions shows.",
        title="value-not-found",
    )


def spec_of(definition: Definition) -> dict[str, Any]:
    """The form of a definition's configuration. `ConfigError` while an installable connector is not installed."""
    if definition.manifest is not None:
        form = copy.deepcopy(_manifest_spec(json.dumps(definition.manifest, sort_keys=True)))
        # On a server an admin's approval of the code takes the place of this option.
        (form.get("properties") or {}).pop("allow_custom_code", None)
        return form
    connector = registry.connector(definition.kind, definition.connector, files=False)
    if connector.installation is None and connector.manifest is None:
        return copy.deepcopy(_native_spec(definition.kind, definition.connector))
    return connector.spec()


def suggested_values(definition: Definition) -> dict[str, Any]:
    """Values that a new form of a definition begins with, beyond the defaults."""
    if definition.manifest is not None:
        return {}
    return registry.connector(definition.kind, definition.connector, files=False).suggested()


@lru_cache(maxsize=64)
def _native_spec(kind: Kind, name: str) -> dict[str, Any]:
    return registry.connector(kind, name).spec()


@lru_cache(maxsize=64)
def _manifest_spec(manifest: str) -> dict[str, Any]:
    from kitestring.declarative.source import form_of

    return form_of(json.loads(manifest))


def build(definition: Definition, config: Mapping[str, Any], confinement: Confinement) -> Any:
    """The connector with a configuration, to see whether it takes it. `ConfigError` names every wrong option, and what
    of the machine it may not use."""
    named = None
    if definition.manifest is None:
        named = registry.connector(definition.kind, definition.connector, files=False)
    return confinement.build(named, definition.manifest, config)


def supported_writes(connector: str) -> frozenset[Write] | None:
    """The ways a destination can write; None if they depend on its configuration, so that only a sync can tell."""
    entry = registry.connector("destination", connector, files=False)
    declared: Any = None if entry.installation is not None else getattr(entry.load(), "writes", None)
    return declared if isinstance(declared, frozenset) else None


def check_manifest(manifest: Any) -> dict[str, Any]:
    """Check the manifest of a custom source. 422 if it is not a manifest. Code in it is refused."""
    from kitestring.declarative import DeclarativeSource
    from kitestring.declarative.manifest import connection_specification, python_classes, resolve

    if not isinstance(manifest, Mapping) or manifest.get("type") not in ("DeclarativeSource", None):
        raise Problem(422, "the manifest is not a DeclarativeSource", hint="Give the manifest as a JSON object.")
    values = dict(manifest)
    try:
        # Resolved, since a reference may replace a class.
        resolved = resolve(copy.deepcopy(values))
        if any(True for _ in python_classes(resolved)):
            raise Problem(
                422,
                "the manifest names Python classes, and a manifest given over the API runs no code",
                hint="Replace the custom components, or install the connector on the server.",
            )
        if not connection_specification(resolved):
            DeclarativeSource.of(values, {})
    except ConfigError as error:
        raise Problem(422, error.message, hint=error.hint) from error
    return values


def fingerprint(definition: Definition, config: Mapping[str, Any]) -> str:
    """A digest that changes with the connector or its configuration (sealed secrets count in their sealed form)."""
    raw = json.dumps([definition.id, definition.version, definition.manifest, config], sort_keys=True, default=str)
    return hashlib.sha256(raw.encode()).hexdigest()
