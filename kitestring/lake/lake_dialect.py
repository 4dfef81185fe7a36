"""The SQL of a lake's connection: DuckDB's, with the types and names that table formats have."""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING, ClassVar

from kitestring.sql.duckdb_dialect import DuckdbDialect

if TYPE_CHECKING:
    import pyarrow as pa

ROW = "_kitestring_row"
"""The column of a working table with the number of a row of the lake; null for a new or changed row."""

NOT_IN_NAMES = re.compile(r"[^\w-]")
"""Readers of Parquet and of catalogs have trouble with spaces, dots, quotes and brackets in names."""


EPOCH = dt.date(1970, 1, 1)
FIRST_DAY, LAST_DAY = (dt.date.min - EPOCH).days, (dt.date.max - EPOCH).days
DAY_US = 86_400_000_000


class LakeDialect(DuckdbDialect):
    """A table format has fewer types than DuckDB: times of day, intervals and UUIDs are texts, integers have a sign."""

    compares = True
    row_id = "rowid"
    longest_name = 200  # with a prefix of ours it fits into a name of a file, and into catalogs with 255 characters
    reserved_schemas = frozenset()
    has_time: ClassVar[bool] = False
    has_small_integers: ClassVar[bool] = True

    @property
    def row_order(self) -> str:
        return ""

    def safe(self, name: str) -> str:
        return super().safe(NOT_IN_NAMES.sub("_", name))

    def plain_type(self, type_: pa.DataType) -> pa.DataType | None:
        import pyarrow as pa

        is_ = pa.types
        if isinstance(type_, pa.BaseExtensionType):
            return pa.string() if type_.extension_name == "arrow.uuid" else self.plain_type(type_.storage_type)
        if is_.is_timestamp(type_):
            return pa.timestamp("us", "UTC") if type_.tz else pa.timestamp("us")
        if is_.is_unsigned_integer(type_):
            wider = {8: pa.int16(), 16: pa.int32(), 32: pa.int64(), 64: pa.decimal128(20, 0)}
            return self.plain_type(wider[type_.bit_width])
        if not self.has_small_integers and is_.is_integer(type_) and type_.bit_width < 32:
            return pa.int32()
        if is_.is_time(type_):
            return pa.time64("us") if self.has_time else pa.string()
        if is_.is_date(type_):
            return pa.date32()
        if is_.is_duration(type_) or is_.is_interval(type_):
            return pa.string()
        if is_.is_decimal(type_) and type_.scale > type_.precision:
            return pa.string()
        if is_.is_map(type_):
            return None
        if is_.is_fixed_size_binary(type_) or is_.is_large_binary(type_):
            return pa.binary()
        if is_.is_large_string(type_) or is_.is_string_view(type_):
            return pa.string()
        return super().plain_type(type_)

    def refusal(self, column: pa.ChunkedArray) -> str | None:
        """The libraries of table formats break off at dates that Python does not have either, and a time of day of
        24:00 is read as 00:00."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if pa.types.is_time64(column.type):
            latest = pc.max(column.cast(pa.int64())).as_py()
            return (
                f"the time 24:00, which {self.title} does not have" if latest is not None and latest >= DAY_US else None
            )
        is_date = pa.types.is_date32(column.type)
        if not is_date and not pa.types.is_timestamp(column.type):
            return None
        limits = pc.min_max(column.cast(pa.int32() if is_date else pa.int64())).as_py()
        unit = 1 if is_date else DAY_US
        if limits["min"] is None or (FIRST_DAY * unit <= limits["min"] and limits["max"] < (LAST_DAY + 1) * unit):
            return None
        return f"a date outside of the years 1 to 9999, which {self.title} has"

    def type_name(self, kind: str) -> str:
        return "VARCHAR" if kind == "JSON" else kind

    def converted(self, value: str, kind: str, target: str) -> str:
        if "JSON" in (kind, target):
            return self.converted(value, self.type_name(kind), self.type_name(target))
        return super().converted(value, kind, target)

    def update(self, reference: str, assignments: str, incoming: str, condition: str) -> str:
        return super().update(reference, f"{assignments}, {self.quoted(ROW)} = NULL", incoming, condition)
