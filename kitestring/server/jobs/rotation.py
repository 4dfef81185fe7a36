"""Keeps a configuration that a connector has changed (a refresh token that is good for one use), sealed."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, update

from kitestring.server.store.tables import destinations, sources

if TYPE_CHECKING:
    from kitestring.server.context import Context
    from kitestring.server.jobs.plan import Plan

log = logging.getLogger("kitestring.jobs")


def keep(context: Context, plan: Plan, end: str, config: Mapping[str, Any], spec: Mapping[str, Any]) -> None:
    """Put what changed of a configuration into its row, in one transaction; the rest stays as it stands there.

    Also for a claim that is no longer ours: the old token is spent either way.
    """
    one, table = (plan.source, sources) if end == "source" else (plan.destination, destinations)
    if not one.id:
        return
    with context.store.write() as db:
        stored = db.execute(select(table.c.config).where(table.c.id == one.id).with_for_update()).scalar_one_or_none()
        if stored is None:
            return
        new = changed(stored, one.config, config)
        sealed = context.vault.seal_config(new, spec, one.id)
        db.execute(
            update(table).where(table.c.id == one.id).values(config=sealed, updated_at_ms=context.store.now_ms(db))
        )
    log.info("kept a configuration that its connector changed", extra={"end": end, "actor": one.id})


def changed(stored: Any, opened: Any, new: Any) -> Any:
    """`stored`, with what differs between `opened` and `new`: sealed texts and references that did not change stay."""
    if new == opened:
        return stored
    if isinstance(new, Mapping) and isinstance(opened, Mapping) and isinstance(stored, Mapping):
        return {key: changed(stored.get(key), opened.get(key), value) for key, value in new.items()}
    return new
