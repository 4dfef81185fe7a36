"""Rows of the binary log as rows of a stream."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kitestring import arrow_values
from kitestring.errors import ConfigError
from kitestring.schema import Schema
from kitestring.sources.mysql.captured_table import CapturedColumn, CapturedTable
from kitestring.sources.mysql.columns import note_nulls
from kitestring.sql.changes import Event, Rows, Tracked
from kitestring.sql.source_table import JSON_TEXT
from kitestring.types import CHANGED_AT, DELETED_AT, Failed, Reject
from kitestring.vendors.mysql.binlog import OFFSET_BITS
from kitestring.vendors.mysql.binlog_event import DELETE, UPDATE, LoggedColumn, RowsEvent, TableMap
from kitestring.vendors.mysql.binlog_rows import Image, LoggedRows, decoded, present_columns, size_of
from kitestring.vendors.mysql.binlog_values import Spans, kind_of, values

if TYPE_CHECKING:
    import pyarrow as pa

CURSOR = "_ab_cdc_cursor"
LOG_FILE = "_ab_cdc_log_file"
LOG_POSITION = "_ab_cdc_log_pos"
TIME = {"type": ["string", "null"], "format": "date-time", "airbyte_type": "timestamp_with_timezone"}
NUMBER = {"type": ["integer", "null"]}
LOG_COLUMNS: dict[str, dict[str, Any]] = {
    CURSOR: NUMBER,
    LOG_FILE: {"type": ["string", "null"]},
    LOG_POSITION: NUMBER,
    CHANGED_AT: TIME,
    DELETED_AT: TIME,
}
"""The columns that a record of a captured table has besides its own. Their names are Airbyte's."""


@dataclass(frozen=True, slots=True)
class LoggedChange:
    """Rows of one event. `position`: behind the event; `time`: in seconds since 1970."""

    rows: RowsEvent
    position: int
    time: int


def log_types() -> dict[str, pa.DataType]:
    import pyarrow as pa

    moment = pa.timestamp("us", "UTC")
    return {
        CURSOR: pa.int64(),
        LOG_FILE: pa.string(),
        LOG_POSITION: pa.int64(),
        CHANGED_AT: moment,
        DELETED_AT: moment,
    }


def schema_of(columns: Sequence[CapturedColumn]) -> Schema:
    """The schema of a captured stream: its columns, and those of the log."""
    import pyarrow as pa

    fields = pa.schema([(column.name, column.sql.type) for column in columns])
    derived = Schema.of_arrow(fields)
    properties = {**derived["properties"], **{c.name: dict(JSON_TEXT) for c in columns if c.sql.json}, **LOG_COLUMNS}
    return Schema(
        {**derived, "properties": properties},
        pa.schema([*zip(fields.names, fields.types, strict=True), *log_types().items()]),
    )


def with_log_columns(table: pa.Table, base: str, position: int, seconds: float) -> pa.Table:
    """Rows that were read from the table, with the columns of the log. `base`: the name of the file there."""
    import pyarrow as pa

    filled = {
        CURSOR: position,
        LOG_FILE: base,
        LOG_POSITION: position & (1 << OFFSET_BITS) - 1,
        CHANGED_AT: int(seconds * 1e6),
        DELETED_AT: None,
    }
    for name, type_ in log_types().items():
        value = pa.scalar(filled[name]) if name == CHANGED_AT else pa.scalar(filled[name], type_)
        table = table.append_column(name, pa.repeat(value.cast(type_), table.num_rows))
    return table


def changed_keys(table: TableMap, event: RowsEvent, columns: Sequence[str]) -> bool:
    """Whether an update changed one of these columns; True where the log does not say."""
    rows = decoded(table, [event])
    assert rows.before is not None
    assert rows.after is not None
    places = {column.name: n for n, column in enumerate(table.columns)}
    for name in columns:
        n = places.get(name)
        if n is None or (n in rows.after.starts and n not in rows.before.starts):
            return True
        if n in rows.after.starts and is_moved(rows, n, table.columns[n]).any():
            return True
    return False


def spans_of(rows: LoggedRows, image: Image, column: int) -> Spans:
    import numpy as np

    return Spans(
        rows.data, np.frombuffer(rows.data, np.uint8), image.starts[column], image.ends[column], image.nulls[column]
    )


def is_moved(rows: LoggedRows, place: int, column: LoggedColumn) -> Any:
    """The rows in which an update changed this column, byte by byte."""
    import numpy as np
    import pyarrow.compute as pc

    assert rows.before is not None
    assert rows.after is not None
    before, after = (spans_of(rows, image, place) for image in (rows.before, rows.after))
    if size := size_of(column):
        differs = (before.matrix(size) != after.matrix(size)).any(axis=1)
    else:
        differs = ~pc.equal(before.binary(), after.binary()).fill_null(True).to_numpy(zero_copy_only=False)
    return np.where(before.nulls | after.nulls, before.nulls != after.nulls, differs)


class Part:
    """Changes of one kind with the same columns, as columns of the stream. `order`: places in the log. `needed`: the
    columns in which a value that does not fit rejects its row; None for all."""

    def __init__(
        self,
        followed_key: Sequence[str],
        columns: Sequence[CapturedColumn],
        table: TableMap,
        numbered: Sequence[tuple[int, LoggedChange]],
        places: Mapping[str, int],
        needed: Collection[str] | None,
    ) -> None:
        import numpy as np

        changes = [change for _, change in numbered]
        kind, first = changes[0].rows.kind, changes[0].rows
        old_columns = None
        if kind == UPDATE:  # of the old rows, only the key, and what the new ones do not have
            lacking = {*present_columns(first.present, first.width)} - {*present_columns(first.updated, first.width)}
            old_columns = lacking | {places[name] for name in followed_key}
        rows = decoded(table, [change.rows for change in changes], old_columns)
        count = len(rows)
        is_new = np.full(count, kind != DELETE)
        is_old = np.full(count, kind == DELETE)
        if kind == UPDATE:
            assert rows.before is not None
            assert rows.after is not None
            for name in followed_key:
                n = places[name]
                if n in rows.after.starts and n in rows.before.starts:
                    is_old |= is_moved(rows, n, table.columns[n])
        old, new = np.flatnonzero(is_old), np.flatnonzero(is_new)
        numbers = np.array([number for number, _ in numbered], np.int64)[rows.events]
        self.events = np.concatenate([rows.events[old], rows.events[new]])
        # The rows of one part are in the order of the log; an old row is before its new one.
        self.order = np.argsort(np.concatenate([old, new]), kind="stable")
        self.numbers = np.concatenate([numbers[old], numbers[new]])
        self.deleted = np.concatenate([np.full(len(old), True), np.full(len(new), False)])
        self.positions = np.array([change.position for change in changes], np.int64)[self.events]
        self.times = np.array([change.time for change in changes], np.int64)[self.events]
        self.misfits: dict[int, tuple[str, str]] = {}
        self.unknown: dict[str, Any] = {}
        self.arrays = {
            column.name: self._column(column, followed_key, table, rows, places.get(column.name, -1), old, new, needed)
            for column in columns
        }

    def _column(
        self,
        column: CapturedColumn,
        key: Sequence[str],
        table: TableMap,
        rows: LoggedRows,
        place: int,
        old: Any,
        new: Any,
        needed: Collection[str] | None,
    ) -> pa.Array:
        import numpy as np
        import pyarrow as pa

        type_ = column.sql.type
        arrays = []
        for side, chosen in (("before", old), ("after", new)):
            image = self._image(rows, side, place)
            is_needed = side == "after" or not key or column.name in key
            if not len(chosen):
                continue
            if not is_needed or image is None or column.kind is None:
                arrays.append(pa.nulls(len(chosen), type_))
                if is_needed and (side == "after" or not key):
                    mask = self.unknown.setdefault(column.name, np.zeros(len(old) + len(new), bool))
                    mask[len(old) :] |= side == "after"
                    mask[: len(old)] |= side == "before"
                continue
            spans = spans_of(rows, image, place)
            if len(chosen) < len(rows):
                spans = Spans(spans.data, spans.bytes, spans.starts[chosen], spans.ends[chosen], spans.nulls[chosen])
            arrays.append(values(table.columns[place], column.kind, spans, type_))
            if needed is not None and column.name not in needed:
                note_nulls(column.name, len(spans.misfits))
                continue
            offset = len(old) if side == "after" else 0
            for row, text in spans.misfits.items():
                self.misfits.setdefault(offset + row, (column.name, text))
        if not arrays:
            return pa.array([], type_)
        return arrays[0] if len(arrays) == 1 else pa.concat_arrays(arrays)

    def _image(self, rows: LoggedRows, side: str, place: int) -> Image | None:
        """The image with the column. An update has a value that it did not change in its old row alone."""
        images = [rows.after, rows.before] if side == "after" else [rows.before]
        return next((image for image in images if image is not None and place in image.starts), None)


def rows_of(
    tracked: Tracked,
    captured: CapturedTable,
    columns: Sequence[CapturedColumn],
    table: TableMap,
    changes: Sequence[LoggedChange],
    position: int,
    charsets: Mapping[int, str],
    file_of: Any,
) -> Iterator[Event]:
    """The changes as rows of the stream, in the order of the log. A column that the log does not have, or has with
    another type, is unknown."""
    import numpy as np
    import pyarrow as pa

    names = [c.name for c in table.columns] if table.has_names else [c.name for c in captured.columns]
    kinds = [kind_of(column, dict(charsets)) for column in table.columns]
    by_name = {column.name: column for column in captured.columns}
    places = {
        name: n
        for n, (name, kind) in enumerate(zip(names, kinds, strict=True))
        if name in by_name and (expected := by_name[name].logged) is not None and expected.agrees(kind)
    }
    missing = [name for name in tracked.key if name not in places]
    if missing:
        yield Failed(tracked.stream.key, unreadable_key(tracked.stream.key, missing[0]))
        return
    groups: dict[tuple[Any, ...], list[tuple[int, LoggedChange]]] = {}
    for number, change in enumerate(changes):
        groups.setdefault((change.rows.kind, change.rows.present, change.rows.updated), []).append((number, change))
    needed = None if captured.needed is None else {*captured.needed, *tracked.key}
    parts = [Part(tracked.key, columns, table, numbered, places, needed) for numbered in groups.values()]
    arrays = {c.name: joined([part.arrays[c.name] for part in parts]) for c in columns}
    deleted = np.concatenate([part.deleted for part in parts])
    times = np.concatenate([part.times for part in parts]) * 1_000_000
    positions = np.concatenate([part.positions for part in parts])
    types = log_types()
    arrays[CURSOR] = pa.array(positions)
    arrays[LOG_FILE] = file_names(positions, file_of)
    arrays[LOG_POSITION] = pa.array(positions & (1 << OFFSET_BITS) - 1)
    arrays[CHANGED_AT] = pa.array(times).view(types[CHANGED_AT])
    arrays[DELETED_AT] = pa.array(times, mask=~deleted).view(types[DELETED_AT])
    whole = pa.table(arrays)
    unknown, misfits, offset = dict[str, Any](), dict[int, tuple[str, str]](), 0
    for part in parts:
        for name, mask in part.unknown.items():
            unknown.setdefault(name, np.zeros(len(deleted), bool))[offset : offset + len(mask)] = mask
        misfits |= {offset + row: what for row, what in part.misfits.items()}
        offset += len(part.deleted)
    if len(parts) == 1:
        order = parts[0].order
    else:
        offsets = np.cumsum([0, *(len(part.order) for part in parts[:-1])])
        sorted_rows = np.concatenate([part.order + start for part, start in zip(parts, offsets, strict=True)])
        numbers = np.concatenate([part.numbers[part.order] for part in parts])
        order = sorted_rows[np.argsort(numbers, kind="stable")]
    if (order != np.arange(len(order))).any():
        whole = whole.take(pa.array(order))
        unknown = {name: mask[order] for name, mask in unknown.items()}
        if misfits:
            rank = np.empty(len(order), np.int64)
            rank[order] = np.arange(len(order))
            misfits = {int(rank[row]): what for row, what in misfits.items()}
    if unknown and not tracked.key:
        yield Failed(tracked.stream.key, unreadable_values(tracked.stream.key, sorted(unknown)))
        return
    yield from settled_rows(tracked, whole, unknown, misfits, by_name, position)


def settled_rows(
    tracked: Tracked,
    whole: pa.Table,
    unknown: dict[str, Any],
    misfits: Mapping[int, tuple[str, str]],
    columns: Mapping[str, CapturedColumn],
    position: int,
) -> Iterator[Event]:
    """The rows, and those with a value that Arrow has not as rejects."""
    import numpy as np
    import pyarrow as pa

    key = tracked.stream.key
    ends = sorted(misfits)
    if ends:
        for n, row in zip(ends, arrow_values.rows(whole.take(pa.array(ends, pa.int64()))), strict=True):
            name, text = misfits[n]
            reason = f"field {name}: {text} does not fit its type {columns[name].sql.type}"
            yield Reject({**row, name: text}, reason, stream=key)
    if ends and not unknown:
        kept = np.full(whole.num_rows, True)
        kept[ends] = False
        whole, ends = whole.filter(pa.array(kept)), []
    # A value that the log leaves out is that of the version before: it is never searched beyond a rejected version.
    begin = 0
    for end in [*ends, whole.num_rows]:
        if end > begin:
            masks = {name: mask[begin:end] for name, mask in unknown.items() if mask[begin:end].any()}
            yield Rows(key, whole.slice(begin, end - begin), position, masks)
        begin = end + 1


def joined(arrays: Sequence[pa.Array]) -> pa.Array:
    import pyarrow as pa

    return arrays[0] if len(arrays) == 1 else pa.concat_arrays(arrays)


def file_names(positions: Any, file_of: Any) -> pa.Array:
    import numpy as np
    import pyarrow as pa

    numbers, places = np.unique(positions >> OFFSET_BITS, return_inverse=True)
    names = [file_of(int(number) << OFFSET_BITS) for number in numbers]
    return pa.array(names, pa.string()).take(pa.array(places))


def unreadable_key(stream: str, column: str) -> ConfigError:
    return ConfigError(
        f"the log does not have the key column {column} of {stream} in a way that can be read: the key was altered, or "
        "is of a type that the log has only in the server's own form",
        hint="Refresh the stream; if it fails again, read it as full_refresh.",
        stream=stream,
    )


def unreadable_values(stream: str, columns: Sequence[str]) -> ConfigError:
    return ConfigError(
        f"the log leaves out values of {', '.join(columns)} of {stream}, which has no primary key to read them by",
        hint="Set binlog_row_image = FULL at the server, then refresh the stream.",
        stream=stream,
    )
