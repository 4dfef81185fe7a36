"""Names and texts in standard SQL, for every vendor that quotes them in this way."""

from __future__ import annotations


def quoted(name: str) -> str:
    """A name in double quotes."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text in single quotes. PostgreSQL needs `standard_conforming_strings` on, which every session of ours sets."""
    return "'" + text.replace("'", "''") + "'"
