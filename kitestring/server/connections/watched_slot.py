"""The replication slot of a connection in the store: its last report, lag, alerts, and its end with the connection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, or_, select, update

from kitestring.server.notifications.outbox import enqueue_notice
from kitestring.server.observability.totals import insert_of
from kitestring.server.store.tables import connections, jobs, replication_slots

LOOK_EVERY_MS = 60_000
IDLE_MS = 300_000
MOST_MARKS = 120
EVENT = "replicationSlot"
LOST = ("lost", "missing")

SHARED = (
    "the connection {name} reads the slot {slot} too",
    "Delete that connection as well, or give it a source with a slot of its own.",
)
FOREIGN = (
    "the slot {slot} of {place} was not created by this server",
    "If nobody else reads it, run there: {sql}",
)


def record_report(db: Connection, connection_id: str, report: Mapping[str, Any], now: int, limit_bytes: int) -> None:
    """Save a report of a connection's slot, and notify of what needs a person. In the caller's transaction.

    `limit_bytes`: how much of the log an idle slot may retain without a notice.
    """
    before = find(db, connection_id)
    same = before is not None and is_same(before.report, report)
    created = bool(report["created"]) or (same and before is not None and bool(before.created))
    marks = [*(before.marks if same and before is not None else ()), [now, report["end"]]]
    idle_since = before.inactive_since_ms if same and before is not None else None
    values: dict[str, Any] = {
        "report": dict(report),
        "created": created,
        "marks": needed_marks(marks, report["confirmed"]),
        "reported_at_ms": now,
        "inactive_since_ms": None if report["active"] else idle_since or now,
        "problem": "",
        "look_at_ms": now + LOOK_EVERY_MS,
    }
    if before is not None and before.removal is not None:  # the last report of a job does not put off the removal
        values["look_at_ms"] = before.look_at_ms
    if before is not None and before.created and not same:
        notify_left(db, connection_id, before.report, now)
    alert = alert_of(report, values["inactive_since_ms"], now, limit_bytes)
    if alert and (before is None or alert != before.alert):
        notify(db, connection_id, report, alert, now)
    new = insert_of(db)(replication_slots).values(connection_id=connection_id, alert=alert, **values)
    changes = {name: new.excluded[name] for name in (*values, "alert")}
    db.execute(new.on_conflict_do_update(index_elements=["connection_id"], set_=changes))


def find(db: Connection, connection_id: str) -> Any:
    """The row of a connection's slot; None where its source has none."""
    query = select(replication_slots).where(replication_slots.c.connection_id == connection_id)
    return db.execute(query).one_or_none()


def is_same(report: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two reports are of one slot: its name is unique in a database server."""
    if report["slot"] != other["slot"]:
        return False
    known = report["server"] and other["server"]
    return bool(report["server"] == other["server"] if known else report["place"] == other["place"])


def needed_marks(marks: list[list[int]], confirmed: int | None) -> list[list[int]]:
    """The newest mark that is confirmed, and those after it, thinned out where they are many."""
    first = max((n for n, (_, end) in enumerate(marks) if confirmed is not None and end <= confirmed), default=0)
    needed = marks[first:]
    return needed if len(needed) <= MOST_MARKS else [needed[0], *needed[1:-1:2], needed[-1]]


def behind_s(row: Any, now: int) -> float | None:
    """How old the newest moment is at which all that was committed is at the destination: an upper bound of the lag in
    seconds. None while that is not known."""
    confirmed = row.report["confirmed"]
    if confirmed is None:
        return None
    times = [at for at, end in row.marks if end <= confirmed]
    return max(0, now - max(times)) / 1000 if times else None


def behind_bytes(report: Mapping[str, Any]) -> int | None:
    return None if report["confirmed"] is None else max(0, report["end"] - report["confirmed"])


def state_of(report: Mapping[str, Any]) -> str:
    """One word: lost, missing, unreserved, else active or inactive."""
    status = str(report["wal_status"])
    if status in (*LOST, "unreserved"):
        return status
    return "active" if report["active"] else "inactive"


def view(row: Any, now: int) -> dict[str, Any] | None:
    """A slot as the API answers it."""
    if row is None:
        return None
    report, removal = row.report, row.removal
    return {
        "slot": report["slot"],
        "place": report["place"],
        "state": state_of(report),
        "walStatus": report["wal_status"],
        "retainedBytes": report["retained_bytes"],
        "safeBytes": report["safe_bytes"],
        "behindBytes": behind_bytes(report),
        "behindSeconds": behind_s(row, now),
        "reportedAtMs": row.reported_at_ms,
        "problem": row.problem,
        "alert": row.alert,
        "created": bool(row.created),
        "removal": None
        if removal is None
        else {"status": removal["status"], "message": removal["message"], "hint": removal["hint"]},
    }


# -- alerts ------------------------------------------------------------------------------------------------------------


def alert_of(report: Mapping[str, Any], idle_since: int | None, now: int, limit_bytes: int) -> str:
    """What a person has to know: `lost`, `unreserved`, or `idle` for a slot that nobody reads while the log grows."""
    if report["wal_status"] in LOST:
        return "lost"
    if report["wal_status"] == "unreserved":
        return "unreserved"
    is_idle = idle_since is not None and now - idle_since > IDLE_MS
    return "idle" if is_idle and report["retained_bytes"] > limit_bytes else ""


def notify(db: Connection, connection_id: str, report: Mapping[str, Any], alert: str, now: int) -> None:
    row = db.execute(select(connections).where(connections.c.id == connection_id)).one()
    slot, place, megabytes = report["slot"], report["place"], report["retained_bytes"] // 1_000_000
    sentence, hint = {
        "lost": (
            f"{place} does not have the log of the slot {slot} any more: {row.name} cannot go on from its state.",
            "Run a sync: its error names the choices.",
        ),
        "unreserved": (
            f"{place} is about to remove the log that the slot {slot} of {row.name} still needs.",
            "Sync now, or raise max_slot_wal_keep_size there.",
        ),
        "idle": (
            f"Nobody reads the slot {slot} of {row.name}, and {place} retains {megabytes} MB of its log for it.",
            "Sync the connection, or delete it: that drops the slot.",
        ),
    }[alert]
    facts = {"connection_id": row.id, "connection": row.name, "slot": slot, "state": alert}
    enqueue_notice(db, row.workspace_id, EVENT, sentence, now, hint=hint, **facts)


def notify_left(db: Connection, connection_id: str, report: Mapping[str, Any], now: int) -> None:
    """The source of the connection does not use this slot any more, and nobody else reads it."""
    row = db.execute(select(connections).where(connections.c.id == connection_id)).one()
    slot, place = report["slot"], report["place"]
    sentence = f"The source of {row.name} does not use the slot {slot} any more, and {place} retains its log for it."
    hint = f"If nobody reads it, run there: {drop_sql(slot)}"
    facts = {"connection_id": row.id, "connection": row.name, "slot": slot, "state": "left"}
    enqueue_notice(db, row.workspace_id, EVENT, sentence, now, hint=hint, **facts)


def drop_sql(slot: str) -> str:
    return f"SELECT pg_drop_replication_slot('{slot}');"


# -- the end of a connection -------------------------------------------------------------------------------------------


def request_removal(db: Connection, connection_id: str, now: int) -> None:
    """Have the slot of a deleted connection dropped, or note why not. In the transaction of the deletion."""
    row = find(db, connection_id)
    if row is None:
        return
    removal = {"status": "waiting", "tries": 0, "message": "", "hint": ""}
    refusal = reason_to_keep(db, row)
    if refusal is not None:
        keep(db, row, *refusal, now)
        return
    values = {"removal": removal, "look_at_ms": now}
    db.execute(update(replication_slots).where(replication_slots.c.connection_id == connection_id).values(**values))


def reason_to_keep(db: Connection, row: Any) -> tuple[str, str] | None:
    """Why the slot of a connection is not dropped with it, and what to do; None where it is."""
    report, c = row.report, connections.c
    if report["wal_status"] == "missing":
        return None
    source_id = db.execute(select(c.source_id).where(c.id == row.connection_id)).scalar_one()
    query = (
        select(c.id, c.name, c.source_id, replication_slots.c.report)
        .outerjoin(replication_slots, replication_slots.c.connection_id == c.id)
        .where(c.deleted_at_ms.is_(None), c.id != row.connection_id)
        .where(or_(c.source_id == source_id, replication_slots.c.connection_id.is_not(None)))
        .order_by(c.name)
    )
    for other in db.execute(query):
        if other.source_id == source_id or is_same(other.report, report):
            return SHARED[0].format(name=other.name, slot=report["slot"]), SHARED[1]
    rows = db.execute(select(replication_slots.c.report).where(replication_slots.c.created)).scalars()
    if not any(is_same(each, report) for each in rows):
        return in_words(FOREIGN, report)
    return None


def in_words(texts: tuple[str, str], report: Mapping[str, Any]) -> tuple[str, str]:
    slot = report["slot"]
    message, hint = (text.format(slot=slot, place=report["place"], sql=drop_sql(slot)) for text in texts)
    return message, hint


def keep(db: Connection, row: Any, message: str, hint: str, now: int) -> None:
    """The slot stays: note why, and notify."""
    connection = db.execute(select(connections).where(connections.c.id == row.connection_id)).one()
    removal = {"status": "kept", "tries": 0, "message": message, "hint": hint}
    values = {"removal": removal, "look_at_ms": None}
    db.execute(update(replication_slots).where(replication_slots.c.connection_id == row.connection_id).values(**values))
    sentence = f"{connection.name} was deleted, and its replication slot stays: {message.rstrip('.')}."
    facts = {"connection_id": connection.id, "connection": connection.name, "slot": row.report["slot"], "state": "kept"}
    enqueue_notice(db, connection.workspace_id, EVENT, sentence, now, hint=hint, **facts)


def has_running_job(db: Connection, connection_id: str) -> bool:
    query = select(jobs.c.id).where(jobs.c.connection_id == connection_id, jobs.c.status == "running")
    return db.execute(query.limit(1)).first() is not None
