"""Organizations and workspaces. A new store has one of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, insert, select, update

from kitestring.server.http.problem import Problem, missing_resource
from kitestring.server.store import Store
from kitestring.server.store.store import new_id
from kitestring.server.store.tables import organizations, workspaces


def begin(store: Store) -> None:
    """Make the first organization and the first workspace where there is none. Safe to call from several processes."""
    with store.write() as db:
        if not store.sqlite:
            db.exec_driver_sql("SELECT pg_advisory_xact_lock(7061946)")
        if db.execute(select(organizations.c.id).limit(1)).first() is not None:
            return
        now = store.now_ms(db)
        organization = new_id()
        db.execute(
            insert(organizations).values(
                id=organization, name="Default Organization", email="admin@example.com", created_at_ms=now
            )
        )
        create(db, "Default Workspace", now, organization_id=organization)


def default_organization(db: Connection) -> str:
    """The id of the oldest organization."""
    return str(
        db.execute(
            select(organizations.c.id).order_by(organizations.c.created_at_ms, organizations.c.id).limit(1)
        ).scalar_one()
    )


def default(db: Connection) -> Any:
    """The oldest workspace that is there: what a command means that names none."""
    row = db.execute(
        select(workspaces)
        .where(workspaces.c.deleted_at_ms.is_(None))
        .order_by(workspaces.c.created_at_ms, workspaces.c.id)
        .limit(1)
    ).one_or_none()
    if row is None:
        raise Problem(404, "there is no workspace", hint="Create one.")
    return row


def create(
    db: Connection,
    name: str,
    now: int,
    *,
    organization_id: str | None = None,
    workspace_id: str | None = None,
    notifications: Mapping[str, Any] | None = None,
) -> str:
    """A new workspace; its id, chosen before by who has sealed `notifications` for it (see `channels.py`)."""
    new_workspace_id = workspace_id or new_id()
    if organization_id is not None:
        organization(db, organization_id)
    db.execute(
        insert(workspaces).values(
            id=new_workspace_id,
            organization_id=organization_id or default_organization(db),
            name=name,
            notifications=dict(notifications or {}),
            created_at_ms=now,
        )
    )
    return new_workspace_id


def organization(db: Connection, organization_id: str) -> Any:
    """An organization's row. 404 without one."""
    row = db.execute(select(organizations).where(organizations.c.id == organization_id)).one_or_none()
    if row is None:
        raise missing_resource("organization", organization_id)
    return row


def get(db: Connection, workspace_id: str) -> Any:
    """A workspace's row. 404 without one, or when it was deleted."""
    row = db.execute(
        select(workspaces).where(workspaces.c.id == workspace_id, workspaces.c.deleted_at_ms.is_(None))
    ).one_or_none()
    if row is None:
        raise missing_resource("workspace", workspace_id)
    return row


def lock(db: Connection, workspace_id: str) -> None:
    """Let changes of a workspace that are made by name follow one another: two that make the same name are one."""
    db.execute(select(workspaces.c.id).where(workspaces.c.id == workspace_id).with_for_update(key_share=True))


def find_all(
    db: Connection,
    *,
    ids: Sequence[str] | None = None,
    organization_id: str | None = None,
    deleted: bool = False,
    limit: int | None = None,
    offset: int = 0,
) -> list[Any]:
    """Workspaces, oldest first; `ids` None are all there are."""
    query = select(workspaces).order_by(workspaces.c.created_at_ms, workspaces.c.id).limit(limit).offset(offset)
    if ids is not None:
        query = query.where(workspaces.c.id.in_(ids))
    if organization_id is not None:
        query = query.where(workspaces.c.organization_id == organization_id)
    if not deleted:
        query = query.where(workspaces.c.deleted_at_ms.is_(None))
    return list(db.execute(query))


def change(db: Connection, workspace_id: str, values: Mapping[str, Any]) -> None:
    """Give a workspace another name or other notifications."""
    if values:
        db.execute(update(workspaces).where(workspaces.c.id == workspace_id).values(**values))
