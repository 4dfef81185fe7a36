"""The merge of warehouses: MERGE updates changed rows and inserts new ones, in the transaction of the batch.

The staged rows have a column with their number, `Dialect.staged_row`; tables need no number of their rows.
"""

from __future__ import annotations

from collections.abc import Sequence

from kitestring.sql.key import conditions
from kitestring.sql.merge import Merge, MergeCounts, Statements, insert_rows
from kitestring.sql.types import TEXT


def merge_rows(connection: Statements, merge: Merge) -> MergeCounts:
    """Write the staged rows. If the table has a key more than once, from when all versions were written, its rows are
    deleted and inserted, since MERGE would change each of them."""
    matches = conditions(merge.parts)
    if not matches:
        insert_rows(connection, merge, in_order(connection))
        return MergeCounts()
    same, row = same_row(connection, merge), connection.dialect.staged_row
    unmarked = f"kept.{connection.dialect.quoted(merge.mark)} IS NULL" if merge.mark else "1 = 1"
    pairs = " UNION ALL ".join(
        f"SELECT incoming.{row} AS number, CASE WHEN {same} THEN 1 ELSE 0 END AS same, "  # noqa: S608 - quoted
        f"CASE WHEN {unmarked} THEN 1 ELSE 0 END AS unmarked "
        f"FROM {merge.table.reference} AS kept JOIN {merge.incoming} AS incoming ON {match}"
        for match in matches
    )
    ((pair_count, numbers, unchanged, replaced),) = connection.rows(
        "SELECT COUNT(*), COUNT(DISTINCT number), COALESCE(SUM(same), 0), "  # noqa: S608 - quoted
        f"COALESCE(SUM(CASE WHEN same = 0 THEN unmarked ELSE 0 END), 0) FROM ({pairs}) AS pairs"
    )
    if not pair_count:
        insert_rows(connection, merge, in_order(connection))
        return MergeCounts()
    if pair_count == numbers and len(matches) == 1:
        merge_by_key(connection, merge, matches[0], same)
        return MergeCounts(int(replaced), int(unchanged))
    return delete_and_insert(connection, merge, matches, pairs)


def same_row(connection: Statements, merge: Merge) -> str:
    """The condition that a row has the values of the staged one. Documents are compared by their texts."""
    dialect, columns = connection.dialect, merge.table.columns
    terms = []
    for column in merge.compared:
        kept, incoming = f"kept.{dialect.quoted(column)}", merge.value(column)
        if columns[column] == "JSON":
            kept = dialect.converted(kept, "JSON", TEXT)
            incoming = incoming if incoming == "NULL" else dialect.converted(incoming, "JSON", TEXT)
        terms.append(dialect.same(kept, incoming, nullable=True) if incoming != "NULL" else f"{kept} IS NULL")
    return " AND ".join(terms) or "1 = 1"


def merge_by_key(connection: Statements, merge: Merge, match: str, same: str) -> None:
    quoted, values = connection.dialect.quoted, {**merge.values, **merge.fresh}
    changes = {**dict.fromkeys(merge.table.columns, "NULL"), **values}
    assigned = ", ".join(f"{quoted(column)} = {value}" for column, value in changes.items())
    connection.rows(
        f"MERGE INTO {merge.table.reference} AS kept USING {merge.incoming} AS incoming ON {match} "  # noqa: S608 - quoted
        f"WHEN MATCHED AND NOT ({same}) THEN UPDATE SET {assigned} "
        f"WHEN NOT MATCHED THEN INSERT ({', '.join(map(quoted, values))}) VALUES ({', '.join(values.values())})"
    )


def delete_and_insert(connection: Statements, merge: Merge, matches: Sequence[str], pairs: str) -> MergeCounts:
    """Delete unchanged rows from the staged ones, and from the table those that others replace."""
    dialect = connection.dialect
    unchanged = connection.changed(
        f"DELETE FROM {merge.incoming} WHERE {dialect.staged_row} IN (SELECT number FROM ({pairs}) AS pairs "  # noqa: S608 - quoted
        "GROUP BY number HAVING COUNT(*) = 1 AND MIN(same) = 1)"
    )
    ((replaced,),) = connection.rows(f"SELECT COALESCE(SUM(unmarked), 0) FROM ({pairs}) AS pairs")  # noqa: S608 - quoted
    for match in matches:
        connection.changed(dialect.delete(merge.table.reference, merge.incoming, match))
    insert_rows(connection, merge, in_order(connection))
    return MergeCounts(int(replaced), unchanged)


def in_order(connection: Statements) -> str:
    """The clause for the order of the staged rows."""
    return f" ORDER BY incoming.{connection.dialect.staged_row}"


def matched_rows(
    connection: Statements, reference: str, incoming: str, number: str, matches: Sequence[str]
) -> tuple[int, int]:
    """How many keys have rows under these conditions, and how many rows these are: each has one of the keys at most."""
    pairs = " UNION ALL ".join(
        f"SELECT {number} AS number FROM {reference} AS kept JOIN {incoming} AS incoming ON {condition}"  # noqa: S608 - quoted
        for condition in matches
    )
    ((keys, rows),) = connection.rows(f"SELECT COUNT(DISTINCT number), COUNT(*) FROM ({pairs}) AS pairs")  # noqa: S608 - quoted
    return int(keys), int(rows)
