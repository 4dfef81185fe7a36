"""The rows of a result as columns of bytes, without a Python object for each value.

A row of the text protocol is a packet: for each column the length of its text, and the text
(https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_text_resultset_row.html). The
packets are found one by one, their columns by numpy, for all rows at once.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pymysql
from pymysql.constants import COMMAND

from kitestring.vendors.mysql.session import Session

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    Numbers = np.ndarray[Any, np.dtype[np.int64]]

READ_BYTES = 1 << 20
LONGEST_PACKET = 0xFFFFFF
"""A longer row is several packets."""
END, ERROR, NULL = 0xFE, 0xFF, 0xFB


def columns_of(session: Session, query: str, batch_bytes: int, batch_rows: int) -> Iterator[list[pa.Array]]:
    """The columns of a result as binary arrays, in parts of about these bytes or rows. Raises the errors of PyMySQL. If
    the reader stops early, the session is closed."""
    session._execute_command(COMMAND.COM_QUERY, query)
    result = pymysql.connections.MySQLResult(session)
    has_more = False
    try:
        result.init_unbuffered_query()
        has_more = True
        for data, starts, is_last in packets(session, batch_bytes, batch_rows):
            has_more = not is_last
            if starts:
                yield columns(data, starts, result.field_count)
    finally:
        result.unbuffered_active, result.connection = False, None
        if has_more:
            session._force_close()


def packets(session: Session, batch_bytes: int, batch_rows: int) -> Iterator[tuple[bytes, list[int], bool]]:
    """Data, where rows begin in them, and whether the result has ended."""
    data, starts, place = bytearray(), list[int](), 0
    while True:
        if len(data) - place < 4 or len(data) - place - 4 < length_at(data, place):
            if len(starts) >= batch_rows or place >= batch_bytes:
                yield bytes(data[:place]), starts, False
                data, starts, place = data[place:], [], 0
            chunk = session._rfile.read1(READ_BYTES)
            if not chunk:
                raise pymysql.err.OperationalError(2013, "Lost connection to MySQL server during query")
            data += chunk
            continue
        length = length_at(data, place)
        kind = data[place + 4] if length else 0
        if kind == ERROR:
            pymysql.err.raise_mysql_exception(bytes(data[place + 4 : place + 4 + length]))
        if kind == END and length < 9:
            if len(data) > place + 4 + length:
                raise pymysql.err.InternalError("there are data behind the end of a result")
            session._next_seq_id = 0
            yield bytes(data[:place]), starts, True
            return
        if length == LONGEST_PACKET:
            yield bytes(data[:place]), starts, False
            row, data = long_row(session, data[place:])
            yield row, [0], False
            starts, place = [], 0
            continue
        starts.append(place + 4)
        place += 4 + length


def length_at(data: bytearray, place: int) -> int:
    number: int = struct.unpack_from("<I", data, place)[0]
    return number & LONGEST_PACKET


def long_row(session: Session, data: bytearray) -> tuple[bytes, bytearray]:
    """A row of several packets, and the data behind it."""
    row = bytearray()
    while True:
        while len(data) < 4 or len(data) < 4 + length_at(data, 0):
            chunk = session._rfile.read1(READ_BYTES)
            if not chunk:
                raise pymysql.err.OperationalError(2013, "Lost connection to MySQL server during query")
            data += chunk
        length = length_at(data, 0)
        row += data[4 : 4 + length]
        data = data[4 + length :]
        if length < LONGEST_PACKET:
            return bytes(row), data


def columns(data: bytes, starts: list[int], count: int) -> list[pa.Array]:
    """The columns of rows that begin at these places."""
    import numpy as np

    values = np.frombuffer(data + bytes(9), np.uint8)  # so that a length can be read behind the last value
    places = np.array(starts, np.int64)
    arrays = []
    for _ in range(count):
        begins, ends, is_null = extents(values, places)
        arrays.append(gathered(data, begins, ends, is_null))
        places = ends
    return arrays


def extents(values: np.ndarray[Any, np.dtype[np.uint8]], places: Numbers) -> tuple[Numbers, Numbers, Any]:
    """Where the values at these places begin and end, and which are null."""
    import numpy as np

    first = values[places]
    lengths = first.astype(np.int64)
    begins = places + 1
    is_null = first == NULL
    lengths[is_null] = 0
    for mark, size in ((0xFC, 2), (0xFD, 3), (0xFE, 8)):
        (rows,) = np.nonzero(first == mark)
        if len(rows):
            lengths[rows] = sum(values[places[rows] + 1 + n].astype(np.int64) << (8 * n) for n in range(size))
            begins[rows] += size
    return begins, begins + lengths, is_null


def gathered(data: bytes, begins: Numbers, ends: Numbers, is_null: Any) -> pa.Array:
    """The bytes between these places, as an array. Of an array over all the data, every other element is a value, and
    those between are what lies between two values."""
    import numpy as np
    import pyarrow as pa

    count = len(begins)
    offsets = np.empty(2 * count, np.int64)
    offsets[0::2], offsets[1::2] = begins, ends
    whole = pa.Array.from_buffers(pa.large_binary(), 2 * count - 1, [None, pa.py_buffer(offsets), pa.py_buffer(data)])
    places = pa.array(np.arange(0, 2 * count, 2), mask=is_null if is_null.any() else None)
    return whole.take(places)
