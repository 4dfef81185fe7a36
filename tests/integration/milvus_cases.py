"""What Milvus must do, whether it is Lite or a server: `test_milvus_lite.py` and `test_milvus_server.py` run these.

Each of the two modules gives the fixture `host`.
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from integration.milvus_server import TOKEN

from kitestring.airbyte.modes import WRITES
from kitestring.batch import Batch
from kitestring.destinations.milvus import Milvus
from kitestring.engine import Selection, Status, sync
from kitestring.errors import ConfigError, TransientError
from kitestring.names import mark
from kitestring.testing.memory import MemorySource
from kitestring.types import Receipt, Stream, SyncMode

DIMENSION = 1536
LONG = "one two three four five six\n\nseven eight nine ten eleven twelve\n\nalpha beta gamma delta epsilon"
PARTS = LONG.split("\n\n")
HOSTILE = [
    'a "quoted" key', "back\\slash", "it's", "line\nbreak", "tab\t", "null\x00", '"] or id != "', "日本語", "👩‍👩‍👧‍👦",
    "%", "_", "{}", "a'b\"c\\d", "$meta", "\\u0041", " ", "in [1]",
]  # fmt: skip
numbers = itertools.count()


@pytest.fixture
def config(host: str, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """A configuration of a collection that is not there yet."""
    name = f"things_{os.getpid()}_{next(numbers)}"
    found = {**config_of(host, name), "shadow_folder": str(tmp_path / "shadows")}
    yield found
    with opened(found) as destination:
        destination.store.client.drop_collection(name)


def config_of(host: str, collection: str) -> dict[str, Any]:
    return {
        "processing": {"chunk_size": 8, "text_fields": ["text"]},
        "embedding": {"mode": "fake"},
        "indexing": {
            "host": host,
            "collection": collection,
            "auth": {"mode": "token", "token": TOKEN} if "://" in host else {"mode": "no_auth"},
        },
    }


class opened:
    """A destination that is closed again; with its rows as Milvus itself shows them."""

    def __init__(self, config: dict[str, Any], **indexing: Any) -> None:
        self.destination = Milvus.load({**config, "indexing": {**config["indexing"], **indexing}})

    def __enter__(self) -> Milvus:
        return self.destination

    def __exit__(self, *_: object) -> None:
        self.destination.close()


def things(mode: str = "append_dedup", name: str = "things") -> Stream:
    return Stream(name, primary_key=(("id",),), write=WRITES[mode])


def put(destination: Milvus, rows: list[dict[str, Any]], stream: Stream | None = None) -> Receipt:
    stream = stream or things()
    destination.begin(stream)
    receipt = destination.write(stream, destination.prepare(stream, Batch(stream.key, rows=rows)))
    destination.commit(stream)
    return receipt


def rows(destination: Milvus, where: str = "chunk_number >= 0") -> list[dict[str, Any]]:
    client, name = destination.store.client, destination.indexing.collection
    client.load_collection(name)
    return [dict(row) for row in client.query(name, filter=where, output_fields=["*"], consistency_level="Strong")]


def texts(destination: Milvus, field: str = "text", stream: str = "things") -> dict[str, list[str]]:
    found: dict[str, list[tuple[int, str]]] = {}
    for row in rows(destination):
        if row["_ab_stream"] == stream:
            key = row["_ab_record_id"].removeprefix(f"{stream}_")
            found.setdefault(key, []).append((row["chunk_number"], row[field]))
    return {key: [text for _, text in sorted(chunks)] for key, chunks in found.items()}


def make(destination: Milvus, *, auto_id: bool, key: str, kind: str, dynamic: bool, more: bool = True) -> None:
    """A collection as a user makes it: other field names, and columns where there is no dynamic field."""
    from pymilvus import DataType

    client = destination.store.client
    schema = client.create_schema(auto_id=auto_id, enable_dynamic_field=dynamic)
    how = {"max_length": 100} if kind == "VARCHAR" else {}
    schema.add_field(key, getattr(DataType, kind), is_primary=True, auto_id=auto_id, **how)
    schema.add_field("embedding", DataType.FLOAT_VECTOR, dim=DIMENSION)
    if not dynamic:
        schema.add_field("body", DataType.VARCHAR, max_length=100)
        schema.add_field("status", DataType.VARCHAR, max_length=10)
        schema.add_field("number", DataType.INT64)
        schema.add_field("_ab_stream", DataType.VARCHAR, max_length=100)
        schema.add_field("_ab_record_id", DataType.VARCHAR, max_length=100)
        schema.add_field("chunk_number", DataType.INT64)
        for name in ("_ks_key", "_ks_digest", "_ks_metadata_digest") if more else ():
            schema.add_field(name, DataType.VARCHAR, max_length=64)
    index = client.prepare_index_params()
    index.add_index("embedding", index_type="FLAT", metric_type="COSINE")
    client.create_collection(destination.indexing.collection, schema=schema, index_params=index)


def test_a_sync_and_its_repetition_through_the_engine(config: dict[str, Any]) -> None:
    records = [{"id": n, "text": LONG if n % 3 else f"text {n}", "status": "new"} for n in range(60)]
    source = MemorySource(records={"things": records}, primary_keys={"things": "id"})
    first = sync(source, Milvus.load(config), [Selection("things")])
    assert first.status is Status.succeeded, first.as_dict()
    assert first.streams["things"].written == 60
    assert first.streams["things"].figures["chunks_written"] == 20 + 40 * 3
    records[1] = {"id": 1, "text": "short", "status": "new"}
    records[3] = {**records[3], "status": "solved"}
    second = sync(source, Milvus.load(config), [Selection("things")])
    figures = second.streams["things"]
    assert (figures.written, figures.unchanged) == (2, 58)
    assert figures.figures["chunks_embedded"] == 1
    assert figures.figures["chunks_deleted"] == 2
    third = sync(source, Milvus.load(config), [Selection("things")])
    assert (third.streams["things"].written, third.streams["things"].unchanged) == (0, 60)
    with opened(config) as destination:
        found = texts(destination)
        assert found["1"] == ["short"]
        assert found["2"] == PARTS
        assert len(found) == 60
        assert destination.count(things()) == 60


def test_a_created_collection_has_typed_columns_and_the_chosen_metric(config: dict[str, Any]) -> None:
    wanted = {"metric": "COSINE", "scalar_fields": {"status": "VARCHAR", "number": "INT64"}}
    with opened(config, **wanted) as destination:
        put(destination, [{"id": 1, "text": "a", "status": "new", "number": 7}, {"id": 2, "text": "b"}])
        told = destination.store.client.describe_collection(destination.indexing.collection)
        fields = {f["name"] for f in told["fields"]}
        assert {"id", "vector", "text", "_ab_stream", "_ab_record_id", "chunk_number", "status", "number"} <= fields
        assert destination.store.layout.metric == "COSINE"  # type: ignore[attr-defined]
        found = destination.search("a", where={"status": "new", "number": 7})
        assert [hit["record_id"] for hit in found] == ["things_1"]
        assert found[0]["distance"] == pytest.approx(1.0, abs=1e-4)


def test_metadata_that_went_away_is_gone(config: dict[str, Any]) -> None:
    with opened(config) as destination:
        put(destination, [{"id": 1, "text": "a", "status": "new", "old": {"x": 1}}])
        put(destination, [{"id": 1, "text": "a", "status": "new"}])
        (row,) = rows(destination)
        assert "old" not in row
        assert row["_id"] == 1, "a field named like the primary key gets an underscore"


def test_hostile_keys_and_values_are_found_again(config: dict[str, Any]) -> None:
    config["processing"]["chunk_size"] = 100
    with opened(config) as destination:
        records = [{"id": key, "text": f"x {key}", "label": key} for key in HOSTILE]
        assert put(destination, records).written == len(HOSTILE)
        assert put(destination, records).unchanged == len(HOSTILE)
        for key in HOSTILE:
            found = destination.search("x", where={"label": key}, limit=50)
            assert [hit["label"] for hit in found] == [key]
        destination.delete(things(), [(key,) for key in HOSTILE[:5]])
        assert {row["label"] for row in rows(destination)} == set(HOSTILE[5:])


def test_values_that_do_not_fit_never_fail_a_sync(config: dict[str, Any]) -> None:
    deep: dict[str, Any] = {}
    inner = deep
    for _ in range(300):
        inner["in"] = {}
        inner = inner["in"]
    records: list[dict[str, Any]] = [
        {"id": 1, "text": "a", "huge": "é" * 200_000, "list": list(range(50_000)), "small": "kept"},
        {"id": 2, "text": "b", "number": 2**80, "status": {"a": [1]}, "nan": math.nan, "infinite": -math.inf},
        {"id": 3, "text": "c", "deep": deep, "status": "x" * 70_000, "number": "12"},
        {"id": 4, "text": "d", "status": None, "number": 1.5, "flag": "true", "": "no name", "a b\"'": 1, "$meta": 2},
        {
            "id": 5,
            "text": "e",
            "vector": "v",
            "text_": 1,
            "chunk_number": "mine",
            "_ks_key": "mine",
            "_ab_stream": "mine",
        },
    ]
    wanted = {"scalar_fields": {"status": "VARCHAR", "number": "INT64", "flag": "BOOL"}}
    with opened(config, **wanted) as destination:
        receipt = put(destination, records)
        assert (receipt.written, list(receipt.rejected)) == (5, [])
        assert receipt.figures["values_cut"] == 5  # huge, list; number; status of 70,000 bytes; number with a fraction
        assert put(destination, records).unchanged == 5
        found = {row["_ab_record_id"]: row for row in rows(destination)}
        assert found["things_1"]["small"] == "kept"
        assert found["things_1"]["huge"].startswith("éé")
        assert (found["things_2"]["nan"], found["things_2"]["infinite"]) == ("NaN", "-Infinity")
        assert found["things_2"]["number"] is None or found["things_2"]["number"] == 0  # a server of 2.3 has no null
        assert found["things_2"][f"number_{mark('number')}"] == str(2**80)
        assert found["things_5"][f"_ab_stream_{mark('_ab_stream')}"] == "mine"
        assert found["things_3"]["number"] == 12
        assert found["things_4"]["flag"] is True
        assert found["things_5"]["_chunk_number"] == "mine"
        assert found["things_5"]["_vector"] == "v"


def test_a_chunk_longer_than_a_column_is_cut_between_characters(config: dict[str, Any]) -> None:
    config["processing"]["chunk_size"] = 8191
    with opened(config) as destination:
        put(destination, [{"id": 1, "text": "😀" * 8000}, {"id": 2, "text": "w" * 40_000}])
        kept = [row["text"] for row in rows(destination) if row["_ab_record_id"] == "things_1"]
        assert all(len(text.encode()) <= 65_535 and set(text) == {"😀"} for text in kept)


KINDS = {
    "Airbyte's: made ids and a dynamic field": {"auto_id": True, "key": "pk", "kind": "INT64", "dynamic": True},
    "text key, dynamic": {"auto_id": False, "key": "pk", "kind": "VARCHAR", "dynamic": True},
    "number key, dynamic": {"auto_id": False, "key": "id", "kind": "INT64", "dynamic": True},
    "made ids, columns only": {"auto_id": True, "key": "pk", "kind": "INT64", "dynamic": False},
    "text key, columns only": {"auto_id": False, "key": "pk", "kind": "VARCHAR", "dynamic": False},
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_collection_that_the_user_made_is_used_as_it_is(config: dict[str, Any], kind: str) -> None:
    config["indexing"] |= {"vector_field": "embedding", "text_field": "body"}
    with opened(config) as destination:
        make(destination, **KINDS[kind])
    with opened(config) as destination:
        destination.check()
        records = [{"id": 1, "text": LONG, "status": "new", "number": 5}, {"id": 2, "text": "b", "status": "a" * 50}]
        assert put(destination, records).written == 2
        assert put(destination, records).unchanged == 2
        assert texts(destination, "body") == {"1": PARTS, "2": ["b"]}
        receipt = put(destination, [{**records[0], "text": PARTS[0]}, {**records[1], "status": "old"}])
        assert receipt.figures["chunks_embedded"] == 0
        assert texts(destination, "body") == {"1": PARTS[:1], "2": ["b"]}
        assert destination.search("b", where={"status": "old"})[0]["text"] == "b"
        assert destination.count(things()) == 2
        put(destination, [{"id": 2, "text": "bb"}, {"id": 3, "text": "c"}], things("overwrite_dedup"))
        assert texts(destination, "body") == {"2": ["bb"], "3": ["c"]}
        destination.delete(things(), [(2,)])
        assert texts(destination, "body") == {"3": ["c"]}


def test_columns_without_room_for_digests_mean_writing_all_of_it_every_time(config: dict[str, Any]) -> None:
    config["indexing"] |= {"vector_field": "embedding", "text_field": "body"}
    with opened(config) as destination:
        make(destination, auto_id=False, key="pk", kind="VARCHAR", dynamic=False, more=False)
    with opened(config) as destination:
        put(destination, [{"id": 1, "text": LONG}])
        receipt = put(destination, [{"id": 1, "text": PARTS[0]}])
        assert receipt.written == 1
        assert texts(destination, "body") == {"1": PARTS[:1]}


def test_rows_that_airbyte_wrote_are_replaced(config: dict[str, Any]) -> None:
    config["indexing"] |= {"vector_field": "embedding", "text_field": "body"}
    with opened(config) as destination:
        make(destination, auto_id=True, key="pk", kind="INT64", dynamic=True)
        old = {"embedding": [0.5] * DIMENSION, "body": "id: 1", "_ab_stream": "things", "_ab_record_id": "things_1"}
        other = {**old, "_ab_record_id": "things_9"}
        destination.store.client.insert(config["indexing"]["collection"], [old, dict(old), other])
    with opened(config) as destination:
        put(destination, [{"id": 1, "text": "new"}])
        found = rows(destination, 'body != ""')
        assert sorted((row["_ab_record_id"], row["body"]) for row in found) == [
            ("things_1", "new"),
            ("things_9", "id: 1"),
        ]


def test_a_wrong_dimension_stops_before_the_first_row(config: dict[str, Any]) -> None:
    with opened(config) as destination:
        put(destination, [{"id": 1, "text": "a"}])
    config["embedding"] = {"mode": "from_field", "field_name": "v", "dimensions": 3}
    with opened(config) as destination:
        with pytest.raises(ConfigError, match="has 1536 dimensions, the embedder makes 3"):
            destination.check()
        with pytest.raises(ConfigError, match="has 1536 dimensions, the embedder makes 3"):
            destination.begin(things())


def test_rebuild_puts_a_collection_of_another_dimension_aside(config: dict[str, Any]) -> None:
    with opened(config) as destination:
        put(destination, [{"id": 1, "text": "a"}])
    other = {**config, "embedding": {"mode": "from_field", "field_name": "v", "dimensions": 3}}
    incremental = Stream("things", primary_key=(("id",),), sync_mode=SyncMode.incremental)
    with opened(other, rebuild=True) as destination:
        with pytest.raises(ConfigError, match="only a part"):
            destination.begin(incremental)
        put(destination, [{"id": 2, "text": "b", "v": [1, 2, 3]}])
        assert texts(destination) == {"2": ["b"]}
        client, name = destination.store.client, config["indexing"]["collection"]
        (aside,) = [one for one in client.list_collections() if one.startswith(f"{name}_before_")]
        client.load_collection(aside)
        assert len(client.query(aside, filter="chunk_number == 0", output_fields=["text"])) == 1
        client.drop_collection(aside)


def test_an_incremental_stream_with_another_model_is_refused(config: dict[str, Any]) -> None:
    config["embedding"] = {"mode": "from_field", "field_name": "v", "dimensions": 3}
    incremental = Stream("things", primary_key=(("id",),), sync_mode=SyncMode.incremental)
    with opened(config) as destination:
        put(destination, [{"id": 1, "text": "a", "v": [1, 2, 3]}])
    with opened(config) as destination:
        destination.begin(incremental)
    config["embedding"]["field_name"] = "w"
    with opened(config) as destination:
        with pytest.raises(ConfigError, match="another model"):
            destination.begin(incremental)
        put(destination, [{"id": 1, "text": "a", "w": [3, 2, 1]}])
        destination.begin(incremental)


def test_a_vector_field_that_is_not_there_is_named(config: dict[str, Any]) -> None:
    with opened(config) as destination:
        put(destination, [{"id": 1, "text": "a"}])
    with opened(config, vector_field="embedding") as destination, pytest.raises(ConfigError) as error:
        destination.check()
    assert "has no field embedding; it has id, vector" in error.value.message


def test_check_creates_nothing(config: dict[str, Any]) -> None:
    with opened(config) as destination:
        destination.check()
        assert not destination.store.client.has_collection(config["indexing"]["collection"])


def test_an_overwrite_leaves_other_streams_and_an_abort_leaves_all(config: dict[str, Any]) -> None:
    with opened(config) as destination:
        put(destination, [{"id": 1, "text": "kept"}], things(name="others"))
        put(destination, [{"id": 1, "text": LONG}, {"id": 2, "text": "b"}], things("overwrite_dedup"))
        put(destination, [{"id": 2, "text": "b"}, {"id": 3, "text": "c"}], things("overwrite_dedup"))
        assert texts(destination) == {"2": ["b"], "3": ["c"]}
        stream = things("overwrite_dedup")
        destination.begin(stream)
        destination.write(stream, destination.prepare(stream, Batch("things", rows=[{"id": 4, "text": "never"}])))
        destination.abort(stream)
        assert texts(destination) == {"2": ["b"], "3": ["c"]}
        assert texts(destination, stream="others") == {"1": ["kept"]}


def test_a_crash_between_storing_and_trimming_converges(
    config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from kitestring.destinations.milvus.store import MilvusStore

    many = "\n\n".join(f"paragraph {n} has just so many words" for n in range(40))
    with opened(config) as destination:
        put(destination, [{"id": 1, "text": many}])

    def killed(self: MilvusStore, chunks: Any) -> None:
        raise TransientError("killed")

    with monkeypatch.context() as patch, opened(config) as destination:
        patch.setattr(MilvusStore, "delete", killed)
        with pytest.raises(TransientError):
            put(destination, [{"id": 1, "text": "new"}])
    with opened(config) as destination:
        put(destination, [{"id": 1, "text": "new"}])
        assert texts(destination) == {"1": ["new"]}


def test_search_by_meaning_filter_threshold_and_stream(config: dict[str, Any]) -> None:
    with opened(config) as destination:
        put(destination, [{"id": n, "text": f"text {n}", "n": n, "url": f"https://x/{n}"} for n in range(5)])
        put(destination, [{"id": 9, "text": "text 2", "n": 9}], things(name="others"))
        best = destination.search("text 2", stream="things")[0]
        assert best["text"] == "text 2"
        assert best["distance"] == pytest.approx(0, abs=1e-4)
        assert (best["stream"], best["record_id"], best["url"]) == ("things", "things_2", "https://x/2")
        assert best["n"] == 2
        assert not any(name.startswith("_ks_") or name == "vector" for name in best)
        assert len(destination.search("text 2", threshold=0.1)) == 2
        assert [h["n"] for h in destination.search("x", where={"n": [1, 3]}, limit=9)] in ([1, 3], [3, 1])
        assert [h["n"] for h in destination.search("x", where={"n": {"gte": 1, "lt": 2}})] == [1]
        assert [h["n"] for h in destination.search("x", where="n > 3 and n < 9")] == [4]
        assert destination.search("x", where={"id": 4})[0]["n"] == 4, "the record's id, not the chunk's"
        with pytest.raises(ConfigError, match="does not understand the filter"):
            destination.search("x", where="n === 3")


@pytest.mark.parametrize("text", ["one chunk", LONG])
def test_records_are_counted_not_chunks_and_each_stream_apart(config: dict[str, Any], text: str) -> None:
    with opened(config) as destination:
        assert destination.count(things()) == 0
        put(destination, [{"id": n, "text": text} for n in range(7)])
        assert destination.count(things()) == 7
        put(destination, [{"id": n, "text": LONG} for n in range(3)], things(name="others"))
        put(destination, [{"id": 1, "text": "short"}])
        destination.delete(things(), [(2,), (3,)])
        assert (destination.count(things()), destination.count(things(name="others"))) == (5, 3)
        assert destination.count(things(name="none")) == 0


def test_raw_text_is_left_out_when_asked(config: dict[str, Any]) -> None:
    with opened({**config, "omit_raw_text": True}) as destination:
        put(destination, [{"id": 1, "text": "secret words"}])
        assert "secret" not in str(rows(destination))
    with opened(config) as destination:
        assert put(destination, [{"id": 1, "text": "secret words"}]).figures["chunks_embedded"] == 0
        assert rows(destination)[0]["text"] == "secret words", "no vector was made again"


def test_a_dry_run_makes_nothing(config: dict[str, Any]) -> None:
    with opened(config) as destination:
        figures = destination.estimate(things(), Batch("things", rows=[{"id": 1, "text": LONG}]))
        assert figures["chunks_embedded"] == 3
        assert not destination.store.client.has_collection(config["indexing"]["collection"])


def stored_as(
    config: dict[str, Any], records: list[dict[str, Any]], stream: Stream | None = None
) -> list[dict[str, Any]]:
    with opened(config) as destination:
        assert put(destination, records, stream).written == len(records)
        return sorted(rows(destination), key=lambda row: str(row["_ab_record_id"]))


@pytest.mark.parametrize("order", [1, -1])
def test_fields_whose_names_fall_together_are_both_kept_and_found(config: dict[str, Any], order: int) -> None:
    fields = [("id", 5), ("_id", "mongo"), ("vector", "V"), ("_vector", "W"), ("_ab_stream", "mine"), ("text", "one")]
    both = dict(fields[::order])
    plain = [{"id": 6, "text": "two"}, {"_id": "only", "id": 7, "text": "three"}, {"id": 8, "text": "4", "é ü": 9}]
    first = stored_as(config, [both, *plain])[0]
    assert (first["_id"], first["_vector"], first["_ab_stream"]) == ("mongo", "W", "things")
    assert (first[f"_id_{mark('id')}"], first[f"_vector_{mark('vector')}"]) == (5, "V")
    assert first[f"_ab_stream_{mark('_ab_stream')}"] == "mine"
    with opened(config) as destination:
        for number, text in ((5, "one"), (6, "two"), (7, "three")):
            for where in ({"id": number}, {"id": [number, -1]}, {"id": {"gte": number, "lt": number + 1}}):
                assert [hit["text"] for hit in destination.search("x", where=where)] == [text], where
        assert [hit["text"] for hit in destination.search("x", where={"_id": "mongo"})] == ["one"]
        assert [hit["text"] for hit in destination.search("x", where={"vector": "V", "text": "one"})] == ["one"]
        assert len(destination.search("x", where={"chunk_number": 0, "_ab_stream": "things"})) == 4
        assert [hit["text"] for hit in destination.search("x", where={"é ü": 9})] == ["4"]


def test_numbers_keep_all_digits(config: dict[str, Any]) -> None:
    exact, big = Decimal("12345678901234567.891"), Decimal("1e400")
    records = [
        {"id": Decimal(12345678901234567891), "text": "a", "price": exact, "big": big, "half": Decimal("0.5")},
        {"id": Decimal(12345678901234567892), "text": "b", "price": Decimal(2**60 + 1), "half": -0.0},
    ]
    first, second = stored_as(config, records)
    assert (first["_id"], second["_id"]) == ("12345678901234567891", "12345678901234567892")
    assert (first["price"], first["big"], first["half"]) == ("12345678901234567.891", "1E+400", 0.5)
    assert (second["price"], str(second["half"])) == (2**60 + 1, "-0.0")
    with opened(config) as destination:
        hits = destination.search("x", where={"price": exact})
        assert [hit["text"] for hit in hits] == ["a"]


def test_values_of_every_kind_arrive_or_their_record_is_rejected(config: dict[str, Any]) -> None:
    deep: list[Any] = []
    for _ in range(1_500):
        deep = [deep]
    records = [
        {"id": 1, "text": "nul \0 inside", "nul": "a\0b", "bytes": b"\xff", "day": date(2026, 1, 2), "lone": "\ud800"},
        {"id": 2, "text": "deep", "deep": deep},
        {"id": 3, "text": "word " * 30_000, "true": True, "null": None},
    ]
    with opened(config) as destination:
        receipt = put(destination, records)
        assert receipt.written == 2
        assert [(reject.record["id"], "nested" in reject.reason) for reject in receipt.rejected] == [(2, True)]
        found = {row["_ab_record_id"]: row for row in rows(destination, "chunk_number == 0")}
    first, third = found["things_1"], found["things_3"]
    assert (first["text"], first["nul"]) == ("nul \0 inside", "a\0b")
    assert (first["bytes"], first["day"], first["lone"]) == ("/w==", "2026-01-02", "\ufffd")
    assert (third["true"], third["null"]) == (True, None)


def test_a_number_and_its_text_are_two_records(config: dict[str, Any]) -> None:
    stored_as(config, [{"id": 1, "text": "number"}, {"id": "1", "text": "text"}, {"id": True, "text": "truth"}])
    with opened(config) as destination:
        assert destination.count(things()) == 3
        receipt = destination.delete(things(), [("1",), ("2",)])
        assert (receipt.deleted, receipt.unchanged, receipt.figures["chunks_deleted"]) == (1, 1, 1)
        assert sorted(row["text"] for row in rows(destination)) == ["number", "truth"]


@pytest.mark.parametrize("mode", ["append", "append_dedup", "overwrite_dedup"])
def test_streams_of_two_namespaces_with_one_name_are_refused_before_anything_is_written(
    config: dict[str, Any], mode: str
) -> None:
    first = Stream("b_c", namespace="a", primary_key=(("id",),), write=WRITES["overwrite_dedup"])
    second = Stream("c", namespace="a_b", primary_key=(("id",),), write=WRITES[mode])
    stored_as(config, [{"id": 1, "text": "first"}], first)
    with opened(config) as destination, pytest.raises(ConfigError, match=r"a_b\.c would be stored as a_b_c.*a\.b_c"):
        destination.begin(second)
    with opened(config) as destination:
        assert put(destination, [{"id": 1, "text": "first"}], first).unchanged == 1
        assert put(destination, [{"id": 9, "text": "other"}], things(name="a_b")).written == 1


def test_a_deleted_record_can_be_marked_and_is_not_found_until_it_comes_again(config: dict[str, Any]) -> None:
    stream = things("soft_delete")
    records = [{"id": 1, "text": LONG, "status": "new", "list": [1]}, {"id": 2, "text": "two"}]
    with opened(config) as destination:
        put(destination, records, stream)
        before = {row["text"]: row for row in rows(destination)}
        assert destination.mark(stream, {(1,): "2026-01-02T00:00:00Z", (9,): "2026"}) == Receipt(deleted=1, unchanged=1)
        assert destination.mark(stream, {(1,): "2026-03-04T00:00:00Z"}) == Receipt(unchanged=1)
        assert destination.count(stream) == 1
        assert [hit["text"] for hit in destination.search(PARTS[0], limit=1)] == ["two"]
        assert len(destination.search(PARTS[0], limit=10)) == 1
        found = destination.search(PARTS[0], limit=10, include_deleted=True)
        assert {hit["_ab_cdc_deleted_at"] for hit in found if hit["record_id"] == "things_1"} == {
            "2026-01-02T00:00:00Z"
        }
        assert {hit["text"] for hit in found} == {*PARTS, "two"}
        marked = {row["text"]: row for row in rows(destination)}
        for text in PARTS:
            assert {**before[text], "_ab_cdc_deleted_at": 0, "_ks_metadata_digest": 0} == {
                **marked[text], "_ab_cdc_deleted_at": 0, "_ks_metadata_digest": 0,
            }  # fmt: skip
        receipt = put(destination, records[:1], stream)
        assert (receipt.written, receipt.figures["chunks_embedded"]) == (1, 0)
        assert destination.count(stream) == 2
        assert {hit["text"] for hit in destination.search(PARTS[0], limit=10)} == {*PARTS, "two"}
        assert {row["text"]: row for row in rows(destination)} == before


def test_types_of_scalar_fields_come_from_the_schemas_of_all_streams(config: dict[str, Any]) -> None:
    config["indexing"]["scalar_fields"] = ["status", "organization_id", "price", "flag", "mixed", "id"]
    kinds = {"organization_id": ["null", "integer"], "price": "number", "flag": "boolean", "id": "integer"}
    tickets = replace(things(), schema={"properties": {
        **{name: {"type": kind} for name, kind in kinds.items()}, "text": {"type": "string"},
        "status": {"anyOf": [{"type": "string"}]},
        "mixed": {"type": ["string", "integer"]}}})  # fmt: skip
    articles = replace(things(name="articles"), schema={"properties": {"text": {"type": "string"}}})
    record = {"id": 1, "text": "a", "status": "new", "organization_id": 360033549136, "price": 1.5, "mixed": 7}
    with opened(config) as destination:
        destination.expect([articles, tickets])
        destination.begin(articles)
        put(
            destination, [record, {"id": 2, "text": "b", "mixed": "7"}, {"id": 3, "text": "c", "price": "n/a"}], tickets
        )
        kinds = {name: field.type for name, field in destination.store.layout.fields.items()}  # type: ignore[attr-defined]
        assert {name: kinds.get(name) for name in ("status", "organization_id", "price", "flag", "mixed", "_id")} == {
            "status": "VARCHAR", "organization_id": "INT64", "price": "DOUBLE", "flag": "BOOL", "mixed": None,
            "_id": "INT64",
        }  # fmt: skip
        for where in (
            'status == "new" and organization_id == 360033549136',
            {"organization_id": 360033549136}, {"organization_id": "360033549136"}, {"id": 1}, {"mixed": 7},
        ):  # fmt: skip
            assert [hit["text"] for hit in destination.search("x", where=where)] == ["a"], where
        assert [hit["text"] for hit in destination.search("x", where={"mixed": "7"})] == ["b"]
        assert [hit["text"] for hit in destination.search("x", where={"price": "n/a"})] == ["c"]
