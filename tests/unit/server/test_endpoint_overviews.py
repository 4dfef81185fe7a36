"""Sources and destinations as the web interface lists them, and what their last tests said."""

from __future__ import annotations

import json
import socket
from functools import partial
from typing import Any

import pytest
from pages import Pages

from kitestring.server.connections import endpoints
from kitestring.server.connectors import check_results, definitions
from kitestring.server.context import Context
from kitestring.vector.embedders.local import Local
from tests.unit.server.tenants import Browser, Tenant

pytestmark = pytest.mark.slow

OWN = "/api/kitestring/v1"


@pytest.fixture
def acme(context: Context) -> Tenant:
    return Tenant.make(context, "acme")


@pytest.fixture
def editor(context: Context, acme: Tenant) -> Browser:
    return Browser(context, acme.member("workspace_editor"))


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def draft(tenant: Tenant, client: Browser, connector: str, **config: Any) -> dict[str, Any]:
    definition = client.get(f"{OWN}/connectors/source/{connector}").json()["definitionId"]
    return {"workspaceId": tenant.workspace_id, "definitionId": definition, "configuration": config}


def test_the_test_of_a_draft_is_kept_with_what_is_saved_and_goes_when_that_changes(
    acme: Tenant, editor: Browser
) -> None:
    body = draft(acme, editor, "sample", count=5)
    tested = editor.post(f"{OWN}/check", json={"kind": "source", **body}).json()
    assert tested["status"] == "succeeded"
    source = editor.post("/v1/sources", json={"name": "Shop", **body}).json()["sourceId"]
    kept = editor.get(f"{OWN}/sources/{source}").json()
    assert (kept["lastCheck"], kept["connectorName"], kept["connections"]) == (tested, "Sample data", 0)

    editor.put(f"/v1/sources/{source}", json={"name": "Store", "configuration": {"count": 5}})
    assert editor.get(f"{OWN}/sources/{source}").json()["lastCheck"] == tested
    editor.put(f"/v1/sources/{source}", json={"name": "Store", "configuration": {"count": 6}})
    assert editor.get(f"{OWN}/sources/{source}").json()["lastCheck"] is None
    second = editor.post(f"{OWN}/sources/{source}/check").json()
    assert editor.get(f"{OWN}/sources/{source}").json()["lastCheck"] == second
    entries = editor.get(f"{OWN}/audit").json()
    assert "last_check" not in str(entries)


@pytest.mark.parametrize(
    ("connector", "config", "reason"),
    [
        ("sample", {"count": 5}, "the source Sample data cannot follow changes"),
        ("postgres", {"replication_method": {"method": "Standard"}}, "reads by `replication_method: Standard`"),
        ("postgres", {"replication_method": {"method": "CDC"}}, ""),
        ("mysql", {"replication_method": "STANDARD"}, "reads by `replication_method: STANDARD`"),
        ("mysql", {"replication_method": "CDC"}, ""),
        ("mongodb", {"connection_string": "mongodb://db.example.com/", "databases": ["shop"]}, ""),
        (
            "notion",
            {"credentials": {"auth_type": "token", "token": "secret"}},
            "the source Notion cannot follow changes",
        ),
    ],
    ids=[
        "no log",
        "without change data capture",
        "change data capture",
        "MySQL without",
        "MySQL",
        "MongoDB",
        "low-code",
    ],
)
def test_a_source_says_whether_a_connection_from_it_can_be_continuous(
    acme: Tenant, editor: Browser, connector: str, config: dict[str, Any], reason: str
) -> None:
    for package in ("psycopg", "pymysql", "pymongo"):
        pytest.importorskip(package)
    is_sql = connector in ("postgres", "mysql")
    where = {"host": "db.example.com", "database": "shop", "username": "reader"} if is_sql else {}
    body = draft(acme, editor, connector, **where, **config)
    source = editor.post("/v1/sources", json={"name": "Shop", **body}).json()["sourceId"]
    answer = editor.get(f"{OWN}/sources/{source}/continuous").json()
    assert answer["possible"] is (reason == "")
    assert reason in answer["reason"]
    assert bool(answer["hint"]) is bool(reason)


def test_a_test_of_a_configuration_that_was_changed_meanwhile_says_nothing_of_the_new_one(
    acme: Tenant, context: Context, editor: Browser
) -> None:
    body = draft(acme, editor, "sample", count=5)
    source = editor.post("/v1/sources", json={"name": "Shop", **body}).json()["sourceId"]
    with context.store.read() as db:
        tested = endpoints.endpoint_of(context, db, "source", source).config
    keep = partial(check_results.keep, context, "source", source)
    editor.put(f"/v1/sources/{source}", json={"name": "Shop", "configuration": {"count": 6}})
    sample = definitions.of_type("source", "sample")
    keep(sample, [tested], check_results.succeeded())
    assert editor.get(f"{OWN}/sources/{source}").json()["lastCheck"] is None
    keep(definitions.of_type("source", "stripe"), [{**tested, "count": 6}], check_results.succeeded())
    assert editor.get(f"{OWN}/sources/{source}").json()["lastCheck"] is None
    kept = keep(sample, [tested, {**tested, "count": 6}], check_results.succeeded())
    assert editor.get(f"{OWN}/sources/{source}").json()["lastCheck"] == kept


MANIFEST = {
    "version": "6.48.10",
    "type": "DeclarativeSource",
    "check": {"type": "CheckStream", "stream_names": ["items"]},
    "streams": [
        {
            "type": "DeclarativeStream",
            "name": "items",
            "retriever": {
                "type": "SimpleRetriever",
                "requester": {"type": "HttpRequester", "url_base": "URL", "path": "/items", "http_method": "GET"},
                "record_selector": {
                    "type": "RecordSelector",
                    "extractor": {"type": "DpathExtractor", "field_path": ["items"]},
                },
            },
        }
    ],
    "spec": {"type": "Spec", "connection_specification": {"type": "object", "properties": {}}},
}


def test_a_test_says_nothing_of_a_custom_connector_that_was_changed_since(
    acme: Tenant, context: Context, editor: Browser
) -> None:
    place = f"/v1/workspaces/{acme.workspace_id}/definitions/declarative_sources"

    def manifest(url: str) -> dict[str, Any]:
        return dict(json.loads(json.dumps(MANIFEST).replace("URL", url)))

    with Pages() as pages:
        works, broken = manifest(pages.url), manifest(f"http://127.0.0.1:{closed_port()}")
        definition = editor.post(place, json={"name": "Own", "manifest": works}).json()["id"]
        other = editor.post(place, json={"name": "Other", "manifest": broken}).json()["id"]
        body = {"workspaceId": acme.workspace_id, "configuration": {}}
        tested = editor.post(f"{OWN}/check", json={"kind": "source", "definitionId": definition, **body}).json()
        assert tested["status"] == "succeeded", tested
        ids = [
            editor.post("/v1/sources", json={"name": "Own", "definitionId": each, **body}).json()["sourceId"]
            for each in (definition, other)
        ]
        kept = [editor.get(f"{OWN}/sources/{each}").json()["lastCheck"] for each in ids]
        assert kept == [tested, None], "the test of one custom connector is not one of another"
        with context.store.read() as db:
            before = definitions.get(db, "source", definition)
        editor.put(f"{place}/{definition}", json={"manifest": broken})
        assert editor.get(f"{OWN}/sources/{ids[0]}").json()["lastCheck"] is None
        check_results.keep(context, "source", ids[0], before, [{}], check_results.succeeded())
        assert editor.get(f"{OWN}/sources/{ids[0]}").json()["lastCheck"] is None, "a test that began before the change"
        again = editor.post(f"{OWN}/sources/{ids[0]}/check").json()
        assert again["status"] == "failed"
        assert editor.get(f"{OWN}/sources/{ids[0]}").json()["lastCheck"] == again


def test_a_list_counts_searches_and_names_failures_with_their_fields(
    acme: Tenant, context: Context, editor: Browser
) -> None:
    body = draft(acme, editor, "postgres", host="127.0.0.1", port=closed_port(), database="shop", username="u")
    source = editor.post("/v1/sources", json={"name": "Books 100%", **body}).json()["sourceId"]
    failed = editor.post(f"{OWN}/sources/{source}/check").json()
    assert failed["status"] == "failed"
    assert list(failed["problems"]) == ["host"]
    listed = editor.get(f"{OWN}/sources", params={"limit": 1}).json()
    assert (listed["total"], listed["failing"], [row["name"] for row in listed["data"]]) == (2, 1, ["acme"])
    assert listed["data"][0]["connections"] == 1
    for text, names in (("100%", ["Books 100%"]), ("POSTGRES books", ["Books 100%"]), ("_", []), ("nothing", [])):
        rows = editor.get(f"{OWN}/sources", params={"text": text}).json()["data"]
        assert [row["name"] for row in rows] == names, text
    assert editor.get(f"{OWN}/destinations").json()["total"] == 1
    assert editor.get(f"{OWN}/destinations/{acme.destination_id}").json()["connections"] == 1
    outsider = Browser(context, Tenant.make(context, "globex").member("workspace_admin"))
    assert outsider.get(f"{OWN}/sources/{source}").status_code == 403
    assert [row["name"] for row in outsider.get(f"{OWN}/sources").json()["data"]] == ["globex"]


def test_the_data_page_is_offered_the_destinations_that_can_be_read(
    context: Context, acme: Tenant, editor: Browser
) -> None:
    with context.store.write() as db:
        foreign = definitions.of_type("destination", "pinecone")
        insert_of = {"workspace_id": acme.workspace_id, "definition_id": foreign.id, "connector": foreign.connector}
        times = {"created_at_ms": 1, "updated_at_ms": 1}
        db.execute(
            endpoints.TABLES["destination"].insert().values(id="c", name="Pinecone", config={}, **insert_of, **times)
        )
    files = editor.get(f"{OWN}/connectors/destination/files").json()["definitionId"]
    body = {"workspaceId": acme.workspace_id, "definitionId": files, "configuration": {"path": "out"}}
    assert editor.post("/v1/destinations", json={"name": "Lake", **body}).status_code == 200
    names = [row["name"] for row in editor.get(f"{OWN}/destinations").json()["data"]]
    readable = editor.get(f"{OWN}/destinations", params={"browsable": "true"}).json()
    assert names == ["acme", "Lake", "Pinecone"]
    assert ([row["name"] for row in readable["data"]], readable["total"]) == (["Lake"], 1)


def test_connectors_say_how_often_a_workspace_uses_them(acme: Tenant, editor: Browser) -> None:
    for name in ("a", "b"):
        editor.post("/v1/sources", json={"name": name, **draft(acme, editor, "sample", count=1)})
    listed = editor.get(f"{OWN}/connectors", params={"kind": "source", "workspaceId": acme.workspace_id}).json()["data"]
    used = {row["name"]: row["used"] for row in listed if row["used"]}
    assert used == {"Sample data": 2, "acme": 1}


def test_a_vector_store_advises_about_chunks_that_the_model_does_not_read(acme: Tenant, editor: Browser) -> None:
    definition = editor.get(f"{OWN}/connectors/destination/milvus").json()["definitionId"]

    def advice(size: int) -> Any:
        config = {
            "indexing": {"host": "https://milvus.example.com", "collection": "c"},
            "processing": {"text_fields": ["body"], "chunk_size": size},
            "embedding": {
                "mode": "openai_compatible",
                "base_url": "https://models.example.com/v1",
                "model_name": "small",
                "dimensions": 384,
                "max_tokens": 512,
            },
        }
        body = {"kind": "destination", "workspaceId": acme.workspace_id, "definitionId": definition}
        return editor.post(f"{OWN}/check/advice", json={**body, "configuration": config}).json()["data"]

    assert advice(512) == advice(-1) == []
    (note,) = advice(1000)
    assert (note["path"], note["value"]) == ("processing.chunk_size", 512)
    assert "at most 512 tokens" in note["message"]


def test_a_new_vector_store_begins_with_an_embedder_that_needs_no_account_and_chunks_that_it_reads(
    acme: Tenant, editor: Browser
) -> None:
    connector = editor.get(f"{OWN}/connectors/destination/milvus").json()
    assert connector["suggested"]["processing"] == {"chunk_size": 200}
    assert connector["suggested"].get("embedding") == ({"mode": "local"} if Local.ready() else None)
    assert editor.get(f"{OWN}/connectors/source/zendesk-support").json()["suggested"] == {}
    config = {"indexing": {"host": "https://milvus.example.com", "collection": "c"}, **connector["suggested"]}
    body = {"kind": "destination", "workspaceId": acme.workspace_id, "definitionId": connector["definitionId"]}

    def advice(embedding: dict[str, Any]) -> list[dict[str, Any]]:
        configuration = {**config, "embedding": embedding}
        return list(editor.post(f"{OWN}/check/advice", json={**body, "configuration": configuration}).json()["data"])

    (note,) = advice({"mode": "fake"})
    assert (note["path"], "without meaning" in note["message"]) == ("embedding", True)
    if Local.ready():
        assert advice({"mode": "local"}) == []


def test_a_list_is_ordered_by_what_the_reader_asks_for(acme: Tenant, context: Context, editor: Browser) -> None:
    bad = draft(acme, editor, "postgres", host="127.0.0.1", port=closed_port(), database="shop", username="u")
    failing = editor.post("/v1/sources", json={"name": "Zoo", **bad}).json()["sourceId"]
    assert editor.post(f"{OWN}/sources/{failing}/check").json()["status"] == "failed"
    good = draft(acme, editor, "sample", count=5)
    working = editor.post("/v1/sources", json={"name": "apples", **good}).json()["sourceId"]
    assert editor.post(f"{OWN}/sources/{working}/check").json()["status"] == "succeeded"

    def names(order: str, **page: int) -> list[str]:
        listed = editor.get(f"{OWN}/sources", params={"order": order, **page}).json()
        assert listed["total"] == 3
        return [row["name"] for row in listed["data"]]

    # The tenant's own source, acme, is the one that a connection uses and that was never tested.
    assert names("name") == ["acme", "apples", "Zoo"]
    assert names("-name") == ["Zoo", "apples", "acme"]
    assert names("test") == ["Zoo", "acme", "apples"]
    assert names("-connections") == ["acme", "apples", "Zoo"]
    assert names("-created") == ["apples", "Zoo", "acme"]
    assert names("connector")[0] == "Zoo"  # postgres is before sample
    assert names("-name", limit=1, offset=2) == ["acme"]
    owners = {row["name"]: row["owner"] for row in editor.get(f"{OWN}/sources").json()["data"]}
    assert owners["apples"] == owners["Zoo"] != owners["acme"]
    assert [name for name in names("-owner") if name != "acme"] == ["apples", "Zoo"]
    assert editor.get(f"{OWN}/sources", params={"order": "colour"}).status_code == 400
