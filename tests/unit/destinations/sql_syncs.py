"""Whole syncs into the file of a SQL destination, and what another program then reads there."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb

import kitestring as ks
from kitestring.testing.memory import MemorySource
from kitestring.types import Record

VENDORS = ["duckdb", "sqlite"]


def vendor_of(path: Path | str) -> str:
    return "sqlite" if str(path).endswith(".sqlite") else "duckdb"


def run(
    path: Path | str,
    streams: Mapping[str, Sequence[Record]],
    mode: str = "append_dedup",
    *,
    key: Sequence[str] = ("id",),
    schemas: Mapping[str, Mapping[str, Any]] | None = None,
    namespace: str | None = None,
    **options: Any,
) -> Any:
    """Sync these records of these streams with a new destination object."""
    source = MemorySource(records=streams, schemas=schemas or {})
    destination = ks.destination(vendor_of(path), {"path": str(path), **options})
    chosen = [ks.Selection(name, write_mode=mode, primary_key=list(key) or None) for name in streams]
    return ks.sync(source, destination, chosen, connection="c", state=False, namespace=namespace)


def synced(path: Path | str, streams: Mapping[str, Sequence[Record]], *args: Any, **more: Any) -> Any:
    """The same; it must have succeeded, and all that was read must be there."""
    result = run(path, streams, *args, **more)
    assert result.status == "succeeded", result.as_dict()
    assert not any(figures.rejected for figures in result.streams.values())
    return result


def table(path: Path | str, sql: str) -> list[tuple[Any, ...]]:
    if vendor_of(path) == "sqlite":
        with closing(sqlite3.connect(path)) as file:
            return file.execute(sql).fetchall()
    with duckdb.connect(str(path)) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return [tuple(row.values()) for row in connection.sql(sql).to_arrow_table().to_pylist()]


def execute(path: Path | str, sql: str) -> None:
    if vendor_of(path) == "sqlite":
        with closing(sqlite3.connect(path)) as file, file:
            file.execute(sql)
        return
    with duckdb.connect(str(path)) as connection:
        connection.execute(sql)


def columns(path: Path | str, name: str, schema: str = "main") -> dict[str, str]:
    if vendor_of(path) == "sqlite":
        return dict(table(path, f"SELECT name, type FROM pragma_table_info('{name}')"))  # type: ignore[arg-type]
    rows = table(
        path,
        "SELECT column_name, data_type FROM duckdb_columns() "
        f"WHERE schema_name = '{schema}' AND table_name = '{name}' ORDER BY column_index",
    )
    return dict(rows)  # type: ignore[arg-type]


def tables(path: Path | str) -> list[str]:
    if vendor_of(path) == "sqlite":
        rows = table(path, "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
        return [name for (name,) in rows if name != "_kitestring_tables"]
    return [name for (name,) in table(path, "SELECT table_name FROM duckdb_tables() ORDER BY ALL")]
