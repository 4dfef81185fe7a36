"""Places that one process at a time can open, a DuckDB file for one: who reads there gives way to a sync.

Readers of one place take turns in this process (`ActionRunner`), and ask the store whether a job writes there, in this
process or another: then they do not begin, or end at once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from kitestring import registry
from kitestring.destination import Destination
from kitestring.errors import KitestringError
from kitestring.server.connectors.confinement import Confinement
from kitestring.server.store.tables import connections, destinations, jobs

if TYPE_CHECKING:
    from kitestring.server.context import Context
    from kitestring.server.jobs.connection_plan import Endpoint


@dataclass(frozen=True, slots=True)
class ExclusivePlace:
    """A place, by its absolute path, and the connector that opens it."""

    context: Context
    path: str
    connector: str

    def writer(self) -> int | None:
        """The running job that writes there, if there is one, whichever destination and connection it is of."""
        d = destinations.c
        query = (
            select(jobs.c.id.label("job_id"), d.id, d.config, d.workspace_id, d.trusted)
            .join(connections, connections.c.id == jobs.c.connection_id)
            .join(destinations, d.id == connections.c.destination_id)
            .where(jobs.c.status == "running", d.connector == self.connector)
        )
        with self.context.store.read() as db:
            rows = list(db.execute(query))
        for row in rows:
            with contextlib.suppress(KitestringError):  # its job says what is wrong
                config = self.context.secret_box.open_config(row.config, row.id)
                if path_of(self.context, self.connector, config, row.workspace_id, row.trusted) == self.path:
                    return int(row.job_id)
        return None


def exclusive_place(context: Context, end: Endpoint) -> ExclusivePlace | None:
    """The place of a destination; None if several processes may read and write there at once."""
    with contextlib.suppress(KitestringError):  # the process of the action says what is wrong
        path = path_of(context, end.connector, end.config, end.workspace_id, end.trusted)
        return ExclusivePlace(context, path, end.connector) if path is not None else None
    return None


def path_of(
    context: Context, connector: str, config: Mapping[str, Any], workspace_id: str, trusted: bool
) -> str | None:
    """The place of a configuration. Nothing is opened."""
    confinement = Confinement.of(context.settings, workspace_id, trusted)
    built = confinement.build(registry.connector("destination", connector, files=False), None, config)
    with contextlib.closing(built):
        return built.exclusive_place() if isinstance(built, Destination) else None
