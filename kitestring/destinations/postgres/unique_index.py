"""The unique indexes of ours on the primary keys of tables, by which rows are merged."""

from __future__ import annotations

import logging
import time

from kitestring.identity import is_text
from kitestring.names import mark
from kitestring.sql.connection import Connection
from kitestring.sql.identifiers import OWN
from kitestring.sql.key import typed_fields
from kitestring.sql.stored_table import StoredTable

log = logging.getLogger("kitestring.postgres")

UNIQUE = f"{OWN}unique_"
"""The prefix of our indexes; a mark of the key follows, and one of the time."""


class UniqueIndexes:
    """The unique indexes of ours in a database.

    `unindexed`: the tables and keys that cannot have one. All connections of a destination share this set.
    """

    def __init__(self, connection: Connection, unindexed: set[tuple[str, str]]) -> None:
        self.connection = connection
        self.unindexed = unindexed

    def key(self, table: StoredTable) -> list[str]:
        """The primary key as expressions over the table, for its index."""
        dialect, stream = self.connection.dialect, table.stream
        key = []
        for path in stream.primary_key:
            column = table.fields[path[0]]
            name = dialect.quoted(column)
            if len(path) > 1:
                name = f"({dialect.inner(name, table.columns[column], path, is_text(stream.schema, path))})"
            elif path[0] in typed_fields(stream) and table.has_entries(column):
                name = f"(coalesce({dialect.quoted(dialect.key_column(column))}, '\"' || {name}))"
            key.append(name)
        return key

    def new_name(self, table: StoredTable) -> str:
        """A name for a new index of the table's key."""
        return f"{self._prefix(table)}{mark(f'{table.reference} {time.time_ns()}')}"

    def exists(self, table: StoredTable) -> bool:
        """Whether the table has the index of its key; drops those of other keys."""
        names, prefix = self._names(table), self._prefix(table)
        has_index = any(name.startswith(prefix) for name in names)
        if names and not has_index:
            self.drop(table)
        return has_index

    def is_impossible(self, table: StoredTable) -> bool:
        """Whether `give_up` was called for the table and its key."""
        return (table.reference, ", ".join(self.key(table))) in self.unindexed

    def give_up(self, table: StoredTable) -> None:
        """Note that the table's rows allow no unique index of its key."""
        log.info("a table has no unique index, so merging reads all of it", extra={"table": table.reference})
        self.drop(table)
        self.unindexed.add((table.reference, ", ".join(self.key(table))))

    def drop(self, table: StoredTable) -> None:
        """Drop all indexes of ours on the table."""
        for name in self._names(table):
            self.connection.rows(f"DROP INDEX {self.connection.reference(table.schema, name)}")

    def _prefix(self, table: StoredTable) -> str:
        return f"{UNIQUE}{mark(', '.join(self.key(table)))}_"

    def _names(self, table: StoredTable) -> list[str]:
        literal = self.connection.dialect.literal
        query = f"""
            SELECT c.relname::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
            WHERE i.indrelid = to_regclass({literal(self.connection.reference(table.schema, table.name))})
              AND i.indisvalid AND starts_with(c.relname, {literal(UNIQUE)})"""  # noqa: S608 - quoted
        return [name for (name,) in self.connection.rows(query)]
