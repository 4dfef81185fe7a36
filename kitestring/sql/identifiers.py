"""Names of schemas, tables and columns: every name is accepted, and none clashes with the vendor's or ours."""

from __future__ import annotations

import hashlib
from typing import ClassVar

from kitestring.names import mark, marked
from kitestring.vendors import sql_quoting

OWN = "_kitestring_"
"""The prefix of our own tables and columns."""

STAGED = f"{OWN}shadow_"
"""The prefix of staged tables; the name of the table follows."""

KEY = f"{OWN}key_"
"""The prefix of the columns with the kinds of a key's values, if its column holds several kinds as text."""


class Names:
    """The names that a vendor accepts. Default: any text in double quotes, of any length, case-sensitive."""

    longest_name: ClassVar[int | None] = None
    """The largest `size` of a name; a longer one is cut and marked."""

    reserved_names: ClassVar[frozenset[str]] = frozenset()
    """Folded names that no table and no column of ours may have, even quoted."""

    reserved_schemas: ClassVar[frozenset[str]] = frozenset({"information_schema", "pg_catalog"})
    """Folded names of schemas in which no tables can be created."""

    def quoted(self, name: str) -> str:
        """A name as it is written in statements."""
        return sql_quoting.quoted(name)

    def literal(self, text: str) -> str:
        """A text as a literal in a statement."""
        return sql_quoting.literal(text)

    def folded(self, name: str) -> str:
        """The form in which the vendor compares quoted names: names with the same form are equal."""
        return name

    def size(self, name: str) -> int:
        """The size of a name as the vendor counts it: in bytes of UTF-8. Never less than its characters."""
        return len(name.encode("utf-8", "replace"))

    def safe(self, name: str) -> str:
        """A valid name of a table or a column: not empty, without NUL, not one of ours or of the vendor's."""
        form = name.replace("\x00", "_") or "_"
        if self.is_own(form) or self.folded(form) in self.reserved_names:
            form = f"_{form}"
        return self.fitted(form, name)

    def safe_table(self, name: str) -> str:
        return self.safe(name)

    def safe_schema(self, name: str) -> str:
        form = self.safe(name)
        return self.fitted(f"_{form}", name) if self.folded(form) in self.reserved_schemas else form

    # -- on top of these -----------------------------------------------------------------------------------------------

    def fitted(self, form: str, name: str) -> str:
        """A safe form; if it is too long, cut and with the mark of its name."""
        if self.longest_name is None or self.size(form) <= self.longest_name:
            return form
        return marked(form, name, self.longest_name, size=self.size)

    def marked(self, form: str, name: str) -> str:
        """A safe form with the mark of its name."""
        return marked(form, name, self.longest_name, size=self.size)

    def candidates(self, name: str, form: str) -> list[str]:
        """The possible names of an object whose safe name is `form`: the right one first, then that of the first tables
        of 0.1, which changed names without a mark."""
        if form == name:
            return [name]
        names = [self.marked(form, name), form]
        return names[::-1] if form.endswith(f"_{mark(name)}") else names

    def own(self, prefix: str, name: str) -> str:
        """The name of an object of ours that belongs to this table or column."""
        return self.fitted(prefix + name, prefix + name)

    def staged(self, table: str) -> str:
        return self.own(STAGED, table)

    def key_column(self, column: str) -> str:
        return self.own(KEY, column)

    def is_own(self, name: str) -> bool:
        return self.folded(name).startswith(OWN)


def ascii_folded(name: str) -> str:
    """For a vendor that treats the letters A to Z as equal to a to z in names, and no others."""
    return name.encode("utf-8", "replace").lower().decode()


def old_column(name: str) -> str:
    """The column of a field that differs from another only in case, in the first tables of 0.1."""
    return f"{name.replace(chr(0), '_') or '_'}_{hashlib.sha256(name.encode()).hexdigest()[:6]}"
