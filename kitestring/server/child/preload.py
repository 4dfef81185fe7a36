"""Modules that the fork server imports once for all its children."""

from __future__ import annotations

import contextlib
from collections.abc import Set

from kitestring.errors import KitestringError

PRELOADED = ("numpy", "pandas", "pyarrow", "orjson", "tiktoken")
"""Packages of the core that are slow to import and safe to import before a fork: they open no connection and start no
thread that a fork would break (Arrow's memory pool and numpy's algebra handle theirs). The same holds for our own
modules, and for what the connectors in use declare (`Facts.preload`)."""
OWN_PACKAGES = (
    "sources",
    "destinations",
    "declarative",
    "vector",
    "sql",
    "files",
    "vendors",
    "airbyte",
    "arrow",
    "pattern",
)


def import_modules() -> None:
    """Import what nearly every request needs, once for all children. Nothing here may start a thread."""
    import kitestring.declarative
    import kitestring.engine
    import kitestring.http
    import kitestring.library
    import kitestring.registry
    import kitestring.server.child.actions
    import kitestring.server.child.builder_actions
    import kitestring.server.child.data
    import kitestring.server.child.manifest_actions
    import kitestring.server.child.refresh
    import kitestring.server.child.search_calls
    import kitestring.server.child.sync  # noqa: F401


def preload_packages() -> set[str]:
    """The packages that may be imported before a fork: the core's, and those of the connectors in use."""
    from kitestring import registry

    packages = set(PRELOADED)
    for connector in registry.connectors():
        if connector.imported:
            with contextlib.suppress(KitestringError):
                packages.update(connector.load().facts.preload)
    return packages


def may_preload(module: str, packages: Set[str]) -> bool:
    """Whether the fork server may import this module: a package itself, a module of Arrow, or one of ours."""
    package, _, rest = module.partition(".")
    if package == "kitestring":
        return rest.split(".")[0] in OWN_PACKAGES
    arrow = package == "pyarrow" in packages and not rest.startswith("_") and "." not in rest
    return module in packages or arrow
