"""The project file `kitestring.yaml`: sources, destinations and connections by name, secrets by variable."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, ValidationError

from kitestring import library
from kitestring.airbyte.modes import WriteWord
from kitestring.config import Config, known_names, option
from kitestring.errors import ConfigError, KitestringError
from kitestring.library import home
from kitestring.mappers.mapper_settings import Mapper
from kitestring.suggest import did_you_mean
from kitestring.yaml_lines import Lines, place, read_yaml

if TYPE_CHECKING:
    from kitestring.engine import Selection
    from kitestring.library import DestinationHandle, SourceHandle

NAMES = ("kitestring.yaml", "kitestring.yml")
VARIABLE = re.compile(r"\$(\$)?\{([A-Za-z_][A-Za-z0-9_]*)(?::-((?:[^}\\]|\\.)*))?\}")
PINNED = re.compile(r"^[0-9A-Za-z][0-9A-Za-z._+-]*$")
PLAIN = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*$")


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
    allow_empty: bool = False
    """Whether an overwrite with no records may empty the destination. Without it the old data stay."""
    schedule: str | dict[str, Any] = "manual"
    """When a server runs it: `manual`, `every 6 hours`, a cron expression (five fields, or Quartz's six or seven) with
    a time zone behind it or not, or `{cron: …, time_zone: …, jitter_s: …}`. `kitestring sync` runs it at any time."""
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


@dataclass(frozen=True)
class Connection:
    """A connection of the project, checked against the file."""

    name: str
    source: str
    destination: str
    selections: list[Selection] | None
    prefix: str
    namespace: str | None
    max_rejects: int
    allow_empty: bool


@dataclass(frozen=True)
class Project:
    """A project file that was read and checked. Environment variables are looked up when a connector is built."""

    path: Path
    file: File = field(default_factory=File)
    lines: Lines = field(default_factory=dict)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Project:
        """Read and check a project file. `ConfigError` names file, line and the nearest known word."""
        path = Path(path).expanduser()
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise ConfigError(
                f"the project file {path} cannot be read: {reason}",
                hint="`kitestring init` writes one.",
                path=str(path),
            ) from error
        values, lines = read_yaml(text, str(path))
        if values is None:
            values = {}
        try:
            file = File.model_validate(values)
        except ValidationError as error:
            raise file_error(error, path, lines) from None
        project = cls(path, file, lines)
        for name, connection in file.connections.items():
            for kind, end, entries in (
                ("source", connection.source, file.sources),
                ("destination", connection.destination, file.destinations),
            ):
                if end not in entries:
                    raise ConfigError(
                        f"{project.place('connections', name, kind)}: connection {name} names the {kind} {end}, "
                        f"and there is none of that name{did_you_mean(end, entries)}",
                        hint=f"{kind.title()}s of this file: {', '.join(entries) or 'none'}.",
                    )
        return project

    @classmethod
    def find(cls, start: str | os.PathLike[str] | None = None) -> Project | None:
        """The project of a folder: its `kitestring.yaml`, or that of the nearest folder above; None without one."""
        folder = Path(start or os.curdir).resolve()
        for parent in (folder, *folder.parents):
            for name in NAMES:
                if (parent / name).is_file():
                    return cls.load(parent / name)
        return None

    @property
    def home(self) -> Path:
        """The folder of state, rejects and logs: `KITESTRING_HOME`, or `.kitestring` beside the project file."""
        return home(self.path.parent)

    def place(self, *path: str) -> str:
        """`file:line` of a value of the file."""
        return place(self.path, self.lines, path)

    def config(self, kind: Literal["source", "destination"], name: str) -> tuple[str, dict[str, Any]]:
        """Connector and configuration of a source or destination, with the environment variables filled in."""
        entries = self.file.sources if kind == "source" else self.file.destinations
        if name not in entries:
            raise ConfigError(
                f"{self.path} has no {kind} {name}{did_you_mean(name, entries)}",
                hint=f"It has: {', '.join(entries) or 'none'}.",
            )
        entry = entries[name]
        path = (f"{kind}s", name, "config")
        values = expand(entry.config, os.environ, lambda inner: self.place(*path, *inner))
        if entry.version is None:
            return self.connector(kind, entry.connector), values
        if entry.connector.endswith((".yaml", ".yml")) or not PINNED.match(entry.version):
            raise ConfigError(
                f"{self.place(f'{kind}s', name, 'version')}: {entry.connector} cannot have the version {entry.version}",
                hint="`version` pins an installed connector of Airbyte's; write its number in quotes.",
            )
        return f"{entry.connector}@{entry.version}", values

    def connector(self, kind: Literal["source", "destination"], name: str) -> str:
        """A connector as the registry takes it: the path of a manifest of this project, or the name as it is."""
        if name.endswith((".yaml", ".yml")):
            return name if os.path.isabs(os.path.expanduser(name)) else str(self.path.parent / name)
        if kind == "source" and PLAIN.match(name):
            for path in (self.connectors / f"{name}.yaml", self.connectors / f"{name}.yml"):
                if path.is_file():
                    return str(path)
        return name

    @property
    def connectors(self) -> Path:
        """The folder of the project's own manifests: `connectors` beside the project file. It need not be there."""
        return self.path.parent / "connectors"

    def pins(self, connector: str) -> list[tuple[Literal["source", "destination"], str, str]]:
        """Kind, name and version of every source and destination that pins this connector (`source-pokeapi`)."""
        pins: list[tuple[Literal["source", "destination"], str, str]] = []
        kinds: tuple[Literal["source", "destination"], ...] = ("source", "destination")
        for kind in kinds:
            for name, entry in (self.file.sources if kind == "source" else self.file.destinations).items():
                bare = entry.connector.removeprefix("airbyte/").removeprefix(f"{kind}-").replace("_", "-")
                if entry.version is not None and f"{kind}-{bare}" == connector:
                    pins.append((kind, name, entry.version))
        return pins

    def repin(self, kind: Literal["source", "destination"], name: str, version: str) -> bool:
        """Replace the version in its line of the file and leave the rest; False where it cannot be found."""
        entry = (self.file.sources if kind == "source" else self.file.destinations)[name]
        number = self.lines.get((f"{kind}s", name, "version"))
        if number is None or entry.version is None:
            return False
        lines = self.path.read_text("utf-8").splitlines(keepends=True)
        pattern = re.compile(rf"(\bversion[\"']?\s*:\s*)([\"']?){re.escape(entry.version)}\2(?![\w.])")
        line, count = pattern.subn(lambda match: f'{match[1]}"{version}"', lines[number - 1], count=1)
        if not count:
            return False
        lines[number - 1] = line
        draft = self.path.with_name(f".{self.path.name}.{os.getpid()}.tmp")
        draft.write_text("".join(lines), "utf-8")
        draft.replace(self.path)
        return True

    def desired_config(self) -> dict[str, Any]:
        """The configuration of the file as a server takes it: variables filled in, manifests by their content."""
        from kitestring.declarative.manifest import parse

        out: dict[str, Any] = {"sources": {}, "destinations": {}, "connections": {}}
        kinds: tuple[Literal["source", "destination"], ...] = ("source", "destination")
        for kind in kinds:
            for name in self.file.sources if kind == "source" else self.file.destinations:
                connector, values = self.config(kind, name)
                bare, _, version = connector.partition("@")
                endpoint: dict[str, Any] = {"connector": bare, "version": version or None, "config": values}
                if bare.endswith((".yaml", ".yml")):
                    endpoint |= {"connector": Path(bare).name, "manifest": parse(Path(bare).read_text("utf-8"))}
                out[f"{kind}s"][name] = endpoint
        for name, entry in self.file.connections.items():
            if any(stream.prefix or stream.namespace is not None for stream in entry.streams or ()):
                raise ConfigError(
                    f"{self.place('connections', name, 'streams')}: a stream of {name} has a prefix or a namespace of "
                    "its own, and a server gives one to all streams of a connection",
                    hint="Set them for the connection, or make two connections.",
                )
            values = entry.model_dump(exclude={"schedule", "streams"})
            if entry.streams is not None:
                values["streams"] = [stream.model_dump(exclude={"prefix", "namespace"}) for stream in entry.streams]
            out["connections"][name] = {**values, "schedule": timing(entry.schedule)}
        notifications = {event: entry.model_dump(exclude_none=True) for event, entry in self.file.notifications.items()}
        if notifications:
            out["notifications"] = expand(notifications, os.environ, lambda inner: self.place("notifications", *inner))
        return out

    def source(self, name: str) -> SourceHandle:
        """A source of the file."""
        return library.source(*self.config("source", name), folder=self.home)

    def destination(self, name: str) -> DestinationHandle:
        """A destination of the file."""
        return library.destination(*self.config("destination", name))

    def connection(self, name: str) -> Connection:
        """A connection of the file."""
        from kitestring.engine import Selection

        connections = self.file.connections
        if name not in connections:
            raise ConfigError(
                f"{self.path} has no connection {name}{did_you_mean(name, connections)}",
                hint=f"It has: {', '.join(connections) or 'none'}.",
            )
        entry = connections[name]
        selections = None
        if entry.streams is not None:
            selections = [
                Selection(
                    name=s.name,
                    sync_mode=s.sync_mode,
                    write_mode=s.write_mode,
                    primary_key=s.primary_key,
                    cursor=s.cursor,
                    fields=s.fields,
                    prefix=s.prefix,
                    alias=s.alias or "",
                    namespace=s.namespace,
                    mappers=self._mappers(name, number, s),
                )
                for number, s in enumerate(entry.streams)
            ]
        return Connection(
            name,
            entry.source,
            entry.destination,
            selections,
            entry.prefix,
            entry.namespace,
            entry.max_rejects,
            entry.allow_empty,
        )

    def _mappers(self, connection: str, number: int, stream: StreamEntry) -> list[dict[str, Any]]:
        """The mappers of a stream as the engine takes them, variables filled in."""
        mappers = [mapper.model_dump(exclude_none=True) for mapper in stream.mappers or ()]
        filled: list[dict[str, Any]] = expand(
            mappers,
            os.environ,
            lambda inner: self.place("connections", connection, "streams", str(number), "mappers", *inner),
        )
        return filled


def timing(value: str | Mapping[str, Any]) -> dict[str, Any]:
    """A schedule of the file in the form of a server, which validates it (`kitestring.server.connections.schedule`)."""
    if isinstance(value, Mapping):
        if "cron" in value:
            return {"type": "cron", "expression": value["cron"], **{k: v for k, v in value.items() if k != "cron"}}
        return {"type": "basic" if "every" in value else "manual", **value}
    parts = value.split()
    if parts in ([], ["manual"]):
        return {"type": "manual"}
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


def expand(values: Any, environment: Mapping[str, str], where: Callable[[tuple[str, ...]], str]) -> Any:
    """`values` with every `${NAME}` and `${NAME:-default}` in its strings replaced; `$${` becomes `${`.

    `where(path)` is the place of a value, for the error about variables that are not set and have no default: it names
    all of them. The replaced value stays text.
    """
    missing: dict[str, str] = {}

    def fill(value: Any, path: tuple[str, ...]) -> Any:
        if isinstance(value, Mapping):
            return {k: fill(v, (*path, str(k))) for k, v in value.items()}
        if isinstance(value, list):
            return [fill(v, (*path, str(n))) for n, v in enumerate(value)]
        if not isinstance(value, str) or "${" not in value:
            return value

        def replacement(match: re.Match[str]) -> str:
            escaped, name, default = match.groups()
            if escaped:
                return match.group()[1:]
            variable = environment.get(name)
            if default is not None:  # as in a shell, `:-` also replaces an empty variable
                return variable or re.sub(r"\\(.)", r"\1", default)
            if variable is None:
                missing.setdefault(name, where(path))
                return ""
            return variable

        return VARIABLE.sub(replacement, value)

    filled = fill(values, ())
    if missing:
        raise unset(missing)
    return filled


def unset(missing: Mapping[str, str]) -> ConfigError:
    """The error for environment variables that are not set, by name with the place where each is asked for."""
    (name, place), *rest = missing.items()
    if not rest:
        return ConfigError(
            f"{place}: the environment variable {name} is not set",
            hint=f"Set it (export {name}=...), or write ${{{name}:-default}}.",
            variable=name,
        )
    named = ", ".join(f"{name} ({place})" for name, place in missing.items())
    return ConfigError(
        f"{len(missing)} environment variables are not set: {named}",
        hint=f"Set them (export {name}=...), or write ${{{name}:-default}}.",
        variables=list(missing),
    )


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
