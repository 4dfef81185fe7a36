"""PostgreSQL: tables and views as Arrow through ADBC, in ranges of pages or by a cursor column."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, ClassVar

from pydantic import PrivateAttr, model_validator

from kitestring.batch import Batch
from kitestring.change_following import FOLLOWING_DELAY_S, Following, needs_capture
from kitestring.config import choice, option
from kitestring.errors import ConfigError
from kitestring.facts import Facts, Proposal
from kitestring.replication_slot import SlotReport
from kitestring.source import Item, Source
from kitestring.sources.postgres.capture import Capture
from kitestring.sources.postgres.captured_table import captured_tables
from kitestring.sources.postgres.catalog import (
    columns_of,
    denied_error,
    existing_values,
    in_schemas,
    page_ranges,
    qualified_literals,
    table_of,
)
from kitestring.sources.postgres.columns import CURSORS, Column, stream_of
from kitestring.sources.postgres.replication_method import ChangeDataCapture, ReplicationMethod, Standard, Xmin
from kitestring.sources.postgres.result import tables_of, with_decimals
from kitestring.sources.postgres.xmin import incremental_stream, read_by_xmin, readable_tables
from kitestring.sql.first_load import merged
from kitestring.sql.sorted_watermark import SortedWatermark
from kitestring.types import GLOBAL, Catalog, Partition, State, States, Stream
from kitestring.vendors.postgres import (
    PROPOSAL,
    PostgresConfig,
    close,
    rows,
    run,
)
from kitestring.vendors.sql_quoting import literal, quoted

log = logging.getLogger("kitestring.postgres")

BATCH_BYTES = 2 * 1024 * 1024

AIRBYTES: dict[str, Callable[[Any], bool]] = {
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
        title="PostgreSQL",
        network="native",
        programs=False,
        follows_changes=True,
        packages=("adbc_driver_manager", "adbc_driver_postgresql", "pyarrow"),
        preload=("pyarrow", "adbc_driver_manager"),
        category="database",
        summary="tables and views of PostgreSQL",
        proposal=Proposal(config=PROPOSAL),
    )

    airbyte_options: ClassVar[Mapping[str, Callable[[Any], bool]]] = AIRBYTES
    airbyte_refusal: ClassVar[str] = "Entra sign-in"

    values_new_fields: ClassVar[bool] = True

    schemas: list[str] = option(default_factory=lambda: ["public"], order=3)
    """The schemas whose tables are streams. Empty: all."""

    replication_method: ReplicationMethod = choice(
        "method", default_factory=Standard, order=8, title="How changes are read", type="object"
    )

    connections: int = option(4, ge=1, le=64, order=9, group="advanced")
    """How many connections read at the same time."""

    _snapshot: Snapshot = PrivateAttr(default_factory=lambda: Snapshot())
    _earlier_snapshots: list[Snapshot] = PrivateAttr(default_factory=list)
    _capture: Capture | None = PrivateAttr(default=None)

    def model_post_init(self, context: Any, /) -> None:
        super().model_post_init(context)
        if isinstance(self.replication_method, ChangeDataCapture):
            self._capture = Capture(self, self.replication_method)

    @model_validator(mode="before")
    @classmethod
    def _method_alone(cls, values: Any) -> Any:
        """Accept `replication_method: CDC` for `replication_method: {method: CDC}`."""
        if isinstance(values, Mapping) and isinstance(values.get("replication_method"), str):
            return {**values, "replication_method": {"method": values["replication_method"]}}
        return values

    def check(self) -> None:
        if not len(self.discover()):
            place = self.place
            raise ConfigError(
                f"{place} shows the user {place.user} no table in the schemas {', '.join(self.schemas) or '(all)'}",
                hint="Check `schemas`, and that the user has USAGE on them and SELECT on their tables.",
            )
        if self._capture is not None:
            with self._catalog() as connection:
                tables = captured_tables(connection, in_schemas(self.schemas))
            self._capture.check(tables)

    def discover(self) -> Catalog:
        """Tables, views, materialized views and foreign tables that the user may read."""
        with self._catalog() if self._capture is None else self._capture.database.in_transaction() as connection:
            tables = columns_of(connection, in_schemas(self.schemas))
            values = existing_values(connection, [c for columns in tables.values() for c in columns])
            by_xmin = readable_tables(connection, in_schemas(self.schemas)) if self._by_xmin else set()
            captured = captured_tables(connection, in_schemas(self.schemas)) if self._capture is not None else {}
        hidden = sorted(key for key, columns in tables.items() if not any(c.readable for c in columns))
        if hidden:
            log.warning("tables without the right to SELECT are left out", extra={"tables": hidden})
        streams = {key: stream_of(columns, values) for key, columns in tables.items() if key not in hidden}
        if self._capture is not None:
            capture = self._capture
            streams = {key: capture.stream(stream, captured.get(key), tables[key]) for key, stream in streams.items()}
        if self._by_xmin:
            streams = {key: incremental_stream(stream, key in by_xmin) for key, stream in streams.items()}
        return Catalog(tuple(streams.values()))

    @property
    def _by_xmin(self) -> bool:
        return isinstance(self.replication_method, Xmin)

    def groups(self, streams: Sequence[Stream]) -> list[list[Stream]]:
        """Captured streams share the log; every other stream is for itself."""
        captured = [stream for stream in streams if self._capture is not None and stream.incremental]
        return [*([captured] if captured else []), *([stream] for stream in streams if stream not in captured)]

    def partitions(self, streams: Sequence[Stream], states: States) -> Iterator[Partition]:
        """A full refresh of a large table: ranges of its pages, in one snapshot. Otherwise one partition."""
        if self._capture is not None and streams[0].incremental:
            yield from self._capture.partitions(streams, states)
            return
        for stream in streams:
            with self._catalog() as connection:
                columns = self._columns(connection, stream)
                ranges = [("", f"{table_of(stream)} AS t")]
                if not stream.incremental:
                    ranges = list(page_ranges(connection, table_of(stream))) or ranges
            cursor = cursor_column(stream, columns) if stream.incremental and not self._by_xmin else None
            data = {
                "columns": ", ".join(c.selected for c in columns),
                "decimals": {c.column: c.decimal for c in columns if c.decimal},
                "cursor": cursor.column if cursor else None,
                "cursor_type": cursor.type if cursor else None,
                "snapshot": self._snapshot.name(self._open_catalog) if len(ranges) > 1 else None,
            }
            for key, place in ranges:
                yield Partition((stream,), key=key, data={**data, "from": place})

    def read(self, partition: Partition, states: States) -> Iterator[Item]:
        stream, data = partition.stream, partition.data
        if self._capture is not None and stream.incremental:
            capture = self._capture
            yield from capture.read_log(partition, states) if "windows" in data else capture.read_part(partition)
            return
        with self._connected() as connection:
            if stream.incremental:
                state, decimals = states.get(stream.key, {}), data["decimals"]
                if self._by_xmin:
                    yield from read_by_xmin(connection, stream, data["columns"], decimals, state, BATCH_BYTES)
                else:
                    yield from read_changes(connection, stream, data, state)
                return
            if data["snapshot"]:
                run(connection, f"SET TRANSACTION SNAPSHOT {literal(data['snapshot'])}")
            query = f"SELECT {data['columns']} FROM {data['from']}"  # noqa: S608 - quoted
            for read in tables_of(connection, query, BATCH_BYTES):
                table, rejects = with_decimals(read, data["decimals"])
                yield from rejects
                if table.num_rows:
                    yield Batch(stream.key, table=table)

    def merge(self, stream: str, state: State, checkpoint: State) -> State:
        return checkpoint if self._capture is None or stream == GLOBAL else merged(state, checkpoint)

    def saved(self, states: States) -> None:
        if self._capture is not None:
            self._capture.saved(states)

    @property
    def follows_log(self) -> bool:
        return self._capture is not None

    def before_refresh(self, streams: Sequence[Stream], states: States) -> Callable[[Collection[str]], States]:
        assert self._capture is not None
        return self._capture.before_refresh(streams, states)

    def leave_out(self, stream: str) -> bool:
        return self._capture is not None and self._capture.leave_out(stream)

    def slot_report(self) -> SlotReport | None:
        return None if self._capture is None else self._capture.slot_report()

    def drop_slot(self) -> list[str]:
        return [] if self._capture is None else self._capture.drop_slot()

    def refuse_to_follow(self) -> None:
        if self._capture is None:
            raise needs_capture(self.replication_method.method)

    def follow(self, following: Following | None) -> None:
        self.refuse_to_follow()
        assert self._capture is not None
        self._capture.follow(following)

    def max_delay_s(self) -> float | None:
        method = self.replication_method
        follows = self._capture is not None and self._capture.following is not None
        if follows or (isinstance(method, ChangeDataCapture) and method.follow_seconds):
            return FOLLOWING_DELAY_S
        return None

    def refresh_snapshot(self) -> None:
        self._earlier_snapshots.append(self._snapshot)
        self._snapshot = Snapshot()

    def concurrency(self) -> int:
        return self.connections

    def close(self) -> None:
        earlier, self._earlier_snapshots = self._earlier_snapshots, []
        for snapshot in [*earlier, self._snapshot]:
            snapshot.close()
        if self._capture is not None:
            self._capture.close()
        self.close_tunnel()

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

    def _connected(self) -> AbstractContextManager[Any]:
        """A connection that reads tables, in a read-only transaction with one snapshot."""
        return self._using(self.connect)

    def _catalog(self) -> AbstractContextManager[Any]:
        """A connection for short results, in a read-only transaction with one snapshot."""
        return self._using(self.open_catalog)

    @contextmanager
    def _using(self, connect: Callable[[], Any]) -> Iterator[Any]:
        """A connection in a read-only transaction with one snapshot; errors of PostgreSQL become ours."""
        connection = self._begun(connect)
        try:
            with self.translated():
                yield connection
        finally:
            close(connection)

    def _open_catalog(self) -> Any:
        return self._begun(self.open_catalog)

    def _begun(self, connect: Callable[[], Any]) -> Any:
        connection = connect()
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


def read_changes(connection: Any, stream: Stream, data: Mapping[str, Any], state: State) -> Iterator[Item]:
    """The rows from the state's cursor value on, in its order, without those that an earlier sync wrote."""
    table, column = table_of(stream), f"t.{quoted(data['cursor'])}"
    clock = rows(connection, "SELECT (extract(epoch FROM now()) * 1000000)::int8 AS now")[0]["now"]
    mark = SortedWatermark(
        data["cursor"], data["cursor_type"], state, now=clock, keys=stream.primary_key, digests=stream.write.appends
    )
    where = "" if mark.since is None else f"WHERE {column} >= {literal(str(mark.since))}"
    query = f"SELECT {data['columns']} FROM {table} AS t {where} ORDER BY {column} NULLS FIRST"  # noqa: S608 - quoted
    parts = (with_decimals(read, data["decimals"]) for read in tables_of(connection, query, BATCH_BYTES))
    yield from mark.items(stream.key, parts)
