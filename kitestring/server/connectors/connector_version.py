"""The published versions of custom low-code sources. A version is never changed; a source runs one of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any

import yaml
from sqlalchemy import ColumnElement, Connection, func, insert, select, update

from kitestring import json_codec
from kitestring.server.context import Context
from kitestring.server.http.problem import missing_resource
from kitestring.server.observability.audit import ACTOR
from kitestring.server.store.tables import builder_projects, connector_versions, definitions, discoveries, sources


def get(db: Connection, definition_id: str, version: int) -> Any:
    """A version's row. 404 without one."""
    c = connector_versions.c
    row = db.execute(
        select(connector_versions).where(c.definition_id == definition_id, c.version == version)
    ).one_or_none()
    if row is None:
        raise missing_resource("connector version", version)
    return row


def find_all(db: Connection, definition_id: str) -> list[Any]:
    """The versions of a connector without their manifests, the newest first."""
    c = connector_versions.c
    columns = [column for column in c if column is not c.manifest]
    return list(db.execute(select(*columns).where(c.definition_id == definition_id).order_by(c.version.desc())))


def texts(db: Connection, definition_id: str, versions: Collection[int]) -> dict[int, str]:
    """The manifests of versions, of those that are kept."""
    c = connector_versions.c
    query = select(c.version, c.manifest).where(c.definition_id == definition_id, c.version.in_(versions))
    return {row.version: row.manifest for row in db.execute(query)}


def newest(db: Connection, definition_id: str) -> int:
    """The highest version of a connector."""
    c = connector_versions.c
    highest = db.execute(select(func.max(c.version)).where(c.definition_id == definition_id)).scalar()
    current = db.execute(select(definitions.c.version).where(definitions.c.id == definition_id)).scalar()
    return max(highest or 0, current or 0)


def runs(current: int) -> ColumnElement[int]:
    """The version that a row of `sources` runs: its own, or the connector's current one."""
    return func.coalesce(sources.c.connector_version, current)


def source_counts(db: Connection, definition_id: str, current: int) -> dict[int, int]:
    """How many sources run each version."""
    c = sources.c
    query = select(runs(current), func.count()).group_by(c.connector_version)
    counts: dict[int, int] = {}
    for version, count in db.execute(query.where(c.definition_id == definition_id, c.deleted_at_ms.is_(None))):
        counts[version] = counts.get(version, 0) + count
    return counts


def add(
    context: Context,
    db: Connection,
    definition_id: str,
    text: str,
    *,
    note: str = "",
    breaking: bool = False,
    version: int | None = None,
) -> int:
    """Keep a new version; its number: the one behind the highest."""
    version = version or newest(db, definition_id) + 1
    db.execute(
        insert(connector_versions).values(
            definition_id=definition_id,
            version=version,
            manifest=text,
            note=note,
            breaking=breaking,
            created_by=ACTOR.get(),
            created_at_ms=context.store.now_ms(db),
        )
    )
    return version


def replace_current(
    context: Context, db: Connection, definition_id: str, manifest: Mapping[str, Any], *, note: str = ""
) -> int:
    """A new version by those who give a manifest as values (Airbyte's API, a project file): all sources run it at once,
    as these know no others. A builder project that had nothing unpublished shows it."""
    own = builder_projects.c
    # The project first, as a publication has it: two that lock in another order would wait for each other.
    db.execute(select(own.id).where(own.definition_id == definition_id).with_for_update())
    row = db.execute(select(definitions).where(definitions.c.id == definition_id).with_for_update()).one()
    before = db.execute(
        select(connector_versions.c.manifest).where(
            connector_versions.c.definition_id == definition_id, connector_versions.c.version == row.version
        )
    ).scalar_one_or_none()
    text = yaml_of(manifest)
    version = add(context, db, definition_id, text, note=note)
    db.execute(update(definitions).where(definitions.c.id == row.id).values(manifest=manifest, version=version))
    unchanged = (own.definition_id == definition_id) & own.deleted_at_ms.is_(None) & (own.draft == before)
    db.execute(
        update(builder_projects)
        .where(unchanged)
        .values(draft=text, revision=own.revision + 1, updated_by=ACTOR.get(), updated_at_ms=context.store.now_ms(db))
    )
    run_version(db, definition_id, version)
    return version


def run_version(db: Connection, definition_id: str, version: int) -> None:
    """Have all sources of a connector run a version."""
    own = sources.c
    rest = (own.definition_id == definition_id) & own.connector_version.is_not(None)
    db.execute(update(sources).where(rest, own.connector_version != version).values(connector_version=version))
    ids = select(own.id).where(own.definition_id == definition_id)
    db.execute(discoveries.delete().where(discoveries.c.source_id.in_(ids)))


def yaml_of(manifest: Any) -> str:
    """A manifest that was given as values, as YAML: keys in their order."""
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    text: str = yaml.dump(manifest, Dumper=dumper, sort_keys=False, allow_unicode=True, width=120)
    return text


def values_of(text: str) -> Mapping[str, Any]:
    """The values of a version's manifest."""
    values: Mapping[str, Any] = json_codec.loads(_json_of(text))
    return values


@lru_cache(maxsize=32)
def _json_of(text: str) -> str:
    from kitestring.declarative.manifest import json_values

    return json_codec.dumps_text(json_values(text))
