"""One open connection to a database: what a vendor does there, beyond what its `Dialect` says."""

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
    """Used by one thread at a time, which may be another with each call; streams that are written at the same time have
    connections of their own. Vendors' errors come out of every method as those of `kitestring.errors`: `RecordError`
    for a value that cannot be taken, `TransientError` for what may go well the next time. A connection that is broken
    sets `closed`; it is then not used again.

    What is abstract must be there, the rest has a default in standard SQL. A batch is written like this:

        table.refresh()                                   # columns(), and note() where they have changed
        table.fit(rows)                                   # create() and set_note(), or grow() and set_note()
        index(table, parts)                               # where the last version is kept
        with staged(rows) as incoming, transaction():
            merge(Merge(table, incoming, …))

    and a replacement ends like this:

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
        """Bring rows where statements read them: a view, a temporary table. Gives its reference, as it stands in FROM.

        The columns are called c0, c1, … and of types that `Dialect.plain_type` has given; a column of nulls alone may
        be of any type. Entered before a transaction and left after it, never twice at once;
        what is staged is gone then.
        """

    @abstractmethod
    def columns(self, schema: str, table: str) -> dict[str, str]:
        """The kind of each column of a table by name, in order; {} where there is no such table. A view or another
        thing of this name is `ConfigError`, or comes to be one when the table is created."""

    @abstractmethod
    def note(self, schema: str, table: str) -> str | None:
        """What `set_note` has kept of this table, with what users wrote there."""

    @abstractmethod
    def set_note(self, schema: str, table: str, text: str) -> None:
        """Keep a text with a table, as its comment; `NoteTable` keeps it in a table of ours. It must go where the table
        goes: `rename` and `drop` take it along."""

    @abstractmethod
    def close(self) -> None:
        """Close the connection, also a second time. Sets `closed`."""

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
            except KitestringError:  # there is no transaction any more: the database had to give up
                self.close()
            raise

    def reference(self, schema: str, table: str = "") -> str:
        """A schema or a table as statements name it."""
        return ".".join(self.dialect.quoted(part) for part in (schema, table) if part)

    def kinds(self, rows: pa.Table) -> list[str]:
        """The kinds of the columns that rows of plain types get."""
        return [self.dialect.kind_of(field.type) for field in rows.schema]

    def arrow_types(self, table: StoredTable) -> dict[str, pa.DataType]:
        """The Arrow type in which values of each column are built, to be compared with what is there."""
        return {column: arrow_type(kind) for column, kind in table.columns.items()}

    def values(self, table: StoredTable, column: str) -> pa.ChunkedArray:
        """The distinct values of a column, nulls aside, as records have them. (For a key column whose values come to be
        of several kinds: rare.)"""
        import pyarrow as pa

        name = self.dialect.quoted(column)
        rows = self.rows(f"SELECT DISTINCT {name} FROM {table.reference} WHERE {name} IS NOT NULL")  # noqa: S608 - quoted
        type_ = self.arrow_types(table)[column]
        values = [bool(value) if pa.types.is_boolean(type_) else value for (value,) in rows]
        return pa.chunked_array([arrow.column(column, values, type_, {})])

    def create_schema(self, schema: str) -> None:
        self.rows(f"CREATE SCHEMA IF NOT EXISTS {self.reference(schema)}")

    def create(self, table: StoredTable, columns: Mapping[str, str]) -> None:
        """Create a table with columns of these kinds. In a transaction with its note."""
        spelled = (f"{self.dialect.quoted(name)} {self.dialect.type_name(kind)}" for name, kind in columns.items())
        self.rows(f"CREATE TABLE {table.reference} ({', '.join(spelled)})")

    def grow(self, table: StoredTable, added: Mapping[str, str], widened: Mapping[str, str]) -> None:
        """Add columns of these kinds, and make columns of the kinds in `table.columns` those of a wider kind, with the
        values that `Dialect.converted` gives. Need not be one transaction: each change alone leaves the table right.
        (`rebuild` is for a vendor that cannot.)"""
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
        """Drop a table, if it is there, and its note. In a transaction or not."""
        self.rows(f"DROP TABLE IF EXISTS {self.reference(schema, table)}")

    def index(self, table: StoredTable, parts: Sequence[Part]) -> None:
        """Called before rows are looked for by these parts of a key (`Part.key` gives the expressions): make that fast,
        where the vendor needs an index for it. Nothing by default."""

    def merge(self, merge: Merge) -> MergeCounts:
        """Write what is staged into a table, in the place of the rows that have its keys. In a transaction.

        A vendor with a MERGE or an upsert of its own puts it here; see `Merge` for what it is given. The default
        deletes and inserts, and needs no index and no constraint.
        """
        return delete_and_insert(self, merge)
