"""The binary log as events: changes of streams by columns, truncates, altered tables, positions reached."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from kitestring.errors import ConfigError
from kitestring.sources.mysql.followed_table import Followed, Refreshed, Run
from kitestring.sources.mysql.gtid_position import BEGINS, GtidPosition
from kitestring.sources.mysql.logged_rows import LoggedChange, changed_keys, rows_of, schema_of
from kitestring.sources.mysql.logged_statement import Effect, effect_of
from kitestring.sql.changes import Altered, Event, Reached, Truncated, Window
from kitestring.types import Checkpoint, Failed, Suspicion
from kitestring.vendors.mysql import binlog_event
from kitestring.vendors.mysql.binlog import Binlog
from kitestring.vendors.mysql.binlog import Event as LogEvent
from kitestring.vendors.mysql.binlog_event import Statement, TableMap
from kitestring.vendors.mysql.binlog_values import kind_of

log = logging.getLogger("kitestring.mysql")

RUN_ROWS_BYTES = 8 * 1024 * 1024
RUN_EVENTS = 20_000
RUN_AGE_S = 1.0
FOLLOWING_AGE_S = 0.3
IDLE_S = 10.0
"""How often the position moves while no table changes that is followed."""

XA = re.compile(r"XA\s+(START|BEGIN|END|PREPARE|COMMIT|ROLLBACK)\s+(.+)", re.I | re.S)
STANDALONE, PREPARED = 1, 64
"""Flags of a GTID event of MariaDB: its statement ends without a commit; it begins a distributed transaction that is
only prepared."""


@dataclass(slots=True)
class Prepared:
    """The changes of a distributed transaction (XA) that was prepared at this position, and not committed yet."""

    position: int
    gtid: str
    changes: list[tuple[TableMap, LoggedChange]] = field(default_factory=list)


class ChangeLog:
    """Reads the log of a server. `refresh` gives a stream's table as it is now. `gtid`: those of everything before the
    start; `last`: the last transaction before it."""

    def __init__(
        self,
        binlog: Binlog,
        streams: Iterable[Followed],
        refresh: Callable[[Followed], Refreshed],
        *,
        of_mariadb: bool,
        charsets: Mapping[int, str],
        folds_names: bool,
        gtid: str = "",
        last: Sequence[Any] = (),
    ) -> None:
        self._binlog = binlog
        self._refresh = refresh
        self._of_mariadb = of_mariadb
        self._charsets = dict(charsets)
        self._fold: Callable[[str], str] = str.casefold if folds_names else str
        self._streams = {(self._fold(f.table.database), self._fold(f.table.name)): f for f in streams}
        self._parents = parents_of(self._streams.values())
        self._maps: dict[bytes, TableMap] = {}
        self._tables: dict[int, TableMap] = {}
        self._runs: dict[int, Run | None] = {}
        self._bytes = self._events = 0
        self._gtids = GtidPosition(of_mariadb, gtid, last)
        self._prepared: dict[str, Prepared] = {}
        self._preparing: Prepared | None = None
        self._begin = 0
        self._has_begun = False
        self._touched: set[str] = set()
        self.gtid = gtid
        """The GTIDs of everything before the position that was reached last."""
        self.last = list(last)
        """The last transaction before that position, see `GtidPosition`."""

    def events(self, end: Callable[[], int | None]) -> Iterator[Event]:
        """All events up to a position: `end` gives it as soon as it is known, None before that. While it is not known,
        changes do not wait for others."""
        reached, began, target = -1, time.monotonic(), end()
        is_open = False
        for event in self._binlog.events():
            kind = event.kind
            if kind == binlog_event.TABLE_MAP:
                yield from self._take_table(event)
                continue
            if kind in binlog_event.ROW_EVENTS:
                yield from self._take_rows(event)
                continue
            if kind == binlog_event.MARIADB_GTID or kind in BEGINS:
                is_open = True
                self._begin_transaction(event)
                yield from self._flush_changed_windows(event.begin)
                continue
            if kind == binlog_event.QUERY or kind == binlog_event.QUERY_COMPRESSED:
                is_open = yield from self._take_statement(event, is_open)
            elif kind == binlog_event.TRANSACTION_PAYLOAD:
                is_open = yield from self._take_payload(event, is_open)
            elif kind == binlog_event.XID:
                is_open = False
                self._gtids.commit()
            elif kind == binlog_event.XA_PREPARE:
                is_open = False
                yield from self._end_prepared(event)
            elif kind in binlog_event.EXECUTE_LOAD:
                yield from self._take_change(Statement("", "LOAD DATA"), event)
            elif kind == binlog_event.PARTIAL_UPDATE_ROWS:
                yield from self._refuse_partial(event)
            elif kind == binlog_event.INCIDENT:
                yield from self._doubt_all("the log says itself that it may lack changes (an incident event)")
            if is_open:
                continue
            now = time.monotonic()
            target = end() if target is None else target
            is_last = target is not None and event.end >= target
            age = now - began
            if is_last or self._events >= RUN_EVENTS // 2:
                is_due = True
            elif self._events:
                is_due = age > (RUN_AGE_S if target is not None else FOLLOWING_AGE_S)
            else:
                is_due = age > IDLE_S and event.end > reached
            if is_due:
                yield from self.flush()
                reached = self._reach(event.end)
                yield Reached(reached)
                began = time.monotonic()
            if is_last:
                return

    def flush(self) -> Iterator[Event]:
        """The changes that wait."""
        for run in self._runs.values():
            if run is not None and run.changes:
                yield from self._flush_run(run)
        self._bytes = self._events = 0

    def _flush_stream(self, followed: Followed) -> Iterator[Event]:
        for run in self._runs.values():
            if run is not None and run.followed is followed and run.changes:
                yield from self._flush_run(run)

    def _flush_run(self, run: Run) -> Iterator[Event]:
        changes, run.changes = run.changes, []
        followed = run.followed
        for event in rows_of(
            followed.tracked,
            followed.table,
            followed.columns,
            run.table,
            changes,
            run.position,
            self._charsets,
            self._binlog.name.file,
        ):
            if isinstance(event, Failed):  # the position of the stream stays before these changes
                self._forget(followed)
                yield Checkpoint({"low": run.first}, stream=followed.key)
            yield event

    def _flush_changed_windows(self, position: int) -> Iterator[Event]:
        """Changes that are decoded together have one verdict in the window of their stream."""
        if not self._events:
            return
        for run in self._runs.values():
            if run is not None and run.changes:
                tracked = run.followed.tracked
                if tracked.verdict(run.position) is not tracked.verdict(position):
                    yield from self._flush_run(run)

    # -- transactions --------------------------------------------------------------------------------------------------

    def _begin_transaction(self, event: LogEvent) -> None:
        self._begin = event.begin
        self._preparing = None
        self._has_begun = False
        self._touched.clear()
        if event.kind == binlog_event.MARIADB_GTID:
            flags = event.body[12]
            self._has_begun = not flags & STANDALONE
            if flags & PREPARED:
                self._preparing = Prepared(event.begin, self._gtids.text)
        self._gtids.begin(event)

    def _reach(self, position: int) -> int:
        """The position from which the log is read again: before the first transaction that is only prepared."""
        first = min(self._prepared.values(), key=lambda prepared: prepared.position, default=None)
        self.gtid = self._gtids.text if first is None else first.gtid
        self.last = self._gtids.last if first is None else []
        return position if first is None else first.position

    def _take_statement(self, event: LogEvent, is_open: bool) -> Generator[Event, None, bool]:
        """Returns whether a transaction is open after it."""
        statement = binlog_event.statement(event.kind, event.body)
        text = statement.text.strip()
        word = text[:8].upper()
        if word.startswith("BEGIN"):
            if not is_open:
                self._begin = event.begin
            self._has_begun = True
            return True
        if word == "COMMIT":
            self._gtids.commit()
            return False
        if word.startswith("ROLLBACK"):
            for key in self._touched:
                yield Suspicion(
                    f"a transaction with changes of {key} was rolled back in part in the log, which happens where it "
                    "also changed a table without transactions; refresh the stream",
                    stream=key,
                )
            is_part = bool(re.match(r"ROLLBACK\s+(WORK\s+)?TO\b", text, re.I))
            if not is_part:
                self._gtids.commit()
            return is_part
        if word.startswith("SAVEPOIN"):
            return is_open
        if match := XA.match(text):
            return (yield from self._take_xa(match[1].upper(), match[2], event))
        effect = effect_of(statement)
        if effect.kind == "change":
            yield from self._take_change(statement, event)
            return is_open
        if not is_open:
            self._begin = event.begin
        for followed in self._named(effect.tables):
            if effect.kind == "truncate":
                yield from self._flush_stream(followed)
                at = datetime.fromtimestamp(event.time, UTC).isoformat(timespec="microseconds")
                yield Truncated(followed.key, at.replace("+00:00", "Z"), self._begin)
            elif effect.kind == "alter":
                followed.is_certain = False
                yield from self.alter(followed, effect)
            elif effect.kind == "replace" and self._is_loaded(followed):
                # Created before its load: that has all rows, and what was before is of another table.
                yield from self._flush_stream(followed)
                window = followed.tracked.window
                followed.tracked.window = Window(max(window.low, window.first), window.first, window.last)
            elif effect.kind == "replace":
                yield from self._fail(followed, f"the table {followed.key} was dropped, renamed or replaced")
            elif effect.kind == "partition" and not self._is_loaded(followed):
                yield self._doubt(
                    followed, "partitions of it were emptied, dropped or exchanged, and the log does not say which rows"
                )
        if text.upper().endswith("START TRANSACTION"):
            self._has_begun = True
        if is_open and self._has_begun:
            return True
        self._gtids.commit()
        return False

    def _take_xa(self, verb: str, xid: str, event: LogEvent) -> Generator[Event, None, bool]:
        name = "".join(xid.split()).casefold().removesuffix("onephase")
        if verb in ("START", "BEGIN"):
            self._preparing = Prepared(self._begin or event.begin, self._gtids.text)
            self._prepared[name] = self._preparing
            return True
        if verb in ("END", "PREPARE"):
            if self._preparing is not None:
                self._prepared[name] = self._preparing
            return verb == "END"
        prepared = self._prepared.pop(name, None)
        self._preparing = None
        self._gtids.commit()
        if verb == "COMMIT" and prepared is None:
            yield from self._doubt_all(
                "a distributed transaction (XA) was committed that had been prepared before the log is read"
            )
        elif verb == "COMMIT" and prepared is not None:
            yield from self._take_prepared(prepared)
        return False

    def _end_prepared(self, event: LogEvent) -> Iterator[Event]:
        """The end of the changes of a distributed transaction; with the first byte set, it is committed too."""
        prepared, self._preparing = self._preparing, None
        self._gtids.commit()
        if event.body[0] and prepared is not None:
            self._prepared = {name: each for name, each in self._prepared.items() if each is not prepared}
            yield from self._take_prepared(prepared)

    def _take_prepared(self, prepared: Prepared) -> Iterator[Event]:
        yield from self.flush()
        for table, change in prepared.changes:
            followed = self._streams.get((self._fold(table.database), self._fold(table.table)))
            if followed is not None:
                yield from self._flush_run(Run(table, followed, [change], self._begin, self._begin))

    def _take_payload(self, event: LogEvent, is_open: bool) -> Generator[Event, None, bool]:
        """A compressed transaction of MySQL: its events have no checksums, and no positions of their own."""
        data, place, header = binlog_event.payload(event.body), 0, binlog_event.HEADER
        while place < len(data):
            seconds, kind, _, size, _, _ = header.unpack_from(data, place)
            inner = LogEvent(kind, event.begin, event.end, seconds, data[place + header.size : place + size])
            place += size
            if kind == binlog_event.TABLE_MAP:
                yield from self._take_table(inner)
            elif kind in binlog_event.ROW_EVENTS:
                yield from self._take_rows(inner)
            elif kind == binlog_event.QUERY:
                is_open = yield from self._take_statement(inner, is_open)
            elif kind == binlog_event.XID:
                is_open = False
                self._gtids.commit()
            elif kind == binlog_event.PARTIAL_UPDATE_ROWS:
                yield from self._refuse_partial(inner)
        return is_open

    # -- tables and rows -----------------------------------------------------------------------------------------------

    def _take_table(self, event: LogEvent) -> Iterator[Event]:
        body = event.body
        table = self._maps.get(body)
        if table is not None and self._tables.get(table.id) is table:
            return
        if table is None:
            table = self._maps[body] = binlog_event.table_map(body, self._of_mariadb)
        known = self._runs.get(table.id)
        if known is not None and known.changes:
            yield from self._flush_run(known)
        self._tables[table.id] = table
        followed = self._streams.get((self._fold(table.database), self._fold(table.table)))
        if followed is None:
            self._runs[table.id] = None
            return
        for run in self._runs.values():  # the table under the number that it had before
            if run is not None and run.followed is followed and run.changes:
                yield from self._flush_run(run)
        if table.has_names:
            if {column.name for column in table.columns} != {column.name for column in followed.table.columns}:
                yield from self.alter(followed)
        else:
            reason = self._misnamed(followed, table)
            if reason and not self._is_loaded(followed):
                yield from self._fail(followed, reason)
                return
        self._runs[table.id] = Run(table, followed)

    def _misnamed(self, followed: Followed, table: TableMap) -> str:
        """Why the columns of a log without names cannot be those of the catalog; empty where they can."""
        columns = followed.table.columns
        if not followed.is_certain or self._begin < followed.note.get("since", 0):
            what = "its columns were altered since the log was written"
        elif len(columns) != len(table.columns):
            what = f"it has {len(columns)} columns, and the log {len(table.columns)}"
        else:
            pairs = zip(columns, table.columns, strict=True)
            different = [
                c.name for c, logged in pairs if c.logged and not c.logged.agrees(kind_of(logged, self._charsets))
            ]
            if not different:
                return ""
            what = f"the column {different[0]} has another type in the log"
        return f"the log has no names of columns (binlog_row_metadata is not FULL), and of {followed.key} {what}"

    def _take_rows(self, event: LogEvent) -> Iterator[Event]:
        body = event.body
        table_id = int.from_bytes(body[:6], "little")
        run = self._runs.get(table_id)
        if run is None and table_id not in self._tables:
            return
        table = self._tables[table_id]
        parent = self._parents.get((self._fold(table.database), self._fold(table.table)))
        if run is None and parent is None:
            return
        rows = binlog_event.rows_event(event.kind, body)
        change = LoggedChange(rows, event.end, event.time)
        if parent is not None and rows.kind != binlog_event.INSERT:
            yield from self._cascade(table, change, parent)
        if run is None:
            return
        if self._preparing is not None:
            self._preparing.changes.append((table, change))
            return
        yield from self._add(run, change)

    def _add(self, run: Run, change: LoggedChange) -> Iterator[Event]:
        if not run.changes:
            run.first = self._begin
        run.changes.append(change)
        run.position = self._begin
        self._touched.add(run.followed.key)
        self._events += 1
        self._bytes += len(change.rows.data)
        if self._bytes >= RUN_ROWS_BYTES or self._events >= RUN_EVENTS:
            yield from self.flush()

    def _cascade(self, table: TableMap, change: LoggedChange, children: list[tuple[Followed, Any]]) -> Iterator[Event]:
        """Rows of a table that others refer to: the server changes those too, and has nothing of it in the log."""
        for followed, cascade in children:
            if self._is_loaded(followed):
                continue
            is_delete = change.rows.kind == binlog_event.DELETE
            if is_delete and not cascade.on_delete:
                continue
            if not is_delete and not (cascade.on_update and changed_keys(table, change.rows, cascade.columns)):
                continue
            yield self._doubt(
                followed,
                f"rows of {cascade.parent}, which it refers to by a foreign key with a cascading action, were "
                f"{'deleted' if is_delete else 'changed'}, and the log has no changes that follow from that",
            )

    def alter(self, followed: Followed, effect: Effect | None = None) -> Iterator[Event]:
        """The table may differ from what is known of it: it was altered now, or the log is of an earlier time."""
        yield from self._flush_stream(followed)
        now = self._refresh(followed)
        reason = now.reason or (effect.rewritten(now.table.signatures()) if effect is not None else "")
        if self._is_loaded(followed) and effect is not None:
            return
        if now.table.is_as_noted(followed.note) and not reason:
            return
        followed.table, followed.columns, followed.is_certain = now.table, now.columns, False
        note = followed.note = now.table.note(now.since)
        yield Altered(followed.key, schema_of(now.table.visible), reason, note)
        if not reason or followed.tracked.keeps_versions:
            yield Checkpoint({"note": note}, stream=followed.key)

    # -- what ends a stream, or leaves it in doubt ---------------------------------------------------------------------

    def _is_loaded(self, followed: Followed) -> bool:
        """True where the stream has everything up to this transaction: it is before the first snapshot of its load."""
        window = followed.tracked.window
        return bool(self._begin < max(window.low, window.first))

    def _named(self, tables: Iterable[tuple[str, str]]) -> list[Followed]:
        names = {(self._fold(database), self._fold(table)) for database, table in tables}
        whole = {database for database, table in names if table == "*"}
        return [followed for name, followed in self._streams.items() if name in names or name[0] in whole]

    def _take_change(self, statement: Statement, event: LogEvent) -> Iterator[Event]:
        """A change that the log has as a statement (`binlog_format` was not ROW in its session)."""
        named = self._named(effect_of(statement).tables)
        for followed in named:
            if not self._is_loaded(followed):
                yield from self._fail(
                    followed, f"a change of {followed.key} is in the log as a statement: its session did not log rows"
                )
        if not named:
            yield from self._doubt_all("a change is in the log as a statement: its session did not log rows")

    def _refuse_partial(self, event: LogEvent) -> Iterator[Event]:
        run = self._runs.get(int.from_bytes(event.body[:6], "little"))
        if run is not None and not self._is_loaded(run.followed):
            yield from self._fail(
                run.followed,
                f"the log has parts of JSON documents of {run.followed.key} (binlog_row_value_options is PARTIAL_JSON)",
            )

    def _fail(self, followed: Followed, what: str) -> Iterator[Event]:
        """End a stream. What it has stays, and its position too: the next sync says the same until it is refreshed."""
        yield from self._flush_stream(followed)
        self._forget(followed)
        yield Checkpoint({"low": self._begin}, stream=followed.key)
        yield Failed(
            followed.key,
            ConfigError(
                f"{what} at {self._binlog.name.text(self._begin)}, so its changes from there on are lost",
                hint="Choose one: clear the stream, and the next sync loads its table again; or load it beside the "
                "present data, in a new connection with another prefix; or take it out of the connection.",
                stream=followed.key,
            ),
        )

    def _forget(self, followed: Followed) -> None:
        self._streams = {name: each for name, each in self._streams.items() if each is not followed}
        self._runs = {n: None if run and run.followed is followed else run for n, run in self._runs.items()}

    def _doubt(self, followed: Followed, what: str) -> Event:
        return Suspicion(f"{followed.key} may differ from its table: {what}; refresh the stream", stream=followed.key)

    def _doubt_all(self, what: str) -> Iterator[Event]:
        for followed in self._streams.values():
            if not self._is_loaded(followed):
                yield self._doubt(followed, what)


def parents_of(streams: Iterable[Followed]) -> dict[tuple[str, str], list[tuple[Followed, Any]]]:
    parents: dict[tuple[str, str], list[tuple[Followed, Any]]] = {}
    for followed in streams:
        for cascade in followed.table.cascades:
            parents.setdefault((followed.table.database, cascade.parent), []).append((followed, cascade))
    return parents
