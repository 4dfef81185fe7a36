"""The verbs of a vector store on a table of LanceDB."""

from __future__ import annotations

import logging
import math
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from kitestring.destinations.lancedb.errors import translated
from kitestring.destinations.lancedb.filters import TEXT_FILTER, Sql
from kitestring.destinations.lancedb.indexing import Indexing
from kitestring.destinations.lancedb.rows import HIT, LEDGER, WHOLE, fields_of, hit_of, schema_of, stored_of, table_of
from kitestring.errors import ConfigError, KitestringError
from kitestring.filters import Filter
from kitestring.json_codec import without_surrogates
from kitestring.stored_rows import MOST_COUNTED, StoredStream
from kitestring.vector.destination import writable
from kitestring.vector.rank_fusion import fused_scores
from kitestring.vector.refinement import Narrowing, refined
from kitestring.vector.store import MARKED, Chunk, Ref, Store, Stored, require_dimension
from kitestring.vector.text_filter import explained
from kitestring.vendors.sql_quoting import literal

if TYPE_CHECKING:
    from kitestring.vector.store import Vector

log = logging.getLogger("kitestring.lancedb")

REFUSED = "the filter is no SQL condition"
REFUSED_HINT = "Write it as json_get_string(metadata, 'status') = 'new', or give a mapping."
PAGE, ROWS = 10_000, 5_000
NBYTES = 64 * 1024 * 1024
METRICS = {"COSINE": "cosine", "L2": "l2", "IP": "dot"}
LIVE = f"NOT starts_with(metadata_digest, '{MARKED}')"
OLD_VERSIONS = timedelta(hours=1)
"""Every write is a version of the table. Whoever reads an older one has this long to end."""
WRITES = 500
"""After so many writes small files are joined: each version lists all of them."""
LEAST_INDEXED = 10_000
"""Of fewer rows every search reads all vectors."""


class LanceStore(Store):
    """One table. Several processes may read and write it at once: each write is a version of its own, and each reading
    is of one version."""

    def __init__(self, indexing: Indexing) -> None:
        self.indexing = indexing
        self.title = f"the table {indexing.collection} in {indexing.folder}"
        self.created = False
        self._table: Any = None
        self._writes = 0
        self._open()

    @property
    def hybrid(self) -> bool:  # type: ignore[override]
        return self._table is not None and self._has_index("FTS")

    # -- the table -----------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        """Open the table, if it is there. `ConfigError` if it is not ours."""
        if not self.indexing.folder.is_dir():
            return
        with self.translated():
            db = self._connected()
            if self.indexing.collection not in all_tables(db):
                return
            table = db.open_table(self.indexing.collection)
        missing = [name for name in WHOLE if name not in table.schema.names]
        if missing:
            raise ConfigError(
                f"{self.title} was not created by Kitestring: it has no column {missing[0]}",
                hint="Name another one in indexing.collection.",
            )
        self._table = table

    def _connected(self) -> Any:
        # Without it, the library warns on standard error of a change in its statistics, which are not used here.
        os.environ.setdefault("LANCE_INCLUDE_VECTOR_CENTROIDS", "false")
        import lancedb

        return lancedb.connect(self.indexing.folder, read_consistency_interval=timedelta(0))

    def translated(self) -> Any:
        return translated(str(self.indexing.folder))

    def fit(self, dimension: int) -> None:
        """`ConfigError` if vectors of this dimension do not fit."""
        own = None if self._table is None else self._table.schema.field("vector").type.list_size
        require_dimension(self.title, own, dimension, "indexing.collection")

    def check(self, dimension: int) -> None:
        self.fit(dimension)
        folder = self.indexing.folder
        if folder.exists() and not folder.is_dir():
            raise ConfigError(f"{folder} is a file, LanceDB keeps a folder", hint="Choose another path.")
        if not writable(folder):
            raise ConfigError(
                f"LanceDB writes to {folder}, and this user may not",
                hint="Give this user the right to write there, or choose another path.",
            )

    def ensure(self, dimension: int, complete: bool, schemas: Sequence[Mapping[str, Any]] = ()) -> bool:
        self.check(dimension)
        if self._table is None:
            self._open()
            self.fit(dimension)
        if self._table is None:
            with self.translated():
                self.indexing.folder.mkdir(parents=True, exist_ok=True)
                self._table = self._connected().create_table(
                    self.indexing.collection, schema=schema_of(dimension), exist_ok=True
                )
                if self.indexing.hybrid:
                    self._build("text", "FTS")
            self.created = True
        return self.created

    def finish(self) -> None:
        if self._table is None:
            return
        try:
            with self.translated():
                rows = self._table.count_rows()
                if rows >= LEAST_INDEXED:
                    self._build("key", "BTree")
                    if self.indexing.index == "HNSW":
                        self._build("vector", "HnswSq")
                self._table.optimize(cleanup_older_than=OLD_VERSIONS)
        except KitestringError as error:  # another process wrote: the next sync does it
            log.info("the table was not optimized", extra={"table": self.title, "error": error.message})
        self._writes = 0

    def _has_index(self, kind: str) -> bool:
        with self.translated():
            return any(index.index_type.upper().endswith(kind.upper()) for index in self._table.list_indices())

    def _build(self, column: str, kind: str) -> None:
        """Create an index, if it is missing."""
        from lancedb import index

        if not self._has_index(kind):
            options = {"distance_type": METRICS[self.indexing.metric]} if column == "vector" else {}
            self._table.create_index(column, config=getattr(index, kind)(**options))

    # -- reading -------------------------------------------------------------------------------------------------------

    def read(self, condition: str | None, columns: Sequence[str], limit: int | None = None) -> list[dict[str, Any]]:
        """Rows that fulfil a condition."""
        if self._table is None:
            return []
        with self.translated():
            query = self._table.search().select(list(columns))
            if condition is not None:
                query = query.where(condition)
            rows: list[dict[str, Any]] = (query if limit is None else query.limit(limit)).to_arrow().to_pylist()
            return rows

    def pages(self, condition: str, columns: Sequence[str]) -> Iterator[list[dict[str, Any]]]:
        """The same in pages, all of one version of the table."""
        if self._table is None:
            return
        with self.translated():
            reader = self._table.search().where(condition).select(list(columns)).to_batches(batch_size=PAGE)
            for batch in reader:
                if batch.num_rows:
                    yield batch.to_pylist()

    def find(self, refs: Sequence[Ref], whole: bool = False) -> dict[str, list[Stored]]:
        keys = [ref.key for ref in refs if not ref.former]  # every row has a namespace
        by_key: dict[str, list[Stored]] = {}
        for start in range(0, len(keys), ROWS):
            for row in self.read(among("key", keys[start : start + ROWS]), WHOLE if whole else LEDGER):
                by_key.setdefault(row["key"], []).append(stored_of(row))
        return by_key

    def scan(self, stream: str) -> Iterator[list[Stored]]:
        for page in self.pages(equal("stream", stream), LEDGER):
            yield [stored_of(row) for row in page]

    def sample(self, stream: str, most: int = 1) -> list[Stored]:
        return [stored_of(row) for row in self.read(equal("stream", stream), LEDGER, most)]

    def other_namespace(self, stream: str, namespace: str) -> str | None:
        other = f"{equal('stream', stream)} AND namespace <> {literal(without_surrogates(namespace))}"
        rows = self.read(other, ["namespace"], 1)
        return rows[0]["namespace"] if rows else None

    def count(self, stream: str) -> int:
        return self._count(f"{equal('stream', stream)} AND chunk_number = 0 AND {LIVE}")

    def _count(self, condition: str) -> int:
        if self._table is None:
            return 0
        with self.translated():
            return int(self._table.count_rows(condition))

    # -- reading without a question ------------------------------------------------------------------------------------

    def streams(self) -> list[StoredStream]:
        chunks: Counter[str] = Counter()
        records: Counter[str] = Counter()
        namespaces: dict[str, str] = {}
        for page in self.pages("true", ["stream", "namespace", "chunk_number", "metadata_digest"]):
            for row in page:
                name = row["stream"]
                chunks[name] += 1
                records[name] += row["chunk_number"] == 0 and not row["metadata_digest"].startswith(MARKED)
                namespaces[name] = row["namespace"]
        return [StoredStream(name, namespaces[name] or None, records[name], chunks[name]) for name in sorted(chunks)]

    def page(
        self, stream: str, *, where: Filter | str | None, limit: int, offset: int, include_deleted: bool
    ) -> list[dict[str, Any]]:
        ids = sorted(self._matching_ids(stream, where, include_deleted))[offset : offset + limit]
        rows = self.read(among("id", ids), HIT) if ids else []
        return sorted((hit_of(row, 0.0) for row in rows), key=lambda hit: str(hit["id"]))

    def number(self, stream: str, *, where: Filter | str | None, include_deleted: bool) -> int:
        conditions, tree = self._conditions(stream, where, include_deleted)
        if tree is not None:
            return min(len(self._matching_ids(stream, where, include_deleted)), MOST_COUNTED + 1)
        with explained(where, REFUSED, REFUSED_HINT):
            return self._count(" AND ".join(conditions))

    def _matching_ids(self, stream: str, where: Filter | str | None, include_deleted: bool) -> list[str]:
        conditions, tree = self._conditions(stream, where, include_deleted)
        with explained(where, REFUSED, REFUSED_HINT):
            if tree is None:
                return [row["id"] for row in self.read(" AND ".join(conditions), ["id"])]
            columns = [name for name in HIT if name != "text"]
            rows = [row for page in self.pages(" AND ".join(conditions), columns) for row in page]
            return [row["id"] for row in refined(lambda most: rows, fields_of, tree, len(rows) + 1)]

    def _conditions(
        self, stream: str | None, where: Filter | str | None, include_deleted: bool
    ) -> tuple[list[str], Filter | None]:
        """The conditions of a reading, and the filter to test rows with, where they do not mean the same."""
        narrowing: Narrowing[str]
        if isinstance(where, str):
            narrowing = Narrowing(f"({TEXT_FILTER.confined(where)})", True)
        else:
            narrowing = Narrowing(None, True) if where is None else Sql().narrowing(where)
        conditions = [] if stream is None else [equal("stream", stream)]
        conditions += [] if include_deleted else [LIVE]
        conditions += [] if narrowing.condition is None else [narrowing.condition]
        return conditions, narrowing.untested(where)

    # -- writing -------------------------------------------------------------------------------------------------------

    def upsert(self, chunks: Sequence[Chunk]) -> int:
        assert self._table is not None
        step = max(1, min(ROWS, NBYTES // (4 * len(chunks[0].vector) + 2_048))) if chunks else 1
        for start in range(0, len(chunks), step):
            rows = table_of(chunks[start : start + step], schema_of(len(chunks[0].vector)))
            with self.translated():
                merge = self._table.merge_insert("id").when_matched_update_all().when_not_matched_insert_all()
                merge.execute(rows)
            self._written()
        return 0

    def delete(self, chunks: Sequence[Stored]) -> None:
        ids = [str(chunk.row) for chunk in chunks]
        for start in range(0, len(ids), ROWS):
            with self.translated():
                self._table.delete(among("id", ids[start : start + ROWS]))
            self._written()

    def _written(self) -> None:
        self._writes += 1
        if self._writes >= WRITES:
            self.finish()

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
        if self._table is None:
            self._open()
        if self._table is None:
            raise ConfigError(
                f"{self.title} does not exist", hint="Correct indexing.collection, or sync into it first."
            )
        self.fit(len(vector))
        conditions, tree = self._conditions(stream, where, include_deleted)

        def ranked(query: Callable[[], Any], score: str = "_distance") -> list[dict[str, Any]]:
            def first(most: int) -> list[dict[str, Any]]:
                search = query().select([*HIT, score]).limit(most)
                rows: list[dict[str, Any]] = (
                    (search.where(" AND ".join(conditions)) if conditions else search).to_arrow().to_pylist()
                )
                return rows

            with explained(where, REFUSED, REFUSED_HINT), self.translated():
                return refined(first, fields_of, tree, limit)

        def near() -> Any:
            return self._table.search(vector, vector_column_name="vector").distance_type(METRICS[self.indexing.metric])

        def exact() -> Any:
            return near().bypass_vector_index()

        def words() -> Any:
            return self._table.search(text, query_type="fts", fts_columns="text")

        nearest = ranked(near)
        if len(nearest) < limit and self.indexing.index != "NONE":
            nearest = ranked(exact)
        hits = [hit_of(row, self._measure(row["_distance"])) for row in nearest]
        if not hybrid:
            return self.near_enough(hits, threshold)
        matching = [hit_of(row, 0.0) for row in ranked(words, "_score")] if text.strip() else []
        scores = fused_scores([hit["id"] for hit in ranking] for ranking in (hits, matching))
        by_id = {hit["id"]: {**hit, "distance": scores[hit["id"]]} for hit in (*hits, *matching)}
        return sorted(by_id.values(), key=lambda hit: -hit["distance"])[:limit]

    def _measure(self, distance: float) -> float:
        """The cosine similarity, the inner product or the Euclidean distance, of which LanceDB gives the square."""
        return math.sqrt(max(0.0, distance)) if self.indexing.metric == "L2" else 1.0 - distance

    @property
    def metric(self) -> str:
        return self.indexing.metric

    def close(self) -> None:
        self._table = None


def all_tables(db: Any) -> set[str]:
    names: set[str] = set()
    token = None
    while True:
        page = db.list_tables(page_token=token, limit=1_000)
        names |= {*page.tables}
        token = page.page_token
        if not token:
            return names


def equal(column: str, text: str) -> str:
    return f"{column} = {literal(without_surrogates(text))}"


def among(column: str, texts: Sequence[str]) -> str:
    return f"{column} IN ({', '.join(literal(without_surrogates(text)) for text in texts)})"
