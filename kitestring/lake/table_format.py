"""What a table format implements: to find, read and change tables. Each change is one commit, all or nothing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import pyarrow as pa

Between = Mapping[str, tuple[Any, Any]]
"""By column, the smallest and the largest value that is looked for."""


class WriteId(NamedTuple):
    """The number of a write of one writer. A table keeps the last number of each writer with its rows."""

    writer: str
    number: int


class LakeTable(ABC):
    """A table as it was when it was opened, and as its own changes leave it.

    A change of another program in between that touches the same rows is a `TransientError`: nothing was changed then,
    and the caller opens the table again. Every method raises only errors of `kitestring.errors`.
    """

    schema: pa.Schema
    note: str | None
    """The text that `set_note` stored."""

    @abstractmethod
    def count(self) -> int:
        """The number of rows, from the metadata of the table."""

    @abstractmethod
    def scan(self, columns: Sequence[str], between: Between) -> pa.RecordBatchReader:
        """These columns of all rows, in an order that stays while nothing is written. Rows may be left out that are
        outside of `between` in some column."""

    @abstractmethod
    def has(self, write: WriteId) -> bool:
        """Whether the rows of this write, or of a later one of this writer, are in the table."""

    @abstractmethod
    def append(self, rows: pa.RecordBatchReader, write: WriteId | None) -> None:
        """Add rows with the columns of the table."""

    @abstractmethod
    def replace(self, keys: pa.Table, rows: pa.Table, write: WriteId | None) -> None:
        """Remove the rows that have, in the columns of `keys`, the values of one of its rows (null is a value), and add
        these rows."""

    @abstractmethod
    def overwrite(self, rows: pa.RecordBatchReader, note: str | None) -> None:
        """Replace all rows, the columns, and the note."""

    @abstractmethod
    def clear(self) -> None:
        """Remove all rows."""

    @abstractmethod
    def add_columns(self, fields: Sequence[pa.Field]) -> None:
        """Add columns; existing rows have null there."""

    def widen(self, fields: Sequence[pa.Field]) -> bool:
        """Give columns wider types without rewriting rows. False if the format cannot for all of these: nothing was
        changed then, and the table is rewritten."""
        return False

    @abstractmethod
    def set_note(self, text: str) -> None:
        """Store a text with the table."""


class TableFormat(ABC):
    """The tables of one lake. `schema` is a folder or namespace of the lake."""

    @abstractmethod
    def open(self, schema: str, table: str) -> LakeTable | None:
        """The table as it is now; None if it is absent."""

    @abstractmethod
    def create_schema(self, schema: str) -> None:
        """Create a schema if it is absent."""

    @abstractmethod
    def create(self, schema: str, table: str, columns: pa.Schema, note: str | None) -> LakeTable:
        """Create an empty table. `ConfigError` if there is something with its name."""

    @abstractmethod
    def drop(self, schema: str, table: str) -> None:
        """Remove a table with its files, if it exists."""

    @abstractmethod
    def listed(self) -> list[tuple[str, str]]:
        """The schema and the name of each table."""

    def close(self) -> None:
        """Let go of connections."""
