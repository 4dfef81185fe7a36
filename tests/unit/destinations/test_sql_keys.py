"""Primary keys in SQL destinations are typed values: across batches, syncs and columns that change their type."""

from __future__ import annotations

import datetime as dt
import random
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sql_syncs import VENDORS, columns, execute, run, synced, table

import kitestring as ks
from kitestring.batch import Batch
from kitestring.destinations.duckdb import Duckdb
from kitestring.destinations.sqlite import Sqlite
from kitestring.identity import typed
from kitestring.sql.key import entry
from kitestring.testing.memory import MemoryDestination, MemorySource
from kitestring.types import DELETED_AT, Stream, Write

MIXED = {"type": "object", "properties": {"id": {"type": ["integer", "string"]}}}
KEYS: list[Any] = [
    1, "1", True, "true", False, 1.0, 1.5, "1.5", 0, "0", -0.0, 2**53, 2**53 + 1, 2.0**53, 2**70, 10**40, 10**40 + 1,
    Decimal("1.50"), Decimal("0.1"), 0.1, 1e300, float("nan"), "NaN", float("inf"), "", "?1", '"1', b"x", "eA==",
    dt.date(2024, 1, 1), "2024-01-01", dt.datetime(2024, 1, 1), dt.datetime(2024, 1, 1, tzinfo=dt.UTC),
    Decimal("12345678901234567890.5"), 12345678901234567890, "12345678901234567890",
]  # fmt: skip


@pytest.fixture(params=VENDORS)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A new file of each vendor."""
    return tmp_path / f"x.{request.param}"


SCHEMAS: list[Any] = [
    None, {}, {"type": ["integer", "string"]}, {"type": ["number", "string"]}, {"type": "string"}, {"type": "number"},
    {"type": "integer"}, {"type": "string", "format": "date-time"}, {"type": "number", "airbyte_type": "big_integer"},
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12))
def test_a_table_holds_what_memory_holds_whatever_the_keys(path: Path, seed: int) -> None:
    """Random syncs of random ways to write, of keys that are easily taken for one another."""
    chance = random.Random(seed)
    memory = MemoryDestination()
    declared, number = SCHEMAS[seed % len(SCHEMAS)], 0
    keys = chance.sample(KEYS, chance.randint(2, 10))
    inner = seed % 5 == 4
    schema = {"type": "object", "properties": {"id": declared} if declared is not None and not inner else {}}
    key = ["who.id"] if inner else ["id"] if seed % 3 else ["id", "part"]
    for _ in range(chance.randint(2, 4)):
        mode = chance.choice(["append_dedup", "append_dedup", "soft_delete", "overwrite_dedup"])
        rows = []
        for _ in range(chance.randint(1, 7)):
            number += 1
            identity = {"id": chance.choice(keys)}
            row = {**({"who": identity} if inner else identity), "part": chance.choice(keys[:2]), "v": number}
            rows.append({**row, DELETED_AT: "2026-01-01T00:00:00Z"} if chance.random() < 0.2 else row)
        result = run(path, {"s": rows}, mode, key=key, schemas={"s": schema})
        if any(figures.rejected for figures in result.streams.values()):
            return  # a value that the declared type has not: memory has no types
        source = MemorySource(records={"s": rows}, schemas={"s": schema})
        model = ks.sync(source, memory, [ks.Selection("s", write_mode=mode, primary_key=key)], state=False)
        assert (result.status, result.error) == (model.status, None), result.as_dict()
        present = columns(path, "s")
        marked = f"{DELETED_AT} IS NOT NULL" if DELETED_AT in present else "false"
        stored = table(path, f"SELECT v, {marked} FROM s") if "v" in present else []
        assert sorted(stored) == sorted((row["v"], bool(row.get(DELETED_AT))) for row in memory.stored.get("s", []))


@given(st.sampled_from(KEYS) | st.integers() | st.floats() | st.decimals(), st.sampled_from(KEYS) | st.integers())
def test_entries_are_equal_where_typed_values_are(left_value: Any, other: Any) -> None:
    def distinct_form(value: Any) -> str:
        return entry(value) or f'"{value}'

    if isinstance(left_value, Decimal) and left_value.is_snan():
        return
    assert (distinct_form(left_value) == distinct_form(other)) == (typed(left_value) == typed(other))


@pytest.mark.slow
def test_a_number_is_no_text_across_batches_and_syncs(path: Path) -> None:
    for round_ in ("a", "b"):
        for key in (1, "1", True, 1.0, "true"):
            synced(path, {"s": [{"id": key, "v": f"{round_} {key!r}"}]})
    assert sorted(table(path, "SELECT v FROM s")) == [("b '1'",), ("b 'true'",), ("b 1.0",), ("b True",)]
    synced(path, {"s": [{"id": "1", DELETED_AT: "2026-01-01T00:00:00Z"}, {"id": 1.0, "v": "c"}]})
    assert sorted(table(path, "SELECT v FROM s")) == [("b 'true'",), ("b True",), ("c",)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ids", "declared"),
    [
        ([1, 2, 3], {}),
        ([1, 2, 3], {"id": {"type": "integer"}}),
        ([1, 2, 3], {"id": {"type": ["integer", "string"]}}),
        (["1", "a"], {"id": {"type": ["integer", "string"]}}),
        (["1", "a"], {}),
        (["1", 2, True], {"id": {"type": "string"}}),
        ([10**40, 10**40 + 1], {}),
        ([1.5, 2], {}),
    ],
)
def test_a_table_whose_keys_are_of_one_kind_has_no_further_column(
    path: Path, ids: list[Any], declared: dict[str, Any]
) -> None:
    for _ in range(2):
        synced(path, {"s": [{"id": key} for key in ids]}, schemas={"s": {"type": "object", "properties": declared}})
        for key in ids:
            synced(path, {"s": [{"id": key}]}, schemas={"s": {"type": "object", "properties": declared}})
    assert list(columns(path, "s")) == ["id"]
    assert table(path, "SELECT count(*) FROM s") == [(len(ids),)]


def test_moments_written_in_two_ways_are_one_key(path: Path) -> None:
    schema = {"properties": {"id": {"type": "string", "format": "date-time"}}}
    rows = [{"id": "2024-01-01T00:00:00Z", "v": 1}, {"id": "2024-01-01T02:00:00+02:00", "v": 2}]
    for _ in range(2):
        result = synced(path, {"s": rows}, schemas={"s": schema})
        figures = result.streams["s"]
        assert (figures.written + figures.unchanged, figures.superseded) == (2, 0)
        assert table(path, "SELECT v FROM s") == [(2,)]


def test_a_deletion_counts_keys_and_takes_all_rows_of_a_key(path: Path) -> None:
    deletion = {DELETED_AT: "2026-01-01T00:00:00Z"}
    synced(path, {"s": [{"id": 1}, {"id": 1}, {"id": 2}, {"id": 3}]}, "append")
    result = synced(path, {"s": [{"id": 1, **deletion}, {"id": 2, **deletion}, {"id": 9, **deletion}]})
    figures = result.streams["s"]
    assert (figures.deleted, figures.unchanged) == (2, 1)
    assert table(path, "SELECT id FROM s") == [(3,)]
    second = synced(path, {"s": [{"id": 1, **deletion}, {"id": 2, **deletion}]})
    assert (second.streams["s"].deleted, second.streams["s"].unchanged) == (0, 2)


def test_a_mark_stays_until_a_later_version_comes(path: Path) -> None:
    deletion = {DELETED_AT: "2026-01-01T00:00:00Z"}
    synced(path, {"s": [{"id": 1, "v": 1}, {"id": "1", "v": 2}, {"id": 3, "v": 3}]}, "soft_delete")
    result = synced(path, {"s": [{"id": "1", **deletion}, {"id": 7, **deletion}]}, "soft_delete")
    assert (result.streams["s"].deleted, result.streams["s"].unchanged) == (1, 1)
    assert sorted(table(path, f"SELECT v, {DELETED_AT} FROM s")) == [
        (1, None), (2, "2026-01-01T00:00:00Z"), (3, None),
    ]  # fmt: skip
    second = synced(path, {"s": [{"id": "1", DELETED_AT: "2027-01-01T00:00:00Z"}]}, "soft_delete")
    assert second.streams["s"].unchanged == 1
    synced(path, {"s": [{"id": "1", "v": 4}]}, "soft_delete")
    assert sorted(table(path, f"SELECT v FROM s WHERE {DELETED_AT} IS NULL")) == [(1,), (3,), (4,)]


def test_a_sync_that_was_killed_while_it_told_keys_apart_is_made_good(path: Path) -> None:
    synced(path, {"s": [{"id": 1, "v": 1}, {"id": 2, "v": 2}]})
    # As it stands when the process dies before the rows are marked:
    execute(path, "ALTER TABLE s ADD COLUMN _kitestring_key_id VARCHAR")
    synced(path, {"s": [{"id": 2, "v": 3}]})
    synced(path, {"s": [{"id": "1", "v": 4}, {"id": 2, "v": 5}]})
    synced(path, {"s": [{"id": 1, "v": 6}]})
    assert sorted(table(path, "SELECT v FROM s")) == [(4,), (5,), (6,)]


def test_an_index_of_the_user_stays_or_is_named_where_it_is_in_the_way(path: Path) -> None:
    synced(path, {"s": [{"id": 1, "v": 1}]})
    execute(path, "CREATE INDEX mine ON s (v)")
    synced(path, {"s": [{"id": 1, "v": 2, "new": True}]})
    result = run(path, {"s": [{"id": 1, "v": "text"}]})
    if path.suffix == ".sqlite":
        assert table(path, "SELECT id, v FROM s") == [(1, "text")]
        assert ("mine",) in table(path, "SELECT name FROM sqlite_master WHERE tbl_name = 's'")
        return
    assert isinstance(result.error, ks.ConfigError)
    assert "an index depends on it" in result.error.message
    assert table(path, "SELECT id, v FROM s") == [(1, 2)]


def test_two_kinds_of_one_text_in_a_batch_are_two_records_also_beside_a_number(path: Path) -> None:
    rows = [{"id": 1.5, "part": "1", "v": 1}, {"id": 1.5, "part": 1, "v": 2}, {"id": 1.5, "part": True, "v": 3}]
    synced(path, {"s": rows}, key=["id", "part"])
    assert sorted(table(path, "SELECT v FROM s")) == [(1,), (2,), (3,)]


def test_a_key_of_several_kinds_in_a_table_that_had_no_key_yet_keeps_them_apart(path: Path) -> None:
    run(path, {"s": []}, "overwrite_dedup")
    synced(path, {"s": [{"id": "1", "v": 1}, {"id": 1, "v": 2}]})
    synced(path, {"s": [{"id": 1, "v": 3}]})
    assert sorted(table(path, "SELECT v FROM s")) == [(1,), (3,)]


@pytest.mark.slow
def test_a_record_with_more_columns_than_are_compared_replaces_its_own(path: Path) -> None:
    row = {f"c{n}": n for n in range(1500)}
    for v in (1, 2):
        synced(path, {"s": [{"id": 1, **row, "v": v}]})
    assert table(path, "SELECT v, c1499 FROM s") == [(2, 1499)]


def test_of_two_syncs_that_replace_a_stream_at_once_one_is_given_up(path: Path) -> None:
    stream = Stream("s", primary_key=(("id",),), write=Write(replace=True, keep="latest", deletes="remove"))
    first, second = ({".duckdb": Duckdb, ".sqlite": Sqlite}[path.suffix].load({"path": str(path)}) for _ in range(2))

    def write(destination: Any, v: int) -> None:
        batch = Batch("s", rows=[{"id": v, "v": v}])
        destination.write(stream, destination.prepare(stream, batch))

    first.begin(stream)
    write(first, 1)
    second.begin(stream)
    with pytest.raises(ks.ConfigError, match="another sync has begun a new copy of s"):
        write(first, 2)
    write(second, 3)
    with pytest.raises(ks.ConfigError, match="another sync has begun a new copy of s"):
        first.commit(stream)
    first.abort(stream)
    write(second, 4)
    second.commit(stream)
    first.close()
    second.close()
    assert sorted(table(path, "SELECT v FROM s")) == [(3,), (4,)]
