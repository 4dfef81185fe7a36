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
from fastapi.testclient import TestClient
from sqlalchemy import select, update
from tenants import Browser, Tenant
from test_connections import joined

from kitestring.errors import ConfigError, KitestringError, SchemaError
from kitestring.redact import MASK
from kitestring.server.app import create_app
from kitestring.server.connections import connection, schema_change
from kitestring.server.connections.connection import Catalog
from kitestring.server.context import Context
from kitestring.server.http.problem import Problem
from kitestring.server.jobs import outcome
from kitestring.server.notifications import channels, outbox
from kitestring.server.notifications.outbox import NotificationSender, enqueue_notice, send_email
from kitestring.server.secrets import rekey
from kitestring.server.secrets.secret_box import SecretBox
from kitestring.server.settings import Settings
from kitestring.server.store.tables import audit, connections, jobs, notices
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
        workspaces.change(db, space, {"notifications": channels.seal_channels(context.secret_box, space, events, {})})
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
    told = {"title": "A test", "workspace": "w", "sentence": "s", "hint": "", "data": {}}
    with mail("127.0.0.2") as (url, taken):
        with pytest.raises(ConfigError, match="takes no encrypted connection"):
            send_email(url.replace("//", "//user:secret@"), "kite@example.com", ["a@example.com"], told)
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
    told = {"failure": {"apprise": {"enabled": True, "urls": ["json://example.com"]}}}
    told["suspicious"] = {"email": {"enabled": True, "to": ["ops@example.com"]}}  # type: ignore[dict-item]
    client.patch(f"/v1/workspaces/{space}", json={"notifications": told})
    kept = client.get(f"/v1/workspaces/{space}").json()["notifications"]
    assert kept["failure"] == told["failure"]
    assert kept["suspicious"] == told["suspicious"]
    assert kept["success"] == {}


def test_the_audit_log_says_that_a_webhook_changed_and_not_its_address(context: Context) -> None:
    client, space = TestClient(create_app(context)), wants(context)
    told = {"failure": {"webhook": {"enabled": True, "url": "https://hooks.example.com/secret-path"}}}
    client.patch(f"/v1/workspaces/{space}", json={"notifications": told})
    with context.store.read() as db:
        noted = [str(one.changes) for one in db.execute(select(audit))]
    assert any("notifications.failure.webhook.url" in one for one in noted)
    assert not [one for one in noted if "secret-path" in one]


def test_an_address_is_sealed_at_rest_and_shown_to_those_alone_who_may_change_it(context: Context) -> None:
    tenant = Tenant.make(context, "acme")
    told = {
        "failure": {"webhook": {"enabled": True, "url": "https://hooks.example.com/secret-path"}},
        "success": {"apprise": {"enabled": True, "urls": ["tgram://secret-token/chat", "${env:KITESTRING_CONFIG_A}"]}},
    }
    place = f"/v1/workspaces/{tenant.workspace_id}"
    boss, looker = (Browser(context, tenant.member(f"workspace_{role}")) for role in ("admin", "reader"))
    assert boss.patch(place, json={"notifications": told}).json()["notifications"]["failure"] == told["failure"]
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
    assert kept["failure"]["webhook"] == {**told["failure"]["webhook"], "enabled": False}
    assert kept["success"] == told["success"]
    answer = boss.patch(place, json={"notifications": {"syncDisabled": masked["failure"]}})
    assert (answer.status_code, "masked" in answer.text) == (422, True)
    # Another key takes the addresses over as it does the secrets of connectors.
    secret_box = SecretBox([b"n" * 32, *context.secret_box.keys.values()])
    assert rekey.rotate(context.store, secret_box)["workspaces"] == 1
    with context.store.read() as db:
        assert (
            channels.open_channels(SecretBox([b"n" * 32]), workspaces.get(db, tenant.workspace_id))["success"]
            == told["success"]
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


# -- the end of a job --------------------------------------------------------------------------------------------------


def failed(context: Context, connection_id: str, error: dict[str, str], status: str = "failed") -> None:
    """A job that ended so, and what follows."""
    with context.store.write() as db:
        job = context.queue.enqueue(db, connection_id)
        db.execute(update(jobs).where(jobs.c.id == job).values(status=status, error=error, ended_at_ms=1))
        outcome.record_job_end(context, db, job, status)


def row_of(context: Context, connection_id: str) -> Any:
    with context.store.read() as db:
        return connection.get(db, connection_id)


def test_refused_credentials_pause_a_schedule_at_once_with_the_reason(
    context: Context, tmp_path: Path, hooks: Hooks
) -> None:
    wants(context, failure=webhook(hooks), syncDisabled=webhook(hooks))
    connection_id = joined(context, tmp_path, timing=HOURLY)
    failed(context, connection_id, {"type": "AuthError", "message": "the token was refused", "hint": "Make another."})
    row = row_of(context, connection_id)
    assert (row.status, row.next_run_at_ms) == ("inactive", None)
    assert "the token was refused" in row.status_reason
    assert [one.event for one in left(context)] == ["failure", "syncDisabled"]
    with context.store.write() as db:
        connection.change(context, db, connection_id, {"status": "active"})
    assert row_of(context, connection_id).status_reason == ""


def test_a_connection_that_only_fails_is_paused_after_a_warning_and_a_success_counts_anew(
    home: Path, tmp_path: Path, hooks: Hooks
) -> None:
    context = Context.of(Settings(home=home, pause_after=4))
    wants(context, syncDisabled=webhook(hooks), syncDisabledWarning=webhook(hooks))
    connection_id = joined(context, tmp_path / "out", timing=HOURLY)
    error = {"type": "ConnectorError", "message": "broken"}
    failed(context, connection_id, error)
    failed(context, connection_id, error)
    assert [one.event for one in left(context)] == ["syncDisabledWarning"]
    failed(context, connection_id, {}, "succeeded")
    assert row_of(context, connection_id).failures == 0
    for _ in range(4):
        assert row_of(context, connection_id).status == "active"
        failed(context, connection_id, error)
    assert row_of(context, connection_id).status == "inactive"
    context.close()


# -- changes of a schema -----------------------------------------------------------------------------------------------


def altered(before: Catalog, stream: str, *, drop: str = "", add: str = "", gone: bool = False) -> dict[str, Any]:
    """The catalog with one field less, one more, or without the stream."""
    streams = []
    for one in before.streams:
        if one["name"] == stream:
            if gone:
                continue
            fields = {name: kind for name, kind in one["json_schema"]["properties"].items() if name != drop}
            if add:
                fields[add] = {"type": "string"}
            one = {**one, "json_schema": {**one["json_schema"], "properties": fields}}
        streams.append(one)
    return {"streams": streams}


@pytest.fixture
def users(context: Context, tmp_path: Path) -> str:
    streams = [{"name": "users", "syncMode": "incremental_deduped_history"}]
    return joined(context, tmp_path / "out", streams, timing=HOURLY)


def ask(context: Context, connection_id: str, policy: str, body: dict[str, Any]) -> Any:
    with context.store.write() as db:
        db.execute(update(connections).where(connections.c.id == connection_id).values(schema_policy=policy))
    return schema_change.handle(context, None, connection.plan_of(context, connection_id), body)


def before(context: Context, connection_id: str) -> Catalog:
    return Catalog(row_of(context, connection_id).catalog)


def test_a_new_field_stays_out_is_taken_or_pauses_as_the_policy_says(context: Context, users: str) -> None:
    grown = altered(before(context, users), "users", add="nickname")
    plan = ask(context, users, "ignore", grown)
    assert "nickname" not in plan.selections[0].fields
    assert "name" in plan.selections[0].fields
    with pytest.raises(SchemaError, match=r"new fields: users\.nickname"):
        ask(context, users, "disable_connection", grown)
    row = row_of(context, users)
    assert (row.status, row.pending_changes["changes"]["newFields"]) == ("inactive", ["users.nickname"])
    with context.store.write() as db:
        schema_change.accept(context, db, users)
    row = row_of(context, users)
    assert (row.status, row.pending_changes) == ("active", None)
    assert "nickname" in str(row.catalog)


def test_a_connection_can_be_held_against_what_its_source_has_now_without_changing_it(
    context: Context, users: str
) -> None:
    known = altered(before(context, users), "users", drop="email", add="nickname")
    with context.store.write() as db:
        db.execute(update(connections).where(connections.c.id == users).values(catalog=known))
    answer = TestClient(create_app(context)).post(f"/api/kitestring/v1/connections/{users}/diff")
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["newFields"], found["goneFields"]) == (["users.email"], ["users.nickname"])
    assert not any(found[kind] for kind in ("newStreams", "goneStreams", "otherTypes", "breaking"))
    row = row_of(context, users)
    assert (row.catalog, row.status, row.pending_changes) == (known, "active", None)


def test_a_change_that_breaks_nothing_can_be_dismissed_and_is_not_asked_for_again(context: Context, users: str) -> None:
    grown = altered(before(context, users), "users", add="nickname")
    with pytest.raises(SchemaError):
        ask(context, users, "disable_connection", grown)
    with context.store.write() as db:
        schema_change.dismiss(context, db, users)
    row = row_of(context, users)
    assert (row.status, row.pending_changes) == ("active", None)
    assert row.next_run_at_ms is not None
    assert ask(context, users, "disable_connection", grown) is None
    fields = connection.plan_of(context, users).selections[0].fields
    assert "name" in fields
    assert "nickname" not in fields


def test_a_change_that_breaks_cannot_be_dismissed(context: Context, users: str) -> None:
    with pytest.raises(SchemaError):
        ask(context, users, "ignore", altered(before(context, users), "users", drop="id"))
    with pytest.raises(Problem, match="breaks it"), context.store.write() as db:
        schema_change.dismiss(context, db, users)
    assert row_of(context, users).status == "inactive"


def test_columns_are_propagated_and_streams_too_where_that_is_wanted(context: Context, users: str) -> None:
    more = altered(before(context, users), "users", add="nickname")
    more["streams"].append({**more["streams"][0], "name": "teams"})
    assert ask(context, users, "propagate_columns", more) is None
    assert "nickname" in str(row_of(context, users).catalog)
    assert [one["name"] for one in row_of(context, users).streams] == ["users"]
    more["streams"].append({**more["streams"][0], "name": "rooms"})
    plan = ask(context, users, "propagate_fully", more)
    assert [one.name for one in plan.selections] == ["users", "rooms"]


@pytest.mark.parametrize(
    ("change", "fact"),
    [
        ({"drop": "id"}, "the primary key id of users is gone"),
        ({"drop": "updated_at"}, "the cursor updated_at of users is gone"),
        ({"gone": True}, "the stream users is gone"),
    ],
)
def test_what_breaks_pauses_and_asks_whatever_the_policy(
    context: Context, users: str, change: dict[str, Any], fact: str
) -> None:
    with pytest.raises(SchemaError, match=fact):
        ask(context, users, "propagate_fully", altered(before(context, users), "users", **change))
    assert fact in row_of(context, users).status_reason


def test_what_breaks_pauses_a_connection_too_that_is_run_by_hand_and_failures_do_not(
    context: Context, tmp_path: Path
) -> None:
    streams = [{"name": "users", "syncMode": "incremental_deduped_history"}]
    connection_id = joined(context, tmp_path / "out", streams)
    failed(context, connection_id, {"type": "AuthError", "message": "the token was refused"})
    assert row_of(context, connection_id).status == "active"
    with pytest.raises(SchemaError):
        ask(context, connection_id, "ignore", altered(before(context, connection_id), "users", drop="id"))
    row = row_of(context, connection_id)
    assert (row.status, "primary key id" in row.status_reason) == ("inactive", True)
    with context.store.write() as db:
        schema_change.accept(context, db, connection_id)
    assert row_of(context, connection_id).status == "active"


def test_a_field_that_nobody_needs_may_go(context: Context, users: str) -> None:
    less = altered(before(context, users), "users", drop="age")
    assert ask(context, users, "ignore", less) is None
    assert row_of(context, users).status == "active"


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
