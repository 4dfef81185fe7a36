"""What MySQL is as a destination, on a real MariaDB: values, names, keys, rights, what is in the way."""

import datetime as dt
import itertools
import socket
import threading
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from integration.mariadb_server import running

from kitestring.batch import Batch
from kitestring.destinations.mysql import Mysql
from kitestring.destinations.mysql.notes import NOTES
from kitestring.engine import Rejects, Selection, Status, sync
from kitestring.errors import AuthError, ConfigError, TransientError
from kitestring.schema import Schema
from kitestring.stored_rows import MOST_COUNTED
from kitestring.testing.memory import MemorySource
from kitestring.types import Stream, Write

pytestmark = pytest.mark.slow

APPEND = Write()
NEW = Write(replace=True, deletes="remove")
numbers = itertools.count()


class Place:
    """A database of its own, and destinations that write there."""

    def __init__(self, server):
        self.name = f"test_written_{next(numbers)}"
        self.server = replace(server, name=self.name)

    def destination(self, **settings):
        return Mysql.load({**self.server.config, "airbyte_columns": False, **settings})

    def run(self, *statements):
        return self.server.run(*statements)

    def rows(self, table="things", columns="*", order="1"):
        return self.run(f'SELECT {columns} FROM "{table}" ORDER BY {order}')

    def types(self, table="things"):
        rows = self.run(
            "SELECT column_name AS name, column_type AS type, column_comment AS comment "
            "FROM information_schema.columns "
            f"WHERE table_schema = '{self.name}' AND table_name = '{table}' AND extra NOT LIKE '%INVISIBLE%'"
        )
        return {row["name"]: f"{row['type']} {row['comment']}".strip() for row in rows}

    def tables(self):
        return {row["name"] for row in self.run(
            f"SELECT table_name AS name FROM information_schema.tables WHERE table_schema = '{self.name}'"
        )} - {NOTES}  # fmt: skip

    def notes(self):
        return self.rows(NOTES, "note", "id")

    def sync(self, records, mode="append_dedup", schema=None, keys="id", rejects=None, **settings):
        schemas = {"things": {"type": "object", "properties": schema}} if schema else {}
        source = MemorySource(
            records={"things": records}, primary_keys={"things": keys} if keys else {}, schemas=schemas
        )
        path = [keys] if keys and "." in keys else None
        selections = [Selection("things", write_mode=mode, primary_key=path)]
        result = sync(source, self.destination(**settings), selections, rejects=rejects)
        stream = result.streams["things"]
        stream.error = stream.error or result.error
        return stream


@pytest.fixture
def place(mariadb_server):
    place = Place(mariadb_server)
    yield place
    mariadb_server.run(f"DROP DATABASE IF EXISTS {place.name}")


def written(destination, stream, *tables):
    """Receipts of these tables as batches of one stream, from begin to commit."""
    with closing(destination):
        destination.begin(stream)
        receipts = [
            destination.write(stream, destination.prepare(stream, Batch(stream.key, table=table))) for table in tables
        ]
        destination.commit(stream)
    return receipts


def stream_of(table, write=APPEND, name="things"):
    return Stream(name, schema=Schema.of_arrow(table.schema), primary_key=(("id",),), write=write)


# -- values and types --------------------------------------------------------------------------------------------------

MOMENT = dt.datetime(2026, 1, 2, 3, 4, 5, 678901)
VALUES = {
    "id": (pa.array([1], pa.int8()), "tinyint", 1),
    "small": (pa.array([-3], pa.int16()), "smallint", -3),
    "unsigned_small": (pa.array([65535], pa.uint16()), "smallint unsigned", 65535),
    "whole": (pa.array([-5], pa.int32()), "int", -5),
    "big": (pa.array([-(2**63)], pa.int64()), "bigint", -(2**63)),
    "unsigned_big": (pa.array([2**64 - 1], pa.uint64()), "bigint unsigned", 2**64 - 1),
    "real": (pa.array([16777215.0], pa.float32()), "double", 16777215.0),
    "double": (pa.array([5e-324]), "double", 5e-324),
    "flag": (pa.array([True]), "tinyint(1)", 1),
    "price": (
        pa.array([Decimal("-12345678901234567890123456789012345.678")], pa.decimal128(38, 3)),
        "decimal(38,3)",
        Decimal("-12345678901234567890123456789012345.678"),
    ),
    "long_price": (
        pa.array([Decimal("1" * 35 + "." + "2" * 30)], pa.decimal256(65, 30)),
        "decimal(65,30)",
        Decimal("1" * 35 + "." + "2" * 30),
    ),
    "tiny_price": (pa.array([Decimal("1E-38")], pa.decimal128(38, 38)), "longtext", "1E-38"),
    "text": (pa.array(["naïve 👩 \\ ' \" \t \n \r \0 \\N"], pa.large_string()), "longtext", None),
    "null_text": (pa.array(["\\N"]), "longtext", "\\N"),
    "bytes": (pa.array([bytes(range(256))], pa.large_binary()), "longblob", bytes(range(256))),
    "day": (pa.array([dt.date(1, 1, 1)]), "date", dt.date(1, 1, 1)),
    "naive": (pa.array([MOMENT], pa.timestamp("us")), "datetime(6)", MOMENT),
    "zoned": (
        pa.array([MOMENT.replace(tzinfo=dt.UTC)], pa.timestamp("us", "America/Lima")),
        "datetime(6) UTC",
        MOMENT,
    ),
    "clock": (
        pa.array([dt.time(1, 2, 3, 4)], pa.time64("us")),
        "time(6)",
        dt.timedelta(hours=1, minutes=2, seconds=3, microseconds=4),
    ),
    "pair": (pa.array([{"a": 2**62}], pa.struct([("a", pa.int64())])), "longtext JSON", '{"a":4611686018427387904}'),
}  # fmt: skip


def value_table():
    return pa.table({name: array for name, (array, _, _) in VALUES.items()})


@pytest.mark.parametrize("local_load", [True, False], ids=["LOAD DATA LOCAL", "INSERT"])
def test_every_arrow_type_has_a_column_of_its_own_and_arrives_exactly(place, local_load):
    table = value_table()
    place.run(f"SET GLOBAL local_infile = {int(local_load)}")
    try:
        written(place.destination(), stream_of(table), table, table.slice(0, 0), table)
    finally:
        place.run("SET GLOBAL local_infile = 1")
    types = place.types()
    assert {name: types[name] for name in VALUES} == {
        name: {"tinyint": "tinyint(4)", "smallint": "smallint(6)", "smallint unsigned": "smallint(5) unsigned",
               "int": "int(11)", "bigint": "bigint(20)", "bigint unsigned": "bigint(20) unsigned"}.get(type_, type_)
        for name, (_, type_, _) in VALUES.items()
    }  # fmt: skip
    rows = place.rows()
    assert len(rows) == 2
    expected = {name: array[0].as_py() if value is None else value for name, (array, _, value) in VALUES.items()}
    for row in rows:
        assert {**row, "pair": row["pair"].replace(" ", "")} == expected


def test_a_column_that_becomes_text_has_the_texts_of_its_values(place):
    """Each value as records have it, whatever the type of the column was."""
    first = {"id": 1, "number": 1.0, "small": 1e-7, "flag": True, "at": "2026-01-02T03:04:05.5Z", "whole": 12}
    declared = {"at": {"type": "string", "format": "date-time"}, "id": {"type": "integer"}}
    assert place.sync([first], schema=declared).error is None
    assert place.types()["at"] == "datetime(6) UTC"
    texts = {name: {"type": "string"} for name in ("number", "small", "flag", "at", "whole")}
    later = {"id": 2, **dict.fromkeys(texts, "text")}
    assert place.sync([later], schema={"id": {"type": "integer"}, **texts}).error is None
    row = place.rows()[0]
    assert row.pop("small") in ("1e-7", "0.0000001")
    assert row == {"id": 1, "number": "1.0", "flag": "true", "at": "2026-01-02T03:04:05.5+00:00", "whole": "12"}
    assert set(place.types().values()) == {"bigint(20)", "longtext"}


def test_a_widening_that_was_interrupted_is_repeated(place):
    assert place.sync([{"id": 1, "value": True}, {"id": 2, "value": False}]).error is None
    place.run('ALTER TABLE things ADD COLUMN "_kitestring_widened_value" longtext')
    assert place.sync([{"id": 3, "value": "x"}]).error is None
    assert [row["value"] for row in place.rows()] == ["true", "false", "x"]
    assert set(place.types()) == {"id", "value"}


def test_a_value_that_a_constraint_refuses_is_rejected_and_the_others_arrive(place, tmp_path):
    assert place.sync([{"id": 1, "price": 5}], "append").error is None
    place.run("ALTER TABLE things ADD CONSTRAINT positive CHECK (price > 0)")
    for mode in ("append", "append_dedup"):
        rejects = Rejects(tmp_path / mode)
        records = [{"id": n, "price": -1 if n == 7 else 1} for n in range(2, 12)]
        figures = place.sync(records, mode, rejects=rejects)
        assert (figures.status, figures.written + figures.unchanged, figures.rejected) == (Status.succeeded, 9, 1), (
            figures
        )
        assert ["positive" in entry["reason"] for entry in rejects.read("default")] == [True]
    assert {row["id"] for row in place.rows()} == {*range(1, 12)} - {7}


def test_numbers_that_mysql_has_not_are_rejected(place, tmp_path):
    records = [{"id": 1, "number": float("nan")}, {"id": 2, "number": float("-inf")}, {"id": 3, "number": 1.5}]
    rejects = Rejects(tmp_path)
    figures = place.sync(records, schema={"number": {"type": "number"}}, rejects=rejects)
    assert (figures.written, figures.rejected) == (1, 2)
    assert all("NaN nor infinity" in entry["reason"] for entry in rejects.read("default"))


def test_a_warning_of_the_binary_log_is_not_about_a_value(place):
    """A random id is not the same on a replica that repeats the statement."""
    place.run("SET GLOBAL binlog_format = 'STATEMENT'")
    try:
        figures = place.sync([{"id": 1}, {"id": 2}], "append", airbyte_columns=True)
    finally:
        place.run("SET GLOBAL binlog_format = 'ROW'")
    assert (figures.status, figures.written) == (Status.succeeded, 2)


# -- names and notes ---------------------------------------------------------------------------------------------------


def test_names_of_64_characters_of_any_kind_are_tables_and_columns(place):
    names = ["n" * 64, "日" * 48, "日" * 64, "👩", "ends with a space ", "a" * 300, "-" * 60]
    for name in names:
        source = MemorySource(records={name: [{"id": 1, **dict.fromkeys(names, "x")}]}, primary_keys={name: "id"})
        result = sync(source, place.destination(), [Selection(name, write_mode="overwrite")])
        assert result.status is Status.succeeded, (name, result.error, result.streams[name].error)
    tables = place.tables()
    assert {"n" * 64, "日" * 48} <= tables
    assert len(tables) == len(names)
    assert {"n" * 64, "日" * 48} <= set(place.types("n" * 64))


def test_a_note_too_long_for_a_comment_is_kept_through_changes_and_replacements(place):
    """Columns with other names than their fields make a note long."""
    fields = [f"A field with a name of its own: {n} " + "x" * 60 for n in range(60)]
    for round_number in range(3):
        record = {"id": 1, **{field: f"{round_number} {n}" for n, field in enumerate(fields)}}
        assert place.sync([record], "overwrite").error is None
        assert place.sync([{**record, "id": 2, f"further {round_number} ": "x"}], "append_dedup").error is None
        page = place.destination().stored_rows("things", limit=5)
        assert page.rows[0].items() >= record.items()
        assert len(place.notes()) == 1, "notes of replaced tables are removed"
    place.run("DROP TABLE things")
    assert place.sync([{"id": 5}], "append_dedup").error is None
    assert place.rows() == [{"id": 5}]


def test_the_comment_of_a_user_stays(place):
    assert place.sync([{"id": 1}]).error is None
    (before,) = place.run("SELECT table_comment AS text FROM information_schema.tables WHERE table_name = 'things'")
    place.run("ALTER TABLE things COMMENT = 'Ours, see the wiki.\n{}'".format(before["text"]))
    assert place.sync([{"id": 2, "Odd name ": 5}]).error is None
    (after,) = place.run("SELECT table_comment AS text FROM information_schema.tables WHERE table_name = 'things'")
    assert after["text"].startswith("Ours, see the wiki.\n")
    assert "Odd name " in after["text"]


# -- replacements ------------------------------------------------------------------------------------------------------


def test_views_and_rights_stay_through_a_replacement(place):
    assert place.sync([{"id": 1}], "overwrite").error is None
    user = f"reader{next(numbers)}"
    place.run(
        "CREATE VIEW seen AS SELECT id + 1 AS next_id FROM things",
        f"CREATE USER {user} IDENTIFIED BY 'x'",
        f'GRANT SELECT ON "{place.name}".things TO {user}',
    )
    assert place.sync([{"id": 7}], "overwrite").error is None
    assert place.rows("seen") == [{"next_id": 8}]
    assert any("things" in str(row) for row in place.run(f"SHOW GRANTS FOR {user}"))
    place.run(f"DROP USER {user}")


def test_a_table_that_foreign_keys_refer_to_is_not_replaced(place):
    assert place.sync([{"id": 1}], "append").error is None
    place.run("ALTER TABLE things ADD UNIQUE (id)", "CREATE TABLE child (thing bigint REFERENCES things (id))")
    error = place.sync([{"id": 2}], "overwrite").error
    assert isinstance(error, ConfigError)
    assert f"{place.name}.child" in error.message
    assert place.rows() == [{"id": 1}]
    assert place.sync([{"id": 2}], "append").error is None


def test_what_a_crash_left_of_an_exchange_goes_with_the_next_replacement(place):
    assert place.sync([{"id": 1}], "overwrite").error is None
    place.run('CREATE TABLE "_kitestring_old__kitestring_shadow_things" LIKE things')
    assert place.sync([{"id": 2}], "overwrite").error is None
    assert place.tables() == {"things"}
    assert place.rows() == [{"id": 2}]


# -- merging -----------------------------------------------------------------------------------------------------------


def test_a_key_in_a_nested_value_and_keys_of_several_kinds_are_compared_by_value(place):
    records = [{"id": {"a": value}, "text": str(n)} for n, value in enumerate([1, "1", True, 1.5])]
    assert place.sync(records, keys="id.a").error is None
    later = [{"id": {"a": 1.0}, "text": "new"}, {"id": {"a": "1"}, "text": "1"}]
    figures = place.sync(later, keys="id.a")
    assert (figures.error, figures.written, figures.unchanged) == (None, 1, 1)
    assert sorted(row["text"] for row in place.rows()) == ["1", "2", "3", "new"]


def test_keys_without_an_index_are_not_compared_each_with_each(place):
    """With nine million comparisons, this test would take minutes."""
    for keys, key_of in (("id.a", lambda n: {"a": n}), ("id", lambda n: n if n % 2 else str(n))):
        for text in ("first", "second"):
            records = [{"id": key_of(n), "text": text if n % 10 == 0 else "x"} for n in range(3_000)]
            figures = place.sync(records, keys=keys)
            assert (figures.error, figures.written) == (None, 3_000 if text == "first" else 300)
        place.run("DROP TABLE things")


def test_the_index_of_the_key_follows_the_key(place):
    def indexes():
        rows = place.run("SHOW INDEX FROM things")
        return [(row["Column_name"], row["Sub_part"]) for row in rows if row["Key_name"] != "PRIMARY"]

    assert place.sync([{"id": 1, "name": "a"}]).error is None
    assert indexes() == [("id", None)]
    assert place.sync([{"id": "x", "name": "b"}]).error is None
    assert indexes() == [("id", 255)]
    assert place.sync([{"id": "x", "name": "b"}], keys="name").unchanged == 1
    assert indexes() == [("name", 255)]
    assert len(place.rows()) == 2


def test_long_keys_that_begin_alike_are_different_records(place):
    keys = ["k" * 3_000 + str(n) for n in range(20)]
    for text in ("first", "second"):
        assert place.sync([{"id": key, "text": text} for key in keys]).error is None
    assert sorted(row["id"] for row in place.rows()) == sorted(keys)
    assert {row["text"] for row in place.rows()} == {"second"}


def test_pages_of_rows_are_read_with_a_limit_of_time(place):
    schema = {"tags": {"type": "array"}}
    assert place.sync([{"id": n, "tags": [n, "x"]} for n in range(5)], schema=schema).error is None
    page = place.destination().stored_rows("things", where={"tags": {"contains": 3}}, limit=10)
    assert page.rows == [{"id": 3, "tags": [3, "x"]}]
    assert page.total == 1 <= MOST_COUNTED


# -- connections -------------------------------------------------------------------------------------------------------


class Relay:
    """A relay to a server that breaks connections at a COMMIT: before the server gets it, or before its answer comes
    back."""

    def __init__(self, port):
        self.port_of_server = port
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        self.breaks = ""
        """`before` or `after`: where the next COMMIT breaks; then empty again."""
        self.broken = 0
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.server.accept()
            except OSError:
                return
            upstream = socket.create_connection(("127.0.0.1", self.port_of_server))
            swallow = threading.Event()
            for ends in ((client, upstream, True), (upstream, client, False)):
                threading.Thread(target=self.forward, args=(*ends, swallow), daemon=True).start()

    def forward(self, source, target, is_client, swallow):
        """`swallow` is set when the answer of the server is to be lost, and the connection with it."""
        while True:
            try:
                data = source.recv(65536)
                if is_client and b"\x03COMMIT" in data and self.breaks:
                    breaks, self.breaks = self.breaks, ""
                    self.broken += 1
                    if breaks == "before":
                        data = b""
                    swallow.set()
                if not data or (swallow.is_set() and not is_client):
                    break
                target.sendall(data)
            except OSError:
                break
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@contextmanager
def relayed(place):
    relay = Relay(place.server.port)
    with closing(relay.server):
        yield relay


@pytest.mark.parametrize("breaks", ["before", "after"])
def test_a_batch_whose_commit_broke_off_is_there_once(place, breaks):
    table = pa.table({"id": [1, 2, 3]})
    stream = stream_of(table)
    with relayed(place) as relay, closing(place.destination(port=relay.port, ssl_mode="disabled")) as destination:
        destination.begin(stream)
        destination.write(stream, Batch(stream.key, table=table))
        relay.breaks = breaks
        for _ in range(2):  # as the engine repeats it
            try:
                destination.write(stream, Batch(stream.key, table=table.slice(0, 2)))
                break
            except TransientError:
                assert breaks == "before"
        assert relay.broken == 1
        destination.commit(stream)
    assert [row["id"] for row in place.rows()] == [1, 1, 2, 2, 3]
    assert place.notes() == [], "the numbers of transactions are removed at the end"


def test_a_server_that_is_killed_during_a_sync_has_every_row_once_when_it_is_back(mariadb_data):
    """The server dies between batches, before and after their commits; the sync goes on by itself."""
    records = [{"id": n, "text": "x" * 100} for n in range(4_000)]
    with running(mariadb_data, ["--innodb-flush-log-at-trx-commit=1"]) as server:
        place = Place(server)
        source = DyingSource(
            records={"things": records}, primary_keys={"things": "id"}, server=server, nbytes=Mysql.batch_bytes - 4096
        )
        result = sync(source, place.destination(), [Selection("things", write_mode="append")])
        assert result.status is Status.succeeded, result.as_dict()
        assert source.server_deaths == 3
        assert place.run("SELECT count(*) AS n, count(DISTINCT id) AS ids FROM things") == [{"n": 4_000, "ids": 4_000}]


class DyingSource(MemorySource):
    """Kills the server in the middle of its records, and starts it again."""

    server: Any
    nbytes: int
    server_deaths: int = 0

    def read(self, partition, states):
        rows = list(self.records["things"])
        for start in range(0, len(rows), 500):
            yield Batch("things", rows=rows[start : start + 500], nbytes=self.nbytes)
            if start in (500, 1_500, 2_500):
                self.server.stop()
                self.server.start()
                self.server_deaths += 1


def test_a_wrong_password_is_an_error_that_names_the_user_and_not_the_password(place):
    with pytest.raises(AuthError) as caught:
        place.destination(password="hidden-password").check()
    assert "tester" in str(caught.value)
    assert "hidden-password" not in repr(caught.value.fields) + str(caught.value)


def test_a_host_or_a_port_that_does_not_answer_is_named(place):
    with pytest.raises(ConfigError, match="no such host"):
        place.destination(host="no-such-host.invalid").check()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with pytest.raises(TransientError, match=f"127.0.0.1:{free.getsockname()[1]}"):
            place.destination(port=free.getsockname()[1]).check()


def test_a_user_who_may_not_create_tables_is_refused_with_the_statement_that_helps(place):
    user = f"limited{next(numbers)}"
    place.run(
        f"CREATE DATABASE {place.name}",
        f"CREATE USER {user} IDENTIFIED BY 'x'",
        f"GRANT SELECT ON {place.name}.* TO {user}",
    )
    destination = place.destination(username=user, password="x")
    with closing(destination), pytest.raises(ConfigError, match="may not create tables") as caught:
        destination.check()
    assert caught.value.hint.startswith("GRANT SELECT, INSERT")
    rights = "SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX, CREATE TEMPORARY TABLES"
    place.run(f"GRANT {rights} ON {place.name}.* TO {user}")
    destination.check()
    assert place.sync([{"id": 1}], username=user, password="x").error is None
    assert place.sync([{"id": 1, "text": "x"}, {"id": 2}], username=user, password="x").written == 2
    assert place.sync([{"id": 3}], "overwrite", username=user, password="x").error is None
    assert place.rows(columns="id") == [{"id": 3}]
    place.run(f"DROP USER {user}")


def test_the_configuration_of_airbytes_connector_is_accepted():
    config = {
        "host": "db.example.com",
        "port": 3306,
        "database": "shop",
        "username": "writer",
        "password": "x",
        "ssl": True,
        "jdbc_url_params": "",
        "raw_data_schema": "raw",
        "disable_type_dedupe": False,
        "tunnel_method": {"tunnel_method": "NO_TUNNEL"},
    }
    assert Mysql.load(config).ssl_mode.mode == "required"
    for refused in ({"jdbc_url_params": "useSSL=false"}, {"tunnel_method": {"tunnel_method": "SSH_KEY_AUTH"}}):
        with pytest.raises(ConfigError, match="does not have yet"):
            Mysql.load({**config, **refused})
