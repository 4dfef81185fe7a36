"""Connections: a source, a destination, the streams between them, a schedule.

Streams are kept as Airbyte's API has them (`StreamConfiguration`); `plan_of` makes the engine's selections of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, insert, select, update

from kitestring.airbyte import modes
from kitestring.engine.selection import NewFields, Selection
from kitestring.errors import ConfigError
from kitestring.server.connections import (
    continuous_connection,
    endpoints,
    schedule,
    stream_deletes,
    stream_mappers,
    watched_slot,
)
from kitestring.server.connectors import definitions
from kitestring.server.context import Context
from kitestring.server.http.problem import Problem, missing_resource
from kitestring.server.http.version_match import require_match, version_of
from kitestring.server.jobs.config_updates import ConfigUpdater
from kitestring.server.jobs.connection_plan import Plan
from kitestring.server.jobs.queue import Busy
from kitestring.server.observability.audit import ACTOR
from kitestring.server.observability.totals import insert_of
from kitestring.server.store.store import new_id
from kitestring.server.store.tables import connection_tags, connections, discoveries, states, tags
from kitestring.suggest import did_you_mean
from kitestring.types import SyncMode

POLICIES = ("ignore", "disable_connection", "propagate_columns", "propagate_fully")
NEW_FIELDS: Mapping[str, NewFields] = {"ignore": "leave", "disable_connection": "stop"}
"""The rule of a policy for a schema that changes while the source is read. The other policies take the new fields."""
NAMESPACES = ("source", "destination", "custom_format")
DISCOVER_S = 300.0


@dataclass(frozen=True, slots=True)
class Catalog:
    """The streams of a source as they were discovered: the body of a CATALOG message of Airbyte's protocol."""

    body: Mapping[str, Any]

    @property
    def streams(self) -> list[Mapping[str, Any]]:
        return list(self.body.get("streams") or ())

    def get(self, name: str, namespace: str | None = None) -> Mapping[str, Any] | None:
        """The stream of this name; without a namespace, the only one that bears it."""
        matches = [stream for stream in self.streams if stream["name"] == name]
        exact = [stream for stream in matches if (stream.get("namespace") or None) == (namespace or None)]
        return exact[0] if exact else matches[0] if len(matches) == 1 and not namespace else None


def discover(context: Context, source_id: str, *, fresh: bool = False) -> Catalog:
    """The catalog of a source: the one that is kept for its configuration, or (`fresh`, or none kept) a new one.

    Calls the source, in a child process: not inside a transaction.
    """
    with context.store.read() as db:
        row = endpoints.get(db, "source", source_id)
        definition = endpoints.definition_of(db, "source", row)
        mark = definitions.fingerprint(definition, row.config)
        cached = db.execute(select(discoveries).where(discoveries.c.source_id == source_id)).one_or_none()
        end = endpoints.endpoint_of(context, db, "source", source_id)
    if cached is not None and cached.config_hash == mark and not fresh:
        return Catalog(cached.catalog)
    body = context.runner.run(
        "discover",
        {"source": end.body()},
        limit_s=DISCOVER_S,
        updater=ConfigUpdater(context, source=end),
    )
    with context.store.write() as db:
        new = insert_of(db)(discoveries).values(
            source_id=source_id, config_hash=mark, catalog=body, at_ms=context.store.now_ms(db)
        )
        # Two may discover at once.
        values = {name: new.excluded[name] for name in ("config_hash", "catalog", "at_ms")}
        db.execute(new.on_conflict_do_update(index_elements=["source_id"], set_=values))
    return Catalog(body)


def configure_streams(catalog: Catalog, streams: Sequence[Mapping[str, Any]] | None) -> list[dict[str, Any]]:
    """The streams of a request, checked against the catalog and completed; all of the catalog where it names none.

    `Problem` 422 names what cannot be.
    """
    if streams is None:
        streams = [{"name": request["name"], "namespace": request.get("namespace")} for request in catalog.streams]
    done: list[dict[str, Any]] = []
    for request in streams:
        stream = configure_stream(catalog, request)
        if any((stream["name"], stream.get("namespace")) == (other["name"], other.get("namespace")) for other in done):
            raise Problem(
                422, f"the stream {stream['name']} appears twice in configurations", hint="Keep one of the two."
            )
        written = stream.get("namespace"), stream.get("destinationObjectName") or stream["name"]
        for other in done:
            if written == (other.get("namespace"), other.get("destinationObjectName") or other["name"]):
                raise Problem(
                    422,
                    f"the streams {other['name']} and {stream['name']} would both be written as {written[1]}",
                    hint="Give one of them another destinationObjectName.",
                )
        done.append(stream)
    return done


def configure_stream(catalog: Catalog, request: Mapping[str, Any]) -> dict[str, Any]:
    """One stream of a request, with what it leaves open chosen from the catalog."""
    name, namespace = str(request["name"]), request.get("namespace")
    stream = catalog.get(name, namespace)
    if stream is None:
        names = sorted(str(other["name"]) for other in catalog.streams)
        raise Problem(
            422,
            f"the source has no stream {name}{did_you_mean(name, names)}",
            hint=f"It has: {', '.join(names[:30])}{', …' if len(names) > 30 else ''}.",
        )
    mode = request.get("syncMode") or modes.DEFAULT
    if mode not in modes.MODES:
        raise Problem(
            422, f"the sync mode {mode} of {name} is not supported", hint=f"Take one of {', '.join(modes.MODES)}."
        )
    reads = modes.MODES[mode].reads
    can = stream.get("supported_sync_modes") or ["full_refresh"]
    if reads not in can:
        raise Problem(
            422,
            f"the sync mode {mode} reads {name} as {reads}, and its source can only {' or '.join(can)}",
            hint=f"Take one of {', '.join(other.name for other in modes.MODES.values() if other.reads in can)}.",
        )
    if request.get("includeFiles"):
        raise Problem(422, f"{name} requests files, and only records are moved", hint="Leave `includeFiles` out.")
    renamed = request.get("destinationObjectName")
    cursor = request.get("cursorField") or (stream.get("default_cursor_field") if reads == "incremental" else None)
    if reads == "incremental" and not cursor and not stream.get("source_defined_cursor") and len(can) > 1:
        raise Problem(
            422, f"{name} is read incrementally by no field", hint='Name its cursorField, such as ["updated_at"].'
        )
    key = request.get("primaryKey") or stream.get("source_defined_primary_key")
    if modes.MODES[mode].needs_key and not key:
        raise Problem(
            422,
            f"the sync mode {mode} needs a primary key, and {name} has none",
            hint='Name its primaryKey, such as [["id"]].',
        )
    configured: dict[str, Any] = {"name": name, "syncMode": mode}
    if renamed:
        configured["destinationObjectName"] = renamed
    if stream.get("namespace"):
        configured["namespace"] = stream["namespace"]
    if cursor:
        configured["cursorField"] = list(cursor)
    if key:
        configured["primaryKey"] = [list(path) for path in key]
    fields = [list(field["fieldPath"]) for field in request.get("selectedFields") or () if field.get("fieldPath")]
    if fields:
        properties = set((stream.get("json_schema") or {}).get("properties") or {})
        for field in fields:
            if properties and field[0] not in properties:
                raise Problem(
                    422, f"{name} has no field {'.'.join(field)}", hint=f"It has: {', '.join(sorted(properties)[:50])}."
                )
        configured["selectedFields"] = [{"fieldPath": field} for field in fields]
    detection = stream_deletes.validate(request.get("detectDeletes"), name, modes.MODES[mode])
    if detection is not None:
        configured["detectDeletes"] = detection
    if request.get("mappers"):
        configured["mappers"] = stream_mappers.validate(
            request["mappers"], stream, configured, modes.MODES[mode].writes
        )
    return configured


def create(
    context: Context,
    db: Connection,
    *,
    source_id: str,
    destination_id: str,
    streams: Sequence[Mapping[str, Any]],
    catalog: Catalog,
    name: str = "",
    status: str = "active",
    timing: Mapping[str, Any] | None = None,
    namespace_definition: str = "destination",
    namespace_format: str | None = None,
    prefix: str = "",
    schema_policy: str = "ignore",
    tag_ids: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
    origin: str = "",
) -> str:
    """A new connection; its id. `streams` as `configured` makes them; `timing` as `schedule.py` has it."""
    source, destination = endpoints.get(db, "source", source_id), endpoints.get(db, "destination", destination_id)
    if source.workspace_id != destination.workspace_id:
        raise Problem(
            422,
            "the source and the destination are in different workspaces",
            hint="Take a destination of the source's workspace.",
        )
    connection_id, now, form = new_id(), context.store.now_ms(db), schedule.parse(timing or schedule.MANUAL)
    db.execute(
        insert(connections).values(
            id=connection_id,
            workspace_id=source.workspace_id,
            name=name or f"{source.name} → {destination.name}",
            source_id=source_id,
            destination_id=destination_id,
            status=status,
            schedule=form,
            next_run_at_ms=schedule.first_ms(form, now, connection_id) if status == "active" else None,
            namespace_definition=namespace_definition,
            namespace_format=namespace_format,
            prefix=prefix,
            schema_policy=schema_policy,
            streams=[dict(stream) for stream in streams],
            catalog=dict(catalog.body),
            options=dict(options or {}),
            origin=origin,
            created_by=ACTOR.get(),
            created_at_ms=now,
            updated_at_ms=now,
        )
    )
    tag(db, connection_id, source.workspace_id, tag_ids)
    check_plan(context, db, connection_id)
    return connection_id


def change(context: Context, db: Connection, connection_id: str, values: Mapping[str, Any]) -> None:
    """Change columns of a connection; `tag_ids` among them replaces its tags."""
    row = get(db, connection_id)
    columns = {key: value for key, value in values.items() if key != "tag_ids"}
    if columns:
        now = columns["updated_at_ms"] = context.store.now_ms(db)
        if "schedule" in columns or "status" in columns:
            form = columns["schedule"] = schedule.parse(columns.get("schedule", row.schedule))
            active = columns.get("status", row.status) == "active"
            columns["next_run_at_ms"] = schedule.first_ms(form, now, connection_id) if active else None
            if active and row.status != "active":
                columns |= {"status_reason": "", "failures": 0}
        db.execute(update(connections).where(connections.c.id == connection_id).values(**columns))
    if "tag_ids" in values:
        tag(db, connection_id, row.workspace_id, values["tag_ids"])
    check_plan(context, db, connection_id)


def delete(context: Context, db: Connection, connection_id: str) -> None:
    """Delete a connection: it is not run again, its history stays. Its job, if there is one, is cancelled, and then its
    replication slot is dropped by the slot monitor."""
    get(db, connection_id)
    now = context.store.now_ms(db)
    active = context.queue.active(db, connection_id)
    if active is not None:
        context.queue.cancel(db, active)
    db.execute(states.delete().where(states.c.connection_id == connection_id))
    db.execute(
        update(connections)
        .where(connections.c.id == connection_id)
        .values(deleted_at_ms=now, status="deprecated", next_run_at_ms=None, updated_at_ms=now)
    )
    watched_slot.request_removal(db, connection_id, now)


def start(
    context: Context, db: Connection, connection_id: str, kind: str = "sync", options: Mapping[str, Any] | None = None
) -> int:
    """A new job, asked for by one of Airbyte's clients; its id. 409 while the connection has one that has not ended.

    Also for a sync of a connection that is not active, as Airbyte answers: clients take it for "enable it first".
    """
    row = get(db, connection_id)
    if kind == "sync" and row.status != "active":
        why = f": {row.status_reason}" if row.status_reason else ""
        raise Problem(409, f"the connection {connection_id} is {row.status}{why}", hint="Set its status to active.")
    try:
        return context.queue.enqueue(db, connection_id, kind, cause="api", options=options)
    except Busy as busy:
        raise Problem(409, busy.message, hint=busy.hint, jobId=busy.fields["job_id"]) from busy


def delete_endpoint(context: Context, db: Connection, kind: definitions.Kind, actor_id: str) -> None:
    """Delete a source or a destination, and the connections that use it."""
    column = connections.c.source_id if kind == "source" else connections.c.destination_id
    used = select(connections.c.id).where(column == actor_id, connections.c.deleted_at_ms.is_(None))
    for connection_id in db.execute(used).scalars().all():
        delete(context, db, connection_id)
    endpoints.delete(context, db, kind, actor_id)


def get(db: Connection, connection_id: str, *, deleted: bool = False) -> Any:
    """A connection's row. 404 without one, or when it was deleted and `deleted` is not set."""
    row = db.execute(select(connections).where(connections.c.id == connection_id)).one_or_none()
    if row is None or (row.deleted_at_ms is not None and not deleted):
        raise missing_resource("connection", connection_id)
    return row


VERSIONED = (
    *("name", "streams", "schedule", "prefix", "namespace_definition", "namespace_format", "schema_policy"),
    "pending_changes",
)
"""The columns that people change, or decide about."""


def version(row: Any) -> str:
    """A value that differs after each change of the settings and streams of a connection, and of nothing else."""
    return version_of([getattr(row, name) for name in VERSIONED])


def require_version(db: Connection, connection_id: str, expected: str | None) -> None:
    """412 if somebody has changed the connection since this version was loaded. None or `*` takes any."""
    if expected is None:
        return
    query = select(connections).where(connections.c.id == connection_id).with_for_update(key_share=True)
    row = db.execute(query).one_or_none()
    require_match("connection", None if row is None else version(row), expected)


def find_all(
    db: Connection,
    *,
    workspace_ids: Sequence[str] | None = None,
    tag_ids: Sequence[str] = (),
    deleted: bool = False,
    limit: int | None = None,
    offset: int = 0,
) -> list[Any]:
    """Rows, oldest first; `tag_ids` asks for one of these tags."""
    query = select(connections).order_by(connections.c.created_at_ms, connections.c.id).limit(limit).offset(offset)
    if workspace_ids is not None:
        query = query.where(connections.c.workspace_id.in_(workspace_ids))
    if tag_ids:
        tagged = select(connection_tags.c.connection_id).where(connection_tags.c.tag_id.in_(tag_ids))
        query = query.where(connections.c.id.in_(tagged))
    if not deleted:
        query = query.where(connections.c.deleted_at_ms.is_(None))
    return list(db.execute(query))


def tag(db: Connection, connection_id: str, workspace_id: str, tag_ids: Sequence[str]) -> None:
    """Give a connection these tags and no others. 422 for one of another workspace."""
    own_tags = set(db.execute(select(tags.c.id).where(tags.c.workspace_id == workspace_id)).scalars())
    for tag_id in tag_ids:
        if tag_id not in own_tags:
            raise Problem(422, f"the workspace has no tag {tag_id}", hint="List its tags.")
    of = connection_tags.c.connection_id == connection_id
    before = set(db.execute(select(connection_tags.c.tag_id).where(of)).scalars())
    if before - set(tag_ids):
        db.execute(connection_tags.delete().where(of, connection_tags.c.tag_id.in_(before - set(tag_ids))))
    for tag_id in dict.fromkeys(tag_ids):
        if tag_id not in before:
            db.execute(insert(connection_tags).values(connection_id=connection_id, tag_id=tag_id))


def tags_of(db: Connection, connection_ids: Sequence[str]) -> dict[str, list[Any]]:
    """The tags of several connections, by connection, in the order of their names."""
    by_connection: dict[str, list[Any]] = {connection_id: [] for connection_id in connection_ids}
    rows = db.execute(
        select(connection_tags.c.connection_id, tags)
        .join(tags, tags.c.id == connection_tags.c.tag_id)
        .where(connection_tags.c.connection_id.in_(list(connection_ids)))
        .order_by(tags.c.name)
    )
    for row in rows:
        by_connection[row.connection_id].append(row)
    return by_connection


def plan_of(context: Context, connection_id: str) -> Plan:
    """The connection as a worker runs it. `ConfigError` when it cannot be run as configured."""
    try:
        with context.store.read() as db:
            return plan(context, db, connection_id)
    except Problem as problem:
        raise ConfigError(problem.detail, hint=problem.hint) from problem


def plan(context: Context, db: Connection, connection_id: str) -> Plan:
    """The same in the caller's transaction."""
    row = get(db, connection_id)
    return Plan(
        connection_id,
        row.workspace_id,
        endpoints.endpoint_of(context, db, "source", row.source_id),
        endpoints.endpoint_of(context, db, "destination", row.destination_id),
        tuple(
            replace(
                selection(stream, row.namespace_definition, row.namespace_format),
                new_fields=NEW_FIELDS.get(row.schema_policy, "take"),
            )
            for stream in row.streams
        ),
        prefix=row.prefix,
        namespace=None,
        max_rejects=int(row.options.get("max_rejects", 1000)),
        max_nulled_share=float(row.options.get("max_nulled_share", 0.01)),
        allow_empty=bool(row.options.get("allow_empty", False)),
        catalog=row.catalog,
        schema_policy=row.schema_policy,
    )


def check_plan(context: Context, db: Connection, connection_id: str) -> None:
    """422 where a destination cannot write the way a stream asks it to."""
    runnable = plan(context, db, connection_id)
    destination = runnable.destination.connector
    if not runnable.selections:
        raise Problem(422, "no stream is selected", hint="Name at least one stream in configurations.streams.")
    if schedule.is_continuous(get(db, connection_id).schedule):
        continuous_connection.require_changes(context, runnable)
    writes = definitions.supported_writes(destination)
    for stream in runnable.selections:
        if writes is not None and modes.write_of(stream.write_mode or "append") not in writes:
            can = [mode for mode, write in modes.WRITES.items() if write in writes]
            raise Problem(
                422,
                f"the destination {destination} cannot {stream.write_mode}, as the stream {stream.name} asks",
                hint=f"It can: {', '.join(can)}.",
            )


def selection(stream: Mapping[str, Any], definition: str, form: str | None) -> Selection:
    """A configured stream as the engine takes it."""
    mode = modes.MODES[stream.get("syncMode") or modes.DEFAULT]
    cursor = stream.get("cursorField")
    return Selection(
        name=key_of(stream),
        sync_mode=mode.reads,
        write_mode=mode.writes,
        primary_key=[".".join(path) for path in stream["primaryKey"]] if stream.get("primaryKey") else None,
        cursor=".".join(cursor) if cursor and mode.reads is SyncMode.incremental else None,
        fields=[".".join(field["fieldPath"]) for field in stream["selectedFields"]]
        if stream.get("selectedFields")
        else None,
        namespace=written_namespace(definition, form, stream.get("namespace")),
        alias=str(stream.get("destinationObjectName") or ""),
        mappers=stream_mappers.to_project_file(stream.get("mappers"), str(stream["name"])),
        detect_deletes=stream_deletes.to_project_file(stream.get("detectDeletes")),
    )


def key_of(stream: Mapping[str, Any]) -> str:
    """The key of a configured stream, as states and jobs name it: `namespace.name`, or the name."""
    return f"{stream['namespace']}.{stream['name']}" if stream.get("namespace") else str(stream["name"])


def written_namespace(definition: str, form: str | None, namespace: str | None) -> str | None:
    """The namespace at the destination: None keeps the source's, "" is the destination's own."""
    if definition == "source":
        return None
    if definition == "destination":
        return ""
    return (form or "").replace("${SOURCE_NAMESPACE}", namespace or "")
