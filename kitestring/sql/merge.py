"""The merge: staged rows go into a table and replace the rows with the same keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from kitestring.sql.airbyte_column import META
from kitestring.sql.dialect import Dialect
from kitestring.sql.key import Part, conditions
from kitestring.sql.stored_table import StoredTable

MOST_COMPARED = 900
"""In a table with more columns, unchanged rows are replaced too: SQLite compares at most 1,000 of two tables."""


@dataclass(frozen=True, slots=True)
class Merge:
    """The input of a merge. Expressions are over the alias `incoming`.

    `incoming` is the reference of the staged rows; their keys are distinct. `values`: the expression for each filled
    column, of the column's kind, by the column's name (not quoted). Other columns of the table become null in replaced
    rows. `fresh` are further columns with their expressions that describe the write itself: they are ignored when rows
    are compared. `parts`: the primary key, as expressions of both sides; empty if records are only added. `mark`: the
    column that marks deleted records, if marks are used; a replaced row loses its mark.
    """

    table: StoredTable
    incoming: str
    values: Mapping[str, str]
    fresh: Mapping[str, str] = field(default_factory=dict)
    parts: Sequence[Part] = ()
    mark: str | None = None
    rows: int = 0
    """The number of staged rows."""

    @property
    def compared(self) -> list[str]:
        """The columns by which a row is found unchanged: all but `fresh`. Where some rows have a null in place of a
        value that did not fit, two nulls may stand for two values, so the names of these values are compared too."""
        note = self.table.note
        own = {META} if note is not None and note.changes else set()
        return [column for column in self.table.columns if column not in self.fresh or column in own]

    def value(self, column: str) -> str:
        """The expression for a column."""
        return self.values.get(column) or self.fresh.get(column, "NULL")


@dataclass(frozen=True, slots=True)
class MergeCounts:
    """The result of a merge: how many unmarked rows were replaced (several per key if all versions were written
    before), and how many staged rows were unchanged and skipped."""

    replaced: int = 0
    unchanged: int = 0


class Statements(Protocol):
    """The part of a `Connection` that a merge needs: to run statements."""

    @property
    def dialect(self) -> Dialect: ...

    def rows(self, statement: str) -> list[tuple[Any, ...]]: ...

    def changed(self, statement: str) -> int: ...


def delete_and_insert(connection: Statements, merge: Merge) -> MergeCounts:
    """The merge in standard SQL: delete replaced rows, insert all."""
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
    insert_rows(connection, merge)
    return MergeCounts(replaced, unchanged)


def insert_rows(connection: Statements, merge: Merge, order: str = "") -> None:
    """Add the staged rows, `order`ed by this clause."""
    values = {**merge.values, **merge.fresh}
    connection.rows(
        f"INSERT INTO {merge.table.reference} ({', '.join(map(connection.dialect.quoted, values))}) "  # noqa: S608 - quoted
        f"SELECT {', '.join(values.values())} FROM {merge.incoming} AS incoming{order}"
    )


def _unchanged(connection: Statements, merge: Merge, matches: Sequence[str]) -> str:
    """A query for the staged rows whose key has exactly one row in the table, with the same values in all columns."""
    dialect, table = connection.dialect, merge.table
    same = [
        dialect.same(f"kept.{dialect.quoted(column)}", merge.value(column), nullable=True) for column in merge.compared
    ]
    pairs = " UNION ALL ".join(
        f"SELECT incoming.{dialect.staged_row} AS number, CASE WHEN {' AND '.join(same)} THEN 1 ELSE 0 END AS same "  # noqa: S608 - quoted
        f"FROM {table.reference} AS kept, {merge.incoming} AS incoming WHERE {match}"
        for match in matches
    )
    return f"SELECT number FROM ({pairs}) AS pairs GROUP BY number HAVING count(*) = 1 AND min(same) = 1"  # noqa: S608 - quoted
