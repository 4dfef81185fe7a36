"""Several streams are written at once where the destination says so: each in order, states exact, as with one lane."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import pytest

from kitestring.batch import Batch
from kitestring.destination import Destination
from kitestring.engine import MemoryStates, Rejects, Result, Selection, Status, sync
from kitestring.engine.lanes import Lanes
from kitestring.engine.pending import Step
from kitestring.errors import ConfigError, RecordError, TransientError
from kitestring.source import Item
from kitestring.testing.memory import MemoryDestination, MemorySource
from kitestring.types import DELETED_AT, Checkpoint, Partition, Receipt, SchemaChange, States, Stream, Truncate

WAIT_S = 120.0


class TwoLanes(MemoryDestination):
    """Notes the calls for each stream, and fails when two of one stream overlap."""

    lanes: ClassVar[int] = 2

    def model_post_init(self, context: Any) -> None:
        self._busy: dict[str, str] = {}
        self._threads: dict[str, set[str]] = {}
        self._overlaps: list[str] = []
        self._first: dict[str, list[Any]] = {}

    def _call(self, stream: Stream, call: str, *arguments: Any) -> Any:
        key = stream.key
        if key in self._busy:
            self._overlaps.append(f"{call} while {self._busy[key]} of {key}")
        self._busy[key] = call
        self._threads.setdefault(call, set()).add(threading.current_thread().name)
        try:
            return getattr(super(), call)(stream, *arguments)
        finally:
            del self._busy[key]

    def write(self, stream: Stream, batch: Batch) -> Receipt | None:
        self._first.setdefault(stream.key, []).append(batch.rows()[0]["id"])
        receipt: Receipt | None = self._call(stream, "write", batch)
        return receipt

    def commit(self, stream: Stream) -> None:
        self._call(stream, "commit")

    def truncate(self, stream: Stream, deleted_at: str) -> Receipt:
        receipt: Receipt = self._call(stream, "truncate", deleted_at)
        return receipt

    def change(self, stream: Stream) -> None:
        self._call(stream, "change")

    def abort(self, stream: Stream) -> None:
        self._call(stream, "abort")


def streams(count: int = 300, names: str = "ab", **more: Any) -> MemorySource:
    rows = [{"id": n, "seen": n} for n in range(count)]
    return MemorySource(
        records=dict.fromkeys(names, rows),
        primary_keys=dict.fromkeys(names, "id"),
        cursors=dict.fromkeys(names, "seen"),
        **more,
    )


def in_order(destination: TwoLanes) -> None:
    assert destination._overlaps == []
    for first in destination._first.values():
        assert first == sorted(first)


class Meeting(TwoLanes):
    """Each write of `a` and `b` waits until one of the other runs as well."""

    def model_post_init(self, context: Any) -> None:
        super().model_post_init(context)
        self._met = threading.Barrier(2, timeout=WAIT_S)

    def write(self, stream: Stream, batch: Batch) -> Receipt | None:
        self._met.wait()
        return super().write(stream, batch)


@pytest.mark.parametrize("mode", ["append", "append_dedup", "overwrite"])
def test_two_streams_are_in_write_at_the_same_time(mode: str) -> None:
    destination = Meeting()
    ways = [Selection(name, sync_mode="full_refresh", write_mode=mode) for name in "ab"]
    result = sync(streams(100), destination, ways)
    assert result.ok, result.as_dict()
    assert {name: len(rows) for name, rows in destination.stored.items()} == {"a": 100, "b": 100}
    in_order(destination)


def test_a_destination_with_one_lane_and_one_stream_alone_are_written_by_the_thread_that_runs_the_sync() -> None:
    class SingleLane(TwoLanes):
        lanes: ClassVar[int] = 1

    for destination, names in ((SingleLane(), "ab"), (TwoLanes(), "a")):
        assert sync(streams(names=names), destination).ok
        assert destination._threads == {call: {threading.current_thread().name} for call in ("write", "commit")}


def test_each_stream_is_written_in_its_order_and_many_share_the_lanes() -> None:
    class Uneven(TwoLanes):
        def write(self, stream: Stream, batch: Batch) -> Receipt | None:
            time.sleep(0.001 * (ord(stream.name) % 3))
            return super().write(stream, batch)

    destination, states = Uneven(), MemoryStates()
    result = sync(streams(1_000, "abcdefg", checkpoint_every=70), destination, states=states)
    assert result.ok, result.as_dict()
    in_order(destination)
    assert len(destination._threads["write"]) == 2
    assert destination._threads["commit"] == {threading.current_thread().name}
    assert all(len(rows) == 1_000 for rows in destination.stored.values())
    assert {key: state["cursor"] for key, state in states.load("default").items() if key in "abcdefg"} == dict.fromkeys(
        "abcdefg", 999
    )


class Slot(MemorySource):
    """One partition of two streams with shared checkpoints."""

    def groups(self, streams: Sequence[Stream]) -> list[list[Stream]]:
        return [list(streams)]

    def partitions(self, streams: Sequence[Stream], states: States) -> list[Partition]:
        return [Partition(tuple(streams), "slot")]

    def read(self, partition: Partition, states: States) -> Iterator[Item]:
        for number in range(states.get("", {}).get("position", 0), 20):
            for name in ("a", "b"):
                yield Batch(name, rows=[{"id": 100 * number + n} for n in range(100)])
            yield Checkpoint({"position": number + 1})


def slot() -> Slot:
    return Slot(records={"a": (), "b": ()}, primary_keys={"a": "id", "b": "id"}, cursors={"a": "id", "b": "id"})


class Killed(BaseException):
    pass


@pytest.mark.parametrize("error", [ConfigError("the disk is full"), Killed()])
@pytest.mark.parametrize("fail_at", [0, 300, 1_900])
def test_a_shared_checkpoint_waits_for_all_lanes(
    error: BaseException, fail_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["kitestring.engine.ledger"], "SAVE_EVERY_S", 0.0)

    class Failing(TwoLanes):
        failing: bool = True

        def write(self, stream: Stream, batch: Batch) -> Receipt | None:
            if stream.name == "a" and self.failing and batch.rows()[0]["id"] >= fail_at:
                time.sleep(0.02)  # b goes on
                raise error
            return super().write(stream, batch)

    destination, states, ways = Failing(), MemoryStates(), [Selection(n, write_mode="append_dedup") for n in "ab"]
    if isinstance(error, Killed):
        with pytest.raises(Killed):
            sync(slot(), destination, ways, states=states)
    else:
        assert sync(slot(), destination, ways, states=states).status is Status.failed
    position = states.load("default").get("", {}).get("position", 0)
    assert position * 100 <= fail_at
    for name in "ab":
        assert [row["id"] for row in destination.stored.get(name, [])][: 100 * position] == list(range(100 * position))
    destination.failing = False
    assert sync(slot(), destination, ways, states=states).ok
    assert all([row["id"] for row in destination.stored[name]] == list(range(2_000)) for name in "ab")
    assert destination._overlaps == []


def test_what_another_lane_has_written_when_one_fails_counts_and_keeps_its_checkpoint() -> None:
    failed, entered = threading.Event(), threading.Event()

    class Failing(TwoLanes):
        def write(self, stream: Stream, batch: Batch) -> Receipt | None:
            if stream.name == "a":
                assert entered.wait(WAIT_S)
                failed.set()
                raise ConfigError("the disk is full")
            entered.set()
            assert failed.wait(WAIT_S)
            time.sleep(0.05)  # the loop has taken the failure
            return super().write(stream, batch)

    states, destination = MemoryStates(), Failing()
    ways = [Selection(name, write_mode="append") for name in "ab"]
    result = sync(streams(100, checkpoint_every=50), destination, ways, states=states)
    assert result.status is Status.failed
    assert "the disk is full" in str(result.error)
    assert len(destination.stored["b"]) == result.streams["b"].written == 50
    assert states.load("default") == {"b": {"cursor": 49}}


@pytest.mark.parametrize("die_at", [1, 2, 5, 11])
def test_a_sync_that_is_killed_in_one_lane_and_run_again_is_complete(
    die_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["kitestring.engine.ledger"], "SAVE_EVERY_S", 0.0)

    class Mortal(TwoLanes):
        die_at: int = 0

        def write(self, stream: Stream, batch: Batch) -> Receipt | None:
            if self.die_at and len(self._first.get(stream.key, ())) == self.die_at - 1 and stream.key == "b":
                raise Killed
            return super().write(stream, batch)

    destination, states = Mortal(die_at=die_at), MemoryStates()
    source = streams(1_200, "abc", checkpoint_every=70)
    with pytest.raises(Killed):
        sync(source, destination, states=states)
    destination.die_at = 0
    for key, state in states.load("default").items():
        if key in "abc":
            assert [row["id"] for row in destination.stored[key]][: state["cursor"] + 1] == list(
                range(state["cursor"] + 1)
            )
    result = sync(source, destination, states=states)
    assert result.ok, result.as_dict()
    assert all([row["id"] for row in destination.stored[key]] == list(range(1_200)) for key in "abc")


def test_a_cancel_waits_for_the_writes_that_run_and_the_next_sync_goes_on() -> None:
    cancel, entered = threading.Event(), threading.Event()

    class Slow(TwoLanes):
        slow: bool = True

        def write(self, stream: Stream, batch: Batch) -> Receipt | None:
            if self.slow:
                entered.set()
                time.sleep(0.05)
            return super().write(stream, batch)

    destination, states = Slow(), MemoryStates()
    threading.Thread(target=lambda: entered.wait(WAIT_S) and cancel.set()).start()
    result = sync(streams(3_000), destination, states=states, cancel=cancel)
    assert result.status is Status.cancelled
    assert destination._overlaps == []
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("kitestring-lane")]
    destination.slow = False
    assert sync(streams(3_000), destination, states=states).ok
    assert all(len(rows) == 3_000 for rows in destination.stored.values())


def run_alike(kind: type[Destination], items: dict[str, list[Item]], rejects: Rejects | None = None) -> Result:
    source = MemorySource(records=items, primary_keys=dict.fromkeys(items, "id"))
    return sync(source, kind(), [Selection(name, write_mode="append_dedup") for name in items], rejects=rejects)


def test_rejects_deletions_and_changes_count_as_with_one_lane(tmp_path: Any) -> None:
    class Picky(TwoLanes):
        late: bool = True

        def prepare(self, stream: Stream, batch: Batch) -> Batch:
            if any(row["id"] == 13 for row in batch.rows()):
                raise RecordError("13 is not taken")
            return batch

        def write(self, stream: Stream, batch: Batch) -> Receipt | None:
            if any(row["id"] == 17 for row in batch.rows()):
                raise RecordError("17 is not taken")
            if self.late:
                self.late = False
                raise TransientError("later", retry_after_s=0.01)
            return super().write(stream, batch)

    class SingleLane(Picky):
        lanes: ClassVar[int] = 1

    def items() -> list[Item]:
        rows: list[Item] = [{"id": n} for n in range(250)]
        deleted: list[Item] = [{"id": n, DELETED_AT: "2026-01-01T00:00:00Z"} for n in range(40, 60)]
        schema = SchemaChange({"type": "object", "properties": {"id": {"type": "integer"}}})
        return [*rows, *deleted, Truncate("2026-01-02T00:00:00Z"), *rows, schema, {"id": None}, *deleted]

    outcomes = []
    for kind in (Picky, SingleLane):
        result = run_alike(kind, {name: items() for name in "abc"}, Rejects(tmp_path / kind.__name__))
        assert result.ok, result.as_dict()
        figures = [{**stream.as_dict(), "seconds": 0, "bytes": 0} for stream in result.streams.values()]
        lines = (tmp_path / kind.__name__ / "default.jsonl").read_text().splitlines()
        outcomes.append((figures, sorted(line.rpartition('"reason"')[2][:40] for line in lines)))
    assert outcomes[0] == outcomes[1]
    assert outcomes[0][0][0]["rejected"] == 5


def test_behind_a_step_that_failed_nothing_of_its_stream_is_written() -> None:
    written: list[float] = []

    def write(step: Step) -> None:
        if step.number == 1:
            raise ConfigError("the disk is full")
        written.append(step.number)

    lanes = Lanes(2, write)
    lanes.push(Step("a", number=1))
    assert lanes.wait(WAIT_S)
    assert isinstance(lanes.take().failure, ConfigError)
    lanes.push(Step("a", number=2))  # the queue of the stream has been empty
    lanes.push(Step("b", number=3))
    assert lanes.wait(WAIT_S)
    assert [step.number for step in lanes.close()] == written == [3]
