"""The catalogs that an Iceberg destination can use, with the options that Airbyte's S3 Data Lake has for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, Union

from pydantic import ConfigDict, model_validator

from kitestring.config import Config, option, secret
from kitestring.errors import ConfigError

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog

Properties = Mapping[str, Any]
"""The settings of a catalog and of its files, by pyiceberg's names."""

ADDRESS = r"^https?://[^\s/]+"


class DatabaseCatalog(Config):
    """Tables of a database, or of a file in the folder: `catalog_uri` and `catalog_name`."""

    model_config = ConfigDict(title="Database")

    catalog_type: Literal["SQL"] = option("SQL", order=0)

    def open(self, name: str, properties: Properties) -> Catalog:
        from pyiceberg.catalog.sql import SqlCatalog

        require_driver(properties["uri"])
        return SqlCatalog(name, **properties)


class RestCatalog(Config):
    """A server with Iceberg's REST API: Lakekeeper, Polaris, Nessie, Unity Catalog, Gravitino and others."""

    model_config = ConfigDict(title="REST")

    catalog_type: Literal["REST"] = option("REST", order=0)

    server_uri: str = option(
        order=1, title="Address", pattern=ADDRESS, examples=["https://catalog.example.com/iceberg"]
    )
    """The address in front of `/v1/config`."""

    token: str | None = secret(None, order=2)
    """A token that the server accepts as it is."""

    credential: str | None = secret(None, order=3, examples=["client_id:client_secret"])
    """The id and the secret of an OAuth client, for which the server gives tokens."""

    oauth2_server_uri: str | None = option(
        None,
        order=4,
        title="Address of the tokens",
        pattern=ADDRESS,
        examples=["https://catalog.example.com/oauth/tokens"],
    )
    """Where tokens are given. Default: `/v1/oauth/tokens` of the catalog."""

    scope: str | None = option(None, order=5)
    """The scope of the tokens, as the server names it. Default: `catalog`."""

    prefix: str | None = option(None, order=6, title="Prefix of the paths")
    """The part of the paths behind `/v1/`, where the server does not give it."""

    def open(self, name: str, properties: Properties) -> Catalog:
        from kitestring.destinations.iceberg.timed_rest_catalog import TimedRestCatalog

        uri = self.server_uri.rstrip("/")
        settings: dict[str, Any] = {
            "uri": uri,
            "token": self.token,
            "credential": self.credential,
            "scope": self.scope,
            "oauth2-server-uri": self.oauth2_server_uri or f"{uri}/v1/oauth/tokens",
        }
        if not (self.token or self.credential):
            settings = {"uri": uri, "auth": {"type": "noop"}}
        settings["prefix"] = self.prefix
        return TimedRestCatalog(name, **{**properties, **{key: value for key, value in settings.items() if value}})


class PolarisCatalog(Config):
    """Apache Polaris, or Snowflake Open Catalog, by Iceberg's REST API."""

    model_config = ConfigDict(title="Polaris")

    catalog_type: Literal["POLARIS"] = option("POLARIS", order=0)

    server_uri: str = option(
        order=1, title="Address", pattern=ADDRESS, examples=["https://polaris.example.com/api/catalog"]
    )
    """The address in front of `/v1/config`."""

    catalog_name: str = option(order=2, title="Name of the catalog", min_length=1)
    """The name of the catalog in Polaris."""

    client_id: str = option(order=3, title="Client ID")
    """The id of the OAuth client."""

    client_secret: str = secret(order=4, title="Client secret")
    """The secret of the OAuth client."""

    def open(self, name: str, properties: Properties) -> Catalog:
        server = RestCatalog(
            server_uri=self.server_uri,
            credential=f"{self.client_id}:{self.client_secret}",
            scope="PRINCIPAL_ROLE:ALL",
        )
        return server.open(name, {**properties, "warehouse": self.catalog_name})


class GlueCatalog(Config):
    """The data catalog of AWS. A namespace is a database of Glue."""

    model_config = ConfigDict(title="AWS Glue")

    catalog_type: Literal["GLUE"] = option("GLUE", order=0)

    glue_id: str | None = option(None, order=1, title="AWS account ID")
    """The account of the catalog. Default: that of the keys."""

    endpoint: str | None = option(
        None, order=2, title="Address of Glue", pattern=ADDRESS, examples=["https://glue.eu-central-1.amazonaws.com"]
    )
    """Another address for Glue. Default: that of AWS."""

    @model_validator(mode="before")
    @classmethod
    def _without_a_role(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        if values.get("role_arn"):
            raise ValueError("role_arn is not supported: pyiceberg does not assume a role for Glue; give keys")
        return {key: value for key, value in values.items() if key != "role_arn"}

    def open(self, name: str, properties: Properties) -> Catalog:
        try:
            from pyiceberg.catalog.glue import GlueCatalog as Glue
        except ModuleNotFoundError as error:
            raise ConfigError(
                f"the catalog GLUE needs the package {error.name}, which is not installed",
                hint="Install it: pip install 'kitestring[aws]'",
            ) from error
        settings = {"glue.id": self.glue_id, "glue.endpoint": self.endpoint}
        for key in ("access-key-id", "secret-access-key", "region"):
            settings[f"glue.{key}"] = properties.get(f"s3.{key}")
        return Glue(name, **{**properties, **{key: value for key, value in settings.items() if value}})


CatalogChoice = Union[DatabaseCatalog, RestCatalog, GlueCatalog, PolarisCatalog]  # noqa: UP007 - a form shows the choices of a Union


def require_driver(uri: str) -> None:
    """`ConfigError` if SQLAlchemy cannot read the address of a catalog, or has no driver for it. The address may have a
    password, so no error repeats a part of it but its dialect."""
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError

    try:
        url = make_url(uri)
    except (ArgumentError, ValueError):
        raise ConfigError(
            "`catalog_uri` is no address of a database",
            hint="Write postgresql+psycopg://user:password@host/database. In the password, @ is %40 and : is %3A.",
        ) from None
    try:
        url.get_dialect().import_dbapi()
    except NoSuchModuleError:
        raise ConfigError(
            f"no package is installed that gives SQLAlchemy the dialect {url.drivername}",
            hint="Install it beside Kitestring, or correct the first part of `catalog_uri`.",
        ) from None
    except ImportError as error:
        raise ConfigError(
            f"the driver of {url.drivername} is not installed: {error.name or error}",
            hint="Install it beside Kitestring, or name another driver in `catalog_uri`: dialect+driver://….",
        ) from None
