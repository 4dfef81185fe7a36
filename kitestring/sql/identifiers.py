"""Names of schemas, tables and columns: every name is taken, and none meets one of the vendor's or ours."""

from __future__ import annotations

import hashlib
from typing import ClassVar

from kitestring.names import mark, marked

OWN = "_kitestring_"
"""How our own tables and columns begin."""

STAGED = f"{OWN}shadow_"
"""The table in which a new copy is staged, before the name of the table."""

KEY = f"{OWN}key_"
"""The column that keeps what the values of a key are, where its column holds several kinds as text."""


class Names:
    """What a vendor takes for a name. By default any text in double quotes, of any length, in upper or lower case."""

    longest_name: ClassVar[int | None] = None
    """How many bytes of UTF-8 a name may have; a longer one is cut and marked."""

    reserved_names: ClassVar[frozenset[str]] = frozenset()
    """Folded names that no table and no column of ours may have, though they are quoted."""

    reserved_schemas: ClassVar[frozenset[str]] = frozenset({"information_schema", "pg_catalog"})
    """Folded names of schemas that take no table of others."""

    def quoted(self, name: str) -> str:
        return '"' + name.replace('"', '""') + '"'

    def literal(self, text: str) -> str:
        """A text as a statement has it."""
        return "'" + text.replace("'", "''") + "'"

    def folded(self, name: str) -> str:
        """The form in which the vendor compares quoted names: two with the same form are one name."""
        return name

    def safe(self, name: str) -> str:
        """A name that a table or a column may have: not empty, without NUL, none of ours or of the vendor's."""
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
        """A safe form, cut and with the mark of its name behind it where it is too long."""
        if self.longest_name is None or size(form) <= self.longest_name:
            return form
        return marked(form, name, self.longest_name, size=size)

    def marked(self, form: str, name: str) -> str:
        """A safe form with the mark of the name that it stands for."""
        return marked(form, name, self.longest_name, size=size)

    def candidates(self, name: str, form: str) -> list[str]:
        """The names under which something may stand whose safe name is `form`: the right one first, then that of the
        first tables of 0.1, which put no mark on a name that they had to change."""
        if form == name:
            return [name]
        names = [self.marked(form, name), form]
        return names[::-1] if form.endswith(f"_{mark(name)}") else names

    def own(self, prefix: str, name: str) -> str:
        """The name of something of ours that belongs to this table or column."""
        return self.fitted(prefix + name, prefix + name)

    def staged(self, table: str) -> str:
        return self.own(STAGED, table)

    def key_column(self, column: str) -> str:
        return self.own(KEY, column)

    def is_own(self, name: str) -> bool:
        return self.folded(name).startswith(OWN)


def size(name: str) -> int:
    return len(name.encode("utf-8", "replace"))


def ascii_folded(name: str) -> str:
    """For a vendor to which the letters A to Z are one with a to z in names, and no others."""
    return name.encode("utf-8", "replace").lower().decode()


def old_column(name: str) -> str:
    """The column of a field that differed from another in case alone, as the first tables of 0.1 have it."""
    return f"{name.replace(chr(0), '_') or '_'}_{hashlib.sha256(name.encode()).hexdigest()[:6]}"
