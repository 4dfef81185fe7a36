"""The manifest of a low-code connector as YAML text, with its comments, to begin a project of the builder with."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, select

from kitestring import registry
from kitestring.declarative.builder.bundle import bundled_file
from kitestring.declarative.manifest import read_text
from kitestring.server.connectors import connector_version, definitions
from kitestring.server.http.problem import Problem
from kitestring.server.store.tables import connector_versions


@dataclass(frozen=True, slots=True)
class ConnectorManifest:
    """A copy of a connector's manifest, and which connector it is of. `icon`: the text of an SVG, or empty."""

    name: str
    version: str
    icon: str
    text: str


def of_connector(db: Connection, definition_id: str) -> ConnectorManifest:
    """The manifest of a connector: ours, an installed one of Airbyte's, or a custom one.

    422 for a connector that is written in Python; `ConfigError` for one that is not installed.
    """
    definition = definitions.get(db, "source", definition_id)
    icon = definition.icon if definition.icon.startswith("<") else ""
    if definition.manifest is not None:
        published = select(connector_versions.c.manifest).where(
            connector_versions.c.definition_id == definition.id,
            connector_versions.c.version == int(definition.version),
        )
        text = db.execute(published).scalar_one_or_none() or connector_version.yaml_of(definition.manifest)
        return ConnectorManifest(definition.name, definition.version, icon, text)
    path = registry.connector("source", definition.connector, files=False).manifest
    if path is None:
        raise Problem(
            422,
            f"{definition.name} is written in Python, and the builder edits low-code manifests",
            hint="Choose a connector that is a manifest, or begin from the API's address.",
        )
    text = bundled_file(path, read_text(path)).text
    return ConnectorManifest(definition.name, definition.version, icon, text)
