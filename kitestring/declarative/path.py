"""Where a value stands in nested objects and lists: look up, set, delete by a list of names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Any


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
    """All values that match a path in which `*` stands for any name."""
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
    """Set the value at `path`, with objects made on the way. TypeError where something else stands there."""
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
        raise TypeError(f"{'.'.join(map(str, path))} leads through a value that is no object")


def replace_value(node: Any, path: Sequence[Any], value: Any) -> bool:
    """Set what already stands at `path`; False where nothing does."""
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
    wild = isinstance(name, str) and any(sign in name for sign in "*?[")
    if not wild and isinstance(node, dict):
        members_ = [(name, node[name])] if name in node else []
    else:
        members_ = [(k, v) for k, v in members(node) if str(k) == str(name) or (wild and fnmatchcase(str(k), name))]
    for key, inner in members_:
        if not rest:
            yield node, key
        elif isinstance(inner, dict | list):
            yield from find_places(inner, rest)


def members(node: Any) -> list[tuple[Any, Any]]:
    if isinstance(node, dict):
        return list(node.items())
    return list(enumerate(node)) if isinstance(node, list) else []


_MISSING = object()
