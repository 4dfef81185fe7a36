"""The index of Airbyte's public connectors: facts by name, shipped with the package and refreshed on request."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, Self

from kitestring.errors import ConfigError
from kitestring.suggest import near_names

log = logging.getLogger("kitestring.airbyte")

Kind = Literal["source", "destination"]
Road = Literal["manifest", "package", "image"]
SHIPPED = Path(__file__).parent / "catalog.json"
REFRESHED = "airbyte-catalog.json"


@dataclass(frozen=True, slots=True)
class Change:
    """A breaking change: the version, what users have to do, and the deadline (a date, or an empty text)."""

    version: str
    message: str
    deadline: str = ""
    docs: str = ""


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """The facts of one connector. `version` is the newest one published when the index was made."""

    name: str
    title: str
    kind: Kind
    id: str
    image: str
    version: str
    package: str = ""
    language: str = ""
    docs: str = ""
    support: str = ""
    licence: str = ""
    changes: tuple[Change, ...] = field(default=(), compare=False)

    @property
    def road(self) -> Road:
        """How it runs: a manifest natively, a package in its own environment, an image in a container."""
        if self.language == "manifest-only":
            return "manifest"
        return "package" if self.package else "image"

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """The facts in an entry of the registry (`oss_registry.json`, or the `oss.json` of one version).

        The form is Airbyte's ConnectorRegistrySourceDefinition or ConnectorRegistryDestinationDefinition; `ConfigError`
        for another form.
        """
        kind: Kind = "destination" if "destinationDefinitionId" in values else "source"
        image, version = values.get("dockerRepository"), values.get("dockerImageTag")
        if not isinstance(image, str) or not image or not isinstance(version, str) or not version:
            raise ConfigError(
                "an entry of the registry has no dockerRepository or no dockerImageTag",
                hint="Check that the address is that of a connector registry.",
            )
        pypi = part(part(values, "remoteRegistries"), "pypi")
        return cls(
            name=image.rpartition("/")[2],
            title=str(values.get("name") or image),
            kind=kind,
            id=str(values.get(f"{kind}DefinitionId") or ""),
            image=image,
            version=version,
            package=str(pypi.get("packageName") or "") if pypi.get("enabled") else "",
            language=str(values.get("language") or language_of(values.get("tags"))),
            docs=str(values.get("documentationUrl") or ""),
            support=str(values.get("supportLevel") or ""),
            licence=str(values.get("license") or ""),
            changes=tuple(
                Change(
                    str(number),
                    " ".join(str(part(changes, number).get("message") or "").split()),
                    str(part(changes, number).get("upgradeDeadline") or ""),
                    str(part(changes, number).get("migrationDocumentationUrl") or ""),
                )
                for changes in (part(part(values, "releases"), "breakingChanges"),)
                for number in changes
            ),
        )

    def breaking(self, old: str, new: str) -> list[Change]:
        """The breaking changes between the versions `old` and `new`, in order."""
        between = [change for change in self.changes if order(old) < order(change.version) <= order(new)]
        return sorted(between, key=lambda change: order(change.version))


COLUMNS = [column.name for column in fields(IndexEntry)]


@dataclass(frozen=True, slots=True)
class ConnectorIndex:
    """All entries, sources first, by name; `refreshed` if it is newer than the shipped index."""

    entries: tuple[IndexEntry, ...]
    refreshed: bool = False

    def get(self, kind: Kind, name: str) -> IndexEntry | None:
        """The entry of this name, with or without the kind as a prefix, with dashes or underscores."""
        plain_name = plain(name)
        for entry in self.entries:
            if entry.kind == kind and plain_name in (entry.name, entry.name.removeprefix(f"{kind}-")):
                return entry
        return None

    def names(self, kind: Kind) -> list[str]:
        return [entry.name for entry in self.entries if entry.kind == kind]

    def search(self, text: str) -> list[IndexEntry]:
        """Entries with every term of the text in name, title or package, best first; if none, those with near names."""
        return search_entries(text, self.entries, lambda entry: (entry.name, f"{entry.title} {entry.package}"))


def search_entries(text: str, entries: Iterable[Any], facts: Any) -> list[Any]:
    """The entries whose facts `(name, other text)` contain every term; if none do, those with a near name."""
    terms = plain(text).replace("-", " ").split()
    if not terms:
        return []
    ranked = []
    every = list(entries)
    for entry in every:
        name, other_text = facts(entry)
        bare = plain(name).replace("-", " ")
        whole = f"{bare} {other_text.lower()}"
        if all(term in whole for term in terms):
            joined = " ".join(terms)
            short = bare.removeprefix("source ").removeprefix("destination ")
            rank = 0 if joined in (bare, short) else 1 if short.startswith(joined) else 2 if terms[0] in bare else 3
            ranked.append((rank, name, entry))
    if ranked:
        return [entry for _, _, entry in sorted(ranked, key=lambda item: item[:2])]
    near = near_names("-".join(terms), {short_name(facts(entry)[0]) for entry in every}, 5, 0.7)
    return [entry for name in near for entry in every if short_name(facts(entry)[0]) == name]


def short_name(name: str) -> str:
    return plain(name).removeprefix("source-").removeprefix("destination-")


def plain(name: str) -> str:
    return name.strip().removeprefix("airbyte/").replace("_", "-").lower()


def order(version: str) -> tuple[int, ...]:
    """A version as numbers, for comparing; without what follows a dash or a plus."""
    numbers = version.partition("-")[0].partition("+")[0].split(".")
    return tuple(int(number) if number.isdigit() else 0 for number in numbers)


def part(values: Any, name: Any) -> Mapping[str, Any]:
    inner = values.get(name) if isinstance(values, Mapping) else None
    return inner if isinstance(inner, Mapping) else {}


def language_of(tags: Any) -> str:
    languages = [str(tag).removeprefix("language:") for tag in tags or () if str(tag).startswith("language:")]
    return "manifest-only" if "manifest-only" in languages else languages[0] if languages else ""


# Storage.


def folder() -> Path:
    """The folder of the refreshed index and of installed connectors: `KITESTRING_HOME`, else in the user's cache."""
    home = os.environ.get("KITESTRING_HOME")
    if home:
        return Path(home).expanduser().absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser().absolute() / "kitestring"


def index() -> ConnectorIndex:
    """The refreshed index, or the shipped one. A refreshed index that cannot be read is skipped with a warning."""
    path = folder() / REFRESHED
    try:
        stamp = path.stat().st_mtime_ns
    except OSError:
        return read(SHIPPED, 0, False)
    try:
        return read(path, stamp, True)
    except (OSError, ValueError, TypeError, KeyError) as error:
        log.warning(
            "the refreshed index cannot be read, the shipped one is used",
            extra={"path": str(path), "error": str(error)},
        )
        return read(SHIPPED, 0, False)


@lru_cache(maxsize=4)
def read(path: Path, stamp: int, refreshed: bool) -> ConnectorIndex:
    """Read an index file; `stamp` is its time, so that a changed file is read again."""
    raw = json.loads(path.read_text("utf-8"))
    columns = raw["columns"]
    entries = []
    for row in raw["connectors"]:
        values = dict(zip(columns, row, strict=True))
        values["changes"] = tuple(Change(**change) for change in values.get("changes") or ())
        entries.append(IndexEntry(**values))
    return ConnectorIndex(tuple(entries), refreshed)


def index_text(entries: Sequence[IndexEntry]) -> str:
    """The text of an index file: one connector per line, so that diffs are readable."""
    rows = []
    for entry in sorted(entries, key=lambda entry: (entry.kind != "source", entry.name)):
        values = asdict(entry)
        rows.append(json.dumps([values[name] for name in COLUMNS], ensure_ascii=False, separators=(",", ":")))
    return f'{{"columns":{json.dumps(COLUMNS)},"connectors":[\n' + ",\n".join(rows) + "\n]}\n"


def save(entries: Sequence[IndexEntry]) -> Path:
    """Save these entries as the refreshed index."""
    path = folder() / REFRESHED
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(index_text(entries), "utf-8")
        draft.replace(path)
    except OSError as error:
        raise ConfigError(
            f"the index cannot be kept in {path}: {error.strerror}",
            hint="Set KITESTRING_HOME to a folder that can be written.",
        ) from error
    return path


def entries_of(registry: Any) -> list[IndexEntry]:
    """The entries of a registry file, `{"sources": […], "destinations": […]}`. `ConfigError` for another form."""
    lists = [part_list(registry, "sources"), part_list(registry, "destinations")]
    entries = [IndexEntry.of(values) for values in lists[0] + lists[1] if not values.get("tombstone")]
    if not entries:
        raise ConfigError(
            "the registry lists no connector", hint="Check that the address is that of a connector registry."
        )
    return entries


def part_list(registry: Any, name: str) -> list[Mapping[str, Any]]:
    values = registry.get(name) if isinstance(registry, Mapping) else None
    if not isinstance(values, list) or not all(isinstance(value, Mapping) for value in values):
        raise ConfigError(
            f"the registry holds no list of {name}", hint="Check that the address is that of a connector registry."
        )
    return values


@dataclass(frozen=True, slots=True)
class Difference:
    """The changes of a refresh: added and removed entries, and pairs (old, new) with another version."""

    added: tuple[IndexEntry, ...]
    removed: tuple[IndexEntry, ...]
    changed: tuple[tuple[IndexEntry, IndexEntry], ...]

    def breaking(self) -> Iterator[tuple[IndexEntry, Change]]:
        """The breaking changes since the versions that were the newest before."""
        for old, new in self.changed:
            for change in new.breaking(old.version, new.version):
                yield new, change


def difference(old: Iterable[IndexEntry], new: Iterable[IndexEntry]) -> Difference:
    before = {(entry.kind, entry.image): entry for entry in old}
    after = {(entry.kind, entry.image): entry for entry in new}
    return Difference(
        tuple(after[key] for key in after if key not in before),
        tuple(before[key] for key in before if key not in after),
        tuple(
            (before[key], after[key]) for key in after if key in before and before[key].version != after[key].version
        ),
    )
