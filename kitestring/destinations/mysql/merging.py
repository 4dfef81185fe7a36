"""The merge of MySQL: one join finds the rows with the incoming keys, and says which of them are unchanged."""

from __future__ import annotations

from kitestring.destinations.mysql.dialect import ROW
from kitestring.sql.identifiers import OWN
from kitestring.sql.key import conditions
from kitestring.sql.merge import Merge, MergeCounts, Statements

MATCHES = f"{OWN}matches"
"""The temporary table of pairs: a staged row and a row with its key."""

DIGESTS = f"{OWN}digests"
"""The temporary table with a digest of each row's key."""


def merge_rows(connection: Statements, merge: Merge) -> MergeCounts:
    """Delete the replaced rows, and insert all that are not unchanged.

    No statement reads a temporary table twice, which MySQL refuses.
    """
    counts = _remove(connection, merge)
    insert_rows(connection, merge)
    return counts


def insert_rows(connection: Statements, merge: Merge) -> None:
    """Insert the staged rows, in their order."""
    values = {**merge.values, **merge.fresh}
    columns = ", ".join(map(connection.dialect.quoted, values))
    connection.rows(
        f"INSERT INTO {merge.table.reference} ({columns}) "  # noqa: S608 - quoted
        f'SELECT {", ".join(values.values())} FROM {merge.incoming} AS incoming ORDER BY incoming."{ROW}"'
    )


def _by_digest(connection: Statements, merge: Merge) -> str:
    """A join with digests of the table's keys, where no index has them: a key in a nested value, or of several kinds.
    Without it, each row would be compared with each."""
    parts = [part for part in merge.parts if not part.is_column]
    if not parts:
        return ""
    digests = f"{merge.incoming.rpartition('.')[0]}.{connection.dialect.quoted(DIGESTS)}"
    kept, incoming = (
        f"md5(concat_ws(CHAR(31), {', '.join(expressions)}))"
        for expressions in ([part.key() for part in parts], [part.incoming_key for part in parts])
    )
    connection.rows(f"DROP TEMPORARY TABLE IF EXISTS {digests}")
    connection.rows(
        f"CREATE TEMPORARY TABLE {digests} (place bigint unsigned, digest char(32), KEY (digest)) ENGINE=InnoDB"
    )
    connection.rows(
        f'INSERT INTO {digests} SELECT kept."{ROW}", {kept} FROM {merge.table.reference} AS kept'  # noqa: S608 - quoted
    )
    return f"STRAIGHT_JOIN {digests} AS digests ON digests.digest = {incoming} "


def _remove(connection: Statements, merge: Merge) -> MergeCounts:
    """Delete unchanged rows from the staged ones, and from the table those that others replace."""
    dialect, table = connection.dialect, merge.table
    same = [
        dialect.same(f"kept.{dialect.quoted(column)}", merge.value(column), nullable=True) for column in merge.compared
    ]
    is_unmarked = f"kept.{dialect.quoted(merge.mark)} IS NULL" if merge.mark else "1"
    matches = f"{merge.incoming.rpartition('.')[0]}.{dialect.quoted(MATCHES)}"
    connection.rows(f"DROP TEMPORARY TABLE IF EXISTS {matches}")
    connection.rows(
        f"CREATE TEMPORARY TABLE {matches} (place bigint unsigned, number bigint unsigned, is_same int, "
        "is_unmarked int, KEY (number)) ENGINE=InnoDB"
    )
    digest_join = _by_digest(connection, merge)
    for condition in conditions(merge.parts):
        connection.rows(
            f'INSERT INTO {matches} SELECT kept."{ROW}", incoming."{ROW}", '  # noqa: S608 - quoted
            f"coalesce({' AND '.join(same)}, 0), {is_unmarked} "
            f"FROM {merge.incoming} AS incoming {digest_join}STRAIGHT_JOIN {table.reference} AS kept ON {condition}"
            + (f' AND kept."{ROW}" = digests.place' if digest_join else "")
        )
        digest_join = ""  # the second condition compares texts alone
    ((pairs, numbers),) = connection.rows(f"SELECT count(*), count(DISTINCT number) FROM {matches}")  # noqa: S608 - quoted
    if pairs > numbers:  # keys that the table has more than once: all their rows are replaced
        several = connection.rows(f"SELECT number FROM {matches} GROUP BY number HAVING count(*) > 1")  # noqa: S608 - quoted
        for start in range(0, len(several), 10_000):
            listed = ", ".join(str(number) for (number,) in several[start : start + 10_000])
            connection.rows(f"UPDATE {matches} SET is_same = 0 WHERE number IN ({listed})")  # noqa: S608 - quoted
    unchanged = connection.changed(
        f"DELETE incoming FROM {matches} AS matches STRAIGHT_JOIN {merge.incoming} AS incoming "
        f'ON incoming."{ROW}" = matches.number WHERE matches.is_same'
    )
    ((replaced,),) = connection.rows(f"SELECT count(*) FROM {matches} WHERE NOT is_same AND is_unmarked")  # noqa: S608 - quoted
    connection.rows(
        f"DELETE kept FROM {matches} AS matches STRAIGHT_JOIN {table.reference} AS kept "
        f'ON kept."{ROW}" = matches.place WHERE NOT matches.is_same'
    )
    digests = f"{merge.incoming.rpartition('.')[0]}.{dialect.quoted(DIGESTS)}"
    connection.rows(f"DROP TEMPORARY TABLE IF EXISTS {matches}, {digests}")
    return MergeCounts(replaced, unchanged)
