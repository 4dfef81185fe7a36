"""Oracle Database: the tables and views of schemas, by python-oracledb in its thin mode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import model_validator

from kitestring.config import option, secret
from kitestring.facts import Facts, Proposal
from kitestring.sql.alchemy_source import AlchemySource
from kitestring.sql.server_source import ServerSource

if TYPE_CHECKING:
    from sqlalchemy import URL


class Oracle(ServerSource, AlchemySource):
    """Reads the tables and views of an Oracle database."""

    facts: ClassVar[Facts] = Facts(
        title="Oracle Database",
        network="native",
        programs=False,
        packages=("oracledb", "pyarrow", "sqlalchemy"),
        category="database",
        summary="tables and views of Oracle Database",
        proposal=Proposal(
            config="host: localhost\nservice_name: FREEPDB1\nusername: reader\npassword: ${ORACLE_PASSWORD}\n"
        ),
    )

    host: str = option(order=0)
    port: int = option(1521, ge=1, le=65535, order=1)
    service_name: str | None = option(None, order=2)
    """The service of the database. Either it or `sid`."""
    sid: str | None = option(None, order=3, title="SID")
    username: str = option(order=4)
    password: str | None = secret(None, order=5)

    schemas: list[str] = option(default_factory=list, order=6)
    """The schemas whose tables are streams. Empty: that of the user."""

    encrypted: bool = option(False, order=7)
    """Whether the connection is encrypted by TLS, with the certificate of the server checked."""

    connections: int = option(4, ge=1, le=64, order=8, group="advanced")
    """How many connections read at the same time."""

    @model_validator(mode="after")
    def _has_a_database(self) -> Oracle:
        if bool(self.service_name) == bool(self.sid):
            raise ValueError("the database has one name: give either `service_name` or `sid`")
        return self

    @classmethod
    def own_options(cls, options: dict[str, Any]) -> dict[str, Any]:
        """Airbyte has objects for the name of the database and for the encryption."""
        data = options.pop("connection_data", None)
        if isinstance(data, Mapping):
            options = {**{name: data[name] for name in ("service_name", "sid") if name in data}, **options}
        encryption = options.pop("encryption", None)
        if isinstance(encryption, Mapping):
            method = encryption.get("encryption_method")
            if method not in ("unencrypted", "encrypted_verify_certificate") or encryption.get("ssl_certificate"):
                raise ValueError(
                    f"the encryption_method {method} needs what Kitestring does not have: native network encryption, "
                    "or a certificate of an authority that this machine does not trust"
                )
            options.setdefault("encrypted", method == "encrypted_verify_certificate")
        return options

    def alchemy_url(self) -> URL:
        from sqlalchemy import URL

        return URL.create("oracle+oracledb", self.username, self.password)

    def connect_args(self) -> Mapping[str, Any]:
        database = {"service_name": self.service_name} if self.service_name else {"sid": self.sid}
        protocol = "tcps" if self.encrypted else "tcp"
        return {"host": self.host, "port": self.port, "protocol": protocol, "tcp_connect_timeout": 10, **database}

    def secret_texts(self) -> Sequence[str]:
        return [self.password] if self.password else []

    def read_schemas(self) -> Sequence[str | None]:
        """SQLAlchemy has the names without capitals that Oracle has in capitals."""
        return [schema.lower() if schema.isupper() else schema for schema in self.schemas] or (None,)

    def place(self) -> str:
        return f"{self.host}:{self.port}/{self.service_name or self.sid}"

    def concurrency(self) -> int:
        return self.connections
