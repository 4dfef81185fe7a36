"""Looks at the replication slots of connections while no job runs, and drops those of deleted connections."""

from __future__ import annotations

import logging
from typing import Any

from sqlalchemy import Connection, select, update

from kitestring.errors import KitestringError, TransientError
from kitestring.server.connections import endpoints, watched_slot
from kitestring.server.context import Context
from kitestring.server.jobs.connection_plan import Endpoint
from kitestring.server.polling import PollingThread
from kitestring.server.store.tables import connections, replication_slots

log = logging.getLogger("kitestring.slots")

LOOK_S = 2.0
ACTION_S = 60.0
CLAIM_MS = 120_000
RETRY_MS = 15_000
TRIES = 10
"""Attempts to drop a slot, with pauses that double: about two hours."""
LONGEST_MS = 1_800_000


class SlotMonitor(PollingThread):
    """Asks the database about each slot once a minute, in a thread of its own. `start` it, and `stop` it in the end.

    Several may run over one store: a slot that is due is taken by one of them.
    """

    name = "slot monitor"

    def __init__(self, context: Context, *, look_s: float = LOOK_S) -> None:
        super().__init__(look_s)
        self.context = context

    def work(self) -> bool:
        return self.look_at_next()

    def look_at_next(self) -> bool:
        """Look at one slot that is due, or drop it; False when none is due."""
        row = self._claim()
        if row is None:
            return False
        if row.removal is not None:
            self._remove(row)
        else:
            self._look(row)
        return True

    def _claim(self) -> Any:
        store, c = self.context.store, replication_slots.c
        query = select(replication_slots).order_by(c.look_at_ms).limit(1)
        with store.read() as db:
            if db.execute(query.where(c.look_at_ms <= store.now_ms(db))).first() is None:
                return None
        with store.write() as db:
            now = store.now_ms(db)
            row = db.execute(query.where(c.look_at_ms <= now).with_for_update(skip_locked=True)).one_or_none()
            if row is not None:
                self._change(db, row, look_at_ms=now + CLAIM_MS)
            return row

    def _look(self, row: Any) -> None:
        store = self.context.store
        try:
            report = self.context.runner.run("slot_report", self._request(row), limit_s=ACTION_S)
        except KitestringError as error:
            with store.write() as db:
                later = store.now_ms(db) + watched_slot.LOOK_EVERY_MS
                self._change(db, row, problem=error.message, look_at_ms=later)
            return
        with store.write() as db:
            present = watched_slot.find(db, row.connection_id)
            if present is None or present.removal is not None:
                return
            if report is None:  # its source captures no changes any more
                watched_slot.notify_left(db, row.connection_id, row.report, store.now_ms(db))
                self._change(db, row, problem="the source captures no changes any more", look_at_ms=None)
                return
            limit = self.context.settings.slot_retained_mb * 1_000_000
            watched_slot.record_report(db, row.connection_id, report, store.now_ms(db), limit)

    def _remove(self, row: Any) -> None:
        """Drop the slot of a deleted connection. Its job is stopped first, and other connections have a word."""
        store = self.context.store
        with store.write() as db:
            now = store.now_ms(db)
            if watched_slot.has_running_job(db, row.connection_id):
                self._change(db, row, look_at_ms=now + 1_000)
                return
            refusal = watched_slot.reason_to_keep(db, row)
            if refusal is not None:
                watched_slot.keep(db, row, *refusal, now)
                return
        try:
            asked = {"slot": row.report["slot"], "server": row.report["server"]}
            answer = self.context.runner.run("drop_slot", {**self._request(row), **asked}, limit_s=ACTION_S)
        except KitestringError as error:
            self._failed(row, error)
            return
        what = " and ".join(answer["dropped"]) or f"nothing: there was no slot {row.report['slot']}"
        removal = {"status": "dropped", "tries": row.removal["tries"] + 1, "message": what, "hint": ""}
        with store.write() as db:
            self._change(db, row, removal=removal, look_at_ms=None)
        log.info("a deleted connection's slot was dropped", extra={"connection": row.connection_id, "dropped": what})

    def _failed(self, row: Any, error: KitestringError) -> None:
        store, tries = self.context.store, row.removal["tries"] + 1
        with store.write() as db:
            now = store.now_ms(db)
            if tries >= TRIES or not isinstance(error, TransientError):
                watched_slot.keep(db, row, error.message, error.hint, now)
                return
            removal = {"status": "waiting", "tries": tries, "message": error.message, "hint": error.hint}
            later = now + min(RETRY_MS * 2 ** (tries - 1), LONGEST_MS)
            self._change(db, row, removal=removal, look_at_ms=later)

    def _request(self, row: Any) -> dict[str, Any]:
        return {"source": self._source(row).body()}

    def _source(self, row: Any) -> Endpoint:
        with self.context.store.read() as db:
            query = select(connections.c.source_id).where(connections.c.id == row.connection_id)
            source_id = db.execute(query).scalar_one()
            return endpoints.endpoint_of(self.context, db, "source", source_id, deleted=True)

    def _change(self, db: Connection, row: Any, **values: Any) -> None:
        slot = replication_slots.c.connection_id == row.connection_id
        db.execute(update(replication_slots).where(slot).values(**values))
