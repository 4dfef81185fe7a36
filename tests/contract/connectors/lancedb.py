"""LanceDB keeps the contracts of destinations and of vector stores, in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from kitestring.destination import Destination
from kitestring.destinations.lancedb import LanceDB
from kitestring.json_codec import loads
from kitestring.testing.contract import DestinationContract, VectorContract
from kitestring.types import Record, Stream
from kitestring.vector.destination import VectorDestination


def indexing(folder: Path) -> dict[str, Any]:
    return {"path": str(folder / "x.lance"), "collection": "all"}


class TestLanceDB(DestinationContract):
    gaps: ClassVar[dict[str, str]] = {
        "test_a_record_whose_text_is_empty_is_there": "a record is stored as the chunks of its text, and this has none",
        "test_what_was_appended_before_has_one_version_once_it_comes_again": (
            "in append each chunk has an id of its own, by which no later version finds it"
        ),
    }

    def make(self, folder: Path) -> Destination:
        return LanceDB.load(
            {
                "processing": {"chunk_size": 8191, "text_fields": ["text"]},
                "embedding": {"mode": "fake"},
                "indexing": indexing(folder),
                "shadow_folder": str(folder.with_name(f"{folder.name}-staging")),
            }
        )

    def stored(self, destination: Destination, stream: Stream) -> list[Record]:
        """The records, put together from their chunks, as LanceDB itself reads them."""
        import lancedb

        assert isinstance(destination, LanceDB)
        folder = destination.indexing.folder
        if not folder.exists() or not lancedb.connect(folder).list_tables().tables:
            return []
        name = f"{stream.namespace}_{stream.name}" if stream.namespace else stream.name
        rows = lancedb.connect(folder).open_table("all").to_arrow().to_pylist()
        records: dict[str, Record] = {}
        for row in sorted(rows, key=lambda row: row["chunk_number"]):
            if row["stream"] == name:
                record = records.setdefault(row["key"], {**loads(row["metadata"]), "text": ""})
                record["text"] += row["text"]
        return list(records.values())


class TestLanceDBAsStore(VectorContract):
    def make(self, folder: Path, **options: Any) -> VectorDestination:
        return LanceDB.load({**options, "indexing": indexing(folder)})
