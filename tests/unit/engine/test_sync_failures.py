"""What a failure leaves: checkpoints, overwrites, rejects, and streams that go on."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import pytest
from people import ids, incremental, people, source

from kitestring.batch import Batch
from kitestring.engine import MemoryStates, Rejects, Selection, Status, sync
from kitestring.errors import ConfigError, RecordError, SchemaError, TransientError
from kitestring.source import Item
from kitestring.testing.memory import MemoryDestination, MemorySource
from kitestring.types import Failed, Partition, Receipt, State, States, Stream


class Stubborn(MemoryDestination):
    """Fails at the nth write."""

    fail_at: int = 3
    calls: int = 0

    def write(self, stream: Stream, batch: Batch) -> Receipt | None:
        self.calls += 1
        if self.calls == self.fail_at:
            raise ConfigError("the disk is full", hint="Make room.")
        return super().write(stream, batch)


def test_a_checkpoint_is_not_saved_when_the_write_behind_it_fails() -> None:
    states, destination = MemoryStates(), Stubborn()
    result = sync(incremental(1000, checkpoint_every=10), destination, states=states)
    assert result.status is Status.failed
    assert str(result.error) == "the disk is full"
    saved = states.load("default")["people"]["cursor"]
    assert saved <= max(ids(destination))
    assert set(range(saved + 1)) <= set(ids(destination))


def test_after_a_failure_the_next_sync_completes_without_loss_or_duplicates() -> None:
    states, destination = MemoryStates(), Stubborn()
    sync(incremental(1000, checkpoint_every=10), destination, states=states)
    result = sync(incremental(1000, checkpoint_every=10), destination, states=states)
    assert result.ok
    assert ids(destination) == list(range(1000))


def test_a_transient_error_of_the_destination_is_waited_out() -> None:
    class Flaky(MemoryDestination):
        failures: int = 2

        def write(self, stream: Stream, batch: Batch) -> Receipt | None:
            if self.failures:
                self.failures -= 1
                raise TransientError("come back", retry_after_s=0.01)
            return super().write(stream, batch)

    destination = Flaky()
    assert sync(source(10), destination).ok
    assert ids(destination) == list(range(10))


class Reopening(MemoryDestination):
    """The first batch spoils the sync while the second is being prepared, against a store that is not ready."""

    batch_rows: ClassVar[int] = 10
    calls: ClassVar[list[str]] = []

    def prepare(self, stream: Stream, batch: Batch) -> Batch:
        if batch.rows()[0]["id"] == 0:
            time.sleep(0.1)
            raise ConfigError("the dimension does not fit", hint="Correct it.")
        self.calls.append("prepare")
        time.sleep(0.3)
        raise TransientError("the store is not ready")

    def close(self) -> None:
        self.calls.append("close")


@pytest.mark.slow
def test_a_failed_sync_leaves_no_thread_that_opens_the_destination_again() -> None:
    destination = Reopening()
    result = sync(source(20), destination)
    assert str(result.error) == "the dimension does not fit"
    time.sleep(1.5)  # longer than the first wait of a retry
    assert destination.calls == ["prepare", "close"]


def test_overwrite_keeps_the_old_data_when_the_new_ones_fail_half_way() -> None:
    destination = Stubborn(fail_at=7)
    old = Selection("people", write_mode="overwrite")
    assert sync(source(250), destination, [old]).ok  # three writes
    result = sync(source(990), destination, [old])
    assert result.status is Status.failed
    assert ids(destination) == list(range(250))


class Picky(MemoryDestination):
    """Takes no record whose name holds a 7, and says so for the batch."""

    stage: str = "write"

    def prepare(self, stream: Stream, batch: Batch) -> Batch:
        if self.stage == "prepare":
            self._look(batch)
        return batch

    def write(self, stream: Stream, batch: Batch) -> Receipt | None:
        if self.stage == "write":
            self._look(batch)
        return super().write(stream, batch)

    def _look(self, batch: Batch) -> None:
        if any("7" in row["name"] for row in batch.rows()):
            raise RecordError("sevens are not taken")


@pytest.mark.parametrize("stage", ["prepare", "write"])
def test_a_record_that_spoils_its_batch_is_found_and_rejected(stage: str, tmp_path: Any) -> None:
    destination, rejects = Picky(stage=stage), Rejects(tmp_path)
    result = sync(source(100), destination, rejects=rejects)
    assert result.ok
    assert result.streams["people"].rejected == 19
    assert ids(destination) == [n for n in range(100) if "7" not in str(n)]
    assert len(list(rejects.read("default"))) == 19


def test_more_rejects_than_the_limit_fail_the_sync() -> None:
    result = sync(source(100), Picky(), max_rejects=5)
    assert result.status is Status.failed
    assert "the limit is 5; the last reason: sevens are not taken" in str(result.error)


class Broken(MemorySource):
    """One stream of it breaks after some records."""

    breaks: str = "bad"
    error: Any = SchemaError("the field id became text", hint="Refresh the stream.")

    def read(self, partition: Partition, states: States) -> Iterator[Item]:
        for number, item in enumerate(super().read(partition, states)):
            if partition.stream.name == self.breaks and number >= 5:
                raise self.error
            yield item


def test_a_stream_that_breaks_stops_and_the_others_go_on() -> None:
    destination = MemoryDestination()
    broken = Broken(records={"bad": people(10), "good": people(500)}, primary_keys={"bad": "id", "good": "id"})
    result = sync(broken, destination)
    assert result.status is Status.failed
    assert (result.streams["bad"].status, result.streams["good"].status) == (Status.failed, Status.succeeded)
    assert str(result.streams["bad"].error) == "the field id became text"
    assert len(destination.stored["good"]) == 500


def test_an_exception_of_a_connector_is_a_defect_with_its_cause() -> None:
    broken = Broken(records={"bad": people(10)}, error=KeyError("x"))
    error = sync(broken, MemoryDestination()).streams["bad"].error
    assert error is not None
    assert "Broken failed while reading bad: KeyError: 'x'" in str(error)
    assert isinstance(error.__cause__, KeyError)


def test_a_partition_is_read_again_from_its_last_checkpoint_after_a_transient_error() -> None:
    class Flaky(MemorySource):
        failures: int = 2

        def read(self, partition: Partition, states: States) -> Iterator[Item]:
            for number, item in enumerate(super().read(partition, states)):
                if number == 150 and self.failures:
                    self.failures -= 1
                    raise TransientError("dropped", retry_after_s=0.01)
                yield item

    destination, states = MemoryDestination(), MemoryStates()
    flaky = Flaky(records={"people": people(400)}, primary_keys={"people": "id"}, cursors={"people": "seen"})
    result = sync(flaky, destination, states=states)
    assert result.ok
    assert ids(destination) == list(range(400))
    assert result.streams["people"].read == 400  # what had not left the reader is not read twice


def test_a_transient_error_is_not_retried_where_it_would_double_records() -> None:
    class Dropped(MemorySource):
        def read(self, partition: Partition, states: States) -> Iterator[Item]:
            yield from list(super().read(partition, states))[:5]
            raise TransientError("dropped", retry_after_s=0.01)

    destination = MemoryDestination()
    result = sync(Dropped(records={"people": people(10)}), destination, [Selection("people", write_mode="append")])
    assert result.status is Status.failed
    assert len(destination.stored["people"]) == 5


def test_cancel_stops_at_a_checkpoint_and_the_next_sync_goes_on() -> None:
    cancel = threading.Event()

    class Cancelling(MemoryDestination):
        def write(self, stream: Stream, batch: Batch) -> Receipt | None:
            cancel.set()
            return super().write(stream, batch)

    class Slow(MemorySource):
        def read(self, partition: Partition, states: States) -> Iterator[Item]:
            for item in super().read(partition, states):
                yield item
                time.sleep(0.0005)

    states, destination = MemoryStates(), Cancelling()
    slow = Slow(
        records={"people": people(3000)}, primary_keys={"people": "id"}, cursors={"people": "seen"}, checkpoint_every=10
    )
    result = sync(slow, destination, states=states, cancel=cancel)
    assert result.status is Status.cancelled
    saved = states.load("default")["people"]["cursor"]
    assert set(range(saved + 1)) <= set(ids(destination))
    cancel.clear()
    after = MemoryDestination()
    after._stored = destination._stored
    assert sync(incremental(3000), after, states=states).ok
    assert ids(after) == list(range(3000))


def test_a_cancelled_overwrite_keeps_the_old_data() -> None:
    destination = MemoryDestination()
    mode = [Selection("people", write_mode="overwrite")]
    sync(source(5), destination, mode)
    cancel = threading.Event()
    cancel.set()
    assert sync(source(500), destination, mode, cancel=cancel).status is Status.cancelled
    assert ids(destination) == list(range(5))


def test_a_failing_state_store_fails_the_sync(tmp_path: Any) -> None:
    class Full(MemoryStates):
        def save(self, connection: str, stream: str, state: State) -> None:
            raise ConfigError("the state file cannot be used: disk full", hint="Make room.")

    result = sync(incremental(10), MemoryDestination(), states=Full())
    assert result.status is Status.failed
    assert "disk full" in str(result.error)


class Together(MemorySource):
    """Reads all streams in one partition; those in `failing` end early."""

    failing: list[str] = []

    def groups(self, streams: Sequence[Stream]) -> list[list[Stream]]:
        return [list(streams)]

    def partitions(self, streams: Sequence[Stream], states: States) -> list[Partition]:
        return [Partition(tuple(streams))]

    def read(self, partition: Partition, states: States) -> Iterator[Item]:
        for single_stream in partition.streams:
            yield Batch(single_stream.key, rows=list(self.records[single_stream.name]))
            if single_stream.name in self.failing:
                yield Failed(
                    single_stream.key, ConfigError(f"no permission for {single_stream.name}", hint="Ask for it.")
                )
                yield Failed(single_stream.key, ConfigError("said twice"))


@pytest.mark.parametrize("failing", [["b"], ["a", "b"], ["a", "b", "c"]])
def test_a_stream_of_a_shared_partition_can_fail_alone(failing: list[str]) -> None:
    source = Together(records={name: people(10) for name in ("a", "b", "c")}, failing=failing)
    destination = MemoryDestination()
    result = sync(source, destination, [Selection(name, write_mode="overwrite") for name in ("a", "b", "c")])
    assert result.status is Status.failed
    assert {name for name, item in result.streams.items() if item.status is Status.failed} == set(failing)
    assert set(destination.stored) == {"a", "b", "c"} - set(failing)
    for name in failing:
        assert str(result.streams[name].error) == f"no permission for {name}"
