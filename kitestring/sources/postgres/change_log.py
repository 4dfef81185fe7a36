"""The log of a slot as events: changes of streams by columns, truncates, altered tables, positions reached."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, localcontext
from typing import TYPE_CHECKING, Any

from kitestring import arrow_values
from kitestring.errors import KitestringError, TransientError
from kitestring.schema import Schema
from kitestring.sources.postgres.captured_table import CapturedTable
from kitestring.sources.postgres.columns import Column
from kitestring.sources.postgres.value_text import typed
from kitestring.sql.changes import Altered, Event, Reached, Rows, Tracked, Truncated
from kitestring.types import CHANGED_AT, DELETED_AT, Failed, Reject, Suspicion
from kitestring.vendors.postgres import pgoutput
from kitestring.vendors.postgres.pgoutput import Message, Relation
from kitestring.vendors.postgres.replication import DATA, KEEPALIVE, Replication
from kitestring.vendors.postgres.streamed_transactions import StreamedTransactions

if TYPE_CHECKING:
    import pyarrow as pa

log = logging.getLogger("kitestring.postgres")

LSN = "_ab_cdc_lsn"
UPDATED_AT = CHANGED_AT

RUN_ROWS = 20_000
RUN_BYTES = 8 * 1024 * 1024
RUN_AGE_S = 1.0
FOLLOWING_AGE_S = 0.3
IDLE_S = 10.0
"""How often the position moves while no table changes that is followed."""
QUIET_S = 0.05
"""How long it waits for a message before it asks for a sign of life."""

MOST_DIGITS = 200_000
"""More than a numeric of PostgreSQL has: 131,072 before the point and 16,383 after it."""

TIME = {"type": ["string", "null"], "format": "date-time", "airbyte_type": "timestamp_with_timezone"}
LOG_COLUMNS: dict[str, dict[str, Any]] = {LSN: {"type": ["integer", "null"]}, UPDATED_AT: TIME, DELETED_AT: TIME}
"""The columns that a record of a captured table has besides its own. Their names are Airbyte's."""


def log_types() -> dict[str, pa.DataType]:
    import pyarrow as pa

    return {LSN: pa.int64(), UPDATED_AT: pa.timestamp("us", "UTC"), DELETED_AT: pa.timestamp("us", "UTC")}


@dataclass(slots=True)
class Followed:
    """A stream in the log: its table and columns as they are now, and the stream's bookkeeping."""

    tracked: Tracked
    table: CapturedTable
    columns: Sequence[Column]

    @property
    def key(self) -> str:
        return self.tracked.stream.key

    @property
    def moves_rows(self) -> bool:
        """True where a row may go to another partition and keep the stream's key."""
        return bool(self.table.leaves) and not (self.table.key and {*self.table.key} <= {*self.tracked.key})


@dataclass(slots=True)
class Run:
    """Changes of one table that wait to be decoded together. `times`: for each transaction the number of its first
    message here, and the time of its commit."""

    relation: Relation
    followed: Followed | None
    messages: list[Message] = field(default_factory=list)
    times: list[tuple[int, int]] = field(default_factory=list)
    transaction: int = -1
    position: int = 0


class ChangeLog:
    """Reads a streaming slot. `find` gives the stream of a table that is not known by its oid (a new partition), or
    None; `refresh` gives a stream's table as it is now, all its
    columns, and those that are read; `convert` casts texts at the server; `translated` turns errors of its driver into
    ours. An error of one stream, other than a lost connection, ends only this stream."""

    def __init__(
        self,
        replication: Replication,
        streams: Iterable[Followed],
        find: Callable[[int], Followed | None],
        refresh: Callable[[Followed], tuple[CapturedTable, Sequence[Column], Sequence[Column]]],
        convert: Callable[[CapturedTable, Column, pa.Array], pa.Array],
        translated: Callable[[], AbstractContextManager[Any]],
    ) -> None:
        self._replication = replication
        self._find = find
        self._refresh = refresh
        self._convert = convert
        self._translated = translated
        self._streams: dict[int, Followed | None] = {}
        self._all = list(streams)
        for followed in self._all:
            self._streams.update(dict.fromkeys(followed.table.oids, followed))
        self._runs: dict[int, Run] = {}
        self._rows = 0
        self._bytes = 0
        self._last: Run | None = None
        self._streamed = StreamedTransactions()

    def events(self, end: Callable[[], int | None]) -> Iterator[Event]:
        """All events up to a position: `end` gives it as soon as it is known, None before that. While it is not known,
        changes do not wait for others."""
        try:
            yield from self._events(end)
        finally:
            self._streamed.close()

    def _events(self, end: Callable[[], int | None]) -> Iterator[Event]:
        replication, runs = self._replication, self._runs
        transaction = commit_at = commit_time = behind = 0
        is_open = False
        began = time.monotonic()
        wait_s = QUIET_S
        target = end()
        while True:
            target = end() if target is None else target
            messages = replication.receive(wait_s)
            if not messages:
                if target is None and self._rows and not is_open:
                    yield from self.flush()
                    yield Reached(behind)
                    began = time.monotonic()
                replication.report(ask=True)
                wait_s = min(wait_s * 2, 1.0 if target is not None else 0.2)
                continue
            wait_s = QUIET_S
            for message in self._streamed.whole(messages) if replication.in_progress else messages:
                if message[0] == KEEPALIVE:
                    if message[17]:
                        replication.report()
                    position = int.from_bytes(message[1:9], "big")
                    is_last = target is not None and position >= target
                    is_idle = not self._rows and time.monotonic() - began > IDLE_S and position > behind
                    if not is_open and (is_last or is_idle):
                        yield from self.flush()
                        yield Reached(position)
                        behind, began = position, time.monotonic()
                        if is_last:
                            return
                    continue
                if message[0] != DATA:
                    continue
                kind = message[pgoutput.KIND]
                if kind in CHANGES:
                    run = runs.get(int.from_bytes(message[pgoutput.OID], "big"))
                    if run is None or run.followed is None:
                        continue
                    if run is not self._last:
                        if run.followed.moves_rows:  # its deletion in one partition, then the row in another
                            yield from self._flush_stream(run.followed)
                        self._last = run
                    if run.transaction != transaction:
                        run.transaction = transaction
                        run.times.append((len(run.messages), commit_time))
                        run.position = commit_at
                    run.messages.append(message)
                    self._rows += 1
                    self._bytes += len(message)
                    if self._bytes >= RUN_BYTES or self._rows >= RUN_ROWS:
                        yield from self.flush()
                elif kind == pgoutput.BEGIN:
                    commit_at, commit_time = pgoutput.begin(message)
                    if target is not None and commit_at >= target:
                        yield from self.flush()
                        yield Reached(commit_at)
                        return
                    transaction += 1
                    is_open = True
                    yield from self._flush_changed_windows(commit_at)
                elif kind == pgoutput.COMMIT:
                    is_open = False
                    behind = pgoutput.commit(message)
                    is_last = target is not None and behind >= target
                    is_old = time.monotonic() - began > (RUN_AGE_S if target is not None else FOLLOWING_AGE_S)
                    if is_last or self._rows >= RUN_ROWS // 2 or is_old:
                        yield from self.flush()
                        yield Reached(behind)
                        began = time.monotonic()
                    if is_last:
                        return
                elif kind == pgoutput.RELATION:
                    yield from self._take_relation(pgoutput.relation(message))
                elif kind == pgoutput.TRUNCATE:
                    yield from self._truncate(pgoutput.truncated(message), commit_at, commit_time)

    def flush(self) -> Iterator[Event]:
        """The changes that wait."""
        for run in self._runs.values():
            if run.messages:
                yield from self._flush_run(run)
        self._rows = self._bytes = 0

    def _flush_stream(self, followed: Followed) -> Iterator[Event]:
        """The changes of one stream that wait, of all its partitions."""
        for run in self._runs.values():
            if run.followed is followed and run.messages:
                yield from self._flush_run(run)

    def _flush_run(self, run: Run) -> Iterator[Event]:
        assert run.followed is not None
        messages, times, position = run.messages, run.times, run.position
        run.messages, run.times, run.transaction = [], [], -1
        rows = rows_of(run.followed, run.relation, messages, times, position, self._convert)
        yield from self._alone(run.followed, rows)

    def _alone(self, followed: Followed, events: Iterable[Event]) -> Iterator[Event]:
        """The events of one stream, or the error that ends it."""
        try:
            with self._translated():
                yield from events
        except TransientError:
            raise
        except KitestringError as error:
            for oid in [oid for oid, other in self._streams.items() if other is followed]:
                self._streams[oid] = None
            for run in self._runs.values():
                if run.followed is followed:
                    run.followed = None
                    run.messages, run.times = [], []
            self._all.remove(followed)
            yield Failed(followed.key, error)

    def _flush_changed_windows(self, position: int) -> Iterator[Event]:
        """Changes that are decoded together have one verdict in the window of their stream."""
        for run in self._runs.values():
            if run.messages and run.followed is not None:
                tracked = run.followed.tracked
                if tracked.verdict(run.position) is not tracked.verdict(position):
                    yield from self._flush_run(run)

    def _take_relation(self, relation: Relation) -> Iterator[Event]:
        known = self._runs.get(relation.oid)
        if known is not None and known.messages:
            yield from self._flush_run(known)
        followed = self._stream_of(relation.oid)
        self._runs[relation.oid] = Run(relation, followed)
        # A description that comes once more may be the same although a column is another one of the same name.
        if followed is not None and (known is not None or is_altered(relation, followed)):
            yield from self._alone(followed, self._alter(followed))

    def _stream_of(self, oid: int) -> Followed | None:
        if oid not in self._streams:
            self._streams[oid] = self._find(oid)
        return self._streams[oid]

    def _alter(self, followed: Followed) -> Iterator[Event]:
        """The table differs from what is known of it: either it was altered now, or the log is of an earlier time."""
        table, all_columns, columns = self._refresh(followed)
        reason = table.altered(followed.table.note())
        if table.columns == followed.table.columns and not reason:
            return
        followed.table, followed.columns = table, columns
        # Before the changes of other partitions that wait: they are decoded with the columns of now.
        yield Altered(followed.key, schema_of(all_columns), reason, table.note())
        yield from self._flush_stream(followed)

    def _truncate(self, oids: Sequence[int], position: int, commit_time: int) -> Iterator[Event]:
        at = datetime.fromtimestamp(commit_time / 1e6, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        streams = {oid: self._stream_of(oid) for oid in oids}
        for followed in list(self._all):
            table, emptied = followed.table, {oid for oid, stream in streams.items() if stream is followed}
            if not emptied:
                continue
            yield from self._flush_stream(followed)
            if table.oid in emptied or emptied >= {*table.leaves}:
                yield from self._alone(followed, self._emptied(followed, at, position))
            else:
                yield Suspicion(
                    f"{len(emptied)} of {len(table.leaves)} partitions of {followed.key} were emptied at {at}: the log "
                    "does not say which records went, so they are still at the destination; refresh the stream",
                    stream=followed.key,
                )

    def _emptied(self, followed: Followed, at: str, position: int) -> Iterator[Event]:
        note = {} if followed.table.is_named else followed.table.emptied_note(self._refresh(followed)[0])
        yield Truncated(followed.key, at, position, note)


CHANGES = frozenset({pgoutput.INSERT, pgoutput.UPDATE, pgoutput.DELETE})


def schema_of(columns: Sequence[Column]) -> Schema:
    """The schema of a captured stream: its columns, and those of the log."""
    import pyarrow as pa

    return Schema(
        {"type": "object", "properties": {**{c.column: c.rule[1] for c in columns}, **LOG_COLUMNS}},
        pa.schema([*((c.column, c.arrow_type) for c in columns), *log_types().items()]),
    )


def is_altered(relation: Relation, followed: Followed) -> bool:
    """True where a table in the log has other columns than those that are known."""
    described = {column.name: column.type for column in relation.columns}
    known = {name: detail.oid for name, detail in followed.table.columns.items()}
    return any(known.get(name) != oid for name, oid in described.items()) or any(
        name not in described and not detail.filled for name, detail in followed.table.columns.items()
    )


def rows_of(
    followed: Followed,
    relation: Relation,
    messages: Sequence[Message],
    times: Sequence[tuple[int, int]],
    position: int,
    convert: Callable[[CapturedTable, Column, pa.Array], pa.Array],
) -> Iterator[Event]:
    """The changes as rows of the stream. A column that the log does not have, or has with another type, is unknown."""
    import numpy as np
    import pyarrow as pa

    tracked, table = followed.tracked, followed.table
    changes = pgoutput.changes(relation, messages, tracked.key)
    places = {column.name: (n, column.type) for n, column in enumerate(relation.columns)}
    arrays, unknown, bad = {}, {}, []
    for column in followed.columns:
        place, oid = places.get(column.column, (-1, 0))
        if oid != table.columns[column.column].oid:
            arrays[column.column] = pa.nulls(len(changes.deleted), column.arrow_type)
            if not changes.deleted.all():
                unknown[column.column] = ~changes.deleted
            continue
        texts = changes.columns[place]
        values = typed(column, texts, lambda column, texts: convert(table, column, texts))
        if column.decimal:
            values, not_numbers, of_before = decimals(values, column)
            bad += [(n, column.column) for n in not_numbers]
        else:
            of_before = []
        arrays[column.column] = values
        if place in changes.unchanged:
            unknown[column.column] = changes.unchanged[place]
        if of_before:
            mask = unknown.setdefault(column.column, np.zeros(len(changes.deleted), bool))
            mask[of_before] = True
    starts = [start for start, _ in times]
    counts = np.diff([*starts, len(messages)])
    moments = np.repeat(np.array([moment for _, moment in times], np.int64), counts)[changes.messages]
    types = log_types()
    arrays[LSN] = pa.array(changes.positions)
    arrays[UPDATED_AT] = pa.array(moments).cast(types[UPDATED_AT])
    arrays[DELETED_AT] = pa.array(moments, mask=~changes.deleted).cast(types[DELETED_AT])
    whole = pa.table(arrays)
    named = [column.name for column in relation.columns if column.is_key]
    if changes.deleted.any() and not {*tracked.key} <= {*named}:
        yield Suspicion(
            f"the log names deleted rows of {followed.key} by {', '.join(named)}, and not by "
            f"{', '.join(tracked.key)}: they were deleted before the key was changed, and are still at the "
            "destination; refresh the stream",
            stream=followed.key,
        )
    reasons = dict(bad)
    rejected = pa.array(sorted(reasons), pa.int64())
    for n, row in zip(rejected.to_pylist(), arrow_values.rows(whole.take(rejected)), strict=True):
        reason = f"field {reasons[n]}: NaN does not fit a decimal; a numeric without precision can hold it"
        yield Reject({**row, reasons[n]: "NaN"}, reason, stream=followed.key)
    ends = rejected.to_pylist()
    if ends and not unknown:
        kept = np.full(whole.num_rows, True)
        kept[ends] = False
        whole, ends = whole.filter(pa.array(kept)), []
    # A value that the log leaves out is that of the version before: it is never searched beyond a rejected version.
    begin = 0
    for end in [*ends, whole.num_rows]:
        if end > begin:
            masks = {name: mask[begin:end] for name, mask in unknown.items()}
            yield Rows(followed.key, whole.slice(begin, end - begin), position, masks)
        begin = end + 1


def decimals(texts: pa.Array, column: Column) -> tuple[pa.Array, list[int], list[int]]:
    """Texts as decimals; the numbers of those that are NaN, which Arrow does not have, and of those from before the
    column was narrowed, whose value in the table is another one now."""
    import pyarrow as pa

    try:
        return texts.cast(column.arrow_type), [], []
    except pa.ArrowInvalid:
        numbers = [None if text is None else Decimal(text) for text in texts.to_pylist()]
    not_numbers = [n for n, number in enumerate(numbers) if number is not None and number.is_nan()]
    of_before = [
        n
        for n, number in enumerate(numbers)
        if number is not None and not number.is_nan() and not fits(number, column.arrow_type)
    ]
    for n in (*not_numbers, *of_before):
        numbers[n] = None
    return pa.array(numbers, column.arrow_type), not_numbers, of_before


def fits(number: Decimal, type_: pa.DataType) -> bool:
    with localcontext(prec=MOST_DIGITS):
        return number.is_finite() and (
            number.is_zero()
            or (number.adjusted() < type_.precision - type_.scale and round(number, type_.scale) == number)
        )
