"""Who asks, with the roles they have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from kitestring.server.problem import Problem


class Role(IntEnum):
    """What someone may do in a workspace; each includes those below it."""

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
    """A user, an application that acts for one, or, while no user is configured, whoever reaches the loopback address.

    `roles` by workspace id; `organizations` by organization id (they count in each of its workspaces, see `access.py`).
    `name` stands in the audit log.
    """

    name: str
    user_id: str | None = None
    instance_admin: bool = False
    roles: Mapping[str, Role] = field(default_factory=dict)
    organizations: Mapping[str, Role] = field(default_factory=dict)

    def role(self, workspace_id: str) -> Role | None:
        """The role in a workspace; None without any."""
        return Role.admin if self.instance_admin else self.roles.get(workspace_id)

    def may(self, workspace_id: str, role: Role) -> bool:
        """Whether this role, or one above it, is held in a workspace."""
        held = self.role(workspace_id)
        return held is not None and held >= role

    def require(self, workspace_id: str, role: Role) -> None:
        """403 without this role in the workspace."""
        if not self.may(workspace_id, role):
            held = self.role(workspace_id)
            raise Problem(
                403,
                f"this needs the role {role.name} in the workspace {workspace_id}, "
                + (f"you are its {held.name}" if held else "you have none there"),
                hint="Ask an admin of the workspace.",
            )

    def workspaces(self, role: Role = Role.reader) -> list[str] | None:
        """The workspaces in which this role is held; None means all there are."""
        return None if self.instance_admin else [one for one, held in self.roles.items() if held >= role]
