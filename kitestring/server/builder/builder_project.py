"""Projects of the connector builder: a draft of a low-code source, with a configuration for its test reads.

The draft is YAML text, kept as it was written; it may be unfinished. The configuration's secrets are sealed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, and_, case, insert, select, update

from kitestring.config import Place
from kitestring.errors import ConfigError, ConnectorError
from kitestring.redact import MASK
from kitestring.server.context import Context
from kitestring.server.http.problem import Problem, missing_resource
from kitestring.server.jobs.config_updates import merge_changes
from kitestring.server.observability.audit import ACTOR
from kitestring.server.secrets import secret_box
from kitestring.server.secrets.secret_box import SecretBox, is_reference, is_sealed
from kitestring.server.store.store import new_id
from kitestring.server.store.tables import builder_projects, connector_versions, definitions

SECRETS_S = 20.0
Secrets = frozenset[Place] | None
"""The places of secrets in a configuration; None: the draft cannot be read, so that nobody knows them."""


@dataclass(frozen=True, slots=True)
class Origin:
    """The origin of a project: nothing, an address, a document, or a connector of some version."""

    kind: str = "empty"
    name: str = ""
    version: str = ""

    def body(self) -> dict[str, str]:
        return {"kind": self.kind, "name": self.name, "version": self.version}


def secrets_in(context: Context, draft: str, config: Mapping[str, Any]) -> Secrets:
    """The places of secrets in a configuration, by the spec of a draft.

    The draft is read in a child process: anybody may have written it.
    """
    if not config:
        return frozenset()
    try:
        places = context.runner.run("manifest_secrets", {"manifest": draft, "config": config}, limit_s=SECRETS_S)
    except (ConfigError, ConnectorError):
        return None
    return frozenset(map(tuple, places))


def opened_config(context: Context, row: Any, config: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The stored configuration with its secrets open, or `config` with those in place of its masks. Never shown."""
    opened = context.secret_box.open_config(row.config, row.id)
    return opened if config is None else secret_box.restore_masked(config, opened)


def sealed_texts(context: Context, row: Any) -> list[str]:
    """The sealed texts of the stored configuration, opened: to be masked, never shown."""
    texts: list[str] = []

    def note(leaf: Any) -> Any:
        if is_sealed(leaf):
            texts.append(str(context.secret_box.open(leaf, row.id)))
        return leaf

    secret_box.each_leaf(row.config, note)
    return texts


def create(
    context: Context,
    db: Connection,
    *,
    workspace_id: str,
    name: str,
    draft: str,
    origin: Origin,
    icon: str = "",
    config: Mapping[str, Any] | None = None,
    secrets: Secrets = frozenset(),
    definition_id: str | None = None,
) -> str:
    """A new project; its id. `secrets` as `secrets_in` finds them in `config`."""
    project_id, now = new_id(), context.store.now_ms(db)
    db.execute(
        insert(builder_projects).values(
            id=project_id,
            workspace_id=workspace_id,
            name=name,
            icon=icon,
            draft=draft,
            config=sealed_config(context.secret_box, config or {}, {}, secrets, project_id),
            origin=origin.body(),
            definition_id=definition_id,
            revision=1,
            created_by=ACTOR.get(),
            updated_by=ACTOR.get(),
            created_at_ms=now,
            updated_at_ms=now,
        )
    )
    return project_id


def get(db: Connection, project_id: str) -> Any:
    """A project, with `published_version` and `changed`. 404 without one, or when it was deleted."""
    row = db.execute(query().where(builder_projects.c.id == project_id)).one_or_none()
    if row is None:
        raise missing_resource("builder project", project_id)
    return row


def find_all(db: Connection, workspace_id: str) -> list[Any]:
    """The projects of a workspace, without their drafts, the one that was changed last first."""
    c = builder_projects.c
    projects = query(with_draft=False).where(c.workspace_id == workspace_id).order_by(c.updated_at_ms.desc(), c.id)
    return list(db.execute(projects))


def of_definition(db: Connection, definition_id: str) -> Any | None:
    """The project that a connector was published from, or None."""
    return db.execute(query().where(builder_projects.c.definition_id == definition_id)).first()


def query(*, with_draft: bool = True) -> Select[Any]:
    """Projects that were not deleted. `published_version` is null while there is none; `changed`: since that."""
    own, version = builder_projects.c, connector_versions.c
    alive = and_(definitions.c.id == own.definition_id, definitions.c.deleted_at_ms.is_(None))
    current = and_(version.definition_id == definitions.c.id, version.version == definitions.c.version)
    columns = [column for column in own if with_draft or column is not own.draft]
    return (
        select(
            *columns,
            version.version.label("published_version"),
            case((version.manifest.is_(None), True), else_=version.manifest != own.draft).label("changed"),
        )
        .select_from(builder_projects.outerjoin(definitions, alive).outerjoin(connector_versions, current))
        .where(own.deleted_at_ms.is_(None))
    )


def change(
    context: Context,
    db: Connection,
    project_id: str,
    revision: int,
    *,
    name: str | None = None,
    icon: str | None = None,
    draft: str | None = None,
    config: Mapping[str, Any] | None = None,
    secrets: Secrets = frozenset(),
) -> None:
    """Change a project. 409 where it is no longer at `revision`: somebody else has changed it.

    `secrets` as `secrets_in` finds them in the configuration (`opened_config`) by the draft, both as they are after the
    change. A masked secret of `config` keeps its stored value.
    """
    row = require_revision(db, project_id, revision)
    values: dict[str, Any] = {}
    for column, value in (("name", name), ("icon", icon), ("draft", draft)):
        if value is not None and value != getattr(row, column):
            values[column] = value
    if config is not None or ("draft" in values and row.config):
        plain = opened_config(context, row, config)
        values["config"] = sealed_config(context.secret_box, plain, row.config, secrets, project_id)
    store(context, db, row, values)


def renew_config(
    context: Context, db: Connection, project_id: str, before: Mapping[str, Any], config: Mapping[str, Any]
) -> None:
    """Save what a vendor has renewed in the test configuration, opened as `before` and `config`; all of it is sealed.
    The revision stays: nobody's text changes."""
    own = builder_projects.c.id == project_id
    stored = db.execute(select(builder_projects.c.config).where(own).with_for_update()).scalar_one_or_none()
    if stored is None:
        return
    merged = merge_changes(stored, before, config)
    sealed = sealed_config(context.secret_box, merged, stored, None, project_id)
    db.execute(update(builder_projects).where(own).values(config=sealed))


def require_revision(db: Connection, project_id: str, revision: int) -> Any:
    """The project, locked until the transaction ends; 409 where it is at another revision."""
    locked = select(builder_projects.c.id).where(builder_projects.c.id == project_id).with_for_update()
    db.execute(locked)
    row = get(db, project_id)
    require_same_revision(row, revision)
    return row


def require_same_revision(row: Any, revision: int) -> None:
    """409 where a project is at another revision than a change was made on."""
    if row.revision != revision:
        author = f" by {row.updated_by}" if row.updated_by else ""
        raise Problem(
            409,
            f"the project {row.name} is at revision {row.revision}, changed{author}, and this change was made on "
            f"revision {revision}",
            hint="Load the project again, and repeat the change there.",
            revision=row.revision,
            updatedBy=row.updated_by,
        )


def store(context: Context, db: Connection, row: Any, values: Mapping[str, Any]) -> None:
    """Write columns of a project that `require_revision` returned; its revision grows."""
    db.execute(
        update(builder_projects)
        .where(builder_projects.c.id == row.id)
        .values(**values, revision=row.revision + 1, updated_by=ACTOR.get(), updated_at_ms=context.store.now_ms(db))
    )


def delete(context: Context, db: Connection, project_id: str) -> None:
    """Delete a project. What was published from it stays."""
    get(db, project_id)
    now = context.store.now_ms(db)
    db.execute(
        update(builder_projects)
        .where(builder_projects.c.id == project_id)
        .values(deleted_at_ms=now, updated_at_ms=now, config={})
    )


def masked_config(row: Any) -> dict[str, Any]:
    """The configuration for an answer. What is sealed is a secret, whatever the form says now."""
    return dict(secret_box.each_leaf(row.config, lambda leaf: MASK if is_sealed(leaf) else leaf))


def sealed_config(
    box: SecretBox, config: Mapping[str, Any], stored: Mapping[str, Any], secrets: Secrets, owner: str
) -> dict[str, Any]:
    """A configuration with its secrets sealed. What was a secret in `stored` stays one, whatever the draft says now.

    Where the places of secrets are not known, each new text and number counts as one. `ConfigError` for a mask without
    an earlier secret.
    """

    def sealed(node: Any, before: Any, at: Place) -> Any:
        if isinstance(node, Mapping):
            below = before if isinstance(before, Mapping) else {}
            return {key: sealed(value, below.get(key), (*at, key)) for key, value in node.items()}
        if isinstance(node, list):
            rest = before if isinstance(before, list) else []
            return [sealed(value, rest[n] if n < len(rest) else None, (*at, n)) for n, value in enumerate(node)]
        if node is None or isinstance(node, bool) or node == "" or is_reference(node):
            return node
        if is_sealed(node):
            box.open(node, owner)
            return node
        if node == MASK:
            raise ConfigError(
                f"{'.'.join(map(str, at))} is masked, and no earlier secret is stored that the mask could represent",
                hint="Enter the secret.",
            )
        secret = node != before if secrets is None else at in secrets or is_sealed(before)
        return box.seal(node, owner) if secret else node

    return dict(sealed(box.keep_sealed(config, stored, owner), stored, ()))
