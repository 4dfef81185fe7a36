"""Random ids of rows, made in one go: a database takes longer for each than to store the rest of the row."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

DASHES = (8, 13, 18, 23)
LENGTH = 36
MOST = 2**31 // LENGTH
"""The texts of an Arrow array have less than 2 GiB."""


def random_ids(count: int) -> pa.ChunkedArray:
    """UUIDs of version 4 (RFC 9562) as texts."""
    import pyarrow as pa

    return pa.chunked_array([_ids(min(MOST, count - at)) for at in range(0, count, MOST)], pa.string())


def _ids(count: int) -> pa.Array:
    import numpy as np
    import pyarrow as pa

    numbers = np.frombuffer(bytearray(os.urandom(16 * count)), np.uint8).reshape(count, 16)
    numbers[:, 6] = numbers[:, 6] & 0x0F | 0x40
    numbers[:, 8] = numbers[:, 8] & 0x3F | 0x80
    pairs = np.frombuffer(b"".join(b"%02x" % number for number in range(256)), np.uint16)
    letters = pairs[numbers].view(np.uint8)
    texts = np.full((count, LENGTH), ord("-"), np.uint8)
    texts[:, [n for n in range(LENGTH) if n not in DASHES]] = letters
    offsets = np.arange(0, (count + 1) * LENGTH, LENGTH, dtype=np.int32)
    return pa.Array.from_buffers(pa.string(), count, [None, pa.py_buffer(offsets), pa.py_buffer(texts)])
