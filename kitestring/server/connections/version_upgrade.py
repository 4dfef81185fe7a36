"""Upgrades of sources to another version of their custom connector, and back.

A child process compares the versions, because anybody may have written the manifests. A change that breaks pauses the
connections that it concerns, with the reason, so that nobody mistakes the new records for the old ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, null, select, update

from kitestring.errors import ConfigError
from kitestring.server.connections import connection, endpoints
from kitestring.server.connectors import connector_version, definitions
from kitestring.server.connectors.definitions import Definition
from kitestring.server.context import Context
from kitestring.server.http.problem import Problem
from kitestring.server.jobs.job_end import pause
from kitestring.server.store.tables import connections, discoveries, sources
from kitestring.server.store.tables import definitions as table_of_definitions

COMPARE_S = 60.0
MOST_REASONS = 3
PYTHON_HINT = "Replace the custom components by keywords, or have an admin of the server install the connector."


@dataclass(frozen=True, slots=True)
class Comparison:
    """A manifest, and what changes for those who run other versions.

    `values` are those of the manifest, None where it has defects; `by_version` has the changes from each version.
    """

    defects: Sequence[Mapping[str, Any]]
    python: Sequence[str]
    values: Mapping[str, Any] | None
    by_version: Mapping[int, Sequence[dict[str, Any]]]

    def changes(self, version: int) -> list[dict[str, Any]]:
        """The changes from a version; empty where there are defects."""
        return list(self.by_version.get(version, ()))

    def breaks(self, version: int) -> bool:
        return any(change["breaking"] for change in self.changes(version))

    def required_values(self) -> Mapping[str, Any]:
        """The values of a manifest that can run. 422 where it has defects, or code of its own."""
        if self.python:
            raise Problem(
                422,
                f"the manifest names the Python class {self.python[0]}, and a manifest given over the API runs no code",
                hint=PYTHON_HINT,
            )
        if self.defects or self.values is None:
            defect: Mapping[str, Any] = self.defects[0] if self.defects else {"message": "it is too large"}
            more = f", and {len(self.defects) - 1} more" if len(self.defects) > 1 else ""
            place = f" in line {defect['line']}" if defect.get("line") else ""
            raise Problem(
                422,
                f"the manifest cannot run{place}: {defect['message']}{more}",
                hint=str(defect.get("hint") or "Correct it and publish again."),
                defects=[dict(defect) for defect in self.defects],
            )
        return self.values


def compare(context: Context, text: str, versions: Mapping[int, str]) -> Comparison:
    """Compare a manifest with the texts of versions."""
    request = {"manifest": text, "versions": {str(version): before for version, before in versions.items()}}
    answer = context.runner.run("manifest_compare", request, limit_s=COMPARE_S)
    for defect in answer["defects"]:
        if "needs the Python class" in defect["message"]:
            defect["hint"] = PYTHON_HINT
    by_version = {int(version): changes for version, changes in answer["changes"].items()}
    return Comparison(answer["defects"], answer["python"], answer["values"], by_version)


def sources_of(db: Connection, definition: Any) -> list[Any]:
    """The sources of a connector by name; `runs` is the version that each runs, `links` how many connections it has."""
    used = (
        select(func.count())
        .where(connections.c.source_id == sources.c.id, connections.c.deleted_at_ms.is_(None))
        .scalar_subquery()
    )
    runs = connector_version.runs(definition.version).label("runs")
    query = select(*sources.c, runs, used.label("links")).order_by(func.lower(sources.c.name), sources.c.id)
    own = query.where(sources.c.definition_id == definition.id, sources.c.deleted_at_ms.is_(None))
    return list(db.execute(own))


def pin_followers(db: Connection, definition: Any) -> None:
    """Before a new version: sources that follow the current one keep it."""
    own = sources.c
    followers = (own.definition_id == definition.id) & own.connector_version.is_(None)
    db.execute(update(sources).where(followers).values(connector_version=definition.version))


def config_problem(context: Context, definition: Definition, source: Any) -> str:
    """Why the configuration of a source is none of a definition's; empty where it is."""
    config = context.secret_box.open_config(source.config, source.id)
    try:
        endpoints.check_config(context, definition, config, source.workspace_id, source.trusted)
    except ConfigError as error:
        return error.message
    return ""


def concerned(
    db: Connection, source: Any, changes: Sequence[Mapping[str, Any]], problem: str = ""
) -> dict[str, list[str]]:
    """By the id of each connection of a source, the sentences that break it; empty for one that goes on."""
    query = select(connections).where(connections.c.source_id == source.id, connections.c.deleted_at_ms.is_(None))
    breaking = [change for change in changes if change["breaking"]]
    by_connection: dict[str, list[str]] = {}
    for row in db.execute(query.order_by(connections.c.name, connections.c.id)):
        streams = {stream["name"] for stream in row.streams}
        reasons = [problem] if problem else []
        reasons += [change["sentence"] for change in breaking if change["stream"] in (None, *streams)]
        by_connection[row.id] = reasons
    return by_connection


def apply(
    context: Context, db: Connection, source: Any, version: int, comparison: Comparison, *, trusted: bool
) -> list[str]:
    """Have a source (of `sources_of`) run a version; the ids of the connections that are paused."""
    if source.runs == version:
        return []
    now = context.store.now_ms(db)
    values: dict[str, Any] = {"connector_version": version, "last_check": null(), "updated_at_ms": now}
    if not trusted:
        values["trusted"] = False  # see endpoints.connector_changed: the code that runs is another user's
    db.execute(update(sources).where(sources.c.id == source.id).values(**values))
    db.execute(discoveries.delete().where(discoveries.c.source_id == source.id))
    return pause_broken(context, db, source, version, comparison)


def pause_broken(context: Context, db: Connection, source: Any, version: int, comparison: Comparison) -> list[str]:
    """Pause the connections of a source (of `sources_of`) that another version breaks; their ids."""
    now = context.store.now_ms(db)
    definition = definitions.get(db, "source", source.definition_id, version=version)
    problem = config_problem(context, definition, source)
    paused: list[str] = []
    for connection_id, reasons in concerned(db, source, comparison.changes(source.runs), problem).items():
        row = connection.get(db, connection_id)
        if not reasons or row.status != "active":
            continue
        more = f" And {len(reasons) - MOST_REASONS} more." if len(reasons) > MOST_REASONS else ""
        sentences = " ".join(reason if reason.endswith(".") else f"{reason}." for reason in reasons[:MOST_REASONS])
        reason = (
            f"version {version} of the connector of {source.name} breaks what version {source.runs} did. {sentences}"
            f"{more} "
            "Look at the source and its streams, then activate the connection again"
        )
        pause(db, row, reason, now, by_hand=True)
        paused.append(connection_id)
    return paused


@dataclass(frozen=True, slots=True)
class Replacement:
    """A version that all sources of a connector are about to run at once, as Airbyte's API has it."""

    comparison: Comparison
    versions: frozenset[int]
    """The versions that the sources ran when it was compared."""


def compare_with_sources(context: Context, definition_id: str, text: str) -> Replacement:
    """Compare a manifest with the versions that the sources of a connector run. Changes nothing."""
    with context.store.read() as db:
        versions = versions_of(db, definition_id)
        texts = connector_version.texts(db, definition_id, versions)
    return Replacement(compare(context, text, texts) if texts else Comparison((), (), None, {}), versions)


def versions_of(db: Connection, definition_id: str) -> frozenset[int]:
    """The versions that the sources of a connector run."""
    row = db.execute(select(table_of_definitions).where(table_of_definitions.c.id == definition_id)).one()
    return frozenset(source.runs for source in sources_of(db, row))


def replace(
    context: Context, db: Connection, definition: Any, replacement: Replacement, run: Callable[[], int], trusted: bool
) -> list[str]:
    """Have all sources of a connector run what `run` makes current; the ids of the connections that are paused. 409
    where a source runs another version than when the replacement was compared."""
    own = sources_of(db, definition)
    if {source.runs for source in own} != replacement.versions:
        raise Problem(
            409,
            f"the sources of {definition.name} were given another version meanwhile",
            hint="Send the manifest once more.",
        )
    version = run()
    endpoints.connector_changed(db, definition.id, trusted)
    return [
        paused
        for source in own
        if source.runs != version
        for paused in pause_broken(context, db, source, version, replacement.comparison)
    ]


def plan(context: Context, source_id: str, version: int) -> tuple[Any, Comparison, dict[str, list[str]], str]:
    """The effect of another version on a source: the source, the comparison, the changes that break each connection,
    and why its configuration does not fit. 422 for a source whose connector has no versions."""
    with context.store.read() as db:
        source = of_source(db, source_id)
        target = connector_version.get(db, source.definition_id, version)
        before = connector_version.get(db, source.definition_id, source.runs)
    comparison = compare(context, target.manifest, {source.runs: before.manifest})
    with context.store.read() as db:
        definition = definitions.get(db, "source", source.definition_id, version=version)
        problem = config_problem(context, definition, source)
        return source, comparison, concerned(db, source, comparison.changes(source.runs), problem), problem


def change(context: Context, source_id: str, version: int, *, trusted: bool) -> list[str]:
    """Have a source run another version; the ids of the connections that are paused. 409 where it runs another one than
    when the change was compared."""
    planned, comparison, _, _ = plan(context, source_id, version)
    with context.store.write() as db:
        source = of_source(db, source_id)
        if source.runs != planned.runs:
            raise Problem(
                409,
                f"{source.name} runs version {source.runs} now, and the change was compared with {planned.runs}",
                hint="Look at what would change now.",
            )
        return apply(context, db, source, version, comparison, trusted=trusted)


def of_source(db: Connection, source_id: str) -> Any:
    """A source as `sources_of` has it. 422 for one whose connector has no versions."""
    row = endpoints.get(db, "source", source_id)
    definition = endpoints.definition_of(db, "source", row)
    if definition.manifest is None:
        raise Problem(
            422,
            f"the connector of {row.name} is {definition.name}, which has no versions to choose from",
            hint="Only connectors of the builder have them.",
        )
    current = definitions.get(db, "source", row.definition_id)
    versioned = select(*sources.c, connector_version.runs(int(current.version)).label("runs"))
    return db.execute(versioned.where(sources.c.id == source_id)).one()
