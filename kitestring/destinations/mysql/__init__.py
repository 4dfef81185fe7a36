"""MySQL and MariaDB: each stream is a table; Arrow is loaded by `LOAD DATA LOCAL` and merged by an index."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from pydantic import PrivateAttr

from kitestring.config import option
from kitestring.destinations.mysql.connection import MysqlConnection
from kitestring.destinations.mysql.dialect import DIALECT
from kitestring.destinations.mysql.listing import MysqlListing
from kitestring.errors import ConfigError
from kitestring.facts import Facts, Proposal
from kitestring.key_listing import KeyListing
from kitestring.sql.connection import Connection
from kitestring.sql.destination import SqlDestination
from kitestring.sql.dialect import Dialect
from kitestring.sql.key import conditions
from kitestring.sql.prepared_batch import KeyRows
from kitestring.sql.table import Table
from kitestring.types import Stream
from kitestring.vendors.mysql import PROPOSAL, MysqlConfig, server_of
from kitestring.vendors.ssh_tunnel import asks_for_no_tunnel

AIRBYTES: dict[str, Callable[[Any], bool]] = {
    "tunnel_method": asks_for_no_tunnel,
    "jdbc_url_params": lambda value: not value,
    "disable_type_dedupe": lambda value: not value,
    "raw_data_schema": lambda _: True,
}
"""Options of Airbyte's destination-mysql 1.1 that do not exist here, and whether a value has no effect."""

LIMITS = {
    "MariaDB": "SET SESSION max_statement_time = 45",
    "MySQL": "SET SESSION max_execution_time = 45000",
}
"""How long a page may be read."""

RIGHTS = ("SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "ALTER", "INDEX", "CREATE TEMPORARY TABLES")


GRANT = re.compile(r"GRANT (?P<rights>.+?) ON (?P<place>\S+) TO ")
CREATES = re.compile(r"ALL PRIVILEGES|(^|, )CREATE(,|$)")


class Mysql(MysqlConfig, SqlDestination):
    """Writes each stream into a table of its name, in the database of its namespace.

    Every batch is one transaction. A replacement fills a new table, and one statement exchanges it for the old one; if
    the last version is kept, rows with the keys of the batch are replaced, unless they are unchanged. Several streams
    are written concurrently, each through its own connection.
    """

    facts: ClassVar[Facts] = Facts(
        title="MySQL",
        network="python",
        programs=False,
        packages=("numpy", "pyarrow", "pymysql"),
        preload=("numpy", "pyarrow", "pymysql"),
        category="database",
        summary="tables of MySQL or MariaDB",
        proposal=Proposal(config=PROPOSAL.replace("{MYSQL", "{TO_MYSQL")),
    )
    dialect: ClassVar[Dialect] = DIALECT
    batch_rows: ClassVar[int] = 100_000
    batch_bytes: ClassVar[int] = 24 * 1024 * 1024

    writing: ClassVar[bool] = True
    airbyte_options: ClassVar[Mapping[str, Callable[[Any], bool]]] = AIRBYTES
    airbyte_refusal: ClassVar[str] = "tunnels, JDBC parameters and raw tables"

    database: str = option(order=2, examples=["shop"])
    """The database for streams without a namespace. It is created if it is absent."""

    airbyte_columns: bool = option(True, order=6, title="Airbyte's columns")
    """Whether tables have the columns `_airbyte_raw_id`, `_airbyte_extracted_at`, `_airbyte_meta` and
    `_airbyte_generation_id`."""

    connections: int = option(4, ge=1, le=64, order=7, group="advanced")
    """How many streams are written at the same time, each through its own connection."""

    _no_local_load: set[str] = PrivateAttr(default_factory=set)

    @property
    def lanes(self) -> int:  # type: ignore[override]
        return self.connections

    def _connect(self) -> Connection:
        return MysqlConnection(self, DIALECT, self._no_local_load)

    def _connect_to_read(self) -> Connection:
        connection = self._connect()
        assert isinstance(connection, MysqlConnection)
        title, _ = server_of(connection.server)
        connection.rows("SET SESSION TRANSACTION READ ONLY")
        connection.rows(LIMITS[title])
        return connection

    def _schema(self) -> str:
        return self.database

    def _airbyte_columns(self) -> bool:
        return self.airbyte_columns

    def check(self) -> None:
        with self._connection() as connection:
            ((reads_only,),) = connection.rows("SELECT @@read_only")
            schema = self.dialect.safe_schema(self.database)
            literal = self.dialect.literal(schema)
            schemas = connection.rows(f"SELECT 1 FROM information_schema.schemata WHERE schema_name = {literal}")  # noqa: S608 - quoted
            grants = [str(grant) for (grant,) in connection.rows("SHOW GRANTS")]
        if reads_only:
            raise ConfigError(
                f"{self.server_address} is read-only: it is a replica, or was set so", hint="Set `host` to the primary."
            )
        if not any(may_create(grant, schema) for grant in grants):
            what = f"create tables in the database {schema}" if schemas else f"create the database {schema}"
            raise ConfigError(
                f"{self.server_address}: the user {self.username} may not {what}",
                hint=f"GRANT {', '.join(RIGHTS)} ON `{schema}`.* TO '{self.username}'@'…';",
            )

    def key_listing(self, stream: Stream) -> KeyListing:
        times = self._marks
        return MysqlListing(stream, self._connect(), self._look_up, lambda deleted_at: times(stream, [deleted_at]))

    def _claim(self, table: Table, stream: Stream) -> None:
        """Also refuse a table that cannot be replaced."""
        super()._claim(table, stream)
        assert isinstance(table.connection, MysqlConnection)
        referring = table.connection.referring(table.schema, table.name) if stream.write.replace else []
        if referring:
            raise ConfigError(
                f"{self.server_address}: foreign keys of {', '.join(referring)} refer to the table "
                f"{table.schema}.{table.name}, which {stream.key} replaces",
                hint="Drop these foreign keys.",
            )

    def _matched(self, table: Table, incoming: str, keys: KeyRows, mark: str | None) -> tuple[int, int]:
        """In one part: MySQL reads a temporary table once in a statement."""
        unmarked = f" AND kept.{self.dialect.quoted(mark)} IS NULL" if mark else ""
        matches = " OR ".join(f"({condition})" for condition in conditions(keys.parts))
        row = f"kept.{self.dialect.row_id}"
        ((matched, rows),) = table.connection.rows(
            f"SELECT count(DISTINCT {keys.number}), count(DISTINCT {row}) FROM {incoming} AS incoming "  # noqa: S608 - quoted
            f"STRAIGHT_JOIN {table.reference} AS kept ON ({matches}){unmarked}"
        )
        return matched, rows


def may_create(grant: str, schema: str) -> bool:
    """Whether a line of SHOW GRANTS lets the user create tables in a database. A line about a role may: its rights show
    in no other line."""
    match = GRANT.match(grant)
    if match is None:
        return True
    pattern = match["place"].rpartition(".")[0].strip('`"').replace("\\", "")
    is_about = re.fullmatch(re.escape(pattern).replace("%", ".*").replace("_", "."), schema, re.DOTALL)
    return CREATES.search(match["rights"]) is not None and (pattern == "*" or is_about is not None)
