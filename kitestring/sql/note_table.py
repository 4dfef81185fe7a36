"""Notes in a separate table, for a vendor without comments on tables."""

from __future__ import annotations

from kitestring.sql.connection import Connection
from kitestring.sql.identifiers import OWN

NOTES = f"{OWN}tables"


class NoteTable(Connection):
    """Stores notes by the name of their table in `_kitestring_tables` of the same schema."""

    def note(self, schema: str, table: str) -> str | None:
        rows = self._has_notes(schema) and self.rows(f"SELECT note FROM {self._notes(schema)} WHERE {self._is(table)}")  # noqa: S608 - quoted
        return str(rows[0][0]) if rows else None

    def notes(self) -> list[tuple[str, str, str]]:
        # A name is folded there: the table is found by it all the same.
        return [
            (schema, name, note)
            for schema in self.schemas_with_notes()
            for name, note in self.rows(f"SELECT name, note FROM {self._notes(schema)}")  # noqa: S608 - quoted
        ]

    def schemas_with_notes(self) -> list[str]:
        """The schemas with a table of notes. Default: from the catalog of standard SQL."""
        query = f"SELECT table_schema FROM information_schema.tables WHERE table_name = {self.dialect.literal(NOTES)}"  # noqa: S608 - ours
        return [schema for (schema,) in self.rows(query)]

    def set_note(self, schema: str, table: str, text: str) -> None:
        literal = self.dialect.literal
        if not self._has_notes(schema):
            type_name = self.dialect.type_name("VARCHAR")
            self.rows(f"CREATE TABLE {self._notes(schema)} (name {type_name}, note {type_name})")
        self.rows(f"DELETE FROM {self._notes(schema)} WHERE {self._is(table)}")  # noqa: S608 - quoted
        self.rows(f"INSERT INTO {self._notes(schema)} VALUES ({literal(self._key(table))}, {literal(text)})")  # noqa: S608 - quoted

    def rename(self, schema: str, table: str, name: str) -> None:
        super().rename(schema, table, name)
        note = self.note(schema, table)
        if note is not None:
            self._forget(schema, table)
            self.set_note(schema, name, note)

    def drop(self, schema: str, table: str) -> None:
        super().drop(schema, table)
        self._forget(schema, table)

    def _forget(self, schema: str, table: str) -> None:
        if self._has_notes(schema):
            self.rows(f"DELETE FROM {self._notes(schema)} WHERE {self._is(table)}")  # noqa: S608 - quoted

    def _notes(self, schema: str) -> str:
        return self.reference(schema, NOTES)

    def _has_notes(self, schema: str) -> bool:
        return bool(self.columns(schema, NOTES))

    def _key(self, table: str) -> str:
        return self.dialect.folded(table)

    def _is(self, table: str) -> str:
        return f"name = {self.dialect.literal(self._key(table))}"
