"""A batch is sorted the same way whether it holds rows or an Arrow table."""

from __future__ import annotations

from typing import Any

import pytest

from kitestring.airbyte.modes import WRITES
from kitestring.batch import Batch
from kitestring.engine.dedup import Abilities, deduplicate
from kitestring.types import DELETED_AT, Stream

pa = pytest.importorskip("pyarrow")

BOTH = Abilities(deletes=True, marks=True)


def batch(rows: list[dict[str, Any]], kind: str) -> Batch:
    return Batch("t", table=pa.Table.from_pylist(rows)) if kind == "table" else Batch("t", rows=rows)


@pytest.mark.parametrize("kind", ["rows", "table"])
def test_the_last_version_of_a_key_stands_where_it_arrived(kind: str) -> None:
    rows = [
        {"a": 1, "b": "x", "v": 1},
        {"a": 2, "b": "x", "v": 2},
        {"a": 1, "b": "x", "v": 3},
        {"a": 1, "b": "y", "v": 4},
    ]
    stream = Stream("t", primary_key=(("a",), ("b",)), write=WRITES["append_dedup"])
    settled = deduplicate(stream, batch(rows, kind), BOTH)
    assert [row["v"] for row in settled.batch.rows()] == [2, 3, 4]
    assert settled.superseded == 1


@pytest.mark.parametrize("kind", ["rows", "table"])
@pytest.mark.parametrize("can_delete", [True, False])
def test_deletions_are_taken_out_where_the_destination_can_delete(kind: str, can_delete: bool) -> None:
    rows: list[dict[str, Any]] = [{"id": 1, DELETED_AT: None}, {"id": 2, DELETED_AT: "2026-01-01"}]
    stream = Stream("t", primary_key=(("id",),), write=WRITES["append_dedup"])
    settled = deduplicate(stream, batch(rows, kind), Abilities(deletes=can_delete))
    assert settled.deletes == ([(2,)] if can_delete else [])
    assert [row["id"] for row in settled.batch.rows()] == ([1] if can_delete else [1, 2])


@pytest.mark.parametrize("kind", ["rows", "table"])
def test_overwrite_drops_deletions_and_append_keeps_them(kind: str) -> None:
    rows: list[dict[str, Any]] = [{"id": 1, DELETED_AT: None}, {"id": 2, DELETED_AT: "2026-01-01"}]
    overwritten = deduplicate(Stream("t", write=WRITES["overwrite"]), batch(rows, kind), BOTH)
    assert ([row["id"] for row in overwritten.batch.rows()], overwritten.dropped) == ([1], 1)
    assert len(deduplicate(Stream("t", write=WRITES["append"]), batch(rows, kind), BOTH).batch) == 2


@pytest.mark.parametrize("kind", ["rows", "table"])
def test_a_batch_that_needs_nothing_is_passed_on_as_it_is(kind: str) -> None:
    whole = batch([{"id": 1}, {"id": 2}], kind)
    settled = deduplicate(Stream("t", primary_key=(("id",),), write=WRITES["append_dedup"]), whole, BOTH)
    assert settled.batch is whole
    assert settled.batch.is_table is (kind == "table")


def test_a_table_with_a_null_key_has_that_record_rejected() -> None:
    table = batch([{"id": 1}, {"id": None}], "table")
    settled = deduplicate(Stream("t", primary_key=(("id",),), write=WRITES["append_dedup"]), table, BOTH)
    assert [row["id"] for row in settled.batch.rows()] == [1]
    assert settled.rejected[0].reason == "the primary key field id is missing or null"


def test_a_nested_key_is_found() -> None:
    rows = [{"user": {"id": 1}, "v": 1}, {"user": {"id": 1}, "v": 2}, {"user": "x", "v": 3}]
    stream = Stream("t", primary_key=(("user", "id"),), write=WRITES["append_dedup"])
    for kind in (Batch("t", rows=rows), Batch("t", table=pa.Table.from_pylist(rows[:2]))):
        assert deduplicate(stream, kind, BOTH).batch.rows()[0]["v"] == 2
