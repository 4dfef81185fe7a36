"""Rebuilding a table, for a vendor that cannot change the type of a column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from kitestring.sql.identifiers import OWN

if TYPE_CHECKING:
    from kitestring.sql.connection import Connection
    from kitestring.sql.stored_table import StoredTable

GROWN = f"{OWN}grown_"


def rebuild(connection: Connection, table: StoredTable, widened: Mapping[str, str], after: Sequence[str] = ()) -> None:
    """Copy a table into one with the wider kinds and give that its name, in one transaction; then run the statements
    `after`: those of its indexes and triggers. The note is unchanged."""
    dialect = connection.dialect
    quoted = dialect.quoted
    grown = connection.reference(table.schema, dialect.own(GROWN, table.name))
    kinds = {column: widened.get(column, kind) for column, kind in table.columns.items()}
    spelled = (f"{quoted(column)} {dialect.type_name(kind)}" for column, kind in kinds.items())
    values = (dialect.converted(quoted(column), table.columns[column], kind) for column, kind in kinds.items())
    with connection.transaction():
        connection.rows(f"CREATE TABLE {grown} ({', '.join(spelled)})")
        connection.rows(f"INSERT INTO {grown} SELECT {', '.join(values)} FROM {table.reference}")  # noqa: S608 - quoted
        connection.rows(f"DROP TABLE {table.reference}")
        connection.rows(f"ALTER TABLE {grown} RENAME TO {quoted(table.name)}")
        for statement in after:
            connection.rows(statement)
