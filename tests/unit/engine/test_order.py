"""Partitions that may hold versions of one record are read in their order, however fast each is; the others at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from kitestring.engine import Selection, Status, sync
from kitestring.errors import ConfigError
from kitestring.source import Item, Source
from kitestring.testing.memory import MemoryDestination
from kitestring.types import Catalog, Partition, States, Stream, SyncMode

WAY = Selection("things", sync_mode="full_refresh", write_mode="append_dedup")


class Pieces(Source):
    """Partitions by name and `order`; notes when each begins and ends."""

    plan: list[tuple[str, int]]
    threads: int = 4

    def model_post_init(self, context: Any) -> None:
        self._log: list[str] = []
        self._running: set[str] = set()
        self._together: set[frozenset[str]] = set()
        self._lock = threading.Lock()

    def discover(self) -> Catalog:
        return Catalog((Stream("things", primary_key=(("id",),), sync_modes=(SyncMode.full_refresh,)),))

    def concurrency(self) -> int:
        return self.threads

    def partitions(self, streams: Sequence[Stream], states: States) -> Iterator[Partition]:
        for name, order in self.plan:
            yield Partition(tuple(streams), name, order=order)

    def read(self, partition: Partition, states: States) -> Iterator[Item]:
        with self._lock:
            self._log.append(f"+{partition.key}")
            self._running.add(partition.key)
            self._together.update(frozenset((partition.key, other)) for other in self._running)
        yield from self.items(partition.key)
        with self._lock:
            self._running.discard(partition.key)
            self._log.append(f"-{partition.key}")

    def items(self, name: str) -> Iterator[Item]:
        threading.Event().wait(0.01 if name.startswith("slow") else 0.0)
        yield {"id": 1, "by": name}
        yield {"id": f"only {name}"}


@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize("names", [("slow 0", "1", "slow 2", "3"), ("0", "slow 1", "2", "3")])
def test_the_newest_of_several_versions_stays_whichever_partition_is_the_fastest(
    names: tuple[str, ...], threads: int
) -> None:
    source, destination = Pieces(plan=[(name, n) for n, name in enumerate(names)], threads=threads), MemoryDestination()
    assert sync(source, destination, [WAY]).ok
    rows = {row["id"]: row for row in destination.stored["things"]}
    assert rows[1]["by"] == names[-1]
    assert len(rows) == 5
    assert source._log == [mark + name for name in names for mark in "+-"]


def test_partitions_of_the_same_order_are_read_at_the_same_time_and_a_later_one_after_them() -> None:
    met = threading.Barrier(3, timeout=120.0)

    class Meeting(Pieces):
        def items(self, name: str) -> Iterator[Item]:
            if name != "last":
                met.wait()
            yield {"id": 1, "by": name}

    source, destination = Meeting(plan=[("a", 0), ("b", 0), ("c", 0), ("last", 1)]), MemoryDestination()
    assert sync(source, destination, [WAY]).ok
    assert source._log[-2:] == ["+last", "-last"]
    assert destination.stored["things"] == [{"id": 1, "by": "last"}]


def test_a_partition_waits_for_those_that_were_planned_before_it_alone() -> None:
    # As two parents with closed slices and an open one each: the second parent's need not wait for the first open one.
    met, begun = threading.Barrier(2, timeout=120.0), threading.Event()

    class Meeting(Pieces):
        def items(self, name: str) -> Iterator[Item]:
            if name == "a closed":
                assert begun.wait(120.0)
            if name in ("a open", "b closed"):
                begun.set()
                met.wait()
            yield {"id": name}

    source = Meeting(plan=[("a closed", 0), ("a open", 1), ("b closed", 0), ("b open", 1)])
    assert sync(source, MemoryDestination(), [WAY]).ok
    assert source._log.index("-a closed") < source._log.index("+a open")
    assert source._log.index("-b closed") < source._log.index("+b open")


def test_many_partitions_in_order_are_planned_as_they_are_read() -> None:
    planned: list[int] = []

    class Lazy(Pieces):
        def partitions(self, streams: Sequence[Stream], states: States) -> Iterator[Partition]:
            for number in range(200):
                planned.append(number)
                yield Partition(tuple(streams), str(number), order=number)

        def items(self, name: str) -> Iterator[Item]:
            assert len(planned) <= int(name) + 1 + 2 * self.threads
            yield {"id": 1, "by": name}

    destination = MemoryDestination()
    assert sync(Lazy(plan=[]), destination, [WAY]).ok
    assert destination.stored["things"] == [{"id": 1, "by": "199"}]


def test_nothing_is_read_behind_a_partition_that_failed() -> None:
    class Failing(Pieces):
        def items(self, name: str) -> Iterator[Item]:
            if name == "b":
                raise ConfigError("b is gone")
            yield {"id": name}

    source, destination = Failing(plan=[("a", 0), ("b", 1), ("c", 2)]), MemoryDestination()
    assert sync(source, destination, [WAY]).status is Status.failed
    assert source._log == ["+a", "-a", "+b"]
