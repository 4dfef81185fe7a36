"""pgvector keeps the contracts of destinations and of vector stores, on a real server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kitestring.destination import Destination
from kitestring.json_codec import loads
from kitestring.testing.contract import DestinationContract, VectorContract
from kitestring.types import Record, Stream
from kitestring.vector.destination import VectorDestination


class TestPgvector(DestinationContract):
    @pytest.fixture(autouse=True)
    def _database(self, database: Any) -> None:
        self.database = database

    def make(self, folder: Path) -> Destination:
        from kitestring.destinations.pgvector import Pgvector

        return Pgvector.load(
            {
                "processing": {"chunk_size": 8191, "text_fields": ["text"]},
                "embedding": {"mode": "fake"},
                "indexing": self.database.config,
                "shadow_folder": str(folder.with_name(f"{folder.name}-staging")),
            }
        )

    def stored(self, destination: Destination, stream: Stream) -> list[Record]:
        """The records, put together from their chunks."""
        if not self.database.run("SELECT to_regclass('kitestring') IS NOT NULL AS there")[0]["there"]:
            return []
        records: dict[str, Record] = {}
        for row in self.database.run(
            "SELECT split_part(id, ':', 1) AS key, text, metadata::text AS metadata FROM kitestring"
            f" WHERE stream = '{stream.name}' ORDER BY chunk_number"
        ):
            record = records.setdefault(row["key"], {**loads(row["metadata"]), "text": ""})
            record["text"] += row["text"]
        return list(records.values())


class TestPgvectorAsStore(VectorContract):
    @pytest.fixture(autouse=True)
    def _database(self, database: Any) -> None:
        self.database = database

    def make(self, folder: Path, **options: Any) -> VectorDestination:
        from kitestring.destinations.pgvector import Pgvector

        return Pgvector.load({**options, "indexing": self.database.config})
