"""What a table says of itself, in its comment or beside it: whose it is, and what its columns do not show."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from typing import Any

from kitestring.json_codec import JsonError, dumps_text, loads
from kitestring.types import Stream

_LINE = re.compile(r"^kitestring: (\{.*\})$", re.MULTILINE)


@dataclass(slots=True)
class Note:
    """One line in the comment of a table; what a user has written there stays beside it."""

    stream: str
    namespace: str | None = None
    fields: dict[str, str] = field(default_factory=dict)
    """The field of each column whose name is not that of its field."""
    kinds: dict[str, str] = field(default_factory=dict)
    """What all values of a key are that stands in a column of text: `text`, `integer` or `boolean`; with `?` behind it
    where that is an assumption about rows which an earlier version wrote."""
    unknown: list[str] = field(default_factory=list)
    """Key columns that have rows of which nobody knows what they were before they became text."""
    airbyte: bool = False
    """The table has Airbyte's columns."""
    generation: int = 0
    """How many times a new copy took the place of the one before, where Airbyte's columns say so."""
    old: bool = False
    """The table was there before tables had notes."""
    writer: str = ""
    """The sync that made the table as a new copy."""

    @classmethod
    def of(cls, stream: Stream) -> Note:
        return cls(stream.name, stream.namespace or None)

    @classmethod
    def read(cls, comment: str | None) -> Note | None:
        """The note in the comment of a table, None where it has none."""
        match = _LINE.search(comment or "")
        try:
            values: dict[str, Any] = loads(match[1]) if match else {}
            return cls(**values) if values else None
        except (JsonError, TypeError):
            return None

    def written(self, comment: str | None) -> str:
        """The comment of the table with this note in it."""
        facts = {name: value for name, value in asdict(self).items() if value or name == "stream"}
        line = f"kitestring: {dumps_text(facts)}"
        rest = _LINE.sub("", comment or "").strip("\n")
        return f"{rest}\n{line}" if rest else line

    @property
    def owner(self) -> str:
        return f"{self.namespace}.{self.stream}" if self.namespace else self.stream

    def is_of(self, stream: Stream) -> bool:
        return (self.stream, self.namespace) == (stream.name, stream.namespace or None)
