"""The draft of a test read: a manifest with its configuration opened, and where renewed credentials are kept.

The opened configuration is never shown: it goes to a child process, which masks it in all its answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Table

from kitestring.server.builder import builder_project
from kitestring.server.context import Context
from kitestring.server.jobs.config_updates import ConfigUpdater, DraftConfigUpdater
from kitestring.server.jobs.connection_plan import Endpoint
from kitestring.server.store.tables import builder_projects

MEMORY_MB = 1024
"""The memory limit of a test read where the server has none for syncs: anyone may let it read any API."""


@dataclass(frozen=True)
class DraftRead:
    """A draft as it is read. `secrets`: texts that are masked, whatever the manifest says of them."""

    workspace_id: str
    manifest: str | Mapping[str, Any]
    config: Mapping[str, Any] = field(repr=False)
    updater: ConfigUpdater
    secrets: Sequence[str] = field(default=(), repr=False)

    def request(self, context: Context, *, trusted: bool) -> dict[str, Any]:
        """The request of a child process. `trusted`: an instance's admin asks for it."""
        return {
            "manifest": self.manifest,
            "config": self.config,
            "secrets": list(self.secrets),
            "workspace_id": self.workspace_id,
            "trusted": trusted,
            "limits": child_limits(context),
        }


def child_limits(context: Context) -> dict[str, int]:
    """The limits of a child process that works for the builder."""
    return {"memory_mb": context.settings.memory_mb or MEMORY_MB, "cpu_s": context.settings.cpu_s}


def of_project(
    context: Context,
    row: Any,
    manifest: str | Mapping[str, Any] | None = None,
    config: Mapping[str, Any] | None = None,
) -> DraftRead:
    """The draft of a project, with its test configuration. `manifest`: a text that is not saved yet; `config`: another
    configuration, whose masks mean the stored secrets."""
    opened = builder_project.opened_config(context, row, config)
    secrets = builder_project.sealed_texts(context, row)
    end = Endpoint("", opened, row.id, workspace_id=row.workspace_id)
    updater = ProjectConfigUpdater(context, source=end) if config is None else updater_of_draft(context, end)
    text = row.draft if manifest is None else manifest
    return DraftRead(row.workspace_id, text, opened, updater, secrets)


def of_values(
    context: Context, workspace_id: str, manifest: str | Mapping[str, Any], config: Mapping[str, Any]
) -> DraftRead:
    """A draft that no project holds."""
    end = Endpoint("", config, workspace_id=workspace_id)
    return DraftRead(workspace_id, manifest, config, updater_of_draft(context, end))


def updater_of_draft(context: Context, end: Endpoint) -> DraftConfigUpdater:
    return DraftConfigUpdater(context, "source", end, {})


class ProjectConfigUpdater(ConfigUpdater):
    """Saves what a vendor renews during a test read of a project in its test configuration."""

    def table_of(self, end: str) -> Table:
        return builder_projects

    def save(self, end: str, config: Mapping[str, Any], spec: Mapping[str, Any]) -> None:
        """Save what the read has changed. The spec is the draft's, which may mark no secrets: all of it is sealed."""
        endpoint = self._ends[end]
        with self._context.store.write() as db:
            builder_project.renew_config(self._context, db, endpoint.id, endpoint.config, config)
        self.renewed[end] = config

    def save_credential_ends(self, end: str, ends: Sequence[Mapping[str, Any]]) -> None:
        """Ignored: a project shows none."""
