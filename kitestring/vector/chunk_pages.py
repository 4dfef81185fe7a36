"""Reading a collection: a search, chunks by page, the chunks of a record, neighbours, a map. All of it reads by the
verbs of `store`, so that a reader with a permission reads the same of a `RestrictedStore`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from kitestring.errors import ConfigError
from kitestring.filters import OneOf
from kitestring.stored_rows import (
    ChunkMap,
    MapPoint,
    RowPage,
    RowRequest,
    StoredRows,
    StoredStream,
    capped,
    tree_of,
)
from kitestring.types import Record
from kitestring.vector.cosine import ComparesTexts
from kitestring.vector.record_limit import of_each_record

if TYPE_CHECKING:
    from kitestring.vector.embedder import Embedder
    from kitestring.vector.store import Store, Vector

NEAREST = {"COSINE": "largest", "IP": "largest", "L2": "smallest"}
"""The end of each metric at which the nearest chunks are."""

MOST_CHUNKS = 1_000
"""The chunks of one record that are read."""


class ReadsChunks(ComparesTexts, StoredRows):
    """What every vector destination reads. A subclass has a `store`, and the `embedding` that filled it."""

    filters_by_text: ClassVar[bool] = True

    if TYPE_CHECKING:
        embedding: Embedder

        @property
        def store(self) -> Store: ...

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
        per_record: int | None = None,
    ) -> list[Record]:
        """See `destination.Searches`. `per_record`: at most so many chunks of one record."""
        store = self.store
        if limit < 1:
            raise ConfigError(f"limit is {limit}, and a search returns at least one hit", hint="Leave it out for 10.")
        if hybrid and not store.hybrid:
            raise ConfigError(
                "a hybrid search needs an index of words, and the collection has none",
                hint="Set indexing.hybrid: true and sync into a new collection, or search without hybrid.",
            )
        if per_record is not None and per_record < 1:
            raise ConfigError(
                f"per_record is {per_record}, and a hit is a chunk of its record", hint="Leave it out for all chunks."
            )
        vector, tree = self.embedding.embed_query(text), tree_of(where)

        def nearest(size: int) -> list[Record]:
            return store.search(
                vector,
                text,
                where=tree,
                limit=size,
                threshold=threshold,
                hybrid=store.hybrid if hybrid is None else hybrid,
                stream=stream,
                include_deleted=include_deleted,
            )

        return nearest(limit) if per_record is None else of_each_record(nearest, limit, per_record)

    def score(self, hybrid: bool | None = None) -> dict[str, Any]:
        """What the number of a hit means: its `metric` (RRF: the rank in two lists, one by words), which end of it is
        `nearest` (`largest`, `smallest`, empty: not known), and whether words are compared too (`hybrid`)."""
        if self.store.hybrid and hybrid is not False:
            return {"metric": "RRF", "nearest": "largest", "hybrid": True}
        metric = self.store.metric
        return {"metric": metric, "nearest": NEAREST.get(metric, ""), "hybrid": False}

    def stored_streams(self) -> list[StoredStream] | None:
        return self.store.streams()

    def stored_page(self, request: RowRequest) -> RowPage:
        """The name is that in `_ab_stream`, which includes the namespace."""
        name, where, include_deleted = request.name, request.where, request.include_deleted
        rows = self.store.page(
            name, where=where, limit=request.limit, offset=request.offset, include_deleted=include_deleted
        )
        total = self.store.number(name, where=where, include_deleted=include_deleted)
        return RowPage(rows=[without_distance(row) for row in rows], **capped(total))

    def record_chunks(self, name: str, record_id: str) -> list[Record]:
        of_record = OneOf("_ab_record_id", (record_id,))
        rows = self.store.page(name, where=of_record, limit=MOST_CHUNKS, offset=0, include_deleted=True)
        return sorted(map(without_distance, rows), key=lambda row: int(row.get("chunk_number") or 0))

    def neighbours(
        self,
        chunk_id: str,
        *,
        where: str | Mapping[str, Any] | None = None,
        limit: int = 10,
        stream: str | None = None,
        include_deleted: bool = False,
    ) -> list[Record]:
        store = self.store
        vector = next(iter(store.vectors(list(store.located([chunk_id]).values())).values()), None)
        if vector is None:
            raise ConfigError(
                f"the collection has no chunk {chunk_id}: it was deleted or written again", hint="Load the rows again."
            )
        hits = store.search(
            vector,
            "",
            where=tree_of(where),
            limit=limit + 1,
            threshold=None,
            hybrid=False,
            stream=stream,
            include_deleted=include_deleted,
        )
        return [hit for hit in hits if str(hit["id"]) != chunk_id][:limit]

    def chunk_map(
        self, names: Sequence[str], *, where: str | Mapping[str, Any] | None = None, most: int = 1_000
    ) -> ChunkMap:
        """The share of each stream is that of its chunks; a small one has at least some."""
        import numpy as np

        store, tree = self.store, tree_of(where)
        totals = {name: store.number(name, where=tree, include_deleted=False) for name in names}
        sizes = shares(totals, most)
        rows: list[Record] = []
        vectors: list[Vector] = []
        for name, size in sizes.items():
            page = store.page(name, where=tree, limit=size, offset=0, include_deleted=False) if size else []
            by_id = {str(row["id"]): row for row in page}
            located = store.located(list(by_id))
            stored_vectors = store.vectors(list(located.values()))
            for chunk_id, stored in located.items():
                if stored.row in stored_vectors:
                    rows.append(without_distance(by_id[chunk_id]))
                    vectors.append(stored_vectors[stored.row])
        if not rows:
            return ChunkMap()
        places, kept = project(np.stack(vectors))
        points = [MapPoint(float(x), float(y), row) for (x, y), row in zip(places, rows, strict=True)]
        return ChunkMap(points, kept, {name: size for name, size in sizes.items() if size})


def without_distance(row: Mapping[str, Any]) -> Record:
    return {name: value for name, value in row.items() if name != "distance"}


def shares(totals: Mapping[str, int], most: int) -> dict[str, int]:
    """How many of `most` chunks each stream gives."""
    whole = sum(totals.values())
    if whole <= most:
        return dict(totals)
    least = max(1, most // (10 * len(totals)))
    sizes = {name: min(total, max(least, most * total // whole)) for name, total in totals.items()}
    for name in sorted(sizes, key=lambda name: -sizes[name]):
        over = sum(sizes.values()) - most
        if over > 0:
            sizes[name] = max(min(least, sizes[name]), sizes[name] - over)
    return sizes


def project(vectors: Any) -> tuple[Any, float]:
    """Vectors in the plane of their two principal components, scaled to -1 … 1, and the share of the variance there.

    Vectors are made equally long first, as most metrics compare them. The sign of a component is that of its largest
    weight, so that the same chunks give the same picture.
    """
    import numpy as np

    points = np.asarray(vectors, dtype=np.float64)
    lengths = np.linalg.norm(points, axis=1, keepdims=True)
    points = points / np.where(lengths > 0, lengths, 1.0)
    points = points - points.mean(axis=0)
    _, strengths, axes = np.linalg.svd(points, full_matrices=False)
    axes = axes[:2]
    signs = np.sign(axes[np.arange(len(axes)), np.argmax(np.abs(axes), axis=1)])
    places = points @ (axes * np.where(signs == 0, 1.0, signs)[:, None]).T
    if places.shape[1] < 2:
        places = np.pad(places, ((0, 0), (0, 2 - places.shape[1])))
    variance = float((strengths**2).sum())
    kept = float((strengths[:2] ** 2).sum() / variance) if variance > 0 else 1.0
    largest = np.abs(places).max()
    return places / largest if largest > 0 else places, min(kept, 1.0)
