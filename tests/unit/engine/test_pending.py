"""What waits to be a batch: batches are exactly full where nothing speaks against it, and end with a checkpoint."""

from __future__ import annotations

import pytest

from kitestring.batch import Batch
from kitestring.engine.intake import Intake
from kitestring.engine.pending import Pending
from kitestring.types import Checkpoint

pa = pytest.importorskip("pyarrow")


def numbers(start: int, stop: int, nbytes: int) -> Batch:
    return Batch("s", table=pa.table({"id": range(start, stop)}), nbytes=nbytes)


def ids(batch: Batch | None) -> list[int]:
    assert batch is not None
    return [row["id"] for row in batch.rows()]


def test_tables_without_checkpoints_become_batches_that_are_exactly_full() -> None:
    pending, batches = Pending("s", 10, 10_000), list[Batch | None]()
    for start in range(0, 28, 4):
        batches += [step.batch for step in pending.add(numbers(start, start + 4, 100))]
    batches.append(pending.take().batch)
    assert [ids(batch) for batch in batches] == [[*range(10)], [*range(10, 20)], [*range(20, 28)]]
    assert sum(batch.nbytes for batch in batches if batch) == 700


def test_a_table_is_not_cut_where_a_checkpoint_waits() -> None:
    pending = Pending("s", 10, 10_000)
    assert not list(pending.add(numbers(0, 8, 100)))
    pending.complete(("s", Checkpoint({"id": 7}), {}))
    (step,) = pending.add(numbers(8, 16, 100))
    assert ids(step.batch) == [*range(8)]
    assert [checkpoint.state for _, checkpoint, _ in step.checkpoints] == [{"id": 7}]
    assert ids(pending.take().batch) == [*range(8, 16)]


def test_a_batch_has_no_more_bytes_than_the_destination_wants() -> None:
    pending = Pending("s", 10, 240)
    batches = [step.batch for start in range(0, 12, 4) for step in pending.add(numbers(start, start + 4, 100))]
    assert [ids(batch) for batch in batches] == [[*range(8)]]


def test_a_table_is_not_cut_where_a_shared_checkpoint_waits() -> None:
    pending = Pending("s", 10, 10_000)
    assert not list(pending.add(numbers(0, 8, 100), 1, 0))
    (step,) = pending.add(numbers(8, 16, 100), 2, 1)
    assert ids(step.batch) == [*range(8)]


@pytest.mark.parametrize(
    ("before", "after", "joins"),
    [
        (pa.int32(), pa.int64(), True),
        (pa.int32(), pa.null(), True),
        (pa.int32(), pa.string(), False),
        (pa.decimal128(12, 2), pa.float64(), False),
        (pa.int64(), pa.float64(), False),
        (pa.string(), pa.binary(), False),
        (pa.date32(), pa.timestamp("us"), False),
        (pa.list_(pa.int32()), pa.list_(pa.int64()), True),
        (pa.struct([("a", pa.int32())]), pa.struct([("a", pa.string())]), False),
    ],
)
def test_tables_with_another_type_of_a_column_become_batches_of_their_own(
    before: pa.DataType, after: pa.DataType, joins: bool
) -> None:
    intake = Intake(["s"], 10, 10_000)
    first, second = (Batch("s", table=pa.table({"x": pa.nulls(2, type_)})) for type_ in (before, after))
    assert not list(intake.add(first))
    (*early,) = intake.add(second)
    assert len(early) == (0 if joins else 1)
    batches = [step.batch for step in [*early, *intake.flush("s")]]
    assert sum(len(batch) for batch in batches if batch) == 4
