"""Records that a destination lost between two syncs: told with both numbers, and only where they are lost."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from kitestring.batch import Batch
from kitestring.engine import MemoryStates, Rejects, Result, Selection, SqliteStates, Status, replay, sync
from kitestring.errors import ConfigError
from kitestring.source import Item
from kitestring.testing.memory import MemoryDestination, MemorySource
from kitestring.types import COUNTS, DELETED_AT, GLOBAL, Checkpoint, Partition, Reject, State, States, Stream


def rows(*numbers: int) -> list[dict[str, Any]]:
    return [{"id": n, "seen": n} for n in numbers]


def deletion(number: int, at: int) -> dict[str, Any]:
    return {"id": number, "seen": at, DELETED_AT: "2026-01-01"}


def source(*records: dict[str, Any]) -> MemorySource:
    return MemorySource(records={"t": list(records)}, primary_keys={"t": "id"}, cursors={"t": "seen"})


def run(
    records: Sequence[dict[str, Any]],
    destination: MemoryDestination,
    states: Any,
    mode: str = "append_dedup",
    *,
    connection: str = "default",
    sync_mode: str = "incremental",
    cancel: threading.Event | None = None,
) -> Result:
    selection = Selection("t", sync_mode, mode)
    return sync(source(*records), destination, [selection], states=states, connection=connection, cancel=cancel)


@pytest.fixture
def destination() -> MemoryDestination:
    return MemoryDestination()


@pytest.fixture
def states() -> MemoryStates:
    return MemoryStates()


@pytest.mark.parametrize("mode", ["append", "append_dedup"])
def test_a_destination_that_lost_some_records_is_suspicious_until_they_are_back(
    destination: MemoryDestination, states: MemoryStates, mode: str
) -> None:
    assert run(rows(*range(10)), destination, states, mode).ok
    taken = destination.stored["t"][2:5]
    del destination.stored["t"][2:5]
    for count in (11, 12):  # new records arrive and do not make up for those that are missing
        result = run(rows(*range(count)), destination, states, mode)
        assert result.status is Status.suspicious
        (suspicion,) = result.streams["t"].suspicions
        assert "read all again (--full-refresh), or, where they were taken out on purpose, accept" in suspicion
    assert "lost 3 records before, and only what is new was read since" in suspicion
    destination.stored["t"].extend(taken)
    assert run(rows(*range(13)), destination, states, mode).ok


def test_the_loss_is_told_with_the_two_numbers(destination: MemoryDestination, states: MemoryStates) -> None:
    run(rows(*range(10)), destination, states)
    del destination.stored["t"][:4]
    (suspicion,) = run(rows(*range(10)), destination, states).streams["t"].suspicions
    assert suspicion.startswith(
        "the destination held 10 records after the last sync and 6 when this one began, and only"
    )


def test_reading_all_again_repairs_a_loss(destination: MemoryDestination, states: MemoryStates) -> None:
    run(rows(*range(10)), destination, states)
    del destination.stored["t"][:4]
    assert not run(rows(*range(10)), destination, states).ok
    states.clear("default", "t")
    assert run(rows(*range(10)), destination, states).ok
    assert run(rows(*range(11)), destination, states).ok


def test_a_second_loss_is_told_too(destination: MemoryDestination, states: MemoryStates) -> None:
    run(rows(*range(10)), destination, states)
    for left in (8, 5):
        del destination.stored["t"][left:]
        (suspicion,) = run(rows(*range(10)), destination, states).streams["t"].suspicions
        assert f"and {left} when this one began" in suspicion
    assert "lost 5 records before" in run(rows(*range(10)), destination, states).streams["t"].suspicions[0]


def test_deletions_of_the_sync_are_no_loss(destination: MemoryDestination, states: MemoryStates) -> None:
    assert run(rows(*range(10)), destination, states).ok
    result = run([*rows(*range(10)), deletion(3, 20), deletion(4, 20)], destination, states)
    assert (result.status, result.total("deleted")) == (Status.succeeded, 2)
    assert run([*rows(*range(10)), *rows(30)], destination, states).ok
    del destination.stored["t"][0]
    assert run(rows(31), destination, states).status is Status.suspicious


class Cut(MemoryDestination):
    """Deletes, and then cannot be reached any more."""

    broken: bool = True

    def delete(self, stream: Stream, keys: Sequence[tuple[Any, ...]]) -> None:
        super().delete(stream, keys)
        if self.broken:
            raise ConfigError("the connection was lost", hint="")


def test_deletions_of_a_sync_that_was_cut_off_are_no_loss(states: MemoryStates) -> None:
    destination = Cut()
    assert run(rows(*range(10)), destination, states).ok
    assert run([*rows(*range(10)), deletion(3, 20)], destination, states).status is Status.failed
    assert len(destination.stored["t"]) == 9
    destination.broken = False
    assert run([*rows(*range(10)), deletion(3, 20)], destination, states).ok
    del destination.stored["t"][0]
    assert run(rows(31), destination, states).status is Status.suspicious


def test_the_note_that_records_are_deleted_is_durable_before_they_are(tmp_path: Path) -> None:
    seen: list[bool] = []
    states = SqliteStates(tmp_path / "state.sqlite")

    class Watched(MemoryDestination):
        def delete(self, stream: Stream, keys: Sequence[tuple[Any, ...]]) -> None:
            seen.append(states.load("default")[COUNTS]["t"]["deleting"])
            super().delete(stream, keys)

    destination = Watched()
    run(rows(*range(10)), destination, states)
    run([*rows(*range(10)), deletion(3, 20)], destination, states)
    assert seen == [True]
    assert states.load("default")[COUNTS]["t"]["deleting"] is False


def test_what_another_connection_deletes_in_the_same_place_is_no_loss(
    destination: MemoryDestination, states: MemoryStates
) -> None:
    assert run(rows(*range(10)), destination, states, connection="a").ok
    other = [{"id": n, "seen": n} for n in range(100, 110)]
    assert run(other, destination, states, connection="b").ok
    assert run(rows(*range(11)), destination, states, connection="a").ok  # 21 records
    assert run([*other, deletion(100, 200), deletion(101, 200)], destination, states, connection="b").ok
    assert len(destination.stored["t"]) == 19
    assert run(rows(*range(11)), destination, states, connection="a").ok
    del destination.stored["t"][0]
    assert run(rows(*range(11)), destination, states, connection="a").status is Status.suspicious
    # The other one is not to be taken for an explanation as long as it misses something itself.
    assert run(other, destination, states, connection="b").status is Status.suspicious
    assert run(rows(*range(11)), destination, states, connection="a").status is Status.suspicious


def test_another_connection_that_was_cut_off_while_it_deleted_is_no_loss_either(states: MemoryStates) -> None:
    destination = Cut()
    run(rows(*range(10)), destination, states, connection="a")
    run(rows(*range(100, 110)), destination, states, connection="b")
    run(rows(*range(11)), destination, states, connection="a")
    assert not run([deletion(100, 200)], destination, states, connection="b").ok
    assert run(rows(*range(11)), destination, states, connection="a").ok


def test_a_connection_of_the_same_stream_elsewhere_explains_nothing(
    destination: MemoryDestination, states: MemoryStates
) -> None:
    run(rows(*range(10)), destination, states, connection="a")
    elsewhere = MemoryDestination()
    run(rows(*range(20)), elsewhere, states, connection="b")
    run([*rows(*range(20)), deletion(1, 30)], elsewhere, states, connection="b")
    del destination.stored["t"][0]
    assert run(rows(*range(10)), destination, states, connection="a").status is Status.suspicious


def test_a_full_refresh_in_between_makes_the_counts_incomparable(
    destination: MemoryDestination, states: MemoryStates
) -> None:
    assert run(rows(*range(10)), destination, states).ok
    assert run(rows(*range(7)), destination, states, "overwrite", sync_mode="full_refresh").ok
    assert run(rows(*range(11)), destination, states).ok


def test_a_destination_that_cannot_count_is_not_compared(states: MemoryStates) -> None:
    class Blind(MemoryDestination):
        def count(self, stream: Stream) -> int | None:
            return None

    destination = Blind()
    assert run(rows(*range(10)), destination, states).ok
    destination.stored["t"].clear()
    assert run([deletion(1, 20)], destination, states).ok
    assert COUNTS not in states.load("default")


def test_a_replay_that_deletes_is_no_loss(tmp_path: Path, destination: MemoryDestination, states: MemoryStates) -> None:
    run(rows(*range(10)), destination, states)
    rejects = Rejects(tmp_path)
    rejects.add("default", "t", [Reject(deletion(4, 20), "no key")])
    assert replay(source(), destination, rejects, "default", ["t"], states=states).total("deleted") == 1
    assert run(rows(*range(10)), destination, states).ok


class Slot(MemorySource):
    """Two streams with one state between them, as a replication slot has it."""

    def groups(self, streams: Sequence[Stream]) -> list[list[Stream]]:
        return [list(streams)]

    def partitions(self, streams: Sequence[Stream], states: States) -> Iterator[Partition]:
        yield Partition(tuple(streams))

    def read(self, partition: Partition, states: States) -> Iterator[Item]:
        since = states.get(GLOBAL, {}).get("seen", -1)
        for name, records in self.records.items():
            yield Batch(name, rows=[record for record in records if record["seen"] > since])
        yield Checkpoint({"seen": self.records["t"][-1]["seen"]})


@pytest.mark.parametrize("repeated", [False, True])
def test_a_state_that_streams_share_is_gone_on_from_unless_all_came_again(
    destination: MemoryDestination, states: MemoryStates, repeated: bool
) -> None:
    def shared(count: int) -> Result:
        both = {name: rows(*range(count)) for name in ("t", "u")}
        slot = Slot(records=both, primary_keys=dict.fromkeys(both, "id"), cursors=dict.fromkeys(both, "seen"))
        chosen = [Selection(name, "incremental", "append_dedup") for name in both]
        return sync(slot, destination, chosen, states=states)

    assert shared(10).ok
    assert set(states.load("default")) == {GLOBAL, COUNTS}
    destination.stored["t"].clear()
    if repeated:
        states.save("default", GLOBAL, {"seen": -1})
    result = shared(11)
    assert result.streams["t"].status is (Status.succeeded if repeated else Status.suspicious)
    assert result.streams["u"].status is Status.succeeded


@pytest.mark.parametrize("note", [10, {"count": 10}, {"count": 10, "later": "versions add fields"}])
def test_a_note_of_another_version_is_read(destination: MemoryDestination, states: MemoryStates, note: Any) -> None:
    run(rows(*range(10)), destination, states)
    states.save("default", COUNTS, {"t": note})
    del destination.stored["t"][0]
    assert "held 10 records" in run(rows(*range(10)), destination, states).streams["t"].suspicions[0]


def test_a_damaged_note_is_none(destination: MemoryDestination, states: MemoryStates) -> None:
    run(rows(*range(10)), destination, states)
    damaged: State = {"t": "ten"}
    states.save("default", COUNTS, damaged)
    del destination.stored["t"][0]
    assert run(rows(*range(10)), destination, states).ok
