"""Arrow as the text that MySQL loads in bulk: the lines of `LOAD DATA`, or the rows of an INSERT.

Both are built by columns in Arrow and numpy. A value is written with all its digits; `UNHEX` on the server turns the
hexadecimal digits of bytes into bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from kitestring.errors import RecordError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

NULL_IN_LINES = "\\N"
ESCAPES = (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\0", "\\0"))
"""What `LOAD DATA` reads otherwise than written (https://dev.mysql.com/doc/refman/8.4/en/load-data.html)."""

CHUNK_BYTES = 32 * 1024 * 1024
"""About how much text is built at once."""


def lines(rows: pa.Table) -> Iterator[memoryview]:
    """The rows as lines, with tabs between fields and `\\N` for null."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for piece in pieces(rows):
        columns = [escaped(texts(column), ESCAPES) for column in piece.columns]
        joined = pc.binary_join_element_wise(
            *columns, pa.scalar("\t", pa.large_string()), null_handling="replace", null_replacement=NULL_IN_LINES
        )
        yield memoryview(joined_by(joined, "\n"))
        yield memoryview(b"\n")


def values(rows: pa.Table, limit: int, further: str = "") -> Iterator[memoryview]:
    """The rows as `(…), (…)` for the VALUES of an INSERT, each text of at most about `limit` bytes. `further` are
    expressions that every row ends with. Bytes are literals of hexadecimal digits. The session has
    `NO_BACKSLASH_ESCAPES`."""
    import pyarrow as pa
    import pyarrow.compute as pc

    text = pa.large_string()
    start, quote, end = (pa.scalar(part, text) for part in ("(", "'", f", {further})" if further else ")"))
    for piece in pieces(rows):
        columns = []
        for column in piece.columns:
            opening = pa.scalar("x'", text) if is_bytes(column.type) else quote
            body = escaped(texts(column), (("'", "''"),))
            columns.append(pc.binary_join_element_wise(opening, body, quote, pa.scalar("", text)))
        joined = pc.binary_join_element_wise(
            *columns, pa.scalar(",", text), null_handling="replace", null_replacement="NULL"
        )
        joined = pc.binary_join_element_wise(start, joined, end, pa.scalar("", text))
        joined = joined.combine_chunks() if isinstance(joined, pa.ChunkedArray) else joined
        for part in parts_of(joined, limit):
            yield memoryview(joined_by(part, ","))


def parts_of(texts: pa.Array, limit: int) -> Iterator[pa.Array]:
    """Texts in slices of about `limit` bytes; a longer text is a slice of its own."""
    import pyarrow.compute as pc

    ends = pc.cumulative_sum(pc.add(pc.binary_length(texts).cast("int64"), 1)).to_numpy()
    start = 0
    while start < len(ends):
        before = ends[start - 1] if start else 0
        end = max(start + 1, int(ends.searchsorted(before + limit, side="right")))
        yield texts.slice(start, end - start)
        start = end


def pieces(rows: pa.Table) -> Iterator[pa.Table]:
    """Slices of about `CHUNK_BYTES`."""
    count = max(1, rows.nbytes // CHUNK_BYTES)
    step = max(1, -(-rows.num_rows // count))
    for start in range(0, rows.num_rows, step):
        yield rows.slice(start, step)


def joined_by(texts: pa.Array | pa.ChunkedArray, separator: str) -> pa.Buffer:
    """All texts in one buffer."""
    import pyarrow as pa
    import pyarrow.compute as pc

    array = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
    whole = pa.LargeListArray.from_arrays(pa.array([0, len(array)], pa.int64()), array)
    return pc.binary_join(whole, pa.scalar(separator, pa.large_string()))[0].as_buffer()


def escaped(column: pa.Array, escapes: Sequence[tuple[str, str]]) -> pa.Array:
    """Texts with replacements; each is looked for first, since most texts need none."""
    import pyarrow.compute as pc

    data = column.buffers()[2]
    whole = memoryview(data) if data is not None else memoryview(b"")
    for character, replacement in escapes:
        if contains(whole, character.encode()):
            column = pc.replace_substring(column, character, replacement)
    return column


def contains(data: memoryview, character: bytes) -> bool:
    import numpy as np

    return bool((np.frombuffer(data, np.uint8) == character[0]).any())


def is_bytes(type_: pa.DataType) -> bool:
    import pyarrow as pa

    is_ = pa.types
    return bool(is_.is_binary(type_) or is_.is_large_binary(type_) or is_.is_fixed_size_binary(type_))


def texts(column: pa.ChunkedArray) -> pa.Array:
    """The values of a column of a plain type (see `Dialect.plain_type`) as texts that MySQL reads exactly."""
    import pyarrow as pa

    is_, text = pa.types, pa.large_string()
    type_ = column.type
    if isinstance(type_, pa.BaseExtensionType):
        storage = pa.chunked_array([chunk.storage for chunk in column.chunks], type_.storage_type)
        if type_.extension_name == "arrow.uuid":
            return uuids(storage.combine_chunks())
        return texts(storage)
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):  # too large for one array of its type
        array = array.cast(text).combine_chunks()
    if is_.is_null(type_):
        return pa.nulls(len(array), text)
    if is_bytes(type_):
        return hexadecimal(array)
    if is_.is_boolean(type_):
        return array.cast(pa.uint8()).cast(text)
    if is_.is_timestamp(type_):
        return microseconds(array, pa.timestamp("us", type_.tz)).cast(pa.timestamp("us")).cast(text)
    if is_.is_time(type_):
        return times(microseconds(array, pa.time64("us")))
    if is_.is_decimal(type_):
        return array.cast(pa.string()).cast(text)
    return array.cast(text)


def microseconds(array: pa.Array, type_: pa.DataType) -> pa.Array:
    """The times in microseconds; finer digits are cut off."""
    import pyarrow as pa

    try:
        return array.cast(type_, safe=array.type.unit != "ns")
    except pa.ArrowInvalid as error:
        raise RecordError(f"MySQL cannot take a value: {error}") from error


def times(array: pa.Array) -> pa.Array:
    """Times of a day as texts, 24:00:00 too, which Arrow has no text for."""
    import pyarrow as pa
    import pyarrow.compute as pc

    day = 86_400_000_000
    numbers = array.cast(pa.int64())
    is_end = pc.equal(numbers, day)
    usual = pc.if_else(is_end, pa.scalar(0, pa.int64()), numbers).cast(pa.time64("us")).cast(pa.large_string())
    return pc.if_else(is_end, pa.scalar("24:00:00", pa.large_string()), usual)


def hexadecimal(array: pa.Array) -> pa.Array:
    """Bytes as hexadecimal digits."""
    import numpy as np
    import pyarrow as pa

    wide = array.cast(pa.large_binary())
    if not len(wide):
        return pa.array([], pa.large_string())
    data = wide.buffers()[2]
    offsets = np.frombuffer(wide.buffers()[1], np.int64)[wide.offset : wide.offset + len(wide) + 1]
    content = memoryview(data)[offsets[0] : offsets[-1]] if data is not None else memoryview(b"")
    doubled = pa.py_buffer(((offsets - offsets[0]) * 2).tobytes())
    digits = pa.py_buffer(content.hex().encode())
    return pa.Array.from_buffers(pa.large_string(), len(wide), [mask(wide), doubled, digits])


def uuids(array: pa.Array) -> pa.Array:
    """UUIDs of 16 bytes as texts with dashes."""
    import numpy as np

    count = len(array)
    whole = np.frombuffer(array.buffers()[1], np.uint8)[array.offset * 16 : (array.offset + count) * 16]
    digits = np.frombuffer(whole.tobytes().hex().encode(), np.uint8).reshape(count, 32)
    spelled = np.full((count, 36), ord("-"), np.uint8)
    places = [*range(8), *range(9, 13), *range(14, 18), *range(19, 23), *range(24, 36)]
    spelled[:, places] = digits
    return fixed_texts(spelled, array)


def fixed_texts(spelled: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], array: pa.Array) -> pa.Array:
    """Texts of one length, null where the array is."""
    import numpy as np
    import pyarrow as pa

    count, size = spelled.shape
    offsets = np.arange(0, (count + 1) * size, size, dtype=np.int64)
    buffers = [mask(array), pa.py_buffer(offsets.tobytes()), pa.py_buffer(spelled.tobytes())]
    return pa.Array.from_buffers(pa.large_string(), count, buffers)


def mask(array: pa.Array) -> pa.Buffer | None:
    """The validity of an array, from its first value on."""
    return array.is_valid().buffers()[1] if array.null_count else None
