"""Vector destinations write what changed, embed what is new, and remove nothing before its replacement is stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from unit.vector.memory_store import Memory, MemoryStore, embedded, memory, things

from kitestring.batch import Batch
from kitestring.errors import ConfigError, TransientError
from kitestring.types import Receipt, Stream

LONG = "one two three four five six\n\nseven eight nine ten eleven twelve\n\nalpha beta gamma delta epsilon"


@pytest.fixture(params=[True, False], ids=["own ids", "the store's ids"])
def store(request: pytest.FixtureRequest) -> MemoryStore:
    return MemoryStore(replaces=request.param)


def put(destination: Memory, rows: list[dict[str, Any]], stream: Stream | None = None) -> Receipt:
    stream = stream or things()
    return destination.write(stream, destination.prepare(stream, Batch(stream.key, rows=rows)))


def begun(folder: Path, store: MemoryStore, stream: Stream | None = None, **processing: Any) -> Memory:
    destination = memory(folder, store, **processing)
    destination.begin(stream or things())
    return destination


def test_an_unchanged_record_is_neither_embedded_nor_written(tmp_path: Path, store: MemoryStore) -> None:
    put(begun(tmp_path, store), [{"id": 1, "text": LONG, "status": "new"}])
    store.calls.clear()
    destination = begun(tmp_path, store)
    receipt = put(destination, [{"id": 1, "text": LONG, "status": "new"}])
    assert (receipt.written, receipt.unchanged) == (0, 1)
    assert embedded(destination) == []
    assert store.calls == ["find"]
    assert receipt.figures["chunks_reused"] == 3


@pytest.mark.parametrize(("fields", "written"), [(["id"], 1), ([], 3)])
def test_growth_by_one_chunk_embeds_one(tmp_path: Path, store: MemoryStore, fields: list[str], written: int) -> None:
    """Where the text is metadata too, the other chunks are written again with their vectors."""
    parts = LONG.split("\n\n")
    destination = begun(tmp_path, store, metadata_fields=fields)
    put(destination, [{"id": 1, "text": "\n\n".join(parts[:2])}])
    embedded(destination)
    receipt = put(destination, [{"id": 1, "text": LONG}])
    assert embedded(destination) == parts[2:]
    assert store.texts() == {"1": parts}
    assert (receipt.figures["chunks_embedded"], receipt.figures["chunks_written"]) == (1, written)


def test_a_paragraph_put_in_front_embeds_only_itself(tmp_path: Path, store: MemoryStore) -> None:
    destination = begun(tmp_path, store)
    put(destination, [{"id": 1, "text": LONG}])
    embedded(destination)
    first = "red green blue black white"
    put(destination, [{"id": 1, "text": f"{first}\n\n{LONG}"}])
    assert embedded(destination) == [first]
    assert store.texts() == {"1": [first, *LONG.split("\n\n")]}


def test_a_shorter_text_leaves_no_tail(tmp_path: Path, store: MemoryStore) -> None:
    destination = begun(tmp_path, store)
    put(destination, [{"id": 1, "text": LONG}, {"id": 2, "text": LONG}])
    receipt = put(destination, [{"id": 1, "text": "short"}])
    assert store.texts() == {"1": ["short"], "2": LONG.split("\n\n")}
    assert receipt.figures["chunks_deleted"] == (2 if store.replaces else 3)


def test_changed_metadata_is_a_write_without_an_embedding(tmp_path: Path, store: MemoryStore) -> None:
    destination = begun(tmp_path, store)
    put(destination, [{"id": 1, "text": LONG, "status": "new"}])
    vectors = {c.number: c.vector.tolist() for c in store.rows.values()}
    embedded(destination)
    receipt = put(destination, [{"id": 1, "text": LONG, "status": "solved"}])
    assert embedded(destination) == []
    assert receipt.written == 1
    assert receipt.figures["chunks_written"] == 3
    assert {c.metadata["status"] for c in store.rows.values()} == {"solved"}
    assert {c.number: c.vector.tolist() for c in store.rows.values()} == vectors


def test_two_versions_in_one_batch_leave_the_last(tmp_path: Path, store: MemoryStore) -> None:
    destination = begun(tmp_path, store)
    receipt = put(destination, [{"id": 1, "text": LONG}, {"id": 2, "text": "b"}, {"id": 1, "text": "a"}])
    assert store.texts() == {"1": ["a"], "2": ["b"]}
    assert receipt.written == 3


def test_a_record_in_two_batches_that_were_both_prepared_ahead_ends_as_its_last_version(
    tmp_path: Path, store: MemoryStore
) -> None:
    destination, stream = begun(tmp_path, store), things()
    first = destination.prepare(stream, Batch("things", rows=[{"id": 1, "text": LONG}]))
    second = destination.prepare(stream, Batch("things", rows=[{"id": 1, "text": "short"}, {"id": 2, "text": "b"}]))
    destination.write(stream, first)
    destination.write(stream, second)
    assert store.texts() == {"1": ["short"], "2": ["b"]}


def test_a_version_that_returns_to_what_was_stored_is_written_after_the_one_between(
    tmp_path: Path, store: MemoryStore
) -> None:
    put(begun(tmp_path, store), [{"id": 1, "text": "old"}])
    destination, stream = begun(tmp_path, store), things()
    batches = [destination.prepare(stream, Batch("things", rows=[{"id": 1, "text": t}])) for t in ("new", "old")]
    for batch in batches:
        destination.write(stream, batch)
    assert store.texts() == {"1": ["old"]}


def test_a_batch_prepared_long_before_its_write_is_compared_again(tmp_path: Path, store: MemoryStore) -> None:
    put(begun(tmp_path, store), [{"id": 0, "text": "zero"}])
    destination, stream = begun(tmp_path, store), things()
    early = destination.prepare(stream, Batch("things", rows=[{"id": 1, "text": "a"}]))
    put(destination, [{"id": 1, "text": LONG}])
    for n in range(2, 80):
        put(destination, [{"id": n, "text": str(n)}])
    destination.write(stream, early)
    assert store.texts()["1"] == ["a"]


def test_the_same_text_in_a_batch_is_embedded_once(tmp_path: Path, store: MemoryStore) -> None:
    destination = begun(tmp_path, store)
    receipt = put(destination, [{"id": n, "text": "same"} for n in range(5)])
    assert embedded(destination) == ["same"]
    assert (receipt.figures["chunks_embedded"], receipt.figures["chunks_written"]) == (1, 5)


def test_a_failing_embedder_leaves_the_old_text(tmp_path: Path, store: MemoryStore) -> None:
    destination, stream = begun(tmp_path, store), things()
    put(destination, [{"id": 1, "text": LONG}])
    destination.embedding._broken = TransientError("the model does not answer")  # type: ignore[union-attr]
    with pytest.raises(TransientError):
        destination.prepare(stream, Batch("things", rows=[{"id": 1, "text": "new"}]))
    assert store.texts() == {"1": LONG.split("\n\n")}
    destination.embedding._broken = None  # type: ignore[union-attr]
    put(destination, [{"id": 1, "text": "new"}])
    assert store.texts() == {"1": ["new"]}


def test_nothing_is_removed_before_its_replacement_is_stored(tmp_path: Path, store: MemoryStore) -> None:
    destination = begun(tmp_path, store)
    put(destination, [{"id": 1, "text": LONG}])

    def broken(verb: str) -> None:
        raise TransientError(f"{verb} failed")

    store.before = broken
    with pytest.raises(TransientError, match="upsert"):
        put(destination, [{"id": 1, "text": "new"}])
    assert store.texts() == {"1": LONG.split("\n\n")}


def test_a_crash_between_storing_and_trimming_is_made_good_by_the_next_sync(tmp_path: Path, store: MemoryStore) -> None:
    put(begun(tmp_path, store), [{"id": 1, "text": LONG}])

    def dies(verb: str) -> None:
        if verb == "delete":
            raise TransientError("killed")

    store.before = dies
    with pytest.raises(TransientError):
        put(begun(tmp_path, store), [{"id": 1, "text": "new"}])
    assert "new" in store.texts()["1"], "the new text is there, the tail still stands"
    store.before = lambda verb: None
    destination = begun(tmp_path, store)
    receipt = put(destination, [{"id": 1, "text": "new"}])
    assert store.texts() == {"1": ["new"]}
    assert embedded(destination) == []
    assert receipt.written == 1


def test_a_write_that_is_tried_again_converges(tmp_path: Path, store: MemoryStore) -> None:
    destination, stream = begun(tmp_path, store), things()
    put(destination, [{"id": 1, "text": LONG}])
    batch = destination.prepare(stream, Batch("things", rows=[{"id": 1, "text": "new"}, {"id": 2, "text": "b"}]))
    failing = iter(["delete"])

    def once(verb: str) -> None:
        if verb == "delete" and next(failing, None):
            raise TransientError("later")

    store.before = once
    with pytest.raises(TransientError):
        destination.write(stream, batch)
    receipt = destination.write(stream, batch)
    assert store.texts() == {"1": ["new"], "2": ["b"]}
    assert receipt.written + receipt.unchanged == 2
    assert len(store.rows) == 2


def test_append_that_is_tried_again_adds_each_record_once(tmp_path: Path, store: MemoryStore) -> None:
    stream = things("append")
    destination = begun(tmp_path, store, stream)
    batch = destination.prepare(stream, Batch("things", rows=[{"id": 1, "text": "a"}, {"id": 1, "text": "a"}]))
    destination.write(stream, batch)
    destination.write(stream, batch)
    assert len(store.rows) == 2


def test_append_keeps_every_version(tmp_path: Path, store: MemoryStore) -> None:
    stream = things("append")
    for _ in range(2):
        assert put(begun(tmp_path, store, stream), [{"id": 1, "text": "a"}], stream).written == 1
    assert memory(tmp_path, store).count(stream) == 2


def test_a_text_that_became_empty_leaves_no_chunk_and_no_false_count(tmp_path: Path, store: MemoryStore) -> None:
    put(begun(tmp_path, store), [{"id": 1, "text": "a"}, {"id": 2, "text": "b"}])
    destination = begun(tmp_path, store)
    receipt = put(destination, [{"id": 1, "text": ""}, {"id": 3, "text": None}])
    assert (receipt.written, receipt.unchanged) == (1, 1)
    assert store.texts() == {"2": ["b"]}
    assert destination.count(things()) is None


def test_a_deleted_record_loses_all_its_chunks(tmp_path: Path, store: MemoryStore) -> None:
    destination, stream = begun(tmp_path, store), things()
    put(destination, [{"id": 1, "text": LONG}, {"id": 2, "text": "b"}])
    late = destination.prepare(stream, Batch("things", rows=[{"id": 1, "text": LONG}]))
    destination.delete(stream, [(1,), (77,)])
    assert store.texts() == {"2": ["b"]}
    assert destination.count(stream) == 1
    destination.write(stream, late)
    assert store.texts()["1"] == LONG.split("\n\n"), "what was compared before the deletion is compared again"


def test_a_record_without_text_fields_is_rejected_alone(tmp_path: Path, store: MemoryStore) -> None:
    receipt = put(begun(tmp_path, store), [{"id": 1, "other": "x"}, {"id": 2, "text": "b"}])
    assert receipt.written == 1
    assert [reject.record["id"] for reject in receipt.rejected] == [1]
    assert store.texts() == {"2": ["b"]}


def test_another_chunk_size_embeds_again(tmp_path: Path, store: MemoryStore) -> None:
    put(begun(tmp_path, store), [{"id": 1, "text": "short"}])
    destination = begun(tmp_path, store, chunk_size=100)
    put(destination, [{"id": 1, "text": "short"}])
    assert embedded(destination) == ["short"]


def test_an_estimate_counts_what_would_be_embedded_and_writes_nothing(tmp_path: Path, store: MemoryStore) -> None:
    put(begun(tmp_path, store), [{"id": 1, "text": LONG}])
    store.calls.clear()
    destination = memory(tmp_path, store)
    rows = [{"id": 1, "text": LONG}, {"id": 2, "text": "brand new"}]
    figures = destination.estimate(things(), Batch("things", rows=rows))
    assert figures["records"] == 2
    assert figures["chunks"] == 4
    assert figures["chunks_embedded"] == 1
    assert figures["tokens"] == 2
    assert embedded(destination) == []
    assert store.calls == ["find"]


def test_streams_that_would_be_stored_under_one_name_are_refused(tmp_path: Path) -> None:
    destination = begun(tmp_path, MemoryStore(), Stream("c", namespace="a_b", primary_key=(("id",),)))
    with pytest.raises(ConfigError, match=r"a_b\.c and a\.b_c would both be stored as a_b_c"):
        destination.begin(Stream("b_c", namespace="a", primary_key=(("id",),)))


def test_vectors_from_a_field_are_written_when_only_they_change(tmp_path: Path, store: MemoryStore) -> None:
    config = {
        "processing": {"chunk_size": 8, "text_fields": ["text"], "metadata_fields": ["id"]},
        "embedding": {"mode": "from_field", "field_name": "v", "dimensions": 2},
    }
    destination = Memory.load(config)
    destination._kept = store
    destination.begin(things())
    put(destination, [{"id": 1, "text": "same", "v": [1, 0]}, {"id": 2, "text": "same", "v": [0, 1]}])
    receipt = put(destination, [{"id": 1, "text": "same", "v": [1, 1]}, {"id": 2, "text": "same", "v": [0, 1]}])
    assert (receipt.written, receipt.unchanged) == (1, 1)
    assert {c.record_id: c.vector.tolist() for c in store.rows.values()} == {"things_1": [1, 1], "things_2": [0, 1]}
    bad = put(destination, [{"id": 3, "text": "x", "v": [1, 2, 3]}])
    assert len(bad.rejected) == 1


@pytest.mark.parametrize("order", [(7, "7"), ("7", 7)])
@pytest.mark.parametrize("together", [True, False])
def test_what_an_earlier_version_took_for_one_record_becomes_two(
    tmp_path: Path, store: MemoryStore, order: tuple[Any, ...], together: bool
) -> None:
    """The earlier version stored 7 and "7" under one key; whichever comes first takes the row over."""
    put(begun(tmp_path, store), [{"id": 7, "text": "before"}])
    for chunk in store.rows.values():
        chunk.namespace = None
    destination = begun(tmp_path, store)
    batches = [[{"id": value, "text": repr(value)}] for value in order]
    batches = [[row for batch in batches for row in batch]] if together else batches
    ahead = [destination.prepare(things(), Batch("things", rows=rows)) for rows in batches]
    for batch in ahead:
        destination.write(things(), batch)
    assert sorted(chunk.text for chunk in store.rows.values()) == ["'7'", "7"]


@pytest.mark.parametrize("chunk_id", [f"k:{10**12}", "k:" + "9" * 5_000, "k:²", "9"])
def test_an_id_of_no_chunk_costs_no_lookup_of_many(tmp_path: Path, store: MemoryStore, chunk_id: str) -> None:
    destination = begun(tmp_path, store)
    put(destination, [{"id": 1, "text": "x"}])
    with pytest.raises(ConfigError, match="has no chunk"):
        destination.neighbours(chunk_id)
    assert store.located([chunk_id]) == {}
