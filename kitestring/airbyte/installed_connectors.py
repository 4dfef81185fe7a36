"""Installed connectors: the files of each version, with checksums, usable without a network."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kitestring.airbyte import connector_index, environment
from kitestring.airbyte.cdk import METADATA
from kitestring.airbyte.connector_index import IndexEntry, Kind, order
from kitestring.airbyte.registry_client import RegistryClient
from kitestring.errors import ConfigError, KitestringError, TransientError

log = logging.getLogger("kitestring.airbyte")

MANIFEST, COMPONENTS, FACTS, CURRENT = "manifest.yaml", "components.py", "installed.json", "current"
CUSTOM = re.compile(rb"\bclass_name[\"']?\s*:")
VERSION = re.compile(r"^[0-9A-Za-z][0-9A-Za-z._+-]*$")


@dataclass(frozen=True, slots=True)
class Installation:
    """One version of a connector, in its folder. `sha256` has the checksum of each file as it was fetched."""

    entry: IndexEntry
    folder: Path
    sha256: Mapping[str, str] = field(default_factory=dict)
    url: str = ""
    at: str = ""
    environment: str = ""
    python: str = ""
    spec: Mapping[str, Any] = field(default_factory=dict)

    @property
    def manifest(self) -> Path | None:
        """Its manifest, checked against its checksum; None for a package or an image."""
        if self.entry.road != "manifest":
            return None
        self.verify()
        return self.folder / MANIFEST

    @property
    def settings(self) -> dict[str, Any]:
        """The settings with which the `airbyte` source or destination runs it."""
        entry = self.entry
        if entry.road == "package":
            return {"package": f"{entry.package}=={entry.version}", **({"python": self.python} if self.python else {})}
        return {"image": f"{entry.image}:{entry.version}"}

    def verify(self) -> None:
        """`ConfigError` where a file differs from what was fetched."""
        for name, expected in self.sha256.items():
            try:
                content = (self.folder / name).read_bytes()
            except OSError as error:
                raise self._damaged(f"its file {name} cannot be read: {error.strerror}") from error
            if sha256(content) != expected:
                raise self._damaged(f"its file {name} was changed after it was fetched")

    def _damaged(self, fact: str) -> ConfigError:
        name = f"{self.entry.name}@{self.entry.version}"
        return ConfigError(
            f"{name} is installed in {self.folder}, and {fact}",
            hint=f"Install it again: kitestring connectors install {name} --force. "
            "To change a manifest, copy it into the folder `connectors` of your project.",
            path=str(self.folder),
        )


def folder() -> Path:
    return connector_index.folder() / "connectors"


def installations() -> Iterator[Installation]:
    """Every installed version, by name, the newest version first."""
    for place in sorted(folder().glob("*")):
        versions = [version_folder for version_folder in place.glob("*") if (version_folder / FACTS).is_file()]
        for version_folder in sorted(versions, key=lambda path: order(path.name), reverse=True):
            installation = at(version_folder)
            if installation is not None:
                yield installation


def installed(kind: Kind, name: str, version: str = "") -> Installation | None:
    """A connector's installation: of this version, or without one of the version installed last."""
    bare = connector_index.plain(name)
    for folder_name in (bare, f"{kind}-{bare}"):
        place = folder() / folder_name
        if not re.fullmatch(r"[a-z0-9][a-z0-9.-]*", folder_name) or not place.is_dir():
            continue
        if version:
            number = version
        else:
            try:
                number = (place / CURRENT).read_text("utf-8").strip()
            except OSError:
                continue
        installation = at(place / number) if VERSION.match(number) else None
        if installation is not None and installation.entry.kind == kind:
            return installation
    return None


def at(place: Path) -> Installation | None:
    """The installation in a folder; None where there is none, or it cannot be read."""
    try:
        raw = json.loads((place / FACTS).read_text("utf-8"))
        entry = dict(raw.pop("entry"))
        entry["changes"] = tuple(connector_index.Change(**change) for change in entry.get("changes") or ())
        return Installation(IndexEntry(**entry), place, **raw)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        log.warning("an installed connector cannot be read", extra={"path": str(place), "error": str(error)})
        return None


def current(entry: IndexEntry) -> str:
    """The version that is used unless another is pinned; an empty text if none is installed."""
    installation = installed(entry.kind, entry.name)
    return "" if installation is None else installation.entry.version


def facts(entry: IndexEntry, version: str, registry: RegistryClient) -> IndexEntry:
    """The entry of one version from the registry, or else from the index.

    A package or an image does not come from the registry: where that is unreachable, the index is enough.
    """
    try:
        published = registry.entry(entry.image, version)
    except TransientError as error:
        if entry.road == "manifest":
            raise
        log.warning("breaking changes are not known: %s", error.message, extra={"connector": entry.name})
        published = None
    if published is not None and (published.kind, published.name) != (entry.kind, entry.name):
        raise ConfigError(
            f"the registry {registry.url} returned {published.kind} {published.name} instead of {entry.name}",
            hint="Check the address of the registry.",
        )
    return replace(entry, version=version) if published is None else replace(published, version=version)


def install(entry: IndexEntry, *, registry: RegistryClient, python: str = "", force: bool = False) -> Installation:
    """Fetch this version of a connector, unless it is installed, and make it the one in use.

    `force` fetches again, and accepts files that differ from those fetched before for the same version. A manifest
    comes from the registry, a package from PyPI, an image from the container engine when it runs. `ConfigError` for a
    connector that does not exist or does not fit, `TransientError` where the network fails.
    """
    if not VERSION.match(entry.version):
        raise ConfigError(f"{entry.version!r} is not a version", hint="Write NAME@VERSION.")
    place = folder() / entry.name / entry.version
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with environment.locked(folder() / f".{entry.name}.lock"):
            return install_into(place, entry, registry, python, force)
    except OSError as error:
        raise ConfigError(
            f"{entry.name} cannot be kept in {place}: {error.strerror}",
            hint="Set KITESTRING_HOME to a folder that can be written.",
        ) from error


def install_into(place: Path, entry: IndexEntry, registry: RegistryClient, python: str, force: bool) -> Installation:
    before = at(place)
    if before is not None and not force:
        before.verify()
        if entry.road == "package" and not Path(before.environment).is_dir():
            before = None  # its environment was removed: it is made again
        else:
            use(before)
            return before
    draft = place.with_name(f".{place.name}.{os.getpid()}.tmp")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    with discard_on_error(draft):
        fetched = fetch(entry, draft, registry, python)
        (draft / FACTS).write_text(json.dumps(as_values(fetched), indent=1) + "\n", "utf-8")
        if place.exists():
            shutil.rmtree(place)
        draft.replace(place)
    done = at(place)
    assert done is not None
    use(done)
    return done


def fetch(entry: IndexEntry, draft: Path, registry: RegistryClient, python: str) -> Installation:
    """Fetch all files of one version into a folder."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    if entry.road == "manifest":
        from kitestring.declarative.manifest import load

        files = {MANIFEST: registry.file(entry.image, entry.version, MANIFEST)}
        if CUSTOM.search(files[MANIFEST]):
            files[COMPONENTS] = registry.file(entry.image, entry.version, COMPONENTS)
            metadata = registry.file(entry.image, entry.version, METADATA, optional=True)
            if metadata is not None:  # it names the airbyte-cdk that the components are written for
                files[METADATA] = metadata
        for name, content in files.items():
            (draft / name).write_bytes(content)
        try:
            load(draft / MANIFEST)
        except ConfigError as error:
            raise ConfigError(
                f"the manifest of {entry.name}@{entry.version} from {registry.url} is invalid: {error.message}",
                hint="Check the address of the registry, and the version.",
            ) from error
        sums = {name: sha256(content) for name, content in files.items()}
        return Installation(entry, draft, sums, registry.url, now)
    installation = Installation(entry, draft, {}, registry.url, now, python=python if entry.road == "package" else "")
    place = ""
    if entry.road == "package":
        place = str(environment.ensure(installation.settings["package"], python))
    else:
        from kitestring.airbyte.connector_process import container_engine

        container_engine()
    return replace(installation, environment=place, spec=fetch_spec(entry, installation.settings))


def fetch_spec(entry: IndexEntry, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The spec of its configuration, from one run of the program."""
    from kitestring.airbyte.destination import AirbyteDestination
    from kitestring.airbyte.source import AirbyteSource

    program: Any = AirbyteSource if entry.kind == "source" else AirbyteDestination
    built = program.load(settings, entry.name)
    try:
        spec = built.spec_of_connector()
    finally:
        built.close()
    form = spec.get("connectionSpecification")
    return dict(form) if isinstance(form, Mapping) else {}


def use(installation: Installation) -> None:
    """Make it the version that is used unless another is pinned."""
    path = installation.folder.parent / CURRENT
    draft = path.with_name(f".{CURRENT}.{os.getpid()}.tmp")
    draft.write_text(installation.entry.version + "\n", "utf-8")
    draft.replace(path)


def remove(installation: Installation) -> None:
    """Delete it. If it was in use, the newest remaining version is used from now on."""
    place = installation.folder.parent
    was = current(installation.entry)
    shutil.rmtree(installation.folder)
    if installation.environment and Path(installation.environment).parent == environment.folder():
        shutil.rmtree(installation.environment, ignore_errors=True)
    remaining = [other for other in installations() if other.folder.parent == place]
    if not remaining:
        shutil.rmtree(place)
    elif was == installation.entry.version:
        use(remaining[0])


def as_values(installation: Installation) -> dict[str, Any]:
    return {
        "entry": asdict(installation.entry),
        "sha256": dict(installation.sha256),
        "url": installation.url,
        "at": installation.at,
        "environment": installation.environment,
        "python": installation.python,
        "spec": dict(installation.spec),
    }


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@contextlib.contextmanager
def discard_on_error(draft: Path) -> Iterator[None]:
    """Remove the draft on any error."""
    try:
        yield
    except (KitestringError, OSError, KeyboardInterrupt):
        shutil.rmtree(draft, ignore_errors=True)
        raise
