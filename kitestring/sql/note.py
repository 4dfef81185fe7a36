"""The note of a table, in its comment or in a separate table: its stream, and what its columns do not show."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from typing import Any

from kitestring.json_codec import JsonError, dumps_text, loads
from kitestring.types import Stream

_LINE = re.compile(r"^kitestring: (\{.*\})$", re.MULTILINE)


@dataclass(slots=True)
class Note:
    """One line in the comment of a table; text of users there is preserved."""

    stream: str
    namespace: str | None = None
    fields: dict[str, str] = field(default_factory=dict)
    """The field of each column with another name than its field."""
    kinds: dict[str, str] = field(default_factory=dict)
    """The kind of all values of a key in a text column: `text`, `integer` or `boolean`; with `?` if that is an
    assumption about rows of an earlier version."""
    unknown: list[str] = field(default_factory=list)
    """Key columns with rows whose kind before they became text is unknown."""
    airbyte: bool = False
    """The table has Airbyte's columns."""
    generation: int = 0
    """The number of replacements of the table, if it has Airbyte's columns."""
    changes: bool = False
    """Some rows may have a null in place of a value that did not fit, which `_airbyte_meta` names."""
    old: bool = False
    """The table existed before tables had notes."""
    writer: str = ""
    """The sync that created the table as a new copy."""

    @classmethod
    def of(cls, stream: Stream) -> Note:
        return cls(stream.name, stream.namespace or None)

    @classmethod
    def read(cls, comment: str | None) -> Note | None:
        """The note in the comment of a table, None without one."""
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
