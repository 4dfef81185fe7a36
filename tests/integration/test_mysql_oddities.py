"""Tables of MariaDB that others stumble over arrive in DuckDB alike by the first load and by the binary log."""

from __future__ import annotations

import duckdb
import pytest
from mysql_capturing import MysqlCaptured

from kitestring.destinations.duckdb import Duckdb
from kitestring.engine import Status

pytestmark = pytest.mark.slow

TABLE, COLUMN = f"o'dd{'ä' * 60}", f'c`"{"ж" * 61}'
"""Names of 64 characters: as long as they can be."""
LARGE = 17_000_000
"""Bytes of a value that needs several packets."""

COLUMNS = {
    "id": "bigint unsigned PRIMARY KEY",
    COLUMN.replace('"', '""'): "varchar(20) CHARACTER SET cp1251",
    "latin": "char(30) CHARACTER SET latin1",
    "emoji": "varchar(20) CHARACTER SET utf8mb4",
    "sorted": "varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_uca1400_swedish_as_cs",
    "bits": "bit(64)",
    "choice": "enum('a,b', 'c''d', 'ж', '\\')",
    "choices": "set('x','y z')",
    "year_": "year",
    "clock": "time(3)",
    "day": "date",
    "document": "json",
    "body": "longtext",
    "double_id": "decimal(30,0) AS (CAST(id AS decimal(30,0)) * 2) STORED",
    "upper_": "varchar(20) AS (upper(emoji)) VIRTUAL",
}
WRITTEN = ", ".join(f'"{name}"' for name, type_ in COLUMNS.items() if " AS (" not in type_)
MANY = (
    "18446744073709551615, 'Привет №', 'naïve € ÿ', '👩‍👩‍👧', 'ÅÄÖ', 18446744073709551615, 'c''d', 'x,y z', 1901, "
    "'23:59:59.999', '1000-01-01', '{\"a\": [1.50, \"é\"]}', 'short'"
)
NONE = "0, '', '', '', '', 0, 'ж', '', 0, '00:00:00', '9999-12-31', '[]', ''"


def changes(folder):
    """Statements that leave four rows, after changes that are rolled back and a file that is loaded."""
    file = folder / "rows.tsv"
    file.write_text("7\tБ\t\\N\tz\tz\t1\ta,b\tx\t2155\t01:02:03\t2026-01-02\t{}\tloaded\n", encoding="utf-8")
    table = '"' + TABLE.replace('"', '""') + '"'
    insert = f"INSERT INTO {table} ({WRITTEN}) VALUES"
    return [
        f"LOAD DATA INFILE '{file}' INTO TABLE {table} CHARACTER SET utf8mb4 ({WRITTEN})",
        "BEGIN",
        f"{insert} ({MANY}), ({NONE})",
        "INSERT INTO second VALUES (1, 'with it')",
        f"UPDATE {table} SET body = repeat('é', {LARGE // 2}) WHERE id > 7",
        f"UPDATE {table}, second SET latin = 'both', second.name = 'both' WHERE {table}.id = 0",
        "COMMIT",
        "BEGIN",
        "DELETE FROM second",
        f"{insert} (8{NONE[1:]})",
        "ROLLBACK",
        "BEGIN",
        "INSERT INTO second VALUES (2, 'kept')",
        "SAVEPOINT here",
        "INSERT INTO second VALUES (3, 'gone')",
        "ROLLBACK TO here",
        "COMMIT",
    ]


def copied(database, path):
    copy = MysqlCaptured(database)
    copy.destination = Duckdb.load({"path": str(path)})
    return copy


def rows_of(path, database, table):
    name, schema = (text.replace('"', '""') for text in (table, database.name))
    columns = "COLUMNS(lambda c: NOT starts_with(c, '_'))"
    with duckdb.connect(str(path), read_only=True) as connection:
        relation = connection.sql(f'SELECT {columns} FROM "{schema}"."{name}" ORDER BY id')
        return relation.types, relation.to_arrow_table().to_pylist()


@pytest.fixture
def large_packets(mysql_database):
    (before,) = mysql_database.run("SELECT @@global.max_allowed_packet AS size")
    mysql_database.run(f"SET GLOBAL max_allowed_packet = {4 * LARGE // 1024 * 1024}")
    yield lambda: mysql_database.run(f"SET GLOBAL max_allowed_packet = {before['size']}")
    mysql_database.run(f"SET GLOBAL max_allowed_packet = {before['size']}")


def test_unusual_tables_arrive_alike_by_the_load_and_by_the_log(mysql_database, tmp_path, large_packets):
    database, name = mysql_database, TABLE.replace('"', '""')
    types = ", ".join(f'"{column}" {type_}' for column, type_ in COLUMNS.items())
    database.run(
        f'CREATE TABLE "{name}" ({types}) CHARACTER SET cp1251', "CREATE TABLE second (id int PRIMARY KEY, name text)"
    )
    tmp_path.chmod(0o755)
    logged, loaded = copied(database, tmp_path / "logged.duckdb"), copied(database, tmp_path / "loaded.duckdb")
    assert logged.attempt(TABLE, "second").status is Status.succeeded
    database.run(*changes(tmp_path))
    large_packets()  # values are read that are larger than what the server takes by now
    for copy in (logged, loaded):
        result = copy.attempt(TABLE, "second")
        assert result.status is Status.succeeded, result.as_dict()
    for table in (TABLE, "second"):
        assert rows_of(tmp_path / "logged.duckdb", database, table) == rows_of(
            tmp_path / "loaded.duckdb", database, table
        )
    _, rows = rows_of(tmp_path / "logged.duckdb", database, TABLE)
    assert [row["id"] for row in rows] == [0, 7, 2**64 - 1]
    assert [len(row["body"]) for row in rows] == [0, 6, LARGE // 2]
    last = rows[-1]
    texts = [last[column] for column in (COLUMN, "latin", "emoji", "sorted", "choice", "choices", "document")]
    assert texts[:6] == ["Привет №", "naïve € ÿ", "👩‍👩‍👧", "ÅÄÖ", "c'd", "x,y z"]
    assert (last["bits"], last["year_"], str(last["clock"]), str(last["day"])) == (
        2**64 - 1,
        1901,
        "23:59:59.999000",
        "1000-01-01",
    )
    assert (int(last["double_id"]), rows[1]["upper_"], rows[0]["latin"]) == (2**65 - 2, "Z", "both")
    _, second = rows_of(tmp_path / "logged.duckdb", database, "second")
    assert second == [{"id": 1, "name": "both"}, {"id": 2, "name": "kept"}]
