"""The verbs of a vector store on a Milvus collection."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kitestring.destinations.milvus import layout as layouts
from kitestring.destinations.milvus import lite_memory
from kitestring.destinations.milvus.columns import column_types
from kitestring.destinations.milvus.connection import check_lite, connect, disconnect, lite_address, lite_path
from kitestring.destinations.milvus.counting import count_lite, count_server
from kitestring.destinations.milvus.errors import translated
from kitestring.destinations.milvus.filters import among, condition, quote
from kitestring.destinations.milvus.indexing import Indexing, NoAuth
from kitestring.destinations.milvus.layout import MAX_DYNAMIC, Layout
from kitestring.destinations.milvus.listing import Listing, namespaces
from kitestring.destinations.milvus.lookup import IDS, LEDGER, find_by_filter, find_by_id, stored_of
from kitestring.destinations.milvus.refused_filter import quoting_only
from kitestring.destinations.milvus.searching import Search
from kitestring.destinations.milvus.sending import ColumnSender, RowSender, can_send_by_column
from kitestring.errors import AuthError, ConfigError, ConnectorError, TransientError
from kitestring.stored_rows import StoredStream
from kitestring.types import DELETED_AT
from kitestring.vector.payload import INT64_MAX, INT64_MIN
from kitestring.vector.store import Chunk, Ref, Store, Stored

if TYPE_CHECKING:
    from pymilvus import MilvusClient

    from kitestring.filters import Filter
    from kitestring.vector.store import Vector

log = logging.getLogger("kitestring.milvus")

# A request: about 1,000 rows or 16 MB is fastest; a server refuses 64 MB.
ROWS, NBYTES = 1_000, 16 * 1024 * 1024
PAGE = 10_000
LOAD_S = 300.0


class MilvusStore(Store):
    """One collection. Rows are found by primary key where we choose it, by filter where Milvus does."""

    def __init__(self, indexing: Indexing, text: bool, lock_wait_s: float) -> None:
        self.lock_wait_s = lock_wait_s
        self.indexing = indexing
        self.text = text
        self.lite = indexing.lite
        self.collection = indexing.collection
        self.where = f"Milvus Lite at {indexing.host}" if self.lite else f"Milvus at {indexing.host}"
        self.timeout = None if self.lite else indexing.timeout
        self._client: MilvusClient | None = None
        self._layout: Layout | None = None
        self._sender: RowSender | ColumnSender | None = None
        self._loaded = False
        self._created = False
        self._replaced = False
        self._unflushed = (0, 0)
        self._rows: int | None = None
        self._lock = threading.Lock()
        # Opening a Lite directory creates it: an absent one is not opened before the first write.
        if not (self.lite and not lite_path(indexing).exists()):
            self._connect()

    def translated(self) -> Any:
        return translated(self.where, collection=self.collection)

    def _connect(self) -> None:
        self._client = connect(self.indexing, self.lock_wait_s)
        with self.translated():
            if not self.lite:  # `milvus-lite server` is Lite behind an http address; "v2.3.5-lite" is a real server
                self.lite = str(self._client.get_server_version(timeout=self.timeout)).startswith("milvus_lite")
            self._check_database()
            if self._client.has_collection(self.collection, timeout=self.timeout):
                self._open()

    def _check_database(self) -> None:
        """A server accepts any name when connecting, and checks it with the first row."""
        name = self.indexing.db
        if name and name != "default":
            try:
                databases = self.client.list_databases(timeout=self.timeout)
            except Exception as error:  # noqa: BLE001 - the right to list them may be missing where the right to use one is not
                log.debug("databases cannot be listed", extra={"error": type(error).__name__})
                return
            if name not in databases:
                raise ConfigError(
                    f"{self.where} has no database {name}; it has {', '.join(databases)}",
                    hint="Correct indexing.db, or create the database.",
                )

    @property
    def client(self) -> MilvusClient:
        if self._client is None:
            self._connect()
        assert self._client is not None
        return self._client

    # -- the collection ------------------------------------------------------------------------------------------------

    @property
    def layout(self) -> Layout:
        if self._layout is None:
            raise ConfigError(
                f"{self.where} has no collection {self.collection}",
                hint="Correct indexing.collection, or sync into it first.",
                collection=self.collection,
            )
        return self._layout

    @property
    def sender(self) -> RowSender | ColumnSender:
        if self._sender is None:
            layout = self.layout
            if self.indexing.lite and all(map(can_send_by_column, (layout.primary, *layout.fields.values()))):
                self._sender = ColumnSender(layout, self.text, self.indexing.db, lite_address(self.indexing))
            else:
                self._sender = RowSender(layout, self.text, self.client, self.lite, self.timeout)
        return self._sender

    def _drop_sender(self) -> None:
        if self._sender is not None:
            self._sender.close()
            self._sender = None

    @property
    def replaces(self) -> bool:  # type: ignore[override]
        return self._layout is None or not self._layout.auto_id

    @property
    def hybrid(self) -> bool:  # type: ignore[override]
        return self._layout is not None and self._layout.sparse is not None

    @property
    def metric(self) -> str:
        return self.indexing.metric if self._layout is None else self._layout.metric

    def _open(self) -> None:
        self._layout = layouts.read(self.client, self.collection, self.indexing, self.indexing.timeout)
        self._drop_sender()
        self._loaded = False

    def _load(self) -> None:
        """A collection must be loaded before it is read. Reopening a large one on Lite takes seconds."""
        with self._lock:
            if not self._loaded:
                self.client.load_collection(self.collection, timeout=max(self.indexing.timeout, LOAD_S))
                self._loaded = True

    def ensure(self, dimension: int, complete: bool, schemas: Sequence[Mapping[str, Any]] = ()) -> bool:
        with self.translated():
            client = self.client
            if self._layout is not None and self.indexing.rebuild:
                self._set_aside(dimension, complete)
            if self._layout is None:
                self._check_partitions(self.indexing.partition_key)
                if not client.has_collection(self.collection, timeout=self.timeout):
                    fields, key = self.indexing.scalar_fields, self.indexing.partition_key
                    columns = column_types(fields, schemas, key)
                    layouts.create(
                        client, self.collection, self.indexing, dimension, columns, text=self.text, lite=self.lite
                    )
                    self._created = True
                    log.info("collection created", extra={"collection": self.collection, "dimension": dimension})
                self._open()
        self.layout.fit(dimension, self.where)
        if not self.layout.auto_id:
            self._check_partitions(self.layout.partition_key)
        return self._created

    def _set_aside(self, dimension: int, complete: bool) -> None:
        """Rename a collection of another dimension: its data is not ours to destroy."""
        current = self.layout.vector.dimension
        if current == dimension and not self._replaced:
            return
        if not complete:
            raise ConfigError(
                f"{self.collection} is rebuilt for {dimension} dimensions, and an incremental stream would write only a"
                " part of its records",
                hint="Sync all streams as full refresh once.",
            )
        if current != dimension:
            aside = f"{self.collection[:200]}_before_{time.strftime('%Y%m%d%H%M%S')}"
            self.client.rename_collection(self.collection, aside, timeout=self.timeout)
            log.warning("collection renamed", extra={"collection": self.collection, "renamed_to": aside})
            self._layout, self._replaced = None, True

    def _check_partitions(self, partition_key: str | None) -> None:
        """Measured on 2.3.5: an upsert writes rows with a partition key into the wrong partition, where no filter finds
        them. An insert does not."""
        if partition_key and not self.lite:
            version = str(self.client.get_server_version(timeout=self.timeout))
            numbers = [int(part) for part in re.findall(r"\d+", version)[:2]]
            if numbers < [2, 4]:
                raise ConfigError(
                    f"a collection with a partition key was chosen, and Milvus {version} loses upserted rows in those",
                    hint="Leave out indexing.partition_key, or use Milvus 2.4 or later.",
                )

    def check(self, dimension: int) -> None:
        if self._client is None:
            check_lite(self.indexing)
            return
        if self._layout is not None:
            self._layout.fit(dimension, self.where)
        if self.lite or isinstance(self.indexing.auth, NoAuth):
            return
        self._check_rights(dimension)

    def _check_rights(self, dimension: int) -> None:
        """Send a request that the server must refuse anyway: it checks the rights first."""
        with self.translated():
            try:
                if self._layout is None:
                    layouts.create(self.client, "-", self.indexing, dimension, {}, text=self.text, lite=self.lite)
                else:
                    primary = self._layout.primary
                    nothing = among(primary.name, ["-" if primary.type == "VARCHAR" else 0])
                    self.client.delete(self.collection, filter=nothing, timeout=self.timeout)
            except Exception as error:
                from kitestring.destinations.milvus.errors import translate

                failure = translate(error, self.where, {"collection": self.collection})
                if isinstance(failure, AuthError | TransientError):
                    raise failure from error

    # -- reading -------------------------------------------------------------------------------------------------------

    def find(self, refs: Sequence[Ref], whole: bool = False) -> dict[str, list[Stored]]:
        """Never called with `whole`: `vectors` and `mark` are overridden."""
        if self._layout is None or not refs:
            return {}
        with self.translated():
            find_chunks = find_by_filter if self._layout.auto_id else find_by_id
            return find_chunks(self._layout, self._query, refs)

    def queried(self, condition: str, fields: list[str], **options: Any) -> list[dict[str, Any]]:
        """The rows that pass a filter; `limit` and `offset` are options."""
        with self.translated():
            self._load()
            return self.client.query(  # type: ignore[no-any-return]
                self.collection,
                filter=condition,
                output_fields=fields,
                consistency_level="Strong",
                timeout=self.timeout,
                **options,
            )

    def _query(self, condition: str, fields: list[str]) -> list[dict[str, Any]]:
        primary = self.layout.primary.name
        self._load()
        return self.client.query(  # type: ignore[no-any-return]
            self.collection,
            filter=condition,
            output_fields=[primary, *fields],
            consistency_level="Strong",
            timeout=self.timeout,
        )

    def vectors(self, chunks: Sequence[Stored]) -> dict[Hashable, Vector]:
        import numpy as np

        layout = self.layout
        step = max(1, min(ROWS, NBYTES // (4 * layout.vector.dimension)))
        vectors: dict[Hashable, Vector] = {}
        with self.translated():
            for start in range(0, len(chunks), step):
                ids = among(layout.primary.name, (chunk.row for chunk in chunks[start : start + step]))
                for row in self._query(ids, [layout.vector.name]):
                    vectors[row[layout.primary.name]] = np.asarray(row[layout.vector.name], dtype=np.float32)
        return vectors

    def scan(self, stream: str) -> Iterator[list[Stored]]:
        layout = self.layout
        if not (layout.stores("_ab_stream") and layout.identifies_rows):
            raise ConfigError(
                f"an overwrite must find the old rows of a stream, and the collection {self.collection} does not"
                " distinguish them",
                hint="Enable its dynamic field, or add the columns _ab_stream, _ks_key VARCHAR and chunk_number INT64.",
            )
        mine = f"_ab_stream == {quote(stream)}"
        fields = [name for name in LEDGER if name != "_ks_digest" and layout.stores(name)]
        with self.translated():
            if self.lite:
                # Each page of an iterator would read all rows again.
                rows = self._query(mine, fields)
                for start in range(0, len(rows), PAGE):
                    yield [stored_of(row, layout) for row in rows[start : start + PAGE]]
                return
            self._load()
            pages = self.client.query_iterator(
                self.collection,
                batch_size=PAGE,
                filter=mine,
                output_fields=[layout.primary.name, *fields],
                consistency_level="Strong",
                timeout=self.timeout,
            )
            try:
                while page := pages.next():
                    yield [stored_of(row, layout) for row in page]
            finally:
                pages.close()

    def sample(self, stream: str, most: int = 1) -> list[Stored]:
        layout = self._layout
        if layout is None or not (layout.stores("_ab_stream") and layout.stores_digests):
            return []
        with self.translated():
            self._load()
            rows = self.client.query(
                self.collection,
                filter=f"_ab_stream == {quote(stream)}",
                output_fields=[layout.primary.name, *(name for name in LEDGER if layout.stores(name))],
                limit=most,
                consistency_level="Strong",
                timeout=self.timeout,
            )
            return [stored_of(row, layout) for row in rows]

    def other_namespace(self, stream: str, namespace: str) -> str | None:
        layout = self._layout
        if layout is None or not (layout.stores("_ab_stream") and layout.stores("_ks_namespace")):
            return None
        other = f"_ks_namespace != {quote(namespace)}"
        if "_ks_namespace" not in layout.fields:  # on a server, rows without the field match too
            other = f"exists _ks_namespace and {other}"
        with self.translated():
            self._load()
            rows = self.client.query(
                self.collection,
                filter=f"_ab_stream == {quote(stream)} and {other}",
                output_fields=["_ks_namespace"],
                limit=1,
                consistency_level="Strong",
                timeout=self.timeout,
            )
            return str(rows[0]["_ks_namespace"]) if rows else None

    def count(self, stream: str) -> int | None:
        if self._layout is None:
            return 0
        if not (self._layout.stores("_ab_stream") and self._layout.stores("chunk_number")):
            return None
        with self.translated():
            self._load()
            if self.lite:
                # Rows in Lite's memory are slow to search; closing flushes them anyway. Its own count(*) reads vectors
                # too.
                self.client.flush(self.collection)
                return count_lite(self.client, self._layout, stream)
            return count_server(self.client, self._layout, stream, self.timeout)

    # -- reading without a question ------------------------------------------------------------------------------------

    def streams(self) -> list[StoredStream]:
        present = {} if self._layout is None else namespaces(self._layout, self.queried)
        return [
            StoredStream(name, namespace, self.count(name), self.number(name, where=None, include_deleted=True))
            for name, namespace in present.items()
        ]

    def page(
        self, stream: str, *, where: Filter | str | None, limit: int, offset: int, include_deleted: bool
    ) -> list[dict[str, Any]]:
        if self._layout is None:
            return []
        with quoting_only(where):
            return Listing(self._layout, self.queried, stream, where, include_deleted).page(limit, offset, self.lite)

    def number(self, stream: str, *, where: Filter | str | None, include_deleted: bool) -> int:
        if self._layout is None:
            return 0
        with quoting_only(where):
            return Listing(self._layout, self.queried, stream, where, include_deleted).number()

    def located(self, ids: Sequence[str]) -> dict[str, Stored]:
        whole = self.layout.primary.type == "INT64"
        known = [text for text in ids if not whole or is_int64(text)]
        return {text: Stored(int(text) if whole else text, "", None) for text in known}

    def passing(self, ids: Sequence[str], where: Filter) -> set[str]:
        primary, located = self.layout.primary.name, self.located(ids)
        if not located:
            return set()
        wanted = among(primary, (chunk.row for chunk in located.values()))
        rows = self.queried(f"({wanted}) and ({condition(where, self.layout)})", [primary])
        present = {row[primary] for row in rows}
        return {text for text, chunk in located.items() if chunk.row in present}

    # -- writing -------------------------------------------------------------------------------------------------------

    def upsert(self, chunks: Sequence[Chunk]) -> int:
        rows = self.sender.rows
        before = rows.cut
        most = lite_memory.REQUEST_NBYTES if self.indexing.lite else NBYTES
        part: list[Chunk] = []
        size = 0
        for chunk in chunks:
            part.append(chunk)
            size += 4 * self.layout.vector.dimension + 3 * len(chunk.text) + metadata_nbytes(chunk)
            if len(part) >= ROWS or size >= most:
                self._send(part, size)
                part, size = [], 0
        if part:
            self._send(part, size)
        return rows.cut - before

    def _send(self, chunks: list[Chunk], nbytes: int) -> None:
        with self.translated():
            count = self.sender.send(chunks)
            if self.indexing.lite:
                self._flush_if_due(len(chunks), nbytes)
        if count is not None and count != len(chunks):
            raise ConnectorError(f"{self.where} got {len(chunks)} rows and stored {count}", collection=self.collection)

    def _flush_if_due(self, rows: int, nbytes: int) -> None:
        """Make Lite flush its rows before a flush becomes expensive."""
        self._unflushed = (self._unflushed[0] + rows, self._unflushed[1] + nbytes)
        if self._unflushed[1] >= lite_memory.FLUSH_NBYTES:
            if self._rows is None:  # Lite reads all rows to count them, so count once
                self._rows = int(self.client.get_collection_stats(self.collection)["row_count"])
            self._rows += self._unflushed[0]
            lite_memory.fit_segments(self._unflushed[0], self._rows)
            self.client.flush(self.collection)
            lite_memory.release_memory()
            self._unflushed = (0, 0)

    def delete(self, chunks: Sequence[Stored]) -> None:
        rows = [chunk.row for chunk in chunks]
        with self.translated():
            for start in range(0, len(rows), IDS):
                ids = among(self.layout.primary.name, rows[start : start + IDS])
                self.client.delete(self.collection, filter=ids, timeout=self.timeout)

    def mark(self, chunks: Sequence[Stored], deleted_at: str) -> None:
        layout = self.layout
        if chunks and not (layout.stores(DELETED_AT) and layout.stores_digests):
            raise ConfigError(
                f"the collection {self.collection} cannot store the mark of a deleted record",
                hint=f"Enable its dynamic field, or add the columns {DELETED_AT}, _ks_digest and _ks_metadata_digest"
                " VARCHAR(64); or choose a mode that removes deleted records.",
            )
        # Complete rows are read and written again: Milvus cannot update one field.
        step = max(1, min(ROWS, NBYTES // (4 * layout.vector.dimension + MAX_DYNAMIC)))
        with self.translated():
            for start in range(0, len(chunks), step):
                part = chunks[start : start + step]
                rows = self._query(among(layout.primary.name, (chunk.row for chunk in part)), ["*", layout.vector.name])
                written = [self.sender.rows.marked(row, deleted_at) for row in rows]
                if not written:
                    continue
                if self.lite or layout.auto_id:  # Lite's upsert keeps fields that the new row lacks
                    self.client.insert(self.collection, written, timeout=self.timeout)
                else:
                    self.client.upsert(self.collection, written, timeout=self.timeout)
                if layout.auto_id:
                    self.delete(part)

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
        layout = self.layout
        if len(vector) != layout.vector.dimension:
            layout.fit(len(vector), self.where)
        conditions = [condition(where, layout), f"_ab_stream == {quote(stream)}" if stream else ""]
        search = Search(self.client, layout, self.timeout, hybrid and layout.sparse is not None)
        with quoting_only(where), self.translated():
            self._load()
            return search.nearest(vector, text, conditions, limit, threshold, include_deleted)

    def capacity_warning(self, nbytes: int) -> str | None:
        return lite_memory.capacity_warning(lite_path(self.indexing), nbytes) if self.indexing.lite else None

    def close(self) -> None:
        self._drop_sender()
        if self._client is not None:
            disconnect(self._client, self.indexing)
            self._client = None


def is_int64(text: str) -> bool:
    """Whether a text is a primary key of the type INT64."""
    return re.fullmatch("-?[0-9]{1,19}", text) is not None and INT64_MIN <= int(text) <= INT64_MAX


def metadata_nbytes(chunk: Chunk) -> int:
    """The approximate bytes of a chunk's metadata in a request."""
    return 1_024 + min(MAX_DYNAMIC, sum(2 * len(v) if isinstance(v, str) else 64 for v in chunk.metadata.values()))
