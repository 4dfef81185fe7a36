"""BigQuery: each stream is a table; Parquet files are loaded by jobs and merged by MERGE."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import PrivateAttr, field_validator, model_validator

from kitestring.config import option, secret
from kitestring.destinations.bigquery.connection import BigqueryConnection
from kitestring.destinations.bigquery.dialect import DIALECT
from kitestring.facts import Facts, Proposal
from kitestring.redact import Redactor
from kitestring.sql.airbyte_option import SHARED, Refusals, accepted
from kitestring.sql.connection import Connection
from kitestring.sql.destination import SqlDestination
from kitestring.sql.dialect import Dialect
from kitestring.sql.key import conditions
from kitestring.sql.keyed_merge import matched_rows
from kitestring.sql.prepared_batch import KeyRows
from kitestring.sql.table import Table
from kitestring.vendors.bigquery import credentials_of, translated

AIRBYTES: Refusals = {
    **SHARED,
    "loading_method": (
        lambda value: not isinstance(value, Mapping) or "gcs" not in str(value.get("method", "")).lower(),
        "files are loaded without a bucket: choose the method Standard",
    ),
    "raw_data_dataset": (lambda _: True, ""),
    "transformation_priority": (lambda _: True, ""),
    "big_query_client_buffer_size_mb": (lambda _: True, ""),
}
"""Those of destination-bigquery 3.0."""


class Bigquery(SqlDestination):
    """Writes each stream into a table of its name, in the dataset of its namespace.

    Every batch is one transaction. A replacement fills a new table, and one statement copies it in the place of the old
    one; if the last version is kept, rows with the keys of the batch are replaced, unless they are unchanged. Several
    streams are written concurrently, each through its own session.
    """

    facts: ClassVar[Facts] = Facts(
        title="BigQuery",
        network="native",
        programs=False,
        packages=("google.cloud.bigquery", "pyarrow"),
        category="database",
        summary="tables of BigQuery",
        proposal=Proposal(
            config="project_id: my-project\ndataset_id: shop\ndataset_location: EU\n"
            "credentials_json: ${BIGQUERY_CREDENTIALS}\n"
        ),
    )
    dialect: ClassVar[Dialect] = DIALECT
    batch_rows: ClassVar[int] = 500_000
    batch_bytes: ClassVar[int] = 48 * 1024 * 1024

    project_id: str = option(order=0, title="Project")
    dataset_id: str = option(order=1, title="Dataset")
    """The dataset for streams without a namespace. It is created if it is absent."""

    dataset_location: str | None = option(None, order=2, title="Location", examples=["EU", "us-east1"])
    """Where datasets are created, and jobs run. Default: BigQuery's own."""

    credentials_json: str = secret(order=3, title="Credentials (JSON)")
    """The key of a service account, with the roles BigQuery Data Editor and BigQuery Job User."""

    airbyte_columns: bool = option(True, order=4, title="Airbyte's columns")
    """Whether tables have the columns `_airbyte_raw_id`, `_airbyte_extracted_at`, `_airbyte_meta` and
    `_airbyte_generation_id`."""

    connections: int = option(4, ge=1, le=64, order=5, group="advanced")
    """How many streams are written at the same time, each through its own session."""

    base_url: str | None = option(None, order=6, group="advanced")
    """Another address of the API, for tests and proxies."""

    _redactor: Redactor | None = PrivateAttr(default=None)

    @model_validator(mode="before")
    @classmethod
    def _as_airbyte_has_it(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        options = accepted(values, AIRBYTES)
        if not options.get("credentials_json"):
            raise ValueError("credentials_json is empty, and no other credentials are looked for: give a key as JSON")
        return options

    @field_validator("dataset_id")
    @classmethod
    def _without_project(cls, dataset: str) -> str:
        """Airbyte accepts `project:dataset`."""
        return dataset.rpartition(":")[2]

    @property
    def lanes(self) -> int:  # type: ignore[override]
        return self.connections

    def _hide(self, text: str) -> str:
        self._redactor = self._redactor or Redactor([self.credentials_json])
        return self._redactor.text(text)

    def _connect(self) -> Connection:
        from google.api_core.client_options import ClientOptions
        from google.cloud.bigquery import Client

        options = ClientOptions(api_endpoint=self.base_url) if self.base_url else None
        credentials = credentials_of(self.credentials_json)
        with translated(self.project_id, self._hide):
            client = Client(
                project=self.project_id, credentials=credentials, client_options=options, location=self.dataset_location
            )
        dataset = self.dialect.safe_schema(self.dataset_id)
        return BigqueryConnection(client, dataset, self.dataset_location, self._hide)

    def _schema(self) -> str:
        return self.dataset_id

    def _airbyte_columns(self) -> bool:
        return self.airbyte_columns

    def check(self) -> None:
        """Runs a query, which needs the right to run jobs, and looks for a table, which needs that to read datasets."""
        with self._connection() as connection:
            connection.rows("SELECT 1")
            connection.columns(self.dialect.safe_schema(self.dataset_id), "_")

    def _matched(self, table: Table, incoming: str, keys: KeyRows, mark: str | None) -> tuple[int, int]:
        """Rows have no number in BigQuery."""
        unmarked = f" AND kept.{self.dialect.quoted(mark)} IS NULL" if mark else ""
        matches = [f"{condition}{unmarked}" for condition in conditions(keys.parts)]
        return matched_rows(table.connection, table.reference, incoming, keys.number, matches)
