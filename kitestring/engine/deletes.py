"""Before a batch is prepared: its last version of each key, its deletions, and the records without a key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from kitestring.batch import Batch
from kitestring.engine.mapped import FILTERED
from kitestring.paths import at
from kitestring.types import DELETED_AT, Path, Record, Reject, Stream, WriteMode

Key = tuple[Any, ...]


@dataclass(slots=True)
class Settled:
    """A batch made ready: what to write, which keys to delete, and what fell out of it."""

    batch: Batch
    deletes: list[Key] = field(default_factory=list)
    dropped: int = 0
    superseded: int = 0
    rejected: list[Reject] = field(default_factory=list)
    forgotten: int = 0
    """How many of `deletes` a mapper has left out, and no source deleted."""


def settle(stream: Stream, batch: Batch, can_delete: bool) -> Settled:
    """Sort a batch for its write mode.

    `append` takes all as it is (a deletion is a record of its own there). `overwrite` drops deletions: what is deleted
    has no place in a fresh copy. `append_dedup` keeps the last version of each key in arrival order, and gives the
    deletions apart, where the destination can delete.
    """
    if stream.write_mode is WriteMode.append:
        return Settled(batch)
    if batch.is_table:
        settled = settle_table(stream, batch)
        if settled is not None:
            return settled
    if stream.write_mode is WriteMode.overwrite:
        rows = batch.rows()
        kept = [row for row in rows if row.get(DELETED_AT) is None]
        if len(kept) == len(rows):
            return Settled(batch)
        return Settled(Batch(batch.stream, rows=kept, nbytes=batch.nbytes), dropped=len(rows) - len(kept))
    return settle_rows(stream, batch, can_delete)


def settle_rows(stream: Stream, batch: Batch, can_delete: bool) -> Settled:
    last: dict[Key, Record] = {}
    rejected: list[Reject] = []
    rows = batch.rows()
    for row in rows:
        key, reason = key_of(row, stream.primary_key)
        if key is None:
            rejected.append(Reject(row, reason))
            continue
        # A dict keeps the place of the first: take it out, so that the last version stands where it arrived.
        last.pop(key, None)
        last[key] = row
    superseded = len(rows) - len(rejected) - len(last)
    deletes = [key for key, row in last.items() if row.get(DELETED_AT) is not None] if can_delete else []
    forgotten = sum(last[key][DELETED_AT] is FILTERED for key in deletes)
    if not (superseded or rejected or deletes):
        return Settled(batch)
    for key in deletes:
        del last[key]
    kept = Batch(batch.stream, rows=list(last.values()), nbytes=batch.nbytes)
    return Settled(kept, deletes, 0, superseded, rejected, forgotten)


def key_of(row: Record, paths: Sequence[Path]) -> tuple[Key | None, str]:
    """The primary key's values, or None and the reason why the record has none."""
    values = []
    for path in paths:
        value = row.get(path[0]) if len(path) == 1 else at(row, path)
        if value is None:
            return None, f"the primary key field {'.'.join(path)} is missing or null"
        if isinstance(value, dict | list):
            return None, f"the primary key field {'.'.join(path)} is {type(value).__name__}, not a plain value"
        values.append(value)
    return tuple(values), ""


def settle_table(stream: Stream, batch: Batch) -> Settled | None:
    """The same for an Arrow table without leaving Arrow; None where its rows have to be looked at one by one."""
    import pyarrow as pa
    import pyarrow.compute as pc

    table = batch.table()
    marked = DELETED_AT in table.column_names and table[DELETED_AT].null_count < table.num_rows
    if stream.write_mode is WriteMode.overwrite:
        if not marked:
            return Settled(batch)
        kept = table.filter(pc.is_null(table[DELETED_AT]))
        return Settled(Batch(batch.stream, table=kept), dropped=table.num_rows - kept.num_rows)
    names = [path[0] for path in stream.primary_key if len(path) == 1]
    if marked or len(names) != len(stream.primary_key) or any(name not in table.column_names for name in names):
        return None
    if any(table[name].null_count or pa.types.is_nested(table[name].type) for name in names):
        return None
    keys = table.select(names).append_column("__row__", pa.array(range(table.num_rows), pa.int64()))
    try:
        last = keys.group_by(names).aggregate([("__row__", "max")])["__row___max"]
    except pa.ArrowNotImplementedError:  # a key type that Arrow cannot group by
        return None
    if len(last) == table.num_rows:
        return Settled(batch)
    kept = table.take(last.combine_chunks().sort())
    return Settled(Batch(batch.stream, table=kept), superseded=table.num_rows - kept.num_rows)
