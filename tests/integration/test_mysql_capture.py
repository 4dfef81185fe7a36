"""Changes of MariaDB tables from the binary log: types, row images, altered tables, what the log does not say."""

from __future__ import annotations

import datetime as dt
import threading
from contextlib import closing
from dataclasses import replace

import pytest
from mysql_capturing import MysqlCaptured

from kitestring.batch import Batch
from kitestring.engine import Rejects, Status
from kitestring.errors import ConfigError, TransientError
from kitestring.sources.mysql import Mysql
from kitestring.sources.mysql.captured_table import altered, captured_tables
from kitestring.sources.mysql.log_server import LogServer
from kitestring.types import GLOBAL, SchemaChange, SyncMode, Write

pytestmark = pytest.mark.slow


@pytest.fixture
def captured(mysql_database):
    return MysqlCaptured(mysql_database)


COLUMNS = {
    "tiny": ("tinyint", "-128", "127"),
    "tiny_unsigned": ("tinyint unsigned", "0", "255"),
    "flag": ("tinyint(1)", "1", "0"),
    "small": ("smallint", "-32768", "32767"),
    "small_unsigned": ("smallint unsigned", "65535", "1"),
    "medium": ("mediumint", "-8388608", "8388607"),
    "medium_unsigned": ("mediumint unsigned", "16777215", "1"),
    "whole": ("int", "-2147483648", "2147483647"),
    "whole_unsigned": ("int unsigned", "4294967295", "7"),
    "big": ("bigint", "-9223372036854775808", "9223372036854775807"),
    "big_unsigned": ("bigint unsigned", "18446744073709551615", "5"),
    "price": ("decimal(12,2)", "-1234567890.12", "0.01"),
    "fraction": ("decimal(5,5)", "-0.00001", "0.99999"),
    "plain": ("decimal(9,0)", "-999999999", "1"),
    "wide": ("decimal(38,10)", "-1234567890123456789012345678.0123456789", "0"),
    "widest": ("decimal(65,30)", "-12345678901234567890123456789012345.123456789012345678901234567891", "1.5"),
    "real_": ("float", "-1.5", "16777215"),
    "double_": ("double", "5e-324", "-1.7976931348623157e308"),
    "bit_": ("bit(1)", "b'1'", "b'0'"),
    "bits": ("bit(13)", "b'1000000000001'", "b'11'"),
    "bits_long": ("bit(64)", "18446744073709551615", "1"),
    "year_": ("year", "2155", "1901"),
    "day": ("date", "'9999-12-31'", "'1000-01-01'"),
    "clock": ("time", "'23:59:59'", "'00:00:00'"),
    "clock_3": ("time(3)", "'12:34:56.789'", "'00:00:00.001'"),
    "clock_6": ("time(6)", "'23:59:59.999999'", "'00:00:00.000001'"),
    "naive": ("datetime", "'2026-01-02 03:04:05'", "'1000-01-01 00:00:00'"),
    "naive_1": ("datetime(1)", "'2026-01-02 03:04:05.9'", "'1000-01-01 00:00:00.1'"),
    "naive_4": ("datetime(4)", "'2026-01-02 03:04:05.9876'", "'9999-12-31 23:59:59.9999'"),
    "naive_6": ("datetime(6)", "'2026-01-02 03:04:05.987654'", "'9999-12-31 23:59:59.999999'"),
    "zoned": ("timestamp NULL", "'2026-01-02 03:04:05'", "'1970-01-01 00:00:01'"),
    "zoned_2": ("timestamp(2) NULL", "'2026-01-02 03:04:05.98'", "'2038-01-19 03:14:07.99'"),
    "zoned_6": ("timestamp(6) NULL", "'2026-01-02 03:04:05.987654'", "'2038-01-19 03:14:07.000001'"),
    "char_": ("char(5)", "'ab  '", "'日本'"),
    "char_long": ("char(200) CHARACTER SET utf8mb4", "repeat('é', 200)", "''"),
    "latin": ("varchar(100) CHARACTER SET latin1", "'naïve € ÿ'", "''"),
    "greek": ("varchar(100) CHARACTER SET greek", "'αβγ'", "'Ω'"),
    "utf16_": ("varchar(50) CHARACTER SET utf16", "'a😀'", "'é'"),
    "utf8_3": ("varchar(50) CHARACTER SET utf8mb3", "'é日'", "'x'"),
    "long_varchar": ("varchar(300)", "repeat('日', 300)", "'\\\\ '' \"'"),
    "tiny_text": ("tinytext", "'a'", "''"),
    "text_": ("text", "repeat('é', 300)", "'\t\n'"),
    "long_text": ("longtext", "'👩‍👩‍👧'", "repeat('x', 70000)"),
    "choice": ("enum('a','b''c','é')", "'b''c'", "'é'"),
    "choices": ("set('x','y','z')", "'x,z'", "''"),
    "binary_": ("binary(4)", "x'00ff0000'", "x'01020304'"),
    "varbinary_": ("varbinary(10)", "x'00ff00'", "x''"),
    "blob_": ("blob", "x'0001feff'", "x''"),
    "document": ("json", '\'{"a": [1, 2.50, null], "b": "é"}\'', "'[]'"),
    "uuid_": ("uuid", "'123e4567-e89b-12d3-a456-426614174000'", "'f47ac10b-58cc-4372-a567-0e02b2c3d479'"),
    "address_4": ("inet4", "'192.168.0.1'", "'0.0.0.0'"),
    "address_6": ("inet6", "'2001:db8::ff00:42:8329'", "'::ffff:1.2.3.4'"),
    "point_": ("point", "point(1, 2.5)", "point(-1, 0)"),
    "virtual_": ("int AS (id + 1) VIRTUAL", None, None),
    "stored_": ("int AS (id + 2) STORED", None, None),
}


def create_typed(database):
    database.run(f"CREATE TABLE typed (id int PRIMARY KEY, {', '.join(f'{n} {c[0]}' for n, c in COLUMNS.items())})")


def insert_typed(database, number, place):
    names = [name for name, column in COLUMNS.items() if column[1] is not None]
    values = ["NULL" if place is None else COLUMNS[name][place] for name in names]
    return f"INSERT INTO typed (id, {', '.join(names)}) VALUES ({number}, {', '.join(values)})"


def test_every_value_of_the_log_is_that_of_a_read_of_the_table(captured):
    database = captured.database
    create_typed(database)
    captured.sync("typed")
    database.run(
        *(insert_typed(database, n, place) for n, place in enumerate([1, 2, None])),
        *(insert_typed(database, n + 10, place) for n, place in enumerate([1, 2, None])),
        *(f"UPDATE typed SET {name} = {column[2]} WHERE id = 10" for name, column in COLUMNS.items() if column[1]),
        *(f"UPDATE typed SET {name} = NULL WHERE id = 11" for name, column in COLUMNS.items() if column[1]),
        *(f"UPDATE typed SET {name} = {column[1]} WHERE id = 12" for name, column in COLUMNS.items() if column[1]),
    )
    rows = captured.sync("typed")
    captured.assert_equal("typed")
    assert rows[0]["char_"] == "ab"
    assert rows[10]["uuid_"] == "f47ac10b-58cc-4372-a567-0e02b2c3d479"
    assert rows[0]["binary_"] == b"\x00\xff\x00\x00"
    assert rows[0]["point_"] == "POINT(1 2.5)"


def test_values_that_arrow_has_not_are_rejected_with_their_text(captured, tmp_path):
    database = captured.database
    database.run("CREATE TABLE odd (id int PRIMARY KEY, day date, at datetime(2), clock time(2), ts timestamp NULL)")
    captured.sync("odd")
    database.run(
        "SET SESSION sql_mode = ''",
        "INSERT INTO odd VALUES (1, '2026-01-01', '2026-01-01', '01:00:00', NULL), "
        "(2, '0000-00-00', NULL, NULL, NULL), (3, '2026-01-00', NULL, NULL, NULL), "
        "(4, NULL, '0000-00-00 00:00:00', NULL, NULL), "
        "(5, NULL, NULL, '-30:00:00.25', NULL), (6, NULL, NULL, '838:59:59', NULL), "
        "(8, NULL, NULL, NULL, '0000-00-00')",
        "UPDATE odd SET at = '2026-01-02' WHERE id = 4",
        "DELETE FROM odd WHERE id = 3",
    )
    rejects = Rejects(tmp_path)
    captured.attempt("odd", rejects=rejects)
    assert sorted(row["id"] for row in captured.stored("odd")) == [1, 4]
    texts = sorted(str(rejected["reason"]) for rejected in rejects.read("default"))
    expected = (
        "0000-00-00",
        "2026-01-00",
        "0000-00-00 00:00:00.00",
        "-30:00:00.25",
        "838:59:59.00",
        "0000-00-00 00:00:00",
    )
    for text in expected:
        assert any(f": {text} does not fit" in reason for reason in texts), (text, texts)


def test_a_row_that_is_read_again_with_a_value_that_arrow_has_not_is_rejected(captured, tmp_path):
    database = captured.database
    database.run(
        "SET SESSION sql_mode = ''",
        "CREATE TABLE odd (id varchar(9) COLLATE utf8mb4_general_ci PRIMARY KEY, day date, n int)",
        "INSERT INTO odd VALUES ('a', '2026-01-01', 1), ('b', '0000-00-00', 1), ('c', '0000-00-00', 1)",
    )
    rejects = Rejects(tmp_path)
    assert rejected(captured, rejects) == {"b": 1, "c": 1}
    for statements, expected in (
        # The log has the key and `n`: the row is completed by its key, which its collation takes for equal to 'B'.
        (["SET SESSION binlog_row_image = 'MINIMAL'", "UPDATE odd SET n = 2 WHERE id <> 'c'"], {"b": 2}),
        # The whole table is read again.
        (["ALTER TABLE odd ADD COLUMN more int DEFAULT 7"], {"b": 2, "c": 1}),
    ):
        database.run(*statements)
        assert rejected(captured, rejects) == expected
    assert captured.stored("odd") == [{"id": "a", "day": dt.date(2026, 1, 1), "n": 2, "more": 7}]


def test_values_that_arrow_has_not_are_null_where_that_is_the_setting(mysql_database):
    captured = MysqlCaptured(mysql_database, unfit_values="null")
    filled = [
        "SET SESSION sql_mode = ''",
        "INSERT INTO odd VALUES (1, '2026-01-01', '0000-00-00', '01:00:00', 1), "
        "(2, '0000-00-00', '2026-01-02', '-30:00:00', 2), (3, '2026-01-00', NULL, '838:59:59', 1)",
    ]
    table = "(id int, day date, at datetime, clock time, flag tinyint(1), PRIMARY KEY (id, day))"
    mysql_database.run(f"CREATE TABLE odd {table}", *filled)
    for statements in ([], ["TRUNCATE TABLE odd", *filled], ["UPDATE odd SET flag = 0"]):
        mysql_database.run(*statements)
        result = captured.attempt("odd")  # by the load, by the log, by updates
        assert result.streams[f"{mysql_database.name}.odd"].rejected == 2  # those with such a value in the key
        (row,) = captured.stored("odd")
        assert (row["day"], row["at"], row["clock"]) == (dt.date(2026, 1, 1), None, dt.time(1))
    mysql_database.run("DROP TABLE odd", "CREATE TABLE odd2 (id int PRIMARY KEY, day date, flag tinyint(1))")
    mysql_database.run("SET SESSION sql_mode = ''", "INSERT INTO odd2 VALUES (1, '0000-00-00', 2)")
    assert captured.sync("odd2") == {1: {"id": 1, "day": None, "flag": None}}
    mysql_database.run("SET SESSION binlog_row_image = 'MINIMAL'", "UPDATE odd2 SET flag = 1")
    assert captured.sync("odd2") == {1: {"id": 1, "day": None, "flag": True}}


def rejected(captured, rejects):
    """The `n` of the rows that a sync rejects for their date, by their key."""
    result = captured.attempt("odd", rejects=rejects)
    assert result.status is Status.succeeded, result.as_dict()
    found = list(rejects.read("default"))
    rejects.replace("default", [])
    assert result.streams[f"{captured.database.name}.odd"].rejected == len(found)
    assert all("field day: 0000-00-00 does not fit" in each["reason"] for each in found)
    return {each["record"]["id"]: each["record"]["n"] for each in found}


@pytest.mark.parametrize("image", ["MINIMAL", "NOBLOB"])
def test_values_that_the_row_image_leaves_out_are_completed(captured, image):
    database = captured.database
    database.run(
        "CREATE TABLE part (id int PRIMARY KEY, name varchar(20) DEFAULT 'none', body text, size int)",
        "INSERT INTO part VALUES (1, 'one', 'long text', 1), (2, 'two', 'other', 2), (3, 'three', 'x', 3)",
    )
    captured.sync("part")
    database.run(
        f"SET SESSION binlog_row_image = '{image}'",
        "UPDATE part SET size = 10 WHERE id = 1",
        "UPDATE part SET id = 20 WHERE id = 2",
        "INSERT INTO part (id, size) VALUES (4, 4)",
        "UPDATE part SET body = NULL WHERE id = 4",
        "DELETE FROM part WHERE id = 3",
    )
    rows = captured.sync("part")
    captured.assert_equal("part")
    assert rows[20] == {"id": 20, "name": "two", "body": "other", "size": 2}


def test_a_compressed_log_is_read(captured):
    database = captured.database
    database.run("CREATE TABLE long_rows (id int PRIMARY KEY, body text)")
    captured.sync("long_rows")
    database.run("SET GLOBAL log_bin_compress = ON")
    try:
        database.run(
            "INSERT INTO long_rows SELECT seq, repeat('abc ', 200) FROM seq_1_to_500",
            f"UPDATE long_rows SET body = '{'changed ' * 100}' WHERE id < 9",
            "DELETE FROM long_rows WHERE id > 400",
            f"ALTER TABLE long_rows ADD COLUMN note varchar(50) COMMENT '{'long ' * 100}'",
            "UPDATE long_rows SET note = 'n' WHERE id = 5",
        )
    finally:
        database.run("SET GLOBAL log_bin_compress = OFF")
    rows = captured.sync("long_rows")
    captured.assert_equal("long_rows")
    assert rows[5]["note"] == "n"


@pytest.fixture
def without_names(mysql_database):
    mysql_database.run("SET GLOBAL binlog_row_metadata = 'NO_LOG'")
    yield
    mysql_database.run("SET GLOBAL binlog_row_metadata = 'FULL'")


def test_a_log_without_names_is_read_by_the_catalog(captured, without_names):
    database = captured.database
    create_typed(database)
    captured.sync("typed")
    database.run(*(insert_typed(database, n, place) for n, place in enumerate([1, 2, None])))
    captured.sync("typed")
    captured.assert_equal("typed")


def test_a_log_without_names_fails_when_the_table_was_altered_and_until_it_is_refreshed(captured, without_names):
    database = captured.database
    database.run("CREATE TABLE swapped (id int PRIMARY KEY, a varchar(10), b varchar(10))")
    database.run("INSERT INTO swapped VALUES (1, 'a', 'b')")
    captured.sync("swapped")
    database.run(
        "INSERT INTO swapped VALUES (2, 'a', 'b')",
        "ALTER TABLE swapped CHANGE a c varchar(10), CHANGE b a varchar(10)",
        "INSERT INTO swapped VALUES (3, 'c', 'a')",
    )
    before = captured.stored("swapped")
    for _ in range(2):
        assert "has no names of columns" in captured.failure("swapped")
    now = {1: ("a", "b"), 2: ("a", "b"), 3: ("c", "a")}
    assert all(row in before or (row["c"], row["a"]) == now[row["id"]] for row in captured.stored("swapped"))
    captured.states.clear("default", f"{database.name}.swapped")
    rows = captured.sync("swapped")
    assert {key: (row["c"], row["a"]) for key, row in rows.items()} == now


def test_a_change_that_was_logged_as_a_statement_fails_its_stream(captured):
    database = captured.database
    database.run("CREATE TABLE spoken (id int PRIMARY KEY, n int)", "INSERT INTO spoken VALUES (1, 1)")
    database.run("CREATE TABLE fine (id int PRIMARY KEY, n int)")
    captured.sync("spoken", "fine")
    database.run("SET SESSION binlog_format = 'STATEMENT'", "UPDATE spoken SET n = 2")
    database.run("INSERT INTO fine VALUES (1, 1)")
    for _ in range(2):
        assert "as a statement" in captured.failure("spoken", "fine")
    assert [row["n"] for row in captured.stored("fine")] == [1]


def test_a_table_that_was_replaced_fails_with_the_choices(captured):
    database = captured.database
    database.run("CREATE TABLE swapped (id int PRIMARY KEY)", "INSERT INTO swapped VALUES (1)")
    database.run("CREATE TABLE ghost (id int PRIMARY KEY)")
    captured.sync("swapped")
    database.run("RENAME TABLE swapped TO gone, ghost TO swapped", "INSERT INTO swapped VALUES (7)")
    assert "renamed or replaced" in captured.failure("swapped")
    assert captured.stored("swapped") == [{"id": 1}]


def test_changes_that_follow_by_a_foreign_key_make_their_stream_suspicious(captured):
    database = captured.database
    database.run(
        "CREATE TABLE parents (id int PRIMARY KEY, name varchar(10))",
        "CREATE TABLE children (id int PRIMARY KEY, parent int, "
        "FOREIGN KEY (parent) REFERENCES parents (id) ON DELETE CASCADE ON UPDATE CASCADE)",
        "INSERT INTO parents VALUES (1, 'a'), (2, 'b')",
        "INSERT INTO children VALUES (1, 1), (2, 2)",
    )
    captured.sync("children")
    database.run("UPDATE parents SET name = 'c'")
    captured.sync("children")
    database.run("UPDATE parents SET id = 3 WHERE id = 2")
    assert "foreign key" in captured.failure("children")
    database.run("DELETE FROM parents WHERE id = 1")
    assert "foreign key" in captured.failure("children")


def test_a_distributed_transaction_counts_from_its_commit(captured):
    database = captured.database
    database.run("CREATE TABLE pledged (id int PRIMARY KEY, n int)", "INSERT INTO pledged VALUES (1, 1)")
    captured.sync("pledged")
    for name, end in (("kept", "COMMIT"), ("dropped", "ROLLBACK"), ("later", "")):
        number = {"kept": 2, "dropped": 3, "later": 4}[name]
        database.run(
            f"XA START '{name}'",
            f"INSERT INTO pledged VALUES ({number}, 0)",
            f"XA END '{name}'",
            f"XA PREPARE '{name}'",
        )
        database.run("UPDATE pledged SET n = n + 1 WHERE id = 1")
        if end:
            database.run(f"XA {end} '{name}'")
    try:
        assert captured.sync("pledged").keys() == {1, 2}
        assert captured.sync("pledged")[1]["n"] == 4
        database.run("XA COMMIT 'later'")
        captured.sync("pledged")
        captured.assert_equal("pledged")
        database.run(
            "XA START 'quick'", "INSERT INTO pledged VALUES (9, 9)", "XA END 'quick'", "XA COMMIT 'quick' ONE PHASE"
        )
        assert captured.sync("pledged").keys() == {1, 2, 4, 9}
    finally:
        for row in database.run("XA RECOVER"):
            database.run(f"XA ROLLBACK '{row['data']}'")


def test_partitions_that_were_emptied_make_the_stream_suspicious(captured):
    database = captured.database
    database.run(
        "CREATE TABLE years (id int PRIMARY KEY) PARTITION BY RANGE (id) "
        "(PARTITION low VALUES LESS THAN (10), PARTITION high VALUES LESS THAN MAXVALUE)",
        "INSERT INTO years VALUES (1), (20)",
    )
    captured.sync("years")
    database.run("ALTER TABLE years TRUNCATE PARTITION low")
    assert "partitions" in captured.failure("years")


def test_a_key_of_texts_that_a_collation_takes_for_equal_changes(captured):
    database = captured.database
    database.run(
        "CREATE TABLE words (id varchar(20) COLLATE utf8mb4_general_ci PRIMARY KEY, n int)",
        "INSERT INTO words VALUES ('a', 1), ('b', 2)",
    )
    captured.sync("words")
    database.run("UPDATE words SET id = 'A' WHERE id = 'a'", "UPDATE words SET n = 3 WHERE id = 'B'")
    assert captured.sync("words") == {"A": {"id": "A", "n": 1}, "b": {"id": "b", "n": 3}}


def test_a_table_without_a_key_keeps_all_versions(captured):
    database = captured.database
    database.run("CREATE TABLE trail (id int, name varchar(10))", "INSERT INTO trail VALUES (1, 'a')")
    captured.sync("trail", write_mode="append")
    database.run("INSERT INTO trail VALUES (2, 'b')", "UPDATE trail SET name = 'c' WHERE id = 2", "DELETE FROM trail")
    captured.sync("trail", write_mode="append")
    versions = [(row["id"], row["name"]) for row in captured.stored("trail")]
    assert versions == [(1, "a"), (2, "b"), (2, "c"), (1, "a"), (2, "c")]


def test_a_stream_that_is_taken_out_and_added_again_gets_each_change_once_by_append(captured):
    database = captured.database
    database.run(*(f"CREATE TABLE {name} (id int PRIMARY KEY)" for name in ("orders", "items")))
    captured.sync("orders", "items", write_mode="append")
    database.run("INSERT INTO items VALUES (1), (2)")
    captured.sync("orders", "items", write_mode="append")
    for n in range(2):
        database.run(f"INSERT INTO orders VALUES ({n})")
        captured.sync("orders", write_mode="append")
    database.run("INSERT INTO items VALUES (3)")
    captured.sync("orders", "items", write_mode="append")
    assert [row["id"] for row in captured.stored("items")] == [1, 2, 3]
    assert [row["id"] for row in captured.stored("orders")] == [0, 1]


def test_names_with_dots_quotes_and_other_letters_are_followed(captured):
    database = captured.database
    database.run('CREATE TABLE "o\'d.d ü" (id int PRIMARY KEY, "co`l""umn" int)')
    captured.sync("o'd.d ü")
    database.run(
        'INSERT INTO "o\'d.d ü" VALUES (1, 5)', 'TRUNCATE TABLE "o\'d.d ü"', 'INSERT INTO "o\'d.d ü" VALUES (2, 6)'
    )
    assert captured.sync("o'd.d ü") == {2: {"id": 2, 'co`l"umn': 6}}


def test_the_state_names_the_server_and_a_reset_log_is_lost(captured):
    database = captured.database
    database.run("CREATE TABLE kept (id int PRIMARY KEY)", "INSERT INTO kept VALUES (1)")
    captured.sync("kept")
    database.run("INSERT INTO kept VALUES (2)")
    captured.sync("kept")
    state = captured.states.load("default")[GLOBAL]
    place = f"{state['log']['base']}.{state['position'] >> 40:06}"
    (row,) = database.run(f"SELECT binlog_gtid_pos('{place}', {state['position'] & (1 << 40) - 1}) AS gtid")
    assert state["log"]["gtid"].split("-")[::2] == row["gtid"].split("-")[::2]
    database.run("RESET MASTER", *(f"INSERT INTO kept VALUES ({n})" for n in range(100, 140)))
    error = captured.failure("kept")
    assert "lost" in error
    assert sorted(row["id"] for row in captured.stored("kept")) == [1, 2]


def test_the_log_of_a_sync_says_how_far_it_is_behind(captured, caplog):
    database = captured.database
    database.run("CREATE TABLE kept (id int PRIMARY KEY, body longtext)")
    captured.sync("kept")
    database.run(
        "INSERT INTO kept VALUES (1, repeat('x', 500000))",
        "FLUSH BINARY LOGS",
        "INSERT INTO kept VALUES (2, repeat('x', 300000))",
    )
    with caplog.at_level("INFO", logger="kitestring.mysql"):
        captured.sync("kept")
        captured.sync("kept")
    sizes = [record.behind_bytes for record in caplog.records if hasattr(record, "behind_bytes")]
    assert 800_000 < sizes[0] < 900_000
    assert sizes[1] < 10_000


def followed(captured, table, seconds):
    """A source that follows the log, its partition for that, and the states."""
    states = captured.states.load("default")
    source = captured.source(follow_seconds=seconds)
    write = Write(keep="latest", deletes="remove")
    streams = [
        replace(stream, sync_mode=SyncMode.incremental, write=write)
        for stream in source.discover()
        if stream.name == table
    ]
    (partition,) = source.partitions(streams, states)
    return source, partition, states


def test_a_sync_follows_the_log_for_some_seconds(captured):
    database = captured.database
    database.run("CREATE TABLE followed (id int PRIMARY KEY)")
    captured.sync("followed")
    source, partition, states = followed(captured, "followed", seconds=1)
    count = 0
    items = source.read(partition, states)
    database.run("INSERT INTO followed VALUES (1)")
    for item in items:
        if hasattr(item, "table"):
            count += len(item)
            if count == 1:
                database.run("INSERT INTO followed VALUES (2)")
    source.close()
    assert count == 2


def test_a_user_without_the_rights_is_told_which_to_grant(captured):
    database = captured.database
    database.run("CREATE TABLE seen (id int PRIMARY KEY)")
    reader = {"username": "cdc_reader", "password": "x"}
    source = Mysql.load({**database.config, **reader, "replication_method": "CDC"})
    database.run(
        "CREATE USER cdc_reader@'%' IDENTIFIED BY 'x'", f"GRANT SELECT ON \"{database.name}\".* TO cdc_reader@'%'"
    )
    try:
        with pytest.raises(ConfigError) as refused:
            source.check()
        assert "GRANT REPLICATION SLAVE, BINLOG MONITOR ON *.*" in str(refused.value.hint)
        database.run("GRANT BINLOG MONITOR ON *.* TO cdc_reader@'%'")
        with pytest.raises(ConfigError) as refused:
            source.check()
        assert "GRANT REPLICATION SLAVE" in str(refused.value.hint)
        database.run("GRANT REPLICATION SLAVE ON *.* TO cdc_reader@'%'")
        source.check()
    finally:
        database.run("DROP USER cdc_reader@'%'")


def test_the_lock_of_mysql_gives_the_same_snapshot(captured):
    """The way that MySQL needs, run on MariaDB."""
    from kitestring.sources.mysql.load_snapshot import LoadSnapshot
    from kitestring.sources.mysql.log_server import LogServer

    database = captured.database
    database.run("CREATE TABLE held (id int PRIMARY KEY)", "INSERT INTO held VALUES (1)")
    source = captured.source()
    session = source.open()
    server = LogServer(source, session)
    server.is_mariadb, server.version = False, (8, 0, 40)
    snapshot = LoadSnapshot(source, server, 2, 5)
    try:
        database.run("INSERT INTO held VALUES (2)")
        for _ in range(2):
            with snapshot.reader() as reader, reader.session.cursor() as cursor:
                cursor.execute(f"SELECT count(*) FROM {database.name}.held")
                assert cursor.fetchall() == ((1,),)
    finally:
        snapshot.close()
        session.close()


def test_a_connection_of_the_log_that_is_cut_is_an_error_that_passes(captured):
    database = captured.database
    database.run("CREATE TABLE cut (id int PRIMARY KEY)")
    captured.sync("cut")
    source, partition, states = followed(captured, "cut", seconds=60)
    database.run("INSERT INTO cut VALUES (1)")
    items = source.read(partition, states)
    next(item for item in items if hasattr(item, "table"))
    for row in database.run("SELECT id FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%'"):
        database.run(f"KILL {row['id']}")
    with pytest.raises(TransientError, match="broke off"):
        list(items)
    source.close()
    assert captured.sync("cut") == {1: {"id": 1}}


def test_a_column_that_is_dropped_while_its_table_is_read_again_is_null(captured):
    database = captured.database
    database.run("CREATE TABLE t (id int PRIMARY KEY, v text)", "INSERT INTO t VALUES (1, 'a'), (2, 'b')")
    captured.sync("t")
    database.run("ALTER TABLE t ADD COLUMN late int DEFAULT 7")
    source, states = captured.source(), captured.states.load("default")
    latest = Write(keep="latest", deletes="remove")
    streams = [replace(stream, sync_mode=SyncMode.incremental, write=latest) for stream in source.discover()]
    rows = []
    for partition in source.partitions(streams, states):
        for item in source.read(partition, states):
            if isinstance(item, SchemaChange) and not rows:
                database.run("ALTER TABLE t DROP COLUMN late")
            rows += item.rows() if isinstance(item, Batch) else []
    source.close()
    assert [(row["id"], row["v"], row["late"]) for row in rows] == [(1, "a", None), (2, "b", None)]


def test_a_new_column_that_is_gone_before_its_values_are_looked_for_is_no_error(captured):
    database = captured.database
    database.run("CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    config = captured.source()
    with closing(config.open()) as session:
        before = captured_tables(session, database.name, ["t"])[f"{database.name}.t"].note()
        database.run("ALTER TABLE t ADD COLUMN late int DEFAULT 7")
        table = captured_tables(session, database.name, ["t"])[f"{database.name}.t"]
        assert altered(session, before, table) == "the column late came with values"
        database.run("ALTER TABLE t DROP COLUMN late")
        assert altered(session, before, table) == ""


def test_the_end_of_the_log_is_known_without_its_transactions(captured):
    captured.database.run("CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    config = captured.source()
    with closing(config.open()) as session:
        server = LogServer(config, session)
        end = server.end()
        assert end.gtid
        assert server.end(gtid=False) == replace(end, gtid="")


def test_a_table_that_is_altered_all_the_time_is_in_the_catalog_with_its_key(captured):
    database = captured.database
    database.run("CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t SELECT seq FROM seq_1_to_400")
    changes = ["ALTER TABLE t ADD COLUMN c int DEFAULT 7", "ALTER TABLE t MODIFY COLUMN c varchar(30)", "TRUNCATE t"]
    done = threading.Event()

    def alter():
        while not done.is_set():
            database.run(*changes, "ALTER TABLE t DROP COLUMN c")

    thread = threading.Thread(target=alter)
    thread.start()
    try:
        with closing(captured.source().open()) as session:
            keys = [captured_tables(session, database.name, ["t"])[f"{database.name}.t"].key for _ in range(100)]
    finally:
        done.set()
        thread.join()
    assert set(keys) == {("id",)}
