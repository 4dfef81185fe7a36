"""A stream that was emptied in its source is emptied, or marked, in a vector store and in a staged copy."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from unit.vector.memory_store import Memory, MemoryStore, embedded, memory, things

from kitestring.batch import Batch
from kitestring.destination import Truncates
from kitestring.types import DELETED_AT, Receipt, Stream, Write

LONG = "one two three four five six\n\nseven eight nine ten eleven twelve"
TIME, LATER = "2026-01-02T00:00:00Z", "2026-03-04T00:00:00Z"


@pytest.fixture(params=[True, False], ids=["own ids", "the store's ids"])
def store(request: pytest.FixtureRequest) -> MemoryStore:
    return MemoryStore(replaces=request.param)


def put(destination: Memory, rows: list[dict[str, Any]], stream: Stream) -> Receipt:
    return destination.write(stream, destination.prepare(stream, Batch(stream.key, rows=rows)))


def begun(folder: Path, store: MemoryStore, stream: Stream, count: int = 3) -> Memory:
    destination = memory(folder, store)
    destination.begin(stream)
    put(destination, [{"id": number, "text": LONG} for number in range(count)], stream)
    assert isinstance(destination, Truncates)
    return destination


def times(store: MemoryStore) -> dict[str, set[Any]]:
    marks: dict[str, set[Any]] = {}
    for chunk in store.rows.values():
        marks.setdefault(chunk.record_id, set()).add(chunk.metadata.get(DELETED_AT))
    return marks


def test_truncate_removes_the_stream_and_leaves_the_others(tmp_path: Path, store: MemoryStore) -> None:
    other = replace(things(), name="others")
    begun(tmp_path, store, other, 1).close()
    stream = replace(things(), write=Write(keep="latest", deletes="remove"))
    destination = begun(tmp_path, store, stream)
    assert destination.truncate(stream, TIME) == Receipt(deleted=3)
    assert store.texts() == {}
    assert len(store.texts("others")) == 1
    assert destination.truncate(stream, TIME) == Receipt()


def test_truncate_marks_what_has_no_mark_and_a_later_version_takes_it_away(tmp_path: Path, store: MemoryStore) -> None:
    stream = replace(things(), write=Write(keep="latest", deletes="mark"))
    destination = begun(tmp_path, store, stream)
    destination.mark(stream, {(1,): TIME})
    assert destination.truncate(stream, LATER) == Receipt(deleted=2)
    assert times(store) == {"things_0": {LATER}, "things_1": {TIME}, "things_2": {LATER}}
    assert destination.count(stream) == 0
    embedded(destination)
    put(destination, [{"id": 2, "text": LONG}], stream)
    assert (destination.count(stream), embedded(destination)) == (1, [])


def test_a_batch_that_was_prepared_before_the_truncate_is_compared_again(tmp_path: Path, store: MemoryStore) -> None:
    stream = replace(things(), write=Write(keep="latest", deletes="remove"))
    begun(tmp_path, store, stream).close()
    destination = memory(tmp_path, store)
    destination.begin(stream)
    ahead = destination.prepare(stream, Batch("things", rows=[{"id": 1, "text": LONG}]))
    destination.truncate(stream, TIME)
    assert destination.write(stream, ahead).written == 1
    assert list(store.texts()) == ["1"]


@pytest.mark.parametrize(("deletes", "kept"), [("remove", ["7"]), ("mark", ["0", "1", "2", "7"])])
def test_truncate_in_a_replacement_empties_the_new_copy_only(
    tmp_path: Path, store: MemoryStore, deletes: Any, kept: list[str]
) -> None:
    begun(tmp_path, store, things(), 5).close()
    stream = replace(things(), write=Write(replace=True, keep="latest", deletes=deletes))
    destination = begun(tmp_path, store, stream)
    assert destination.truncate(stream, TIME) == Receipt(deleted=3)
    put(destination, [{"id": 7, "text": "after"}], stream)
    assert len(store.texts()) == 5, "a reader sees the old copy"
    destination.commit(stream)
    assert sorted(store.texts()) == kept
    assert destination.count(stream) == 1
