"""The `indexing` block: address, credentials, and the layout of a new collection."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal, Union

from pydantic import ConfigDict, field_validator

from kitestring.config import Config, choice, option, secret


class ApiKeyAuth(Config):
    """An API key."""

    model_config = ConfigDict(title="API key")

    mode: Literal["api_key_auth"] = "api_key_auth"
    api_key: str = secret(title="API Key", description="The API key of the Qdrant instance.")


class NoAuth(Config):
    """No credentials."""

    model_config = ConfigDict(title="No auth")

    mode: Literal["no_auth"] = "no_auth"


Auth = Union[ApiKeyAuth, NoAuth]  # noqa: UP007 - a form shows the choices of a Union


class Indexing(Config):
    """Where and how the chunks are stored."""

    model_config = ConfigDict(title="Qdrant server and collection")

    url: str = option(
        title="Public Endpoint",
        description="The address of a Qdrant server or of Qdrant Cloud, or the path of a folder, which the client keeps"
        " inside this process (for small collections).",
        examples=["http://localhost:6333", "./vectors.qdrant"],
        order=1,
        local_path=lambda url: "://" not in url,
    )
    auth_method: Auth = choice(
        "mode", default_factory=NoAuth, title="Authentication", description="The credentials.", order=2, type="object"
    )
    collection: str = option(
        title="Collection Name",
        description="The collection to load into. It is created if it does not exist.",
        order=3,
        pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}$",
    )
    distance_metric: Literal["cos", "dot", "euc"] = option(
        "cos",
        title="Distance Metric",
        description="How distances are measured, in a collection that is created.",
        order=4,
    )
    text_field: str = option(
        "text", title="Text Field", description="The field of the payload that holds the chunk's text.", order=5
    )
    prefer_grpc: bool = option(
        True,
        title="Prefer gRPC",
        description="Accepted for Airbyte's configurations. Kitestring always uses HTTP.",
        order=6,
        group="advanced",
    )
    timeout: float = option(60.0, title="Timeout", description="Seconds to wait for one request.", order=7, gt=0)

    @field_validator("url")
    @classmethod
    def _an_address_or_a_path(cls, url: str) -> str:
        if re.fullmatch(r"[\w.-]+:[0-9]+/?", url):
            raise ValueError(f"{url} is neither an address nor a path: write http://{url}")
        scheme, colon, rest = url.partition("://")
        if colon and scheme.lower() not in ("http", "https"):
            raise ValueError(f"the address of a Qdrant server begins with http:// or https://, not {scheme}://")
        if colon and "@" in rest.partition("/")[0]:
            raise ValueError("the address has credentials in it, which errors would show: write them in auth_method")
        return url

    @field_validator("text_field")
    @classmethod
    def _a_free_name(cls, name: str) -> str:
        if not name or name.startswith(("_ks_", "_ab_")) or name == "chunk_number":
            raise ValueError(f"a field named {name!r} is used for something else")
        return name

    @property
    def local(self) -> bool:
        """A folder of this machine instead of a server."""
        return "://" not in self.url

    @property
    def folder(self) -> Path:
        return Path(self.url).expanduser().absolute()

    def machine_use(self) -> str | None:
        return "a folder of the Qdrant client, which loads Python objects (pickle) from it" if self.local else None
