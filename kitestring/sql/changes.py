"""Change data capture, for every source with a log: the events of a log become whole records of streams.

A vendor decodes its log into events, in the order of the log; `items` makes of them what `Source.read` yields:

- a stream whose table is loaded while its log goes on has a `Window`: changes that the load has are left out, and those
  that it may have are read again at the source, so that no record goes back in time;
- values that the log leaves out (`Rows.unknown`) are filled in, from an earlier version in the same run or by one read
  of the source: a record is always whole;
- a checkpoint of all streams is set only where every transaction before it is complete;
- a stream that fails leaves the others alone: `items` takes it out of what is tracked.

Positions are JSON values with an order: an integer, or a list [file, offset].
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from kitestring.batch import Batch
from kitestring.errors import KitestringError, TransientError
from kitestring.types import (
    DELETED_AT,
    GLOBAL,
    Checkpoint,
    Failed,
    Reject,
    SchemaChange,
    State,
    Stream,
    Suspicion,
    Truncate,
)

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from kitestring.source import Item

log = logging.getLogger("kitestring.changes")

Position: TypeAlias = Any
"""A place in a log."""

Row = TypeVar("Row")
MOST_ALTERS = 5
"""How often a table may be altered between a look into the catalog and the read that follows it."""

ROW_NUMBER = "__n__"
"""The column of a read by key that has the number of the key."""


class Verdict(Enum):
    """What becomes of a change, by its position."""

    skip = "skip"
    """The stream has it."""
    reread = "reread"
    """The load of the stream may have it, or a newer version: the record is read again at the source."""
    apply = "apply"


@dataclass(frozen=True, slots=True)
class Window:
    """The positions of a stream's load. `low`: the stream has everything before it. `first` and `last`: positions of
    the first and of the last snapshot in which the table was read.

    (One snapshot at an exactly known position has `first == last`; where it is only known to lie between two positions,
    as in MySQL, they are these.)
    """

    low: Position
    first: Position
    last: Position

    @classmethod
    def at(cls, position: Position) -> Window:
        """That of a stream which has exactly the changes before this position."""
        return cls(position, position, position)

    def verdict(self, position: Position, keeps_versions: bool = False) -> Verdict:
        """For a transaction that was committed at this position. `keeps_versions`: the stream is written with every
        version of a record, so a version is never replaced by a newer one."""
        if position < self.low:
            return Verdict.skip
        if position >= self.last:
            return Verdict.apply
        if keeps_versions:
            return Verdict.skip if position < self.first else Verdict.apply
        return Verdict.reread


@dataclass(frozen=True, slots=True)
class Rows:
    """Changes of one stream, in the order of the log. `table` has the columns of the stream as its load has them; a row
    with a value in `_ab_cdc_deleted_at` is a deletion, of which only the key is needed. A change of a key is two rows:
    the deletion of the old key, then the row.

    `position`: that of the transactions; all of them must have the same verdict in the window of the stream.
    `unknown`: by column, which rows lack its value because the log leaves it out.
    """

    stream: str
    table: pa.Table
    position: Position
    unknown: Mapping[str, np.ndarray[Any, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Truncated:
    """The table of a stream was emptied at this time (ISO 8601). `note`: what the stream's state keeps of the table
    from now on; empty where nothing changes."""

    stream: str
    at: str
    position: Position
    note: State = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Altered:
    """The rows of a stream that follow have this schema. `reread`: why all rows of the table have to be read again (a
    column came with a default, say): no change of the log has their new values; empty where they need not. `note`: what
    the stream's state keeps of the table from now on, so that the next sync does not read it again for that."""

    stream: str
    schema: Mapping[str, Any] | pa.Schema
    reread: str = ""
    note: State = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reached:
    """All transactions before this position were given whole: a read may begin here."""

    position: Position


Event: TypeAlias = "Rows | Truncated | Altered | Reached | Item"
"""What a vendor's log yields. Items of a source (`Suspicion`, `Failed`, …) pass as they are."""


@dataclass(slots=True)
class Tracked:
    """A stream whose log is read.

    `read_keys` reads the present records of keys at the source, in one go: it gets a table with the key's columns and
    returns the records as in `Rows.table`, with their number in it as the column `ROW_NUMBER`; keys without a record
    are left out, and so are records that cannot be taken, which it adds to `rejects`. `read_all` reads the whole table:
    its batches, and the records that cannot be taken.
    """

    stream: Stream
    window: Window
    read_keys: Callable[[pa.Table], pa.Table]
    read_all: Callable[[], Iterable[Batch | Reject]]
    inexact: int = 0
    """The number of versions that were filled in with values of a later time, or left out, although all are kept."""
    rejects: list[Reject] = field(default_factory=list)
    """The records that `read_keys` has read and that cannot be taken."""

    @property
    def keeps_versions(self) -> bool:
        return self.stream.write.keep == "all"

    @property
    def key(self) -> list[str]:
        return [path[0] for path in self.stream.primary_key]

    def verdict(self, position: Position) -> Verdict:
        return self.window.verdict(position, self.keeps_versions)


def items(events: Iterable[Event], tracked: dict[str, Tracked], state: Callable[[Position], State]) -> Iterator[Item]:
    """The items of a log. `state` gives the state that all streams share for a position.

    A stream that fails is taken out of `tracked`, by this or by the caller, and the others go on: `state` must not say
    of such a stream that it has what was read since. It ends with the last stream.
    """
    for event in events:
        match event:
            case Rows() | Truncated() | Altered():
                if event.stream in tracked:
                    yield from changed(event, tracked)
            case Failed():
                tracked.pop(event.stream, None)
                yield event
            case Reached():
                for key, follower in tracked.items():
                    if follower.inexact:
                        yield Suspicion(inexact_sentence(follower), stream=key)
                        follower.inexact = 0
                yield Checkpoint(state(event.position), stream=GLOBAL)
            case _:
                yield event
        if not tracked:
            return


def changed(event: Rows | Truncated | Altered, tracked: dict[str, Tracked]) -> Iterator[Item]:
    """The items of an event of one stream. An error, other than a lost connection, ends only this stream."""
    follower = tracked[event.stream]
    try:
        for item in items_of(event, follower):
            yield item
            if event.stream not in tracked:
                return
    except TransientError:
        raise
    except KitestringError as error:
        tracked.pop(event.stream, None)
        yield Failed(event.stream, error)


def items_of(event: Rows | Truncated | Altered, follower: Tracked) -> Iterator[Item]:
    match event:
        case Rows():
            table = settled(event, follower)
            rejects, follower.rejects = follower.rejects, []
            yield from rejects
            if table.num_rows:
                yield Batch(event.stream, table=table)
        case Truncated():
            yield from emptied(event, follower)
        case Altered():
            yield SchemaChange(event.schema, stream=event.stream)
            yield from reread(event, follower)


def inexact_sentence(follower: Tracked) -> str:
    return (
        f"the log left out values of {follower.inexact} versions of {follower.stream.key}, which keeps all versions: "
        "they have values of a later time, or are missing where the record is gone (a log with whole old rows keeps "
        "them, in PostgreSQL REPLICA IDENTITY FULL)"
    )


def reread(event: Altered, follower: Tracked) -> Iterator[Item]:
    """The whole table of a stream, as it is now. Versions that are all kept stay as they were."""
    if not event.reread or follower.keeps_versions:
        return
    log.warning("%s is read again as a whole: %s", event.stream, event.reread, extra={"stream": event.stream})
    yield from follower.read_all()
    yield Checkpoint({"note": event.note}, stream=event.stream)


def through_alters(
    read: Callable[[], Iterator[Row]], is_altered: Callable[[KitestringError], bool], refresh: Callable[[], None]
) -> Iterator[Row]:
    """What `read` yields. Where the table was altered after its catalog was read, that is refreshed, and read again."""
    for _ in range(MOST_ALTERS):
        try:
            yield from read()
        except KitestringError as error:
            if not is_altered(error):
                raise
        else:
            return
        refresh()
    yield from read()


def emptied(event: Truncated, follower: Tracked) -> Iterator[Item]:
    """A table that is emptied while its load may already have newer rows is read again as a whole."""
    verdict = follower.verdict(event.position)
    if verdict is Verdict.skip:
        return
    yield Truncate(event.at, stream=event.stream)
    if verdict is Verdict.reread:
        yield from follower.read_all()
    if event.note:
        yield Checkpoint({"note": event.note}, stream=event.stream)


def settled(rows: Rows, follower: Tracked) -> pa.Table:
    """The records to write, in the order of the log."""
    verdict = follower.verdict(rows.position)
    if verdict is Verdict.skip:
        return rows.table.slice(0, 0)
    if verdict is Verdict.reread:
        return present(rows.table, follower)
    if rows.unknown:
        return complete(rows, follower)
    return rows.table


def present(table: pa.Table, follower: Tracked) -> pa.Table:
    """The changed records as they are at the source now: each once, and the deletions of those that are gone."""
    import pyarrow as pa

    last = sorted({key: n for n, key in enumerate(keys_of(table, follower.key))}.values())
    changed = table.take(pa.array(last, pa.int64()))
    now = follower.read_keys(changed.select(follower.key))
    numbers = now[ROW_NUMBER].to_pylist()
    deleted = changed[DELETED_AT].is_valid().to_pylist()
    gone = [n for n in range(changed.num_rows) if deleted[n] and n not in set(numbers)]
    merged = pa.concat_tables(
        [
            changed.take(pa.array(gone, pa.int64())),
            with_marks(now, changed.take(pa.array(numbers, pa.int64())), table.schema),
        ]
    )
    order = sorted(range(merged.num_rows), key=[*gone, *numbers].__getitem__)
    return merged.take(pa.array(order, pa.int64()))


def with_marks(now: pa.Table, changed: pa.Table, schema: pa.Schema) -> pa.Table:
    """Records that were read by key, with the columns that only the log has as the changes have them."""
    import pyarrow as pa

    columns = []
    for field_ in schema:
        if field_.name == DELETED_AT:
            columns.append(pa.nulls(now.num_rows, field_.type))
        else:
            has = now if field_.name in now.column_names else changed
            columns.append(has[field_.name].cast(field_.type))
    return pa.table(columns, schema=schema)


def complete(rows: Rows, follower: Tracked) -> pa.Table:
    """The rows with every value. A value that the log leaves out is that of the previous version in these rows, or
    what the source has now. A version whose record is gone is left out: its deletion follows in the log."""
    import numpy as np
    import pyarrow as pa

    table, count = rows.table, rows.table.num_rows
    lacking = np.logical_or.reduce(list(rows.unknown.values()))
    deleted = table[DELETED_AT].is_valid().to_numpy(zero_copy_only=False)
    lacking &= ~deleted
    if not lacking.any():
        return table
    # For each column the row whose value it takes: a row of the table, or (from `count` on) one that is read by key.
    origin = {name: np.arange(count) for name in rows.unknown}
    previous: dict[tuple[Any, ...], int] = {}
    read: list[int] = []
    last_lacking = int(np.flatnonzero(lacking)[-1])
    for n, key in enumerate(keys_of(table.slice(0, last_lacking + 1), follower.key)):
        if deleted[n]:
            previous.pop(key, None)
            continue
        if lacking[n]:
            before = previous.get(key)
            if before is None:
                read.append(n)
            for name, unknown in rows.unknown.items():
                if unknown[n]:
                    origin[name][n] = count + len(read) - 1 if before is None else origin[name][before]
        previous[key] = n
    now = follower.read_keys(table.select(follower.key).take(pa.array(read, pa.int64()))) if read else None
    places = np.full(len(read), -1)
    if now is not None:
        places[now[ROW_NUMBER].to_numpy()] = np.arange(now.num_rows)
    if follower.keeps_versions:
        follower.inexact += len(read)
    kept = np.full(count, True)
    for name in rows.unknown:
        taken = origin[name]
        by_key = taken >= count
        if not by_key.any() and (taken == np.arange(count)).all():
            continue
        place = places[taken[by_key] - count]
        kept[by_key] &= place >= 0
        taken[by_key] = np.where(place >= 0, count + place, 0)
        column = table[name] if now is None else concatenated(table[name], now[name])
        table = table.set_column(table.column_names.index(name), name, column.take(pa.array(taken, pa.int64())))
    return table if kept.all() else table.filter(pa.array(kept))


def concatenated(first: pa.ChunkedArray, second: pa.ChunkedArray) -> pa.ChunkedArray:
    import pyarrow as pa

    return pa.chunked_array([*first.chunks, *second.cast(first.type).chunks], first.type)


def keys_of(table: pa.Table, key: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """The key of each row, as Python values of one type per column."""
    return zip(*(table[name].to_pylist() for name in key), strict=True)
