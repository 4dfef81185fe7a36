"""Snowflake: each stream is a table; Parquet files are loaded by COPY and merged by MERGE."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import model_validator

from kitestring.config import option
from kitestring.destinations.snowflake.connection import SnowflakeConnection
from kitestring.destinations.snowflake.dialect import DIALECT
from kitestring.errors import ConfigError
from kitestring.facts import Facts, Proposal
from kitestring.sql.airbyte_option import SHARED, Refusals, accepted
from kitestring.sql.connection import Connection
from kitestring.sql.destination import SqlDestination
from kitestring.sql.dialect import Dialect
from kitestring.sql.key import conditions
from kitestring.sql.keyed_merge import matched_rows
from kitestring.sql.prepared_batch import KeyRows
from kitestring.sql.table import Table
from kitestring.vendors.snowflake import SnowflakeConfig, user_of_airbyte

AIRBYTES: Refusals = {
    **SHARED,
    "jdbc_url_params": (lambda value: not value, "the connection has no JDBC parameters"),
    "raw_data_schema": (lambda _: True, ""),
    "num_file_buffers": (lambda _: True, ""),
    "use_merge_for_upsert": (lambda _: True, ""),
    "loading_method": (
        lambda value: not isinstance(value, Mapping) or "internal" in str(value.get("method", "internal")).lower(),
        "files are staged in Snowflake itself: choose internal staging",
    ),
    "retention_period_days": (
        lambda value: value in (None, 1),
        "tables keep the retention of their schema: set DATA_RETENTION_TIME_IN_DAYS there",
    ),
}
"""Those of destination-snowflake 4.0."""


class Snowflake(SnowflakeConfig, SqlDestination):
    """Writes each stream into a table of its name in capitals, in the schema of its namespace.

    Every batch is one transaction. A replacement fills a new table, and one statement puts its rows in the place of the
    old ones; if the last version is kept, rows with the keys of the batch are replaced, unless they are unchanged.
    Several streams are written concurrently, each through its own session.
    """

    facts: ClassVar[Facts] = Facts(
        title="Snowflake",
        network="native",
        programs=False,
        packages=("snowflake.connector", "pyarrow"),
        category="database",
        summary="tables of Snowflake",
        proposal=Proposal(
            config="host: acme-eu1.snowflakecomputing.com\nwarehouse: COMPUTE_WH\ndatabase: SHOP\nschema: PUBLIC\n"
            "username: WRITER\npassword: ${SNOWFLAKE_PASSWORD}\n"
        ),
    )
    dialect: ClassVar[Dialect] = DIALECT
    batch_rows: ClassVar[int] = 500_000
    batch_bytes: ClassVar[int] = 48 * 1024 * 1024

    schema_name: str = option("PUBLIC", order=8, alias="schema", title="Schema")
    """The schema for streams without a namespace. It is created if it is absent."""

    airbyte_columns: bool = option(True, order=9, title="Airbyte's columns")
    """Whether tables have the columns `_AIRBYTE_RAW_ID`, `_AIRBYTE_EXTRACTED_AT`, `_AIRBYTE_META` and
    `_AIRBYTE_GENERATION_ID`."""

    swap: bool = option(False, order=10, title="Swap tables", group="advanced")
    """Whether a new copy is exchanged for the old table by ALTER TABLE … SWAP WITH, which copies nothing.
    It was never run against Snowflake."""

    connections: int = option(4, ge=1, le=64, order=11, group="advanced")
    """How many streams are written at the same time, each through its own session."""

    @model_validator(mode="before")
    @classmethod
    def _as_airbyte_has_it(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        return accepted(user_of_airbyte(dict(values)), AIRBYTES)

    @property
    def lanes(self) -> int:  # type: ignore[override]
        return self.connections

    def _connect(self) -> Connection:
        return SnowflakeConnection(self, self.dialect.safe_schema(self.schema_name), self.swap)

    def _schema(self) -> str:
        return self.schema_name

    def _airbyte_columns(self) -> bool:
        return self.airbyte_columns

    def check(self) -> None:
        schema = self.dialect.safe_schema(self.schema_name)
        with self._connection() as connection:
            ((database, warehouse),) = connection.rows("SELECT CURRENT_DATABASE(), CURRENT_WAREHOUSE()")
            if database is None:
                raise ConfigError(
                    f"{self.server_place()}: there is no database {self.database}, or the role may not use it",
                    hint=f"Correct `database` or `role`, or GRANT USAGE ON DATABASE {self.database} TO ROLE …;",
                )
            connection.columns(schema, "_")
        if warehouse is None:
            raise ConfigError(
                f"{self.server_place()}: the user {self.username} has no warehouse, which every write needs",
                hint="Set `warehouse`, or GRANT USAGE ON WAREHOUSE … TO ROLE …;",
            )

    def _matched(self, table: Table, incoming: str, keys: KeyRows, mark: str | None) -> tuple[int, int]:
        """Rows have no number in Snowflake; each has at most one of the keys."""
        unmarked = f" AND kept.{self.dialect.quoted(mark)} IS NULL" if mark else ""
        matches = [f"{condition}{unmarked}" for condition in conditions(keys.parts)]
        return matched_rows(table.connection, table.reference, incoming, keys.number, matches)
