"""Modules that moved: an import by the old name gives the module at its new place, with a `DeprecationWarning`.

The table has what the documentation named, and the modules of the kits that connectors are built on. The finder
is the last one that Python asks, so an import by a current name never comes here.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

REMOVED_IN = "0.2.0"
"""The version in which the old names go."""

MODULES = {
    f"kitestring.{old}": f"kitestring.{new}"
    for old, new in {
        "cli.app": "cli.command_line",
        "engine.cipher": "mappers.encryption",
        "engine.mapped": "mappers.mapped_batch",
        "engine.mapping": "mappers.apply",
        "files.cloud": "files.cloud_storage",
        "files.key": "files.row_key",
        "files.place": "files.stream_folder",
        "http.budget": "http.rate_limit",
        "http.connections": "http.open_connections",
        "http.mask": "redact",
        "http.policy": "http.retry",
        "mapper": "mappers.mapper_settings",
        "reading": "current_stream",
        "sql.error": "sql.error_rules",
        "sql.incoming": "sql.prepared_batch",
        "sql.name": "sql.identifiers",
        "testing.oauth": "testing.token_endpoint",
        "vector.bert": "vector.embedders.local.bert",
        "vector.bill": "vector.usage",
        "vector.encoding": "vector.tokenizer",
        "vector.fieldpath": "paths",
        "vector.filters": "filters",
        "vector.onnx": "vector.embedders.local.onnx",
        "vector.openai_wire": "vector.embedders.openai_wire",
        "vector.patience": "vector.embedders.embedding_retries",
        "vector.plan": "vector.diff",
        "vector.recent": "vector.recent_writes",
        "vector.remote": "vector.embedders.remote",
        "vector.ruler": "vector.split.token_counts",
        "vector.run": "vector.stream_writer",
        "vector.separators": "vector.split.separators",
        "vector.shadow": "vector.staging",
        "vector.wellformed": "vector.unicode",
    }.items()
}
"""Old name → new name. `kitestring.vector.split` has become a package, which gives its old names itself."""

STAND_INS = {
    f"kitestring.testing.{name}"
    for name in (
        *("airtable", "asana", "atlassian", "confluence", "discourse", "freshdesk", "github", "gitlab", "graphql"),
        *("hubspot", "intercom", "jira", "linear", "notion", "openai", "shopify", "slack", "stripe"),
    )
}
"""Stand-ins of vendors' APIs that are no longer part of the package."""


class MovedModules:
    """The finder of modules that moved, for `sys.meta_path`, and their loader."""

    def __init__(self) -> None:
        self._specs: dict[str, ModuleSpec | None] = {}

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        moved = name in MODULES or name in STAND_INS
        return ModuleSpec(name, self) if moved else None  # type: ignore[arg-type]  # a loader by its methods

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """The module at its new place: one object under both names."""
        if spec.name in STAND_INS:
            raise ModuleNotFoundError(
                f"{spec.name} is not a part of the package any more. It is tests/stand_ins/"
                f"{spec.name.rpartition('.')[2]}.py in Kitestring's repository; for a stand-in of your own: "
                "kitestring.testing.stand_in",
                name=spec.name,
            )
        new = MODULES[spec.name]
        # The frames of the import system are not counted: the warning names the line of the import.
        warnings.warn(f"{spec.name} is now {new}; the old name goes in {REMOVED_IN}", DeprecationWarning, stacklevel=2)
        module = importlib.import_module(new)
        self._specs[spec.name] = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Put back the module's spec, which the import has replaced. The module itself ran at its new place."""
        assert module.__spec__ is not None
        module.__spec__ = self._specs.pop(module.__spec__.name)
