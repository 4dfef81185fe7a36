"""Change data capture of one source: the first load of its tables, then their changes from the slot's log.

All captured streams are one group. The parts of tables that are not loaded come first, each in a snapshot whose
position in the log is known; then one partition reads the log for all streams, up to its end when that began. The slot
is confirmed when the states are durable, never earlier.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, Any

from kitestring.change_following import Following
from kitestring.errors import ConfigError, KitestringError, TransientError
from kitestring.replication_slot import SlotReport
from kitestring.schema import Schema
from kitestring.sources.postgres.beyond_the_log import doubts_of, with_rewrites
from kitestring.sources.postgres.captured_database import CapturedDatabase
from kitestring.sources.postgres.captured_rows import (
    part_exists,
    parts_of,
    refreshed,
    rows_in,
    stream_of_partition,
)
from kitestring.sources.postgres.captured_table import CapturedTable
from kitestring.sources.postgres.catalog import table_of
from kitestring.sources.postgres.change_log import LSN, ChangeLog, Followed, log_types, schema_of
from kitestring.sources.postgres.columns import Column
from kitestring.sources.postgres.followed_read import key_reader, table_reader
from kitestring.sources.postgres.load_snapshot import LoadSnapshot
from kitestring.sources.postgres.lost_changes import LostChanges, refusal
from kitestring.sources.postgres.needed_load import begun, needed_load
from kitestring.sources.postgres.refreshed_state import RefreshedState
from kitestring.sources.postgres.replication_method import ChangeDataCapture
from kitestring.sources.postgres.server_history import lost_history
from kitestring.sources.postgres.slot import ReplicationObjects, lost_error
from kitestring.sources.postgres.value_text import converted
from kitestring.sql.changes import Altered, Tracked, Window, items
from kitestring.sql.first_load import FirstLoad, Positions, windows_at
from kitestring.sql.log_end import end_of_log, load_limit
from kitestring.sql.shared_state import SharedState
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
from kitestring.vendors.postgres import PostgresConfig, run
from kitestring.vendors.postgres.replication import Replication, ServerIdentity, SlotInUseError
from kitestring.vendors.sql_quoting import literal

if TYPE_CHECKING:
    from kitestring.source import Item

log = logging.getLogger("kitestring.postgres")

LOCK_TIMEOUT_MS = 30_000
SLOT_FREE_S = 30.0
"""How long it waits for a process that still reads the slot: one that was killed is noticed by the server."""


class Capture:
    """The state of change data capture in one `Postgres` source, from planning to `saved`."""

    def __init__(self, config: PostgresConfig, method: ChangeDataCapture) -> None:
        self._config = config
        self._method = method
        self._errors = LostChanges(config.place, method)
        self.database = CapturedDatabase(config, method)
        self._lock = threading.Lock()
        self._snapshot = LoadSnapshot(config, method)
        self._replication: Replication | None = None
        self._positions: Positions | None = None
        self._failed: set[str] = set()
        self._tracked: dict[str, Tracked] = {}
        self._server: ServerIdentity | None = None
        self.following: Following | None = None  # None: up to the end of the log, or as `follow_seconds` says

    # -- the slot, for those who watch it ------------------------------------------------------------------------------

    def slot_report(self) -> SlotReport:
        with self.database.connected() as connection:
            return self.database.objects(connection).report(self._snapshot.created_slot)

    def drop_slot(self) -> list[str]:
        """Drop the slot and our own publication; what was dropped. The hint of an error has the SQL."""
        try:
            with self.database.connected() as connection:
                return self.database.objects(connection).drop_all(SLOT_FREE_S)
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
        with self.database.connected() as connection:
            objects = self.database.objects(connection)
            objects.check_server()
            objects.warn_of_unlimited_log()
            refused = objects.publish([table for table in tables.values() if not table.obstacle], create=False)
            for error in filter(None, refused.values()):
                raise error
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
        planned: dict[str, Mapping[str, Any]] = {}
        with self.database.connected() as connection:
            objects = self.database.objects(connection)
            objects.check_server()
            self._check_identity(positions)
            tables = self.database.tables(connection, streams)
            errors = {stream.key: refusal(self._config.place, stream, tables) for stream in streams}
            live = [stream for stream in streams if errors[stream.key] is None]
            begun_tables = [tables[stream.key] for stream in live if positions.low(stream.key) is not None]
            unpublished = {table.stream for table in objects.unpublished(begun_tables)}
            for table in begun_tables:
                errors[table.stream] = self._errors.of_table(table, positions, table.stream in unpublished)
            lost = {table.stream for table in begun_tables if errors[table.stream] is not None}
            live = [stream for stream in live if errors[stream.key] is None]
            if live:
                errors |= objects.publish([tables[stream.key] for stream in live])
                tables |= self.database.tables(connection, live)
            confirmed = self._slot_position(objects, positions, bool(live))
            for stream in live:
                if (
                    errors[stream.key] is None
                    and (gap := self._errors.of_slot(stream, positions, confirmed)) is not None
                ):
                    errors[stream.key] = gap
                    lost.add(stream.key)
            positions.lost = lost
            plans = []
            for stream in live:
                if errors[stream.key] is not None:
                    continue
                load = needed_load(connection, stream, tables[stream.key], positions, confirmed)
                if load is not None:
                    plans.append((stream, load))
                else:
                    window = positions.window(stream.key)
                    windows[stream.key] = [window.low, window.first, window.last]
                    planned[stream.key] = tables[stream.key].note()
            snapshot = self._snapshot.at(objects) if plans else None
            end = objects.end()
        self._failed.update(key for key, error in errors.items() if error is not None)
        if snapshot is not None:
            plans = [(stream, begun(load, snapshot.slot.position)) for stream, load in plans]
            for stream, load in plans:
                window = load.window(snapshot.slot.position)
                windows[stream.key] = [window.low, window.first, window.last]
                planned[stream.key] = load.note or tables[stream.key].note()
            place = {"at": snapshot.slot.position, "snapshot": snapshot.slot.snapshot, "time": snapshot.time}
            is_over = load_limit(self.following, follows_others=len(windows) > len(plans))
            for stream, load in plans:
                for part, clause in parts_of(load):
                    if part in load.parts or stream.key in self._failed:
                        continue
                    if is_over():
                        windows.pop(stream.key, None)
                        break
                    data = {**place, "load": load.begun(), "part": part, "from": clause}
                    yield Partition((stream,), key=f"load {part}", data=data)
        doubts = {
            stream.key: sentences
            for stream in live
            if stream.key in windows
            if (
                sentences := doubts_of(stream, tables[stream.key], positions.note(stream.key), self._method.publication)
            )
        }
        data = {
            "windows": windows,
            "planned": planned,
            "refused": {key: error for key, error in errors.items() if error is not None},
            "doubts": doubts,
            "loading": [stream.key for stream, _ in plans if stream.key not in windows],
            "rewritten": [key for key in windows if tables[key].may_lack_a_rewrite(positions.note(key))],
            "end": end,
        }
        yield Partition(tuple(streams), key="log", data=data, order=1)

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

    def _identity_state(self, position: int) -> State:
        """The server whose log has this position."""
        return {"server": [self._server.system, self._server.timeline]} if self._server is not None else {}

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

    # -- the load ------------------------------------------------------------------------------------------------------

    def read_part(self, partition: Partition) -> Iterator[Item]:
        """One part of a table's load. An error other than a lost connection ends only this stream."""
        stream, data = partition.stream, partition.data
        load = FirstLoad.of(data["load"])
        assert load is not None
        yield Checkpoint(load.begun())
        if stream.key in self._failed:
            return
        try:
            with self.database.reading_in_transaction() as connection:
                run(connection, f"SET TRANSACTION SNAPSHOT {literal(data['snapshot'])}")
                if data["from"] is None or part_exists(connection, data["part"]):
                    columns = self.database.columns(connection, stream)
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
        self._snapshot.close()
        positions = self._positions
        assert positions is not None
        for key, error in partition.data["refused"].items():
            yield Failed(key, error)
        planned = {key: bounds for key, bounds in partition.data["windows"].items() if key not in self._failed}
        windows = windows_at(states.get(GLOBAL, {}), planned)
        with self.database.connected() as connection, ExitStack() as opened:
            run(connection, f"SET lock_timeout = {LOCK_TIMEOUT_MS}")
            objects = self.database.objects(connection)
            streams = [stream for stream in partition.streams if stream.key in windows]
            reading = cache(lambda: opened.enter_context(self.database.reading()))  # few logs need rows of the table
            followed: dict[str, Followed] = {}
            for stream in streams:
                try:
                    followed[stream.key] = self._follow(connection, reading, stream, windows[stream.key])
                except TransientError:
                    raise
                except KitestringError as error:
                    yield Failed(stream.key, error)
            if not followed:
                return
            start = min(window.low for window in windows.values())
            replication = self._stream(objects, start)
            changes = ChangeLog(
                replication,
                followed.values(),
                find=lambda oid: stream_of_partition(connection, oid, followed),
                refresh=lambda follower: refreshed(self.database, connection, follower),
                convert=lambda table, column, texts: converted(
                    connection, column, table.columns[column.column].type, texts
                ),
                translated=self.database.translated,
            )
            self._tracked = tracked = {key: follower.tracked for key, follower in followed.items()}
            for key, sentences in partition.data["doubts"].items():
                if key in followed:
                    yield from (Suspicion(sentence, stream=key) for sentence in sentences)
                    yield Checkpoint({"note": followed[key].table.note()}, stream=key)

            loads_wait, follow_seconds = bool(partition.data["loading"]), self._method.follow_seconds
            end = end_of_log(objects.heartbeat, self.following, follow_seconds, loads_wait)
            events = chain(
                self._altered_before(connection, followed, partition.data["planned"]),
                with_rewrites(changes.events(end), partition.data["rewritten"], partition.data["end"], followed),
            )
            lows = {stream.key: positions.low(stream.key) for stream in partition.streams}
            reached = {**positions.others, **lows, **{key: window.low for key, window in windows.items()}}
            yield from items(events, tracked, SharedState(reached, tracked, self._identity_state))

    def before_refresh(self, streams: Sequence[Stream], states: States) -> Callable[[Collection[str]], States]:
        """See `source.GoesOnAfterRefresh`."""
        with self.database.connected() as connection:
            objects = self.database.objects(connection)
            objects.check_server()
            tables = self.database.tables(connection, streams)
            errors = [refusal(self._config.place, stream, tables) for stream in streams]
            errors += objects.publish([tables[stream.key] for stream in streams if stream.key in tables]).values()
            for error in filter(None, errors):
                raise error
            tables = self.database.tables(connection, streams)
            slot = objects.status()
            if slot is not None and slot.is_lost:
                log.warning("%s: the slot %s is lost; a new one is created", self._config.place, slot.name)
                objects.drop_slot()
                slot = None
            low = slot.confirmed if slot is not None else self._snapshot.at(objects).slot.position
            self._snapshot.close()
        with closing(self._config.open_replication()) as replication:
            refreshed = RefreshedState(low, tables, replication.identity(), states)

        def after(complete: Collection[str]) -> States:
            with self.database.connected() as connection:
                return refreshed.after(self.database.objects(connection).written(), complete)

        return after

    def leave_out(self, stream: str) -> bool:
        """Read the log on without a stream. True where it is being read."""
        return self._tracked.pop(stream, None) is not None

    def _altered_before(
        self, connection: Any, followed: Mapping[str, Followed], planned: Mapping[str, Mapping[str, Any]]
    ) -> Iterator[Altered]:
        """The tables that were altered between the planning of this sync, or the beginning of their load, and now: the
        log does not say it, since its rows are compared with the tables as they are now."""
        for key, follower in followed.items():
            table, all_columns, columns = refreshed(self.database, connection, follower)
            follower.table, follower.columns = table, columns
            reason, schema = table.altered(planned[key]), schema_of(all_columns)
            declared = Schema.of(follower.tracked.stream.schema).arrow
            types = {column.column: column.arrow_type for column in columns}
            known = {name: declared.field(name).type for name in declared.names if name not in log_types()}
            if reason or types != known:
                yield Altered(key, schema, reason, table.note())

    def _follow(self, connection: Any, reading: Callable[[], Any], stream: Stream, window: Window) -> Followed:
        table = self.database.tables(connection, [stream]).get(stream.key)
        if table is None:
            raise ConfigError(f"the table {stream.key} was dropped while it was loaded", hint="Sync again.")
        tracked = Tracked(stream, window, lambda keys: keys, lambda: ())
        follower = Followed(tracked, table, self.database.columns(connection, stream))
        tracked.read_keys = key_reader(self.database, connection, reading, follower)
        tracked.read_all = table_reader(self.database, connection, follower)
        return follower

    def _stream(self, objects: ReplicationObjects, start: int) -> Replication:
        """The slot, streaming from this position on."""
        deadline = time.monotonic() + SLOT_FREE_S
        while True:
            replication = self._config.open_replication()
            try:
                replication.stream(objects.slot, start, [objects.publication], self._method.stream_transactions)
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

    def follow(self, following: Following | None) -> None:
        """See `FollowsChanges`."""
        self.following = following
        self.database.keep_connections(following is not None)

    def close(self) -> None:
        self._snapshot.close()
        with self._lock:
            replication, self._replication = self._replication, None
        if replication is not None:
            replication.close()
