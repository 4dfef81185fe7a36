"""The table of one stream: whose it is, which column each field has, and how it grows with the records."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from kitestring import arrow_values
from kitestring.destinations.duckdb.connection import INCOMING, Connection
from kitestring.destinations.duckdb.key import PLAIN_KINDS, UNKNOWN, KeyValues, Part, entry, key_column
from kitestring.destinations.duckdb.naming import RESERVED, folded, literal, old_column, quoted, safe
from kitestring.destinations.duckdb.note import Note
from kitestring.destinations.duckdb.widening import EXACT_IN_DOUBLE, INTEGERS, NOTHING, converted, wider
from kitestring.identity import is_text
from kitestring.names import distinct
from kitestring.types import Stream

SEVERAL = "several"
"""As the kind of a key column: its values are of several kinds, and a column of its own says which."""


class Filling(NamedTuple):
    """How a column is filled: the incoming column, its type, and that of the table."""

    source: str
    type_: str
    wanted: str

    @property
    def value(self) -> str:
        return converted(self.source, self.type_, self.wanted)


class Table:
    """A table, or its absence. What it knows of the database is read by `refresh`."""

    def __init__(
        self, connection: Connection, schema: str, name: str, stream: Stream, predecessor: Table | None = None
    ) -> None:
        self.connection = connection
        self.predecessor = predecessor
        """The table whose place this one is to take."""
        self.schema = schema
        self.name = name
        self.stream = stream
        self.reference = connection.reference(schema, name)
        self.columns: dict[str, str] = {}
        """The type of each column, in order; none if the table is absent."""
        self.fields: dict[str, str] = {}
        """The column of each field."""
        self.comment: str | None = None
        self.note: Note | None = None
        self.refresh()

    @property
    def exists(self) -> bool:
        return bool(self.columns)

    # -- what is there -------------------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Look again: somebody else of this process may have changed the table."""
        columns = self._described()
        if columns == self.columns:
            return
        self.columns = columns
        self.comment = self._read_comment() if columns else None
        self.note = Note.read(self.comment)
        self._name_fields()

    def _name_fields(self) -> None:
        named = self.note.fields if self.note else {}
        own = [column for column in self.columns if not folded(column).startswith(RESERVED)]
        self.fields = {named.get(column, column): column for column in own}

    def _described(self) -> dict[str, str]:
        """The columns; none if there is no such table. Of a name like `orders.csv` DuckDB then looks for the file,
        which it may not (`Connection`)."""
        import duckdb

        with self.connection.translated():
            try:
                columns = self.connection.db.execute(f"DESCRIBE {self.reference}").fetchall()
            except (duckdb.CatalogException, duckdb.PermissionException):
                return {}
        return {name: kind for name, kind, *_ in columns}

    def _read_comment(self) -> str | None:
        place = folded(self.schema), folded(self.name)
        rows = self.connection.rows(
            "SELECT schema_name, table_name, comment FROM duckdb_tables() "
            "WHERE database_name = ? AND lower(table_name) = lower(?)",
            [self.connection.catalog, self.name],
        )
        return next((comment for schema, name, comment in rows if (folded(schema), folded(name)) == place), None)

    def write_note(self, note: Note) -> None:
        comment = note.written(self.comment)
        if comment != self.comment:
            self.connection.rows(f"COMMENT ON TABLE {self.reference} IS {literal(comment)}")
            self.comment = comment
        self.note = note

    def adopt(self) -> None:
        """Say whose this table is, if it was written before tables said so."""
        if self.exists and self.note is None:
            note = Note.of(self.stream)
            note.old = True
            self.write_note(note)

    def rename(self, name: str) -> None:
        self.alter(f"RENAME TO {quoted(name)}")
        self.name, self.reference = name, self.connection.reference(self.schema, name)

    def alter(self, change: str) -> None:
        self.connection.rows(f"ALTER TABLE {self.reference} {change}")

    # -- how it grows --------------------------------------------------------------------------------------------------

    def fit(
        self, names: Sequence[str], types: Sequence[str], typed: Collection[str], keys: Mapping[str, KeyValues]
    ) -> dict[str, Filling]:
        """Make the table hold the rows of `INCOMING`: created, with new columns, with wider types.

        `names` are the fields of its columns, `types` their types. `typed` are key fields whose values may be of
        several kinds; `keys` their values where they come as text. Returns what fills each column.
        """
        note = self.note or Note.of(self.stream)
        columns = self._columns_for(names, note)
        known, changes, filled = dict(self.columns), list[str](), dict[str, Filling]()
        for n, (name, kind) in enumerate(zip(names, types, strict=True)):
            column, source = columns[name], f"incoming.c{n}"
            present = known.get(column)
            if kind == NOTHING:  # nothing is known about a column of nulls; it is made when a value comes
                if present is not None:
                    filled[column] = Filling("NULL", present, present)
                continue
            wide = self._wider(column, present, f"c{n}", kind)
            if name in typed and wide == "VARCHAR":
                self._track(note, column, present, kinds_of_type(kind, keys.get(name)))
            if present is None:
                changes.append(f"ADD COLUMN {quoted(column)} {wide}")
            elif wide != present:
                using = converted(quoted(column), present, wide)
                changes.append(f"ALTER COLUMN {quoted(column)} SET DATA TYPE {wide} USING {using}")
            known[column] = wide
            filled[column] = Filling(source, kind, wide)
        if not filled:  # records without a single value are records all the same
            column = next(iter(known), "_")
            changes += [] if column in known else [f"ADD COLUMN {quoted(column)} BOOLEAN"]
            known.setdefault(column, "BOOLEAN")
            filled[column] = Filling("NULL", known[column], known[column])
        self._grow(note, known, changes)
        return filled

    def _wider(self, column: str, present: str | None, source: str, kind: str) -> str:
        if NOTHING in kind:  # a list of nothing but nulls
            kind = kind.replace(NOTHING, "INTEGER") if present is None else kind
        wide = kind if present is None else wider(present, kind)
        if wide == "DOUBLE" and present is not None and present != kind:
            sides = [(self.reference, quoted(column), present), (INCOMING, source, kind)]
            if not all(self._exact(*side) for side in sides):
                return "VARCHAR"
        return wide

    def _exact(self, place: str, name: str, kind: str | None) -> bool:
        """Whether integers are exact as floats."""
        if kind not in INTEGERS:
            return True
        ((largest,),) = self.connection.rows(f"SELECT max(abs({name}::HUGEINT)) FROM {place}")  # noqa: S608 - quoted
        return largest is None or largest <= EXACT_IN_DOUBLE

    def _grow(self, note: Note, known: dict[str, str], changes: Iterable[str]) -> None:
        if not self.exists:
            extra = {key_column(c): "VARCHAR" for c, kind in note.kinds.items() if kind == SEVERAL}
            columns = ", ".join(f"{quoted(column)} {kind}" for column, kind in {**known, **extra}.items())
            with self.connection.transaction():
                self.connection.rows(f"CREATE TABLE {self.reference} ({columns})")
                self.write_note(note)
            self.columns = {**known, **extra}
        else:
            self.write_note(note)
            for change in changes:
                self.alter(change)
            self.columns = {**self.columns, **known}
        self._name_fields()

    # -- names ---------------------------------------------------------------------------------------------------------

    def _columns_for(self, names: Sequence[str], note: Note) -> dict[str, str]:
        """The column of each field, present or to be made. Columns that must make room for another's are renamed."""
        new = [name for name in names if name not in self.fields]
        if note.old:
            self._recognize(new, names, note)
            new = [name for name in names if name not in self.fields]
        if not new:
            return self.fields
        # Of a table of an earlier version, columns keep their names but where a field needs the very same one.
        kept = {field: column for field, column in self.fields.items() if note.old and safe(field) == field}
        kept |= self._inherited(new, names)
        new = [name for name in new if name not in kept]
        others = [field for field in self.fields if field not in kept]
        wanted = distinct([*others, *new], safe, reserved=kept.values(), folded=folded)
        for field in others:
            column = self.fields[field]
            if column == safe(field) and wanted[field] != column:
                self._move(note, field, column, wanted[field])
        columns = {**self.fields, **kept, **{field: wanted[field] for field in new}}
        note.fields.update({column: field for field, column in columns.items() if column != field})
        return columns

    def _inherited(self, new: Iterable[str], names: Sequence[str]) -> dict[str, str]:
        """The columns that fields had in the table whose place this one is to take, where they have others' names."""
        old = self.predecessor
        if self.exists or old is None or old.note is None:
            return {}
        old._recognize([field for field in new if field not in old.fields], names, old.note)
        return {field: column for field, column in old.fields.items() if column != field and field in names}

    def _recognize(self, new: Iterable[str], names: Sequence[str], note: Note) -> None:
        """Find the columns that earlier versions made of names that they had to change."""
        present = {*names, *self.stream.schema.get("properties", {})}
        for field in new:
            for column in (old_column(field), safe(field)):
                if column != field and column in self.columns and column not in present and column not in note.fields:
                    note.fields[column] = field
                    self.note = note
                    self._name_fields()
                    break

    def _move(self, note: Note, field: str, column: str, wanted: str) -> None:
        """Rename the column of a field. The note comes first: an entry for a column that is not there means nothing."""
        had_key = key_column(column) in self.columns
        note.fields[wanted] = field
        if column in note.kinds:
            note.kinds[wanted] = note.kinds.pop(column)
        if column in note.unknown:
            note.unknown[note.unknown.index(column)] = wanted
        self.write_note(note)
        with self.connection.transaction():
            self.alter(f"RENAME COLUMN {quoted(column)} TO {quoted(wanted)}")
            if had_key:
                self.alter(f"RENAME COLUMN {quoted(key_column(column))} TO {quoted(key_column(wanted))}")
        note.fields.pop(column, None)
        self.write_note(note)
        self.columns = self._described()
        self._name_fields()

    # -- keys of several kinds -----------------------------------------------------------------------------------------

    def has_entries(self, column: str) -> bool:
        return (
            self.note is not None
            and self.note.kinds.get(column) == SEVERAL
            and self.columns.get(column) == "VARCHAR"
            and key_column(column) in self.columns
        )

    def _track(self, note: Note, column: str, present: str | None, kinds: set[str]) -> None:
        """Keep account of what the values of a key are whose column is, or becomes, text."""
        if present == "VARCHAR" and note.kinds.get(column) == SEVERAL:
            return
        assumed = False
        if present == "VARCHAR":
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
        """Make the column that says what the values of a key are, for the rows that are there. It counts from when the
        note says so; if this ends in the middle, it is done anew."""
        name, value = quoted(key_column(column)), quoted(column)
        self.alter(f"ADD COLUMN IF NOT EXISTS {name} VARCHAR")
        if assumed:
            if column not in note.unknown:
                note.unknown.append(column)
            filling = f"{literal(UNKNOWN)} || {value}"
        elif before == {"text"}:
            filling = "NULL"
        elif before <= PLAIN_KINDS:
            filling = f"CAST({value} AS VARCHAR)"
        else:
            self._fill_one_by_one(name, value)
            self.columns[key_column(column)] = "VARCHAR"
            return
        self.connection.rows(f"UPDATE {self.reference} SET {name} = {filling}")  # noqa: S608 - quoted
        self.columns[key_column(column)] = "VARCHAR"

    def _fill_one_by_one(self, name: str, value: str) -> None:
        """The same for types whose values SQL does not write as `entry` does."""
        import pyarrow as pa

        connection, view = self.connection, "temp.main._kitestring_keys"
        with connection.translated():
            values = connection.db.sql(
                f"SELECT DISTINCT {value} FROM {self.reference} WHERE {value} IS NOT NULL"  # noqa: S608 - quoted
            ).to_arrow_table()
            entries = pa.array([entry(item) for item in arrow_values.values(values.column(0))], pa.string())
            table = pa.table({"value": values.column(0), "entry": entries})
            connection.db.register(view.rpartition(".")[2], table)
        try:
            connection.rows(
                f"UPDATE {self.reference} AS kept SET {name} = keys.entry FROM {view} AS keys "  # noqa: S608 - quoted
                f"WHERE kept.{value} IS NOT DISTINCT FROM keys.value"
            )
        finally:
            connection.db.unregister(view.rpartition(".")[2])

    def part(self, path: tuple[str, ...], incoming: str, type_: str, entries: str | None) -> Part:
        """A part of the primary key, of which the incoming side is given."""
        column = self.fields[path[0]]
        has_entries = entries is not None and self.has_entries(column)
        return Part(
            path,
            column,
            self.columns[column],
            incoming,
            type_,
            (key_column(column), entries) if has_entries and entries else None,
            unknown=self.note is not None and column in self.note.unknown,
            text=is_text(self.stream.schema, path),
        )


def kinds_of_type(type_: str, values: KeyValues | None) -> set[str]:
    """What the values of a column of this type are; of text, what they were before."""
    if type_ in ("VARCHAR", "UUID"):
        return values.kinds if values else {"text"}
    return {"integer"} if type_ in INTEGERS else {"boolean"} if type_ == "BOOLEAN" else {"other"}
