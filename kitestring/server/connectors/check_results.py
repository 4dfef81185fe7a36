"""The last test of each source and destination, and of drafts until they are saved.

A test of a draft belongs to exactly its configuration: it is found by a keyed digest of it when the draft is saved.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, select, update

from kitestring.errors import KitestringError
from kitestring.server.auth.token_hash import digest
from kitestring.server.connectors import definitions
from kitestring.server.connectors.definitions import Definition
from kitestring.server.connectors.field_problems import field_problems
from kitestring.server.http.problem import Problem
from kitestring.server.observability.totals import insert_of
from kitestring.server.store.tables import consents, destinations, sources

if TYPE_CHECKING:
    from kitestring.server.context import Context

LIFETIME_MS = 3_600_000


def succeeded() -> dict[str, Any]:
    return {"status": "succeeded", "message": "", "hint": "", "problems": {}}


def failed(error: KitestringError, spec: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """The result of a test, with the fields of the form that it is about."""
    problems = field_problems(error, spec, config)
    return {"status": "failed", "message": error.message, "hint": error.hint, "problems": problems}


def keep(
    context: Context,
    kind: str,
    actor_id: str,
    definition: Definition,
    tested: Sequence[Mapping[str, Any]],
    result: Mapping[str, Any],
) -> dict[str, Any]:
    """Keep the result of a test of a stored source or destination, with its time.

    `tested`: the configuration as the test began, and as the connector left it. Where the stored one, or the connector,
    is another by now, somebody changed it during the test, which says nothing about the new one: the result is not
    kept.
    """
    table = sources if kind == "source" else destinations
    with context.store.write() as db:
        kept = {**result, "checkedAtMs": context.store.now_ms(db)}
        row = db.execute(select(table).where(table.c.id == actor_id).with_for_update()).one_or_none()
        stored = context.secret_box.open_config(row.config, actor_id) if row is not None else None
        same = row is not None and row.definition_id == definition.id
        if same and stored in tested and is_current(db, row, definition):
            db.execute(update(table).where(table.c.id == actor_id).values(last_check=kept))
    return kept


def keep_draft(
    context: Context,
    kind: str,
    workspace_id: str,
    definition: Definition,
    config: Mapping[str, Any],
    result: Mapping[str, Any],
) -> dict[str, Any]:
    """Keep the result of a test of a draft for an hour."""
    key = draft_key(context, kind, workspace_id, definition, config)
    with context.store.write() as db:
        now = context.store.now_ms(db)
        kept = {**result, "checkedAtMs": now}
        sealed = {"sealed": context.secret_box.seal(json.dumps(kept), key)}
        new = insert_of(db)(consents).values(state_hash=key, body=sealed, expires_at_ms=now + LIFETIME_MS)
        values = {name: new.excluded[name] for name in ("body", "expires_at_ms")}
        db.execute(new.on_conflict_do_update(index_elements=["state_hash"], set_=values))
    return kept


def of_draft(
    context: Context, db: Connection, kind: str, workspace_id: str, definition: Definition, config: Mapping[str, Any]
) -> dict[str, Any] | None:
    """The result of the test of a draft that is saved now; None if it was not tested, or long ago."""
    key = draft_key(context, kind, workspace_id, definition, config)
    live = (consents.c.state_hash == key) & (consents.c.expires_at_ms >= context.store.now_ms(db))
    row = db.execute(select(consents).where(live)).one_or_none()
    return None if row is None else dict(json.loads(context.secret_box.open(row.body["sealed"], key)))


def is_current(db: Connection, row: Any, definition: Definition) -> bool:
    """Whether a source or destination still runs this version of its connector."""
    try:
        version = getattr(row, "connector_version", None)
        now = definitions.get(db, definition.kind, definition.id, version=version)
    except Problem:
        return False
    return (now.version, now.manifest) == (definition.version, definition.manifest)


def draft_key(context: Context, kind: str, workspace_id: str, definition: Definition, config: Mapping[str, Any]) -> str:
    """The key to the test of a draft: the same for the same configuration and connector. It means nothing without the
    server's key."""
    body = json.dumps([kind, workspace_id, definitions.fingerprint(definition, config)])
    return digest(f"check {context.secret_box.digest(body.encode())}")
