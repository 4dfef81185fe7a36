"""The loop: what is durable, what is counted, and what a failure leaves."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from people import ids, incremental, people, source

from kitestring.batch import Batch
from kitestring.engine import JsonStates, MemoryStates, Progress, Rejects, Selection, SqliteStates, Status, sync
from kitestring.engine.progress import lag_of
from kitestring.errors import ConfigError
from kitestring.source import Item, Source, stream
from kitestring.testing.memory import MemoryDestination, MemorySource
from kitestring.types import DELETED_AT, Checkpoint, Partition, Receipt, Reject, State, States, Stream


def test_a_full_refresh_brings_every_record_and_reconciles() -> None:
    destination = MemoryDestination()
    result = sync(source(1234, pieces=5), destination)
    figures = result.streams["people"]
    assert result.status is Status.succeeded
    assert (figures.read, figures.written, figures.accounted) == (1234, 1234, 1234)
    assert ids(destination) == list(range(1234))


def test_a_second_incremental_sync_reads_only_what_is_new() -> None:
    states, destination = MemoryStates(), MemoryDestination()
    sync(incremental(10), destination, states=states)
    result = sync(incremental(15), destination, states=states)
    assert result.streams["people"].read == 5
    assert ids(destination) == list(range(15))
    assert states.load("default")["people"] == {"cursor": 14}


def test_an_unchanged_record_is_counted_as_unchanged() -> None:
    destination = MemoryDestination()
    sync(source(10), destination)
    figures = sync(source(10), destination).streams["people"]
    assert (figures.written, figures.unchanged) == (0, 10)


def test_overwrite_replaces_what_was_there() -> None:
    destination = MemoryDestination()
    sync(source(250), destination, [Selection("people", write_mode="overwrite")])
    assert sync(source(20), destination, [Selection("people", write_mode="overwrite")]).ok
    assert ids(destination) == list(range(20))


def test_an_overwrite_with_nothing_keeps_the_old_data_and_is_suspicious() -> None:
    destination = MemoryDestination()
    mode = [Selection("people", write_mode="overwrite")]
    sync(source(5), destination, mode)
    result = sync(source(0), destination, mode)
    assert result.status is Status.suspicious
    assert "holds 5" in result.streams["people"].suspicions[0]
    assert ids(destination) == list(range(5))
    assert sync(source(0), destination, mode, allow_empty=True).ok
    assert ids(destination) == []


def test_a_receipt_that_does_not_add_up_is_suspicious() -> None:
    class Forgetful(MemoryDestination):
        def write(self, stream: Stream, batch: Batch) -> Receipt | None:
            super().write(stream, batch)
            return Receipt(written=len(batch) - 1)

    result = sync(source(10), Forgetful())
    assert result.status is Status.suspicious
    assert "10 records were read, 9 are accounted for" in result.streams["people"].suspicions[-1]


def test_a_destination_that_loses_records_is_suspicious() -> None:
    class Leaky(MemoryDestination):
        def write(self, stream: Stream, batch: Batch) -> Receipt | None:
            super().write(stream, Batch(batch.stream, rows=batch.rows()[1:]))
            return None

    result = sync(source(10), Leaky(), [Selection("people", write_mode="append")])
    assert result.status is Status.suspicious
    assert "0 records and 10 written make 10, the destination counts 9" in result.streams["people"].suspicions


def test_a_deletion_removes_the_record_and_is_counted() -> None:
    destination = MemoryDestination()
    sync(source(3), destination)
    memory_source = MemorySource(
        records={"people": [{"id": 1, DELETED_AT: "2026-01-01T00:00:00Z"}]}, primary_keys={"people": "id"}
    )
    figures = sync(memory_source, destination).streams["people"]
    assert (figures.deleted, figures.written) == (1, 0)
    assert ids(destination) == [0, 2]


def test_of_two_versions_in_one_batch_the_last_wins_even_if_it_deletes() -> None:
    rows = [
        {"id": 1, "v": 1},
        {"id": 2, "v": 1},
        {"id": 1, "v": 2},
        {"id": 2, "v": 2, DELETED_AT: "2026-01-01T00:00:00Z"},
        {"id": 3, "v": 1, DELETED_AT: "2026-01-01T00:00:00Z"},
        {"id": 3, "v": 2, DELETED_AT: None},
    ]
    destination = MemoryDestination()
    result = sync(MemorySource(records={"t": rows}, primary_keys={"t": "id"}), destination)
    figures = result.streams["t"]
    assert result.ok
    # The deletion of 2 meets nothing: its earlier version never came.
    assert (figures.written, figures.unchanged, figures.deleted, figures.superseded) == (2, 1, 0, 3)
    assert {row["id"]: row["v"] for row in destination.stored["t"]} == {1: 2, 3: 2}


def test_records_without_a_key_are_rejected_and_the_others_arrive(tmp_path: Any) -> None:
    rows = [{"id": 1}, {"name": "no id"}, {"id": None}, {"id": {"a": 1}}, {"id": 2}, "text"]
    rejects = Rejects(tmp_path)
    destination = MemoryDestination()
    result = sync(MemorySource(records={"t": rows}, primary_keys={"t": "id"}), destination, rejects=rejects)
    assert result.ok
    assert result.streams["t"].rejected == 4
    assert [row["id"] for row in destination.stored["t"]] == [1, 2]
    reasons = [entry["reason"] for entry in rejects.read("default")]
    assert sorted(reasons) == [
        "the primary key field id is an object, not a plain value",
        "the primary key field id is missing or null",
        "the primary key field id is missing or null",
        "the source gave str, a record is an object",
    ]


def test_memory_stays_flat_however_slow_the_destination_is() -> None:
    """The source gives 400 MB; a reader may be ahead of the destination by the queue and a few batches only."""
    given = 0

    class Wide(Source):
        @stream(primary_key="id")
        def wide(self) -> Iterator[Item]:
            nonlocal given
            for number in range(400):
                given += 1
                yield {"id": number, "text": "x" * 1_000_000}

    ahead = 0

    class Slow(MemoryDestination):
        seen: int = 0

        def write(self, stream: Stream, batch: Batch) -> Receipt | None:
            nonlocal ahead
            self.seen += len(batch)
            time.sleep(0.005)
            ahead = max(ahead, given - self.seen)
            return None

        def count(self, stream: Stream) -> int | None:
            return None

    destination = Slow()
    assert sync(Wide(), destination).ok
    assert destination.seen == 400
    assert ahead < 130


def test_batches_are_prepared_ahead_of_the_write() -> None:
    class Overlapping(MemoryDestination):
        prepared: int = 0
        most: int = 0
        written: int = 0

        def prepare(self, stream: Stream, batch: Batch) -> Batch:
            self.prepared += 1
            return batch

        def write(self, stream: Stream, batch: Batch) -> Receipt | None:
            time.sleep(0.02)
            self.most = max(self.most, self.prepared - self.written)
            self.written += 1
            return super().write(stream, batch)

    destination = Overlapping()
    assert sync(source(1000), destination).ok
    assert destination.most >= 2


def test_a_batch_has_the_size_that_the_destination_wants() -> None:
    class Measured(MemoryDestination):
        sizes: list[int] = []

        def write(self, stream: Stream, batch: Batch) -> Receipt | None:
            self.sizes.append(len(batch))
            return super().write(stream, batch)

    class Whole(MemorySource):
        def read(self, partition: Partition, states: States) -> Iterator[Item]:
            yield Batch("people", rows=people(250), nbytes=1)
            yield Batch("people", rows=people(30, 250), nbytes=1)

    destination = Measured()
    assert sync(Whole(records={"people": []}), destination).ok
    assert sum(destination.sizes) == 280
    assert max(destination.sizes) <= 100


def test_the_checkpoints_of_several_partitions_are_merged_by_the_source() -> None:
    class Pieces(MemorySource):
        def partitions(self, streams: Any, states: States) -> Any:
            for single_stream in streams:
                done = states.get(single_stream.key, {})
                yield from (Partition((single_stream,), str(n), {"n": n}) for n in range(20) if str(n) not in done)

        def read(self, partition: Partition, states: States) -> Iterator[Item]:
            n = partition.data["n"]
            yield from self.records["people"][n * 10 : n * 10 + 10]
            yield Checkpoint({partition.key: "read"})

        def merge(self, stream: str, state: State, checkpoint: State) -> State:
            return {**state, **checkpoint}

        def finish(self, stream: Stream, state: State) -> State:
            return {"whole": len(state)}

    states, destination = MemoryStates(), MemoryDestination()
    pieces = Pieces(records={"people": people(200)}, primary_keys={"people": "id"}, cursors={"people": "seen"})
    assert sync(pieces, destination, states=states).ok
    assert ids(destination) == list(range(200))
    assert states.load("default")["people"] == {"whole": 20}


def test_a_partition_of_several_streams_has_one_shared_state() -> None:
    class Slot(Source):
        def discover(self) -> Any:
            from kitestring.types import Catalog, SyncMode

            modes = (SyncMode.full_refresh, SyncMode.incremental)
            return Catalog(
                tuple(
                    Stream(name, primary_key=(("id",),), cursor=("id",), sync_modes=modes, source_defined_cursor=True)
                    for name in ("a", "b")
                )
            )

        def groups(self, streams: list[Stream]) -> list[list[Stream]]:
            return [list(streams)]

        def partitions(self, streams: Any, states: States) -> Any:
            return [Partition(tuple(streams), "slot")]

        def read(self, partition: Partition, states: States) -> Iterator[Item]:
            start = states.get("", {}).get("position", 0)
            for n in range(start, start + 10):
                yield Batch("a" if n % 2 else "b", rows=[{"id": n}])
                yield Checkpoint({"position": n + 1})

    states, destination = MemoryStates(), MemoryDestination()
    assert sync(Slot(), destination, states=states).ok
    assert states.load("default")[""] == {"position": 10}
    assert sync(Slot(), destination, states=states).ok
    assert ids(destination, "a") == [n for n in range(20) if n % 2]
    assert ids(destination, "b") == [n for n in range(20) if not n % 2]


def test_prefix_and_namespace_name_the_stream_at_the_destination() -> None:
    destination = MemoryDestination()
    assert sync(source(3), destination, [Selection("people", prefix="zd_", namespace="help")]).ok
    assert list(destination.stored) == ["help.zd_people"]
    assert sync(source(3), destination, ["people"], prefix="p_", namespace="").ok
    assert "p_people" in destination.stored


def test_selected_fields_arrive_with_the_key_and_the_cursor() -> None:
    rows = [{"id": 1, "seen": 5, "user": {"name": "A", "mail": "x"}, "tags": [{"k": 1, "v": 2}], "extra": True}]
    origin = MemorySource(records={"t": rows}, primary_keys={"t": "id"}, cursors={"t": "seen"})
    destination = MemoryDestination()
    assert sync(origin, destination, [Selection("t", fields=["user.name", "tags.k"])]).ok
    assert destination.stored["t"] == [{"user": {"name": "A"}, "tags": [{"k": 1}], "id": 1, "seen": 5}]


def test_a_request_that_cannot_be_is_refused_before_anything_begins() -> None:
    destination = MemoryDestination()
    for selection, message in [
        ("peple", "the source has no stream peple; did you mean people?"),
        (Selection("people", sync_mode="incremental"), "cannot be read as incremental"),
        (Selection("people", write_mode="upsert"), "upsert is not a write mode"),
    ]:
        with pytest.raises(ConfigError, match=message.replace("?", r"\?")):
            sync(source(1), destination, [selection])
    with pytest.raises(ConfigError, match="no primary key"):
        sync(MemorySource(records={"t": []}), destination, [Selection("t", write_mode="append_dedup")])
    with pytest.raises(ConfigError, match="it would lose old ones"):
        sync(incremental(1), destination, [Selection("people", write_mode="overwrite")])
    with pytest.raises(ConfigError, match="selected twice"):
        sync(source(1), destination, ["people", "people"])
    assert destination.stored == {}


@pytest.mark.parametrize("store", [SqliteStates, JsonStates])
def test_states_survive_the_process_and_one_sync_holds_a_connection(store: Any, tmp_path: Any) -> None:
    states = store(tmp_path / "deep" / "state")
    assert sync(incremental(10), MemoryDestination(), states=states, connection="zd → m").ok
    second = store(tmp_path / "deep" / "state")
    assert second.load("zd → m")["people"] == {"cursor": 9}
    assert second.connections() == ["zd → m"]
    with second.lock("zd → m"), pytest.raises(ConfigError, match="is running"):
        sync(incremental(10), MemoryDestination(), states=states, connection="zd → m")
    second.clear("zd → m", "people")
    assert "people" not in second.load("zd → m")


def test_a_json_state_file_that_was_edited_wrongly_is_refused_with_its_place(tmp_path: Any) -> None:
    path = tmp_path / "state.json"
    path.write_text('{"default": {"people": {"cursor": 3,}}}')
    with pytest.raises(ConfigError, match=r"state.json is not JSON: .* at line 1, column"):
        sync(incremental(10), MemoryDestination(), states=JsonStates(path))
    path.write_text('{"default": {"people": 3}}')
    with pytest.raises(ConfigError, match=r"the state of default.people in state.json is int"):
        sync(incremental(10), MemoryDestination(), states=JsonStates(path))


def test_progress_shows_counts_rate_and_lag() -> None:
    rows = [{"id": n, "at": f"2026-01-01T00:00:{n:02d}Z"} for n in range(10)]
    progress = Progress()
    origin = MemorySource(records={"t": rows}, primary_keys={"t": "id"}, cursors={"t": "at"})
    assert sync(origin, MemoryDestination(), progress=progress).ok
    displayed = progress.snapshot()["streams"]["t"]
    assert (displayed["status"], displayed["read"], displayed["written"]) == ("succeeded", 10, 10)
    assert displayed["bytes"] > 0
    assert displayed["lag_s"] is None  # at its end a stream has all that the source has


def test_a_lag_is_that_of_a_stream_which_goes_on_from_its_state() -> None:
    now, seen = datetime.now(UTC), []

    class Watched(MemoryDestination):
        def write(self, stream: Stream, batch: Batch) -> Receipt | None:
            seen.append(progress.streams["t"].lag_s)
            return super().write(stream, batch)

    states, destination = MemoryStates(), Watched()
    for start in (0, 300):  # the first reads history, the second goes on
        progress = Progress()
        rows = [{"id": n, "at": (now - timedelta(seconds=900 - n)).isoformat()} for n in range(start + 300)]
        origin = MemorySource(records={"t": rows}, primary_keys={"t": "id"}, cursors={"t": "at"})
        assert sync(origin, destination, states=states, progress=progress).ok
    assert seen[:4] == [None] * 4
    assert seen[4] is not None
    assert 0 < seen[4] < 3600


@pytest.mark.parametrize(
    ("value", "known"),
    [
        (datetime.now(UTC) - timedelta(minutes=5), True),
        ((datetime.now(UTC) - timedelta(days=300)).isoformat(), True),
        ("1987-06-05", False),
        (datetime.now(UTC) + timedelta(days=2), False),
        ("2999-01-01T00:00:00Z", False),
        ("no time", False),
        (946_684_900, False),
        (17, False),
    ],
    ids=["minutes", "months", "a date long ago", "ahead", "far ahead", "no time", "seconds long ago", "a number"],
)
def test_a_cursor_that_is_no_time_of_a_change_has_no_lag(value: Any, known: bool) -> None:
    assert (lag_of(value) is not None) is known


def test_a_source_can_reject_a_record_itself(tmp_path: Any) -> None:
    class Honest(MemorySource):
        def read(self, partition: Partition, states: States) -> Iterator[Item]:
            yield {"id": 1}
            yield Reject({"raw": "{"}, "not JSON")
            yield {"id": 2}

    rejects = Rejects(tmp_path)
    result = sync(Honest(records={"t": []}), MemoryDestination(), rejects=rejects)
    assert result.ok
    assert (result.streams["t"].read, result.streams["t"].rejected) == (3, 1)
    assert [entry["reason"] for entry in rejects.read("default")] == ["not JSON"]
