"""Sends notifications: an event becomes a notice for each channel of its workspace, in the transaction of the event.

A notice waits in the store until it was sent, so that a crash loses none and a slow receiver delays nothing. What a
workspace wants to be told, and where: see `channels.py`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, insert, select, update

from kitestring.errors import ConfigError, KitestringError
from kitestring.server.auth import user
from kitestring.server.context import Context
from kitestring.server.notifications import notification_settings
from kitestring.server.notifications.delivery import SEND_S, send_email
from kitestring.server.polling import PollingThread
from kitestring.server.secrets.references import patterns_of
from kitestring.server.store.tables import notices, workspaces

log = logging.getLogger("kitestring.notify")

LOOK_S = 2.0
CLAIM_S = 120.0
TRIES = 8


def enqueue_notice(
    db: Connection, workspace_id: str, event: str, sentence: str, now: int, *, hint: str = "", **data: Any
) -> int:
    """Leave a notice for each channel that the workspace has for this event; how many. In the caller's transaction."""
    settings = db.execute(select(workspaces.c.notifications).where(workspaces.c.id == workspace_id)).scalar() or {}
    targets = list(notification_settings.enabled(notification_settings.channels_for(settings, event)))
    body = {
        "title": notification_settings.EVENTS[event],
        "sentence": sentence,
        "hint": hint,
        "data": {"event": event, **data},
    }
    for channel, number in targets:
        db.execute(
            insert(notices).values(
                workspace_id=workspace_id,
                event=event,
                body={**body, "way": channel, "number": number},
                tries=0,
                due_at_ms=now,
                created_at_ms=now,
            )
        )
    return len(targets)


class NotificationSender(PollingThread):
    """Sends what waits, in a thread of its own. `start` it, and `stop` it in the end."""

    name = "notifications"

    def __init__(self, context: Context, *, look_s: float = LOOK_S) -> None:
        super().__init__(look_s)
        self.context = context

    def work(self) -> bool:
        return self.send_next()

    def send_next(self) -> bool:
        """Send one notice that is due; False when there is none. One that cannot be sent is due again later."""
        row = self._claim()
        if row is None:
            return False
        try:
            self._send(row)
        except KitestringError as error:
            if row.tries + 1 < TRIES and not isinstance(error, ConfigError):
                log.warning("a notice could not be sent yet", extra={"notice": row.id, "error": error.message})
                return True
            log.error("a notice is given up", extra={"notice": row.id, "event": row.event, "error": error.message})
        with self.context.store.write() as db:
            db.execute(notices.delete().where(notices.c.id == row.id))
        return True

    def _claim(self) -> Any:
        store = self.context.store
        query = select(notices).order_by(notices.c.due_at_ms, notices.c.id).limit(1)
        with store.read() as db:
            if db.execute(query.where(notices.c.due_at_ms <= store.now_ms(db))).first() is None:
                return None
        with store.write() as db:
            now = store.now_ms(db)
            row = db.execute(query.where(notices.c.due_at_ms <= now).with_for_update(skip_locked=True)).one_or_none()
            if row is not None:
                retry_at_ms = now + int(CLAIM_S * 1000 * 2**row.tries)
                db.execute(
                    update(notices).where(notices.c.id == row.id).values(tries=row.tries + 1, due_at_ms=retry_at_ms)
                )
            return row

    def _send(self, row: Any) -> None:
        with self.context.store.read() as db:
            workspace = db.execute(select(workspaces).where(workspaces.c.id == row.workspace_id)).one()
            channel = (
                notification_settings.channels_for(
                    notification_settings.open_channels(self.context.secret_box, workspace), row.event
                ).get(row.body["way"])
                or {}
            )
            receivers = [str(address) for address in channel.get("to") or ()]
            if row.body["way"] == "email" and not receivers:
                receivers = user.readers_of(db, row.workspace_id)
        notice = {**row.body, "workspace": workspace.name}
        places = notification_settings.addresses(row.body["way"], channel)
        if not channel.get("enabled") or row.body["number"] >= len(places):
            return  # switched off since
        send(self.context, row.body["way"], places[row.body["number"]], notice, receivers)


def send(context: Context, channel: str, address: str, notice: Mapping[str, Any], receivers: list[str]) -> None:
    """Send a notice now. `TransientError` where it may work later, `ConfigError` where it never will."""
    if channel == "email":
        send_email(context.settings.smtp_url, context.settings.mail_from, receivers, notice)
    else:
        request = {
            "way": channel,
            "address": address,
            "notice": dict(notice),
            "references": patterns_of(context.settings),
        }
        context.runner.run("notify", request, limit_s=SEND_S)


def send_test(context: Context, workspace: str, channel: str, address: str, receivers: list[str]) -> None:
    """Send a notice that says that it is a test. The error is what a real one would meet."""
    notice = {
        "title": "A test",
        "sentence": "Notifications of this workspace arrive here.",
        "hint": "",
        "workspace": workspace,
        "data": {"event": "test"},
    }
    send(context, channel, address, notice, receivers)
