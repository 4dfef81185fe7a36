"""BigQuery keeps the contract of sources where a database of its own is given, and that of SQL destinations on an
emulator: `bqemulator`, a server on DuckDB."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

import pytest
from integration.foreign_packages import python_of
from stand_ins.bigquery import bigquery_server, service_account

from contract.given_database import GivenDatabase
from contract.warehouse_sample import WAREHOUSE_SAMPLE
from kitestring.destination import Destination
from kitestring.destinations.bigquery.dialect import DIALECT
from kitestring.errors import AuthError, ConfigError, RecordError, TransientError
from kitestring.sources.bigquery import Bigquery
from kitestring.testing.contract import SqlContract
from kitestring.types import Record, Stream

numbers = itertools.count(1)


class TestBigquery(GivenDatabase):
    connector = Bigquery


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Google's client gives up soon, where the emulator has a defect."""
    from google.cloud.bigquery.retry import DEFAULT_RETRY

    python = python_of("bqemulator==1.4.0")
    with mock.patch.object(DEFAULT_RETRY, "_timeout", 2), bigquery_server(python) as address:
        yield address


def config_of(server: str, dataset: str) -> dict[str, Any]:
    return {
        "project_id": "shop",
        "dataset_id": dataset,
        "credentials_json": service_account(server),
        "base_url": server,
    }


class TestBigqueryDestination(SqlContract):
    """Each folder is a project."""

    emulated_cases = WAREHOUSE_SAMPLE
    types = {
        "id": "INT64",
        "text": "STRING",
        "number": "FLOAT64",
        "flag": "BOOL",
        "at": "TIMESTAMP",
        "nested": "JSON",
        "tags": "JSON",
    }
    widened = ("INT64", "FLOAT64", "STRING")
    schema = "kept"
    gaps: ClassVar[dict[str, str]] = {
        "test_long_numbers_keep_all_their_digits": "bqemulator has no BIGNUMERIC: DuckDB has decimals of 38 digits",
        "test_a_type_that_widens_in_later_syncs_changes_no_value": "bqemulator has no BIGNUMERIC",
        "test_two_streams_at_once_are_both_whole": "bqemulator has one transaction for all sessions",
    }

    @pytest.fixture(autouse=True)
    def _projects(self, server: str) -> None:
        self.server = server
        self.projects: dict[Path, str] = {}

    def make_with(self, folder: Path, **options: Any) -> Destination:
        from kitestring.destinations.bigquery import Bigquery

        project = self.projects.setdefault(folder, f"project{next(numbers)}")
        return Bigquery.load({**config_of(self.server, self.schema), "project_id": project, **options})

    def execute(self, destination: Destination, statement: str) -> list[Record]:
        connection = destination._connect()  # type: ignore[attr-defined]
        try:
            with connection._translated():
                rows = connection.client.query(statement.replace('"', "`")).result()
                return [dict(row.items()) for row in rows]
        finally:
            connection.close()

    def column_types(self, destination: Destination, stream: Stream) -> dict[str, str]:
        connection = destination._connect()  # type: ignore[attr-defined]
        fields = connection.client.get_table(f"{stream.namespace or self.schema}.{stream.name}").schema
        connection.close()
        names = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL"}
        return {field.name: names.get(field.field_type, field.field_type) for field in fields}

    def tables(self, destination: Destination) -> set[str]:
        connection = destination._connect()  # type: ignore[attr-defined]
        names = {table.table_id for table in connection.client.list_tables(self.schema)}
        connection.close()
        return names

    def table(self, stream: Stream) -> str:
        place = stream.namespace or self.schema, stream.name
        schema, name = (DIALECT.candidates(part, DIALECT.safe(part))[0] for part in place)
        return f"`{schema}`.`{name}`"


def test_the_configuration_of_airbyte_is_accepted_or_refused_with_the_reason() -> None:
    from kitestring.destinations.bigquery import Bigquery

    config: dict[str, Any] = {
        "project_id": "shop",
        "dataset_id": "shop:sales",
        "dataset_location": "EU",
        "credentials_json": "{}",
        "loading_method": {"method": "Standard"},
        "transformation_priority": "interactive",
        "raw_data_dataset": "airbyte_internal",
        "cdc_deletion_mode": "Hard delete",
        "disable_type_dedupe": False,
    }
    assert Bigquery.load(config).dataset_id == "sales"
    for change, words in (
        ({"loading_method": {"method": "GCS Staging", "gcs_bucket_name": "b"}}, "without a bucket"),
        ({"disable_type_dedupe": True}, "raw tables are not written"),
        ({"cdc_deletion_mode": "Soft delete"}, "write mode `soft_delete`"),
        ({"credentials_json": ""}, "give a key as JSON"),
    ):
        with pytest.raises(ConfigError, match=words):
            Bigquery.load({**config, **change})
    with pytest.raises(ConfigError, match="is not the key of a service account"):
        Bigquery.load(config).check()


def test_what_bigquery_refuses_is_told_apart() -> None:
    from google.api_core import exceptions

    from kitestring.vendors.bigquery import translated

    for error, kind in (
        (exceptions.Forbidden("no", errors=[{"reason": "accessDenied"}]), AuthError),
        (exceptions.Forbidden("slower", errors=[{"reason": "rateLimitExceeded"}]), TransientError),
        (exceptions.Forbidden("used up", errors=[{"reason": "quotaExceeded"}]), ConfigError),
        (exceptions.ServiceUnavailable("away"), TransientError),
        (exceptions.BadRequest("Invalid JSON in PARSE_JSON", errors=[{"reason": "invalidQuery"}]), RecordError),
        (exceptions.BadRequest("Syntax error", errors=[{"reason": "invalidQuery"}]), ConfigError),
    ):
        with pytest.raises(kind), translated("shop", str):
            raise error
