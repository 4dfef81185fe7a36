"""Milvus keeps the contracts of destinations and of vector stores, on a Lite directory."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from kitestring.destination import Destination
from kitestring.testing.contract import DestinationContract, VectorContract
from kitestring.types import Record, Stream
from kitestring.vector.destination import VectorDestination


class TestMilvusLite(DestinationContract):
    gaps: ClassVar[dict[str, str]] = {
        "test_a_record_whose_text_is_empty_is_there": "a record is stored as the chunks of its text, and this has none",
        "test_what_was_appended_before_has_one_version_once_it_comes_again": (
            "in append each chunk has an id of its own, by which no later version finds it"
        ),
    }

    def make(self, folder: Path) -> Destination:
        from kitestring.destinations.milvus import Milvus

        return Milvus.load(
            {
                "processing": {"chunk_size": 8191, "text_fields": ["text"]},
                "embedding": {"mode": "fake"},
                "indexing": {"host": str(folder / "x.db"), "collection": "all"},
            }
        )

    def stored(self, destination: Destination, stream: Stream) -> list[Record]:
        """The records, put together from their chunks."""
        from kitestring.destinations.milvus import Milvus
        from kitestring.destinations.milvus.filters import quote

        assert isinstance(destination, Milvus)
        if not Path(destination.indexing.host).exists():
            return []
        client = destination.store.client
        if not client.has_collection("all"):
            return []
        client.load_collection("all")
        name = f"{stream.namespace}_{stream.name}" if stream.namespace else stream.name
        rows = client.query("all", filter=f"_ab_stream == {quote(name)}", output_fields=["*"])
        records: dict[str, Record] = {}
        for row in sorted(rows, key=lambda row: row["chunk_number"]):
            record = records.setdefault(
                row["_ks_key"], {**row, "text": ""} | ({"id": self.key(row)} if "_id" in row else {})
            )
            record["text"] += row["text"]
        return list(records.values())

    @staticmethod
    def key(row: Record) -> int:
        """`id` is the chunk's: the record's stands beside it, unless the record has that name too."""
        identifier = row.get("_id")
        return identifier if isinstance(identifier, int) else int(row["_ab_record_id"].rpartition("_")[2])


class TestMilvusLiteAsStore(VectorContract):
    def make(self, folder: Path, **options: Any) -> VectorDestination:
        from kitestring.destinations.milvus import Milvus

        return Milvus.load({**options, "indexing": {"host": str(folder / "x.db"), "collection": "all"}})
