"""From a connector's name to its class or manifest: found without importing, imported on first use.

A source is a module in `sources/`, a manifest in `sources/manifests/`, or an entry point of another package in the
group `kitestring.sources`; a destination is a module in `destinations/` or an entry point in `kitestring.destinations`.
A module's connector is its class of the module's name, whatever the case and underscores.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import pkgutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Literal

from kitestring.config import Config
from kitestring.destination import Destination
from kitestring.errors import ConfigError, ConnectorError
from kitestring.source import Source

Kind = Literal["source", "destination"]
ROOT = Path(__file__).parent
# The extra that installs what a connector imports, where it does not bear the connector's name.
EXTRAS = {"local": "local"}


@dataclass(frozen=True, slots=True)
class Connector:
    """A connector that can be built: where it comes from is one of module, manifest or entry point."""

    name: str
    kind: Kind
    module: str = ""
    manifest: Path | None = None
    entry_point: EntryPoint | None = None

    def load(self) -> type[Config]:
        """The connector's class. `ConfigError` with an install hint where its packages are missing."""
        try:
            if self.entry_point is not None:
                found = self.entry_point.load()
            else:
                module = importlib.import_module(self.module)
                wanted = self.name.replace("_", "")
                found = next(
                    (value for key, value in vars(module).items() if key.lower() == wanted and isinstance(value, type)),
                    None,
                )
        except ImportError as error:
            raise missing_package(self.name, error) from error
        if not (isinstance(found, type) and issubclass(found, Source if self.kind == "source" else Destination)):
            raise ConnectorError(f"the module of {self.kind} {self.name} holds no {self.kind} class of that name")
        return found

    def spec(self) -> dict[str, Any]:
        """The form of its configuration."""
        if self.manifest is not None:
            from kitestring.declarative import manifest_spec

            return manifest_spec(self.manifest)
        return self.load().spec()

    def build(self, config: Mapping[str, Any]) -> Any:
        """The connector with this configuration."""
        if self.manifest is not None:
            from kitestring.declarative.manifest import needs_python

            if needs_python(self.manifest):
                from kitestring.airbyte.custom_code import CustomCodeSource

                return CustomCodeSource.from_manifest(self.manifest, config)
            from kitestring.declarative import DeclarativeSource

            return DeclarativeSource.from_manifest(
                self.manifest, {key: value for key, value in config.items() if key != "allow_custom_code"}
            )
        return self.load().load(config, self.name)


def missing_package(name: str, error: ImportError) -> ConfigError:
    extra = EXTRAS.get(name, name)
    return ConfigError(
        f"{name} needs the package {error.name}, which is not installed",
        hint=f"Install it: pip install 'kitestring[{extra}]'",
        package=error.name,
    )


def connectors(kind: Kind | None = None) -> Iterator[Connector]:
    """Every connector that is there, sources first, by name."""
    for one in ("source", "destination"):
        if kind in (None, one):
            yield from sorted(_found(one).values(), key=lambda c: c.name)


def connector(kind: Kind, name: str) -> Connector:
    """The connector of this name (`zendesk_support`, or Airbyte's `source-zendesk-support`), or a manifest's path."""
    if name.endswith((".yaml", ".yml")):
        path = Path(name).expanduser()
        if kind != "source" or not path.is_file():
            raise ConfigError(f"there is no {kind} manifest at {path}", hint="Check the path.", path=str(path))
        return Connector(path.stem, "source", manifest=path)
    known = _found(kind)
    wanted = name.removeprefix("airbyte/").removeprefix(f"{kind}-").replace("-", "_").lower()
    if wanted not in known:
        near = difflib.get_close_matches(wanted, known, n=1)
        raise ConfigError(
            f"there is no {kind} called {name}" + (f"; did you mean {near[0]}?" if near else ""),
            hint="`kitestring connectors list` shows what there is.",
            name=name,
        )
    return known[wanted]


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


def _found(kind: Kind) -> dict[str, Connector]:
    found: dict[str, Connector] = {}
    for entry in entry_points(group=f"kitestring.{kind}s"):
        found[entry.name] = Connector(entry.name, kind, entry_point=entry)
    for module in pkgutil.iter_modules([str(ROOT / f"{kind}s")]):
        if module.name != "manifests":
            found[module.name] = Connector(module.name, kind, module=f"kitestring.{kind}s.{module.name}")
    if kind == "source":
        for path in (ROOT / "sources" / "manifests").glob("*.yaml"):
            found[path.stem] = Connector(path.stem, kind, manifest=path)
    return found
