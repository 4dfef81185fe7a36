"""Configuration as code: compares a project file with the server, and applies the difference.

A name in the file is the identity. Resources that the file manages are marked with its name (`origin`). Other
resources, made by hand, are left alone; one of the same name is adopted, and reported as adopted. Only resources that
the file has managed are removed, and only on request. Applying may stop half-way; applying again goes on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection, insert, select, update

from kitestring.airbyte import modes
from kitestring.airbyte.modes import WriteWord
from kitestring.config import secrets_in
from kitestring.errors import ConfigError
from kitestring.mappers.mapper_settings import to_api
from kitestring.redact import mask_values
from kitestring.server.connections import connection, endpoints, schedule, states
from kitestring.server.connectors import definitions
from kitestring.server.connectors.definitions import Definition, Kind
from kitestring.server.context import Context
from kitestring.server.http.problem import Problem
from kitestring.server.notifications import channels
from kitestring.server.notifications.channels import Event
from kitestring.server.store import tables
from kitestring.server.store.store import new_id
from kitestring.server.workspaces import workspaces

KINDS: tuple[Kind, ...] = ("source", "destination")
SIGNS = {"create": "+", "update": "~", "adopt": "~", "delete": "-"}


class EndpointSpec(BaseModel):
    """A source or a destination of a project file, its variables filled in. `manifest`: a low-code source by values."""

    model_config = ConfigDict(extra="forbid")

    connector: str
    version: str | None = None
    config: dict[str, Any] = Field(default_factory=dict)
    manifest: dict[str, Any] | None = None


class StreamSpec(BaseModel):
    """A stream of a connection, as a project file has it."""

    model_config = ConfigDict(extra="forbid")

    name: str
    sync_mode: Literal["full_refresh", "incremental"] | None = None
    write_mode: WriteWord | None = None
    primary_key: list[str] | None = None
    cursor: str | None = None
    fields: list[str] | None = None
    alias: str | None = None
    mappers: list[dict[str, Any]] | None = None


class ConnectionSpec(BaseModel):
    """A connection of a project file."""

    model_config = ConfigDict(extra="forbid")

    source: str
    destination: str
    streams: list[StreamSpec] | None = None
    prefix: str = ""
    namespace: str | None = None
    max_rejects: int = 1000
    allow_empty: bool = False
    schedule: dict[str, Any] = Field(default_factory=lambda: {"type": "manual"})
    schema_policy: Literal["ignore", "disable_connection", "propagate_columns", "propagate_fully"] = "ignore"
    paused: bool = False


class ProjectSpec(BaseModel):
    """All that a project file asks for."""

    model_config = ConfigDict(extra="forbid")

    sources: dict[str, EndpointSpec] = Field(default_factory=dict)
    destinations: dict[str, EndpointSpec] = Field(default_factory=dict)
    connections: dict[str, ConnectionSpec] = Field(default_factory=dict)
    notifications: dict[Event, channels.Receivers] = Field(default_factory=dict)
    states: dict[str, dict[str, dict[str, Any]]] = Field(default_factory=dict)
    """By connection and stream. A connection that is named has these states afterwards and no others."""

    def ends(self, kind: Kind) -> dict[str, EndpointSpec]:
        return self.sources if kind == "source" else self.destinations


@dataclass(frozen=True)
class Change:
    """One thing to do. `fields` are (path, before, after); secrets are masked."""

    action: Literal["create", "update", "adopt", "delete"]
    kind: Literal["source", "destination", "connection", "state", "notification"]
    name: str
    fields: list[tuple[str, Any, Any]] = field(default_factory=list)

    def body(self) -> dict[str, Any]:
        return {
            "action": self.action,
            "kind": self.kind,
            "name": self.name,
            "fields": [{"path": path, "before": before, "after": after} for path, before, after in self.fields],
        }


def plan(context: Context, workspace_id: str, spec: ProjectSpec, *, prune: bool = False) -> list[Change]:
    """The changes, in the order of applying them. `ConfigError` if the file contradicts itself."""
    with context.store.read() as db:
        return list(changes(context, db, workspace_id, spec, prune))


def changes(context: Context, db: Connection, workspace_id: str, spec: ProjectSpec, prune: bool) -> Iterator[Change]:
    for name, link in spec.connections.items():
        for role, named, endpoints_in_file in (
            ("source", link.source, spec.sources),
            ("destination", link.destination, spec.destinations),
        ):
            if named not in endpoints_in_file:
                raise ConfigError(
                    f"the connection {name} names the {role} {named}, which the file does not have",
                    hint=f"It has: {', '.join(endpoints_in_file) or 'none'}.",
                )
    for name in spec.states:
        if name not in spec.connections:
            raise ConfigError(
                f"there are states of the connection {name}, which the file does not have",
                hint=f"It has: {', '.join(spec.connections) or 'none'}.",
            )
    for kind in KINDS:
        existing = by_name(endpoints.find_all(db, kind, workspace_ids=[workspace_id]))
        for name, end in spec.ends(kind).items():
            yield from of_end(context, db, workspace_id, kind, name, end, existing.get(name))
    existing = by_name(connection.find_all(db, workspace_ids=[workspace_id]))
    for name, link in spec.connections.items():
        yield from of_link(context, db, name, link, existing.get(name))
    for name, desired_states in spec.states.items():
        yield from of_states(db, name, desired_states, existing.get(name))
    yield from of_notifications(context, workspaces.get(db, workspace_id), spec)
    if not prune:
        return
    for name, row in existing.items():
        if row.origin and name not in spec.connections:
            yield Change("delete", "connection", name)
    for kind in KINDS:
        for name, row in by_name(endpoints.find_all(db, kind, workspace_ids=[workspace_id])).items():
            if row.origin and name not in spec.ends(kind):
                yield Change("delete", kind, name)


def by_name(rows: Sequence[Any]) -> dict[str, Any]:
    """Rows by name; of several with one name the one that a file manages, else the oldest."""
    rows_by_name: dict[str, Any] = {}
    for row in rows:
        if row.name not in rows_by_name or (row.origin and not rows_by_name[row.name].origin):
            rows_by_name[row.name] = row
    return rows_by_name


def of_end(
    context: Context, db: Connection, workspace_id: str, kind: Kind, name: str, end: EndpointSpec, row: Any
) -> Iterator[Change]:
    definition = definition_of(db, workspace_id, kind, name, end)
    form = definitions.spec_of(definition)
    hidden = set(secrets_in(end.config, form))
    if row is None:
        options = [(path, None, mask_values(value, hidden)) for path, value in flat(end.config)]
        yield Change("create", kind, name, [("connector", None, end.connector), *options])
        return
    before = context.secret_box.open_config(row.config, row.id)
    hidden |= set(secrets_in(before, form))
    fields = difference(before, end.config, hidden)
    old = definitions.get(db, kind, row.definition_id)
    if old.id != definition.id:
        fields.insert(0, ("connector", old.type, definition.type))
    if end.manifest is not None and old.manifest != end.manifest:
        fields.append(("manifest", "the old one", "another one"))
    if fields or not row.origin:
        yield Change("update" if row.origin else "adopt", kind, name, fields)


def of_link(context: Context, db: Connection, name: str, link: ConnectionSpec, row: Any) -> Iterator[Change]:
    desired = link.model_dump(mode="json")
    desired["schedule"] = schedule.parse(link.schedule)
    if row is None:
        explicit = link.model_dump(mode="json", exclude_defaults=True)
        yield Change("create", "connection", name, [(path, None, value) for path, value in flat(explicit)])
        return
    source, destination = (
        endpoints.get(db, kind, row.source_id if kind == "source" else row.destination_id).name for kind in KINDS
    )
    project = dict(row.options.get("project") or {})
    current = {
        **{key: project.get(key) for key in desired},
        "source": source,
        "destination": destination,
        "prefix": row.prefix,
        "schedule": dict(row.schedule),
        "schema_policy": row.schema_policy,
        "paused": row.status != "active",
    }
    fields = difference(current, desired, set())
    if fields or not row.origin:
        yield Change("update" if row.origin else "adopt", "connection", name, fields)


def of_states(db: Connection, name: str, desired: Mapping[str, Any], row: Any) -> Iterator[Change]:
    before = states.load(db, row.id) if row is not None else {}
    fields = [
        (stream or "(shared)", before.get(stream), desired.get(stream))
        for stream in sorted({*before, *desired})
        if before.get(stream) != desired.get(stream)
    ]
    if fields:
        yield Change("update" if before else "create", "state", name, fields)


def of_notifications(context: Context, row: Any, spec: ProjectSpec) -> Iterator[Change]:
    """The events that the file names. What it does not name is left alone: a workspace's events have no origin."""
    current = channels.open_channels(context.secret_box, row)
    for event, receivers in spec.notifications.items():
        before, after = current.get(event) or {}, receivers.channels()
        hidden = {*secrets_in({event: before}, channels.FORM), *secrets_in({event: after}, channels.FORM)}
        fields = difference(before, after, hidden)
        if fields:
            yield Change("update" if before else "create", "notification", event, fields)


def definition_of(db: Connection, workspace_id: str, kind: Kind, name: str, end: EndpointSpec) -> Definition:
    """The connector of an end; a manifest of the file is a custom one of the source's name."""
    if end.manifest is None:
        versioned = f"{end.connector}@{end.version}" if end.version else end.connector
        bare = definitions.of_type(kind, end.connector)
        return bare if not end.version or bare.native else Definition(**{**vars_of(bare), "connector": versioned})
    for candidate in definitions.find_custom(db, kind, workspace_id):
        if candidate.name == f"{name} (project)" and candidate.manifest is not None:
            return Definition(**{**vars_of(candidate), "manifest": end.manifest})
    return Definition("", kind, f"{name} (project)", "", name, "", "1", manifest=end.manifest)


def vars_of(definition: Definition) -> dict[str, Any]:
    return {name: getattr(definition, name) for name in Definition.__dataclass_fields__}


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


def put_end(context: Context, workspace_id: str, kind: Kind, name: str, end: EndpointSpec, trusted: bool) -> None:
    table = tables.sources if kind == "source" else tables.destinations
    with context.store.write() as db:
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
                origin=name,
            )
            return
        endpoints.change(context, db, kind, row.id, config=end.config, definition=definition, trusted=trusted)
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
            values = {"manifest": manifest, "version": row.version + 1}
            db.execute(update(tables.definitions).where(tables.definitions.c.id == row.id).values(**values))
            if not trusted:
                endpoints.distrust(db, row.id)
        return definition
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
    return definitions.get(db, definition.kind, definition_id)


def put_states(context: Context, db: Connection, connection_id: str, desired: Mapping[str, Any]) -> None:
    """Give a connection these states and no others."""
    before = states.load(db, connection_id)
    if before == desired:
        return
    states.replace(context, db, connection_id, desired)
    states.forget(context, db, connection_id, set(before) - set(desired))


def put_link(
    context: Context, workspace_id: str, name: str, link: ConnectionSpec, desired_states: Mapping[str, Any] | None
) -> None:
    """Make or change a connection. Its states come with it: nothing may start it before they are there."""
    with context.store.read() as db:
        ends = {kind: by_name(endpoints.find_all(db, kind, workspace_ids=[workspace_id])) for kind in KINDS}
        row = by_name(connection.find_all(db, workspace_ids=[workspace_id])).get(name)
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
        "allow_empty": link.allow_empty,
        "project": link.model_dump(mode="json"),
    }
    status = "inactive" if link.paused else "active"
    with context.store.write() as db:
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
                origin=name,
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
            "origin": name,
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
        sealed = channels.seal_channels(context.secret_box, workspace_id, desired, row.notifications)
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


def flat(values: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of a configuration with their paths."""
    if isinstance(values, Mapping) and values:
        for key, value in values.items():
            yield from flat(value, f"{path}.{key}" if path else str(key))
    elif values is not None and path:
        yield path, values


def difference(before: Any, after: Any, hidden: set[str]) -> list[tuple[str, Any, Any]]:
    old, new = dict(flat(before)), dict(flat(after))
    return [
        (path, mask_values(old.get(path), hidden), mask_values(new.get(path), hidden))
        for path in dict.fromkeys([*old, *new])
        if old.get(path) != new.get(path)
    ]
