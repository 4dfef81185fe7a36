"""pgvector keeps the contracts of destinations and of vector stores, on a real server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from kitestring.destination import Destination
from kitestring.destinations.pgvector import Pgvector
from kitestring.destinations.pgvector.rows import clean_text
from kitestring.json_codec import loads
from kitestring.names import mark
from kitestring.testing.contract import DestinationContract, VectorContract
from kitestring.types import Record, Stream
from kitestring.vector.destination import VectorDestination
from kitestring.vendors.sql_quoting import literal

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shared(postgres_server: Any) -> Iterator[Any]:
    """One database for all cases: each folder is a table of its own."""
    postgres_server.run("CREATE DATABASE pgvector_contract STRATEGY file_copy")
    yield replace(postgres_server, name="pgvector_contract")
    postgres_server.run("DROP DATABASE pgvector_contract WITH (FORCE)")


class TestPgvector(DestinationContract):
    gaps: ClassVar[dict[str, str]] = {
        "test_a_record_whose_text_is_empty_is_there": "a record is stored as the chunks of its text, and this has none",
        "test_what_was_appended_before_has_one_version_once_it_comes_again": (
            "in append each chunk has an id of its own, by which no later version finds it"
        ),
    }

    @pytest.fixture(autouse=True)
    def _database(self, shared: Any) -> None:
        self.database = shared

    def make(self, folder: Path) -> Destination:
        return Pgvector.load(
            {
                "processing": {"chunk_size": 8191, "text_fields": ["text"]},
                "embedding": {"mode": "fake"},
                "indexing": {**self.database.config, "collection": f"chunks_{mark(str(folder))}"},
                "shadow_folder": str(folder.with_name(f"{folder.name}-staging")),
            }
        )

    def stored(self, destination: Destination, stream: Stream) -> list[Record]:
        """The records, put together from their chunks."""
        assert isinstance(destination, Pgvector)
        table = destination.indexing.collection
        if not self.database.run(f"SELECT to_regclass('{table}') IS NOT NULL AS there")[0]["there"]:
            return []
        name = f"{stream.namespace}_{stream.name}" if stream.namespace else stream.name
        records: dict[str, Record] = {}
        for row in self.database.run(
            f"SELECT split_part(id, ':', 1) AS key, text, metadata::text AS metadata FROM {table}"
            f" WHERE stream = {literal(name)} ORDER BY chunk_number"
        ):
            record = records.setdefault(row["key"], {**loads(row["metadata"]), "text": ""})
            record["text"] += row["text"]
        return list(records.values())

    def expected(self, record: Record) -> Record:
        """PostgreSQL has no NUL."""
        return {name: clean_text(value) if isinstance(value, str) else value for name, value in record.items()}


class TestPgvectorAsStore(VectorContract):
    @pytest.fixture(autouse=True)
    def _database(self, shared: Any) -> None:
        self.database = shared

    def make(self, folder: Path, **options: Any) -> VectorDestination:
        indexing = {**self.database.config, "collection": f"chunks_{mark(str(folder))}"}
        return Pgvector.load({**options, "indexing": indexing})
