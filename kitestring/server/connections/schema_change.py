"""Schema changes of a source, detected before a sync, and how the connection's policy handles them.

    ignore               go on with the fields that were there; new ones stay out
    propagate_columns    take new fields of the chosen streams
    propagate_fully      take new fields and new streams, drop streams that are gone
    disable_connection   pause, and ask

A change that breaks (the primary key or the cursor of a chosen stream is gone, or a chosen stream itself) always pauses
and asks. The names are those of `nonBreakingSchemaUpdatesBehavior` in Airbyte's API.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from sqlalchemy import Connection, update

from kitestring.airbyte import modes
from kitestring.engine.selection import Selection
from kitestring.errors import SchemaError
from kitestring.schema import field_types
from kitestring.server.connections import connection
from kitestring.server.connections.connection import Catalog, key_of
from kitestring.server.context import Context
from kitestring.server.http.problem import Problem
from kitestring.server.jobs.connection_plan import Plan
from kitestring.server.jobs.job_end import pause
from kitestring.server.notifications.outbox import enqueue_notice
from kitestring.server.observability import audit
from kitestring.server.store.tables import connections


@dataclass
class Changes:
    """The differences of two catalogs. `breaking` are sentences; the rest name streams and fields (`stream.field`)."""

    new_streams: list[str] = field(default_factory=list)
    gone_streams: list[str] = field(default_factory=list)
    new_fields: list[str] = field(default_factory=list)
    gone_fields: list[str] = field(default_factory=list)
    other_types: list[str] = field(default_factory=list)
    breaking: list[str] = field(default_factory=list)

    @property
    def any(self) -> bool:
        return any((self.new_streams, self.gone_streams, self.new_fields, self.gone_fields, self.other_types))

    def body(self) -> dict[str, list[str]]:
        return {
            "newStreams": self.new_streams,
            "goneStreams": self.gone_streams,
            "newFields": self.new_fields,
            "goneFields": self.gone_fields,
            "otherTypes": self.other_types,
            "breaking": self.breaking,
        }

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Changes:
        """The changes that `body` has written down."""
        names = ("newStreams", "goneStreams", "newFields", "goneFields", "otherTypes", "breaking")
        return cls(*(list(body.get(name) or ()) for name in names))

    def sentence(self) -> str:
        """In a line: what came, what went."""
        parts = [
            f"{label}: {', '.join(names[:5])}{f' and {len(names) - 5} more' if len(names) > 5 else ''}"
            for label, names in (
                ("new streams", self.new_streams),
                ("streams that are gone", self.gone_streams),
                ("new fields", self.new_fields),
                ("fields that are gone", self.gone_fields),
                ("fields of another type", self.other_types),
            )
            if names
        ]
        return "; ".join(self.breaking + parts)


def compare(before: Catalog, after: Catalog, chosen: Sequence[Mapping[str, Any]]) -> Changes:
    """Compare two catalogs. Of streams that are not selected, only new and removed ones are reported."""
    old = {key_of(stream): stream for stream in before.streams}
    new = {key_of(stream): stream for stream in after.streams}
    changes = Changes(
        new_streams=[key for key in new if key not in old], gone_streams=[key for key in old if key not in new]
    )
    for stream in chosen:
        key = key_of(stream)
        if key not in new:
            changes.breaking.append(f"the stream {key} is gone")
            continue
        was, now = fields_of(old.get(key, {})), fields_of(new[key])
        changes.new_fields += [f"{key}.{name}" for name in now if name not in was]
        changes.gone_fields += [f"{key}.{name}" for name in was if name not in now]
        changes.other_types += [f"{key}.{name}" for name in now if name in was and now[name] != was[name]]
        if now:
            for path in stream.get("primaryKey") or ():
                if path and path[0] not in now:
                    changes.breaking.append(f"the primary key {'.'.join(path)} of {key} is gone")
            if (chosen_fields := chosen_in(stream)) and not {*chosen_fields} & {*now}:
                changes.breaking.append(f"all chosen fields of {key} are gone")
            cursor = stream.get("cursorField") or ()
            if cursor and cursor[0] not in now and str(stream.get("syncMode", "")).startswith("incremental"):
                changes.breaking.append(f"the cursor {'.'.join(cursor)} of {key} is gone")
    return changes


def chosen_in(stream: Mapping[str, Any]) -> list[str]:
    """The top-level fields that are chosen in a configured stream; none where all are."""
    return [field["fieldPath"][0] for field in stream.get("selectedFields") or ()]


def fields_of(stream: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a stream with their types, null left out."""
    return field_types(stream.get("json_schema") or {})


def handle(context: Context, claim: Any, plan: Plan, body: Mapping[str, Any]) -> Plan | None:
    """Handle a changed catalog of the source before a sync; returns the plan to go on with.

    `SchemaError` where the connection is paused until a user decides.
    """
    with context.store.write() as db:
        row = connection.get(db, plan.connection_id)
        after, now = Catalog(body), context.store.now_ms(db)
        before = Catalog(row.catalog or {"streams": []})
        changes = compare(before, after, row.streams)
        removed = [key for key in (key_of(stream) for stream in row.streams) if key in changes.gone_streams]
        breaking = changes.breaking
        if row.schema_policy == "propagate_fully" and len(removed) == len(breaking) < len(row.streams):
            breaking = []
        if breaking or (row.schema_policy == "disable_connection" and changes.any):
            pause_for_decision(db, row, changes, after, now)
            note_decision(context, db, row, "ask", changes)
        else:
            return follow_policy(context, db, row, plan, changes, after, now)
    raise SchemaError(
        f"the schema of the source has changed: {changes.sentence()}",
        hint="The connection is paused. Accept the change, or correct the source; then activate the connection again.",
    )


def note_decision(
    context: Context,
    db: Connection,
    row: Any,
    action: Literal["ask", "adopt", "accept", "dismiss"],
    changes: Changes | Mapping[str, Any],
) -> None:
    """Note in the audit log what became of a change, for the history of the connection."""
    if not isinstance(changes, Changes):
        changes = Changes.of(changes)
    audit.note(
        db,
        context.store,
        actor=audit.ACTOR.get() or "Kitestring",
        action=action,
        kind="schema_change",
        resource_id=row.id,
        workspace_id=row.workspace_id,
        changes={"schema": [None, audit.audit_value(changes.sentence())]},
    )


def pause_for_decision(db: Connection, row: Any, changes: Changes, after: Catalog, now: int) -> None:
    """Store the change for a user to decide on, pause the connection, and notify."""
    db.execute(
        update(connections)
        .where(connections.c.id == row.id)
        .values(pending_changes={"changes": changes.body(), "catalog": dict(after.body)}, updated_at_ms=now)
    )
    facts = {"connection_id": row.id, "connection": row.name, "changes": changes.body()}
    sentence = f"The schema of the source of {row.name} has changed: {changes.sentence()}."
    hint = "Accept the change, or correct the source; then activate the connection again."
    enqueue_notice(db, row.workspace_id, "connectionUpdateActionRequired", sentence, now, hint=hint, **facts)
    pause(db, row, f"the schema of the source has changed: {changes.sentence()}", now, by_hand=True)


def follow_policy(
    context: Context, db: Connection, row: Any, plan: Plan, changes: Changes, after: Catalog, now: int
) -> Plan | None:
    """Follow the policy where nothing breaks; the plan of this sync, None for the one it has."""
    if row.schema_policy == "ignore":
        return with_old_fields(plan, changes, Catalog(row.catalog or {"streams": []}))
    gone = {*changes.gone_fields}
    streams = [
        reconfigure(after, stream) if gone & {f"{key_of(stream)}.{name}" for name in chosen_in(stream)} else stream
        for stream in row.streams
    ]
    if row.schema_policy == "propagate_fully":
        streams = [stream for stream in streams if key_of(stream) not in changes.gone_streams]
        streams += [new_stream(after, key) for key in changes.new_streams]
    if changes.any:
        values = {"catalog": dict(after.body), "streams": streams, "pending_changes": None, "updated_at_ms": now}
        db.execute(update(connections).where(connections.c.id == row.id).values(**values))
        note_decision(context, db, row, "adopt", changes)
        facts = {"connection_id": row.id, "connection": row.name, "changes": changes.body()}
        sentence = f"The schema of the source of {row.name} has changed: {changes.sentence()}."
        enqueue_notice(
            db, row.workspace_id, "connectionUpdate", sentence, now, hint="The change was taken over.", **facts
        )
    return connection.plan(context, db, row.id) if streams != list(row.streams) else None


def new_stream(catalog: Catalog, key: str) -> dict[str, Any]:
    """A new stream, incremental and without duplicates where it can be."""
    stream = next(candidate for candidate in catalog.streams if key_of(candidate) == key)
    request = {"name": stream["name"], "namespace": stream.get("namespace")}
    for mode in ("incremental_deduped_history", "incremental_append", modes.DEFAULT):
        try:
            return connection.configure_stream(catalog, {**request, "syncMode": mode})
        except Problem:
            continue
    return connection.configure_stream(catalog, request)


def with_old_fields(plan: Plan, changes: Changes, before: Catalog) -> Plan | None:
    """The plan with the fields that were there and still are, where a stream has new ones and takes all, or where a
    chosen one is gone."""
    old_fields = {key_of(stream): list(fields_of(stream)) for stream in before.streams}
    grown = {key for key in old_fields if any(name.startswith(f"{key}.") for name in changes.new_fields)}
    gone = {*changes.gone_fields}

    def narrowed(stream: Selection) -> Selection:
        fields = stream.fields or (old_fields.get(stream.name) if stream.name in grown else None)
        if not fields:
            return stream
        return replace(stream, fields=[f for f in fields if f"{stream.name}.{f.partition('.')[0]}" not in gone])

    selections = tuple(map(narrowed, plan.selections))
    return replace(plan, selections=selections) if selections != plan.selections else None


def accept(context: Context, db: Connection, connection_id: str) -> None:
    """Take over the change that waits, and activate the connection. 409 without one, 422 where a stream cannot."""
    row = connection.get(db, connection_id)
    if not row.pending_changes:
        raise Problem(409, f"no change of {row.name} is pending", hint="There is nothing to accept.")
    catalog = Catalog(row.pending_changes["catalog"])
    streams = [
        reconfigure(catalog, stream) for stream in row.streams if catalog.get(stream["name"], stream.get("namespace"))
    ]
    connection.change(
        context,
        db,
        connection_id,
        {"catalog": dict(catalog.body), "streams": streams, "pending_changes": None, "status": "active"},
    )
    note_decision(context, db, row, "accept", row.pending_changes["changes"])


def dismiss(context: Context, db: Connection, connection_id: str) -> None:
    """Go on with the streams and fields as they were chosen, and activate the connection. 409 without a change that
    waits, or with one that breaks: nothing can go on without its key, its cursor or the stream itself."""
    row = connection.get(db, connection_id)
    if not row.pending_changes:
        raise Problem(409, f"no change of {row.name} is pending", hint="There is nothing to dismiss.")
    if row.pending_changes["changes"]["breaking"]:
        raise Problem(
            409,
            f"the change of {row.name} breaks it: {'; '.join(row.pending_changes['changes']['breaking'])}",
            hint="Accept it, or choose other streams.",
        )
    before, after = Catalog(row.catalog or {"streams": []}), Catalog(row.pending_changes["catalog"])
    streams = [without_added_fields(before, after, stream) for stream in row.streams]
    values = {"catalog": dict(after.body), "streams": streams, "pending_changes": None, "status": "active"}
    connection.change(context, db, connection_id, values)
    note_decision(context, db, row, "dismiss", row.pending_changes["changes"])


def without_added_fields(before: Catalog, after: Catalog, stream: Mapping[str, Any]) -> dict[str, Any]:
    """A chosen stream without the fields that are new: those that were there and still are, by name."""
    was = fields_of(before.get(stream["name"], stream.get("namespace")) or {})
    now = fields_of(after.get(stream["name"], stream.get("namespace")) or {})
    if stream.get("selectedFields") or not was or set(now) <= set(was):
        return reconfigure(after, stream)
    return reconfigure(after, {**stream, "selectedFields": [{"fieldPath": [name]} for name in was if name in now]})


def reconfigure(catalog: Catalog, configured: Mapping[str, Any]) -> dict[str, Any]:
    """A chosen stream, with a key, a cursor and fields that are still there."""
    stream = catalog.get(configured["name"], configured.get("namespace"))
    fields = fields_of(stream or {})
    request = dict(configured)
    if fields:
        if any(path and path[0] not in fields for path in configured.get("primaryKey") or ()):
            request.pop("primaryKey")
        if (configured.get("cursorField") or [""])[0] not in {"", *fields}:
            request.pop("cursorField")
        if configured.get("selectedFields"):
            request["selectedFields"] = [f for f in configured["selectedFields"] if f["fieldPath"][0] in fields]
    return connection.configure_stream(catalog, request)
