"""The tables of an Iceberg catalog, and what its errors mean."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from kitestring.destinations.iceberg.iceberg_table import FILE_BYTES, NOTE, OpenIceberg
from kitestring.errors import AuthError, ConfigError, TransientError
from kitestring.lake.table_format import TableFormat
from kitestring.sql.error_rules import FILE_RULES, ErrorRule, translated

if TYPE_CHECKING:
    import pyarrow as pa
    from pyiceberg.catalog import Catalog

RULES = (
    ErrorRule(
        r"CommitFailedException|ValidationException|WaitingForLock|database is locked|ConcurrentModification",
        TransientError,
        "another program changed the table {path} at the same time",
        "Let one sync at a time write a stream.",
    ),
    ErrorRule(
        r"CommitStateUnknownException",
        TransientError,
        "the catalog failed during a commit to {path}, and did not say whether it was made: {text}",
        "The next attempt reads the table again.",
    ),
    ErrorRule(
        r"UnauthorizedError|ForbiddenError|AuthorizationExpired|OAuthError|InvalidAccessKeyId|SignatureDoesNotMatch"
        r"|ACCESS_DENIED|AccessDenied|password authentication failed|UnrecognizedClient|InvalidClientTokenId"
        r"|InvalidSignature|ExpiredToken|NoCredentials|PartialCredentials|INVALID_ACCESS_KEY_ID"
        r"|SIGNATURE_DOES_NOT_MATCH|INVALID_CLIENT_TOKEN_ID|EXPIRED_TOKEN",
        AuthError,
        "the catalog or the warehouse refuses the credentials: {text}",
        "Check the keys and the address of the catalog.",
    ),
    ErrorRule(
        r"NoSuchBucket|NO_SUCH_BUCKET|NoSuchTableError|NoSuchNamespaceError|TableAlreadyExistsError|NoRegionError",
        ConfigError,
        "{path} cannot be used: {text}",
        "Check `warehouse_location`, `s3_bucket_region` and the catalog.",
    ),
    ErrorRule(
        r"SSLError|CERTIFICATE_VERIFY_FAILED",
        ConfigError,
        "the certificate of the catalog or the warehouse is not accepted: {text}",
        "Correct the address, or the certificate of the server.",
    ),
    ErrorRule(
        r"ServiceUnavailable|ServerError|ConnectionError|Timeout|NETWORK_CONNECTION|curlCode|TooManyRequests"
        r"|OperationalError|Throttling|ChunkedEncodingError",
        TransientError,
        "the catalog or the warehouse of {path} cannot be reached: {text}",
        "Check `warehouse_location`, `s3_endpoint` and the address of the catalog.",
    ),
    ErrorRule(
        r"NotImplementedError|[Uu]nsupported|equality deletes?",
        ConfigError,
        "the table {path} uses a feature that pyiceberg cannot write: {text}",
        "Write to another table.",
    ),
    ErrorRule(
        r"^ValidationError|JSONDecodeError|unexpected JSON Payload|Could not decode json|InvalidURL",
        ConfigError,
        "the address of the catalog does not answer as Iceberg's REST API does: {text}",
        "Check `server_uri` and `warehouse_location`.",
    ),
    ErrorRule(
        r"RESTError",
        ConfigError,
        "the catalog refuses a request for {path}: {text}",
        "Check `schema`, `warehouse_location` and `server_uri`.",
    ),
    ErrorRule(
        r"ClientError|BotoCoreError",
        ConfigError,
        "AWS refuses a request for {path}: {text}",
        "Check the catalog, the region and the rights of the keys.",
    ),
    *FILE_RULES,
)


class IcebergTables(TableFormat):
    """The tables of one catalog, which `connect` opens when it is needed.

    `file`: the file with the catalog, which is not created to look. `warehouse`: the address of the files, if it is
    ours to look at.
    """

    def __init__(
        self, connect: Callable[[], Catalog], *, file: Path | None = None, warehouse: str | None = None
    ) -> None:
        self._connect = connect
        self.file = file
        self.warehouse = warehouse
        self._catalog: Catalog | None = None
        self._opened: dict[tuple[str, str], OpenIceberg] = {}

    @contextmanager
    def translated(self, name: str) -> Iterator[None]:
        try:
            yield
        except expected_errors() as error:
            raise translated(error, RULES, "Iceberg", path=name) from error

    @property
    def catalog(self) -> Catalog:
        if self._catalog is None:
            with self.translated("the catalog"):
                self._catalog = self._connect()
        return self._catalog

    def exists(self) -> bool:
        """Whether there is a catalog."""
        return self.file is None or self._catalog is not None or self.file.exists()

    def open(self, schema: str, table: str) -> OpenIceberg | None:
        from pyiceberg.exceptions import NoSuchTableError

        if not self.exists():
            return None
        name = f"{schema}.{table}"
        opened = self._opened.pop((schema, table), None)
        with self.translated(name):
            if opened is None or opened.table.metadata_location != location_in(self.catalog, schema, table):
                try:
                    opened = OpenIceberg(self.catalog.load_table((schema, table)), name, self.translated)
                except NoSuchTableError:
                    return None
        self._opened[schema, table] = opened
        return opened

    def create_schema(self, schema: str) -> None:
        """Look first: who may write tables may not always create namespaces."""
        with self.translated(schema):
            if not self.catalog.namespace_exists((schema,)):
                self.catalog.create_namespace_if_not_exists((schema,))

    def create(self, schema: str, table: str, columns: pa.Schema, note: str | None) -> OpenIceberg:
        name = f"{schema}.{table}"
        with self.translated(name):
            properties = {**FILE_BYTES, **({NOTE: note} if note else {})}
            created = self.catalog.create_table((schema, table), columns, properties=properties)
            opened = self._opened[schema, table] = OpenIceberg(created, name, self.translated)
        return opened

    def drop(self, schema: str, table: str) -> None:
        from pyiceberg.exceptions import NoSuchTableError

        if not self.exists():
            return
        self._opened.pop((schema, table), None)
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

    def check(self) -> None:
        """Look whether the catalog and the warehouse can be read."""
        from pyarrow.fs import FileSelector
        from pyiceberg.io.pyarrow import PyArrowFileIO

        if self.exists():
            with self.translated("the catalog"):
                self.catalog.list_namespaces()
        if self.warehouse is not None:
            with self.translated(self.warehouse):
                files = PyArrowFileIO(self.catalog.properties)
                scheme, bucket, path = files.parse_location(self.warehouse, self.catalog.properties)
                with suppress(FileNotFoundError):  # nothing is in the bucket yet; an absent bucket is another error
                    files.fs_by_scheme(scheme, bucket).get_file_info(FileSelector(path))

    def close(self) -> None:
        catalog, self._catalog = self._catalog, None
        self._opened.clear()
        if catalog is not None:
            catalog.close()


def location_in(catalog: Catalog, schema: str, table: str) -> str | None:
    """Where a catalog in a database says that the metadata of a table are now: a small part of the time that loading
    them takes. None for other catalogs, and for an absent table."""
    from pyiceberg.catalog.sql import IcebergTables as Rows
    from pyiceberg.catalog.sql import SqlCatalog
    from sqlalchemy import select

    if not isinstance(catalog, SqlCatalog):
        return None
    query = select(Rows.metadata_location).where(
        Rows.catalog_name == catalog.name, Rows.table_namespace == schema, Rows.table_name == table
    )
    with catalog.engine.connect() as connection:
        return connection.scalar(query)


@cache
def expected_errors() -> tuple[type[Exception], ...]:
    """What pyiceberg and the libraries below it raise."""
    from pydantic import ValidationError
    from pyiceberg import exceptions
    from sqlalchemy.exc import SQLAlchemyError

    kinds = [kind for kind in vars(exceptions).values() if isinstance(kind, type)]
    own = [kind for kind in kinds if issubclass(kind, Exception)]
    # An error of `requests` is an OSError.
    return (*own, *boto_errors(), SQLAlchemyError, OSError, NotImplementedError, ValidationError)


def boto_errors() -> tuple[type[Exception], ...]:
    try:
        from botocore.exceptions import BotoCoreError, ClientError
    except ModuleNotFoundError:
        return ()
    return BotoCoreError, ClientError
