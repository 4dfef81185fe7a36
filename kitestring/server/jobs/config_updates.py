"""Saves the changes that connectors make to their configurations (a single-use refresh token), encrypted.

Only one process at a time renews the credentials of a source or destination.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import Table, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from kitestring import paths
from kitestring.server.connectors import draft_credentials
from kitestring.server.jobs.connection_plan import Endpoint
from kitestring.server.store.tables import destinations, renewals, sources

if TYPE_CHECKING:
    from kitestring.server.context import Context

log = logging.getLogger("kitestring.jobs")

LEASE_MS = 60_000
"""The lease of a renewal, counted from the last message of its holder."""


class ConfigUpdater:
    """Saves configurations of the endpoints that a child process runs. Endpoints without an id are not saved."""

    def __init__(self, context: Context, **ends: Endpoint) -> None:
        self._context = context
        self._ends = {name: end for name, end in ends.items() if end.id}
        self._granted: dict[str, Mapping[str, Any]] = {}
        """The decrypted configurations that were stored when a renewal began."""
        self.renewed: dict[str, Mapping[str, Any]] = {}
        """The last configuration that the connector of each end saved."""

    def table_of(self, end: str) -> Table:
        """The table with the configuration of an end."""
        return sources if end == "source" else destinations

    def save(self, end: str, config: Mapping[str, Any], spec: Mapping[str, Any]) -> None:
        """Save what changed of a configuration in its row, in one transaction; the rest of the row stays.

        Also for a claim that is no longer ours: the old token is spent either way. What a user changed during the
        renewal stays: new credentials are not replaced by a token of the old ones.
        """
        if end not in self._ends:
            return
        context, endpoint = self._context, self._ends[end]
        table = self.table_of(end)
        with context.store.write() as db:
            row = table.c.id == endpoint.id
            stored = db.execute(select(table.c.config).where(row).with_for_update()).scalar_one_or_none()
            if stored is None:
                return
            granted = self._granted.pop(end, None)
            if granted is not None and collide(
                endpoint.config, config, granted, context.secret_box.open_config(stored, endpoint.id)
            ):
                log.warning(
                    "a renewed credential was not saved: a user changed the credentials meanwhile",
                    extra={"end": end, "actor": endpoint.id},
                )
                return
            sealed = context.secret_box.seal_config(merge_changes(stored, endpoint.config, config), spec, endpoint.id)
            # Its time of change stays: it is that of people, by which `If-Match` compares.
            db.execute(update(table).where(row).values(config=sealed))
        self.renewed[end] = config
        log.info("saved a configuration that its connector changed", extra={"end": end, "actor": endpoint.id})

    def save_credential_ends(self, end: str, ends: Sequence[Mapping[str, Any]]) -> None:
        """Save when the credentials of an endpoint end, as its connector reported."""
        if end not in self._ends:
            return
        table = self.table_of(end)
        with self._context.store.write() as db:
            row = table.c.id == self._ends[end].id
            db.execute(update(table).where(row).values(credential_ends=list(ends)))

    def renewal(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Handle a child's request to begin, extend or end (`over`) the renewal of an endpoint's credentials.

        The answer: `granted`, and if so the stored configuration (None: it is not stored).
        """
        end = self._ends.get(str(message["end"]))
        if end is None:
            return {"granted": True, "config": None}
        holder, store = str(message["holder"]), self._context.store
        table = self.table_of(str(message["end"]))
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
                except IntegrityError:  # another process renews
                    return {"granted": False}
            stored = db.execute(select(table.c.config).where(table.c.id == end.id)).scalar_one_or_none()
        if stored is None:
            return {"granted": True, "config": None}
        config = self._granted[str(message["end"])] = self._context.secret_box.open_config(stored, end.id)
        return {"granted": True, "config": config}


class DraftConfigUpdater(ConfigUpdater):
    """Saves what a test of a draft renews until the draft is saved; if its credentials are those of a stored source or
    destination (`actor_id`), there too."""

    def __init__(
        self, context: Context, kind: str, draft: Endpoint, spec: Mapping[str, Any], actor_id: str = ""
    ) -> None:
        super().__init__(context, **{kind: replace(draft, id=actor_id)})
        self._draft, self._spec = draft, spec

    def save(self, end: str, config: Mapping[str, Any], spec: Mapping[str, Any]) -> None:
        opened = self._draft
        draft_credentials.remember(self._context, opened.workspace_id, opened.config, config, spec)
        spent = draft_credentials.spent_secrets(opened.config, config, spec)
        if all(paths.value_at(self._row(end), place) == value for place, value in spent.items()):
            super().save(end, config, spec)

    def save_credential_ends(self, end: str, ends: Sequence[Mapping[str, Any]]) -> None:
        """Ignored: a draft may have other credentials than the stored endpoint."""

    def renewal(self, message: Mapping[str, Any]) -> dict[str, Any]:
        answer, draft = super().renewal(message), self._draft
        if not answer["granted"]:
            return answer
        row = answer["config"] or {}
        secrets = draft_credentials.secrets_of(draft.config, self._spec)
        if all(paths.value_at(row, place) == value for place, value in secrets.items()):
            return answer
        with self._context.store.read() as db:
            config = draft_credentials.apply_renewals(self._context, db, draft.workspace_id, draft.config, self._spec)
        return {**answer, "config": config}

    def _row(self, end: str) -> dict[str, Any]:
        """The stored configuration, decrypted; empty if there is none."""
        if end not in self._ends:
            return {}
        table, actor_id = sources if end == "source" else destinations, self._ends[end].id
        with self._context.store.read() as db:
            stored = db.execute(select(table.c.config).where(table.c.id == actor_id)).scalar_one_or_none()
        return {} if stored is None else self._context.secret_box.open_config(stored, actor_id)


def merge_changes(stored: Any, opened: Any, new: Any) -> Any:
    """`stored` with the differences between `opened` and `new`. Unchanged encrypted texts and references stay, as do
    additions, changes and removals by others."""
    if new == opened:
        return stored
    if isinstance(new, Mapping) and isinstance(opened, Mapping) and isinstance(stored, Mapping):
        merged = {key: value for key, value in stored.items() if key in new or key not in opened}
        for key, value in new.items():
            if key not in opened or value != opened[key]:
                merged[key] = merge_changes(stored.get(key), opened.get(key), value)
        return merged
    return new


def collide(opened: Any, new: Any, before: Any, after: Any) -> bool:
    """Whether a value that differs between `opened` and `new` differs between `before` and `after` too."""
    if new == opened or before == after:
        return False
    levels = (opened, new, before, after)
    if all(isinstance(level, Mapping) for level in levels):
        keys = {key for level in levels for key in level}
        return any(collide(*(level.get(key) for level in levels)) for key in keys)
    return True
