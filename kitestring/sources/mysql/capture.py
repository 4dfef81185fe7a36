"""Change data capture of one source: the first load of its tables, then their changes from the binary log.

All captured streams are one group. The parts of tables that are not loaded come first, in a snapshot whose position in
the log is known; then one partition reads the log for all streams, up to its end when that began. The server keeps the
log by its age, whoever reads it: nothing is confirmed there.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from kitestring.batch import Batch
from kitestring.change_following import Following
from kitestring.errors import ConfigError, KitestringError, TransientError
from kitestring.sources.mysql.captured_read import altered_meanwhile, chosen, rows_in
from kitestring.sources.mysql.captured_table import ABSENT, CapturedColumn, CapturedTable, altered, captured_tables
from kitestring.sources.mysql.change_log import ChangeLog
from kitestring.sources.mysql.failover import states_at
from kitestring.sources.mysql.followed_table import Followed, Refreshed
from kitestring.sources.mysql.keyed_read import as_before, read_keys
from kitestring.sources.mysql.load_snapshot import LoadSnapshot, Moment
from kitestring.sources.mysql.log_server import LogServer
from kitestring.sources.mysql.logged_rows import CURSOR, schema_of
from kitestring.sources.mysql.reader import MysqlReader
from kitestring.sources.mysql.replication_method import ChangeDataCapture
from kitestring.sql.changes import MOST_ALTERS, Tracked, Window, items, through_alters
from kitestring.sql.first_load import FirstLoad, Positions, windows_at
from kitestring.sql.log_end import end_of_log, load_limit
from kitestring.sql.shared_state import SharedState
from kitestring.sql.source_table import RowRange
from kitestring.types import GLOBAL, Checkpoint, Failed, Partition, Reject, State, States, Stream, SyncMode
from kitestring.vendors.mysql import MysqlConfig, code_of
from kitestring.vendors.mysql.binlog import PURGED, Binlog, LogName, offset_of
from kitestring.vendors.sql_quoting import quoted

if TYPE_CHECKING:
    import pyarrow as pa

    from kitestring.source import Item
    from kitestring.vendors.mysql.session import Session

log = logging.getLogger("kitestring.mysql")

PART_KEYS = 1_000_000
"""How many values of an integer key one part of a load has."""
MOST_PARTS = 1_000


class Capture:
    """The state of change data capture in one `Mysql` source, from planning to the end of the sync."""

    def __init__(self, config: MysqlConfig, method: ChangeDataCapture, connections: int) -> None:
        self._config = config
        self._method = method
        self._connections = connections
        self._lock = threading.Lock()
        self._snapshot: LoadSnapshot | None = None
        self._binlog: Binlog | None = None
        self._failed: set[str] = set()
        self._tracked: dict[str, Tracked] = {}
        self._log_place: State = {}  # what the state keeps of the server beside positions, since a failover
        self.following: Following | None = None  # None: up to the end of the log, or as `follow_seconds` says

    # -- the catalog and the check -------------------------------------------------------------------------------------

    def check(self) -> None:
        """`ConfigError` where changes cannot be captured; what is only risky is logged. Nothing is created."""
        import pymysql

        with self._connected() as session:
            server = LogServer(self._config, session)
            server.check_settings()
            server.files()
            server.warn()
            end = server.end()
            for table in captured_tables(session, self._config.database).values():
                if table.obstacle:
                    log.warning("no changes can be captured: %s", table.obstacle, extra={"stream": table.stream})
                for cascade in table.cascades:
                    log.warning(
                        "changes of %s that follow by a foreign key from those of %s are not in the log: a sync with "
                        "such changes ends as suspicious",
                        table.stream,
                        cascade.parent,
                        extra={"stream": table.stream},
                    )
            binlog = Binlog(self._config)
            try:
                binlog.start(end.file, end.offset)
                next(binlog.events())
            except pymysql.Error as error:
                if code_of(error) in (1227, 1045, 1142):
                    raise server.denied("read the binary log") from error
                raise
            finally:
                binlog.close()
            if not server.is_mariadb:
                self._check_lock(server)

    def _check_lock(self, server: LogServer) -> None:
        grants = " ".join(str(row[0]) for row in server.rows("SHOW GRANTS")).upper()
        if not any(right in grants for right in ("RELOAD", "FLUSH_TABLES", "ALL PRIVILEGES", "SUPER")):
            raise server.denied("take the short lock with which the first load begins")

    def streams(self, streams: Sequence[Stream]) -> list[Stream]:
        """The streams as their tables can be captured; a table that cannot, or a view, is read as a whole."""
        with self._connected() as session:
            tables = captured_tables(session, self._config.database)
        captured = []
        for stream in streams:
            table = tables.get(stream.key)
            if table is None or table.obstacle:
                captured.append(replace(stream, sync_modes=(SyncMode.full_refresh,)))
                continue
            captured.append(
                replace(
                    stream,
                    schema=schema_of(table.visible),
                    cursor=(CURSOR,),
                    source_defined_cursor=True,
                    sync_modes=(SyncMode.full_refresh, SyncMode.incremental),
                )
            )
        return captured

    # -- planning ------------------------------------------------------------------------------------------------------

    def partitions(self, streams: Sequence[Stream], states: States) -> Iterator[Partition]:
        """The parts of tables that are still to be loaded, then the log."""
        self._failed = set()
        windows: dict[str, list[int]] = {}
        notes: dict[str, State] = {}
        plans: list[tuple[Stream, FirstLoad]] = []
        errors: dict[str, KitestringError] = {}
        with self._connected() as session:
            server = LogServer(self._config, session)
            server.check_settings()
            positions = Positions([stream.key for stream in streams], states_at(server, states))
            shared_place = positions.shared.get("log", {})
            self._log_place = {name: shared_place[name] for name in ("shift", "floor") if name in shared_place}
            tables = self._tables(session, streams)
            for stream in streams:
                error = self._refusal(stream, tables.get(stream.key)) or self._gap(server, stream, positions)
                if error is not None:
                    errors[stream.key] = error
                    continue
                load = positions.load(stream.key)
                if load is None and positions.low(stream.key) is None:
                    load = self._new_load(session, tables[stream.key])
                if load is not None:
                    plans.append((stream, load))
                    notes[stream.key] = load.note
                else:
                    window = positions.window(stream.key)
                    windows[stream.key] = [window.low, window.first, window.last]
                    notes[stream.key] = positions.note(stream.key)
            if (low := positions.least()) is not None and not errors:
                size = server.bytes_after(low)
                log.info("the log has %.1f MB since the last sync", size / 1e6, extra={"behind_bytes": size})
            moment = self._snapshot_at(server) if plans else None
        self._failed.update(errors)
        if moment is not None:
            at = moment.position
            # What was deleted since the others were read is deleted here too, if the stream was loaded once before.
            lows = [positions.low(stream.key) for stream in streams if stream.key not in errors]
            least = min((low for low in lows if low is not None), default=at)
            plans = [
                (stream, replace(load, id=load.id or str(at), low=least if load.low is None else load.low))
                for stream, load in plans
            ]
            for stream, load in plans:
                window = load.window(at)
                windows[stream.key] = [window.low, window.first, window.last]
            place = {"at": at, "seconds": moment.seconds, "file": moment.end.file}
            is_over = load_limit(self.following, follows_others=len(windows) > len(plans))
            for stream, load in plans:
                for part, start, stop in parts_of(stream, load):
                    if part in load.parts or stream.key in self._failed:
                        continue
                    if is_over():
                        windows.pop(stream.key, None)
                        break
                    data = {**place, "load": load.begun(), "part": part, "start": start, "stop": stop}
                    yield Partition((stream,), key=f"load {part}", data=data)
        data = {
            "windows": windows,
            "notes": notes,
            "refused": errors,
            "loading": [stream.key for stream, _ in plans if stream.key not in windows],
            "lows": {stream.key: positions.low(stream.key) for stream in streams},
            "others": positions.others,
            "shared": positions.shared,
        }
        yield Partition(tuple(streams), key="log", data=data, order=1)

    def _refusal(self, stream: Stream, table: CapturedTable | None) -> KitestringError | None:
        """Why a stream cannot be captured."""
        place = self._config.server_address
        if table is None:
            return ConfigError(
                f"{place} no longer has a table {stream.key}",
                hint="Take the stream out of the connection, or check the rights of the user.",
            )
        if table.obstacle:
            return ConfigError(f"{place}: {table.obstacle}", hint="Read it as full_refresh.", stream=stream.key)
        key = [path[0] for path in stream.primary_key]
        absent = [name for name in key if name not in table.signatures()]
        if absent:
            return ConfigError(
                f"{stream.key} has no column {absent[0]}, by which it is to be written",
                hint="Choose the table's own key.",
                stream=stream.key,
            )
        return None

    def _gap(self, server: LogServer, stream: Stream, positions: Positions) -> KitestringError | None:
        """Why the log from a stream's position on is not there."""
        low = positions.low(stream.key)
        if low is None:
            return None
        what = server.loss(low, positions.shared.get("log", {}))
        return server.lost(what, low, stream.key) if what else None

    def _new_load(self, session: Session, table: CapturedTable) -> FirstLoad:
        """A load by ranges of an integer key, or of the whole table."""
        key = [column.sql for column in table.columns if column.name in table.key]
        starts: list[int | None] = [None]
        if len(key) == 1 and key[0].order == "int8":
            name = quoted(key[0].name)
            with session.cursor() as cursor:
                cursor.execute(f"SELECT min({name}), max({name}) FROM {table.sql}")  # noqa: S608 - quoted
                ((least, largest),) = cursor.fetchall()
            if least is not None:
                step = max(PART_KEYS, -(-(int(largest) - int(least) + 1) // MOST_PARTS))
                starts += range(int(least) + step, int(largest) + 1, step)
        plan = [key[0].name if len(starts) > 1 else "", starts]
        return FirstLoad(None, len(starts), plan, note=table.note())

    # -- the load ------------------------------------------------------------------------------------------------------

    def _snapshot_at(self, server: LogServer) -> Moment:
        with self._lock:
            if self._snapshot is None:
                timeout_s = self._method.initial_waiting_seconds
                self._snapshot = LoadSnapshot(self._config, server, self._connections, timeout_s)
            return self._snapshot.moment

    def read_part(self, partition: Partition) -> Iterator[Item]:
        """One part of a table's load. An error other than a lost connection ends only this stream."""
        stream, data = partition.stream, partition.data
        load = FirstLoad.of(data["load"])
        assert load is not None
        yield Checkpoint(load.begun())
        if stream.key in self._failed:
            return
        with self._lock:
            snapshot = self._snapshot
        if snapshot is None:
            raise TransientError("the snapshot of the load was closed", hint="Sync again.")
        try:
            with snapshot.reader() as reader:
                table = self._tables(reader.session, [stream]).get(stream.key)
                if table is None:
                    raise TransientError(f"the table {stream.key} was dropped while it was loaded", hint="Sync again.")
                columns = [column.sql for column in chosen(stream, table)]
                rows = RowRange(load.plan[0], data["start"], data["stop"])
                yield from rows_in(reader, table, columns, rows, (data["file"], data["at"], data["seconds"]))
        except TransientError:
            raise
        except KitestringError as error:
            if error.fields.get("code") in ABSENT:
                raise altered_meanwhile(stream.key, error) from error
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
        planned = {key: bounds for key, bounds in partition.data["windows"].items() if key not in self._failed}
        windows = windows_at(states.get(GLOBAL, {}), planned)
        if not windows:
            return
        with self._connected() as session:
            server = self._server(session)
            streams = [stream for stream in partition.streams if stream.key in windows]
            followed = self._followed(session, streams, windows, partition.data["notes"])
            start = min(window.low for window in windows.values())
            binlog = self._open_binlog(server, start)
            changes = ChangeLog(
                binlog,
                followed.values(),
                lambda follower: self._refreshed(session, server, follower),
                of_mariadb=server.is_mariadb,
                charsets=server.charsets(),
                folds_names=server.folds_names,
                gtid=server.gtid_at(binlog.name.file(start), offset_of(start)),
                last=last_transaction(start, [states.get(GLOBAL, {}), partition.data["shared"]]),
            )
            self._tracked = tracked = {key: follower.tracked for key, follower in followed.items()}
            identity = server.identity()
            lows = {**partition.data["others"], **partition.data["lows"]}
            reached = {**lows, **{key: window.low for key, window in windows.items()}}

            def log_place(position: int) -> State:
                place = {"base": binlog.name.base, "gtid": changes.gtid, "server": identity, "position": position}
                place |= {"last": changes.last} if changes.last else {}
                return {"log": {**place, **self._log_place}}

            loads_wait, follow_seconds = bool(partition.data["loading"]), self._method.follow_seconds
            end = end_of_log(lambda: server.end(gtid=False).position, self.following, follow_seconds, loads_wait)

            def events() -> Iterator[Any]:
                for follower in followed.values():
                    if not follower.is_certain:
                        yield from changes.alter(follower)
                for event in changes.events(end):
                    # What is noted of a stream that failed meanwhile would be ahead of its position.
                    is_late = isinstance(event, Checkpoint) and event.stream in followed and event.stream not in tracked
                    if not is_late:
                        yield event

            with self._purged_is_lost(server, start):
                yield from items(events(), tracked, SharedState(reached, tracked, log_place))

    def leave_out(self, stream: str) -> bool:
        """Read the log on without a stream. True where it is being read."""
        return self._tracked.pop(stream, None) is not None

    @contextmanager
    def _purged_is_lost(self, server: LogServer, start: int) -> Iterator[None]:
        import pymysql

        try:
            yield
        except pymysql.Error as error:
            if code_of(error) == PURGED:
                with closing(self._config.open()) as session:
                    text = " ".join(str(error.args[-1]).split())[:200]
                    raise self._server(session).lost(f"it does not send its binary log ({text})", start) from error
            if code_of(error) in (1227, 1045, 1142):
                raise server.denied("read the binary log") from error
            raise

    def _open_binlog(self, server: LogServer, start: int) -> Binlog:
        name = LogName.of(next(iter(server.files())), server.shift)
        binlog = Binlog(self._config, server.shift)
        with self._lock:
            previous, self._binlog = self._binlog, binlog
        if previous is not None:
            previous.close()
        binlog.start(name.file(start), offset_of(start))
        return binlog

    def _followed(
        self, session: Session, streams: Sequence[Stream], windows: Mapping[str, Window], notes: Mapping[str, State]
    ) -> dict[str, Followed]:
        tables = self._tables(session, streams)
        followed = {}
        for stream in streams:
            table = tables.get(stream.key)
            if table is None:
                raise TransientError(f"the table {stream.key} was dropped while it was loaded", hint="Sync again.")
            tracked = Tracked(stream, windows[stream.key], lambda keys: keys, lambda: ())
            note = notes.get(stream.key) or table.note()
            follower = Followed(tracked, table, chosen(stream, table), note, table.is_as_noted(note))
            tracked.read_keys = self._reader(session, follower)
            tracked.read_all = self._whole_table(session, follower)
            followed[stream.key] = follower
        return followed

    def _reader(self, session: Session, follower: Followed) -> Callable[[pa.Table], pa.Table]:
        """Reads rows by key, with the columns that the stream has at this place of the log."""
        import pymysql

        def read(keys: pa.Table) -> pa.Table:
            table, columns = follower.table, follower.columns
            for attempt in range(MOST_ALTERS + 1):
                try:
                    present, rejects = read_keys(session, table, columns, keys)
                    break
                except pymysql.Error as error:
                    if code_of(error) not in ABSENT or attempt == MOST_ALTERS:
                        raise
                    # Altered since: the log will say so.
                    table, columns = self._remaining(session, follower)
            follower.tracked.rejects += rejects
            return present if columns is follower.columns else as_before(present, follower.columns)

        return read

    def _remaining(self, session: Session, follower: Followed) -> tuple[CapturedTable, list[CapturedColumn]]:
        """The table as it is now, and which of the columns it still has."""
        table = self._tables(session, [follower.tracked.stream]).get(follower.key)
        names = {column.name for column in follower.columns}
        remaining = [column for column in table.visible if column.name in names] if table is not None else []
        if table is None or not {*follower.tracked.key} <= {column.name for column in remaining}:
            raise TransientError(f"the table {follower.key} was replaced while its log was read", hint="Sync again.")
        return table, remaining

    def _whole_table(self, session: Session, follower: Followed) -> Callable[[], Iterator[Batch | Reject]]:
        def read(table: CapturedTable, columns: list[CapturedColumn]) -> Iterator[Batch | Reject]:
            with closing(MysqlReader(self._config)) as reader:
                server = self._server(reader.session)
                end = server.end(gtid=False)
                ((seconds,),) = server.rows("SELECT unix_timestamp(now(6))")
                place = (end.file, end.position, float(seconds))
                for item in rows_in(reader, table, [column.sql for column in columns], RowRange(), place):
                    if isinstance(item, Batch) and columns is not follower.columns:
                        item = Batch(item.stream, table=as_before(item.table(), follower.columns))
                    yield item

        def read_all() -> Iterator[Batch | Reject]:
            current = [(follower.table, follower.columns)]
            return through_alters(
                lambda: read(*current[-1]),
                lambda error: error.fields.get("code") in ABSENT,
                lambda: current.append(self._remaining(session, follower)),
            )

        return read_all

    def _refreshed(self, session: Session, server: LogServer, follower: Followed) -> Refreshed:
        """The table as it is now. One that is gone stays as it was: the log will say so."""
        stream = follower.tracked.stream
        table = self._tables(session, [stream]).get(stream.key)
        since = server.end(gtid=False).position
        if table is None:
            return Refreshed(follower.table, follower.columns, "", since)
        return Refreshed(table, chosen(stream, table), altered(session, follower.note, table), since)

    # -- connecting ----------------------------------------------------------------------------------------------------

    def _server(self, session: Session) -> LogServer:
        return LogServer(self._config, session, self._log_place.get("shift", 0))

    def _tables(self, session: Session, streams: Sequence[Stream]) -> dict[str, CapturedTable]:
        tables = captured_tables(session, self._config.database, [stream.name for stream in streams])
        return {key: replace(table, nulls_unfit=self._config.nulls_unfit) for key, table in tables.items()}

    @contextmanager
    def _connected(self) -> Iterator[Session]:
        session = self._config.open()
        try:
            with self._config.translated():
                yield session
        finally:
            if session.open:
                session.close()

    def _close_snapshot(self) -> None:
        with self._lock:
            snapshot, self._snapshot = self._snapshot, None
        if snapshot is not None:
            snapshot.close()

    def close(self) -> None:
        self._close_snapshot()
        with self._lock:
            binlog, self._binlog = self._binlog, None
        if binlog is not None:
            binlog.close()


def last_transaction(position: int, states: Iterable[State]) -> Sequence[Any]:
    """The last transaction before a position, if one of these states of the log has it."""
    logs = [state["log"] for state in states if state.get("position") == position and "log" in state]
    return next((log["last"] for log in logs if "last" in log), ())


def parts_of(stream: Stream, load: FirstLoad) -> Iterator[tuple[str, int | None, int | None]]:
    """The parts of a load: their keys, and the range of the table's key."""
    starts = load.plan[1]
    for n, start in enumerate(starts):
        yield f"{stream.key}:{n}", start, starts[n + 1] if n + 1 < len(starts) else None
