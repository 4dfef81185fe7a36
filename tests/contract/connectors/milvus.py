"""Milvus keeps the contract of destinations, on a Lite directory."""

from __future__ import annotations

from pathlib import Path

from kitestring.destination import Destination
from kitestring.testing.contract import DestinationContract
from kitestring.types import Record, Stream


class TestMilvusLite(DestinationContract):
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
        rows = client.query("all", filter=f"_ab_stream == {quote(stream.name)}", output_fields=["*"])
        found: dict[str, Record] = {}
        for row in sorted(rows, key=lambda row: row["chunk_number"]):
            record = found.setdefault(row["_ks_key"], {**row, "id": row["_id"], "text": ""})
            record["text"] += row["text"]
        return list(found.values())
