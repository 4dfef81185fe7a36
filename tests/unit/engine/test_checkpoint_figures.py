"""The figures that checkpoints cover: what adds up to what was delivered, whatever is killed when."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from kitestring.batch import Batch
from kitestring.engine import MemoryStates, Selection, sync
from kitestring.engine.checkpoint_figures import covered
from kitestring.engine.pending import Pending
from kitestring.engine.result import COUNTS, StreamResult
from kitestring.errors import TransientError
from kitestring.source import Item, Source
from kitestring.testing.memory import MemoryDestination, MemorySource
from kitestring.types import Catalog, Checkpoint, Partition, Receipt, State, States, Stream, Suspicion, SyncMode


class Ledger(MemoryStates):
    """Keeps every pair of states and figures that was saved, as a store does in one transaction."""

    def __init__(self) -> None:
        super().__init__()
        self.saves: list[tuple[dict[str, State], dict[str, Any]]] = []
        self.figures: dict[str, Any] = {}

    def save_all(self, connection: str, states: Mapping[str, State], figures: Mapping[str, Any]) -> None:
        for stream, state in states.items():
            self.save(connection, stream, state)
        self.figures.update(json.loads(json.dumps(figures)))
        self.saves.append((self.load(connection), dict(self.figures)))


class Killed(BaseException):
    """The process is gone: nothing is tidied up."""


class Mortal(MemoryDestination):
    """Dies at the nth write."""

    die_at: int = 0
    calls: int = 0

    def write(self, stream: Stream, batch: Batch) -> Receipt | None:
        self.calls += 1
        if self.calls == self.die_at:
            raise Killed
        return super().write(stream, batch)


def people(count: int, **more: Any) -> MemorySource:
    rows = [{"id": n, "seen": n} for n in range(count)]
    return MemorySource(records={"people": rows}, primary_keys={"people": "id"}, cursors={"people": "seen"}, **more)


def delivered(figures: Mapping[str, Any]) -> int:
    return sum(int(figures.get(name, 0)) for name in ("written", "unchanged", "deleted"))


@pytest.mark.parametrize("die_at", [1, 2, 7, 19])
def test_the_figures_of_a_killed_sync_and_of_the_next_add_up_to_what_was_delivered(
    die_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["kitestring.engine.ledger"], "SAVE_EVERY_S", 0.0)
    first, second = Ledger(), Ledger()
    destination = Mortal(die_at=die_at)
    # 70 is no part of 100, the size of a batch: a batch holds records behind its last checkpoint.
    with pytest.raises(Killed):
        sync(people(2000, checkpoint_every=70), destination, ["people"], states=first)
    saved, figures = first.saves[-1] if first.saves else ({}, {})
    for stream, state in saved.items():
        second.save("default", stream, state)
    destination.die_at = 0
    sync(people(2000, checkpoint_every=70), destination, ["people"], states=second)
    before = figures.get("people", {})
    assert delivered(before) == before.get("read", 0) == saved.get("people", {}).get("cursor", -1) + 1
    assert delivered(before) + delivered(second.figures["people"]) == 2000
    assert second.figures["people"]["status"] == "succeeded"
    assert before.get("status", "running") == "running"


@pytest.mark.parametrize("die_at", [2, 5, 11])
def test_records_that_a_mapper_leaves_out_are_told_apart_in_a_sync_that_was_killed(
    die_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["kitestring.engine.ledger"], "SAVE_EVERY_S", 0.0)
    rows = [{"id": n, "seen": n, "kind": "odd" if n % 3 else "even"} for n in range(2000)]
    schema = {"type": "object", "properties": {"id": {}, "seen": {}, "kind": {"type": "string"}}}
    condition = {"type": "EQUAL", "field_name": "kind", "comparison_value": "even"}
    way = Selection("people", write_mode="append", mappers=({"type": "row-filtering", "conditions": condition},))
    first, second, destination = Ledger(), Ledger(), Mortal(die_at=die_at)

    def origin() -> MemorySource:
        keys = {"primary_keys": {"people": "id"}, "cursors": {"people": "seen"}, "schemas": {"people": schema}}
        return MemorySource(records={"people": rows}, checkpoint_every=70, **keys)

    with pytest.raises(Killed):
        sync(origin(), destination, [way], states=first)
    saved, figures = first.saves[-1] if first.saves else ({}, {})
    cursor = saved.get("people", {}).get("cursor", -1)
    before = figures.get("people", {})
    assert delivered(before) == sum(1 for row in rows if row["kind"] == "even" and row["seen"] <= cursor)
    for stream, state in saved.items():
        second.save("default", stream, state)
    destination.die_at = 0
    sync(origin(), destination, [way], states=second)
    assert delivered(before) + delivered(second.figures["people"]) == 667


def test_a_batch_ends_with_the_last_checkpoint_that_it_completes() -> None:
    pending = Pending("people", 100, 10_000)
    batches = []
    for number in range(10):
        batch = Batch("people", rows=[{"id": 30 * number + n} for n in range(30)], nbytes=30)
        batches += [(len(step.batch or ()), step.checkpoints) for step in pending.add(batch)]
        if number % 2:
            pending.complete(("people", Checkpoint({"cursor": number}), {}))
    assert [size for size, _ in batches] == [60] * 4
    assert [[checkpoint.state["cursor"] for _, checkpoint, _ in results] for _, results in batches] == [
        [1],
        [3],
        [5],
        [7],
    ]
    rest = pending.take()
    assert (len(rest.batch or ()), len(rest.checkpoints), bool(pending)) == (60, 1, False)


class Windows(Source):
    """Two partitions that are read at the same time, each with checkpoints of its own; the second fails once."""

    tries: int = 0

    def discover(self) -> Catalog:
        both = (SyncMode.full_refresh, SyncMode.incremental)
        return Catalog((Stream("days", primary_key=(("id",),), cursor=("id",), sync_modes=both),))

    def partitions(self, streams: Sequence[Stream], states: States) -> Iterator[Partition]:
        for name, start in (("a", 0), ("b", 1000)):
            yield Partition((streams[0],), name, {"start": start})

    def read(self, partition: Partition, states: States) -> Iterator[Item]:
        start = partition.data["start"]
        for n in range(states.get("days", {}).get(partition.key, start - 1) + 1, start + 100):
            yield {"id": n}
            if n % 20 == 19:
                yield Checkpoint({partition.key: n})
        for n in range(start + 100, start + 110):
            yield {"id": n}
        if partition.key == "b" and self.tries == 0:
            self.tries += 1
            raise TransientError("read it again", retry_after_s=0.01)

    def merge(self, stream: str, state: State, checkpoint: State) -> State:
        return {**state, **checkpoint}


def test_each_partition_covers_its_own_records_and_what_was_read_twice_counts_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sys.modules["kitestring.engine.ledger"], "SAVE_EVERY_S", 0.0)
    monkeypatch.setattr("kitestring.engine.reader.RUN_ROWS", 5)  # so that the stretch before the error is passed on
    states, destination = Ledger(), MemoryDestination()
    way = Selection("days", sync_mode="incremental", write_mode="append_dedup")
    result = sync(Windows(), destination, [way], states=states)
    for saved, figures in states.saves:
        state, counts = saved.get("days", {}), figures.get("days", {})
        if counts.get("status") == "running":
            a, b = state.get("a", -1) + 1, state.get("b", 999) - 999
            assert counts["read"] == delivered(counts) == a + b
    assert result.streams["days"].read > 220  # the stretch behind the last checkpoint came twice
    (output,) = [record.getMessage() for record in caplog.records if "read again" in record.getMessage()]
    assert re.fullmatch(r"stream days is read again from its last checkpoint at \d\d:\d\d:\d\d: read it again", output)
    assert delivered(states.figures["days"]) == len(destination.stored["days"]) == 220


def test_what_is_only_added_counts_as_it_is_written_and_what_is_put_in_place_at_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys.modules["kitestring.engine.ledger"], "SAVE_EVERY_S", 0.0)
    for mode, kept in (("append", 300), ("overwrite", 0), ("append_dedup", 0)):
        states = Ledger()
        way = Selection("people", sync_mode="full_refresh", write_mode=mode)
        with pytest.raises(Killed):
            sync(people(1000), Mortal(die_at=4), [way], states=states)
        assert delivered(states.figures.get("people", {})) == kept, mode


def test_records_that_were_not_put_in_place_are_not_counted() -> None:
    class Doubtful(MemorySource):
        def read(self, partition: Partition, states: States) -> Iterator[Item]:
            yield from super().read(partition, states)
            yield Suspicion("a page had no records")

    destination, states = MemoryDestination(), Ledger()
    way = Selection("people", sync_mode="full_refresh", write_mode="overwrite")
    sync(people(100), destination, [way], states=states)
    assert delivered(states.figures["people"]) == 100
    fewer = Doubtful(records={"people": [{"id": 1}]}, primary_keys={"people": "id"})
    result = sync(fewer, destination, [way], states=states)
    assert (result.status, len(destination.stored["people"])) == ("suspicious", 100)
    assert delivered(states.figures["people"]) == 0


def test_figures_are_cut_to_what_is_covered_and_still_add_up() -> None:
    figures = StreamResult("s", read=120, written=80, unchanged=10, deleted=2, rejected=3, filtered=5, nbytes=1200)
    cut = covered(figures, 70)
    assert cut == {"read": 70, "written": 50, "unchanged": 10, "deleted": 2, "superseded": 0, "filtered": 5,
                   "rejected": 3, "bytes": 700}  # fmt: skip
    assert covered(figures, 4)["read"] == 4
    assert sum(covered(figures, 500)[name] for name in COUNTS) == figures.accounted


class Slow(Source):
    """A record every few hundredths of a second, a checkpoint after each."""

    def discover(self) -> Catalog:
        return Catalog((Stream("ticks", primary_key=(("id",),), cursor=("id",), sync_modes=(SyncMode.incremental,)),))

    def read(self, partition: Partition, states: States) -> Iterator[Item]:
        for n in range(60):
            time.sleep(0.05)
            yield {"id": n}
            yield Checkpoint({"cursor": n})


@pytest.mark.slow
def test_the_first_records_of_a_stream_are_written_long_before_a_batch_is_full() -> None:
    batches: list[int] = []

    class Watched(MemoryDestination):
        def write(self, stream: Stream, batch: Batch) -> Receipt | None:
            batches.append(len(batch))
            return super().write(stream, batch)

    way = Selection("ticks", sync_mode="incremental", write_mode="append")
    sync(Slow(), Watched(), [way])
    first, *rest = batches
    assert first < 60 - first  # 3 s of records, and the first batch had about one
    assert len(rest) == 1  # the later ones wait until they are worth it
