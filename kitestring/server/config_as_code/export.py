"""Exports a workspace as the content of a project file."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kitestring.airbyte import modes
from kitestring.redact import MASK
from kitestring.server.config_as_code.plan import by_name
from kitestring.server.config_as_code.project_spec import KINDS, ConnectionSpec
from kitestring.server.connections import connection, endpoints, states, stream_deletes, stream_mappers
from kitestring.server.connectors.definitions import Kind
from kitestring.server.context import Context
from kitestring.server.notifications import notification_settings
from kitestring.server.workspaces import workspaces


@dataclass(frozen=True, slots=True)
class Export:
    """The content of a project file, and what a file cannot say: a sentence for each resource that is left out."""

    content: dict[str, Any]
    left_out: list[str]


def export(context: Context, workspace_id: str, with_states: bool = False) -> Export:
    """A workspace as the content of a project file. Secrets become variables to set; states are added on request."""
    out: dict[str, Any] = {"sources": {}, "destinations": {}, "connections": {}}
    left_out: list[str] = []
    names: dict[Kind, dict[str, str]] = {"source": {}, "destination": {}}
    with context.store.read() as db:
        for kind in KINDS:
            rows = endpoints.find_all(db, kind, workspace_ids=[workspace_id])
            left_out += repeated(kind, rows)
            for name, row in by_name(rows).items():
                definition = endpoints.definition_of(db, kind, row)
                if definition.gone:
                    left_out.append(f"the {kind} {name}: its connector {definition.name} is not there any more")
                    continue
                names[kind][row.id] = name
                config = endpoints.masked_config(db, kind, row)
                config.pop(f"{kind}Type", None)
                entry: dict[str, Any] = {"connector": definition.connector or definition.name}
                if definition.manifest is not None:
                    entry = {"connector": definition.name, "manifest": definition.manifest}
                elif "@" in entry["connector"]:
                    entry["connector"], _, entry["version"] = entry["connector"].partition("@")
                entry["config"] = with_variables(config, variable(name))
                out[f"{kind}s"][name] = entry
        links = connection.find_all(db, workspace_ids=[workspace_id])
        left_out += repeated("connection", links)
        for name, row in by_name(links).items():
            ids: dict[Kind, str] = {"source": row.source_id, "destination": row.destination_id}
            ends = {str(kind): names[kind].get(ids[kind]) for kind in KINDS}
            missing = next((kind for kind, end in ends.items() if end is None), None)
            if missing is not None:
                left_out.append(f"the connection {name}: its {missing} is left out")
                continue
            out["connections"][name] = link_of(row, ends)
            exported = states.load(db, row.id) if with_states else {}
            if exported:
                out.setdefault("states", {})[name] = exported
        exported = notification_settings.to_project_file(
            notification_settings.mask_channels(workspaces.get(db, workspace_id))
        )
        if exported:
            out["notifications"] = with_variables(exported, "NOTIFY")
    return Export(out, left_out)


def repeated(kind: str, rows: Sequence[Any]) -> list[str]:
    """Resources with the name of another: a file has each name once."""
    counts = Counter(row.name for row in rows)
    return [f"{count - 1} more of the {kind}s with the name {name}" for name, count in counts.items() if count > 1]


def link_of(row: Any, ends: Mapping[str, str | None]) -> dict[str, Any]:
    project = dict(row.options.get("project") or {})
    link: dict[str, Any] = {**ends}
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
        ("max_nulled_share", row.options.get("max_nulled_share", 0.01)),
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
    if stream.get("detectDeletes"):
        entry["detect_deletes"] = stream_deletes.to_project_file(stream["detectDeletes"])
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
