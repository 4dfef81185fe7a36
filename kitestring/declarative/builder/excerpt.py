"""Values of an API as a test read shows them: secrets masked, and bounded in depth and size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kitestring import json_codec
from kitestring.redact import MASK, Redactor, is_credential

MOST_LEVELS = 64
"""Levels of nesting that are shown."""
MOST_CHARACTERS = 64 * 1024
"""Characters of a text inside a JSON value that are shown."""
MOST_VALUES = 50_000
"""Values of one record or JSON body that are shown."""
LARGEST_BODY = 512 * 1024
"""Characters of a body that are shown."""
MARGIN = 64 * 1024
"""Characters behind the cut that are masked too: a secret that the cut would split disappears whole."""


class Excerpt:
    """Copies values with secrets masked and large parts cut; a cut says in its place how much is missing."""

    def __init__(self, mask: Redactor) -> None:
        self._mask = mask

    def value(self, value: Any, named: bool = False) -> Any:
        """A copy of a JSON value. `named`: also texts are masked whose key names a credential."""
        return self._copy(value, named, MOST_LEVELS, [MOST_VALUES])

    def record(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """A copy of a record; it stays an object."""
        copied: dict[str, Any] = self._copy(record, False, MOST_LEVELS, [MOST_VALUES])
        return copied

    def body(self, content: bytes | None, named: bool = False) -> Any:
        """A body as JSON or text; None for an empty one."""
        if not content:
            return None
        if len(content) <= LARGEST_BODY:
            try:
                return self.value(json_codec.loads(content), named)
            except json_codec.JsonError:
                return self._mask.text(content.decode("utf-8", "replace"))
        text = self._mask.text(content[: LARGEST_BODY + MARGIN].decode("utf-8", "replace"))
        return f"{text[:LARGEST_BODY]}… ({len(content):,} bytes in total)"

    def _copy(self, value: Any, named: bool, levels: int, room: list[int]) -> Any:
        room[0] -= 1
        if isinstance(value, str):
            text = self._mask.text(value[: MOST_CHARACTERS + MARGIN])
            cut = len(value) > MOST_CHARACTERS
            return f"{text[:MOST_CHARACTERS]}… ({len(value):,} characters in total)" if cut else text
        if isinstance(value, Mapping):
            if not levels and value:
                return deeper()
            copied: dict[str, Any] = {}
            for name, inner in value.items():
                if room[0] <= 0:
                    copied["…"] = f"({len(value) - len(copied):,} more fields)"
                    break
                hidden = named and isinstance(inner, str) and is_credential(str(name))
                shown = self._mask.text(str(name)[:MOST_CHARACTERS])
                copied[shown] = MASK if hidden else self._copy(inner, named, levels - 1, room)
            return copied
        if isinstance(value, list | tuple):
            if not levels and value:
                return deeper()
            items: list[Any] = []
            for inner in value:
                if room[0] <= 0:
                    items.append(f"… ({len(value) - len(items):,} more items)")
                    break
                items.append(self._copy(inner, named, levels - 1, room))
            return items
        return value


def deeper() -> str:
    return f"… (more than {MOST_LEVELS} levels)"
