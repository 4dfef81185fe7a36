"""The merge of ClickHouse: one INSERT of the staged rows that are new or changed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from kitestring.destinations.clickhouse.dialect import COPY, HIDDEN, ClickhouseDialect
from kitestring.sql.key import Part, conditions
from kitestring.sql.merge import Merge, MergeCounts
from kitestring.sql.types import FLOATS

if TYPE_CHECKING:
    import pyarrow as pa

PLACE = re.compile(r"incoming\.(c\d+)")


@dataclass
class Attempt:
    """A write: its version once it has one, and what it counts. A write that is tried again keeps its version, so that
    the rows of both tries are one."""

    version: int = 0
    counts: MergeCounts = field(default_factory=MergeCounts)


class Statements(Protocol):
    """The part of a connection that a merge needs."""

    @property
    def dialect(self) -> ClickhouseDialect: ...

    def rows(self, statement: str) -> list[tuple[Any, ...]]: ...

    def insert_unstaged(self, insert: str, expressions: str) -> bool: ...


def insert_rows(connection: Statements, merge: Merge, attempt: Attempt) -> MergeCounts:
    """Insert all staged rows, into a table that has none of their keys."""
    attempt.counts = MergeCounts()
    copy = "0" if merge.parts else f"{attempt.version} + incoming.n"
    insert, expressions = inserted(connection, merge, attempt, copy)
    if not connection.insert_unstaged(insert, expressions):
        connection.rows(f"{insert} SELECT {expressions} FROM {merge.incoming} AS incoming")  # noqa: S608 - quoted
    return attempt.counts


def merge_rows(connection: Statements, merge: Merge, attempt: Attempt) -> MergeCounts:
    """Insert the staged rows, except those that the table has unchanged; they replace the rows with the same key and
    the copy 0. Those with another copy, which were appended, are deleted in the same INSERT."""
    pairs = pairs_of(connection, merge)
    grouped = (
        "SELECT number, count() = 1 AND min(same) AS is_same, countIf(unmarked) AS unmarked, "  # noqa: S608 - quoted
        f"countIf(copy != 0) AS copies FROM ({pairs}) GROUP BY number"
    )
    ((unchanged, replaced, copies),) = connection.rows(
        f"SELECT countIf(is_same), sumIf(unmarked, NOT is_same), sumIf(copies, NOT is_same) FROM ({grouped})"  # noqa: S608 - quoted
    )
    attempt.counts = MergeCounts(int(replaced or 0), int(unchanged))
    is_changed = ""
    if unchanged:
        is_changed = f"incoming.n NOT IN (SELECT number FROM ({grouped}) WHERE is_same)"  # noqa: S608 - quoted
    if unchanged == merge.rows:
        return attempt.counts
    insert, expressions = inserted(connection, merge, attempt, "0")
    where = f" WHERE {is_changed}" if is_changed else ""
    statement = f"{insert} SELECT {expressions} FROM {merge.incoming} AS incoming{where}"  # noqa: S608 - quoted
    if copies:
        statement += "".join(f" UNION ALL {select}" for select in deletions(connection, merge, attempt, is_changed))
    connection.rows(statement)
    return attempt.counts


def key_bounds(dialect: ClickhouseDialect, parts: Sequence[Part], rows: pa.Table | None) -> str:
    """A condition that all rows with the keys of these meet, by the smallest and the largest value of the first part:
    rows that are read in the order of their key have none in the table. Empty where the part has no such order."""
    import pyarrow as pa
    import pyarrow.compute as pc

    part = parts[0]
    place = PLACE.fullmatch(part.incoming)
    if rows is None or place is None or not part.is_column or any(other.unknown for other in parts):
        return ""
    values = rows.column(place[1])
    is_text = pa.types.is_string(values.type)
    if values.null_count or not (is_text or pa.types.is_integer(values.type)):
        return ""
    bounds = pc.min_max(values).as_py()
    low, high = (dialect.literal(bounds[end]) if is_text else str(bounds[end]) for end in ("min", "max"))
    return f"{part.key('')} >= {low} AND {part.key('')} <= {high}"


def inserted(connection: Statements, merge: Merge, attempt: Attempt, copy: str) -> tuple[str, str]:
    """The beginning of the INSERT, and the expressions for its columns."""
    values = {**merge.values, **merge.fresh}
    names = ", ".join(map(connection.dialect.quoted, [*values, *HIDDEN]))
    expressions = named([*values.values(), copy, str(attempt.version), "0"])
    return f"INSERT INTO {merge.table.reference} ({names})", expressions


def named(expressions: Iterable[str]) -> str:
    """Expressions, each with a name of its own: two with one text would be one column, in all parts of a UNION."""
    return ", ".join(f"{expression} AS e{n}" for n, expression in enumerate(expressions))


def pairs_of(connection: Statements, merge: Merge) -> str:
    """A query for the rows of the table with the keys of staged ones: the number of the staged row, whether its values
    are the same, whether the row is unmarked, and its copy."""
    dialect, table = connection.dialect, merge.table
    compared = set(merge.compared)
    same = [
        same_value(f"kept.{dialect.quoted(column)}", merge.values.get(column) or merge.fresh.get(column), kind)
        for column, kind in table.columns.items()
        if column in compared
    ]
    is_unmarked = f"kept.{dialect.quoted(merge.mark)} IS NULL" if merge.mark else "1"
    is_same = " AND ".join(same) or "1"
    selected = f"SELECT incoming.n AS number, {is_same} AS same, {is_unmarked} AS unmarked, kept.{COPY} AS copy"
    # By the sorted columns, parts of the table are left out.
    searches = [
        f"{part.key()} IN (SELECT {part.incoming_key} FROM {merge.incoming} AS incoming)"  # noqa: S608 - quoted
        for part in merge.parts
        if len(part.path) == 1 and not part.unknown
    ]
    where = f" WHERE {' AND '.join(searches)}" if searches else ""
    return " UNION ALL ".join(
        f"{selected} FROM {table.reference} AS kept INNER JOIN {merge.incoming} AS incoming ON {match}{where}"
        for match in conditions(merge.parts)
    )


def same_value(kept: str, value: str | None, kind: str) -> str:
    """Whether a value is that of the row; two nulls are, and two NaN. None is the value of a column that is not
    written."""
    if value is None:
        value = f"defaultValueOfArgumentType({kept})"
    equal = f"{kept} = {value}"
    if kind in FLOATS:
        equal = f"({equal} OR (isNaN({kept}) AND isNaN({value})))"
    return f"ifNull({equal}, isNull({kept}) AND isNull({value}))"


def deletions(connection: Statements, merge: Merge, attempt: Attempt, is_changed: str) -> list[str]:
    """Queries for the rows that delete those which were appended with the keys of staged rows."""
    table, quoted = merge.table, connection.dialect.quoted
    columns = [*merge.values, *merge.fresh]
    values = named([*(f"kept.{quoted(column)}" for column in columns), f"kept.{COPY}", str(attempt.version), "1"])
    more = f" AND {is_changed}" if is_changed else ""
    return [
        f"SELECT {values} FROM {table.reference} AS kept INNER JOIN {merge.incoming} AS incoming ON {match} "  # noqa: S608 - quoted
        f"WHERE kept.{COPY} != 0{more}"
        for match in conditions(merge.parts)
    ]
