"""SQL: any database that has a dialect for SQLAlchemy, by its URL."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import field_validator

from kitestring.config import option, secret
from kitestring.facts import Facts, Proposal
from kitestring.redact import is_credential
from kitestring.sql.alchemy_source import AlchemySource

if TYPE_CHECKING:
    from sqlalchemy import URL

FILES = {"sqlite": "sqlite", "duckdb": "duckdb", "access": ""}
"""Dialects of local files, and the connector that reads them inside the folder of a workspace."""

SECRET_NAME = re.compile("passw|passphrase|pwd|secret|token", re.IGNORECASE)
SECRET_PART = re.compile(r"(^|[;&\s])\s*(password|pwd|secret|token)\s*=", re.IGNORECASE)
"""A secret inside the value of a parameter, such as the connection string in `odbc_connect`."""


class Sql(AlchemySource):
    """Reads the tables and views of a database by a SQLAlchemy dialect and its driver, which are installed apart."""

    facts: ClassVar[Facts] = Facts(
        title="SQL database",
        network="native",
        programs=True,  # some drivers load a library that the URL names
        packages=("sqlalchemy", "pyarrow"),
        category="database",
        summary="tables and views of any database with a dialect for SQLAlchemy",
        proposal=Proposal(config="url: mssql+pymssql://reader@db.example.com/shop\npassword: ${DB_PASSWORD}\n"),
    )

    url: str = option(order=0, title="URL", examples=["mssql+pymssql://reader@db.example.com/shop"])
    """The address of the database as SQLAlchemy writes it, without the password."""

    password: str | None = secret(None, order=1)
    """The password of the user in the URL."""

    schemas: list[str] = option(default_factory=list, order=2)
    """The schemas whose tables are streams. Empty: the schema of the connection."""

    connections: int = option(4, ge=1, le=64, order=3, group="advanced")
    """How many connections read at the same time."""

    @field_validator("url")
    @classmethod
    def _has_no_secret(cls, url: str) -> str:
        from sqlalchemy.engine import make_url
        from sqlalchemy.exc import ArgumentError

        try:
            parsed = make_url(url)
        except (ArgumentError, ValueError):
            raise ValueError("the URL should have the form dialect+driver://user@host:port/database") from None
        if parsed.password is not None:
            raise ValueError("the URL has a password, which would be shown: give it as `password`")
        secrets = sorted(name for name, value in parsed.query.items() if has_secret(name, value))
        if secrets:
            raise ValueError(
                f"the URL has the parameter {secrets[0]}, which would be shown: give its secret as `password`"
            )
        dialect = parsed.get_backend_name()
        if dialect in FILES:
            hint = f": use the connector {FILES[dialect]}" if FILES[dialect] else ""
            raise ValueError(f"{dialect} reads a local file, which this connector does not{hint}")
        return url

    def concurrency(self) -> int:
        return self.connections

    def secret_texts(self) -> Sequence[str]:
        return [self.password] if self.password else []

    def read_schemas(self) -> Sequence[str | None]:
        return self.schemas or (None,)

    def alchemy_url(self) -> URL:
        from sqlalchemy.engine import make_url

        url: Any = make_url(self.url)
        return url.set(password=self.password) if self.password else url  # type: ignore[no-any-return]


def has_secret(name: str, value: str | Sequence[str]) -> bool:
    """Whether a parameter of a URL is a secret, or contains one."""
    texts = [value] if isinstance(value, str) else value
    return is_credential(name) or SECRET_NAME.search(name) is not None or any(map(SECRET_PART.search, texts))
