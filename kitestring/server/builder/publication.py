"""Publication of a builder project: a version of a connector, and the sources that are upgraded to it.

A version, the connector that shows it, the sources that run it and the connections that it pauses change in one
transaction, so that a process that is killed leaves all of it or nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from sqlalchemy import Connection, insert, select, update

from kitestring.server.builder import builder_project, component_approval
from kitestring.server.connections import version_upgrade
from kitestring.server.connections.version_upgrade import Comparison
from kitestring.server.connectors import connector_version
from kitestring.server.connectors.definitions import of_row
from kitestring.server.context import Context
from kitestring.server.http.problem import Problem
from kitestring.server.observability import audit
from kitestring.server.store.store import new_id
from kitestring.server.store.tables import builder_projects, definitions

Upgrade = Literal["none", "all"] | Collection[str]
"""The sources to upgrade: none, all, or those of these ids."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The effect of publishing a project. `comparison`: with each version that a source runs, and with the current."""

    project: Any
    definition: Any
    comparison: Comparison
    sources: Sequence[Any] = ()
    newest: int = 0
    """The highest version that there is."""

    @property
    def changes(self) -> list[dict[str, Any]]:
        """From the current version."""
        return self.comparison.changes(self.definition.version) if self.definition is not None else []

    @property
    def next_version(self) -> int:
        return self.newest + 1

    def problem(self, context: Context, source: Any) -> str:
        """Why a source would not work with its configuration; empty where it would."""
        if self.comparison.values is None:
            return ""
        definition = replace(of_row(self.definition), manifest=self.comparison.values)
        return version_upgrade.config_problem(context, definition, source)


def plan(context: Context, project_id: str, revision: int) -> Plan:
    """The effect of publishing now. 409 if the project is at another revision. Changes nothing."""
    with context.store.read() as db:
        project = builder_project.get(db, project_id)
        builder_project.require_same_revision(project, revision)
        definition = definition_of(db, project)
        sources: Sequence[Any] = ()
        texts: dict[int, str] = {}
        newest = 0
        if definition is not None:
            sources = version_upgrade.sources_of(db, definition)
            versions = {definition.version, *(source.runs for source in sources)}
            texts = {version: connector_version.get(db, definition.id, version).manifest for version in versions}
            newest = connector_version.newest(db, definition.id)
    return Plan(project, definition, version_upgrade.compare(context, project.draft, texts), sources, newest)


def publish(
    context: Context,
    project_id: str,
    revision: int,
    note: str,
    upgrade: Upgrade,
    *,
    trusted: bool,
) -> tuple[str, int]:
    """Publish a project; the connector's id and the version.

    409 where the project is at another revision, 422 where its manifest cannot run, has Python components that are
    not approved, or is the one that is published. `trusted`: an instance's admin asks for it.
    """
    planned = plan(context, project_id, revision)
    values = planned.comparison.required_values()
    component_approval.require(context.settings, context.store, values)
    with context.store.write() as db:
        project = builder_project.require_revision(db, project_id, revision)
        definition = definition_of(db, project, lock=True)
        if (definition and definition.version) != (planned.definition and planned.definition.version):
            raise Problem(
                409,
                f"version {definition.version if definition else 0} of {project.name} was published meanwhile",
                hint="Look at what would change now, and publish again.",
            )
        if definition is None:
            definition_id, version = first_version(context, db, project, values, note), 1
        else:
            definition_id = definition.id
            version = next_version(context, db, project, planned, values, note)
            upgrade_sources(context, db, planned, version, upgrade, trusted=trusted)
        db.execute(
            update(builder_projects).where(builder_projects.c.id == project.id).values(definition_id=definition_id)
        )
        audit.note(
            db,
            context.store,
            actor=audit.ACTOR.get() or "Kitestring",
            action="publish",
            kind="builder_project",
            resource_id=project.id,
            workspace_id=project.workspace_id,
            changes={
                "version": [definition.version if definition is not None else None, version],
                "note": [None, audit.audit_value(note)],
            },
        )
    return definition_id, version


def definition_of(db: Connection, project: Any, *, lock: bool = False) -> Any | None:
    """The connector that a project was published as; None before that, and when it was deleted."""
    query = select(definitions).where(definitions.c.id == project.definition_id, definitions.c.deleted_at_ms.is_(None))
    return db.execute(query.with_for_update() if lock else query).one_or_none()


def first_version(context: Context, db: Connection, project: Any, values: Mapping[str, Any], note: str) -> str:
    """A new connector in the project's workspace; its id."""
    definition_id = new_id()
    db.execute(
        insert(definitions).values(
            id=definition_id,
            workspace_id=project.workspace_id,
            kind="source",
            name=project.name,
            icon=project.icon,
            manifest=values,
            version=1,
            created_at_ms=context.store.now_ms(db),
        )
    )
    connector_version.add(context, db, definition_id, project.draft, note=note, version=1)
    return definition_id


def next_version(
    context: Context, db: Connection, project: Any, planned: Plan, values: Mapping[str, Any], note: str
) -> int:
    """A new version of the project's connector, the current one from now on. Sources stay at the one that they run.

    With another name or icon only, the connector gets these and stays at its version.
    """
    definition = planned.definition
    look = {"name": project.name, "icon": project.icon}
    if not project.changed:
        if (definition.name, definition.icon) == (project.name, project.icon):
            raise Problem(
                422,
                f"the manifest of {project.name} is that of version {definition.version}: there is nothing to publish",
                hint="Change the manifest first.",
            )
        db.execute(update(definitions).where(definitions.c.id == definition.id).values(**look))
        return int(definition.version)
    breaking = any(change["breaking"] for change in planned.changes)
    version = connector_version.add(context, db, definition.id, project.draft, note=note, breaking=breaking)
    version_upgrade.pin_followers(db, definition)
    db.execute(
        update(definitions).where(definitions.c.id == definition.id).values(**look, manifest=values, version=version)
    )
    return version


def upgrade_sources(
    context: Context, db: Connection, planned: Plan, version: int, upgrade: Upgrade, *, trusted: bool
) -> None:
    """Have sources run the new version. 422 for one that is not of this connector."""
    if upgrade == "none":
        return
    own = {source.id: source for source in version_upgrade.sources_of(db, planned.definition)}
    chosen = list(own) if upgrade == "all" else list(dict.fromkeys(upgrade))
    for source_id in chosen:
        if source_id not in own:
            raise Problem(
                422,
                f"the source {source_id} is not one of {planned.project.name}",
                hint="Choose among the sources that the plan shows.",
            )
        version_upgrade.apply(context, db, own[source_id], version, planned.comparison, trusted=trusted)
