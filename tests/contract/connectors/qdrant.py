"""Qdrant keeps the contracts of destinations and of vector stores: the client's own store, and a stand-in over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from stand_ins.qdrant import QdrantStandIn

from kitestring.destination import Destination
from kitestring.destinations.qdrant import Qdrant
from kitestring.names import mark
from kitestring.testing.contract import DestinationContract, VectorContract
from kitestring.types import Record, Stream
from kitestring.vector.destination import VectorDestination


@pytest.fixture(scope="module")
def server() -> Iterator[QdrantStandIn]:
    with QdrantStandIn(api_key="key") as stand_in:
        yield stand_in


class TestQdrantFolder(DestinationContract):
    gaps: ClassVar[dict[str, str]] = {
        "test_a_record_whose_text_is_empty_is_there": "a record is stored as the chunks of its text, and this has none",
        "test_what_was_appended_before_has_one_version_once_it_comes_again": (
            "in append each chunk has an id of its own, by which no later version finds it"
        ),
    }

    def make(self, folder: Path) -> Destination:
        return Qdrant.load(
            {
                "processing": {"chunk_size": 8191, "text_fields": ["text"]},
                "embedding": {"mode": "fake"},
                "indexing": {"url": str(folder / "x.qdrant"), "collection": "all"},
                "shadow_folder": str(folder.with_name(f"{folder.name}-staging")),
            }
        )

    def stored(self, destination: Destination, stream: Stream) -> list[Record]:
        """The records, put together from the payloads of their points."""
        assert isinstance(destination, Qdrant)
        if not destination.indexing.folder.exists():
            return []
        name = f"{stream.namespace}_{stream.name}" if stream.namespace else stream.name
        store = destination.store
        with store.connection.calling() as client:  # type: ignore[attr-defined]
            if not client.collection_exists("all"):
                return []
            points = client.scroll("all", limit=100_000)[0]
        records: dict[str, Record] = {}
        for payload in sorted((point.payload for point in points), key=lambda payload: payload["chunk_number"]):
            if payload["_ab_stream"] == name:
                others = payload.get("_ks_metadata", {})
                record = records.setdefault(payload["_ks_key"], {**payload, **others, "text": ""})
                record["text"] += payload["text"]
        return list(records.values())


class TestQdrantAsStore(VectorContract):
    @pytest.fixture(autouse=True)
    def _server(self, server: QdrantStandIn) -> None:
        self.url = server.url

    def make(self, folder: Path, **options: Any) -> VectorDestination:
        auth = {"mode": "api_key_auth", "api_key": "key"}
        indexing = {"url": self.url, "collection": mark(str(folder)), "auth_method": auth}
        return Qdrant.load({**options, "indexing": indexing})


class TestQdrantFolderAsStore(VectorContract):
    def make(self, folder: Path, **options: Any) -> VectorDestination:
        return Qdrant.load({**options, "indexing": {"url": str(folder / "x.qdrant"), "collection": "all"}})
