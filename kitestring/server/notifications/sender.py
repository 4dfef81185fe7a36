"""Notifications: an event becomes a notice for each channel of its workspace, in the transaction of the event.

A notice waits in the store until it was sent, so that a crash loses none and a slow receiver delays nothing. What a
workspace wants to be told, and where: see `channels.py`.

A webhook gets what Slack takes (`text` and `blocks`: api.slack.com/messaging/webhooks) and the facts in `data`.
"""

from __future__ import annotations

import logging
import smtplib
import ssl
from collections.abc import Mapping
from email.message import EmailMessage
from typing import Any
from urllib.parse import unquote, urlsplit

from sqlalchemy import Connection, insert, select, update

from kitestring.errors import ConfigError, KitestringError, TransientError
from kitestring.server.auth import user
from kitestring.server.context import Context
from kitestring.server.notifications import channels
from kitestring.server.polling import Round
from kitestring.server.secrets.references import patterns_of
from kitestring.server.settings import LOOPBACK
from kitestring.server.store.tables import notices, workspaces

log = logging.getLogger("kitestring.notify")

LOOK_S = 2.0
CLAIM_S = 120.0
TRIES = 8
SEND_S = 30.0


def notice(
    db: Connection, workspace_id: str, event: str, sentence: str, now: int, *, hint: str = "", **data: Any
) -> int:
    """Leave a notice for each channel that the workspace has for this event; how many. In the caller's transaction."""
    told = db.execute(select(workspaces.c.notifications).where(workspaces.c.id == workspace_id)).scalar() or {}
    found = list(channels.enabled(channels.chosen(told, event)))
    body = {"title": channels.EVENTS[event], "sentence": sentence, "hint": hint, "data": {"event": event, **data}}
    for way, number in found:
        db.execute(
            insert(notices).values(
                workspace_id=workspace_id,
                event=event,
                body={**body, "way": way, "number": number},
                tries=0,
                due_at_ms=now,
                created_at_ms=now,
            )
        )
    return len(found)


class Courier(Round):
    """Sends what waits, in a thread of its own. `start` it, and `stop` it in the end."""

    name = "courier"

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
        due = select(notices).order_by(notices.c.due_at_ms, notices.c.id).limit(1)
        with store.read() as db:
            if db.execute(due.where(notices.c.due_at_ms <= store.now_ms(db))).first() is None:
                return None
        with store.write() as db:
            now = store.now_ms(db)
            row = db.execute(due.where(notices.c.due_at_ms <= now).with_for_update(skip_locked=True)).one_or_none()
            if row is not None:
                again = now + int(CLAIM_S * 1000 * 2**row.tries)
                db.execute(update(notices).where(notices.c.id == row.id).values(tries=row.tries + 1, due_at_ms=again))
            return row

    def _send(self, row: Any) -> None:
        with self.context.store.read() as db:
            space = db.execute(select(workspaces).where(workspaces.c.id == row.workspace_id)).one()
            channel = channels.chosen(channels.opened(self.context.vault, space), row.event).get(row.body["way"]) or {}
            receivers = [str(one) for one in channel.get("to") or ()]
            if row.body["way"] == "email" and not receivers:
                receivers = user.readers_of(db, row.workspace_id)
        told = {**row.body, "workspace": space.name}
        places = channels.addresses(row.body["way"], channel)
        if not channel.get("enabled") or row.body["number"] >= len(places):
            return  # switched off since
        send(self.context, row.body["way"], places[row.body["number"]], told, receivers)


def send(context: Context, way: str, address: str, told: Mapping[str, Any], receivers: list[str]) -> None:
    """Send a notice now. `TransientError` where it may work later, `ConfigError` where it never will."""
    if way == "email":
        by_email(context.settings.smtp_url, context.settings.mail_from, receivers, told)
    else:
        given = {"way": way, "address": address, "notice": dict(told), "references": patterns_of(context.settings)}
        context.runner.run("notify", given, limit_s=SEND_S)


def try_out(context: Context, workspace: str, way: str, address: str, receivers: list[str]) -> None:
    """Send a notice that says that it is a test. The error is what a real one would meet."""
    told = {
        "title": "A test",
        "sentence": "Notifications of this workspace arrive here.",
        "hint": "",
        "workspace": workspace,
        "data": {"event": "test"},
    }
    send(context, way, address, told, receivers)


def text_of(told: Mapping[str, Any]) -> str:
    return f"{told['sentence']} {told['hint']}".strip()


def by_webhook(url: str, told: Mapping[str, Any]) -> None:
    """POST a notice as JSON. Anything but 2xx raises."""
    from kitestring.http import Session

    title = f"{told['title']} ({told['workspace']})"
    body = {
        "text": f"{title}: {text_of(told)}",
        "blocks": [
            {"type": "header", "text": {"type": "plain_text", "text": title[:150]}},
            {"type": "section", "text": {"type": "plain_text", "text": text_of(told)[:2900]}},
        ],
        "data": told["data"],
    }
    with Session(timeout_s=10.0, max_wait_s=5.0, secrets=[url, urlsplit(url).path]) as session:
        session.request("POST", url, json=body)


LOCAL = frozenset({"syslog", "dbus", "qt", "glib", "kde", "gnome", "macosx", "windows", "file"})
"""Services of apprise that are on the machine itself. What else tries to reach it is stopped in the child process."""


def by_apprise(url: str, told: Mapping[str, Any]) -> None:
    """Send by whatever service the URL names (github.com/caronc/apprise)."""
    import apprise

    channel = apprise.Apprise()
    if not channel.add(url):
        raise ConfigError("apprise does not know this kind of URL", hint="See the list of services of apprise.")
    if any(service.url().partition(":")[0].lower() in LOCAL for service in channel):  # a text may name several
        raise ConfigError(
            "the address is one of the server's own machine, and notices leave over the network only",
            hint="Use a service that is reached over the network.",
        )
    if not channel.notify(title=f"{told['title']} ({told['workspace']})", body=text_of(told)):
        raise TransientError("apprise could not deliver the notice", hint="Check the URL and the service.")


def by_email(smtp_url: str, sender: str, receivers: list[str], told: Mapping[str, Any]) -> None:
    """Send an e-mail by the server's own SMTP."""
    if not smtp_url:
        raise ConfigError("no e-mail can be sent: there is no SMTP server", hint="Set KITESTRING_SMTP_URL.")
    if not receivers:
        raise ConfigError("an e-mail has no receivers: the workspace names none, and there is no user", hint="Add one.")
    message = EmailMessage()
    message["Subject"] = f"[Kitestring] {told['title']} ({told['workspace']})".replace("\n", " ")
    message["From"], message["To"] = sender, ", ".join(receivers)
    message.set_content(
        f"{told['sentence']}\n{told['hint']}\n\n" + "\n".join(f"{k}: {v}" for k, v in told["data"].items())
    )
    parts = urlsplit(smtp_url)
    host = parts.hostname or "localhost"
    secure, port = parts.scheme == "smtps", parts.port or (465 if parts.scheme == "smtps" else 587)
    try:
        # smtplib checks no certificate by itself. A server that asks for no password may have one of its own making.
        context = ssl.create_default_context() if secure or parts.username else None
        made = (
            smtplib.SMTP_SSL(host, port, timeout=SEND_S, context=context)
            if secure
            else smtplib.SMTP(host, port, timeout=SEND_S)
        )
        with made as server:
            server.ehlo_or_helo_if_needed()
            if not secure and server.has_extn("starttls"):
                server.starttls(context=context)
                secure = True
            if parts.username and not secure and host not in LOOPBACK:
                raise ConfigError(
                    f"the SMTP server {host} takes no encrypted connection, which its password needs",
                    hint="Write smtps://, or take another server.",
                )
            if parts.username:
                server.login(unquote(parts.username), unquote(parts.password or ""))
            server.send_message(message)
    except smtplib.SMTPAuthenticationError as error:
        raise ConfigError(
            "the SMTP server refused the user or the password", hint="Check KITESTRING_SMTP_URL."
        ) from error
    except (OSError, smtplib.SMTPException) as error:
        raise TransientError(
            f"the SMTP server {parts.hostname} did not take the e-mail: {type(error).__name__}",
            hint="Check KITESTRING_SMTP_URL and the server.",
        ) from error
