"""A stream that is emptied at its source, or gets another schema, in the middle of a read."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import pyarrow as pa
import pytest

from kitestring.batch import Batch
from kitestring.engine import MemoryStates, Selection, Status, estimate, sync
from kitestring.errors import SchemaError, TransientError
from kitestring.source import Item
from kitestring.testing.memory import MemoryDestination, MemorySource
from kitestring.types import (
    DELETED_AT,
    Checkpoint,
    Partition,
    Receipt,
    SchemaChange,
    States,
    Stream,
    Truncate,
)

AT = "2026-05-05T05:05:05Z"
DEDUP = Selection("things", write_mode="append_dedup")


def things(items: Sequence[Item], **more: Any) -> MemorySource:
    schema = {"type": "object", "properties": {"id": {"type": "integer"}, "text": {"type": "string"}}}
    return MemorySource(records={"things": items}, primary_keys={"things": "id"}, schemas={"things": schema}, **more)


def rows(*numbers: int, text: str = "a") -> list[Any]:
    return [{"id": n, "text": text} for n in numbers]


class Feed(MemorySource):
    """Gives the items of a list, and their number as the state: the next sync goes on behind it."""

    def read(self, partition: Partition, states: States) -> Iterator[Item]:
        (key,) = (stream.key for stream in partition.streams)
        start = states.get(key, {}).get("item", 0)
        yield from self.records[key][start:]
        yield Checkpoint({"item": len(self.records[key])})


def feed(items: Sequence[Item]) -> Feed:
    return Feed(records={"things": items}, primary_keys={"things": "id"}, cursors={"things": "id"})


class Shelf(MemoryDestination):
    """Cannot delete all records of a stream at once."""

    truncate: ClassVar[None] = None  # type: ignore[assignment]


def test_of_one_batch_what_came_before_the_emptying_is_gone_and_what_came_behind_stands() -> None:
    destination = MemoryDestination()
    items = [*rows(1, 2, text="old"), Truncate(AT), *rows(2, 3, text="new")]
    result = sync(things(items), destination, [DEDUP])
    assert result.ok
    assert destination.stored["things"] == rows(2, 3, text="new")
    figures = result.streams["things"]
    assert (figures.read, figures.written, figures.deleted, figures.superseded) == (6, 4, 2, 0)


@pytest.mark.parametrize("mode", ["append_dedup", "soft_delete"])
def test_an_emptied_stream_is_no_loss_for_the_next_sync(mode: str) -> None:
    destination, states = MemoryDestination(), MemoryStates()
    way = Selection("things", write_mode=mode)
    items: list[Any] = rows(1, 2, 3)
    assert sync(feed(items), destination, [way], states=states).ok
    items += [Truncate(AT), *rows(7)]
    assert sync(feed(items), destination, [way], states=states).ok
    assert sync(feed(items), destination, [way], states=states).ok
    unmarked = [row["id"] for row in destination.stored["things"] if DELETED_AT not in row]
    marked = {row["id"]: row[DELETED_AT] for row in destination.stored["things"] if DELETED_AT in row}
    assert unmarked == [7]
    assert marked == ({} if mode == "append_dedup" else dict.fromkeys((1, 2, 3), AT))


def test_an_emptied_stream_is_no_loss_when_the_sync_is_killed_behind_it() -> None:
    class Killed(BaseException):
        pass

    class Mortal(MemoryDestination):
        def write(self, stream: Stream, batch: Batch) -> Receipt | None:
            if any(row["id"] == 7 for row in batch.rows()) and self.mortal:
                raise Killed
            return super().write(stream, batch)

        mortal: bool = True

    destination, states = Mortal(), MemoryStates()
    items: list[Any] = rows(1, 2, 3)
    assert sync(feed(items), destination, [DEDUP], states=states).ok
    items += [Truncate(AT), *rows(7)]
    with pytest.raises(Killed):
        sync(feed(items), destination, [DEDUP], states=states)
    assert destination.stored["things"] == []
    destination.mortal = False
    result = sync(feed(items), destination, [DEDUP], states=states)
    assert result.ok, result.as_dict()
    assert destination.stored["things"] == rows(7)


def test_a_destination_that_cannot_empty_a_stream_fails_it_before_anything_behind_is_written() -> None:
    destination, states = Shelf(), MemoryStates()
    items = [*rows(1, 2), Checkpoint({"item": 2}), Truncate(AT), *rows(7)]
    both = Feed(
        records={"things": items, "others": rows(1)},
        primary_keys={"things": "id", "others": "id"},
        cursors={"things": "id", "others": "id"},
    )
    result = sync(both, destination, [DEDUP, "others"], states=states)
    assert result.status is Status.failed
    assert result.streams["others"].status is Status.succeeded
    error = result.streams["things"].error
    assert error is not None
    assert f"things was emptied at the source at {AT}, and Shelf cannot remove all" in error.message
    assert "append_dedup" in (error.hint or "")
    assert destination.stored["things"] == rows(1, 2)
    assert states.load("default")["things"] == {"item": 2}


def test_streams_of_one_group_all_fail_with_one_that_cannot_be_emptied() -> None:
    class Slot(MemorySource):
        def groups(self, streams: Sequence[Stream]) -> list[list[Stream]]:
            return [list(streams)]

        def partitions(self, streams: Sequence[Stream], states: States) -> list[Partition]:
            return [Partition(tuple(streams), "slot")]

        def read(self, partition: Partition, states: States) -> Iterator[Item]:
            yield Batch("a", rows=rows(1))
            yield Checkpoint({"position": 1})
            yield Truncate(AT, "a")
            yield Batch("b", rows=rows(1))
            yield Checkpoint({"position": 2})

    states = MemoryStates()
    slot = Slot(records={"a": [], "b": []}, primary_keys={"a": "id", "b": "id"}, cursors={"a": "id", "b": "id"})
    result = sync(slot, Shelf(), states=states)
    assert {stream.status for stream in result.streams.values()} == {Status.failed}
    assert states.load("default")[""] == {"position": 1}


@pytest.mark.parametrize("mode", ["overwrite", "overwrite_dedup"])
@pytest.mark.parametrize("kind", [MemoryDestination, Shelf])
def test_a_new_copy_is_begun_again_and_the_old_data_stand_until_it_is_complete(
    kind: type[MemoryDestination], mode: str
) -> None:
    destination, way = kind(), Selection("things", write_mode=mode)
    assert sync(things(rows(1, 2, 3)), destination, [way]).ok
    seen: list[int] = []

    def items() -> Iterator[Item]:
        yield from rows(4, 5)
        yield Truncate(AT)
        yield Batch("things", rows=rows(6))
        seen.append(len(destination.stored["things"]))

    result = sync(things(list(items())), destination, [way])
    assert result.ok, result.as_dict()
    assert seen == [3]
    assert destination.stored["things"] == rows(6)
    assert (result.streams["things"].read, result.streams["things"].deleted) == (5, 2)


def test_a_new_copy_that_marks_what_is_deleted_cannot_be_begun_again() -> None:
    way = Selection("things", write_mode={"replace": True, "keep": "latest", "deletes": "mark"})
    destination = Shelf()
    assert sync(things(rows(1)), destination, [way]).ok
    assert sync(things([*rows(4), Truncate(AT)]), destination, [way]).status is Status.failed
    assert destination.stored["things"] == rows(1)


def test_where_deleted_records_are_kept_an_emptied_stream_keeps_them_and_the_log_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    destination = Shelf()
    with caplog.at_level(logging.WARNING, "kitestring.engine"):
        assert sync(
            things([*rows(1), Truncate(AT), *rows(2)]), destination, [Selection("things", write_mode="append")]
        ).ok
    assert destination.stored["things"] == rows(1, 2)
    assert f"things was emptied at the source at {AT}: its records stay" in caplog.text


def test_a_read_that_emptied_a_new_copy_is_not_repeated_where_all_versions_are_kept() -> None:
    class Failing(MemorySource):
        def read(self, partition: Partition, states: States) -> Iterator[Item]:
            yield Truncate(AT)
            raise TransientError("later", retry_after_s=0.01)

    failing = Failing(records={"things": []})
    result = sync(failing, MemoryDestination(), [Selection("things", write_mode="overwrite")])
    assert result.status is Status.failed


class Observing(MemoryDestination):
    """Notes what is called with which schema."""

    def model_post_init(self, context: Any) -> None:
        self._calls: list[tuple[str, list[str], int]] = []

    def _note(self, call: str, stream: Stream, count: int = 0) -> None:
        self._calls.append((call, sorted(stream.schema["properties"]), count))

    def prepare(self, stream: Stream, batch: Batch) -> Batch:
        self._note("prepare", stream, len(batch))
        return batch

    def write(self, stream: Stream, batch: Batch) -> Receipt | None:
        self._note("write", stream, len(batch))
        return super().write(stream, batch)

    def change(self, stream: Stream) -> None:
        self._note("change", stream)


@pytest.mark.parametrize("arrow", [False, True])
def test_a_changed_schema_reaches_the_destination_between_what_came_before_and_what_comes_behind(arrow: bool) -> None:
    names = {"id": pa.int64(), "text": pa.string(), "more": pa.string(), "left_out": pa.string()}
    json = {
        "type": "object",
        "properties": {"id": {"type": "integer"}} | {n: {"type": "string"} for n in list(names)[1:]},
    }
    change = SchemaChange(pa.schema(names) if arrow else json)
    destination = Observing()
    way = Selection(
        "things",
        write_mode="append_dedup",
        fields=["text", "more"],
        mappers=[{"type": "field-renaming", "original_field_name": "text", "new_field_name": "body"}],
    )
    wider = {"id": 3, "text": "c", "more": "m", "left_out": "x"}
    source = things([*rows(1, 2), change, wider])
    source.schemas["things"]["additionalProperties"] = True  # type: ignore[index]
    assert sync(source, destination, [way]).ok
    before, behind = ["body", "id"], ["body", "id", "more"]
    calls = [("prepare", before, 2), ("write", before, 2), ("change", behind, 0), ("prepare", behind, 1)]
    assert destination._calls == [*calls, ("write", behind, 1)]
    assert destination.stored["things"][-1] == {"id": 3, "body": "c", "more": "m"}


def schema_of(*names: str) -> SchemaChange:
    return SchemaChange({"type": "object", "properties": {name: {"type": "string"} for name in names}})


def test_a_changed_schema_without_a_selected_field_goes_on_without_it() -> None:
    way = Selection("things", write_mode="append", fields=["id", "text"])
    destination = MemoryDestination()
    result = sync(things([*rows(1), schema_of("id"), {"id": 2, "other": "x"}]), destination, [way])
    assert result.ok, result.as_dict()
    assert destination.stored["things"] == [*rows(1), {"id": 2}]


@pytest.mark.parametrize(
    ("selection", "change", "reason"),
    [
        (DEDUP, schema_of("text"), "the primary key id of things is gone"),
        (Selection("things", write_mode="append", fields=["text"]), schema_of("id"), "all chosen fields of things are"),
        (replace(DEDUP, new_fields="stop"), schema_of("id", "text", "more"), "more is new"),
        (replace(DEDUP, new_fields="stop"), schema_of("id"), "text is gone"),
    ],
)
def test_a_change_that_the_selection_does_not_allow_stops_the_stream_behind_what_came_before(
    selection: Selection, change: SchemaChange, reason: str
) -> None:
    destination = MemoryDestination()
    result = sync(things([*rows(1), change, {"id": 2, "text": "b"}]), destination, [selection])
    error = result.streams["things"].error
    assert isinstance(error, SchemaError)
    assert reason in str(error)
    assert [row["id"] for row in destination.stored["things"]] in ([1], [])


def test_a_new_field_in_the_middle_of_a_read_is_left_out_where_new_fields_are() -> None:
    more = {"id": "2", "text": "b", "more": "m"}
    for new_fields, expected in (("take", more), ("leave", {"id": "2", "text": "b"})):
        destination = MemoryDestination()
        way = replace(DEDUP, new_fields=new_fields)  # type: ignore[arg-type]
        result = sync(things([*rows(1), schema_of("id", "text", "more"), dict(more)]), destination, [way])
        assert result.ok, result.as_dict()
        assert destination.stored["things"][-1] == expected


def test_a_dry_run_reads_over_changes() -> None:
    source = things([*rows(1), Truncate(AT), SchemaChange({"type": "object", "properties": {}}), *rows(2)])
    assert estimate(source, MemoryDestination(), [DEDUP]).streams["things"].read == 2


def test_a_change_for_a_stream_that_the_partition_does_not_feed_is_a_defect() -> None:
    result = sync(things([Truncate(AT, "others")]), MemoryDestination(), [DEDUP])
    assert "a Truncate for others came from a partition of ('things',)" in str(result.streams["things"].error)


def test_an_emptying_without_a_time_is_a_defect_and_deletes_nothing() -> None:
    destination = MemoryDestination()
    way = Selection("things", write_mode="soft_delete")
    nothing: Any = None
    result = sync(things([*rows(1), Truncate(nothing), *rows(2)]), destination, [way])
    assert "a Truncate of things has None as its time" in str(result.streams["things"].error)
    assert destination.stored["things"] == rows(1)
