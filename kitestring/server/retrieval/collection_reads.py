"""A vector store of a server as `kitestring.retrieval` reads one: every call passes `read_destination`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kitestring.server.auth.principal import Principal
from kitestring.server.child.hit_fields import OF_HITS
from kitestring.server.context import Context
from kitestring.server.retrieval.destination_reads import read_destination
from kitestring.stored_rows import ReadingFacts
from kitestring.types import DELETED_AT, Record

LONGEST = 2_000
"""Characters of a value of a record."""


class CollectionReads:
    """A destination as a caller sees it (`destination.Searches`, `ListsNeighbours` and `Compares`)."""

    def __init__(self, context: Context, caller: Principal, destination_id: str) -> None:
        self._context = context
        self._caller = caller
        self._destination_id = destination_id

    def _read(self, action: str, **request: Any) -> Any:
        return read_destination(self._context, self._caller, self._destination_id, action, request)

    def search(
        self,
        text: str,
        *,
        where: str | Mapping[str, Any] | None = None,
        limit: int = 10,
        threshold: float | None = None,
        hybrid: bool | None = None,
        stream: str | None = None,
        include_deleted: bool = False,
    ) -> list[Record]:
        options = {"where": where, "limit": limit, "threshold": threshold, "hybrid": hybrid, "stream": stream}
        hits: list[Record] = self._read("search", text=text, includeDeleted=include_deleted, **options)
        return hits

    def record_chunks(self, name: str, record_id: str) -> list[Record]:
        chunks = self._read("data_record", stream=name, recordId=record_id, longest=LONGEST)
        return [hit_of(chunk) for chunk in chunks]

    def neighbours(
        self,
        chunk_id: str,
        *,
        where: str | Mapping[str, Any] | None = None,
        limit: int = 10,
        stream: str | None = None,
        include_deleted: bool = False,
    ) -> list[Record]:
        options = {"where": where, "limit": limit, "stream": stream, "includeDeleted": include_deleted}
        chunks = self._read("data_neighbours", chunkId=chunk_id, longest=LONGEST, **options)
        return [hit_of(chunk) for chunk in chunks]

    def reading_facts(self) -> ReadingFacts:
        return ReadingFacts(**self._read("reading_facts"))

    def similarities(self, text: str, texts: Sequence[str]) -> list[float]:
        values: list[float] = self._read("similarities", text=text, texts=list(texts))
        return values

    def chunk_similarities(self, chunk_ids: Sequence[str]) -> list[list[float]]:
        values: list[list[float]] = self._read("chunk_similarities", chunkIds=list(chunk_ids))
        return values


def hit_of(chunk: Mapping[str, Any]) -> Record:
    """A chunk as the Data page shows it (`child.data.chunk`), in the form of a hit."""
    fields = {
        f"_{name}" if name in OF_HITS and name != "url" else name: value for name, value in chunk["values"].items()
    }
    if chunk["deleted"]:
        fields.setdefault(DELETED_AT, True)
    return {
        **fields,
        "id": chunk["chunkId"],
        "record_id": chunk["recordId"],
        "stream": chunk["stream"],
        "text": chunk["text"],
        "chunk_number": chunk["number"],
        "distance": chunk.get("distance"),
    }
