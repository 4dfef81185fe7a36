"""Chroma keeps the contracts of destinations and of vector stores: in a folder, and on a real server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar

import pytest
from integration.chroma_server import running

from kitestring.destination import Destination
from kitestring.destinations.chroma import Chroma
from kitestring.destinations.chroma.connection import Connection
from kitestring.json_codec import loads
from kitestring.names import mark
from kitestring.testing.contract import DestinationContract, VectorContract
from kitestring.types import Record, Stream
from kitestring.vector.destination import VectorDestination


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with running(tmp_path_factory.mktemp("chroma")) as port:
        yield port


class TestChromaFolder(DestinationContract):
    gaps: ClassVar[dict[str, str]] = {
        "test_a_record_whose_text_is_empty_is_there": "a record is stored as the chunks of its text, and this has none",
        "test_what_was_appended_before_has_one_version_once_it_comes_again": (
            "in append each chunk has an id of its own, by which no later version finds it"
        ),
    }

    def make(self, folder: Path) -> Destination:
        return Chroma.load(
            {
                "processing": {"chunk_size": 8191, "text_fields": ["text"]},
                "embedding": {"mode": "fake"},
                "indexing": {
                    "auth_method": {"mode": "persistent_client", "path": str(folder / "x.chroma")},
                    "collection_name": "all",
                },
                "shadow_folder": str(folder.with_name(f"{folder.name}-staging")),
            }
        )

    def stored(self, destination: Destination, stream: Stream) -> list[Record]:
        """The records, put together from their chunks."""
        assert isinstance(destination, Chroma)
        if not (destination._folder or Path()).exists():
            return []
        name = f"{stream.namespace}_{stream.name}" if stream.namespace else stream.name
        with closing(Connection(destination.indexing, 1.0)) as connection:
            if "all" not in [collection.name for collection in connection.client.list_collections()]:
                return []
            found = connection.client.get_collection("all", embedding_function=None).get(where={"_ab_stream": name})
        rows = zip(found["metadatas"], found["documents"], strict=True)
        records: dict[str, Record] = {}
        for metadata, text in sorted(rows, key=lambda row: row[0]["chunk_number"]):
            record = records.setdefault(metadata["_ks_key"], {**loads(metadata["_ks_metadata"]), "text": ""})
            record["text"] += text
        return list(records.values())


class TestChromaAsStore(VectorContract):
    @pytest.fixture(autouse=True)
    def _server(self, port: int) -> None:
        self.port = port

    def make(self, folder: Path, **options: Any) -> VectorDestination:
        server = {"mode": "http_client", "host": "127.0.0.1", "port": self.port, "ssl": False}
        return Chroma.load({**options, "indexing": {"auth_method": server, "collection_name": mark(str(folder))}})
