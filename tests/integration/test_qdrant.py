"""Qdrant over HTTP: what reaches the server, its errors, and a folder that one process at a time can open."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stand_ins.qdrant import QdrantStandIn

from kitestring.airbyte.modes import WRITES
from kitestring.batch import Batch
from kitestring.destinations.qdrant import Qdrant, store
from kitestring.errors import AuthError, ConfigError, TransientError
from kitestring.testing.stand_in import Faults
from kitestring.types import Record, Stream

THINGS = Stream("things", primary_key=(("id",),), write=WRITES["append_dedup"])
SECRET = "a-secret-key"


@pytest.fixture(scope="module")
def server() -> Iterator[QdrantStandIn]:
    with QdrantStandIn(api_key=SECRET) as stand_in:
        yield stand_in


def opened(url: str, collection: str, key: str = SECRET, embedding: Any = None, **indexing: Any) -> Any:
    """A destination with the names of Airbyte's configuration."""
    auth = {} if "://" not in url else {"auth_method": {"mode": "api_key_auth", "api_key": key}}
    config = {
        "processing": {"chunk_size": 100, "text_fields": ["text"]},
        "embedding": embedding or {"mode": "fake"},
        "indexing": {"url": url, "collection": collection, "prefer_grpc": True, **auth, **indexing},
    }
    return closing(Qdrant.load(config))


def put(destination: Qdrant, rows: list[Record]) -> Any:
    destination.begin(THINGS)
    receipt = destination.write(THINGS, destination.prepare(THINGS, Batch("things", rows=rows)))
    destination.commit(THINGS)
    return receipt


@pytest.mark.parametrize(("metric", "distances"), [("cos", [1.0, 0.8]), ("euc", [1.0, 18**0.5]), ("dot", [4.0, 2.0])])
def test_a_distance_is_that_of_the_metric(server: QdrantStandIn, metric: str, distances: list[float]) -> None:
    embedding = {"mode": "from_field", "field_name": "v", "dimensions": 2}
    with opened(server.url, metric, embedding=embedding, distance_metric=metric) as destination:
        put(destination, [{"id": 1, "text": "a", "v": [2, 0]}, {"id": 2, "text": "b", "v": [4, 3]}])
    with opened(server.url, metric, embedding=embedding) as destination:  # that of the collection counts

        def nearest(threshold: float | None = None) -> list[float]:
            options: Any = {"where": None, "hybrid": False, "stream": None, "include_deleted": False}
            vector = np.array([1, 0], dtype=np.float32)
            hits = destination.store.search(vector, "", limit=5, threshold=threshold, **options)
            return [round(hit["distance"], 4) for hit in hits]

        assert nearest() == [round(distance, 4) for distance in distances]
        assert destination.score()["metric"] == {"cos": "COSINE", "euc": "L2", "dot": "IP"}[metric]
        assert len(nearest(sum(distances) / 2)) == 1


def test_a_record_of_many_chunks_is_found_whole_and_a_cut_tail_leaves_no_gap(server: QdrantStandIn) -> None:
    with opened(server.url, "long") as destination:
        destination.processing.chunk_size = 3
        put(destination, [{"id": 1, "text": " ".join(f"word{n}" for n in range(120))}])
        chunks = destination.store.count("things"), destination.store.number("things", where=None, include_deleted=True)
        assert chunks[0] == 1
        assert chunks[1] > 30
        receipt = put(destination, [{"id": 1, "text": "word0 short"}])
        assert receipt.figures["chunks_deleted"] == chunks[1] - receipt.figures["chunks_written"]
        assert destination.store.number("things", where=None, include_deleted=True) == receipt.figures["chunks_written"]


def test_an_unchanged_batch_writes_nothing(server: QdrantStandIn) -> None:
    rows = [{"id": n, "text": f"text {n}"} for n in range(20)]
    with opened(server.url, "same") as destination:
        put(destination, rows)
    with opened(server.url, "same") as destination:
        before = len(server.calls())
        assert put(destination, rows).unchanged == 20
        calls = server.calls()[before:]
        assert calls
        assert not [call.line() for call in calls if call.method == "PUT" or "delete" in call.path]


def test_the_permission_of_a_reader_is_a_condition_of_the_query(server: QdrantStandIn) -> None:
    records: list[Record] = [
        {"id": 1, "text": "x", "allowed": ["ann", 'o"b'], "od'd \"n": 1}, {"id": 2, "text": "x"},
        {"id": 3, "text": "x", "org": 7, "n": 2**60 + 1}, {"id": 4, "text": "x", "org": "7"},
        {"id": 5, "text": "x", "org": [7]},
    ]  # fmt: skip
    with opened(server.url, "readers") as destination:
        put(destination, records)

        def found(where: Any) -> list[str]:
            return sorted(str(hit["record_id"])[-1] for hit in destination.search("x", where=where, limit=100))

        assert found({"allowed": {"contains": "ann"}}) == ["1"]
        sent = server.calls("/readers/points/query$")[-1].json()["filter"]["must"]
        assert {"key": '"allowed"', "match": {"value": "ann"}} in sent
        assert found({"allowed": {"contains": 'o"b'}}) == ["1"]
        assert found({"od'd \"n": 1}) == ["1"]
        assert found({"org": 7}) == ["3"]
        assert found({"org": {"ne": 8}}) == ["3", "4", "5"]
        assert found({"nowhere": ["ann"]}) == []
        assert found({"org": []}) == []
        assert found({"n": 2**60 + 1}) == found({"n": {"lte": 2**60 + 1}}) == ["3"]
        assert found({"n": 2**60}) == found({"n": {"gt": 2**60 + 1}}) == []
        own = '{"must": [{"key": "org", "match": {"value": "7"}}]}'
        assert found(own) == ["4"]
        for text in ('{"must": [{"key": "org"', '{"filter": {}}', "[]", '{"must": [{"match": {"value": 1}}]}'):
            with pytest.raises(ConfigError):
                found(text)


def test_errors_of_the_server_are_told_without_the_key(server: QdrantStandIn) -> None:
    with opened(server.url, "x", key="wrong-secret") as destination, pytest.raises(AuthError) as refused:
        destination.check()
    assert "wrong-secret" not in str(refused.value)
    with opened("http://127.0.0.1:9", "x") as destination, pytest.raises(TransientError, match="does not answer"):
        destination.check()
    failing = QdrantStandIn(faults=Faults(server_error=1.0))
    with failing, opened(failing.url, "x") as destination, pytest.raises(TransientError, match="answered 5"):
        destination.check()
    for url, message in (
        ("localhost:6333", "write http://localhost:6333"),
        ("grpc://localhost:6334", "begins with http:// or https://"),
        (f"https://me:{SECRET}@localhost:6333", "write them in auth_method"),
    ):
        with pytest.raises(ConfigError, match=message) as error:
            opened(url, "x")
        assert SECRET not in str(error.value)


def test_a_collection_of_another_program_is_refused(server: QdrantStandIn) -> None:
    from qdrant_client import models

    server.client.create_collection("theirs", vectors_config=models.VectorParams(size=2, distance="Cosine"))
    server.client.upsert("theirs", [models.PointStruct(id=1, vector=[1, 2], payload={"_ab_stream": "things"})])
    with opened(server.url, "theirs") as destination, pytest.raises(ConfigError, match="was not created by Kitestring"):
        destination.check()
    server.client.create_collection("named", vectors_config={"v": models.VectorParams(size=2, distance="Cosine")})
    with opened(server.url, "named") as destination, pytest.raises(ConfigError, match="named vectors"):
        destination.check()


def test_a_folder_is_opened_by_one_process_at_a_time(tmp_path: Path) -> None:
    folder = str(tmp_path / "x.qdrant")
    script = "import sys; from qdrant_client import QdrantClient as C; c = C(path=sys.argv[1]); print(1, flush=True)"
    with opened(folder, "all") as destination:
        assert destination.exclusive_place() == folder
        assert "pickle" in (destination.machine_use() or "")
        put(destination, [{"id": 1, "text": "x"}])
    other = subprocess.Popen(
        [sys.executable, "-c", f"{script}; sys.stdin.read()", folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"1\n"
        with opened(folder, "all") as destination, pytest.raises(TransientError, match="in use by another process"):
            destination.search("x")
        other.communicate(b"")
    with opened(folder, "all") as destination:
        assert destination.count(THINGS) == 1


def test_a_collection_that_is_refused_leaves_its_folder_free(tmp_path: Path) -> None:
    from qdrant_client import QdrantClient, models

    folder = str(tmp_path / "x.qdrant")
    with closing(QdrantClient(path=folder)) as client:
        client.create_collection("named", vectors_config={"v": models.VectorParams(size=2, distance="Cosine")})
    with opened(folder, "named") as destination:
        with pytest.raises(ConfigError, match="named vectors"):
            destination.check()
        with closing(QdrantClient(path=folder)) as client:
            assert client.collection_exists("named")


def test_a_removal_that_breaks_off_leaves_no_text_behind_that_nobody_finds(
    server: QdrantStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "PAGE", 4)
    with opened(server.url, "removal") as destination:
        destination.processing.chunk_size = 3
        put(destination, [{"id": 1, "text": " ".join(f"word{n}" for n in range(40))}])
        pages = destination.store.scan("things")
        destination.store.delete(next(pages))  # of several, and here the sync is killed
        pages.close()
        put(destination, [{"id": 1, "text": "new"}])
        assert [hit["text"] for hit in destination.search("word7", limit=100)] == ["new"]
        destination.delete(THINGS, [(1,)])
        assert destination.search("new", limit=100) == []
