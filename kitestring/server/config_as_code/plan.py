"""Configuration as code: compares a project file with the server.

A name in the file is the identity. Resources that the file manages are marked with its name (`origin`). Other
resources, made by hand, are left alone; one of the same name is adopted, and reported as adopted. Only resources that
the file has managed are removed, and only on request.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import Connection

from kitestring.config import secrets_in
from kitestring.errors import ConfigError
from kitestring.redact import mask_values
from kitestring.server.config_as_code.project_spec import KINDS, ConnectionSpec, EndpointSpec, ProjectSpec
from kitestring.server.connections import connection, endpoints, schedule, states
from kitestring.server.connectors import definitions
from kitestring.server.connectors.definitions import Definition, Kind
from kitestring.server.context import Context
from kitestring.server.notifications import notification_settings
from kitestring.server.workspaces import workspaces


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
    old = endpoints.definition_of(db, kind, row)
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
    current = notification_settings.open_channels(context.secret_box, row)
    for event, receivers in spec.notifications.items():
        before, after = current.get(event) or {}, receivers.channels()
        hidden = {
            *secrets_in({event: before}, notification_settings.FORM),
            *secrets_in({event: after}, notification_settings.FORM),
        }
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
