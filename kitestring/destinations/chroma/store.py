"""The verbs of a vector store on a collection of Chroma."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kitestring.destinations.chroma.connection import Connection, translated
from kitestring.destinations.chroma.filters import Condition, narrowing_of
from kitestring.destinations.chroma.indexing import Indexing, PersistentMode
from kitestring.destinations.chroma.rows import DELETED, Rows, fields_of, hit_of, stored_of
from kitestring.errors import ConfigError
from kitestring.filters import Filter, matches
from kitestring.json_codec import without_surrogates
from kitestring.stored_rows import MOST_COUNTED, StoredStream
from kitestring.vector.destination import writable
from kitestring.vector.numbered_lookup import numbered_chunks, tails
from kitestring.vector.refinement import refined
from kitestring.vector.store import Chunk, Ref, Store, Stored, require_dimension
from kitestring.vector.text_filter import explained

if TYPE_CHECKING:
    from kitestring.vector.store import Vector

ROWS, PAGE = 1_000, 5_000
NBYTES = 16 * 1024 * 1024
"""Of a request; a server takes 40 MB."""
REFUSED, REFUSED_HINT = "the filter is refused", 'Write it as {"status": {"$ne": "closed"}}.'
METRIC_NAMES = {"cosine": "COSINE", "l2": "L2", "ip": "IP"}


class ChromaStore(Store):
    """One collection."""

    def __init__(self, indexing: Indexing, lock_wait_s: float = 0.0) -> None:
        self.indexing = indexing
        self.title = f"the collection {indexing.collection_name} in {indexing.place}"
        self.rows = Rows()
        self.created = False
        self._lock_wait_s = lock_wait_s
        self._connection: Connection | None = None
        self._collection: Any = None
        self._dimension: int | None = None
        self._metric: str = indexing.metric
        try:
            self._look()
        except BaseException:
            self.close()  # nobody gets this store, and its folder would stay locked
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

    @property
    def _absent(self) -> bool:
        """Whether there is not even a folder, which a connection would create."""
        mode = self.indexing.auth_method
        return isinstance(mode, PersistentMode) and not mode.folder.exists()

    def call(self, method: str, **options: Any) -> Any:
        """A method of the collection."""
        with translated(self.indexing):
            return getattr(self._collection, method)(**options)

    def _look(self) -> None:
        """Find the collection. `ConfigError` if it is not ours."""
        if self._absent:
            return
        from chromadb.errors import NotFoundError

        client = self.connection.client
        with translated(self.indexing):
            try:
                collection = client.get_collection(self.indexing.collection_name, embedding_function=None)
            except NotFoundError:
                return
        dimension = (collection.metadata or {}).get("kitestring_dimension")
        if not isinstance(dimension, int):
            raise ConfigError(
                f"{self.title} was not created by Kitestring",
                hint="Name another one in indexing.collection_name.",
            )
        self._collection, self._dimension = collection, dimension
        # As JSON: `configuration` would make the embedding function that the server names, whatever that loads.
        configuration = collection.configuration_json
        index = configuration.get("hnsw") or configuration.get("spann") or {}
        self._metric = str(index.get("space", "l2"))

    def fit(self, dimension: int) -> None:
        """`ConfigError` if vectors of this dimension do not fit."""
        require_dimension(self.title, self._dimension, dimension, "indexing.collection_name")

    def check(self, dimension: int) -> None:
        self.fit(dimension)
        mode = self.indexing.auth_method
        if isinstance(mode, PersistentMode) and not writable(mode.folder):
            raise ConfigError(
                f"Chroma writes to {mode.folder}, and this user may not",
                hint="Give this user the right to write there, or choose another path.",
            )

    def ensure(self, dimension: int, complete: bool, schemas: Sequence[Mapping[str, Any]] = ()) -> bool:
        self.check(dimension)
        if self._collection is None:
            self._look()
            self.fit(dimension)
        if self._collection is None:
            client = self.connection.client
            with translated(self.indexing):
                client.get_or_create_collection(
                    self.indexing.collection_name,
                    embedding_function=None,
                    configuration={"hnsw": {"space": self.indexing.metric}},
                    metadata={"kitestring_dimension": dimension},
                )
            self._look()
            self.created = True
        return self.created

    # -- reading -------------------------------------------------------------------------------------------------------

    def find(self, refs: Sequence[Ref], whole: bool = False) -> dict[str, list[Stored]]:
        if self._collection is None:
            return {}
        parts = ["metadatas", *(["documents", "embeddings"] if whole else [])]

        def fetch(wanted: list[tuple[str, int]]) -> Iterator[Stored]:
            for answer in self._by_id([row_id(key, number) for key, number in wanted], parts):
                columns = [answer["ids"], answer["metadatas"]]
                columns += [answer["documents"], answer["embeddings"]] if whole else []
                for row in zip(*columns, strict=True):
                    yield stored_of(*row)

        return numbered_chunks(refs, fetch)

    def _by_id(self, ids: Sequence[Any], parts: list[str]) -> Iterator[Any]:
        for start in range(0, len(ids), PAGE):
            yield self.call("get", ids=list(ids[start : start + PAGE]), include=parts)

    def vectors(self, chunks: Sequence[Stored]) -> dict[Hashable, Vector]:
        import numpy as np

        vectors: dict[Hashable, Vector] = {}
        for answer in self._by_id([chunk.row for chunk in chunks], ["embeddings"]):
            for id_, vector in zip(answer["ids"], answer["embeddings"], strict=True):
                vectors[id_] = np.asarray(vector, dtype=np.float32)
        return vectors

    def _ids(self, conditions: Sequence[Condition], limit: int | None = None) -> list[str]:
        if self._collection is None:
            return []
        return list(self.call("get", where=joined(conditions), limit=limit, include=[])["ids"])

    def scan(self, stream: str) -> Iterator[list[Stored]]:
        for answer in self._by_id(self._ids([of_stream(stream)]), ["metadatas"]):
            yield [stored_of(*row) for row in zip(answer["ids"], answer["metadatas"], strict=True)]

    def sample(self, stream: str, most: int = 1) -> list[Stored]:
        answer = self._by_id(self._ids([of_stream(stream)], most), ["metadatas"])
        return [stored_of(*row) for page in answer for row in zip(page["ids"], page["metadatas"], strict=True)]

    def other_namespace(self, stream: str, namespace: str) -> str | None:
        other = {"_ks_namespace": {"$ne": without_surrogates(namespace)}}
        for page in self._by_id(self._ids([of_stream(stream), other], 1), ["metadatas"]):
            return str(page["metadatas"][0]["_ks_namespace"])
        return None

    def count(self, stream: str) -> int:
        return len(self._ids([*conditions_of(stream, False), {"chunk_number": 0}]))

    # -- reading without a question ------------------------------------------------------------------------------------

    def streams(self) -> list[StoredStream]:
        chunks: Counter[str] = Counter()
        records: Counter[str] = Counter()
        namespaces: dict[str, str] = {}
        for answer in self._by_id(self._ids([]), ["metadatas"]):
            for metadata in answer["metadatas"]:
                name = metadata["_ab_stream"]
                chunks[name] += 1
                records[name] += metadata["chunk_number"] == 0 and not metadata.get(DELETED)
                namespaces[name] = metadata["_ks_namespace"]
        return [StoredStream(name, namespaces[name] or None, records[name], chunks[name]) for name in sorted(chunks)]

    def page(
        self, stream: str, *, where: Filter | str | None, limit: int, offset: int, include_deleted: bool
    ) -> list[dict[str, Any]]:
        ids = sorted(self._matching_ids(stream, where, include_deleted))[offset : offset + limit]
        hits = [
            hit_of(id_, 0.0, document, metadata)
            for page in self._by_id(ids, ["metadatas", "documents"])
            for id_, document, metadata in zip(page["ids"], page["documents"], page["metadatas"], strict=True)
        ]
        return sorted(hits, key=lambda hit: str(hit["id"]))

    def number(self, stream: str, *, where: Filter | str | None, include_deleted: bool) -> int:
        return min(len(self._matching_ids(stream, where, include_deleted)), MOST_COUNTED + 1)

    def _matching_ids(self, stream: str, where: Filter | str | None, include_deleted: bool) -> list[str]:
        conditions, tree = self._conditions(stream, where, include_deleted)
        with explained(where, REFUSED, REFUSED_HINT):
            ids = self._ids(conditions)
        if tree is None:
            return ids
        return [
            id_
            for page in self._by_id(ids, ["metadatas"])
            for id_, metadata in zip(page["ids"], page["metadatas"], strict=True)
            if matches(tree, fields_of(metadata))
        ]

    def _conditions(
        self, stream: str | None, where: Filter | str | None, include_deleted: bool
    ) -> tuple[list[Condition], Filter | None]:
        """The conditions of a reading, and the filter to test rows with, where they do not mean the same."""
        narrowing = narrowing_of(where)
        conditions = conditions_of(stream, include_deleted)
        if narrowing.condition is not None:
            conditions.append(narrowing.condition)
        return conditions, narrowing.untested(where)

    # -- writing -------------------------------------------------------------------------------------------------------

    def upsert(self, chunks: Sequence[Chunk]) -> int:
        before = self.rows.cut
        part: list[tuple[Chunk, dict[str, Any], str]] = []
        size = 0
        for chunk in chunks:
            metadata, text = self.rows.metadata(chunk), self.rows.text(chunk)
            nbytes = 12 * len(chunk.vector) + 4 * len(text) + 6 * len(metadata["_ks_metadata"]) + 1_024
            if part and (len(part) >= ROWS or size + nbytes > NBYTES):
                self._send(part)
                part, size = [], 0
            part.append((chunk, metadata, text))
            size += nbytes
        if part:
            self._send(part)
        return self.rows.cut - before

    def _send(self, part: Sequence[tuple[Chunk, dict[str, Any], str]]) -> None:
        """Chroma keeps fields of the old row that the new one lacks, unless they are None."""
        import numpy as np

        ids = [row_id(chunk.key, chunk.number) for chunk, _, _ in part]
        old = self.call("get", ids=ids, include=["metadatas"])
        names = {id_: metadata.keys() for id_, metadata in zip(old["ids"], old["metadatas"], strict=True)}
        self.call(
            "upsert",
            ids=ids,
            embeddings=np.stack([np.asarray(chunk.vector, dtype=np.float32) for chunk, _, _ in part]),
            documents=[text for _, _, text in part],
            metadatas=[
                {**dict.fromkeys(names.get(id_, ())), **metadata}
                for id_, (_, metadata, _) in zip(ids, part, strict=True)
            ],
        )

    def delete(self, chunks: Sequence[Stored]) -> None:
        rows = [str(chunk.row) for chunk in tails(chunks, self.find)]
        for start in range(0, len(rows), ROWS):
            self.call("delete", ids=rows[start : start + ROWS])

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
        if self._collection is None:
            self._look()
        if self._collection is None:
            raise ConfigError(f"{self.title} is not there", hint="Correct `indexing`, or sync into it first.")
        self.fit(len(vector))
        conditions, tree = self._conditions(stream, where, include_deleted)

        def nearest(most: int) -> list[tuple[Any, ...]]:
            answer = self.call(
                "query",
                query_embeddings=[vector],
                n_results=most,
                where=joined(conditions),
                include=["distances", "documents", "metadatas"],
            )
            columns = (answer[name][0] for name in ("ids", "distances", "documents", "metadatas"))
            return list(zip(*columns, strict=True))

        with explained(where, REFUSED, REFUSED_HINT):
            rows = refined(nearest, lambda row: fields_of(row[3]), tree, limit)
        hits = [hit_of(row[0], self._measure(row[1]), row[2], row[3]) for row in rows]
        return self.near_enough(hits, threshold)

    def _measure(self, distance: float) -> float:
        """The cosine similarity, the inner product or the Euclidean distance, of which Chroma gives the square."""
        return math.sqrt(max(0.0, distance)) if self._metric == "l2" else 1.0 - distance

    def close(self) -> None:
        self._collection = None
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def row_id(key: str, number: int) -> str:
    return without_surrogates(f"{key}:{number}")


def of_stream(stream: str) -> Condition:
    return {"_ab_stream": without_surrogates(stream)}


def conditions_of(stream: str | None, include_deleted: bool) -> list[Condition]:
    """The rows of a stream, or of all; without those of deleted records, if wanted."""
    live: list[Condition] = [] if include_deleted else [{DELETED: {"$ne": True}}]
    return live if stream is None else [of_stream(stream), *live]


def joined(conditions: Sequence[Condition]) -> Condition | None:
    return {"$and": list(conditions)} if len(conditions) > 1 else conditions[0] if conditions else None
