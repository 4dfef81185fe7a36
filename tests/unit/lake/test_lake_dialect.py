"""Values that a table format does not have are refused, before its library sees them."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pyarrow as pa
import pytest

from kitestring.destinations.delta import DeltaDialect
from kitestring.destinations.iceberg import IcebergDialect

DAYS = (dt.date.max - dt.date(1970, 1, 1)).days
DAY_US = 86_400_000_000


@pytest.mark.parametrize(
    ("type_", "last", "beyond"),
    [
        (pa.date32(), DAYS, DAYS + 1),
        (pa.date32(), -719_162, -719_163),
        (pa.timestamp("us"), (DAYS + 1) * DAY_US - 1, (DAYS + 1) * DAY_US),
        (pa.timestamp("us", "UTC"), -719_162 * DAY_US, -719_162 * DAY_US - 1),
        (pa.time64("us"), DAY_US - 1, DAY_US),
    ],
)
def test_a_value_beyond_the_last_one_of_a_format_is_refused(type_: pa.DataType, last: int, beyond: int) -> None:
    def column(*values: int | None) -> Any:
        storage = pa.int32() if type_ == pa.date32() else pa.int64()
        return pa.chunked_array([pa.array(values, storage).cast(type_)])

    for dialect in (DeltaDialect(), IcebergDialect()):
        assert dialect.refusal(column(0, None, last)) is None
        assert dialect.refusal(column(None)) is None
        assert dialect.title in str(dialect.refusal(column(0, beyond)))
