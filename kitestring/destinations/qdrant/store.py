"""The verbs of a vector store on a collection of Qdrant."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kitestring.destinations.qdrant.connection import Connection
from kitestring.destinations.qdrant.filters import Condition, condition_of, narrowing_of
from kitestring.destinations.qdrant.indexing import Indexing
from kitestring.destinations.qdrant.rows import DELETED, LEDGER, Payloads, point_id
from kitestring.errors import ConfigError, ConnectorError
from kitestring.filters import Filter, matches
from kitestring.json_codec import dumps, without_surrogates
from kitestring.stored_rows import MOST_COUNTED, StoredStream
from kitestring.types import DELETED_AT
from kitestring.vector.destination import writable
from kitestring.vector.numbered_lookup import numbered_chunks, tails
from kitestring.vector.refinement import refined
from kitestring.vector.store import MARKED, Chunk, Ref, Store, Stored, require_dimension
from kitestring.vector.text_filter import explained

if TYPE_CHECKING:
    from kitestring.vector.store import Vector

ROWS, IDS, PAGE = 1_000, 2_000, 2_000
NBYTES = 8 * 1024 * 1024
"""Of a request; a server takes 32 MB."""
METRICS = {"cos": "Cosine", "dot": "Dot", "euc": "Euclid"}
METRIC_NAMES = {"Cosine": "COSINE", "Dot": "IP", "Euclid": "L2"}
INDEXES = {"_ab_stream": "keyword", "_ab_record_id": "keyword", "chunk_number": "integer", DELETED: "bool"}
MOST_STREAMS = 10_000
LOCAL_NBYTES = 200 * 1024 * 1024


class QdrantStore(Store):
    """One collection."""

    def __init__(self, indexing: Indexing, lock_wait_s: float = 0.0) -> None:
        self.indexing = indexing
        self.title = f"the collection {indexing.collection} in {indexing.folder if indexing.local else indexing.url}"
        self.payloads = Payloads(indexing.text_field)
        self.created = False
        self._lock_wait_s = lock_wait_s
        self._connection: Connection | None = None
        self._dimension: int | None = None
        self._metric = METRICS[indexing.distance_metric]
        if not indexing.local or indexing.folder.exists():
            try:
                self._look()
            except BaseException:
                self.close()  # nobody gets this store, and its folder would stay open
                raise

    # -- the collection ------------------------------------------------------------------------------------------------

    @property
    def metric(self) -> str:
        return METRIC_NAMES.get(self._metric, "")

    @property
    def connection(self) -> Connection:
        if self._connection is None:
            self._connection = Connection(self.indexing, self._lock_wait_s)
        return self._connection

    def call(self, method: str, **options: Any) -> Any:
        """A method of the client on the collection."""
        with self.connection.calling() as client:
            return getattr(client, method)(collection_name=self.indexing.collection, **options)

    def _look(self) -> None:
        """Find the collection. `ConfigError` if it is not ours."""
        if not self.call("collection_exists"):
            return
        vectors = self.call("get_collection").config.params.vectors
        others = "Name another one in indexing.collection."
        if vectors is None or isinstance(vectors, Mapping):
            raise ConfigError(f"{self.title} has named vectors, or none", hint=others)
        points, _ = self.call("scroll", limit=1, with_payload=["_ks_metadata_digest"])
        if points and not (points[0].payload or {}).get("_ks_metadata_digest"):
            raise ConfigError(f"{self.title} was not created by Kitestring: its points have no digests", hint=others)
        self._dimension, self._metric = vectors.size, vectors.distance.value

    def fit(self, dimension: int) -> None:
        """`ConfigError` if vectors of this dimension do not fit."""
        require_dimension(self.title, self._dimension, dimension, "indexing.collection")

    def check(self, dimension: int) -> None:
        self.fit(dimension)
        if self.indexing.local and not writable(self.indexing.folder):
            raise ConfigError(
                f"the Qdrant client writes to {self.indexing.folder}, and this user may not",
                hint="Give this user the right to write there, or choose another path.",
            )

    def ensure(self, dimension: int, complete: bool, schemas: Sequence[Mapping[str, Any]] = ()) -> bool:
        self.check(dimension)
        if self._dimension is None:
            self._look()
            self.fit(dimension)
        if self._dimension is None:
            from qdrant_client import models

            vectors = models.VectorParams(size=dimension, distance=models.Distance(self._metric))
            self.call("create_collection", vectors_config=vectors)
            if not self.indexing.local:  # a folder has no indexes
                for name, kind in INDEXES.items():
                    self.call("create_payload_index", field_name=name, field_schema=kind, wait=True)
            self._dimension, self.created = dimension, True
        return self.created

    # -- reading -------------------------------------------------------------------------------------------------------

    def find(self, refs: Sequence[Ref], whole: bool = False) -> dict[str, list[Stored]]:
        if self._dimension is None:
            return {}

        def fetch(wanted: list[tuple[str, int]]) -> Iterator[Stored]:
            for point in self._points([point_id(key, number) for key, number in wanted], whole):
                yield self.payloads.stored_of(point, whole)

        return numbered_chunks(refs, fetch)

    def _points(self, ids: Sequence[str], whole: bool) -> Iterator[Any]:
        for start in range(0, len(ids), IDS):
            yield from self.call(
                "retrieve", ids=ids[start : start + IDS], with_payload=True if whole else LEDGER, with_vectors=whole
            )

    def vectors(self, chunks: Sequence[Stored]) -> dict[Hashable, Vector]:
        import numpy as np

        vectors: dict[Hashable, Vector] = {}
        for start in range(0, len(chunks), ROWS):
            ids = [chunk.row for chunk in chunks[start : start + ROWS]]
            for point in self.call("retrieve", ids=ids, with_payload=False, with_vectors=True):
                vectors[str(point.id)] = np.asarray(point.vector, dtype=np.float32)
        return vectors

    def pages(self, conditions: Condition, fields: Any) -> Iterator[list[Any]]:
        """Points by id, a page at a time."""
        offset, more = None, self._dimension is not None
        while more:
            points, offset = self.call(
                "scroll", scroll_filter=parsed(conditions), limit=PAGE, offset=offset, with_payload=fields
            )
            more = offset is not None
            if points:
                yield points

    def scan(self, stream: str) -> Iterator[list[Stored]]:
        for page in self.pages(conditions_of(stream, True), LEDGER):
            yield [self.payloads.stored_of(point) for point in page]

    def sample(self, stream: str, most: int = 1) -> list[Stored]:
        if self._dimension is None:
            return []
        points, _ = self.call(
            "scroll", scroll_filter=parsed(conditions_of(stream, True)), limit=most, with_payload=LEDGER
        )
        return [self.payloads.stored_of(point) for point in points]

    def other_namespace(self, stream: str, namespace: str) -> str | None:
        if self._dimension is None:
            return None
        conditions = conditions_of(stream, True)
        conditions["must_not"].append(condition_of("_ks_namespace", match={"value": without_surrogates(namespace)}))
        points, _ = self.call("scroll", scroll_filter=parsed(conditions), limit=1, with_payload=["_ks_namespace"])
        return str(points[0].payload["_ks_namespace"]) if points else None

    def count(self, stream: str) -> int:
        conditions = conditions_of(stream, False)
        conditions["must"].append(condition_of("chunk_number", match={"value": 0}))
        return self._count(conditions)

    def _count(self, conditions: Condition) -> int:
        if self._dimension is None:
            return 0
        return int(self.call("count", count_filter=parsed(conditions), exact=True).count)

    def located(self, ids: Sequence[str]) -> dict[str, Stored]:
        known = [text for text in ids if is_uuid(text)]
        points = self._points(known, False) if known and self._dimension is not None else ()
        return {str(point.id): self.payloads.stored_of(point) for point in points}

    # -- reading without a question ------------------------------------------------------------------------------------

    def streams(self) -> list[StoredStream]:
        if self._dimension is None:
            return []
        facets = self.call("facet", key="_ab_stream", limit=MOST_STREAMS, exact=True)
        counts = {str(facet.value): int(facet.count) for facet in facets.hits}
        streams = []
        for name in sorted(counts):
            for chunk in self.sample(name):  # none, if it was emptied meanwhile
                streams.append(StoredStream(name, chunk.namespace or None, self.count(name), counts[name]))
        return streams

    def page(
        self, stream: str, *, where: Filter | str | None, limit: int, offset: int, include_deleted: bool
    ) -> list[dict[str, Any]]:
        ids: list[str] = []
        for page in self._matching_ids(stream, where, include_deleted):
            ids += page
            if len(ids) >= offset + limit:
                break
        wanted = ids[offset : offset + limit]
        points = self.call("retrieve", ids=wanted, with_payload=True) if wanted else []
        return sorted((self.payloads.hit_of(point, 0.0) for point in points), key=lambda hit: str(hit["id"]))

    def number(self, stream: str, *, where: Filter | str | None, include_deleted: bool) -> int:
        conditions, tree = self._conditions(stream, where, include_deleted)
        if tree is None:
            with explained(where, "the filter is refused"):
                return self._count(conditions)
        number = 0
        for page in self._matching_ids(stream, where, include_deleted):
            number += len(page)
            if number > MOST_COUNTED:
                return MOST_COUNTED + 1
        return number

    def _matching_ids(self, stream: str, where: Filter | str | None, include_deleted: bool) -> Iterator[list[str]]:
        conditions, tree = self._conditions(stream, where, include_deleted)
        with explained(where, "the filter is refused"):
            for page in self.pages(conditions, tree is not None):
                yield [
                    str(point.id)
                    for point in page
                    if tree is None or matches(tree, self.payloads.fields_of(point.payload))
                ]

    def _conditions(
        self, stream: str | None, where: Filter | str | None, include_deleted: bool
    ) -> tuple[Condition, Filter | None]:
        """The conditions of a reading, and the filter to test points with, where they do not mean the same."""
        narrowing = narrowing_of(where, self.indexing.text_field)
        conditions = conditions_of(stream, include_deleted)
        if narrowing.condition is not None:
            conditions["must"].append(narrowing.condition)
        return conditions, narrowing.untested(where)

    # -- writing -------------------------------------------------------------------------------------------------------

    def upsert(self, chunks: Sequence[Chunk]) -> int:
        from qdrant_client import models

        before = self.payloads.cut
        points: list[models.PointStruct] = []
        size = 0
        for chunk in chunks:
            stored = self.payloads.of(chunk)
            nbytes = 12 * len(chunk.vector) + len(dumps(stored))
            if points and (len(points) >= ROWS or size + nbytes > NBYTES):
                self._send(points)
                points, size = [], 0
            id_ = point_id(chunk.key, chunk.number)
            points.append(models.PointStruct(id=id_, vector=chunk.vector.tolist(), payload=stored))
            size += nbytes
        if points:
            self._send(points)
        return self.payloads.cut - before

    def _send(self, points: list[Any]) -> None:
        result = self.call("upsert", points=points, wait=True)
        if result.status.value != "completed":
            raise ConnectorError(f"{self.title} answered a write with {result.status.value}")

    def delete(self, chunks: Sequence[Stored]) -> None:
        from qdrant_client import models

        rows = [chunk.row for chunk in tails(chunks, self.find)]
        for start in range(0, len(rows), IDS):
            self.call("delete", points_selector=models.PointIdsList(points=rows[start : start + IDS]), wait=True)

    def mark(self, chunks: Sequence[Stored], deleted_at: str) -> None:
        from qdrant_client import models

        groups: dict[str, list[Hashable]] = {}
        for chunk in chunks:
            if not chunk.marked:
                groups.setdefault(chunk.metadata_digest, []).append(chunk.row)
        operations = [
            models.SetPayloadOperation(
                set_payload=models.SetPayload(
                    payload={DELETED_AT: deleted_at, DELETED: True, "_ks_metadata_digest": MARKED + digest},
                    points=rows,
                )
            )
            for digest, rows in groups.items()
        ]
        for start in range(0, len(operations), ROWS):
            self.call("batch_update_points", update_operations=operations[start : start + ROWS], wait=True)

    # -- searching -----------------------------------------------------------------------------------------------------

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
        if self._dimension is None and (not self.indexing.local or self.indexing.folder.exists()):
            self._look()
        if self._dimension is None:
            raise ConfigError(
                f"{self.title} does not exist", hint="Correct indexing.collection, or sync into it first."
            )
        self.fit(len(vector))
        conditions, tree = self._conditions(stream, where, include_deleted)

        def nearest(most: int) -> list[Any]:
            result = self.call(
                "query_points", query=vector.tolist(), query_filter=parsed(conditions), limit=most, with_payload=True
            )
            return list(result.points)

        with explained(where, "the filter is refused"):
            points = refined(nearest, lambda point: self.payloads.fields_of(point.payload), tree, limit)
        hits = [self.payloads.hit_of(point, point.score) for point in points]
        return self.near_enough(hits, threshold)

    def capacity_warning(self, nbytes: int) -> str | None:
        if not self.indexing.local or nbytes <= LOCAL_NBYTES:
            return None
        return (
            f"{self.indexing.folder} will get about {nbytes / 1e6:,.0f} MB: the Qdrant client compares a query with"
            " every vector, in memory. Use a Qdrant server."
        )

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def conditions_of(stream: str | None, include_deleted: bool) -> Condition:
    """The points of a stream, or of all; without those of deleted records, if wanted."""
    return {
        "must": [] if stream is None else [condition_of("_ab_stream", match={"value": without_surrogates(stream)})],
        "must_not": [] if include_deleted else [condition_of(DELETED, match={"value": True})],
    }


def parsed(conditions: Condition) -> Any:
    from pydantic import ValidationError
    from qdrant_client import models

    try:
        return models.Filter.model_validate(conditions)
    except ValidationError as error:
        problem = error.errors()[0]
        raise ConfigError(
            f"the filter is none of Qdrant's: {problem['msg']} at {'.'.join(map(str, problem['loc']))}",
            hint='Write it as {"must": [{"key": "status", "match": {"value": "new"}}]}, or give a mapping.',
        ) from error


def is_uuid(text: str) -> bool:
    with contextlib.suppress(ValueError):
        return str(uuid.UUID(text)) == text
    return False
