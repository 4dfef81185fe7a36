"""The rows of a table that have none of some keys, where null is a value of a key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kitestring.lake.memory_database import MEMORY_LIMIT, database
from kitestring.vendors.sql_quoting import quoted

if TYPE_CHECKING:
    import pyarrow as pa


def rows_without_keys(rows: pa.Table, keys: pa.Table) -> pa.Table:
    """The rows in their order; the columns of `keys` are columns of the rows."""
    with database(MEMORY_LIMIT).cursor() as db:
        db.register("_kitestring_rows", rows)
        db.register("_kitestring_keys", keys)
        same = " AND ".join(f"kept.{quoted(c)} IS NOT DISTINCT FROM keys.{quoted(c)}" for c in keys.column_names)
        remaining = db.sql(
            f"SELECT kept.* FROM _kitestring_rows AS kept "  # noqa: S608 - quoted
            f"WHERE NOT EXISTS (SELECT 1 FROM _kitestring_keys AS keys WHERE {same})"
        ).to_arrow_table()
    return remaining.cast(rows.schema)
