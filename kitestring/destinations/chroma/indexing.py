"""The `indexing` block: the server or the folder, credentials, and the layout of a new collection."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Union

from pydantic import ConfigDict

from kitestring.config import Config, choice, option, secret


class PersistentMode(Config):
    """A folder of this machine, inside this process."""

    model_config = ConfigDict(title="Persistent Client Mode")

    mode: Literal["persistent_client"] = "persistent_client"
    path: str = option(
        title="Path",
        description="The folder of the database. It is created if it does not exist.",
        examples=["./vectors.chroma"],
        local_path=True,
    )

    @property
    def folder(self) -> Path:
        return Path(self.path).expanduser().absolute()


class HttpMode(Config):
    """A Chroma server."""

    model_config = ConfigDict(title="Client/Server Mode")

    mode: Literal["http_client"] = "http_client"
    host: str = option(title="Host", description="The name or address of the server.", order=1)
    port: int = option(8000, title="Port", description="The port of the server.", order=2, ge=1, le=65_535)
    ssl: bool = option(False, title="SSL", description="Whether the server has TLS.", order=3)
    username: str = option("", title="Username", description="For basic authentication.", order=4)
    password: str = secret("", title="Password", description="For basic authentication.", order=5)
    token: str = secret("", title="Token", description="Sent as X-Chroma-Token, as Chroma Cloud wants it.", order=6)
    tenant: str = option("default_tenant", title="Tenant", description="The tenant.", order=7)
    database: str = option("default_database", title="Database", description="The database.", order=8)

    @property
    def address(self) -> str:
        return f"http{'s' if self.ssl else ''}://{self.host}:{self.port}"


Mode = Union[PersistentMode, HttpMode]  # noqa: UP007 - a form shows the choices of a Union


class Indexing(Config):
    """Where and how the chunks are stored."""

    model_config = ConfigDict(title="Chroma server or folder, and collection")

    auth_method: Mode = choice(
        "mode", title="Connection Mode", description="How to connect to Chroma.", order=1, type="object"
    )
    collection_name: str = option(
        title="Collection Name",
        description="The collection to load into. It is created if it does not exist.",
        order=2,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{1,510}[A-Za-z0-9]$",
    )
    metric: Literal["cosine", "l2", "ip"] = option(
        "cosine",
        title="Metric",
        description="How distances are measured, in a collection that is created.",
        order=3,
    )

    @property
    def place(self) -> str:
        mode = self.auth_method
        if isinstance(mode, PersistentMode):
            return str(mode.folder)
        return f"{mode.address} {mode.tenant} {mode.database}"
