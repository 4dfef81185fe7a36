"""Statements in the binary log: what they do to tables."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from kitestring.vendors.mysql.binlog_event import Statement

QUOTED_OR_COMMENT = re.compile(
    r"""/\*(?!!|M!).*?\*/|--[ \t][^\n]*|\#[^\n]*|'(?:[^'\\]|\\.|'')*'|(?P<keep>`(?:[^`]|``)*`|"(?:[^"\\]|\\.|"")*")""",
    re.S,
)
NAME = r'(?:`(?:[^`]|``)+`|"(?:[^"]|"")+"|[\w$\u0080-\uffff]+)'
REFERENCE = re.compile(rf"(?P<first>{NAME})(?:\s*\.\s*(?P<second>{NAME}))?")
TRUNCATE = re.compile(r"TRUNCATE\s+(?:TABLE\s+)?", re.I)
DEFINITION = re.compile(
    r"(?P<verb>ALTER|DROP|RENAME|CREATE)\s+(?:OR\s+REPLACE\s+)?(?:ONLINE\s+|IGNORE\s+|TEMPORARY\s+)*"
    r"(?P<what>TABLES?|DATABASE|SCHEMA|INDEX|UNIQUE|FULLTEXT|SPATIAL)\b",
    re.I,
)
CHANGE = re.compile(r"(?:INSERT|UPDATE|DELETE|REPLACE|LOAD|WITH)\b", re.I)
PARTITION = re.compile(
    r"\b(?:(?:TRUNCATE|DROP|EXCHANGE|CONVERT)\s+PARTITION|(?:DISCARD|IMPORT)\s+(?:PARTITION|TABLESPACE)|CONVERT\s+TABLE)\b",
    re.I,
)
RENAMED = re.compile(r"\bRENAME\s+(?!COLUMN|INDEX|KEY|PARTITION)", re.I)
IF_EXISTS = re.compile(r"\s*IF\s+(?:NOT\s+)?EXISTS\b", re.I)
SETTINGS = re.compile(r"SET\s+STATEMENT\s+.*?\sFOR\s+", re.I | re.S)
"""What MariaDB has before a statement with settings of its own."""
DROPPED = re.compile(rf"\bDROP\s+(?:COLUMN\s+)?(?:IF\s+EXISTS\s+)?(?P<name>{NAME})", re.I)
REWRITES = re.compile(r"\b(?:CHANGE|MODIFY|RENAME\s+COLUMN|CONVERT\s+TO)\b", re.I)
TEMPORARY = re.compile(r"(?:CREATE|DROP)\s+(?:OR\s+REPLACE\s+)?TEMPORARY\b", re.I)


@dataclass(frozen=True, slots=True)
class Effect:
    """What a statement does. `kind`: `truncate`, `alter` (other columns or none), `replace` (the table goes, comes or
    gets another name), `partition` (rows go, and the log does not say which), `change` (rows change, and the log has
    only the statement), or empty. `tables`: (database, table) of all names in it that may be tables. `dropped`: columns
    that an ALTER drops; `rewrites`: it may change the values of others."""

    kind: str
    tables: frozenset[tuple[str, str]] = frozenset()
    dropped: frozenset[str] = frozenset()
    rewrites: bool = False

    def rewritten(self, columns: Collection[str]) -> str:
        """Why rows may have other values after an ALTER, although the table has these columns as before."""
        if recreated := sorted(self.dropped.intersection(columns)):
            return f"the column {recreated[0]} was dropped and added again"
        return "its columns were modified or renamed" if self.rewrites else ""


def effect_of(statement: Statement) -> Effect:
    text = QUOTED_OR_COMMENT.sub(lambda match: match["keep"] or " ", statement.text).strip()
    text = re.sub(r"/\*M?!\d*|\*/", " ", text).strip()
    if match := SETTINGS.match(text):
        text = text[match.end() :]
    if match := TRUNCATE.match(text):
        reference = REFERENCE.match(text, match.end())
        return Effect("truncate", frozenset({table_of(reference, statement.database)}) if reference else frozenset())
    if TEMPORARY.match(text):
        return Effect("")
    if match := DEFINITION.match(text):
        return definition(match, text, statement.database)
    if CHANGE.match(text):
        return Effect("change", names_in(text, statement.database))
    return Effect("")


def definition(match: re.Match[str], text: str, database: str) -> Effect:
    verb, what = match["verb"].upper(), match["what"].upper()
    rest = IF_EXISTS.sub(" ", text[match.end() :], count=1)
    if what in ("DATABASE", "SCHEMA"):
        name = REFERENCE.search(rest)
        return Effect("replace", frozenset({(unquoted(name["first"]), "*")})) if verb == "DROP" and name else Effect("")
    if what not in ("TABLE", "TABLES"):
        return Effect("")
    if verb in ("DROP", "RENAME"):
        return Effect("replace", names_in(rest, database))
    reference = REFERENCE.search(rest)  # other names are those of columns, or of tables that stay as they are
    tables = frozenset({table_of(reference, database)}) if reference else frozenset()
    if verb == "CREATE":
        return Effect("replace", tables)
    if PARTITION.search(rest):
        return Effect("partition", tables)
    if RENAMED.search(rest):
        return Effect("replace", tables)
    dropped = frozenset(unquoted(match["name"]) for match in DROPPED.finditer(rest))
    return Effect("alter", tables, dropped, bool(REWRITES.search(rest)))


def names_in(text: str, database: str) -> frozenset[tuple[str, str]]:
    return frozenset(table_of(match, database) for match in REFERENCE.finditer(text))


def table_of(match: re.Match[str], database: str) -> tuple[str, str]:
    first, second = unquoted(match["first"]), match["second"]
    return (database, first) if second is None else (first, unquoted(second))


def unquoted(name: str) -> str:
    if name[0] in '`"':
        return name[1:-1].replace(name[0] * 2, name[0])
    return name
