"""Applies a project file, change by change. It may stop half-way; applying again goes on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, insert, select, update

from kitestring.airbyte import modes
from kitestring.errors import ConfigError
from kitestring.mappers.mapper_settings import to_api
from kitestring.server.config_as_code.plan import Change, by_name, definition_of, plan
from kitestring.server.config_as_code.project_spec import KINDS, ConnectionSpec, EndpointSpec, ProjectSpec, StreamSpec
from kitestring.server.connections import connection, endpoints, schedule, states, stream_deletes
from kitestring.server.connectors import connector_version, definitions
from kitestring.server.connectors.definitions import Definition, Kind
from kitestring.server.context import Context
from kitestring.server.http.problem import Problem
from kitestring.server.notifications import notification_settings
from kitestring.server.store import tables
from kitestring.server.store.store import new_id
from kitestring.server.workspaces import workspaces


def apply(
    context: Context, workspace_id: str, spec: ProjectSpec, *, trusted: bool, prune: bool = False
) -> list[Change]:
    """Apply a project file; returns the changes made. Discovers the sources of connections that are new or changed.

    `trusted`: an instance's admin asks for it.
    """
    done = plan(context, workspace_id, spec, prune=prune)
    for change in done:
        if change.kind in KINDS and change.action != "delete":
            put_end(context, workspace_id, change.kind, change.name, spec.ends(change.kind)[change.name], trusted)
    for change in done:
        if change.kind == "connection" and change.action != "delete":
            put_link(context, workspace_id, change.name, spec.connections[change.name], spec.states.get(change.name))
    for change in done:
        if change.kind == "state":
            with context.store.write() as db:
                row = by_name(connection.find_all(db, workspace_ids=[workspace_id]))[change.name]
                put_states(context, db, row.id, spec.states[change.name])
    if any(change.kind == "notification" for change in done):
        put_notifications(context, workspace_id, spec)
    for change in done:
        if change.action == "delete":
            remove(context, workspace_id, change)
    return done


def put_end(
    context: Context,
    workspace_id: str,
    kind: Kind,
    name: str,
    end: EndpointSpec,
    trusted: bool,
    *,
    adopts: bool = True,
) -> None:
    """Make or change a source or a destination. `adopts`: the project file manages it from now on."""
    table = tables.sources if kind == "source" else tables.destinations
    with context.store.write() as db:
        workspaces.lock(db, workspace_id)
        desired = definition_of(db, workspace_id, kind, name, end)
        definition = kept_definition(context, db, workspace_id, desired, trusted)
        row = by_name(endpoints.find_all(db, kind, workspace_ids=[workspace_id])).get(name)
        if row is None:
            endpoints.create(
                context,
                db,
                kind,
                workspace_id=workspace_id,
                name=name,
                definition=definition,
                config=end.config,
                trusted=trusted,
                origin=name if adopts else "",
            )
            return
        endpoints.change(context, db, kind, row.id, config=end.config, definition=definition, trusted=trusted)
        if adopts:
            db.execute(update(table).where(table.c.id == row.id).values(origin=name))


def kept_definition(
    context: Context, db: Connection, workspace_id: str, definition: Definition, trusted: bool
) -> Definition:
    """A manifest of the file as a row of the store: made, or brought up to date."""
    if definition.manifest is None:
        return definition
    manifest = definitions.check_manifest(definition.manifest)
    if definition.id:
        row = db.execute(select(tables.definitions).where(tables.definitions.c.id == definition.id)).one()
        if row.manifest != manifest:
            connector_version.replace_current(context, db, row.id, manifest)
            endpoints.connector_changed(db, row.id, trusted)
        return definitions.get(db, definition.kind, definition.id)
    definition_id = new_id()
    db.execute(
        insert(tables.definitions).values(
            id=definition_id,
            workspace_id=workspace_id,
            kind=definition.kind,
            name=definition.name,
            manifest=manifest,
            version=1,
            created_at_ms=context.store.now_ms(db),
        )
    )
    connector_version.add(context, db, definition_id, connector_version.yaml_of(manifest), version=1)
    return definitions.get(db, definition.kind, definition_id)


def put_states(context: Context, db: Connection, connection_id: str, desired: Mapping[str, Any]) -> None:
    """Give a connection these states and no others."""
    before = states.load(db, connection_id)
    if before == desired:
        return
    states.replace(context, db, connection_id, desired)
    states.forget(context, db, connection_id, set(before) - set(desired))


def put_link(
    context: Context,
    workspace_id: str,
    name: str,
    link: ConnectionSpec,
    desired_states: Mapping[str, Any] | None,
    *,
    adopts: bool = True,
) -> None:
    """Make or change a connection. `adopts`: the project file manages it from now on. Its states come with it: nothing
    may start it before they are there."""
    with context.store.read() as db:
        ends = {kind: by_name(endpoints.find_all(db, kind, workspace_ids=[workspace_id])) for kind in KINDS}
    source, destination = ends["source"][link.source], ends["destination"][link.destination]
    catalog = connection.discover(context, source.id)
    streams = connection.configure_streams(
        catalog, [asked_stream(catalog, stream) for stream in streams_of(catalog, link)]
    )
    namespace = {
        "namespace_definition": "source" if link.namespace is None else "custom_format",
        "namespace_format": link.namespace,
    }
    options = {
        "max_rejects": link.max_rejects,
        "max_nulled_share": link.max_nulled_share,
        "allow_empty": link.allow_empty,
        "project": link.model_dump(mode="json"),
    }
    status = "inactive" if link.paused else "active"
    with context.store.write() as db:
        workspaces.lock(db, workspace_id)
        # Looked up again: another may have made or changed it while the source was discovered.
        row = by_name(connection.find_all(db, workspace_ids=[workspace_id])).get(name)
        if row is None:
            connection_id = connection.create(
                context,
                db,
                source_id=source.id,
                destination_id=destination.id,
                streams=streams,
                catalog=catalog,
                name=name,
                status=status,
                timing=link.schedule,
                prefix=link.prefix,
                schema_policy=link.schema_policy,
                options=options,
                origin=name if adopts else "",
                **namespace,  # type: ignore[arg-type]
            )
            put_states(context, db, connection_id, desired_states or {})
            return
        values: dict[str, Any] = {
            "source_id": source.id,
            "destination_id": destination.id,
            "streams": streams,
            "catalog": dict(catalog.body),
            "prefix": link.prefix,
            "schema_policy": link.schema_policy,
            "options": {**row.options, **options},
            **({"origin": name} if adopts else {}),
            **namespace,
        }
        if row.schedule != schedule.parse(link.schedule):
            values["schedule"] = link.schedule
        if (row.status == "active") is link.paused:
            values["status"] = status
        connection.change(context, db, row.id, values)
        if desired_states is not None:
            put_states(context, db, row.id, desired_states)


def put_notifications(context: Context, workspace_id: str, spec: ProjectSpec) -> None:
    desired: dict[str, Any] = {event: receivers.channels() for event, receivers in spec.notifications.items()}
    with context.store.write() as db:
        row = workspaces.get(db, workspace_id)
        sealed = notification_settings.seal_channels(context.secret_box, workspace_id, desired, row.notifications)
        workspaces.change(
            db,
            workspace_id,
            {
                "notifications": {
                    event: channels_of_event for event, channels_of_event in sealed.items() if channels_of_event
                }
            },
        )


def streams_of(catalog: connection.Catalog, link: ConnectionSpec) -> list[StreamSpec]:
    """The streams that a connection names; all of the catalog where it names none."""
    if link.streams is not None:
        return link.streams
    return [StreamSpec(name=connection.key_of(stream)) for stream in catalog.streams]


def asked_stream(catalog: connection.Catalog, stream: StreamSpec) -> dict[str, Any]:
    """A stream of the file as the API has it; what it leaves open is chosen as by `kitestring sync`."""
    discovered = next((s for s in catalog.streams if stream.name in (connection.key_of(s), s["name"])), None)
    if discovered is None:
        return {"name": stream.name}  # refused with the nearest name
    can = discovered.get("supported_sync_modes") or ["full_refresh"]
    reads = stream.sync_mode or ("incremental" if "incremental" in can else "full_refresh")
    keyed = stream.primary_key or discovered.get("source_defined_primary_key")
    writes = stream.write_mode or ("append_dedup" if keyed else "overwrite" if reads == "full_refresh" else "append")
    mode = modes.mode_of(reads, writes)
    if mode is None:
        raise ConfigError(
            f"the stream {stream.name} cannot be read as {reads} and written as {writes}",
            hint="An overwrite needs a full refresh.",
        )
    configured: dict[str, Any] = {
        "name": discovered["name"],
        "namespace": discovered.get("namespace"),
        "syncMode": mode.name,
    }
    if stream.primary_key:
        configured["primaryKey"] = [key.split(".") for key in stream.primary_key]
    if stream.cursor:
        configured["cursorField"] = stream.cursor.split(".")
    if stream.fields:
        configured["selectedFields"] = [{"fieldPath": path.split(".")} for path in stream.fields]
    if stream.alias:
        configured["destinationObjectName"] = stream.alias
    if stream.mappers:
        configured["mappers"] = to_api(stream.mappers)
    if stream.detect_deletes:
        configured["detectDeletes"] = stream_deletes.to_api(stream.detect_deletes)
    return configured


def remove(context: Context, workspace_id: str, change: Change) -> None:
    with context.store.write() as db:
        if change.kind == "connection":
            rows = connection.find_all(db, workspace_ids=[workspace_id])
            connection.delete(context, db, by_name(rows)[change.name].id)
            return
        kind: Kind = "source" if change.kind == "source" else "destination"
        row = by_name(endpoints.find_all(db, kind, workspace_ids=[workspace_id]))[change.name]
        used = tables.connections.c.source_id if kind == "source" else tables.connections.c.destination_id
        by_hand = db.execute(
            select(tables.connections.c.name)
            .where(used == row.id, tables.connections.c.deleted_at_ms.is_(None))
            .limit(1)
        ).scalar()
        if by_hand is not None:
            raise Problem(
                409,
                f"the {change.kind} {change.name} is no longer in the file, and the connection {by_hand} uses it",
                hint="Delete that connection first, or put it back into the file.",
            )
        endpoints.delete(context, db, kind, row.id)
