"""What Milvus alone has, whether it is Lite or a server: `test_milvus_lite.py` and `test_milvus_server.py` run these.
What every vector store does is in `VectorContract`.

Each of the two modules gives the fixture `host`.
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from integration.milvus_server import TOKEN

from kitestring.airbyte.modes import WRITES
from kitestring.batch import Batch
from kitestring.destinations.milvus import Milvus
from kitestring.errors import ConfigError
from kitestring.filters import matches, parse
from kitestring.names import mark
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
    results = {**config_of(host, name), "shadow_folder": str(tmp_path / "shadows")}
    yield results
    with opened(results) as destination:
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
    results: dict[str, list[tuple[int, str]]] = {}
    for row in rows(destination):
        if row["_ab_stream"] == stream:
            key = row["_ab_record_id"].removeprefix(f"{stream}_")
            results.setdefault(key, []).append((row["chunk_number"], row[field]))
    return {key: [text for _, text in sorted(chunks)] for key, chunks in results.items()}


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


def test_a_created_collection_has_typed_columns_and_the_chosen_metric(config: dict[str, Any]) -> None:
    expected = {"metric": "COSINE", "scalar_fields": {"status": "VARCHAR", "number": "INT64"}}
    with opened(config, **expected) as destination:
        put(destination, [{"id": 1, "text": "a", "status": "new", "number": 7}, {"id": 2, "text": "b"}])
        collection = destination.store.client.describe_collection(destination.indexing.collection)
        fields = {f["name"] for f in collection["fields"]}
        assert {"id", "vector", "text", "_ab_stream", "_ab_record_id", "chunk_number", "status", "number"} <= fields
        assert destination.store.layout.metric == "COSINE"  # type: ignore[attr-defined]
        hits = destination.search("a", where={"status": "new", "number": 7})
        assert [hit["record_id"] for hit in hits] == ["things_1"]
        assert hits[0]["distance"] == pytest.approx(1.0, abs=1e-4)


def test_metadata_that_went_away_is_gone(config: dict[str, Any]) -> None:
    with opened(config) as destination:
        put(destination, [{"id": 1, "text": "a", "status": "new", "old": {"x": 1}}])
        put(destination, [{"id": 1, "text": "a", "status": "new"}])
        (row,) = rows(destination)
        assert "old" not in row
        assert row["_id"] == 1, "a field named like the primary key gets an underscore"


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
    expected = {"scalar_fields": {"status": "VARCHAR", "number": "INT64", "flag": "BOOL"}}
    with opened(config, **expected) as destination:
        receipt = put(destination, records)
        assert (receipt.written, list(receipt.rejected)) == (5, [])
        assert receipt.figures["values_cut"] == 5  # huge, list; number; status of 70,000 bytes; number with a fraction
        assert put(destination, records).unchanged == 5
        results = {row["_ab_record_id"]: row for row in rows(destination)}
        assert results["things_1"]["small"] == "kept"
        assert results["things_1"]["huge"].startswith("éé")
        assert (results["things_2"]["nan"], results["things_2"]["infinite"]) == ("NaN", "-Infinity")
        assert (
            results["things_2"]["number"] is None or results["things_2"]["number"] == 0
        )  # a server of 2.3 has no null
        assert results["things_2"][f"number_{mark('number')}"] == str(2**80)
        assert results["things_5"][f"_ab_stream_{mark('_ab_stream')}"] == "mine"
        assert results["things_3"]["number"] == 12
        assert results["things_4"]["flag"] is True
        assert results["things_5"]["_chunk_number"] == "mine"
        assert results["things_5"]["_vector"] == "v"


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
        actual_rows = rows(destination, 'body != ""')
        assert sorted((row["_ab_record_id"], row["body"]) for row in actual_rows) == [
            ("things_1", "new"),
            ("things_9", "id: 1"),
        ]


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
        (aside,) = [collection for collection in client.list_collections() if collection.startswith(f"{name}_before_")]
        client.load_collection(aside)
        assert len(client.query(aside, filter="chunk_number == 0", output_fields=["text"])) == 1
        client.drop_collection(aside)


def test_a_vector_field_that_is_not_there_is_named(config: dict[str, Any]) -> None:
    with opened(config) as destination:
        put(destination, [{"id": 1, "text": "a"}])
    with opened(config, vector_field="embedding") as destination, pytest.raises(ConfigError) as error:
        destination.check()
    assert "has no field embedding; it has id, vector" in error.value.message


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


def test_a_filter_as_text_is_milvus_s_own(config: dict[str, Any]) -> None:
    with opened(config) as destination:
        put(destination, [{"id": n, "text": f"text {n}", "n": n} for n in range(5)])
        assert [hit["n"] for hit in destination.search("x", where="n > 3 and n < 9")] == [4]
        assert destination.search("x", where={"id": 4})[0]["n"] == 4, "the record's id, not the chunk's"
        with pytest.raises(ConfigError, match="does not understand the filter") as refused:
            destination.search("x", where="n === 3", stream="things")
        assert "_ab_stream" not in refused.value.message


def test_filters_mean_the_same_for_typed_columns(config: dict[str, Any]) -> None:
    required = {"scalar_fields": {"status": "VARCHAR", "n": "INT64", "flag": "BOOL"}}
    records: list[dict[str, Any]] = [
        {"id": 0, "status": "new", "n": 3, "flag": True, "tags": ["a"]},
        {"id": 1, "status": "old", "n": "many", "flag": False, "tags": []},
        {"id": 2, "status": "old", "n": 5, "flag": True, "tags": {"a": 1}},
    ]
    with opened(config, **required) as destination:
        put(destination, [{**record, "text": "x"} for record in records])
        filters: list[dict[str, Any]] = [
            {"status": {"ne": "new"}}, {"status": {"not": "new"}}, {"n": {"gt": 2}}, {"n": "many"}, {"n": 5},
            {"not": {"n": [3, "many"]}}, {"n": {"exists": True}}, {"flag": {"not": True}},
            {"tags": {"contains": "a"}}, {"or": [{"n": 5}, {"status": "new"}]},
        ]  # fmt: skip
        for where in filters:
            tree = parse(where)
            assert tree is not None
            expected = {record["id"] for record in records if matches(tree, record)}
            assert {hit["_id"] for hit in destination.search("x", where=where)} == expected, where
