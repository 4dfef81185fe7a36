"""LanceDB: metrics, the index, searches by words, filters in SQL, what a reader sees during writes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kitestring.airbyte.modes import WRITES
from kitestring.batch import Batch
from kitestring.destinations.lancedb import LanceDB
from kitestring.destinations.lancedb import store as lance_store
from kitestring.errors import ConfigError
from kitestring.types import Record, Stream

THINGS = Stream("things", primary_key=(("id",),), write=WRITES["append_dedup"])
BY_FIELD = {"mode": "from_field", "field_name": "v", "dimensions": 2}


@contextmanager
def opened(folder: Path, embedding: Any = None, **indexing: Any) -> Iterator[LanceDB]:
    config = {
        "processing": {"chunk_size": 100, "text_fields": ["text"]},
        "embedding": embedding or {"mode": "fake"},
        "indexing": {"path": str(folder / "x.lance"), **indexing},
    }
    with closing(LanceDB.load(config)) as destination:
        yield destination


def put(destination: LanceDB, rows: list[Record]) -> None:
    destination.begin(THINGS)
    destination.write(THINGS, destination.prepare(THINGS, Batch("things", rows=rows)))
    destination.commit(THINGS)


def nearest(destination: LanceDB, vector: list[float], **options: Any) -> list[Record]:
    usual = {"where": None, "limit": 10, "threshold": None, "hybrid": False, "stream": None, "include_deleted": False}
    return destination.store.search(np.array(vector, dtype=np.float32), "", **{**usual, **options})


@pytest.mark.parametrize(("metric", "distances"), [("COSINE", [1.0, 0.8]), ("L2", [1.0, 18**0.5]), ("IP", [4.0, 2.0])])
def test_a_distance_is_that_of_the_metric(tmp_path: Path, metric: str, distances: list[float]) -> None:
    with opened(tmp_path, BY_FIELD, metric=metric) as destination:
        put(destination, [{"id": 1, "text": "a", "v": [2, 0]}, {"id": 2, "text": "b", "v": [4, 3]}])
        hits = nearest(destination, [1, 0])
        assert [round(hit["distance"], 4) for hit in hits] == [round(distance, 4) for distance in distances]
        middle = sum(distances) / 2
        assert len(nearest(destination, [1, 0], threshold=middle)) == 1


def test_words_are_searched_too_where_the_table_has_an_index_of_them(tmp_path: Path) -> None:
    with opened(tmp_path, hybrid=True) as destination:
        rows = [{"id": n, "text": f"common words {n}", "status": "new" if n % 2 else "old"} for n in range(30)]
        put(destination, [*rows, {"id": 99, "text": "the zebra's (hoof) AND -", "status": "new"}])
        assert destination.store.hybrid
        first = destination.search('zebra OR "hoof', limit=40)[0]
        assert first["record_id"] == "things_99"
        assert {hit["status"] for hit in destination.search("zebra", where={"status": "old"}, limit=40)} == {"old"}
    with opened(tmp_path, collection="plain") as destination:
        put(destination, rows[:1])
        with pytest.raises(ConfigError, match="needs an index of words"):
            destination.search("zebra", hybrid=True)


def test_an_index_is_built_for_many_rows_and_a_filter_still_finds_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lance_store, "LEAST_INDEXED", 300)
    monkeypatch.setattr(lance_store, "WRITES", 2)
    with opened(tmp_path, index="HNSW") as destination:
        for start in range(0, 600, 200):
            put(destination, [{"id": n, "text": f"text {n}", "n": n} for n in range(start, start + 200)])
        kinds = {index.index_type for index in destination.store._table.list_indices()}  # type: ignore[attr-defined]
        assert {"BTree", "IvfHnswSq"} <= kinds
        assert destination.search("text 7", limit=1)[0]["record_id"] == "things_7"
        hits = destination.search("text 7", where={"n": {"gte": 590}}, limit=20)
        assert sorted(hit["n"] for hit in hits) == list(range(590, 600))
        assert destination.count(THINGS) == 600


def test_a_filter_in_sql_stays_one_condition(tmp_path: Path) -> None:
    with opened(tmp_path) as destination:
        put(destination, [{"id": n, "text": "x", "status": "it's" if n else "new"} for n in range(3)])
        sql = "json_get_string(metadata, 'status') = 'it''s' AND chunk_number = 0"
        assert len(destination.search("x", where=sql)) == 2
        refused = ("1 = 1) OR (1 = 1", "1 = 1 -- ", "1 = 1 /* */", "stream = 'x", "1 = 1; SELECT 1", "stream = $$x$$")
        for text in refused:
            with pytest.raises(ConfigError):
                destination.search("x", where=text)
        with pytest.raises(ConfigError, match="the filter is no SQL condition"):
            destination.search("x", where="nonsense = 3")


def test_a_record_without_the_field_of_a_permission_is_not_found(tmp_path: Path) -> None:
    with opened(tmp_path) as destination:
        records: list[Record] = [
            {"id": 1, "text": "x", "allowed": ["ann", "o'b"]}, {"id": 2, "text": "x"}, {"id": 3, "text": "x", "org": 7},
            {"id": 4, "text": "x", "org": "7"}, {"id": 5, "text": "x", "allowed": "ann", "org": None},
        ]  # fmt: skip
        put(destination, records)

        def allowed(where: Any) -> list[str]:
            return sorted(str(hit["record_id"]) for hit in destination.search("x", where=where, limit=100))

        assert allowed({"allowed": {"contains": "ann"}}) == ["things_1"]
        assert allowed({"allowed": {"contains": "o'b"}}) == ["things_1"]
        assert allowed({"org": 7}) == ["things_3"]
        assert allowed({"org": {"ne": 8}}) == ["things_3", "things_4"]
        assert allowed({"nowhere": ["ann"]}) == []
        assert allowed({"org": []}) == []
        assert allowed({"org": {"gt": -(10**400)}}) == ["things_3"]
        assert allowed({"org": {"gt": 10**400}}) == allowed({"org": 10**400}) == []


def test_a_folder_that_is_none_or_a_table_of_others_is_refused(tmp_path: Path) -> None:
    import lancedb

    lancedb.connect(tmp_path / "x.lance").create_table("theirs", data=[{"id": "1", "vector": [1.0, 2.0]}])
    with opened(tmp_path, collection="theirs") as destination, pytest.raises(ConfigError, match="no column key"):
        destination.check()
    (tmp_path / "file").write_text("x")
    config = {"processing": {"chunk_size": 100}, "embedding": {"mode": "fake"}}
    for path, message in ((str(tmp_path / "file"), "is a file"), ("s3://bucket/x", "a folder of this machine")):
        with (
            pytest.raises(ConfigError, match=message),
            closing(LanceDB.load({**config, "indexing": {"path": path}})) as destination,
        ):
            destination.check()


def test_a_reader_in_another_process_sees_each_batch_whole(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "from kitestring.destinations.lancedb import LanceDB\n"
        "d = LanceDB.load({'processing': {'chunk_size': 100}, 'embedding': {'mode': 'fake'},"
        " 'indexing': {'path': sys.argv[1]}})\n"
        "print('ready', flush=True)\n"
        "for line in sys.stdin:\n"
        "    print(len(d.search('x', limit=1000)), flush=True)\n"
    )
    with opened(tmp_path) as destination:
        put(destination, [{"id": n, "text": "x"} for n in range(10)])
        reader = subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path / "x.lance")], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        assert reader.stdin is not None
        assert reader.stdout is not None
        with reader:
            assert reader.stdout.readline() == "ready\n"
            for count in (10, 20, 30):
                reader.stdin.write("\n")
                reader.stdin.flush()
                assert reader.stdout.readline() == f"{count}\n"
                put(destination, [{"id": n, "text": "x"} for n in range(count, count + 10)])
            reader.stdin.close()
