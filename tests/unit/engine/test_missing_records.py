"""Records that the source no longer lists: deleted where the listing is believable, and else never in silence."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from kitestring.batch import Batch
from kitestring.delete_detection import DeleteDetection
from kitestring.engine import MemoryStates, Rejects, Result, Selection, SqliteStates, Status, replay, sync
from kitestring.engine.count_baseline import LISTINGS, accepted_state
from kitestring.errors import AuthError, ConfigError
from kitestring.files.destination import FilesDestination
from kitestring.key_listing import KeyFile
from kitestring.source import Item
from kitestring.testing.memory import MemoryDestination, MemorySource
from kitestring.types import COUNTS, DELETED_AT, Partition, Reject, States, Suspicion


def rows(*numbers: int) -> list[dict[str, Any]]:
    return [{"id": n, "seen": n, "secret": f"s{n}"} for n in numbers]


class ListedSource(MemorySource):
    """Yields these items behind its records; `only_keys`: only when the keys of an incremental stream are listed."""

    more: Any = ()
    only_keys: bool = False

    def read(self, partition: Partition, states: States) -> Iterator[Item]:
        yield from super().read(partition, states)
        if not self.only_keys or not partition.stream.incremental:
            for item in self.more:
                if isinstance(item, Exception):
                    raise item
                yield item


def source(records: Sequence[dict[str, Any]], *more: Any, only_keys: bool = False) -> ListedSource:
    return ListedSource(
        records={"t": list(records)},
        primary_keys={"t": "id"},
        cursors={"t": "seen"},
        more=more,
        only_keys=only_keys,
    )


def run(
    reader: MemorySource,
    destination: MemoryDestination,
    states: Any,
    detect: Any = "hard",
    sync_mode: str = "full_refresh",
    **options: Any,
) -> Result:
    engine_options = {name: options.pop(name) for name in ("accept_deletes", "cancel") if name in options}
    selection = Selection("t", sync_mode, detect_deletes=detect, **options)
    return sync(reader, destination, [selection], states=states, **engine_options)


def held(destination: MemoryDestination) -> list[int]:
    return sorted(row["id"] for row in destination.stored["t"] if row.get(DELETED_AT) is None)


@pytest.fixture
def destination() -> MemoryDestination:
    return MemoryDestination()


@pytest.fixture
def states() -> MemoryStates:
    return MemoryStates()


def test_without_the_setting_records_stay(destination: MemoryDestination, states: MemoryStates) -> None:
    for numbers in (range(10), range(9)):
        assert run(source(rows(*numbers)), destination, states, "off").ok
    assert held(destination) == [*range(10)]


def test_an_empty_listing_deletes_nothing_and_is_not_green(
    destination: MemoryDestination, states: MemoryStates
) -> None:
    assert run(source(rows(1, 2, 3)), destination, states).ok
    for _ in range(3):  # a second one is no proof: an outage lists nothing as often as it is asked
        result = run(source([]), destination, states)
        assert result.status is Status.suspicious
        assert "lists no record at all, and the destination has 3" in result.streams["t"].suspicions[0]
        assert held(destination) == [1, 2, 3]
    assert run(source([]), destination, states, accept_deletes=True).ok
    assert held(destination) == []


def test_the_same_large_loss_twice_in_a_row_is_believed(destination: MemoryDestination, states: MemoryStates) -> None:
    assert run(source(rows(*range(10))), destination, states).ok
    assert run(source(rows(*range(5))), destination, states).status is Status.suspicious
    result = run(source(rows(*range(5))), destination, states)
    assert result.ok, result.as_dict()
    assert held(destination) == [*range(5)]
    assert result.streams["t"].deleted == 5


def test_a_second_listing_that_lacks_other_records_confirms_nothing(
    destination: MemoryDestination, states: MemoryStates
) -> None:
    assert run(source(rows(*range(10))), destination, states).ok
    for numbers in (range(5), range(5, 10), range(5)):
        assert run(source(rows(*numbers)), destination, states).status is Status.suspicious
    assert held(destination) == [*range(10)]


def test_a_whole_listing_between_two_short_ones_forgets_the_first(
    destination: MemoryDestination, states: MemoryStates
) -> None:
    for numbers, status in ((10, "succeeded"), (5, "suspicious"), (10, "succeeded"), (5, "suspicious")):
        assert run(source(rows(*range(numbers))), destination, states).status == status
    assert held(destination) == [*range(10)]


def test_a_loss_that_was_accepted_is_deleted_once(destination: MemoryDestination, states: MemoryStates) -> None:
    assert run(source(rows(*range(10))), destination, states).ok
    result = run(source(rows(0)), destination, states, accept_deletes=True)
    assert result.ok, result.as_dict()
    assert held(destination) == [0]
    assert run(source([]), destination, states).status is Status.suspicious  # the next loss is asked for again
    assert held(destination) == [0]


def test_a_loss_that_waits_can_be_accepted_in_the_state(destination: MemoryDestination, tmp_path: Path) -> None:
    states = SqliteStates(tmp_path / "state.sqlite")
    assert run(source(rows(*range(10))), destination, states).ok
    assert run(source(rows(0, 1)), destination, states).status is Status.suspicious
    states.save("default", COUNTS, accepted_state(states.load("default")[COUNTS]))
    result = run(source(rows(0)), destination, states)
    assert result.ok, result.as_dict()
    assert held(destination) == [0]
    assert "accepted" not in states.load("default")[COUNTS][LISTINGS]["t"]


def test_the_largest_share_can_be_set(destination: MemoryDestination, states: MemoryStates) -> None:
    assert run(source(rows(*range(10))), destination, states).ok
    result = run(source(rows(*range(5))), destination, states, {"most_percent": 50})
    assert result.ok, result.as_dict()
    result = run(source(rows(*range(4))), destination, states, {"most_percent": 0})
    assert result.status is Status.suspicious
    assert held(destination) == [*range(5)]


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (Suspicion("a page was refused"), "the listing may be incomplete"),
        (Reject({"seen": 1}, "unreadable"), "a record without a readable key was rejected (unreadable)"),
    ],
)
def test_a_doubtful_read_deletes_nothing(
    destination: MemoryDestination, states: MemoryStates, item: Any, reason: str
) -> None:
    assert run(source(rows(*range(10))), destination, states).ok
    result = run(source(rows(*range(9)), item), destination, states)
    assert result.status is Status.suspicious
    assert any(reason in text for text in result.streams["t"].suspicions), result.streams["t"].suspicions
    assert held(destination) == [*range(10)]


def test_a_read_that_fails_deletes_nothing(destination: MemoryDestination, states: MemoryStates) -> None:
    assert run(source(rows(*range(10))), destination, states).ok
    result = run(source(rows(*range(9)), AuthError("403", hint="")), destination, states)
    assert result.status is Status.failed
    assert held(destination) == [*range(10)]


def test_a_rejected_record_is_still_listed(destination: MemoryDestination, states: MemoryStates) -> None:
    assert run(source(rows(*range(10))), destination, states).ok
    result = run(source(rows(*range(8)), Reject(rows(9)[0], "too long")), destination, states)
    assert result.ok, result.as_dict()
    assert held(destination) == [0, 1, 2, 3, 4, 5, 6, 7, 9]


def test_mapped_keys_are_compared_as_they_are_written(destination: MemoryDestination, states: MemoryStates) -> None:
    mappers = [{"type": "hashing", "target_field": "id"}]
    for numbers in (range(10), range(9)):
        reader = source(rows(*numbers), *([Reject(rows(9)[0], "too long")] if len(numbers) == 9 else []))
        result = run(reader, destination, states, mappers=mappers)
        assert result.ok, result.as_dict()
    assert len(destination.stored["t"]) == 10  # the rejected one is still listed
    assert run(source(rows(*range(9))), destination, states, mappers=mappers).streams["t"].deleted == 1


def test_arrow_batches_are_listings_too(destination: MemoryDestination, states: MemoryStates) -> None:
    import pyarrow as pa

    class Tables(MemorySource):
        def read(self, partition: Partition, states: States) -> Iterator[Item]:
            yield Batch("t", table=pa.Table.from_pylist(list(self.records["t"])))

    for numbers in (range(10), range(8)):
        result = run(Tables(records={"t": rows(*numbers)}, primary_keys={"t": "id"}), destination, states)
        assert result.ok, result.as_dict()
    assert held(destination) == [*range(8)]


# -- incremental streams -----------------------------------------------------------------------------------------------


def test_the_keys_of_an_incremental_stream_are_listed_once_in_a_while(
    destination: MemoryDestination, states: MemoryStates
) -> None:
    assert run(source(rows(*range(10))), destination, states, sync_mode="incremental").ok
    assert run(source(rows(*range(9))), destination, states, sync_mode="incremental").ok
    assert held(destination) == [*range(10)]  # the last listing is no day old
    note = states.load("default")[COUNTS]
    note[LISTINGS]["t"]["at"] = time.time() - 25 * 3600
    states.save("default", COUNTS, note)
    result = run(source(rows(*range(9), 11)), destination, states, sync_mode="incremental")
    assert result.ok, result.as_dict()
    assert held(destination) == [*range(9), 11]


def test_only_the_keys_are_asked_for(destination: MemoryDestination, states: MemoryStates) -> None:
    asked: list[tuple[Any, ...]] = []

    class Asking(MemorySource):
        def read(self, partition: Partition, states: States) -> Iterator[Item]:
            asked.append((partition.stream.sync_mode.value, partition.stream.fields))
            yield from super().read(partition, states)

    reader = Asking(records={"t": rows(1, 2)}, primary_keys={"t": "id"}, cursors={"t": "seen"})
    assert run(reader, destination, states, sync_mode="incremental").ok
    assert asked == [("incremental", ()), ("full_refresh", (("id",),))]


@pytest.mark.parametrize("item", [AuthError("403 forbidden", hint=""), Suspicion("403 forbidden"), RuntimeError("403")])
def test_keys_that_cannot_be_listed_delete_nothing_and_are_not_green(
    destination: MemoryDestination, states: MemoryStates, item: Any
) -> None:
    always = {"every_hours": 0}
    assert run(source(rows(*range(10))), destination, states, always, "incremental").ok
    reader = source(rows(*range(9), 11), item, only_keys=True)
    result = run(reader, destination, states, always, "incremental")
    assert result.status is Status.suspicious
    assert "403" in result.streams["t"].suspicions[0]
    assert held(destination) == [*range(10), 11]
    assert states.load("default")["t"] == {"cursor": 11}  # what was written stays written
    assert run(source(rows(*range(9), 11)), destination, states, "hard", "incremental").ok
    assert held(destination) == [*range(10), 11]  # by the listing of the first sync, it is not time yet


def test_a_cancel_while_keys_are_listed_ends_the_sync(destination: MemoryDestination, states: MemoryStates) -> None:
    cancel = threading.Event()

    class Cancelling(MemorySource):
        def read(self, partition: Partition, states: States) -> Iterator[Item]:
            yield from super().read(partition, states)
            if not partition.stream.incremental:
                cancel.set()
                while not cancel.wait(0.01):
                    yield {}
                while True:
                    yield Batch("t", rows=[])

    reader = Cancelling(records={"t": rows(1, 2)}, primary_keys={"t": "id"}, cursors={"t": "seen"})
    result = run(reader, destination, states, sync_mode="incremental", cancel=cancel)
    assert result.status is Status.cancelled
    assert held(destination) == [1, 2]


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("write_mode", "detect", "words"),
    [
        ("overwrite", "hard", "replaces all records anyway"),
        ("append", "hard", "keeps every version"),
        ("soft_delete", "hard", "removes no record"),
        ("append_dedup", "medium", "detect_deletes is 'medium'"),
        ("append_dedup", {"most_percent": 120}, "most_percent"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    destination: MemoryDestination, states: MemoryStates, write_mode: str, detect: Any, words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        run(source(rows(1)), destination, states, detect, write_mode=write_mode)


def test_a_destination_that_cannot_compare_is_refused(states: MemoryStates, tmp_path: Path) -> None:
    from kitestring.destinations.files import Files

    files = Files.load({"path": str(tmp_path), "format": "jsonl"})
    assert isinstance(files, FilesDestination)
    with pytest.raises(ConfigError, match="Files cannot compare its records"):
        sync(source(rows(1)), files, [Selection("t", "full_refresh", detect_deletes="hard")], states=states)


def test_a_stream_without_a_key_is_refused(destination: MemoryDestination, states: MemoryStates) -> None:
    reader = MemorySource(records={"t": rows(1)})
    with pytest.raises(ConfigError, match="detect_deletes is soft for the stream t"):
        run(reader, destination, states, "soft")


def test_soft_marks_in_a_stream_of_any_deduplicating_mode(destination: MemoryDestination, states: MemoryStates) -> None:
    for write_mode in ("append_dedup", "soft_delete"):
        for numbers in (range(10), range(9)):
            assert run(source(rows(*numbers)), destination, states, "soft", write_mode=write_mode).ok
        assert held(destination) == [*range(9)]
        assert len(destination.stored["t"]) == 10


def test_the_settings_of_off_are_none() -> None:
    assert DeleteDetection.of("off") is None
    assert DeleteDetection.of({"mode": "off"}) is None
    assert DeleteDetection.of(None) is None


def test_a_file_of_keys_splits_many_keys_and_goes_away() -> None:
    keys = KeyFile()
    keys.add(f"k{n}" for n in range(5_000))
    assert keys.unlisted(["k1", "x", "k4999", "y"]) == {"x", "y"}
    keys.add_missing(["x", "y", "x"])
    assert keys.missing_count() == 2
    assert [*keys.missing_pages(1)] == [["x"], ["y"]]
    folder = keys._folder
    keys.close()
    assert not folder.exists()


def test_a_stream_that_loses_records_in_two_places_is_counted_right(
    destination: MemoryDestination, states: MemoryStates
) -> None:
    """A deletion that the source says, and one that it does not say."""
    assert run(source(rows(*range(20))), destination, states).ok
    deletion = {"id": 0, DELETED_AT: "2026-01-01T00:00:00Z"}
    result = run(source([deletion, *rows(*range(2, 20))]), destination, states)
    assert result.ok, result.as_dict()
    assert (result.streams["t"].deleted, held(destination)) == (2, [*range(2, 20)])


def test_rejected_records_that_are_replayed_are_no_listing(
    destination: MemoryDestination, states: MemoryStates, tmp_path: Path
) -> None:
    rejects = Rejects(tmp_path)
    reader = source(rows(*range(10)), Reject(rows(99)[0], "too long"))
    everything = {"mode": "hard", "most_percent": 100}
    selections = [Selection("t", "full_refresh", detect_deletes=everything)]
    assert sync(reader, destination, selections, states=states, rejects=rejects).ok
    result = replay(source([]), destination, rejects, "default", selections, states=states)
    assert result.ok, result.as_dict()
    assert held(destination) == [*range(10), 99]


def test_keys_are_listed_as_they_are_now_and_not_in_an_earlier_snapshot(
    destination: MemoryDestination, states: MemoryStates
) -> None:
    """A row that came after the snapshot, and that the incremental read has brought, is not missing."""

    class Snapshots(MemorySource):
        fresh: bool = False

        def refresh_snapshot(self) -> None:
            self.fresh = True

        def read(self, partition: Partition, states: States) -> Iterator[Item]:
            for item in super().read(partition, states):
                if partition.stream.incremental or self.fresh or not isinstance(item, dict) or item["id"] != 9:
                    yield item

    reader = Snapshots(records={"t": rows(*range(10))}, primary_keys={"t": "id"}, cursors={"t": "seen"})
    assert run(reader, destination, states, sync_mode="incremental").ok
    assert held(destination) == [*range(10)]
