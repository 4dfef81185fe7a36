"""The options of Airbyte's S3 Data Lake and of its older Iceberg destination, as options of ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

NOT_SPOKEN = {
    "NESSIE": "the catalog NESSIE is reached by an API of its own: give the address of Nessie's Iceberg REST API "
    "(…/iceberg) with the catalog_type REST",
    "DREMIO": "the catalog DREMIO was never tried: if it has Iceberg's REST API, give its address with the "
    "catalog_type REST",
    "HIVE": "a catalog in a Hive metastore is not supported: use a database, REST or GLUE",
    "HADOOP": "a Hadoop catalog cannot exclude a second writer: use a database, REST or GLUE",
}
FORMAT_SWITCHES = ("auto_compact", "merge_mode", "partition_mode")
"""Options of `format_config` that change what is written."""


def from_airbyte(values: Mapping[str, Any]) -> dict[str, Any]:
    """`ValueError` for an option that cannot be kept."""
    options = dict(values)
    branch = options.pop("main_branch_name", None) or "main"
    if branch != "main":
        raise ValueError(f"main_branch_name is {branch}, and syncs write to the branch main alone")
    options.pop("s3_bucket_name", None)  # it is in the location
    for name, convert in (
        ("format_config", _with_format),
        ("storage_config", _with_storage),
        ("catalog_config", _with_catalog),
    ):
        setting = options.pop(name, None)
        if isinstance(setting, Mapping):
            convert(options, setting)
    _name_catalog(options)
    return options


def _name_catalog(options: dict[str, Any]) -> None:
    """Give the catalog its class, and its namespace to `schema`."""
    catalog = options.get("catalog_type")
    if catalog is None:
        return
    settings = dict(catalog) if isinstance(catalog, Mapping) else {"catalog_type": catalog}
    kind = str(settings.get("catalog_type", "")).upper()
    if kind in NOT_SPOKEN:
        raise ValueError(NOT_SPOKEN[kind])
    for name in ("namespace", "database_name"):
        namespace = settings.pop(name, None)
        if namespace:
            options.setdefault("schema", namespace)
    options["catalog_type"] = {**settings, "catalog_type": kind}


def _with_format(options: dict[str, Any], setting: Mapping[str, Any]) -> None:
    form = setting.get("format", "Parquet")
    if str(form).lower() != "parquet":
        raise ValueError(f"format_config.format is {form}, and files are written as Parquet alone")
    for name in FORMAT_SWITCHES:
        if setting.get(name):
            raise ValueError(f"format_config.{name} is not supported: leave it out")


def _with_storage(options: dict[str, Any], setting: Mapping[str, Any]) -> None:
    if setting.get("managed_warehouse_name"):
        options["warehouse_location"] = setting["managed_warehouse_name"]
        return
    location = str(setting.get("s3_warehouse_uri", ""))
    options["warehouse_location"] = "s3://" + location.partition("://")[2] if "://" in location else location
    for name in ("access_key_id", "secret_access_key", "s3_bucket_region", "s3_endpoint"):
        if setting.get(name):
            options[name] = setting[name]


def _with_catalog(options: dict[str, Any], setting: Mapping[str, Any]) -> None:
    kind = str(setting.get("catalog_type", "")).upper()
    if setting.get("database"):
        options.setdefault("schema", setting["database"])
    if kind == "REST":
        named = {"server_uri": "rest_uri", "credential": "rest_credential", "token": "rest_token"}
        login = {name: setting[theirs] for name, theirs in named.items() if setting.get(theirs)}
        options["catalog_type"] = {"catalog_type": "REST", **login}
    elif kind == "JDBC":
        options["catalog_uri"] = _address_of(setting)
    else:
        options["catalog_type"] = {"catalog_type": kind}


def _address_of(setting: Mapping[str, Any]) -> str:
    """The address of SQLAlchemy for one of JDBC."""
    scheme, _, place = str(setting.get("jdbc_url", "")).removeprefix("jdbc:").partition("://")
    if scheme != "postgresql" or not place:
        raise ValueError("catalog_config.jdbc_url is not that of a PostgreSQL: give catalog_uri instead")
    if setting.get("catalog_schema", "public") != "public":
        raise ValueError("catalog_config.catalog_schema is not public: give catalog_uri, with its search_path")
    user, password = (quote(str(setting.get(name) or ""), safe="") for name in ("username", "password"))
    account = f"{user}:{password}@" if password else f"{user}@" if user else ""
    tls = "sslmode=require" if setting.get("ssl") else ""
    address = f"postgresql+psycopg://{account}{place}"
    return f"{address}{'&' if '?' in address else '?'}{tls}" if tls else address
