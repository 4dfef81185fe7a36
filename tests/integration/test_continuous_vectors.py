"""A PostgreSQL table that is followed into vector stores: an update is found by a search soon, a deletion is gone, and
a change of another column embeds nothing."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from integration.milvus_server import TOKEN, guarded_milvus_server  # noqa: F401
from stand_ins.openai import OpenAIStandIn

from kitestring.destinations.milvus import Milvus
from kitestring.destinations.pgvector import Pgvector
from kitestring.engine import Continuous, MemoryStates, Progress, Result, Selection, Status, sync
from kitestring.sources.postgres import Postgres

pytestmark = pytest.mark.slow


def wait_for(look: Callable[[], Any]) -> float:
    """Wait until the answer is true; the seconds that it took."""
    began = time.monotonic()
    while not look():
        assert time.monotonic() - began < 120, "it did not come"
        time.sleep(0.02)
    return time.monotonic() - began


@pytest.fixture
def openai() -> Iterator[OpenAIStandIn]:
    with OpenAIStandIn(dimension=64) as server:
        yield server


def options(openai: OpenAIStandIn, indexing: dict[str, Any], folder: Path) -> dict[str, Any]:
    return {
        "processing": {"chunk_size": 200, "text_fields": ["body"], "metadata_fields": ["state"]},
        "embedding": {
            "mode": "openai_compatible",
            "base_url": openai.base_url,
            "api_key": openai.api_key,
            "model_name": "words",
            "dimensions": 64,
        },
        "indexing": indexing,
        "shadow_folder": str(folder),
    }


def follow_and_search(database: Any, openai: OpenAIStandIn, make: Callable[[], Any]) -> list[float]:
    """Follow a table into a store and search there with a client of its own; the delays from commit to hit."""
    database.run(
        "CREATE TABLE articles (id int PRIMARY KEY, body text, state text)",
        "INSERT INTO articles SELECT n, 'article ' || n || ' about kites', 'draft' FROM generate_series(1, 20) n",
    )
    method = {"method": "CDC", "replication_slot": database.name, "publication": "changes"}
    source = Postgres.load({**database.config, "replication_method": method})
    stop, progress, states, results, destination = threading.Event(), Progress(), MemoryStates(), [], make()

    def window() -> Result:
        selections = [Selection("public.articles", "incremental", "append_dedup")]
        return sync(source, destination, selections, states=states, progress=progress, only_incremental=True)

    def run() -> None:
        results.append(Continuous(stop, window_s=3600).run(source, progress, window))

    reader = make()
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        wait_for(lambda: progress.streams.get("public.articles") and progress.streams["public.articles"].written == 20)

        def found(words: str) -> list[str]:
            return [hit["text"] for hit in reader.search(words, limit=3) if words in hit["text"]]

        delays = []
        for n, animal in enumerate(("zebra", "walrus", "lynx", "gecko", "heron"), 1):
            database.run(f"UPDATE articles SET body = 'a {animal} in the garden' WHERE id = {n}")
            delays.append(wait_for(lambda animal=animal: found(f"a {animal} in the garden")))
        assert len(openai.inputs) >= 25
        embedded = [text for text in openai.inputs if "garden" in text and "zebra" in text]
        assert len([text for text in openai.inputs if "kites" in text]) == 20, "each text of the table once"
        assert embedded
        # Another column: the metadata is new, and nothing is embedded.
        before, written = len(openai.inputs), progress.streams["public.articles"].written
        database.run("UPDATE articles SET state = 'published' WHERE id > 15")
        wait_for(lambda: progress.streams["public.articles"].written == written + 5)
        made = openai.inputs[before:]
        assert not [text for text in made if "kites" in text], made
        # A deletion is gone.
        database.run("DELETE FROM articles WHERE id = 1")
        wait_for(lambda: not found("a zebra in the garden"))
    finally:
        stop.set()
        thread.join(300)
        reader.close()
    assert results[0].status is Status.succeeded, results[0].as_dict()
    return delays


def test_changes_are_found_in_pgvector_within_seconds(captured: Any, openai: OpenAIStandIn, tmp_path: Path) -> None:
    indexing = {**captured.config, "collection": "articles_chunks", "default_schema": "found"}
    captured.run("CREATE SCHEMA found")
    numbers = iter(range(9))

    def make() -> Any:
        return Pgvector.load(options(openai, indexing, tmp_path / str(next(numbers))))

    delays = follow_and_search(captured, openai, make)
    print("seconds from commit to hit:", [round(delay, 2) for delay in sorted(delays)])


def test_changes_are_found_in_a_milvus_server_within_seconds(
    captured: Any,
    openai: OpenAIStandIn,
    tmp_path: Path,
    guarded_milvus_server: str,  # noqa: F811
) -> None:
    auth = {"mode": "token", "token": TOKEN}
    indexing = {"host": guarded_milvus_server, "collection": f"followed_{os.getpid()}", "auth": auth}
    numbers = iter(range(9))

    def make() -> Any:
        return Milvus.load(options(openai, indexing, tmp_path / str(next(numbers))))

    try:
        delays = follow_and_search(captured, openai, make)
        print("seconds from commit to hit:", [round(delay, 2) for delay in sorted(delays)])
    finally:
        destination = make()
        destination.store.client.drop_collection(indexing["collection"])
        destination.close()
