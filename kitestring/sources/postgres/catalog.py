"""What PostgreSQL's catalog says of tables: their columns, and ranges of pages in which they can be read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from kitestring.errors import ConfigError
from kitestring.json_codec import loads
from kitestring.sources.postgres.columns import COLUMNS, Column
from kitestring.types import Stream
from kitestring.vendors.postgres import Place, rows
from kitestring.vendors.sql_quoting import literal, quoted

PARTITION_BYTES = 64 * 1024 * 1024
EXPRESSIONS = 500
"""How many expressions one query evaluates: PostgreSQL takes 1,664 at most."""

# The tables with the rows of a table: itself, or the leaves of a partitioned one. `whole`: its pages can be read in
# ranges, which views, column rights and row policies do not allow.
PARTS = """
SELECT format('%I.%I', n.nspname, c.relname) AS name, pg_relation_size(c.oid) / p.page_bytes AS pages, p.page_bytes,
       c.relkind = 'r' AND coalesce(m.amname = 'heap', false) AND has_table_privilege(c.oid, 'SELECT')
       AND NOT row_security_active(t.oid) AS whole
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_class t ON t.oid = {0}::regclass
LEFT JOIN pg_am m ON m.oid = c.relam
CROSS JOIN (SELECT current_setting('block_size')::int8 AS page_bytes) p
WHERE c.oid IN (SELECT relid FROM pg_partition_tree(t.oid) WHERE isleaf) OR (c.oid = t.oid AND c.relkind <> 'p')
"""


def denied_error(place: Place, table: str) -> ConfigError:
    return ConfigError(
        f"the user {place.user} may not read {table} in {place}",
        hint=f"GRANT SELECT ON {table} TO {place.user}; and USAGE on its schema.",
        table=table,
    )


def columns_of(connection: Any, where: str) -> dict[str, list[Column]]:
    """The columns of the tables, by stream key."""
    tables: dict[str, list[Column]] = {}
    for row in rows(connection, COLUMNS.format(where=where)):
        tables.setdefault(f"{row['namespace']}.{row['name']}", []).append(Column(**row))
    return tables


def existing_values(connection: Any, columns: Sequence[Column]) -> dict[tuple[str, str, str], Any]:
    """The values of rows that are older than a column, as JSON values, by schema, table and column."""
    added, values = [c for c in columns if c.existing is not None and c.readable], {}
    for start in range(0, len(added), EXPRESSIONS):
        some = added[start : start + EXPRESSIONS]
        query = "SELECT " + ", ".join(f"{c.existing_as_json} AS c{n}" for n, c in enumerate(some))
        (row,) = rows(connection, query)
        values.update({c.place: loads(row[f"c{n}"]) for n, c in enumerate(some)})
    return values


def in_schemas(schemas: Sequence[str]) -> str:
    if schemas:
        return f"n.nspname IN ({', '.join(map(literal, schemas))})"
    return "n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%'"


def qualified_literals(stream: Stream) -> str:
    return f"{literal(stream.namespace or 'public')}, {literal(stream.name)}"


def table_of(stream: Stream) -> str:
    return f"{quoted(stream.namespace or 'public')}.{quoted(stream.name)}"


def page_ranges(connection: Any, table: str) -> Iterator[tuple[str, str]]:
    """Keys and FROM clauses that together read a table once; none if it must be read as a whole."""
    return ranges_of(page_plan(connection, table, PARTITION_BYTES))


def ranges_of(plan: Iterable[Sequence[Any]]) -> Iterator[tuple[str, str]]:
    """The keys and FROM clauses of the ranges of a plan.

    Pages have one size whatever the primary key is, and PostgreSQL 14 and later read a range of them directly. The last
    range of each table is open, so it includes pages that were added meanwhile.
    """
    for name, step, count in plan:
        for start in range(0, count * step, step):
            below = f" AND t.ctid < '({start + step},0)'" if start + step < count * step else ""
            yield f"{name}:{start}", f"{name} AS t WHERE t.ctid >= '({start},0)'{below}"


def page_plan(connection: Any, table: str, part_bytes: int, most_parts: int | None = None) -> list[list[Any]]:
    """How a table can be read in ranges of pages: for each table with rows of it its name, the pages of a range, and
    the number of ranges. Empty if it must be read as a whole."""
    parts = rows(connection, PARTS.format(literal(table)))
    if not all(part["whole"] for part in parts):
        return []
    pages = sum(part["pages"] for part in parts)
    plan = []
    for part in parts:
        step = max(1, part_bytes // part["page_bytes"], -(-pages // most_parts) if most_parts else 1)
        plan.append([part["name"], step, max(1, -(-part["pages"] // step))])
    return plan
