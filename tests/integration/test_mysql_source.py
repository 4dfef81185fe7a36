"""Tables of MySQL as streams, on a real MariaDB: types, misfits, ranges, cursors, errors."""

import datetime as dt
import random
from decimal import Decimal

import pymysql
import pytest

from kitestring.destinations.duckdb import Duckdb
from kitestring.destinations.mysql import Mysql as ToMysql
from kitestring.engine import MemoryStates, Rejects, Selection, Status, sync
from kitestring.errors import AuthError, ConfigError
from kitestring.sources.mysql import Mysql
from kitestring.testing.memory import MemoryDestination
from kitestring.vendors.mysql import MysqlConfig
from kitestring.vendors.mysql.result_rows import columns_of

pytestmark = pytest.mark.slow


def source(database, **settings):
    return Mysql.load({**database.config, **settings})


def read(database, *selections, **settings):
    """The records of each stream, after a sync into memory."""
    destination = MemoryDestination()
    result = sync(source(database), destination, selections or None, **settings)
    return result, {key.rpartition(".")[2]: rows for key, rows in destination.stored.items()}


TYPES = {
    "tiny": ("tinyint", -128, "int8"),
    "flag": ("tinyint(1)", True, "bool"),
    "small": ("smallint unsigned", 65535, "uint16"),
    "medium": ("mediumint", -8388608, "int32"),
    "whole": ("int unsigned", 4294967295, "uint32"),
    "big": ("bigint", -(2**63), "int64"),
    "biggest": ("bigint unsigned", 2**64 - 1, "uint64"),
    "price": ("decimal(38,10)", Decimal("-1234567890123456789012345678.0123456789"), "decimal128(38, 10)"),
    "long_price": ("decimal(65,30)", Decimal("1" * 35 + "." + "2" * 30), "decimal256(65, 30)"),
    "real": ("float", 16777215.0, "float"),
    "double": ("double", 5e-324, "double"),
    "bit": ("bit(1)", True, "bool"),
    "bits": ("bit(64)", 2**64 - 1, "uint64"),
    "year": ("year", 2155, "int16"),
    "day": ("date", dt.date(9999, 12, 31), "date32[day]"),
    "clock": ("time(6)", dt.time(23, 59, 59, 999999), "time64[us]"),
    "naive": ("datetime(6)", dt.datetime(1000, 1, 1, 0, 0, 0, 1), "timestamp[us]"),
    "seconds": ("datetime", dt.datetime(2026, 1, 2, 3, 4, 5), "timestamp[us]"),
    "zoned": ("timestamp(3)", dt.datetime(2026, 1, 2, 3, 4, 5, 678000, dt.UTC), "timestamp[us, tz=UTC]"),
    "char": ("char(5)", "a", "string"),
    "text": ("varchar(100) CHARACTER SET latin1", "naïve ' \\ \t", "string"),
    "emoji": ("longtext", "👩‍👩‍👧 \0", "string"),
    "choice": ("enum('a','b')", "b", "string"),
    "choices": ("set('a','b')", "a,b", "string"),
    "binary": ("binary(3)", b"\x00\xff\x00", "binary"),
    "blob": ("longblob", bytes(range(256)), "binary"),
    "document": ("json", '{"a": [1, 2.50, null], "b": "x"}', "string"),
    "uuid": ("uuid", "123e4567-e89b-12d3-a456-426614174000", "string"),
    "point": ("point", None, "string"),
}


def literal(value):
    if isinstance(value, bool | int | float | Decimal) or value is None:
        return "NULL" if value is None else str(int(value)) if isinstance(value, bool) else str(value)
    if isinstance(value, bytes):
        return f"x'{value.hex()}'"
    return "'" + str(value).replace("+00:00", "").replace("'", "''") + "'"


@pytest.fixture
def typed(mysql_database):
    columns = ", ".join(f'"{name}" {type_} NULL' for name, (type_, _, _) in TYPES.items())
    values = ", ".join(literal(value) for _, value, _ in TYPES.values())
    nulls = ", ".join(["NULL"] * len(TYPES))
    mysql_database.run(
        f"CREATE TABLE typed (id int PRIMARY KEY, {columns})",
        f"INSERT INTO typed VALUES (1, {values})",
        f"INSERT INTO typed VALUES (2, {nulls})",
        "INSERT INTO typed (id, point) VALUES (3, point(1, 2.5))",
    )
    return mysql_database


def test_every_type_has_its_arrow_type_and_every_value_arrives_exactly(typed):
    (stream,) = source(typed).discover()
    types = {field.name: str(field.type) for field in stream.arrow_schema}
    assert {name: types[name] for name in TYPES} == {name: arrow_type for name, (_, _, arrow_type) in TYPES.items()}
    assert stream.primary_key == (("id",),)
    assert stream.namespace == typed.name
    result, records = read(typed)
    assert result.status is Status.succeeded, result.as_dict()
    first, second, third = sorted(records["typed"], key=lambda record: record["id"])
    assert {name: first[name] for name in TYPES} == {name: value for name, (_, value, _) in TYPES.items()}
    assert {second[name] for name in TYPES} == {None}
    assert third["point"] == "POINT(1 2.5)"


def test_a_copy_into_another_database_of_mysql_has_the_same_values(typed):
    name = f"{typed.name}_copy"
    destination = ToMysql.load({**typed.config, "database": name, "airbyte_columns": False})
    try:
        selections = [Selection("typed", namespace=name, write_mode="overwrite")]
        result = sync(source(typed), destination, selections)
        assert result.status is Status.succeeded, (result.error, result.streams)
        names = {name: f'"{name}"' for name in TYPES if name != "point"} | {"real": '"real" * 1e0 AS "real"'}
        columns = ", ".join(names.values())
        for number in (1, 2):
            copied, before = (
                typed.run(f'SELECT {columns} FROM "{place}".typed WHERE id = {number}') for place in (name, typed.name)
            )
            bits = {"bit": b"\x01", "bits": b"\xff" * 8} if number == 1 else {}
            assert {**copied[0], **bits} == before[0]
    finally:
        typed.run(f"DROP DATABASE IF EXISTS {name}")


def test_values_that_arrow_has_not_are_told_and_lose_no_row(mysql_database, tmp_path):
    mysql_database.run(
        "CREATE TABLE odd (id int PRIMARY KEY, day date, at datetime, clock time, flag tinyint(1))",
        "INSERT INTO odd VALUES (1, '2026-01-01', '2026-01-01', '01:00:00', 1), (2, '0000-00-00', NULL, NULL, 0), "
        "(3, '2026-01-00', '0000-00-00 00:00:00', '-30:00:00', 5), (4, NULL, NULL, '838:59:59', NULL)",
    )
    result, records = read(mysql_database)
    assert result.streams[f"{mysql_database.name}.odd"].accounted == 4, result.as_dict()
    rows = {record["id"]: record for record in records["odd"]}
    assert rows[1]["day"] in (dt.date(2026, 1, 1), "2026-01-01")
    assert rows[2]["day"] == "0000-00-00"
    assert (rows[3]["day"], rows[3]["clock"], str(rows[3]["flag"])) == ("2026-01-00", "-30:00:00", "5")
    rejects = Rejects(tmp_path)
    result, records = read(mysql_database, Selection("odd", sync_mode="incremental", cursor="id"), rejects=rejects)
    assert [record["id"] for record in records["odd"]] == [1], result.as_dict()
    assert len(list(rejects.read("default"))) == 3
    assert result.streams[f"{mysql_database.name}.odd"].rejected == 3


def test_a_large_table_is_read_in_ranges_and_each_row_once(mysql_database, monkeypatch):
    monkeypatch.setattr("kitestring.sql.source.RANGE_KEYS", 300)
    mysql_database.run(
        "CREATE TABLE numbers (id int PRIMARY KEY, text varchar(50))",
        "INSERT INTO numbers SELECT CAST(seq AS SIGNED) * 3 - 5000, repeat('x', seq % 50) FROM seq_1_to_5000",
    )
    result, records = read(mysql_database)
    assert result.status is Status.succeeded
    assert sorted(record["id"] for record in records["numbers"]) == [n * 3 - 5000 for n in range(1, 5001)]
    partitions = list(source(mysql_database).partitions(list(source(mysql_database).discover()), {}))
    assert len(partitions) == 50


def test_texts_order_a_cursor_by_code_points_whatever_their_collation(mysql_database):
    mysql_database.run(
        "CREATE TABLE words (word varchar(20) COLLATE utf8mb4_general_ci, n int)",
        "INSERT INTO words VALUES ('b', 1), ('A', 2), ('a', 3), ('Z', 4), ('é', 5)",
    )
    states = MemoryStates()
    selection = Selection("words", sync_mode="incremental", cursor="word")
    _, records = read(mysql_database, selection, states=states)
    assert [record["word"] for record in records["words"]] == ["A", "Z", "a", "b", "é"]
    mysql_database.run("INSERT INTO words VALUES ('z', 6), ('è', 7), ('ê', 8)")
    _, records = read(mysql_database, selection, states=states)
    assert [record["word"] for record in records["words"]] == ["ê"]


def test_rows_longer_than_a_packet_arrive_whole(mysql_database):
    mysql_database.run(
        "SET GLOBAL max_allowed_packet = 134217728",
    )
    mysql_database.run(
        "CREATE TABLE files (id int PRIMARY KEY, content longtext)",
        *(
            f"INSERT INTO files VALUES ({n}, repeat('é', {size}))"
            for n, size in enumerate([5, 20_000_000, 8_388_600, 7])
        ),
    )
    result, records = read(mysql_database)
    assert result.status is Status.succeeded, result.as_dict()
    sizes = {record["id"]: len(record["content"]) for record in records["files"]}
    assert sizes == {0: 5, 1: 20_000_000, 2: 8_388_600, 3: 7}


def test_results_of_any_shape_are_what_the_driver_makes_of_them(mysql_database):
    """Texts of all lengths at which the form of a length changes, in any order, with nulls."""
    chance = random.Random(5)
    sizes = [0, 1, 250, 251, 252, 255, 256, 65_535, 65_536, 70_000]
    rows = [[chance.choice([None, *sizes]) for _ in range(3)] for _ in range(200)]
    mysql_database.run("CREATE TABLE shapes (id int PRIMARY KEY, a longtext, b longtext, c longtext)")
    cells = [", ".join("NULL" if size is None else f"repeat('x', {size})" for size in row) for row in rows]
    mysql_database.run(*(f"INSERT INTO shapes VALUES ({n}, {cell})" for n, cell in enumerate(cells)))
    session = MysqlConfig.load(mysql_database.config).open()
    query = f'SELECT a, b, c FROM "{mysql_database.name}".shapes ORDER BY id'
    for batch_bytes, batch_rows in ((1, 1), (10**6, 7), (10**9, 10**6)):
        read_rows = []
        for arrays in columns_of(session, query, batch_bytes, batch_rows):
            read_rows += list(zip(*(array.to_pylist() for array in arrays), strict=True))
        assert [[None if value is None else len(value) for value in row] for row in read_rows] == rows
    with pytest.raises(pymysql.Error, match="no_such"):
        list(columns_of(session, "SELECT no_such", 1, 1))
    assert list(columns_of(session, f"{query} LIMIT 0", 1, 1)) == []
    session.close()


def test_a_table_that_is_gone_and_a_wrong_password_are_said_so(mysql_database):
    mysql_database.run("CREATE TABLE here (id int PRIMARY KEY)")
    streams = source(mysql_database).discover()
    mysql_database.run("DROP TABLE here")
    connector = source(mysql_database)
    with pytest.raises(ConfigError, match="no longer has a table"):
        list(connector.partitions(list(streams), {}))
    with pytest.raises(ConfigError, match="has no table"):
        connector.check()
    with pytest.raises(AuthError):
        source(mysql_database, password="wrong").check()


def test_a_sync_into_duckdb_and_again_writes_what_is_new(mysql_database, tmp_path):
    mysql_database.run(
        "CREATE TABLE orders (id int PRIMARY KEY, changed timestamp(6) NOT NULL, total decimal(10,2))",
        "INSERT INTO orders SELECT seq, '2026-01-01' + INTERVAL seq SECOND, seq / 4 FROM seq_1_to_1000",
    )
    states = MemoryStates()
    selection = Selection("orders", sync_mode="incremental", cursor="changed", write_mode="append_dedup")
    for change in (None, "UPDATE orders SET total = 7, changed = '2026-02-01' WHERE id % 100 = 0"):
        if change:
            mysql_database.run(change)
        result = sync(source(mysql_database), Duckdb(path=str(tmp_path / "x.duckdb")), [selection], states=states)
        assert result.status is Status.succeeded, result.as_dict()
    assert result.streams[f"{mysql_database.name}.orders"].read == 10


def test_the_configuration_of_airbytes_connector_is_accepted():
    config = {
        "host": "db.example.com",
        "port": 3306,
        "database": "shop",
        "username": "reader",
        "password": "x",
        "jdbc_url_params": "",
        "ssl_mode": {"mode": "required"},
        "tunnel_method": {"tunnel_method": "NO_TUNNEL"},
        "replication_method": {"method": "STANDARD"},
        "checkpoint_target_interval_seconds": 300,
        "concurrency": 2,
        "check_privileges": True,
    }
    assert Mysql.load(config).connections == 2
    capture = {"method": "CDC", "initial_waiting_seconds": 300, "server_timezone": "UTC"}
    assert Mysql.load({**config, "replication_method": capture}).replication_method.initial_waiting_seconds == 300
    with pytest.raises(ConfigError):
        Mysql.load({**config, "replication_method": {"method": "BINLOG"}})
