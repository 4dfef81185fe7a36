"""The flagship path: Zendesk → chunks → embeddings → Milvus, incremental, over HTTP at both ends, with faults."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from stand_ins.openai import OpenAIStandIn

import kitestring as ks
from kitestring.engine import Result, SqliteStates, Status, sync
from kitestring.registry import destination as build_destination
from kitestring.registry import source as build_source
from kitestring.testing.stand_in import Faults
from kitestring.testing.zendesk import ZendeskStandIn

STREAMS = ["tickets", "articles"]


@pytest.fixture
def zendesk() -> Iterator[ZendeskStandIn]:
    with ZendeskStandIn(tickets=400, export_page=100) as server:
        yield server


@pytest.fixture
def openai() -> Iterator[OpenAIStandIn]:
    with OpenAIStandIn(dimension=64) as server:
        yield server


def milvus(folder: Path, openai: OpenAIStandIn) -> dict[str, Any]:
    return {
        "processing": {
            "chunk_size": 100,
            "text_fields": ["subject", "description", "title", "body"],
            "metadata_fields": ["subject", "title", "status", "organization_id", "label_names", "html_url"],
        },
        "embedding": {
            "mode": "openai_compatible",
            "base_url": openai.base_url,
            "api_key": openai.api_key,
            "model_name": "small",
            "dimensions": 64,
        },
        "indexing": {"host": str(folder / "help.db"), "collection": "help", "auth": {"mode": "no_auth"}},
    }


def run(zendesk: ZendeskStandIn, config: dict[str, Any], folder: Path) -> Result:
    """One sync with connectors of its own, as a process would do it."""
    states = SqliteStates(folder / "state.db")
    return sync(
        build_source("zendesk_support", zendesk.config), build_destination("milvus", config), STREAMS, states=states
    )


def rows(config: dict[str, Any]) -> list[dict[str, Any]]:
    """What the collection holds, asked of Milvus itself."""
    from pymilvus import MilvusClient

    destination: Any = build_destination("milvus", config)
    client: MilvusClient = destination.store.client
    client.load_collection("help")
    results: list[dict[str, Any]] = []
    pages = client.query_iterator("help", batch_size=1000, filter="chunk_number >= 0", output_fields=["*"])
    while page := pages.next():
        results.extend(page)
    destination.close()
    return results


def records(results: list[dict[str, Any]], stream: str) -> dict[str, list[dict[str, Any]]]:
    by_record: dict[str, list[dict[str, Any]]] = {}
    for row in results:
        if row["_ab_stream"] == stream:
            by_record.setdefault(row["_ab_record_id"], []).append(row)
    return by_record


def test_faults_of_both_vendors_cost_time_never_records(tmp_path: Path) -> None:
    faults = {"rate_limit": 0.1, "server_error": 0.1, "drop": 0.05, "truncated": 0.05, "retry_after_s": 0}
    with (
        ZendeskStandIn(tickets=400, export_page=20, faults=Faults(seed=3, **faults)) as zendesk,  # type: ignore[arg-type]
        OpenAIStandIn(dimension=64, faults=Faults(seed=4, **faults)) as openai,  # type: ignore[arg-type]
    ):
        config = milvus(tmp_path, openai)
        result = run(zendesk, config, tmp_path)
        assert result.ok, result.as_dict()
        actual_rows = rows(config)
        live = {f"tickets_{ticket['id']}" for ticket in zendesk.desk.live_tickets()}
        assert set(records(actual_rows, "tickets")) == live
        assert set(records(actual_rows, "articles")) == {f"articles_{key}" for key in zendesk.desk.articles}
        figures = result.streams["tickets"]
        assert figures.read == 400
        assert figures.unchanged == 400 - len(live), "tickets that were deleted before the first sync were never there"
        assert len({row["id"] for row in actual_rows}) == len(actual_rows)


def test_only_what_changed_is_embedded(zendesk: ZendeskStandIn, openai: OpenAIStandIn, tmp_path: Path) -> None:
    config = milvus(tmp_path, openai)
    assert run(zendesk, config, tmp_path).ok
    first = rows(config)
    live = [ticket["id"] for ticket in zendesk.desk.live_tickets()]
    articles = sorted(zendesk.desk.articles)
    lengths = {key: len(chunks) for key, chunks in records(first, "articles").items()}
    longest = int(max(lengths, key=lambda key: lengths[key]).removeprefix("articles_"))

    changed = live[:4]
    for number in changed:
        zendesk.touch_ticket(number)
    edited = next(number for number in articles if number != longest)
    zendesk.edit_article_metadata(edited)
    zendesk.shrink_article(longest)
    removed = live[10]
    zendesk.delete_ticket(removed)
    new = zendesk.add_ticket("The kettle sings", "It sings the whole night, and out of tune.")

    count = len(openai.inputs)
    result = run(zendesk, config, tmp_path)
    assert result.ok, result.as_dict()
    second = rows(config)
    texts = openai.inputs[count:]
    # Four changed tickets and a new one, of few chunks each; the shrunken article's first chunk; nothing for metadata.
    assert 5 <= len(texts) <= 5 * 3 + 1
    assert result.total("chunks_embedded") == len(texts)
    touched = {f"tickets_{number}" for number in [*changed, new["id"]]} | {f"articles_{longest}"}
    before = {row["id"]: row for row in first}
    fresh = {row["_ab_record_id"] for row in second if before.get(row["id"], {}).get("text") != row["text"]}
    assert fresh <= touched
    assert f"tickets_{removed}" not in records(second, "tickets")
    assert len(records(second, "articles")[f"articles_{longest}"]) < lengths[f"articles_{longest}"]
    labels = records(second, "articles")[f"articles_{edited}"][0]["label_names"]
    assert any("reviewed" in label for label in labels)

    count = len(openai.inputs)
    third = run(zendesk, config, tmp_path)
    assert third.ok
    assert len(openai.inputs) == count
    assert third.total("written") == 0
    assert sorted(row["id"] for row in rows(config)) == sorted(row["id"] for row in second)


def test_a_search_finds_the_ticket_by_meaning_and_filters(
    zendesk: ZendeskStandIn, openai: OpenAIStandIn, tmp_path: Path
) -> None:
    config = milvus(tmp_path, openai)
    ticket = zendesk.add_ticket("Espresso machine leaks", "Water drips from the espresso machine below the tank.")
    assert run(zendesk, config, tmp_path).ok
    destination = ks.destination("milvus", config)
    hits = ks.search(destination, "espresso machine drips water", where={"status": "new"}, limit=3)
    assert hits[0]["record_id"] == f"tickets_{ticket['id']}"
    assert {hit["status"] for hit in hits} == {"new"}
    far = ks.search(destination, "espresso machine drips water", threshold=1e-9, limit=3)
    assert far == []


def test_a_collection_of_another_dimension_is_refused_before_anything_is_read(
    zendesk: ZendeskStandIn, openai: OpenAIStandIn, tmp_path: Path
) -> None:
    config = milvus(tmp_path, openai)
    assert run(zendesk, config, tmp_path).ok
    calls = len(zendesk.calls())
    config["embedding"] = {"mode": "fake"}
    result = run(zendesk, config, tmp_path)
    assert result.status is Status.failed
    assert "64" in str(result.error)
    assert "1536" in str(result.error)
    assert len(zendesk.calls()) == calls
