"""The events of a binary log: their headers, tables, statements, transactions, and compressed parts.

The formats: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_replication_binlog_event.html and
https://mariadb.com/docs/server/reference/clientserver-protocol/replication-protocol.
"""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass, field
from typing import Any

from kitestring.errors import ConnectorError

QUERY, STOP, ROTATE, FORMAT, XID, TABLE_MAP = 2, 3, 4, 15, 16, 19
EXECUTE_LOAD = frozenset({6, 17, 18})
"""The statements of LOAD DATA, where it was logged as a statement."""
INCIDENT, HEARTBEAT, GTID, ANONYMOUS_GTID, PREVIOUS_GTIDS, XA_PREPARE = 26, 27, 33, 34, 35, 38
PARTIAL_UPDATE_ROWS, TRANSACTION_PAYLOAD, HEARTBEAT_LONG, GTID_TAGGED = 39, 40, 41, 42
MARIADB_GTID, MARIADB_GTID_LIST, START_ENCRYPTION, QUERY_COMPRESSED = 162, 163, 164, 165

INSERT, UPDATE, DELETE = "insert", "update", "delete"
ROW_EVENTS: dict[int, tuple[str, bool, bool]] = {
    **dict(zip((23, 24, 25), ((kind, False, False) for kind in (INSERT, UPDATE, DELETE)), strict=True)),
    **dict(zip((30, 31, 32), ((kind, True, False) for kind in (INSERT, UPDATE, DELETE)), strict=True)),
    **dict(zip((166, 167, 168), ((kind, False, True) for kind in (INSERT, UPDATE, DELETE)), strict=True)),
    **dict(zip((169, 170, 171), ((kind, True, True) for kind in (INSERT, UPDATE, DELETE)), strict=True)),
}
"""Events with rows: what happened to them, whether the header has extra data, whether the rows are compressed."""

HEADER = struct.Struct("<IBIIIH")
ARTIFICIAL = 0x20
"""The flag of an event that is not in the log's file."""
FILE_NAME = re.compile(rb"[^\0]+?\.\d+")

# Types of columns in a table map.
TINY, SHORT, LONG, FLOAT, DOUBLE, TIMESTAMP, LONGLONG, INT24 = 1, 2, 3, 4, 5, 7, 8, 9
DATE, TIME, DATETIME, YEAR, VARCHAR, BIT, TIMESTAMP2, DATETIME2, TIME2 = 10, 11, 12, 13, 15, 16, 17, 18, 19
BLOB_COMPRESSED, VARCHAR_COMPRESSED, VECTOR, JSON, DECIMAL, ENUM, SET = 140, 141, 242, 245, 246, 247, 248
BLOBS = frozenset({249, 250, 251, 252})
VAR_STRING, STRING, GEOMETRY = 253, 254, 255

TWO_BYTES = frozenset({VARCHAR, VAR_STRING, STRING, BIT, DECIMAL, ENUM, SET, VARCHAR_COMPRESSED})
SINGLE_BYTE = BLOBS | {FLOAT, DOUBLE, TIMESTAMP2, DATETIME2, TIME2, JSON, GEOMETRY, VECTOR, BLOB_COMPRESSED}
NUMERIC = frozenset({TINY, SHORT, INT24, LONG, LONGLONG, DECIMAL, FLOAT, DOUBLE})
TEXTUAL = BLOBS | {VARCHAR, VAR_STRING, STRING, VARCHAR_COMPRESSED, BLOB_COMPRESSED}


@dataclass(frozen=True, slots=True)
class LoggedColumn:
    """A column in the log. None for what the log does not say. `meta`: of `type`; for a decimal (precision, scale), for
    texts the greatest number of bytes, for others as in the event."""

    type: int
    meta: Any
    name: str | None = None
    unsigned: bool | None = None
    collation: int | None = None
    members: tuple[bytes, ...] | None = None
    """The values of an ENUM or SET, in the character set of `collation`."""


@dataclass(frozen=True, slots=True)
class TableMap:
    """The description of a table that precedes its rows."""

    id: int
    database: str
    table: str
    columns: tuple[LoggedColumn, ...]
    raw: bytes = field(repr=False)

    @property
    def has_names(self) -> bool:
        return all(column.name is not None for column in self.columns)


@dataclass(frozen=True, slots=True)
class RowsEvent:
    """Rows of one table: `start` is where the first one begins in `data`. `present` and `updated`: which columns the
    rows have, as bitmaps; `updated` for the new rows of an update."""

    kind: str
    table_id: int
    width: int
    present: bytes
    updated: bytes
    data: bytes
    start: int


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement in the log, and the database that it was executed in."""

    database: str
    text: str


def lenenc(data: bytes, place: int) -> tuple[int, int]:
    """A number of variable length, and the place behind it."""
    first = data[place]
    if first < 0xFB:
        return first, place + 1
    size = {0xFC: 2, 0xFD: 3, 0xFE: 8}[first]
    return int.from_bytes(data[place + 1 : place + 1 + size], "little"), place + 1 + size


def table_map(body: bytes, of_mariadb: bool) -> TableMap:
    """The description of a table. MariaDB counts years among the numbers, and shapes among the texts."""
    place = 8
    size = body[place]
    database = body[place + 1 : place + 1 + size].decode("utf-8", "replace")
    place += size + 2
    size = body[place]
    table = body[place + 1 : place + 1 + size].decode("utf-8", "replace")
    count, place = lenenc(body, place + size + 2)
    types = body[place : place + count]
    size, place = lenenc(body, place + count)
    end = place + size
    columns = []
    for type_ in types:
        columns.append(typed(type_, body, place))
        place += 2 if type_ in TWO_BYTES else 1 if type_ in SINGLE_BYTE else 0
    place = end + (count + 7) // 8
    extras = extra_fields(body, place)
    names = texts(extras.get(4))
    numeric = NUMERIC | {YEAR} if of_mariadb else NUMERIC
    unsigned = flags(extras.get(1), [n for n, c in enumerate(columns) if c.type in numeric])
    textual = TEXTUAL | {GEOMETRY} if of_mariadb else TEXTUAL
    collations = collations_of(extras.get(2), extras.get(3), [n for n, c in enumerate(columns) if c.type in textual])
    chosen = [n for n, c in enumerate(columns) if c.type in (ENUM, SET)]
    collations |= collations_of(extras.get(10), extras.get(11), chosen)
    members = {
        **dict(zip((n for n in chosen if columns[n].type == SET), members_of(extras.get(5)), strict=False)),
        **dict(zip((n for n in chosen if columns[n].type == ENUM), members_of(extras.get(6)), strict=False)),
    }
    described = tuple(
        LoggedColumn(
            column.type,
            column.meta,
            names[n].decode("utf-8", "replace") if names else None,
            unsigned.get(n),
            collations.get(n),
            members.get(n),
        )
        for n, column in enumerate(columns)
    )
    return TableMap(int.from_bytes(body[:6], "little"), database, table, described, body)


def typed(type_: int, body: bytes, place: int) -> LoggedColumn:
    """A column by its type and the metadata of that."""
    if type_ == STRING:
        first, second = body[place], body[place + 1]
        if first & 0x30 != 0x30:  # two bits of the length of a long CHAR
            return LoggedColumn(first | 0x30, second | (((first & 0x30) ^ 0x30) << 4))
        return LoggedColumn(first, second)
    if type_ == DECIMAL:
        return LoggedColumn(type_, (body[place], body[place + 1]))
    if type_ == BIT:
        return LoggedColumn(type_, body[place] + 8 * body[place + 1])
    if type_ in TWO_BYTES:
        return LoggedColumn(type_, body[place] | body[place + 1] << 8)
    return LoggedColumn(type_, body[place] if type_ in SINGLE_BYTE else 0)


def extra_fields(body: bytes, place: int) -> dict[int, bytes]:
    fields = {}
    while place < len(body):
        kind = body[place]
        size, place = lenenc(body, place + 1)
        fields[kind] = body[place : place + size]
        place += size
    return fields


def texts(data: bytes | None) -> list[bytes]:
    read, place = [], 0
    while data and place < len(data):
        size, place = lenenc(data, place)
        read.append(data[place : place + size])
        place += size
    return read


def numbers(data: bytes | None) -> list[int]:
    read, place = [], 0
    while data and place < len(data):
        number, place = lenenc(data, place)
        read.append(number)
    return read


def flags(data: bytes | None, places: list[int]) -> dict[int, bool]:
    """One bit for each of these columns, the highest bit of a byte first."""
    if data is None:
        return {}
    return {n: bool(data[k // 8] & (0x80 >> k % 8)) for k, n in enumerate(places) if k // 8 < len(data)}


def collations_of(default: bytes | None, each: bytes | None, places: list[int]) -> dict[int, int]:
    if each is not None:
        return dict(zip(places, numbers(each), strict=False))
    if default is None:
        return {}
    first, *pairs = numbers(default)
    collations = dict.fromkeys(places, first)
    for k, collation in zip(pairs[::2], pairs[1::2], strict=True):
        collations[places[k]] = collation
    return collations


def members_of(data: bytes | None) -> list[tuple[bytes, ...]]:
    """The values of each ENUM or SET."""
    columns, place = [], 0
    while data and place < len(data):
        count, place = lenenc(data, place)
        values = []
        for _ in range(count):
            size, place = lenenc(data, place)
            values.append(data[place : place + size])
            place += size
        columns.append(tuple(values))
    return columns


def rows_event(kind: int, body: bytes) -> RowsEvent:
    what, has_extra, is_compressed = ROW_EVENTS[kind]
    table_id, place = int.from_bytes(body[:6], "little"), 8
    if has_extra:
        place += int.from_bytes(body[8:10], "little")
    width, place = lenenc(body, place)
    size = (width + 7) // 8
    present = updated = body[place : place + size]
    place += size
    if what == UPDATE:
        updated = body[place : place + size]
        place += size
    if is_compressed:
        body, place = uncompressed(body, place), 0
    return RowsEvent(what, table_id, width, present, updated, body, place)


def uncompressed(body: bytes, place: int) -> bytes:
    """The rest of an event that MariaDB compressed (`log_bin_compress`): a byte with the algorithm and the size of the
    length, the length in network order, then the data."""
    first = body[place]
    if first & 0x70:
        raise ConnectorError(f"the log has data compressed in an unknown way ({first & 0x70})")
    behind = place + 1 + (first & 0x07)
    data = zlib.decompress(body[behind:])
    if len(data) != int.from_bytes(body[place + 1 : behind], "big"):
        raise ConnectorError("the log has compressed data of another length than it says")
    return data


def statement(kind: int, body: bytes) -> Statement:
    status = int.from_bytes(body[11:13], "little")
    place = 13 + status
    size = body[8]
    database = body[place : place + size].decode("utf-8", "replace")
    place += size + 1
    text = uncompressed(body, place) if kind == QUERY_COMPRESSED else body[place:]
    return Statement(database, text.decode("utf-8", "replace"))


def payload(body: bytes) -> bytes:
    """The events in a compressed transaction of MySQL 8.0.20 and later: fields of a type, a length and a value."""
    import pyarrow as pa

    fields, place = dict[int, int](), 0
    while True:
        kind, place = lenenc(body, place)
        if kind == 0:
            break
        size, place = lenenc(body, place)
        fields[kind] = lenenc(body, place)[0]
        place += size
    data = body[place : place + fields[1]]
    if fields[2] == 255:
        return data
    if fields[2] != 0:
        raise ConnectorError(f"the log has a transaction compressed in an unknown way ({fields[2]})")
    return bytes(pa.Codec("zstd").decompress(data, fields[3], asbytes=True))


def rotation(body: bytes) -> tuple[str, int]:
    """The file that the log goes on in, and the place there."""
    name = FILE_NAME.match(body, 8)
    if name is None:
        raise ConnectorError("the log goes on in a file whose name has no number")
    return name[0].decode(), int.from_bytes(body[:8], "little")
