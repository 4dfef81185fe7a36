"""The rows of a binary log by columns, without a Python object for each value.

Rows have no length: where one ends is known when its columns are walked. The walk takes the first row of every event,
then the second of every event, and so on: each step is numpy's for all events at once.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kitestring.errors import ConnectorError
from kitestring.vendors.mysql import binlog_event as event
from kitestring.vendors.mysql.binlog_event import DELETE, INSERT, UPDATE, LoggedColumn, RowsEvent, TableMap

if TYPE_CHECKING:
    import numpy as np

    Numbers = np.ndarray[Any, np.dtype[np.int64]]

SIZES = {
    event.TINY: 1,
    event.SHORT: 2,
    event.INT24: 3,
    event.LONG: 4,
    event.LONGLONG: 8,
    event.FLOAT: 4,
    event.DOUBLE: 8,
    event.YEAR: 1,
    event.DATE: 3,
    event.TIME: 3,
    event.DATETIME: 8,
    event.TIMESTAMP: 4,
}
MOMENTS = {event.TIME2: 3, event.TIMESTAMP2: 4, event.DATETIME2: 5}
"""The bytes of a time without those of its fraction."""
DIGIT_BYTES = (0, 1, 1, 2, 2, 3, 3, 4, 4, 4)
"""The bytes of so many decimal digits."""
LONGEST_PREFIX = 4


def size_of(column: LoggedColumn) -> int:
    """The bytes of a value; 0 where its length is before it."""
    type_, meta = column.type, column.meta
    if type_ in SIZES:
        return int(SIZES[type_])
    if type_ in MOMENTS:
        return MOMENTS[type_] + int(meta + 1) // 2
    if type_ == event.DECIMAL:
        whole, fraction = meta[0] - meta[1], meta[1]
        return sum(digits // 9 * 4 + DIGIT_BYTES[digits % 9] for digits in (whole, fraction))
    if type_ == event.BIT:
        return int(meta + 7) // 8
    return int(meta) if type_ in (event.ENUM, event.SET) else 0


def prefix_of(column: LoggedColumn) -> int:
    """The bytes of the length before a value."""
    type_, meta = column.type, column.meta
    if type_ in (event.VARCHAR, event.VAR_STRING, event.STRING, event.VARCHAR_COMPRESSED):
        return 2 if meta > 255 else 1
    if type_ in event.SINGLE_BYTE:
        return int(meta)
    raise ConnectorError(f"the log has a column of an unknown type ({type_})")


@dataclass(slots=True)
class Image:
    """One side of rows: by column where each value begins and ends, and which are null. A column that the log leaves
    out is not there."""

    starts: dict[int, Numbers] = field(default_factory=dict)
    ends: dict[int, Numbers] = field(default_factory=dict)
    nulls: dict[int, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Walked:
    """The columns of one row of each event: where each value begins, how long those of variable length are, and which
    are null. A column without nulls is not in `nulls`."""

    starts: dict[int, Numbers] = field(default_factory=dict)
    lengths: dict[int, Numbers] = field(default_factory=dict)
    nulls: dict[int, Any] = field(default_factory=dict)


@dataclass(slots=True)
class LoggedRows:
    """Rows of events of one kind, in the order of the log. `events`: the number of each row's event. `before` and
    `after`: the old and the new row; None for an insert and a delete."""

    data: Any
    events: Numbers
    before: Image | None
    after: Image | None

    def __len__(self) -> int:
        return len(self.events)


def decoded(table: TableMap, events: Sequence[RowsEvent], old: Collection[int] | None = None) -> LoggedRows:
    """The rows of events that have one kind, and the same columns. `old`: the only columns of the old rows to keep."""
    import numpy as np

    first = events[0]
    if first.width != len(table.columns):
        raise ConnectorError(f"the log has rows of {first.width} columns for {len(table.columns)} of {table.table}")
    joined = b"".join([*(each.data for each in events), bytes(16)])
    data = np.frombuffer(joined, np.uint8)
    sizes = np.fromiter((len(each.data) for each in events), np.int64, len(events))
    ends = np.cumsum(sizes)
    places = ends - sizes + np.fromiter((each.start for each in events), np.int64, len(events))
    numbers = np.arange(len(events))
    sides = [side for side in ("before", "after") if side != {INSERT: "before", DELETE: "after"}.get(first.kind)]
    walked: dict[str, list[Walked]] = {side: [] for side in sides}
    counted: list[Numbers] = []
    columns = {
        "before": present_columns(first.present, first.width),
        "after": present_columns(first.updated, first.width),
    }
    wanted = {"before": columns["before"] if old is None else old, "after": columns["after"]}
    while True:
        active = places < ends
        if not active.all():
            places, ends, numbers = places[active], ends[active], numbers[active]
        if not len(places):
            break
        counted.append(numbers)
        for side in sides:
            row, places = walk(data, places, table.columns, columns[side], wanted[side])
            walked[side].append(row)
        if (places > ends).any():
            raise ConnectorError(f"the log has rows of {table.table} that are longer than their event")
    which = np.concatenate(counted) if counted else np.empty(0, np.int64)
    order = np.argsort(which, kind="stable")
    images = {side: image_of(table.columns, rows, order) for side, rows in walked.items()}
    return LoggedRows(joined, which[order], images.get("before"), images.get("after"))


def present_columns(bitmap: bytes, width: int) -> list[int]:
    return [n for n in range(width) if bitmap[n // 8] & (1 << n % 8)]


def walk(
    data: Any, places: Numbers, columns: Sequence[LoggedColumn], present: Sequence[int], wanted: Collection[int]
) -> tuple[Walked, Numbers]:
    """The rows that begin at these places, with their wanted columns, and where they end."""
    import numpy as np

    walked = Walked()
    bitmap, size = places, (len(present) + 7) // 8
    check(data, places, size)
    places = places + size
    bits, has_nulls = bitmap, False
    for k, n in enumerate(present):
        if k % 8 == 0:
            bits = data[bitmap + k // 8]
            has_nulls = bool(bits.any())
        is_null = (bits >> (k % 8)) & 1 == 1 if has_nulls else None
        if is_null is not None and not is_null.any():
            is_null = None
        starts = places
        size = size_of(columns[n])
        if size:
            places = starts + (size if is_null is None else np.where(is_null, 0, size))
        else:
            prefix = prefix_of(columns[n])
            check(data, places, prefix)
            lengths: Any = data[places].astype(np.int64)
            for byte in range(1, prefix):
                lengths |= data[places + byte].astype(np.int64) << (8 * byte)
            starts = places + prefix
            if is_null is not None:
                starts, lengths = np.where(is_null, places, starts), np.where(is_null, 0, lengths)
            places = starts + lengths
            if n in wanted:
                walked.lengths[n] = lengths
        if n in wanted:
            walked.starts[n] = starts
            if is_null is not None:
                walked.nulls[n] = is_null
    check(data, places, 0)
    return walked, places


def check(data: Any, places: Numbers, size: int) -> None:
    """Refuse places from which so many bytes cannot be read."""
    if len(places) and int(places.max()) + size > len(data):
        raise ConnectorError("the log has a value that is longer than its event")


def image_of(columns: Sequence[LoggedColumn], rows: Sequence[Walked], order: Numbers) -> Image:
    """The rows of all steps in this order."""
    import numpy as np

    image = Image()
    no_nulls = np.zeros(len(order), bool)
    for n in rows[0].starts if rows else ():
        starts = np.concatenate([row.starts[n] for row in rows])[order]
        nulls: Any = no_nulls
        if any(n in row.nulls for row in rows):
            masks = [row.nulls[n] if n in row.nulls else np.zeros(len(row.starts[n]), bool) for row in rows]
            nulls = np.concatenate(masks)[order]
        if n in rows[0].lengths:
            image.ends[n] = starts + np.concatenate([row.lengths[n] for row in rows])[order]
        else:
            image.ends[n] = starts + np.where(nulls, 0, size_of(columns[n]))
        image.starts[n], image.nulls[n] = starts, nulls
    return image


__all__ = ["DELETE", "INSERT", "UPDATE", "Image", "LoggedRows", "decoded", "prefix_of", "size_of"]
