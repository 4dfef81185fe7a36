"""DuckDB files: those of earlier versions go on as they are, and new ones can be read by other programs."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import duckdb
import pytest
from sql_syncs import columns, run, synced, table, tables

import kitestring as ks
from kitestring.destinations.duckdb import Duckdb
from kitestring.types import Stream

pytestmark = pytest.mark.slow  # seconds: left to `make test`

FIRST = Path(__file__).parents[2] / "fixtures" / "duckdb_first.duckdb.gz"
SEVERAL = {"several": {"properties": {"id": {"type": ["integer", "string"]}, "text": {"type": ["null", "string"]}}}}


@pytest.fixture
def first(tmp_path: Path) -> Path:
    """A file of the first DuckDB destination, written by `duckdb_first.py`."""
    path = tmp_path / "first.duckdb"
    path.write_bytes(gzip.decompress(FIRST.read_bytes()))
    return path


def test_tables_of_the_first_version_are_continued(first: Path) -> None:
    before = {name: columns(first, name) for name in ("people", "cases", "inner", "appended")}
    synced(first, {"people": [{"id": 2, "text": "b2"}, {"id": 3, "text": "c"}]})
    synced(first, {"cases": [{"Id": 1, "id": 2, "x\x00y": "nul2", "": "empty2"}]})
    synced(first, {"inner": [{"who": {"id": 1}, "text": "a2"}]}, key=["who.id"])
    synced(first, {"appended": [{"id": 1}]}, "append")
    assert sorted(table(first, "FROM people")) == [(1, "a"), (2, "b2"), (3, "c")]
    assert table(first, "FROM cases") == [(1, 2, "nul2", "empty2")]
    assert table(first, 'FROM main."inner"') == [('{"id":1}', "a2")]
    assert table(first, "FROM appended") == [(1,), (1,), (1,)]
    assert {name: columns(first, name) for name in before} == before


def test_a_new_copy_has_the_columns_of_the_first_version(first: Path) -> None:
    before = columns(first, "copy")
    synced(first, {"copy": [{"Id": 3, "id": 4, "x\x00y": "new"}]}, "overwrite")
    assert columns(first, "copy") == before
    assert table(first, "FROM copy") == [(3, 4, "new")]
    assert "_kitestring_shadow_copy" not in tables(first)


def test_a_stream_whose_name_had_to_change_keeps_its_table_until_another_needs_it(first: Path) -> None:
    synced(first, {"nul\x00name": [{"id": 1, "text": "a2"}]}, namespace="Name Space")
    assert table(first, 'FROM "Name Space".nul_name') == [(1, "a2")]
    synced(first, {"nul_name": [{"id": 1, "text": "other"}]}, namespace="Name Space")
    synced(first, {"nul\x00name": [{"id": 2, "text": "b"}]}, namespace="Name Space")
    assert table(first, 'FROM "Name Space".nul_name') == [(1, "other")]
    (mine,) = [name for name in tables(first) if name.startswith("nul_name_")]
    assert sorted(table(first, f'FROM "Name Space".{mine}')) == [(1, "a2"), (2, "b")]


def test_a_field_whose_name_had_to_change_keeps_its_column_until_another_needs_it(first: Path) -> None:
    record = {"Id": 1, "id": 2, "x\x00y": "nul", "": "empty"}
    synced(first, {"cases": [record]}, key=["Id"])
    record |= {"x_y": 3, "_": 4, "ID": 5}
    for _ in range(2):
        synced(first, {"cases": [record]}, key=["Id"])
    assert list(columns(first, "cases"))[:2] == ["Id", "id_a56145"]
    (row,) = table(first, "FROM cases")
    assert sorted(row, key=str) == sorted(record.values(), key=str)
    assert table(first, "SELECT x_y, _ FROM cases") == [(3, 4)]


@pytest.mark.parametrize("batches", [1, 2])
def test_keys_of_several_kinds_of_the_first_version_are_not_doubled(first: Path, batches: int) -> None:
    records = [{"id": 1, "text": "number2"}, {"id": "2", "text": "text2"}]
    for rows in [records] if batches == 1 else [records[:1], records[1:]]:
        synced(first, {"several": rows}, schemas=SEVERAL)
    assert sorted(table(first, "SELECT text FROM several")) == [("number2",), ("text2",)]
    synced(first, {"several": [{"id": 2, "text": "another"}, {"id": 1, "text": "number3"}]}, schemas=SEVERAL)
    assert sorted(table(first, "SELECT text FROM several")) == [("another",), ("number3",), ("text2",)]


def test_a_table_of_the_first_version_becomes_that_of_the_stream_that_comes_first(first: Path) -> None:
    synced(first, {"people": [{"id": 1, "text": "a"}]}, namespace="main")
    assert run(first, {"people": [{"id": 1, "text": "a"}]}).status == "failed"


def storage_version(path: Path) -> str:
    with duckdb.connect(str(path)) as connection:
        ((tags,),) = connection.execute(
            "SELECT tags FROM duckdb_databases() WHERE database_name = current_database()"
        ).fetchall()
    return str(tags["storage_version"])


@pytest.mark.parametrize(
    ("options", "version"),
    [({}, "v1.4.0+"), ({"storage_version": "v1.0.0"}, "v1.0.0+"), ({"storage_version": "v1.2.0"}, "v1.2.0+")],
)
def test_a_new_file_can_be_read_by_the_duckdb_that_is_asked_for(
    tmp_path: Path, options: dict[str, Any], version: str
) -> None:
    path = tmp_path / "x.duckdb"
    synced(path, {"s": [{"id": 1}]}, **options)
    assert storage_version(path) == version
    synced(path, {"s": [{"id": 1}]}, storage_version="latest")
    assert storage_version(path) == version


def test_a_file_that_is_there_keeps_its_version(first: Path) -> None:
    version = storage_version(first)
    synced(first, {"people": [{"id": 1, "text": "a"}]})
    assert storage_version(first) == version


def test_a_storage_version_that_is_none_is_named(tmp_path: Path) -> None:
    result = run(tmp_path / "x.duckdb", {"s": [{"id": 1}]}, storage_version="v0.1 beta")
    assert result.status == "failed"
    assert isinstance(result.error, ks.ConfigError)
    assert "writes no files of the version v0.1 beta" in result.error.message


def test_two_destinations_of_one_process_share_a_file(tmp_path: Path) -> None:
    path = str(tmp_path / "x.duckdb")
    single_duckdb, other = Duckdb(path=path), Duckdb(path=path)
    try:
        for destination in (single_duckdb, other):
            destination.begin(Stream("s"))
        assert (single_duckdb.count(Stream("s")), other.count(Stream("s"))) == (0, 0)
    finally:
        single_duckdb.close()
        other.close()
