"""Limits a connector's use of the server's machine: programs, files, addresses. Every use of a connector passes here.

An instance's admin administers the machine, so that a configuration that an admin wrote may start programs and name
any file. A configuration by another user (`trusted` false) gets a folder of the workspace below the data folder, by
relative names, and what the operator lists: `KITESTRING_PROGRAMS`, `KITESTRING_LOCAL_PATHS`. The author of the
configuration counts, not the user who runs it: what an admin has set up goes on by its schedule. A hardened server
keeps all of it from everybody.

A connector is built, which starts and opens nothing, then judged by what it declares (`facts`, `local_path`,
`machine_use`), and only then used: when its configuration is written, and again in the process in which it runs.
"""

from __future__ import annotations

import copy
import fnmatch
import os
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kitestring.config import Config
from kitestring.errors import ConfigError
from kitestring.facts import Facts
from kitestring.server.secrets.references import matches_pattern

if TYPE_CHECKING:
    from kitestring.registry import Connector
    from kitestring.server.settings import Settings

ADMIN = "instance_admin"
DECLARE = 'Its author declares them in its class: facts = Facts(network="python", programs=False), as it is.'


@dataclass(frozen=True, slots=True)
class Confinement:
    """The rights of one configuration. `folder`: of the workspace; None if unknown, and then no file may be used."""

    trusted: bool = False
    folder: Path | None = None
    programs: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    hardened: bool = False
    components: frozenset[str] | None = None
    """The digests of the Python components that are approved now; None on a server that runs none."""

    @classmethod
    def of(
        cls, settings: Settings, workspace_id: str, trusted: bool, components: Iterable[str] | None = None
    ) -> Confinement:
        """For a configuration in a workspace."""
        end = {"workspace_id": workspace_id, "trusted": trusted}
        return cls.from_request(limits_of(settings, components), end)

    @classmethod
    def from_request(cls, limits: Mapping[str, Any] | None, end: Mapping[str, Any]) -> Confinement:
        """From the request of a child process. A missing entry allows nothing."""
        limits = limits or {}
        workspace_id, home = end.get("workspace_id"), limits.get("home")
        valid = isinstance(workspace_id, str) and re.fullmatch(r"[0-9a-fA-F-]{1,36}", workspace_id) and home
        return cls(
            trusted=end.get("trusted") is True,
            folder=Path(str(home)) / "workspaces" / str(workspace_id) if valid else None,
            programs=tuple(limits.get("programs") or ()),
            paths=tuple(limits.get("local_paths") or ()),
            hardened=limits.get("hardened") is not False,
            components=frozenset(limits["components"]) if isinstance(limits.get("components"), list) else None,
        )

    def build(self, entry: Connector | None, manifest: Mapping[str, Any] | None, config: Mapping[str, Any]) -> Any:
        """A connector, or a low-code source of a manifest's values, that uses no more than it may. `ConfigError` where
        its configuration asks for more, or is none."""
        if manifest is not None or entry is None:
            from kitestring.declarative import DeclarativeSource
            from kitestring.declarative.python_components import components_text

            if components_text(manifest) is not None:
                source = self.build_with_components(manifest or {}, config)
                if source is not None:
                    return source
            connector: Any = DeclarativeSource.of(manifest or {}, config)
            self.apply(connector, "the manifest")
            return connector
        connector = entry.build(config)
        own = []
        if entry.installation is not None:
            own = [entry.name, f"{entry.name}@{entry.installation.entry.version}"]
        elif entry.entry_point is not None:
            own = [entry.name]
        self.apply(connector, entry.name, own)
        return connector

    def build_with_components(self, manifest: Mapping[str, Any], config: Mapping[str, Any]) -> Any:
        """The source of a manifest with Python components, None where it uses none. Their code runs in a process of its
        own, once the source is used. `ConfigError` where an instance admin has not approved it.

        What such code uses of the machine cannot be confined: the approval stands for it."""
        from kitestring.airbyte.custom_code import CustomCodeSource
        from kitestring.declarative.manifest import resolve
        from kitestring.declarative.python_components import check_scope, components_text, is_run_by_cdk

        resolved = resolve(copy.deepcopy(dict(manifest)))
        if not is_run_by_cdk(resolved):
            return None
        check_scope(resolved)
        check_approval(str(components_text(manifest)), self.components)
        return CustomCodeSource.of_components(manifest, config)

    def apply(self, connector: Any, label: str, names: Iterable[str] = ()) -> None:
        """Confine a connector that was just built; `ConfigError` where it asks for what it may not use.

        `names`: what the operator may list it by, where it has a name of its own.
        """
        if self.trusted and not self.hardened:
            return
        for part in connector.parts() if isinstance(connector, Config) else [connector]:
            self._check_facts(part, *((label, names) if part is connector else name_of(part)))
        if isinstance(connector, Config):
            use = connector.machine_use()
            if use is not None:
                raise local_use_error(f"the configuration uses {use}", self.hardened)
            connector.confine(self.place)

    def _check_facts(self, part: Any, label: str, names: Iterable[str]) -> None:
        """Refuse a connector, or one inside it, for what it declares or leaves out. What is left out counts as the
        worst: it runs programs, and reaches any address."""
        facts = getattr(part, "facts", None) or Facts()
        left_out = [name for name in ("network", "programs") if getattr(facts, name) is None]
        if self.hardened and left_out:
            raise ConfigError(
                f"{label} does not declare its {' and '.join(left_out)}, and this server runs no connector that it "
                "cannot keep to public addresses",
                hint=DECLARE,
            )
        if facts.programs is not False:
            self._check_program(label, [*names, *getattr(part, "program_names", list)()], facts.programs)

    def _check_program(self, label: str, names: list[str], declared: bool | None) -> None:
        if self.hardened:
            raise ConfigError(
                f"{label} runs as a separate program, and this server cannot keep it from private addresses",
                hint="Use a connector of Kitestring's own, or set KITESTRING_ALLOW_PRIVATE_HOSTS.",
            )
        if not any(fnmatch.fnmatchcase(name, pattern) for name in names for pattern in self.programs):
            what = "runs a program on the server" if declared else "does not declare whether it runs programs"
            raise ConfigError(
                f"{label} {what}, and the configuration was written by a user who is not {ADMIN}",
                hint=f"Have an {ADMIN} save it, or have the operator list it in KITESTRING_PROGRAMS."
                + ("" if declared else f" {DECLARE}"),
            )

    def place(self, option: str, path: str) -> str:
        """The real path of an option's path: below the workspace's folder, or one of the operator's list."""
        if self.hardened:
            raise local_use_error(path, True)
        if self._listed(path):
            return os.path.realpath(path)
        bare = path.removeprefix("file://")
        if not is_relative(bare):
            raise ConfigError(
                f"{option} is {path}, and the configuration was written by a user who is not {ADMIN}: it may name "
                "files of the workspace's own folder only",
                hint="Write a relative name without `..`, as data/warehouse.db. For another place, have an "
                f"{ADMIN} save it, or have the operator list it in KITESTRING_LOCAL_PATHS.",
            )
        if self.folder is None:
            raise ConfigError(f"{option} is {path}, and no workspace is named", hint="Name the workspace.")
        place = self.folder.absolute()
        for part in [segment for segment in bare.split("/") if segment not in ("", ".")]:
            place = place / part
            if place.is_symlink():
                raise ConfigError(f"{option} leads over a link, {path}", hint="Choose a name without links.")
        return str(place)

    def _listed(self, path: str) -> bool:
        """Whether the operator lets everybody use a path: the file itself counts, neither `..` nor a link."""
        if not path.startswith("/"):
            return False
        real = os.path.realpath(path)
        return any(matches_pattern("file", real, f"file:{pattern}") for pattern in self.paths)


def name_of(part: Any) -> tuple[str, list[str]]:
    """A connector inside another, for messages and for the operator's list: an embedder by its `mode`."""
    name = str(getattr(part, "mode", type(part).__name__))
    return name, [name]


def is_relative(path: str) -> bool:
    """Whether a path stays below where it begins, by its name alone."""
    parts = path.split("/")
    return bool(
        path
        and not path.startswith(("/", "~"))
        and not re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", path)
        and "\\" not in path
        and ".." not in parts
        and not any(ord(sign) < 32 for sign in path)
        and any(part not in ("", ".") for part in parts)
    )


def check_approval(text: str, approved: Collection[str] | None) -> None:
    """`ConfigError` where a components text is not approved. `approved`: digests; None on a server that runs none."""
    from kitestring.declarative.python_components import digest_of

    digest = digest_of(text)
    if approved is None:
        raise ConfigError(
            "the manifest has Python components, and this server runs none",
            hint="Replace them by keywords, or have the operator set KITESTRING_PYTHON_COMPONENTS.",
        )
    if digest not in approved:
        raise ConfigError(
            f"the manifest has Python components (SHA-256 {digest[:12]}…) that no {ADMIN} has approved",
            hint=f"Have an {ADMIN} read and approve them in the connector builder; each change needs a new approval.",
        )


def limits_of(settings: Settings, components: Iterable[str] | None = None) -> dict[str, Any]:
    """The limits that a child process gets. They come last in its request, so that no request overrides them.

    `components`: the digests of approved Python components; None if none may run.
    """
    return {
        "home": str(settings.home.absolute()),
        "programs": comma_separated(settings.programs),
        "local_paths": comma_separated(settings.local_paths),
        "hardened": not settings.allow_private_hosts,
        "components": sorted(components) if components is not None else None,
    }


def comma_separated(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


def local_use_error(what: str, hardened: bool) -> ConfigError:
    """The refusal of something of the machine that is neither a program nor a file in the workspace's folder."""
    if hardened:
        return ConfigError(
            f"{what or 'the path'} is on the server's own machine, and this server gives connectors no access to it",
            hint="Use an address of the public internet, for files an object store: s3://bucket/folder.",
        )
    return ConfigError(
        f"{what}, and it was written by a user who is not {ADMIN}",
        hint=f"Use your own credentials and addresses, or let an {ADMIN} save it.",
    )
