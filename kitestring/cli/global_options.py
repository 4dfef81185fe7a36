"""Global options, the project file, and connectors with their configurations (JSON, @file or key=value)."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from kitestring.redact import Redactor

if TYPE_CHECKING:
    from kitestring.library import DestinationHandle, SourceHandle
    from kitestring.project import Project

CONFIG_HELP = (
    "Its options: JSON, @file (JSON or YAML), or key=value, repeatable. "
    "Write secrets as '${NAME}' in single quotes: the command line is visible to other users."
)


@dataclass
class CliContext:
    """The global options; `ctx.obj` of every command."""

    project: str = ""
    debug: bool = False
    server: str = ""
    secrets: Redactor = field(default_factory=Redactor)
    """The secrets of every connector that was built: nothing shows them."""
    cwd: Path = field(default_factory=Path.cwd)

    @cached_property
    def file(self) -> Project | None:
        """The project file: the one named, or the nearest; None if there is none.

        With one, the process goes to its folder: relative paths in it mean the same wherever the command was typed.
        """
        from kitestring.project import Project

        project = Project.load(self.path(self.project)) if self.project else Project.find(self.cwd)
        if project is not None:
            os.chdir(project.path.parent)
        return project

    @cached_property
    def project_path(self) -> Path | None:
        """The path of the project file, without reading it; None if there is none."""
        if self.project:
            return self.path(self.project).absolute()
        folder = self.cwd.resolve()
        paths = (
            parent / name for parent in (folder, *folder.parents) for name in ("kitestring.yaml", "kitestring.yml")
        )
        return next((path for path in paths if path.is_file()), None)

    def path(self, name: str) -> Path:
        """A path as typed on the command line: relative to where it was typed."""
        return self.cwd / Path(name).expanduser()

    @property
    def needed(self) -> Project:
        """The project file; `ConfigError` if there is none."""
        from kitestring.errors import ConfigError

        if self.file is None:
            raise ConfigError(
                f"there is no kitestring.yaml in {Path.cwd()} or above",
                hint="`kitestring init` writes one; or name the ends: --source NAME --destination NAME.",
            )
        return self.file

    @property
    def home(self) -> Path:
        """The folder of state, rejects and logs."""
        from kitestring.home_folder import home

        return self.cwd / home(self.file.path.parent if self.file is not None else None)

    def source(self, name: str, config: Sequence[str] | None = None) -> SourceHandle:
        """A source of the project, or a connector of this name with the configuration of the flags."""
        from kitestring import library

        handle = library.source(*self.named("source", name, config), folder=self.home)
        self.secrets.hide(handle.secrets())
        return handle

    def destination(self, name: str, config: Sequence[str] | None = None) -> DestinationHandle:
        """A destination of the project, or a connector of this name with the configuration of the flags."""
        from kitestring import library

        handle = library.destination(*self.named("destination", name, config))
        self.secrets.hide(handle.secrets())
        return handle

    def named(
        self, kind: Literal["source", "destination"], name: str, config: Sequence[str] | None
    ) -> tuple[str, dict[str, Any]]:
        """Connector and configuration. Flags are laid over what the project says."""
        from kitestring import registry

        flags = config_of(config or (), self.cwd)
        if name in self.names(kind):
            connector, values = self.needed.config(kind, name)
        else:
            connector, values = self.own(kind, name), {}
        # Before anything is checked: what goes wrong in the building must be shown without secrets too.
        values = merged(values, flags)
        from kitestring.config import secrets_in

        self.secrets.hide(secrets_in(values, registry.connector(kind, connector).spec()))
        return connector, values

    def own(self, kind: Literal["source", "destination"], name: str) -> str:
        """The path of a manifest: one typed, or one in the project's folder `connectors`; else the name as it is."""
        if name.endswith((".yaml", ".yml")):
            return str(self.path(name))
        return name if self.file is None else self.file.connector(kind, name)

    def names(self, kind: Literal["source", "destination"]) -> list[str]:
        """The names of the project's sources or destinations."""
        if self.file is None:
            return []
        return list(self.file.file.sources if kind == "source" else self.file.file.destinations)


def cli_context(ctx: Any) -> CliContext:
    """The global options and the project file of a command."""
    assert isinstance(ctx.obj, CliContext)
    return ctx.obj


def config_of(arguments: Sequence[str], folder: Path | None = None) -> dict[str, Any]:
    """The configuration that flags give. Each word is JSON, @file or key=value (dots for nesting); later ones win."""
    from kitestring.project import expand

    out: dict[str, Any] = {}
    for argument in arguments:
        if argument.startswith("@"):
            values = from_file((folder or Path()) / Path(argument[1:]).expanduser())
        elif argument.lstrip().startswith("{"):
            values = as_object(from_json(argument), "the configuration")
        else:
            values = from_pair(argument)
        out = merged(out, values)
    return expand(out, os.environ, lambda path: ".".join(path))  # type: ignore[no-any-return]


def from_json(text: str) -> Any:
    from kitestring.errors import ConfigError

    try:
        return json.loads(text)
    except ValueError as error:
        raise ConfigError(
            f"the configuration is not JSON: {error}",
            hint='Write \'{"key": "value"}\' in single quotes, or key=value, or @file.',
        ) from None


def from_file(path: Path) -> dict[str, Any]:
    from kitestring.errors import ConfigError
    from kitestring.yaml_lines import read_yaml

    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(f"the file {path} cannot be read: {reason}", hint="Check the name after the @.") from error
    values = from_json(text) if path.suffix == ".json" else read_yaml(text, str(path))[0]
    return as_object(values, str(path))


def from_pair(argument: str) -> dict[str, Any]:
    """`a.b=1` is {"a": {"b": 1}}. The value is JSON where it can be read as JSON, else text."""
    from kitestring.errors import ConfigError

    key, equals, value = argument.partition("=")
    if not equals or not key.strip():
        raise ConfigError(
            "the configuration is neither JSON nor @file nor key=value",
            hint='Write key=value, \'{"key": "value"}\' or @file.json.',
        )
    try:
        node: Any = json.loads(value)
    except ValueError:
        node = value
    for part in reversed(key.strip().split(".")):
        node = {part: node}
    return as_object(node, "the configuration")


def as_object(values: Any, what: str) -> dict[str, Any]:
    from kitestring.errors import ConfigError

    if not isinstance(values, dict):
        raise ConfigError(f"{what} should be an object, it is {type(values).__name__}", hint="Write key: value pairs.")
    return values


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Two configurations, the second laid over the first, object by object."""
    out = dict(below)
    for key, value in above.items():
        old = out.get(key)
        out[key] = merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return out


def listed(values: Sequence[str] | None) -> list[str]:
    """`a,b` and repeated options as one list."""
    return [part.strip() for value in values or () for part in value.split(",") if part.strip()]
