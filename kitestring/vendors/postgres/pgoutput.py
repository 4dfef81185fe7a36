"""The messages of PostgreSQL's output plugin `pgoutput`, decoded by columns into Arrow.

A message is what the server sends in a `CopyData` while it streams a slot: 25 bytes of a header (`w`, the position of
the change, the end of the log, the time), then a message of the plugin.
https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html (protocol version 1)

Rows are not read one by one: the messages of a table are joined, and numpy walks over them column by column.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

HEADER = 25
"""The bytes before the plugin's message."""
KIND = HEADER
"""The byte of a message that says its kind."""
OID = slice(HEADER + 1, HEADER + 5)
"""The bytes of a change that name its table."""
TUPLE = HEADER + 6
"""Where the first row of a change begins: behind its kind, the table and the row's kind."""

BEGIN, COMMIT, RELATION, INSERT, UPDATE, DELETE, TRUNCATE, MESSAGE = b"BCRIUDTM"
OLD_ROW = frozenset(b"KO")
UNCHANGED, TEXT, BINARY = b"utb"

EPOCH_US = 946_684_800_000_000
"""PostgreSQL's epoch, 2000-01-01, in microseconds since 1970."""

Message: TypeAlias = "bytes | memoryview"


@dataclass(frozen=True, slots=True)
class RelationColumn:
    """A column as a relation message has it."""

    name: str
    type: int
    typmod: int
    is_key: bool


@dataclass(frozen=True, slots=True)
class Relation:
    """A table as it was when the changes that follow were made. `identity`: d, n, f or i as in pg_class."""

    oid: int
    namespace: str
    name: str
    identity: str
    columns: tuple[RelationColumn, ...]


@dataclass(slots=True)
class Changes:
    """Changes of a table by columns, in their order. An update that changed the key is two rows: the deletion of the
    old one, then the new one.

    `columns` has the values as PostgreSQL writes them, by the order of the relation's columns. `unchanged`: which rows
    lack the value since it is stored apart (TOAST) and did not change. `deleted`: the deletions; only the values of the
    replica identity are there. `messages`: the number of the message of each row, `positions` its position in the log.
    """

    columns: list[pa.Array]
    unchanged: dict[int, np.ndarray[Any, Any]]
    deleted: np.ndarray[Any, Any]
    messages: np.ndarray[Any, Any]
    positions: np.ndarray[Any, Any]


def begin(message: Message) -> tuple[int, int]:
    """The position of the commit of a transaction that begins, and the time of it in microseconds since 1970."""
    position, time = struct.unpack_from(">qq", message, HEADER + 1)
    return position, time + EPOCH_US


def commit(message: Message) -> int:
    """The position behind a transaction."""
    return int(struct.unpack_from(">q", message, HEADER + 10)[0])


def truncated(message: Message) -> tuple[int, ...]:
    """The oids of the tables that were emptied."""
    (count,) = struct.unpack_from(">i", message, HEADER + 1)
    return struct.unpack_from(f">{count}I", message, HEADER + 6)


def relation(message: Message) -> Relation:
    data = bytes(message)
    (oid,) = struct.unpack_from(">I", data, HEADER + 1)
    namespace, place = text_at(data, HEADER + 5)
    name, place = text_at(data, place)
    identity = chr(data[place])
    (count,) = struct.unpack_from(">h", data, place + 1)
    place += 3
    columns = []
    for _ in range(count):
        flags = data[place]
        column, place = text_at(data, place + 1)
        type_, typmod = struct.unpack_from(">Ii", data, place)
        place += 8
        columns.append(RelationColumn(column, type_, typmod, bool(flags & 1)))
    return Relation(oid, namespace or "pg_catalog", name, identity, tuple(columns))


def text_at(data: bytes, place: int) -> tuple[str, int]:
    end = data.index(0, place)
    return data[place:end].decode(), end + 1


@dataclass(slots=True)
class Tuples:
    """Rows in a buffer: by column the kind of each value, where it begins and ends."""

    kinds: list[np.ndarray[Any, Any]]
    starts: list[np.ndarray[Any, Any]]
    ends: list[np.ndarray[Any, Any]]
    behind: np.ndarray[Any, Any]
    """Where each row ends."""


def walk(data: np.ndarray[Any, Any], places: np.ndarray[Any, Any], count: int) -> Tuples:
    """The rows that begin at these places, of `count` columns each."""
    import numpy as np

    tuples = Tuples([], [], [], places + 2)
    for _ in range(count):
        place = tuples.behind
        kind = data[place]
        length = np.zeros(len(place), np.int64)
        for n in range(1, 5):
            length = (length << 8) | data[place + n]
        has_value = (kind == TEXT) | (kind == BINARY)
        start = np.where(has_value, place + 5, place + 1)
        end = np.where(has_value, place + 5 + length, place + 1)
        tuples.kinds.append(kind)
        tuples.starts.append(start)
        tuples.ends.append(end)
        tuples.behind = end
    return tuples


def texts(buffer: pa.Buffer, tuples: Tuples, column: int) -> pa.Array:
    """The values of a column; null for every kind but text."""
    import numpy as np
    import pyarrow as pa

    kinds, count = tuples.kinds[column], len(tuples.behind)
    if not count:
        return pa.array([], pa.string())
    # Every second one of these is a value, the others are what lies between: Arrow copies the values together.
    bounds = np.empty(2 * count, np.int32)
    bounds[::2], bounds[1::2] = tuples.starts[column], tuples.ends[column]
    spans = pa.Array.from_buffers(pa.string(), 2 * count - 1, [None, pa.py_buffer(bounds), buffer])
    return spans.take(pa.array(np.arange(0, 2 * count, 2), mask=kinds != TEXT))


def changes(table: Relation, messages: Sequence[Message], key: Sequence[str]) -> Changes:
    """The changes of these messages (inserts, updates and deletes of one table) as columns.

    `key`: the columns whose values name a row. An update sends the old row only where the replica identity changed, or
    is FULL; the old row also has values that the new one lacks.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    count, width = len(messages), len(table.columns)
    joined = b"".join([*messages, bytes(8)])  # walk() looks up to 4 bytes behind a row
    buffer, data = pa.py_buffer(joined), np.frombuffer(joined, np.uint8)
    sizes = np.fromiter(map(len, messages), np.int64, count)
    offsets = np.cumsum(sizes) - sizes
    deletes = data[offsets + KIND] == DELETE
    first = walk(data, offsets + TUPLE, width)
    two = np.flatnonzero(np.isin(data[offsets + TUPLE - 1], list(OLD_ROW)) & ~deletes)  # messages with two rows
    second = walk(data, first.behind[two] + 1, width)
    new_row = np.arange(count)
    new_row[two] = count + np.arange(len(two))
    columns, unchanged = [], {}
    for n in range(width):
        values, kinds = texts(buffer, first, n), first.kinds[n]
        if len(two):
            values = pa.concat_arrays([values, texts(buffer, second, n)])
            kinds = np.concatenate([kinds, second.kinds[n]])
            known_before = (kinds[new_row[two]] == UNCHANGED) & (kinds[two] == TEXT)
            if known_before.any():
                filled, kinds = np.arange(len(kinds)), kinds.copy()
                filled[new_row[two[known_before]]] = two[known_before]
                kinds[new_row[two[known_before]]] = TEXT
                values = values.take(pa.array(filled))
        columns.append(values)
        if (kinds == UNCHANGED).any():
            unchanged[n] = kinds == UNCHANGED
    moved = np.zeros(count, bool)
    for n, column in enumerate(table.columns):
        if len(two) and column.name in key:
            same = pc.equal(columns[n].take(pa.array(two)), columns[n].take(pa.array(new_row[two])))
            moved[two] |= ~same.fill_null(False).to_numpy(zero_copy_only=False)
    before, after = np.flatnonzero(moved | deletes), np.flatnonzero(~deletes)
    numbers, rows = after, new_row[after]
    deleted = np.zeros(len(after), bool)
    if len(before):
        numbers, rows = np.concatenate([before, after]), np.concatenate([before, rows])
        deleted = np.concatenate([np.full(len(before), True), deleted])
        order = np.argsort(numbers * 2 + ~deleted)
        numbers, rows, deleted = numbers[order], rows[order], deleted[order]
    if len(two) or len(before):
        columns = [column.take(pa.array(rows)) for column in columns]
        unchanged = {n: mask[rows] & ~deleted for n, mask in unchanged.items()}
    places = np.zeros(count, np.int64)
    for n in range(1, 9):
        places = (places << 8) | data[offsets + n]
    return Changes(columns, {n: mask for n, mask in unchanged.items() if mask.any()}, deleted, numbers, places[numbers])
