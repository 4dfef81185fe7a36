"""Whether dates and timestamps lie in the years that a vendor has."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

FIRST_S, END_S = -62_135_596_800, 253_402_300_800
"""The seconds from 1970 to the first day of the year 1, and to the end of the year 9999."""
DAY_S = 86_400
PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def is_moment(type_: pa.DataType) -> bool:
    """Whether it is a type of dates or timestamps."""
    import pyarrow as pa

    return bool(pa.types.is_date(type_) or pa.types.is_timestamp(type_))


def lies_beyond(column: pa.ChunkedArray, first_s: int = FIRST_S, end_s: int = END_S) -> bool:
    """Whether a date or a timestamp is before `first_s` or not before `end_s`, in seconds from 1970. `column` has dates
    as days (`date32`) or timestamps of any unit."""
    import pyarrow as pa
    import pyarrow.compute as pc

    in_days = pa.types.is_date32(column.type)
    bounds = pc.min_max(column.cast(pa.int32() if in_days else pa.int64())).as_py()
    if bounds["min"] is None:
        return False
    length_s, unit = (DAY_S, 1) if in_days else (1, PER_SECOND[column.type.unit])
    return bool(bounds["min"] * length_s < first_s * unit or bounds["max"] * length_s >= end_s * unit)
