from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import kitestring as ks
from kitestring.library import Records, connection_name
from kitestring.testing.memory import MemoryDestination, MemorySource


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KITESTRING_HOME", raising=False)


class Keyed(ks.Source):
    """Needs a key."""

    key: str = ks.secret()
    region: str = "eu"

    @ks.stream(primary_key="id")
    def things(self) -> Iterator[ks.Record]:
        yield {"id": 1, "key_length": len(self.key)}


class Picky(ks.Source):
    """Cannot take its second record."""

    @ks.stream(primary_key="id")
    def things(self) -> Iterator[ks.Record | ks.Reject]:
        yield {"id": 1}
        yield ks.Reject({"id": None}, "no id")
        yield {"id": 3}


def test_a_source_reads_a_stream_as_records() -> None:
    source = ks.source("sample", {"count": 5})
    source.check()
    assert "users" in [stream.name for stream in source.discover()]
    assert [record["id"] for record in source.read("users")] == [1, 2, 3, 4, 5]


def test_records_can_be_read_again_and_are_limited() -> None:
    records = ks.source("sample", {"count": 50, "batch_rows": 10}).read("users", limit=12)
    assert len(list(records)) == len(list(records)) == 12
    assert list(ks.source("sample", {}).read("users", limit=0)) == []


@pytest.mark.parametrize("form", ["arrow", "batches", "records"])
def test_records_become_an_arrow_table_and_a_pandas_frame(form: str) -> None:
    records = ks.source("sample", {"count": 30, "batch_rows": 7, "yields": form}).read("users", limit=20)
    table = records.to_arrow()
    assert table.num_rows == 20
    assert {"id", "name", "updated_at"} <= set(table.column_names)
    assert str(table.schema.field("updated_at").type).startswith("timestamp")
    frame = records.to_pandas()
    assert list(frame["id"]) == list(range(1, 21))


def test_an_empty_stream_is_an_empty_table() -> None:
    assert ks.source("sample", {"count": 0}).read("users").to_arrow().num_rows == 0


def test_a_stream_that_is_not_there_is_refused_with_the_nearest() -> None:
    with pytest.raises(ks.ConfigError, match="sample has no stream usres; did you mean users"):
        list(ks.source("sample", {}).read("usres"))


def test_a_wrong_option_is_compared_with_the_options_of_its_place() -> None:
    config = {"embedding": {"mode": "fake", "dimensions": 8}, "processing": {"chunk_sice": 9}}
    with pytest.raises(ks.ConfigError) as caught:
        ks.destination("milvus", {**config, "indexing": {"host": "x.db"}})
    assert "embedding.fake.dimensions is not a known option;" in caught.value.message + ";"
    assert "processing.chunk_sice is not a known option (did you mean chunk_size?)" in caught.value.message


def test_a_wrong_option_is_refused_when_the_source_is_made() -> None:
    with pytest.raises(ks.ConfigError, match=r"cont is not a known option \(did you mean count\?\)"):
        ks.source("sample", {"cont": 5})


def test_spec_is_the_form_of_the_configuration() -> None:
    assert "count" in ks.source("sample").spec()["properties"]


def test_a_record_that_cannot_be_taken_is_kept_beside_the_records() -> None:
    class Holder:
        name = "picky"
        connector = Picky()

        def discover(self) -> ks.Catalog:
            return self.connector.discover()

    records = Records(Holder(), "things", None)  # type: ignore[arg-type]
    assert [record["id"] for record in records] == [1, 3]
    assert [reject.reason for reject in records.rejected] == ["no id"]


def test_sync_takes_handles_and_contract_objects() -> None:
    destination = MemoryDestination()
    result = ks.sync(ks.source("sample", {"count": 8}), destination, ["users"])
    assert result.ok
    assert result.total("written") == 8
    assert len(destination.stored["users"]) == 8


def test_a_second_sync_reads_only_what_is_new() -> None:
    destination = MemoryDestination()
    assert ks.sync(ks.source("sample", {"count": 8}), destination, ["users"]).total("read") == 8
    assert Path(".kitestring/state.sqlite").is_file()
    assert ks.sync(ks.source("sample", {"count": 8}), destination, ["users"]).total("read") == 0


def test_another_configuration_begins_at_the_start() -> None:
    destination = MemoryDestination()
    assert ks.sync(ks.source("sample", {"count": 8}), destination, ["users"]).total("read") == 8
    assert ks.sync(ks.source("sample", {"count": 8, "seed": 1}), destination, ["users"]).total("read") == 8


def test_state_can_be_a_json_file_or_nowhere() -> None:
    source, destination = ks.source("sample", {"count": 4}), MemoryDestination()
    ks.sync(source, destination, ["users"], state="state.json", connection="mine")
    assert "users" in json.loads(Path("state.json").read_text())["mine"]
    second = [ks.sync(source, destination, ["users"], state=False).total("read") for _ in range(2)]
    assert second == [4, 4]
    assert not Path(".kitestring/state.sqlite").exists()


def test_another_secret_is_the_same_connection_and_another_option_is_not() -> None:
    names = [
        connection_name(Keyed(key=key, region=region), MemoryDestination())
        for key, region in (("first", "eu"), ("second", "eu"), ("first", "us"))
    ]
    assert names[0] == names[1] != names[2]
    assert names[0].startswith("keyed_to_memory_destination_")


def test_a_handle_does_not_show_its_secrets() -> None:
    displayed = repr(ks.source("sample", {"count": 3}))
    assert displayed == "source('sample', {'count': 3})"


def test_a_handle_can_be_used_after_a_sync() -> None:
    source = ks.source("sample", {"count": 3})
    ks.sync(source, MemoryDestination(), ["users"])
    with source:
        assert len(list(source.read("users"))) == 3
    assert len(list(source.read("users"))) == 3


class Closing(MemoryDestination):
    closed: int = 0

    def close(self) -> None:
        self.closed += 1


@pytest.mark.parametrize("stream", ["users", "nothing"])
def test_a_sync_closes_its_ends_once_also_when_it_is_refused(stream: str) -> None:
    destination = Closing()
    try:
        ks.sync(ks.source("sample", {"count": 3}), destination, [stream])
    except ks.ConfigError:
        assert stream == "nothing"
    assert destination.closed == 1


def test_rejects_are_kept_beside_the_state() -> None:
    source = Picky()
    result = ks.sync(source, MemoryDestination(), connection="picky")
    assert (result.total("written"), result.total("rejected")) == (2, 1)
    line = json.loads(Path(".kitestring/rejects/picky.jsonl").read_text())
    assert line["reason"] == "no id"


def test_a_sync_can_be_cancelled_and_watched() -> None:
    progress, cancel = ks.Progress(), threading.Event()
    cancel.set()
    result = ks.sync(ks.source("sample", {}), MemoryDestination(), ["users"], progress=progress, cancel=cancel)
    assert result.status == "cancelled"
    assert "users" in progress.streams


def test_an_estimate_reads_and_writes_nothing() -> None:
    from kitestring.library import estimate

    destination = MemoryDestination()
    estimated = estimate(ks.source("sample", {"count": 9}), destination, ["users"])
    assert estimated.streams["users"].read == 9
    assert not destination.stored
    assert not Path(".kitestring/rejects").exists()


def test_searching_where_nothing_can_be_searched_is_refused() -> None:
    with pytest.raises(ks.ConfigError, match="memory_destination cannot be searched by meaning"):
        ks.search(MemoryDestination(), "text")


def test_what_a_search_asks_reaches_the_destination() -> None:
    class Searchable(MemoryDestination):
        def search(self, text: str, **options: object) -> list[ks.Record]:
            return [{"text": text, **options}]

    (hit,) = ks.search(Searchable(), "late", where={"status": "new"}, limit=3, threshold=0.5, stream="tickets")
    assert hit == {
        "text": "late",
        "where": {"status": "new"},
        "limit": 3,
        "threshold": 0.5,
        "hybrid": None,
        "stream": "tickets",
    }
    assert ks.search(Searchable(), "late", include_deleted=True)[0]["include_deleted"] is True


def test_a_memory_source_is_a_source_like_any_other() -> None:
    source = MemorySource(records={"a": [{"id": 1}]}, primary_keys={"a": "id"})
    assert ks.sync(source, MemoryDestination(), connection="m").ok


def test_the_folder_of_state_and_rejects_is_left_alone_by_git() -> None:
    ks.sync(ks.source("sample", {"count": 1}), MemoryDestination(), ["users"])
    assert Path(".kitestring/.gitignore").read_text() == "*\n"
