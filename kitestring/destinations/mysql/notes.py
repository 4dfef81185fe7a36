"""The notes of tables: in the comment of each, and what is longer than a comment in a table of ours."""

from __future__ import annotations

import re
import secrets

from kitestring.errors import ConfigError
from kitestring.sql.connection import Connection
from kitestring.sql.identifiers import OWN
from kitestring.vendors.mysql import Place

NOTES = f"{OWN}notes"
LONGEST = 2_048
"""The most characters of a comment (https://dev.mysql.com/doc/refman/8.4/en/create-table.html)."""

POINTER = re.compile(r'^kitestring: \{"note":"([0-9a-f]+)"\}$', re.MULTILINE)


class Notes:
    """The notes of a server. A note is written before the comment that points to it, so no crash parts a table from its
    note."""

    def __init__(self, connection: Connection, place: Place) -> None:
        self.connection = connection
        self.place = place

    def note(self, schema: str, table: str) -> str | None:
        comment = self._comment(schema, table)
        return None if comment is None else self._whole(schema, comment)

    def _comment(self, schema: str, table: str) -> str | None:
        literal = self.connection.dialect.literal
        rows = self.connection.rows(
            "SELECT table_comment, table_type FROM information_schema.tables "  # noqa: S608 - quoted
            f"WHERE table_schema = {literal(schema)} AND table_name = {literal(table)}"
        )
        if rows and "VIEW" in rows[0][1]:
            raise ConfigError(
                f"{self.place}: {schema}.{table} exists and is not a table",
                hint="Give the stream another name, prefix or namespace, or remove it.",
            )
        return str(rows[0][0]) if rows else None

    def pointer(self, schema: str, table: str) -> str | None:
        """The place of the note of a table in our own; None if it is in the comment."""
        pointer = POINTER.search(self._comment(schema, table) or "")
        return pointer[1] if pointer else None

    def all(self) -> list[tuple[str, str, str]]:
        """The schema, the name and the note of every table that has one."""
        rows = self.connection.rows(
            "SELECT table_schema, table_name, table_comment FROM information_schema.tables "
            "WHERE table_comment LIKE '%kitestring: {%'"
        )
        notes = [(schema, table, self._whole(schema, comment)) for schema, table, comment in rows]
        return [(schema, table, note) for schema, table, note in notes if note]

    def comment(self, schema: str, text: str) -> str:
        """The comment for a note: the note, or a pointer to it."""
        if len(text) <= LONGEST and all(ord(character) < 0x10000 for character in text):
            return text  # the catalog has no further characters
        connection = self.connection
        literal, number = connection.dialect.literal, secrets.token_hex(8)
        connection.rows(f"INSERT INTO {self._table(schema)} VALUES ({literal(number)}, {literal(text)})")  # noqa: S608 - quoted
        return f'kitestring: {{"note":"{number}"}}'

    def _whole(self, schema: str, comment: str) -> str | None:
        pointer = POINTER.search(comment)
        if pointer is None:
            return comment or None
        rows = self.connection.rows(f"SELECT note FROM {self._table(schema)} WHERE id = '{pointer[1]}'")  # noqa: S608 - quoted
        return str(rows[0][0]) if rows else comment

    # -- numbers of transactions ---------------------------------------------------------------------------------------

    def write_number(self, schema: str, writer: str, number: int) -> None:
        """Write the number of a writer's transaction, inside of it."""
        self.connection.rows(
            f"INSERT INTO {self._table(schema)} VALUES ('{writer}', '{number}') "  # noqa: S608 - quoted
            f"ON DUPLICATE KEY UPDATE note = '{number}'"
        )

    def number(self, schema: str, writer: str) -> int:
        """The number of a writer's last transaction; 0 without one. Waits for one that is not at its end."""
        rows = self.connection.rows(f"SELECT note FROM {self._table(schema)} WHERE id = '{writer}' FOR UPDATE")  # noqa: S608 - quoted
        return int(rows[0][0]) if rows else 0

    # -- their table ---------------------------------------------------------------------------------------------------

    def removal(self, schema: str, number: str) -> str:
        """The statement that removes what is no longer needed."""
        return f"DELETE FROM {self._table(schema)} WHERE id = '{number}'"  # noqa: S608 - quoted

    def create(self, schema: str) -> None:
        """Create the table, ahead of transactions that write to it."""
        self.connection.rows(
            f"CREATE TABLE IF NOT EXISTS {self._table(schema)} (id varchar(64) NOT NULL PRIMARY KEY, note longtext) "
            "ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4"
        )

    def _table(self, schema: str) -> str:
        return self.connection.reference(schema, NOTES)
