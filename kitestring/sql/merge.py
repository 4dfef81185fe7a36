"""The merge: rows that are staged go into a table, in the place of those that have their keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from kitestring.sql.dialect import Dialect
from kitestring.sql.key import Part, conditions
from kitestring.sql.stored_table import StoredTable

MOST_COMPARED = 900
"""Of a table with more columns rows are replaced by themselves: SQLite compares 1,000 of two tables at most."""


@dataclass(frozen=True, slots=True)
class Merge:
    """What is to be written where. Expressions are over the alias `incoming`.

    `incoming` is the reference of what is staged; no two of its rows have one key. `values`: the expression for each
    column that is filled, of the column's kind, by the column's name (not quoted). Columns of the table that are not
    among them become null in rows that are replaced.
    `fresh` are further columns with their expressions, which say of each row when it was written: two rows are the same
    whatever they hold there. `parts`: the primary key, as expressions of both sides, one by one; empty where records
    are added only. `mark`: the column that marks deleted records, where marks are kept; a row that is replaced loses
    its mark.
    """

    table: StoredTable
    incoming: str
    values: Mapping[str, str]
    fresh: Mapping[str, str] = field(default_factory=dict)
    parts: Sequence[Part] = ()
    mark: str | None = None
    rows: int = 0
    """How many rows are staged."""


@dataclass(frozen=True, slots=True)
class MergeCounts:
    """What a merge did: how many rows without a mark were replaced (several of a key where it was written before with
    all versions), and how many staged rows were there unchanged and were left alone."""

    replaced: int = 0
    unchanged: int = 0


class Statements(Protocol):
    """What a merge needs of a `Connection`: to run statements."""

    @property
    def dialect(self) -> Dialect: ...

    def rows(self, statement: str) -> list[tuple[Any, ...]]: ...

    def changed(self, statement: str) -> int: ...


def delete_and_insert(connection: Statements, merge: Merge) -> MergeCounts:
    """The merge in standard SQL: delete what is replaced, insert all."""
    dialect, reference = connection.dialect, merge.table.reference
    quoted = dialect.quoted
    replaced = unchanged = 0
    removals = conditions(merge.parts)
    if removals and dialect.compares and len(merge.table.columns) <= MOST_COMPARED:
        unchanged = connection.changed(
            f"DELETE FROM {merge.incoming} WHERE {dialect.staged_row} IN ({_unchanged(connection, merge, removals)})"  # noqa: S608 - quoted
        )
    for condition in removals:
        removal = dialect.delete(reference, merge.incoming, condition)
        if merge.mark:
            marks = connection.rows(f"{removal} RETURNING {quoted(merge.mark)} IS NULL")
            replaced += sum(row[0] for row in marks)
        else:
            replaced += connection.changed(removal)
    values = {**merge.values, **merge.fresh}
    connection.rows(
        f"INSERT INTO {reference} ({', '.join(map(quoted, values))}) "  # noqa: S608 - quoted
        f"SELECT {', '.join(values.values())} FROM {merge.incoming} AS incoming"
    )
    return MergeCounts(replaced, unchanged)


def _unchanged(connection: Statements, merge: Merge, matches: Sequence[str]) -> str:
    """A query for the staged rows whose key has one row in the table, with the same values in all columns."""
    dialect, table = connection.dialect, merge.table
    same = [
        dialect.same(f"kept.{dialect.quoted(column)}", merge.values.get(column, "NULL"), nullable=True)
        for column in table.columns
        if column not in merge.fresh
    ]
    pairs = " UNION ALL ".join(
        f"SELECT incoming.{dialect.staged_row} AS number, CASE WHEN {' AND '.join(same)} THEN 1 ELSE 0 END AS same "  # noqa: S608 - quoted
        f"FROM {table.reference} AS kept, {merge.incoming} AS incoming WHERE {match}"
        for match in matches
    )
    return f"SELECT number FROM ({pairs}) AS pairs GROUP BY number HAVING count(*) = 1 AND min(same) = 1"  # noqa: S608 - quoted
