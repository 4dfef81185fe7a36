"""Finds a connector's class or manifest by its name, without importing it; imported on first use.

A source is a module in `sources/`, a manifest in `sources/manifests/`, or an entry point of another package in the
group `kitestring.sources`; a destination is a module in `destinations/` or an entry point in `kitestring.destinations`.
A module's connector is its class of the module's name, whatever the case and underscores.
A name that is none of these may be that of one of Airbyte's public connectors: `kitestring connectors install` fetched
it. `NAME@VERSION` is always one of those.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import inspect
import os
import pkgutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from kitestring.config import Config
from kitestring.destination import Destination
from kitestring.errors import ConfigError, ConnectorError, KitestringError
from kitestring.facts import Facts
from kitestring.source import Source
from kitestring.suggest import nearest_name

if TYPE_CHECKING:
    from kitestring.airbyte.installed_connectors import Installation

Kind = Literal["source", "destination"]
ROOT = Path(__file__).parent
MOST_ICON_BYTES = 32 * 1024


@dataclass(frozen=True, slots=True)
class Connector:
    """A connector that can be built. It comes from a module, a manifest, an entry point or an installation.

    An installation with a manifest has its path in `manifest` too; without one it is a program of its own.
    """

    name: str
    kind: Kind
    module: str = ""
    manifest: Path | None = None
    entry_point: EntryPoint | None = None
    installation: Installation | None = None

    @property
    def imported(self) -> bool:
        """True if the module of its class was imported already."""
        return (self.entry_point.module if self.entry_point is not None else self.module) in sys.modules

    def load(self) -> type[Source | Destination]:
        """The connector's class. `ConfigError` with an install hint where its packages are missing."""
        try:
            if self.entry_point is not None:
                candidate = self.entry_point.load()
            else:
                module = importlib.import_module(self.module)
                class_name = self.name.replace("_", "")
                candidate = next(
                    (
                        value
                        for key, value in vars(module).items()
                        if key.lower() == class_name and isinstance(value, type)
                    ),
                    None,
                )
        except ModuleNotFoundError as error:
            raise missing_package(self.name, error, distribution=self.distribution) from error
        except Exception as error:  # the module of another package may raise anything
            raise ConnectorError(
                f"the {self.kind} {self.name} cannot be imported: {type(error).__name__}: {error}",
                hint=f"Report it to the authors of {self.distribution or 'Kitestring'}.",
            ) from error
        if not (
            isinstance(candidate, type) and issubclass(candidate, Source if self.kind == "source" else Destination)
        ):
            raise ConnectorError(
                f"the module of {self.kind} {self.name} holds no {self.kind} class of that name",
                hint=f"Report it to the authors of {self.distribution or 'Kitestring'}.",
            )
        connector: type[Source | Destination] = candidate
        return connector

    def facts(self) -> Facts:
        """The facts it declares. `ConfigError` where its packages are missing and it cannot be imported."""
        if self.manifest is not None:
            from kitestring.declarative.metadata import facts_of

            return facts_of(self.manifest)
        if self.installation is not None:
            return self._program().facts
        return self.load().facts

    def title(self) -> str:
        """The name that people read: the one it declares, else one made of its name."""
        try:
            title = self.facts().title
        except KitestringError:  # its packages are missing, or it is broken
            title = ""
        if not title and self.installation is not None:
            title = self.installation.entry.title
        return title or self.name[:1].upper() + self.name[1:].replace("_", " ")

    def icon(self) -> str:
        """Its icon: an address, or the SVG text of the file that it has beside it; empty without one."""
        name = self.facts().icon
        if not name or "://" in name:
            return name
        if self.manifest is not None:
            path = self.manifest.with_name(name)
        else:
            path = Path(inspect.getfile(self.load())).with_name(name)
        try:
            return path.read_text("utf-8") if path.suffix == ".svg" and path.stat().st_size <= MOST_ICON_BYTES else ""
        except (OSError, UnicodeDecodeError):
            return ""

    def spec(self) -> dict[str, Any]:
        """The form of its configuration."""
        if self.manifest is not None:
            from kitestring.declarative import manifest_spec

            return manifest_spec(self.manifest)
        if self.installation is not None:
            return dict(self.installation.spec)
        return self.load().spec()

    def suggested(self) -> dict[str, Any]:
        """Values that a new form begins with; none for a manifest and a program."""
        return {} if self.manifest is not None or self.installation is not None else self.load().suggested()

    def _program(self) -> type[Source | Destination]:
        """The class that runs an installed connector that is a program."""
        if self.kind == "source":
            from kitestring.airbyte.source import AirbyteSource

            return AirbyteSource
        from kitestring.airbyte.destination import AirbyteDestination

        return AirbyteDestination

    def build(self, config: Mapping[str, Any]) -> Any:
        """The connector with this configuration."""
        if self.installation is not None and self.manifest is None:
            return self._program().load({**self.installation.settings, "config": dict(config)}, self.name)
        if self.manifest is not None:
            from kitestring.declarative.manifest import needs_python

            if needs_python(self.manifest):
                from kitestring.airbyte.custom_code import CustomCodeSource

                return CustomCodeSource.from_manifest(self.manifest, config)
            from kitestring.declarative import DeclarativeSource

            return DeclarativeSource.from_manifest(
                self.manifest, {key: value for key, value in config.items() if key != "allow_custom_code"}
            )
        connector_class = self.load()
        check_packages(self.name, connector_class, self.distribution)
        built = connector_class.load(config, self.name)
        for part in built.parts():
            if part is not built:
                check_packages(str(getattr(part, "mode", self.name)), type(part), "")
        return built

    @property
    def distribution(self) -> str:
        """The name of the third-party package that it comes from; empty for Kitestring's own."""
        dist = self.entry_point.dist if self.entry_point is not None else None
        return dist.name if dist is not None else ""


def check_packages(name: str, connector: type[Config], distribution: str) -> None:
    """`ConfigError` where a package is missing that a connector declares."""
    facts = connector.facts or Facts()
    for package in facts.packages:
        try:
            missing = importlib.util.find_spec(package) is None
        except ModuleNotFoundError:  # the package that it is below
            missing = True
        if missing:
            raise missing_package(name, ModuleNotFoundError(name=package), facts.extra, distribution)


def missing_package(name: str, error: ImportError, extra: str = "", distribution: str = "") -> ConfigError:
    """`extra`: the one that installs the package, where it does not bear the connector's name; of `distribution`, where
    the connector comes from another package than Kitestring."""
    if distribution:
        requirement = f"{distribution}[{extra}]" if extra else str(error.name)
    else:
        requirement = f"kitestring[{extra or name}]"
    return ConfigError(
        f"{name} needs the package {error.name}, which is not installed",
        hint=f"Install it: pip install '{requirement}'",
        package=error.name,
    )


def connectors(kind: Kind | None = None, folder: Path | None = None) -> Iterator[Connector]:
    """All connectors, sources first, by name. `folder` has the project's own manifests."""
    for connector_kind in ("source", "destination"):
        if kind in (None, connector_kind):
            yield from sorted(
                (_available(connector_kind) | _custom(connector_kind, folder)).values(), key=lambda c: c.name
            )


def connector(kind: Kind, name: str, folder: Path | None = None, *, files: bool = True) -> Connector:
    """The connector of this name (`zendesk_support`, or Airbyte's `source-zendesk-support`), or a manifest's path,
    where `files` may be named.

    The project's own (manifests in `folder`) go first, then those of Kitestring and of other packages, then what was
    installed of Airbyte's; `NAME@VERSION` is the installed one of that version.
    """
    if files and name.endswith((".yaml", ".yml")):
        path = Path(name).expanduser()
        if kind != "source" or not path.is_file():
            raise ConfigError(f"there is no {kind} manifest at {path}", hint="Check the path.", path=str(path))
        return Connector(path.stem, "source", manifest=path)
    bare, _, version = name.partition("@")
    available = {} if version else _available(kind) | _custom(kind, folder)
    for spelling in (bare, bare.removeprefix("airbyte/").removeprefix(f"{kind}-").replace("-", "_").lower()):
        if spelling in available:
            return available[spelling]
    return _installed(kind, bare, version, [*available])


def source(name: str, config: Mapping[str, Any]) -> Source:
    """A source by name with its configuration."""
    built = connector("source", name).build(config)
    assert isinstance(built, Source)
    return built


def destination(name: str, config: Mapping[str, Any]) -> Destination:
    """A destination by name with its configuration."""
    built = connector("destination", name).build(config)
    assert isinstance(built, Destination)
    return built


def _available(kind: Kind) -> dict[str, Connector]:
    """The connectors of Kitestring and of the installed packages, looked up again if a folder has changed."""
    folders: list[str | Path] = [*sys.path]
    folders += [ROOT / "sources", ROOT / "destinations", ROOT / "sources" / "manifests"]
    return dict(_look_up(kind, (*sys.path,), tuple(map(_folder_version, folders))))


def _folder_version(folder: str | Path) -> tuple[int, ...]:
    """Changes when a file or folder in it comes or goes."""
    try:
        status = os.stat(folder or ".")
    except OSError:
        return ()
    return status.st_dev, status.st_ino, status.st_mtime_ns


@functools.lru_cache(maxsize=4)
def _look_up(kind: Kind, _path: tuple[str, ...], _versions: tuple[tuple[int, ...], ...]) -> dict[str, Connector]:
    """Reads the entry points of each installed package: 7 ms where 150 are installed."""
    by_name: dict[str, Connector] = {}
    for entry in entry_points(group=f"kitestring.{kind}s"):
        by_name[entry.name] = Connector(entry.name, kind, entry_point=entry)
    for module in pkgutil.iter_modules([str(ROOT / f"{kind}s")]):
        if module.name != "manifests":
            by_name[module.name] = Connector(module.name, kind, module=f"kitestring.{kind}s.{module.name}")
    if kind == "source":
        for path in (ROOT / "sources" / "manifests").glob("*.yaml"):
            by_name[path.stem] = Connector(path.stem, kind, manifest=path)
    return by_name


def _custom(kind: Kind, folder: Path | None) -> dict[str, Connector]:
    """The manifests of a folder, by file name."""
    if kind != "source" or folder is None:
        return {}
    paths = sorted([*folder.glob("*.yml"), *folder.glob("*.yaml")])
    return {path.stem: Connector(path.stem, kind, manifest=path) for path in paths}


def _installed(kind: Kind, name: str, version: str, names: list[str]) -> Connector:
    """The connector installed under this name; `ConfigError` says how to install it, or names a near one."""
    from kitestring.airbyte import connector_index, installed_connectors

    installation = installed_connectors.installed(kind, name, version)
    if installation is not None:
        return Connector(installation.entry.name, kind, manifest=installation.manifest, installation=installation)
    index = connector_index.index()
    entry = index.get(kind, name)
    if entry is not None:
        at = f"@{version}" if version else ""
        current_version = installed_connectors.current(entry)
        raise ConfigError(
            f"{entry.name}{at} is not installed"
            + (f", {entry.name}@{current_version} is" if current_version and version else ""),
            hint=f"Install it: kitestring connectors install {entry.name}{at}",
            name=entry.name,
        )
    bare_name = name.removeprefix("airbyte/").removeprefix(f"{kind}-").replace("-", "_").lower()
    if version and bare_name in _available(kind):
        raise ConfigError(
            f"{kind} {bare_name} comes with Kitestring or a package, it has no versions to choose from",
            hint="Leave the version out.",
            name=name,
        )
    spelled = {installation.replace("-", "_"): installation for installation in names}
    for index_name in index.names(kind):
        spelled.setdefault(index_name.removeprefix(f"{kind}-").replace("-", "_"), index_name)
    near = nearest_name(bare_name, spelled)
    raise ConfigError(
        f"there is no {kind} called {name}" + (f"; did you mean {spelled[near]}?" if near else ""),
        hint=f"`kitestring connectors search {bare_name.replace('_', '-')}` looks through all there are.",
        name=name,
    )
