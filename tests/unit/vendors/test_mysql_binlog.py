"""The binary log of MySQL, with bytes built after its documentation: what MariaDB does not write."""

from __future__ import annotations

import struct
from datetime import date

import numpy as np
import pyarrow as pa
import pytest

from kitestring.errors import ConnectorError
from kitestring.sources.mysql.logged_rows import is_moved
from kitestring.sources.mysql.logged_statement import effect_of
from kitestring.vendors.mysql import binlog_event, binlog_rows
from kitestring.vendors.mysql.binlog import LogName, moved, offset_of, position_of
from kitestring.vendors.mysql.binlog_event import Statement, table_map
from kitestring.vendors.mysql.binlog_values import Kind, Spans, days, values
from kitestring.vendors.mysql.json_binary import json_text
from kitestring.vendors.mysql.packed_values import decimal_text


def text(value):
    data = value.encode()
    return bytes([len(data)]) + data


def small_object(**entries):
    """{"key": (type, inline bytes or data)}; sizes and offsets of two bytes."""
    keys = [key.encode() for key in entries]
    start = 4 + 4 * len(keys) + 3 * len(keys)
    body = b"".join(keys)
    heads, place = b"", start
    for key in keys:
        heads += struct.pack("<HH", place, len(key))
        place += len(key)
    values = b""
    for kind, data in entries.values():
        if kind in (4, 5, 6):
            values += bytes([kind]) + data.ljust(2, b"\0")
        else:
            values += bytes([kind]) + struct.pack("<H", place)
            body += data
            place += len(data)
    data = heads + values + body
    return struct.pack("<HH", len(keys), 4 + len(data)) + data


def test_a_json_document_is_the_text_that_the_server_shows():
    inner = struct.pack("<HH", 2, 10) + bytes([5]) + struct.pack("<h", -2) + bytes([4, 0, 0])
    document = small_object(
        a=(5, struct.pack("<h", -7)),
        b=(12, text("é\n")),
        c=(4, b"\x01"),
        d=(11, struct.pack("<d", 1.0)),
        e=(2, inner),
        f=(10, struct.pack("<Q", 2**64 - 1)),
        g=(0, small_object()),
        h=(15, bytes([246, 4]) + bytes([4, 2]) + bytes.fromhex("8c22")),
    )
    assert json_text(b"\0" + document) == (
        '{"a": -7, "b": "é\\n", "c": true, "d": 1.0, "e": [-2, null], "f": 18446744073709551615, "g": {}, "h": 12.34}'
    )


def test_a_large_json_array_has_numbers_inline():
    data = bytes([7]) + struct.pack("<i", -70000) + bytes([12]) + struct.pack("<I", 18)
    array = struct.pack("<II", 2, 20) + data + text("x")
    assert json_text(b"\3" + array) == '[-70000, "x"]'


def test_moments_in_a_json_document_are_texts():
    months, clock = 2026 * 13 + 1, 3 << 12 | 4 << 6 | 5
    packed = ((months << 5 | 2) << 17 | clock) << 24 | 678000
    moment = bytes([15, 12, 8]) + struct.pack("<q", packed)
    assert json_text(moment) == '"2026-01-02 03:04:05.678000"'
    assert json_text(bytes([15, 10, 8]) + struct.pack("<q", packed)) == '"2026-01-02"'
    assert json_text(bytes([15, 252, 2, 0, 255])) == '"base64:type252:AP8="'
    assert json_text(b"") == "null"


@pytest.mark.parametrize(
    ("packed", "precision", "scale", "expected"),
    [
        ("810dfb38d204d2", 14, 4, "1234567890.1234"),
        ("7ef204c72dfb2d", 14, 4, "-1234567890.1234"),
        ("80000000", 9, 0, "0"),
        ("8001", 4, 2, "0.01"),
    ],
)
def test_a_packed_decimal_has_all_digits(packed, precision, scale, expected):
    assert decimal_text(bytes.fromhex(packed), precision, scale) == expected


def event(kind, body):
    return binlog_event.HEADER.pack(1_700_000_000, kind, 1, 19 + len(body), 0, 0) + body


@pytest.mark.parametrize("compression", [0, 255])
def test_a_compressed_transaction_has_its_events(compression):
    events = event(2, b"BEGIN") + event(16, bytes(8))
    data = bytes(pa.Codec("zstd").compress(events, asbytes=True)) if compression == 0 else events
    size = bytes([0xFC]) + struct.pack("<H", len(events))
    fields = [(2, bytes([compression]) if compression < 251 else bytes([0xFC, 255, 0])), (3, size)]
    fields.append((1, bytes([0xFC]) + struct.pack("<H", len(data))))
    head = b"".join(bytes([kind, len(value)]) + value for kind, value in fields)
    assert binlog_event.payload(head + b"\0" + data) == events


def test_an_unknown_compression_is_refused():
    with pytest.raises(ConnectorError, match="unknown way"):
        binlog_event.payload(bytes([1, 1, 4, 2, 1, 9, 3, 1, 4, 0]) + b"data")


def described(columns, metadata, extras):
    body = (7).to_bytes(6, "little") + b"\1\0" + b"\1d\0" + b"\1t\0" + bytes([len(columns)]) + bytes(columns)
    body += bytes([len(metadata)]) + metadata + bytes((len(columns) + 7) // 8)
    return body + b"".join(bytes([kind, len(data)]) + data for kind, data in extras)


def test_a_table_of_mysql_has_names_signs_and_character_sets():
    columns = [3, 13, 15, 245, 254]
    metadata = struct.pack("<H", 40) + bytes([4]) + bytes([247, 1])
    names = b"".join(text(name) for name in ("id", "year", "name", "doc", "kind"))
    table = table_map(
        described(columns, metadata, [(1, b"\x80"), (2, b"\x2d"), (4, names), (6, b"\2\1x\1y"), (10, b"\x21")]), False
    )
    assert (table.id, table.database, table.table, table.has_names) == (7, "d", "t", True)
    first, year, name, document, kind = table.columns
    assert (first.unsigned, year.unsigned, name.collation, document.meta) == (True, None, 45, 4)
    assert (kind.type, kind.members, kind.collation) == (binlog_event.ENUM, (b"x", b"y"), 33)


def test_rows_of_mysql_have_extra_data_before_their_columns():
    table = table_map(described([3, 15], struct.pack("<H", 40), []), False)
    head = (7).to_bytes(6, "little") + b"\1\0" + b"\4\0" + b"\0\0"
    rows = [b"\0" + struct.pack("<i", n) + text("x" * n) for n in range(3)] + [b"\2" + struct.pack("<i", 9)]
    decoded = binlog_rows.decoded(table, [binlog_event.rows_event(30, head + b"\2\3" + b"".join(rows))])
    assert len(decoded) == 4
    assert decoded.after.nulls[1].tolist() == [False, False, False, True]
    sizes = decoded.after.ends[1] - decoded.after.starts[1]
    assert sizes.tolist() == [0, 1, 2, 0]


def test_rows_that_are_longer_than_their_event_are_refused():
    table = table_map(described([3, 15], struct.pack("<H", 40), []), False)
    head = (7).to_bytes(6, "little") + b"\1\0" + b"\2\0" + b"\2\3"
    with pytest.raises(ConnectorError, match="longer than"):
        binlog_rows.decoded(table, [binlog_event.rows_event(30, head + b"\0" + struct.pack("<i", 1) + b"\x20abc")])


def test_a_position_is_one_number_in_files_of_any_size():
    position = position_of("mysql-bin.000123", 2**32 - 100)
    name = LogName.of("mysql-bin.000123")
    assert name.text(moved(position, 50)) == f"mysql-bin.000123:{2**32 + 50}"
    assert offset_of(moved(position, 2**32 - 10)) == 2**32 - 10
    assert position_of("mysql-bin.1000000", 4) > position_of("mysql-bin.999999", 2**33)
    assert LogName.of("a.b.000009").file(position_of("a.b.000010", 4)) == "a.b.000010"


@pytest.mark.parametrize(
    ("statement", "kind", "tables"),
    [
        ("TRUNCATE TABLE `a.b`", "truncate", {("d", "a.b")}),
        ("/* hi */ truncate x . `y``z`", "truncate", {("x", "y`z")}),
        ("ALTER TABLE t ADD COLUMN other int -- t2", "alter", {("d", "t")}),
        ("ALTER ONLINE TABLE IF EXISTS t DROP INDEX x", "alter", {("d", "t")}),
        ("SET STATEMENT lock_wait_timeout=1 FOR ALTER TABLE t ADD x int", "alter", {("d", "t")}),
        ("ALTER TABLE t RENAME TO u", "replace", {("d", "t")}),
        ("ALTER TABLE t RENAME COLUMN a TO b", "alter", {("d", "t")}),
        ("ALTER TABLE t TRUNCATE PARTITION p", "partition", {("d", "t")}),
        ("ALTER TABLE t EXCHANGE PARTITION p WITH TABLE u", "partition", {("d", "t")}),
        ("RENAME TABLE t TO old, x.`new` TO t", "replace", {("d", "t"), ("d", "old"), ("x", "new"), ("d", "TO")}),
        ("DROP TABLE IF EXISTS `t` /* generated by server */", "replace", {("d", "t")}),
        ("CREATE TABLE u (t int REFERENCES t (id))", "replace", {("d", "u")}),
        ("CREATE TEMPORARY TABLE t (id int)", "", set()),
        ("DROP DATABASE `d`", "replace", {("d", "*")}),
        ("CREATE INDEX i ON t (id)", "", set()),
        ("INSERT INTO t VALUES ('u')", "change", {("d", "INSERT"), ("d", "INTO"), ("d", "t"), ("d", "VALUES")}),
        ("FLUSH TABLES", "", set()),
    ],
)
def test_a_statement_of_the_log_says_what_it_does(statement, kind, tables):
    effect = effect_of(Statement("d", statement))
    assert effect.kind == kind
    assert effect.tables == tables


def test_an_alter_says_which_columns_it_drops_and_whether_it_rewrites():
    assert effect_of(Statement("d", "ALTER TABLE t DROP COLUMN a, DROP b, ADD a int")).rewritten({"a": ""}) != ""
    assert effect_of(Statement("d", "ALTER TABLE t DROP COLUMN a")).rewritten({"b": ""}) == ""
    assert effect_of(Statement("d", "ALTER TABLE t CHANGE a b int, CHANGE b a int")).rewritten({"a": ""}) != ""


def column_of(rows, image, place, column, kind, target):
    data = np.frombuffer(rows.data, np.uint8)
    spans = Spans(rows.data, data, image.starts[place], image.ends[place], image.nulls[place])
    return values(column, kind, spans, target).to_pylist()


def test_updates_have_their_new_rows_and_the_wanted_columns_of_the_old_ones():
    table = table_map(described([3, 15, 8], struct.pack("<H", 40), []), False)
    head = (7).to_bytes(6, "little") + b"\1\0" + b"\2\0" + b"\3" + b"\7\7"

    def row(number, name, total):
        nulls = sum(1 << n for n, value in enumerate((number, name, total)) if value is None)
        fields = [struct.pack("<i", number), b"" if name is None else text(name)]
        return bytes([nulls]) + b"".join(fields) + (b"" if total is None else struct.pack("<q", total))

    pairs = [
        [((1, "a", None), (1, "bb", 10)), ((2, None, 5), (7, "", None))],
        [((3, "c", 1), (3, None, -(2**40)))],
    ]
    bodies = [head + b"".join(row(*old) + row(*new) for old, new in event) for event in pairs]
    rows = binlog_rows.decoded(table, [binlog_event.rows_event(31, body) for body in bodies], {0})
    assert rows.events.tolist() == [0, 0, 1]
    assert [*rows.before.starts] == [0]
    number, name, total = table.columns
    assert column_of(rows, rows.before, 0, number, Kind("int", False), pa.int32()) == [1, 2, 3]
    assert column_of(rows, rows.after, 0, number, Kind("int", False), pa.int32()) == [1, 7, 3]
    assert column_of(rows, rows.after, 1, name, Kind("text", charset="utf8mb4"), pa.string()) == ["bb", "", None]
    assert column_of(rows, rows.after, 2, total, Kind("bigint", False), pa.int64()) == [10, None, -(2**40)]
    assert is_moved(rows, 0, number).tolist() == [False, True, False]


def test_days_of_all_months_are_those_of_the_calendar():
    moments = [
        date(y, m, d) for y in (1, 4, 100, 1582, 1900, 1970, 2000, 2024, 9999) for m in range(1, 13) for d in (1, 28)
    ]
    parts = [np.array(part) for part in zip(*((m.year, m.month, m.day) for m in moments), strict=True)]
    number, valid = days(*parts)
    assert valid.all()
    assert number.tolist() == [(moment - date(1970, 1, 1)).days for moment in moments]
    unreal = [
        (0, 0, 0),
        (2023, 2, 29),
        (2024, 13, 1),
        (2024, 0, 3),
        (2024, 4, 0),
        (0, 5, 1),
        (9999, 12, 32),
        (10000, 1, 1),
    ]
    assert not days(*(np.array(part) for part in zip(*unreal, strict=True)))[1].any()
