"""The verbs of a vector store on a table of PostgreSQL."""

# ruff: noqa: S608 - names in statements are quoted, all else is a parameter

from __future__ import annotations

import logging
import threading
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from kitestring.destinations.pgvector.filters import condition
from kitestring.destinations.pgvector.indexing import Indexing
from kitestring.destinations.pgvector.rows import COLUMNS, LEDGER, WHOLE, CopyEncoder, clean_text, hit_of, stored_of
from kitestring.errors import ConfigError, KitestringError, RecordError
from kitestring.json_codec import dumps_text
from kitestring.types import DELETED_AT
from kitestring.vector.filters import Filter
from kitestring.vector.store import MARKED, Chunk, Ref, Store, Stored
from kitestring.vendors.sql_quoting import quoted

if TYPE_CHECKING:
    import psycopg

    from kitestring.vector.store import Vector

log = logging.getLogger("kitestring.pgvector")

MOST_DIMENSIONS = 16_000
"""Of a column; an index takes 2,000, and 4,000 in half precision (https://github.com/pgvector/pgvector#reference)."""
INDEXED, HALF_INDEXED = 2_000, 4_000
METRICS = {"COSINE": ("<=>", "cosine"), "L2": ("<->", "l2"), "IP": ("<#>", "ip")}
"""The operator of each metric, and its part of the names of operator classes."""
PAGE, ROWS = 10_000, 1_000
INDEX_MEMORY = 1024 * 1024 * 1024
WORDS_ROOM = 100_000
"""The characters of a text that a search by words covers: a tsvector has at most 1 MB."""


class PgvectorStore(Store):
    """One table."""

    def __init__(self, indexing: Indexing) -> None:
        self.indexing = indexing
        self.name = f"{quoted(indexing.default_schema)}.{quoted(indexing.collection)}"
        self.table = self.name.replace("%", "%%")  # for statements with parameters
        self.title = f"the table {indexing.default_schema}.{indexing.collection} of {indexing.place}"
        self.operator, self.kind = METRICS[indexing.metric]
        self.extension = ""
        self.iterates = False
        self.dimension: int | None = None
        self._idle: list[psycopg.Connection[Any]] = []
        self._lock = threading.Lock()
        self._created = False
        with self.connection() as connection:
            self._look(connection)

    # -- connections ---------------------------------------------------------------------------------------------------

    @contextmanager
    def connection(self) -> Iterator[psycopg.Connection[Any]]:
        """A connection for this thread alone, in autocommit mode."""
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        connection = connection or self.indexing.open()
        try:
            with self.indexing.translated_psycopg():
                yield connection
        finally:
            if connection.closed or connection.info.transaction_status:
                connection.close()
            else:
                with self._lock:
                    self._idle.append(connection)

    def rows(self, query: str, *values: Any) -> list[Any]:
        with self.connection() as connection:
            return connection.execute(query, values).fetchall()

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    # -- the table -----------------------------------------------------------------------------------------------------

    def _look(self, connection: psycopg.Connection[Any]) -> None:
        """Find the extension and the table. `ConfigError` if the table is not ours."""
        extension = connection.execute(
            "SELECT quote_ident(nspname), string_to_array(extversion, '.')::int[] >= '{0,8}' FROM pg_extension e"
            " JOIN pg_namespace n ON n.oid = e.extnamespace WHERE extname = 'vector'"
        ).fetchone()
        if extension is not None:
            self.extension, self.iterates = extension[0].replace("%", "%%"), extension[1]
        columns = {
            name: (kind, size, relation)
            for name, kind, size, relation in connection.execute(
                "SELECT a.attname, t.typname, a.atttypmod, c.relkind::text FROM pg_attribute a"
                " JOIN pg_type t ON t.oid = a.atttypid JOIN pg_class c ON c.oid = a.attrelid"
                " WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped",
                [self.name],
            )
        }
        if not columns:
            self.dimension = None
            return
        wrong = next((name for name, kind in COLUMNS.items() if columns.get(name, ("",))[0] != kind), None)
        if wrong is not None or columns["id"][2] not in "rp":
            raise ConfigError(
                f"{self.title} was not created by Kitestring: it has no column {wrong} {COLUMNS.get(wrong or '', '')}"
                if wrong
                else f"{self.title} is a view",
                hint="Name another one in indexing.collection.",
            )
        self.dimension = columns["embedding"][1]
        self.hybrid = "words" in columns

    def _fit(self, dimension: int) -> None:
        if self.dimension not in (None, dimension):
            raise ConfigError(
                f"{self.title} has {self.dimension} dimensions, the embedder makes {dimension}",
                hint="Choose the embedder the table was made with, or name another one in indexing.collection.",
            )
        if dimension > MOST_DIMENSIONS:
            raise ConfigError(
                f"the embedder makes {dimension} dimensions, a column of pgvector has {MOST_DIMENSIONS} at most",
                hint="Choose another embedder.",
            )

    def check(self, dimension: int) -> None:
        self._fit(dimension)
        schema, user = self.indexing.default_schema, self.indexing.place.user
        with self.connection() as connection:
            self._look(connection)
            reads_only, may_create, schema_there = connection.execute(
                "SELECT current_setting('transaction_read_only') = 'on',"
                " has_database_privilege(current_database(), 'CREATE'), to_regnamespace(%s) IS NOT NULL",
                [quoted(schema)],
            ).fetchone() or (False, False, False)
            if reads_only:
                raise ConfigError(
                    f"{self.indexing.place} is read-only: it is a standby, or was set so",
                    hint="Set `host` to the primary.",
                )
            if not self.extension:
                # The right to install an extension differs between hosts; only an attempt shows it.
                with connection.transaction(force_rollback=True):
                    self._install(connection)
            else:
                usage = "SELECT has_schema_privilege(extnamespace, 'USAGE') FROM pg_extension WHERE extname = 'vector'"
                if connection.execute(usage).fetchone() == (False,):
                    raise ConfigError(
                        f"the user {user} may not use the schema {self.extension} of the extension `vector`",
                        hint=f"GRANT USAGE ON SCHEMA {self.extension} TO {user}.",
                    )
            if self.dimension is not None:
                rights = [
                    right
                    for right in ("SELECT", "INSERT", "UPDATE", "DELETE")
                    if not connection.execute("SELECT has_table_privilege(%s, %s)", [self.name, right]).fetchone()[0]  # type: ignore[index]
                ]
                if rights:
                    raise ConfigError(
                        f"the user {user} may not {', '.join(rights)} in {self.title}",
                        hint=f"GRANT {', '.join(rights)} ON {self.name} TO {user}.",
                    )
            elif not (
                connection.execute(
                    "SELECT has_schema_privilege(%s, 'USAGE') AND has_schema_privilege(%s, 'CREATE')", [schema, schema]
                ).fetchone()[0]  # type: ignore[index]
                if schema_there
                else may_create
            ):
                raise ConfigError(
                    f"the user {user} may not create a table in the schema {schema} of {self.indexing.place}",
                    hint=f"GRANT USAGE, CREATE ON SCHEMA {quoted(schema)} TO {user}.",
                )

    def _no_extension(self, why: str) -> ConfigError:
        return ConfigError(
            f"{self.indexing.place} has no extension `vector`: {why}",
            hint="Install pgvector on the server, then let an administrator run in this database: "
            "CREATE EXTENSION vector;",
        )

    def _install(self, connection: psycopg.Connection[Any]) -> None:
        import psycopg

        try:
            with connection.transaction():
                connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        except psycopg.Error as error:
            if connection.closed:
                raise
            raise self._no_extension(str(error).splitlines()[0]) from error

    def ensure(self, dimension: int, complete: bool, schemas: Sequence[Mapping[str, Any]] = ()) -> bool:
        self._fit(dimension)
        if self.dimension is not None:
            return self._created
        with self.connection() as connection, connection.transaction():
            self._alone(connection)
            self._look(connection)
            if self.dimension is None:
                self._create(connection, dimension)
                self._created = True
        self._fit(dimension)
        return self._created

    def _create(self, connection: psycopg.Connection[Any], dimension: int) -> None:
        if not self.extension:
            self._install(connection)
        schema = quoted(self.indexing.default_schema)
        if connection.execute("SELECT to_regnamespace(%s) IS NULL", [schema]).fetchone() == (True,):
            connection.execute(f"CREATE SCHEMA {schema}")
        self._look(connection)
        words = ""
        if self.indexing.hybrid:
            words = f", words tsvector GENERATED ALWAYS AS (to_tsvector('simple', left(text, {WORDS_ROOM}))) STORED"
        connection.execute(
            f'CREATE TABLE {self.table} (id text COLLATE "C" PRIMARY KEY, stream text NOT NULL,'
            " namespace text NOT NULL, record_id text NOT NULL, chunk_number int NOT NULL, text text NOT NULL,"
            " metadata jsonb NOT NULL, digest text NOT NULL, metadata_digest text NOT NULL,"
            f" embedding {self.extension}.vector({dimension}) NOT NULL{words})",
            [],
        )
        connection.execute(f"CREATE INDEX ON {self.table} (stream, id)", [])
        if words:
            connection.execute(f"CREATE INDEX ON {self.table} USING gin (words)", [])
        self._look(connection)
        log.info("table created", extra={"table": self.name, "dimension": dimension})

    def _alone(self, connection: psycopg.Connection[Any]) -> None:
        """Lock out other syncs from creating or indexing this table until the end of the transaction."""
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"kitestring {self.name}"])

    # -- the index -----------------------------------------------------------------------------------------------------

    @property
    def expression(self) -> tuple[str, str]:
        """The indexed expression, and the type for comparing vectors."""
        if self.dimension is not None and self.dimension > INDEXED:
            kind = f"{self.extension}.halfvec({self.dimension})"
            return f"(embedding::{kind})", kind
        return "embedding", f"{self.extension}.vector"

    def _indexed(self, connection: psycopg.Connection[Any]) -> bool:
        """Whether there is an index for searches in this metric."""
        query = (
            "SELECT EXISTS (SELECT 1 FROM pg_index i JOIN pg_opclass o ON o.oid = ANY (i.indclass::oid[])"
            " WHERE i.indrelid = to_regclass(%s) AND i.indisvalid AND o.opcname LIKE %s)"
        )
        return bool(connection.execute(query, [self.name, f"%vec%\\_{self.kind}\\_ops"]).fetchone() == (True,))

    def finish(self) -> None:
        """Build the index, if it is missing: inserting rows into an index takes five times as long as building it."""
        import psycopg

        if self.dimension is None or self.dimension > HALF_INDEXED or self.indexing.index == "NONE":
            return
        for workers in ("", "0"):
            try:
                with self.connection() as connection, connection.transaction():
                    self._build(connection, workers)
                return
            except KitestringError as error:
                code = getattr(error.__cause__, "sqlstate", None)
                if code == "42501":
                    log.warning("the index for searches is missing, and only the owner of the table can create it",
                                extra={"table": self.name, "error": error.message})  # fmt: skip
                    return
                # Workers share memory, of which a container may have 64 MB only.
                if workers or not isinstance(error.__cause__, psycopg.Error) or code not in ("53100", "53200"):
                    raise

    def _build(self, connection: psycopg.Connection[Any], workers: str) -> None:
        if self._indexed(connection):
            return
        self._alone(connection)
        count = connection.execute(f"SELECT count(*) FROM {self.table}", []).fetchone()[0]  # type: ignore[index]
        if not count or self._indexed(connection):
            return
        assert self.dimension is not None
        memory = min(INDEX_MEMORY, count * (4 * self.dimension + 512)) // 1024
        connection.execute(
            "SELECT set_config('maintenance_work_mem', %s || 'kB', true)"
            " WHERE pg_size_bytes(current_setting('maintenance_work_mem')) < %s * 1024::int8",
            [str(memory), memory],
        )
        if workers:
            connection.execute("SET LOCAL max_parallel_maintenance_workers = 0")
        kind = "halfvec" if self.dimension > INDEXED else "vector"
        expression, _ = self.expression
        connection.execute(
            f"CREATE INDEX ON {self.table} USING hnsw (({expression}) {self.extension}.{kind}_{self.kind}_ops)", []
        )
        log.info("index built", extra={"table": self.name, "rows": count})

    # -- reading -------------------------------------------------------------------------------------------------------

    def find(self, refs: Sequence[Ref], whole: bool = False) -> dict[str, list[Stored]]:
        keys = [ref.key for ref in refs if not ref.former]  # every row has a namespace
        if self.dimension is None or not keys:
            return {}
        by_key: dict[str, list[Stored]] = {}
        for row in self.rows(
            f"SELECT {WHOLE if whole else LEDGER} FROM unnest(%s::text[]) AS wanted (key)"
            f" JOIN {self.table} AS chunk ON chunk.id > wanted.key || ':' AND chunk.id < wanted.key || ';'",
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
            with self.connection() as connection, connection.cursor(binary=True) as cursor:
                cursor.execute(f"SELECT id, embedding FROM {self.table} WHERE id = ANY (%s)", [ids])
                # Two numbers of 16 bits (the dimension and nothing), then floats, the highest byte first.
                vectors |= {row: np.frombuffer(data, ">f4", offset=4).astype(np.float32) for row, data in cursor}
        return vectors

    def scan(self, stream: str) -> Iterator[list[Stored]]:
        last = ""
        while self.dimension is not None:
            page = self.rows(
                f"SELECT {LEDGER} FROM {self.table} WHERE stream = %s AND id > %s ORDER BY id LIMIT {PAGE}",
                clean_text(stream),
                last,
            )
            if not page:
                return
            last = page[-1][0]
            yield [stored_of(row) for row in page]

    def other_namespace(self, stream: str, namespace: str) -> str | None:
        query = f"SELECT namespace FROM {self.table} WHERE stream = %s AND namespace <> %s LIMIT 1"
        rows = self.rows(query, clean_text(stream), clean_text(namespace)) if self.dimension is not None else []
        return rows[0][0] if rows else None

    def count(self, stream: str) -> int:
        live = f"stream = %s AND chunk_number = 0 AND NOT starts_with(metadata_digest, '{MARKED}')"
        query = f"SELECT count(*) FROM {self.table} WHERE {live}"
        return int(self.rows(query, clean_text(stream))[0][0]) if self.dimension is not None else 0

    # -- writing -------------------------------------------------------------------------------------------------------

    def upsert(self, chunks: Sequence[Chunk]) -> int:
        """Delete old rows and copy new ones in one transaction: half the writes of a copy that is merged."""
        encoder = CopyEncoder()
        with self._durably() as connection:
            connection.execute(f"DELETE FROM {self.table} WHERE id = ANY (%s)", [[chunk.id for chunk in chunks]])
            with connection.cursor().copy(
                f"COPY {self.name} ({', '.join(COLUMNS)}) FROM STDIN (FORMAT binary)"
            ) as copy:
                for data in encoder.encode(chunks):
                    copy.write(data)
        return encoder.cut

    def delete(self, chunks: Sequence[Stored]) -> None:
        with self._durably() as connection:
            rows = [chunk.row for chunk in chunks]
            connection.execute(f"DELETE FROM {self.table} WHERE id = ANY (%s)", [rows])

    def mark(self, chunks: Sequence[Stored], deleted_at: str) -> None:
        rows = [chunk.row for chunk in chunks]
        with self._durably() as connection:
            connection.execute(
                f"UPDATE {self.table} SET metadata = metadata || jsonb_build_object(%s::text, %s::text),"
                " metadata_digest = %s || metadata_digest WHERE id = ANY (%s) AND NOT starts_with(metadata_digest, %s)",
                [DELETED_AT, clean_text(deleted_at), MARKED, rows, MARKED],
            )

    @contextmanager
    def _durably(self) -> Iterator[psycopg.Connection[Any]]:
        """A transaction that is on disk when it has ended, whatever the server's default."""
        with self.connection() as connection, connection.transaction():
            connection.execute(
                "SELECT set_config('synchronous_commit', 'on', true)"
                " WHERE current_setting('synchronous_commit') = 'off'"
            )
            yield connection

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
        if self.dimension is None:
            raise ConfigError(
                f"{self.title} does not exist", hint="Correct indexing.collection, or sync into it first."
            )
        self._fit(len(vector))
        values: dict[str, Any] = {"vector": dumps_text(vector.tolist()), "limit": limit}
        conditions = [] if include_deleted else [f"NOT starts_with(metadata_digest, '{MARKED}')"]
        if stream:
            conditions.append("stream = %(stream)s")
            values["stream"] = clean_text(stream)
        if where is not None:
            conditions.append(condition(where, values))
        try:
            near = self._near(conditions, values)
        except (ConfigError, RecordError) as error:
            if not isinstance(where, str):
                raise
            raise ConfigError(
                f"the filter is not a jsonpath predicate: {error.message}",
                hint='Write it as $.status == "new" && $.price > 3, or give a mapping.',
            ) from error
        if not hybrid:
            hits = [hit_of(row) for row in near]
            sign = 1 if self.indexing.metric == "L2" else -1
            return [hit for hit in hits if threshold is None or sign * hit["distance"] <= sign * threshold]
        values["words"] = clean_text(text)
        words_query = "replace(plainto_tsquery('simple', %(words)s)::text, '&', '|')::tsquery"
        matching = self._select([*conditions, f"words @@ {words_query}"], values, f"-ts_rank_cd(words, {words_query})")
        scores: dict[str, float] = {}
        for ranking in (near, matching):  # merged by rank: https://dl.acm.org/doi/10.1145/1571941.1572114
            for rank, row in enumerate(ranking, 1):
                scores[row[0]] = scores.get(row[0], 0.0) + 1 / (60 + rank)
        rows = {row[0]: (*row[:-1], scores[row[0]]) for row in (*near, *matching)}
        return [hit_of(row) for row in sorted(rows.values(), key=lambda row: -row[-1])[:limit]]

    def _near(self, conditions: Sequence[str], values: Mapping[str, Any]) -> list[Any]:
        """The nearest rows. If filters leave too few rows of the index, it is not used."""
        expression, kind = self.expression
        order = f"{expression} OPERATOR({self.extension}.{self.operator}) %(vector)s::{kind}"
        with self.connection() as connection, connection.transaction():
            if not self._indexed(connection):
                return self._select(conditions, values, order, connection)
            connection.execute("SELECT set_config('hnsw.ef_search', %s, true)",
                               [str(min(1_000, max(100, 2 * values["limit"])))])  # fmt: skip
            if self.iterates:
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
            with self.connection() as own:
                return self._select(conditions, values, order, own)
        measure = f"embedding OPERATOR({self.extension}.{self.operator}) %(vector)s::{self.extension}.vector"
        distance = {"COSINE": f"1 - ({measure})", "L2": measure, "IP": f"-({measure})"}[self.indexing.metric]
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        query = (
            f"SELECT id, record_id, stream, chunk_number, text, metadata::text, {distance} FROM {self.table}{where}"
            f" ORDER BY {order} LIMIT %(limit)s"
        )
        return connection.execute(query, values).fetchall()
