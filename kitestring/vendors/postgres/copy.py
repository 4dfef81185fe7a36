"""Arrow as the stream of `COPY … (FORMAT binary)`, encoded by columns.

https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-BINARY-FORMAT: a row is the count of its fields and the
fields, a field is its length and its bytes, a null the length -1. Each column becomes arrays of such fields, and Arrow
joins them by rows; the result is the stream.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from kitestring.arrow_values import ENDLESS_DAY, ENDLESS_TICK
from kitestring.errors import RecordError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

CHUNK_BYTES = 2 * 1024 * 1024
"""Approximate bytes of Arrow per part of the stream, small enough for the processor's cache."""

HEADER, TRAILER = b"PGCOPY\n\xff\r\n\0" + bytes(8), b"\xff\xff"
NULL = b"\xff\xff\xff\xff"
JSONB = 1
"""The version of jsonb's format, before the text."""

DAYS = 10_957
"""Days from 1970, Arrow's epoch, to 2000, PostgreSQL's."""
FIRST_DAY = -2_451_545 + DAYS
"""PostgreSQL's first day, 4713 BC, in days since 1970."""
DAY = 86_400_000_000
"""In microseconds."""
NEGATIVE = 0x4000
TEN_THOUSAND = 10_000
"""The base of the digits of `numeric`."""
LONGEST = 11
"""The digits that hold any value of decimal128, with the point at any position."""


def copy_stream(rows: pa.Table) -> Iterator[memoryview]:
    """The parts of the stream. The columns of the table must have exactly the types of these: smallint for 8 and 16
    bits, `jsonb` for `arrow.json`, `uuid` for `arrow.uuid`. `RecordError` for a value that PostgreSQL does not have."""
    import pyarrow as pa
    import pyarrow.compute as pc

    yield memoryview(HEADER)
    count, nothing = (pa.scalar(value, pa.large_binary()) for value in (rows.num_columns.to_bytes(2, "big"), b""))
    size = max(1, CHUNK_BYTES * rows.num_rows // max(rows.nbytes, 1))
    for batch in rows.to_batches(max_chunksize=size):
        if batch.num_rows:
            parts = [array for column in batch.columns for array in fields(column)]
            joined = pc.binary_join_element_wise(count, *parts, nothing, null_handling="replace", null_replacement=NULL)
            yield memoryview(joined.buffers()[2])
    yield memoryview(TRAILER)


def fields(column: pa.Array) -> list[pa.Array]:
    """The fields of a column as one array, or two to be joined. Null means the field NULL."""
    import numpy as np
    import pyarrow as pa

    is_ = pa.types
    if is_.is_dictionary(column.type):
        column = column.dictionary_decode()
    version = b""
    if isinstance(column.type, pa.BaseExtensionType):
        version = bytes([JSONB]) if column.type.extension_name == "arrow.json" else b""
        column = column.storage
    type_ = column.type
    if is_.is_null(type_):
        return [column.cast(pa.large_binary())]
    if is_.is_string(type_) or is_.is_large_string(type_) or is_.is_binary(type_) or is_.is_large_binary(type_):
        return texts(column, version)
    values = fixed_size_values(column)
    whole = np.empty(len(column), [("length", ">i4"), ("value", values.dtype, values.shape[1:])])
    whole["length"] = values[:1].nbytes
    whole["value"] = values
    return [binary_values(whole, column)]


def texts(column: pa.Array, version: bytes) -> list[pa.Array]:
    """The lengths, and the bytes, of texts and binary values."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    to = pa.large_binary()
    data = column.cast(pa.binary() if pa.types.is_string(column.type) else to).cast(to)
    lengths = pc.binary_length(data).fill_null(0).to_numpy() + len(version)
    if len(lengths) and lengths.max() >= 2**31:
        raise RecordError("a value has more than 2 GiB, PostgreSQL takes 1 GiB at most")
    before = np.empty(len(data), [("length", ">i4"), ("version", "u1", len(version))])
    before["length"] = lengths
    before["version"] = JSONB
    return [binary_values(before, column), data.fill_null(b"")]


def binary_values(values: np.ndarray[Any, Any], column: pa.Array) -> pa.Array:
    """The bytes of each value, null where the column is."""
    import numpy as np
    import pyarrow as pa

    size = values.dtype.itemsize
    offsets = np.arange(0, (len(values) + 1) * size, size, dtype=np.int64)
    validity = column.is_valid().buffers()[1] if column.null_count else None
    return pa.Array.from_buffers(
        pa.large_binary(), len(values), [validity, pa.py_buffer(offsets), pa.py_buffer(values.view(np.uint8))]
    )


def fixed_size_values(column: pa.Array) -> np.ndarray[Any, Any]:
    """The values of a fixed-size type in PostgreSQL's byte order. Values at nulls are arbitrary."""
    import numpy as np
    import pyarrow as pa

    is_, type_ = pa.types, column.type
    if is_.is_decimal(type_):
        return numeric(column)
    if is_.is_fixed_size_binary(type_):
        return buffer(column, np.dtype((np.void, type_.byte_width)))
    if is_.is_boolean(type_):
        return buffer(column.cast(pa.uint8()), np.dtype("u1"))
    if is_.is_int8(type_):
        return buffer(column, np.dtype("i1")).astype(">i2")
    if is_.is_float16(type_):
        return buffer(column, np.dtype("f2")).astype(">f4")
    if is_.is_floating(type_):
        return buffer(column, np.dtype(f"f{type_.bit_width // 8}")).astype(f">f{type_.bit_width // 8}")
    if is_.is_signed_integer(type_):
        return buffer(column, np.dtype(f"i{type_.bit_width // 8}")).astype(f">i{type_.bit_width // 8}")
    if is_.is_date(type_):
        return since_2000(column.cast(pa.date32()), "i4", 1)
    if is_.is_timestamp(type_):
        return since_2000(microseconds(column, pa.timestamp("us", type_.tz)), "i8", DAY)
    if is_.is_time(type_):
        return buffer(microseconds(column, pa.time64("us")), np.dtype("i8")).astype(">i8")
    raise NotImplementedError(f"a column of {type_} for COPY")


def buffer(column: pa.Array, dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """The values of a column in memory."""
    import numpy as np

    values = np.frombuffer(column.buffers()[1], np.uint8)
    return values[column.offset * dtype.itemsize :][: len(column) * dtype.itemsize].view(dtype)


def microseconds(column: pa.Array, type_: pa.DataType) -> pa.Array:
    """The times in microseconds; finer digits are cut off."""
    import pyarrow as pa

    try:
        return column.cast(type_, safe=column.type.unit != "ns")
    except pa.ArrowInvalid as error:
        raise RecordError(f"PostgreSQL cannot take a value: {error}") from error


def since_2000(column: pa.Array, dtype: str, day: int) -> np.ndarray[Any, Any]:
    import numpy as np
    import pyarrow.compute as pc

    end = ENDLESS_DAY if day == 1 else ENDLESS_TICK
    numbers = column.view("int64" if dtype == "i8" else "int32")
    least, most = pc.min_max(numbers).as_py().values()
    is_endless = least is not None and (least == -end or most == end)
    first = pc.min(pc.if_else(pc.equal(numbers, -end), 0, numbers)).as_py() if least == -end else least
    if first is not None and first < FIRST_DAY * day:
        kind = "date" if day == 1 else "timestamp"
        raise RecordError(f"PostgreSQL cannot take a value: {kind} out of range: it is before the year 4713 BC")
    values = buffer(column, np.dtype(dtype))
    since = values - DAYS * day
    if is_endless:  # PostgreSQL's -infinity is one below the negative of infinity
        since = np.where(values == end, values, np.where(values == -end, values - 1, since))
    return since.astype(f">{dtype}")


def numeric(column: pa.Array) -> np.ndarray[Any, Any]:
    """For each value: the count of digits, the weight of the first (a power of the base), the sign, the count of
    decimal digits after the point, and the digits. The server removes zeros at both ends."""
    import numpy as np
    import pyarrow as pa

    scale = column.type.scale
    if column.type.bit_width != 128:
        column = column.cast(pa.decimal128(column.type.precision, scale))
    pad = -scale % 4  # decimal digits, so that the point is between two digits of PostgreSQL
    halves = buffer(column, np.dtype([("low", "i8"), ("high", "i8")]))
    low, high = halves["low"], halves["high"]
    if column.null_count:
        is_valid = column.is_valid().to_numpy(zero_copy_only=False)
        low, high = np.where(is_valid, low, 0), np.where(is_valid, high, 0)
    largest = max(int(low.max()), -int(low.min())) * 10**pad
    if largest < 2**63 and (high == low >> 63).all():
        digits = short_digits(np.abs(low) * 10**pad, largest)
    else:
        digits = long_digits(low, high, 10**pad)
    values = np.empty((len(column), 4 + digits.shape[1]), ">i2")
    values[:, 0] = digits.shape[1]
    values[:, 1] = digits.shape[1] - 1 - (scale + pad) // 4
    values[:, 2] = np.where(high < 0, NEGATIVE, 0)
    values[:, 3] = max(scale, 0)
    values[:, 4:] = digits
    return values


def short_digits(values: np.ndarray[Any, Any], largest: int) -> np.ndarray[Any, Any]:
    """The digits of integers of 64 bits, none of which is above `furthest`."""
    import numpy as np

    digits = np.empty((len(values), -(-len(str(largest)) // 4)), np.int16)
    for place in reversed(range(digits.shape[1])):
        higher = values // TEN_THOUSAND
        digits[:, place] = values - higher * TEN_THOUSAND
        values = higher
    return digits


def long_digits(low: np.ndarray[Any, Any], high: np.ndarray[Any, Any], factor: int) -> np.ndarray[Any, Any]:
    """The digits of integers of 128 bits, without their sign, times a factor below 2**32."""
    import numpy as np

    is_negative = high < 0
    low, high = low.view(np.uint64), high.view(np.uint64)
    low, high = (
        np.where(is_negative, ~low + np.uint64(1), low),
        np.where(is_negative, ~high + (low == 0).astype(np.uint64), high),
    )
    half, below = np.uint64(32), np.uint64(2**32 - 1)
    limbs = []  # of 32 bits, the lowest first
    carry = np.zeros(len(low), np.uint64)
    for limb in (low & below, low >> half, high & below, high >> half):
        product = limb * np.uint64(factor) + carry
        limbs.append(product & below)
        carry = product >> half
    limbs.append(carry)
    digits = np.empty((len(low), LONGEST), np.int16)
    base = np.uint64(TEN_THOUSAND)
    for place in reversed(range(LONGEST)):
        rest = np.zeros(len(low), np.uint64)
        for n in reversed(range(len(limbs))):
            value = (rest << half) | limbs[n]
            limbs[n] = value // base
            rest = value - limbs[n] * base
        digits[:, place] = rest
    return digits
