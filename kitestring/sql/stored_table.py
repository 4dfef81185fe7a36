"""The table of one stream as it is in the database: its name, columns and note. `Table` adds how it grows."""

from __future__ import annotations

from collections.abc import Mapping

from kitestring.sql.airbyte_column import AIRBYTE_COLUMNS
from kitestring.sql.dialect import Dialect
from kitestring.sql.note import Note
from kitestring.sql.types import TEXT
from kitestring.types import Stream

SEVERAL = "several"
"""The kind of a key column whose values are of several kinds; another column has the kind of each."""


class StoredTable:
    """A table that may be absent, as it was when it was last read."""

    def __init__(
        self,
        dialect: Dialect,
        reference: str,
        schema: str,
        name: str,
        stream: Stream,
        airbyte: bool,
        predecessor: StoredTable | None,
        writer: str,
    ) -> None:
        self.dialect = dialect
        self.reference = reference
        """The table as statements name it."""
        self.schema = schema
        self.name = name
        self.stream = stream
        self.predecessor = predecessor
        """The table that this one is to replace."""
        self.airbyte: bool = airbyte or (predecessor is not None and predecessor.airbyte)
        self.writer = writer
        """The sync that creates it."""
        self.columns: dict[str, str] = {}
        """The kind of each column, in order; none if the table is absent."""
        self.fields: dict[str, str] = {}
        """The column of each field."""
        self.comment: str | None = None
        self.note: Note | None = None

    @property
    def exists(self) -> bool:
        return bool(self.columns)

    @property
    def extra_columns(self) -> Mapping[str, str]:
        """The columns beside those of the fields, with their kinds."""
        return AIRBYTE_COLUMNS if self.airbyte else {}

    def has_entries(self, column: str) -> bool:
        return (
            self.note is not None
            and self.note.kinds.get(column) == SEVERAL
            and self.columns.get(column) == TEXT
            and self.dialect.key_column(column) in self.columns
        )
