"""Airbyte's columns beside fields of the same names, and how they go with unchanged rows."""

from __future__ import annotations

from pathlib import Path

import pytest
from sql_syncs import VENDORS, columns, synced, table

OWN = ["_airbyte_raw_id", "_airbyte_extracted_at", "_airbyte_meta", "_airbyte_generation_id"]


@pytest.fixture(params=VENDORS)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / f"x.{request.param}"


def test_a_field_of_the_name_of_one_has_another_column(path: Path) -> None:
    for mode in ("append_dedup", "overwrite", "append_dedup"):
        synced(path, {"s": [{"id": 1, "_airbyte_raw_id": "mine", "v": mode}]}, mode, airbyte_columns=True)
        (other,) = [name for name in columns(path, "s") if name.startswith("_airbyte_raw_id_")]
        assert table(path, f"SELECT {other}, length(_airbyte_raw_id), v FROM s") == [("mine", 36, mode)]


def test_a_table_that_had_such_a_field_before_keeps_its_values(path: Path) -> None:
    synced(path, {"s": [{"id": 1, "_airbyte_raw_id": "mine"}]})
    synced(path, {"s": [{"id": 2, "_airbyte_raw_id": "yours"}]}, airbyte_columns=True)
    assert set(OWN) <= set(columns(path, "s"))
    (other,) = [name for name in columns(path, "s") if name.startswith("_airbyte_raw_id_")]
    assert table(path, f"SELECT id, {other} FROM s WHERE id = 2") == [(2, "yours")]
    assert table(path, "SELECT _airbyte_raw_id FROM s WHERE id = 1") == [("mine",)]


def test_columns_that_are_switched_on_later_are_empty_in_old_rows_and_filled_in_new_ones(path: Path) -> None:
    synced(path, {"s": [{"id": 1}]})
    synced(path, {"s": [{"id": 2}]}, airbyte_columns=True)
    filled = ", ".join(f"{name} IS NOT NULL" for name in OWN)
    assert [tuple(map(bool, row)) for row in table(path, f"SELECT {filled} FROM s ORDER BY id")] == [
        (False,) * 4, (True,) * 4,
    ]  # fmt: skip


def test_a_row_that_is_unchanged_keeps_its_identifier_where_the_vendor_compares(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    synced(path, {"s": [{"id": 1, "v": 1}, {"id": 2, "v": 1}]}, airbyte_columns=True)
    before = dict(table(path, "SELECT id, _airbyte_raw_id FROM s"))  # type: ignore[arg-type]
    figures = synced(path, {"s": [{"id": 1, "v": 1}, {"id": 2, "v": 2}]}, airbyte_columns=True).streams["s"]
    after = dict(table(path, "SELECT id, _airbyte_raw_id FROM s"))  # type: ignore[arg-type]
    assert (figures.unchanged, figures.written) == (1, 1)
    assert (after[1] == before[1], after[2] == before[2]) == (True, False)
