"""Apache Iceberg: each stream is an Iceberg table of a catalog, written by pyiceberg."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from pydantic import model_validator

from kitestring.address import Resolve
from kitestring.config import choice, option, secret
from kitestring.destinations.iceberg.airbyte_config import from_airbyte
from kitestring.destinations.iceberg.catalog_choice import CatalogChoice, DatabaseCatalog, GlueCatalog
from kitestring.destinations.iceberg.iceberg_catalog import IcebergTables
from kitestring.facts import Facts, Proposal
from kitestring.lake.destination import LakeDestination
from kitestring.lake.lake_dialect import LakeDialect
from kitestring.lake.location import is_remote, local_folder, require_writable


class IcebergDialect(LakeDialect):
    """Iceberg has integers of 32 and 64 bits, and times of day with microseconds."""

    title = "Iceberg"
    has_time = True
    has_small_integers = False


class Iceberg(LakeDestination):
    """Writes each stream into an Iceberg table."""

    facts: ClassVar[Facts] = Facts(
        title="Apache Iceberg",
        network="native",
        programs=False,
        packages=("duckdb", "pyarrow", "pyiceberg", "sqlalchemy"),
        category="data lake",
        summary="Apache Iceberg tables, in a folder or on S3",
        proposal=Proposal(config="warehouse_location: ./warehouse\n"),
    )
    dialect: ClassVar[LakeDialect] = IcebergDialect()

    warehouse_location: str = option(
        order=0,
        title="Warehouse",
        examples=["./warehouse", "s3://bucket/warehouse"],
    )
    """The folder of the tables, or its address on S3. For a REST catalog the name or the address of its warehouse."""

    catalog_type: CatalogChoice = choice(
        "catalog_type", default_factory=DatabaseCatalog, order=2, title="Catalog", type="object"
    )
    """Where the names of the tables are, and the place of their newest metadata."""

    catalog_uri: str | None = secret(
        None, order=2, title="Database of the catalog", examples=["postgresql+psycopg://user@host/catalog"]
    )
    """For a catalog in a database: its address for SQLAlchemy. Default: the file `catalog.db` in the warehouse; a
    warehouse on S3 needs a database."""

    catalog_name: str = option("kitestring", order=2, title="Name of the catalog")
    """The name of the catalog in its database, which has the tables of each name apart."""

    access_key_id: str | None = secret(None, order=3, title="S3 access key id")
    """The key id for a warehouse on S3."""

    secret_access_key: str | None = secret(None, order=4, title="S3 secret access key")
    """The secret key for a warehouse on S3."""

    s3_bucket_region: str | None = option(None, order=5, title="S3 region", examples=["eu-central-1"])
    """The region of the bucket."""

    s3_endpoint: str | None = option(None, order=6, title="S3 endpoint", examples=["https://minio.example.com"])
    """The address of a server that speaks S3. Default: that of AWS."""

    @model_validator(mode="before")
    @classmethod
    def _as_airbyte_has_it(cls, values: Any) -> Any:
        return from_airbyte(values) if isinstance(values, Mapping) else values

    @model_validator(mode="after")
    def _has_a_catalog(self) -> Iceberg:
        if isinstance(self.catalog_type, DatabaseCatalog):
            if is_remote(self.warehouse_location) and not self.catalog_uri:
                raise ValueError(
                    "a warehouse on S3 needs catalog_uri, the address of the database with its catalog, or another "
                    "catalog_type"
                )
        elif self.catalog_uri:
            raise ValueError("catalog_uri is for a catalog in a database: leave it out, or leave out catalog_type")
        elif isinstance(self.catalog_type, GlueCatalog) and not is_remote(self.warehouse_location):
            raise ValueError(f"the tables of Glue are on S3: warehouse_location is {self.warehouse_location}")
        return self

    @property
    def is_folder(self) -> bool:
        return isinstance(self.catalog_type, DatabaseCatalog) and not is_remote(self.warehouse_location)

    def confine(self, place: Callable[[str, str], str]) -> None:
        super().confine(place)
        if self.is_folder:
            self.warehouse_location = place("warehouse_location", self.warehouse_location)

    def machine_use(self) -> str | None:
        """A catalog names the files that are read and written; only one in a file of a folder is confined to it."""
        if self.catalog_uri and self.catalog_uri.startswith("sqlite"):
            return "the file of catalog_uri"
        if not self.is_folder or self.catalog_uri:
            return "the files that its catalog names, which can be any file of the machine"
        return None

    def pin(self, resolve: Resolve) -> None:
        """A folder with a catalog in a file needs no connection; other drivers resolve names by themselves."""
        if not self.is_folder or self.catalog_uri:
            super().pin(resolve)

    def _lake(self) -> IcebergTables:
        options = {
            "s3.access-key-id": self.access_key_id,
            "s3.secret-access-key": self.secret_access_key,
            "s3.region": self.s3_bucket_region,
            "s3.endpoint": self.s3_endpoint,
        }
        properties = {name: value for name, value in options.items() if value}
        catalog, warehouse, file = self.catalog_type, self.warehouse_location.rstrip("/"), None
        if self.is_folder:
            folder = local_folder(self.warehouse_location, "warehouse_location")
            uri = self.catalog_uri or f"sqlite:///{folder / 'catalog.db'}"
            properties |= {"warehouse": f"file://{folder}", "uri": uri}
        else:
            folder = None
            properties["warehouse"] = warehouse
            if self.catalog_uri:
                properties["uri"] = self.catalog_uri
        if properties.get("uri", "").startswith("sqlite:///"):
            file = Path(properties["uri"].removeprefix("sqlite:///"))

        def connect() -> Any:
            if folder is not None:
                folder.mkdir(parents=True, exist_ok=True)
            return catalog.open(self.catalog_name, properties)

        looked_at = warehouse if is_remote(warehouse) and self.knows_files else None
        return IcebergTables(connect, file=file, warehouse=looked_at)

    @property
    def knows_files(self) -> bool:
        """Whether the address and the keys of the files are ours, and not given by the server of the catalog."""
        return isinstance(self.catalog_type, DatabaseCatalog | GlueCatalog)

    def check(self) -> None:
        if self.is_folder:
            require_writable(local_folder(self.warehouse_location, "warehouse_location"), "warehouse_location")
        tables = self._lake()
        try:
            tables.check()
        finally:
            tables.close()
