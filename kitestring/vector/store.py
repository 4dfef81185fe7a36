"""What a vector store must be able to do: `Store`, the few verbs, and the chunks and findings they exchange.

`VectorDestination` does everything else (chunking, comparing, embedding, shadows), so a new store is these verbs and a
configuration class. All verbs raise errors of `kitestring.errors` only.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float32]


MARKED = "deleted "
"""What the metadata digest of a chunk begins with whose record is marked as deleted: no later version equals it."""


@dataclass(slots=True)
class Chunk:
    """A piece of a record's text with its vector, as it shall be stored.

    `key` names the record (unique over all streams), `number` counts its chunks from 0; together they are the chunk's
    identity. `digest` stands for model, chunking and text; `metadata_digest` for everything else that is stored.
    `stream` is what `_ab_stream` says, and `namespace` the namespace in it, empty for none: "a_b_c" does not tell.
    """

    key: str
    number: int
    stream: str
    record_id: str
    text: str
    vector: Vector
    digest: str
    metadata_digest: str
    metadata: Mapping[str, Any] = field(default_factory=dict)
    namespace: str | None = None

    @property
    def id(self) -> str:
        return f"{self.key}:{self.number}"


@dataclass(frozen=True, slots=True)
class Ref:
    """A record to look up. `count`: how many chunks it has now; a store may find more (the tail of a longer text).
    `former`: only rows count that a version wrote which noted no namespace."""

    key: str
    stream: str
    record_id: str
    count: int = 0
    former: bool = False


@dataclass(frozen=True, slots=True)
class Stored:
    """A chunk that the store holds. `row` is the store's own name for it, good for `vectors` and `delete`.

    `number` is None where the row does not say (another program wrote it); digests are then empty. `record_id` and
    `namespace` are there in what `scan` and `sample` give; None where the row has none.
    """

    row: Hashable
    key: str
    number: int | None
    digest: str = ""
    metadata_digest: str = ""
    record_id: str | None = None
    namespace: str | None = None

    @property
    def marked(self) -> bool:
        """Whether its record is marked as deleted."""
        return self.metadata_digest.startswith(MARKED)


class Store(ABC):
    """One collection of a vector store. `stored`, `vectors` and `nearest` are called from several threads."""

    replaces: bool = True
    """True: `upsert` puts a chunk in the place of the one with its identity. False: it adds a row beside it, and the
    destination deletes the old row afterwards."""

    hybrid: bool = False
    """True where the collection can be searched by words and meaning at once."""

    @abstractmethod
    def check(self, dimension: int) -> None:
        """Raise what is in the way of a sync with vectors of this dimension. Creates and changes nothing."""

    @abstractmethod
    def ensure(self, dimension: int, complete: bool, schemas: Sequence[Mapping[str, Any]] = ()) -> bool:
        """Create the collection if it is absent; `ConfigError` if the one that is there does not fit. True: this object
        has created it, so that it holds nothing but what this object wrote. `complete`: all records of the stream will
        come, so that a collection which does not fit may give way to a new one where the configuration allows it.
        `schemas`: those of all streams of the sync, which tell the types of columns."""

    @abstractmethod
    def stored(self, refs: Sequence[Ref]) -> dict[str, list[Stored]]:
        """Every chunk of these records by key, as of all writes that have returned. Absent records are left out."""

    @abstractmethod
    def vectors(self, chunks: Sequence[Stored]) -> dict[Hashable, Vector]:
        """The vectors of stored chunks by `row`; what has gone meanwhile is left out."""

    @abstractmethod
    def upsert(self, chunks: Sequence[Chunk]) -> int:
        """Store these chunks, durably. No identity comes twice. Nothing of an old row survives in its replacement.
        Returns how many values were cut or left out because the store has no room for them."""

    @abstractmethod
    def delete(self, chunks: Sequence[Stored]) -> None:
        """Remove these chunks, durably; what has gone already is no error."""

    @abstractmethod
    def mark(self, chunks: Sequence[Stored], deleted_at: str) -> None:
        """Mark these chunks as those of a deleted record, durably: `_ab_cdc_deleted_at` among their metadata, and
        `MARKED` before their metadata digest. `ConfigError` where the collection has no place for that."""

    @abstractmethod
    def scan(self, stream: str) -> Iterator[list[Stored]]:
        """Every chunk of a stream, in pages; pages already given may be deleted while it runs."""

    @abstractmethod
    def sample(self, stream: str, most: int = 1) -> list[Stored]:
        """Any chunks of a stream with their digests; none if there are none or it cannot be told."""

    @abstractmethod
    def foreign(self, stream: str, namespace: str) -> str | None:
        """The namespace of any chunk with this `_ab_stream` that has another one than this; None if there is none."""

    @abstractmethod
    def count(self, stream: str) -> int | None:
        """How many records of this stream have a first chunk and no mark; 0 without a collection, None if it cannot be
        told."""

    @abstractmethod
    def nearest(
        self,
        vector: Vector,
        text: str,
        *,
        where: str | Mapping[str, Any] | None,
        limit: int,
        threshold: float | None,
        hybrid: bool,
        stream: str | None,
        include_deleted: bool,
    ) -> list[dict[str, Any]]:
        """The nearest chunks, best first, as `Searches.search` returns them. `text` serves the search by words."""

    def objection(self, nbytes: int) -> str | None:
        """What speaks against so many bytes more in this store, in a sentence; None where nothing does."""
        return None

    @abstractmethod
    def close(self) -> None:
        """Let go of the connection."""
