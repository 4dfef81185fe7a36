"""The replication slot of a connection: its lag, the notices about it, and what a deletion does with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient
from sqlalchemy import select, update
from test_connections import joined
from test_metrics import values

from kitestring.replication_slot import SlotReport
from kitestring.server.app import create_app
from kitestring.server.connections import connection, watched_slot
from kitestring.server.connections.slot_monitor import SlotMonitor
from kitestring.server.context import Context
from kitestring.server.notifications import notification_settings
from kitestring.server.store.tables import notices, replication_slots
from kitestring.server.workspaces import workspaces

MINUTE = 60_000
LIMIT = 1_000_000


def report(**changes: Any) -> dict[str, Any]:
    slot: dict[str, Any] = {
        "server": "7", "place": "PostgreSQL at db:5432/shop", "slot": "kitestring", "publication": "kitestring",
        "wal_status": "reserved", "active": False, "end": 5_000, "confirmed": 5_000, "retained_bytes": 500,
        "safe_bytes": None, "created": True,
    }  # fmt: skip
    return SlotReport(**{**slot, **changes}).as_dict()


def record(context: Context, connection_id: str, at: int, **changes: Any) -> None:
    with context.store.write() as db:
        watched_slot.record_report(db, connection_id, report(**changes), at, LIMIT)


def view(context: Context, connection_id: str, now: int = 0) -> dict[str, Any]:
    with context.store.read() as db:
        return watched_slot.view(watched_slot.find(db, connection_id), now) or {}


def notified(context: Context) -> list[str]:
    """The sentences that wait to be sent."""
    with context.store.read() as db:
        return [row.body["sentence"] for row in db.execute(select(notices).order_by(notices.c.id))]


def listen(context: Context) -> None:
    """Give the workspace a channel for failures."""
    channels = {"failure": {"webhook": {"enabled": True, "url": "http://127.0.0.1:9/hook"}}}
    with context.store.write() as db:
        space = workspaces.default(db).id
        sealed = notification_settings.seal_channels(context.secret_box, space, channels, {})
        workspaces.change(db, space, {"notifications": sealed})


def test_the_lag_in_seconds_is_the_age_of_the_newest_moment_that_is_confirmed(context: Context, tmp_path: Path) -> None:
    key = joined(context, tmp_path)
    record(context, key, 10_000, end=5_000, confirmed=5_000)
    record(context, key, 20_000, end=6_000, confirmed=5_500)
    record(context, key, 30_000, end=9_000, confirmed=6_000)
    slot = view(context, key, 31_000)
    assert (slot["behindBytes"], slot["behindSeconds"]) == (3_000, 11.0)
    record(context, key, 32_000, end=9_000, confirmed=9_000)
    assert (view(context, key, 32_000)["behindBytes"], view(context, key, 32_000)["behindSeconds"]) == (0, 0.0)
    record(context, key, 40_000, slot="another", end=99, confirmed=50)
    assert view(context, key, 40_000)["behindSeconds"] is None


def test_many_marks_are_thinned_out_and_the_confirmed_one_stays(context: Context, tmp_path: Path) -> None:
    key = joined(context, tmp_path)
    for number in range(300):
        record(context, key, number * 1_000, end=1_000 + number, confirmed=1_000)
    with context.store.read() as db:
        marks = watched_slot.find(db, key).marks
    assert len(marks) <= watched_slot.MOST_MARKS
    assert (marks[0], marks[-1]) == ([0, 1_000], [299_000, 1_299])
    assert view(context, key, 299_000)["behindSeconds"] == 299.0


def test_an_idle_slot_that_retains_much_is_notified_once_and_again_after_a_sync(
    context: Context, tmp_path: Path
) -> None:
    listen(context)
    key = joined(context, tmp_path)
    for minute in range(5):
        record(context, key, minute * MINUTE, retained_bytes=LIMIT + 1)
    assert notified(context) == []
    for minute in range(6, 9):
        record(context, key, minute * MINUTE, retained_bytes=LIMIT + 1)
    (sentence,) = notified(context)
    assert "retains 1 MB" in sentence
    record(context, key, 9 * MINUTE, active=True, retained_bytes=LIMIT + 1)
    for minute in range(10, 17):
        record(context, key, minute * MINUTE, retained_bytes=LIMIT + 1)
    assert len(notified(context)) == 2
    record(context, key, 20 * MINUTE, retained_bytes=LIMIT)
    assert view(context, key)["alert"] == ""


def test_a_slot_whose_log_goes_is_notified_in_each_stage(context: Context, tmp_path: Path) -> None:
    listen(context)
    key = joined(context, tmp_path)
    for at, status in enumerate(("reserved", "extended", "unreserved", "unreserved", "lost", "lost")):
        record(context, key, at, wal_status=status, active=True)
    about_to_go, gone = notified(context)
    assert "is about to remove the log" in about_to_go
    assert "does not have the log" in gone
    assert view(context, key)["state"] == "lost"


def test_a_slot_that_the_source_does_not_use_any_more_is_notified(context: Context, tmp_path: Path) -> None:
    listen(context)
    key = joined(context, tmp_path)
    record(context, key, 0)
    record(context, key, 1, slot="another", created=False)
    (sentence,) = notified(context)
    assert "does not use the slot kitestring any more" in sentence
    assert view(context, key)["created"] is False


def test_a_deletion_keeps_a_slot_that_is_not_ours_and_says_how_to_drop_it(context: Context, tmp_path: Path) -> None:
    listen(context)
    client = TestClient(create_app(context))
    key = joined(context, tmp_path)
    record(context, key, 0, created=False)
    before = client.get(f"/api/kitestring/v1/connections/{key}/slot").json()
    assert client.delete(f"/v1/connections/{key}").status_code == 204
    removal = client.get(f"/api/kitestring/v1/connections/{key}/slot").json()["slot"]["removal"]
    assert removal == before["keptBecause"]
    assert "was not created by this server" in removal["message"]
    assert "SELECT pg_drop_replication_slot('kitestring');" in removal["hint"]
    assert len(notified(context)) == 1
    assert not SlotMonitor(context).look_at_next()


def test_a_deletion_keeps_a_slot_that_a_connection_of_another_source_reads(context: Context, tmp_path: Path) -> None:
    first, second = joined(context, tmp_path / "a"), joined(context, tmp_path / "b", name="second")
    record(context, first, 0)
    record(context, second, 0, place="PostgreSQL at 10.0.0.1:5432/shop", created=False)
    with context.store.write() as db:
        connection.delete(context, db, first)
    assert view(context, first)["removal"]["message"] == "the connection second reads the slot kitestring too"
    with context.store.write() as db:
        connection.delete(context, db, second)
    assert view(context, second)["removal"]["status"] == "waiting", "the first one had created it"


def test_the_last_report_of_a_job_does_not_put_off_the_removal(context: Context, tmp_path: Path) -> None:
    key = joined(context, tmp_path)
    record(context, key, 0)
    with context.store.write() as db:
        connection.delete(context, db, key)
        due = watched_slot.find(db, key).look_at_ms
    record(context, key, due + 5_000, end=6_000)
    with context.store.read() as db:
        row = watched_slot.find(db, key)
    assert (row.removal["status"], row.look_at_ms, row.report["end"]) == ("waiting", due, 6_000)


def test_a_slot_that_cannot_be_dropped_is_kept_and_the_reason_is_notified(context: Context, tmp_path: Path) -> None:
    listen(context)
    key = joined(context, tmp_path)
    record(context, key, 0)
    with context.store.write() as db:
        connection.delete(context, db, key)
    assert SlotMonitor(context).look_at_next()
    removal = view(context, key)["removal"]
    assert removal["status"] == "kept"
    assert removal["message"] == "the connection read the slot kitestring, and the source uses no slot now"
    assert "pg_drop_replication_slot" in removal["hint"]
    assert len(notified(context)) == 1
    assert not SlotMonitor(context).look_at_next()


def test_a_source_that_captures_nothing_any_more_is_not_looked_at_again(context: Context, tmp_path: Path) -> None:
    listen(context)
    key = joined(context, tmp_path)
    record(context, key, 0)
    assert SlotMonitor(context).look_at_next()
    assert view(context, key)["problem"] == "the source captures no changes any more"
    assert len(notified(context)) == 1
    with context.store.write() as db:
        db.execute(update(replication_slots).values(problem=""))
    assert not SlotMonitor(context).look_at_next()


def test_the_figures_of_a_slot_are_metrics_of_its_connection(context: Context, tmp_path: Path) -> None:
    client = TestClient(create_app(context))
    key = joined(context, tmp_path)
    record(context, key, 0, end=9_000, wal_status="unreserved", retained_bytes=7_000)
    figures = {name[0]: value for name, value in values(client).items() if name[1:] == (key, "kitestring")}
    assert figures.pop("kitestring_slot_behind_seconds", None) is None
    assert figures.pop("kitestring_slot_report_age_seconds") > 0
    assert figures == {
        "kitestring_slot_active": 0,
        "kitestring_slot_healthy": 0,
        "kitestring_slot_retained_bytes": 7_000,
        "kitestring_slot_behind_bytes": 4_000,
    }
