"""Apache Iceberg: each stream is an Iceberg table of a catalog, written by pyiceberg."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import model_validator

from kitestring.address import Resolve
from kitestring.config import option, secret
from kitestring.errors import AuthError, ConfigError, TransientError
from kitestring.facts import Facts, Proposal
from kitestring.lake.destination import LakeDestination
from kitestring.lake.lake_dialect import LakeDialect
from kitestring.lake.rows_without_keys import rows_without_keys
from kitestring.lake.table_format import Between, LakeTable, TableFormat, WriteId
from kitestring.sql.error_rules import FILE_RULES, ErrorRule, translated

if TYPE_CHECKING:
    import pyarrow as pa
    from pyiceberg.catalog import Catalog
    from pyiceberg.expressions import BooleanExpression
    from pyiceberg.table import Table, Transaction

NOTE = "kitestring.note"
"""The table property with the note of a table."""
WRITER, NUMBER = "kitestring.writer", "kitestring.number"
"""The properties of a snapshot with the write it belongs to."""
MOST_SNAPSHOTS = 100
"""How many snapshots are searched for a write: a batch is tried again at once."""
FILE_BYTES = {"write.target-file-size-bytes": str(128 * 1024 * 1024)}
"""Of a data file as Arrow: one at a time is read to remove rows."""

RULES = (
    ErrorRule(
        r"CommitFailedException|ValidationException|WaitingForLock|database is locked",
        TransientError,
        "another program changed the table {path} at the same time",
        "Let one sync at a time write a stream.",
    ),
    ErrorRule(
        r"UnauthorizedError|ForbiddenError|AuthorizationExpired|OAuthError|InvalidAccessKeyId|SignatureDoesNotMatch"
        r"|ACCESS_DENIED|AccessDenied|password authentication failed",
        AuthError,
        "the catalog or the warehouse refuses the credentials: {text}",
        "Check the keys and the address of the catalog.",
    ),
    ErrorRule(
        r"NoSuchBucket|NO_SUCH_BUCKET|NoSuchTableError|NoSuchNamespaceError|TableAlreadyExistsError",
        ConfigError,
        "{path} cannot be used: {text}",
        "Check `warehouse_location` and the catalog.",
    ),
    ErrorRule(
        r"ServiceUnavailable|ServerError|ConnectionError|NETWORK_CONNECTION|curlCode|TooManyRequests|OperationalError",
        TransientError,
        "the catalog or the warehouse of {path} cannot be reached: {text}",
        "Check `warehouse_location`, `s3_endpoint` and `catalog_uri`.",
    ),
    ErrorRule(
        r"NotImplementedError|[Uu]nsupported|equality deletes?",
        ConfigError,
        "the table {path} uses a feature that pyiceberg cannot write: {text}",
        "Write to another table.",
    ),
    *FILE_RULES,
)


class IcebergDialect(LakeDialect):
    """Iceberg has integers of 32 and 64 bits, and times of day with microseconds."""

    title = "Iceberg"
    has_time = True
    has_small_integers = False


class OpenIceberg(LakeTable):
    """One Iceberg table. Rows are removed by writing the files anew that have them (copy on write)."""

    def __init__(self, place: IcebergTables, table: Table, name: str) -> None:
        self.place = place
        self.table = table
        self.name = name
        self._read()

    def _read(self) -> None:
        import pyarrow as pa

        schema = self.table.schema().as_arrow()
        self.schema = pa.schema([pa.field(column.name, plain(column.type)) for column in schema])
        self.note = self.table.properties.get(NOTE)

    @contextmanager
    def _changing(self) -> Iterator[Transaction]:
        """One commit."""
        with self.place.translated(self.name):
            with self.table.transaction() as transaction:
                yield transaction
            self._read()

    def count(self) -> int:
        with self.place.translated(self.name):
            return int(self.table.scan().count())

    def scan(self, columns: Sequence[str], between: Between) -> pa.RecordBatchReader:
        import pyarrow as pa

        schema = pa.schema([self.schema.field(column) for column in columns])
        with self.place.translated(self.name):
            scan = self.table.scan(row_filter=within(between), selected_fields=tuple(columns))
            batches = iter(scan.to_arrow_batch_reader())

        def typed() -> Iterator[pa.RecordBatch]:
            with self.place.translated(self.name):
                for batch in batches:
                    yield pa.RecordBatch.from_arrays(
                        [batch.column(column.name).cast(column.type) for column in schema], schema=schema
                    )

        return pa.RecordBatchReader.from_batches(schema, typed())

    def has(self, write: WriteId) -> bool:
        by_id = {snapshot.snapshot_id: snapshot for snapshot in self.table.metadata.snapshots}
        snapshot = self.table.current_snapshot()
        for _ in range(MOST_SNAPSHOTS):
            if snapshot is None:
                return False
            facts = snapshot.summary.additional_properties if snapshot.summary else {}
            if facts.get(WRITER) == write.writer:
                return int(facts[NUMBER]) >= write.number
            snapshot = by_id.get(snapshot.parent_snapshot_id or -1)
        return False

    def append(self, rows: pa.RecordBatchReader, write: WriteId | None) -> None:
        with self._changing() as transaction:
            transaction.append(rows, snapshot_properties=properties_of(write))

    def replace(self, keys: pa.Table, rows: pa.Table, write: WriteId | None) -> None:
        import pyarrow as pa
        from pyiceberg.expressions import AlwaysTrue
        from pyiceberg.io.pyarrow import ArrowScan, _dataframe_to_data_files

        with self._changing() as transaction:
            metadata, io = self.table.metadata, self.table.io
            reader = ArrowScan(metadata, io, self.table.schema(), AlwaysTrue())
            numbers = count()  # of the files of this commit: two with one number would be one file
            tasks = list(self.table.scan(row_filter=within(bounds_of(keys))).plan_files())
            with transaction.update_snapshot(snapshot_properties=properties_of(write)).overwrite() as snapshot:

                def add(table: pa.Table) -> None:
                    for file in _dataframe_to_data_files(
                        transaction.table_metadata, table, io, snapshot.commit_uuid, numbers
                    ):
                        snapshot.append_data_file(file)

                for task in tasks:
                    batches = list(reader.to_record_batches([task]))
                    if not batches:
                        continue
                    table = pa.Table.from_batches(batches).select(self.schema.names).cast(self.schema)
                    kept = rows_without_keys(table, keys)
                    if kept.num_rows == table.num_rows:
                        continue
                    snapshot.delete_data_file(task.file)
                    if kept.num_rows:
                        add(kept)
                if rows.num_rows:
                    add(rows)

    def overwrite(self, rows: pa.RecordBatchReader, note: str | None) -> None:
        with self._changing() as transaction:
            present = {column.name: column.type for column in self.schema}
            wanted = {column.name: column for column in rows.schema}
            gone = [name for name, type_ in present.items() if name not in wanted or wanted[name].type != type_]
            new = [column for name, column in wanted.items() if name not in present or name in gone]
            if gone or new:
                types = iceberg_types(new)
                with transaction.update_schema(allow_incompatible_changes=True) as update:
                    for name in gone:
                        update.delete_column((name,))
                    for column in new:
                        update.add_column((column.name,), types[column.name])
            if note is not None and note != self.note:
                transaction.set_properties({NOTE: note})
            transaction.overwrite(rows)

    def clear(self) -> None:
        from pyiceberg.expressions import AlwaysTrue

        with self._changing() as transaction:
            transaction.delete(AlwaysTrue())

    def add_columns(self, fields: Sequence[pa.Field]) -> None:
        types = iceberg_types(fields)
        with self._changing() as transaction, transaction.update_schema() as update:
            for column in fields:
                update.add_column((column.name,), types[column.name])

    def widen(self, fields: Sequence[pa.Field]) -> bool:
        """Iceberg promotes int to long, float to double, and a decimal to more digits before the point."""
        if not all(is_promotion(self.schema.field(column.name).type, column.type) for column in fields):
            return False
        types = iceberg_types(fields)
        with self._changing() as transaction, transaction.update_schema() as update:
            for column in fields:
                update.update_column((column.name,), field_type=types[column.name])
        return True

    def set_note(self, text: str) -> None:
        with self._changing() as transaction:
            transaction.set_properties({NOTE: text})


class IcebergTables(TableFormat):
    """The tables of one catalog."""

    def __init__(self, name: str, properties: Mapping[str, str], folder: Path | None) -> None:
        self.name = name
        self.properties = dict(properties)
        self.folder = folder
        self._catalog: Catalog | None = None

    @contextmanager
    def translated(self, name: str) -> Iterator[None]:
        from pyiceberg import exceptions
        from sqlalchemy.exc import SQLAlchemyError

        kinds = [kind for kind in vars(exceptions).values() if isinstance(kind, type)]
        own = [kind for kind in kinds if issubclass(kind, Exception)]
        expected: tuple[type[Exception], ...] = (*own, SQLAlchemyError, OSError, NotImplementedError)
        try:
            yield
        except expected as error:
            raise translated(error, RULES, "Iceberg", path=name) from error

    @property
    def catalog(self) -> Catalog:
        from pyiceberg.catalog.sql import SqlCatalog

        if self._catalog is None:
            with self.translated("the catalog"):
                if self.folder is not None:
                    self.folder.mkdir(parents=True, exist_ok=True)
                self._catalog = SqlCatalog(self.name, **self.properties)
        return self._catalog

    def exists(self) -> bool:
        """Whether there is a catalog; one in a file is not created to look."""
        path = self.properties["uri"].partition("sqlite:///")[2]
        return not path or self._catalog is not None or Path(path).exists()

    def open(self, schema: str, table: str) -> OpenIceberg | None:
        from pyiceberg.exceptions import NoSuchTableError

        name = f"{schema}.{table}"
        if not self.exists():
            return None
        with self.translated(name):
            try:
                return OpenIceberg(self, self.catalog.load_table((schema, table)), name)
            except NoSuchTableError:
                return None

    def create_schema(self, schema: str) -> None:
        with self.translated(schema):
            self.catalog.create_namespace_if_not_exists((schema,))

    def create(self, schema: str, table: str, columns: pa.Schema, note: str | None) -> OpenIceberg:
        name = f"{schema}.{table}"
        with self.translated(name):
            properties = {**FILE_BYTES, **({NOTE: note} if note else {})}
            return OpenIceberg(self, self.catalog.create_table((schema, table), columns, properties=properties), name)

    def drop(self, schema: str, table: str) -> None:
        from pyiceberg.exceptions import NoSuchTableError

        if not self.exists():
            return
        with self.translated(f"{schema}.{table}"):
            try:
                self.catalog.purge_table((schema, table))
            except NoSuchTableError:
                return

    def listed(self) -> list[tuple[str, str]]:
        if not self.exists():
            return []
        with self.translated("the catalog"):
            spaces = self.catalog.list_namespaces()
            return [(space[0], table[-1]) for space in spaces for table in self.catalog.list_tables(space)]

    def close(self) -> None:
        catalog, self._catalog = self._catalog, None
        if catalog is not None:
            catalog.close()


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
        local_path=lambda path: not remote(path),
    )
    """The folder of the tables, or its address on S3."""

    catalog_uri: str | None = secret(
        None, order=2, title="Catalog", examples=["postgresql+psycopg://user@host/catalog"]
    )
    """The database with the catalog, as an address of SQLAlchemy. Default: the file `catalog.db` in the warehouse; a
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
        """Names of Airbyte's S3 Data Lake: the bucket is in the location, and a catalog is a choice."""
        if not isinstance(values, Mapping):
            return values
        catalog, branch = values.get("catalog_type"), values.get("main_branch_name", "main")
        if catalog is not None:
            kind = catalog.get("catalog_type") if isinstance(catalog, Mapping) else catalog
            raise ValueError(
                f"the catalog {kind} was never tried, so it is refused: give the address of a database as catalog_uri"
            )
        if branch != "main":
            raise ValueError(f"main_branch_name is {branch}, and syncs write to the branch main alone")
        left_out = ("main_branch_name", "s3_bucket_name")
        return {name: value for name, value in values.items() if name not in left_out}

    @model_validator(mode="after")
    def _has_a_catalog(self) -> Iceberg:
        if remote(self.warehouse_location) and not self.catalog_uri:
            raise ValueError("a warehouse on S3 needs catalog_uri, the address of the database with its catalog")
        return self

    def machine_use(self) -> str | None:
        if self.catalog_uri and self.catalog_uri.startswith("sqlite"):
            return "the file of catalog_uri"
        if remote(self.warehouse_location) and not (self.access_key_id and self.secret_access_key):
            return "the credentials of the machine, as there is no access_key_id"
        return None

    def pin(self, resolve: Resolve) -> None:
        """A folder with a catalog in a file needs no connection; other drivers resolve names by themselves."""
        if remote(self.warehouse_location) or self.catalog_uri:
            super().pin(resolve)

    def _lake(self) -> IcebergTables:
        if remote(self.warehouse_location):
            options = {
                "s3.access-key-id": self.access_key_id,
                "s3.secret-access-key": self.secret_access_key,
                "s3.region": self.s3_bucket_region,
                "s3.endpoint": self.s3_endpoint,
            }
            properties = {name: value for name, value in options.items() if value}
            properties |= {"warehouse": self.warehouse_location.rstrip("/"), "uri": str(self.catalog_uri)}
            return IcebergTables(self.catalog_name, properties, None)
        folder = local(self.warehouse_location)
        uri = self.catalog_uri or f"sqlite:///{folder / 'catalog.db'}"
        return IcebergTables(self.catalog_name, {"warehouse": f"file://{folder}", "uri": uri}, folder)

    def check(self) -> None:
        if not remote(self.warehouse_location):
            path = local(self.warehouse_location)
            nearest = next(place for place in [path, *path.parents] if place.exists())
            if not nearest.is_dir() or not os.access(nearest, os.W_OK):
                raise ConfigError(f"no tables can be created in {nearest}", hint="Choose another `warehouse_location`.")
        tables = self._lake()
        try:
            tables.listed()
        finally:
            tables.close()


def plain(type_: pa.DataType) -> pa.DataType:
    """A type as the kit has it: pyiceberg reads large texts, bytes and lists."""
    import pyarrow as pa

    is_ = pa.types
    if is_.is_large_string(type_):
        return pa.string()
    if is_.is_large_binary(type_):
        return pa.binary()
    if is_.is_list(type_) or is_.is_large_list(type_):
        return pa.list_(plain(type_.value_type))
    if is_.is_struct(type_):
        return pa.struct([(inner.name, plain(inner.type)) for inner in type_])
    return type_


def iceberg_types(fields: Sequence[pa.Field]) -> dict[str, Any]:
    import pyarrow as pa
    from pyiceberg.io.pyarrow import _pyarrow_to_schema_without_ids

    schema = _pyarrow_to_schema_without_ids(pa.schema(fields))
    return {field.name: field.field_type for field in schema.fields}


def is_promotion(old: pa.DataType, new: pa.DataType) -> bool:
    import pyarrow as pa

    is_ = pa.types
    if is_.is_decimal(old) and is_.is_decimal(new):
        return bool(old.scale == new.scale and old.precision <= new.precision)
    return (old, new) in ((pa.int32(), pa.int64()), (pa.float32(), pa.float64()))


def within(between: Between) -> BooleanExpression:
    from pyiceberg.expressions import AlwaysTrue, And, GreaterThanOrEqual, LessThanOrEqual

    at_least: Any = GreaterThanOrEqual  # its declared arguments differ between versions
    at_most: Any = LessThanOrEqual
    expression: BooleanExpression = AlwaysTrue()
    for column, limits in between.items():
        low, high = (value if isinstance(value, int) else str(value) for value in limits)
        least, most = at_least(column, low), at_most(column, high)
        expression = And(expression, And(least, most))
    return expression


def bounds_of(keys: pa.Table) -> Between:
    """The smallest and largest whole numbers and dates of keys."""
    import pyarrow as pa
    import pyarrow.compute as pc

    bounds = {}
    for column in keys.schema:
        values = keys[column.name]
        is_plain = pa.types.is_integer(column.type) or pa.types.is_date(column.type)
        if is_plain and len(values) and not values.null_count:
            limits = pc.min_max(values).as_py()
            bounds[column.name] = (limits["min"], limits["max"])
    return bounds


def properties_of(write: WriteId | None) -> dict[str, str]:
    return {WRITER: write.writer, NUMBER: str(write.number)} if write else {}


def remote(path: str) -> bool:
    """Whether a location is the address of an object store, and not a local folder."""
    return "://" in path and not path.startswith("file://")


def local(path: str) -> Path:
    if "\0" in path or not path.strip():
        raise ConfigError("`warehouse_location` is empty or contains a NUL character", hint="Name a folder or a URL.")
    return Path(path.removeprefix("file://")).expanduser().absolute()
