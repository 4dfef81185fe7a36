"""Sources and destinations: a connector with a configuration, whose secrets are sealed in the store.

Airbyte's word for either is actor. Every function takes the kind, and the caller's transaction.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table, func, insert, null, select, update

from kitestring.errors import ConfigError
from kitestring.server.builder import component_approval
from kitestring.server.connectors import check_results, definitions, draft_credentials
from kitestring.server.connectors.confinement import Confinement, is_relative
from kitestring.server.connectors.definitions import Definition, Kind
from kitestring.server.context import Context
from kitestring.server.http.problem import Problem, missing_resource
from kitestring.server.http.version_match import require_match, version_of
from kitestring.server.jobs.connection_plan import Endpoint
from kitestring.server.observability.audit import ACTOR
from kitestring.server.secrets import secret_box
from kitestring.server.store.store import new_id
from kitestring.server.store.tables import destinations, discoveries, sources

TABLES: dict[Kind, Table] = {"source": sources, "destination": destinations}


def get(db: Connection, kind: Kind, actor_id: str, *, deleted: bool = False) -> Any:
    """The row of a source or a destination. 404 without one, or when it was deleted and `deleted` is not set."""
    table = TABLES[kind]
    row = db.execute(select(table).where(table.c.id == actor_id)).one_or_none()
    if row is None or (row.deleted_at_ms is not None and not deleted):
        raise missing_resource(kind, actor_id)
    return row


def find_all(
    db: Connection,
    kind: Kind,
    *,
    workspace_ids: Sequence[str] | None = None,
    deleted: bool = False,
    limit: int | None = None,
    offset: int = 0,
) -> list[Any]:
    """Rows, oldest first; `workspace_ids` None are all there are."""
    table = TABLES[kind]
    query = select(table).order_by(table.c.created_at_ms, table.c.id).limit(limit).offset(offset)
    if workspace_ids is not None:
        query = query.where(table.c.workspace_id.in_(workspace_ids))
    if not deleted:
        query = query.where(table.c.deleted_at_ms.is_(None))
    return list(db.execute(query))


def definition_counts(db: Connection, kind: Kind, workspace_id: str) -> dict[str, int]:
    """How many sources or destinations of a workspace each connector has, by the id of its definition."""
    table = TABLES[kind]
    query = select(table.c.definition_id, func.count()).group_by(table.c.definition_id)
    query = query.where(table.c.workspace_id == workspace_id, table.c.deleted_at_ms.is_(None))
    return {str(key): int(count) for key, count in db.execute(query)}


def create(
    context: Context,
    db: Connection,
    kind: Kind,
    *,
    workspace_id: str,
    name: str,
    definition: Definition,
    config: Mapping[str, Any],
    trusted: bool,
    origin: str = "",
) -> str:
    """A new source or destination; its id. `ConfigError` names every wrong option.

    `trusted`: an instance's admin asks for it, so that it may use the machine (see `confinement.py`).
    """
    actor_id, now = new_id(), context.store.now_ms(db)
    plain = without_type(kind, config)
    last_check = check_results.of_draft(context, db, kind, workspace_id, definition, plain)
    plain = draft_credentials.apply_renewals(context, db, workspace_id, plain, definitions.spec_of(definition))
    check_config(context, definition, plain, workspace_id, trusted)
    db.execute(
        insert(TABLES[kind]).values(
            id=actor_id,
            workspace_id=workspace_id,
            name=name,
            definition_id=definition.id,
            connector=definition.connector,
            config=context.secret_box.seal_config(plain, definitions.spec_of(definition), actor_id),
            trusted=trusted,
            origin=origin,
            last_check=last_check,
            created_by=ACTOR.get(),
            created_at_ms=now,
            updated_at_ms=now,
            **pinned(kind, definition),
        )
    )
    return actor_id


def change(
    context: Context,
    db: Connection,
    kind: Kind,
    actor_id: str,
    *,
    trusted: bool,
    name: str | None = None,
    config: Mapping[str, Any] | None = None,
    merge: bool = False,
    definition: Definition | None = None,
) -> None:
    """Change the name, the configuration or the connector. A masked secret keeps its stored value.

    `merge` lays the configuration over the old one, object by object (a PATCH); otherwise it takes its place (a PUT).
    `trusted`: an instance's admin asks for it. What an admin wrote and another changes is the other's afterwards.
    """
    row = get(db, kind, actor_id)
    values: dict[str, Any] = {"updated_at_ms": context.store.now_ms(db)}
    if name is not None:
        values["name"] = name
    if config is not None or definition is not None:
        definition = definition or definition_of(db, kind, row)
        before = context.secret_box.open_config(row.config, actor_id)
        after = secret_box.restore_masked(without_type(kind, config or before), before)
        plain = merged(before, after) if merge else after
        if plain != before or definition.id != row.definition_id:
            values["last_check"] = check_results.of_draft(context, db, kind, row.workspace_id, definition, plain)
        plain = draft_credentials.apply_renewals(context, db, row.workspace_id, plain, definitions.spec_of(definition))
        trusted = trust(context, row, definition, before, plain, trusted)
        check_config(context, definition, plain, row.workspace_id, trusted)
        sealed = context.secret_box.seal_config(plain, definitions.spec_of(definition), actor_id)
        values |= {
            "trusted": trusted,
            "config": context.secret_box.keep_sealed(sealed, row.config, actor_id),
            "definition_id": definition.id,
            "connector": definition.connector,
            "credential_ends": None,
            **pinned(kind, definition),
        }
        if kind == "source":
            db.execute(discoveries.delete().where(discoveries.c.source_id == actor_id))
    table = TABLES[kind]
    db.execute(update(table).where(table.c.id == actor_id).values(**values))


def delete(context: Context, db: Connection, kind: Kind, actor_id: str) -> None:
    """Delete a source or destination that no connection uses: see `connections.delete_end`."""
    get(db, kind, actor_id)
    table, now = TABLES[kind], context.store.now_ms(db)
    db.execute(update(table).where(table.c.id == actor_id).values(deleted_at_ms=now, updated_at_ms=now))


def definition_of(db: Connection, kind: Kind, row: Any) -> Definition:
    """The definition of a row; of a custom low-code source in the version that it runs. A connector that is gone leaves
    its sources and destinations in lists and answers."""
    version = getattr(row, "connector_version", None)
    try:
        return definitions.get(db, kind, row.definition_id, deleted=row.deleted_at_ms is not None, version=version)
    except Problem:
        return definitions.gone(kind, row.definition_id, row.connector)


def pinned(kind: Kind, definition: Definition) -> dict[str, Any]:
    """The column with the version that a source runs: that of its definition, until it is upgraded."""
    version = int(definition.version) if definition.manifest is not None else None
    return {"connector_version": version} if kind == "source" else {}


def endpoint_of(context: Context, db: Connection, kind: Kind, actor_id: str, *, deleted: bool = False) -> Endpoint:
    """A source or destination as it is run: with its secrets open. Never shown. `deleted`: also one that was deleted,
    for what is left to do in it."""
    row = get(db, kind, actor_id, deleted=deleted)
    definition = definition_of(db, kind, row)
    if definition.gone:
        raise ConfigError(
            f"the {kind} {row.name} has the connector {definition.name}, which this server does not have any more",
            hint="Install the connector, or give another one in the configuration as code.",
        )
    config = context.secret_box.open_config(row.config, row.id)
    return Endpoint(definition.connector, config, row.id, definition.manifest, row.workspace_id, row.trusted)


def trust(
    context: Context,
    row: Any,
    definition: Definition,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    by_admin: bool,
) -> bool:
    """Whether a configuration is an admin's after a change.

    A relative path means the workspace's folder in one that is not, and the server's folder in one that is. So an admin
    who changes the configuration of another user takes it over only where it needs more than it may use. A user who is
    no admin cannot take over one whose relative paths stay: the data written so far would be left behind silently.
    """
    if row.trusted and after == before and definition.id == row.definition_id:
        return True
    if by_admin:
        return bool(row.trusted) or not fits(context, definition, after, row.workspace_id)
    if row.trusted and definition.id == row.definition_id:
        unchanged = sorted(relative_places(definition, before) & relative_places(definition, after))
        if unchanged:
            option, path = unchanged[0]
            raise ConfigError(
                f"{option} is {path}, which an instance_admin wrote: it is of the server's folder, and would mean the "
                "workspace's own from now on",
                hint=f"Have an instance_admin make this change, or give another {option}.",
            )
    return False


def fits(context: Context, definition: Definition, config: Mapping[str, Any], workspace_id: str) -> bool:
    """Whether anybody may write a configuration."""
    try:
        check_config(context, definition, config, workspace_id, trusted=False)
    except ConfigError:
        return False
    return True


def relative_places(definition: Definition, config: Mapping[str, Any]) -> set[tuple[str, str]]:
    """The options of a configuration that name a place by a relative path, and that path."""
    places: set[tuple[str, str]] = set()

    def collect(option: str, path: str) -> str:
        if is_relative(path.removeprefix("file://")):
            places.add((option, path))
        return path

    with contextlib.suppress(ConfigError):  # a connector that is gone, or was never one, names none
        built = definitions.build(definition, config, Confinement(trusted=True))
        built.confine(collect)
        built.close()
    return places


def connector_changed(db: Connection, definition_id: str, trusted: bool) -> None:
    """Forget what was true of a connector before somebody changed it: the tests of its sources and destinations, and
    their trust unless an instance_admin (`trusted`) changed it."""
    values: dict[str, Any] = {"last_check": null(), **({} if trusted else {"trusted": False})}
    for table in TABLES.values():
        db.execute(update(table).where(table.c.definition_id == definition_id).values(values))


def masked_config(db: Connection, kind: Kind, row: Any) -> dict[str, Any]:
    """The configuration for an answer: secrets masked; with the type by which Airbyte's clients know its class."""
    definition = definition_of(db, kind, row)
    masked = secret_box.mask_config(row.config, spec_or_none(definition))
    # Airbyte's SDK refuses a destination without its type, and a source with a type that it does not know.
    if kind == "destination" or definition.airbyte_type:
        masked = {f"{kind}Type": definition.type, **masked}
    return masked


def version(db: Connection, kind: Kind, row: Any) -> str:
    """What changes with what people changed of a source or destination. The time stands for secrets, which an answer
    does not show; a credential that its connector renewed is no change."""
    return version_of([row.name, row.definition_id, masked_config(db, kind, row), row.updated_at_ms])


def require_version(db: Connection, kind: Kind, actor_id: str, expected: str | None) -> None:
    """412 if somebody has changed it since this version was loaded. None or `*` takes any."""
    if expected is None:
        return
    table = TABLES[kind]
    row = db.execute(select(table).where(table.c.id == actor_id).with_for_update(key_share=True)).one_or_none()
    require_match(kind, None if row is None else version(db, kind, row), expected)


def spec_or_none(definition: Definition) -> dict[str, Any]:
    """The form, or an empty one while the connector is not installed: sealed secrets are masked without it too."""
    with contextlib.suppress(Exception):
        return definitions.spec_of(definition)
    return {}


def definition_in_request(
    db: Connection, kind: Kind, definition_id: str | None, config: Mapping[str, Any]
) -> Definition:
    """The definition that a create request names, by id or by the type in the configuration. 422 without either."""
    if definition_id:
        return definitions.get(db, kind, definition_id)
    type_name = config.get(f"{kind}Type")
    if not isinstance(type_name, str) or not type_name:
        raise Problem(
            422,
            f"the request names no connector: it has neither definitionId nor configuration.{kind}Type",
            hint="Give one of the two.",
        )
    return definitions.of_type(kind, type_name)


def check_config(
    context: Context, definition: Definition, config: Mapping[str, Any], workspace_id: str, trusted: bool
) -> None:
    """`ConfigError` where the connector does not take a configuration, or the one who writes it may not use what it
    asks for. Nothing is connected."""
    approved = component_approval.digests(context.settings, context.store) if definition.manifest is not None else None
    built = definitions.build(definition, config, Confinement.of(context.settings, workspace_id, trusted, approved))
    with contextlib.suppress(Exception):
        built.close()


def without_type(kind: Kind, config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration without the type that Airbyte's clients put into it."""
    return {k: v for k, v in config.items() if k != f"{kind}Type"}


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Two configurations, the second laid over the first, object by object."""
    out = dict(below)
    for key, value in above.items():
        old = out.get(key)
        out[key] = merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return out
