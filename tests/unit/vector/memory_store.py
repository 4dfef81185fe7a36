"""A vector store in memory with the faults that tests need, and a destination on top of it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import PrivateAttr

from kitestring.airbyte.modes import WRITES
from kitestring.errors import ConfigError
from kitestring.filters import matches
from kitestring.types import Stream
from kitestring.vector import payload
from kitestring.vector.destination import VectorDestination
from kitestring.vector.embedders.fake import Fake
from kitestring.vector.store import MARKED, Chunk, Ref, Store, Stored


class MemoryStore(Store):
    """The six verbs, and the defaults for the rest.

    `rows` by row number, as a store that makes its own ids (`replaces=False`) or as one that takes ours.

    `before` is called with the verb's name before each change: a test raises there to be a store that breaks.
    """

    def __init__(self, replaces: bool = True) -> None:
        self.replaces = replaces
        self.rows: dict[Hashable, Chunk] = {}
        self.dimension: int | None = None
        self.before: Callable[[str], None] = lambda verb: None
        self.calls: list[str] = []
        self.number = 0

    def ensure(self, dimension: int, complete: bool, schemas: Sequence[Mapping[str, Any]] = ()) -> bool:
        if self.dimension not in (None, dimension):
            raise ConfigError(f"the collection has {self.dimension} dimensions, the embedder makes {dimension}")
        created, self.dimension = self.dimension is None, dimension
        return created

    def find(self, refs: Sequence[Ref], whole: bool = False) -> dict[str, list[Stored]]:
        self.calls.append("find whole" if whole else "find")
        expected, results = {ref.key: ref for ref in refs}, {}
        for row, chunk in list(self.rows.items()):
            if chunk.key in expected and not (expected[chunk.key].former and chunk.namespace is not None):
                results.setdefault(chunk.key, []).append(as_stored(row, chunk))
        return results

    def upsert(self, chunks: Sequence[Chunk]) -> int:
        self.calls.append("upsert")
        self.before("upsert")
        assert len({c.id for c in chunks}) == len(chunks), "one identity came twice"
        for chunk in chunks:
            self.number += 1
            self.rows[chunk.id if self.replaces else self.number] = chunk
        return 0

    def delete(self, chunks: Sequence[Stored]) -> None:
        self.calls.append("delete")
        self.before("delete")
        for chunk in chunks:
            self.rows.pop(chunk.row, None)

    def scan(self, stream: str) -> Iterator[list[Stored]]:
        rows = [as_stored(row, chunk) for row, chunk in self.rows.items() if chunk.stream == stream]
        for start in range(0, len(rows), 2):
            yield rows[start : start + 2]

    def live(self) -> list[Chunk]:
        return [chunk for chunk in self.rows.values() if not chunk.metadata_digest.startswith(MARKED)]

    def search(self, vector: Any, text: str, **how: Any) -> list[dict[str, Any]]:
        hits = []
        for chunk in self.rows.values() if how["include_deleted"] else self.live():
            ours = {"_ab_stream": chunk.stream, "_ab_record_id": chunk.record_id, "chunk_number": chunk.number}
            fields = {**chunk.metadata, **ours}
            if how["stream"] in (None, chunk.stream) and (how["where"] is None or matches(how["where"], fields)):
                distance = float(np.sum((chunk.vector - vector) ** 2))
                if how["threshold"] is None or distance <= how["threshold"]:
                    hits.append(payload.hit(chunk.id, distance, chunk.text, fields))
        return sorted(hits, key=lambda hit: hit["distance"])[: how["limit"]]

    def close(self) -> None:
        self.calls.append("close")

    # -- for tests -----------------------------------------------------------------------------------------------------

    def texts(self, stream: str = "things") -> dict[str, list[str]]:
        """The chunks of each record, in order, by its id."""
        results: dict[str, list[tuple[int, str]]] = {}
        for chunk in self.rows.values():
            if chunk.stream == stream:
                results.setdefault(chunk.record_id.removeprefix(f"{stream}_"), []).append((chunk.number, chunk.text))
        return {key: [text for _, text in sorted(chunks)] for key, chunks in results.items()}


def as_stored(row: Hashable, chunk: Chunk) -> Stored:
    record = chunk.record_id
    return Stored(row, chunk.key, chunk.number, chunk.digest, chunk.metadata_digest, record, chunk.namespace, chunk)


class Watched(Fake):
    """The fake embedder, with a list of what it embedded, and broken while `broken` is set."""

    _texts: list[str] = PrivateAttr(default_factory=list)
    _broken: Exception | None = PrivateAttr(default=None)

    def embed(self, texts: Sequence[str]) -> Any:
        if self._broken is not None:
            raise self._broken
        self._texts.extend(texts)
        return super().embed(texts)


class Memory(VectorDestination):
    """A vector destination whose store outlives it."""

    _kept: MemoryStore = PrivateAttr(default_factory=MemoryStore)

    def connect(self) -> Store:
        return self._kept

    def place(self) -> str:
        return "memory"


def memory(folder: Any, store: MemoryStore | None = None, **processing: Any) -> Memory:
    config = {
        "processing": {"chunk_size": 8, "text_fields": ["text"], **processing},
        "embedding": {"mode": "fake"},
        "shadow_folder": str(folder),
    }
    destination = Memory.load(config)
    destination.embedding = Watched()  # type: ignore[assignment]
    if store is not None:
        destination._kept = store
    return destination


def things(mode: str = "append_dedup", key: str = "id", **more: Any) -> Stream:
    return Stream("things", primary_key=((key,),) if key else (), write=WRITES[mode], **more)


def embedded(destination: VectorDestination) -> list[str]:
    """What was embedded since the last call."""
    texts: Mapping[str, Any] | list[str] = destination.embedding._texts  # type: ignore[union-attr]
    actual_texts = list(texts)
    destination.embedding._texts.clear()  # type: ignore[union-attr]
    return actual_texts
