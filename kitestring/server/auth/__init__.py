"""Authentication and authorization: users, sessions, applications, roles."""

from kitestring.server.auth.principal import Principal, Role

__all__ = ["Principal", "Role"]
