"""Keeps what connectors change in their configurations (a refresh token that is good once), sealed.

One process at a time renews the credentials of a source or destination.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from kitestring.server.jobs.plan import End
from kitestring.server.store.tables import destinations, renewals, sources

if TYPE_CHECKING:
    from kitestring.server.context import Context

log = logging.getLogger("kitestring.jobs")

LEASE_MS = 60_000
"""How long a renewal is another's after its holder was last heard of."""


class Keeper:
    """Keeps the configurations of the ends that a child process runs. Those without an id are kept nowhere."""

    def __init__(self, context: Context, **ends: End) -> None:
        self._context = context
        self._ends = {name: end for name, end in ends.items() if end.id}

    def keep(self, end: str, config: Mapping[str, Any], spec: Mapping[str, Any]) -> None:
        """Put what changed of a configuration into its row, in one transaction; the rest stays as it stands there.

        Also for a claim that is no longer ours: the old token is spent either way.
        """
        if end not in self._ends:
            return
        context, opened = self._context, self._ends[end]
        table = sources if end == "source" else destinations
        with context.store.write() as db:
            row = table.c.id == opened.id
            stored = db.execute(select(table.c.config).where(row).with_for_update()).scalar_one_or_none()
            if stored is None:
                return
            sealed = context.vault.seal_config(changed(stored, opened.config, config), spec, opened.id)
            db.execute(update(table).where(row).values(config=sealed, updated_at_ms=context.store.now_ms(db)))
        log.info("kept a configuration that its connector changed", extra={"end": end, "actor": opened.id})

    def note_ends(self, end: str, ends: Sequence[Mapping[str, Any]]) -> None:
        """Keep when the credentials of an end run out, as its connector told."""
        if end not in self._ends:
            return
        table = sources if end == "source" else destinations
        with self._context.store.write() as db:
            row = table.c.id == self._ends[end].id
            db.execute(update(table).where(row).values(credential_ends=list(ends)))

    def renewal(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """A child that wants to renew the credentials of an end, goes on renewing, or has done so (`over`).

        The answer: `granted`, and then the configuration as it is kept now (None: it is kept nowhere).
        """
        end = self._ends.get(str(message["end"]))
        if end is None:
            return {"granted": True, "config": None}
        holder, store = str(message["holder"]), self._context.store
        table = sources if message["end"] == "source" else destinations
        with store.write() as db:
            now = store.now_ms(db)
            mine = (renewals.c.actor_id == end.id) & (renewals.c.holder == holder)
            if message.get("over"):
                db.execute(delete(renewals).where(mine))
                return {"granted": False}
            free = (renewals.c.actor_id == end.id) & ((renewals.c.holder == holder) | (renewals.c.until_ms < now))
            values = {"holder": holder, "until_ms": now + LEASE_MS}
            if not db.execute(update(renewals).where(free).values(**values)).rowcount:
                try:
                    with db.begin_nested():
                        db.execute(insert(renewals).values(actor_id=end.id, **values))
                except IntegrityError:  # another renews
                    return {"granted": False}
            stored = db.execute(select(table.c.config).where(table.c.id == end.id)).scalar_one_or_none()
        return {"granted": True, "config": None if stored is None else self._context.vault.open_config(stored, end.id)}


def changed(stored: Any, opened: Any, new: Any) -> Any:
    """`stored`, with what differs between `opened` and `new`: sealed texts and references that did not change stay."""
    if new == opened:
        return stored
    if isinstance(new, Mapping) and isinstance(opened, Mapping) and isinstance(stored, Mapping):
        return {key: changed(stored.get(key), opened.get(key), value) for key, value in new.items()}
    return new
