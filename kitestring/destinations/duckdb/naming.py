"""Names of schemas, tables and columns: every name is taken, and none meets one of DuckDB's or ours."""

from __future__ import annotations

import hashlib

from kitestring.names import marked

RESERVED = "_kitestring_"
"""How our own tables and columns begin."""

SHADOW = f"{RESERVED}shadow_"
"""The table in which a new copy is staged."""

KEY = f"{RESERVED}key_"
"""The column that keeps what the values of a key are, where its column holds several kinds as text."""

ENGINE_SCHEMAS = frozenset({"information_schema", "pg_catalog"})
"""Schemas of DuckDB that take no table of others."""


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def folded(name: str) -> str:
    """What DuckDB goes by when it compares names: the letters A to Z are one with a to z, no others."""
    return name.encode("utf-8", "replace").lower().decode()


def safe(name: str) -> str:
    """A name that a table or a column may have: not empty, without NUL, none of ours."""
    name = name.replace("\x00", "_") or "_"
    return f"_{name}" if folded(name).startswith(RESERVED) else name


def safe_schema(name: str) -> str:
    name = safe(name)
    return f"_{name}" if folded(name) in ENGINE_SCHEMAS else name


def candidates(name: str, form: str) -> list[str]:
    """The names under which something may stand whose safe name is `form`: the right one, then that of 0.1's first
    tables, which put no mark on a name that they had to change."""
    return [name] if form == name else [marked(form, name), form]


def old_column(name: str) -> str:
    """The column of a field that differed from another in case alone, as the first tables of 0.1 have it."""
    return f"{name.replace(chr(0), '_') or '_'}_{hashlib.sha256(name.encode()).hexdigest()[:6]}"
