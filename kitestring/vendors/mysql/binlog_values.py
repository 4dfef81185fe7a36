"""The values of a column of the binary log as Arrow, for all rows at once.

A value that Arrow has not (the date 0000-00-00, a time of 30 hours) is null, and noted with its text.
"""

from __future__ import annotations

import functools
import ipaddress
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kitestring.vendors.mysql import binlog_event as event
from kitestring.vendors.mysql.binlog_event import LoggedColumn
from kitestring.vendors.mysql.binlog_rows import DIGIT_BYTES
from kitestring.vendors.mysql.json_binary import json_text
from kitestring.vendors.mysql.packed_values import decimal_text
from kitestring.vendors.mysql.result_rows import gathered

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    Numbers = np.ndarray[Any, np.dtype[np.int64]]

WIDTHS = {event.TINY: 1, event.SHORT: 2, event.INT24: 3, event.LONG: 4, event.LONGLONG: 8}
CODECS = {
    "utf8mb4": "utf-8",
    "utf8mb3": "utf-8",
    "utf8": "utf-8",
    "ascii": "ascii",
    "latin1": "cp1252",
    "latin2": "iso8859-2",
    "latin5": "iso8859-9",
    "latin7": "iso8859-13",
    "greek": "iso8859-7",
    "hebrew": "iso8859-8",
    "cp1250": "cp1250",
    "cp1251": "cp1251",
    "cp1256": "cp1256",
    "cp1257": "cp1257",
    "koi8r": "koi8-r",
    "koi8u": "koi8-u",
    "cp850": "cp850",
    "cp852": "cp852",
    "cp866": "cp866",
    "ucs2": "utf-16-be",
    "utf16": "utf-16-be",
    "utf16le": "utf-16-le",
    "utf32": "utf-32-be",
    "gbk": "gbk",
    "gb2312": "gb2312",
    "gb18030": "gb18030",
    "big5": "big5",
    "sjis": "shift_jis",
    "cp932": "cp932",
    "ujis": "euc_jp",
    "eucjpms": "euc_jp",
    "euckr": "euc_kr",
    "tis620": "tis-620",
}
"""Character sets of MySQL, and the codecs that read them. A text in another one is read at the source."""
MOST_INTEGER_DIGITS = 18
DAY_US = 86_400_000_000
LAST_YEAR = 9999


@dataclass(slots=True)
class Spans:
    """The values of one column: where each is in the data, and which are null. `misfits`: the texts of values that are
    null in the array, by row."""

    data: Any
    bytes: Any
    starts: Numbers
    ends: Numbers
    nulls: Any
    misfits: dict[int, str] = field(default_factory=dict)

    def matrix(self, width: int, offset: int = 0) -> Any:
        """The bytes of each value as a row; those of a null are of no meaning."""
        import numpy as np

        if not width:
            return np.empty((len(self.starts), 0), np.uint8)
        # An array that has the bytes from each place on, of which each value is one element.
        windows: Any = np.ndarray(len(self.bytes) - offset - width + 1, f"V{width}", self.bytes, offset, (1,))
        return windows[self.starts].view(np.uint8).reshape(-1, width)

    def mask(self) -> Any:
        return self.nulls if self.nulls.any() else None

    def note(self, places: Any, text: Callable[[int], str]) -> Any:
        """Note the values at these places, unless they are null; the places that are null then."""
        places = places & ~self.nulls
        for row in places.nonzero()[0].tolist():
            self.misfits[row] = text(row)
        return places | self.nulls

    def binary(self) -> pa.Array:
        return gathered(self.data, self.starts, self.ends, self.nulls)


@dataclass(frozen=True, slots=True)
class Kind:
    """What a column holds, whatever its size: columns of one kind are read alike. None: not known."""

    name: str
    unsigned: bool | None = None
    charset: str | None = None
    members: tuple[str, ...] | None = None
    shape: tuple[int, ...] = ()
    """Digits of a decimal, bytes of a BINARY, digits of a fraction, bits."""

    def agrees(self, logged: Kind) -> bool:
        """Whether a column of the log may be this one of the catalog."""
        return (
            self.name == logged.name
            and self.shape == logged.shape
            and (logged.unsigned is None or self.unsigned == logged.unsigned)
            and (logged.charset is None or self.charset == logged.charset)
            and (logged.members is None or self.members == logged.members)
        )


INTEGER_NAMES = {
    event.TINY: "tinyint",
    event.SHORT: "smallint",
    event.INT24: "mediumint",
    event.LONG: "int",
    event.LONGLONG: "bigint",
}
OTHER_NAMES = {event.FLOAT: "float", event.DOUBLE: "double", event.YEAR: "year", event.DATE: "date"}
MOMENT_NAMES = {
    event.TIME2: "time",
    event.DATETIME2: "datetime",
    event.TIMESTAMP2: "timestamp",
}


def kind_of(column: LoggedColumn, charsets: dict[int, str]) -> Kind:
    """The kind of a column in the log."""
    type_ = column.type
    if type_ in INTEGER_NAMES:
        return Kind(INTEGER_NAMES[type_], column.unsigned)
    if type_ in OTHER_NAMES:
        return Kind(OTHER_NAMES[type_])
    if type_ in MOMENT_NAMES:
        return Kind(MOMENT_NAMES[type_], shape=(column.meta,))
    if type_ == event.DECIMAL:
        return Kind("decimal", shape=column.meta)
    if type_ == event.BIT:
        return Kind("bit", shape=(column.meta,))
    charset = charsets.get(column.collation or 0)
    if type_ in (event.ENUM, event.SET):
        members = None
        if column.members is not None and charset in (*CODECS, "binary"):
            codec = CODECS.get(charset, "latin-1")
            members = tuple(member.decode(codec, "replace") for member in column.members)
        return Kind("enum" if type_ == event.ENUM else "set", members=members)
    if type_ == event.JSON:
        return Kind("json")
    if type_ == event.GEOMETRY:
        return Kind("geometry")
    if type_ == event.STRING:
        return Kind("char", charset=charset, shape=(column.meta,))
    if type_ in event.BLOBS | {event.VARCHAR, event.VAR_STRING}:
        return Kind("text", charset=charset)
    return Kind(f"type {type_}")


def values(column: LoggedColumn, kind: Kind, spans: Spans, target: pa.DataType) -> pa.Array:
    """The values as they come from a read of the table. `kind`: that of the catalog."""
    import numpy as np
    import pyarrow as pa

    if not len(spans.starts):
        return pa.array([], target)
    name = kind.name
    if name in WIDTHS_BY_NAME:
        return integers(spans, WIDTHS_BY_NAME[name], bool(kind.unsigned), target)
    if name in ("float", "double"):
        width = 4 if name == "float" else 8
        numbers = np.ascontiguousarray(spans.matrix(width)).view(f"<f{width}").ravel()
        return pa.array(numbers, mask=spans.mask()).cast(target)
    if name == "year":
        years = spans.bytes[spans.starts].astype(np.int16)
        return pa.array(np.where(years == 0, 0, years + 1900).astype(np.int16), mask=spans.mask()).cast(target)
    if name == "decimal":
        return decimals(spans, kind.shape, target)
    if name == "bit":
        number = big_endian(spans.matrix((kind.shape[0] + 7) // 8))
        if pa.types.is_boolean(target):
            return pa.array(number != 0, mask=spans.mask())
        return pa.array(number.astype(np.uint64), mask=spans.mask()).cast(target)
    if name == "enum":
        return enums(spans, kind, column.meta)
    if name == "set":
        return sets(spans, kind, column.meta)
    if name == "json":
        return per_value(spans, json_text, target)
    if name in MOMENTS:
        return MOMENTS[name](spans, kind.shape[0] if kind.shape else 0, target)
    if name in ("uuid", "inet4", "inet6"):
        return per_value(spans, ADDRESSES[name], target, width=4 if name == "inet4" else 16)
    return texts(spans, kind, target)


def big_endian(matrix: Any) -> Any:
    import numpy as np

    padded = np.zeros((len(matrix), 8), np.uint8)
    padded[:, 8 - matrix.shape[1] :] = matrix
    return padded.view(">u8").ravel().astype(np.uint64)


def little_endian(matrix: Any) -> Any:
    return big_endian(matrix[:, ::-1])


WIDTHS_BY_NAME = {name: WIDTHS[type_] for type_, name in INTEGER_NAMES.items()}


def integers(spans: Spans, width: int, unsigned: bool, target: pa.DataType) -> pa.Array:
    import numpy as np
    import pyarrow as pa

    matrix = spans.matrix(width)
    if width == 3:
        fill = np.zeros(len(matrix), np.uint8) if unsigned else np.where(matrix[:, 2] & 0x80, 0xFF, 0).astype(np.uint8)
        matrix, width = np.concatenate([matrix, fill[:, None]], axis=1), 4
    numbers = np.ascontiguousarray(matrix).view(f"<{'u' if unsigned else 'i'}{width}").ravel()
    if pa.types.is_boolean(target):
        nulls = spans.note((numbers != 0) & (numbers != 1), lambda row: str(numbers[row]))
        return pa.array(numbers == 1, mask=nulls if nulls.any() else None)
    return pa.array(numbers, mask=spans.mask()).cast(target)


def decimals(spans: Spans, shape: tuple[int, ...], target: pa.DataType) -> pa.Array:
    import numpy as np
    import pyarrow as pa

    precision, scale = shape
    whole = precision - scale
    groups = [whole % 9, *[9] * (whole // 9), *[9] * (scale // 9), scale % 9]
    width = sum(DIGIT_BYTES[digits] for digits in groups)
    if precision > MOST_INTEGER_DIGITS:
        converted = [
            None if is_null else decimal_text(spans.data[start : start + width], precision, scale)
            for start, is_null in zip(spans.starts.tolist(), spans.nulls.tolist(), strict=True)
        ]
        return pa.array(converted, pa.string()).cast(target)
    matrix = spans.matrix(width)
    is_negative = matrix[:, 0] & 0x80 == 0
    matrix[:, 0] ^= 0x80
    matrix[is_negative] ^= 0xFF
    number, place = np.zeros(len(matrix), np.int64), 0
    for digits in groups:
        size = DIGIT_BYTES[digits]
        if size:
            number = number * 10**digits + big_endian(matrix[:, place : place + size]).astype(np.int64)
            place += size
    number = np.where(is_negative, -number, number)
    words = np.empty(2 * len(number), np.int64)
    words[::2], words[1::2] = number, number >> 63
    valid = None
    if spans.nulls.any():
        valid = pa.array(~spans.nulls).buffers()[1]
    return pa.Array.from_buffers(pa.decimal128(precision, scale), len(number), [valid, pa.py_buffer(words)]).cast(
        target
    )


def enums(spans: Spans, kind: Kind, width: int) -> pa.Array:
    import numpy as np
    import pyarrow as pa

    assert kind.members is not None
    number = little_endian(spans.matrix(width)).astype(np.int64)
    number[spans.nulls] = 0
    return pa.array(["", *kind.members], pa.string()).take(pa.array(number, mask=spans.mask()))


def sets(spans: Spans, kind: Kind, width: int) -> pa.Array:
    import numpy as np
    import pyarrow as pa

    assert kind.members is not None
    members = kind.members
    number = little_endian(spans.matrix(width))
    number[spans.nulls] = 0
    distinct, places = np.unique(number, return_inverse=True)
    named = [",".join(member for n, member in enumerate(members) if int(bits) >> n & 1) for bits in distinct]
    return pa.array(named, pa.string()).take(pa.array(places, mask=spans.mask()))


def texts(spans: Spans, kind: Kind, target: pa.DataType) -> pa.Array:
    import pyarrow as pa

    array = spans.binary()
    if pa.types.is_binary(target):
        if kind.name == "char":  # the zeros at the end of a BINARY are not in the log
            size = kind.shape[0]
            padded = [None if value is None else value.ljust(size, b"\0") for value in array.to_pylist()]
            return pa.array(padded, target)
        return array.cast(target)
    codec = CODECS[kind.charset or "utf8mb4"]
    if codec in ("utf-8", "ascii"):
        try:
            return array.cast(pa.large_string()).cast(target)
        except pa.ArrowInvalid:
            pass
    return pa.array([None if v is None else v.decode(codec, "replace") for v in array.to_pylist()], target)


def per_value(spans: Spans, read: Callable[[bytes], str], target: pa.DataType, width: int = 0) -> pa.Array:
    import pyarrow as pa

    converted = [
        None if value is None else read(value.ljust(width, b"\0") if width else value)
        for value in spans.binary().to_pylist()
    ]
    return pa.array(converted, target)


ADDRESSES: dict[str, Callable[[bytes], str]] = {
    "uuid": lambda data: str(uuid.UUID(bytes=data)),
    "inet4": lambda data: str(ipaddress.IPv4Address(data)),
    "inet6": lambda data: inet6_text(data),
}


def inet6_text(data: bytes) -> str:
    """An address as MariaDB writes it: one of IPv4 within it has points."""
    address = ipaddress.IPv6Address(data)
    if address.ipv4_mapped is not None:
        return f"::ffff:{address.ipv4_mapped}"
    if data[:12] == bytes(12) and data[12:14] != b"\0\0":
        return f"::{ipaddress.IPv4Address(data[12:])}"
    return str(address)


# -- dates and times ---------------------------------------------------------------------------------------------------


@functools.cache
def first_days() -> Any:
    """The days from 1970 to the first of each month, from January of the year 0 on."""
    import numpy as np

    months = np.arange(-1970 * 12, (LAST_YEAR + 1 - 1970) * 12 + 1)
    return months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)


def days(year: Any, month: Any, day: Any) -> tuple[Any, Any]:
    """Days since 1970, and which dates there are. MySQL has dates with a month or a day of 0."""
    import numpy as np

    is_month = (month >= 1) & (month <= 12) & (year > 0) & (year <= LAST_YEAR)
    firsts, months = first_days(), np.where(is_month, year * 12 + month - 1, 0)
    first = firsts[months]
    valid = is_month & (day >= 1) & (day <= firsts[months + 1] - first)
    return first + day - 1, valid


def dates(spans: Spans, _: int, target: pa.DataType) -> pa.Array:
    import numpy as np
    import pyarrow as pa

    packed = little_endian(spans.matrix(3)).astype(np.int64)
    year, month, day = packed >> 9, packed >> 5 & 15, packed & 31
    number, valid = days(year, month, day)
    nulls = spans.note(~valid, lambda row: f"{year[row]:04}-{month[row]:02}-{day[row]:02}")
    array = pa.array(number.astype(np.int32), mask=nulls if nulls.any() else None)
    return array.view(pa.date32()).cast(target)


def fraction(spans: Spans, digits: int, offset: int) -> Any:
    """Microseconds, from as many bytes as the digits need, the highest first."""
    import numpy as np

    size = (digits + 1) // 2
    if not size:
        return np.zeros(len(spans.starts), np.int64)
    return big_endian(spans.matrix(size, offset)).astype(np.int64) * 100 ** (3 - size)


def date_times(spans: Spans, digits: int, target: pa.DataType) -> pa.Array:
    import numpy as np

    packed = big_endian(spans.matrix(5)).astype(np.int64) - 0x8000000000
    micros = fraction(spans, digits, 5)
    months, clock = packed >> 22, packed & 0x1FFFF
    parts = (months // 13, months % 13, packed >> 17 & 31, clock >> 12, clock >> 6 & 63, clock & 63)
    return moments(spans, parts, micros, digits, target)


def moments(spans: Spans, parts: Sequence[Any], micros: Any, digits: int, target: pa.DataType) -> pa.Array:
    import pyarrow as pa

    year, month, day, hour, minute, second = parts
    number, valid = days(year, month, day)

    def text(row: int) -> str:
        clock = f"{hour[row]:02}:{minute[row]:02}:{second[row]:02}"
        return f"{year[row]:04}-{month[row]:02}-{day[row]:02} {clock}{fraction_text(micros[row], digits)}"

    nulls = spans.note(~valid, text)
    ticks = number * DAY_US + ((hour * 60 + minute) * 60 + second) * 1_000_000 + micros
    return pa.array(ticks, mask=nulls if nulls.any() else None).view(pa.timestamp("us")).cast(target)


def fraction_text(micros: int, digits: int) -> str:
    return f".{micros:06}"[: digits + 1] if digits else ""


def timestamps(spans: Spans, digits: int, target: pa.DataType) -> pa.Array:
    import numpy as np

    return instants(spans, big_endian(spans.matrix(4)).astype(np.int64), fraction(spans, digits, 4), digits, target)


def instants(spans: Spans, seconds: Any, micros: Any, digits: int, target: pa.DataType) -> pa.Array:
    """Moments in UTC; 0 is the zero date."""
    import pyarrow as pa

    zero = (seconds == 0) & (micros == 0)
    nulls = spans.note(zero, lambda row: f"0000-00-00 00:00:00{fraction_text(0, digits)}")
    ticks = seconds * 1_000_000 + micros
    return pa.array(ticks, mask=nulls if nulls.any() else None).view(pa.timestamp("us", "UTC")).cast(target)


def times(spans: Spans, digits: int, target: pa.DataType) -> pa.Array:
    """Times of day; MySQL has those of -838 to 838 hours."""
    import numpy as np

    size = (digits + 1) // 2
    whole = big_endian(spans.matrix(3 + size)).astype(np.int64) - (0x800000 << (8 * size))
    is_negative = whole < 0
    whole = np.abs(whole)
    clock, micros = whole >> (8 * size), (whole & ((1 << (8 * size)) - 1)) * 100 ** (3 - size) if size else whole * 0
    return clocks(spans, is_negative, (clock >> 12 & 0x3FF, clock >> 6 & 63, clock & 63), micros, digits, target)


def clocks(
    spans: Spans, is_negative: Any, parts: Sequence[Any], micros: Any, digits: int, target: pa.DataType
) -> pa.Array:
    import pyarrow as pa

    hour, minute, second = parts
    ticks = ((hour * 60 + minute) * 60 + second) * 1_000_000 + micros

    def text(row: int) -> str:
        clock = f"{hour[row]:02}:{minute[row]:02}:{second[row]:02}{fraction_text(micros[row], digits)}"
        return f"-{clock}" if is_negative[row] else clock

    nulls = spans.note((is_negative & (ticks > 0)) | (ticks >= DAY_US), text)
    return pa.array(ticks, mask=nulls if nulls.any() else None).view(pa.time64("us")).cast(target)


MOMENTS: dict[str, Callable[[Spans, int, pa.DataType], pa.Array]] = {
    "date": dates,
    "datetime": date_times,
    "timestamp": timestamps,
    "time": times,
}
