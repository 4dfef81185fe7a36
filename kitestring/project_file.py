"""The words of a project file: what `kitestring.yaml` may hold, its JSON Schema, and what is wrong with one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ValidationError

from kitestring.airbyte.modes import WriteWord
from kitestring.config import Config, known_names, option
from kitestring.delete_detection import DeleteDetection, DeletionMode
from kitestring.errors import ConfigError, KitestringError
from kitestring.mappers.mapper_settings import Mapper
from kitestring.suggest import did_you_mean
from kitestring.yaml_lines import Lines, place


class Entry(Config):
    """A source or a destination of the project."""

    connector: str
    """The connector's name (`kitestring connectors list`), or for a source the path of a manifest."""
    version: str | None = None
    """Of an installed connector of Airbyte's: the version to run. Default: the one that was installed last."""
    config: dict[str, Any] = option(default_factory=dict)
    """The connector's options (`kitestring spec NAME`); `${NAME}` and `${NAME:-default}` are environment variables."""


class StreamEntry(Config):
    """One stream of a connection. What is left out is chosen from what both ends can do."""

    name: str
    """The stream's name in the source."""
    sync_mode: Literal["full_refresh", "incremental"] | None = None
    """How it is read. Default: incremental where the source can."""
    write_mode: WriteWord | None = None
    """How it is written. Default: append_dedup with a primary key, else overwrite for a full refresh, else append."""
    primary_key: Annotated[
        list[str] | None,
        BeforeValidator(lambda v: [v] if isinstance(v, str) else v, json_schema_input_type=str | list[str]),
    ] = None
    """The fields that identify a record, dots for nesting; where the source does not say."""
    cursor: str | None = None
    """The field that orders the records, dots for nesting; where the source does not say."""
    fields: list[str] | None = None
    """The fields to keep, dots for nesting. Primary key and cursor are always kept. Default: all."""
    prefix: str = ""
    """Put before the stream's name in the destination."""
    alias: str | None = None
    """The stream's name in the destination, behind the prefix. Default: its own."""
    namespace: str | None = None
    """The namespace (schema, folder) in the destination. Default: the source's."""
    mappers: list[Mapper] | None = None
    """Changes to the records on their way, one after the other: hash, rename, leave out or encrypt fields, filter
    records."""
    detect_deletes: DeletionMode | DeleteDetection | None = None
    """The treatment of records that the source no longer lists: `off` (they stay), `soft` (they are marked), `hard`
    (they are removed). Default: off."""


def _named(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


class ConnectionEntry(Config):
    """A source, a destination, and the streams that go from one to the other."""

    source: str
    """The name of a source of this file."""
    destination: str
    """The name of a destination of this file."""
    streams: list[Annotated[StreamEntry, BeforeValidator(_named, json_schema_input_type=str | StreamEntry)]] | None = (
        None
    )
    """The streams to copy, by name or with options. Default: all."""
    prefix: str = ""
    """Put before every stream's name in the destination."""
    namespace: str | None = None
    """The namespace in the destination. Default: the source's."""
    max_rejects: int = option(1000, ge=0)
    """How many records may be refused before the sync fails. Refused records are kept: `kitestring replay`."""
    max_nulled_share: float = option(0.01, ge=0, le=1)
    """The largest share of a stream's records, from 0 to 1, with a null in place of a value that does not fit its
    column. Above it the stream is suspicious."""
    allow_empty: bool = False
    """Whether an overwrite with no records may empty the destination. Without it the old data stay."""
    schedule: str | dict[str, Any] = "manual"
    """When a server runs it: `manual`, `every 6 hours`, a cron expression (five fields, or Quartz's six or seven) with
    a time zone behind it or not, or `{cron: …, time_zone: …, jitter_s: …}`; `continuous` (or `{type: continuous,
    window_s: …, rollover_s: …}`) for a source whose changes it follows without an end. `kitestring sync` runs it at any
    time."""
    schema_policy: Literal["ignore", "disable_connection", "propagate_columns", "propagate_fully"] = "ignore"
    """The reaction of a server to other fields or streams of the source than before."""
    paused: bool = False
    """Whether a server leaves its schedule out."""


class NotificationEntry(Config):
    """Where a server sends notifications of one event. `{}`: nowhere."""

    webhook: str | None = None
    """The address that gets a POST with `text` and `blocks`, as Slack takes them."""
    email: list[str] | None = None
    """Addresses of e-mail; `[]` is everybody who may see the workspace."""
    apprise: list[str] | None = None
    """Addresses of any service that apprise speaks."""


EventName = Literal[
    "failure",
    "success",
    "suspicious",
    "connectionUpdate",
    "connectionUpdateActionRequired",
    "syncDisabled",
    "syncDisabledWarning",
    "replicationSlot",
]


class File(Config):
    """A Kitestring project: what moves from where to where."""

    sources: dict[str, Entry] = option(default_factory=dict)
    """Where records come from, by a name of your choice."""
    destinations: dict[str, Entry] = option(default_factory=dict)
    """Where records go, by a name of your choice."""
    connections: dict[str, ConnectionEntry] = option(default_factory=dict)
    """Syncs that `kitestring sync` runs, by a name of your choice."""
    notifications: dict[EventName, NotificationEntry] = option(default_factory=dict)
    """Notifications of a server, by event. Events that are not named stay as the server has them."""


def timing(value: str | Mapping[str, Any]) -> dict[str, Any]:
    """A schedule of the file in the form of a server, which validates it (`kitestring.server.connections.schedule`)."""
    if isinstance(value, Mapping):
        if "cron" in value:
            return {"type": "cron", "expression": value["cron"], **{k: v for k, v in value.items() if k != "cron"}}
        return {"type": "basic" if "every" in value else "manual", **value}
    parts = value.split()
    if parts in ([], ["manual"]):
        return {"type": "manual"}
    if parts == ["continuous"]:
        return {"type": "continuous"}
    if parts[0].lower() == "every":
        number, unit = (parts[1], parts[2]) if len(parts) == 3 else ("1", parts[-1])
        if len(parts) not in (2, 3) or not number.isdigit():
            raise ConfigError(
                f"the schedule {value} cannot be read", hint="Write `every 6 hours`, or a cron expression."
            )
        return {"type": "basic", "every": int(number), "unit": unit.lower()}
    return {"type": "cron", "expression": value}


def schema() -> dict[str, Any]:
    """The JSON Schema of the project file, for editors: with every connector's own options."""
    from kitestring import registry

    out = File.spec()
    out["title"] = "Kitestring project"
    for kind in ("source", "destination"):
        entry = out["properties"][f"{kind}s"]["additionalProperties"]
        entry["properties"]["connector"]["examples"] = []
        entry["allOf"] = []
        for connector in registry.connectors(kind):
            entry["properties"]["connector"]["examples"].append(connector.name)
            try:
                form = connector.spec()
            except KitestringError:  # its packages are not installed, or it is broken: only its name is offered
                continue
            entry["allOf"].append(
                {
                    "if": {"properties": {"connector": {"const": connector.name}}, "required": ["connector"]},
                    "then": {"properties": {"config": loosened(form)}},
                }
            )
    return out


def loosened(form: Any) -> Any:
    """A form in which every plain value may also be a `${NAME}`."""
    if isinstance(form, list):
        return [loosened(item) for item in form]
    if not isinstance(form, dict):
        return form
    out = {k: loosened(v) for k, v in form.items() if k not in ("$schema", "order", "group", "airbyte_secret")}
    if form.get("type") in ("integer", "number", "boolean"):
        annotations = {k: out.pop(k) for k in ("title", "description", "default", "examples") if k in out}
        return {**annotations, "anyOf": [out, {"type": "string", "pattern": r"^\$\{.+\}$"}]}
    if form.get("type") == "string" and ("pattern" in form or "enum" in form):
        annotations = {k: out.pop(k) for k in ("title", "description", "default", "examples") if k in out}
        return {**annotations, "anyOf": [out, {"type": "string", "pattern": r"\$\{.+\}"}]}
    return out


def file_error(error: ValidationError, path: Path, lines: Lines) -> ConfigError:
    """The first error of a project file by line, and the number of further ones."""
    problems = []
    for item in error.errors(include_url=False, include_input=False, include_context=False):
        loc = tuple(str(part) for part in item["loc"])
        at = place(path, lines, loc)
        line = lines.get(loc, 0)
        name = ".".join(loc) or "the file"
        if item["type"] == "missing":
            problems.append((lines.get(loc[:-1], 0), f"{place(path, lines, loc[:-1])}: {name} is missing"))
        elif item["type"] == "extra_forbidden":
            near = did_you_mean(loc[-1], siblings(loc))
            problems.append((line, f"{at}: {name} is not a word of the project file{near}"))
        else:
            message = item["msg"].removeprefix("Value error, ").removeprefix("Input should be ").rstrip(".")
            problems.append((line, f"{at}: {name} should be {message}"))
    problems.sort()
    suffix = f" ({len(problems) - 1} more)" if len(problems) > 1 else ""
    return ConfigError(problems[0][1] + suffix, hint="`kitestring init --print` shows a file with comments.")


def siblings(loc: tuple[str, ...]) -> list[str]:
    """The known keys at the place of an unknown one."""
    if len(loc) == 1:
        return list(File.model_fields)
    if len(loc) == 3 and loc[0] in ("sources", "destinations"):
        return list(Entry.model_fields)
    if len(loc) == 3:
        return list(ConnectionEntry.model_fields)
    if len(loc) == 5:
        return list(StreamEntry.model_fields)
    return known_names(File)
