"""An overwrite is collected in a shadow: readers keep the old data until all of the new is there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from unit.vector.memory_store import Memory, MemoryStore, embedded, memory, things

from kitestring.airbyte.modes import WRITES
from kitestring.batch import Batch
from kitestring.errors import ConfigError, TransientError
from kitestring.types import Receipt, Stream, Write
from kitestring.vector.staging import StagingFile, staging_file_name

LONG = "one two three four five six\n\nseven eight nine ten eleven twelve\n\nalpha beta gamma delta epsilon"
PARTS = LONG.split("\n\n")


@pytest.fixture(params=[True, False], ids=["own ids", "the store's ids"])
def store(request: pytest.FixtureRequest) -> MemoryStore:
    return MemoryStore(replaces=request.param)


def put(destination: Memory, rows: list[dict[str, Any]], stream: Stream) -> Receipt:
    return destination.write(stream, destination.prepare(stream, Batch(stream.key, rows=rows)))


def overwrite(folder: Path, store: MemoryStore, *batches: list[dict[str, Any]], stream: Stream | None = None) -> Memory:
    stream = stream or things("overwrite_dedup")
    destination = memory(folder, store)
    destination.begin(stream)
    for rows in batches:
        put(destination, rows, stream)
    destination.commit(stream)
    return destination


def shadows(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if ".shadow" in path.name]


def test_the_old_data_stand_until_the_commit(tmp_path: Path, store: MemoryStore) -> None:
    overwrite(tmp_path, store, [{"id": 1, "text": LONG}, {"id": 2, "text": "gone"}])
    destination, stream = memory(tmp_path, store), things("overwrite_dedup")
    destination.begin(stream)
    put(destination, [{"id": 1, "text": "new"}, {"id": 3, "text": "three"}], stream)
    assert store.texts() == {"1": PARTS, "2": ["gone"]}
    destination.commit(stream)
    assert store.texts() == {"1": ["new"], "3": ["three"]}
    assert shadows(tmp_path) == []


def test_the_store_is_never_empty_in_between(tmp_path: Path, store: MemoryStore) -> None:
    overwrite(tmp_path, store, [{"id": n, "text": f"old {n}"} for n in range(9)])
    fewest = []
    store.before = lambda verb: fewest.append(len({c.key for c in store.rows.values()}))
    overwrite(tmp_path, store, [{"id": n, "text": f"new {n}"} for n in range(9)])
    assert min(fewest) == 9
    assert store.texts() == {str(n): [f"new {n}"] for n in range(9)}


def test_only_what_changed_is_embedded_and_written(tmp_path: Path, store: MemoryStore) -> None:
    rows = [{"id": n, "text": f"text {n}", "status": "new"} for n in range(10)]
    overwrite(tmp_path, store, rows)
    store.calls.clear()
    rows[3] = {"id": 3, "text": "changed", "status": "new"}
    rows[4] = {"id": 4, "text": "text 4", "status": "solved"}
    destination = overwrite(tmp_path, store, rows[:5], rows[5:])
    assert embedded(destination) == ["changed"]
    assert store.calls.count("upsert") == 1
    assert store.texts()["3"] == ["changed"]
    assert {c.metadata["status"] for c in store.rows.values() if c.record_id == "things_4"} == {"solved"}


def test_an_unchanged_overwrite_writes_nothing(tmp_path: Path, store: MemoryStore) -> None:
    rows = [{"id": n, "text": LONG} for n in range(4)]
    overwrite(tmp_path, store, rows)
    store.calls.clear()
    overwrite(tmp_path, store, rows)
    assert set(store.calls) == {"find"}


def test_abort_leaves_the_old_data_and_no_file(tmp_path: Path, store: MemoryStore) -> None:
    overwrite(tmp_path, store, [{"id": 1, "text": LONG}])
    destination, stream = memory(tmp_path, store), things("overwrite_dedup")
    destination.begin(stream)
    put(destination, [{"id": 1, "text": "new"}, {"id": 2, "text": "two"}], stream)
    destination.abort(stream)
    assert store.texts() == {"1": PARTS}
    assert shadows(tmp_path) == []


def test_a_crash_before_the_commit_leaves_the_old_data_and_the_next_overwrite_starts_over(
    tmp_path: Path, store: MemoryStore
) -> None:
    overwrite(tmp_path, store, [{"id": 1, "text": LONG}])
    crashed, stream = memory(tmp_path, store), things("overwrite_dedup")
    crashed.begin(stream)
    put(crashed, [{"id": 8, "text": "half a generation"}], stream)
    crashed.close()  # the process is gone: neither commit nor abort
    assert store.texts() == {"1": PARTS}
    overwrite(tmp_path, store, [{"id": 2, "text": "two"}])
    assert store.texts() == {"2": ["two"]}


@pytest.mark.parametrize("verb", ["upsert", "delete"])
@pytest.mark.parametrize("mode", ["overwrite_dedup", "append_dedup"])
def test_a_crash_in_the_commit_is_finished_by_the_next_begin(
    tmp_path: Path, store: MemoryStore, verb: str, mode: str
) -> None:
    overwrite(tmp_path, store, [{"id": n, "text": f"old {n}"} for n in range(4)])
    crashed, stream = memory(tmp_path, store), things("overwrite_dedup")
    crashed.begin(stream)
    put(crashed, [{"id": n, "text": f"new {n}"} for n in range(2, 6)], stream)

    def dies(now: str) -> None:
        if now == verb:
            raise ConfigError("the connection is gone")

    store.before = dies
    with pytest.raises(ConfigError):
        crashed.commit(stream)
    crashed.abort(stream)
    crashed.close()
    store.before = lambda verb: None
    destination = memory(tmp_path, store)
    destination.begin(things(mode))
    assert store.texts() == {str(n): [f"new {n}"] for n in range(2, 6)}
    assert len(store.rows) == 4
    destination.abort(things(mode))
    assert shadows(tmp_path) == []


def test_a_commit_outlasts_a_store_that_is_not_ready(
    tmp_path: Path, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kitestring.vector.overwrite.time.sleep", lambda seconds: None)
    failing = iter(["upsert", "upsert"])

    def twice(verb: str) -> None:
        if next(failing, None):
            raise TransientError("later")

    store.before = twice
    overwrite(tmp_path, store, [{"id": 1, "text": LONG}])
    assert store.texts() == {"1": PARTS}


def test_other_streams_are_left_alone(tmp_path: Path, store: MemoryStore) -> None:
    other = Stream("others", primary_key=(("id",),))
    destination = memory(tmp_path, store)
    destination.begin(other)
    put(destination, [{"id": 1, "text": "kept"}], other)
    overwrite(tmp_path, store, [{"id": 1, "text": "one"}])
    overwrite(tmp_path, store, [{"id": 2, "text": "two"}])
    assert store.texts("others") == {"1": ["kept"]}
    assert store.texts() == {"2": ["two"]}


@pytest.mark.parametrize("texts", [("new", "old"), (LONG, "old"), ("old", "new"), (LONG, "short"), ("short", LONG)])
def test_a_record_that_comes_twice_ends_as_its_last_version(
    tmp_path: Path, store: MemoryStore, texts: tuple[str, str]
) -> None:
    overwrite(tmp_path, store, [{"id": 1, "text": "old"}])
    destination = overwrite(tmp_path, store, *([{"id": 1, "text": text}] for text in texts))
    assert store.texts() == {"1": PARTS if texts[1] == LONG else [texts[1]]}
    assert destination.count(things("overwrite_dedup")) is None, "two were read, one is there: no count can agree"


def test_an_overwrite_with_no_record_empties_the_stream_at_the_commit(tmp_path: Path, store: MemoryStore) -> None:
    overwrite(tmp_path, store, [{"id": 1, "text": LONG}])
    overwrite(tmp_path, store)
    assert store.rows == {}


def test_a_stream_without_a_key_is_compared_by_content(tmp_path: Path, store: MemoryStore) -> None:
    stream = things("overwrite", key="")
    overwrite(tmp_path, store, [{"text": "a"}, {"text": "b"}], stream=stream)
    destination = overwrite(tmp_path, store, [{"text": "b"}, {"text": "c"}], stream=stream)
    assert embedded(destination) == ["c"]
    assert sorted(c.text for c in store.rows.values()) == ["b", "c"]


def test_the_count_agrees_after_an_overwrite(tmp_path: Path, store: MemoryStore) -> None:
    destination = overwrite(tmp_path, store, [{"id": n, "text": LONG} for n in range(7)])
    assert destination.count(things("overwrite_dedup")) == 7


def test_two_processes_do_not_overwrite_one_stream_at_once(tmp_path: Path) -> None:
    path = tmp_path / "x.shadow"
    first = StagingFile(path)
    with pytest.raises(ConfigError, match="another process"):
        StagingFile(path)
    first.close()
    StagingFile(path).remove()


def test_a_shadow_folder_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    destination = memory(tmp_path / "file" / "folder", MemoryStore())
    with pytest.raises(ConfigError, match="cannot be written") as error:
        destination.begin(things("overwrite_dedup"))
    assert "shadow_folder" in error.value.hint


def test_streams_that_differ_by_a_dot_only_wait_in_files_of_their_own(tmp_path: Path, store: MemoryStore) -> None:
    first = Stream("c", namespace="a.b", primary_key=(("id",),), write=WRITES["overwrite_dedup"])
    second = Stream("b.c", namespace="a", primary_key=(("id",),), write=WRITES["overwrite_dedup"])
    destination = memory(tmp_path, store)
    assert destination._staging_path(first) != destination._staging_path(second)
    destination.begin(first)
    destination.write(first, destination.prepare(first, Batch(first.key, rows=[{"id": 1, "text": "one"}])))
    writer = destination._writers[first.key]
    assert writer.staging is not None
    writer.staging.seal()
    destination.close()
    # As an earlier version named it, which took both streams for one.
    former = tmp_path / staging_file_name("memory", "a.b.c")
    destination._staging_path(first).rename(former)
    other = memory(tmp_path, store)
    other.begin(second)
    other.abort(second)
    assert former.exists()
    assert not store.rows
    memory(tmp_path, store).begin(replace(first, write=WRITES["append_dedup"]))
    assert [chunk.text for chunk in store.rows.values()] == ["one"]
    assert not former.exists()


def test_an_overwrite_keeps_the_last_version_and_no_deleted_record_across_batches(
    tmp_path: Path, store: MemoryStore
) -> None:
    overwrite(tmp_path, store, [{"id": 1, "text": "before"}, {"id": 9, "text": "gone"}])
    stream = things("overwrite_dedup")
    destination = memory(tmp_path, store)
    destination.begin(stream)
    put(destination, [{"id": 1, "text": "old"}, {"id": 2, "text": "x"}], stream)
    put(destination, [{"id": 1, "text": "new"}], stream)
    assert destination.delete(stream, [(2,), (9,)]) == Receipt(deleted=1, unchanged=1)
    put(destination, [{"id": 3, "text": "three"}], stream)
    assert destination.delete(stream, [(3,)]) == Receipt(deleted=1)
    put(destination, [{"id": 3, "text": "three again"}], stream)
    assert store.texts() == {"1": ["before"], "9": ["gone"]}
    destination.commit(stream)
    assert store.texts() == {"1": ["new"], "3": ["three again"]}


def test_an_overwrite_with_soft_deletes_marks_what_is_deleted_in_the_new_generation(
    tmp_path: Path, store: MemoryStore
) -> None:
    overwrite(tmp_path, store, [{"id": number, "text": f"text {number}"} for number in range(4)])
    stream = replace(things("overwrite_dedup"), write=Write(replace=True, keep="latest", deletes="mark"))
    for _ in range(2):
        destination = memory(tmp_path, store)
        destination.begin(stream)
        put(destination, [{"id": number, "text": f"text {number}"} for number in (1, 2, 3)], stream)
        assert destination.mark(stream, {(1,): "2026-01-02", (2,): "2026-01-02", (0,): "2026"}).deleted == 2
        put(destination, [{"id": 2, "text": "text 2"}], stream)
        assert destination.mark(stream, {(1,): "2026-01-03"}) == Receipt(unchanged=1)
        destination.commit(stream)
        assert embedded(destination) == []
        assert sorted(chunk.text for chunk in store.live()) == ["text 2", "text 3"]
        assert sorted(store.texts()) == ["1", "2", "3"]
        assert destination.count(stream) in (2, None)
        destination.close()
