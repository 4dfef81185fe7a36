"""The project file `kitestring.yaml`: sources, destinations and connections by name, secrets by variable."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import ValidationError

from kitestring import library
from kitestring.errors import ConfigError
from kitestring.home_folder import home
from kitestring.project_file import File, StreamEntry, file_error, timing
from kitestring.suggest import did_you_mean
from kitestring.yaml_lines import Lines, place, read_yaml

if TYPE_CHECKING:
    from kitestring.engine import Selection
    from kitestring.library import DestinationHandle, SourceHandle

NAMES = ("kitestring.yaml", "kitestring.yml")
VARIABLE = re.compile(r"\$(\$)?\{([A-Za-z_][A-Za-z0-9_]*)(?::-((?:[^}\\]|\\.)*))?\}")
PINNED = re.compile(r"^[0-9A-Za-z][0-9A-Za-z._+-]*$")
PLAIN = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*$")


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
    max_nulled_share: float
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
                        f"and it does not exist{did_you_mean(end, entries)}",
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
                    f"{self.place('connections', name, 'streams')}: a stream of {name} has its own prefix or "
                    "namespace, but all streams of a connection on a server share one",
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
                    detect_deletes=s.detect_deletes,
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
            entry.max_nulled_share,
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
