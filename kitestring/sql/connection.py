"""One open connection to a database: what a vendor executes there, beyond the texts of its `Dialect`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from kitestring import arrow
from kitestring.errors import KitestringError
from kitestring.sql.dialect import Dialect
from kitestring.sql.key import Part
from kitestring.sql.merge import Merge, MergeCounts, delete_and_insert
from kitestring.sql.types import arrow_type

if TYPE_CHECKING:
    import pyarrow as pa

    from kitestring.sql.stored_table import StoredTable


class Connection(ABC):
    """Used by one thread at a time, which may differ between calls; streams that are written concurrently have separate
    connections. Every method raises only errors of `kitestring.errors`: `RecordError` for a value that the database
    does not accept, `TransientError` for what may work later. A broken connection sets `closed` and is not used again.

    Abstract methods must be implemented, the others have a default in standard SQL. A batch is written like this:

        table.refresh()                                   # columns(), and note() if they have changed
        table.fit(rows)                                   # create() and set_note(), or grow() and set_note()
        index(table, parts)                               # if the last version is kept
        with staged(rows) as incoming, transaction():
            merge(Merge(table, incoming, …))

    A replacement ends like this:

        with transaction():
            drop(schema, name)
            rename(schema, staged name, name)
    """

    dialect: Dialect
    closed: bool = False
    begin: ClassVar[str] = "BEGIN"
    """The statement that begins a transaction which writes."""

    @abstractmethod
    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """Run one statement, and fetch all it returns ([] where it returns nothing). Outside of `transaction` it is
        committed and durable when this returns."""

    @abstractmethod
    def changed(self, statement: str) -> int:
        """Run an INSERT, UPDATE or DELETE; returns how many rows it changed."""

    @abstractmethod
    def staged(self, rows: pa.Table) -> AbstractContextManager[str]:
        """Make rows readable for statements: by a view or a temporary table. Yields its reference for FROM.

        The columns are called c0, c1, … and have types that `Dialect.plain_type` returned; a column of only nulls may
        have any type. Entered before a transaction and left after it, never twice at once; the staged rows are then
        dropped.
        """

    @abstractmethod
    def columns(self, schema: str, table: str) -> dict[str, str]:
        """The kind of each column of a table by name, in order; {} without such a table. `ConfigError`, here or when
        the table is created, if a view or another object has this name."""

    @abstractmethod
    def note(self, schema: str, table: str) -> str | None:
        """The text that `set_note` stored for this table, with what users added to it."""

    @abstractmethod
    def set_note(self, schema: str, table: str, text: str) -> None:
        """Store a text with a table, as its comment; `NoteTable` stores it in a table of ours. `rename` and `drop` must
        include it."""

    @abstractmethod
    def close(self) -> None:
        """Close the connection; may be called twice. Sets `closed`."""

    # -- with a default ------------------------------------------------------------------------------------------------

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that runs inside is committed, durably, at the end, or rolled back on an error. Never entered twice."""
        self.rows(self.begin)
        try:
            yield
            self.rows("COMMIT")
        except BaseException:
            try:
                self.rows("ROLLBACK")
            except KitestringError:  # the database has ended the transaction itself
                self.close()
            raise

    def notes(self) -> list[tuple[str, str, str]] | None:
        """The schema, the name and the note of each table that has one; None if the vendor cannot list them."""
        return None

    def reference(self, schema: str, table: str = "") -> str:
        """A schema or a table as it is written in statements."""
        return ".".join(self.dialect.quoted(part) for part in (schema, table) if part)

    def kinds(self, rows: pa.Table) -> list[str]:
        """The kinds of columns for rows of plain types."""
        return [self.dialect.kind_of(field.type) for field in rows.schema]

    def arrow_types(self, table: StoredTable) -> dict[str, pa.DataType]:
        """The Arrow type for values of each column, to compare them with the table."""
        return {column: arrow_type(kind) for column, kind in table.columns.items()}

    def values(self, table: StoredTable, column: str) -> pa.ChunkedArray:
        """The distinct values of a column, without nulls, as in records. (For a key column whose values become of
        several kinds: rare.)"""
        import pyarrow as pa

        name = self.dialect.quoted(column)
        rows = self.rows(f"SELECT DISTINCT {name} FROM {table.reference} WHERE {name} IS NOT NULL")  # noqa: S608 - quoted
        type_ = self.arrow_types(table)[column]
        values = [bool(value) if pa.types.is_boolean(type_) else value for (value,) in rows]
        return pa.chunked_array([arrow.column(column, values, type_, [])])

    def create_schema(self, schema: str) -> None:
        self.rows(f"CREATE SCHEMA IF NOT EXISTS {self.reference(schema)}")

    def create(self, table: StoredTable, columns: Mapping[str, str]) -> None:
        """Create a table with columns of these kinds. In a transaction with its note."""
        spelled = (f"{self.dialect.quoted(name)} {self.dialect.type_name(kind)}" for name, kind in columns.items())
        self.rows(f"CREATE TABLE {table.reference} ({', '.join(spelled)})")

    def grow(self, table: StoredTable, added: Mapping[str, str], widened: Mapping[str, str]) -> None:
        """Add columns of these kinds, and change columns to wider kinds, with values converted by `Dialect.converted`.
        Need not be one transaction: each change alone is correct. (`rebuild` is for a vendor without such changes.)"""
        dialect = self.dialect
        for column, kind in added.items():
            self.rows(f"ALTER TABLE {table.reference} ADD COLUMN {dialect.quoted(column)} {dialect.type_name(kind)}")
        for column, kind in widened.items():
            name = dialect.quoted(column)
            using = dialect.converted(name, table.columns[column], kind)
            change = f"ALTER COLUMN {name} SET DATA TYPE {dialect.type_name(kind)} USING {using}"
            self.rows(f"ALTER TABLE {table.reference} {change}")

    def rename_columns(self, table: StoredTable, names: Mapping[str, str]) -> None:
        """Rename columns, all or none."""
        quoted = self.dialect.quoted
        with self.transaction():
            for old, new in names.items():
                self.rows(f"ALTER TABLE {table.reference} RENAME COLUMN {quoted(old)} TO {quoted(new)}")

    def rename(self, schema: str, table: str, name: str) -> None:
        """Rename a table, its note with it. In a transaction or not."""
        self.rows(f"ALTER TABLE {self.reference(schema, table)} RENAME TO {self.dialect.quoted(name)}")

    def drop(self, schema: str, table: str) -> None:
        """Drop a table, if it exists, and its note. In a transaction or not."""
        self.rows(f"DROP TABLE IF EXISTS {self.reference(schema, table)}")

    def index(self, table: StoredTable, parts: Sequence[Part]) -> None:
        """Create the index that a search of rows by these parts of a key needs, if the vendor needs one (`Part.key` has
        the expressions). Called before such a search. Default: do nothing."""

    def delete_rows(self, table: StoredTable, incoming: str, conditions: Sequence[str]) -> int:
        """Delete the rows for which any staged row meets one of these disjoint conditions; returns how many. In a
        transaction."""
        return sum(self.changed(self.dialect.delete(table.reference, incoming, test)) for test in conditions)

    def update_rows(self, table: StoredTable, column: str, value: str, incoming: str, conditions: Sequence[str]) -> int:
        """Set a column in these rows to an expression over `incoming`; returns how many. In a transaction."""
        assignment = f"{self.dialect.quoted(column)} = {value}"
        updates = (self.dialect.update(table.reference, assignment, incoming, test) for test in conditions)
        return sum(map(self.changed, updates))

    def fill_rows(self, table: StoredTable, column: str, value: str, incoming: str) -> int:
        """Set a column in every row that has null there, to an expression over the one staged row; returns in how many.
        In a transaction."""
        return self.update_rows(table, column, value, incoming, [f"kept.{self.dialect.quoted(column)} IS NULL"])

    def set_column(self, table: StoredTable, column: str, value: str) -> None:
        """Set a column in every row to an expression over the columns of the row."""
        self.rows(f"UPDATE {table.reference} SET {self.dialect.quoted(column)} = {value}")  # noqa: S608 - quoted

    def delete_all(self, table: StoredTable) -> int:
        """Delete every row; returns how many there were."""
        return self.changed(f"DELETE FROM {table.reference}")  # noqa: S608 - quoted

    def create_temporary(self, name: str, query: str) -> None:
        """Create a table with the rows of a query, which lasts as long as the connection at most."""
        self.rows(f"CREATE TEMPORARY TABLE {name} AS {query}")

    def merge(self, merge: Merge) -> MergeCounts:
        """Write the staged rows into a table and replace the rows with the same keys. In a transaction.

        A vendor overrides it with its own MERGE or upsert; see `Merge` for the input. The default deletes and inserts,
        and needs neither an index nor a constraint.
        """
        return delete_and_insert(self, merge)
