"""The DuckDB in memory in which statements on a lake run."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from kitestring.sql.duckdb_dialect import SAFE

if TYPE_CHECKING:
    import duckdb

MEMORY_LIMIT = "256MB"


@cache
def database(memory_limit: str) -> duckdb.DuckDBPyConnection:
    """The DuckDB of this process, in memory. Each connection has temporary tables of its own there."""
    import duckdb

    db = duckdb.connect(":memory:", config={**SAFE, "memory_limit": memory_limit})
    db.execute("SET GLOBAL TimeZone = 'UTC'")
    db.execute("SET GLOBAL enable_external_access = false")
    db.execute("SET GLOBAL lock_configuration = true")
    return db
