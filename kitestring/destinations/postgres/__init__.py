"""PostgreSQL: each stream is a table; Arrow is loaded by binary COPY and merged by a unique index."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from pydantic import PrivateAttr, model_validator

from kitestring.config import option
from kitestring.destinations.postgres.connection import READING, PostgresConnection
from kitestring.destinations.postgres.dialect import PostgresDialect
from kitestring.errors import ConfigError
from kitestring.facts import Facts, Proposal
from kitestring.sql.connection import Connection
from kitestring.sql.destination import SqlDestination
from kitestring.sql.dialect import Dialect
from kitestring.sql.table import Table
from kitestring.types import Receipt, Stream
from kitestring.vendors.postgres import PROPOSAL, PostgresConfig

AIRBYTES: dict[str, Callable[[Any], bool]] = {
    "jdbc_url_params": lambda value: not value,
    "disable_type_dedupe": lambda value: not value,
    "legacy_raw_tables_only": lambda value: not value,
    "cdc_deletion_mode": lambda value: str(value).lower().startswith("hard"),
    "raw_data_schema": lambda _: True,
    "internal_schema": lambda _: True,
    "unconstrained_number": lambda _: True,
}
"""Options of Airbyte's destination-postgres 3.0 that do not exist here, and whether a value has no effect."""

RIGHTS = """
SELECT current_setting('transaction_read_only') = 'on' AS reads_only,
       has_database_privilege(current_database(), 'TEMPORARY') AS may_stage,
       has_database_privilege(current_database(), 'CREATE') AS may_create_schemas,
       (SELECT has_schema_privilege(oid, 'USAGE') AND has_schema_privilege(oid, 'CREATE')
        FROM pg_namespace WHERE nspname = {0}) AS may_create_tables
"""


class Postgres(PostgresConfig, SqlDestination):
    """Writes each stream into a table of its name, in the schema of its namespace.

    Every batch is one transaction. A replacement fills a new table and renames it in the transaction that drops the old
    one; if the last version is kept, rows with the keys of the batch are replaced, unless they are unchanged. Several
    streams are written concurrently, each through its own connection.
    """

    facts: ClassVar[Facts] = Facts(
        title="PostgreSQL",
        network="native",
        programs=False,
        packages=("numpy", "psycopg", "pyarrow"),
        preload=("numpy", "psycopg", "pyarrow"),
        category="database",
        summary="tables of PostgreSQL",
        proposal=Proposal(config=PROPOSAL.replace("{PG", "{TO_PG")),
    )
    dialect: ClassVar[Dialect] = PostgresDialect()
    batch_rows: ClassVar[int] = 250_000
    batch_bytes: ClassVar[int] = 8 * 1024 * 1024
    """Of changes of a log, the first are written while the next are read."""

    writing: ClassVar[bool] = True
    airbyte_options: ClassVar[Mapping[str, Callable[[Any], bool]]] = AIRBYTES
    airbyte_refusal: ClassVar[str] = (
        "JDBC parameters (give `url`), raw tables, and soft deletes for all streams (choose the write mode "
        "`soft_delete` of a stream)"
    )

    schema_name: str = option("public", order=3, alias="schema", title="Schema")
    """The schema for streams without a namespace. It is created if it is absent."""

    airbyte_columns: bool = option(True, order=8, title="Airbyte's columns")
    """Whether tables have the columns `_airbyte_raw_id`, `_airbyte_extracted_at`, `_airbyte_meta` and
    `_airbyte_generation_id`."""

    drop_cascade: bool = option(False, order=9, title="Drop views too", group="advanced")
    """Whether views on a table are dropped when it is replaced. If not, such a table is not replaced."""

    connections: int = option(4, ge=1, le=64, order=10, group="advanced")
    """How many streams are written at the same time, each through its own connection."""

    _unindexed: set[tuple[str, str]] = PrivateAttr(default_factory=set)
    _replaced_rows: Counter[str] = PrivateAttr(default_factory=Counter)

    @model_validator(mode="before")
    @classmethod
    def _ssl_alone(cls, values: Any) -> Any:
        """Accept `ssl: true` for `ssl_mode: require`, and false for `disable`, if no mode is set."""
        if not isinstance(values, Mapping) or "ssl" not in values:
            return values
        options = {name: value for name, value in values.items() if name != "ssl"}
        if values["ssl"] is not None:
            options.setdefault("ssl_mode", {"mode": "require" if values["ssl"] else "disable"})
        return options

    @property
    def lanes(self) -> int:  # type: ignore[override]
        return self.connections

    def _connect(self) -> Connection:
        return PostgresConnection(self, PostgresDialect(), self.drop_cascade, self._unindexed, self._replaced_rows)

    def _connect_to_read(self) -> Connection:
        connection = self._connect()
        for name, value in READING.items():
            connection.rows(f"SET {name} = {value}")
        return connection

    def _schema(self) -> str:
        return self.schema_name

    def _airbyte_columns(self) -> bool:
        return self.airbyte_columns

    def close(self) -> None:
        super().close()
        self.close_tunnel()

    def check(self) -> None:
        schema = self.dialect.candidates(self.schema_name, self.dialect.safe_schema(self.schema_name))[0]
        with self._connection() as connection:
            rights = connection.rows(RIGHTS.format(self.dialect.literal(schema)))
        ((reads_only, may_stage, may_create_schemas, may_create_tables),) = rights
        user = self.place.user
        if reads_only:
            raise ConfigError(
                f"{self.place} is read-only: it is a standby, or was set so", hint="Set `host` to the primary."
            )
        if not may_stage:
            raise ConfigError(
                f"the user {user} may not create temporary tables in {self.place}",
                hint=f"GRANT TEMPORARY ON DATABASE {self.place.database} TO {user};",
            )
        if may_create_tables is None and not may_create_schemas:
            raise ConfigError(
                f"{self.place} has no schema {schema}, and the user {user} may not create it",
                hint=f"Create it, or GRANT CREATE ON DATABASE {self.place.database} TO {user};",
            )
        if may_create_tables is False:
            raise ConfigError(
                f"the user {user} may not create tables in the schema {schema} of {self.place}",
                hint=f"GRANT USAGE, CREATE ON SCHEMA {schema} TO {user};",
            )

    def _claim(self, table: Table, stream: Stream) -> None:
        """Also refuse a table that cannot be replaced."""
        super()._claim(table, stream)
        assert isinstance(table.connection, PostgresConnection)
        dependents = table.connection.dependents(table.schema, table.name) if stream.write.replace else []
        if dependents and not self.drop_cascade:
            raise ConfigError(
                f"{self.place}: {', '.join(dependents)} would be dropped with the table {table.schema}.{table.name}, "
                f"which {stream.key} replaces",
                hint="Drop these objects, or set `drop_cascade`; create them again after the sync.",
            )

    # -- a new copy ----------------------------------------------------------------------------------------------------

    def begin(self, stream: Stream) -> None:
        self._replaced_rows.pop(stream.key, None)  # of an abandoned copy
        super().begin(stream)

    def _settle(self, stream: Stream) -> None:
        """Deduplicate a new copy, whose rows were added regardless of their keys."""
        if stream.write.replace:
            with self._connection() as connection:
                assert isinstance(connection, PostgresConnection)
                connection.settle_ahead(self._target_table(connection, stream))

    def _delete(self, stream: Stream, keys: Sequence[tuple[Any, ...]]) -> Receipt:
        self._settle(stream)
        return super()._delete(stream, keys)

    def _mark(self, stream: Stream, keys: Mapping[tuple[Any, ...], Any]) -> Receipt:
        self._settle(stream)
        return super()._mark(stream, keys)

    def _truncate(self, stream: Stream, deleted_at: str) -> Receipt:
        self._settle(stream)
        return super()._truncate(stream, deleted_at)

    def commit(self, stream: Stream) -> Receipt:
        self._settle(stream)
        super().commit(stream)
        return Receipt(replaced=self._replaced_rows.pop(stream.key, 0))
