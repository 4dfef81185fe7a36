"""`Source.saved` comes behind the saving of a state, never before it; shared checkpoints are written together."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from kitestring.airbyte.serve_read import ProtocolStates
from kitestring.batch import Batch
from kitestring.engine import JsonStates, MemoryStates, Selection, SqliteStates, Status, sync
from kitestring.errors import ConfigError, ConnectorError
from kitestring.source import Item
from kitestring.testing.memory import MemoryDestination, MemorySource
from kitestring.types import COUNTS, Checkpoint, Partition, Receipt, State, States, Stream

Calls = list[tuple[str, Any]]


class Confirming(MemorySource):
    """Notes what it is told of saved states, among other calls."""

    calls: Any  # Calls: not copied

    def saved(self, states: States) -> None:
        self.calls.append(("saved", dict(states)))

    def finish(self, stream: Stream, state: State) -> State:
        return {**state, "finished": True}


class Noting(MemoryStates):
    """Notes each state that is kept."""

    def __init__(self, calls: Calls) -> None:
        super().__init__()
        self.calls = calls

    def save(self, connection: str, stream: str, state: State) -> None:
        super().save(connection, stream, state)
        if stream != COUNTS:
            self.calls.append(("save", {stream: dict(state)}))


class NotingTogether(Noting):
    """Keeps several states and what they cover at once."""

    def save_all(self, connection: str, states: Mapping[str, State], figures: Mapping[str, Mapping[str, Any]]) -> None:
        for stream, state in states.items():
            MemoryStates.save(self, connection, stream, state)
            if stream != COUNTS:
                self.calls.append(("save", {stream: dict(state)}))


def people(calls: Calls, count: int = 300, kind: type[Confirming] = Confirming, **more: Any) -> Confirming:
    rows = [{"id": n, "seen": n} for n in range(count)]
    return kind(
        records={"people": rows}, primary_keys={"people": "id"}, cursors={"people": "seen"}, calls=calls, **more
    )


@pytest.fixture(autouse=True)
def _save_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["kitestring.engine.ledger"], "SAVE_EVERY_S", 0.0)


def in_order(calls: Calls) -> None:
    """Each state that is confirmed was the last thing saved, and nothing else came between."""
    for place, (call, states) in enumerate(calls):
        if call == "saved":
            kept: dict[str, Any] = {}
            for _, state in calls[place - len(states) : place]:
                kept |= state
            assert kept == states


@pytest.mark.parametrize("kind", [Noting, NotingTogether])
def test_a_source_hears_of_each_state_once_right_after_it_was_saved(kind: type[Noting]) -> None:
    calls: Calls = []
    assert sync(people(calls), MemoryDestination(), ["people"], states=kind(calls)).ok
    in_order(calls)
    saves, confirmed = ([state for call, state in calls if call == name] for name in ("save", "saved"))
    assert saves == confirmed
    assert len(saves) > 2
    assert confirmed[-1] == {"people": {"cursor": 299, "finished": True}}


@pytest.mark.parametrize("die_at", [1, 2, 3])
def test_a_state_is_not_confirmed_when_the_process_dies_at_its_saving(die_at: int) -> None:
    class Killed(BaseException):
        pass

    class Mortal(Noting):
        def save(self, connection: str, stream: str, state: State) -> None:
            if stream != COUNTS and sum(call == "save" for call, _ in calls) == die_at - 1:
                raise Killed
            super().save(connection, stream, state)

    calls: Calls = []
    with pytest.raises(Killed):
        sync(people(calls), MemoryDestination(), ["people"], states=Mortal(calls))
    assert [call for call, _ in calls] == ["save", "saved"] * (die_at - 1)


def test_a_failing_write_and_a_failing_store_confirm_nothing_behind_them() -> None:
    class Failing(MemoryDestination):
        def write(self, stream: Stream, batch: Batch) -> Receipt | None:
            if batch.rows()[0]["id"] >= 100:
                raise ConfigError("the disk is full")
            return super().write(stream, batch)

    class Full(Noting):
        def save(self, connection: str, stream: str, state: State) -> None:
            raise ConfigError("the disk is full")

    calls: Calls = []
    assert sync(people(calls), Failing(), ["people"], states=Noting(calls)).status is Status.failed
    assert calls == [("save", {"people": {"cursor": 99}}), ("saved", {"people": {"cursor": 99}})]
    calls = []
    assert sync(people(calls), MemoryDestination(), ["people"], states=Full(calls)).status is Status.failed
    assert calls == []


@pytest.mark.parametrize("error", [ConfigError("the slot is gone"), ZeroDivisionError("a defect")])
def test_an_error_while_confirming_fails_the_sync_and_the_states_stand(error: Exception) -> None:
    class Broken(Confirming):
        def saved(self, states: States) -> None:
            super().saved(states)
            raise error

    calls: Calls = []
    states = Noting(calls)
    result = sync(people(calls, kind=Broken), MemoryDestination(), ["people"], states=states)
    assert result.status is Status.failed
    assert result.error is error or isinstance(result.error, ConnectorError)
    assert "Broken" in str(result.error) or result.error is error
    assert [call for call, _ in calls] == ["save", "saved"]
    assert states.load("default")["people"] == calls[0][1]["people"]


def test_states_that_are_kept_nowhere_are_not_confirmed(tmp_path: Path) -> None:
    calls: Calls = []
    assert sync(people(calls), MemoryDestination(), ["people"]).ok
    assert calls == []
    assert not ProtocolStates.durable
    for states in (SqliteStates(tmp_path / "states.sqlite"), JsonStates(tmp_path / "states.json")):
        assert sync(people(calls), MemoryDestination(), ["people"], states=states).ok
        assert calls[-1][1]["people"] == states.load("default")["people"]


class Slot(MemorySource):
    """A partition of two streams with a shared checkpoint behind every record."""

    count: int = 1_000
    own: bool = False

    def groups(self, streams: Sequence[Stream]) -> list[list[Stream]]:
        return [list(streams)]

    def partitions(self, streams: Sequence[Stream], states: States) -> list[Partition]:
        return [Partition(tuple(streams), "slot")]

    def read(self, partition: Partition, states: States) -> Iterator[Item]:
        start = max(states.get(key, {}).get("position", 0) for key in ("", "a", "b"))
        for number in range(start, self.count):
            for name in ("a", "b"):
                yield Batch(name, rows=[{"id": number}])
                yield Checkpoint({"position": number + (name == "b")}, stream=name if self.own else None)


def slot(**more: Any) -> Slot:
    names = ("a", "b")
    return Slot(
        records=dict.fromkeys(names, ()),
        primary_keys=dict.fromkeys(names, "id"),
        cursors=dict.fromkeys(names, "id"),
        **more,
    )


class Wide(MemoryDestination):
    """Takes large batches, counts its writes, and may fail at one of them."""

    batch_rows: ClassVar[int] = 10_000
    fail_at: int = 0
    fail_stream: str = ""

    def model_post_init(self, context: Any) -> None:
        self._sizes: list[tuple[str, int]] = []

    def write(self, stream: Stream, batch: Batch) -> Receipt | None:
        self._sizes.append((stream.key, len(batch)))
        if len(self._sizes) == self.fail_at or stream.key == self.fail_stream:
            raise ConfigError("the disk is full")
        return super().write(stream, batch)


class Narrow(Wide):
    batch_rows: ClassVar[int] = 100


@pytest.mark.parametrize("own", [False, True])
def test_two_thousand_checkpoints_make_a_handful_of_writes(own: bool) -> None:
    destination, states = Wide(), MemoryStates()
    assert sync(slot(own=own), destination, states=states).ok
    assert len(destination._sizes) <= 8
    assert sum(size for _, size in destination._sizes) == 2_000
    assert states.load("default")["a" if own else ""]["position"] >= 999


def test_a_shared_checkpoint_is_not_saved_while_a_stream_that_it_covers_is_not_durable() -> None:
    for failing in ("a", "b"):
        states = MemoryStates()
        result = sync(slot(), Wide(fail_stream=failing), states=states)
        assert result.status is Status.failed
        assert states.load("default").get("", {"position": 0})["position"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("fail_at", [1, 2, 3, 9, 20])
def test_a_sync_that_fails_among_shared_checkpoints_loses_and_doubles_nothing(fail_at: int) -> None:
    states, ways = MemoryStates(), [Selection(name, write_mode="append_dedup") for name in "ab"]
    destination = Narrow(fail_at=fail_at)
    assert sync(slot(), destination, ways, states=states).status is Status.failed
    position = states.load("default").get("", {}).get("position", 0)
    for name in "ab":
        assert [row["id"] for row in destination.stored.get(name, [])][:position] == list(range(position))
    destination.fail_at = 0
    assert sync(slot(), destination, ways, states=states).ok
    assert all([row["id"] for row in destination.stored[name]] == list(range(1_000)) for name in "ab")
