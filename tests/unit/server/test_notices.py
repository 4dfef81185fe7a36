"""What people are told of: by webhook, by e-mail, by apprise; when a connection is paused; when a schema changes."""

from __future__ import annotations

import contextlib
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from connection_ends import failed, row_of
from fastapi.testclient import TestClient
from sqlalchemy import select, update
from tenants import Browser, Tenant
from test_connections import joined

from kitestring.errors import ConfigError, KitestringError
from kitestring.redact import MASK
from kitestring.server.app import create_app
from kitestring.server.connections import connection
from kitestring.server.context import Context
from kitestring.server.notifications import notification_settings, outbox
from kitestring.server.notifications.outbox import NotificationSender, enqueue_notice, send_email
from kitestring.server.secrets import rekey
from kitestring.server.secrets.secret_box import SecretBox
from kitestring.server.settings import Settings
from kitestring.server.store.tables import audit, notices
from kitestring.server.workspaces import workspaces
from kitestring.testing.stand_in import StandIn, route

pytestmark = pytest.mark.slow


HOURLY = {"type": "basic", "every": 1, "unit": "hours"}


class Hooks(StandIn):
    """A receiver of webhooks."""

    @route("POST", "/hooks/{name}")
    def hook(self, call: Any, name: str) -> Any:
        return {"ok": True}


@pytest.fixture
def hooks() -> Iterator[Hooks]:
    with Hooks() as running:
        yield running


def wants(context: Context, **events: Any) -> str:
    with context.store.write() as db:
        space = workspaces.default(db).id
        workspaces.change(
            db, space, {"notifications": notification_settings.seal_channels(context.secret_box, space, events, {})}
        )
    return str(space)


def webhook(hooks: Hooks, name: str = "secret-path") -> dict[str, Any]:
    return {"webhook": {"enabled": True, "url": f"{hooks.url}/hooks/{name}"}}


def left(context: Context) -> list[Any]:
    with context.store.read() as db:
        return list(db.execute(select(notices).order_by(notices.c.id)))


def test_a_webhook_gets_a_sentence_and_the_facts_and_the_notice_is_gone(context: Context, hooks: Hooks) -> None:
    space = wants(context, failure=webhook(hooks))
    with context.store.write() as db:
        assert enqueue_notice(db, space, "failure", "It broke.", 0, hint="Mend it.", job_id=7) == 1
        assert enqueue_notice(db, space, "success", "It went well.", 0) == 0
    assert NotificationSender(context).send_next()
    (call,) = hooks.calls("/hooks", "POST")
    assert call.json()["text"].endswith("It broke. Mend it.")
    assert call.json()["data"] == {"event": "failure", "job_id": 7}
    assert call.json()["blocks"]
    assert not left(context)
    assert not NotificationSender(context).send_next()


def test_a_suspicious_end_is_told_where_failures_are(context: Context, hooks: Hooks) -> None:
    space = wants(context, failure=webhook(hooks))
    with context.store.write() as db:
        assert enqueue_notice(db, space, "suspicious", "Two numbers disagree.", 0) == 1
    assert NotificationSender(context).send_next()
    assert len(hooks.calls("/hooks", "POST")) == 1


def test_what_cannot_be_sent_waits_and_is_sent_later_once(context: Context, hooks: Hooks) -> None:
    space = wants(context, failure={"webhook": {"enabled": True, "url": "http://127.0.0.1:9/hooks/x"}})
    with context.store.write() as db:
        enqueue_notice(db, space, "failure", "It broke.", 0)
    assert NotificationSender(context).send_next()
    (waiting,) = left(context)
    assert (waiting.tries, waiting.due_at_ms > 0) == (1, True)
    assert not NotificationSender(context).send_next()
    wants(context, failure=webhook(hooks))
    with context.store.write() as db:
        db.execute(update(notices).values(due_at_ms=0))
    assert NotificationSender(context).send_next()
    assert len(hooks.calls("/hooks", "POST")) == 1
    assert not left(context)


def test_apprise_delivers_to_what_its_url_names(context: Context, hooks: Hooks) -> None:
    space = wants(
        context, success={"apprise": {"enabled": True, "urls": [f"json://{hooks.url.removeprefix('http://')}/hooks/a"]}}
    )
    with context.store.write() as db:
        enqueue_notice(db, space, "success", "It went well.", 0)
    assert NotificationSender(context).send_next()
    (call,) = hooks.calls("/hooks", "POST")
    assert call.json()["message"] == "It went well."


def test_a_hardened_server_sends_no_webhook_into_its_own_network(home: Path, hooks: Hooks) -> None:
    context = Context.of(Settings(home=home, allow_private_hosts=False))
    try:
        space = wants(context, failure=webhook(hooks))
        with context.store.write() as db:
            enqueue_notice(db, space, "failure", "It broke.", 0)
        NotificationSender(context).send_next()
        assert not hooks.calls("/hooks", "POST")
    finally:
        context.close()


class Mail(socketserver.StreamRequestHandler):
    """Takes one e-mail, in the words of RFC 5321."""

    def handle(self) -> None:
        self.wfile.write(b"220 here\r\n")
        for raw in self.rfile:
            word = raw.strip().upper()
            if word == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                lines = []
                for line in self.rfile:
                    if line.strip() == b".":
                        break
                    lines.append(line.decode())
                self.server.taken.append("".join(lines))  # type: ignore[attr-defined]
            elif word == b"QUIT":
                self.wfile.write(b"221 bye\r\n")
                return
            self.wfile.write(b"250 fine\r\n")


@contextmanager
def mail(host: str = "127.0.0.1") -> Iterator[tuple[str, list[str]]]:
    with socketserver.ThreadingTCPServer((host, 0), Mail) as server:
        server.taken = []  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"smtp://{host}:{server.server_address[1]}", server.taken  # type: ignore[attr-defined]
        server.shutdown()


def test_an_e_mail_goes_out_by_the_servers_own_smtp(home: Path) -> None:
    with mail() as (url, taken):
        context = Context.of(Settings(home=home, smtp_url=url, mail_from="kite@example.com"))
        space = wants(context, failure={"email": {"enabled": True, "to": ["ops@example.com"]}})
        with context.store.write() as db:
            enqueue_notice(db, space, "failure", "Ünlucky: it broke.", 0, hint="Mend it.")
        assert NotificationSender(context).send_next()
        context.close()
    (message,) = taken
    assert "To: ops@example.com" in message
    assert "Subject: [Kitestring] A job failed (Default Workspace)" in message


def test_the_password_of_an_smtp_server_does_not_go_out_in_the_clear() -> None:
    messages = {"title": "A test", "workspace": "w", "sentence": "s", "hint": "", "data": {}}
    with mail("127.0.0.2") as (url, taken):
        with pytest.raises(ConfigError, match="does not support encryption"):
            send_email(url.replace("//", "//user:secret@"), "kite@example.com", ["a@example.com"], messages)
        assert not taken


def test_a_channel_is_tried_out_and_what_is_wrong_is_said(context: Context, hooks: Hooks) -> None:
    client, space = TestClient(create_app(context)), wants(context)
    body = {"workspaceId": space, "way": "webhook", "url": f"{hooks.url}/hooks/secret-path"}
    assert client.post("/api/kitestring/v1/notifications/test", json=body).json()["status"] == "succeeded"
    (call,) = hooks.calls("/hooks", "POST")
    assert call.json()["text"].startswith("A test (Default Workspace)")
    answer = client.post("/api/kitestring/v1/notifications/test", json={**body, "url": f"{hooks.url}/secret-nowhere"})
    assert answer.json()["status"] == "failed"
    assert "secret-nowhere" not in answer.text
    answer = client.post("/api/kitestring/v1/notifications/test", json={"workspaceId": space, "way": "email"})
    assert "SMTP" in answer.json()["message"]


def test_a_workspace_keeps_every_event_and_every_way_that_its_page_names(context: Context) -> None:
    client, space = TestClient(create_app(context)), wants(context)
    messages = {"failure": {"apprise": {"enabled": True, "urls": ["json://example.com"]}}}
    messages["suspicious"] = {"email": {"enabled": True, "to": ["ops@example.com"]}}  # type: ignore[dict-item]
    client.patch(f"/v1/workspaces/{space}", json={"notifications": messages})
    kept = client.get(f"/v1/workspaces/{space}").json()["notifications"]
    assert kept["failure"] == messages["failure"]
    assert kept["suspicious"] == messages["suspicious"]
    assert kept["success"] == {}


def test_the_audit_log_says_that_a_webhook_changed_and_not_its_address(context: Context) -> None:
    client, space = TestClient(create_app(context)), wants(context)
    messages = {"failure": {"webhook": {"enabled": True, "url": "https://hooks.example.com/secret-path"}}}
    client.patch(f"/v1/workspaces/{space}", json={"notifications": messages})
    with context.store.read() as db:
        noted = [str(row.changes) for row in db.execute(select(audit))]
    assert any("notifications.failure.webhook.url" in item for item in noted)
    assert not [item for item in noted if "secret-path" in item]


def test_an_address_is_sealed_at_rest_and_shown_to_those_alone_who_may_change_it(context: Context) -> None:
    tenant = Tenant.make(context, "acme")
    messages = {
        "failure": {"webhook": {"enabled": True, "url": "https://hooks.example.com/secret-path"}},
        "success": {"apprise": {"enabled": True, "urls": ["tgram://secret-token/chat", "${env:KITESTRING_CONFIG_A}"]}},
    }
    place = f"/v1/workspaces/{tenant.workspace_id}"
    boss, looker = (Browser(context, tenant.member(f"workspace_{role}")) for role in ("admin", "reader"))
    assert boss.patch(place, json={"notifications": messages}).json()["notifications"]["failure"] == messages["failure"]
    with context.store.read() as db:
        stored = str(workspaces.get(db, tenant.workspace_id).notifications)
    assert "secret" not in stored
    seen = looker.get(place)
    assert "secret" not in seen.text + looker.get("/v1/workspaces").text
    assert seen.json()["notifications"]["success"]["apprise"]["urls"] == [MASK, "${env:KITESTRING_CONFIG_A}"]
    # What was read with a mask may come back, and stands for what was there before.
    masked = {"failure": {"webhook": {"enabled": False, "url": MASK}}}
    assert boss.patch(place, json={"notifications": masked}).status_code == 200
    kept = boss.get(place).json()["notifications"]
    assert kept["failure"]["webhook"] == {**messages["failure"]["webhook"], "enabled": False}
    assert kept["success"] == messages["success"]
    answer = boss.patch(place, json={"notifications": {"syncDisabled": masked["failure"]}})
    assert (answer.status_code, "masked" in answer.text) == (422, True)
    # Another key takes the addresses over as it does the secrets of connectors.
    secret_box = SecretBox([b"n" * 32, *context.secret_box.keys.values()])
    assert rekey.rotate(context.store, secret_box)["workspaces"] == 1
    with context.store.read() as db:
        assert (
            notification_settings.open_channels(SecretBox([b"n" * 32]), workspaces.get(db, tenant.workspace_id))[
                "success"
            ]
            == messages["success"]
        )


def test_the_address_of_a_webhook_may_be_a_reference(context: Context, hooks: Hooks) -> None:
    place = context.settings.home / "secrets" / "hook"
    place.parent.mkdir()
    place.write_text(f"{hooks.url}/hooks/secret-path\n")
    space = wants(context, failure={"webhook": {"enabled": True, "url": f"${{file:{place}}}"}})
    with context.store.write() as db:
        enqueue_notice(db, space, "failure", "It broke.", 0)
    assert NotificationSender(context).send_next()
    assert len(hooks.calls("/hooks", "POST")) == 1


def test_refused_credentials_pause_a_schedule_at_once_with_the_reason(
    context: Context, tmp_path: Path, hooks: Hooks
) -> None:
    wants(context, failure=webhook(hooks), syncDisabled=webhook(hooks))
    connection_id = joined(context, tmp_path, timing=HOURLY)
    failed(context, connection_id, {"type": "AuthError", "message": "the token was refused", "hint": "Make another."})
    row = row_of(context, connection_id)
    assert (row.status, row.next_run_at_ms) == ("inactive", None)
    assert "the token was refused" in row.status_reason
    assert [item.event for item in left(context)] == ["failure", "syncDisabled"]
    with context.store.write() as db:
        connection.change(context, db, connection_id, {"status": "active"})
    assert row_of(context, connection_id).status_reason == ""


def test_a_connection_that_only_fails_is_paused_after_a_warning_and_a_success_starts_the_count_over(
    home: Path, tmp_path: Path, hooks: Hooks
) -> None:
    context = Context.of(Settings(home=home, pause_after=4))
    wants(context, syncDisabled=webhook(hooks), syncDisabledWarning=webhook(hooks))
    connection_id = joined(context, tmp_path / "out", timing=HOURLY)
    error = {"type": "ConnectorError", "message": "broken"}
    failed(context, connection_id, error)
    failed(context, connection_id, error)
    assert [item.event for item in left(context)] == ["syncDisabledWarning"]
    failed(context, connection_id, {}, "succeeded")
    assert row_of(context, connection_id).failures == 0
    for _ in range(4):
        assert row_of(context, connection_id).status == "active"
        failed(context, connection_id, error)
    assert row_of(context, connection_id).status == "inactive"
    context.close()


def test_a_receiver_that_never_will_take_it_is_given_up(context: Context) -> None:
    space = wants(context, failure={"email": {"enabled": True, "to": ["a@example.com"]}})
    with context.store.write() as db:
        enqueue_notice(db, space, "failure", "It broke.", 0)
    assert NotificationSender(context).send_next()  # there is no SMTP server
    assert not left(context)


@pytest.mark.parametrize(
    "address",
    ["syslog://", "SYSLOG://local0", "json://127.0.0.1:9/x syslog://", "json://127.0.0.1:9/x, dbus://"],
)
def test_a_notice_by_apprise_stays_out_of_the_machine_in_every_mode(context: Context, address: str) -> None:
    with pytest.raises(ConfigError, match=r"own machine|does not know"):
        outbox.send_test(context, "here", "apprise", address, [])


def test_a_template_of_apprise_is_no_file_of_the_server(context: Context, tmp_path: Path, hooks: Hooks) -> None:
    secret = tmp_path / "secret.json"
    secret.write_text('{"text": "geheim"}')
    place = hooks.url.removeprefix("http://")
    for address in (f"json://{place}/hooks/a?attach={secret}", f"workflows://{place}/a/b/?template={secret}"):
        with contextlib.suppress(KitestringError):
            outbox.send_test(context, "here", "apprise", address, [])
    assert "geheim" not in str([call.body for call in hooks.calls("/hooks/a")])


@pytest.mark.slow
def test_what_keeps_to_the_network_opens_no_file_and_no_program(tmp_path: Path) -> None:
    program = """
import os, socket, subprocess, sys, syslog
from kitestring.server.child.egress import restrict_to_network
restrict_to_network()
import http.client, json.tool, xml.dom.minidom
for name, attempt in {
    "read": lambda: open(sys.argv[1]).read(),
    "os": lambda: os.open(sys.argv[1], os.O_RDONLY),
    "write": lambda: open(sys.argv[1] + ".py", "w"),
    "run": lambda: subprocess.run(["true"]),
    "shell": lambda: os.system("true"),
    "log": lambda: syslog.syslog("x"),
    "socket": lambda: socket.socket(socket.AF_UNIX).connect(sys.argv[1]),
}.items():
    try:
        attempt()
        print(name, "passed")
    except Exception as error:
        print(name, type(error).__name__)
"""
    secret = tmp_path / "secret"
    secret.write_text("geheim")
    done = subprocess.run([sys.executable, "-c", program, str(secret)], capture_output=True, text=True, check=False)
    assert done.stdout.split("\n") == [
        *(f"{name} PermissionError" for name in ("read", "os", "write", "run", "shell", "log", "socket")), "",
    ], done.stderr  # fmt: skip
