"""Microsoft SQL Server: the tables and views of a database, by pymssql."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from kitestring.config import option, secret
from kitestring.facts import Facts, Proposal
from kitestring.sql.alchemy_source import AlchemySource
from kitestring.sql.server_source import ServerSource

if TYPE_CHECKING:
    from sqlalchemy import URL

ENCRYPTION = {"unencrypted": "off", "encrypted_trust_server_certificate": "require"}


class Mssql(ServerSource, AlchemySource):
    """Reads the tables and views of a database of Microsoft SQL Server or Azure SQL."""

    facts: ClassVar[Facts] = Facts(
        title="SQL Server",
        network="native",
        programs=False,
        packages=("pymssql", "pyarrow", "sqlalchemy"),
        category="database",
        summary="tables and views of Microsoft SQL Server",
        proposal=Proposal(config="host: localhost\ndatabase: shop\nusername: reader\npassword: ${MSSQL_PASSWORD}\n"),
    )

    host: str = option(order=0)
    port: int = option(1433, ge=1, le=65535, order=1)
    database: str = option(order=2)
    username: str = option(order=3)
    password: str | None = secret(None, order=4)

    schemas: list[str] = option(default_factory=lambda: ["dbo"], order=5)
    """The schemas whose tables are streams."""

    ssl_method: Literal["unencrypted", "encrypted_trust_server_certificate"] = option(
        "encrypted_trust_server_certificate", order=6, title="Encryption"
    )
    """Whether the connection is encrypted. The driver does not check the certificate of the server."""

    connections: int = option(4, ge=1, le=64, order=7, group="advanced")
    """How many connections read at the same time."""

    @classmethod
    def own_options(cls, options: dict[str, Any]) -> dict[str, Any]:
        """Airbyte has an object with the name of the method."""
        method = options.get("ssl_method")
        return {**options, "ssl_method": method["ssl_method"]} if isinstance(method, Mapping) else options

    def alchemy_url(self) -> URL:
        from sqlalchemy import URL

        return URL.create("mssql+pymssql", self.username, self.password, self.host, self.port, self.database)

    def connect_args(self) -> Mapping[str, Any]:
        return {"encryption": ENCRYPTION[self.ssl_method], "login_timeout": 10, "appname": "kitestring"}

    def secret_texts(self) -> Sequence[str]:
        return [self.password] if self.password else []

    def read_schemas(self) -> Sequence[str | None]:
        return self.schemas

    def concurrency(self) -> int:
        return self.connections
