"""Configuration as code, the other way: what a workspace has, as the content of a project file."""

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
    """What a workspace has, as the content of a project file: secrets are variables to set. States stand beside it."""
    out: dict[str, Any] = {"sources": {}, "destinations": {}, "connections": {}}
    with context.store.read() as db:
        for kind in KINDS:
            for name, row in by_name(endpoints.find_all(db, kind, workspace_ids=[workspace_id])).items():
                definition = definitions.get(db, kind, row.definition_id)
                config = endpoints.masked_config(db, kind, row)
                config.pop(f"{kind}Type", None)
                one: dict[str, Any] = {"connector": definition.connector or definition.name}
                if definition.manifest is not None:
                    one = {"connector": definition.name, "manifest": definition.manifest}
                elif "@" in one["connector"]:
                    one["connector"], _, one["version"] = one["connector"].partition("@")
                one["config"] = with_variables(config, variable(name))
                out[f"{kind}s"][name] = one
        for name, row in by_name(connection.find_all(db, workspace_ids=[workspace_id])).items():
            out["connections"][name] = link_of(db, row)
            told = states.load(db, row.id) if with_states else {}
            if told:
                out.setdefault("states", {})[name] = told
        told = channels.to_project_file(channels.mask_channels(workspaces.get(db, workspace_id)))
        if told:
            out["notifications"] = with_variables(told, "NOTIFY")
    return out


def link_of(db: Connection, row: Any) -> dict[str, Any]:
    kept = dict(row.options.get("project") or {})
    made: dict[str, Any] = {
        "source": endpoints.get(db, "source", row.source_id).name,
        "destination": endpoints.get(db, "destination", row.destination_id).name,
    }
    made["streams"] = kept["streams"] if "streams" in kept else [stream_of(one) for one in row.streams]
    if made["streams"] is None:
        del made["streams"]
    else:
        made["streams"] = [{k: v for k, v in one.items() if v is not None} for one in made["streams"]]
    if row.namespace_format is not None:
        made["namespace"] = row.namespace_format
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
            made[name] = value
    return made


def stream_of(one: Mapping[str, Any]) -> dict[str, Any]:
    mode = modes.MODES[one.get("syncMode") or modes.DEFAULT]
    made: dict[str, Any] = {"name": connection.key_of(one), "sync_mode": mode.reads.value, "write_mode": mode.writes}
    if one.get("primaryKey"):
        made["primary_key"] = [".".join(path) for path in one["primaryKey"]]
    if one.get("cursorField"):
        made["cursor"] = ".".join(one["cursorField"])
    if one.get("selectedFields"):
        made["fields"] = [".".join(each["fieldPath"]) for each in one["selectedFields"]]
    if one.get("destinationObjectName", one["name"]) != one["name"]:
        made["alias"] = one["destinationObjectName"]
    if one.get("mappers"):
        made["mappers"] = stream_mappers.to_project_file(one["mappers"], str(one["name"]))
    return made


def variable(*words: str) -> str:
    return "_".join(re.sub(r"[^A-Za-z0-9]+", "_", word).strip("_").upper() for word in words)


def with_variables(node: Any, name: str) -> Any:
    """A masked configuration with a variable in the place of each secret."""
    if isinstance(node, Mapping):
        return {key: with_variables(value, variable(name, str(key))) for key, value in node.items()}
    if isinstance(node, list):
        return [with_variables(value, variable(name, str(number))) for number, value in enumerate(node)]
    if node == MASK:
        return f"${{{name}}}"
    return node.replace("${", "$${") if isinstance(node, str) and re.search(r"\$\{[A-Za-z_]\w*\}", node) else node
