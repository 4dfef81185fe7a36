"""Secrets that an earlier version stored unencrypted: those of low-code sources whose form is behind a reference."""

from __future__ import annotations

import logging
from typing import Any

from sqlalchemy import Connection, select

from kitestring.errors import KitestringError
from kitestring.server.connections.endpoints import definition_of
from kitestring.server.connectors.definitions import spec_of
from kitestring.server.context import Context
from kitestring.server.store.tables import definitions, sources

log = logging.getLogger("kitestring.server")


def seal_secrets(context: Context) -> int:
    """Encrypt every secret of a low-code source that is stored unencrypted. Returns the number of changed sources.

    A server does this when it starts; without such secrets it writes nothing. A source whose form cannot be read, or
    whose configuration cannot be opened, stays as it is, with a warning.
    """
    with context.store.read() as db:
        low_code = select(definitions.c.id)
        rows = db.execute(select(sources).where(sources.c.definition_id.in_(low_code))).all()
        ids = [row.id for row in rows if _sealed(context, db, row) != row.config]
    for source_id in ids:
        own = sources.c.id == source_id
        with context.store.write() as db:
            row = db.execute(select(sources).where(own).with_for_update()).one_or_none()
            if row is not None:
                db.execute(sources.update().where(own).values(config=_sealed(context, db, row)))
                log.warning(
                    "a secret of the source %s was stored unencrypted and is encrypted now: if others could read the "
                    "store, renew it at the vendor",
                    row.name,
                    extra={"source_id": source_id, "workspace_id": row.workspace_id},
                )
    return len(ids)


def _sealed(context: Context, db: Connection, row: Any) -> Any:
    """The configuration of a source with its secrets sealed; unchanged if that is not possible."""
    try:
        definition = definition_of(db, "source", row)
        if definition.manifest is None:
            return row.config
        return context.secret_box.seal_config(row.config, spec_of(definition), row.id)
    except Exception as error:  # noqa: BLE001 - a server starts whatever a stored manifest contains
        log.warning(
            "the secrets of the source %s cannot be checked: %s",
            row.name,
            error.message if isinstance(error, KitestringError) else type(error).__name__,
            extra={"source_id": row.id, "workspace_id": row.workspace_id},
        )
        return row.config
