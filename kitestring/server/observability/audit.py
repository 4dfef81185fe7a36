"""The audit log: each change with its actor, written in the transaction of the change.

Whatever a request (or a command) inserts, updates or deletes in a table of `WATCHED` leaves a row in `audit`, with the
fields before and after. No handler has to think of it, and no change is kept without its entry, or an entry without
its change. Secrets are compared and never written; what the scheduler and the workers do on their own is in the jobs.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from typing import Any

from sqlalchemy import Connection, Delete, Insert, Table, Update, event, select

from kitestring.errors import ConfigError
from kitestring.redact import MASK
from kitestring.server.secrets.secret_box import SecretBox, is_sealed
from kitestring.server.store import Store, tables

ACTOR: ContextVar[str] = ContextVar("kitestring_actor", default="")
"""The actor: set by the authentication middleware for a request, and by `acting` for a command. Empty: no log."""

WATCHED: Mapping[str, str] = {
    "organizations": "organization",
    "workspaces": "workspace",
    "users": "user",
    "applications": "application",
    "permissions": "permission",
    "definitions": "definition",
    "builder_projects": "builder_project",
    "sources": "source",
    "destinations": "destination",
    "connections": "connection",
    "connection_tags": "connection_tag",
    "tags": "tag",
    "states": "state",
    "jobs": "job",
    "oauth_credentials": "oauth_credentials",
    "settings": "setting",
}
HIDDEN = frozenset({"password_hash", "secret_hash", "subject", "state", "draft"})
"""Columns of which only that they changed is noted."""
ADDRESSES = frozenset({"url", "urls"})
"""Of a workspace's notifications: who knows the address of a webhook can write to it."""
WHOLE = frozenset({"schedule"})
"""Columns that are noted whole: a part of them says nothing."""
LEFT_OUT = frozenset(
    {
        *("updated_at_ms", "created_at_ms", "next_run_at_ms", "epoch", "lease_until_ms", "worker", "last_check"),
        *("revision", "updated_by"),
    }
)
EMPTY: tuple[Any, ...] = (None, {}, [])
EDIT_MS = 600_000
"""Drafts of the connector builder that one actor saves within so many milliseconds are one entry."""
LONGEST = 2000
MOST_ROWS = 1000


@contextlib.contextmanager
def acting(name: str) -> Iterator[None]:
    """Set the actor of the changes made within, for commands that work on the store."""
    token = ACTOR.set(name)
    try:
        yield
    finally:
        ACTOR.reset(token)


def listen(store: Store, secret_box: SecretBox) -> None:
    """Log the changes of a store."""
    watcher = Watcher(store, secret_box)
    event.listen(store.engine, "before_execute", watcher.before)
    event.listen(store.engine, "after_execute", watcher.after)


def note(
    db: Connection,
    store: Store,
    *,
    actor: str,
    action: str,
    kind: str,
    resource_id: str,
    workspace_id: str | None = None,
    changes: Mapping[str, Any] | None = None,
) -> None:
    """An entry for what changes no watched table: a login, a decision."""
    db.execute(
        tables.audit.insert().values(
            at_ms=store.now_ms(db),
            actor=actor,
            action=action,
            kind=kind,
            resource_id=resource_id,
            workspace_id=workspace_id,
            changes=dict(changes or {}),
        )
    )


class Watcher:
    """Looks at rows before and after a statement."""

    def __init__(self, store: Store, secret_box: SecretBox) -> None:
        self.store = store
        self.secret_box = secret_box

    def before(self, db: Connection, statement: Any, parameter_sets: Any, parameters: Any, options: Any) -> None:
        """Keep what an update or a delete is about to change."""
        table = watched_table(statement)
        if table is None or isinstance(statement, Insert):
            return
        query = select(table).limit(MOST_ROWS)
        if statement.whereclause is not None:
            query = query.where(statement.whereclause)
        rows_before: dict[tuple[Any, ...], dict[str, Any]] = {}
        for values in parameter_sets or [parameters or {}]:
            rows = db.execute(query, values) if values else db.execute(query)
            rows_before.update({key_of(table, row): dict(row._mapping) for row in rows})
        db.info["kitestring_before"] = rows_before

    def after(
        self, db: Connection, statement: Any, parameter_sets: Any, parameters: Any, options: Any, result: Any
    ) -> None:
        """Write down what a statement has changed."""
        table = watched_table(statement)
        if table is None:
            return
        if isinstance(statement, Insert):
            keys = [tuple(key) for key in inserted_keys(result)]
            before: dict[tuple[Any, ...], dict[str, Any]] = {}
        else:
            before = db.info.pop("kitestring_before", {})
            keys = list(before)
        for key in keys:
            same = [column == value for column, value in zip(table.primary_key.columns, key, strict=True)]
            row = None if isinstance(statement, Delete) else db.execute(select(table).where(*same)).one_or_none()
            old, new = before.get(key), dict(row._mapping) if row is not None else None
            if old is None and new is None:
                continue
            self.write(db, table, key, old, new)

    def write(
        self, db: Connection, table: Table, key: tuple[Any, ...], old: dict[str, Any] | None, new: dict[str, Any] | None
    ) -> None:
        row = new or old or {}
        owner = " ".join(map(str, key))
        changed = changes(self.opened(old, owner), self.opened(new, owner))
        action = "create" if old is None else "delete" if new is None else "update"
        if old and new and old.get("deleted_at_ms") is None and new.get("deleted_at_ms") is not None:
            action = "delete"
        if table is tables.jobs:
            stopped = "cancel" in changed or changed.get("status", [None, None])[1] == "cancelled"
            action = "run" if action == "create" else "cancel" if stopped else action
            if action == "update":
                return
        if action == "update" and (not changed or self.continues_an_edit(db, table, key, changed)):
            return
        db.execute(
            tables.audit.insert().values(
                at_ms=self.store.now_ms(db),
                actor=ACTOR.get(),
                action=action,
                kind=WATCHED[table.name],
                resource_id=str(key[0])[:64],
                workspace_id=str(key[0]) if table is tables.workspaces else workspace_of(db, row),
                changes=changed,
            )
        )

    def continues_an_edit(self, db: Connection, table: Table, key: tuple[Any, ...], changed: Mapping[str, Any]) -> bool:
        """Whether only the draft has changed again, by the same actor within `EDIT_MS`: a page saves it by itself every
        few seconds, and what was written each time is not in the log anyway."""
        if table is not tables.builder_projects or set(changed) != {"draft"}:
            return False
        audit = tables.audit.c
        latest = db.execute(
            select(audit.actor, audit.action, audit.changes)
            .where(audit.at_ms >= self.store.now_ms(db) - EDIT_MS, audit.kind == WATCHED[table.name])
            .where(audit.resource_id == str(key[0])[:64])
            .order_by(audit.id.desc())
            .limit(1)
        ).one_or_none()
        return (
            latest is not None
            and (latest.actor, latest.action) == (ACTOR.get(), "update")
            and set(latest.changes) == {"draft"}
        )

    def opened(self, row: dict[str, Any] | None, owner: str) -> dict[str, Any] | None:
        """A row flat, field by field, in which secrets are of a type that is compared and never shown."""
        return None if row is None else dict(self.fields("", row, owner))

    def fields(self, at: str, node: Any, owner: str) -> Iterator[tuple[str, Any]]:
        if at in WHOLE:
            yield at, node
        elif isinstance(node, Mapping) and (node or not at):
            for name, value in node.items():
                if not at and name in LEFT_OUT:
                    continue
                place = f"{at}.{name}" if at else str(name)
                if not at and name in HIDDEN:
                    yield place, Secret(value)
                elif at.startswith("notifications.") and name in ADDRESSES:
                    # Sealed a second time, the same address looks different.
                    yield place, Secret(self.unsealed(value, owner))
                else:
                    yield from self.fields(place, value, owner)
        elif isinstance(node, list) and node and any(isinstance(item, Mapping) or is_sealed(item) for item in node):
            for number, value in enumerate(node):
                yield from self.fields(f"{at}.{number}", value, owner)
        elif is_sealed(node):
            yield at, Secret(self.unsealed(node, owner))
        else:
            yield at, node

    def unsealed(self, node: Any, owner: str) -> Any:
        """A sealed value, or a list of such, as it was given; one that cannot be opened stays sealed."""
        if isinstance(node, list):
            return [self.unsealed(item, owner) for item in node]
        if not is_sealed(node):
            return node
        with contextlib.suppress(ConfigError):
            return self.secret_box.open(node, owner)
        return node


def workspace_of(db: Connection, row: Mapping[str, Any]) -> str | None:
    """The workspace of a row. Tags and states have that of their connection."""
    if "workspace_id" in row or "connection_id" not in row:
        return row.get("workspace_id")
    c = tables.connections.c
    workspace_id: str | None = db.execute(
        select(c.workspace_id).where(c.id == row["connection_id"])
    ).scalar_one_or_none()
    return workspace_id


class Secret:
    """A value that can be compared, and is shown as the mask."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(str(self._value))


def changes(old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> dict[str, list[Any]]:
    """`{field: [before, after]}` of the fields that differ."""
    changed: dict[str, list[Any]] = {}
    for name in dict.fromkeys([*(old or {}), *(new or {})]):
        before, after = (old or {}).get(name), (new or {}).get(name)
        if before != after and not (before in EMPTY and after in EMPTY):
            changed[name] = [audit_value(before), audit_value(after)]
    return changed


def audit_value(value: Any) -> Any:
    """A value as the audit log keeps it: no secret, and no more than a line or two."""
    if isinstance(value, Secret):
        return None if value == Secret(None) else MASK
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return f"{text[:LONGEST]}… ({len(text)} characters)" if len(text) > LONGEST else value


def watched_table(statement: Any) -> Table | None:
    """The table of a statement that changes one of `WATCHED`, while an actor is set."""
    if not isinstance(statement, Insert | Update | Delete) or not ACTOR.get():
        return None
    table = statement.table
    return table if isinstance(table, Table) and table.name in WATCHED else None


def inserted_keys(result: Any) -> list[Any]:
    """The primary keys that an insert has made."""
    with contextlib.suppress(Exception):
        return [key for key in result.inserted_primary_key_rows if None not in key]
    return []


def key_of(table: Table, row: Any) -> tuple[Any, ...]:
    return tuple(row._mapping[column] for column in table.primary_key.columns)
