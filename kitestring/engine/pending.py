"""Records in transit: those that are not yet a batch, and the steps that are being written."""

from __future__ import annotations

import math
import time
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from kitestring.batch import Batch
from kitestring.errors import KitestringError
from kitestring.types import Checkpoint, Receipt, Record, Reject

if TYPE_CHECKING:
    import pyarrow as pa

Covering: TypeAlias = tuple[str, Checkpoint, Mapping[str, int]]
"""A stream's key, a checkpoint, and the records of each stream it covers since the checkpoint before."""

Checkpoints: TypeAlias = list[Covering]


@dataclass(slots=True, eq=False)
class Step:
    """A task for the writer: a batch to write, or (`ends`) the end of a stream; afterwards its outcome.

    `number` is the position of its first record in the order of arrival (see `Pending.add`).
    """

    stream: str
    batch: Batch | None = None
    checkpoints: Checkpoints = field(default_factory=list)
    number: float = math.inf
    ends: bool = False
    error: KitestringError | None = None
    future: Future[Any] | None = None
    failure: BaseException | None = None
    written: int = 0
    unchanged: int = 0
    deleted: int = 0
    dropped: int = 0
    """Deleted records that never reached the destination (they count as `deleted`)."""
    removed: int = 0
    """Records that the destination held and no longer holds."""
    absent: int = 0
    """Deletions of records that did not exist: nothing had to change."""
    replaced: int | None = 0
    """Records that later versions replaced; None where the destination does not report it."""
    superseded: int = 0
    filtered: int = 0
    forgotten: int = 0
    """The number of filtered records that the commit will report as deletions."""
    rejects: list[Reject] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)
    last: Record | None = None

    def count_deletions(self, receipt: Receipt | None, count: int) -> None:
        """Count the outcome of this many deletions. Without a receipt the destination carried them out."""
        if receipt is None:
            receipt, self.replaced = Receipt(deleted=count), None
        self.removed += receipt.deleted
        self.deleted += receipt.deleted
        self.absent += receipt.unchanged
        self._count_replaced(receipt)
        self.add(receipt.figures)

    def count_forgotten(self, receipt: Receipt | None, count: int) -> None:
        """The same for records that a mapper filtered out: no source deleted them, they count only as filtered."""
        if receipt is None:
            receipt, self.replaced = Receipt(deleted=count), None
        self.removed += receipt.deleted
        self.forgotten += count - receipt.deleted - receipt.unchanged
        self._count_replaced(receipt)
        self.add(receipt.figures)

    def _count_replaced(self, receipt: Receipt) -> None:
        """A key may have had several records, if they were written before with all versions."""
        if receipt.replaced and self.replaced is not None:
            self.replaced += receipt.replaced

    def add(self, figures: Mapping[str, float]) -> None:
        """Sum up the figures of a receipt."""
        for name, value in figures.items():
            self.figures[name] = self.figures.get(name, 0) + value


class Pending:
    """Records of one stream that wait to become a batch of the destination's size.

    A batch ends with the last checkpoint that it completes: records that no checkpoint covers would be written a second
    time after a crash. They go first into the next batch, so that batches and checkpoints soon coincide.
    """

    def __init__(self, stream: str, max_rows: int, max_bytes: int) -> None:
        self.stream = stream
        self.max_rows = max_rows
        self.max_bytes = max_bytes
        self.parts: list[Batch] = []
        self.numbers: list[int] = []
        self.checkpoints: Checkpoints = []
        self.covered = 0
        self.rows = 0
        self.nbytes = 0
        self.since = 0.0

    def __bool__(self) -> bool:
        return bool(self.parts)

    @property
    def full(self) -> bool:
        return self.rows >= self.max_rows or self.nbytes >= self.max_bytes

    @property
    def number(self) -> float:
        """The number of the first waiting batch."""
        return self.numbers[0] if self.numbers else math.inf

    @property
    def age_s(self) -> float:
        return time.monotonic() - self.since

    def joins(self, batch: Batch) -> bool:
        """False where the waiting records and these have no common form: they become batches of their own."""
        if not self.parts or self.parts[-1].is_table is not batch.is_table:
            return not self.parts
        if not batch.is_table or batch.table().schema.equals(self.parts[-1].table().schema):
            return True
        schema = batch.table().schema
        return all(have_common_form(part.table().schema, schema) for part in self.parts)

    def add(self, batch: Batch, number: int = 1, shared: int = 0) -> Iterator[Step]:
        """Add a batch; yields full batches, each with the checkpoints that it completes.

        `number` grows with every batch of any stream; `shared` is the number of the last checkpoint that streams
        share.
        """
        for whole in self._cut(batch):
            rest = whole
            while self.parts and (self.rows + len(rest) > self.max_rows or self.nbytes + rest.nbytes > self.max_bytes):
                free_rows = self.max_rows - self.rows
                share = rest.nbytes * free_rows // len(rest)
                fits = 0 < free_rows < len(rest) and self.nbytes + share <= self.max_bytes
                if fits and rest.is_table and not self.covered and self.number > shared:
                    table = rest.table()  # exactly full: some stores work best with batches of one size
                    self._add(Batch(batch.stream, table=table.slice(0, free_rows), nbytes=share), number)
                    rest = Batch(batch.stream, table=table.slice(free_rows), nbytes=rest.nbytes - share)
                yield self.take(shared)
            self._add(rest, number)

    def _add(self, batch: Batch, number: int) -> None:
        if not self.parts:
            self.since = time.monotonic()
        self.parts.append(batch)
        self.numbers.append(number)
        self.rows += len(batch)
        self.nbytes += batch.nbytes

    def complete(self, checkpoint: Covering) -> None:
        """A checkpoint covers all waiting records."""
        self.checkpoints.append(checkpoint)
        self.covered = len(self.parts)

    def take(self, shared: int = 0) -> Step:
        """The waiting records up to the last checkpoint as one batch, with its checkpoints; all where there is none."""
        checkpoints, self.checkpoints = self.checkpoints, []
        number, count = self.number, max(self.covered, bisect_right(self.numbers, shared)) or len(self.parts)
        parts, self.parts, self.numbers, self.covered = self.parts[:count], self.parts[count:], self.numbers[count:], 0
        self.rows, self.nbytes = sum(map(len, self.parts)), sum(part.nbytes for part in self.parts)
        self.since = time.monotonic()
        return Step(self.stream, self._join(parts), checkpoints, number)

    def _cut(self, batch: Batch) -> Sequence[Batch]:
        count = max(math.ceil(len(batch) / self.max_rows), math.ceil(batch.nbytes / self.max_bytes), 1)
        count = min(count, len(batch))
        if count <= 1:
            return [batch]
        size = math.ceil(len(batch) / count)
        share = batch.nbytes // count
        if batch.is_table:
            table = batch.table()
            return [Batch(batch.stream, table=table.slice(at, size), nbytes=share) for at in range(0, len(batch), size)]
        rows = batch.rows()
        return [Batch(batch.stream, rows=rows[at : at + size], nbytes=share) for at in range(0, len(rows), size)]

    def _join(self, parts: Sequence[Batch]) -> Batch:
        if len(parts) == 1:
            return parts[0]
        nbytes = sum(part.nbytes for part in parts)
        if parts[0].is_table:
            import pyarrow as pa

            tables = [part.table() for part in parts]
            return Batch(self.stream, table=pa.concat_tables(tables, promote_options="permissive"), nbytes=nbytes)
        rows: list[Record] = []
        for part in parts:
            rows.extend(part.rows())
        return Batch(self.stream, rows=rows, nbytes=nbytes)


def have_common_form(before: pa.Schema, after: pa.Schema) -> bool:
    """True where tables with these schemas are one table with the same values. (A column that was altered meanwhile has
    another type: a text with bytes, or a decimal with floats, would become something else.)"""
    types = [dict(zip(schema.names, schema.types, strict=True)) for schema in (before, after)]
    return all(is_kept(type_, types[1][name]) for name, type_ in types[0].items() if name in types[1])


def is_kept(before: pa.DataType, after: pa.DataType) -> bool:
    """True where the values of both types are the same in a type that has both."""
    import pyarrow as pa

    is_ = pa.types
    if before == after or is_.is_null(before) or is_.is_null(after):
        return True
    if is_.is_signed_integer(before) and is_.is_signed_integer(after):
        return True
    if is_.is_struct(before) and is_.is_struct(after):
        return have_common_form(pa.schema(list(before)), pa.schema(list(after)))
    if is_.is_list(before) and is_.is_list(after):
        return is_kept(before.value_type, after.value_type)
    return False
