"""Packages that a group of commands needs beyond the core, and how to install them."""

from __future__ import annotations


def needs_server() -> None:
    """`ConfigError` with the way to install it where the server's packages are missing."""
    from importlib.util import find_spec

    from kitestring.registry import missing_package

    for package in ("fastapi", "sqlalchemy", "alembic", "uvicorn", "argon2", "jwt", "cryptography", "cronsim"):
        if find_spec(package) is None:
            raise missing_package("server", ModuleNotFoundError(name=package))
