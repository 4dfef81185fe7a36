"""Change data capture of one source: the first load of its tables, then their changes from the slot's log.

All captured streams are one group. The parts of tables that are not loaded come first, each in a snapshot whose
position in the log is known; then one partition reads the log for all streams, up to its end when that began. The slot
is confirmed when the states are durable, never earlier.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from kitestring.batch import Batch
from kitestring.errors import ConfigError, KitestringError, TransientError
from kitestring.replication_slot import SlotReport
from kitestring.sources.postgres.captured_rows import part_exists, parts_of, rows_in, stream_of_partition
from kitestring.sources.postgres.captured_table import CapturedTable, captured_tables, named
from kitestring.sources.postgres.catalog import columns_of, denied_error, page_plan, table_of
from kitestring.sources.postgres.change_log import LSN, ChangeLog, Followed, schema_of
from kitestring.sources.postgres.columns import Column
from kitestring.sources.postgres.keyed_read import as_before, read_keys
from kitestring.sources.postgres.replication_method import ChangeDataCapture
from kitestring.sources.postgres.server_history import lost_history
from kitestring.sources.postgres.slot import ReplicationObjects, lost_error
from kitestring.sources.postgres.value_text import converted
from kitestring.sql.changes import Tracked, Window, items
from kitestring.sql.first_load import FirstLoad, Positions
from kitestring.types import (
    GLOBAL,
    Checkpoint,
    Failed,
    Partition,
    State,
    States,
    Stream,
    Suspicion,
    SyncMode,
)
from kitestring.vendors.postgres import PostgresConfig, close, rows, run
from kitestring.vendors.postgres.replication import (
    NewSlot,
    Replication,
    ServerIdentity,
    SlotInUseError,
)
from kitestring.vendors.sql_quoting import literal

if TYPE_CHECKING:
    import pyarrow as pa

    from kitestring.source import Item

log = logging.getLogger("kitestring.postgres")

MOST_PARTS = 1_000
PART_BYTES = 64 * 1024 * 1024
LOCK_TIMEOUT_MS = 30_000
ALTERED = ("42703", "42P01", "42704")
"""Codes for a column, a table or a type that is no longer there: the catalog was read before it was dropped."""
SLOT_FREE_S = 30.0
"""How long it waits for a process that still reads the slot: one that was killed is noticed by the server."""


@dataclass(slots=True)
class Snapshot:
    """The open snapshot in which tables are loaded; `time` is that of the server."""

    replication: Replication
    slot: NewSlot
    time: datetime


class Capture:
    """The state of change data capture in one `Postgres` source, from planning to `saved`."""

    def __init__(self, config: PostgresConfig, method: ChangeDataCapture) -> None:
        self._config = config
        self._method = method
        self._lock = threading.Lock()
        self._snapshot: Snapshot | None = None
        self._replication: Replication | None = None
        self._waiting: Replication | None = None
        self._positions: Positions | None = None
        self._failed: set[str] = set()
        self._created = False
        self._server: ServerIdentity | None = None

    # -- the slot, for those who watch it ------------------------------------------------------------------------------

    def slot_report(self) -> SlotReport:
        with self._connected() as connection:
            return self._objects(connection).report(self._created)

    def drop_slot(self) -> list[str]:
        """Drop the slot and our own publication; what was dropped. The hint of an error has the SQL."""
        try:
            with self._connected() as connection:
                return self._objects(connection).drop_all(SLOT_FREE_S)
        except TransientError:
            raise
        except KitestringError as error:
            name = self._method.replication_slot
            raise ConfigError(
                f"the slot {name} could not be dropped: {error.message}",
                hint=f"Run at {self._config.place}: SELECT pg_drop_replication_slot({literal(name)});",
            ) from error

    # -- the catalog and the check -------------------------------------------------------------------------------------

    def check(self, tables: Mapping[str, CapturedTable]) -> None:
        """`ConfigError` where changes cannot be captured; what is only risky is logged. Nothing is created."""
        with self._connected() as connection:
            objects = self._objects(connection)
            objects.check_server()
            objects.warn_of_unlimited_log()
            objects.publish([table for table in tables.values() if not table.obstacle], create=False)
            status = objects.status()
            if status is not None and status.is_lost:
                raise lost_error(
                    self._config.place,
                    status.name,
                    f"the server has thrown away the log of the slot {status.name}",
                    None,
                )
        self._config.open_replication().close()
        for table in tables.values():
            if table.obstacle:
                log.warning("no changes can be captured: %s", table.obstacle, extra={"stream": table.stream})

    def stream(self, stream: Stream, table: CapturedTable | None, columns: Sequence[Column]) -> Stream:
        """The stream of a table as it can be captured; a table that cannot, or a view, is read as a whole."""
        readable = {column.column for column in columns if column.readable}
        if table is None or table.obstacle or not readable.issuperset(table.key):
            return replace(stream, sync_modes=(SyncMode.full_refresh,))
        return replace(
            stream,
            schema=schema_of([column for column in columns if column.readable]),
            primary_key=table.primary_key,
            cursor=(LSN,),
            source_defined_cursor=True,
            sync_modes=(SyncMode.full_refresh, SyncMode.incremental),
        )

    # -- planning ------------------------------------------------------------------------------------------------------

    def partitions(self, streams: Sequence[Stream], states: States) -> Iterator[Partition]:
        """The parts of tables that are still to be loaded, then the log."""
        self._positions = positions = Positions([stream.key for stream in streams], states)
        self._failed = set()
        windows: dict[str, list[int]] = {}
        with self._connected() as connection:
            objects = self._objects(connection)
            objects.check_server()
            self._check_identity(positions)
            tables = self._tables(connection, streams)
            errors = {stream.key: self._refusal(stream, tables) for stream in streams}
            live = [stream for stream in streams if errors[stream.key] is None]
            begun_tables = [tables[stream.key] for stream in live if positions.low(stream.key) is not None]
            unpublished = {table.stream for table in objects.unpublished(begun_tables)}
            for table in begun_tables:
                errors[table.stream] = self._loss(table, positions, table.stream in unpublished)
            live = [stream for stream in live if errors[stream.key] is None]
            if live:
                objects.publish([tables[stream.key] for stream in live])
                tables |= self._tables(connection, live)
            confirmed = self._slot_position(objects, positions, bool(live))
            for stream in live:
                errors[stream.key] = self._gap(stream, positions, confirmed)
            plans = []
            for stream in live:
                if errors[stream.key] is not None:
                    continue
                load = self._load(connection, stream, tables[stream.key], positions, confirmed)
                if load is not None:
                    plans.append((stream, load))
                else:
                    window = positions.window(stream.key)
                    windows[stream.key] = [window.low, window.first, window.last]
            snapshot = self._snapshot_at(objects) if plans else None
        self._failed.update(key for key, error in errors.items() if error is not None)
        if snapshot is not None:
            plans = [(stream, begun(load, snapshot.slot.position)) for stream, load in plans]
            for stream, load in plans:
                window = load.window(snapshot.slot.position)
                windows[stream.key] = [window.low, window.first, window.last]
            place = {"at": snapshot.slot.position, "snapshot": snapshot.slot.snapshot, "time": snapshot.time}
            for stream, load in plans:
                for part, clause in parts_of(load):
                    if part not in load.parts and stream.key not in self._failed:
                        data = {**place, "load": load.begun(), "part": part, "from": clause}
                        yield Partition((stream,), key=f"load {part}", data=data)
        doubts = {
            stream.key: sentences
            for stream in live
            if stream.key in windows
            if (sentences := self._doubts(stream, tables[stream.key], positions.note(stream.key)))
        }
        refused = {key: error for key, error in errors.items() if error is not None}
        yield Partition(
            tuple(streams), key="log", data={"windows": windows, "refused": refused, "doubts": doubts}, order=1
        )

    def _doubts(self, stream: Stream, table: CapturedTable, note: Mapping[str, Any]) -> list[str]:
        """What happened to a table that the log says by halves."""
        sentences = []
        if stream.write.keep == "latest" and (leaves := table.departed_leaves(note)):
            sentences.append(departed_sentence(stream.key, leaves))
        if table.may_lack_changes(note):
            sentences.append(
                f"the publication {self._method.publication} was altered since the last sync: changes of {stream.key} "
                "that it left out meanwhile are in no log; if it left out any, refresh the stream"
            )
        return sentences

    def _check_identity(self, positions: Positions) -> None:
        """`ConfigError` where the server has not the log that the states were read from: it is another one, or was
        restored to an earlier moment. What it wrote since would be taken for something that is known."""
        low, shared = positions.least(), positions.shared
        with closing(self._config.open_replication()) as replication:
            self._server = replication.identity()
            position = max(low or 0, shared.get("position", 0))
            what = lost_history(replication, self._server, shared.get("server"), position) if low is not None else ""
        if what:
            raise lost_error(self._config.place, self._method.replication_slot, what, low)

    def _refusal(self, stream: Stream, tables: Mapping[str, CapturedTable]) -> KitestringError | None:
        """Why a stream cannot be captured."""
        place, table = self._config.place, tables.get(stream.key)
        if table is None:
            return ConfigError(
                f"{place} no longer has a table {stream.key}",
                hint="Take the stream out of the connection, or check the rights of the user.",
            )
        if table.obstacle:
            what, _, statement = table.obstacle.partition(". ")
            return ConfigError(f"{place}: {what}", hint=statement or "Choose other streams.", stream=stream.key)
        key = [path[0] for path in stream.primary_key]
        if key and not table.names_rows_by(key):
            return ConfigError(
                f"{stream.key} is to be written by the key {', '.join(key)}, and for a deleted row the log has "
                f"{', '.join(table.key) or 'nothing'}",
                hint=f"Take the table's own key, or ALTER TABLE {table.sql} REPLICA IDENTITY FULL;",
                stream=stream.key,
            )
        return None

    def _slot_position(self, objects: ReplicationObjects, positions: Positions, needed: bool) -> int | None:
        """The position that the slot has confirmed; None where it is still to be created. A slot that is lost, or
        belongs to another server, is an error while a state relies on it."""
        place, slot = self._config.place, objects.status()
        low = positions.least()
        if slot is not None and not slot.is_lost:
            figures = {"slot": slot.name, "retained_bytes": slot.retained, "safe_bytes": slot.safe}
            level = logging.WARNING if slot.is_endangered else logging.INFO
            log.log(level, "the slot %s retains %d MB of the log", slot.name, slot.retained // 1_000_000, extra=figures)
            return slot.confirmed
        if low is not None:
            what = "the server has thrown away the log of the slot" if slot else "the server has no slot"
            raise lost_error(place, objects.slot, f"{what} {objects.slot}", low)
        if slot is not None and needed:
            log.warning("%s: the slot %s is lost; a new one is created", place, slot.name)
            objects.drop_slot()
        return None

    def _gap(self, stream: Stream, positions: Positions, confirmed: int | None) -> KitestringError | None:
        """Why the log from a stream's position on is not there."""
        low = positions.low(stream.key)
        if low is None:
            return None
        if confirmed is None or low < confirmed:
            what = f"the slot {self._method.replication_slot} is ahead of the state of {stream.key}"
            return lost_error(self._config.place, self._method.replication_slot, what, low)
        return None

    def _loss(self, table: CapturedTable, positions: Positions, is_unpublished: bool) -> KitestringError | None:
        """Why the log does not have all changes of a table since its state."""
        note, what = positions.note(table.stream), ""
        if note.get("oid", table.oid) != table.oid:
            what = f"the table {table.stream} was dropped and created anew"
        elif is_unpublished or not table.is_published_since(note):
            what = f"the table {table.stream} was taken out of the publication {self._method.publication}"
        if not what:
            return None
        return lost_error(self._config.place, self._method.replication_slot, what, positions.low(table.stream))

    def _load(
        self, connection: Any, stream: Stream, table: CapturedTable, positions: Positions, confirmed: int | None
    ) -> FirstLoad | None:
        """The load that a stream needs; None where it is complete."""
        load, low = positions.load(stream.key), positions.low(stream.key)
        if load is not None:
            return load
        if low is not None:
            if stream.write.keep == "all":
                return None
            note = positions.note(stream.key)
            altered, added = table.altered(note), table.added_leaves(note)
            if altered:
                log.warning("%s is read again as a whole: %s", stream.key, altered, extra={"stream": stream.key})
            elif not added:
                return None
        plan = page_plan(connection, table_of(stream), PART_BYTES, MOST_PARTS)
        if low is not None and not altered:  # only the partitions that are new: they may have been filled before
            plan = [part for part in plan if part[0] in added] or [[name, 1, 1] for name in added]
        count = sum(pages for _, _, pages in plan) or 1
        return FirstLoad(low if low is not None else confirmed, count, plan, note=table.note())

    # -- the load ------------------------------------------------------------------------------------------------------

    def _snapshot_at(self, objects: ReplicationObjects) -> Snapshot:
        """The snapshot of this sync. The slot is created with it if it is not there."""
        with self._lock:
            snapshot = self._snapshot
        if snapshot is None:
            replication = self._config.open_replication()
            with self._lock:
                self._waiting = replication  # so that a sync that is stopped does not wait for it
            try:
                snapshot = self._new_snapshot(replication, objects)
            except BaseException:
                replication.close()
                raise
            with self._lock:
                self._snapshot, self._waiting = snapshot, None
        return snapshot

    def _new_snapshot(self, replication: Replication, objects: ReplicationObjects) -> Snapshot:
        (now,) = replication.query("SELECT (extract(epoch FROM now()) * 1000000)::int8 AS now")
        is_new = objects.status() is None
        name = self._method.replication_slot if is_new else f"kitestring_load_{time.time_ns():x}"
        try:
            slot = replication.create_slot(name, not is_new, self._method.initial_waiting_seconds)
        except TimeoutError:
            raise TransientError(
                f"{self._config.place} waited {self._method.initial_waiting_seconds} seconds for {objects.blocker()}: "
                "the first load begins when it has ended",
                hint="End the transaction, or raise `initial_waiting_seconds`.",
            ) from None
        self._created = self._created or is_new
        return Snapshot(replication, slot, datetime.fromtimestamp(int(now["now"] or 0) / 1e6, UTC))

    def _close_snapshot(self) -> None:
        with self._lock:
            snapshot, self._snapshot = self._snapshot, None
        if snapshot is not None:
            snapshot.replication.close()

    def read_part(self, partition: Partition) -> Iterator[Item]:
        """One part of a table's load. An error other than a lost connection ends only this stream."""
        stream, data = partition.stream, partition.data
        load = FirstLoad.of(data["load"])
        assert load is not None
        yield Checkpoint(load.begun())
        if stream.key in self._failed:
            return
        try:
            with self._connected() as connection:
                run(connection, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                run(connection, f"SET TRANSACTION SNAPSHOT {literal(data['snapshot'])}")
                if data["from"] is None or part_exists(connection, data["part"]):
                    columns = self._columns(connection, stream)
                    yield from rows_in(connection, stream, columns, data["from"] or f"{table_of(stream)} AS t", data)
        except TransientError:
            raise
        except KitestringError as error:
            self._failed.add(stream.key)
            yield Failed(stream.key, error)
            return
        yield Checkpoint(load.loaded(data["part"], data["at"]))

    # -- the log -------------------------------------------------------------------------------------------------------

    def read_log(self, partition: Partition, states: States) -> Iterator[Item]:
        """The changes of all streams up to the end of the log as it is now."""
        self._close_snapshot()
        for key, error in partition.data["refused"].items():
            yield Failed(key, error)
        shared = states.get(GLOBAL, {})
        windows = {
            key: Window(max(low, shared["position"]) if key in shared.get("streams", ()) else low, first, last)
            for key, (low, first, last) in partition.data["windows"].items()
            if key not in self._failed
        }
        if not windows:
            return
        with self._connected() as connection:
            run(connection, f"SET lock_timeout = {LOCK_TIMEOUT_MS}")
            objects = self._objects(connection)
            streams = {stream.key: stream for stream in partition.streams if stream.key in windows}
            followed = self._followed(connection, list(streams.values()), windows)
            start = min(window.low for window in windows.values())
            replication = self._stream(objects, start)
            follows_until = time.monotonic() + self._method.follow_seconds
            changes = ChangeLog(
                replication,
                followed.values(),
                find=lambda oid: stream_of_partition(connection, oid, followed),
                refresh=lambda follower: self._refreshed(connection, follower),
                convert=lambda table, column, texts: converted(
                    connection, column, table.columns[column.column].type, texts
                ),
            )
            tracked = {key: follower.tracked for key, follower in followed.items()}
            for key, sentences in partition.data["doubts"].items():
                if key in followed:
                    yield from (Suspicion(sentence, stream=key) for sentence in sentences)
                    yield Checkpoint({"note": followed[key].table.note()}, stream=key)

            def end() -> int | None:
                return objects.heartbeat() if time.monotonic() >= follows_until else None

            yield from items(changes.events(end), tracked, lambda position: self._state(position, windows))

    def _state(self, position: int, windows: Mapping[str, Window]) -> State:
        server = [self._server.system, self._server.timeline] if self._server else None
        return {"position": position, "streams": sorted(windows), **({"server": server} if server else {})}

    def _followed(
        self, connection: Any, streams: Sequence[Stream], windows: Mapping[str, Window]
    ) -> dict[str, Followed]:
        tables = self._tables(connection, streams)
        followed = {}
        for stream in streams:
            table = tables.get(stream.key)
            if table is None:
                raise TransientError(f"the table {stream.key} was dropped while it was loaded", hint="Sync again.")
            tracked = Tracked(stream, windows[stream.key], lambda keys: keys, lambda: ())
            follower = Followed(tracked, table, self._columns(connection, stream))
            tracked.read_keys = self._reader(connection, follower)
            tracked.read_all = self._whole_table(follower)
            followed[stream.key] = follower
        return followed

    def _reader(self, connection: Any, follower: Followed) -> Callable[[pa.Table], pa.Table]:
        """Reads rows by key, with the columns that the stream has at this place of the log."""
        from adbc_driver_manager import dbapi

        def read(keys: pa.Table) -> pa.Table:
            try:
                return read_keys(connection, follower.table, follower.columns, keys)
            except dbapi.Error as error:
                if getattr(error, "sqlstate", "") not in ALTERED:
                    raise
            # Altered since: the log will say so. What is gone by then is null until that.
            table, _, columns = self._refreshed(connection, follower)
            names = {column.column for column in follower.columns}
            present = [column for column in columns if column.column in names]
            return as_before(read_keys(connection, table, present, keys), follower.columns)

        return read

    def _whole_table(self, follower: Followed) -> Callable[[], Iterator[pa.Table]]:
        def read() -> Iterator[pa.Table]:
            stream = follower.tracked.stream
            with self._connected() as connection:
                run(connection, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                (now,) = rows(
                    connection,
                    "SELECT (extract(epoch FROM now()) * 1000000)::int8 AS now, "
                    "pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::int8 AS lsn",
                )
                data = {"at": now["lsn"], "time": datetime.fromtimestamp(now["now"] / 1e6, UTC)}
                place = f"{table_of(stream)} AS t"
                for item in rows_in(connection, stream, follower.columns, place, data):
                    if isinstance(item, Batch):
                        yield item.table()

        return read

    def _refreshed(
        self, connection: Any, follower: Followed
    ) -> tuple[CapturedTable, Sequence[Column], Sequence[Column]]:
        """The table as it is now, all its columns, and those that are read."""
        stream = follower.tracked.stream
        place = named([(stream.namespace or "public", stream.name)])
        tables, columns = self._tables(connection, [stream]), columns_of(connection, place)
        if stream.key not in tables:
            return follower.table, follower.columns, follower.columns
        readable = [column for column in columns[stream.key] if column.readable]
        return tables[stream.key], readable, chosen(stream, readable)

    def _stream(self, objects: ReplicationObjects, start: int) -> Replication:
        """The slot, streaming from this position on."""
        deadline = time.monotonic() + SLOT_FREE_S
        while True:
            replication = self._config.open_replication()
            try:
                replication.stream(objects.slot, start, [objects.publication])
            except SlotInUseError:
                replication.close()
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.25)
            except BaseException:
                replication.close()
                raise
            else:
                break
        with self._lock:
            previous, self._replication = self._replication, replication
        if previous is not None:
            previous.close()
        return replication

    # -- after the states are durable ----------------------------------------------------------------------------------

    def saved(self, states: States) -> None:
        """Confirm to the slot what every stream has durably."""
        if self._positions is None:
            return
        position = self._positions.saved(states)
        with self._lock:
            replication = self._replication
        if replication is not None and position is not None and GLOBAL in states:
            replication.confirm(position)

    def close(self) -> None:
        self._close_snapshot()
        with self._lock:
            connections = (self._waiting, self._replication)
            self._waiting = self._replication = None
        for replication in connections:
            if replication is not None:
                replication.close()

    # -- connecting ----------------------------------------------------------------------------------------------------

    def _tables(self, connection: Any, streams: Iterable[Stream]) -> dict[str, CapturedTable]:
        place = named((stream.namespace or "public", stream.name) for stream in streams)
        return captured_tables(connection, place, self._method.publication)

    def _objects(self, connection: Any) -> ReplicationObjects:
        return ReplicationObjects(
            connection, self._config.place, self._method.replication_slot, self._method.publication
        )

    @contextmanager
    def _connected(self) -> Iterator[Any]:
        """A connection in autocommit mode; errors of PostgreSQL become ours."""
        connection = self._config.connect()
        try:
            with self._config.translated():
                yield connection
        except ConfigError as error:
            if error.fields.get("code") in ALTERED and "snapshot" in str(error):
                raise TransientError(
                    f"{self._config.place} lost the snapshot of the load: the connection that held it was cut",
                    hint="Sync again: the load goes on with the parts that are missing.",
                ) from error
            if error.fields.get("code") in ALTERED:
                raise TransientError(f"a table was altered while it was read: {error}", hint="Try again.") from error
            raise
        finally:
            close(connection)

    def _columns(self, connection: Any, stream: Stream) -> list[Column]:
        tables = columns_of(connection, named([(stream.namespace or "public", stream.name)]))
        columns = chosen(stream, [column for column in tables.get(stream.key, []) if column.readable])
        if not columns:
            raise denied_error(self._config.place, stream.key)
        return columns


def chosen(stream: Stream, columns: Sequence[Column]) -> list[Column]:
    """The selected columns, and the key."""
    names = {path[0] for path in [*stream.fields, *stream.primary_key]}
    return [column for column in columns if column.column in names or not stream.fields]


def departed_sentence(stream: str, leaves: Sequence[str]) -> str:
    return (
        f"{len(leaves)} partitions of {stream} are gone since the last sync ({', '.join(leaves[:5])}): the log does "
        "not say which rows went with them, so they are still at the destination; refresh the stream"
    )


def begun(load: FirstLoad, position: int) -> FirstLoad:
    """A load with a snapshot at this position: it has an id, and its log begins there if nothing else is known."""
    return replace(load, id=load.id or str(position), low=position if load.low is None else load.low)
