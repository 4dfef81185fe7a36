"""The authenticated user or application, with its roles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from kitestring.server.http.problem import Problem


class Role(IntEnum):
    """A role in a workspace. Each role includes those below it."""

    reader = 1
    """Look at everything but secrets."""
    runner = 2
    """Start and cancel jobs."""
    editor = 3
    """Make, change and delete sources, destinations, connections, tags and custom connectors."""
    admin = 4
    """Change the workspace itself and who may do what in it."""


@dataclass(frozen=True, slots=True)
class Principal:
    """A user, an application that acts for one, or, while no user is configured, any client on the loopback address.

    `roles` by workspace id, those that come from an organization's role included; `organizations` by organization id;
    `member_of` has every organization that a permission ties the user to. The audit log shows `name`.
    `on_behalf_of` are the attributes of the reader for whom a program says that it reads.
    """

    name: str
    user_id: str | None = None
    instance_admin: bool = False
    roles: Mapping[str, Role] = field(default_factory=dict)
    organizations: Mapping[str, Role] = field(default_factory=dict)
    member_of: frozenset[str] = frozenset()
    email: str = ""
    application_id: str | None = None
    on_behalf_of: Mapping[str, Any] | None = None

    def role(self, workspace_id: str) -> Role | None:
        """The role in a workspace; None without any."""
        return Role.admin if self.instance_admin else self.roles.get(workspace_id)

    def may(self, workspace_id: str, role: Role) -> bool:
        """Whether this role, or one above it, is held in a workspace."""
        own_role = self.role(workspace_id)
        return own_role is not None and own_role >= role

    def require(self, workspace_id: str, role: Role) -> None:
        """403 without this role in the workspace."""
        if not self.may(workspace_id, role):
            raise forbidden(role, "workspace", self.role(workspace_id))

    def may_in_organization(self, organization_id: str, role: Role) -> bool:
        """Whether this role is held in an organization as a whole."""
        return self.instance_admin or self.organizations.get(organization_id, 0) >= role

    def require_organization(self, organization_id: str, role: Role) -> None:
        """403 without this role in the organization. Who makes a workspace needs `editor` there."""
        if not self.may_in_organization(organization_id, role):
            raise forbidden(role, "organization", self.organizations.get(organization_id))

    def require_instance_admin(self) -> None:
        """403 for all but those who administer the whole server."""
        if not self.instance_admin:
            raise Problem(403, "this needs the role instance_admin", hint="Ask an admin of the server.")

    def workspaces(self, role: Role = Role.reader) -> list[str] | None:
        """The workspaces in which this role is held; None means all there are."""
        return (
            None
            if self.instance_admin
            else [workspace_id for workspace_id, own_role in self.roles.items() if own_role >= role]
        )

    def anywhere(self, role: Role) -> bool:
        """Whether this role is held in any workspace or organization."""
        return self.instance_admin or any(
            own_role >= role for own_role in (*self.roles.values(), *self.organizations.values())
        )


def forbidden(role: Role, scope: str, own_role: Role | None) -> Problem:
    """403 that names the role that is missing, and nothing about where it is missing."""
    have = f"you are its {own_role.name}" if own_role else "you have none there"
    return Problem(
        403, f"this needs the role {role.name} in the {scope} of the requested resource, {have}", hint="Ask its admin."
    )
