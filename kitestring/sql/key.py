"""Primary keys in SQL: the rows that have the keys of the incoming records, compared by value and kind.

A key column of numbers, times or texts compares as such. If the values of a key are of several kinds, its column is
text, and `1` and `"1"` look the same there; such a table has one more column (`KEY` and the column's name) with the
typed form of values that are not texts: `1`, `true`. A table whose keys are of one kind has none.
"""

from __future__ import annotations

import base64
import datetime as dt
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from kitestring.identity import is_text
from kitestring.json_codec import dumps_text
from kitestring.types import Path, Stream

if TYPE_CHECKING:
    from kitestring.sql.dialect import Dialect

UNKNOWN = "?"
"""The prefix of the entry of a row whose key's kind is unknown; the text of the key follows."""

PLAIN_KINDS = frozenset({"text", "integer", "boolean"})
"""Kinds whose text is enough, as long as a column holds no other."""

LONGEST_NUMBER = 5_000


def typed_fields(stream: Stream) -> set[str]:
    """The top-level fields of the primary key that may hold more than text."""
    return {path[0] for path in stream.primary_key if len(path) == 1 and not is_text(stream.schema, path)}


def kinds_of(values: Iterable[Any]) -> set[str]:
    return {_kind(type_) for type_ in set(map(type, values))} - {""}


def _kind(type_: type) -> str:
    if type_ is type(None):
        return ""
    for python_type, kind in ((str, "text"), (bool, "boolean"), (int, "integer")):
        if issubclass(type_, python_type):
            return kind
    return "other"


def entry(value: Any) -> str | None:
    """The entry of the key column for a value; None for a text. Equal if `identity.typed` is."""
    if value is None or isinstance(value, str):
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float | Decimal):
        return number_entry(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return f"bytes {base64.b64encode(value).decode()}"
    if isinstance(value, dt.datetime):
        return f"moment {(value.astimezone(dt.UTC) if value.tzinfo else value).isoformat()}"
    if isinstance(value, dt.date | dt.time):
        return f"{type(value).__name__} {value.isoformat()}"
    return dumps_text(value, sort_keys=True)


def number_entry(value: int | float | Decimal) -> str:
    """The shortest text with all digits; one for 1, 1.0 and 1.00."""
    if isinstance(value, float):
        if math.isnan(value) or math.isinf(value):
            return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        value = Decimal(repr(float(value)))
    number = Decimal(value)
    if not number.is_finite():
        return "NaN" if number.is_nan() else "Infinity" if number > 0 else "-Infinity"
    if not number:
        return "0"
    sign, all_digits, exponent = number.as_tuple()
    assert isinstance(exponent, int)
    text = "".join(map(str, all_digits))
    digits = text.rstrip("0")
    exponent += len(text) - len(digits)
    if exponent >= 0 and len(digits) + exponent <= LONGEST_NUMBER:
        digits, exponent = digits + "0" * exponent, 0
    return f"{'-' if sign else ''}{digits}{f'e{exponent}' if exponent else ''}"


@dataclass(slots=True)
class KeyValues:
    """The original values of a part of the key whose column is text."""

    values: Sequence[Any]
    kinds: set[str] = field(init=False)

    def __post_init__(self) -> None:
        self.kinds = kinds_of(self.values)

    def entries(self) -> list[str | None]:
        return [None] * len(self.values) if self.kinds <= {"text"} else [entry(value) for value in self.values]


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a primary key, as expressions of both sides: `kept`, the table, and `incoming`.

    `kind` is that of the column and of the incoming expression, unless `incoming_kind` differs (a JSON text if the
    column is nested). `nullable`: the incoming side may be null. `entries`: the columns of both sides with the entries
    of the key. `unknown`: some rows have an unknown entry.
    """

    dialect: Dialect
    path: Path
    column: str
    kind: str
    incoming: str
    nullable: bool = True
    entries: tuple[str, str] | None = None
    unknown: bool = False
    text: bool = False
    """The field is declared as text."""
    incoming_kind: str = ""

    def key(self, alias: str = "kept.") -> str:
        """The expression over the table that this part compares. (An index needs it without the alias.)"""
        column = f"{alias}{self.dialect.quoted(self.column)}"
        if len(self.path) > 1:
            return self.dialect.inner(column, self.kind, self.path, self.text)
        if self.entries is None:
            return column
        return f"coalesce({alias}{self.dialect.quoted(self.entries[0])}, '\"' || {column})"

    @property
    def plain(self) -> str:
        """The condition that the values are the same, regardless of their kinds."""
        return self.dialect.same(f"kept.{self.dialect.quoted(self.column)}", self.incoming, self.nullable)

    @property
    def condition(self) -> str:
        """The condition that both are the same value of the same kind."""
        if len(self.path) > 1:
            return self.dialect.same(self.key(), self.incoming_key, nullable=True)
        return self.plain if self.entries is None else self.dialect.same(self.key(), self.incoming_key, self.nullable)

    @property
    def incoming_key(self) -> str:
        """The expression over the staged rows that is compared with `key`."""
        if len(self.path) > 1:
            return self.dialect.inner(self.incoming, self.incoming_kind or self.kind, self.path, self.text)
        return self.incoming if self.entries is None else f"coalesce({self.entries[1]}, '\"' || {self.incoming})"

    @property
    def is_column(self) -> bool:
        """Whether a column is compared, which an index can find; else an expression with a text."""
        return len(self.path) == 1 and self.entries is None

    @property
    def is_unknown(self) -> str:
        """The condition that the kind of the row's key is unknown."""
        assert self.entries is not None
        entry = f"coalesce(kept.{self.dialect.quoted(self.entries[0])}, '')"
        return f"substr({entry}, 1, {len(UNKNOWN)}) = {self.dialect.literal(UNKNOWN)}"


def conditions(parts: Sequence[Part]) -> list[str]:
    """Disjoint conditions for the rows with the incoming keys; [] without a key."""
    if not parts:
        return []
    exact = " AND ".join(part.condition for part in parts)
    untyped = [part for part in parts if part.unknown and part.entries]
    if not untyped:
        return [exact]
    # Rows of an earlier version: their text decides. Plain equality is a fast join.
    terms, marks = [], []
    for part in parts:
        if part not in untyped:
            terms.append(part.condition)
            continue
        marks.append(part.is_unknown)
        terms.append(part.plain)
        if len(parts) > 1:
            terms.append(f"({part.is_unknown} OR {part.condition})")
    return [exact, f"{' AND '.join(terms)} AND ({' OR '.join(marks)})"]
