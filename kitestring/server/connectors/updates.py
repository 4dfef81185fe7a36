"""Which connectors that are used here have a newer version, and what it changes.

Connectors of ours come with Kitestring and have its version. An installed connector has a newer version where the
index of the registry says so; a custom connector names its version itself.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, select

from kitestring.airbyte import connector_index, installed_connectors
from kitestring.airbyte.connector_index import Change, IndexEntry, order
from kitestring.server.connections.endpoints import TABLES
from kitestring.server.connectors import definitions
from kitestring.server.connectors.definitions import Definition, Kind


@dataclass(frozen=True, slots=True)
class UsedConnector:
    """A connector that sources or destinations use. `newest` is empty where nothing newer can be known.

    `breaking` are the breaking changes between the version in use and the newest; `others` the versions that are
    installed beside it, to go back to.
    """

    definition: Definition
    version: str
    origin: str
    """kitestring, registry or custom"""
    newest: str = ""
    breaking: Sequence[Change] = ()
    others: Sequence[str] = ()
    endpoints: list[tuple[str, str]] = field(default_factory=list)
    """Id and name of the sources or destinations that use it."""

    @property
    def newer(self) -> bool:
        return bool(self.newest) and order(self.newest) > order(self.version)


def used_connectors(db: Connection, workspace_ids: Sequence[str] | None) -> list[UsedConnector]:
    """The connectors that the sources and destinations of these workspaces (None: of all) use, by name."""
    used = []
    kinds: tuple[Kind, Kind] = ("source", "destination")
    for kind in kinds:
        c = TABLES[kind].c
        query = select(c.id, c.name, c.definition_id).where(c.deleted_at_ms.is_(None)).order_by(c.name)
        if workspace_ids is not None:
            query = query.where(c.workspace_id.in_(workspace_ids))
        by_definition: dict[str, list[Any]] = defaultdict(list)
        for row in db.execute(query):
            by_definition[row.definition_id].append(row)
        known = {each.id: each for each in [*definitions.built_in(kind).values(), *definitions.find_custom(db, kind)]}
        for definition_id, rows in by_definition.items():
            if definition_id in known:
                used.append(of_definition(known[definition_id], [(row.id, row.name) for row in rows]))
    return sorted(used, key=lambda each: (not each.newer, each.definition.name.lower(), each.definition.kind))


def of_definition(definition: Definition, endpoints: list[tuple[str, str]]) -> UsedConnector:
    if definition.native:
        return UsedConnector(definition, definition.version, "kitestring", endpoints=endpoints)
    name = definition.connector.partition("@")[0]
    entry = connector_index.index().get(definition.kind, name) if name else None
    if definition.workspace_id is not None:
        newest = entry.version if entry is not None else ""
        breaking = entry.breaking(definition.version, newest) if entry is not None else ()
        return UsedConnector(definition, definition.version, "custom", newest, breaking, endpoints=endpoints)
    assert entry is not None  # the definition was made of it
    installation = installed_connectors.installed(definition.kind, name)
    version = installation.entry.version if installation is not None else ""
    return UsedConnector(
        definition,
        version,
        "registry",
        entry.version,
        entry.breaking(version, entry.version) if version else (),
        [other for other in installed_versions(entry) if other != version],
        endpoints,
    )


def installed_versions(entry: IndexEntry) -> list[str]:
    """The installed versions of a connector, the newest first."""
    return [
        installation.entry.version
        for installation in installed_connectors.installations()
        if (installation.entry.kind, installation.entry.name) == (entry.kind, entry.name)
    ]
