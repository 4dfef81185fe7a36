"""Definitions, sources, destinations and connections of the store, and a sync of one of them by a worker."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from kitestring.errors import ConfigError
from kitestring.redact import MASK
from kitestring.server.connections import connection, endpoints
from kitestring.server.connectors import definitions
from kitestring.server.context import Context
from kitestring.server.http.problem import Problem
from kitestring.server.jobs.worker import Worker
from kitestring.server.store.tables import destinations, jobs, sources
from kitestring.server.workspaces import workspaces

ZENDESK = {
    "subdomain": "acme",
    "start_date": "2024-01-01T00:00:00Z",
    "credentials": {"credentials": "api_token", "email": "a@example.com", "api_token": "a secret of Zendesk"},
}


def create_endpoint(context: Context, kind: definitions.Kind, type_name: str, config: Mapping[str, Any]) -> str:
    with context.store.write() as db:
        return endpoints.create(
            context,
            db,
            kind,
            workspace_id=workspaces.default(db).id,
            name=type_name,
            definition=definitions.of_type(kind, type_name),
            config={f"{kind}Type": type_name, **config},
            trusted=True,
        )


def joined(context: Context, folder: Path, streams: list[dict[str, Any]] | None = None, **more: Any) -> str:
    source = create_endpoint(context, "source", "sample", {"count": 30})
    destination = create_endpoint(context, "destination", "files", {"path": str(folder), "format": "jsonl"})
    catalog = connection.discover(context, source)
    with context.store.write() as db:
        return connection.create(
            context,
            db,
            source_id=source,
            destination_id=destination,
            catalog=catalog,
            streams=connection.configure_streams(catalog, streams),
            **more,
        )


def test_a_connector_that_airbyte_has_too_bears_its_id_and_one_of_ours_always_the_same() -> None:
    known = definitions.of_type("source", "source-zendesk-support")
    assert (known.id, known.connector) == ("79c1aa37-dae3-42ae-b333-d1c105477715", "zendesk_support")
    assert known.airbyte_type
    assert definitions.of_type("destination", "milvus").id == "65de8962-48c9-11ee-be56-0242ac120002"
    ours = definitions.of_type("source", "sample")
    assert ours.id == definitions.of_type("source", "sample").id
    assert not ours.airbyte_type
    foreign = definitions.of_type("source", "pokeapi")
    assert not foreign.native
    with pytest.raises(Problem, match="did you mean zendesk-support"):
        definitions.of_type("source", "zendesk-suport")


def test_every_definition_has_an_id_and_a_type_of_its_own() -> None:
    for kind in ("source", "destination"):
        results = list(definitions.built_in(kind).values())
        assert len({result.id for result in results}) == len({result.type for result in results}) == len(results)


def test_secrets_are_sealed_in_the_store_masked_in_answers_and_open_for_the_worker(context: Context) -> None:
    source = create_endpoint(context, "source", "zendesk-support", ZENDESK)
    with context.store.read() as db:
        row = db.execute(select(sources).where(sources.c.id == source)).one()
        config = endpoints.masked_config(db, "source", row)
        end = endpoints.endpoint_of(context, db, "source", source)
    assert "a secret of Zendesk" not in str(row)
    assert config["credentials"] == {"credentials": "api_token", "email": "a@example.com", "api_token": MASK}
    assert config["sourceType"] == "zendesk-support"
    assert end.config["credentials"]["api_token"] == "a secret of Zendesk"
    assert "sourceType" not in end.config


def test_a_masked_secret_that_comes_back_means_the_one_that_is_there(context: Context) -> None:
    source = create_endpoint(context, "source", "zendesk-support", ZENDESK)
    with context.store.write() as db:
        config = endpoints.masked_config(db, "source", endpoints.get(db, "source", source))
        endpoints.change(context, db, "source", source, config={**config, "subdomain": "other"}, trusted=True)
        end = endpoints.endpoint_of(context, db, "source", source)
    assert end.config["subdomain"] == "other"
    assert end.config["credentials"]["api_token"] == "a secret of Zendesk"


def test_a_wrong_configuration_is_refused_and_nothing_is_kept(context: Context) -> None:
    with pytest.raises(ConfigError, match=r"cont is not a known option \(did you mean count\?\)"):
        create_endpoint(context, "source", "sample", {"cont": 3})
    with context.store.read() as db:
        assert not endpoints.find_all(db, "source")


def test_streams_that_are_left_open_are_chosen_from_the_catalog(context: Context) -> None:
    catalog = connection.discover(context, create_endpoint(context, "source", "sample", {"count": 3}))
    every = connection.configure_streams(catalog, None)
    assert {item["name"] for item in every} == {"users", "products", "purchases"}
    assert {item["syncMode"] for item in every} == {"full_refresh_overwrite"}
    stream = connection.configure_stream(catalog, {"name": "users", "syncMode": "incremental_deduped_history"})
    assert (stream["cursorField"], stream["primaryKey"]) == (["updated_at"], [["id"]])


@pytest.mark.parametrize(
    ("stream", "fact"),
    [
        ({"name": "user"}, "did you mean users"),
        ({"name": "users", "syncMode": "incremental_merge"}, "is not supported"),
        ({"name": "users", "selectedFields": [{"fieldPath": ["nosuch"]}]}, "no field nosuch"),
    ],
)
def test_what_a_stream_cannot_do_is_refused_with_the_way_out(
    context: Context, stream: dict[str, Any], fact: str
) -> None:
    catalog = connection.discover(context, create_endpoint(context, "source", "sample", {"count": 3}))
    with pytest.raises(Problem, match=fact) as caught:
        connection.configure_streams(catalog, [stream])
    assert caught.value.status == 422
    assert caught.value.hint


def test_two_streams_cannot_have_one_name_at_the_destination(context: Context) -> None:
    catalog = connection.discover(context, create_endpoint(context, "source", "sample", {"count": 3}))
    both = [{"name": "users", "destinationObjectName": "products"}, {"name": "products"}]
    with pytest.raises(Problem, match="users and products would both be written as products"):
        connection.configure_streams(catalog, both)


def test_a_namespace_of_its_own_is_made_of_the_sources() -> None:
    written = connection.written_namespace
    assert written("source", None, "public") is None
    assert written("destination", None, "public") == ""
    assert written("custom_format", "raw_${SOURCE_NAMESPACE}", "public") == "raw_public"


@pytest.mark.slow
def test_a_connection_is_synced_by_a_worker(context: Context, tmp_path: Path) -> None:
    streams = [{"name": "users", "syncMode": "incremental_append", "selectedFields": [{"fieldPath": ["name"]}]}]
    streams[0]["destinationObjectName"] = "people"
    connection_id = joined(context, tmp_path / "out", streams, prefix="raw_")
    worker = Worker(context, connection.plan_of, slots=1)
    worker.start()
    try:
        with context.store.write() as db:
            job = context.queue.enqueue(db, connection_id)
        row = finished(context, job)
    finally:
        worker.stop()
    assert (row.status, row.records) == ("succeeded", 30)
    (folder,) = (tmp_path / "out").glob("raw_people*")
    assert sum(path.read_bytes().count(b"\n") for path in folder.rglob("*.jsonl")) == 30


def finished(context: Context, job: int) -> Any:
    import time

    for _ in range(6000):
        with context.store.read() as db:
            row = db.execute(select(jobs).where(jobs.c.id == job)).one()
        if row.ended_at_ms is not None:
            return row
        time.sleep(0.1)
    raise AssertionError(f"job {job} has not ended: {row}")


def test_deleting_a_source_takes_its_connections_with_it_and_cancels_what_waits(
    context: Context, tmp_path: Path
) -> None:
    connection_id = joined(context, tmp_path)
    with context.store.write() as db:
        job = context.queue.enqueue(db, connection_id)
        connection.delete_endpoint(context, db, "source", connection.get(db, connection_id).source_id)
        assert db.execute(select(jobs.c.status).where(jobs.c.id == job)).scalar_one() == "cancelled"
        with pytest.raises(Problem, match="no connection"):
            connection.get(db, connection_id)
        assert db.execute(select(destinations.c.deleted_at_ms)).scalar_one() is None
