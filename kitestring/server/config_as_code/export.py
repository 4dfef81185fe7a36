"""Exports a workspace as the content of a project file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from kitestring.airbyte import modes
from kitestring.redact import MASK
from kitestring.server.config_as_code.plan import KINDS, ConnectionSpec, by_name
from kitestring.server.connections import connection, endpoints, states, stream_mappers
from kitestring.server.connectors import definitions
from kitestring.server.context import Context
from kitestring.server.notifications import channels
from kitestring.server.workspaces import workspaces


def export(context: Context, workspace_id: str, with_states: bool = False) -> dict[str, Any]:
    """The content of a project file for a workspace. Secrets become variables to set; states are added on request."""
    out: dict[str, Any] = {"sources": {}, "destinations": {}, "connections": {}}
    with context.store.read() as db:
        for kind in KINDS:
            for name, row in by_name(endpoints.find_all(db, kind, workspace_ids=[workspace_id])).items():
                definition = definitions.get(db, kind, row.definition_id)
                config = endpoints.masked_config(db, kind, row)
                config.pop(f"{kind}Type", None)
                entry: dict[str, Any] = {"connector": definition.connector or definition.name}
                if definition.manifest is not None:
                    entry = {"connector": definition.name, "manifest": definition.manifest}
                elif "@" in entry["connector"]:
                    entry["connector"], _, entry["version"] = entry["connector"].partition("@")
                entry["config"] = with_variables(config, variable(name))
                out[f"{kind}s"][name] = entry
        for name, row in by_name(connection.find_all(db, workspace_ids=[workspace_id])).items():
            out["connections"][name] = link_of(db, row)
            exported = states.load(db, row.id) if with_states else {}
            if exported:
                out.setdefault("states", {})[name] = exported
        exported = channels.to_project_file(channels.mask_channels(workspaces.get(db, workspace_id)))
        if exported:
            out["notifications"] = with_variables(exported, "NOTIFY")
    return out


def link_of(db: Connection, row: Any) -> dict[str, Any]:
    project = dict(row.options.get("project") or {})
    link: dict[str, Any] = {
        "source": endpoints.get(db, "source", row.source_id).name,
        "destination": endpoints.get(db, "destination", row.destination_id).name,
    }
    link["streams"] = project["streams"] if "streams" in project else [stream_of(stream) for stream in row.streams]
    if link["streams"] is None:
        del link["streams"]
    else:
        link["streams"] = [{k: v for k, v in stream.items() if v is not None} for stream in link["streams"]]
    if row.namespace_format is not None:
        link["namespace"] = row.namespace_format
    defaults = ConnectionSpec(source="", destination="").model_dump(mode="json")
    for name, value in (
        ("prefix", row.prefix),
        ("schedule", dict(row.schedule)),
        ("schema_policy", row.schema_policy),
        ("paused", row.status != "active"),
        ("max_rejects", row.options.get("max_rejects", 1000)),
        ("allow_empty", row.options.get("allow_empty", False)),
    ):
        if value != defaults[name]:
            link[name] = value
    return link


def stream_of(stream: Mapping[str, Any]) -> dict[str, Any]:
    mode = modes.MODES[stream.get("syncMode") or modes.DEFAULT]
    entry: dict[str, Any] = {
        "name": connection.key_of(stream),
        "sync_mode": mode.reads.value,
        "write_mode": mode.writes,
    }
    if stream.get("primaryKey"):
        entry["primary_key"] = [".".join(path) for path in stream["primaryKey"]]
    if stream.get("cursorField"):
        entry["cursor"] = ".".join(stream["cursorField"])
    if stream.get("selectedFields"):
        entry["fields"] = [".".join(each["fieldPath"]) for each in stream["selectedFields"]]
    if stream.get("destinationObjectName", stream["name"]) != stream["name"]:
        entry["alias"] = stream["destinationObjectName"]
    if stream.get("mappers"):
        entry["mappers"] = stream_mappers.to_project_file(stream["mappers"], str(stream["name"]))
    return entry


def variable(*parts: str) -> str:
    return "_".join(re.sub(r"[^A-Za-z0-9]+", "_", part).strip("_").upper() for part in parts)


def with_variables(node: Any, name: str) -> Any:
    """A masked configuration with a variable for each secret."""
    if isinstance(node, Mapping):
        return {key: with_variables(value, variable(name, str(key))) for key, value in node.items()}
    if isinstance(node, list):
        return [with_variables(value, variable(name, str(number))) for number, value in enumerate(node)]
    if node == MASK:
        return f"${{{name}}}"
    return node.replace("${", "$${") if isinstance(node, str) and re.search(r"\$\{[A-Za-z_]\w*\}", node) else node
