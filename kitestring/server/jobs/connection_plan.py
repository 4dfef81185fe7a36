"""The plan of a connection: both endpoints with decrypted configurations, and the streams."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from kitestring.engine.selection import Selection

if TYPE_CHECKING:
    from kitestring.server.context import Context


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A source or a destination: a connector with its configuration, all secrets decrypted.

    `connector` is a name in the registry; a custom low-code source has a `manifest` instead. `id` is "" if it is not
    stored yet. `trusted`: an instance_admin wrote the configuration (see `confinement.py`).
    """

    connector: str
    config: Mapping[str, Any] = field(repr=False)
    id: str = ""
    manifest: Mapping[str, Any] | None = field(default=None, repr=False)
    workspace_id: str = ""
    trusted: bool = False

    def body(self) -> dict[str, Any]:
        """The plan in the request of a child process."""
        return {
            "connector": self.connector,
            "config": dict(self.config),
            "manifest": self.manifest,
            "workspace_id": self.workspace_id,
            "trusted": self.trusted,
        }


@dataclass(frozen=True, slots=True)
class Plan:
    """A connection as it is run. `catalog`: the body of its last accepted discovery (`{"streams": […]}`) or None.

    `prefix` is put before the streams' names at the destination; `namespace` "" drops the source's, None keeps it.
    """

    connection_id: str
    workspace_id: str
    source: Endpoint
    destination: Endpoint
    selections: tuple[Selection, ...]
    prefix: str = ""
    namespace: str | None = None
    max_rejects: int = 1000
    max_nulled_share: float = 0.01
    allow_empty: bool = False
    catalog: Mapping[str, Any] | None = field(default=None, repr=False)
    schema_policy: str = "ignore"

    def body(self) -> dict[str, Any]:
        """The plan in the request of a child process."""
        return {
            "connection": self.connection_id,
            "source": self.source.body(),
            "destination": self.destination.body(),
            "streams": [asdict(selection) for selection in self.selections],
            "prefix": self.prefix,
            "namespace": self.namespace,
            "max_rejects": self.max_rejects,
            "max_nulled_share": self.max_nulled_share,
            "allow_empty": self.allow_empty,
        }


PlanOf: TypeAlias = "Callable[[Context, str], Plan]"
"""Makes the plan of a connection. `ConfigError` if the connection cannot be run."""
