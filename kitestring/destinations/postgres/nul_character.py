"""The character NUL, which PostgreSQL cannot store in texts or JSON."""

from __future__ import annotations

import re
from functools import partial
from operator import methodcaller
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

JSON_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")


def without_nul(rows: pa.Table) -> pa.Table:
    """The rows with U+FFFD for NUL, which PostgreSQL cannot store in texts or JSON."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for n, field in enumerate(rows.schema):
        column = rows.column(n)
        is_json = isinstance(field.type, pa.BaseExtensionType) and field.type.extension_name == "arrow.json"
        if not is_json and not pa.types.is_string(field.type) and not pa.types.is_large_string(field.type):
            continue
        text = pa.chunked_array([chunk.storage for chunk in column.chunks], pa.string()) if is_json else column
        if not (pc.any(pc.match_substring(text, "\\u0000")).as_py() if is_json else has_nul(text)):
            continue
        without = partial(JSON_NUL.sub, "\\1\ufffd") if is_json else methodcaller("replace", "\0", "\ufffd")
        values = [value and without(value) for value in text.to_pylist()]
        array = pa.array(values, pa.string())
        rows = rows.set_column(n, field.name, pa.ExtensionArray.from_storage(field.type, array) if is_json else array)
    return rows


def has_nul(texts: pa.ChunkedArray) -> bool:
    """Whether a text has one: the bytes of all texts are searched in one go."""
    import numpy as np
    import pyarrow as pa

    for chunk in texts.chunks:
        _, offsets, data = chunk.buffers()
        if data is None or not len(chunk):
            continue
        bounds = np.frombuffer(offsets, np.int32 if pa.types.is_string(chunk.type) else np.int64)
        begin, end = bounds[chunk.offset], bounds[chunk.offset + len(chunk)]
        if end > begin and np.frombuffer(data, np.uint8)[begin:end].min() == 0:
            return True
    return False
