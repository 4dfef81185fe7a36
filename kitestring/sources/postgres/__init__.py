"""PostgreSQL: tables and views as Arrow through ADBC, in ranges of pages or by a cursor column."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

from pydantic import PrivateAttr

from kitestring.batch import Batch
from kitestring.config import option
from kitestring.errors import ConfigError
from kitestring.facts import Facts, Proposal
from kitestring.source import Item, Source
from kitestring.sources.postgres.columns import COLUMNS, CURSORS, Column, stream_of
from kitestring.sources.postgres.result import tables_of, with_decimals
from kitestring.sources.postgres.sorted_watermark import SortedWatermark
from kitestring.types import Catalog, Partition, State, States, Stream, Suspicion
from kitestring.vendors.postgres import (
    PROPOSAL,
    Place,
    PostgresConfig,
    asks_for_no_tunnel,
    close,
    rows,
    run,
)
from kitestring.vendors.sql_quoting import literal, quoted

log = logging.getLogger("kitestring.postgres")

BATCH_BYTES = 2 * 1024 * 1024
PARTITION_BYTES = 64 * 1024 * 1024

# The tables with the rows of a table: itself, or the leaves of a partitioned one. `whole`: its pages can be read in
# ranges, which views, column rights and row policies do not allow.
PARTS = """
SELECT format('%I.%I', n.nspname, c.relname) AS name, pg_relation_size(c.oid) / p.page_bytes AS pages, p.page_bytes,
       c.relkind = 'r' AND coalesce(m.amname = 'heap', false) AND has_table_privilege(c.oid, 'SELECT')
       AND NOT row_security_active(t.oid) AS whole
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_class t ON t.oid = {0}::regclass
LEFT JOIN pg_am m ON m.oid = c.relam
CROSS JOIN (SELECT current_setting('block_size')::int8 AS page_bytes) p
WHERE c.oid IN (SELECT relid FROM pg_partition_tree(t.oid) WHERE isleaf) OR (c.oid = t.oid AND c.relkind <> 'p')
"""


AIRBYTES: dict[str, Callable[[Any], bool]] = {
    "replication_method": lambda value: not value or value.get("method") == "Standard",
    "tunnel_method": asks_for_no_tunnel,
    "jdbc_url_params": lambda value: not value,
    "entra_service_principal_auth": lambda value: not value,
    "entra_tenant_id": lambda value: not value,
    "entra_client_id": lambda value: not value,
    "checkpoint_target_interval_seconds": lambda _: True,
    "max_db_connections": lambda _: True,
    "concurrency": lambda _: True,
}
"""Options of Airbyte's source-postgres 3.7 that do not exist here, and whether a value has no effect."""


class Postgres(PostgresConfig, Source):
    """Reads the tables and views of a PostgreSQL database, version 14 or later.

    A full refresh reads a large table in ranges of pages, several at a time and all in one snapshot. An incremental
    read is ordered by the cursor column and can continue after any checkpoint.
    """

    facts: ClassVar[Facts] = Facts(
        network="native",
        programs=False,
        packages=("adbc_driver_manager", "adbc_driver_postgresql", "pyarrow"),
        preload=("pyarrow", "adbc_driver_manager"),
        category="database",
        summary="tables and views of PostgreSQL, as Arrow",
        proposal=Proposal(config=PROPOSAL),
    )

    airbyte_options: ClassVar[Mapping[str, Callable[[Any], bool]]] = AIRBYTES
    airbyte_refusal: ClassVar[str] = "CDC, xmin, tunnels and Entra sign-in"

    schemas: list[str] = option(default_factory=lambda: ["public"], order=3)
    """The schemas whose tables are streams. Empty: all."""

    connections: int = option(4, ge=1, le=64, order=8, group="advanced")
    """How many connections read at the same time."""

    _snapshot: Snapshot = PrivateAttr(default_factory=lambda: Snapshot())

    def check(self) -> None:
        if not len(self.discover()):
            place = self.place
            raise ConfigError(
                f"{place} shows the user {place.user} no table in the schemas {', '.join(self.schemas) or '(all)'}",
                hint="Check `schemas`, and that the user has USAGE on them and SELECT on their tables.",
            )

    def discover(self) -> Catalog:
        """Tables, views, materialized views and foreign tables that the user may read."""
        with self._connected() as connection:
            tables = columns_of(connection, in_schemas(self.schemas))
        hidden = sorted(key for key, columns in tables.items() if not any(c.readable for c in columns))
        if hidden:
            log.warning("tables without the right to SELECT are left out", extra={"tables": hidden})
        return Catalog(tuple(stream_of(columns) for key, columns in tables.items() if key not in hidden))

    def partitions(self, streams: Sequence[Stream], states: States) -> Iterator[Partition]:
        """A full refresh of a large table: ranges of its pages, in one snapshot. Otherwise one partition."""
        for stream in streams:
            with self._connected() as connection:
                columns = self._columns(connection, stream)
                ranges = [("", f"{table_of(stream)} AS t")]
                if not stream.incremental:
                    ranges = list(page_ranges(connection, table_of(stream))) or ranges
            cursor = cursor_column(stream, columns) if stream.incremental else None
            data = {
                "columns": ", ".join(c.selected for c in columns),
                "decimals": {c.column: c.decimal for c in columns if c.decimal},
                "cursor": cursor.column if cursor else None,
                "cursor_type": cursor.type if cursor else None,
                "snapshot": self._snapshot.name(self._connect) if len(ranges) > 1 else None,
            }
            for key, place in ranges:
                yield Partition((stream,), key=key, data={**data, "from": place})

    def read(self, partition: Partition, states: States) -> Iterator[Item]:
        stream, data = partition.stream, partition.data
        with self._connected() as connection:
            if stream.incremental:
                yield from read_changes(connection, stream, data, states.get(stream.key, {}))
                return
            if data["snapshot"]:
                run(connection, f"SET TRANSACTION SNAPSHOT {literal(data['snapshot'])}")
            query = f"SELECT {data['columns']} FROM {data['from']}"  # noqa: S608 - quoted
            for read in tables_of(connection, query, BATCH_BYTES):
                table, rejects = with_decimals(read, data["decimals"])
                yield from rejects
                if table.num_rows:
                    yield Batch(stream.key, table=table)

    def concurrency(self) -> int:
        return self.connections

    def close(self) -> None:
        self._snapshot.close()

    def _columns(self, connection: Any, stream: Stream) -> list[Column]:
        """The columns to read: the selected ones, the primary key and the cursor."""
        tables = columns_of(
            connection, f"format('%I.%I', n.nspname, c.relname) = format('%I.%I', {qualified_literals(stream)})"
        )
        if not tables:
            raise ConfigError(
                f"{self.place} no longer has a table {stream.key}",
                hint="Take the stream out of the connection, or check the rights of the user.",
            )
        (columns,) = tables.values()
        names = {path[0] for path in [*stream.fields, *stream.primary_key, *([stream.cursor] if stream.cursor else [])]}
        chosen = [c for c in columns if c.readable and (c.column in names or not stream.fields)]
        if not chosen:
            raise denied_error(self.place, stream.key)
        return chosen

    # -- connecting ----------------------------------------------------------------------------------------------------

    @contextmanager
    def _connected(self) -> Iterator[Any]:
        """A connection in a read-only transaction with one snapshot; errors of PostgreSQL become ours."""
        connection = self._connect()
        try:
            with self.translated():
                yield connection
        finally:
            close(connection)

    def _connect(self) -> Any:
        connection = self.connect()
        try:
            with self.translated():
                run(connection, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        except BaseException:
            close(connection)
            raise
        return connection


class Snapshot:
    """A snapshot that several connections share: one more connection holds it until it is closed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connection: Any = None
        self._name = ""

    def name(self, connect: Callable[[], Any]) -> str:
        with self._lock:
            if self._connection is None:
                self._connection = connect()
                self._name = rows(self._connection, "SELECT pg_export_snapshot() AS name")[0]["name"]
            return self._name

    def close(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None


def denied_error(place: Place, table: str) -> ConfigError:
    return ConfigError(
        f"the user {place.user} may not read {table} in {place}",
        hint=f"GRANT SELECT ON {table} TO {place.user}; and USAGE on its schema.",
        table=table,
    )


def columns_of(connection: Any, where: str) -> dict[str, list[Column]]:
    """The columns of the tables, by stream key."""
    tables: dict[str, list[Column]] = {}
    for row in rows(connection, COLUMNS.format(where=where)):
        tables.setdefault(f"{row['namespace']}.{row['name']}", []).append(Column(**row))
    return tables


def in_schemas(schemas: Sequence[str]) -> str:
    if schemas:
        return f"n.nspname IN ({', '.join(map(literal, schemas))})"
    return "n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%'"


def qualified_literals(stream: Stream) -> str:
    return f"{literal(stream.namespace or 'public')}, {literal(stream.name)}"


def table_of(stream: Stream) -> str:
    return f"{quoted(stream.namespace or 'public')}.{quoted(stream.name)}"


def cursor_column(stream: Stream, columns: Sequence[Column]) -> Column:
    column = next((c for c in columns if stream.cursor == (c.column,)), None)
    if column is None or column.type not in CURSORS:
        fit = [c.column for c in columns if c.type in CURSORS]
        what = f"is of type {column.type}, which has no order" if column else "is not a column"
        raise ConfigError(
            f"the cursor {'.'.join(stream.cursor or ())} of {stream.key} {what}",
            hint=f"Choose one of: {', '.join(fit)}." if fit else "Read the stream as full_refresh.",
            stream=stream.key,
        )
    return column


def page_ranges(connection: Any, table: str) -> Iterator[tuple[str, str]]:
    """Keys and FROM clauses that together read a table once; none if it must be read as a whole.

    Pages have one size whatever the primary key is, and PostgreSQL 14 and later read a range of them directly. The last
    range is open, so it includes pages that were added meanwhile.
    """
    parts = rows(connection, PARTS.format(literal(table)))
    if not all(part["whole"] for part in parts):
        return
    for part in parts:
        name, step = part["name"], max(1, PARTITION_BYTES // part["page_bytes"])
        starts = list(range(0, part["pages"], step)) or [0]
        for start, stop in zip(starts, [*starts[1:], None], strict=True):
            below = f" AND t.ctid < '({stop},0)'" if stop else ""
            yield f"{name}:{start}", f"{name} AS t WHERE t.ctid >= '({start},0)'{below}"


def read_changes(connection: Any, stream: Stream, data: Mapping[str, Any], state: State) -> Iterator[Item]:
    """The rows from the state's cursor value on, in its order, without those that an earlier sync wrote."""
    table, column = table_of(stream), f"t.{quoted(data['cursor'])}"
    clock = rows(connection, "SELECT (extract(epoch FROM now()) * 1000000)::int8 AS now")[0]["now"]
    mark = SortedWatermark(
        data["cursor"], data["cursor_type"], state, now=clock, keys=stream.primary_key, digests=stream.write.appends
    )
    where = "" if mark.since is None else f"WHERE {column} >= {literal(str(mark.since))}"
    query = f"SELECT {data['columns']} FROM {table} AS t {where} ORDER BY {column} NULLS FIRST"  # noqa: S608 - quoted
    for read in () if mark.stuck else tables_of(connection, query, BATCH_BYTES):
        part, rejects = with_decimals(read, data["decimals"])
        yield from rejects
        if not part.num_rows:
            continue
        new = mark.take(part)
        if new.num_rows:
            yield Batch(stream.key, table=new)
        if (checkpoint := mark.checkpoint()) is not None:
            yield checkpoint
    mark.finish()
    yield from map(Suspicion, mark.doubts)
    if (checkpoint := mark.checkpoint(last=True)) is not None:
        yield checkpoint
