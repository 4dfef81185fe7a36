"""The verbs of a vector store on a table of PostgreSQL."""

# ruff: noqa: S608 - names in statements are quoted, all else is a parameter

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from kitestring.destinations.pgvector import listing
from kitestring.destinations.pgvector.filters import condition
from kitestring.destinations.pgvector.indexing import Indexing
from kitestring.destinations.pgvector.rows import COLUMNS, LEDGER, WHOLE, CopyEncoder, clean_text, hit_of, stored_of
from kitestring.destinations.pgvector.vector_table import VectorTable
from kitestring.errors import ConfigError, RecordError
from kitestring.filters import Filter
from kitestring.json_codec import dumps_text
from kitestring.stored_rows import StoredStream
from kitestring.types import DELETED_AT
from kitestring.vector.rank_fusion import fused_scores
from kitestring.vector.store import MARKED, Chunk, Ref, Store, Stored

if TYPE_CHECKING:
    import psycopg

    from kitestring.vector.store import Vector

PAGE, ROWS = 10_000, 1_000


class PgvectorStore(Store):
    """One table."""

    def __init__(self, indexing: Indexing) -> None:
        self.indexing = indexing
        self.table = VectorTable(indexing)

    @property
    def hybrid(self) -> bool:  # type: ignore[override]
        return self.table.hybrid

    @property
    def metric(self) -> str:
        return self.indexing.metric

    def close(self) -> None:
        self.table.close()

    # -- the table -----------------------------------------------------------------------------------------------------

    def check(self, dimension: int) -> None:
        self.table.check(dimension)

    def ensure(self, dimension: int, complete: bool, schemas: Sequence[Mapping[str, Any]] = ()) -> bool:
        return self.table.ensure(dimension)

    def finish(self) -> None:
        self.table.build_index()

    # -- reading -------------------------------------------------------------------------------------------------------

    def find(self, refs: Sequence[Ref], whole: bool = False) -> dict[str, list[Stored]]:
        keys = [ref.key for ref in refs if not ref.former]  # every row has a namespace
        if self.table.dimension is None or not keys:
            return {}
        by_key: dict[str, list[Stored]] = {}
        for row in self.table.rows(
            f"SELECT {WHOLE if whole else LEDGER} FROM unnest(%s::text[]) AS wanted (key)"
            f" JOIN {self.table.sql_name} AS chunk ON chunk.id > wanted.key || ':' AND chunk.id < wanted.key || ';'",
            keys,
        ):
            stored = stored_of(row)
            by_key.setdefault(stored.key, []).append(stored)
        return by_key

    def vectors(self, chunks: Sequence[Stored]) -> dict[Hashable, Vector]:
        import numpy as np

        vectors: dict[Hashable, Vector] = {}
        for start in range(0, len(chunks), ROWS):
            ids = [chunk.row for chunk in chunks[start : start + ROWS]]
            with self.table.connection() as connection, connection.cursor(binary=True) as cursor:
                cursor.execute(f"SELECT id, embedding FROM {self.table.sql_name} WHERE id = ANY (%s)", [ids])
                # Two numbers of 16 bits (the dimension and nothing), then floats, the highest byte first.
                vectors |= {row: np.frombuffer(data, ">f4", offset=4).astype(np.float32) for row, data in cursor}
        return vectors

    def scan(self, stream: str) -> Iterator[list[Stored]]:
        last = ""
        while self.table.dimension is not None:
            page = self.table.rows(
                f"SELECT {LEDGER} FROM {self.table.sql_name} WHERE stream = %s AND id > %s ORDER BY id LIMIT {PAGE}",
                clean_text(stream),
                last,
            )
            if not page:
                return
            last = page[-1][0]
            yield [stored_of(row) for row in page]

    def other_namespace(self, stream: str, namespace: str) -> str | None:
        query = f"SELECT namespace FROM {self.table.sql_name} WHERE stream = %s AND namespace <> %s LIMIT 1"
        rows = (
            self.table.rows(query, clean_text(stream), clean_text(namespace))
            if self.table.dimension is not None
            else []
        )
        return rows[0][0] if rows else None

    def count(self, stream: str) -> int:
        live = f"stream = %s AND chunk_number = 0 AND NOT starts_with(metadata_digest, '{MARKED}')"
        query = f"SELECT count(*) FROM {self.table.sql_name} WHERE {live}"
        return int(self.table.rows(query, clean_text(stream))[0][0]) if self.table.dimension is not None else 0

    def streams(self) -> list[StoredStream]:
        return [] if self.table.dimension is None else listing.streams(self.table.sql_name, self.table.look)

    def page(
        self, stream: str, *, where: Filter | str | None, limit: int, offset: int, include_deleted: bool
    ) -> list[dict[str, Any]]:
        if self.table.dimension is None:
            return []
        with self.explained(where):
            return listing.Listing(self.table.sql_name, self.table.look, stream, where, include_deleted).page(
                limit, offset
            )

    def number(self, stream: str, *, where: Filter | str | None, include_deleted: bool) -> int:
        if self.table.dimension is None:
            return 0
        with self.explained(where):
            return listing.Listing(self.table.sql_name, self.table.look, stream, where, include_deleted).number()

    def located(self, ids: Sequence[str]) -> dict[str, Stored]:
        return {text: Stored(text, text.rpartition(":")[0], None) for text in ids}

    def passing(self, ids: Sequence[str], where: Filter) -> set[str]:
        if self.table.dimension is None:
            return set()
        values: dict[str, Any] = {"ids": list(map(clean_text, ids))}
        query = f"SELECT id FROM {self.table.sql_name} WHERE id = ANY (%(ids)s) AND {condition(where, values)}"
        return {row[0] for row in self.table.look(query, values)}

    # -- writing -------------------------------------------------------------------------------------------------------

    def upsert(self, chunks: Sequence[Chunk]) -> int:
        """Delete old rows and copy new ones in one transaction: half the writes of a copy that is merged."""
        encoder = CopyEncoder()
        with self.table.durable_transaction() as connection:
            connection.execute(
                f"DELETE FROM {self.table.sql_name} WHERE id = ANY (%s)", [[chunk.id for chunk in chunks]]
            )
            with connection.cursor().copy(
                f"COPY {self.table.name} ({', '.join(COLUMNS)}) FROM STDIN (FORMAT binary)"
            ) as copy:
                for data in encoder.encode(chunks):
                    copy.write(data)
        return encoder.cut

    def delete(self, chunks: Sequence[Stored]) -> None:
        with self.table.durable_transaction() as connection:
            rows = [chunk.row for chunk in chunks]
            connection.execute(f"DELETE FROM {self.table.sql_name} WHERE id = ANY (%s)", [rows])

    def mark(self, chunks: Sequence[Stored], deleted_at: str) -> None:
        rows = [chunk.row for chunk in chunks]
        with self.table.durable_transaction() as connection:
            connection.execute(
                f"UPDATE {self.table.sql_name} SET metadata = metadata || jsonb_build_object(%s::text, %s::text),"
                " metadata_digest = %s || metadata_digest WHERE id = ANY (%s) AND NOT starts_with(metadata_digest, %s)",
                [DELETED_AT, clean_text(deleted_at), MARKED, rows, MARKED],
            )

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
        if self.table.dimension is None:
            raise ConfigError(
                f"{self.table.title} does not exist", hint="Correct indexing.collection, or sync into it first."
            )
        self.table.fit(len(vector))
        values: dict[str, Any] = {"vector": dumps_text(vector.tolist()), "limit": limit}
        conditions = [] if include_deleted else [f"NOT starts_with(metadata_digest, '{MARKED}')"]
        if stream:
            conditions.append("stream = %(stream)s")
            values["stream"] = clean_text(stream)
        if where is not None:
            conditions.append(condition(where, values))
        with self.explained(where):
            near = self._near(conditions, values)
        if not hybrid:
            hits = [hit_of(row) for row in near]
            return self.near_enough(hits, threshold)
        values["words"] = clean_text(text)
        words_query = "replace(plainto_tsquery('simple', %(words)s)::text, '&', '|')::tsquery"
        matching = self._select([*conditions, f"words @@ {words_query}"], values, f"-ts_rank_cd(words, {words_query})")
        scores = fused_scores([row[0] for row in ranking] for ranking in (near, matching))
        rows = {row[0]: (*row[:-1], scores[row[0]]) for row in (*near, *matching)}
        return [hit_of(row) for row in sorted(rows.values(), key=lambda row: -row[-1])[:limit]]

    @contextmanager
    def explained(self, where: Filter | str | None) -> Iterator[None]:
        """An error of a filter in PostgreSQL's language says so."""
        try:
            yield
        except (ConfigError, RecordError) as error:
            if not isinstance(where, str) or error.fields.get("code") == "57014":
                raise
            raise ConfigError(
                f"the filter is not a jsonpath predicate: {error.message}",
                hint='Write it as $.status == "new" && $.price > 3, or give a mapping.',
            ) from error

    def _near(self, conditions: Sequence[str], values: Mapping[str, Any]) -> list[Any]:
        """The nearest rows. If filters leave too few rows of the index, it is not used."""
        expression, kind = self.table.expression
        order = f"{expression} OPERATOR({self.table.extension}.{self.table.operator}) %(vector)s::{kind}"
        with self.table.connection() as connection, connection.transaction():
            if not self.table.indexed(connection):
                return self._select(conditions, values, order, connection)
            connection.execute("SELECT set_config('hnsw.ef_search', %s, true)",
                               [str(min(1_000, max(100, 2 * values["limit"])))])  # fmt: skip
            if self.table.iterates:
                connection.execute("SELECT set_config('hnsw.iterative_scan', 'strict_order', true)")
            rows = self._select(conditions, values, order, connection)
            if len(rows) < values["limit"]:
                connection.execute("SET LOCAL enable_indexscan = off")
                rows = self._select(conditions, values, order, connection)
            return rows

    def _select(
        self,
        conditions: Sequence[str],
        values: Mapping[str, Any],
        order: str,
        connection: psycopg.Connection[Any] | None = None,
    ) -> list[Any]:
        if connection is None:
            with self.table.connection() as own:
                return self._select(conditions, values, order, own)
        extension = self.table.extension
        measure = f"embedding OPERATOR({extension}.{self.table.operator}) %(vector)s::{extension}.vector"
        distance = {"COSINE": f"1 - ({measure})", "L2": measure, "IP": f"-({measure})"}[self.indexing.metric]
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        query = (
            f"SELECT id, record_id, stream, chunk_number, text, metadata::text, {distance}"
            f" FROM {self.table.sql_name}{where} ORDER BY {order} LIMIT %(limit)s"
        )
        return connection.execute(query, values).fetchall()
