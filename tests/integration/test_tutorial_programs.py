"""Programs that people wrote for Airbyte's Milvus destination run on a collection of ours, and see subjects and titles.

Their settings are the short ones: chunks of 1,000 tokens, text fields, nothing else. They connect with pymilvus's old
calls (`connections`, `Collection`), read fields of the records from the hits, and compare distances with thresholds.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from stand_ins.openai import OpenAIStandIn

import kitestring as ks
from kitestring.testing.zendesk import ZendeskStandIn

pytestmark = pytest.mark.slow

SEARCH = """
import json, sys
from pymilvus import Collection, connections

where, vector = sys.argv[1], json.loads(sys.argv[2])
connections.connect(uri=where)
collection = Collection("zendesk")
collection.load()
"""
ALL = (
    SEARCH
    + """
results = collection.search(
    data=[vector], anns_field="vector", param={}, limit=5, output_fields=["_id", "subject", "description"],
    expr='_ab_stream == "tickets"',
)
for hit in results[0]:
    print(json.dumps([hit.distance, hit.entity.get("_id"), hit.entity.get("subject"), hit.entity.get("description")]))
"""
)
TICKETS = (
    SEARCH
    + """
organization, threshold = int(sys.argv[3]), float(sys.argv[4])
results = collection.search(
    data=[vector], anns_field="vector", param={}, limit=2, output_fields=["_id", "subject", "description"],
    expr=f'status == "new" and organization_id == {organization}',
)
for distance, hit in zip(results[0].distances, results[0]):
    if distance < threshold:
        print(f"similar to {hit.entity.get('subject')} (#{hit.entity.get('_id')}): {hit.entity.get('description')}")
"""
)
ARTICLES = (
    SEARCH
    + """
threshold = float(sys.argv[3])
results = collection.search(
    data=[vector], anns_field="vector", param={}, limit=2, output_fields=["title", "html_url"],
    expr='_ab_stream == "articles"',
)
for distance, hit in zip(results[0].distances, results[0]):
    if distance < threshold:
        print(f"[{hit.entity.get('title')}]({hit.entity.get('html_url')})")
"""
)


@pytest.fixture
def zendesk() -> Iterator[ZendeskStandIn]:
    with ZendeskStandIn(tickets=60) as server:
        yield server


@pytest.fixture
def openai() -> Iterator[OpenAIStandIn]:
    with OpenAIStandIn() as server:
        yield server


def synced(zendesk: ZendeskStandIn, openai: OpenAIStandIn, folder: Path) -> tuple[str, Any]:
    """The path of the collection, and a function that embeds a question."""
    destination = ks.destination(
        "milvus",
        {
            "processing": {"chunk_size": 1000, "text_fields": ["body", "title", "description", "subject"]},
            "embedding": {
                "mode": "openai_compatible", "base_url": openai.base_url, "api_key": openai.api_key, "dimensions": 1536,
            },
            "indexing": {"host": str(folder / "milvus.db"), "collection": "zendesk", "auth": {"mode": "no_auth"}},
        },
    )  # fmt: skip
    result = ks.sync(ks.source("zendesk_support", zendesk.config), destination, streams=["tickets", "articles"])
    assert result.ok, result.as_dict()
    return str(folder / "milvus.db"), destination.connector.embedding.embed_query


def run(program: str, *arguments: Any) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, *map(str, arguments)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.splitlines()


def test_the_programs_show_subjects_titles_and_addresses(
    zendesk: ZendeskStandIn, openai: OpenAIStandIn, tmp_path: Path
) -> None:
    subject, text = "Espresso machine leaks", "Water drips from the espresso machine below the tank."
    customer = next(user for user in zendesk.desk.users if user.get("organization_id"))
    ticket = zendesk.add_ticket(subject, text, organization_id=customer["organization_id"])
    solved = zendesk.add_ticket(subject, text, organization_id=customer["organization_id"], status="solved")
    where, embed = synced(zendesk, openai, tmp_path)
    question = json.dumps(embed("water drips from the espresso machine").tolist())

    hits = [json.loads(line) for line in run(ALL, where, question)]
    assert {hit[1] for hit in hits[:2]} == {ticket["id"], solved["id"]}
    assert [hit[2:] for hit in hits[:2]] == [[subject, text]] * 2
    assert None not in [hit[2] for hit in hits]

    organization = ticket["organization_id"]
    near, far = hits[0][0] + 0.01, hits[0][0] - 0.01
    assert run(TICKETS, where, question, organization, near) == [f"similar to {subject} (#{ticket['id']}): {text}"]
    assert run(TICKETS, where, question, organization, far) == []
    assert run(TICKETS, where, question, organization + 1, near) == []

    article = next(article for article in zendesk.desk.articles.values() if not article.get("draft"))
    question = json.dumps(embed(article["title"]).tolist())
    output = run(ARTICLES, where, question, 10)
    assert len(output) == 2
    addresses = {f"[{a['title']}]({a['html_url']})" for a in zendesk.desk.articles.values()}
    assert set(output) <= addresses
    assert run(ARTICLES, where, question, 0) == []


def test_a_typed_column_serves_the_same_filter(zendesk: ZendeskStandIn, openai: OpenAIStandIn, tmp_path: Path) -> None:
    config = {
        "processing": {"chunk_size": 1000, "text_fields": ["body", "title", "description", "subject"]},
        "embedding": {
            "mode": "openai_compatible", "base_url": openai.base_url, "api_key": openai.api_key, "dimensions": 1536,
        },
        "indexing": {
            "host": str(tmp_path / "milvus.db"), "collection": "zendesk",
            "scalar_fields": ["status", "organization_id"],
        },
    }  # fmt: skip
    ticket = zendesk.add_ticket("Espresso machine leaks", "Water drips.", organization_id=360033549136)
    destination = ks.destination("milvus", config)
    assert ks.sync(ks.source("zendesk_support", zendesk.config), destination, streams=["articles", "tickets"]).ok
    question = json.dumps(destination.connector.embedding.embed_query("water drips").tolist())
    lines = run(TICKETS, config["indexing"]["host"], question, 360033549136, 10)
    assert lines == [f"similar to Espresso machine leaks (#{ticket['id']}): Water drips."]
