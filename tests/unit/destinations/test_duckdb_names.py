"""Names of schemas, tables and columns in DuckDB: none meets one of its own, and no two are one."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from sql_syncs import columns, execute, run, synced, table, tables

pytestmark = pytest.mark.slow  # seconds: left to `make test`

STREAMS = [
    "target", "orders.csv", "incoming", "kept", "public", "main", "temp", "system", "sqlite_master", "duckdb_tables",
    "pg_catalog", "information_schema.tables", "table", "plain", "a.b", 'a"b', "'", "x\x00y", "x_y", "", "_", "日本",
    "_kitestring_shadow_main", "_kitestring_incoming", "n" * 3000,
]  # fmt: skip


def test_streams_of_any_name_are_written_replaced_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "x.duckdb"
    records = {name: [{"id": 1, "v": name}] for name in STREAMS}
    for mode in ("append_dedup", "overwrite", "append_dedup"):
        synced(path, records, mode)
    assert len(tables(path)) == len(STREAMS)
    assert table(path, "SELECT v FROM x.main.target") == [("target",)]
    assert table(path, 'SELECT v FROM x.main."orders.csv"') == [("orders.csv",)]


def test_a_file_named_as_a_stream_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "orders.csv").write_text("id,v\n1,from the file\n")
    monkeypatch.chdir(tmp_path)
    synced("x.duckdb", {"orders.csv": [{"id": 2, "v": "record"}]}, "append")
    assert table("x.duckdb", 'SELECT id, v FROM x.main."orders.csv"') == [(2, "record")]


@pytest.mark.parametrize(
    ("file", "schema"),
    [
        ("public.duckdb", "public"), ("sales.duckdb", "Sales"), ("shop.db", "shop"), ("my-shop.2024.duckdb", "my-shop"),
        ("x.duckdb", "temp"), ("x.duckdb", "system"), ("x.duckdb", "main"), ("temp.duckdb", "temp"),
        ("system.duckdb", "main"), ("main.duckdb", "memory"), ("x.duckdb", "a.b"), ("x.duckdb", 'q"'),
    ],
)  # fmt: skip
def test_a_schema_may_be_called_as_the_file_or_as_one_of_duckdb(tmp_path: Path, file: str, schema: str) -> None:
    for _ in range(2):
        synced(tmp_path / file, {"s": [{"id": 1}]}, namespace=schema)
        synced(tmp_path / file, {"t": [{"id": 1}]}, schema=schema)
    actual_table = table(tmp_path / file, "SELECT DISTINCT schema_name FROM duckdb_tables()")
    assert actual_table == [(schema,)]


@pytest.mark.parametrize("schema", ["information_schema", "PG_CATALOG"])
def test_schemas_that_duckdb_keeps_for_itself_get_another_name(tmp_path: Path, schema: str) -> None:
    path = tmp_path / "x.duckdb"
    for _ in range(2):
        synced(path, {"s": [{"id": 1}]}, namespace=schema)
    ((name,),) = table(path, "SELECT schema_name FROM duckdb_tables()")
    assert name.startswith(f"_{schema}_")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"namespace": "a"}, {"schema": "a"}),
        ({"schema": "a"}, {"namespace": "a"}),
        ({"namespace": "Sales"}, {"namespace": "sales"}),
    ],
)
@pytest.mark.parametrize("mode", ["append", "overwrite", "append_dedup", "soft_delete"])
def test_two_namespaces_never_share_a_table(
    tmp_path: Path, first: dict[str, str], second: dict[str, str], mode: str
) -> None:
    path = tmp_path / "x.duckdb"
    synced(path, {"s": [{"id": 1}, {"id": 2}]}, **first)
    result = run(path, {"s": [{"id": 3}]}, mode, **second)
    assert result.status == "failed"
    assert "belongs to the stream" in result.error.message
    assert "another name, prefix or namespace" in result.error.hint
    schema = next(iter(first.values()))
    assert sorted(table(path, f'SELECT id FROM x."{schema}".s')) == [(1,), (2,)]


def test_a_stream_that_differs_in_case_alone_from_an_earlier_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.duckdb"
    synced(path, {"things": [{"id": 1}]})
    assert run(path, {"THINGS": [{"id": 2}]}, "overwrite").status == "failed"
    assert table(path, "SELECT id FROM things") == [(1,)]


def test_a_user_may_comment_on_a_table(tmp_path: Path) -> None:
    path = tmp_path / "x.duckdb"
    synced(path, {"s": [{"id": 1}]})
    ((comment,),) = table(path, "SELECT comment FROM duckdb_tables()")
    import duckdb

    with duckdb.connect(str(path)) as connection:
        connection.execute(f"COMMENT ON TABLE s IS 'Ours.\n{comment}\nSince May.'")
    synced(path, {"s": [{"id": 1, "Id": 2, "ID": 3}]})
    ((changed,),) = table(path, "SELECT comment FROM duckdb_tables()")
    assert changed.startswith("Ours.")
    assert "Since May." in changed
    assert run(path, {"s": [{"id": 1}]}, namespace="main").status == "failed"


FIELDS = ["id", "Id", "ID", "", "_", "x\x00y", "x_y", "É", "é", "_kitestring_key_id", "c0", "incoming"]


def test_fields_have_columns_of_their_own_in_any_order_and_run(tmp_path: Path) -> None:
    """Twice all at once, in two orders; and one more field with each sync."""
    orders = [FIELDS, FIELDS[::-1]]
    results = []
    for n, fields in enumerate(orders):
        path = tmp_path / f"all{n}.duckdb"
        synced(path, {"s": [{"key": 0, **{name: name for name in fields}}]}, key=["key"])
        results.append(by_value(path))
    for n, fields in enumerate([*orders, ["Id", "ID", "id", *FIELDS[3:]]]):
        path = tmp_path / f"grown{n}.duckdb"
        for count in range(1, len(fields) + 1):
            synced(path, {"s": [{"key": 0, **{name: name for name in fields[:count]}}]}, key=["key"])
        results.append(by_value(path))
    assert all(columns == results[0] for columns in results)
    # A name that is safe already has no mark, and what DuckDB takes for one only where all are one.
    assert {results[0][name] for name in ("id", "_", "x_y", "É", "é", "c0")} == {"id", "_", "x_y", "É", "é", "c0"}


def by_value(path: Path) -> dict[str, str]:
    """The column of each field, by the values, which are the names of the fields."""
    names = [name for name in columns(path, "s") if name != "key"]
    (row,) = table(path, f"SELECT {', '.join(chr(34) + name + chr(34) for name in names)} FROM s")
    assert sorted(row) == sorted(FIELDS)
    return dict(zip(row, names, strict=True))


@pytest.mark.parametrize("first", list(itertools.permutations(["", "_", "id"], 2)))
def test_values_stay_with_their_field_when_a_column_makes_room(tmp_path: Path, first: tuple[str, ...]) -> None:
    path = tmp_path / "x.duckdb"
    synced(path, {"s": [{"key": 1, **{name: f"old {name}" for name in first}}]}, key=["key"])
    synced(path, {"s": [{"key": 2, **{name: f"new {name}" for name in ("", "_", "id", "ID")}}]}, key=["key"])
    names = {
        value: name for name, value in zip(columns(path, "s"), table(path, "FROM s WHERE key = 2")[0], strict=True)
    }
    for field in first:
        assert table(path, f'SELECT "{names[f"new {field}"]}" FROM s WHERE key = 1') == [(f"old {field}",)]


def test_a_key_whose_column_makes_room_is_found_as_before(tmp_path: Path) -> None:
    path = tmp_path / "x.duckdb"
    synced(path, {"s": [{"Key": 1, "v": 1}, {"Key": "1", "v": 2}]}, key=["Key"])
    synced(path, {"s": [{"Key": 1, "v": 3, "key": "other"}]}, key=["Key"])
    synced(path, {"s": [{"Key": "1", "v": 4}]}, key=["Key"])
    assert sorted(table(path, "SELECT v FROM s")) == [(3,), (4,)]


@pytest.mark.parametrize("mode", ["append", "append_dedup", "soft_delete", "overwrite"])
def test_a_view_in_the_way_is_named_in_each_way_to_write(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "x.duckdb"
    synced(path, {"s": [{"id": 1, "v": "x"}]})
    execute(path, "CREATE VIEW w AS SELECT * FROM s")
    result = run(path, {"w": [{"id": 1, "v": "y"}]}, mode)
    assert result.error.hint == "Rename or drop the object with that name that is not a table of a sync."
    assert table(path, "SELECT v FROM w") == [("x",)]
