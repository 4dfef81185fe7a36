"""Users and their permissions, for the command line and the API."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, func, select
from sqlalchemy.engine import Row

from kitestring.errors import ConfigError
from kitestring.server.auth import login_session
from kitestring.server.auth.password import hash_password
from kitestring.server.auth.principal import Principal, Role
from kitestring.server.store.store import new_id
from kitestring.server.store.tables import permissions, users, workspaces

INSTANCE_ADMIN = "instance_admin"
WORKSPACE: Mapping[str, Role] = {
    "workspace_owner": Role.admin,
    "workspace_admin": Role.admin,
    "workspace_editor": Role.editor,
    "workspace_runner": Role.runner,
    "workspace_reader": Role.reader,
}
ORGANIZATION: Mapping[str, Role | None] = {
    "organization_admin": Role.admin,
    "organization_editor": Role.editor,
    "organization_runner": Role.runner,
    "organization_reader": Role.reader,
    "organization_member": None,
}
EMAIL = re.compile(r"[^@\s]+@[^@\s]+")


@dataclass(frozen=True)
class Grant:
    """A permission as it is asked for: its type in Airbyte's words, and the workspace or organization it is for."""

    type: str
    workspace_id: str | None = None
    organization_id: str | None = None
    id: str = field(default_factory=new_id)

    def check(self) -> None:
        """`ConfigError` where the type and what it is for do not fit."""
        scopes = {"workspace": self.workspace_id, "organization": self.organization_id}
        if self.type == INSTANCE_ADMIN:
            expected = None
        elif self.type in WORKSPACE:
            expected = "workspace"
        elif self.type in ORGANIZATION:
            expected = "organization"
        else:
            raise ConfigError(
                f"{self.type} is not a permission",
                hint=f"Take one of: {', '.join([INSTANCE_ADMIN, *ORGANIZATION, *WORKSPACE])}.",
            )
        for scope, value in scopes.items():
            if bool(value) != (scope == expected):
                has = "has" if value else "has no"
                raise ConfigError(
                    f"the permission {self.type} {has} {scope}", hint=f"It is for one {expected or 'server'} only."
                )


def configured(db: Connection) -> bool:
    """Whether the server has a user, so that a request without credentials is refused."""
    return db.execute(select(users.c.id).limit(1)).first() is not None


def add(
    db: Connection,
    email: str,
    password: str | None,
    now_ms: int,
    *,
    name: str = "",
    subject: str | None = None,
    grants: tuple[Grant, ...] = (),
) -> str:
    """A new user, and their id. The first one is `instance_admin`, whatever else was asked for.

    `password` None: they come by OIDC, as `subject`.
    """
    email = email.strip()
    if not EMAIL.fullmatch(email):
        raise ConfigError(f"{email!r} is not an e-mail address", hint="A user is named by one: ada@example.com.")
    if by_email(db, email) is not None:
        raise ConfigError(f"there is a user {email} already", hint="Change that one, or take another address.")
    first = not configured(db)
    user_id = new_id()
    db.execute(
        users.insert().values(
            id=user_id,
            email=email.lower(),
            name=name or email.partition("@")[0],
            password_hash=hash_password(password) if password is not None else None,
            subject=subject,
            disabled=False,
            created_at_ms=now_ms,
        )
    )
    if first:
        grants = (Grant(INSTANCE_ADMIN), *(permission for permission in grants if permission.type != INSTANCE_ADMIN))
    for permission in grants:
        grant(db, user_id, permission)
    return user_id


def by_email(db: Connection, email: str) -> Row[Any] | None:
    """The row of a user, whatever the case of the address."""
    return db.execute(select(users).where(users.c.email == email.strip().lower())).one_or_none()


def by_id(db: Connection, user_id: str) -> Row[Any] | None:
    """The row of a user."""
    return db.execute(select(users).where(users.c.id == user_id)).one_or_none()


def find_all(db: Connection) -> list[Row[Any]]:
    """All users, by address."""
    return list(db.execute(select(users).order_by(users.c.email)))


def readers_of(db: Connection, workspace_id: str) -> list[str]:
    """The e-mail addresses of the active users who may read a workspace."""
    return [
        row.email for row in find_all(db) if not row.disabled and principal_of(db, row).may(workspace_id, Role.reader)
    ]


def set_password(db: Connection, user_id: str, password: str) -> None:
    """Set a new password, and end all sessions of the user."""
    db.execute(users.update().where(users.c.id == user_id).values(password_hash=hash_password(password)))
    login_session.close_all(db, user_id)


def disable(db: Connection, user_id: str, disabled: bool = True) -> None:
    """Lock a user out, sessions and tokens at once, or let them in again. The last admin cannot be locked out."""
    if disabled:
        _keep_an_admin(db, user_id)
        login_session.close_all(db, user_id)
    db.execute(users.update().where(users.c.id == user_id).values(disabled=disabled))


def remove(db: Connection, user_id: str, *, even_last: bool = False) -> None:
    """Remove a user with all their sessions, applications and permissions.

    The last admin stays, unless `even_last`: without any user the server is open to every client on its loopback
    address.
    """
    if not (even_last and db.execute(select(func.count()).select_from(users)).scalar_one() == 1):
        _keep_an_admin(db, user_id)
    db.execute(users.delete().where(users.c.id == user_id))


def grant(db: Connection, user_id: str, permission: Grant) -> None:
    """Give a permission. `ConfigError` where the user has one for the same workspace or organization."""
    permission.check()
    for row in permissions_of(db, user_id):
        if (row.workspace_id, row.organization_id) == (permission.workspace_id, permission.organization_id):
            scope = (
                "workspace" if permission.workspace_id else "organization" if permission.organization_id else "server"
            )
            raise ConfigError(
                f"the user has the permission {row.permission_type} for this {scope} already",
                hint="Change that one.",
                permission_id=row.id,
            )
    db.execute(
        permissions.insert().values(
            id=permission.id,
            user_id=user_id,
            permission_type=permission.type,
            workspace_id=permission.workspace_id,
            organization_id=permission.organization_id,
        )
    )


def regrant(db: Connection, permission: Row[Any], permission_type: str) -> None:
    """Change the type of a permission; its workspace or organization stays."""
    Grant(permission_type, permission.workspace_id, permission.organization_id).check()
    db.execute(permissions.update().where(permissions.c.id == permission.id).values(permission_type=permission_type))


def revoke(db: Connection, permission: Row[Any]) -> None:
    """Take a permission away. The last admin's stays."""
    if permission.permission_type == INSTANCE_ADMIN:
        _keep_an_admin(db, permission.user_id)
    db.execute(permissions.delete().where(permissions.c.id == permission.id))


def permissions_of(db: Connection, user_id: str) -> list[Row[Any]]:
    """The permissions of a user."""
    return list(db.execute(select(permissions).where(permissions.c.user_id == user_id).order_by(permissions.c.id)))


def principal_of(db: Connection, user: Row[Any], name: str = "") -> Principal:
    """The principal of a user: the permissions, resolved to a role per workspace."""
    roles: dict[str, Role] = {}
    organizations: dict[str, Role] = {}
    member_of: set[str] = set()
    admin = False
    for row in permissions_of(db, user.id):
        if row.permission_type == INSTANCE_ADMIN:
            admin = True
        elif row.permission_type in WORKSPACE:
            roles[row.workspace_id] = max(WORKSPACE[row.permission_type], roles.get(row.workspace_id, Role.reader))
        else:
            member_of.add(row.organization_id)
            role = ORGANIZATION.get(row.permission_type)
            if role is not None:
                organizations[row.organization_id] = max(role, organizations.get(row.organization_id, Role.reader))
    if organizations and not admin:
        inside = select(workspaces.c.id, workspaces.c.organization_id).where(
            workspaces.c.organization_id.in_(organizations), workspaces.c.deleted_at_ms.is_(None)
        )
        for workspace_id, organization_id in db.execute(inside):
            inherited = organizations[organization_id]
            roles[workspace_id] = max(inherited, roles.get(workspace_id, inherited))
    if roles and not admin:
        of = select(workspaces.c.organization_id).where(workspaces.c.id.in_(roles)).distinct()
        member_of.update(db.execute(of).scalars())
    return Principal(
        name or user.email,
        user.id,
        instance_admin=admin,
        roles=roles,
        organizations=organizations,
        member_of=frozenset(member_of),
        email=user.email,
    )


def _keep_an_admin(db: Connection, user_id: str) -> None:
    """Refuse what would leave the server without anybody who may administer it."""
    admins = set(
        db.execute(
            select(permissions.c.user_id)
            .join(users, users.c.id == permissions.c.user_id)
            .where(permissions.c.permission_type == INSTANCE_ADMIN, users.c.disabled.is_(False))
            .order_by(permissions.c.id)
            .with_for_update()  # two admins who remove each other at the same moment: the second waits, and is refused
        ).scalars()
    )
    if admins == {user_id}:
        raise ConfigError(
            "this is the last user with the permission instance_admin", hint="Give it to another user first."
        )
