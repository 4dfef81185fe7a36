"""The `indexing` block: address, credentials, and the layout of a new collection."""

from __future__ import annotations

from typing import Any, Literal, Self, Union
from urllib.parse import urlsplit

from pydantic import ConfigDict, PrivateAttr, field_validator, model_validator

from kitestring.address import Endpoint, Resolve
from kitestring.config import Config, choice, option, secret
from kitestring.errors import ConfigError
from kitestring.vector.payload import OURS

GLOBAL_CLUSTER = "global-cluster"
"""With this in its address, pymilvus treats a host as a global cluster and asks it for the clusters to connect to."""


class Token(Config):
    """An API token."""

    model_config = ConfigDict(title="API Token")

    mode: Literal["token"] = "token"
    token: str = secret(title="API Token", description="A Zilliz Cloud API key, or user:password in one text.")


class UsernamePassword(Config):
    """User and password."""

    model_config = ConfigDict(title="Username/Password")

    mode: Literal["username_password"] = "username_password"
    username: str = option(title="Username", description="The user of the Milvus instance.", order=1)
    password: str = secret(title="Password", description="The password of this user.", order=2)


class NoAuth(Config):
    """No credentials."""

    model_config = ConfigDict(title="No auth")

    mode: Literal["no_auth"] = "no_auth"


Auth = Union[Token, UsernamePassword, NoAuth]  # noqa: UP007 - a form shows the choices of a Union


class Tls(Config):
    """Certificates, if the system's are not enough. All are paths of PEM files."""

    model_config = ConfigDict(title="TLS")

    ca_file: str | None = option(None, title="CA certificate", description="The authority to trust.", local_path=True)
    client_cert: str | None = option(None, title="Client certificate", description="For mutual TLS.", local_path=True)
    client_key: str | None = option(None, title="Client key", description="For mutual TLS.", local_path=True)
    server_name: str | None = option(None, title="Server name", description="The name in the server's certificate.")


class Index(Config):
    """The index of the vectors."""

    model_config = ConfigDict(title="Index")

    type: Literal["AUTOINDEX", "HNSW", "IVF_FLAT", "FLAT"] = option("AUTOINDEX", title="Type")
    params: dict[str, int] = option(
        default_factory=dict,
        title="Build parameters",
        description="HNSW: M and efConstruction; IVF_FLAT: nlist. Sensible values when empty.",
    )

    def build_params(self) -> dict[str, int]:
        # Milvus 2.3 has no defaults of its own for these.
        defaults = {"HNSW": {"M": 16, "efConstruction": 200}, "IVF_FLAT": {"nlist": 1024}}
        return {**defaults.get(self.type, {}), **self.params}


ScalarType = Literal["AUTO", "VARCHAR", "INT64", "DOUBLE", "BOOL", "JSON"]


class Indexing(Config):
    """Where and how the chunks are stored."""

    model_config = ConfigDict(title="Milvus server and collection")

    host: str = option(
        title="Server or file",
        description="The address of a Milvus server, the public endpoint of Zilliz Cloud, or the path of a file that"
        " ends in .db, for Milvus Lite, which runs in this process.",
        examples=["./vectors.db", "http://localhost:19530", "https://my-instance.zone.zillizcloud.com"],
        order=1,
        local_path=lambda host: "://" not in host,
    )
    auth: Auth = choice(
        "mode", default_factory=NoAuth, title="Authentication", description="The credentials.", order=2, type="object"
    )
    collection: str = option(
        title="Collection Name",
        description="The collection to load into. It is created if it does not exist.",
        order=3,
        pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,254}$",
    )
    db: str = option("", title="Database Name", description="The database; empty for the default one.", order=4)
    vector_field: str = option(
        "vector", title="Vector Field", description="The field that holds the vector.", order=5, group="advanced"
    )
    text_field: str = option(
        "text", title="Text Field", description="The field that holds the chunk's text.", order=6, group="advanced"
    )
    metric: Literal["L2", "COSINE", "IP"] = option(
        "L2",
        title="Metric",
        description="How distances are measured in a collection that is created. L2 keeps thresholds that were set for"
        " Airbyte's collections.",
        order=7,
    )
    index: Index = option(
        default_factory=Index, title="Index", description="For a collection that is created.", order=8
    )
    scalar_fields: dict[str, ScalarType] = option(
        default_factory=dict,
        title="Scalar fields",
        description="Metadata to keep in typed, indexed columns of a collection that is created, because searches"
        " filter by them: names, or name and type (VARCHAR, INT64, DOUBLE, BOOL, JSON; AUTO, as without a type, is the"
        " type that the streams' schemas give the field).",
        examples=[["status", "organization_id"], {"status": "VARCHAR", "organization_id": "INT64"}],
        order=9,
    )
    partition_key: str | None = option(
        None,
        title="Partition key",
        description="A scalar field (or _ab_stream) by which a created collection is partitioned: searches that filter"
        " by it read its partition only.",
        order=10,
    )
    hybrid: bool = option(
        False,
        title="Hybrid search",
        description="Index the words of the text too (BM25) in a collection that is created (Milvus 2.5 or Lite).",
        order=11,
    )
    rebuild: bool = option(
        False,
        title="Rebuild",
        description="Where the collection does not fit the embedder's dimension: rename it and fill a new one. All"
        " streams must then be full refresh, or the new one would hold only what changed.",
        order=12,
    )
    timeout: float = option(
        30.0, gt=0, title="Timeout", description="Seconds that one request to the server may take.", order=13
    )
    tls: Tls | None = option(None, title="TLS", description="Certificates for an https:// host.", order=14)

    _address: str | None = PrivateAttr(default=None)
    """The checked address of the host, where the connector is pinned."""

    @field_validator("host")
    @classmethod
    def _known_scheme(cls, host: str) -> str:
        host = host.strip()
        scheme = host.partition("://")[0].lower() if "://" in host else ""
        if scheme not in ("", "http", "https", "tcp", "unix") or (not scheme and not host.endswith(".db")):
            raise ValueError("write http://host:port or https://host, or a path that ends in .db for Milvus Lite")
        return host

    @field_validator("scalar_fields", mode="before")
    @classmethod
    def _names_have_types(cls, fields: Any) -> Any:
        return dict.fromkeys(fields, "AUTO") if isinstance(fields, list) else fields

    @model_validator(mode="after")
    def _fields_are_apart(self) -> Self:
        names = [self.vector_field, self.text_field, *self.scalar_fields]
        for name in names:
            if name in OURS or names.count(name) > 1:
                raise ValueError(f"the field name {name} is used twice; choose another one")
        if self.partition_key and self.partition_key not in {"_ab_stream", *self.scalar_fields}:
            raise ValueError(f"partition_key {self.partition_key} is not among scalar_fields")
        kind = self.scalar_fields.get(self.partition_key, "VARCHAR") if self.partition_key else "VARCHAR"
        if kind not in ("AUTO", "VARCHAR", "INT64"):
            raise ValueError("a partition key is VARCHAR or INT64")
        return self

    def machine_use(self) -> str | None:
        return f"the Unix socket {self.host}" if self.host.lower().startswith("unix:") else None

    @property
    def endpoint(self) -> Endpoint:
        """The address that pymilvus connects to."""
        parts = urlsplit(self.host)
        return Endpoint(parts.hostname or "localhost", parts.port or (443 if parts.scheme == "https" else 19530))

    @property
    def secure(self) -> bool:
        """Whether the connection is encrypted."""
        return self.tls is not None or self.host.lower().startswith("https:")

    def pin(self, resolve: Resolve) -> None:
        """Connect to the checked address of the host from now on."""
        if GLOBAL_CLUSTER in self.host.lower():
            raise ConfigError(
                f"{self.host} is a global cluster, which tells the driver where to connect, and this server "
                "ties each connection to an address that it has checked",
                hint="Give the address of one of its clusters.",
            )
        if self.lite or self.machine_use() is not None:
            return
        self._address = resolve(*self.endpoint)
        if ":" in self._address:
            raise ConfigError(
                f"{self.endpoint.host} has only the address {self._address}, and the driver accepts no IPv6 address",
                hint="Give it an IPv4 address too.",
            )

    @property
    def address(self) -> str | None:
        """The checked address that the connection is tied to."""
        return self._address

    @property
    def lite(self) -> bool:
        """Milvus Lite: a directory of this machine instead of a server."""
        return "://" not in self.host
