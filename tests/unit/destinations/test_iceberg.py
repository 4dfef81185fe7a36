"""Iceberg beyond the contract: REST and Glue catalogs, S3, other writers, lost answers, Airbyte's options."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyiceberg.catalog import Catalog
from pyiceberg.catalog.sql import SqlCatalog
from stand_ins.iceberg_rest import CLIENT, SECRET, TOKEN, IcebergRest
from stand_ins.object_store import running_s3

from kitestring.batch import Batch
from kitestring.config import Config
from kitestring.destinations.iceberg import Iceberg
from kitestring.engine import Selection, Status, sync
from kitestring.errors import AuthError, ConfigError, KitestringError, TransientError
from kitestring.testing.memory import MemorySource
from kitestring.testing.stand_in import Faults
from kitestring.types import Stream, Write

pytestmark = pytest.mark.slow

SCHEMA = {"type": "object", "properties": {"id": {"type": "integer"}, "text": {"type": ["null", "string"]}}}


def synced(destination: Iceberg, count: int, mode: str, text: str = "a") -> Any:
    records = [{"id": n, "text": f"{text}{n}"} for n in range(count)]
    source = MemorySource(records={"things": records}, primary_keys={"things": "id"}, schemas={"things": SCHEMA})
    return sync(source, destination, [Selection("things", write_mode=mode)])


def run(destination: Iceberg, count: int, mode: str, text: str = "a") -> Any:
    result = synced(destination, count, mode, text)
    assert result.status is Status.succeeded, result.as_dict()
    return result.streams["things"]


def rows_of(catalog: Catalog) -> list[tuple[int, str]]:
    rows = catalog.load_table(("default", "things")).scan().to_arrow().to_pylist()
    return sorted((row["id"], row["text"]) for row in rows)


# -- REST --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def rest(tmp_path: Path) -> Iterator[IcebergRest]:
    with IcebergRest(tmp_path / "server") as server:
        yield server


def on(server: IcebergRest, **options: Any) -> Iceberg:
    catalog = {"catalog_type": "REST", "server_uri": server.url, "credential": f"{CLIENT}:{SECRET}", **options}
    return Iceberg.load({"warehouse_location": "lake", "catalog_type": catalog})


def append_elsewhere(server: IcebergRest, number: int, text: str) -> None:
    table = server.catalog.load_table(("default", "things"))
    rows = pa.table({"id": [number], "text": [text]}).cast(table.schema().as_arrow())
    table.append(rows)


def test_tables_of_a_rest_catalog_are_written_replaced_listed_and_dropped(rest: IcebergRest) -> None:
    destination = on(rest)
    destination.check()
    assert destination.stored_streams() == []
    run(destination, 3, "append_dedup")
    figures = run(destination, 4, "append_dedup")
    assert (figures.written, figures.unchanged) == (1, 3)
    run(destination, 2, "overwrite", "b")
    assert rows_of(rest.catalog) == [(0, "b0"), (1, "b1")]
    assert rest.catalog.list_tables("default") == [("default", "things")]  # no staged table stays
    streams = destination.stored_streams()
    assert streams is not None
    assert [(stream.name, stream.records) for stream in streams] == [("things", 2)]
    destination.close()
    run(on(rest, credential=None, token=TOKEN), 3, "append_dedup", "b")
    assert len(rows_of(rest.catalog)) == 3


def test_polaris_is_a_rest_catalog_with_a_client_and_a_name(rest: IcebergRest) -> None:
    polaris = {"catalog_type": "POLARIS", "server_uri": rest.url, "client_id": CLIENT, "catalog_name": "lake"}
    options = {"warehouse_location": "s3://lake/x", "schema": "default", "catalog_type": polaris}
    run(Iceberg.load({**options, "catalog_type": {**polaris, "client_secret": SECRET}}), 2, "append")
    assert len(rows_of(rest.catalog)) == 2
    (call,) = rest.calls("/oauth/tokens")[:1]
    assert b"PRINCIPAL_ROLE%3AALL" in call.body


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        ({"credential": f"{CLIENT}:hunter2"}, AuthError, "refuses the credentials"),
        ({"credential": None, "token": "hunter2"}, AuthError, "refuses the credentials"),
        ({"credential": None}, AuthError, "refuses the credentials"),
        ({"server_uri": "http://127.0.0.1:9"}, TransientError, "cannot be reached"),
        ({"server_uri": "{url}/elsewhere"}, ConfigError, "the catalog refuses a request"),
    ],
)
def test_a_rest_catalog_that_refuses_is_described(
    rest: IcebergRest, change: dict[str, Any], kind: type[KitestringError], words: str
) -> None:
    options = {name: value.replace("{url}", rest.url) if value else value for name, value in change.items()}
    options.setdefault("oauth2_server_uri", f"{rest.url}/v1/oauth/tokens")
    with pytest.raises(kind, match=words) as caught:
        on(rest, **options).check()
    assert "hunter2" not in str(caught.value)


def test_a_page_in_place_of_an_answer_is_described(rest: IcebergRest) -> None:
    rest.faults.next("not_json", 9, on="/v1/config")
    with pytest.raises(ConfigError, match="does not answer as Iceberg's REST API"):
        on(rest).check()


def test_a_catalog_that_goes_away_in_the_middle_is_described_and_the_batch_can_be_written_again(
    rest: IcebergRest,
) -> None:
    write = Write(replace=False, keep="latest", deletes="keep")
    stream = Stream("things", schema=SCHEMA, primary_key=(("id",),), write=write)
    destination = on(rest)
    destination.begin(stream)
    for number, broken in ((0, False), (1, True), (1, False)):
        batch = destination.prepare(stream, Batch("things", rows=[{"id": number, "text": "a"}]))
        if broken:
            rest.faults.next("drop", 99)
            with pytest.raises(TransientError, match="cannot be reached"):
                destination.write(stream, batch)
            rest.faults = Faults()
        else:
            destination.write(stream, batch)
    destination.commit(stream)
    destination.close()
    assert rows_of(rest.catalog) == [(0, "a"), (1, "a")]


@pytest.mark.parametrize("mode", ["append", "append_dedup"])
def test_a_commit_whose_answer_was_lost_is_not_made_twice(rest: IcebergRest, mode: str) -> None:
    run(on(rest), 1, "overwrite")
    rest.lost_answers = 1
    run(on(rest), 3, mode)
    assert [number for number, _ in rows_of(rest.catalog)] == ([0, 0, 1, 2] if mode == "append" else [0, 1, 2])


def test_rows_that_another_program_added_in_front_of_a_commit_stay_beside_ours(rest: IcebergRest) -> None:
    run(on(rest), 2, "append")
    rest.before_commit = lambda: append_elsewhere(rest, 7, "theirs")
    assert synced(on(rest), 1, "append", "b").status is Status.suspicious  # the table has a row that is not ours
    assert rows_of(rest.catalog) == [(0, "a0"), (0, "b0"), (1, "a1"), (7, "theirs")]


def test_a_key_that_another_program_added_in_front_of_a_merge_is_not_there_twice(rest: IcebergRest) -> None:
    """The merge has read the keys before; its commit is refused, and the step is made again on the new rows."""
    run(on(rest), 2, "append_dedup")
    rest.before_commit = lambda: append_elsewhere(rest, 2, "theirs")
    figures = synced(on(rest), 3, "append_dedup", "b").streams["things"]
    assert (figures.written, figures.unchanged) == (3, 0)
    assert rows_of(rest.catalog) == [(0, "b0"), (1, "b1"), (2, "b2")]


# -- Glue and S3 -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def aws() -> Iterator[dict[str, Any]]:
    """A stand-in for S3 and Glue with the bucket `lake`."""
    with running_s3("lake") as address:
        yield {
            "warehouse_location": "s3://lake/warehouse",
            "access_key_id": "key",
            "secret_access_key": "secret",
            "s3_bucket_region": "us-east-1",
            "s3_endpoint": address,
            "catalog_type": {"catalog_type": "GLUE", "glue_id": "123456789012", "endpoint": address},
        }


def in_database(aws: dict[str, Any], folder: Path) -> dict[str, Any]:
    options = {name: value for name, value in aws.items() if name != "catalog_type"}
    return {**options, "catalog_uri": f"sqlite:///{folder / 'catalog.db'}"}


def test_tables_of_glue_are_written_replaced_listed_and_dropped(aws: dict[str, Any]) -> None:
    destination = Iceberg.load(aws)
    destination.check()
    assert destination.stored_streams() == []
    run(destination, 3, "append_dedup")
    figures = run(destination, 4, "append_dedup")
    assert (figures.written, figures.unchanged) == (1, 3)
    run(destination, 2, "overwrite", "b")
    catalog = destination._lake().catalog
    assert rows_of(catalog) == [(0, "b0"), (1, "b1")]
    assert catalog.list_tables("default") == [("default", "things")]
    destination.close()


def test_files_on_s3_with_a_catalog_in_a_database(aws: dict[str, Any], tmp_path: Path) -> None:
    options = in_database(aws, tmp_path)
    destination = Iceberg.load(options)
    destination.check()
    run(destination, 3, "append_dedup")
    run(destination, 3, "append_dedup", "b")
    files = {"s3.endpoint": aws["s3_endpoint"], "s3.access-key-id": "key", "s3.secret-access-key": "secret"}
    catalog = SqlCatalog("kitestring", uri=options["catalog_uri"], **files, **{"s3.region": "us-east-1"})
    assert rows_of(catalog) == [(0, "b0"), (1, "b1"), (2, "b2")]
    assert catalog.load_table(("default", "things")).location().startswith("s3://lake/warehouse/")


def test_a_bucket_that_does_not_exist_is_described(aws: dict[str, Any], tmp_path: Path) -> None:
    for options in (aws, in_database(aws, tmp_path)):
        with pytest.raises(ConfigError, match=r"(?i)bucket") as caught:
            Iceberg.load({**options, "warehouse_location": "s3://nowhere/x"}).check()
        assert "secret" not in str(caught.value)


def test_a_glue_that_cannot_be_reached_is_described(aws: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyiceberg.catalog.glue.MAX_RETRIES", 1)
    unreachable = {**aws["catalog_type"], "endpoint": "http://127.0.0.1:9"}
    with pytest.raises(TransientError, match="cannot be reached"):
        Iceberg.load({**aws, "catalog_type": unreachable}).check()


def test_keys_that_aws_does_not_know_are_described(aws: dict[str, Any], tmp_path: Path) -> None:
    """The stand-in checks keys from now on, and for this test alone."""
    import requests

    control = f"{aws['s3_endpoint']}/moto-api/reset-auth"
    requests.post(control, data="0", timeout=300)
    try:
        for options in (aws, in_database(aws, tmp_path)):
            with pytest.raises(AuthError, match="refuses the credentials") as caught:
                Iceberg.load({**options, "secret_access_key": "hunter2"}).check()
            assert "hunter2" not in str(caught.value)
    finally:
        requests.post(control, data="inf", timeout=300)


# -- options -----------------------------------------------------------------------------------------------------------


def test_options_of_airbytes_s3_data_lake_are_accepted() -> None:
    airbyte = {
        "access_key_id": "a",
        "secret_access_key": "b",
        "s3_bucket_name": "lake",
        "s3_bucket_region": "eu-central-1",
        "warehouse_location": "s3://lake/x",
        "main_branch_name": "main",
    }
    glue = {"catalog_type": "GLUE", "glue_id": "123", "role_arn": "", "database_name": "sales"}
    destination = Iceberg.load({**airbyte, "catalog_type": glue})
    assert (destination.catalog_type.catalog_type, destination.schema_name) == ("GLUE", "sales")
    rest = {"catalog_type": "REST", "server_uri": "https://c.example.com", "namespace": "sales"}
    destination = Iceberg.load({**airbyte, "catalog_type": rest})
    assert (destination.catalog_type.catalog_type, destination.schema_name) == ("REST", "sales")


def test_options_of_airbytes_older_iceberg_destination_are_accepted() -> None:
    storage = {"storage_type": "S3", "s3_warehouse_uri": "s3a://lake/x", "access_key_id": "a", "secret_access_key": "b"}
    form = {"format": "Parquet", "flush_batch_size": 10000, "auto_compact": False}
    older = {"storage_config": storage, "format_config": form}
    jdbc = {"catalog_type": "Jdbc", "jdbc_url": "jdbc:postgresql://db:5432/lake", "username": "u", "password": "p@ss"}
    destination = Iceberg.load({**older, "catalog_config": {**jdbc, "database": "public", "ssl": True}})
    assert destination.warehouse_location == "s3://lake/x"
    assert destination.catalog_uri == "postgresql+psycopg://u:p%40ss@db:5432/lake?sslmode=require"
    assert destination.schema_name == "public"
    rest = {"catalog_type": "Rest", "rest_uri": "https://c.example.com", "rest_credential": "u:p"}
    managed = {"storage_type": "MANAGED", "managed_warehouse_name": "lake"}
    destination = Iceberg.load({"storage_config": managed, "format_config": form, "catalog_config": rest})
    assert destination.warehouse_location == "lake"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"catalog_type": {"catalog_type": "NESSIE", "server_uri": "http://n"}}, "Nessie's Iceberg REST API"),
        ({"catalog_type": {"catalog_type": "DREMIO", "server_uri": "http://n"}}, "DREMIO was never tried"),
        ({"catalog_type": {"catalog_type": "GLUE", "glue_id": "1", "role_arn": "arn:x"}}, "role_arn is not supported"),
        ({"catalog_type": {"catalog_type": "REST", "server_uri": "c.example.com"}}, "server_uri"),
        ({"catalog_type": {"catalog_type": "GLUE"}, "warehouse_location": "./x"}, "on S3"),
        ({"catalog_type": {"catalog_type": "GLUE"}, "catalog_uri": "postgresql://x"}, "leave it out"),
        ({"main_branch_name": "dev"}, "the branch main alone"),
        ({"catalog_config": {"catalog_type": "Hive", "hive_thrift_uri": "h:1"}}, "Hive metastore is not supported"),
        ({"catalog_config": {"catalog_type": "Hadoop"}}, "Hadoop catalog"),
        ({"catalog_config": {"catalog_type": "Jdbc", "jdbc_url": "jdbc:mysql://x/y"}}, "jdbc_url"),
        ({"format_config": {"format": "Avro"}}, "Parquet alone"),
        ({"format_config": {"format": "Parquet", "merge_mode": True}}, "merge_mode is not supported"),
        ({}, "needs catalog_uri"),
    ],
)
def test_options_that_cannot_be_kept_are_refused_with_a_sentence(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Iceberg.load({"warehouse_location": "s3://lake/x", **options})


def test_a_catalog_that_names_files_of_the_machine_is_declared(tmp_path: Path) -> None:
    def placed(option: str, path: str) -> str:
        return str(tmp_path / path)

    folder: Config = Iceberg(warehouse_location="lake")
    assert folder.machine_use() is None
    folder.confine(placed)
    assert getattr(folder, "warehouse_location") == str(tmp_path / "lake")  # noqa: B009 - of a Config
    rest = Iceberg.load(
        {"warehouse_location": "lake", "catalog_type": {"catalog_type": "REST", "server_uri": "https://c"}}
    )
    rest.confine(placed)
    assert rest.warehouse_location == "lake"
    assert "any file of the machine" in str(rest.machine_use())
    with_uri = Iceberg(warehouse_location="s3://lake", catalog_uri="postgresql://x", access_key_id="a")
    assert "any file of the machine" in str(with_uri.machine_use())


@pytest.mark.parametrize(
    ("address", "what"),
    [
        ("catalog", "is no address of a database"),
        ("postgresql+psycopg://user@host:secret/catalog", "is no address of a database"),
        ("oddbase://user:secret@host/catalog", "the dialect oddbase"),
        ("mysql+mysqldb://user:secret@host/catalog", "the driver of mysql\\+mysqldb is not installed"),
    ],
)
def test_an_address_of_a_catalog_without_a_driver_is_described(tmp_path: Path, address: str, what: str) -> None:
    destination = Iceberg(warehouse_location=str(tmp_path), catalog_uri=address)
    with pytest.raises(ConfigError, match=what) as caught:
        destination.check()
    assert "secret" not in f"{caught.value} {caught.value.hint}"
    assert caught.value.__cause__ is None
