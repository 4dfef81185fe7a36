"""Paths to values: in a record, in nested objects and lists, and dotted paths with wildcards.

- `at` follows the path of a key or a cursor through objects alone;
- `value_at` and its like follow a list of names through objects and lists, as low-code manifests have it;
- `FieldPath` is a dotted path with wildcards (`comments.*.body`), as users write it for a vector store.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import translate
from functools import lru_cache
from typing import Any

from kitestring.types import Path, Record

_MISSING = object()


def at(record: Mapping[str, Any], path: Path) -> Any:
    """The value at a path, or None where there is none."""
    value: Any = record
    for part in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(part)
    return value


def nested(paths: Sequence[Path], values: Sequence[Any]) -> Record:
    """The record that holds these values at these paths, and nothing else."""
    record: Record = {}
    for path, value in zip(paths, values, strict=True):
        inner = record
        for part in path[:-1]:
            inner = inner.setdefault(part, {})
        inner[path[-1]] = value
    return record


# -- a list of names through objects and lists -------------------------------------------------------------------------


def value_at(value: Any, path: Sequence[Any], default: Any = None) -> Any:
    """The value at `path`; a name that is a number finds its place in a list."""
    for name in path:
        if isinstance(value, dict):
            if name in value:
                value = value[name]
            elif str(name) in value:
                value = value[str(name)]
            else:
                return default
        elif isinstance(value, list):
            try:
                value = value[int(name)]
            except (ValueError, IndexError, TypeError):
                return default
        else:
            return default
    return value


def values_at(value: Any, path: Sequence[Any]) -> list[Any]:
    """All values that match a path in which `*` matches any name."""
    values = [value]
    for name in path:
        below: list[Any] = []
        for holder in values:
            if name == "*":
                below.extend(
                    holder.values() if isinstance(holder, dict) else holder if isinstance(holder, list) else ()
                )
            else:
                inner = value_at(holder, (name,), _MISSING)
                if inner is not _MISSING:
                    below.append(inner)
        values = below
    return values


def set_value(record: Any, path: Sequence[Any], value: Any) -> None:
    """Set the value at `path`, creating objects on the way. TypeError where another value is in the way."""
    *parents, last = path
    for name in parents:
        if isinstance(record, list):
            record = record[int(name)]
            continue
        inner = record.get(name)
        if inner is None:
            inner = record[name] = {}
        record = inner
    if isinstance(record, list):
        record[int(last)] = value
    elif isinstance(record, dict):
        record[last] = value
    else:
        raise TypeError(f"{'.'.join(map(str, path))} leads through a value that is not an object")


def replace_value(node: Any, path: Sequence[Any], value: Any) -> bool:
    """Replace the value at `path`; False where there is none."""
    parent = value_at(node, path[:-1], _MISSING)
    if parent is _MISSING or value_at(parent, path[-1:], _MISSING) is _MISSING:
        return False
    set_value(parent, path[-1:], value)
    return True


def delete_values(record: Any, pointer: Sequence[Any], keep: Callable[[Any], bool] | None = None) -> None:
    """Delete what matches the pointer: names, `*` and other wildcards, `**` for any depth; `keep` spares a value.

    In a list only the last place goes; another becomes null, so that those behind it stay where they are.
    """
    for holder, name in list(find_places(record, pointer)):
        try:
            if keep is None or not keep(holder[name]):
                if isinstance(holder, list) and name != len(holder) - 1:
                    holder[name] = None
                else:
                    del holder[name]
        except (KeyError, IndexError):
            continue


def find_places(node: Any, pointer: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    """The containers and keys at which a pointer ends."""
    name, rest = pointer[0], pointer[1:]
    if name == "**":
        if rest:
            yield from find_places(node, rest)
        for key, inner in members(node):
            if not rest:
                yield node, key
            if isinstance(inner, dict | list):
                yield from find_places(inner, pointer)
        return
    wild = isinstance(name, str) and is_pattern(name)
    if not wild and isinstance(node, dict):
        members_ = [(name, node[name])] if name in node else []
    else:
        members_ = [
            (k, v) for k, v in members(node) if str(k) == str(name) or (wild and name_pattern(name).match(str(k)))
        ]
    for key, inner in members_:
        if not rest:
            yield node, key
        elif isinstance(inner, dict | list):
            yield from find_places(inner, rest)


def members(node: Any) -> list[tuple[Any, Any]]:
    if isinstance(node, dict):
        return list(node.items())
    return list(enumerate(node)) if isinstance(node, list) else []


# -- a dotted path with wildcards --------------------------------------------------------------------------------------


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
                matching = name_pattern(part)
                for name, value in node.items():
                    if matching.match(str(name)):
                        yield from self._walk(value, depth + 1, (*place, name))
        elif isinstance(node, list | tuple):
            if is_pattern(part):
                matching = name_pattern(part)
                for number, value in enumerate(node):
                    if matching.match(str(number)):
                        yield from self._walk(value, depth + 1, (*place, number))
            elif part.isdecimal() and int(part) < len(node):
                yield from self._walk(node[int(part)], depth + 1, (*place, int(part)))

    def possible(self, schema: Mapping[str, Any]) -> bool:
        """True where a record of this JSON Schema can contain the path, or it is unknown."""
        properties = schema.get("properties")
        if isinstance(properties, Mapping) and self.text in properties:
            return True
        return may_hold(schema, self.parts)


def is_pattern(part: str) -> bool:
    return any(sign in part for sign in "*?[")


@lru_cache(maxsize=1024)
def name_pattern(part: str) -> re.Pattern[str]:
    return re.compile(translate(part))


def may_hold(schema: Mapping[str, Any], parts: tuple[str, ...]) -> bool:
    if not parts:
        return True
    for keyword in ("anyOf", "oneOf", "allOf"):
        branches = [branch for branch in schema.get(keyword, ()) if isinstance(branch, Mapping)]
        if branches:
            return any(may_hold(branch, parts) for branch in branches)
    part, rest = parts[0], parts[1:]
    items = schema.get("items")
    properties = schema.get("properties")
    if isinstance(items, Mapping) and (is_pattern(part) or part.isdecimal()):
        return may_hold(items, rest)
    if not isinstance(properties, Mapping) or not properties:
        # A schema without properties may contain anything.
        kinds = schema.get("type", "object")
        kinds = [kinds] if isinstance(kinds, str) else kinds
        return "object" in kinds or ("array" in kinds and (is_pattern(part) or part.isdecimal()))
    named = [
        child
        for name, child in properties.items()
        if name == part or (is_pattern(part) and name_pattern(part).match(name))
    ]
    return any(may_hold(child, rest) if isinstance(child, Mapping) else True for child in named)
