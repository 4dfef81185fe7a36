"""Deduplicates a batch before it is prepared: the last version of each key, its deletions, records without a key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from kitestring.batch import Batch
from kitestring.destination import Deletes, Destination, Marks
from kitestring.identity import Identity, distinct, identifier
from kitestring.mappers.mapped_batch import FILTERED
from kitestring.paths import at
from kitestring.types import DELETED_AT, Path, Record, Reject, Stream

Key = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Abilities:
    """Which kinds of deletion a destination supports."""

    deletes: bool = False
    marks: bool = False

    @classmethod
    def of(cls, destination: Destination) -> Abilities:
        return cls(isinstance(destination, Deletes), isinstance(destination, Marks))


@dataclass(slots=True)
class DeduplicatedBatch:
    """A batch to write, the keys to delete or mark after it, and what was left out."""

    batch: Batch
    deletes: list[Key] = field(default_factory=list)
    marks: list[dict[Key, Any]] = field(default_factory=list)
    """The time of deletion by key. 1 and True are two keys, but one key of a dict: so there may be several dicts."""
    dropped: int = 0
    """Deleted records that a new copy omits."""
    ignored: int = 0
    """Deletions that change nothing, since deleted records are kept."""
    superseded: int = 0
    rejected: list[Reject] = field(default_factory=list)
    forgotten: list[Key] = field(default_factory=list)
    """Keys of records that a mapper filtered out, and no source deleted: they are deleted too."""


def deduplicate(stream: Stream, batch: Batch, abilities: Abilities) -> DeduplicatedBatch:
    """Deduplicate a batch for the way it is written.

    Where all versions are kept, the batch stays as it is; a new copy may omit deleted records. Where the latest version
    is kept, it is the last of each key in arrival order, and deletions are separate.
    """
    write = stream.write
    if write.keep == "all" and write.deletes == "keep":
        return DeduplicatedBatch(batch)
    if batch.is_table:
        settled = deduplicate_table(stream, batch, abilities)
        if settled is not None:
            return settled
    if write.keep == "latest":
        return deduplicate_rows(stream, batch, abilities)
    rows = batch.rows()
    live = [row for row in rows if row.get(DELETED_AT) is None]
    if len(live) == len(rows):
        return DeduplicatedBatch(batch)
    return DeduplicatedBatch(Batch(batch.stream, rows=live, nbytes=batch.nbytes), dropped=len(rows) - len(live))


def deduplicate_rows(stream: Stream, batch: Batch, abilities: Abilities) -> DeduplicatedBatch:
    settled = DeduplicatedBatch(batch)
    last: dict[Identity, Record] = {}
    deleted: dict[Identity, Record] = {}
    identity_of = identifier(stream.primary_key, stream.schema)
    deletes, rows = stream.write.deletes, batch.rows()
    for row in rows:
        identity = identity_of(row)
        reason = no_key(identity, stream.primary_key)
        if reason:
            settled.rejected.append(Reject(row, reason))
            continue
        at_ = row.get(DELETED_AT)
        if at_ is None:
            # A dict keeps the position of the first: remove it: the last version moves to its own.
            settled.superseded += (last.pop(identity, None) is not None) + (deleted.pop(identity, None) is not None)
            last[identity] = row
        elif (at_ is FILTERED and not abilities.deletes) or (at_ is not FILTERED and deletes == "keep"):
            settled.ignored += 1
        elif at_ is not FILTERED and not (abilities.marks if deletes == "mark" else abilities.deletes):
            # The destination handles the marker itself.
            settled.superseded += last.pop(identity, None) is not None
            last[identity] = row
        else:
            settled.superseded += deleted.pop(identity, None) is not None
            if at_ is FILTERED or deletes == "remove":  # a record that is deleted need not be written
                settled.superseded += last.pop(identity, None) is not None
            deleted[identity] = row
    for row in deleted.values():
        key, at_ = tuple(at(row, path) for path in stream.primary_key), row[DELETED_AT]
        if at_ is FILTERED:
            settled.forgotten.append(key)
        elif deletes == "mark":
            marks = next((marks for marks in settled.marks if key not in marks), None)
            if marks is None:
                settled.marks.append(marks := {})
            marks[key] = at_
        else:
            settled.deletes.append(key)
    if len(last) < len(rows):
        settled.batch = Batch(batch.stream, rows=list(last.values()), nbytes=batch.nbytes)
    return settled


def no_key(identity: Identity, paths: Sequence[Path]) -> str:
    """The reason why this is no identity, or nothing."""
    for value, path in zip(identity, paths, strict=True):
        if value is None:
            return f"the primary key field {'.'.join(path)} is missing or null"
        if isinstance(value, tuple) and value[0] in ("object", "array"):
            return f"the primary key field {'.'.join(path)} is an {value[0]}, not a plain value"
    return ""


def deduplicate_table(stream: Stream, batch: Batch, abilities: Abilities) -> DeduplicatedBatch | None:
    """The same for an Arrow table, within Arrow; None where its rows have to be checked one by one."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from kitestring import arrow_values

    table = batch.table()
    marked = DELETED_AT in table.column_names and table[DELETED_AT].null_count < table.num_rows
    if stream.write.keep == "all":
        if not marked:
            return DeduplicatedBatch(batch)
        latest = table.filter(pc.is_null(table[DELETED_AT]))
        return DeduplicatedBatch(Batch(batch.stream, table=latest), dropped=table.num_rows - latest.num_rows)
    names = [path[0] for path in stream.primary_key if len(path) == 1]
    if len(names) != len(stream.primary_key) or any(name not in table.column_names for name in names):
        return None
    if marked and not (stream.write.deletes == "remove" and abilities.deletes):
        return None
    if any(table[name].null_count or pa.types.is_nested(table[name].type) for name in names):
        return None
    if not marked and len(names) == 1 and distinct([table[names[0]]]):
        return DeduplicatedBatch(batch)
    keys = table.select(names).append_column("__row__", pa.array(range(table.num_rows), pa.int64()))
    try:
        last = keys.group_by(names).aggregate([("__row__", "max")])["__row___max"]
    except pa.ArrowNotImplementedError:  # a key type that Arrow cannot group by
        return None
    superseded = table.num_rows - len(last)
    if superseded:
        table = table.take(last.combine_chunks().sort())
    if not marked:
        return DeduplicatedBatch(Batch(batch.stream, table=table) if superseded else batch, superseded=superseded)
    is_live = pc.is_null(table[DELETED_AT])
    deleted, live = table.filter(pc.invert(is_live)), table.filter(is_live)
    deleted_keys = zip(*(arrow_values.values(deleted[name]) for name in names), strict=True)
    return DeduplicatedBatch(Batch(batch.stream, table=live), deletes=list(deleted_keys), superseded=superseded)
