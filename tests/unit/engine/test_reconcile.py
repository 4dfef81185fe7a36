"""When a sync ends: what is shown, what a cancel and a defect leave behind."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from kitestring.batch import Batch
from kitestring.engine import MemoryStates, Progress, Selection, Status, sync
from kitestring.engine.progress import lag_of
from kitestring.errors import AuthError, ConfigError, TransientError
from kitestring.source import Item
from kitestring.testing.memory import MemoryDestination, MemorySource
from kitestring.types import Checkpoint, Partition, Receipt, Reject, State, States, Stream

pa = pytest.importorskip("pyarrow")


def rows(count: int) -> list[dict[str, Any]]:
    return [{"id": n, "seen": n} for n in range(count)]


def source(count: int = 10) -> MemorySource:
    return MemorySource(records={"t": rows(count)}, primary_keys={"t": "id"}, cursors={"t": "seen"})


def test_a_result_is_json_with_the_error_and_its_hint() -> None:
    class Refusing(MemoryDestination):
        def begin(self, stream: Stream) -> None:
            raise AuthError("the token was refused", hint="Make a new one.")

    result = sync(source(), Refusing())
    content = json.loads(json.dumps(result.as_dict()))
    assert content["status"] == "failed"
    assert content["error"] == {"type": "AuthError", "message": "the token was refused", "hint": "Make a new one."}
    assert content["streams"]["t"]["status"] == "failed"


def test_a_begin_that_fails_aborts_what_was_begun_and_reads_nothing() -> None:
    class Late(MemoryDestination):
        aborted: list[str] = []
        reads: int = 0

        def begin(self, stream: Stream) -> None:
            if stream.name == "b":
                raise ConfigError("wrong dimension", hint="")
            super().begin(stream)

        def abort(self, stream: Stream) -> None:
            self.aborted.append(stream.name)
            super().abort(stream)

    destination = Late()
    origin = MemorySource(records={"a": rows(5), "b": rows(5)})
    result = sync(origin, destination, [Selection("a", write_mode="overwrite"), Selection("b", write_mode="overwrite")])
    assert result.status is Status.failed
    assert set(destination.aborted) == {"a", "b"}
    assert result.total("read") == 0
    assert destination.stored == {}


def test_an_exception_of_the_destination_is_a_defect_and_keeps_durable_checkpoints() -> None:
    class Buggy(MemoryDestination):
        calls: int = 0

        def write(self, stream: Stream, batch: Batch) -> Receipt | None:
            self.calls += 1
            if self.calls == 3:
                raise ZeroDivisionError("oops")
            return super().write(stream, batch)

        def abort(self, stream: Stream) -> None:
            raise RuntimeError("not even that works")

        def close(self) -> None:
            raise RuntimeError("nor that")

    states, destination = MemoryStates(), Buggy()
    result = sync(source(1000), destination, states=states)
    assert "Buggy failed: ZeroDivisionError: oops" in str(result.error)
    assert isinstance(result.error.__cause__, ZeroDivisionError)  # type: ignore[union-attr]
    saved = states.load("default")["t"]["cursor"]
    assert set(range(saved + 1)) <= {row["id"] for row in destination.stored["t"]}


def test_ctrl_c_is_passed_on_after_the_streams_were_aborted() -> None:
    class Interrupted(MemoryDestination):
        aborted: bool = False

        def write(self, stream: Stream, batch: Batch) -> Receipt | None:
            raise KeyboardInterrupt

        def abort(self, stream: Stream) -> None:
            self.aborted = True

    destination = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        sync(source(), destination)
    assert destination.aborted


def test_a_cancel_ends_the_waiting_for_a_destination_that_is_down() -> None:
    cancel = threading.Event()

    class Down(MemoryDestination):
        def write(self, stream: Stream, batch: Batch) -> Receipt | None:
            threading.Timer(0.1, cancel.set).start()
            raise TransientError("down", retry_after_s=600)

    began = time.monotonic()
    result = sync(source(), Down(), cancel=cancel)
    assert result.status is Status.cancelled
    assert result.error is None
    assert time.monotonic() - began < 300


def test_a_destination_that_stays_down_fails_the_sync_after_its_retries() -> None:
    class Down(MemoryDestination):
        tries: int = 0

        def write(self, stream: Stream, batch: Batch) -> Receipt | None:
            self.tries += 1
            raise TransientError("still down", retry_after_s=0.001)

    destination = Down()
    result = sync(source(), destination)
    assert result.status is Status.failed
    assert str(result.error) == "still down"
    assert destination.tries == 5


@pytest.mark.slow
def test_a_cancel_does_not_wait_for_a_long_preparation() -> None:
    cancel, release, prepared = threading.Event(), threading.Event(), threading.Event()

    class Thinking(MemoryDestination):
        def prepare(self, stream: Stream, batch: Batch) -> Batch:
            cancel.set()
            release.wait(300)
            prepared.set()
            return batch

    assert sync(source(), Thinking(), cancel=cancel).status is Status.cancelled
    assert not prepared.is_set()
    release.set()


def test_a_checkpoint_shared_by_streams_waits_for_all_of_them() -> None:
    class Slot(MemorySource):
        def groups(self, streams: Any) -> Any:
            return [list(streams)]

        def partitions(self, streams: Any, states: States) -> Any:
            return [Partition(tuple(streams), "slot")]

        def read(self, partition: Partition, states: States) -> Iterator[Item]:
            yield Checkpoint({"position": 0})
            yield Batch("a", rows=rows(10))
            yield Batch("b", rows=rows(10))
            yield Checkpoint({"position": 10})
            yield Checkpoint({"own": True}, stream="a")

    class Broken(MemoryDestination):
        def write(self, stream: Stream, batch: Batch) -> Receipt | None:
            if stream.name == "b":
                raise ConfigError("b cannot be written", hint="")
            return super().write(stream, batch)

    keys = {"a": "id", "b": "id"}
    slot = Slot(records={"a": [], "b": []}, primary_keys=keys, cursors={"a": "seen", "b": "seen"})
    states = MemoryStates()
    assert sync(slot, Broken(), states=states).status is Status.failed
    assert states.load("default").get("", {"position": 0}) == {"position": 0}
    assert sync(slot, MemoryDestination(), states=states).ok
    assert states.load("default")[""] == {"position": 10}
    assert states.load("default")["a"] == {"own": True}


def test_arrow_batches_are_cut_joined_and_settled_as_tables() -> None:
    seen: list[bool] = []

    class Tables(MemorySource):
        def read(self, partition: Partition, states: States) -> Iterator[Item]:
            yield Batch("t", table=pa.table({"id": list(range(250)), "v": ["x"] * 250}))
            yield Batch("t", table=pa.table({"id": [1, 900], "v": ["new", "y"]}))
            yield {"id": 901, "v": "row"}

    class Watching(MemoryDestination):
        def prepare(self, stream: Stream, batch: Batch) -> Batch:
            seen.append(batch.is_table)
            return batch

    destination = Watching()
    result = sync(Tables(records={"t": []}, primary_keys={"t": "id"}), destination)
    assert result.ok, result.as_dict()
    assert len(destination.stored["t"]) == 252
    assert next(row for row in destination.stored["t"] if row["id"] == 1)["v"] == "new"
    assert seen.count(False) == 1


def test_a_bad_row_in_an_arrow_batch_is_found() -> None:
    from kitestring.errors import RecordError

    class Tables(MemorySource):
        def read(self, partition: Partition, states: States) -> Iterator[Item]:
            yield Batch("t", table=pa.table({"id": list(range(50))}))

    class Picky(MemoryDestination):
        def write(self, stream: Stream, batch: Batch) -> Receipt | None:
            if 33 in batch.table()["id"].to_pylist():
                raise RecordError("33 is not taken")
            return super().write(stream, batch)

    destination = Picky()
    result = sync(Tables(records={"t": []}, primary_keys={"t": "id"}), destination)
    assert result.ok
    assert result.streams["t"].rejected == 1
    assert len(destination.stored["t"]) == 49


def test_a_source_that_breaks_its_contract_is_named() -> None:
    class UnknownStream(MemorySource):
        def read(self, partition: Partition, states: States) -> Iterator[Item]:
            yield Batch("somebody_else", rows=[{"id": 1}])

    class Planless(MemorySource):
        def partitions(self, streams: Any, states: States) -> Any:
            raise IndexError("no plan")

    assert "a Batch for somebody_else" in str(
        sync(UnknownStream(records={"t": []}), MemoryDestination()).streams["t"].error
    )
    assert "IndexError: no plan" in str(sync(Planless(records={"t": []}), MemoryDestination()).streams["t"].error)


def test_the_state_of_a_stream_moves_by_itself_when_nothing_was_read() -> None:
    class Quiet(MemorySource):
        def read(self, partition: Partition, states: States) -> Iterator[Item]:
            yield Checkpoint({"cursor": 77})

    states = MemoryStates()
    quiet = Quiet(records={"t": []}, primary_keys={"t": "id"}, cursors={"t": "seen"})
    assert sync(quiet, MemoryDestination(), states=states).ok
    assert states.load("default") == {"t": {"cursor": 77}}


def test_a_count_that_fails_is_left_out_of_the_reconciliation() -> None:
    class Uncountable(MemoryDestination):
        def count(self, stream: Stream) -> int | None:
            raise TransientError("busy counting")

    assert sync(source(), Uncountable()).ok


def test_dedup_counts_outside_their_bounds_are_suspicious() -> None:
    class Growing(MemoryDestination):
        def count(self, stream: Stream) -> int | None:
            return len(self.stored.get("t", ())) * 3

    result = sync(source(10), Growing())
    assert result.status is Status.suspicious
    assert result.streams["t"].suspicions == ["the destination should count 10 records, it counts 30"]


def test_an_overwrite_that_lost_records_is_suspicious() -> None:
    class Lossy(MemoryDestination):
        def commit(self, stream: Stream) -> None:
            super().commit(stream)
            self.stored[stream.key].pop()

    plain = MemorySource(records={"t": rows(10)})
    result = sync(plain, Lossy(), [Selection("t", write_mode="overwrite")])
    assert result.streams["t"].suspicions == ["10 records were written, the destination counts 9"]


def test_what_lags_is_told_from_times_and_epochs_only() -> None:
    assert lag_of("not a time") is None
    assert lag_of(17) is None
    assert lag_of(None) is None
    assert lag_of("2026-01-01T00:00:00") == pytest.approx(lag_of("2026-01-01T00:00:00+00:00"), abs=1)
    assert lag_of(time.time() - 60) == pytest.approx(60, abs=2)


def test_progress_knows_its_rate() -> None:
    progress = Progress()
    sync(source(1000), MemoryDestination(), progress=progress)
    assert progress.streams["t"].rate > 0


def test_a_state_saved_by_one_partition_survives_the_failure_of_another() -> None:
    class Half(MemorySource):
        def partitions(self, streams: Any, states: States) -> Any:
            return [Partition((streams[0],), "good"), Partition((streams[0],), "bad")]

        def read(self, partition: Partition, states: States) -> Iterator[Item]:
            if partition.key == "bad":
                time.sleep(0.3)
                raise ConfigError("bad piece", hint="")
            yield from rows(10)
            yield Checkpoint({"good": True})

        def merge(self, stream: str, state: State, checkpoint: State) -> State:
            return {**state, **checkpoint}

    states = MemoryStates()
    half = Half(records={"t": []}, primary_keys={"t": "id"}, cursors={"t": "seen"})
    destination = MemoryDestination()
    assert sync(half, destination, states=states).status is Status.failed
    assert states.load("default") == {"t": {"good": True}}
    assert len(destination.stored["t"]) == 10


class Refusing(MemoryDestination):
    """Rejects every record, as a wrong setting does."""

    def write(self, stream: Stream, batch: Batch) -> Receipt | None:
        return Receipt(rejected=[Reject(row, "no text field in it") for row in batch.rows()])


def test_a_stream_whose_records_are_all_rejected_fails_early_and_keeps_its_state() -> None:
    states = MemoryStates()
    result = sync(source(5000), Refusing(), states=states)
    assert result.status is Status.failed
    assert "records of t were all rejected: no text field in it" in str(result.error)
    assert states.load("default") == {}


def test_a_short_stream_whose_records_are_all_rejected_is_suspicious() -> None:
    result = sync(source(5), Refusing())
    assert result.status is Status.suspicious
    assert result.streams["t"].suspicions == ["all 5 records were rejected, none was written"]


def test_streams_that_were_never_begun_are_not_green() -> None:
    class Unfit(MemoryDestination):
        def begin(self, stream: Stream) -> None:
            raise ConfigError("wrong dimension", hint="")

    result = sync(MemorySource(records={"a": rows(1), "b": rows(1)}), Unfit())
    assert {stream.status for stream in result.streams.values()} == {Status.failed}


def test_a_destination_that_was_emptied_behind_our_back_is_suspicious_until_all_is_read_again() -> None:
    states = MemoryStates()
    assert sync(source(10), MemoryDestination(), states=states).ok
    result = sync(source(10), MemoryDestination(), states=states)  # another destination: the first one's data are gone
    assert result.status is Status.suspicious
    assert "held 10 records after the last sync and none when this one began" in result.streams["t"].suspicions[0]
    partly = MemoryDestination()
    for count in (12, 14):  # new records arrive, the old ones are still missing
        result = sync(source(count), partly, states=states)
        assert result.status is Status.suspicious
    assert "lost 10 records before" in result.streams["t"].suspicions[0]
    states.clear("default", "t")
    assert sync(source(14), partly, states=states).ok
    assert sync(source(15), partly, states=states).ok
