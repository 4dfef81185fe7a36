"""The interface of a vector store: `Store` with its six verbs, and the chunks that they exchange.

`VectorDestination` does everything else (chunking, comparing, embedding, staging), so a new store is these verbs and a
configuration class. All verbs raise only errors of `kitestring.errors`. `testing.contract.VectorContract` tests a
store.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Hashable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from kitestring.errors import ConfigError
from kitestring.filters import matches
from kitestring.stored_rows import MOST_COUNTED, StoredStream
from kitestring.types import DELETED_AT
from kitestring.vector import payload

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from kitestring.filters import Filter

    Vector = NDArray[np.float32]


MARKED = "deleted "
"""The prefix of the metadata digest of a chunk whose record is marked as deleted: no later version equals it."""


@dataclass(slots=True)
class Chunk:
    """A part of a record's text with its vector, to be stored.

    `key` names the record (unique over all streams), `number` counts its chunks from 0; together they are the chunk's
    identity. `digest` covers model, chunking and text; `metadata_digest` everything else that is stored.
    `stream` is the value of `_ab_stream`, and `namespace` the namespace in it, empty for none ("a_b_c" is ambiguous).
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
    """A record to look up. `count`: its number of chunks now; a store may find more (the tail of a longer text).
    `former`: only rows without a namespace count, which an earlier version wrote."""

    key: str
    stream: str
    record_id: str
    count: int = 0
    former: bool = False


@dataclass(frozen=True, slots=True)
class Stored:
    """A chunk in the store. `row` is the store's own id for it, for `vectors` and `delete`.

    `number` is None if the row has none (another program wrote it); digests are then empty. `record_id` and `namespace`
    are None if the row has none. `chunk` is all that is stored, if `find` was called with `whole`.
    """

    row: Hashable
    key: str
    number: int | None
    digest: str = ""
    metadata_digest: str = ""
    record_id: str | None = None
    namespace: str | None = None
    chunk: Chunk | None = None

    @property
    def marked(self) -> bool:
        """Whether its record is marked as deleted."""
        return self.metadata_digest.startswith(MARKED)


class Store(ABC):
    """One collection of a vector store: six abstract verbs.

    All other methods have defaults that use the six and work for every store; a store overrides those that it can do
    faster. `find`, `vectors` and `search` are called from several threads.
    """

    replaces: bool = True
    """True: `upsert` replaces the chunk with the same identity. False: it adds a row, and the destination deletes the
    old row afterwards."""

    hybrid: bool = False
    """True if the collection can be searched by words and meaning at once."""

    @property
    def metric(self) -> str:
        """The metric of distances: COSINE or IP (a larger number is nearer), L2 (a smaller one); empty if the store
        does not say."""
        return ""

    def near_enough(self, hits: Sequence[dict[str, Any]], threshold: float | None) -> list[dict[str, Any]]:
        """The hits whose `distance` is at least as near as the threshold in the metric; all of them without one."""
        sign = 1 if self.metric == "L2" else -1
        return [hit for hit in hits if threshold is None or sign * hit["distance"] <= sign * threshold]

    # -- the six verbs -------------------------------------------------------------------------------------------------

    @abstractmethod
    def ensure(self, dimension: int, complete: bool, schemas: Sequence[Mapping[str, Any]] = ()) -> bool:
        """Create the collection if it is absent; `ConfigError` if the existing one does not fit. True: this object
        created it, so it holds only what this object wrote. `complete`: all records of the stream will be written, so a
        collection that does not fit may be replaced, if the configuration allows it. `schemas`: those of all streams of
        the sync, for the types of columns."""

    @abstractmethod
    def find(self, refs: Sequence[Ref], whole: bool = False) -> dict[str, list[Stored]]:
        """Every chunk of these records by key, after all writes that have returned. Without records that are absent; {}
        without a collection. `whole`: with `Stored.chunk`."""

    @abstractmethod
    def upsert(self, chunks: Sequence[Chunk]) -> int:
        """Store these chunks, durably. No identity occurs twice. A replacement keeps nothing of the old row. Returns
        how many values were cut or left out because of the store's limits."""

    @abstractmethod
    def delete(self, chunks: Sequence[Stored]) -> None:
        """Remove these chunks, durably; an absent chunk is no error."""

    @abstractmethod
    def scan(self, stream: str) -> Iterator[list[Stored]]:
        """Every chunk of a stream, in pages; none without a collection. Pages that were yielded may be deleted or
        marked while it runs. A row without a key has its record id. A store that overrides `count`, `sample` and
        `other_namespace` may leave out the digests of texts."""

    @abstractmethod
    def search(
        self,
        vector: Vector,
        text: str,
        *,
        where: Filter | str | None,
        limit: int,
        threshold: float | None,
        hybrid: bool,
        stream: str | None,
        include_deleted: bool,
    ) -> list[dict[str, Any]]:
        """The nearest chunks, best first, in the form of `payload.hit`. `text` is for the search by words. `where` is a
        filter of `filters.py`, or a text in the store's own language. `ConfigError` without a collection."""

    # -- with a default ------------------------------------------------------------------------------------------------

    def check(self, dimension: int) -> None:
        """Raise why a sync with vectors of this dimension would fail. Creates and changes nothing."""
        with closing(self._pages("")) as pages:
            next(pages, None)

    def vectors(self, chunks: Sequence[Stored]) -> dict[Hashable, Vector]:
        """The vectors of stored chunks by `row`, without chunks that were deleted meanwhile."""
        rows = {chunk.row for chunk in chunks}
        return {s.row: s.chunk.vector for s in self._whole(chunks) if s.row in rows and s.chunk is not None}

    def mark(self, chunks: Sequence[Stored], deleted_at: str) -> None:
        """Mark these chunks as those of a deleted record, durably: `_ab_cdc_deleted_at` in their metadata, and `MARKED`
        before their metadata digest. `ConfigError` if the collection cannot store that."""
        rows = {chunk.row for chunk in chunks}
        live = [s for s in self._whole(chunks) if s.row in rows and s.chunk is not None and not s.marked]
        if live:
            self.upsert([with_deletion_mark(s.chunk, deleted_at) for s in live if s.chunk is not None])
            if not self.replaces:
                self.delete(live)

    def sample(self, stream: str, most: int = 1) -> list[Stored]:
        """Any chunks of a stream with their digests; none if there are none, or if the store cannot tell."""
        with closing(self._pages(stream)) as pages:
            return list(islice((chunk for page in pages for chunk in page), most))

    def other_namespace(self, stream: str, namespace: str) -> str | None:
        """Another namespace than this one of any chunk with this `_ab_stream`; None if there is none."""
        with closing(self._pages(stream)) as pages:
            namespaces = (chunk.namespace for page in pages for chunk in page)
            return next((other for other in namespaces if other not in (None, namespace)), None)

    def count(self, stream: str) -> int | None:
        """How many records of this stream have a first chunk and no mark; 0 without a collection, None if the store
        cannot tell."""
        with closing(self._pages(stream)) as pages:
            return sum(chunk.number == 0 and not chunk.marked for page in pages for chunk in page)

    def streams(self) -> list[StoredStream] | None:
        """The streams in the collection by name, with their records and chunks; [] without a collection. None if the
        store cannot list them."""
        return None

    def page(
        self, stream: str, *, where: Filter | str | None, limit: int, offset: int, include_deleted: bool
    ) -> list[dict[str, Any]]:
        """Chunks of a stream in the form of `payload.hit`, in an order that stays while nothing is written."""
        return list(islice(self._matching(stream, where, include_deleted), offset, offset + limit))

    def number(self, stream: str, *, where: Filter | str | None, include_deleted: bool) -> int:
        """How many chunks `page` has; a store may stop above `stored_rows.MOST_COUNTED`."""
        return sum(1 for _ in islice(self._matching(stream, where, include_deleted), MOST_COUNTED + 1))

    def located(self, ids: Sequence[str]) -> dict[str, Stored]:
        """The chunks whose hits have these ids, as texts, for `vectors`; perhaps without those that are not there."""
        places = {text: text.rpartition(":") for text in ids}
        # A text of a stranger: no store looks up a million chunks of one record.
        known = {text: place for text, place in places.items() if place[2].isdecimal() and len(place[2]) <= 6}
        pairs = {text: (key, int(number)) for text, (key, _, number) in known.items()}
        counts: dict[str, int] = {}
        for key, number in pairs.values():
            counts[key] = max(counts.get(key, 0), number + 1)
        groups = self.find([Ref(key, "", "", count) for key, count in counts.items()])
        chunks = {(chunk.key, chunk.number): chunk for group in groups.values() for chunk in group}
        return {text: chunks[pair] for text, pair in pairs.items() if pair in chunks}

    def passing(self, ids: Sequence[str], where: Filter) -> set[str]:
        """Those of these ids, as `located` takes them, whose chunks pass a filter."""
        located = self.located(ids)
        whole = {stored.row: stored.chunk for stored in self._whole(list(located.values()))}
        chunks = {text: whole.get(stored.row) for text, stored in located.items()}
        return {text for text, chunk in chunks.items() if chunk is not None and matches(where, fields_of(chunk))}

    def finish(self) -> None:
        """All streams of a sync were written: build indexes for searches. May be called at any time."""

    def capacity_warning(self, nbytes: int) -> str | None:
        """Why this store is not suited to this many more bytes, in a sentence; None if it is."""
        return None

    def close(self) -> None:
        """Close the connection."""

    def _matching(self, stream: str, where: Filter | str | None, include_deleted: bool) -> Iterator[dict[str, Any]]:
        if isinstance(where, str):
            raise ConfigError(
                "the filter is a text, and this store has no language for filters", hint="Give `where` as a mapping."
            )
        for page in self.scan(stream):
            rows = {chunk.row for chunk in page}
            for stored in self._whole(page):
                chunk = stored.chunk
                if chunk is None or stored.row not in rows or (stored.marked and not include_deleted):
                    continue
                fields = fields_of(chunk)
                if where is None or matches(where, fields):
                    yield payload.hit(chunk.id, 0.0, chunk.text, fields)

    def _pages(self, stream: str) -> Generator[list[Stored], None, None]:
        yield from self.scan(stream)

    def _whole(self, chunks: Sequence[Stored]) -> list[Stored]:
        refs: dict[str, Ref] = {}
        for chunk in chunks:
            count = (chunk.number or 0) + 1
            if chunk.key not in refs or refs[chunk.key].count < count:
                refs[chunk.key] = Ref(chunk.key, "", chunk.record_id or "", count)
        return [stored for group in self.find(list(refs.values()), whole=True).values() for stored in group]


def require_dimension(title: str, own: int | None, dimension: int, option: str) -> None:
    """`ConfigError` if a collection (`title`) has vectors of another dimension. `option` names the collection in the
    configuration; `own` is None for a collection that is not there."""
    if own not in (None, dimension):
        raise ConfigError(
            f"{title} has {own} dimensions, the embedder makes {dimension}",
            hint=f"Choose the embedder that it was made with, or name another one in {option}.",
        )


def fields_of(chunk: Chunk) -> dict[str, Any]:
    """The fields of a chunk that filters test."""
    ours = {"_ab_stream": chunk.stream, "_ab_record_id": chunk.record_id, "chunk_number": chunk.number}
    return {**chunk.metadata, **ours}


def with_deletion_mark(chunk: Chunk, deleted_at: str) -> Chunk:
    """The chunk as one of a deleted record."""
    metadata = {**chunk.metadata, DELETED_AT: deleted_at}
    return replace(chunk, metadata=metadata, metadata_digest=MARKED + chunk.metadata_digest)
