"""The table of a pgvector destination: its connections, its columns, the rights on it, its index."""

# ruff: noqa: S608 - names in statements are quoted, all else is a parameter

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from kitestring.destinations.pgvector.indexing import Indexing
from kitestring.destinations.pgvector.rows import COLUMNS
from kitestring.errors import ConfigError, KitestringError
from kitestring.vector.store import require_dimension
from kitestring.vendors.sql_quoting import quoted

if TYPE_CHECKING:
    import psycopg

log = logging.getLogger("kitestring.pgvector")

MOST_DIMENSIONS = 16_000
"""Of a column; an index takes 2,000, and 4,000 in half precision (https://github.com/pgvector/pgvector#reference)."""
INDEXED, HALF_INDEXED = 2_000, 4_000
METRICS = {"COSINE": ("<=>", "cosine"), "L2": ("<->", "l2"), "IP": ("<#>", "ip")}
"""The operator of each metric, and its part of the names of operator classes."""
INDEX_MEMORY = 1024 * 1024 * 1024
LOOK_S = 45.0
"""A server ends the process of a reader after a minute, and not the query."""
WORDS_ROOM = 100_000
"""The characters of a text that a search by words covers: a tsvector has at most 1 MB."""


class VectorTable:
    """One table and the connections to it; safe to share between threads.

    `name` is the quoted name, `sql_name` the same for statements with parameters. `dimension` is None while the
    table does not exist. `iterates`: pgvector can continue the scan of an index.
    """

    def __init__(self, indexing: Indexing) -> None:
        self.indexing = indexing
        self.name = f"{quoted(indexing.default_schema)}.{quoted(indexing.collection)}"
        self.sql_name = self.name.replace("%", "%%")
        self.title = f"the table {indexing.default_schema}.{indexing.collection} of {indexing.place}"
        self.operator, self.kind = METRICS[indexing.metric]
        self.extension = ""
        self.iterates = False
        self.dimension: int | None = None
        self._idle: list[psycopg.Connection[Any]] = []
        self._lock = threading.Lock()
        self.created = False
        self.hybrid = False
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
        """The result of a query."""
        with self.connection() as connection:
            return connection.execute(query, values).fetchall()

    def look(self, query: str, values: Mapping[str, Any]) -> list[Any]:
        """The result of a query for people who look at data. The query ends in time, even if nobody waits for it."""
        with self.connection() as connection, connection.transaction():
            connection.execute("SELECT set_config('statement_timeout', %s, true)", [f"{LOOK_S:g}s"])
            return connection.execute(query, values).fetchall()

    @contextmanager
    def durable_transaction(self) -> Iterator[psycopg.Connection[Any]]:
        """A transaction that is on disk when it has ended, whatever the server's default."""
        with self.connection() as connection, connection.transaction():
            connection.execute(
                "SELECT set_config('synchronous_commit', 'on', true)"
                " WHERE current_setting('synchronous_commit') = 'off'"
            )
            yield connection

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()
        self.indexing.close_tunnel()

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

    def fit(self, dimension: int) -> None:
        """`ConfigError` if vectors of this dimension do not fit."""
        require_dimension(self.title, self.dimension, dimension, "indexing.collection")
        if dimension > MOST_DIMENSIONS:
            raise ConfigError(
                f"the embedder makes {dimension} dimensions, a column of pgvector has {MOST_DIMENSIONS} at most",
                hint="Choose another embedder.",
            )

    def check(self, dimension: int) -> None:
        """`ConfigError` for a read-only server, a missing extension or a missing right; changes nothing."""
        self.fit(dimension)
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

    def ensure(self, dimension: int) -> bool:
        """Create the table if it is absent. True: this object created it."""
        self.fit(dimension)
        if self.dimension is not None:
            return self.created
        with self.connection() as connection, connection.transaction():
            self._alone(connection)
            self._look(connection)
            if self.dimension is None:
                self._create(connection, dimension)
                self.created = True
        self.fit(dimension)
        return self.created

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
            f'CREATE TABLE {self.sql_name} (id text COLLATE "C" PRIMARY KEY, stream text NOT NULL,'
            " namespace text NOT NULL, record_id text NOT NULL, chunk_number int NOT NULL, text text NOT NULL,"
            " metadata jsonb NOT NULL, digest text NOT NULL, metadata_digest text NOT NULL,"
            f" embedding {self.extension}.vector({dimension}) NOT NULL{words})",
            [],
        )
        connection.execute(f"CREATE INDEX ON {self.sql_name} (stream, id)", [])
        if words:
            connection.execute(f"CREATE INDEX ON {self.sql_name} USING gin (words)", [])
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

    def indexed(self, connection: psycopg.Connection[Any]) -> bool:
        """Whether there is an index for searches in this metric."""
        query = (
            "SELECT EXISTS (SELECT 1 FROM pg_index i JOIN pg_opclass o ON o.oid = ANY (i.indclass::oid[])"
            " WHERE i.indrelid = to_regclass(%s) AND i.indisvalid AND o.opcname LIKE %s)"
        )
        return bool(connection.execute(query, [self.name, f"%vec%\\_{self.kind}\\_ops"]).fetchone() == (True,))

    def build_index(self) -> None:
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
        if self.indexed(connection):
            return
        self._alone(connection)
        count = connection.execute(f"SELECT count(*) FROM {self.sql_name}", []).fetchone()[0]  # type: ignore[index]
        if not count or self.indexed(connection):
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
            f"CREATE INDEX ON {self.sql_name} USING hnsw (({expression}) {self.extension}.{kind}_{self.kind}_ops)",
            [],
        )
        log.info("index built", extra={"table": self.name, "rows": count})
