"""Deliver a notification by webhook, apprise or e-mail. Nothing here uses the store.

A webhook gets what Slack takes (`text` and `blocks`: api.slack.com/messaging/webhooks) and the facts in `data`.
"""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Mapping
from email.message import EmailMessage
from typing import Any
from urllib.parse import unquote, urlsplit

from kitestring.errors import ConfigError, TransientError
from kitestring.server.settings import LOOPBACK

SEND_S = 30.0


def text_of(notice: Mapping[str, Any]) -> str:
    return f"{notice['sentence']} {notice['hint']}".strip()


def send_webhook(url: str, notice: Mapping[str, Any]) -> None:
    """POST a notice as JSON. Anything but 2xx raises."""
    from kitestring.http import Session

    title = f"{notice['title']} ({notice['workspace']})"
    body = {
        "text": f"{title}: {text_of(notice)}",
        "blocks": [
            {"type": "header", "text": {"type": "plain_text", "text": title[:150]}},
            {"type": "section", "text": {"type": "plain_text", "text": text_of(notice)[:2900]}},
        ],
        "data": notice["data"],
    }
    with Session(timeout_s=10.0, max_wait_s=5.0, secrets=[url, urlsplit(url).path]) as session:
        session.request("POST", url, json=body)


LOCAL = frozenset({"syslog", "dbus", "qt", "glib", "kde", "gnome", "macosx", "windows", "file"})
"""Services of apprise that are on the machine itself. What else tries to reach it is stopped in the child process."""


def send_apprise(url: str, notice: Mapping[str, Any]) -> None:
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
    if not channel.notify(title=f"{notice['title']} ({notice['workspace']})", body=text_of(notice)):
        raise TransientError("apprise could not deliver the notice", hint="Check the URL and the service.")


def send_email(smtp_url: str, sender: str, receivers: list[str], notice: Mapping[str, Any]) -> None:
    """Send an e-mail by the server's own SMTP."""
    if not smtp_url:
        raise ConfigError("no e-mail can be sent: there is no SMTP server", hint="Set KITESTRING_SMTP_URL.")
    if not receivers:
        raise ConfigError("an e-mail has no receivers: the workspace names none, and there is no user", hint="Add one.")
    message = EmailMessage()
    message["Subject"] = f"[Kitestring] {notice['title']} ({notice['workspace']})".replace("\n", " ")
    message["From"], message["To"] = sender, ", ".join(receivers)
    message.set_content(
        f"{notice['sentence']}\n{notice['hint']}\n\n" + "\n".join(f"{k}: {v}" for k, v in notice["data"].items())
    )
    parts = urlsplit(smtp_url)
    host = parts.hostname or "localhost"
    secure, port = parts.scheme == "smtps", parts.port or (465 if parts.scheme == "smtps" else 587)
    try:
        # smtplib checks no certificate by itself. A server that asks for no password may have one of its own making.
        context = ssl.create_default_context() if secure or parts.username else None
        client = (
            smtplib.SMTP_SSL(host, port, timeout=SEND_S, context=context)
            if secure
            else smtplib.SMTP(host, port, timeout=SEND_S)
        )
        with client as server:
            server.ehlo_or_helo_if_needed()
            if not secure and server.has_extn("starttls"):
                server.starttls(context=context)
                secure = True
            if parts.username and not secure and host not in LOOPBACK:
                raise ConfigError(
                    f"the SMTP server {host} does not support encryption, which its password needs",
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
