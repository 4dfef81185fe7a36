"""Paths to values in a record: `title`, `user.name`, `comments.*.body`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import translate
from functools import lru_cache
from typing import Any


@dataclass(frozen=True, slots=True)
class FieldPath:
    """A dotted path. `*`, `?` and `[…]` match names as in a shell; the items of a list have numbers."""

    text: str
    parts: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> FieldPath:
        return cls(text, tuple(text.split(".")))

    def values(self, record: Mapping[str, Any]) -> list[Any]:
        """Every value at the path, in the record's order. A field whose own name contains the dots comes first."""
        if len(self.parts) > 1 and self.text in record:
            return [record[self.text]]
        return [value for _, value in self._walk(record, 0, ())]

    def matches(self, record: Mapping[str, Any]) -> list[tuple[str | int, ...]]:
        """Every match of the path, as keys and list positions from the top."""
        if len(self.parts) > 1 and self.text in record:
            return [(self.text,)]
        return [place for place, _ in self._walk(record, 0, ())]

    def _walk(self, node: Any, depth: int, place: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], Any]]:
        if depth == len(self.parts):
            yield place, node
            return
        part = self.parts[depth]
        if isinstance(node, Mapping):
            if part in node:
                yield from self._walk(node[part], depth + 1, (*place, part))
            elif is_pattern(part):
                matching = pattern(part)
                for name, value in node.items():
                    if matching.match(str(name)):
                        yield from self._walk(value, depth + 1, (*place, name))
        elif isinstance(node, list | tuple):
            if is_pattern(part):
                matching = pattern(part)
                for number, value in enumerate(node):
                    if matching.match(str(number)):
                        yield from self._walk(value, depth + 1, (*place, number))
            elif part.isdecimal() and int(part) < len(node):
                yield from self._walk(node[int(part)], depth + 1, (*place, int(part)))

    def possible(self, schema: Mapping[str, Any]) -> bool:
        """Whether a record of this JSON Schema can contain the path. Unsure means yes."""
        properties = schema.get("properties")
        if isinstance(properties, Mapping) and self.text in properties:
            return True
        return possible(schema, self.parts)


def is_pattern(part: str) -> bool:
    return any(sign in part for sign in "*?[")


@lru_cache(maxsize=1024)
def pattern(part: str) -> re.Pattern[str]:
    return re.compile(translate(part))


def possible(schema: Mapping[str, Any], parts: tuple[str, ...]) -> bool:
    if not parts:
        return True
    for keyword in ("anyOf", "oneOf", "allOf"):
        branches = [branch for branch in schema.get(keyword, ()) if isinstance(branch, Mapping)]
        if branches:
            return any(possible(branch, parts) for branch in branches)
    part, rest = parts[0], parts[1:]
    items = schema.get("items")
    properties = schema.get("properties")
    if isinstance(items, Mapping) and (is_pattern(part) or part.isdecimal()):
        return possible(items, rest)
    if not isinstance(properties, Mapping) or not properties:
        # A schema without properties may contain anything.
        kinds = schema.get("type", "object")
        kinds = [kinds] if isinstance(kinds, str) else kinds
        return "object" in kinds or ("array" in kinds and (is_pattern(part) or part.isdecimal()))
    named = [
        child for name, child in properties.items() if name == part or (is_pattern(part) and pattern(part).match(name))
    ]
    return any(possible(child, rest) if isinstance(child, Mapping) else True for child in named)
