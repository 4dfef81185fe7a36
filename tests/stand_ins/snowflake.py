"""A Snowflake on the loopback interface: fakesnow, with what it does otherwise than Snowflake corrected.

- MERGE runs as DuckDB's own: fakesnow's knows only columns as values.
- A statement that changes tables commits the transaction that is open.
- The comment of a table may contain any text, and goes with the table: into its new name, or away.
- A moment that is null is read as null, not as the first second of 1970.
- COPY GRANTS is accepted, and CURRENT_WAREHOUSE() is known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from unittest import mock

FAULTS: set[str] = set()
"""Statements that are run, and whose answers are then lost, as often as they are asked for again."""

EXTRA = "_fs_global._fs_information_schema._fs_tables_ext"


@contextmanager
def snowflake_server() -> Iterator[dict[str, Any]]:
    """The arguments of a connection."""
    import fakesnow
    import fakesnow.arrow
    import fakesnow.cursor
    import fakesnow.info_schema
    import fakesnow.transforms

    cursor = fakesnow.cursor.FakeSnowflakeCursor
    with (
        mock.patch.object(fakesnow.transforms, "merge", lambda expression: [expression]),
        mock.patch.object(fakesnow.info_schema, "insert_table_comment_sql", comment_statement),
        mock.patch.object(cursor, "_execute", corrected(cursor._execute)),
        mock.patch.object(fakesnow.arrow, "timestamp_to_sf_struct", with_nulls(fakesnow.arrow.timestamp_to_sf_struct)),
        fakesnow.server() as arguments,
    ):
        yield arguments


def with_nulls(convert: Callable[..., Any]) -> Callable[..., Any]:
    import pyarrow as pa

    def run(moments: Any) -> Any:
        column = moments.combine_chunks() if isinstance(moments, pa.ChunkedArray) else moments
        structs = convert(column.fill_null(pa.scalar(0, pa.int64()).cast(column.type)))
        return pa.StructArray.from_arrays(structs.flatten(), fields=list(structs.type), mask=column.is_null())

    return run


def comment_statement(catalog: str, schema: str, table: str, comment: str | None) -> str:
    values = ", ".join(literal(text) for text in (catalog, schema, table, comment or ""))
    return (
        f"INSERT INTO {EXTRA} VALUES ({values}) "
        "ON CONFLICT (ext_table_catalog, ext_table_schema, ext_table_name) DO UPDATE SET comment = excluded.comment"
    )


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def corrected(execute: Callable[..., None]) -> Callable[..., None]:
    import duckdb
    import sqlglot
    from sqlglot import exp

    def run(cursor: Any, transformed: Any, params: Any = None) -> None:
        database = cursor._duck_conn
        if isinstance(transformed, exp.Alter | exp.Comment | exp.Create | exp.Drop):
            with suppress(duckdb.TransactionException):
                database.commit()
        if isinstance(transformed, exp.Merge):
            for assignment in transformed.find_all(exp.EQ):
                is_set = isinstance(assignment.parent, exp.Update) and isinstance(assignment.this, exp.Column)
                if is_set:
                    assignment.this.set("table", None)
            try:
                ((count,),) = database.execute(transformed.sql(dialect="duckdb")).fetchall()
            except duckdb.Error:
                execute(cursor, transformed, params)  # for its translation of errors
                raise
            execute(cursor, sqlglot.parse_one(f'SELECT {count} AS "number of rows inserted"', read="duckdb"))
            return
        for function in list(transformed.find_all(exp.Func)):
            if function.sql("snowflake").upper().startswith("CURRENT_WAREHOUSE"):
                function.replace(exp.Literal.string("COMPUTE_WH"))
        for properties in transformed.find_all(exp.Properties):
            for copying in list(properties.find_all(exp.CopyGrantsProperty)):
                copying.pop()
        execute(cursor, transformed, params)
        if transformed.key.upper() in FAULTS:
            raise RuntimeError("the answer is lost")
        table = transformed.find(exp.Table)
        if table is None or not isinstance(transformed, exp.Alter | exp.Drop):
            return
        place = table.catalog or cursor._conn.database, table.db or cursor._conn.schema, table.name
        names = ("ext_table_catalog", "ext_table_schema", "ext_table_name")
        where = " AND ".join(f"{name} = {literal(part or '')}" for name, part in zip(names, place, strict=True))
        with database.cursor() as other:
            if isinstance(transformed, exp.Drop):
                other.execute(f"DELETE FROM {EXTRA} WHERE {where}")
            for rename in transformed.find_all(exp.AlterRename):
                target = rename.this.name
                gone = where.replace(f"ext_table_name = {literal(place[2])}", f"ext_table_name = {literal(target)}")
                other.execute(f"DELETE FROM {EXTRA} WHERE {gone}")
                other.execute(f"UPDATE {EXTRA} SET ext_table_name = {literal(target)} WHERE {where}")

    return run
