"""Who asks, and what they may do: users, sessions, applications, roles."""

from kitestring.server.auth.principal import Principal, Role

__all__ = ["Principal", "Role"]
