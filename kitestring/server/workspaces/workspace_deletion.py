"""Deletes a workspace with everything in it."""

from __future__ import annotations

from sqlalchemy import Connection, select, update
from sqlalchemy import delete as remove

from kitestring.server.connections import connection
from kitestring.server.context import Context
from kitestring.server.jobs.queue import ENDED
from kitestring.server.store import tables
from kitestring.server.workspaces import workspaces


def delete(context: Context, db: Connection, workspace_id: str) -> None:
    """Delete a workspace with all that is in it: its connections are not run again, their jobs are cancelled, and
    no user has a role in it any more. The history of its jobs stays in the store, and no request reaches it."""
    now = context.store.now_ms(db)
    workspaces.get(db, workspace_id)
    for row in connection.find_all(db, workspace_ids=[workspace_id]):
        connection.delete(context, db, row.id)
    for job_id in db.execute(
        select(tables.jobs.c.id).where(tables.jobs.c.workspace_id == workspace_id, tables.jobs.c.status.not_in(ENDED))
    ).scalars():
        context.queue.cancel(db, job_id)
    for table in (tables.sources, tables.destinations, tables.definitions, tables.builder_projects):
        alive = table.c.deleted_at_ms.is_(None)
        db.execute(update(table).where(table.c.workspace_id == workspace_id, alive).values(deleted_at_ms=now))
    source_ids = select(tables.sources.c.id).where(tables.sources.c.workspace_id == workspace_id)
    db.execute(remove(tables.discoveries).where(tables.discoveries.c.source_id.in_(source_ids)))
    for table in (tables.tags, tables.permissions, tables.notices):
        db.execute(remove(table).where(table.c.workspace_id == workspace_id))
    db.execute(remove(tables.oauth_credentials).where(tables.oauth_credentials.c.scope_id == workspace_id))
    values = {"deleted_at_ms": now, "notifications": {}}
    db.execute(update(tables.workspaces).where(tables.workspaces.c.id == workspace_id).values(**values))
