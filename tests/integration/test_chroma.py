"""Chroma: metrics, filters, a folder of one process, a server that goes away."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from integration.chroma_server import running

from kitestring.airbyte.modes import WRITES
from kitestring.batch import Batch
from kitestring.destinations.chroma import Chroma, connection, store
from kitestring.errors import ConfigError, TransientError
from kitestring.types import Record, Stream

pytest.importorskip("chromadb")
THINGS = Stream("things", primary_key=(("id",),), write=WRITES["append_dedup"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One folder, kept open: each case has a collection of its own."""
    folder = tmp_path_factory.mktemp("chroma") / "x.chroma"
    with opened(folder, "kept-open") as destination:
        put(destination, [{"id": 1, "text": "x"}])
        yield folder


def opened(folder: Path | int, collection: str, embedding: Any = None, **indexing: Any) -> Any:
    """A destination on a folder, or on the server of a port, in Airbyte's words."""
    mode: dict[str, Any] = {"mode": "persistent_client", "path": str(folder)}
    if isinstance(folder, int):
        mode = {
            "mode": "http_client",
            "host": "127.0.0.1",
            "port": folder,
            "ssl": False,
            "username": "",
            "password": "",
        }
    config = {
        "processing": {"chunk_size": 100, "text_fields": ["text"]},
        "embedding": embedding or {"mode": "fake"},
        "indexing": {"auth_method": mode, "collection_name": collection, **indexing},
    }
    return closing(Chroma.load(config))


def put(destination: Chroma, rows: list[Record]) -> Any:
    destination.begin(THINGS)
    receipt = destination.write(THINGS, destination.prepare(THINGS, Batch("things", rows=rows)))
    destination.commit(THINGS)
    return receipt


@pytest.mark.parametrize(("metric", "distances"), [("cosine", [1.0, 0.8]), ("l2", [1.0, 18**0.5]), ("ip", [4.0, 2.0])])
def test_a_distance_is_that_of_the_metric(folder: Path, metric: str, distances: list[float]) -> None:
    embedding = {"mode": "from_field", "field_name": "v", "dimensions": 2}
    with opened(folder, f"by-{metric}", embedding, metric=metric) as destination:
        put(destination, [{"id": 1, "text": "a", "v": [2, 0]}, {"id": 2, "text": "b", "v": [4, 3]}])
    with opened(folder, f"by-{metric}", embedding) as destination:  # that of the collection counts

        def nearest(threshold: float | None = None) -> list[float]:
            options: Any = {"where": None, "hybrid": False, "stream": None, "include_deleted": False}
            vector = np.array([1, 0], dtype=np.float32)
            hits = destination.store.search(vector, "", limit=5, threshold=threshold, **options)
            return [round(hit["distance"], 4) for hit in hits]

        assert nearest() == [round(distance, 4) for distance in distances]
        assert destination.score()["metric"] == {"cosine": "COSINE", "l2": "L2", "ip": "IP"}[metric]
        assert len(nearest(sum(distances) / 2)) == 1


def test_a_record_without_the_field_of_a_permission_is_not_found(folder: Path) -> None:
    records: list[Record] = [
        {"id": 1, "text": "x", "allowed": ["ann", 1], "$odd": 1}, {"id": 2, "text": "x", "n": -7},
        {"id": 3, "text": "x", "org": 7, "n": 2**60 + 1}, {"id": 4, "text": "x", "org": "7"},
        {"id": 5, "text": "x", "allowed": "ann", "org": "a" * 1_200},
    ]  # fmt: skip
    with opened(folder, "readers") as destination:
        put(destination, records)

        def found(where: Any) -> list[str]:
            return sorted(str(hit["record_id"])[-1] for hit in destination.search("x", where=where, limit=100))

        assert found({"allowed": {"contains": "ann"}}) == ["1"]
        assert found({"allowed": {"contains": 1}}) == ["1"]
        assert found({"$odd": 1}) == ["1"]
        assert found({"org": 7}) == ["3"]
        assert found({"org": "a" * 1_200}) == ["5"]
        assert found({"org": {"ne": "7"}}) == ["3", "5"]
        assert found({"n": {"gt": -7.5}}) == ["2", "3"]
        assert found({"n": 2**60 + 1}) == ["3"]
        assert found({"nowhere": ["ann"]}) == []
        assert found({"org": []}) == []
        assert found('{"org": "7"}') == ["4"]
        for text in ('{"org": ', "[]", '{"org": "7", "n": 1}', '{"$what": [1]}'):
            with pytest.raises(ConfigError):
                found(text)


def test_a_field_that_went_away_is_gone_from_the_store(folder: Path) -> None:
    import chromadb
    from chromadb.config import Settings

    with opened(folder, "fields") as destination:
        put(destination, [{"id": 1, "text": "x", "old": "a", "kept": 1}])
        put(destination, [{"id": 1, "text": "x", "kept": 2}])
        client = chromadb.PersistentClient(folder, settings=Settings(anonymized_telemetry=False))
        (metadata,) = client.get_collection("fields", embedding_function=None).get()["metadatas"] or ()
        assert "old" not in metadata
        assert metadata["kept"] == 2


def test_a_collection_of_another_program_is_refused(folder: Path) -> None:
    import chromadb
    from chromadb.config import Settings

    client = chromadb.PersistentClient(folder, settings=Settings(anonymized_telemetry=False))
    client.create_collection("theirs", embedding_function=None)
    with opened(folder, "theirs") as destination, pytest.raises(ConfigError, match="was not created by Kitestring"):
        destination.check()


def test_a_folder_is_opened_by_one_process_at_a_time(folder: Path) -> None:
    script = (
        "import sys\n"
        "from kitestring.destinations.chroma.connection import lock\n"
        "from kitestring.errors import TransientError\n"
        "try: lock(sys.argv[1], 0.0)\n"
        "except TransientError as error: print(error)\n"
    )
    with opened(folder, "readers") as destination:
        assert destination.exclusive_place() == str(folder)
    done = subprocess.run([sys.executable, "-c", script, str(folder)], capture_output=True, text=True, check=True)
    assert "in use by another process" in done.stdout


def test_chromas_default_model_is_the_local_one() -> None:
    config = {"processing": {"chunk_size": 100}, "embedding": {"mode": "no_embedding"}}
    mode = {"mode": "persistent_client", "path": "/local/x"}
    indexing = {"auth_method": mode, "collection_name": "all"}
    assert Chroma.load({**config, "indexing": indexing}).embedding.mode == "local"


def test_a_server_that_goes_away_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHROMA_SERVER_HOST", "elsewhere")  # for other programs of this machine
    monkeypatch.setenv("CHROMA_CLIENT_AUTH_PROVIDER", "chromadb.auth.token_authn.TokenAuthClientProvider")
    with running(tmp_path) as port, opened(port, "all") as destination:
        put(destination, [{"id": 1, "text": "x"}])
        assert destination.exclusive_place() is None
        lost = destination
        assert lost.count(THINGS) == 1
    with opened(port, "all") as destination, pytest.raises(TransientError, match="does not answer"):
        destination.check()


def test_a_server_that_accepts_and_never_answers_is_not_waited_for_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection, "ANSWER_S", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        with opened(port, "all") as destination, pytest.raises(TransientError, match="does not answer"):
            destination.check()


def test_a_collection_that_is_refused_leaves_its_folder_unlocked_and_makes_nothing_it_names(tmp_path: Path) -> None:
    import chromadb
    from chromadb import EmbeddingFunction
    from chromadb.config import Settings
    from chromadb.utils.embedding_functions import register_embedding_function

    made: list[str] = []

    class Loading(EmbeddingFunction[Any]):
        def __init__(self) -> None:
            made.append("loading")

        def __call__(self, input: Any) -> Any:
            return [np.zeros(2, dtype=np.float32) for _ in input]

        @staticmethod
        def name() -> str:
            return "loading"

        @staticmethod
        def build_from_config(config: Any) -> Any:
            return Loading()

        def get_config(self) -> Any:
            return {}

    register_embedding_function(Loading)
    client = chromadb.PersistentClient(tmp_path, settings=Settings(anonymized_telemetry=False))
    client.create_collection("plain", embedding_function=None)
    metadata = {"kitestring_dimension": 2}
    client.create_collection("ours", embedding_function=Loading(), metadata=metadata)  # type: ignore[arg-type]
    made.clear()
    with opened(tmp_path, "plain") as destination, pytest.raises(ConfigError, match="was not created by Kitestring"):
        destination.check()
    assert str(tmp_path) not in connection._locks
    with opened(tmp_path, "ours") as destination, pytest.raises(ConfigError, match="2 dimensions"):
        destination.check()
    assert made == []
    client.close()


def test_a_removal_that_breaks_off_leaves_no_text_behind_that_nobody_finds(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "PAGE", 4)
    with opened(folder, "removal") as destination:
        destination.processing.chunk_size = 3
        put(destination, [{"id": 1, "text": " ".join(f"word{n}" for n in range(40))}])
        pages = destination.store.scan("things")
        destination.store.delete(next(pages))  # of several, and here the sync is killed
        pages.close()
        put(destination, [{"id": 1, "text": "new"}])
        assert [hit["text"] for hit in destination.search("word7", limit=100)] == ["new"]
        destination.delete(THINGS, [(1,)])
        assert destination.search("new", limit=100) == []
