"""The table of one stream: its owner, the column of each field, and its growth with the records."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from kitestring import arrow_values
from kitestring.identity import is_text
from kitestring.names import distinct
from kitestring.sql.connection import Connection
from kitestring.sql.dialect import Dialect
from kitestring.sql.identifiers import old_column
from kitestring.sql.key import PLAIN_KINDS, UNKNOWN, KeyValues, Part, entry
from kitestring.sql.note import Note
from kitestring.sql.stored_table import SEVERAL, StoredTable
from kitestring.sql.types import EXACT_IN_DOUBLE, INTEGERS, NOTHING, TEXT
from kitestring.types import Stream

if TYPE_CHECKING:
    import pyarrow as pa


class Filling(NamedTuple):
    """The values for a column: the incoming column, its kind, and the kind of the table's column."""

    dialect: Dialect
    source: str
    kind: str
    target: str

    @property
    def value(self) -> str:
        return self.dialect.converted(self.source, self.kind, self.target)


class Table(StoredTable):
    """A table that may be absent. `refresh` reads its state from the database.

    `airbyte`: the table gets Airbyte's columns; a table that has them keeps them.
    """

    predecessor: Table | None

    def __init__(
        self,
        connection: Connection,
        schema: str,
        name: str,
        stream: Stream,
        airbyte: bool = False,
        predecessor: Table | None = None,
        writer: str = "",
    ) -> None:
        super().__init__(
            connection.dialect, connection.reference(schema, name), schema, name, stream, airbyte, predecessor, writer
        )
        self.connection = connection
        self.refresh()

    # -- state ---------------------------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Read columns and note again: another program may have changed the table, or its creation was rolled back."""
        columns = self.connection.columns(self.schema, self.name)
        if columns and columns == self.columns and not self.writer:
            return
        self.comment = self.connection.note(self.schema, self.name) if columns else None
        if columns and self.comment is None:  # it may have been dropped in between
            columns = self.connection.columns(self.schema, self.name)
        self.columns = columns
        self.note = Note.read(self.comment)
        self.airbyte = self.airbyte or (self.note is not None and self.note.airbyte)
        self._name_fields()

    def _name_fields(self) -> None:
        named = self.note.fields if self.note else {}
        columns = [
            column for column in self.columns if not self.dialect.is_own(column) and column not in self.extra_columns
        ]
        self.fields = {named.get(column, column): column for column in columns}

    def write_note(self, note: Note) -> None:
        comment = note.written(self.comment)
        if comment != self.comment:
            self.connection.set_note(self.schema, self.name, comment)
            self.comment = comment
        self.note = note

    def note_changes(self) -> None:
        """Note, before they are written, that rows may have a null in place of a value that did not fit."""
        if self.note is not None and not self.note.changes:
            note = replace(self.note)
            note.changes = True
            self.write_note(note)

    def adopt(self) -> None:
        """Write a note, if the table was created before tables had notes."""
        if self.exists and self.note is None:
            note = Note.of(self.stream)
            note.old = True
            self.write_note(note)

    def rename(self, name: str) -> None:
        self.connection.rename(self.schema, self.name, name)
        self.name, self.reference = name, self.connection.reference(self.schema, name)

    # -- growth --------------------------------------------------------------------------------------------------------

    def fit(self, rows: pa.Table, typed: Collection[str], keys: Mapping[str, KeyValues]) -> dict[str, Filling]:
        """Make the table able to hold these rows: create it, add columns, widen types.

        The columns of `rows` are fields. `typed` are key fields whose values may be of several kinds; `keys` their
        values if they are text. Returns how to fill each column from the staged columns c0, c1, ….
        """
        note = self.note or self._new_note()
        columns = self._columns_for(rows.column_names, note)
        kinds, filled = dict(self.columns), dict[str, Filling]()
        for n, (name, kind) in enumerate(zip(rows.column_names, self.connection.kinds(rows), strict=True)):
            column = columns[name]
            present = kinds.get(column)
            if kind == NOTHING:  # a column of nulls has no type yet; it is created with the first value
                if present is not None:
                    filled[column] = Filling(self.dialect, "NULL", present, present)
                continue
            wide = self._wider(column, present, rows.column(n), kind)
            if name in typed and wide == TEXT:
                self._track(note, column, present, kinds_of_type(kind, keys.get(name)))
            kinds[column] = wide
            filled[column] = Filling(self.dialect, f"incoming.c{n}", kind, wide)
        if not filled:  # records without any value are written too
            column = next((column for column in kinds if column not in self.extra_columns), "_")
            kinds.setdefault(column, "BOOLEAN")
            filled[column] = Filling(self.dialect, "NULL", kinds[column], kinds[column])
        self._grow(note, kinds)
        return filled

    def _new_note(self) -> Note:
        note, before = Note.of(self.stream), self.predecessor
        note.writer = self.writer
        if self.airbyte and before is not None:
            note.generation = (before.note.generation if before.note else 0) + 1
        return note

    def _wider(self, column: str, present: str | None, values: pa.ChunkedArray, kind: str) -> str:
        if NOTHING in kind:  # a list of nulls only
            kind = kind.replace(NOTHING, "INTEGER") if present is None else kind
        wide = kind if present is None else self.dialect.wider(present, kind)
        if present is not None and wide == "DOUBLE" and present != kind:
            sides = present in INTEGERS and self._has_inexact(column), kind in INTEGERS and is_inexact(values)
            if any(sides):
                return TEXT
        return wide

    def _has_inexact(self, column: str) -> bool:
        """Whether a column has integers that are not exact as floats."""
        name = self.dialect.quoted(column)
        beyond = f"{name} > {EXACT_IN_DOUBLE} OR {name} < -{EXACT_IN_DOUBLE}"
        return bool(self.connection.rows(f"SELECT 1 FROM {self.reference} WHERE {beyond} LIMIT 1"))  # noqa: S608 - quoted

    def _grow(self, note: Note, kinds: dict[str, str]) -> None:
        note.airbyte = self.airbyte
        new = [column for column in kinds if column not in self.columns and note.kinds.get(column) == SEVERAL]
        entries = {self.dialect.key_column(column): TEXT for column in new}
        if not self.exists:
            columns = {**kinds, **entries, **self.extra_columns}
            with self.connection.transaction():
                self.connection.create(self, columns)
                self.write_note(note)
            self.columns = columns
        else:
            self.write_note(note)
            needed = {
                **entries,
                **kinds,
                **self.extra_columns,
            }  # entries first: a key column without is taken for one of texts
            added = {column: kind for column, kind in needed.items() if column not in self.columns}
            widened = {column: kind for column, kind in kinds.items() if self.columns.get(column, kind) != kind}
            if added or widened:
                self.connection.grow(self, added, widened)
            self.columns = {**self.columns, **kinds, **added}
        self._name_fields()

    # -- names ---------------------------------------------------------------------------------------------------------

    def _columns_for(self, names: Sequence[str], note: Note) -> dict[str, str]:
        """The column of each field, existing or new. A column whose name another field needs is renamed."""
        new = [name for name in names if name not in self.fields]
        if note.old:
            self._recognize(new, names, note)
            new = [name for name in names if name not in self.fields]
        if not new:
            return self.fields
        safe = self.dialect.safe
        # In a table of an earlier version, columns keep their names unless a field needs exactly that name.
        fixed = {field: column for field, column in self.fields.items() if note.old and safe(field) == field}
        fixed |= self._inherited(new, names)
        new = [name for name in new if name not in fixed]
        movable = [field for field in self.fields if field not in fixed]
        free_names = distinct(
            [*movable, *new],
            safe,
            reserved=[*fixed.values(), *self.extra_columns],
            folded=self.dialect.folded,
            longest=self.dialect.longest_name,
            size=self.dialect.size,
        )
        for field in movable:
            column = self.fields[field]
            if column == safe(field) and free_names[field] != column:
                self._move(note, field, column, free_names[field])
        columns = {**self.fields, **fixed, **{field: free_names[field] for field in new}}
        note.fields.update({column: field for field, column in columns.items() if column != field})
        return columns

    def _inherited(self, new: Iterable[str], names: Sequence[str]) -> dict[str, str]:
        """The columns of fields in the table that this one replaces, if their names differ from those of their
        fields."""
        old = self.predecessor
        if self.exists or old is None or old.note is None:
            return {}
        old._recognize([field for field in new if field not in old.fields], names, old.note)
        return {field: column for field, column in old.fields.items() if column != field and field in names}

    def _recognize(self, new: Iterable[str], names: Sequence[str], note: Note) -> None:
        """Find the columns whose names earlier versions changed."""
        present = {*names, *self.stream.schema.get("properties", {})}
        for field in new:
            for column in (old_column(field), self.dialect.safe(field)):
                if column != field and column in self.columns and column not in present and column not in note.fields:
                    note.fields[column] = field
                    self.note = note
                    self._name_fields()
                    break

    def _move(self, note: Note, field: str, column: str, new_column: str) -> None:
        """Rename the column of a field. The note is written first: an entry for an absent column has no effect."""
        key_column = self.dialect.key_column
        names = {column: new_column}
        if key_column(column) in self.columns:
            names[key_column(column)] = key_column(new_column)
        note.fields[new_column] = field
        if column in note.kinds:
            note.kinds[new_column] = note.kinds.pop(column)
        if column in note.unknown:
            note.unknown[note.unknown.index(column)] = new_column
        self.write_note(note)
        self.connection.rename_columns(self, names)
        note.fields.pop(column, None)
        self.write_note(note)
        self.columns = self.connection.columns(self.schema, self.name)
        self._name_fields()

    # -- keys of several kinds -----------------------------------------------------------------------------------------

    def _track(self, note: Note, column: str, present: str | None, kinds: set[str]) -> None:
        """Note the kinds of a key's values whose column is, or becomes, text."""
        if present == TEXT and note.kinds.get(column) == SEVERAL:
            return
        assumed = False
        if present == TEXT:
            kind = note.kinds.get(column)
            assumed = kind is None or kind.endswith("?")
            before = {kind.rstrip("?")} if kind else set()
        else:
            before = kinds_of_type(present, None) if present else set()
        together = before | kinds
        if not together:
            return
        if len(together) == 1 and together <= PLAIN_KINDS:
            note.kinds[column] = next(iter(together)) + ("?" if assumed else "")
            return
        if present is not None:
            self._make_entries(note, column, present, before, assumed)
        note.kinds[column] = SEVERAL

    def _make_entries(self, note: Note, column: str, present: str, before: set[str], assumed: bool) -> None:
        """Create and fill the column with the kinds of a key's values, for the existing rows. It is valid once the note
        says so; if this is interrupted, it is repeated."""
        key_column = self.dialect.key_column(column)
        value = self.dialect.quoted(column)
        if key_column not in self.columns:
            self.connection.grow(self, {key_column: TEXT}, {})
            self.columns[key_column] = TEXT
        if assumed:
            if column not in note.unknown:
                note.unknown.append(column)
            filling = f"{self.dialect.literal(UNKNOWN)} || {value}"
        elif before == {"text"}:
            filling = "NULL"
        elif before <= PLAIN_KINDS:
            filling = self.dialect.converted(value, present, TEXT)
        else:
            self._fill_by_value(column, key_column)
            return
        self.connection.set_column(self, key_column, filling)

    def _fill_by_value(self, column: str, key_column: str) -> None:
        """The same for types whose text in SQL differs from `entry`."""
        import pyarrow as pa

        values = self.connection.values(self, column)
        entries = pa.array([entry(value) for value in arrow_values.values(values)], pa.string())
        key_value = f"kept.{self.dialect.quoted(column)}"
        with self.connection.staged(pa.table({"c0": values, "c1": entries})) as incoming, self.connection.transaction():
            same = self.dialect.same(key_value, "incoming.c0", nullable=False)
            self.connection.update_rows(self, key_column, "incoming.c1", incoming, [same])

    def part(self, path: tuple[str, ...], incoming: str, nullable: bool, entries: str | None, kind: str = "") -> Part:
        """A part of the primary key with this incoming side."""
        column = self.fields[path[0]]
        has_entries = entries is not None and self.has_entries(column)
        return Part(
            self.dialect,
            path,
            column,
            self.columns[column],
            incoming,
            nullable,
            (self.dialect.key_column(column), entries) if has_entries and entries else None,
            unknown=self.note is not None and column in self.note.unknown,
            text=is_text(self.stream.schema, path),
            incoming_kind=kind,
        )


def is_inexact(values: pa.ChunkedArray) -> bool:
    """Whether some of these integers are not exact as floats."""
    import pyarrow.compute as pc

    bounds = pc.min_max(values).as_py()
    return bounds["min"] is not None and (bounds["min"] < -EXACT_IN_DOUBLE or bounds["max"] > EXACT_IN_DOUBLE)


def kinds_of_type(kind: str, values: KeyValues | None) -> set[str]:
    """The kinds of values in a column of this kind; for text, those of the original values."""
    if kind in (TEXT, "UUID"):
        return values.kinds if values else {"text"}
    return {"integer"} if kind in INTEGERS else {"boolean"} if kind == "BOOLEAN" else {"other"}
