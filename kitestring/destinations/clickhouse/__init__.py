"""ClickHouse: each stream is a table whose rows have versions; Arrow is inserted over HTTP."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import PrivateAttr, model_validator

from kitestring.batch import Batch
from kitestring.config import option, secret
from kitestring.destinations.clickhouse.connection import ClickhouseConnection
from kitestring.destinations.clickhouse.dialect import COPY, DIALECT
from kitestring.destinations.clickhouse.listing import ClickhouseListing
from kitestring.destinations.clickhouse.merging import Attempt
from kitestring.destinations.clickhouse.server import Server
from kitestring.destinations.clickhouse.versions import Versions
from kitestring.errors import ConfigError
from kitestring.facts import Facts, Proposal
from kitestring.key_listing import KeyListing
from kitestring.sql.airbyte_option import Refusals, accepted
from kitestring.sql.connection import Connection
from kitestring.sql.destination import SqlDestination
from kitestring.sql.dialect import Dialect
from kitestring.sql.key import conditions
from kitestring.sql.merge import MergeCounts
from kitestring.sql.prepared_batch import KeyRows, PreparedBatch
from kitestring.sql.table import Table
from kitestring.types import Receipt, Stream
from kitestring.vendors.clickhouse import Place
from kitestring.vendors.ssh_tunnel import asks_for_no_tunnel

READ_LIMIT_S = 45.0
"""How long a page may be read."""

OLDEST = (24, 8)
SYNTAX_ERROR = 62
RIGHTS = "SELECT, INSERT, ALTER, CREATE TABLE, DROP TABLE, TRUNCATE"

AIRBYTES: Refusals = {
    "tunnel_method": (asks_for_no_tunnel, "this connector has no tunnels"),
    "enable_json": (lambda value: not value, "the type JSON changes values, so objects are texts"),
    "jdbc_url_params": (lambda value: not value, "they are for another driver"),
    "raw_data_schema": (lambda _: True, ""),
    "record_window_size": (lambda _: True, ""),
}
"""Those of destination-clickhouse."""


class Clickhouse(SqlDestination):
    """Writes each stream into a table of its name, in the database of its namespace.

    Each batch is one INSERT. A row replaces another by its version, a deletion is a row too: readers use FINAL. A
    replacement fills a new table, and one statement exchanges it for the old one. Several streams are written
    concurrently.
    """

    facts: ClassVar[Facts] = Facts(
        title="ClickHouse",
        network="python",
        programs=False,
        packages=("pyarrow",),
        extra="arrow",
        preload=("pyarrow",),
        category="database",
        summary="tables of ClickHouse",
        proposal=Proposal(
            config="host: localhost\ndatabase: default\nusername: default\npassword: ${TO_CLICKHOUSE_PASSWORD}\n"
        ),
    )
    dialect: ClassVar[Dialect] = DIALECT
    batch_rows: ClassVar[int] = 100_000
    batch_bytes: ClassVar[int] = 32 * 1024 * 1024

    host: str = option("localhost", order=0)
    """The host of the HTTP interface."""

    port: int = option(8123, order=1, ge=1, le=65535)
    """The port of the HTTP interface: 8123, with TLS usually 8443."""

    protocol: Literal["http", "https"] = option("http", order=2)
    """`https` for TLS."""

    database: str = option("default", order=3)
    """The database for streams without a namespace. It is created if it is absent."""

    username: str = option("default", order=4)
    """The user."""

    password: str = secret("", order=5)
    """The password of the user."""

    airbyte_columns: bool = option(True, order=6, title="Airbyte's columns")
    """Whether tables have the columns `_airbyte_raw_id`, `_airbyte_extracted_at`, `_airbyte_meta` and
    `_airbyte_generation_id`."""

    connections: int = option(4, ge=1, le=64, order=7, group="advanced")
    """How many streams are written at the same time."""

    _versions: Versions = PrivateAttr(default_factory=Versions)
    _attempts: dict[str, Attempt] = PrivateAttr(default_factory=dict)
    """By stream, the write that has not been acknowledged."""

    @model_validator(mode="before")
    @classmethod
    def _as_airbyte_has_it(cls, values: Any) -> Any:
        """Accept the options of Airbyte's connector whose values have no effect, and `ssl` for `protocol`."""
        if not isinstance(values, Mapping):
            return values
        options = accepted(values, AIRBYTES)
        switch = options.pop("ssl", None)
        if switch is not None:
            options.setdefault("protocol", "https" if switch else "http")
        return options

    @property
    def lanes(self) -> int:  # type: ignore[override]
        return self.connections

    @property
    def place(self) -> Place:
        """Where the server is, for messages."""
        return Place(self.host, self.port, self.username)

    def _connect(self) -> Connection:
        return self._connected()

    def _connected(self, limit_s: float | None = None) -> ClickhouseConnection:
        url = f"{self.protocol}://{self.host}:{self.port}/"
        return ClickhouseConnection(Server(url, self.place, self.password, limit_s), DIALECT, self._versions)

    def _connect_to_read(self) -> Connection:
        return self._connected(READ_LIMIT_S)

    def _schema(self) -> str:
        return self.database

    def _airbyte_columns(self) -> bool:
        return self.airbyte_columns

    def check(self) -> None:
        connection = self._connected()
        try:
            ((version, readonly),) = connection.rows("SELECT version(), getSetting('readonly')")
            numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:2])
            if numbers < OLDEST:
                raise ConfigError(
                    f"{self.place} is version {version}, older than {'.'.join(map(str, OLDEST))}",
                    hint="Upgrade the server.",
                )
            if int(readonly) == 1:
                raise ConfigError(f"{self.place} lets {self.username} only read", hint="Use a user that may write.")
            schema = self.dialect.safe_schema(self.database)
            connection.required_engine(schema)
            self._require_rights(connection, schema)
        finally:
            connection.close()

    def _require_rights(self, connection: ClickhouseConnection, schema: str) -> None:
        exists = connection.database_engine(schema) is not None
        needed = RIGHTS if exists else f"CREATE DATABASE, {RIGHTS}"
        place = f"{connection.reference(schema)}.*"
        try:
            ((granted,),) = connection.rows(f"CHECK GRANT {needed} ON {place}")
        except ConfigError as error:
            if error.fields.get("code") == SYNTAX_ERROR:  # a version without this statement
                return
            raise
        if not int(granted):
            what = f"write tables of the database {schema}" if exists else f"create the database {schema}"
            raise ConfigError(
                f"{self.place}: the user {self.username} may not {what}",
                hint=f"GRANT {needed} ON {place} TO {self.username};",
            )

    def begin(self, stream: Stream) -> None:
        self._attempts.pop(stream.key, None)  # of a sync that failed: its batch is no batch of this one
        super().begin(stream)

    def _merge_batch(self, connection: Connection, stream: Stream, prepared: PreparedBatch) -> MergeCounts:
        assert isinstance(connection, ClickhouseConnection)
        connection.attempt = self._attempts.setdefault(stream.key, Attempt())
        return super()._merge_batch(connection, stream, prepared)

    def write(self, stream: Stream, batch: Batch) -> Receipt:
        receipt = super().write(stream, batch)
        self._attempts.pop(stream.key, None)
        return receipt

    def _matched(self, table: Table, incoming: str, keys: KeyRows, mark: str | None) -> tuple[int, int]:
        """No two rows have one key and one copy."""
        unmarked = f" AND kept.{self.dialect.quoted(mark)} IS NULL" if mark else ""
        pairs = " UNION ALL ".join(
            f"SELECT {keys.number} AS number, kept.{COPY} AS copy "  # noqa: S608 - quoted
            f"FROM {table.reference} AS kept INNER JOIN {incoming} AS incoming ON {condition}{unmarked}"
            for condition in conditions(keys.parts)
        )
        ((matched, rows),) = table.connection.rows(f"SELECT uniqExact(number), count() FROM ({pairs})")  # noqa: S608 - quoted
        return int(matched), int(rows)

    def key_listing(self, stream: Stream) -> KeyListing:
        times = self._marks
        return ClickhouseListing(stream, self._connect(), self._look_up, lambda at: times(stream, [at]))
