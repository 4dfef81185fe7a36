"""A collection that commit 664614f wrote goes on: nothing is embedded again, nothing is doubled."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from integration.milvus_cases import put, rows

from kitestring.airbyte.modes import WRITES
from kitestring.destinations.milvus import Milvus
from kitestring.errors import ConfigError
from kitestring.types import Stream

FIXTURE = Path(__file__).parent.parent / "fixtures" / "milvus_664614f.tar.gz"
LONG = "one two three four five six\n\nseven eight nine ten eleven twelve"


def stream(
    name: str, key: str | None, mode: str = "append_dedup", kind: str | None = None, namespace: str | None = None
) -> Stream:
    properties: dict[str, Any] = {"text": {}, "status": {}, "more": {}}
    if key:
        properties[key] = {"type": kind} if kind else {}
    schema = {"type": "object", "properties": properties}
    return Stream(name, schema, ((key,),) if key else (), namespace=namespace, write=WRITES[mode])


@pytest.fixture
def existing(tmp_path: Path) -> Iterator[Milvus]:
    with tarfile.open(FIXTURE) as archive:
        archive.extractall(tmp_path, filter="data")
    destination = Milvus.load(
        {
            "processing": {"chunk_size": 8, "text_fields": ["text"]},
            "embedding": {"mode": "fake"},
            "indexing": {
                "host": str(tmp_path / "whole.db"), "collection": "help",
                "scalar_fields": ["status", "organization_id"],
            },
        }
    )  # fmt: skip
    yield destination
    destination.close()


def texts(destination: Milvus, name: str) -> list[str]:
    return sorted(row["text"] for row in rows(destination) if row["_ab_stream"] == name)


def test_metadata_grow_without_an_embedding_and_only_once(existing: Milvus) -> None:
    tickets = stream("tickets", "id", kind="integer")
    records = [{"id": n, "text": LONG if n == 1 else "ticket 2", "status": "new", "organization_id": 5} for n in (1, 2)]
    receipt = put(existing, records, tickets)
    assert (receipt.written, receipt.figures["chunks_embedded"], receipt.figures["chunks_written"]) == (2, 0, 3)
    assert put(existing, records, tickets).unchanged == 2
    assert texts(existing, "tickets") == sorted([*LONG.split("\n\n"), "ticket 2"])
    assert {hit["record_id"] for hit in existing.search("x", where={"organization_id": 5, "id": 1})} == {"tickets_1"}
    assert existing.store.layout.fields["organization_id"].type == "VARCHAR"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("name", "key", "kind", "records"),
    [
        ("texts", "id", "string", [{"id": "7", "text": "declared text"}]),
        ("loose", "id", None, [{"id": "7", "text": "seven"}, {"id": "x", "text": "x"}]),
        ("decimals", "id", None, [{"id": Decimal(5), "text": "five", "price": Decimal("1.50")}]),
        ("no_key", None, None, [{"text": "plain"}, {"text": "priced", "price": Decimal("1.50")}]),
    ],
)
def test_records_of_every_key_are_continued(
    existing: Milvus, name: str, key: str | None, kind: str | None, records: list[dict[str, Any]]
) -> None:
    chosen = stream(name, key, "append_dedup" if key else "overwrite", kind)
    for number in range(2):
        receipt = put(existing, records, chosen)
        assert receipt.figures["chunks_embedded"] == 0
        assert receipt.unchanged == (len(records) if number else 0)
        assert texts(existing, name) == sorted(record["text"] for record in records)
        assert existing.count(chosen) == len(records)


def test_a_number_beside_a_text_that_was_stored_under_the_same_key_is_a_record_of_its_own(existing: Milvus) -> None:
    loose = stream("loose", "id")
    assert put(existing, [{"id": "7", "text": "seven"}, {"id": 7, "text": "number"}], loose).written == 2
    assert texts(existing, "loose") == ["number", "seven", "x"]
    assert existing.delete(loose, [("7",)]).deleted == 1
    assert texts(existing, "loose") == ["number", "x"]


def test_deletion_finds_what_was_stored_under_another_key(existing: Milvus) -> None:
    loose, decimals = stream("loose", "id"), stream("decimals", "id")
    existing.begin(loose)
    assert existing.delete(loose, [("7",), ("8",)]).deleted == 1
    existing.begin(decimals)
    assert existing.delete(decimals, [(Decimal("5.0"),), (Decimal(5),)]).deleted <= 1
    assert texts(existing, "loose") == ["x"]


def test_whose_rows_they_are_is_known_without_a_mark(existing: Milvus) -> None:
    with pytest.raises(ConfigError, match=r"a_b\.c would be stored as a_b_c, and that is the stream a\.b_c"):
        existing.begin(stream("c", "id", namespace="a_b"))
    assert put(existing, [{"id": 1, "text": "of namespace a"}], stream("b_c", "id", namespace="a")).written == 1
    existing.close()
    with pytest.raises(ConfigError, match=r"a_b\.c would be stored as a_b_c"):
        existing.begin(stream("c", "id", namespace="a_b"))


def test_an_overwrite_that_was_cut_off_is_finished(existing: Milvus) -> None:
    copy = stream("copy", "id", "overwrite_dedup", "integer")
    folder = existing.default_staging_folder()
    (left,) = folder.glob("*.shadow")  # its name holds the path where the collection was made
    left.rename(existing._staging_path(copy))
    existing.begin(stream("copy", "id", kind="integer"))
    assert texts(existing, "copy") == ["new", "stays"]
    assert not list(folder.glob("*.shadow")) if folder.exists() else True


def test_a_record_of_an_earlier_version_can_be_marked(existing: Milvus) -> None:
    tickets = stream("tickets", "id", "soft_delete", "integer")
    existing.begin(tickets)
    assert existing.mark(tickets, {(1,): "2026-01-02T00:00:00Z"}).deleted == 1
    assert existing.count(tickets) == 1
    assert "tickets_1" not in {hit["record_id"] for hit in existing.search("x", limit=100)}
