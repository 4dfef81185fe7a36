"""Documents of MySQL's JSON type, whose binary form is in the log, as the text that the server shows.

The format: https://dev.mysql.com/doc/dev/mysql-server/latest/json__binary_8h.html. (JSON of MariaDB is text.)
"""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

from kitestring.vendors.mysql.packed_values import date_time_text, decimal_text, time_text

SMALL_OBJECT, LARGE_OBJECT, SMALL_ARRAY, LARGE_ARRAY, LITERAL = 0, 1, 2, 3, 4
NUMBERS = {5: "<h", 6: "<H", 7: "<i", 8: "<I", 9: "<q", 10: "<Q"}
DOUBLE, STRING, OPAQUE = 11, 12, 15
INLINE = {False: frozenset({LITERAL, 5, 6}), True: frozenset({LITERAL, 5, 6, 7, 8})}
"""Types whose value is in its entry, in a small and in a large document."""
LITERALS = {0: "null", 1: "true", 2: "false"}
DECIMAL_TYPES, TIME_TYPE, DATE_TYPE, MOMENT_TYPES = (0, 246), 11, 10, (7, 12, 17, 18)


def json_text(data: bytes) -> str:
    """The text of a document; `null` for one of no bytes."""
    return value(data[0], data, 1) if data else "null"


def value(type_: int, data: bytes, place: int) -> str:
    if type_ in (SMALL_OBJECT, LARGE_OBJECT, SMALL_ARRAY, LARGE_ARRAY):
        return container(type_, data, place)
    if type_ == LITERAL:
        return LITERALS[data[place]]
    if type_ in NUMBERS:
        return str(struct.unpack_from(NUMBERS[type_], data, place)[0])
    if type_ == DOUBLE:
        return double_text(struct.unpack_from("<d", data, place)[0])
    if type_ == STRING:
        size, place = length(data, place)
        return quoted(data[place : place + size].decode("utf-8", "replace"))
    if type_ == OPAQUE:
        kind = data[place]
        size, place = length(data, place + 1)
        return opaque(kind, data[place : place + size])
    raise ValueError(f"a JSON document has a value of the unknown type {type_}")


def container(type_: int, data: bytes, start: int) -> str:
    is_large, is_object = type_ in (LARGE_OBJECT, LARGE_ARRAY), type_ in (SMALL_OBJECT, LARGE_OBJECT)
    size, number = (4, "<I") if is_large else (2, "<H")
    (count,) = struct.unpack_from(number, data, start)
    place = start + 2 * size
    keys = []
    for _ in range(count if is_object else 0):
        (offset,) = struct.unpack_from(number, data, place)
        (width,) = struct.unpack_from("<H", data, place + size)
        keys.append(quoted(data[start + offset : start + offset + width].decode("utf-8", "replace")))
        place += size + 2
    values = []
    for _ in range(count):
        kind = data[place]
        if kind in INLINE[is_large]:
            values.append(value(kind, data, place + 1))
        else:
            (offset,) = struct.unpack_from(number, data, place + 1)
            values.append(value(kind, data, start + offset))
        place += 1 + size
    if is_object:
        return "{" + ", ".join(f"{key}: {text}" for key, text in zip(keys, values, strict=True)) + "}"
    return f"[{', '.join(values)}]"


def length(data: bytes, place: int) -> tuple[int, int]:
    """A length of one to five bytes of seven bits, the lowest first."""
    size = shift = 0
    while True:
        byte = data[place]
        size |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return size, place


def opaque(kind: int, data: bytes) -> str:
    """A value of an SQL type within a document."""
    if kind in DECIMAL_TYPES:
        return decimal_text(data[2:], data[0], data[1])
    packed = int.from_bytes(data[:8], "little", signed=True) if len(data) == 8 else 0
    if kind == TIME_TYPE:
        return quoted(time_text(packed))
    if kind == DATE_TYPE:
        return quoted(date_time_text(packed)[:10])
    if kind in MOMENT_TYPES:
        return quoted(date_time_text(packed))
    return quoted(f"base64:type{kind}:{base64.b64encode(data).decode()}")


def double_text(number: float) -> str:
    """A double of a document keeps its point: 1.0, not 1."""
    text = repr(number)
    if "e" in text:
        mantissa, _, exponent = text.partition("e")
        return f"{mantissa}e{int(exponent)}"
    return text


def quoted(text: Any) -> str:
    return json.dumps(text, ensure_ascii=False)
